/* rollover_signer.c - room controller/daemon: requests for a successor and for the closing of an authority.
 * Never: deciding when. */
#include "controller/daemon/rollover_signer.h"

#include "controller/daemon/serials.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

int rollover_signer_successor(struct controller *ctl, const struct rollover *r)
{
	struct sg_successor q = {.issuer_id = ""};
	struct ticket       t = {.kind = TICKET_SUCCESSOR, .rank = RANK_UPKEEP};
	struct buf          frame = BUF_MAX(1024);
	uint64_t            id = signer_crl_id(ctl);
	int                 code = serials_take(ctl, &q.serial);
	text_cut(q.issuer_id, sizeof(q.issuer_id), r->issuer_id);
	text_cut(q.successor_id, sizeof(q.successor_id), r->successor_id);
	text_cut(t.issuer_id, sizeof(t.issuer_id), r->issuer_id);
	if (code == 0)
		code = wire_encode(&wire_signer, SG_SUCCESSOR, id, &q, &frame);
	if (code == 0)
		signer_ask(ctl, id, buf_span(&frame), &t);
	buf_free(&frame);
	return code;
}

int rollover_signer_close(struct controller *ctl, const struct rollover *r, const char *issuer_id)
{
	struct sg_close q = {.issuer_id = ""};
	struct ticket   t = {.kind = TICKET_CLOSE, .rank = 0};
	struct buf      frame = BUF_MAX(1024);
	uint64_t        id = signer_crl_id(ctl);
	text_cut(q.issuer_id, sizeof(q.issuer_id), issuer_id);
	text_cut(t.issuer_id, sizeof(t.issuer_id), r->issuer_id);
	int code = wire_encode(&wire_signer, SG_CLOSE, id, &q, &frame);
	if (code == 0)
		signer_ask(ctl, id, buf_span(&frame), &t);
	buf_free(&frame);
	return code;
}
