/* sign_serve.c - room controller/signer: one batch of requests: decode and judge, make durable, sign and answer.
 * Never: signing what is not in the log, touching a socket. */
#include "controller/signer/sign_serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/signer/root_list.h"
#include "controller/signer/sign_pool.h"
#include "controller/signer/successor.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/wire/wire.h"

enum {
	LOG_LINES = 4,
	TBS_MAX = SIGN_BATCH_MAX * CERT_DER_MAX,
	DER_MAX = 1 << 20,
	DER_KEPT = 8192
};

struct serve;
struct job;

/* What becomes of each kind of request; the table stands below, behind what it names. */
struct kind {
	uint16_t type;
	int (*judge)(struct serve *v, struct job *j, int64_t now);
	int (*sign)(struct serve *v, struct job *j, unsigned hand);
	int (*answer)(const struct job *j, struct buf *out);
};
static const struct kind *kind_of(uint16_t type); /* NULL = nothing that a signer is asked for */

/* One request on its way through the batch. */
struct job {
	uint64_t           id;
	uint16_t           type;
	const struct kind *kind;
	struct refusal     why; /* code 0 = will be signed */
	struct ca         *ca;
	bool               repeat;
	/* SG_ISSUE */
	struct serial serial;
	enum hash_alg hash_alg;
	size_t        tbs_at, tbs_n; /* in serve.tbs */
	/* SG_CRL; its entries point into the input, which stays until the batch is done */
	struct sg_crl crl;
	/* SG_HEAD */
	struct sg_head head;
	/* SG_SUCCESSOR, SG_CLOSE: of whom it speaks */
	char issuer_id[ISSUER_ID_SIZE];
	/* what is signed: certificate, list or signature; its memory stays for the next batch */
	struct buf der;
};

struct serve {
	struct signer    *signer;
	struct job        jobs[SIGN_BATCH_MAX];
	size_t            n, n_lists, n_refused;
	struct wire_frame frame;
	struct buf        tbs; /* of all jobs, one after the other */
	struct sign_pool *pool;
	struct crl_entry *entries;
	struct successor  made; /* of the batch: one at most */
	bool              making;
};

int serve_new(struct signer *s, struct serve **ret)
{
	struct serve *v = calloc(1, sizeof(*v));
	if (v != NULL)
		v->entries = calloc(ISSUANCES_PER_SHARD, sizeof(*v->entries));
	int r = v == NULL || v->entries == NULL ? E_NOMEM : sign_pool_new(&v->pool);
	if (r < 0) {
		serve_free(v);
		return r;
	}
	v->signer = s;
	v->tbs.max = TBS_MAX;
	for (size_t i = 0; i < N_ELEMENTS(v->jobs); i++)
		v->jobs[i].der.max = DER_MAX;
	*ret = v;
	return 0;
}

void serve_free(struct serve *v)
{
	if (v == NULL)
		return;
	sign_pool_free(v->pool);
	successor_free(&v->made);
	for (size_t i = 0; i < N_ELEMENTS(v->jobs); i++)
		buf_free(&v->jobs[i].der);
	buf_free(&v->tbs);
	free(v->entries);
	free(v);
}

/* Appends one frame with its length before it. */
static int put_frame(struct buf *out, uint16_t type, uint64_t id, const void *payload)
{
	size_t  at = out->n;
	uint8_t zero[IPC_HEAD] = {0};

	buf_add(out, zero, sizeof(zero));
	int r = wire_encode(&wire_signer, type, id, payload, out);
	if (r == 0)
		r = buf_error(out);
	if (r < 0)
		return r;
	be_put(out->p + at, out->n - at - IPC_HEAD, IPC_HEAD);
	return 0;
}

int serve_hello(struct serve *v, struct buf *out)
{
	struct signer    *s = v->signer;
	struct sg_hello   hello = {.version = VCC_VERSION, .window_top = sign_log_top(s->log), .issuers = (uint32_t)s->cas.n};
	struct audit_head head;

	sign_log_head(s->log, &head);
	hello.head_size = head.size;
	hello.head_root = head.root;
	int r = put_frame(out, SG_HELLO, 0, &hello);
	for (size_t i = 0; i < s->cas.n && r == 0; i++) {
		const struct issuer *issuer = &s->cas.ca[i].issuer;
		struct sg_issuer     row = {.certificate = {issuer->der, issuer->der_len},
					    .offline = s->cas.ca[i].key == NULL,
					    .cross = buf_span(&s->cas.ca[i].cross),
					    .list = buf_span(&s->cas.ca[i].list)};
		r = text_copy(row.issuer_id, sizeof(row.issuer_id), issuer->issuer_id);
		if (r == 0)
			r = put_frame(out, SG_ISSUER, 0, &row);
	}
	for (size_t i = 1; i < s->n_bundles && r == 0; i++) { /* the first came with the installation */
		struct sg_bundle row = {.frame = buf_span(&s->bundles[i].frame)};
		r = put_frame(out, SG_BUNDLE, 0, &row);
	}
	return r;
}

/* ---- judging ---- */

static int find_ca(struct serve *v, struct job *j, const char *issuer_id)
{
	j->ca = ca_store_find(&v->signer->cas, issuer_id);
	if (j->ca == NULL)
		return refuse(&j->why, E_SIGNER_ISSUER, issuer_id, "%s", err_what(E_SIGNER_ISSUER));
	if (j->ca->key == NULL)
		return refuse(&j->why, E_SIGNER_ISSUER, issuer_id, "the key of this authority is kept offline");
	return 0;
}

static bool is_ca_key(const struct ca_store *cas, const struct cert_facts *f)
{
	for (size_t i = 0; i < cas->n; i++)
		if (cas->ca[i].spki_len == f->spki_len && memcmp(cas->ca[i].spki, f->spki, f->spki_len) == 0)
			return true;
	return false;
}

/* Builds the bytes from the facts; they must be the ones that the controller has recorded as its intent. */
static int build(struct serve *v, struct job *j, const struct cert_facts *f, const struct hash *wanted)
{
	struct hash got;

	j->tbs_at = v->tbs.n;
	int r = issue_tbs(j->ca->prepared, f, &v->tbs);
	if (r == 0)
		r = buf_error(&v->tbs);
	if (r < 0)
		return refuse(&j->why, r, leaf_profile_name(f->profile), "the facts cannot be encoded");
	j->tbs_n = v->tbs.n - j->tbs_at;
	struct span tbs = {v->tbs.p + j->tbs_at, j->tbs_n};
	digest_sha256(tbs, &got);
	if (!hash_equal(got, *wanted))
		return refuse(&j->why, E_SIGNER_HASH, leaf_profile_name(f->profile), "%s", err_what(E_SIGNER_HASH));
	return issue_lint(j->ca->prepared, f, tbs, &j->why);
}

/* Closed for good: who asks for OCSP answers and lists of what it signed is still answered. */
static int check_open(struct job *j, const struct cert_facts *f)
{
	return j->ca->closed && f->profile != LEAF_OCSP
		       ? refuse(&j->why, E_SIGNER_CLOSED, j->ca->issuer.issuer_id, "%s", err_what(E_SIGNER_CLOSED))
		       : 0;
}

static int judge_issue(struct serve *v, struct job *j, int64_t now)
{
	const struct sg_issue   *q = &v->frame.u.sg_issue;
	const struct cert_facts *f = &q->facts;

	j->serial = f->serial;
	j->hash_alg = f->hash_alg;
	if (fault_point_of("signer.judge", f->common_name) != 0)
		return refuse(&j->why, E_SYS_IO, leaf_profile_name(f->profile), "refused by a test");
	int r = find_ca(v, j, f->issuer_id);
	if (r == 0)
		r = check_open(j, f);
	if (r == 0)
		r = limits_leaf(v->signer->conf, j->ca, f, now, &j->why);
	if (r == 0 && !sign_log_has(v->signer->log, f->serial, q->tbs_hash)) /* that hash is proved by build() */
		r = limits_leaf_age(f, now, &j->why);
	if (r == 0 && is_ca_key(&v->signer->cas, f))
		r = refuse(&j->why, E_SIGNER_LIMIT, leaf_profile_name(f->profile), "this is the key of an authority");
	if (r == 0)
		r = build(v, j, f, &q->tbs_hash);
	if (r == 0)
		r = sign_log_add(v->signer->log, f->serial, q->tbs_hash, f->profile, &j->repeat, &j->why);
	return r;
}

static int judge_list(struct serve *v, struct job *j, int64_t now)
{
	const struct sg_crl *q = &v->frame.u.sg_crl;
	struct hash          content;

	j->crl = *q;
	int r = find_ca(v, j, q->issuer_id);
	if (r < 0 && (j->ca == NULL || j->ca->issuer.role != ISSUER_ROOT))
		return r;
	bool away = r < 0;
	j->why = (struct refusal){.code = 0};
	r = limits_crl(j->ca, q, now, &j->why);
	if (r == 0)
		r = list_shape(q, &j->why);
	if (r == 0 && away) /* a person carries it to the key */
		r = root_list_ask(v->signer->conf, j->ca, q, v->signer->log, now, &j->why);
	if (r < 0)
		return r;
	if (j->ca->issuer.role == ISSUER_ROOT) /* what waited while its key was away is not carried there any more */
		root_list_forget(v->signer->conf, q->issuer_id);
	list_hash(q, &content);
	return sign_log_add_list(v->signer->log, q->issuer_id, q->shard, q->number, content, &j->repeat, &j->why);
}

/* The heads of the audit trail are signed by the authority that hosts already know: the agents', the first that was not closed.
 */
static struct ca *audit_ca(struct ca_store *cas)
{
	for (size_t i = 0; i < cas->n; i++)
		if (cas->ca[i].issuer.role == ISSUER_AGENT && cas->ca[i].key != NULL && !cas->ca[i].closed)
			return &cas->ca[i];
	return NULL;
}

static int judge_head(struct serve *v, struct job *j, int64_t now)
{
	const struct sg_head *q = &v->frame.u.sg_head;
	j->ca = audit_ca(&v->signer->cas);
	if (j->ca == NULL)
		return refuse(&j->why, E_SIGNER_ISSUER, "audit head", "no authority for agents has its key here");
	int r = limits_head(q, now, &j->why);
	return r == 0 ? sign_log_add_head(v->signer->log, q->size, q->root, q->at, q->proof, &j->repeat, &j->why) : r;
}

static int judge_successor(struct serve *v, struct job *j, int64_t now)
{
	const struct sg_successor *q = &v->frame.u.sg_successor;
	/* of authorities there is no window of profiles: no leaf has this one */
	static const enum leaf_profile authority = (enum leaf_profile)255;

	text_cut(j->issuer_id, sizeof(j->issuer_id), q->successor_id);
	if (v->making)
		return refuse(&j->why, E_SIGNER_RATE, q->successor_id, "another authority is just being made");
	/* before its key is made: in a token each one takes a place */
	int r = ca_store_find(&v->signer->cas, q->successor_id) == NULL ? sign_log_may(v->signer->log, q->serial, &j->why) : 0;
	if (r == 0)
		r = successor_begin(&v->signer->cas, v->signer->conf, q->issuer_id, q->successor_id, q->serial, now, &v->made, &j->ca,
				    &j->why);
	if (r < 0 || j->ca != NULL)
		return r;
	v->making = true;
	return sign_log_add(v->signer->log, q->serial, v->made.tbs_hash, authority, &j->repeat, &j->why);
}

static int judge_close(struct serve *v, struct job *j, int64_t now)
{
	const struct sg_close *q = &v->frame.u.sg_close;
	(void)now;
	text_cut(j->issuer_id, sizeof(j->issuer_id), q->issuer_id);
	j->ca = ca_store_find(&v->signer->cas, q->issuer_id);
	return j->ca != NULL ? 0 : refuse(&j->why, E_SIGNER_ISSUER, q->issuer_id, "%s", err_what(E_SIGNER_ISSUER));
}

/* One frame becomes one job; what is refused is a job, too, and is answered in its turn. */
static int take_frame(struct serve *v, struct span bytes, int64_t now, int64_t mono)
{
	int r = wire_decode(&wire_signer, bytes, 0, &v->frame);
	if (r < 0)
		return r;
	const struct kind *kind = kind_of(v->frame.type);
	if (kind == NULL)
		return E_WIRE_MESSAGE;

	struct job *j = &v->jobs[v->n++];
	*j = (struct job){.id = v->frame.id, .type = kind->type, .kind = kind, .der = j->der};
	buf_reset(&j->der);
	if (j->type == SG_ISSUE)
		j->serial = v->frame.u.sg_issue.facts.serial;
	else if (j->type == SG_CRL)
		j->crl = v->frame.u.sg_crl;
	else if (j->type == SG_HEAD)
		j->head = v->frame.u.sg_head;
	if (!signer_limits_rate_take(&v->signer->rate, mono))
		r = refuse(&j->why, E_SIGNER_RATE, "signer", "more than %lld signatures a second",
			   (long long)v->signer->rate.rate);
	else
		r = kind->judge(v, j, now);
	if (r < 0 && j->why.code == 0)
		refuse(&j->why, r, "request", "%s", err_what(r));
	if (r < 0)
		v->signer->refused++;
	v->n_lists += j->type == SG_CRL;
	return 0;
}

/* ---- signing ---- */

static int sign_issue(struct serve *v, struct job *j, unsigned hand)
{
	int r = issue_sign(j->ca->prepared, hand, (struct span){v->tbs.p + j->tbs_at, j->tbs_n}, j->hash_alg, &j->der);
	return r == 0 ? buf_error(&j->der) : r;
}

static int sign_list(struct serve *v, struct job *j, unsigned hand)
{
	(void)hand;
	size_t n = list_entries(&j->crl, v->entries);
	char   url[URL_SIZE + ISSUER_ID_SIZE + 32];

	snprintf(url, sizeof(url), "%s/crl/%s/%u.crl", v->signer->conf->public_url, j->crl.issuer_id, j->crl.shard);
	int r = issue_crl(j->ca->prepared, j->crl.number, j->crl.this_update_at, j->crl.next_update_at,
			  j->crl.root ? NULL : url, v->entries, n, &j->der);
	return r == 0 ? buf_error(&j->der) : r;
}

static int sign_head(struct serve *v, struct job *j, unsigned hand)
{
	(void)v;
	(void)hand;
	uint8_t body[AUDIT_HEAD_BODY];
	audit_head_body(j->head.size, j->head.root, j->head.at, body);
	int r = key_sign(j->ca->key, LABEL_HEAD, SPAN_OF(body), &j->der);
	return r == 0 ? buf_error(&j->der) : r;
}

/* One that was there before is only shown again. */
static int make_successor(struct serve *v, struct job *j, unsigned hand)
{
	(void)hand;
	int r = j->ca == NULL ? successor_finish(&v->signer->cas, v->signer->conf, &v->made, &j->ca, &j->why) : 0;
	if (r < 0)
		return r;
	log_line(LOG_LEVEL_NOTICE, NULL, "authority %s is ready", j->ca->issuer.issuer_id);
	buf_add(&j->der, j->ca->issuer.der, j->ca->issuer.der_len);
	return buf_error(&j->der);
}

static int close_old(struct serve *v, struct job *j, unsigned hand)
{
	(void)hand;
	int r = successor_close_old(&v->signer->cas, v->signer->conf, j->issuer_id, &j->why);
	if (r == 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "authority %s signs nothing but lists and OCSP responders any more",
			 j->issuer_id);
	return r;
}

/* Certificates by any thread; the rest, of which there is little, by the first. */
static void sign_job(struct serve *v, struct job *j, unsigned hand)
{
	int r = j->kind->sign(v, j, hand);
	if (r < 0 && j->why.code == 0)
		refuse(&j->why, r, j->ca != NULL ? j->ca->issuer.issuer_id : j->issuer_id, "%s", err_what(r));
}

static void sign_in_pool(void *ctx, size_t i, unsigned hand)
{
	struct serve *v = ctx;
	struct job   *j = &v->jobs[i];
	if (j->type == SG_ISSUE && j->why.code == 0)
		sign_job(v, j, hand);
}

static void sign_all(struct serve *v)
{
	sign_pool_run(v->pool, sign_in_pool, v, v->n);
	for (size_t i = 0; i < v->n; i++)
		if (v->jobs[i].type != SG_ISSUE && v->jobs[i].why.code == 0)
			sign_job(v, &v->jobs[i], 0);
}

static int answer_issue(const struct job *j, struct buf *out)
{
	struct sg_issued a = {.code = j->why.code, .serial = j->serial};
	text_cut(a.text, sizeof(a.text), j->why.cause);
	if (a.code == 0)
		a.certificate = buf_span(&j->der);
	return put_frame(out, SG_ISSUED, j->id, &a);
}

static int answer_list(const struct job *j, struct buf *out)
{
	struct sg_crl_done a = {.code = j->why.code, .shard = j->crl.shard, .number = j->crl.number};
	text_cut(a.text, sizeof(a.text), j->why.cause);
	memcpy(a.issuer_id, j->crl.issuer_id, sizeof(a.issuer_id));
	if (a.code == 0)
		a.crl = buf_span(&j->der);
	return put_frame(out, SG_CRL_DONE, j->id, &a);
}

static int answer_head(const struct job *j, struct buf *out)
{
	struct sg_head_done a = {.code = j->why.code};
	text_cut(a.text, sizeof(a.text), j->why.cause);
	if (a.code == 0) {
		text_cut(a.issuer_id, sizeof(a.issuer_id), j->ca->issuer.issuer_id);
		a.signature = buf_span(&j->der);
	}
	return put_frame(out, SG_HEAD_DONE, j->id, &a);
}

static int answer_successor(const struct job *j, struct buf *out)
{
	struct sg_successor_done a = {.code = j->why.code};
	text_cut(a.text, sizeof(a.text), j->why.cause);
	text_cut(a.issuer_id, sizeof(a.issuer_id), j->issuer_id);
	if (a.code == 0)
		a.certificate = buf_span(&j->der);
	return put_frame(out, SG_SUCCESSOR_DONE, j->id, &a);
}

static int answer_close(const struct job *j, struct buf *out)
{
	struct sg_close_done a = {.code = j->why.code};
	text_cut(a.text, sizeof(a.text), j->why.cause);
	text_cut(a.issuer_id, sizeof(a.issuer_id), j->issuer_id);
	return put_frame(out, SG_CLOSE_DONE, j->id, &a);
}

static const struct kind *kind_of(uint16_t type)
{
	static const struct kind kinds[] = {
		{SG_ISSUE, judge_issue, sign_issue, answer_issue},
		{SG_CRL, judge_list, sign_list, answer_list},
		{SG_HEAD, judge_head, sign_head, answer_head},
		{SG_SUCCESSOR, judge_successor, make_successor, answer_successor},
		{SG_CLOSE, judge_close, close_old, answer_close},
	};
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

static int answer_job(struct serve *v, struct job *j, bool signed_now, struct buf *out)
{
	if (signed_now) {
		if (j->why.code != 0)
			v->signer->refused++;
		else if (j->repeat)
			v->signer->signed_again++;
		else
			v->signer->signed_new++;
		if (fault_point("signer.signed") != 0)
			return E_SYS_IO;
	}
	if (j->why.code != 0 && ++v->n_refused <= LOG_LINES) /* a flood of bad requests must not become a flood of lines */
		log_refusal(err_kind(j->why.code) == ERR_KIND_BUG ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, NULL, &j->why);
	int r = j->kind->answer(j, out);
	if (j->der.cap > DER_KEPT)
		buf_free(&j->der);
	return r;
}

/* ---- the batch ---- */

static int take_all(struct serve *v, struct buf *in, int64_t now, int64_t mono, size_t *ret_used)
{
	size_t      at = 0;
	struct span bytes;

	v->n = v->n_lists = v->n_refused = 0;
	v->making = false;
	successor_free(&v->made);
	buf_reset(&v->tbs);
	size_t most = v->signer->hsm != NULL ? SERVE_TOKEN_MAX : SIGN_BATCH_MAX;
	while (v->n < most && v->n_lists < SERVE_LISTS_MAX) {
		int r = ipc_take(in, &at, wire_signer.frame_max, &bytes);
		if (r > 0)
			r = take_frame(v, bytes, now, mono);
		else if (r == 0)
			break;
		if (r < 0)
			return r;
	}
	*ret_used = at;
	return 0;
}

int serve_batch(struct serve *v, struct buf *in, int64_t now, int64_t mono, struct buf *out, size_t *ret_done)
{
	size_t used = 0, before = out->n;

	int bad = take_all(v, in, now, mono, &used);
	if (bad == 0 && v->n > 0 && fault_point("signer.taken") != 0)
		bad = E_SYS_IO;
	/* what came before a bad frame is reserved and must be durable or undone: it becomes durable, which harms nobody */
	int r = sign_log_commit(v->signer->log, now);
	if (r == E_SYS_IO || bad < 0)
		return r == E_SYS_IO ? r : bad;
	if (v->n > 0 && fault_point("signer.logged") != 0)
		return E_SYS_IO;
	bool to_sign[SIGN_BATCH_MAX];
	for (size_t i = 0; i < v->n; i++) {
		struct job *j = &v->jobs[i];
		if (r < 0 && j->why.code == 0)
			refuse(&j->why, r, "signing log", "%s", err_what(r));
		to_sign[i] = j->why.code == 0;
	}
	sign_all(v);
	for (size_t i = 0; i < v->n; i++) {
		int put = answer_job(v, &v->jobs[i], to_sign[i], out);
		if (put < 0) {
			out->n = before;
			return put;
		}
	}
	if (v->n_refused > LOG_LINES)
		log_line(LOG_LEVEL_WARNING, NULL, "%zu more requests of the same batch were refused", v->n_refused - LOG_LINES);
	buf_drop_front(in, used);
	*ret_done = v->n;
	return 0;
}
