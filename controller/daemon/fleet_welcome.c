/* fleet_welcome.c - room controller/daemon: welcomes to hosts, at once or in turns: a host sends again what is not acknowledged, and learns what its
 * connection is good for. Never: who may have one. */
#include "controller/daemon/fleet.h"

#include <stdlib.h>

#include <utlist.h>

#include "controller/daemon/bundles.h"
#include "controller/daemon/fleet_table.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/wire/wire.h"

enum {
	WELCOMES_PER_TURN = 100, /* paced after a roster, so that not everybody re-sends at once */
	WELCOME_TURN_MS = 20,
	REWELCOME_MS = 2000,
	IDENTITY_EVERY_MS = 50, /* who is to ask for another identity: each costs a signature and a new connection */
};

void fleet_welcome_to(struct controller *ctl, struct member *m, uint64_t gateway, uint64_t session, int64_t not_after_at)
{
	struct session     to = {.gateway = gateway, .session = session};
	struct msg_welcome w = {
		.epoch = ctl->epoch,
		.now_at = clock_now(),
		.receipt_seq = m->row->receipt_seq,
		.identity_not_after_at = not_after_at,
		.bundle_epoch = bundles_epoch(ctl),
		.renew_identity = identities_due(ctl, m->row),
	};
	text_cut(w.agent, sizeof(w.agent), m->name);
	struct fleet *f = ctl->fleet;
	buf_reset(&f->out);
	if (wire_encode(&wire_agent, MSG_WELCOME, 0, &w, &f->out) == 0)
		(void)fleet_send_to(ctl, &to, 0, buf_span(&f->out), false);
}

void fleet_welcome_now(struct controller *ctl, struct member *m)
{
	fleet_welcome_to(ctl, m, m->session.gateway, m->session.session, m->session.not_after_at);
}

static void on_pace(uv_timer_t *timer);

void fleet_welcome_later(struct controller *ctl, const char *name, int64_t at)
{
	struct fleet   *f = ctl->fleet;
	struct welcome *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	text_cut(w->name, sizeof(w->name), name);
	w->at = at;
	DL_APPEND(f->welcomes, w);
	if (!f->pacing && !ctl->stopping) {
		f->pacing = true;
		(void)uv_timer_start(&f->pace, on_pace, WELCOME_TURN_MS, WELCOME_TURN_MS);
	}
}

static void on_pace(uv_timer_t *timer)
{
	struct fleet   *f = timer->data;
	int64_t         now = clock_monotonic();
	struct welcome *w, *tmp;
	size_t          sent = 0;
	DL_FOREACH_SAFE (f->welcomes, w, tmp) {
		if (sent == WELCOMES_PER_TURN)
			return;
		if (w->at > now)
			continue;
		struct member *m = fleet_member(f->ctl, w->name);
		if (m != NULL && m->row != NULL && m->session.gateway != 0 && m->session.welcomed)
			fleet_welcome_now(f->ctl, m);
		DL_DELETE(f->welcomes, w);
		free(w);
		sent++;
	}
	if (f->welcomes == NULL) {
		(void)uv_timer_stop(&f->pace);
		f->pacing = false;
	}
}

void fleet_rewelcome(struct controller *ctl, const char *name)
{
	const struct welcome *w;
	DL_FOREACH (ctl->fleet->welcomes, w)
		if (text_equal(w->name, name))
			return;
	fleet_welcome_later(ctl, name, clock_monotonic() + REWELCOME_MS);
}

void fleet_rewelcome_all(struct controller *ctl)
{
	int64_t at = clock_monotonic() + REWELCOME_MS;
	for (const struct member *m = fleet_next(ctl, NULL); m != NULL; m = fleet_next(ctl, m))
		fleet_welcome_later(ctl, m->name, at); /* in turns */
}

void fleet_identities_due(struct controller *ctl)
{
	int64_t at = clock_monotonic() + REWELCOME_MS;
	if (!identities_move(ctl))
		return;
	for (const struct member *m = fleet_next(ctl, NULL); m != NULL; m = fleet_next(ctl, m)) {
		fleet_welcome_later(ctl, m->name, at);
		at += IDENTITY_EVERY_MS;
	}
}
