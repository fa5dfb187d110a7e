/* service_control.h - room agent/survey: makes a running service read its configuration again, and looks whether it serves what
 * it should. Never: a shell; a program that others than root may change (checked when the server was read). */
#ifndef VCC_SERVICE_CONTROL_H
#define VCC_SERVICE_CONTROL_H

#include "agent/survey/server.h"
#include "agent/survey/tls_look.h"

/* The service's own test of its configuration. 0 also when it has none. E_SURVEY_TEST. */
_must_check_ int service_test(const struct server *s, struct refusal *why);

/* What service_reload() would do, for people: "systemctl reload nginx.service". */
void service_reload_words(const struct server *s, bool restart, char *ret, size_t size);
/* `restart`: its command line changed; only its unit can do that. E_SURVEY_RELOAD. */
_must_check_ int service_reload(const struct server *s, bool restart, struct refusal *why);

/* Until every listener served this certificate, with the proof of its key, three times in a row. E_SURVEY_SERVES. */
_must_check_ int service_serves(const char (*listeners)[ADDRESS_SIZE], size_t n, const char *sni, bool starttls,
				struct hash fingerprint, int64_t timeout_ms, struct refusal *why);

#endif
