/* kept_answers.c - room controller/daemon: requests with an Idempotency-Key.
 * Never: deciding what a request does; rights are checked before each time. */
#include "controller/daemon/kept_answers.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

struct kept_request {
	struct kept_request *prev, *next;
	struct kept_answer   row;
	bool                 joined; /* the key is in a change */
	kept_done_fn        *done;
	void                *ctx;
};

struct kept_answers {
	int64_t              swept_at;
	struct kept_request *in_work; /* as many as there are calls: few */
};

int kept_answers_open(struct kept_answers **ret)
{
	struct kept_answers *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return E_NOMEM;
	*ret = k;
	return 0;
}

/* Also where nobody sends keys any more, yesterday's answers end. */
void kept_answers_tick(struct controller *ctl, int64_t now)
{
	if (now < ctl->kept_answers->swept_at + MS_HOUR && now >= ctl->kept_answers->swept_at)
		return;
	ctl->kept_answers->swept_at = now;
	struct commit *c = commit_new(ctl);
	store_end_kept_answers(commit_change(c), now - KEPT_LIFE_MS);
	commit_now(c, NULL, NULL);
}

void kept_answers_free(struct kept_answers *k)
{
	if (k == NULL)
		return;
	struct kept_request *r, *next;
	DL_FOREACH_SAFE (k->in_work, r, next)
		free(r);
	free(k);
}

/* ---- what a request is ---- */

static void add_part(struct buf *to, const void *bytes, size_t n)
{
	buf_add_fmt(to, "%zu:", n);
	buf_add(to, bytes, n);
}

/* Everything that tells two requests apart, the body byte for byte. */
static struct hash request_hash(const struct http_request *q)
{
	struct hash hash, body;
	struct buf  text = BUF_MAX(HTTP_PATH_SIZE + HTTP_ARGS_MAX * (HTTP_ARG_SIZE + 8) + 256);
	digest_sha256(q->body, &body);
	add_part(&text, q->method, strlen(q->method));
	add_part(&text, q->path, strlen(q->path));
	for (size_t i = 0; i < q->n_args; i++)
		add_part(&text, q->args[i], strlen(q->args[i]));
	add_part(&text, &body, sizeof(body));
	digest_sha256(buf_span(&text), &hash);
	buf_free(&text);
	return hash;
}

static bool key_ok(const char *key)
{
	for (const char *p = key; *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return false;
	return key[0] != '\0';
}

static struct hash who_hash(const char *principal)
{
	struct hash hash;
	digest_sha256((struct span){(const uint8_t *)principal, strlen(principal)}, &hash);
	return hash;
}

static struct kept_request *find_in_work(const struct kept_answers *k, struct hash who, const char *key)
{
	struct kept_request *r;
	DL_FOREACH (k->in_work, r)
		if (hash_equal(r->row.who, who) && text_equal(r->row.key, key))
			return r;
	return NULL;
}

/* ---- before ---- */

/* A key is used once by a principal, whatever it shows: a token that was exchanged meanwhile does nothing twice. But what a token may see is
 * not for a weaker one of the same principal. */
static int answer_before(const struct kept_answer *row, struct hash request, struct hash credential, struct kept_found *ret, struct refusal *why)
{
	char id[ID_TEXT_SIZE];
	if (!hash_equal(row->request, request))
		return refuse(why, E_IDEM_OTHER, row->key, "it came with another method, path or body");
	if (!hash_equal(row->credential, credential))
		return refuse(why, E_IDEM_DONE, row->key, "it came with another token or certificate of this principal, request id %s",
			      id_text(row->request_id, id));
	if (row->status == 0)
		return refuse(why, E_IDEM_DONE, row->key, "%s, request id %s", row->secret ? "the answer held a secret" : "the answer was lost",
		              id_text(row->request_id, id));
	ret->status = row->status;
	text_cut(ret->location, sizeof(ret->location), row->location);
	return 0;
}

int kept_answer_find(struct controller *ctl, const struct http_request *q, const struct caller *who, int64_t now, struct kept_found *ret,
                     struct refusal *why)
{
	struct kept_answer row;
	struct hash        principal = who_hash(who->actor);
	uint64_t           n = 0;
	if (!key_ok(q->idempotency_key))
		return refuse(why, E_IDEM_KEY, "Idempotency-Key", "it is empty or holds more than visible ASCII");
	if (find_in_work(ctl->kept_answers, principal, q->idempotency_key) != NULL)
		return refuse(why, E_IDEM_BUSY, q->idempotency_key, "%s", err_what(E_IDEM_BUSY));
	int r = view_kept_answer(controller_view(ctl), principal, q->idempotency_key, &row, &ret->text);
	if (r == 0 && row.at >= now - KEPT_LIFE_MS)
		return answer_before(&row, request_hash(q), who->credential, ret, why);
	if (r == 0 || r == E_NOT_FOUND)
		r = view_kept_count(controller_view(ctl), principal, now - KEPT_LIFE_MS, &n);
	if (r < 0)
		return refuse(why, r, "store", "it cannot be read now");
	return n < KEPT_PER_PRINCIPAL ? 0 : refuse(why, E_IDEM_FULL, who->actor, "%d in 24 h", KEPT_PER_PRINCIPAL);
}

/* ---- meanwhile ---- */

struct kept_request *kept_request_begin(struct controller *ctl, const struct http_request *q, const struct caller *who, int64_t now)
{
	struct kept_request *r = calloc(1, sizeof(*r));
	if (r == NULL)
		abort();
	r->row = (struct kept_answer){.who = who_hash(who->actor), .request = request_hash(q), .credential = who->credential,
				      .request_id = who->request_id, .at = now};
	text_cut(r->row.key, sizeof(r->row.key), q->idempotency_key);
	DL_APPEND(ctl->kept_answers->in_work, r);
	return r;
}

void kept_answers_join(struct controller *ctl, struct id request_id, struct store_change *change)
{
	struct kept_request *r;
	DL_FOREACH (ctl->kept_answers->in_work, r)
		if (!r->joined && id_equal(r->row.request_id, request_id)) {
			r->joined = true;
			store_keep_answer(change, &r->row);
		}
}

/* ---- after ---- */

/* Tokens are shown once. They all begin alike. */
static bool holds_secret(const json_t *answer)
{
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)answer;
	for (void *at = json_object_iter(walk); at != NULL; at = json_object_iter_next(walk, at)) {
		const char *text = json_string_value(json_object_iter_value(at));
		if (text != NULL && (text_starts(text, "vcc_pat_") || text_starts(text, "vcc_join_")))
			return true;
	}
	return false;
}

static void forget(struct controller *ctl, struct kept_request *r)
{
	kept_done_fn *done = r->done;
	void         *ctx = r->ctx;
	DL_DELETE(ctl->kept_answers->in_work, r);
	free(r);
	if (done != NULL)
		done(ctx);
}

static void answer_kept(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)code; /* what was asked for is done, whether this is kept or not */
	(void)result;
	forget(ctl, ctx);
}

void kept_request_end(struct controller *ctl, struct kept_request *r, int status, const char *location, const json_t *answer, kept_done_fn *done,
                      void *ctx)
{
	r->done = done;
	r->ctx = ctx;
	r->row.secret = holds_secret(answer);
	char *text = r->joined && !r->row.secret && answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
	if (text != NULL && strlen(text) <= KEPT_ANSWER_MAX) {
		r->row.status = status;
		r->row.answer = span_text(text);
		text_cut(r->row.location, sizeof(r->row.location), location != NULL ? location : "");
	}
	if (r->joined && (r->row.status != 0 || r->row.secret)) {
		struct commit *c = commit_new(ctl);
		commit_fault_points(c, "controller.kept", "controller.kept_stored");
		store_put_kept_answer(commit_change(c), &r->row);
		commit_now(c, answer_kept, r);
	} else {
		forget(ctl, r);
	}
	free(text);
}
