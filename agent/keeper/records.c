/* records.c - room agent/keeper: the tables of the keeper's journal.
 * Never: writing files. */
#include "agent/keeper/records.h"

#include "shared/base/be.h"
#include "shared/wire/wire_table.h"

static const struct wire_field deploy_fields[] = {
	WIRE_FIELD(1, struct deploy, renewal_id),
	WIRE_FIELD(2, struct deploy, attempt),
	WIRE_FIELD(3, struct deploy, cert_id),
	WIRE_ENUM(4, struct deploy, phase, "phase", DEPLOY_PHASE_COUNT),
	WIRE_ENUM(5, struct deploy, trigger, "trigger", TRIGGER_COUNT),
	WIRE_ENUM(6, struct deploy, key_type, "key_type", KEY_TYPE_COUNT),
	WIRE_FIELD(7, struct deploy, post_validation),
	WIRE_FIELD(8, struct deploy, had_old),
	WIRE_FIELD(9, struct deploy, old_valid),
	WIRE_FIELD(10, struct deploy, was_serving),
	WIRE_FIELD(11, struct deploy, was_down),
	WIRE_FIELD(12, struct deploy, tries),
	WIRE_FIELD(13, struct deploy, restarts),
	WIRE_FIELD(14, struct deploy, generation),
	WIRE_FIELD(15, struct deploy, old_generation),
	WIRE_FIELD(16, struct deploy, fingerprint),
	WIRE_FIELD(17, struct deploy, old_fingerprint),
	WIRE_FIELD(18, struct deploy, serial),
	WIRE_FIELD(19, struct deploy, spki_hash),
	WIRE_FIELD(20, struct deploy, outcome),
	WIRE_FIELD(21, struct deploy, receipted),
	WIRE_FIELD(22, struct deploy, code),
	WIRE_FIELD(23, struct deploy, cause),
	WIRE_FIELD(24, struct deploy, flags),
	WIRE_FIELD(25, struct deploy, deadline_at),
	WIRE_FIELD(26, struct deploy, flipped_at),
	WIRE_FIELD(27, struct deploy, next_at),
	WIRE_FIELD(28, struct deploy, blind),
	WIRE_FIELD(29, struct deploy, any_time),
};
static const struct wire_field frame_fields[] = {
	WIRE_FIELD(1, struct record_frame, cert_id),
	WIRE_FIELD(2, struct record_frame, type),
	WIRE_SPAN(3, struct record_frame, frame, FRAME_MAX),
};
static const struct wire_field receipt_fields[] = {
	WIRE_FIELD(1, struct record_receipt, seq),        WIRE_FIELD(2, struct record_receipt, cert_id),
	WIRE_FIELD(3, struct record_receipt, renewal_id), WIRE_FIELD(4, struct record_receipt, attempt),
	WIRE_ENUM(5, struct record_receipt, outcome, "outcome", RECEIPT_OUTCOME_COUNT),
	WIRE_SPAN(6, struct record_receipt, body, FRAME_MAX / 2), WIRE_SPAN(7, struct record_receipt, signature, MSG_SIGNATURE_MAX),
};
static const struct wire_field acked_fields[] = {
	WIRE_FIELD(1, struct record_acked, seq),
	WIRE_FIELD(2, struct record_acked, last_seq),
};
static const struct wire_field target_fields[] = {
	WIRE_FIELD(1, struct record_target, cert_id),
	WIRE_FIELD(2, struct record_target, stem),
	WIRE_FIELD(3, struct record_target, generation),
	WIRE_FIELD(4, struct record_target, gone),
	WIRE_FIELD(5, struct record_target, old_generation),
	WIRE_SPAN(6, struct record_target, made, 4096),
	WIRE_FIELD(7, struct record_target, proved),
	WIRE_FIELD(8, struct record_target, rehearsed_at),
};
static const struct wire_field live_fields[] = {
	WIRE_FIELD(1, struct record_live, cert_id),     WIRE_FIELD(2, struct record_live, renewal_id),
	WIRE_FIELD(3, struct record_live, attempt),     WIRE_FIELD(4, struct record_live, fingerprint),
	WIRE_FIELD(5, struct record_live, serial),      WIRE_SPAN(6, struct record_live, certificate, FRAME_MAX),
};

static const struct wire_message tables[] = {
	[RECORD_DEPLOY] = WIRE_MESSAGE(0, "deploy", "", struct deploy, deploy_fields, "state of one deployment"),
	[RECORD_FRAME] = WIRE_MESSAGE(0, "frame", "", struct record_frame, frame_fields, "message of the controller"),
	[RECORD_RECEIPT] = WIRE_MESSAGE(0, "receipt", "", struct record_receipt, receipt_fields, "signed receipt"),
	[RECORD_ACKED] = WIRE_MESSAGE(0, "acked", "", struct record_acked, acked_fields, "acknowledged receipts"),
	[RECORD_TARGET] = WIRE_MESSAGE(0, "target", "", struct record_target, target_fields, "known target"),
	[RECORD_LIVE] = WIRE_MESSAGE(0, "live", "", struct record_live, live_fields, "issuance in use"),
};

enum { HEAD = 5 }; /* length of the body, big-endian; kind */

int record_encode(enum record_kind kind, const void *payload, struct buf *to)
{
	size_t        at = to->n;
	const uint8_t head[HEAD] = {0, 0, 0, 0, (uint8_t)kind};
	buf_add(to, head, sizeof(head));
	int r = wire_body_encode(&tables[kind], payload, to);
	if (r == 0)
		r = buf_error(to);
	if (r != 0)
		return r;
	be_put(to->p + at, to->n - at - HEAD, 4);
	return 0;
}

int record_decode(struct span *batch, struct record *ret)
{
	if (batch->n < HEAD)
		return E_SYS_JOURNAL;
	const uint8_t *p = batch->p;
	size_t         n = be_get(p, 4);
	if (n > batch->n - HEAD || p[4] >= N_ELEMENTS(tables) || tables[p[4]].n_fields == 0)
		return E_SYS_JOURNAL;
	ret->kind = (enum record_kind)p[4];
	/* all members of the union begin at its address */
	if (wire_body_decode(&tables[ret->kind], (struct span){p + HEAD, n}, &ret->u) != 0)
		return E_SYS_JOURNAL;
	*batch = (struct span){p + HEAD + n, batch->n - HEAD - n};
	return 0;
}
