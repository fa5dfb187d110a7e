/* peer_look.c - room agent/keeper: asked -> the link makes some handshakes -> each is judged -> signed and sent. What is wrong is looked
 * at twice before it is said: a server that is just giving way to its successor is no fault.
 * Never: state that survives the process; an unanswered question is asked again. */
#include "agent/keeper/peer_look.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/peer_judge.h"
#include "agent/keeper/place.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum {
	HANDSHAKES = 20, /* several workers or servers may share one address */
	ROUNDS = 2,
	ROUND_MS = 2000,
	LOOK_MS = 3 * 60 * 1000, /* twenty that do not answer, five seconds each, and their gaps */
	ROOTS_PEM_MAX = 65536,
};

/* One question; at most one for each entry of agent.conf. */
struct look {
	bool                 wanted;
	struct msg_peer_look ask;
	/* this round */
	uint32_t             handshakes, others;
	int                  code; /* of the first that was not right */
	char                 cause[CAUSE_SIZE];
	struct hash          seen;
};

struct peer_look {
	struct keeper      *keeper;
	struct peers_conf   conf;
	struct look         look[PEERS_MAX];
	size_t              at;      /* under way: index + 1; 0 = none */
	uint32_t            round;
	bool                pausing; /* before the next round */
	uint64_t            request; /* of the link */
	struct peer_anchors anchors; /* for the look under way */
	uint64_t            trust_epoch;
	uv_timer_t          timer;
};

static void next(struct peer_look *p);
static void on_timer(uv_timer_t *timer);

/* ---- what is held against it ------------------------------------------------------------------------------------- */

static int place_roots(const struct place *p, struct buf *ret_ders)
{
	_cleanup_fd_ int dir = -1;
	char             name[GENERATION_NAME_SIZE];
	uint64_t         number = 0;
	struct buf       pem = BUF_MAX(ROOTS_PEM_MAX);
	int              r = place_open(p, &dir, NULL);
	if (r == 0)
		r = generation_current(dir, &number, NULL);
	if (r == 0 && number == 0)
		r = E_NOT_FOUND;
	_cleanup_fd_ int folder = r == 0 ? openat(dir, generation_name(number, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (r == 0)
		r = folder < 0 ? E_NOT_FOUND : file_read(folder, "ca.pem", false, &pem, NULL);
	if (r == 0)
		r = cert_from_pem(buf_span(&pem), ret_ders);
	buf_free(&pem);
	return r;
}

/* What each service of this host reads in this moment, which is not always what the keeper holds already. A host without any judges by its
 * own bundle. */
static int anchors_read(struct peer_look *p)
{
	struct keeper *k = p->keeper;
	int            r = 0;
	peer_anchors_free(&p->anchors);
	p->trust_epoch = k->state.trust.epoch;
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; r == 0 && j < k->managed[i]->n_places; j++) {
			struct buf ders = BUF_MAX(ROOTS_PEM_MAX);
			if (k->managed[i]->places[j]->present && place_roots(k->managed[i]->places[j], &ders) == 0)
				r = peer_anchors_add(&p->anchors, k->managed[i]->places[j]->stem, buf_span(&ders));
			buf_free(&ders);
		}
	if (r == 0 && p->anchors.n == 0)
		r = peer_anchors_add(&p->anchors, "", buf_span(&k->state.trust.roots));
	return r;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void answer(struct peer_look *p, const struct look *l)
{
	struct body_peer_saw body = {
		.renewal_id = l->ask.renewal_id,
		.attempt = l->ask.attempt,
		.fingerprint = l->ask.fingerprint,
		.seen = l->seen,
		.code = l->code,
		.handshakes = l->handshakes,
		.others = l->others,
		.trust_epoch = p->trust_epoch,
		.made_at = clock_now(),
	};
	char code[ERR_CODE_SIZE];
	text_cut(body.cert_id, sizeof(body.cert_id), l->ask.cert_id);
	if (l->code != 0 && l->handshakes > 0)
		snprintf(body.cause, sizeof(body.cause), "%u of %u handshakes: %.120s", l->others, l->handshakes, l->cause);
	else
		text_cut(body.cause, sizeof(body.cause), l->cause);
	text_plain(body.cause);
	int r = uplink_send_signed(p->keeper->uplink, MSG_PEER_SAW, LABEL_PEER_SAW, &wire_body_peer_saw, &body);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "what was seen of %s cannot be signed: %s", body.cert_id, err_what(r));
	log_line(l->code != 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, NULL, "seen from here, %s: %s %s", body.cert_id,
	         l->code != 0 ? err_code(l->code, code) : "is served as it should be", body.cause);
}

static void refuse_look(struct peer_look *p, const struct msg_peer_look *m, int code, const char *cause)
{
	struct look l = {.ask = *m, .code = code};
	text_cut(l.cause, sizeof(l.cause), cause);
	answer(p, &l);
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static void over(struct peer_look *p)
{
	p->look[p->at - 1].wanted = false;
	p->at = 0;
	p->pausing = false;
	p->request++; /* what the link still tells is for nobody */
	peer_anchors_free(&p->anchors);
	uv_timer_stop(&p->timer);
	next(p);
}

static void round_begin(struct peer_look *p)
{
	struct look        *l = &p->look[p->at - 1];
	struct lk_peer_look want = {.request = ++p->request, .handshakes = HANDSHAKES};
	l->handshakes = l->others = 0;
	l->code = 0;
	l->seen = (struct hash){{0}};
	text_cut(l->cause, sizeof(l->cause), "");
	text_cut(want.cert_id, sizeof(want.cert_id), l->ask.cert_id);
	uv_timer_start(&p->timer, on_timer, (uint64_t)LOOK_MS, 0);
	if (fault_point("keeper.peer.ask") != 0 || uplink_peer_look(p->keeper->uplink, &want) != 0)
		over(p); /* without a link there is no controller either: it asks again */
}

static void round_over(struct peer_look *p)
{
	struct look *l = &p->look[p->at - 1];
	if (l->code != 0 && l->code != E_PEER_UNDECLARED && p->round < ROUNDS) {
		p->round++;
		p->pausing = true;
		uv_timer_start(&p->timer, on_timer, (uint64_t)fault_ms("VCC_PEER_ROUND_MS", ROUND_MS), 0);
		p->request++;
		return;
	}
	(void)fault_point("keeper.peer.judged");
	answer(p, l);
	over(p);
}

static void next(struct peer_look *p)
{
	for (size_t i = 0; i < PEERS_MAX && p->at == 0; i++)
		if (p->look[i].wanted)
			p->at = i + 1;
	if (p->at == 0)
		return;
	p->round = 1;
	int r = anchors_read(p);
	if (r == 0) {
		round_begin(p);
		return;
	}
	log_line(LOG_LEVEL_WARNING, NULL, "the roots that services of this host hold cannot be read: %s", err_what(r));
	over(p);
}

/* Either the pause between two rounds is over, or the link never answered. */
static void on_timer(uv_timer_t *timer)
{
	struct peer_look *p = timer->data;
	if (p->at == 0)
		return;
	if (p->pausing) {
		p->pausing = false;
		round_begin(p);
		return;
	}
	log_line(LOG_LEVEL_WARNING, NULL, "vcc-agent does not answer: the look at %s is given up", p->look[p->at - 1].ask.cert_id);
	over(p);
}

static void note(struct look *l, int code, const char *cause, struct hash seen)
{
	l->handshakes++;
	if (code == 0) {
		if (l->code == 0)
			l->seen = seen;
		return;
	}
	l->others++;
	if (l->code != 0)
		return;
	l->code = code;
	l->seen = seen;
	text_cut(l->cause, sizeof(l->cause), cause);
}

void peer_look_saw(struct keeper *k, const struct lk_peer_saw *saw)
{
	struct peer_look *p = k->peer_look;
	struct hash       seen = {{0}};
	struct refusal    why = {.code = 0};
	if (p->at == 0 || saw->request != p->request)
		return;
	struct look       *l = &p->look[p->at - 1];
	struct peer_wanted wanted = {
		.fingerprint = l->ask.fingerprint,
		.old_serial = l->ask.old_serial,
		.name = p->conf.row[p->at - 1].name,
		.at = keeper_clock_judge(k),
	};
	int code = saw->code != 0 ? saw->code : peer_judge(&wanted, &p->anchors, saw->chain, &seen, &why);
	note(l, code, saw->code != 0 ? saw->text : why.cause, seen);
	if (saw->last)
		round_over(p);
}

/* ---- asked ------------------------------------------------------------------------------------------------------- */

void peer_look_asked(struct keeper *k, const struct msg_peer_look *m)
{
	struct peer_look       *p = k->peer_look;
	const struct peer_told *row = peers_conf_find(&p->conf, m->cert_id);
	if (row == NULL) {
		log_line(LOG_LEVEL_WARNING, NULL, "asked to look at %s, which agent.conf of this host does not name: refused", m->cert_id);
		refuse_look(p, m, E_PEER_UNDECLARED, "agent.conf of this host does not name it");
		return;
	}
	size_t       i = (size_t)(row - p->conf.row);
	struct look *l = &p->look[i];
	bool         same = l->wanted && id_equal(l->ask.renewal_id, m->renewal_id) && l->ask.attempt == m->attempt &&
	            hash_equal(l->ask.fingerprint, m->fingerprint);
	if (same)
		return; /* the answer is on its way */
	if (p->at == i + 1)
		over(p); /* another question about the same: it begins anew */
	*l = (struct look){.wanted = true, .ask = *m};
	if (p->at == 0)
		next(p);
}

void peer_look_welcomed(struct keeper *k)
{
	const struct peers_conf *conf = &k->peer_look->conf;
	struct body_relies       body = {.made_at = clock_now(), .n_rows = (uint32_t)conf->n};
	for (size_t i = 0; i < conf->n; i++)
		body.rows[i] = conf->row[i];
	int r = uplink_send_signed(k->uplink, MSG_RELIES, LABEL_RELIES, &wire_body_relies, &body);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "what this host relies on cannot be signed: %s", err_what(r));
}

void peer_look_lost(struct keeper *k)
{
	struct peer_look *p = k->peer_look;
	for (size_t i = 0; i < PEERS_MAX; i++)
		p->look[i].wanted = false;
	if (p->at != 0)
		over(p);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int peer_look_open(struct keeper *k, struct refusal *why)
{
	struct peer_look *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return refuse(why, E_NOMEM, "peer.relies", "no memory");
	int r = peers_conf_read(k->conf->relies, &p->conf, why);
	if (r == 0 && uv_timer_init(&k->loop, &p->timer) != 0)
		r = refuse(why, E_NOMEM, "peer.relies", "no memory");
	if (r != 0) {
		free(p);
		return r;
	}
	p->keeper = k;
	p->timer.data = p;
	k->peer_look = p;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void peer_look_close(struct keeper *k)
{
	struct peer_look *p = k->peer_look;
	if (p == NULL)
		return;
	k->peer_look = NULL;
	peer_anchors_free(&p->anchors);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}
