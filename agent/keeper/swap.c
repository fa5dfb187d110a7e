/* swap.c - room agent/keeper: performs the actions of deployments and answers each with an event. The table at the end lists them.
 * Never: deciding what comes next. Any action may be repeated. */
#include "agent/keeper/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/swap_check.h"
#include "agent/keeper/swap_parts.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

enum {
	KEY_MS = 60 * 1000,
	PROBE_MS = 30 * 1000,
	SETTLE_MS = 500,
	VERIFY_ROW = 3,
	SETTLE_ROW = 20,
	CSR_REPEAT_MS = 30 * 1000,
	HEAL_MIN_MS = 5 * 1000,
	HEAL_MAX_MS = 10 * 60 * 1000,
};

struct deploy_policy swap_policy(const struct managed *m)
{
	int64_t hook_ms = (m->present ? m->conf.timeout_ms : 30 * MS_SECOND) + 2 * SWAP_HOOK_MARGIN_MS;
	return (struct deploy_policy){
		.key_ms = KEY_MS,
		.test_ms = hook_ms,
		.reload_ms = hook_ms,
		.probe_ms = fault_ms("VCC_PROBE_MS", PROBE_MS),
		.settle_ms = SETTLE_MS,
		.verify_row = VERIFY_ROW,
		.settle_row = SETTLE_ROW,
		.csr_repeat_ms = CSR_REPEAT_MS,
		.heal_min_ms = fault_ms("VCC_HEAL_MS", HEAL_MIN_MS),
		.heal_max_ms = HEAL_MAX_MS,
	};
}

/* ---- accounting -------------------------------------------------------------------------------------------------- */

void swap_step_begin(struct managed *m)
{
	m->swap.step_from = clock_monotonic();
}

/* A row for the receipt, and a live event for whoever watches. */
void swap_step_end(struct managed *m, enum workflow_step step, int code, const char *detail)
{
	struct swap    *s = &m->swap;
	struct msg_step live = {.renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .step = step, .code = code,
	                        .at = clock_now()};
	if (s->n_steps < MSG_STEPS_MAX) {
		struct receipt_step *row = &s->steps[s->n_steps++];
		*row = (struct receipt_step){.step = step, .code = code, .at = live.at, .took_ms = clock_monotonic() - s->step_from};
		text_cut(row->detail, sizeof(row->detail), detail);
		keeper_words(row->detail);
	}
	uplink_send(m->keeper->uplink, MSG_STEP, &live);
}

void swap_answer(struct managed *m, struct deploy_event *e, const struct refusal *why)
{
	if (e->code != 0 && why != NULL && why->code != 0)
		snprintf(e->cause, sizeof(e->cause), "%.60s: %.90s", why->object, why->cause);
	if (e->code != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %s: %s", m->cert_id, deploy_event_name(e->kind), e->cause);
	keeper_post(m->keeper, m, e);
}

void swap_reset(struct managed *m)
{
	hook_cancel(m->swap.hook);
	probe_free(m->swap.probe);
	m->swap = (struct swap){.n_steps = 0};
}

void swap_look(struct managed *m)
{
	struct on_disk          found = {.generation = 0};
	struct generation_facts facts;
	_cleanup_fd_ int        fd = -1;
	if (m->present && dir_open_safe(m->dir, geteuid(), &fd, NULL) == 0 && generation_current(fd, &found.generation, NULL) == 0 &&
	    found.generation != 0 && generation_read(fd, found.generation, &facts, NULL) == 0) {
		struct span rest = buf_span(&facts.chain);
		struct span leaf;
		found.fingerprint = facts.info.fingerprint;
		found.not_after_at = facts.info.not_after_at;
		/* a pair of somebody else (self-signed, from another tool) has no serial of ours */
		if (der_next(&rest, &leaf) && cert_verify(leaf, rest, buf_span(&m->keeper->state.trust.roots), 0, 0, NULL) == 0)
			found.serial = facts.info.serial;
		buf_free(&facts.chain);
	}
	m->on_disk = found;
}

int swap_target_open(struct managed *m, int *ret_fd, struct refusal *why)
{
	if (!m->present)
		return refuse(why, E_SWAP_TARGET, m->cert_id, "its target file is missing or wrong");
	return generation_dir(m->dir, ret_fd, why);
}

/* ---- check ------------------------------------------------------------------------------------------------ */

static void act_check(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_CHECKED, 0);
	swap_step_begin(m);
	e.code = fault_point("keeper.check") != 0 ? sys_refuse(&why, "check", "check the answer") : swap_check(m, &e, &why);
	(void)fault_point("keeper.check.done");
	if (e.code == 0 && m->swap.probe != NULL) {
		m->swap.measured = e;
		m->swap.measuring = true; /* swap_round() answers */
		return;
	}
	swap_step_end(m, STEP_CHECK, e.code, e.code != 0 ? why.cause : "");
	swap_answer(m, &e, &why);
}

/* First round of probes before the flip: was the old one served? */
static void measured(struct managed *m)
{
	struct swap        *s = &m->swap;
	struct deploy_event e = s->measured;
	probe_summary(s->probe, &e.probe);
	e.was_serving = e.had_old && e.probe.row_old > 0;
	e.was_down = e.probe.answered == 0;
	s->measuring = false;
	swap_step_end(m, STEP_CHECK, 0, e.was_down ? "no listener answers" : e.was_serving ? "the old certificate is served" : "");
	swap_answer(m, &e, NULL);
}

void swap_round(void *ctx)
{
	struct managed *m = ctx;
	if (m->swap.measuring) {
		if (probe_complete(m->swap.probe))
			measured(m);
		return;
	}
	if (m->probed_waits)
		return; /* the queued one takes the newest numbers when it is handled */
	struct deploy_event e = keeper_event_of(m, DEV_PROBED, 0);
	probe_summary(m->swap.probe, &e.probe);
	m->probed_waits = true;
	keeper_post(m->keeper, m, &e);
}

/* ---- probes, receipts -------------------------------------------------------------------------------------------- */

static void act_probe_reset(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal why = {.code = 0};
	if (m->swap.probe == NULL && swap_probe_again(m, &why) != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	if (m->swap.probe != NULL)
		probe_reset(m->swap.probe);
}

/* Where a service's old answers end is seen only between two handshakes: the longer of the last times, slowly forgotten. */
static void old_answers_learn(struct managed *m, int64_t seen_ms)
{
	int64_t before_ms = m->old_answers_ms - m->old_answers_ms / 8;
	if (seen_ms != 0)
		m->old_answers_ms = seen_ms > before_ms ? seen_ms : before_ms;
}

static void act_probe_stop(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct swap *s = &m->swap;
	if (s->probe == NULL)
		return;
	probe_summary(s->probe, &s->summary);
	s->n_listeners = probe_listeners(s->probe, VERIFY_ROW, s->listeners);
	s->first_new_at = probe_first_new_at(s->probe);
	old_answers_learn(m, probe_old_ms(s->probe));
	if (s->summary.failed > 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %llu of %llu handshakes failed during the swap; last: %s", m->cert_id,
		         (unsigned long long)s->summary.failed, (unsigned long long)s->summary.total, probe_trouble(s->probe));
	probe_free(s->probe);
	s->probe = NULL;
	s->measuring = false;
	memory_give_back();
}

/* It is in the journal already (keeper.c made it with the state that decided it). */
static void act_receipt(struct managed *m, const struct deploy_action *a)
{
	for (const struct receipt_kept *r = m->keeper->receipts.first; r != NULL; r = r->next)
		if (id_equal(r->renewal_id, a->renewal_id) && r->attempt == a->attempt && r->outcome == a->outcome)
			uplink_send_receipt(m->keeper->uplink, r);
	(void)fault_point("keeper.receipt.sent");
}

static void act_repeat_receipt(struct managed *m, const struct deploy_action *a)
{
	for (const struct receipt_kept *r = m->keeper->receipts.first; r != NULL; r = r->next)
		if (id_equal(r->renewal_id, a->renewal_id) && r->attempt == a->attempt)
			uplink_send_receipt(m->keeper->uplink, r);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void act_discard(struct managed *m, const struct deploy_action *a)
{
	struct refusal   why = {.code = 0};
	_cleanup_fd_ int fd = -1;
	int              r = fault_point("keeper.discard") != 0 ? sys_refuse(&why, "generation", "discard") : 0;
	if (r == 0)
		r = keys_drop(m->keeper->state.keys_fd, a->renewal_id, a->attempt, &why);
	if (r == 0 && a->generation != 0 && m->present)
		r = swap_target_open(m, &fd, &why);
	if (r == 0 && fd >= 0)
		r = generation_remove(fd, a->generation, &why);
	(void)fault_point("keeper.discard.done");
	if (r != 0) /* only space is lost; the next prune removes it */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void act_prune(struct managed *m, const struct deploy_action *a)
{
	struct refusal   why = {.code = 0};
	_cleanup_fd_ int fd = -1;
	size_t           retain = (size_t)m->keeper->conf->retain;
	int              r = fault_point("keeper.prune") != 0 ? sys_refuse(&why, "generations", "prune") : swap_target_open(m, &fd, &why);
	if (r == 0)
		r = generation_prune(fd, m->deploy.old_generation, retain < 2 ? 2 : retain, &why);
	/* the generation has the key now */
	if (r == 0)
		r = keys_drop(m->keeper->state.keys_fd, a->renewal_id, a->attempt, &why);
	(void)fault_point("keeper.prune.done");
	if (r != 0)
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void act_ack(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	if (m->keeper->acting_for != 0)
		uplink_ack(m->keeper->uplink, m->keeper->acting_for, 0, "");
}

void swap_act(struct managed *m, const struct deploy_action *action)
{
	static void (*const table[DACT_KIND_COUNT])(struct managed *, const struct deploy_action *) = {
		[DACT_MAKE_KEY] = swap_make_key,
		[DACT_SEND_CSR] = swap_send_csr,
		[DACT_CHECK] = act_check,
		[DACT_WRITE] = swap_write,
		[DACT_TEST] = swap_test,
		[DACT_FLIP] = swap_flip,
		[DACT_FLIP_BACK] = swap_flip_back,
		[DACT_RELOAD] = swap_reload,
		[DACT_PROBE_RESET] = act_probe_reset,
		[DACT_PROBE_STOP] = act_probe_stop,
		[DACT_RECEIPT] = act_receipt,
		[DACT_DISCARD] = act_discard,
		[DACT_PRUNE] = act_prune,
		[DACT_ACK] = act_ack,
		[DACT_REPEAT_RECEIPT] = act_repeat_receipt,
	};
	table[action->kind](m, action);
}
