/* keeper.c - room agent/keeper: the wiring: events -> core step -> journal -> actions; one at a time, in order.
 * Never: acting before the journal holds the decision. */
#include "agent/keeper/keeper.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/keeper/care.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/inbox.h"
#include "agent/keeper/keeper_health.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/keeper_unit.h"
#include "agent/keeper/keys.h"
#include "agent/keeper/live.h"
#include "agent/keeper/peer_look.h"
#include "agent/keeper/place.h"
#include "agent/keeper/receipt_build.h"
#include "agent/keeper/stage.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/targets.h"
#include "agent/keeper/uplink.h"
#include "agent/keeper/watch.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/notify.h"

enum { MESSAGES_MAX = 256, AGAIN_MS = 5000, RESCAN_MS = 200, TICK_MS = 60 * 1000, BEAT_MS = 1000 };

/* ---- managed certificates ---------------------------------------------------------------------------------------- */

struct managed *keeper_find(struct keeper *k, const char *cert_id)
{
	for (size_t i = 0; i < k->n_managed; i++)
		if (text_equal(k->managed[i]->cert_id, cert_id))
			return k->managed[i];
	return NULL;
}

static void on_deploy_timer(uv_timer_t *timer)
{
	struct managed     *m = timer->data;
	struct deploy_event e = keeper_event_of(m, DEV_TIMER, 0);
	swap_summary(m, &e.probe);
	text_cut(e.cause, sizeof(e.cause), swap_trouble(m));
	keeper_post(m->keeper, m, &e);
}

int keeper_manage(struct keeper *k, const char *cert_id, struct managed **ret)
{
	if (k->n_managed == TARGETS_MAX)
		return E_FULL;
	struct managed *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return E_NOMEM;
	m->keeper = k;
	m->order = (struct buf)BUF_MAX(FRAME_MAX);
	m->certificate = (struct buf)BUF_MAX(FRAME_MAX);
	m->live.certificate = (struct buf)BUF_MAX(FRAME_MAX);
	text_cut(m->cert_id, sizeof(m->cert_id), cert_id);
	m->timer.data = m;
	uv_timer_init(&k->loop, &m->timer);
	k->managed[k->n_managed++] = m;
	*ret = m;
	return 0;
}

static void on_managed_closed(uv_handle_t *handle)
{
	struct managed *m = handle->data;
	buf_free(&m->order);
	buf_free(&m->certificate);
	free(m->swap.steps);
	live_free(m);
	free(m);
}

void keeper_forget(struct keeper *k, struct managed *m)
{
	size_t i = 0;
	while (k->managed[i] != m)
		i++;
	k->managed[i] = k->managed[--k->n_managed];
	swap_reset(m);
	while (m->n_places > 0)
		place_forget(m->places[0]);
	for (struct keeper_event *e = k->first; e != NULL; e = e->next)
		if (e->managed == m)
			e->managed = NULL;
	uv_close((uv_handle_t *)&m->timer, on_managed_closed);
}

void keeper_forget_place(struct keeper *k, const struct place *p)
{
	for (struct keeper_event *e = k->first; e != NULL; e = e->next)
		if (e->place == p)
			e->managed = NULL;
}

/* ---- the queue --------------------------------------------------------------------------------------------------- */

struct deploy_event keeper_event_of(const struct managed *m, enum deploy_event_kind kind, int code)
{
	struct deploy_event e = {
		.kind = kind,
		.renewal_id = m->deploy.renewal_id,
		.attempt = m->deploy.attempt,
		.code = code,
	};
	text_cut(e.cert_id, sizeof(e.cert_id), m->cert_id);
	if (code != 0)
		text_cut(e.cause, sizeof(e.cause), err_what(code));
	return e;
}

static void on_idle(uv_idle_t *idle);

static struct keeper_event *queue_add(struct keeper *k, struct managed *m)
{
	struct keeper_event *e = calloc(1, sizeof(*e));
	if (e == NULL) {
		keeper_die(k, E_NOMEM, "queue an event");
		return NULL;
	}
	e->managed = m;
	e->frame = (struct buf)BUF_MAX(FRAME_MAX);
	if (k->last != NULL)
		k->last->next = e;
	else
		k->first = e;
	k->last = e;
	if (!uv_is_active((uv_handle_t *)&k->again))
		uv_idle_start(&k->idle, on_idle);
	return e;
}

static struct keeper_event *post(struct keeper *k, struct managed *m, const struct deploy_event *event)
{
	struct keeper_event *e = queue_add(k, m);
	if (e == NULL)
		return NULL;
	e->event = *event;
	text_plain(e->event.cause);
	entropy(&e->event.random, sizeof(e->event.random));
	return e;
}

void keeper_post(struct keeper *k, struct managed *m, const struct deploy_event *event)
{
	(void)post(k, m, event);
}

/* The queue may wait for space on the disk, while a link goes on speaking. */
void keeper_post_message(struct keeper *k, struct managed *m, const struct deploy_event *event, uint64_t message_id, uint32_t type,
                         struct span frame)
{
	if (k->n_messages >= MESSAGES_MAX)
		return;
	struct buf copy = BUF_MAX(FRAME_MAX);
	buf_add(&copy, frame.p, frame.n);
	if (buf_error(&copy) != 0) { /* an order whose words are lost must not be taken */
		keeper_die(k, buf_error(&copy), "keep a message");
		return;
	}
	struct keeper_event *e = post(k, m, event);
	if (e == NULL) {
		buf_free(&copy);
		return;
	}
	k->n_messages++;
	e->message = true;
	e->message_id = message_id;
	e->type = type;
	e->frame = copy;
}

void keeper_post_care(struct place *p, const struct refresh_event *event)
{
	struct keeper_event *e = queue_add(p->managed->keeper, p->managed);
	if (e == NULL)
		return;
	e->place = p;
	e->care = *event;
	text_plain(e->care.cause);
	entropy(&e->care.random, sizeof(e->care.random));
}

void keeper_die(struct keeper *k, int code, const char *doing)
{
	char text[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_ERROR, NULL, "%s cannot %s: %s. %s", err_code(code, text), doing, err_what(code), err_next(code));
	k->exit_code = 1;
	uv_stop(&k->loop);
}

/* ---- one event --------------------------------------------------------------------------------------------------- */

static void timer_set(struct managed *m)
{
	if (m->deploy.next_at == TIME_NEVER || m->deploy.phase == DEPLOY_NONE) {
		uv_timer_stop(&m->timer);
		return;
	}
	int64_t wait = m->deploy.next_at - clock_steady();
	uv_timer_start(&m->timer, on_deploy_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

static int save_frame(struct keeper *k, const struct keeper_event *e)
{
	struct record_frame record = {.type = e->type, .frame = buf_span(&e->frame)};
	text_cut(record.cert_id, sizeof(record.cert_id), e->managed->cert_id);
	return keeper_journal_add(k, RECORD_FRAME, &record);
}

/* Everything that one step decides goes into one batch: message, receipts, new state. Receipts are made here, before the
 * state that says that they exist. `ret_receipts` must be sent or freed. */
static int step_save(struct keeper *k, const struct keeper_event *e, const struct deploy_step *step,
                     struct receipt_kept *ret_receipts[DEPLOY_ACTIONS_MAX], size_t *ret_n)
{
	int    r = 0;
	size_t n = 0;
	if (e->frame.n > 0)
		r = save_frame(k, e);
	for (size_t i = 0; r == 0 && i < step->n_act; i++) {
		if (step->act[i].kind != DACT_RECEIPT)
			continue;
		r = receipt_build(e->managed, &step->next, &step->act[i], n, &ret_receipts[n]);
		if (r != 0)
			break;
		struct record_receipt record = receipt_record(ret_receipts[n++]);
		r = keeper_journal_add(k, RECORD_RECEIPT, &record);
		if (r == 0)
			r = live_record(e->managed, &step->next, step->act[i].outcome);
	}
	if (r == 0)
		r = keeper_journal_add(k, RECORD_DEPLOY, &step->next);
	if (r == 0)
		r = keeper_journal_commit(k, step->sync);
	keeper_journal_drop(k);
	*ret_n = n;
	return r;
}

static void step_do(struct keeper *k, struct keeper_event *e, const struct deploy_step *step)
{
	struct managed *m = e->managed;
	bool            other = !id_equal(m->deploy.renewal_id, step->next.renewal_id) || m->deploy.attempt != step->next.attempt;
	if (e->frame.n > 0 && step->save)
		buf_take(e->type == MSG_ORDER ? &m->order : &m->certificate, &e->frame);
	if (other) { /* the old one's answer belongs to nothing any more */
		if (e->type != MSG_CERTIFICATE)
			buf_reset(&m->certificate);
		care_drop(m);
		swap_reset(m);
	}
	if (m->deploy.phase != step->next.phase)
		log_line(LOG_LEVEL_INFO, NULL, "%s: %s -> %s%s%s", m->cert_id, deploy_phase_name(m->deploy.phase),
		         deploy_phase_name(step->next.phase), step->next.cause[0] != '\0' ? ": " : "", step->next.cause);
	bool ended = m->deploy.phase != step->next.phase && (step->next.phase == DEPLOY_DONE || step->next.phase == DEPLOY_HEAL);
	m->deploy = step->next;
	for (size_t i = 0; i < step->n_act; i++)
		if (step->act[i].kind == DACT_RECEIPT)
			live_adopt(m, &m->deploy, step->act[i].outcome);
	timer_set(m);
	k->acting_for = e->message_id;
	for (size_t i = 0; i < step->n_act && k->exit_code == 0; i++)
		swap_act(m, &step->act[i]);
	k->acting_for = 0;
	for (size_t i = 0; ended && i < m->n_places; i++)
		care_look(m->places[i]);
}

/* 0, or a code after which the same event must come again. */
static int event_handle(struct keeper *k, struct keeper_event *e)
{
	struct managed      *m = e->managed;
	struct deploy_policy policy = swap_policy(m);
	struct deploy_step   step;
	struct receipt_kept *receipts[DEPLOY_ACTIONS_MAX] = {NULL};
	size_t               n = 0;
	int                  r = deploy_step(&m->deploy, &e->event, clock_steady(), &policy, &step);
	if (r == 0 && step.save)
		r = step_save(k, e, &step, receipts, &n);
	if (r != 0) {
		for (size_t i = 0; i < n; i++)
			receipt_free(receipts[i]);
		return r;
	}
	if (step.ignored)
		k->ignored++;
	for (size_t i = 0; i < n; i++)
		receipts_add(&k->receipts, receipts[i]);
	step_do(k, e, &step);
	return 0;
}

static void event_free(struct keeper_event *e)
{
	buf_free(&e->frame);
	free(e);
}

static void on_again(uv_timer_t *timer)
{
	struct keeper *k = timer->data;
	uv_idle_start(&k->idle, on_idle);
}

/* Probe results are what is known now, not what was known when they were queued. */
static int deploy_handle(struct keeper *k, struct keeper_event *e)
{
	if (e->event.kind == DEV_PROBED) {
		e->managed->probed_waits = false;
		swap_summary(e->managed, &e->event.probe);
	}
	return event_handle(k, e);
}

static int care_handle(struct keeper_event *e)
{
	if (e->care.kind == REV_WANT)
		e->place->care_want_waits = false;
	if (e->care.kind == REV_PROBED) {
		e->place->care_probed_waits = false;
		if (e->place->care_probe != NULL)
			probe_summary(e->place->care_probe, &e->care.probe);
	}
	return care_event(e->place, &e->care);
}

/* One event per turn of the loop, so that I/O is never starved. */
static void on_idle(uv_idle_t *idle)
{
	struct keeper       *k = idle->data;
	struct keeper_event *e = k->first;
	if (e == NULL || k->exit_code != 0) {
		uv_idle_stop(idle);
		return;
	}
	int r = e->managed == NULL ? 0 : e->place != NULL ? care_handle(e) : deploy_handle(k, e);
	if (r == E_SYS_SPACE || r == E_FULL) {
		/* nothing was decided: the event waits until there is space */
		log_line(LOG_LEVEL_ERROR, NULL, "%s/journal: %s; tried again in %d s. %s", k->conf->keeper_dir, err_what(r),
		         AGAIN_MS / 1000, err_next(r));
		k->journal_code = r;
		uv_idle_stop(idle);
		uv_timer_start(&k->again, on_again, AGAIN_MS, 0);
		return;
	}
	k->journal_code = 0;
	k->first = e->next;
	if (k->first == NULL)
		k->last = NULL;
	k->n_messages -= e->message;
	event_free(e);
	if (r == 0)
		keeper_journal_tend(k);
	else
		keeper_die(k, r, "write its journal");
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

/* What the core must know of a deployment that an earlier run left. */
static void restart_post(struct keeper *k, struct managed *m)
{
	if (m->deploy.phase == DEPLOY_DONE)
		for (size_t i = 0; i < m->n_places; i++)
			drain_resume(m->places[i]);
	if (m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE)
		return;
	struct refusal      why;
	struct deploy_event e = keeper_event_of(m, DEV_RESTART, 0);
	if (stage_take(m, &why) != 0) /* the check tries it again, and says why */
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
	for (size_t i = 0; i < m->n_places; i++)
		place_sync(m->places[i]);
	e.current_generation = swap_current(m);
	e.key_present = keys_present(k->state.keys_fd, m->deploy.renewal_id, m->deploy.attempt);
	keeper_post(k, m, &e);
}

static void on_stop_signal(uv_signal_t *handle, int number)
{
	struct keeper *k = handle->data;
	log_line(LOG_LEVEL_NOTICE, NULL, "ends on signal %d", number);
	uv_stop(&k->loop);
}

static void on_rescan(uv_timer_t *timer)
{
	targets_scan(timer->data);
}

static void on_hup(uv_signal_t *handle, int number)
{
	(void)number;
	targets_scan(handle->data);
}

/* Several changes of one edit are one scan. */
static void on_targets_changed(uv_fs_event_t *handle, const char *name, int events, int status)
{
	struct keeper *k = handle->data;
	(void)name;
	(void)events;
	if (status == 0)
		uv_timer_start(&k->rescan, on_rescan, RESCAN_MS, 0);
}

static void on_tick(uv_timer_t *timer)
{
	inbox_tick(timer->data);
	memory_give_back(); /* handshakes leave holes */
}

/* A window opens by the clock on the wall, which may be set; and a host that slept has missed its timer. While the queue waits for space
 * what is in it already would only be asked again and again. */
static void windows_look(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed && !uv_is_active((uv_handle_t *)&k->again); i++)
		if (k->managed[i]->deploy.phase == DEPLOY_WINDOW && swap_policy(k->managed[i]).window_open)
			uv_timer_start(&k->managed[i]->timer, on_deploy_timer, 0, 0);
}

static void on_beat(uv_timer_t *timer)
{
	windows_look(timer->data);
	care_beat(timer->data);
	crl_fetch_look(timer->data);
	swap_lists_look(timer->data);
	keeper_health_beat(timer->data);
	keeper_unit_beat(timer->data);
	stage_beat(timer->data);
}

/* Without it no service could be seen, and a good certificate would be taken for a bad one: better to begin anew. */
static void on_dialer_end(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	keeper_die(poll->data, E_SYS_CLOSED, "reach the process that connects to listeners of this host");
}

static int watch(struct keeper *k)
{
	const int64_t tick = fault_ms("VCC_TICK_MS", TICK_MS);
	k->tick.data = k->beat.data = k;
	k->on_dialer.data = k;
	k->on_hup.data = k->on_term.data = k->on_int.data = k->rescan.data = k->on_targets.data = k;
	int r = uv_signal_init(&k->loop, &k->on_hup);
	r = r != 0 ? r : uv_signal_start(&k->on_hup, on_hup, SIGHUP);
	r = r != 0 ? r : uv_signal_init(&k->loop, &k->on_term);
	r = r != 0 ? r : uv_signal_start(&k->on_term, on_stop_signal, SIGTERM);
	r = r != 0 ? r : uv_signal_init(&k->loop, &k->on_int);
	r = r != 0 ? r : uv_signal_start(&k->on_int, on_stop_signal, SIGINT);
	r = r != 0 ? r : uv_poll_init(&k->loop, &k->on_dialer, k->dialer);
	r = r != 0 ? r : uv_poll_start(&k->on_dialer, UV_READABLE | UV_DISCONNECT, on_dialer_end);
	r = r != 0 ? r : uv_timer_init(&k->loop, &k->rescan);
	r = r != 0 ? r : uv_timer_init(&k->loop, &k->tick);
	r = r != 0 ? r : uv_timer_start(&k->tick, on_tick, (uint64_t)tick, (uint64_t)tick);
	r = r != 0 ? r : uv_timer_init(&k->loop, &k->beat);
	r = r != 0 ? r : uv_timer_start(&k->beat, on_beat, BEAT_MS, BEAT_MS);
	r = r != 0 ? r : uv_fs_event_init(&k->loop, &k->on_targets);
	k->targets_unwatched = r == 0 && uv_fs_event_start(&k->on_targets, on_targets_changed, k->conf->targets_dir, 0) != 0;
	if (k->targets_unwatched)
		log_line(LOG_LEVEL_WARNING, NULL, "%s cannot be watched: changes are read at SIGHUP", k->conf->targets_dir);
	return r;
}

static void on_walk(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void keeper_end(struct keeper *k)
{
	uplink_close(k->uplink);
	crl_fetch_close(k);
	peer_look_close(k);
	for (size_t i = 0; i < k->n_managed; i++)
		care_drop(k->managed[i]);
	watch_close(k->watch);
	while (k->n_managed > 0)
		keeper_forget(k, k->managed[0]);
	while (k->first != NULL) {
		struct keeper_event *e = k->first;
		k->first = e->next;
		event_free(e);
	}
	k->last = NULL;
	uv_run(&k->loop, UV_RUN_NOWAIT);
	uv_walk(&k->loop, on_walk, NULL);
	uv_run(&k->loop, UV_RUN_DEFAULT);
	receipts_free(&k->receipts);
	tls_probes_close(k->tls);
	buf_free(&k->batch);
	buf_free(&k->link_csr);
	free(k->unread);
	buf_free(&k->inventory);
	buf_free(&k->inventory_signature);
	buf_free(&k->return_spki);
	journal_close(k->journal);
	uv_loop_close(&k->loop);
}

int keeper_run(struct keeper *k)
{
	int r = watch(k);
	if (r != 0) {
		keeper_die(k, E_SYS_IO, "start its loop");
	} else {
		targets_scan(k);
		live_sweep(k);
		for (size_t i = 0; i < k->n_managed; i++)
			restart_post(k, k->managed[i]);
		care_look_all(k);
		keeper_unit_ready(k);
		log_line(LOG_LEVEL_NOTICE, NULL, "%s: keeper runs, %zu certificates", k->state.identity.agent, k->n_managed);
		memory_give_back();
		uv_run(&k->loop, UV_RUN_DEFAULT);
		notify_send("STOPPING=1");
	}
	keeper_end(k);
	return k->exit_code;
}
