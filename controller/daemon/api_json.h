/* api_json.h - room controller/daemon: model values as JSON, the shapes that the API promises.
 * Never: reading the store. */
#ifndef VCC_API_JSON_H
#define VCC_API_JSON_H

#include <jansson.h>

#include "controller/store/store.h"
#include "shared/model/messages.h"

json_t *json_time(int64_t at); /* RFC 3339 text, or null for 0 and TIME_NEVER */
json_t *json_names(const struct names *names); /* ["DNS:a", "IP:..."] */
json_t *json_comma_list(const char *list);
json_t *json_serial(struct serial s); /* upper-case hex, or null */
json_t *json_hash(struct hash h);
json_t *json_id(struct id id);
json_t *json_code(int code); /* "VCC-2004", or null for 0 */

/* Fractions of a day are kept to two digits. */
double json_days(int64_t ms);

json_t *json_certificate(const struct certificate *c, const struct template *t, const struct target *targets, size_t n, int64_t now);
json_t *json_issuance(const struct issuance *i, int64_t now);
json_t *json_agent(const struct agent *a, bool connected);
json_t *json_invite(const struct invite *i, int64_t now);
json_t *json_target(const struct target *t);
json_t *json_listener(const struct inventory_listener *l);
json_t *json_order(const struct order *o);
json_t *json_step(const struct order_step_row *s);
json_t *json_receipt(const struct receipt_row *r);

enum { JSON_SUBJECT_SIZE = DNS_NAME_SIZE + 8 };
/* "CN=..." of a certificate as the lists show it. */
void json_subject(const struct certificate *c, char ret[JSON_SUBJECT_SIZE]);

#endif
