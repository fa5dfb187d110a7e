/* issue_request.h - room controller/daemon: certificates without an agent: a person brings the public key, and fetches the
 * certificate. Never: anything of the request but its key. */
#ifndef VCC_ISSUE_REQUEST_H
#define VCC_ISSUE_REQUEST_H

#include "controller/daemon/orders.h"

struct issue_request {
	char          cert_id[CERT_ID_SIZE]; /* "" = after the first name */
	bool          renew;                 /* the next one of `cert_id`: template, service and names are its own */
	char          template_id[TEMPLATE_ID_SIZE];
	char          service[SERVICE_SIZE]; /* "" = the template's */
	struct names  names;
	struct span   spki; /* of a request whose proof of possession was checked */
	enum key_type key_type;
};
/* result.order: under way, or waiting for a second person (purposes admin and code_signing). E_ISSUE_*, E_POLICY_*, E_ORDER_*,
 * E_EXISTS. */
void controller_issue(struct controller *ctl, const struct issue_request *request, const struct caller *who, api_done_fn *done,
		      void *ctx);

/* Adds a service that is heard of for the first time to the commit; "" = there is none. */
void issue_put_service(struct controller *ctl, struct commit *c, const char *name, const struct caller *who);

/* ---- for approvals.c: the key that a waiting order came with stands in its request ---- */
#define ISSUE_KEY "key"
enum { ISSUE_KEY_SIZE = (SPKI_MAX + 2) / 3 * 4 + 1 };
struct issue_key {
	char        text[ISSUE_KEY_SIZE]; /* base64 of: */
	uint8_t     spki[SPKI_MAX];
	size_t      spki_len;
	struct hash hash;
};
_must_check_ int issue_key_of(const struct approval *a, struct issue_key *ret);
/* An order is approved: one without agent begins with the intent for its key, which `in` then names. Others are left as they
 * are. */
_must_check_ int issue_approved(struct controller *ctl, const struct approval *a, struct order_event *ev,
				struct issuance *intent, struct order_input *in);

#endif
