/* audit_verify.c - room controller/cli: leaf hashes recomputed, the tree built anew from them, every head compared with it.
 * A line must be written as the controller writes it, byte for byte: then nothing can be changed without being seen.
 * Never: believing a number or a hash of the file that was not recomputed or signed. */
#include "controller/cli/audit_verify.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <uthash.h>

#include "shared/base/text.h"
#include "shared/model/messages.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"

struct person {
	char           alias[ACTOR_SIZE];
	UT_hash_handle hh;
};

struct signer_key {
	char        issuer_id[ISSUER_ID_SIZE];
	struct key *key;
};

/* A receipt as records name it. */
struct evidence {
	struct hash host, receipt;
	uint64_t    seq;
};

enum part { PART_BEGIN, PART_ISSUERS, PART_PERSONS, PART_ROWS, PART_END };

struct verifier {
	struct span              roots;
	const struct known_head *known;
	size_t                   n_known;
	enum part                part;
	uint64_t                 line, row; /* under judgement */
	struct merkle_frontier   tree;
	struct signer_key        issuers[VERIFY_ISSUERS_MAX];
	size_t                   n_issuers;
	struct person           *persons;
	char                     last_name[ACTOR_SIZE];
	int64_t                  head_at;
	struct evidence          named, given; /* receipt that the last record names, that was given last */
	struct evidence          before;       /* that a record named last: it stands beside the first of those that name it in a row */
	bool                     missing;      /* `named` was not given yet */
	bool                     may_follow;   /* in the next line, and in no later one */
	uint64_t                 sure; /* rows below are proved by the last head that fitted */
	struct buf               text; /* a line as it must be, or a leaf */
	struct verify_report     report;
};

int verifier_new(struct span roots, const struct known_head *known, size_t n, struct verifier **ret)
{
	struct verifier *v = calloc(1, sizeof(*v));
	if (v == NULL)
		return E_NOMEM;
	v->roots = roots;
	v->known = known;
	v->n_known = n;
	v->text = (struct buf)BUF_MAX(AUDIT_LINE_MAX);
	*ret = v;
	return 0;
}

void verifier_free(struct verifier *v)
{
	if (v == NULL)
		return;
	struct person *p, *tmp;
	HASH_ITER (hh, v->persons, p, tmp) {
		HASH_DEL(v->persons, p);
		free(p);
	}
	for (size_t i = 0; i < v->n_issuers; i++)
		key_free(v->issuers[i].key);
	buf_free(&v->text);
	free(v);
}

/* ---- words ----------------------------------------------------------------------------------------------------- */

static int bad_line(const struct verifier *v, struct refusal *why, const char *what)
{
	char object[64];
	if (v->part == PART_ROWS)
		snprintf(object, sizeof(object), "row %llu (line %llu)", (unsigned long long)v->row,
			 (unsigned long long)v->line);
	else
		snprintf(object, sizeof(object), "line %llu", (unsigned long long)v->line);
	return refuse(why, E_AUDIT_LINE, object, "%s", what);
}

static int bad_rows(const struct verifier *v, struct refusal *why, const char *from)
{
	char object[64];
	if (v->sure + 1 >= v->tree.size)
		snprintf(object, sizeof(object), "row %llu", (unsigned long long)v->sure);
	else
		snprintf(object, sizeof(object), "row %llu or a later one up to %llu", (unsigned long long)v->sure,
			 (unsigned long long)(v->tree.size - 1));
	return refuse(why, E_AUDIT_ROWS, object, "the head of %llu records%s%s has another root",
		      (unsigned long long)v->tree.size, from[0] != '\0' ? " kept by " : "", from);
}

/* ---- fields ---------------------------------------------------------------------------------------------------- */

static bool get_text(const json_t *o, const char *name, char *to, size_t size)
{
	const json_t *t = json_object_get(o, name);
	return json_is_string(t) && text_copy_n(to, size, json_string_value(t), json_string_length(t)) == 0;
}

static bool get_number(const json_t *o, const char *name, int64_t *ret)
{
	const json_t *n = json_object_get(o, name);
	if (!json_is_integer(n))
		return false;
	*ret = json_integer_value(n);
	return true;
}

static bool get_size(const json_t *o, const char *name, uint64_t *ret)
{
	int64_t n;
	if (!get_number(o, name, &n) || n < 0)
		return false;
	*ret = (uint64_t)n;
	return true;
}

static bool get_hash(const json_t *o, const char *name, struct hash *ret)
{
	char text[HASH_TEXT_SIZE];
	return get_text(o, name, text, sizeof(text)) && hash_parse(text, ret) == 0;
}

static bool get_id(const json_t *o, const char *name, struct id *ret)
{
	char text[ID_TEXT_SIZE];
	if (!get_text(o, name, text, sizeof(text)))
		return false;
	*ret = (struct id){{0}};
	return text[0] == '\0' || id_parse(text, ret) == 0;
}

static bool get_blob(const json_t *o, const char *name, uint8_t *to, size_t size, size_t *ret_n)
{
	const json_t *t = json_object_get(o, name);
	return json_is_string(t) && b64url_parse(json_string_value(t), to, size, ret_n) == 0;
}

/* ---- before the rows ------------------------------------------------------------------------------------------- */

static bool get_frontier(const json_t *o, struct merkle_frontier *ret)
{
	const json_t *list = json_object_get(o, "frontier");
	size_t        at = 0;
	if (!get_size(o, "from", &ret->size) || ret->size >> (MERKLE_LEVELS - 1) != 0 || !json_is_array(list))
		return false;
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		if ((ret->size >> level & 1) == 0)
			continue;
		const char *text = json_string_value(json_array_get(list, at++));
		if (text == NULL || strlen(text) != HASH_TEXT_SIZE - 1 || hash_parse(text, &ret->node[level]) < 0)
			return false;
	}
	return at == json_array_size(list);
}

static int check_known(struct verifier *v, struct refusal *why);

static int take_begin(struct verifier *v, const json_t *o, struct refusal *why)
{
	int64_t version = 0;
	if (!get_number(o, "vcc_audit_export", &version))
		return bad_line(v, why, "this is not an export of an audit trail");
	if (version != AUDIT_EXPORT_VERSION)
		return bad_line(v, why, "a form of export that this program does not know");
	if (!get_frontier(o, &v->tree))
		return bad_line(v, why, "the right edge of the tree does not fit the first row");
	audit_line_begin(&v->tree, &v->text);
	v->report.from = v->report.size = v->sure = v->tree.size;
	v->part = PART_ISSUERS;
	return v->tree.size > 0 ? check_known(v, why) : 0;
}

static int issuer_key(struct span der, struct span roots, struct key **ret, struct refusal *why)
{
	struct cert_info  info;
	struct cert_parts parts;
	struct refusal    chain;
	int               r = cert_verify(der, (struct span){NULL, 0}, roots, 0, 0, &chain);
	if (r < 0)
		return refuse(why, E_AUDIT_SIGNER, chain.object[0] != '\0' ? chain.object : "certificate", "%s", chain.cause);
	if (cert_read(der, &info) < 0 || !info.is_ca || cert_parts_read(der, &parts) < 0)
		return refuse(why, E_AUDIT_SIGNER, "certificate", "this is no authority");
	r = key_from_spki(parts.t.spki, ret);
	return r == 0 ? 0 : refuse(why, r, "certificate", "its key cannot be used");
}

int verify_head_signature(const struct audit_head *h, struct span certificate, struct span roots, struct refusal *why)
{
	struct key *key = NULL;
	uint8_t     body[AUDIT_HEAD_BODY];
	int         r = issuer_key(certificate, roots, &key, why);
	if (r < 0)
		return r;
	audit_head_body(h->size, h->root, h->at, body);
	r = key_verify(key, LABEL_HEAD, SPAN_OF(body), (struct span){h->signature, h->signature_len});
	key_free(key);
	return r == 0 ? 0 : refuse(why, E_AUDIT_SIGNER, "audit head", "the signature does not fit");
}

static int take_issuer(struct verifier *v, const json_t *o, struct refusal *why)
{
	uint8_t            der[CERT_DER_MAX];
	size_t             n = 0;
	struct signer_key *s = &v->issuers[v->n_issuers];
	if (v->part != PART_ISSUERS || v->n_issuers == VERIFY_ISSUERS_MAX ||
	    !get_text(o, "issuer", s->issuer_id, sizeof(s->issuer_id)) || !get_blob(o, "certificate", der, sizeof(der), &n) ||
	    (v->n_issuers > 0 && strcmp(s[-1].issuer_id, s->issuer_id) >= 0))
		return bad_line(v, why, "an authority that does not belong here");
	int r = issuer_key((struct span){der, n}, v->roots, &s->key, why);
	if (r < 0)
		return r;
	v->n_issuers++;
	audit_line_issuer(s->issuer_id, (struct span){der, n}, &v->text);
	return 0;
}

static int take_person(struct verifier *v, const json_t *o, struct refusal *why)
{
	struct audit_person p = {.since_at = 0};
	char                alias[ACTOR_SIZE];
	if (v->part > PART_PERSONS || v->report.n.persons == VERIFY_PERSONS_MAX ||
	    !get_text(o, "person", p.alias, sizeof(p.alias)) || !get_text(o, "name", p.name, sizeof(p.name)) ||
	    !get_hash(o, "salt", &p.salt) || strcmp(v->last_name, p.name) >= 0)
		return bad_line(v, why, "a person that does not belong here");
	audit_alias(digest_sha256_two, p.name, p.salt, alias);
	if (!text_equal(alias, p.alias))
		return refuse(why, E_AUDIT_PERSON, p.name, "line %llu", (unsigned long long)v->line);
	struct person *row = calloc(1, sizeof(*row));
	if (row == NULL)
		return refuse(why, E_NOMEM, p.name, "no memory");
	memcpy(row->alias, p.alias, sizeof(row->alias));
	HASH_ADD_STR(v->persons, alias, row);
	memcpy(v->last_name, p.name, sizeof(v->last_name));
	v->part = PART_PERSONS;
	v->report.n.persons++;
	audit_line_person(&p, &v->text);
	return 0;
}

/* ---- rows and heads -------------------------------------------------------------------------------------------- */

struct row_texts {
	char event[64], actor[ACTOR_SIZE], object[CERT_ID_SIZE], reason[REASON_SIZE],
		detail[sizeof(((struct audit *)0)->detail)];
};

static bool get_row(const json_t *o, struct row_texts *t, struct audit_leaf *ret)
{
	*ret = (struct audit_leaf){
		.event = t->event, .actor = t->actor, .object = t->object, .reason = t->reason, .detail = t->detail};
	return get_size(o, "seq", &ret->seq) && get_number(o, "at", &ret->at) && get_number(o, "behind_ms", &ret->behind_ms) &&
	       get_text(o, "event", t->event, sizeof(t->event)) && get_text(o, "actor", t->actor, sizeof(t->actor)) &&
	       get_text(o, "object", t->object, sizeof(t->object)) && get_id(o, "renewal_id", &ret->renewal_id) &&
	       get_id(o, "request_id", &ret->request_id) && get_text(o, "reason", t->reason, sizeof(t->reason)) &&
	       get_text(o, "detail", t->detail, sizeof(t->detail));
}

static bool is_forgotten(const struct verifier *v, const char *alias)
{
	const struct person *p = NULL;
	if (!audit_is_alias(alias))
		return false;
	HASH_FIND_STR(v->persons, alias, p);
	return p == NULL;
}

static void count_row(struct verifier *v, const struct audit_leaf *row)
{
	struct verify_report *r = &v->report;
	if (r->n.rows == 0)
		r->first_at = row->at;
	r->last_at = row->at;
	if (r->unsigned_at == 0)
		r->unsigned_at = row->at;
	if (r->unknown_at == 0)
		r->unknown_at = row->at;
	r->n.rows++;
	r->redacted += is_forgotten(v, row->actor) || is_forgotten(v, row->object);
	r->clock_steps += row->behind_ms > 0;
}

/* What a record's detail says of the receipt it rests on; all zero = nothing. */
static struct evidence evidence_of(const char *text)
{
	struct evidence e = {.seq = 0};
	if (strstr(text, "\"" AUDIT_DETAIL_RECEIPT "\"") == NULL)
		return e;
	json_t *detail = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (!get_hash(detail, AUDIT_DETAIL_HOST, &e.host) || !get_hash(detail, AUDIT_DETAIL_RECEIPT, &e.receipt) ||
	    !get_size(detail, AUDIT_DETAIL_RECEIPT_SEQ, &e.seq))
		e = (struct evidence){.seq = 0};
	json_decref(detail);
	return e;
}

static bool evidence_equal(const struct evidence *a, const struct evidence *b)
{
	return a->seq == b->seq && hash_equal(a->host, b->host) && hash_equal(a->receipt, b->receipt);
}

static void expect_receipt(struct verifier *v, const char *detail)
{
	v->report.receipts_missing += v->missing;
	v->named = evidence_of(detail);
	v->missing = v->named.seq > 0 && !evidence_equal(&v->named, &v->given);
	v->may_follow = v->missing && !evidence_equal(&v->named, &v->before);
	if (v->named.seq > 0)
		v->before = v->named;
}

/* The heads that others keep of just this tree. */
static int check_known(struct verifier *v, struct refusal *why)
{
	struct hash root;
	bool        have = false;
	for (size_t i = 0; i < v->n_known; i++) {
		const struct known_head *k = &v->known[i];
		if (k->head.size != v->tree.size)
			continue;
		if (!have)
			merkle_root(digest_sha256_two, &v->tree, &root);
		have = true;
		if (!hash_equal(k->head.root, root))
			return bad_rows(v, why, k->from);
		v->report.known_size = v->sure = v->tree.size;
		v->report.unknown_at = 0;
	}
	return 0;
}

static int take_row(struct verifier *v, const json_t *o, struct refusal *why)
{
	struct row_texts   texts;
	struct audit_leaf  row;
	struct hash        leaf;
	struct merkle_made made[MERKLE_LEVELS];
	v->part = PART_ROWS;
	if (!get_row(o, &texts, &row) || row.behind_ms < 0)
		return bad_line(v, why, "this is no row of a trail");
	if (row.seq != v->tree.size)
		return bad_line(v, why, "another row stands where this one must be");
	if (v->report.n.rows > 0 && row.at < v->report.last_at)
		return bad_line(v, why, "its time lies before that of the row above");
	if (v->tree.size >> (MERKLE_LEVELS - 2) != 0)
		return bad_line(v, why, "there cannot be so many rows");
	audit_leaf_text(&row, &v->text);
	if (buf_error(&v->text) != 0)
		return bad_line(v, why, "it is too large");
	merkle_leaf(digest_sha256_two, v->text.p, v->text.n, &leaf);
	buf_reset(&v->text);
	audit_line_row(&row, &v->text);
	(void)merkle_append(digest_sha256_two, &v->tree, &leaf, made);
	v->report.size = v->tree.size;
	count_row(v, &row);
	expect_receipt(v, texts.detail);
	return check_known(v, why);
}

/* Signed by the key whose hash the record names, and with the hash that the record names: so the host said it, and when. */
static int take_receipt(struct verifier *v, const json_t *o, struct refusal *why)
{
	uint8_t        spki[SPKI_MAX], signature[AUDIT_SIGNATURE_MAX], *body = malloc(AUDIT_LINE_MAX);
	size_t         n_spki = 0, n_signature = 0, n_body = 0;
	uint64_t       seq = 0;
	struct key    *key = NULL;
	struct hash    host, receipt;
	const char    *wrong = NULL;
	if (body == NULL)
		return refuse(why, E_NOMEM, "receipt", "no memory");
	if (!get_blob(o, "receipt_of", spki, sizeof(spki), &n_spki) || !get_size(o, "receipt_seq", &seq) ||
	    !get_blob(o, "body", body, AUDIT_LINE_MAX, &n_body) || !get_blob(o, "signature", signature, sizeof(signature), &n_signature))
		wrong = "this is no receipt";
	else if (v->part != PART_ROWS || !v->may_follow || seq != v->named.seq)
		wrong = "a receipt that does not belong here";
	digest_sha256((struct span){spki, n_spki}, &host);
	digest_sha256((struct span){body, n_body}, &receipt);
	int r = 0;
	if (wrong != NULL)
		r = bad_line(v, why, wrong);
	else if (!hash_equal(host, v->named.host) || !hash_equal(receipt, v->named.receipt))
		r = refuse(why, E_AUDIT_RECEIPT, "receipt", "line %llu: the record before names another one", (unsigned long long)v->line);
	else if (key_from_spki((struct span){spki, n_spki}, &key) < 0 ||
		 key_verify(key, LABEL_RECEIPT, (struct span){body, n_body}, (struct span){signature, n_signature}) < 0)
		r = refuse(why, E_AUDIT_RECEIPT, "receipt", "line %llu: the signature does not fit", (unsigned long long)v->line);
	if (r == 0) {
		v->given = v->named;
		v->missing = v->may_follow = false;
		v->report.n.receipts++;
		audit_line_receipt(&(struct audit_receipt){{spki, n_spki}, seq, {body, n_body}, {signature, n_signature}}, &v->text);
	}
	key_free(key);
	free(body);
	return r;
}

static const struct key *key_of(const struct verifier *v, const char *issuer_id)
{
	for (size_t i = 0; i < v->n_issuers; i++)
		if (text_equal(v->issuers[i].issuer_id, issuer_id))
			return v->issuers[i].key;
	return NULL;
}

static int take_head(struct verifier *v, const json_t *o, struct refusal *why)
{
	struct audit_head h = {.size = 0};
	struct hash       root;
	uint8_t           body[AUDIT_HEAD_BODY];
	size_t            n = 0;
	if (v->part != PART_ROWS || !get_size(o, "size", &h.size) || !get_hash(o, "root", &h.root) ||
	    !get_number(o, "at", &h.at) || !get_text(o, "issuer", h.issuer_id, sizeof(h.issuer_id)) ||
	    !get_blob(o, "signature", h.signature, sizeof(h.signature), &n))
		return bad_line(v, why, "this is no head of a trail");
	if (h.size != v->tree.size || h.size == v->report.signed_size || h.at < v->head_at)
		return bad_line(v, why, "a head that does not belong here");
	h.signature_len = (uint16_t)n;
	audit_head_body(h.size, h.root, h.at, body);
	const struct key *key = key_of(v, h.issuer_id);
	if (key == NULL || key_verify(key, LABEL_HEAD, SPAN_OF(body), (struct span){h.signature, h.signature_len}) < 0) {
		char object[64];
		snprintf(object, sizeof(object), "head of %llu records (line %llu)", (unsigned long long)h.size,
			 (unsigned long long)v->line);
		return refuse(why, E_AUDIT_SIGNER, object,
			      key == NULL ? "its authority is not in the export" : "the signature does not fit");
	}
	merkle_root(digest_sha256_two, &v->tree, &root);
	if (!hash_equal(root, h.root))
		return bad_rows(v, why, "");
	v->may_follow = false;
	v->sure = h.size;
	v->head_at = h.at;
	v->report.signed_size = h.size;
	v->report.unsigned_at = 0;
	v->report.n.heads++;
	audit_line_head(&h, &v->text);
	return 0;
}

static int take_end(struct verifier *v, const json_t *o, struct refusal *why)
{
	struct audit_line_counts n, *have = &v->report.n;
	if (!json_is_true(json_object_get(o, "end")) || !get_size(o, "rows", &n.rows) || !get_size(o, "heads", &n.heads) ||
	    !get_size(o, "persons", &n.persons) || !get_size(o, "receipts", &n.receipts))
		return bad_line(v, why, "this is no end of an export");
	if (n.rows != have->rows || n.heads != have->heads || n.persons != have->persons || n.receipts != have->receipts)
		return bad_line(v, why, "there were more or fewer lines when the export was made");
	v->report.receipts_missing += v->missing;
	v->part = PART_END;
	audit_line_end(&n, &v->text);
	return 0;
}

/* ---- lines ----------------------------------------------------------------------------------------------------- */

typedef int take_fn(struct verifier *v, const json_t *o, struct refusal *why);
static const struct {
	const char *member; /* the first that an object has tells its kind */
	take_fn    *take;
} kinds[] = {{"seq", take_row}, {"receipt_of", take_receipt}, {"size", take_head}, {"person", take_person}, {"certificate", take_issuer}, {"end", take_end}};

static int take(struct verifier *v, const json_t *o, struct refusal *why)
{
	if (v->part == PART_END)
		return bad_line(v, why, "something follows the end");
	if (v->part == PART_BEGIN)
		return take_begin(v, o, why);
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++)
		if (json_object_get(o, kinds[i].member) != NULL)
			return kinds[i].take(v, o, why);
	return bad_line(v, why, "a kind of line that this program does not know");
}

int verifier_line(struct verifier *v, struct span line, struct refusal *why)
{
	json_error_t error;
	v->line++;
	v->row = v->tree.size;
	json_t *o = line.n <= AUDIT_LINE_MAX ? json_loadb((const char *)line.p, line.n, JSON_REJECT_DUPLICATES, &error) : NULL;
	if (!json_is_object(o)) {
		json_decref(o);
		return bad_line(v, why, line.n > AUDIT_LINE_MAX ? "it is too long" : "this is not one JSON object");
	}
	buf_reset(&v->text);
	int r = take(v, o, why);
	json_decref(o);
	if (r == 0 && (buf_error(&v->text) != 0 || !span_equal(buf_span(&v->text), line)))
		r = bad_line(v, why, "it is not written as the controller writes it");
	return r;
}

int verifier_end(struct verifier *v, struct verify_report *ret, struct refusal *why)
{
	for (size_t i = 0; i < v->n_known; i++)
		if (v->known[i].head.size > v->tree.size)
			return refuse(why, E_AUDIT_SHORT, v->known[i].from,
				      "%llu records are known to it, the export ends after %llu",
				      (unsigned long long)v->known[i].head.size, (unsigned long long)v->tree.size);
	if (v->part != PART_END)
		return bad_line(v, why, "the file ends here: it was cut off");
	*ret = v->report;
	return 0;
}
