/* restored.c - room controller/daemon: the hold on orders after a restore, and its end.
 * Never: holding what keeps hosts safe: lists, OCSP, receipts, revocation. */
#include "controller/daemon/restored.h"

#include <stdlib.h>

#include <jansson.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/names.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct restored {
	struct restore_mark mark;
	bool                accepting;
	bool                told; /* the log says once that nothing is ordered */
	struct restore_news news;
};

int restored_open(struct restored **ret)
{
	struct restored *r = calloc(1, sizeof(*r));
	if (r == NULL)
		return E_NOMEM;
	*ret = r;
	return 0;
}

void restored_free(struct restored *r)
{
	free(r);
}

int restored_load(struct controller *ctl)
{
	int r = restore_mark_read(ctl->view, &ctl->restored->mark);
	if (r == 0)
		audit_heads_forgive(ctl, ctl->restored->mark.heads_to);
	return r;
}

static bool waits(const struct controller *ctl)
{
	const struct restore_mark *m = &ctl->restored->mark;
	return m->epoch != 0 && m->accepted_at == 0;
}

bool restored_holds(struct controller *ctl)
{
	bool holds = waits(ctl) || audit_heads_hold(ctl);
	if (holds && !ctl->restored->told)
		log_line(LOG_LEVEL_WARNING, NULL, "nothing is ordered until somebody runs `vccctl restore --accept`");
	ctl->restored->told = holds;
	return holds;
}

int restored_allows(struct controller *ctl)
{
	return restored_holds(ctl) ? E_RESTORE_WAITS : 0;
}

int64_t restored_at(const struct controller *ctl)
{
	return ctl->restored->mark.restored_at;
}

void restored_mark_of(const struct controller *ctl, struct restore_mark *ret)
{
	*ret = ctl->restored->mark;
}

/* ---- what the store lost --------------------------------------------------------------------------------------- */

const struct restore_news *restored_news(const struct controller *ctl)
{
	return &ctl->restored->news;
}

void restored_saw_certificate(struct controller *ctl, const char *cert_id, const char *agent, struct serial served)
{
	char text[SERIAL_TEXT_SIZE];
	if (ctl->restored->mark.epoch != 0)
		restore_news_add(&ctl->restored->news, NEWS_CERTIFICATE, cert_id, agent, "serves %s", serial_text(served, text));
}

void restored_saw_host(struct controller *ctl, const char *agent)
{
	if (ctl->restored->mark.epoch != 0 && name_agent_ok(agent))
		restore_news_add(&ctl->restored->news, NEWS_HOST, agent, agent, "has an identity of ours");
}

void restored_saw_receipt(struct controller *ctl, const char *agent, const char *cert_id, int64_t made_at)
{
	const struct restore_mark *m = &ctl->restored->mark;
	char                       at[TIME_TEXT_SIZE];
	if (m->epoch != 0 && made_at > m->made_at && made_at < m->restored_at)
		restore_news_add(&ctl->restored->news, NEWS_RECEIPT, cert_id, agent, "made at %s", time_text(made_at, at));
}

void restored_saw_head(struct controller *ctl, const char *agent, uint64_t size)
{
	restore_news_add(&ctl->restored->news, NEWS_HEAD, "audit trail", agent, "of %llu records", (unsigned long long)size);
}

/* ---- accepting ------------------------------------------------------------------------------------------------- */

static void on_accepted(struct controller *ctl, const void *value, size_t n)
{
	const struct restore_mark *m = value;
	(void)n;
	ctl->restored->accepting = false;
	ctl->restored->mark = *m;
	audit_heads_forgive(ctl, m->heads_to);
	log_line(LOG_LEVEL_NOTICE, NULL, "the restored database was accepted by %s", m->accepted_by);
}

static void on_not_accepted(struct controller *ctl, const void *value, size_t n)
{
	(void)value;
	(void)n;
	ctl->restored->accepting = false;
}

void restored_accept(struct controller *ctl, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer      *a = answer_new(done, ctx);
	struct restore_mark m = ctl->restored->mark;
	if (audit_heads_signer_contradicts(ctl)) {
		answer_refuse(a, E_RESTORE_SIGNER, "signer", NULL);
		return;
	}
	if (!restored_holds(ctl) || ctl->restored->accepting) {
		answer_refuse(a, E_RESTORE_NOTHING, "store", NULL);
		return;
	}
	if (m.epoch == 0) { /* not by `vccctl restore`: somebody put an old file there */
		m.epoch = 1;
		m.restored_at = clock_now();
	}
	m.accepted_at = clock_now();
	text_cut(m.accepted_by, sizeof(m.accepted_by), who->actor);
	m.heads_to = audit_heads_claimed(ctl);
	ctl->restored->accepting = true;
	struct commit  *c = commit_new(ctl);
	struct audit_of of = {.event = AUDIT_RESTORE_ACCEPTED,
			      .actor = who->actor,
			      .object = "store",
			      .request_id = who->request_id,
			      .reason = who->reason};
	commit_audit(c, &of, "{s:I,s:I}", "epoch", (json_int_t)m.epoch, "heads_to", (json_int_t)m.heads_to);
	restore_mark_put(commit_change(c), &m);
	commit_then(c, on_accepted, &m, sizeof(m));
	commit_else(c, on_not_accepted, NULL, 0);
	commit_fault_points(c, "controller.restore_accept", "controller.restore_accept_stored");
	commit_now(c, answer_stored, a);
}

/* ---- drills ---------------------------------------------------------------------------------------------------- */

void restored_drilled(struct controller *ctl, const struct drill_result *d, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer    *a = answer_new(done, ctx);
	struct drill_mark m = {.at = clock_now(), .made_at = d->made_at, .audit_size = d->audit_size};
	struct hash       root;
	char              hex[HASH_TEXT_SIZE];
	int               r = view_audit_root_at(ctl->view, d->audit_size, &root);
	if (r < 0 && r != E_RANGE) {
		answer_refuse(a, r, "store", NULL);
		return;
	}
	if (r < 0 || d->audit_size == 0 || !hash_equal(root, d->audit_root)) {
		answer_refuse(a, E_RESTORE_DRILL, "backup", NULL);
		return;
	}
	struct commit  *c = commit_new(ctl);
	struct audit_of of = {.event = AUDIT_RESTORE_DRILLED,
			      .actor = who->actor,
			      .object = "store",
			      .request_id = who->request_id,
			      .reason = who->reason};
	commit_audit(c, &of, "{s:I,s:s,s:I,s:I}", "audit_size", (json_int_t)d->audit_size, "audit_root", hash_text(root, hex), "made_at",
		     (json_int_t)d->made_at, "keys", (json_int_t)d->keys);
	drill_mark_put(commit_change(c), &m);
	commit_now(c, answer_stored, a);
}
