/* selector.h - room controller/core: which certificates a campaign means.
 * Pure: values in, values out. Never: lists, the store; the caller brings one certificate after the other. */
#ifndef VCC_SELECTOR_H
#define VCC_SELECTOR_H

#include "shared/base/err.h"
#include "shared/model/certificate.h"

enum selector_kind { SELECT_ALL, SELECT_SERVICE, SELECT_TEMPLATE, SELECT_AGENT, SELECT_PATTERN, SELECT_IDS, SELECT_KIND_COUNT };
const char      *selector_kind_name(enum selector_kind k);                       /* as in the API: "all", "service", ... */
_must_check_ int selector_kind_parse(const char *name, enum selector_kind *ret); /* E_SYNTAX */

struct selector {
	enum selector_kind kind;
	char               value[DNS_NAME_SIZE];   /* service, template_id, agent, pattern */
	char               type[TEMPLATE_ID_SIZE]; /* only of this template; "" = of any */
};

/* Makes the value canonical. E_CAMPAIGN_SELECTOR: no such service, agent, template name, or a pattern that is neither a name
 * nor "*.name". */
_must_check_ int selector_check(struct selector *s, struct refusal *why);

/* Does it mean this certificate? Of SELECT_IDS the caller looks the ids up itself, and asks only about those it found.
 * `signs_code`: of a template for code signing, which is meant only when its type or the certificate itself is named. `domain`:
 * of the virtual name CERT_ID.SERVICE.DOMAIN. */
bool selector_matches(const struct selector *s, const struct certificate *c, bool signs_code, const char *domain);

#endif
