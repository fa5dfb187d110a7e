/* swap_reload.c - room agent/keeper: the actions of a swap around the flip: test, flip, flip back, reload.
 * Never: taking an exit status for a proof. */
#include <stdio.h>

#include "agent/keeper/copies.h"
#include "agent/keeper/file_proof.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/swap_parts.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

static int hook_start(struct managed *m, enum hook_verb verb, hook_done_fn *done)
{
	struct hk_request request = {.verb = verb, .generation = m->deploy.generation};
	if (!m->present)
		return E_SWAP_TARGET;
	text_cut(request.stem, sizeof(request.stem), m->stem);
	hook_cancel(m->swap.hook);
	m->swap.hook = NULL;
	return hook_ask(&m->keeper->loop, m->keeper->conf->hook_socket, &request, m->conf.timeout_ms + SWAP_HOOK_MARGIN_MS, done, m,
	                &m->swap.hook);
}

static void words_of(const struct hk_reply *reply, char ret[CAUSE_SIZE])
{
	if (reply->code == E_HOOK_FAILED && reply->output[0] != '\0') /* its own words need all the room */
		text_cut(ret, CAUSE_SIZE, reply->output);
	else
		snprintf(ret, CAUSE_SIZE, "%.60s%s%.97s", err_what(reply->code), reply->output[0] != '\0' ? ": " : "", reply->output);
}

static void on_tested(void *ctx, const struct hk_reply *reply)
{
	struct managed     *m = ctx;
	struct deploy_event e = keeper_event_of(m, DEV_TESTED, reply->code == E_HOOK_FAILED ? E_SWAP_TEST : reply->code);
	m->swap.hook = NULL;
	e.tested = reply->tested;
	e.status = reply->status;
	if (reply->code != 0)
		words_of(reply, e.cause);
	(void)fault_point("keeper.test.done");
	swap_step_end(m, STEP_TEST, e.code, reply->code != 0 ? e.cause : reply->tested ? "tested" : reply->output);
	swap_answer(m, &e, NULL);
}

void swap_test(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	swap_step_begin(m);
	if (m->present && m->conf.test[0] == '\0') {
		struct deploy_event e = keeper_event_of(m, DEV_TESTED, 0);
		swap_answer(m, &e, NULL);
		return;
	}
	int r = fault_point("keeper.test") != 0 ? E_SYS_IO : hook_start(m, HOOK_TEST, on_tested);
	if (r != 0) {
		struct deploy_event e = keeper_event_of(m, DEV_TESTED, r);
		snprintf(e.cause, sizeof(e.cause), "vcc-hook cannot be asked: %s", err_what(r));
		swap_step_end(m, STEP_TEST, r, e.cause);
		swap_answer(m, &e, NULL);
	}
}

static void flip_to(struct managed *m, uint64_t generation, enum workflow_step step, bool broken)
{
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_FLIPPED, 0);
	_cleanup_fd_ int    fd = -1;
	swap_step_begin(m);
	int r = swap_target_open(m, &fd, &why);
	if (r == 0 && broken)
		r = refuse(&why, E_SYS_IO, "current", "cannot flip");
	if (r == 0)
		r = generation_flip(fd, generation, &why);
	/* on the way back a copy that cannot be written is no reason to stop: `current` is right again */
	if (r == 0 && step == STEP_ROLLBACK)
		copies_converge(&m->conf, m->dir);
	else if (r == 0)
		r = copies_follow(&m->conf, fd, generation, &why);
	swap_look(m);
	e.code = r;
	e.current_generation = m->on_disk.generation;
	swap_step_end(m, step, r, r != 0 ? why.cause : "");
	swap_answer(m, &e, &why);
}

void swap_flip(struct managed *m, const struct deploy_action *a)
{
	flip_to(m, a->generation, STEP_FLIP, fault_point("keeper.flip") != 0);
	(void)fault_point("keeper.flip.done");
}

void swap_flip_back(struct managed *m, const struct deploy_action *a)
{
	flip_to(m, a->generation, STEP_ROLLBACK, fault_point("keeper.rollback.flip") != 0);
	(void)fault_point("keeper.rollback.flip.done");
}

static bool is_back(const struct managed *m)
{
	return m->deploy.phase == DEPLOY_BACK_RELOAD || m->deploy.phase == DEPLOY_BACK_PROBE || m->deploy.phase == DEPLOY_BACK_FLIP;
}

static void reloaded(struct managed *m, const struct hk_reply *reply)
{
	struct deploy_event e = keeper_event_of(m, DEV_RELOADED, reply->code);
	struct refusal      why = {.code = 0};
	m->swap.hook_status = reply->status;
	e.status = reply->status;
	if (m->swap.probe != NULL)
		probe_reloaded(m->swap.probe);
	e.probe.applies = m->present && target_probed(&m->conf);
	if (reply->code != 0)
		words_of(reply, e.cause);
	else if (m->present && m->conf.verify == VERIFY_FILE && !is_back(m) && (e.code = file_proof(m, &why)) != 0)
		text_cut(e.cause, sizeof(e.cause), why.cause);
	swap_step_end(m, STEP_RELOAD, e.code, e.code != 0 ? e.cause : reload_kind_name((enum reload_kind)m->conf.reload));
	swap_answer(m, &e, NULL);
}

static void on_reloaded(void *ctx, const struct hk_reply *reply)
{
	struct managed *m = ctx;
	m->swap.hook = NULL;
	if (is_back(m))
		(void)fault_point("keeper.rollback.reload.done");
	else
		(void)fault_point("keeper.reload.done");
	reloaded(m, reply);
}

void swap_reload(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	swap_step_begin(m);
	struct hk_reply reply = {.code = 0};
	struct refusal  why = {.code = 0};
	bool            none = m->present && m->conf.reload == RELOAD_NONE;
	bool            broken = is_back(m) ? fault_point("keeper.rollback.reload") != 0 : fault_point("keeper.reload") != 0;
	if (broken)
		reply.code = E_SYS_IO;
	else if (m->present && !is_back(m)) /* also after a kill behind the flip, and when healing */
		reply.code = copies_current(&m->conf, m->dir, &why);
	else if (m->present)
		copies_converge(&m->conf, m->dir);
	if (reply.code == 0 && !none) {
		drain_reloading(m);
		reply.code = hook_start(m, HOOK_RELOAD, on_reloaded);
	}
	if (none || reply.code != 0) {
		text_cut(reply.output, sizeof(reply.output),
		         why.code != 0 ? why.cause : reply.code != 0 ? "vcc-hook cannot be asked" : "");
		reloaded(m, &reply);
	}
}
