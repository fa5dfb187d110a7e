/* target_conf.h - room shared/conf: one file targets.d/NAME.conf: where and how a certificate is served.
 * Keeper and hook read it alike. Never: accepting a file that somebody but root (or, in tests, the own user) may change. */
#ifndef VCC_TARGET_CONF_H
#define VCC_TARGET_CONF_H

#include <limits.h>

#include "shared/conf/conf.h"
#include "shared/model/names.h"
#include "shared/model/window.h"

enum reload_kind {
	RELOAD_NONE,
	RELOAD_SYSTEMD,
	RELOAD_SIGNAL,
	RELOAD_EXEC,
	RELOAD_HAPROXY,    /* runtime API, no reload at all */
	RELOAD_POSTGRESQL, /* SIGHUP to the postmaster, by unit or pid file */
	RELOAD_KIND_COUNT,
};
enum verify_kind { VERIFY_TLS, VERIFY_FILE, VERIFY_NONE, VERIFY_STARTTLS_POSTGRESQL, VERIFY_KIND_COUNT };
enum on_failure { FAILURE_BACK, FAILURE_FORWARD };
/* What happens to old workers that still hold connections after max_drain. */
enum drain_kind { DRAIN_REPORT, DRAIN_TERMINATE };
/* How authorities (and lists) lie in a generation; ca.pem is always there. */
enum trust_format { TRUST_PEM, TRUST_P12, TRUST_CAPATH, TRUST_FORMAT_COUNT };
const char *reload_kind_name(enum reload_kind k);
const char *verify_kind_name(enum verify_kind k);

enum { TARGET_PATH_SIZE = 512, TARGET_COMMAND_SIZE = 1024, TARGET_LISTENERS_MAX = 16, TARGET_COPIES_SIZE = 2048 };

struct target_conf {
	char    stem[CERT_ID_SIZE]; /* file name without .conf */
	/* [target] */
	char    cert_id[CERT_ID_SIZE]; /* "" = AGENTNAME-STEM */
	char    service[SERVICE_SIZE]; /* "" = the agent's */
	char    template_id[TEMPLATE_ID_SIZE];
	struct names names; /* the list as written until the whole file was checked */
	char    dir[TARGET_PATH_SIZE]; /* "" = STATE_DIR/targets/STEM */
	int     on_failure; /* enum on_failure */
	/* [files] */
	char    owner[64], group[64];
	int64_t mode;
	bool    combined;
	bool    pkcs12; /* keystore.p12, truststore.p12 */
	char    pkcs12_password_file[TARGET_PATH_SIZE];
	char    copies[TARGET_COPIES_SIZE]; /* see target_copies.h */
	/* [reload] */
	int     reload; /* enum reload_kind */
	char    unit[128];
	char    pidfile[TARGET_PATH_SIZE];
	char    signal[16];
	char    socket[TARGET_PATH_SIZE]; /* HAProxy's admin socket */
	char    command[TARGET_COMMAND_SIZE]; /* argv by blanks, "..." quotes; no shell */
	char    test[TARGET_COMMAND_SIZE];
	int64_t timeout_ms;
	int64_t max_drain_ms; /* 0 = no limit */
	int     on_drain;     /* enum drain_kind */
	/* [verify] */
	int     verify; /* enum verify_kind */
	char    connect[512];
	char    sni[DNS_NAME_SIZE];
	/* [trust] */
	bool    crl; /* also crl.pem: the revocation lists of all issuers */
	char    formats[64];
	/* [window] */
	char           window[WINDOW_TEXT_SIZE];
	struct windows windows; /* from window; none = always */
};

extern const struct conf_schema target_schema;

/* Is this format among [trust] formats? */
bool target_trust_as(const struct target_conf *t, enum trust_format format);
/* Is there a truststore.p12, with or without a keystore.p12? */
bool target_has_truststore(const struct target_conf *t);
/* Is serving proved by handshakes with the listeners? */
bool target_probed(const struct target_conf *t);
/* Can old workers be told from new ones? That needs the service's main process and its ports. */
bool target_drains(const struct target_conf *t);

/* Loads TARGETS_DIR/STEM.conf. Owner must be root or the caller's uid, not writable by others. */
_must_check_ int target_conf_load(const char *targets_dir, const char *stem, struct target_conf *ret, struct refusal *why);
/* Stems of all target files, sorted; at most `max`. */
_must_check_ int target_conf_list(const char *targets_dir, char (*ret)[CERT_ID_SIZE], size_t max, size_t *ret_n, struct refusal *why);
/* command -> argv in `store`; NULL-terminated, at most `max` - 1 words. E_CONF_VALUE. */
_must_check_ int target_argv(const char *command, char *store, size_t size, char **ret_argv, size_t max);

#endif
