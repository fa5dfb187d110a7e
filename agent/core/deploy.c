/* deploy.c - room agent/core: one deployment on the host, phase by phase (DESIGN 6); the table is the workflow.
 * Never: clocks, files, sockets, heap, crypto. A row that is not in the table changes nothing. */
#include "agent/core/deploy.h"

#include <string.h>

#include "agent/core/deploy_part.h"
#include "shared/base/err.h"

enum { RESTARTS_MAX = 5 }; /* keeper starts in one phase before the flip */

typedef bool guard_fn(const struct context *c);
typedef void handler_fn(const struct context *c, struct deploy_step *s);

struct transition {
	uint32_t               phases; /* bits 1 << enum deploy_phase */
	enum deploy_event_kind event;
	guard_fn              *guard; /* NULL = always */
	handler_fn            *handler;
};

/* ---- guards ------------------------------------------------------------------------------------------------- */

static bool same_renewal(const struct context *c)
{
	return id_equal(c->event->renewal_id, c->d->renewal_id);
}

static bool same_attempt(const struct context *c)
{
	return same_renewal(c) && c->event->attempt == c->d->attempt;
}

/* By time order of the ids; within one renewal by the attempt. */
static bool is_newer(const struct context *c)
{
	if (same_renewal(c))
		return c->event->attempt > c->d->attempt;
	return memcmp(c->event->renewal_id.b, c->d->renewal_id.b, sizeof(c->d->renewal_id.b)) > 0;
}

/* A drill gives way to any order that is none, in whatever order their ids are, and takes the place of another drill alone. */
static bool may_replace(const struct context *c)
{
	bool other = same_renewal(c) ? c->event->attempt > c->d->attempt : true;
	return c->d->drill && !c->event->drill ? other : is_newer(c) && (c->d->drill || !c->event->drill);
}

/* When nothing is under way any other order is news, even with a lower id: the controller's clock may have been set back. */
static bool is_other(const struct context *c)
{
	bool busy = c->d->phase == DEPLOY_HEAL && c->event->drill; /* what is being healed is not left for a drill */
	return !busy && (same_renewal(c) ? c->event->attempt > c->d->attempt : true);
}

/* The end of a later attempt is the end of an earlier one that still waits here. */
static bool cancels_this(const struct context *c)
{
	return same_renewal(c) && (c->event->attempt == 0 || c->event->attempt >= c->d->attempt);
}

static bool stage_is_ours(const struct context *c)
{
	return same_attempt(c) && hash_equal(c->event->stage, c->d->spki_hash);
}

/* Without an order before it: for a key that was made in quiet time. While a swap is under way, what is older is a replay. */
static bool stage_other(const struct context *c)
{
	return c->event->staged && c->event->key_present && is_other(c);
}

static bool stage_newer(const struct context *c)
{
	return c->event->staged && c->event->key_present && may_replace(c);
}

static bool stage_gone(const struct context *c)
{
	return c->event->staged && !c->event->key_present && is_newer(c);
}

static bool stage_gone_other(const struct context *c)
{
	return c->event->staged && !c->event->key_present && is_other(c);
}

static bool failed(const struct context *c)
{
	return same_attempt(c) && c->event->code != 0;
}

static bool timer_early(const struct context *c)
{
	return c->now < c->d->next_at;
}

static bool listeners_all(const struct probe_summary *p)
{
	return p->listeners > 0 && p->answered == p->listeners;
}

static bool new_is_served(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return !c->d->blind && listeners_all(p) && p->row_new >= c->policy->verify_row;
}

static bool old_is_served(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return listeners_all(p) && p->row_old >= c->policy->verify_row;
}

static bool new_is_settled(const struct context *c)
{
	const struct probe_summary *p = &c->event->probe;
	return !c->d->blind && listeners_all(p) && p->row_new >= c->policy->settle_row && p->row_new >= c->policy->verify_row &&
	       (p->last_old_at == 0 || c->now - p->last_old_at >= c->policy->settle_ms);
}

static bool test_is_good_and_closed(const struct context *c)
{
	return same_attempt(c) && (c->event->code == 0 || c->event->code == E_HOOK_NAMESPACE) && !c->d->any_time &&
	       !c->policy->window_open;
}

/* Earlier than was thought: the clock was set, or the target file names other windows now. */
static bool window_is_open(const struct context *c)
{
	return c->policy->window_open;
}

static bool blind_reload_failed(const struct context *c)
{
	return same_attempt(c) && c->event->blind;
}

static bool reloaded_unprobed(const struct context *c)
{
	return same_attempt(c) && !c->event->probe.applies;
}

static bool reloaded_well_unprobed(const struct context *c)
{
	return reloaded_unprobed(c) && c->event->code == 0;
}

/* The link was renamed, at least somewhere, and something failed after it: what is on disk decides, not the error. */
static bool failed_but_flipped(const struct context *c)
{
	uint64_t current = c->event->current_generation;
	return failed(c) && (c->d->had_old ? current != c->d->old_generation : current == c->d->generation);
}

static bool restarted_too_often(const struct context *c)
{
	return c->d->restarts + 1 >= RESTARTS_MAX;
}

static bool flip_was_done(const struct context *c)
{
	return c->event->current_generation == c->d->generation;
}

static bool back_was_done(const struct context *c)
{
	return c->event->current_generation == c->d->old_generation;
}

static bool same_is_served(const struct context *c)
{
	return c->d->was_serving && old_is_served(c);
}

/* A drill has changed nothing, and holds up nobody. */
static bool drill_is_here(const struct context *c)
{
	return c->d->drill;
}

static bool key_is_there(const struct context *c)
{
	return c->event->key_present;
}

static void on_nothing(const struct context *c, struct deploy_step *s)
{
	(void)c;
	(void)s;
}

/* ---- the table ----------------------------------------------------------------------------------------------- */

/* The first row that fits decides. */
/* clang-format off */
static const struct transition table[] = {
	/* phases                                      event            guard                           handler */
	{AT_REST,                                       DEV_ORDER,       is_other,                       before_order},
	{BEFORE_FLIP,                                   DEV_ORDER,       may_replace,                    before_order},
	{P(KEY) | AFTER_CSR,                            DEV_ORDER,       same_attempt,                   before_ack_only},
	{P(CSR),                                        DEV_ORDER,       same_attempt,                   before_order_again},
	{P(DONE),                                       DEV_ORDER,       same_attempt,                   before_receipt_again},

	{P(CSR),                                        DEV_CERTIFICATE, stage_is_ours,                  before_certificate},
	{P(KEY) | P(CSR),                               DEV_CERTIFICATE, same_attempt,                   before_foreign_key},
	{P(WINDOW),                                     DEV_CERTIFICATE, same_attempt,                   before_certificate_again},
	{AFTER_CSR,                                     DEV_CERTIFICATE, same_attempt,                   before_ack_only},
	{P(DONE),                                       DEV_CERTIFICATE, same_attempt,                   before_receipt_again},
	{AT_REST,                                       DEV_CERTIFICATE, stage_other,                    before_staged},
	{BEFORE_FLIP,                                   DEV_CERTIFICATE, stage_newer,                    before_staged},
	{AT_REST,                                       DEV_CERTIFICATE, stage_gone_other,               before_stage_gone},
	{BEFORE_FLIP,                                   DEV_CERTIFICATE, stage_gone,                     before_stage_gone},
	{P(NONE) | P(DONE),                             DEV_CERTIFICATE, is_newer,                       before_unknown_certificate},

	{AT_REST,                                       DEV_ROLLBACK,    is_other,                       before_rollback},
	{BEFORE_FLIP,                                   DEV_ROLLBACK,    drill_is_here,                  before_rollback},
	{P(WINDOW),                                     DEV_ROLLBACK,    same_attempt,                   before_certificate_again},
	{AFTER_CSR,                                     DEV_ROLLBACK,    same_attempt,                   before_ack_only},
	{P(DONE),                                       DEV_ROLLBACK,    same_attempt,                   before_receipt_again},

	{BEFORE_FLIP,                                   DEV_CANCEL,      cancels_this,                   before_cancel},
	{P(NONE) | P(DONE),                             DEV_CANCEL,      is_other,                       before_unknown_cancel},
	{FROM_FLIP | P(HEAL) | P(DONE),                 DEV_CANCEL,      cancels_this,                   before_ack_only},
	{P(NONE) | UNDER_WAY | P(DONE),                 DEV_CANCEL,      NULL,                           before_ack_only},

	{P(KEY),                                        DEV_KEY,         failed,                         before_failed},
	{P(KEY),                                        DEV_KEY,         same_attempt,                   before_key},
	{P(CHECK),                                      DEV_CHECKED,     failed,                         before_check_refused},
	{P(CHECK),                                      DEV_CHECKED,     same_attempt,                   before_checked},
	{P(WRITE),                                      DEV_WRITTEN,     failed,                         before_failed},
	{P(WRITE),                                      DEV_WRITTEN,     same_attempt,                   before_written},
	{P(TEST),                                       DEV_TESTED,      test_is_good_and_closed,        before_window_closed},
	{P(TEST),                                       DEV_TESTED,      same_attempt,                   before_tested},
	{P(COMPARE),                                    DEV_PROBED,      same_is_served,                 before_same},
	{P(FLIP),                                       DEV_FLIPPED,     failed_but_flipped,             after_flip_undone},
	{P(FLIP),                                       DEV_FLIPPED,     failed,                         before_failed},
	{P(FLIP),                                       DEV_FLIPPED,     same_attempt,                   after_flipped},
	{P(RELOAD),                                     DEV_RELOADED,    blind_reload_failed,            after_reload_failed_unprobed},
	{P(RELOAD) | P(HEAL),                           DEV_RELOADED,    reloaded_well_unprobed,         after_settled},
	{P(RELOAD),                                     DEV_RELOADED,    same_attempt,                   after_reloaded},
	{P(HEAL),                                       DEV_RELOADED,    same_attempt,                   after_heal_reloaded},
	{P(PROBE) | P(SETTLE) | P(HEAL),                DEV_PROBED,      new_is_settled,                 after_settled},
	{P(PROBE) | P(HEAL),                            DEV_PROBED,      new_is_served,                  after_verified},
	{P(BACK_FLIP),                                  DEV_FLIPPED,     failed,                         after_back_failed},
	{P(BACK_FLIP),                                  DEV_FLIPPED,     same_attempt,                   after_back},
	{P(BACK_RELOAD),                                DEV_RELOADED,    reloaded_unprobed,              after_back_done},
	{P(BACK_RELOAD),                                DEV_RELOADED,    same_attempt,                   after_back_reloaded},
	{P(BACK_PROBE),                                 DEV_PROBED,      old_is_served,                  after_back_done},

	{P(WINDOW),                                     DEV_TIMER,       window_is_open,                 before_window_over},
	{UNDER_WAY,                                     DEV_TIMER,       timer_early,                    on_nothing},
	{P(KEY),                                        DEV_TIMER,       NULL,                           before_key_late},
	{P(CSR),                                        DEV_TIMER,       NULL,                           before_csr_again},
	{P(WINDOW),                                     DEV_TIMER,       NULL,                           before_window_over},
	{P(TEST),                                       DEV_TIMER,       NULL,                           before_test_late},
	{P(COMPARE),                                    DEV_TIMER,       NULL,                           before_not_the_same},
	{P(RELOAD),                                     DEV_TIMER,       NULL,                           after_reload_late},
	{P(PROBE),                                      DEV_TIMER,       NULL,                           after_not_served},
	{P(SETTLE),                                     DEV_TIMER,       NULL,                           after_not_settled},
	{P(HEAL),                                       DEV_TIMER,       NULL,                           after_heal_again},
	{P(BACK_FLIP),                                  DEV_TIMER,       NULL,                           after_back_again},
	{P(BACK_RELOAD),                                DEV_TIMER,       NULL,                           after_back_reloaded},
	{P(BACK_PROBE),                                 DEV_TIMER,       NULL,                           after_back_not_served},

	{P(CSR),                                        DEV_RESTART,     key_is_there,                   before_restart_csr},
	{BEFORE_FLIP & ~P(WINDOW),                      DEV_RESTART,     restarted_too_often,            before_restarts},
	{P(KEY) | P(CSR),                               DEV_RESTART,     NULL,                           before_restart_key},
	{P(WINDOW),                                     DEV_RESTART,     NULL,                           before_restart_window},
	{P(CHECK),                                      DEV_RESTART,     NULL,                           before_restart_check},
	{P(WRITE),                                      DEV_RESTART,     NULL,                           before_restart_write},
	{P(TEST),                                       DEV_RESTART,     NULL,                           before_restart_test},
	{P(COMPARE),                                    DEV_RESTART,     NULL,                           before_restart_compare},
	{P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE),    DEV_RESTART,     flip_was_done,                  after_restart_flipped},
	{P(HEAL),                                       DEV_RESTART,     flip_was_done,                  after_restart_heal},
	{P(FLIP) | P(RELOAD) | P(PROBE) | P(SETTLE) | P(HEAL),
	                                                DEV_RESTART,     NULL,                           before_flip},
	{P(BACK_RELOAD) | P(BACK_PROBE),                DEV_RESTART,     back_was_done,                  after_back},
	{P(BACK_FLIP) | P(BACK_RELOAD) | P(BACK_PROBE), DEV_RESTART,     NULL,                           after_flip_back},
};
/* clang-format on */

static const struct transition *transition_find(const struct context *c)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		const struct transition *t = &table[i];
		if ((t->phases & (1u << c->d->phase)) != 0 && t->event == c->event->kind && (t->guard == NULL || t->guard(c)))
			return t;
	}
	return NULL;
}

int deploy_step(const struct deploy *d, const struct deploy_event *event, int64_t now, const struct deploy_policy *policy,
		struct deploy_step *ret)
{
	if ((unsigned)d->phase >= DEPLOY_PHASE_COUNT || (unsigned)event->kind >= DEV_KIND_COUNT)
		return E_INTERNAL;

	struct context           c = {.d = d, .event = event, .policy = policy, .now = now};
	struct deploy_step       step = {.next = *d, .ignored = true};
	const struct transition *t = transition_find(&c);
	if (t != NULL) {
		step.ignored = false;
		t->handler(&c, &step);
	}
	*ret = step;
	return 0;
}

bool deploy_owns_place(enum deploy_phase p)
{
	return (p >= DEPLOY_CHECK && p < DEPLOY_HEAL) || p == DEPLOY_COMPARE;
}

/* ---- names --------------------------------------------------------------------------------------------------- */

const char *deploy_phase_name(enum deploy_phase p)
{
	static const char *const names[DEPLOY_PHASE_COUNT] = {
		[DEPLOY_NONE] = "none",
		[DEPLOY_KEY] = "key",
		[DEPLOY_CSR] = "csr",
		[DEPLOY_WINDOW] = "window",
		[DEPLOY_CHECK] = "check",
		[DEPLOY_WRITE] = "write",
		[DEPLOY_TEST] = "test",
		[DEPLOY_FLIP] = "flip",
		[DEPLOY_RELOAD] = "reload",
		[DEPLOY_PROBE] = "probe",
		[DEPLOY_SETTLE] = "settle",
		[DEPLOY_BACK_FLIP] = "back_flip",
		[DEPLOY_BACK_RELOAD] = "back_reload",
		[DEPLOY_BACK_PROBE] = "back_probe",
		[DEPLOY_HEAL] = "heal",
		[DEPLOY_DONE] = "done",
		[DEPLOY_COMPARE] = "compare",
	};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

const char *deploy_event_name(enum deploy_event_kind k)
{
	static const char *const names[DEV_KIND_COUNT] = {
		[DEV_ORDER] = "order",     [DEV_KEY] = "key",           [DEV_CERTIFICATE] = "certificate",
		[DEV_CHECKED] = "checked", [DEV_WRITTEN] = "written",   [DEV_TESTED] = "tested",
		[DEV_FLIPPED] = "flipped", [DEV_RELOADED] = "reloaded", [DEV_PROBED] = "probed",
		[DEV_TIMER] = "timer",     [DEV_CANCEL] = "cancel",     [DEV_RESTART] = "restart",
		[DEV_ROLLBACK] = "rollback",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *deploy_action_name(enum deploy_action_kind k)
{
	static const char *const names[DACT_KIND_COUNT] = {
		[DACT_MAKE_KEY] = "make_key",     [DACT_SEND_CSR] = "send_csr", [DACT_CHECK] = "check",
		[DACT_WRITE] = "write",           [DACT_TEST] = "test",         [DACT_FLIP] = "flip",
		[DACT_FLIP_BACK] = "flip_back",   [DACT_RELOAD] = "reload",     [DACT_PROBE_RESET] = "probe_reset",
		[DACT_PROBE_STOP] = "probe_stop", [DACT_RECEIPT] = "receipt",   [DACT_DISCARD] = "discard",
		[DACT_REMOVE] = "remove",         [DACT_PRUNE] = "prune",           [DACT_ACK] = "ack",           [DACT_REPEAT_RECEIPT] = "repeat_receipt",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}
