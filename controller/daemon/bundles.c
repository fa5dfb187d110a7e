/* bundles.c - room controller/daemon: trust bundles from the signer into the store, and from there to hosts.
 * Never: making or changing one; handing one on that is not stored. */
#include "controller/daemon/bundles.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/log.h"

/* A bundle makes every service of a host load its files anew: twenty hosts a second. */
enum { TURN_MS = 50, LOOKED_AT_PER_TURN = 200, BUNDLE_MAX = 32768, NAME_SIZE = 32 };
#define BUNDLE_IDS (UINT64_C(1) << 61)

struct bundles {
	struct controller *ctl;
	struct bundle_told list[BUNDLES_MAX];    /* stored, lowest epoch first, without a gap */
	size_t             n, handed;            /* list[handed] is what hosts get now */
	struct bundle_told waiting[BUNDLES_MAX]; /* told by the signer, not stored yet */
	size_t             n_waiting;
	bool               storing;
	uv_timer_t         turn;
	char               last[AGENT_NAME_SIZE]; /* the host that was looked at last */
	size_t             left;                  /* to be looked at, one after the other from there on */
};

/* ---- one bundle ------------------------------------------------------------------------------------------------- */

void bundle_told_free(struct bundle_told *b)
{
	buf_free(&b->frame);
}

static int body_take(struct bundle_told *b)
{
	struct body_bundle body;
	int                r = wire_body_decode(&wire_body_bundle, b->message.body, &body);
	if (r < 0)
		return r;
	b->epoch = body.epoch;
	b->threshold = body.threshold;
	b->made_at = body.made_at;
	b->previous = body.previous;
	b->n_roots = body.n_roots;
	memcpy(b->roots, body.roots, sizeof(b->roots));
	digest_sha256(b->message.body, &b->hash);
	return body.epoch > 0 && body.n_roots > 0 ? 0 : E_WIRE_MESSAGE;
}

int bundle_told_read(struct span bytes, struct bundle_told *ret)
{
	struct bundle_told b = {.frame = BUF_MAX(BUNDLE_MAX)};
	struct wire_frame *frame = malloc(sizeof(*frame)); /* large */
	buf_add(&b.frame, bytes.p, bytes.n);
	int r = frame != NULL ? buf_error(&b.frame) : E_NOMEM;
	if (r == 0)
		r = wire_decode(&wire_agent, buf_span(&b.frame), 0, frame);
	if (r == 0 && frame->type != MSG_BUNDLE)
		r = E_WIRE_MESSAGE;
	if (r == 0) {
		b.message = frame->u.bundle;
		r = body_take(&b);
	}
	free(frame);
	if (r < 0)
		bundle_told_free(&b);
	else
		*ret = b;
	return r;
}

static const char *name_of(uint64_t epoch, char ret[NAME_SIZE])
{
	if (epoch == 0)
		(void)snprintf(ret, NAME_SIZE, "bundle");
	else
		(void)snprintf(ret, NAME_SIZE, "bundle-%" PRIu64, epoch);
	return ret;
}

int bundle_told_view(struct store_view *view, uint64_t epoch, struct bundle_told *ret)
{
	struct buf frame = BUF_MAX(BUNDLE_MAX);
	char       name[NAME_SIZE];
	int        r = view_setting(view, name_of(epoch, name), &frame);
	if (r == 0)
		r = bundle_told_read(buf_span(&frame), ret);
	buf_free(&frame);
	return r;
}

bool bundle_told_has(const struct bundle_told *b, struct span root_der)
{
	for (uint32_t i = 0; i < b->n_roots; i++)
		if (span_equal(b->roots[i].certificate, root_der))
			return true;
	return false;
}

static bool takes_away(const struct bundle_told *before, const struct bundle_told *next)
{
	for (uint32_t i = 0; i < before->n_roots; i++)
		if (!bundle_told_has(next, before->roots[i].certificate))
			return true;
	return false;
}

/* ---- start ------------------------------------------------------------------------------------------------------ */

int bundles_open(struct controller *ctl, struct bundles **ret)
{
	struct bundles *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return E_NOMEM;
	b->ctl = ctl;
	uv_timer_init(ctl->loop, &b->turn);
	b->turn.data = b;
	*ret = b;
	return 0;
}

static int load_known(struct bundles *b, struct store_view *view)
{
	struct bundle_told now;
	int                r = bundle_told_view(view, 0, &now);
	if (r != 0)
		return r;
	while (b->n < BUNDLES_MAX && (r = bundle_told_view(view, b->n + 1, &b->list[b->n])) == 0)
		b->n++;
	if (r == E_NOT_FOUND)
		r = 0;
	if (r == 0 && b->n == 0) { /* there was never another one */
		b->list[b->n++] = now;
		now = (struct bundle_told){.epoch = b->list[0].epoch};
	}
	while (b->handed + 1 < b->n && b->list[b->handed].epoch < now.epoch)
		b->handed++;
	if (r == 0 && b->list[b->handed].epoch != now.epoch)
		r = E_NOT_FOUND;
	bundle_told_free(&now);
	return r;
}

int bundles_load(struct controller *ctl, struct refusal *why)
{
	int r = load_known(ctl->bundles, ctl->view);
	return r < 0 ? refuse(why, r, "bundle", "the store holds no trust bundle; run `vccctl init` first") : 0;
}

void bundles_close(struct bundles *b)
{
	uv_close((uv_handle_t *)&b->turn, NULL);
}

void bundles_free(struct bundles *b)
{
	if (b == NULL)
		return;
	for (size_t i = 0; i < b->n; i++)
		bundle_told_free(&b->list[i]);
	for (size_t i = 0; i < b->n_waiting; i++)
		bundle_told_free(&b->waiting[i]);
	free(b);
}

struct span bundles_frame(const struct controller *ctl)
{
	return buf_span(&ctl->bundles->list[ctl->bundles->handed].frame);
}

uint64_t bundles_epoch(const struct controller *ctl)
{
	return ctl->bundles->list[ctl->bundles->handed].epoch;
}

bool bundles_trust(const struct controller *ctl, struct span root_der)
{
	return bundle_told_has(&ctl->bundles->list[ctl->bundles->handed], root_der);
}

bool bundles_keep(const struct controller *ctl, struct span root_der)
{
	const struct bundles *b = ctl->bundles;
	for (size_t i = b->handed; i < b->n; i++)
		if (!bundle_told_has(&b->list[i], root_der))
			return false;
	return true;
}

uint64_t bundles_since(const struct controller *ctl, struct span root_der)
{
	const struct bundles *b = ctl->bundles;
	for (size_t i = 0; i < b->n; i++)
		if (bundle_told_has(&b->list[i], root_der))
			return b->list[i].epoch;
	return 0;
}

struct span bundles_other(const struct controller *ctl, struct span root_der)
{
	const struct bundle_told *now = &ctl->bundles->list[ctl->bundles->handed];
	for (uint32_t i = 0; now->n_roots == 2 && i < now->n_roots; i++)
		if (!span_equal(now->roots[i].certificate, root_der))
			return now->roots[i].certificate;
	return (struct span){NULL, 0};
}

/* ---- to hosts --------------------------------------------------------------------------------------------------- */

/* One after the other: a host takes only the one that follows its own. */
static bool give(struct bundles *b, struct member *m)
{
	for (size_t i = 0; i <= b->handed; i++)
		if (b->list[i].epoch > m->trust_told &&
		    !fleet_send(b->ctl, m->name, MSG_BUNDLE, BUNDLE_IDS | b->list[i].epoch, &b->list[i].message, false))
			return false;
	m->trust_told = bundles_epoch(b->ctl);
	return true;
}

static void on_turn(uv_timer_t *timer)
{
	struct bundles *b = timer->data;
	for (int i = 0; i < LOOKED_AT_PER_TURN && b->left > 0; i++, b->left--) {
		const struct member *last = b->last[0] != '\0' ? fleet_member(b->ctl, b->last) : NULL;
		const struct member *next = fleet_next(b->ctl, last);
		struct member       *m = next != NULL ? fleet_member(b->ctl, next->name) : NULL;
		text_cut(b->last, sizeof(b->last), m != NULL ? m->name : ""); /* "": round and round */
		if (m != NULL && fleet_connected(b->ctl, m->name) && m->trust_told < bundles_epoch(b->ctl) && give(b, m))
			return;
	}
	if (b->left == 0)
		(void)uv_timer_stop(timer);
}

static void round_begin(struct bundles *b)
{
	b->left = fleet_size(b->ctl) + 1; /* and the turn that begins anew */
	if (!b->ctl->stopping && !uv_is_active((uv_handle_t *)&b->turn))
		(void)uv_timer_start(&b->turn, on_turn, 0, TURN_MS);
}

void bundles_hello(struct controller *ctl, struct member *m, uint64_t epoch)
{
	m->trust_told = m->trust_epoch = epoch;
	if (epoch < bundles_epoch(ctl))
		round_begin(ctl->bundles);
}

bool bundles_acked(struct controller *ctl, struct member *m, const struct msg_ack *ack)
{
	char code[ERR_CODE_SIZE];
	(void)ctl;
	if ((ack->id & BUNDLE_IDS) == 0)
		return false;
	if (ack->code != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "agent %s refuses trust bundle %" PRIu64 ": %s %s", m->name,
			 ack->id & ~BUNDLE_IDS, err_code(ack->code, code), ack->text);
	else if ((ack->id & ~BUNDLE_IDS) > m->trust_epoch)
		m->trust_epoch = ack->id & ~BUNDLE_IDS;
	return true;
}

/* ---- from the signer -------------------------------------------------------------------------------------------- */

static void store_next(struct bundles *b);

static void wait_drop(struct bundles *b)
{
	for (size_t i = 0; i < b->n_waiting; i++)
		bundle_told_free(&b->waiting[i]);
	b->n_waiting = 0;
}

static void complain(uint64_t epoch, const char *what)
{
	struct refusal why = {0};
	char           name[NAME_SIZE];
	(void)refuse(&why, E_SIGNER_BUNDLE, name_of(epoch, name), "%s", what);
	log_refusal(LOG_LEVEL_ERROR, NULL, &why);
}

struct stored {
	bool handed;
};

static void on_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct stored *s = value;
	struct bundles      *b = ctl->bundles;
	b->list[b->n++] = b->waiting[0];
	b->n_waiting--;
	memmove(b->waiting, b->waiting + 1, b->n_waiting * sizeof(b->waiting[0]));
	log_line(LOG_LEVEL_NOTICE, NULL, "trust bundle %" PRIu64 " %s", b->list[b->n - 1].epoch,
		 s->handed ? "goes to hosts" : "takes a root away and is kept back: hosts may still need it");
	if (!s->handed)
		return;
	b->handed = b->n - 1;
	round_begin(b);
}

static void on_done(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctx, (void)result;
	ctl->bundles->storing = false;
	if (code == 0 && !ctl->stopping)
		store_next(ctl->bundles);
}

static void put(struct commit *c, uint64_t epoch, const struct bundle_told *b)
{
	char name[NAME_SIZE];
	store_put_setting(commit_change(c), name_of(epoch, name), buf_span(&b->frame));
}

static void store_it(struct bundles *b, const struct bundle_told *newest, const struct bundle_told *next)
{
	struct stored  s = {.handed = b->handed == b->n - 1 && !takes_away(newest, next)};
	struct commit *c = commit_new(b->ctl);
	char           name[NAME_SIZE];
	if (b->n == 1)
		put(c, newest->epoch, newest);
	put(c, next->epoch, next);
	if (s.handed)
		put(c, 0, next);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_TRUST_BUNDLE, .actor = "signer", .object = name_of(next->epoch, name)},
		     "{s:I,s:I,s:b}", "epoch", (json_int_t)next->epoch, "roots", (json_int_t)next->n_roots, "kept_back",
		     (int)!s.handed);
	commit_then(c, on_stored, &s, sizeof(s));
	commit_fault_points(c, "controller.bundle", "controller.bundle_stored");
	b->storing = true;
	commit_now(c, on_done, NULL);
}

/* The next one takes away this root, and no other. */
static bool only_lacks(const struct bundle_told *before, const struct bundle_told *next, struct span root_der)
{
	for (uint32_t i = 0; i < before->n_roots; i++)
		if (!bundle_told_has(next, before->roots[i].certificate) && !span_equal(before->roots[i].certificate, root_der))
			return false;
	return !bundle_told_has(next, root_der);
}

static void on_released(struct controller *ctl, const void *value, size_t n)
{
	(void)value, (void)n;
	struct bundles *b = ctl->bundles;
	b->handed++;
	log_line(LOG_LEVEL_NOTICE, NULL, "trust bundle %" PRIu64 " goes to hosts", bundles_epoch(ctl));
	crls_republish(ctl);
	round_begin(b);
}

static void hand_next(struct bundles *b)
{
	const struct bundle_told *next = &b->list[b->handed + 1];
	struct commit            *c = commit_new(b->ctl);
	char                      name[NAME_SIZE];
	put(c, 0, next);
	commit_audit(c,
		     &(struct audit_of){
			     .event = AUDIT_TRUST_RELEASED, .actor = "controller", .object = name_of(next->epoch, name)},
		     "{s:I,s:I}", "epoch", (json_int_t)next->epoch, "roots", (json_int_t)next->n_roots);
	commit_then(c, on_released, "", 1);
	commit_fault_points(c, "controller.forget", "controller.forget_stored");
	b->storing = true;
	commit_now(c, on_done, NULL);
}

int bundles_release(struct controller *ctl, struct span root_der)
{
	struct bundles           *b = ctl->bundles;
	const struct bundle_told *now = &b->list[b->handed];
	if (!bundle_told_has(now, root_der))
		return 0;
	if (b->handed + 1 >= b->n || !only_lacks(now, &b->list[b->handed + 1], root_der))
		return E_NOT_FOUND;
	if (b->storing)
		return E_API_BUSY;
	hand_next(b);
	return 0;
}

static void store_next(struct bundles *b)
{
	const struct bundle_told *newest = &b->list[b->n - 1], *next = &b->waiting[0];
	if (b->storing || b->n_waiting == 0)
		return;
	if (b->n < BUNDLES_MAX && next->epoch == newest->epoch + 1 && hash_equal(next->previous, newest->hash)) {
		store_it(b, newest, next);
		return;
	}
	complain(next->epoch, "it does not follow the one before");
	wait_drop(b);
}

void bundles_told(struct controller *ctl, struct span frame)
{
	struct bundles    *b = ctl->bundles;
	struct bundle_told told;
	if (bundle_told_read(frame, &told) < 0) {
		complain(0, "what the signer tells is none");
		return;
	}
	const struct bundle_told *known = NULL;
	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].epoch == told.epoch)
			known = &b->list[i];
	for (size_t i = 0; i < b->n_waiting; i++)
		if (b->waiting[i].epoch == told.epoch)
			known = &b->waiting[i];
	if (known != NULL && !hash_equal(known->hash, told.hash))
		complain(told.epoch, "the signer has another one of this epoch");
	if (known != NULL || b->n_waiting == BUNDLES_MAX) {
		bundle_told_free(&told);
		return;
	}
	b->waiting[b->n_waiting++] = told;
	store_next(b);
}

void bundles_tick(struct controller *ctl)
{
	struct bundles *b = ctl->bundles;
	if (ctl->stopping)
		return;
	store_next(b);
	/* it was held up by one before it that has gone out meanwhile */
	if (!b->storing && b->handed + 1 < b->n && !takes_away(&b->list[b->handed], &b->list[b->handed + 1]))
		hand_next(b);
}
