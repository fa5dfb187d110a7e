/* evidence_verify.c - room controller/cli: judges an evidence pack, part by part: head, records, and what records name.
 * Never: believing a part that no record names. */
#include "controller/cli/evidence_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/model/messages.h"
#include "shared/pki/cert.h"
#include "shared/pki/key.h"

struct evidence_check {
	const json_t           *pack;
	struct span             roots;
	struct audit_head       head;
	json_t                 *named; /* "receipt HOST SEQ" -> hash, "approval ID" -> hash, "template ID VERSION" -> hash, "serial S" -> fingerprint, or "": by records */
	struct evidence_report *report;
	struct refusal         *why;
};

/* ---- fields ------------------------------------------------------------------------------------------------------ */

static int bad(struct evidence_check *c, const char *part, size_t i, const char *what)
{
	char object[48];
	(void)snprintf(object, sizeof(object), "%.32s[%zu]", part, i);
	return refuse(c->why, E_EVIDENCE_BAD, object, "%s", what);
}

static const char *text_of(const json_t *o, const char *name)
{
	const json_t *t = json_object_get(o, name);
	const char   *text = json_string_value(t);
	return text != NULL && strlen(text) == json_string_length(t) ? text : "";
}

static bool number_of(const json_t *o, const char *name, int64_t *ret)
{
	const json_t *n = json_object_get(o, name);
	*ret = json_integer_value(n);
	return json_is_integer(n) && *ret >= 0;
}

/* The caller frees it; NULL = it is none. */
static uint8_t *blob_of(const json_t *o, const char *name, size_t max, size_t *ret_n)
{
	uint8_t *bytes = malloc(max);
	if (bytes != NULL && b64url_parse(text_of(o, name), bytes, max, ret_n) == 0 && *ret_n > 0)
		return bytes;
	free(bytes);
	return NULL;
}

/* Nothing stands beside what is judged. */
static bool has_members(const json_t *o, size_t n)
{
	return json_is_object(o) && json_object_size(o) == n;
}

static const json_t *part_of(struct evidence_check *c, const char *name)
{
	const json_t *list = json_object_get(c->pack, name);
	return json_is_array(list) ? list : NULL;
}

static void name_it(struct evidence_check *c, const char *kind, const char *key, const char *value)
{
	char name[160];
	(void)snprintf(name, sizeof(name), "%s %.130s", kind, key);
	json_object_set_new(c->named, name, json_string(value));
}

/* What records say of it; NULL = no record names it. Taken out: what is left at the end is missing. */
static bool take_named(struct evidence_check *c, const char *kind, const char *key, char *ret, size_t size)
{
	char name[160];
	(void)snprintf(name, sizeof(name), "%s %.130s", kind, key);
	const char *value = json_string_value(json_object_get(c->named, name));
	if (value == NULL)
		return false;
	text_cut(ret, size, value);
	json_object_del(c->named, name);
	return true;
}

/* ---- the head ---------------------------------------------------------------------------------------------------- */

static int check_head(struct evidence_check *c, const struct known_head *known, size_t n_known)
{
	const json_t *o = json_object_get(c->pack, "head");
	int64_t       size = 0;
	size_t        n = 0, n_signer = 0;
	uint8_t      *signer = blob_of(o, "certificate", CERT_DER_MAX, &n_signer);
	int           r = 0;
	if (signer == NULL || !has_members(o, 5) || !number_of(o, "size", &size) || !number_of(o, "at", &c->head.at) || hash_parse(text_of(o, "root"), &c->head.root) < 0 ||
	    b64url_parse(text_of(o, "signature"), c->head.signature, sizeof(c->head.signature), &n) < 0)
		r = refuse(c->why, E_EVIDENCE_BAD, "head", "this is no head of a trail");
	c->head.size = (uint64_t)size;
	c->head.signature_len = (uint16_t)n;
	if (r == 0)
		r = verify_head_signature(&c->head, (struct span){signer, n_signer}, c->roots, c->why);
	free(signer);
	for (size_t i = 0; r == 0 && i < n_known; i++)
		if (known[i].head.size == c->head.size && !hash_equal(known[i].head.root, c->head.root))
			r = refuse(c->why, E_EVIDENCE_BAD, "head", "%s keeps another one of the same size", known[i].from);
	c->report->head_size = c->head.size;
	c->report->head_at = c->head.at;
	return r;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

/* "" or the one way to write it. */
static bool id_of(const char *text, struct id *ret)
{
	char again[ID_TEXT_SIZE];
	return text[0] == '\0' || (id_parse(text, ret) == 0 && text_equal(id_text(*ret, again), text));
}

static int leaf_of(const json_t *o, struct hash *ret, uint64_t *ret_seq)
{
	struct audit_leaf leaf = {.event = text_of(o, "event"), .actor = text_of(o, "actor"), .object = text_of(o, "object"),
				  .reason = text_of(o, "reason"), .detail = text_of(o, "detail")};
	struct buf        text = BUF_MAX(AUDIT_LEAF_MAX);
	int64_t           seq;
	if (!has_members(o, 11) || !number_of(o, "seq", &seq) || !number_of(o, "at", &leaf.at) || !number_of(o, "behind_ms", &leaf.behind_ms) ||
	    !id_of(text_of(o, "renewal_id"), &leaf.renewal_id) || !id_of(text_of(o, "request_id"), &leaf.request_id))
		return E_SYNTAX;
	*ret_seq = leaf.seq = (uint64_t)seq;
	audit_leaf_text(&leaf, &text);
	int r = buf_error(&text);
	if (r == 0)
		merkle_leaf(digest_sha256_two, text.p, text.n, ret);
	buf_free(&text);
	return r;
}

static int check_path(struct evidence_check *c, const json_t *o, const struct hash *leaf, uint64_t seq)
{
	const json_t *list = json_object_get(o, "proof");
	struct hash   path[MERKLE_LEVELS];
	size_t        n = json_array_size(list);
	if (!json_is_array(list) || n > MERKLE_LEVELS)
		return E_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		const char *hex = json_string_value(json_array_get(list, i));
		if (hex == NULL || hash_parse(hex, &path[i]) < 0)
			return E_SYNTAX;
	}
	return merkle_inclusion_check(digest_sha256_two, leaf, seq, c->head.size, path, n, &c->head.root);
}

/* What the record says must be in the pack. */
static void note_named(struct evidence_check *c, const json_t *o)
{
	json_t     *detail = json_loads(text_of(o, "detail"), JSON_REJECT_DUPLICATES, NULL);
	const char *event = text_of(o, "event"), *hash = text_of(detail, "hash"), *sha256 = text_of(detail, "sha256");
	char        key[160];
	int64_t     number;
	if (text_of(detail, AUDIT_DETAIL_RECEIPT)[0] != '\0' && number_of(detail, AUDIT_DETAIL_RECEIPT_SEQ, &number)) {
		(void)snprintf(key, sizeof(key), "%.64s %lld", text_of(detail, AUDIT_DETAIL_HOST), (long long)number);
		name_it(c, "receipt", key, text_of(detail, AUDIT_DETAIL_RECEIPT));
	}
	if (text_of(detail, "approval_id")[0] != '\0' && hash[0] != '\0')
		name_it(c, "approval", text_of(detail, "approval_id"), hash);
	if (text_equal(event, "template_applied") && sha256[0] != '\0' && number_of(detail, "version", &number)) {
		(void)snprintf(key, sizeof(key), "%.64s %lld", text_of(o, "object"), (long long)number);
		name_it(c, "template", key, sha256);
	}
	if (text_equal(event, "certificate_issued"))
		name_it(c, "serial", text_of(detail, "serial"), text_of(detail, "fingerprint"));
	json_decref(detail);
}

static bool begins_campaign(const json_t *record)
{
	static const char *const events[] = {"campaign_started", "emergency_recertification_started", "drill_started"};
	for (size_t i = 0; i < N_ELEMENTS(events); i++)
		if (text_equal(text_of(record, "event"), events[i]))
			return true;
	return false;
}

static int check_records(struct evidence_check *c)
{
	const json_t *list = part_of(c, "records"), *o;
	size_t        i;
	bool          about = false, campaign = false;
	if (list == NULL)
		return refuse(c->why, E_EVIDENCE_BAD, "records", "there are none");
	json_array_foreach(list, i, o)
	{
		struct hash leaf;
		uint64_t    seq = 0;
		int         r = leaf_of(o, &leaf, &seq);
		if (r == 0)
			r = check_path(c, o, &leaf, seq);
		if (r < 0)
			return bad(c, "records", i, "it does not lead to the head");
		bool its = text_equal(text_of(o, "object"), c->report->id);
		about |= its;
		campaign |= its && begins_campaign(o);
		note_named(c, o);
		c->report->records++;
	}
	if (!about || !text_equal(c->report->kind, campaign ? "campaign" : "certificate"))
		return refuse(c->why, E_EVIDENCE_BAD, "about", "no record is about a %s `%s`", c->report->kind, c->report->id);
	return 0;
}

/* ---- receipts ---------------------------------------------------------------------------------------------------- */

static int check_receipt(struct evidence_check *c, const json_t *o, size_t i)
{
	size_t      n_spki = 0, n_body = 0, n_signature = 0;
	uint8_t    *spki = blob_of(o, "receipt_of", SPKI_MAX, &n_spki), *body = blob_of(o, "body", AUDIT_RECEIPT_MAX, &n_body),
		   *signature = blob_of(o, "signature", AUDIT_SIGNATURE_MAX, &n_signature);
	struct key *key = NULL;
	struct hash host, hash;
	char        hex[HASH_TEXT_SIZE], name[HASH_TEXT_SIZE + 24], named[HASH_TEXT_SIZE] = "";
	int64_t     seq = 0;
	int         r = 0;
	if (!has_members(o, 4) || spki == NULL || body == NULL || signature == NULL || !number_of(o, "receipt_seq", &seq))
		r = bad(c, "receipts", i, "this is no receipt");
	if (r == 0) {
		digest_sha256((struct span){spki, n_spki}, &host);
		digest_sha256((struct span){body, n_body}, &hash);
		(void)snprintf(name, sizeof(name), "%s %lld", hash_text(host, hex), (long long)seq);
		if (!take_named(c, "receipt", name, named, sizeof(named)) || !text_equal(named, hash_text(hash, hex)))
			r = bad(c, "receipts", i, "no record names it");
	}
	if (r == 0 && (key_from_spki((struct span){spki, n_spki}, &key) < 0 ||
		       key_verify(key, LABEL_RECEIPT, (struct span){body, n_body}, (struct span){signature, n_signature}) < 0))
		r = bad(c, "receipts", i, "its host did not sign it");
	key_free(key);
	free(spki);
	free(body);
	free(signature);
	c->report->receipts += r == 0;
	return r;
}

/* ---- certificates ------------------------------------------------------------------------------------------------ */

static const json_t *authority_of(struct evidence_check *c, const char *issuer_id)
{
	size_t        i;
	const json_t *o;
	json_array_foreach(part_of(c, "authorities"), i, o)
		if (text_equal(text_of(o, "issuer_id"), issuer_id))
			return o;
	return NULL;
}

/* The authorities between a certificate and its root. */
static int chain_of(struct evidence_check *c, const char *issuer_id, struct buf *ret)
{
	for (int depth = 0; depth < CHAIN_MAX; depth++) {
		const json_t *o = authority_of(c, issuer_id);
		size_t        n = 0;
		if (o == NULL)
			return E_NOT_FOUND;
		issuer_id = text_of(o, "parent_id");
		if (issuer_id[0] == '\0')
			return 0; /* a root: that one is the reader's */
		uint8_t *der = blob_of(o, "der", CERT_DER_MAX, &n);
		if (der != NULL)
			buf_add(ret, der, n);
		free(der);
		if (der == NULL || buf_error(ret) != 0)
			return E_SYNTAX;
	}
	return E_RANGE;
}

/* A serial alone binds nothing to whoever has a CA's key. Records did not always have more. */
static int check_issued(struct evidence_check *c, const char *serial, struct span der, size_t i)
{
	char        named[HASH_TEXT_SIZE + 1] = "", hex[HASH_TEXT_SIZE];
	struct hash hash;
	digest_sha256(der, &hash);
	if (!take_named(c, "serial", serial, named, sizeof(named)))
		return bad(c, "certificates", i, "no record says that it was issued");
	if (named[0] != '\0' && !text_equal(named, hash_text(hash, hex)))
		return bad(c, "certificates", i, "the record of its serial number has another fingerprint");
	c->report->unbound += named[0] == '\0';
	return 0;
}

static int check_certificate(struct evidence_check *c, const json_t *o, size_t i)
{
	struct buf       chain = BUF_MAX(CHAIN_DER_MAX);
	struct cert_info info;
	struct refusal   why = {0};
	size_t           n = 0;
	uint8_t         *der = blob_of(o, "der", CERT_DER_MAX, &n);
	char             serial[SERIAL_TEXT_SIZE];
	int              r = der != NULL && has_members(o, 3) ? cert_read((struct span){der, n}, &info) : E_SYNTAX;
	if (r == 0)
		r = chain_of(c, text_of(o, "issuer_id"), &chain);
	if (r == 0)
		r = cert_verify((struct span){der, n}, buf_span(&chain), c->roots, 0, 0, &why);
	if (r < 0)
		r = bad(c, "certificates", i, why.cause[0] != '\0' ? why.cause : "it does not lead to the root");
	else if (!text_equal(serial_text(info.serial, serial), text_of(o, "serial")))
		r = bad(c, "certificates", i, "it has another serial number");
	else
		r = check_issued(c, serial, (struct span){der, n}, i);
	buf_free(&chain);
	free(der);
	c->report->certificates += r == 0;
	return r;
}

static int check_authority(struct evidence_check *c, const json_t *o, size_t i)
{
	struct buf     chain = BUF_MAX(CHAIN_DER_MAX);
	struct refusal why = {0};
	size_t         n = 0;
	uint8_t       *der = blob_of(o, "der", CERT_DER_MAX, &n);
	int            r = der != NULL && has_members(o, 3) ? chain_of(c, text_of(o, "issuer_id"), &chain) : E_SYNTAX;
	if (r == 0)
		r = cert_verify((struct span){der, n}, buf_span(&chain), c->roots, 0, 0, &why);
	if (r < 0)
		r = bad(c, "authorities", i, "it is none of this root");
	buf_free(&chain);
	free(der);
	return r;
}

/* ---- texts ------------------------------------------------------------------------------------------------------- */

static int check_text(struct evidence_check *c, const char *part, size_t i, const char *kind, const char *key, const char *text)
{
	struct hash hash;
	char        hex[HASH_TEXT_SIZE], named[HASH_TEXT_SIZE] = "";
	digest_sha256(span_text(text), &hash);
	if (!take_named(c, kind, key, named, sizeof(named)) || !text_equal(named, hash_text(hash, hex)))
		return bad(c, part, i, "no record has the hash of its text");
	return 0;
}

static int check_approval(struct evidence_check *c, const json_t *o, size_t i)
{
	c->report->approvals++;
	if (!has_members(o, 2))
		return bad(c, "approvals", i, "this is no approval");
	return check_text(c, "approvals", i, "approval", text_of(o, "approval_id"), text_of(o, "what"));
}

static int check_template(struct evidence_check *c, const json_t *o, size_t i)
{
	char    key[160];
	int64_t version = 0;
	if (!has_members(o, 3) || !number_of(o, "version", &version))
		return bad(c, "templates", i, "this is no template");
	(void)snprintf(key, sizeof(key), "%.64s %lld", text_of(o, "template_id"), (long long)version);
	c->report->templates++;
	return check_text(c, "templates", i, "template", key, text_of(o, "text"));
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* "part" and "more" are in a pack that is not the whole. */
static bool take_part(struct evidence_check *c, const json_t *about)
{
	const json_t *more = json_object_get(about, "more");
	if (has_members(about, 2))
		return true;
	c->report->more = json_is_true(more);
	return has_members(about, 4) && json_is_boolean(more) && number_of(about, "part", &c->report->part) && c->report->part > 0;
}

static int check_about(struct evidence_check *c)
{
	const json_t *about = json_object_get(c->pack, "about");
	int64_t       version = 0;
	if (!has_members(c->pack, 10) || !number_of(c->pack, "vcc_evidence", &version) || version != 1)
		return refuse(c->why, E_EVIDENCE_BAD, "vcc_evidence", "a form that this program does not know");
	if (!text_equal(text_of(c->pack, "statement"), "technical evidence, not legal conformity"))
		return refuse(c->why, E_EVIDENCE_BAD, "statement", "it says something else than what evidence is");
	if (!take_part(c, about) || text_copy(c->report->kind, sizeof(c->report->kind), text_of(about, "kind")) < 0 ||
	    text_copy(c->report->id, sizeof(c->report->id), text_of(about, "id")) < 0)
		return refuse(c->why, E_EVIDENCE_BAD, "about", "it does not say what it is about");
	return 0;
}

static int check_parts(struct evidence_check *c)
{
	static const struct {
		const char *part;
		int (*check)(struct evidence_check *c, const json_t *o, size_t i);
	} parts[] = {{"receipts", check_receipt}, {"authorities", check_authority}, {"certificates", check_certificate},
		     {"approvals", check_approval}, {"templates", check_template}};
	for (size_t p = 0; p < N_ELEMENTS(parts); p++) {
		const json_t *list = part_of(c, parts[p].part), *o;
		size_t        i;
		int           r = list != NULL ? 0 : refuse(c->why, E_EVIDENCE_BAD, parts[p].part, "the part is missing");
		if (r < 0)
			return r;
		json_array_foreach(list, i, o)
		{
			r = parts[p].check(c, o, i);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int evidence_verify(const json_t *pack, struct span roots, const struct known_head *known, size_t n_known, struct evidence_report *ret,
		    struct refusal *why)
{
	struct evidence_report report = {.records = 0};
	struct evidence_check  c = {.pack = pack, .roots = roots, .named = json_object(), .report = &report, .why = why};
	int                    r = c.named != NULL ? check_about(&c) : refuse(why, E_NOMEM, "evidence", "no memory");
	if (r == 0)
		r = check_head(&c, known, n_known);
	if (r == 0)
		r = check_records(&c);
	if (r == 0)
		r = check_parts(&c);
	report.missing = json_object_size(c.named);
	json_decref(c.named);
	if (r == 0)
		*ret = report;
	return r;
}
