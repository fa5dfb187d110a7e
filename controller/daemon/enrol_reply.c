/* enrol_reply.c - room controller/daemon: what the join port answers: an identity with everything that goes with it, or a code.
 * Never: deciding. */
#include "controller/daemon/enrol_reply.h"

#include <stdlib.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { REPLY_MAX = 16384 };

static void reply(struct controller *ctl, uint64_t gateway, uint64_t request, uint16_t type, const void *payload)
{
	struct buf frame = BUF_MAX(REPLY_MAX);
	if (wire_encode(&wire_join, type, 0, payload, &frame) == 0) {
		struct gw_join_reply m = {.request = request, .body = buf_span(&frame)};
		(void)gateways_send(ctl, gateway, GW_JOIN_REPLY, 0, &m);
	}
	buf_free(&frame);
}

void enrol_reply_refused(struct controller *ctl, uint64_t gateway, uint64_t request, int code)
{
	struct msg_join_reply r = {.code = code, .now_at = clock_now()};
	text_cut(r.text, sizeof(r.text), err_what(code));
	reply(ctl, gateway, request, JOIN_REPLY, &r);
}

int enrol_reply_identity(struct controller *ctl, uint64_t gateway, uint64_t request, const char *agent,
			 const struct issuance *issued)
{
	struct agent                 a;
	int                          code = rows_agent(ctl->rows, agent, &a);
	const struct catalog_issuer *issuer = code == 0 ? catalog_issuer(ctl->catalog, issued->issuer_id) : NULL;
	if (issuer == NULL)
		return code < 0 ? code : E_SIGNER_ISSUER;
	struct msg_join_reply *r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	text_cut(r->agent, sizeof(r->agent), a.name);
	text_cut(r->service, sizeof(r->service), a.service);
	text_cut(r->domain, sizeof(r->domain), ctl->domain);
	text_cut(r->address, sizeof(r->address), ctl->conf->agent_address);
	text_cut(r->names, sizeof(r->names), a.patterns.text);
	r->now_at = clock_now();
	r->certificate = (struct span){issued->der, issued->der_len};
	r->chain = issuer->chain;
	r->bundle = buf_span(&ctl->bundle);
	reply(ctl, gateway, request, JOIN_REPLY, r);
	free(r);
	return 0;
}

void enrol_reply_challenge(struct controller *ctl, uint64_t gateway, uint64_t request, const struct msg_challenge *m)
{
	reply(ctl, gateway, request, JOIN_CHALLENGE, m);
}
