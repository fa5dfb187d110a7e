/* care_act.c - room agent/keeper: performs the actions of the care for a place, and accounts for how it ended.
 * Never: deciding what comes next; that is agent/core/refresh.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/care.h"
#include "agent/keeper/content.h"
#include "agent/keeper/copies.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/live.h"
#include "agent/keeper/look.h"
#include "agent/keeper/place.h"
#include "agent/keeper/rehearse.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/swap_check.h"
#include "agent/keeper/swap_parts.h"
#include "agent/keeper/targets.h"
#include "agent/keeper/trust_proof.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

static void answer(struct place *p, struct refresh_event *e, const struct refusal *why)
{
	if (e->code != 0 && why != NULL && why->code != 0)
		refusal_words(why, e->cause, sizeof(e->cause));
	if (e->code != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %s", p->stem, e->cause);
	keeper_post_care(p, e);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int rewrite(struct place *p, uint64_t number, struct refusal *why)
{
	struct managed *m = p->managed;
	struct content  content;
	int             r = content_load(p, &content, why);
	if (r == 0)
		r = content_write(p, number, &content.what, m->live.fingerprint, why);
	content_free(&content);
	/* durable before the flip, or the new files would be taken for somebody else's */
	if (r == 0)
		r = keeper_journal_commit(m->keeper, true);
	keeper_journal_drop(m->keeper);
	return r != 0 && why->code == 0 ? refuse(why, r, "journal", "%s", err_what(r)) : r;
}

static void act_write(struct place *p)
{
	struct refusal       why = {.code = 0};
	struct refresh_event e = care_event_of(REV_WRITTEN, 0);
	bool                 rehearsal = p->care.reason == REFRESH_REHEARSE;
	e.code = fault_point("keeper.care.write") != 0 ? sys_refuse(&why, "generation", "write") : swap_number(p->managed, &why);
	e.generation = p->managed->generation;
	if (e.code == 0 && rehearsal && rehearse_write(p, e.generation, &why) == 0)
		return; /* it answers when its key is made */
	if (e.code == 0)
		e.code = rehearsal ? why.code : rewrite(p, e.generation, &why);
	(void)fault_point("keeper.care.write.done");
	answer(p, &e, &why);
}

static void flip(struct place *p, uint64_t generation)
{
	struct refusal       why = {.code = 0};
	struct refresh_event e = care_event_of(REV_FLIPPED, 0);
	bool                 back = p->care.phase == REFRESH_BACK_FLIP;
	_cleanup_fd_ int     fd = -1;
	e.code = place_open(p, &fd, &why);
	if (e.code == 0)
		e.code = fault_point("keeper.care.flip") != 0 ? sys_refuse(&why, "current", "flip") : generation_take(fd, generation, &why);
	/* on the way back a copy that cannot be written is no reason to stop: `current` is right again */
	if (e.code == 0 && back)
		copies_converge(&p->conf, p->dir);
	else if (e.code == 0)
		e.code = copies_follow(&p->conf, fd, generation, &why);
	place_look(p);
	(void)fault_point("keeper.care.flip.done");
	e.current_generation = p->on_disk.generation;
	if (e.code == 0 && p->care.reason == REFRESH_REPAIR) {
		rival_repaired(&p->rival, clock_monotonic());
		p->repaired = p->drift;
		p->drift.kind = DRIFT_NONE;
	}
	answer(p, &e, &why);
}

static void act_flip(struct place *p)
{
	flip(p, p->care.generation);
}

static void act_flip_back(struct place *p)
{
	flip(p, p->care.old_generation);
}

static void act_discard(struct place *p)
{
	struct refusal   why = {.code = 0};
	_cleanup_fd_ int fd = -1;
	int              r = p->care.generation != 0 ? place_open(p, &fd, &why) : 0;
	if (r == 0 && fd >= 0)
		r = generation_remove(fd, p->care.generation, &why);
	rehearse_end(p);
	if (r != 0) /* only space is lost */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

/* ---- hook -------------------------------------------------------------------------------------------------------- */

static void hook_answer(struct place *p, enum refresh_event_kind kind, const struct hk_reply *reply)
{
	struct refresh_event e = care_event_of(kind, reply->code);
	p->care_hook = NULL;
	if (kind == REV_TESTED && reply->code == E_HOOK_FAILED)
		e.code = E_SWAP_TEST;
	if (reply->code != 0)
		snprintf(e.cause, sizeof(e.cause), "%.90s%s%.66s", err_what(e.code), reply->output[0] != '\0' ? ": " : "", reply->output);
	text_plain(e.cause);
	answer(p, &e, NULL);
}

static void on_tested(void *ctx, const struct hk_reply *reply)
{
	hook_answer(ctx, REV_TESTED, reply);
}

static void on_reloaded(void *ctx, const struct hk_reply *reply)
{
	struct place *p = ctx;
	if (p->care_probe != NULL)
		probe_reloaded(p->care_probe);
	hook_answer(p, REV_RELOADED, reply);
}

/* Nothing to ask: the answer is there at once. */
static void hook(struct place *p, enum hook_verb verb, bool needed, hook_done_fn *done)
{
	struct managed   *m = p->managed;
	struct hk_request request = {.verb = verb, .generation = p->care.generation};
	struct hk_reply   reply = {.code = 0};
	text_cut(request.stem, sizeof(request.stem), p->stem);
	hook_cancel(p->care_hook);
	p->care_hook = NULL;
	if (needed)
		reply.code = hook_ask(&m->keeper->loop, m->keeper->conf->hook_socket, &request, p->conf.timeout_ms + SWAP_HOOK_MARGIN_MS,
		                      done, p, &p->care_hook);
	if (needed && reply.code == 0)
		return;
	text_cut(reply.output, sizeof(reply.output), reply.code != 0 ? "vcc-hook cannot be asked" : "");
	done(p, &reply);
}

static void act_test(struct place *p)
{
	hook(p, HOOK_TEST, p->conf.test[0] != '\0', on_tested);
}

static void act_reload(struct place *p)
{
	if (p->conf.reload != RELOAD_NONE)
		drain_reloading(p);
	hook(p, HOOK_RELOAD, p->conf.reload != RELOAD_NONE, on_reloaded);
}

/* ---- probes ------------------------------------------------------------------------------------------------------ */

static void on_round(void *ctx)
{
	struct place        *p = ctx;
	struct refresh_event e = care_event_of(REV_PROBED, 0);
	if (p->care_probed_waits)
		return;
	probe_summary(p->care_probe, &e.probe);
	p->care_probed_waits = true;
	keeper_post_care(p, &e);
}

static void act_probe(struct place *p)
{
	struct refusal why = {.code = 0};
	if (p->care.blind)
		return;
	if (p->care_probe == NULL && swap_probe_live(p, on_round, &p->care_probe, &why) != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	if (p->care_probe == NULL)
		return;
	probe_reset(p->care_probe);
	if (p->care.phase == REFRESH_PROBE) /* nothing is reloaded: it is looked for at once */
		probe_reloaded(p->care_probe);
}

static void act_probe_stop(struct place *p)
{
	hook_cancel(p->care_hook);
	p->care_hook = NULL;
	if (p->care_probe == NULL)
		return;
	probe_summary(p->care_probe, &p->care_summary);
	place_saw(p, p->care_probe, 1);
	p->trust_seen = probe_ca_names(p->care_probe);
	probe_free(p->care_probe);
	p->care_probe = NULL;
	p->looking = false;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void act_proved(struct place *p)
{
	struct refusal     why = {.code = 0};
	struct keeper     *k = p->managed->keeper;
	const struct made *made = place_in_use(p);
	if (p->care.reason != REFRESH_REPAIR || p->care.changed)
		p->trust_proof = trust_proof_of(p);
	if (made != NULL)
		p->proved = made->content;
	drain_settled(p);
	look_proved(p);
	int r = place_remember(p, false, false);
	if (r != 0 && r != E_SYS_SPACE) {
		keeper_die(k, r, "write its journal");
		return;
	}
	r = place_prune(p, &why);
	if (r != 0) /* only space is lost */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
}

static void act_report(struct place *p)
{
	if (p->care.reason == REFRESH_REHEARSE)
		rehearse_ended(p);
	care_report(p);
	target_report(p);
}

void care_act(struct place *p, enum refresh_action_kind kind)
{
	static void (*const table[RACT_KIND_COUNT])(struct place *) = {
		[RACT_WRITE] = act_write,     [RACT_TEST] = act_test,       [RACT_FLIP] = act_flip,     [RACT_FLIP_BACK] = act_flip_back,
		[RACT_RELOAD] = act_reload,   [RACT_PROBE] = act_probe,     [RACT_PROBE_STOP] = act_probe_stop,
		[RACT_DISCARD] = act_discard, [RACT_PROVED] = act_proved,   [RACT_REPORT] = act_report,
	};
	table[kind](p);
}
