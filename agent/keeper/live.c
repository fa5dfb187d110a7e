/* live.c - room agent/keeper: the issuance in use of a certificate.
 * Never: a key that nothing needs any more. */
#include "agent/keeper/live.h"

#include <stdlib.h>

#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/look.h"
#include "agent/keeper/place.h"
#include "agent/keeper/trust_proof.h"
#include "agent/keeper/stage.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/log.h"

/* From the proof on, or when the new one is kept although it is not proved. */
static bool makes_live(enum receipt_outcome outcome)
{
	return outcome == RECEIPT_VERIFIED || outcome == RECEIPT_KEPT;
}

static struct record_live record_of(const struct managed *m, struct id renewal_id, uint32_t attempt, struct hash fingerprint,
                                    struct serial serial, const struct buf *certificate)
{
	struct record_live record = {
		.renewal_id = renewal_id,
		.attempt = attempt,
		.fingerprint = fingerprint,
		.serial = serial,
		.certificate = buf_span(certificate),
	};
	text_cut(record.cert_id, sizeof(record.cert_id), m->cert_id);
	return record;
}

struct record_live live_of(const struct managed *m)
{
	const struct live *l = &m->live;
	return record_of(m, l->renewal_id, l->attempt, l->fingerprint, l->serial, &l->certificate);
}

/* The proof of an order is one of everything that lies in its generation. */
static struct hash proved_by(const struct place *p)
{
	const struct made *made = place_in_use(p);
	return made != NULL ? made->content : p->proved;
}

int live_record(struct managed *m, const struct deploy *next, enum receipt_outcome outcome)
{
	struct record_live record =
		record_of(m, next->renewal_id, next->attempt, next->fingerprint, next->serial, &m->certificate);
	if (!makes_live(outcome))
		return 0;
	int r = keeper_journal_add(m->keeper, RECORD_LIVE, &record);
	for (size_t i = 0; r == 0 && i < m->n_places; i++) {
		struct place_record place;
		place_record(m->places[i], &place);
		if (outcome == RECEIPT_VERIFIED)
			place.record.proved = proved_by(m->places[i]);
		r = keeper_journal_add(m->keeper, RECORD_TARGET, &place.record);
	}
	return r;
}

/* Judged when it was taken; here it is only read. */
static int64_t end_of(struct span message)
{
	struct wire_frame *frame = malloc(sizeof(*frame));
	struct cert_info   info = {.not_after_at = 0};
	if (frame != NULL && wire_decode(&wire_agent, message, 0, frame) == 0 && frame->type == MSG_CERTIFICATE &&
	    cert_read(frame->u.certificate.certificate, &info) != 0)
		info.not_after_at = 0;
	free(frame);
	return info.not_after_at;
}

int live_load(struct managed *m, const struct record_live *record)
{
	struct live *l = &m->live;
	l->renewal_id = record->renewal_id;
	l->attempt = record->attempt;
	l->fingerprint = record->fingerprint;
	l->serial = record->serial;
	l->not_after_at = end_of(record->certificate);
	l->certificate.max = FRAME_MAX;
	buf_reset(&l->certificate);
	buf_add(&l->certificate, record->certificate.p, record->certificate.n);
	return buf_error(&l->certificate);
}

void live_adopt(struct managed *m, const struct deploy *next, enum receipt_outcome outcome)
{
	if (!makes_live(outcome))
		return;
	struct record_live record =
		record_of(m, next->renewal_id, next->attempt, next->fingerprint, next->serial, &m->certificate);
	if (live_load(m, &record) != 0)
		keeper_die(m->keeper, E_NOMEM, "remember the issuance in use");
	for (size_t i = 0; outcome == RECEIPT_VERIFIED && i < m->n_places; i++) {
		struct place *p = m->places[i];
		p->proved = proved_by(p);
		if (p->probe != NULL)
			p->trust_seen = probe_ca_names(p->probe);
		p->trust_proof = trust_proof_of(p);
		p->rehearsal_code = 0;
		look_proved_by_order(p);
	}
}

void live_free(struct managed *m)
{
	buf_free(&m->live.certificate);
}

static bool is_needed(void *ctx, struct id renewal_id, uint32_t attempt)
{
	const struct keeper *k = ctx;
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct managed *m = k->managed[i];
		if (stage_needs(m, renewal_id, attempt) || (id_equal(m->live.renewal_id, renewal_id) && m->live.attempt == attempt) ||
		    (m->deploy.phase != DEPLOY_NONE && m->deploy.phase != DEPLOY_DONE && id_equal(m->deploy.renewal_id, renewal_id) &&
		     m->deploy.attempt == attempt))
			return true;
	}
	return false;
}

void live_sweep(struct keeper *k)
{
	struct refusal why = {.code = 0};
	if (keys_sweep(k->state.keys_fd, is_needed, k, &why) != 0) /* only space is lost */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}
