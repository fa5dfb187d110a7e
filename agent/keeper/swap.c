/* swap.c - room agent/keeper: performs the actions of deployments and answers each with an event. The table at the end lists them.
 * Never: deciding what comes next. Any action may be repeated. */
#include "agent/keeper/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/care.h"
#include "agent/keeper/content.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/live.h"
#include "agent/keeper/swap_check.h"
#include "agent/keeper/swap_parts.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/zone_file.h"

enum {
	KEY_MS = 60 * 1000,
	PROBE_MS = 30 * 1000,
	SETTLE_MS = 500,
	VERIFY_ROW = 3,
	SETTLE_ROW = 20,
	CSR_REPEAT_MS = 30 * 1000,
	HEAL_MIN_MS = 5 * 1000,
	HEAL_MAX_MS = 10 * 60 * 1000,
	LISTS_MS = 20 * 1000,
};

static const char without_lists[] = "without revocation lists: none came in time";

/* Its zones were found when the file was read. */
static bool place_window(const struct place *p, int64_t now, int64_t *ret_at)
{
	const struct tz *zones[WINDOWS_MAX];
	for (size_t i = 0; i < p->conf.windows.n; i++)
		if (zone_get(p->conf.windows.list[i].zone, &zones[i], NULL) != 0)
			return true;
	return windows_open(&p->conf.windows, zones, now, ret_at);
}

/* All places' windows have to be open. Where none opens before the certificate in use ends, waiting would be worse than any window. */
bool swap_window(const struct managed *m, int64_t now, int64_t *ret_at)
{
	bool    open = true;
	int64_t ends_at = TIME_NEVER;
	*ret_at = now + MS_HOUR;
	FOR_PLACES(p, m) {
		int64_t at;
		if (p->on_disk.not_after_at != 0 && p->on_disk.not_after_at < ends_at)
			ends_at = p->on_disk.not_after_at;
		if (place_window(p, now, &at))
			continue;
		*ret_at = open || at > *ret_at ? at : *ret_at; /* not before the last of them opens */
		open = false;
	}
	return open || *ret_at >= ends_at;
}

struct deploy_policy swap_policy(const struct managed *m)
{
	int64_t hook_ms = 30 * MS_SECOND;
	FOR_PLACES(p, m)
		hook_ms = p->conf.timeout_ms > hook_ms ? p->conf.timeout_ms : hook_ms;
	hook_ms += 2 * SWAP_HOOK_MARGIN_MS;
	int64_t now = keeper_clock_judge(m->keeper);
	int64_t window_at;
	bool    window_open = swap_window(m, now, &window_at);
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
		.window_open = window_open,
		.window_at = window_at == TIME_NEVER ? TIME_NEVER : clock_steady() + (window_at - now),
		.forward = m->n_places > 0 && m->places[0]->conf.on_failure == FAILURE_FORWARD,
	};
}

/* ---- accounting -------------------------------------------------------------------------------------------------- */

void swap_step_begin(struct managed *m)
{
	m->swap.step_from = clock_monotonic();
}

static struct receipt_step *step_new(struct swap *s)
{
	struct receipt_step *more = s->n_steps < MSG_STEPS_MAX ? reallocarray(s->steps, s->n_steps + 1, sizeof(*more)) : NULL;
	if (more == NULL)
		return NULL;
	s->steps = more;
	return &s->steps[s->n_steps++];
}

/* A row for the receipt, and a live event for whoever watches. */
void swap_step_end(struct managed *m, enum workflow_step step, int code, const char *detail)
{
	struct swap    *s = &m->swap;
	struct msg_step live = {.renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .step = step, .code = code,
	                        .at = clock_now()};
	struct receipt_step *row = step_new(s);
	if (row != NULL) {
		*row = (struct receipt_step){.step = step, .code = code, .at = live.at, .took_ms = clock_monotonic() - s->step_from};
		text_cut(row->detail, sizeof(row->detail), detail);
		text_plain(row->detail);
	}
	uplink_send(m->keeper->uplink, MSG_STEP, &live);
}

void swap_answer(struct managed *m, struct deploy_event *e, const struct refusal *why)
{
	if (e->code != 0 && why != NULL && why->code != 0)
		refusal_words(why, e->cause, sizeof(e->cause));
	if (e->code != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %s: %s", m->cert_id, deploy_event_name(e->kind), e->cause);
	keeper_post(m->keeper, m, e);
}

void swap_gather(struct managed *m, enum deploy_event_kind kind)
{
	m->swap.gathered = keeper_event_of(m, kind, 0);
	m->swap.asked = 0;
	swap_step_begin(m);
	if (places_present(m))
		return;
	m->swap.gathered.code = E_SWAP_TARGET;
	m->swap.gathered.blind = true;
	text_cut(m->swap.gathered.cause, sizeof(m->swap.gathered.cause), "a target file is missing or wrong");
}

/* In a group the words tell which place. E_HOOK_NAMESPACE is no failure, so a later one is worth more. */
void swap_gather_failed(struct managed *m, const struct place *p, int code, const char *cause)
{
	struct deploy_event *e = &m->swap.gathered;
	if (e->code != 0 && e->code != E_HOOK_NAMESPACE)
		return;
	e->code = code;
	snprintf(e->cause, sizeof(e->cause), "%.64s%s%.90s", m->n_places > 1 ? p->stem : "", m->n_places > 1 ? ": " : "", cause);
}

bool swap_gathered(struct managed *m)
{
	return m->swap.asked == 0;
}

void swap_reset(struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++) {
		hook_cancel(m->places[i]->hook);
		probe_free(m->places[i]->probe);
		m->places[i]->hook = NULL;
		m->places[i]->probe = NULL;
	}
	free(m->swap.steps);
	m->swap = (struct swap){.n_steps = 0};
}

/* The new one is told by its certificate: a repair may have given it another number since. */
uint64_t swap_current(const struct managed *m)
{
	bool   new = true;
	bool   old = true;
	size_t n = 0;
	FOR_PLACES(p, m) {
		n++;
		new &= p->on_disk.generation != 0 && hash_equal(p->on_disk.fingerprint, m->deploy.fingerprint);
		old &= p->on_disk.generation == p->old_generation;
	}
	if (n == 0)
		return SWAP_MIXED;
	return new ? m->deploy.generation : old ? m->deploy.old_generation : SWAP_MIXED;
}

/* ---- check ------------------------------------------------------------------------------------------------ */

static bool probing(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (m->places[i]->probe != NULL)
			return true;
	return false;
}

/* A row of the group is its shortest one. */
void swap_summary(const struct managed *m, struct probe_summary *ret)
{
	struct probe_summary all = {.row_new = UINT32_MAX, .row_old = UINT32_MAX};
	for (size_t i = 0; i < m->n_places; i++) {
		struct probe_summary one;
		if (m->places[i]->probe == NULL)
			continue;
		probe_summary(m->places[i]->probe, &one);
		all.applies = true;
		all.row_new = one.row_new < all.row_new ? one.row_new : all.row_new;
		all.row_old = one.row_old < all.row_old ? one.row_old : all.row_old;
		all.answered += one.answered;
		all.listeners += one.listeners;
		all.wrong |= one.wrong;
		all.last_old_at = one.last_old_at > all.last_old_at ? one.last_old_at : all.last_old_at;
		all.total += one.total;
		all.failed += one.failed;
	}
	if (all.applies)
		*ret = all;
}

const char *swap_trouble(const struct managed *m)
{
	const char *text = "";
	for (size_t i = 0; text[0] == '\0' && i < m->n_places; i++)
		if (m->places[i]->probe != NULL)
			text = probe_trouble(m->places[i]->probe);
	return text;
}

/* A service whose configuration names current/crl.pem fails its test without that file: the very first lists are waited for, but not
 * for ever. */
static bool waits_for_lists(struct managed *m)
{
	struct swap *s = &m->swap;
	int64_t      now = clock_monotonic();
	bool         missing = false;
	FOR_PLACES(p, m)
		missing |= p->conf.crl && !content_has_lists(p);
	if (!missing)
		return false;
	if (s->lists_until == 0) {
		s->lists_until = now + fault_ms("VCC_LISTS_MS", LISTS_MS);
		log_line(LOG_LEVEL_INFO, NULL, "%s: waits for the first revocation lists", m->cert_id);
	}
	s->without_lists = now >= s->lists_until;
	return !s->without_lists;
}

static void check(struct managed *m)
{
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_CHECKED, 0);
	if (waits_for_lists(m))
		return; /* swap_lists_look() goes on */
	m->swap.lists_until = 0;
	e.code = fault_point("keeper.check") != 0 ? sys_refuse(&why, "check", "check the answer") : swap_check(m, &e, &why);
	(void)fault_point("keeper.check.done");
	if (e.code == 0 && probing(m)) {
		m->swap.measured = e;
		m->swap.measuring = true; /* swap_round() answers */
		return;
	}
	swap_step_end(m, STEP_CHECK, e.code, e.code != 0 ? why.cause : m->swap.without_lists ? without_lists : "");
	swap_answer(m, &e, &why);
}

static void act_check(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	care_drop(m);
	swap_step_begin(m);
	check(m);
}

void swap_lists_look(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (m->deploy.phase != DEPLOY_CHECK)
			m->swap.lists_until = 0; /* cancelled meanwhile */
		else if (m->swap.lists_until != 0)
			check(m);
	}
}

/* First round of probes before the flip: was the old one served? */
static void measured(struct managed *m)
{
	struct swap        *s = &m->swap;
	struct deploy_event e = s->measured;
	swap_summary(m, &e.probe);
	e.was_serving = e.had_old && e.probe.row_old > 0;
	e.was_down = e.probe.answered == 0;
	s->measuring = false;
	swap_step_end(m, STEP_CHECK, 0,
	              s->without_lists ? without_lists : e.was_down ? "no listener answers" : e.was_serving ? "the old certificate is served" : "");
	swap_answer(m, &e, NULL);
}

static bool probes_complete(const struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (m->places[i]->probe != NULL && !probe_complete(m->places[i]->probe))
			return false;
	return true;
}

void swap_round(void *ctx)
{
	struct managed *m = ((struct place *)ctx)->managed;
	if (m->swap.measuring) {
		if (probes_complete(m))
			measured(m);
		return;
	}
	if (m->probed_waits)
		return; /* the queued one takes the newest numbers when it is handled */
	struct deploy_event e = keeper_event_of(m, DEV_PROBED, 0);
	swap_summary(m, &e.probe);
	m->probed_waits = true;
	keeper_post(m->keeper, m, &e);
}

/* ---- probes, receipts -------------------------------------------------------------------------------------------- */

static void probes_reset(struct managed *m)
{
	for (size_t i = 0; i < m->n_places; i++)
		if (m->places[i]->probe != NULL)
			probe_reset(m->places[i]->probe);
}

static void act_probe_reset(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal why = {.code = 0};
	if (!probing(m) && swap_probe_again(m, &why) != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	probes_reset(m);
}

void swap_target_changed(struct managed *m)
{
	struct refusal why = {.code = 0};
	bool           seeks = m->deploy.phase == DEPLOY_PROBE || m->deploy.phase == DEPLOY_HEAL;
	if (!seeks || !probing(m))
		return;
	if (swap_probe_again(m, &why) != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	probes_reset(m);
}

/* Where a service's old answers end is seen only between two handshakes: the longer of the last times, slowly forgotten. */
static void old_answers_learn(struct place *p, int64_t seen_ms)
{
	int64_t before_ms = p->old_answers_ms - p->old_answers_ms / 8;
	if (seen_ms != 0)
		p->old_answers_ms = seen_ms > before_ms ? seen_ms : before_ms;
}

static void probe_stop(struct place *p)
{
	struct probe_summary s;
	if (p->probe == NULL)
		return;
	probe_summary(p->probe, &s);
	old_answers_learn(p, probe_old_ms(p->probe));
	place_saw(p, p->probe, VERIFY_ROW);
	if (s.failed > 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %llu of %llu handshakes failed during the swap%s%s", p->stem,
		         (unsigned long long)s.failed, (unsigned long long)s.total, probe_trouble(p->probe)[0] != '\0' ? "; last: " : "",
		         probe_trouble(p->probe));
	probe_free(p->probe);
	p->probe = NULL;
}

uint32_t swap_listeners(const struct managed *m, struct receipt_listener ret[MSG_LISTENERS_MAX], int64_t *ret_first_new_at)
{
	struct receipt_listener rows[MSG_LISTENERS_MAX];
	uint32_t                n = 0;
	*ret_first_new_at = 0;
	for (size_t i = 0; i < m->n_places; i++) {
		const struct probe *probe = m->places[i]->probe;
		uint32_t            more = probe != NULL ? probe_listeners(probe, VERIFY_ROW, rows) : 0;
		int64_t             at = probe != NULL ? probe_first_new_at(probe) : 0;
		for (uint32_t j = 0; j < more && n < MSG_LISTENERS_MAX; j++)
			ret[n++] = rows[j];
		if (at != 0 && (*ret_first_new_at == 0 || at < *ret_first_new_at))
			*ret_first_new_at = at;
	}
	return n;
}

static void act_probe_stop(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct swap *s = &m->swap;
	if (!probing(m))
		return;
	swap_summary(m, &s->summary);
	s->n_listeners = swap_listeners(m, s->listeners, &s->first_new_at);
	for (size_t i = 0; i < m->n_places; i++)
		probe_stop(m->places[i]);
	s->measuring = false;
	memory_give_back();
}

/* It is in the journal already (keeper.c made it with the state that decided it). */
static void act_receipt(struct managed *m, const struct deploy_action *a)
{
	for (const struct receipt_kept *r = m->keeper->receipts.first; r != NULL; r = r->next)
		if (id_equal(r->renewal_id, a->renewal_id) && r->attempt == a->attempt && r->outcome == a->outcome)
			uplink_send_receipt(m->keeper->uplink, r);
	FOR_PLACES(p, m) {
		if (a->outcome == RECEIPT_VERIFIED)
			drain_verified(p);
		else if (a->outcome == RECEIPT_SETTLED)
			drain_settled(p);
	}
	(void)fault_point("keeper.receipt.sent");
}

static void act_repeat_receipt(struct managed *m, const struct deploy_action *a)
{
	for (const struct receipt_kept *r = m->keeper->receipts.first; r != NULL; r = r->next)
		if (id_equal(r->renewal_id, a->renewal_id) && r->attempt == a->attempt)
			uplink_send_receipt(m->keeper->uplink, r);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static int discard_at(const struct place *p, uint64_t generation, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	int              r = place_open(p, &fd, why);
	return r == 0 ? generation_remove(fd, generation, why) : r;
}

static void act_discard(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	int            r = fault_point("keeper.discard") != 0 ? sys_refuse(&why, "generation", "discard") : 0;
	if (r == 0)
		r = keys_drop(m->keeper->state.keys_fd, a->renewal_id, a->attempt, &why);
	FOR_PLACES(p, m)
		if (r == 0 && a->generation != 0)
			r = discard_at(p, a->generation, &why);
	(void)fault_point("keeper.discard.done");
	if (r != 0) /* only space is lost; the next prune removes it */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void act_remove(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	int            r = 0;
	FOR_PLACES(p, m)
		if (r == 0)
			r = discard_at(p, a->generation, &why);
	if (r != 0) /* only space is lost */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void act_prune(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	int            r = fault_point("keeper.prune") != 0 ? sys_refuse(&why, "generations", "prune") : 0;
	FOR_PLACES(p, m)
		if (r == 0)
			r = place_prune(p, &why);
	(void)a;
	live_sweep(m->keeper); /* the key of the issuance before this one */
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
		[DACT_REMOVE] = act_remove,
		[DACT_PRUNE] = act_prune,
		[DACT_ACK] = act_ack,
		[DACT_REPEAT_RECEIPT] = act_repeat_receipt,
	};
	table[action->kind](m, action);
}
