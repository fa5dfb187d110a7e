/* audit_heads.c - room controller/daemon: new rows -> consistency proof -> signature -> row -> agents keep it.
 * Never: a head that does not continue the signer's last one; heads are no records themselves, or there would always be new
 * ones. */
#include "controller/daemon/audit_heads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* Heads have message numbers of their own: an ack that comes after a restart is still about a head of this size. */
#define HEAD_IDS (UINT64_C(1) << 62)

enum {
	ROWS_MAX = 1000, /* so many wait for a head at most, at the next tick */
	WITNESSES = 16,  /* agents that are shown one head, in turns: each costs its host a signature check and an fsync */
	RETRY_MS = 10 * 1000,
	ALARM_EVERY_MS = 3600 * 1000,
	HEAD_FRAME_MAX = 16384,
};

struct audit_heads {
	struct controller   *ctl;
	struct audit_head    last; /* stored; size 0 = none */
	struct audit_head    base; /* what the signer signed last: proofs lead from there */
	bool                 base_known;
	bool                 asking;
	bool                 contradicted;
	bool                 signer_contradicts;
	int                  accusers; /* hosts that know another trail, up to 2 */
	char                 accuser[AGENT_NAME_SIZE]; /* the first of them */
	uint64_t             claimed_first, claimed_other; /* records: by that host, by any other one */
	uint64_t             claimed, forgiven;            /* by the signer; by a person */
	struct audit_head    fitted; /* the last one that somebody remembered rightly: after a restart all hosts say the same */
	int64_t              retry_at, alarm_at; /* monotonic */
	const struct member *shown;              /* the agent that was shown a head last */
};

int audit_heads_open(struct controller *ctl, struct audit_heads **ret)
{
	struct audit_heads *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return E_NOMEM;
	a->ctl = ctl;
	*ret = a;
	return 0;
}

int audit_heads_load(struct controller *ctl)
{
	size_t n;
	return view_audit_heads_down(ctl->view, UINT64_MAX, &ctl->audit_heads->last, 1, &n);
}

void audit_heads_free(struct audit_heads *a)
{
	free(a);
}

bool audit_heads_contradicted(const struct controller *ctl)
{
	return ctl->audit_heads->contradicted;
}

/* ---- alarms ---------------------------------------------------------------------------------------------------- */

/* Once an hour for all of them: after a restore every agent of a large fleet says the same. */
static void raise_alarm(struct controller *ctl, enum audit_event event, const char *object, uint64_t size, struct hash root)
{
	struct audit_heads *a = ctl->audit_heads;
	struct refusal      why;
	char                text[HASH_TEXT_SIZE];
	int64_t             now = clock_monotonic();
	a->contradicted = true;
	if (a->alarm_at != 0 && now < a->alarm_at)
		return;
	a->alarm_at = now + ALARM_EVERY_MS;
	(void)refuse(&why, E_AUDIT_CONTRADICTED, object, "it keeps a head of %llu records with another root",
		     (unsigned long long)size);
	log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	struct commit *c = commit_new(ctl);
	commit_audit(c, &(struct audit_of){.event = event, .actor = "controller", .object = object}, "{s:I,s:s}", "size",
		     (json_int_t)size, "root", hash_text(root, text));
	commit_now(c, NULL, NULL);
}

/* Is this a head that our trail had? A failure to read is no contradiction. */
static bool fits(struct controller *ctl, uint64_t size, struct hash root)
{
	struct audit_head *last = &ctl->audit_heads->fitted;
	struct hash        ours;
	if (size == 0 || (size == last->size && hash_equal(root, last->root)))
		return true;
	int r = view_audit_root_at(ctl->view, size, &ours);
	if (r < 0 || !hash_equal(ours, root))
		return r < 0 && r != E_RANGE;
	*last = (struct audit_head){.size = size, .root = root};
	return true;
}

/* ---- who says so ----------------------------------------------------------------------------------------------- */

static void accuse(struct controller *ctl, const char *agent, uint64_t size)
{
	struct audit_heads *a = ctl->audit_heads;
	if (size <= a->forgiven)
		return;
	restored_saw_head(ctl, agent, size);
	if (a->accusers == 0)
		text_cut(a->accuser, sizeof(a->accuser), agent);
	bool      first = text_equal(a->accuser, agent);
	uint64_t *claim = first ? &a->claimed_first : &a->claimed_other;
	if (size > *claim)
		*claim = size;
	if (a->accusers == 0 || (a->accusers == 1 && !first))
		a->accusers++;
}

bool audit_heads_hold(const struct controller *ctl)
{
	const struct audit_heads *a = ctl->audit_heads;
	return a->signer_contradicts || a->accusers > 1 || (a->accusers == 1 && fleet_size(ctl) <= 1);
}

bool audit_heads_signer_contradicts(const struct controller *ctl)
{
	return ctl->audit_heads->signer_contradicts;
}

int audit_heads_accusers(const struct controller *ctl)
{
	return ctl->audit_heads->accusers;
}

uint64_t audit_heads_claimed(const struct controller *ctl)
{
	const struct audit_heads *a = ctl->audit_heads;
	uint64_t                  shared = a->claimed_first < a->claimed_other ? a->claimed_first : a->claimed_other;
	uint64_t                  hosts = fleet_size(ctl) <= 1 ? a->claimed_first : shared;
	uint64_t                  all = hosts > a->claimed ? hosts : a->claimed;
	return all > a->forgiven ? all : a->forgiven;
}

void audit_heads_forgive(struct controller *ctl, uint64_t size)
{
	struct audit_heads *a = ctl->audit_heads;
	a->forgiven = size;
	a->claimed = a->claimed_first = a->claimed_other = 0;
	a->accusers = 0;
}

/* ---- signing --------------------------------------------------------------------------------------------------- */

static int node_of(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	return view_audit_node(ctx, level, index, ret);
}

static int ask_signer(struct controller *ctl, uint64_t size, int64_t now)
{
	struct audit_heads *a = ctl->audit_heads;
	struct sg_head      q = {.size = size, .at = now > a->last.at ? now : a->last.at};
	struct hash         path[2 * MERKLE_LEVELS];
	uint8_t             proof[AUDIT_PROOF_MAX];
	size_t              n = 0;
	int                 r = view_audit_root_at(ctl->view, size, &q.root);
	if (r == 0)
		r = merkle_consistency(digest_sha256_two, node_of, ctl->view, a->base.size, size, path, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		memcpy(proof + i * sizeof(path[0].b), path[i].b, sizeof(path[0].b));
	q.proof = (struct span){proof, n * sizeof(path[0].b)};

	struct ticket t = {.kind = TICKET_HEAD, .rank = RANK_UPKEEP, .head = {.size = size, .root = q.root, .at = q.at}};
	struct buf    frame = BUF_MAX(HEAD_FRAME_MAX);
	uint64_t      id = signer_crl_id(ctl);
	r = wire_encode(&wire_signer, SG_HEAD, id, &q, &frame);
	if (r == 0) {
		a->asking = true;
		signer_ask(ctl, id, buf_span(&frame), &t);
	}
	buf_free(&frame);
	return r;
}

void audit_heads_tick(struct controller *ctl, int64_t now)
{
	struct audit_heads *a = ctl->audit_heads;
	uint64_t            size;
	if (a->asking || !a->base_known || !signer_ready(ctl) || clock_monotonic() < a->retry_at ||
	    view_audit_size(ctl->view, &size) < 0 || size <= a->last.size)
		return;
	bool waited = now - a->last.at >= ctl->conf->audit_head_ms || now < a->last.at;
	if (!waited && size - a->last.size < ROWS_MAX)
		return;
	int r = ask_signer(ctl, size, now);
	if (r < 0)
		a->retry_at = clock_monotonic() + RETRY_MS;
}

void audit_heads_signer(struct controller *ctl, uint64_t size, struct hash root)
{
	struct audit_heads *a = ctl->audit_heads;
	a->base = (struct audit_head){.size = size, .root = root};
	a->base_known = fits(ctl, size, root);
	a->signer_contradicts = !a->base_known;
	if (a->signer_contradicts && size > a->claimed)
		a->claimed = size; /* hosts keep only heads that it signed: none is longer */
	if (a->base_known)
		a->contradicted =
			false; /* a person has looked at it; a host that still knows better says so with the next head */
	else
		raise_alarm(ctl, AUDIT_SIGNER_HEAD_AHEAD, "signer", size, root);
	if (a->signer_contradicts)
		restored_saw_head(ctl, "signer", size);
}

/* ---- witnesses ------------------------------------------------------------------------------------------------- */

static bool show_to(struct controller *ctl, const char *agent)
{
	const struct audit_head     *h = &ctl->audit_heads->last;
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, h->issuer_id);
	if (issuer == NULL)
		return false;
	struct msg_head m = {.size = h->size,
			     .root = h->root,
			     .at = h->at,
			     .certificate = {issuer->row.der, issuer->row.der_len},
			     .signature = {h->signature, h->signature_len}};
	return fleet_send(ctl, agent, MSG_HEAD, HEAD_IDS | h->size, &m, false);
}

static void show(struct controller *ctl)
{
	struct audit_heads *a = ctl->audit_heads;
	size_t              sent = 0;
	for (size_t left = fleet_size(ctl); left > 0 && sent < WITNESSES; left--) {
		a->shown = fleet_next(ctl, a->shown);
		if (a->shown == NULL)
			a->shown = fleet_next(ctl, NULL);
		sent += show_to(ctl, a->shown->name);
	}
}

static void on_stored(struct controller *ctl, const void *value, size_t n)
{
	const struct audit_head *h = value;
	struct audit_heads      *a = ctl->audit_heads;
	(void)n;
	a->asking = false;
	a->last = *h;
	show(ctl);
}

static void on_not_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)value;
	(void)n;
	ctl->audit_heads->asking = false;
	ctl->audit_heads->retry_at = clock_monotonic() + RETRY_MS;
}

int audit_head_verify(struct span authority, const struct audit_head *h)
{
	struct cert_parts parts;
	struct key       *key = NULL;
	uint8_t           body[AUDIT_HEAD_BODY];
	int               r = cert_parts_read(authority, &parts);
	if (r == 0)
		r = key_from_spki(parts.t.spki, &key);
	audit_head_body(h->size, h->root, h->at, body);
	if (r == 0)
		r = key_verify(key, LABEL_HEAD, SPAN_OF(body), (struct span){h->signature, h->signature_len});
	key_free(key);
	return r;
}

static int check_signature(struct controller *ctl, const struct audit_head *h)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, h->issuer_id);
	return issuer != NULL ? audit_head_verify((struct span){issuer->row.der, issuer->row.der_len}, h) : E_SIGNER_ISSUER;
}

void audit_heads_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *answer)
{
	struct audit_heads *a = ctl->audit_heads;
	struct audit_head   h = t->head;
	int                 r = answer->code;
	if (r == 0 && answer->der.n > sizeof(h.signature))
		r = E_RANGE;
	if (r == 0) {
		memcpy(h.signature, answer->der.p, answer->der.n);
		h.signature_len = (uint16_t)answer->der.n;
		text_cut(h.issuer_id, sizeof(h.issuer_id), answer->text);
		r = check_signature(ctl, &h);
	}
	if (r < 0) {
		struct refusal why;
		(void)refuse(&why, r, "audit head", "%s", answer->code != 0 ? answer->text : err_what(r));
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		on_not_stored(ctl, NULL, 0);
		return;
	}
	a->base = h;
	struct commit *c = commit_new(ctl);
	store_put_audit_head(commit_change(c), &h);
	commit_then(c, on_stored, &h, sizeof(h));
	commit_else(c, on_not_stored, NULL, 0);
	commit_fault_points(c, "controller.head", "controller.head_stored");
	commit_now(c, NULL, NULL);
}

bool audit_heads_acked(struct controller *ctl, const char *agent, const struct msg_ack *ack)
{
	struct audit_heads *a = ctl->audit_heads;
	if ((ack->id & HEAD_IDS) == 0)
		return false;
	if (ack->code == E_AUDIT_HEAD_KEPT) /* of this head or of an earlier one */
		raise_alarm(ctl, AUDIT_HEAD_CONTRADICTED, agent, a->last.size, a->last.root);
	if (ack->code != 0 || ack->id != (HEAD_IDS | a->last.size) || a->last.witness[0] != '\0')
		return true;
	text_cut(a->last.witness, sizeof(a->last.witness), agent);
	a->last.witnessed_at = clock_now();
	struct commit *c = commit_new(ctl);
	store_put_audit_head(commit_change(c), &a->last);
	commit_now(c, NULL, NULL);
	return true;
}

void audit_heads_hello(struct controller *ctl, const char *agent, uint64_t size, struct hash root)
{
	const struct audit_head *last = &ctl->audit_heads->last;
	if (!fits(ctl, size, root)) {
		accuse(ctl, agent, size);
		raise_alarm(ctl, AUDIT_HEAD_CONTRADICTED, agent, size, root);
	}
	else if (last->size > 0 && last->witness[0] == '\0') /* nobody was there when it was signed */
		(void)show_to(ctl, agent);
}
