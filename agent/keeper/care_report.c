/* care_report.c - room agent/keeper: the signed account of one refresh: what was wrong, what was done, what is served now.
 * Never: sending before it is durable. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/care.h"
#include "agent/keeper/content.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/place.h"
#include "agent/keeper/trust_proof.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

/* A controller that is away for days must not find hundreds of accounts of one trouble, nor may they fill the room that orders need. */
enum { CARE_RECEIPTS_MAX = RECEIPTS_MAX / 2 };

static bool told_already(const struct place *p)
{
	const struct receipts *r = &p->managed->keeper->receipts;
	if (r->n >= CARE_RECEIPTS_MAX)
		return true;
	return p->reported.seq > r->acked && p->reported.reason == p->care.reason && p->reported.code == p->care.code;
}

static void cause_of(const struct place *p, char ret[CAUSE_SIZE])
{
	if (p->care.code != 0)
		text_cut(ret, CAUSE_SIZE, p->care.cause);
	else if (p->care.reason == REFRESH_REPAIR)
		(void)drift_words(&p->repaired, ret);
}

static void fill(struct place *p, struct body_receipt *b)
{
	const struct managed *m = p->managed;
	const struct made    *made = place_in_use(p);
	bool newest = made != NULL && hash_equal(made->content, content_wanted(p, m->live.fingerprint));
	b->outcome = p->care.code == 0 ? RECEIPT_SETTLED : RECEIPT_FAILED;
	b->fingerprint = m->live.fingerprint;
	b->serial = m->live.serial;
	b->generation = p->on_disk.generation;
	b->code = p->care.code;
	b->made_at = clock_now();
	b->reason = p->care.reason;
	b->trust_epoch = newest ? m->keeper->state.trust.epoch : 0;
	b->trust_proof = p->trust_proof;
	if (newest && content_has_lists(p))
		b->crl_hash = m->keeper->state.crl_hash;
	b->probes = p->care_summary.total;
	b->probes_failed = p->care_summary.failed;
	b->n_listeners = p->n_seen;
	if (p->n_seen > 0)
		memcpy(b->listeners, p->seen, p->n_seen * sizeof(b->listeners[0]));
	text_cut(b->cert_id, sizeof(b->cert_id), m->cert_id);
	text_cut(b->stem, sizeof(b->stem), p->stem);
	cause_of(p, b->cause);
	text_plain(b->cause);
}

static int report(struct place *p, struct receipt_kept **ret)
{
	struct keeper       *k = p->managed->keeper;
	struct body_receipt *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return E_NOMEM;
	fill(p, b);
	int r = receipt_make(&k->receipts, 0, k->state.host_key, b, ret);
	if (r == 0) {
		struct record_receipt record = receipt_record(*ret);
		r = keeper_journal_add(k, RECORD_RECEIPT, &record);
	}
	if (r == 0)
		r = keeper_journal_commit(k, true);
	keeper_journal_drop(k);
	p->reported.seq = b->seq;
	free(b);
	return r;
}

void care_report(struct place *p)
{
	struct keeper       *k = p->managed->keeper;
	struct receipt_kept *receipt = NULL;
	if (told_already(p))
		return;
	int r = report(p, &receipt);
	if (r == E_SYS_SPACE || r == E_FULL) { /* the log has it, and the state tells it again */
		receipt_free(receipt);
		log_line(LOG_LEVEL_ERROR, NULL, "%s: the account of this cannot be kept: %s", p->stem, err_what(r));
		return;
	}
	if (r != 0) {
		receipt_free(receipt);
		keeper_die(k, r, "write its journal");
		return;
	}
	p->reported.reason = p->care.reason;
	p->reported.code = p->care.code;
	receipts_add(&k->receipts, receipt);
	uplink_send_receipt(k->uplink, receipt);
	(void)fault_point("keeper.care.reported");
}
