/* swap.c - room agent/keeper: performs the actions of deployments and answers each with an event. The table at the end lists them.
 * Never: deciding what comes next. Any action may be repeated. */
#include "agent/keeper/swap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/swap_check.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum {
	KEY_MS = 60 * 1000,
	PROBE_MS = 30 * 1000,
	SETTLE_MS = 500,
	VERIFY_ROW = 3,
	SETTLE_ROW = 20,
	CSR_REPEAT_MS = 30 * 1000,
	HEAL_MIN_MS = 5 * 1000,
	HEAL_MAX_MS = 10 * 60 * 1000,
	HOOK_MARGIN_MS = 5 * 1000, /* for killing a program that ignores TERM, and for the answer */
};

/* Tests of what happens when nothing answers would take minutes: builds with fault points may shorten the waits. */
static int64_t test_ms(const char *name, int64_t ms)
{
#ifdef VCC_FAULTS
	const char *text = getenv(name);
	if (text != NULL)
		return strtoll(text, NULL, 10);
#endif
	(void)name;
	return ms;
}

struct deploy_policy swap_policy(const struct managed *m)
{
	int64_t hook_ms = (m->present ? m->conf.timeout_ms : 30 * MS_SECOND) + 2 * HOOK_MARGIN_MS;
	return (struct deploy_policy){
		.key_ms = KEY_MS,
		.test_ms = hook_ms,
		.reload_ms = hook_ms,
		.probe_ms = test_ms("VCC_PROBE_MS", PROBE_MS),
		.settle_ms = SETTLE_MS,
		.verify_row = VERIFY_ROW,
		.settle_row = SETTLE_ROW,
		.csr_repeat_ms = CSR_REPEAT_MS,
		.heal_min_ms = test_ms("VCC_HEAL_MS", HEAL_MIN_MS),
		.heal_max_ms = HEAL_MAX_MS,
	};
}

/* ---- accounting -------------------------------------------------------------------------------------------------- */

static void step_begin(struct managed *m)
{
	m->swap.step_from = clock_monotonic();
}

/* A row for the receipt, and a live event for whoever watches. */
static void step_end(struct managed *m, enum workflow_step step, int code, const char *detail)
{
	struct swap    *s = &m->swap;
	struct msg_step live = {.renewal_id = m->deploy.renewal_id, .attempt = m->deploy.attempt, .step = step, .code = code,
	                        .at = clock_now()};
	if (s->n_steps < MSG_STEPS_MAX) {
		struct receipt_step *row = &s->steps[s->n_steps++];
		*row = (struct receipt_step){.step = step, .code = code, .at = live.at, .took_ms = clock_monotonic() - s->step_from};
		text_cut(row->detail, sizeof(row->detail), detail);
	}
	uplink_send(m->keeper->uplink, MSG_STEP, &live);
}

static void answer(struct managed *m, struct deploy_event *e, const struct refusal *why)
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

static int target_open(struct managed *m, int *ret_fd, struct refusal *why)
{
	if (!m->present)
		return refuse(why, E_SWAP_TARGET, m->cert_id, "its target file is missing or wrong");
	return generation_dir(m->dir, ret_fd, why);
}

/* ---- key, csr ---------------------------------------------------------------------------------------------------- */

static void on_key_made(void *ctx, const struct keys_made *made)
{
	struct keeper *k = ctx;
	for (size_t i = 0; i < k->n_managed; i++) {
		struct managed *m = k->managed[i];
		if (!id_equal(m->deploy.renewal_id, made->renewal_id) || m->deploy.attempt != made->attempt)
			continue;
		struct deploy_event e = keeper_event_of(m, DEV_KEY, made->code);
		e.spki_hash = made->spki_hash;
		if (made->code != 0)
			text_cut(e.cause, sizeof(e.cause), made->cause);
		step_end(m, STEP_KEY, made->code, made->code != 0 ? made->cause : key_type_name(m->deploy.key_type));
		answer(m, &e, NULL);
	}
}

static void act_make_key(struct managed *m, const struct deploy_action *a)
{
	step_begin(m);
	int r = keys_make(&m->keeper->loop, m->keeper->state.keys_fd, a->renewal_id, a->attempt, m->deploy.key_type, on_key_made,
	                  m->keeper);
	if (r != 0) {
		struct deploy_event e = keeper_event_of(m, DEV_KEY, r);
		answer(m, &e, NULL);
	}
}

static int csr_send(struct managed *m, const struct deploy_action *a, struct refusal *why)
{
	struct key     *key = NULL;
	struct buf      csr = BUF_MAX(MSG_CSR_MAX);
	struct body_csr body = {.renewal_id = a->renewal_id, .attempt = a->attempt, .made_at = clock_now()};
	int             r = keys_load(m->keeper->state.keys_fd, a->renewal_id, a->attempt, &key, why);
	if (r == 0)
		r = csr_make(key, &csr);
	if (r == 0) {
		text_cut(body.cert_id, sizeof(body.cert_id), m->cert_id);
		body.csr = buf_span(&csr);
		r = uplink_send_signed(m->keeper->uplink, MSG_CSR, LABEL_CSR, &wire_body_csr, &body);
	}
	key_free(key);
	buf_free(&csr);
	return r;
}

/* Not connected: it goes out after the next welcome. */
static void act_send_csr(struct managed *m, const struct deploy_action *a)
{
	struct refusal why = {.code = 0};
	if (!m->keeper->welcomed)
		return;
	int r = fault_point("keeper.csr") != 0 ? E_SYS_IO : csr_send(m, a, &why);
	(void)fault_point("keeper.csr.done");
	if (r != 0)
		log_line(LOG_LEVEL_ERROR, NULL, "%s: the request cannot be sent: %s", m->cert_id, why.code != 0 ? why.cause : err_what(r));
}

/* ---- check, write ------------------------------------------------------------------------------------------------ */

static void act_check(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_CHECKED, 0);
	step_begin(m);
	e.code = fault_point("keeper.check") != 0 ? sys_refuse(&why, "check", "check the answer") : swap_check(m, &e, &why);
	(void)fault_point("keeper.check.done");
	if (e.code == 0 && m->swap.probe != NULL) {
		m->swap.measured = e;
		m->swap.measuring = true; /* swap_round() answers */
		return;
	}
	step_end(m, STEP_CHECK, e.code, e.code != 0 ? why.cause : "");
	answer(m, &e, &why);
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
	step_end(m, STEP_CHECK, 0, e.was_down ? "no listener answers" : e.was_serving ? "the old certificate is served" : "");
	answer(m, &e, NULL);
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

static int generation_make(struct managed *m, int fd, uint64_t number, struct refusal *why)
{
	struct generation_content content = {.combined = m->conf.combined, .mode = (mode_t)m->conf.mode};
	struct key               *key = NULL;
	struct wire_frame        *frame = NULL;
	int                       r = access_owner(m->conf.owner, m->conf.group, &content.uid, &content.gid, why);
	if (r == 0)
		r = keys_load(m->keeper->state.keys_fd, m->deploy.renewal_id, m->deploy.attempt, &key, why);
	if (r == 0)
		r = swap_certificate(m, &frame, why);
	if (r == 0) {
		content.key = key;
		content.certificate = frame->u.certificate.certificate;
		content.chain = frame->u.certificate.chain;
		content.roots = buf_span(&m->keeper->state.trust.roots);
		r = generation_write(fd, number, &content, why);
	}
	if (r == 0) {
		char path[TARGET_PATH_SIZE + 2 * GENERATION_NAME_SIZE];
		char name[GENERATION_NAME_SIZE];
		snprintf(path, sizeof(path), "%s/%s/key.pem", m->dir, generation_name(number, name));
		r = access_check(path, content.uid, content.gid, why);
		if (r != 0)
			(void)!generation_remove(fd, number, NULL);
	}
	key_free(key);
	swap_certificate_free(frame);
	return r;
}

/* The number is in the journal before the folder exists: it is never used twice. */
static int number_take(struct managed *m, int fd, uint64_t *ret, struct refusal *why)
{
	struct record_target record = {.generation = 0};
	uint64_t             highest = 0;
	int                  r = generation_highest(fd, &highest, why);
	if (r != 0)
		return r;
	record.generation = (highest > m->generation ? highest : m->generation) + 1;
	text_cut(record.cert_id, sizeof(record.cert_id), m->cert_id);
	text_cut(record.stem, sizeof(record.stem), m->stem);
	r = keeper_journal_add(m->keeper, RECORD_TARGET, &record);
	if (r == 0)
		r = keeper_journal_commit(m->keeper, false);
	if (r != 0)
		return refuse(why, r, "journal", "%s", err_what(r));
	m->generation = *ret = record.generation;
	return 0;
}

static void act_write(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_WRITTEN, 0);
	_cleanup_fd_ int    fd = -1;
	step_begin(m);
	int r = fault_point("keeper.write") != 0 ? sys_refuse(&why, "generation", "write") : target_open(m, &fd, &why);
	if (r == 0)
		r = number_take(m, fd, &e.generation, &why);
	if (r == 0)
		r = generation_make(m, fd, e.generation, &why);
	(void)fault_point("keeper.write.done");
	e.code = r;
	step_end(m, STEP_WRITE, r, r != 0 ? why.cause : "");
	answer(m, &e, &why);
}

/* ---- test, flip, reload ------------------------------------------------------------------------------------------ */

static int hook_start(struct managed *m, enum hook_verb verb, hook_done_fn *done)
{
	struct hk_request request = {.verb = verb, .generation = m->deploy.generation};
	if (!m->present)
		return E_SWAP_TARGET;
	text_cut(request.stem, sizeof(request.stem), m->stem);
	hook_cancel(m->swap.hook);
	m->swap.hook = NULL;
	return hook_ask(&m->keeper->loop, m->keeper->conf->hook_socket, &request, m->conf.timeout_ms + HOOK_MARGIN_MS, done, m,
	                &m->swap.hook);
}

static void words_of(const struct hk_reply *reply, char ret[CAUSE_SIZE])
{
	snprintf(ret, CAUSE_SIZE, "%.60s%s%.90s", err_what(reply->code), reply->output[0] != '\0' ? ": " : "", reply->output);
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
	step_end(m, STEP_TEST, e.code, reply->code != 0 ? e.cause : reply->tested ? "tested" : reply->output);
	answer(m, &e, NULL);
}

static void act_test(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	step_begin(m);
	if (m->present && m->conf.test[0] == '\0') {
		struct deploy_event e = keeper_event_of(m, DEV_TESTED, 0);
		answer(m, &e, NULL);
		return;
	}
	int r = fault_point("keeper.test") != 0 ? E_SYS_IO : hook_start(m, HOOK_TEST, on_tested);
	if (r != 0) {
		struct deploy_event e = keeper_event_of(m, DEV_TESTED, r);
		snprintf(e.cause, sizeof(e.cause), "vcc-hook cannot be asked: %s", err_what(r));
		step_end(m, STEP_TEST, r, e.cause);
		answer(m, &e, NULL);
	}
}

static void flip_to(struct managed *m, uint64_t generation, enum workflow_step step, bool broken)
{
	struct refusal      why = {.code = 0};
	struct deploy_event e = keeper_event_of(m, DEV_FLIPPED, 0);
	_cleanup_fd_ int    fd = -1;
	step_begin(m);
	int r = target_open(m, &fd, &why);
	if (r == 0 && broken)
		r = refuse(&why, E_SYS_IO, "current", "cannot flip");
	if (r == 0)
		r = generation_flip(fd, generation, &why);
	swap_look(m);
	e.code = r;
	e.current_generation = m->on_disk.generation;
	step_end(m, step, r, r != 0 ? why.cause : "");
	answer(m, &e, &why);
}

static void act_flip(struct managed *m, const struct deploy_action *a)
{
	flip_to(m, a->generation, STEP_FLIP, fault_point("keeper.flip") != 0);
	(void)fault_point("keeper.flip.done");
}

static void act_flip_back(struct managed *m, const struct deploy_action *a)
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
	m->swap.hook_status = reply->status;
	e.status = reply->status;
	e.probe.applies = m->present && m->conf.verify == VERIFY_TLS;
	if (reply->code != 0)
		words_of(reply, e.cause);
	step_end(m, STEP_RELOAD, e.code, reply->code != 0 ? e.cause : reload_kind_name((enum reload_kind)m->conf.reload));
	answer(m, &e, NULL);
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

static void act_reload(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	step_begin(m);
	struct hk_reply reply = {.code = 0};
	bool            none = m->present && m->conf.reload == RELOAD_NONE;
	bool            broken = is_back(m) ? fault_point("keeper.rollback.reload") != 0 : fault_point("keeper.reload") != 0;
	if (broken)
		reply.code = E_SYS_IO;
	else if (!none)
		reply.code = hook_start(m, HOOK_RELOAD, on_reloaded);
	if (none || reply.code != 0) {
		text_cut(reply.output, sizeof(reply.output), reply.code != 0 ? "vcc-hook cannot be asked" : "");
		reloaded(m, &reply);
	}
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

static void act_probe_stop(struct managed *m, const struct deploy_action *a)
{
	(void)a;
	struct swap *s = &m->swap;
	if (s->probe == NULL)
		return;
	probe_summary(s->probe, &s->summary);
	s->n_listeners = probe_listeners(s->probe, VERIFY_ROW, s->listeners);
	s->first_new_at = probe_first_new_at(s->probe);
	if (s->summary.failed > 0)
		log_line(LOG_LEVEL_WARNING, NULL, "%s: %llu of %llu handshakes failed during the swap; last: %s", m->cert_id,
		         (unsigned long long)s->summary.failed, (unsigned long long)s->summary.total, probe_trouble(s->probe));
	probe_free(s->probe);
	s->probe = NULL;
	s->measuring = false;
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
		r = target_open(m, &fd, &why);
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
	int              r = fault_point("keeper.prune") != 0 ? sys_refuse(&why, "generations", "prune") : target_open(m, &fd, &why);
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
		[DACT_MAKE_KEY] = act_make_key,
		[DACT_SEND_CSR] = act_send_csr,
		[DACT_CHECK] = act_check,
		[DACT_WRITE] = act_write,
		[DACT_TEST] = act_test,
		[DACT_FLIP] = act_flip,
		[DACT_FLIP_BACK] = act_flip_back,
		[DACT_RELOAD] = act_reload,
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
