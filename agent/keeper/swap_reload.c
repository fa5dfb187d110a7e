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

static int hook_start(struct place *p, enum hook_verb verb, hook_done_fn *done)
{
	struct managed   *m = p->managed;
	struct hk_request request = {.verb = verb, .generation = m->deploy.generation};
	text_cut(request.stem, sizeof(request.stem), p->stem);
	hook_cancel(p->hook);
	p->hook = NULL;
	return hook_ask(&m->keeper->loop, m->keeper->conf->hook_socket, &request, p->conf.timeout_ms + SWAP_HOOK_MARGIN_MS, done, p,
	                &p->hook);
}

static void words_of(const struct hk_reply *reply, char ret[CAUSE_SIZE])
{
	if (reply->code == E_HOOK_FAILED && reply->output[0] != '\0') /* its own words need all the room */
		text_cut(ret, CAUSE_SIZE, reply->output);
	else
		snprintf(ret, CAUSE_SIZE, "%.60s%s%.97s", err_what(reply->code), reply->output[0] != '\0' ? ": " : "", reply->output);
}

/* ---- test -------------------------------------------------------------------------------------------------------- */

static void tested_end(struct managed *m)
{
	struct deploy_event *e = &m->swap.gathered;
	if (!swap_gathered(m))
		return;
	(void)fault_point("keeper.test.done");
	swap_step_end(m, STEP_TEST, e->code, e->cause[0] != '\0' ? e->cause : e->tested ? "tested" : "no test");
	swap_answer(m, e, NULL);
}

static void on_tested(void *ctx, const struct hk_reply *reply)
{
	struct place   *p = ctx;
	struct managed *m = p->managed;
	char            words[CAUSE_SIZE];
	p->hook = NULL;
	m->swap.asked--;
	m->swap.gathered.tested |= reply->tested;
	words_of(reply, words);
	if (reply->code != 0)
		swap_gather_failed(m, p, reply->code == E_HOOK_FAILED ? E_SWAP_TEST : reply->code, words);
	tested_end(m);
}

void swap_test(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	bool broken = fault_point("keeper.test") != 0;
	swap_gather(m, DEV_TESTED);
	FOR_PLACES(p, m) {
		if (p->conf.test[0] == '\0' && !broken)
			continue;
		int r = broken ? E_SYS_IO : hook_start(p, HOOK_TEST, on_tested);
		m->swap.asked += r == 0;
		if (r != 0)
			swap_gather_failed(m, p, r, "vcc-hook cannot be asked");
	}
	tested_end(m);
}

/* ---- flip -------------------------------------------------------------------------------------------------------- */

static bool is_back(const struct managed *m)
{
	return m->deploy.phase == DEPLOY_BACK_RELOAD || m->deploy.phase == DEPLOY_BACK_PROBE || m->deploy.phase == DEPLOY_BACK_FLIP;
}

static int flip_at(struct place *p, uint64_t generation, bool broken, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	int              r = place_open(p, &fd, why);
	if (r == 0 && broken)
		r = refuse(why, E_SYS_IO, "current", "cannot flip");
	if (r == 0)
		r = generation_flip(fd, generation, why);
	/* on the way back a copy that cannot be written is no reason to stop: `current` is right again */
	if (r == 0 && is_back(p->managed))
		copies_converge(&p->conf, p->dir);
	else if (r == 0)
		r = copies_follow(&p->conf, fd, generation, why);
	place_look(p);
	(void)fault_point("keeper.flip.place");
	return r;
}

static void flipped(struct managed *m, enum workflow_step step, int code, const struct refusal *why)
{
	struct deploy_event e = keeper_event_of(m, DEV_FLIPPED, code);
	e.current_generation = swap_current(m);
	swap_step_end(m, step, code, code != 0 ? why->cause : "");
	swap_answer(m, &e, why);
}

void swap_flip(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	int            r = 0;
	bool           broken = fault_point("keeper.flip") != 0;
	swap_step_begin(m);
	FOR_PLACES(p, m)
		if (r == 0)
			r = flip_at(p, a->generation, broken, &why);
	flipped(m, STEP_FLIP, r, &why);
	(void)fault_point("keeper.flip.done");
}

/* Each place to what it had. All are tried: one that cannot go back must not keep the others. */
void swap_flip_back(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	int            first = 0;
	bool           broken = fault_point("keeper.rollback.flip") != 0;
	(void)a;
	swap_step_begin(m);
	FOR_PLACES(p, m) {
		int r = p->old_generation != 0 ? flip_at(p, p->old_generation, broken, first == 0 ? &why : NULL) : 0;
		first = first != 0 ? first : r;
	}
	flipped(m, STEP_ROLLBACK, first, &why);
	(void)fault_point("keeper.rollback.flip.done");
}

/* ---- reload ------------------------------------------------------------------------------------------------------ */

static const char *kinds_of(const struct managed *m)
{
	const char *kind = "";
	FOR_PLACES(p, m) {
		const char *this = reload_kind_name((enum reload_kind)p->conf.reload);
		if (kind[0] != '\0' && !text_equal(kind, this))
			return "several kinds";
		kind = this;
	}
	return kind;
}

/* Where no handshake can prove the place, its hook's failure is one. */
static void reload_failed(struct place *p, int code, const char *words)
{
	struct deploy_event *e = &p->managed->swap.gathered;
	bool                 blind = !target_probed(&p->conf);
	if (blind && !e->blind)
		e->code = 0; /* it decides, so its words are told */
	e->blind |= blind;
	swap_gather_failed(p->managed, p, code, words);
}

static void files_prove(struct place *p)
{
	struct refusal why = {.code = 0};
	int            r = file_proof(p, p->managed->deploy.fingerprint, &why);
	if (r != 0)
		reload_failed(p, r, why.cause);
}

static void reloaded_end(struct managed *m)
{
	struct deploy_event *e = &m->swap.gathered;
	if (!swap_gathered(m))
		return;
	if (is_back(m))
		(void)fault_point("keeper.rollback.reload.done");
	else
		(void)fault_point("keeper.reload.done");
	m->swap.hook_status = e->status;
	FOR_PLACES(p, m) {
		if (p->probe != NULL)
			probe_reloaded(p->probe);
		e->probe.applies |= target_probed(&p->conf);
		if (p->conf.verify == VERIFY_FILE && !is_back(m))
			files_prove(p);
	}
	swap_step_end(m, STEP_RELOAD, e->code, e->code != 0 ? e->cause : kinds_of(m));
	swap_answer(m, e, NULL);
}

static void on_reloaded(void *ctx, const struct hk_reply *reply)
{
	struct place   *p = ctx;
	struct managed *m = p->managed;
	char            words[CAUSE_SIZE];
	p->hook = NULL;
	m->swap.asked--;
	if (reply->status != 0)
		m->swap.gathered.status = reply->status;
	words_of(reply, words);
	if (reply->code != 0)
		reload_failed(p, reply->code, words);
	reloaded_end(m);
}

/* The copies follow once more: a kill may have come behind the flip. */
static void reload_at(struct place *p, bool broken)
{
	struct refusal why = {.code = 0};
	int            r = 0;
	if (broken)
		r = E_SYS_IO;
	else if (is_back(p->managed))
		copies_converge(&p->conf, p->dir);
	else
		r = copies_current(&p->conf, p->dir, &why);
	if (r == 0 && p->conf.reload != RELOAD_NONE) {
		drain_reloading(p);
		r = hook_start(p, HOOK_RELOAD, on_reloaded);
		p->managed->swap.asked += r == 0;
	}
	if (r != 0)
		reload_failed(p, r, why.code != 0 ? why.cause : "vcc-hook cannot be asked");
}

void swap_reload(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	bool broken = is_back(m) ? fault_point("keeper.rollback.reload") != 0 : fault_point("keeper.reload") != 0;
	swap_gather(m, DEV_RELOADED);
	FOR_PLACES(p, m)
		reload_at(p, broken);
	reloaded_end(m);
}
