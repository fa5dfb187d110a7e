/* evidence_pack.c - room controller/daemon: collects records, and whatever a record names by its hash or serial.
 * What is not there any more is left out: whoever verifies the pack sees that it is missing. Never: more than EVIDENCE_RECORDS_MAX records; fewer than asked for without a word. */
#include "controller/daemon/evidence_pack.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/template_json.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

enum { PAGE = 250, BLOB_MAX = AUDIT_RECEIPT_MAX };

struct pack {
	struct store_view *view;
	struct refusal    *why;
	struct audit_head  head;
	json_t            *o;    /* the pack */
	json_t            *seen; /* "record SEQ", "receipt HOST SEQ" ...: everything once */
	size_t             n_records;
	struct audit       page[PAGE];
};

static json_t *part(struct pack *p, const char *name)
{
	return json_object_get(p->o, name);
}

/* False: it is in it already. */
static bool is_new(struct pack *p, const char *kind, const char *key)
{
	char name[128];
	(void)snprintf(name, sizeof(name), "%s %.100s", kind, key);
	if (json_object_get(p->seen, name) != NULL)
		return false;
	json_object_set_new(p->seen, name, json_true());
	return true;
}

static json_t *blob(struct span bytes)
{
	char text[BLOB_MAX * 4 / 3 + 4] = "";
	return b64url_text(bytes.p, bytes.n, text, sizeof(text)) == 0 ? json_string(text) : json_null();
}

/* ---- what a record names ----------------------------------------------------------------------------------------- */

static int add_receipt(struct pack *p, const json_t *detail)
{
	const char        *host_text = json_string_value(json_object_get(detail, AUDIT_DETAIL_HOST));
	uint64_t           seq = (uint64_t)json_integer_value(json_object_get(detail, AUDIT_DETAIL_RECEIPT_SEQ));
	struct buf         body = BUF_MAX(RECEIPT_BODY_MAX);
	struct receipt_row row;
	struct hash        host;
	char               key[HASH_TEXT_SIZE + 24];
	if (json_object_get(detail, AUDIT_DETAIL_RECEIPT) == NULL || host_text == NULL || hash_parse(host_text, &host) < 0)
		return 0;
	(void)snprintf(key, sizeof(key), "%s %llu", host_text, (unsigned long long)seq);
	if (!is_new(p, "receipt", key))
		return 0;
	int r = view_receipt(p->view, host, seq, &row);
	if (r == 0)
		r = view_receipt_body(p->view, host, seq, &body);
	if (r == 0 && row.host_spki_len > 0)
		json_array_append_new(part(p, "receipts"),
				      json_pack("{s:o,s:I,s:o,s:o}", "receipt_of", blob((struct span){row.host_spki, row.host_spki_len}),
						"receipt_seq", (json_int_t)seq, "body", blob(buf_span(&body)), "signature",
						blob((struct span){row.signature, row.signature_len})));
	buf_free(&body);
	return r == E_NOT_FOUND ? 0 : r;
}

/* It and those above it. */
static int add_authority(struct pack *p, const char *issuer_id)
{
	struct issuer i = {.parent_id = ""};
	char          id[ISSUER_ID_SIZE];
	int           r = 0;
	text_cut(id, sizeof(id), issuer_id);
	for (int depth = 0; r == 0 && id[0] != '\0' && depth < CHAIN_MAX && is_new(p, "authority", id); depth++) {
		r = view_issuer(p->view, id, &i);
		if (r == 0)
			json_array_append_new(part(p, "authorities"), json_pack("{s:s,s:s,s:o}", "issuer_id", i.issuer_id, "parent_id", i.parent_id,
										"der", blob((struct span){i.der, i.der_len})));
		text_cut(id, sizeof(id), i.parent_id);
	}
	return r == E_NOT_FOUND ? 0 : r;
}

/* Only of the record that says it was issued: many others have a serial, and stand in packs where that one does not, because it is younger than the head or
 * of another order. Without it nothing proves the certificate. */
static int add_certificate(struct pack *p, const struct audit *a, const json_t *detail)
{
	const char     *text = json_string_value(json_object_get(detail, "serial"));
	struct issuance i;
	struct serial   serial;
	if (a->event != AUDIT_CERTIFICATE_ISSUED || text == NULL || serial_parse(text, &serial) < 0 || !is_new(p, "certificate", text))
		return 0;
	int r = view_issuance(p->view, serial, &i);
	if (r < 0 || hash_is_none(i.fingerprint)) /* archived; or it was never signed */
		return r == E_NOT_FOUND || r == 0 ? 0 : r;
	json_array_append_new(part(p, "certificates"), json_pack("{s:s,s:s,s:o}", "serial", text, "issuer_id", i.issuer_id, "der",
								 blob((struct span){i.der, i.der_len})));
	return add_authority(p, i.issuer_id);
}

static int add_approval(struct pack *p, const json_t *detail)
{
	const char     *text = json_string_value(json_object_get(detail, "approval_id"));
	struct approval a;
	struct id       id;
	if (text == NULL || json_object_get(detail, "hash") == NULL || id_parse(text, &id) < 0 || !is_new(p, "approval", text))
		return 0;
	int r = view_approval(p->view, id, &a);
	if (r == 0 && a.what[0] != '\0') /* its person was not forgotten */
		json_array_append_new(part(p, "approvals"), json_pack("{s:s,s:s}", "approval_id", text, "what", a.what));
	return r == E_NOT_FOUND ? 0 : r;
}

/* The version that the record is about, when its text is still the one that was recorded. */
static int add_template(struct pack *p, const struct audit *a, const json_t *detail)
{
	const char     *named = json_string_value(json_object_get(detail, "sha256"));
	json_int_t      version = json_integer_value(json_object_get(detail, "version"));
	struct template t;
	struct hash     hash;
	char            hex[HASH_TEXT_SIZE];
	if (a->event != AUDIT_TEMPLATE_APPLIED || named == NULL || version <= 0 || version > UINT32_MAX)
		return 0;
	int r = view_template(p->view, a->object, (uint32_t)version, &t);
	char *text = r == 0 ? template_json_text(&t, &hash) : NULL;
	if (text != NULL && text_equal(hash_text(hash, hex), named))
		json_array_append_new(part(p, "templates"),
				      json_pack("{s:s,s:I,s:s}", "template_id", a->object, "version", version, "text", text));
	free(text);
	return r == E_NOT_FOUND ? 0 : r;
}

/* ---- records ----------------------------------------------------------------------------------------------------- */

static int node_of(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	return view_audit_node(ctx, level, index, ret);
}

static json_t *record_json(const struct audit *a, const struct hash *path, size_t n)
{
	char    renewal[ID_TEXT_SIZE] = "", request[ID_TEXT_SIZE] = "";
	json_t *proof = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(proof, json_hash(path[i]));
	return json_pack("{s:I,s:I,s:I,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o}", "seq", (json_int_t)a->seq, "at", (json_int_t)a->at, "behind_ms",
			 (json_int_t)a->behind_ms, "event", audit_event_name(a->event), "actor", a->actor, "object", a->object, "renewal_id",
			 id_is_none(a->renewal_id) ? "" : id_text(a->renewal_id, renewal), "request_id",
			 id_is_none(a->request_id) ? "" : id_text(a->request_id, request), "reason", a->reason, "detail", a->detail, "proof", proof);
}

static int add_named(struct pack *p, const struct audit *a)
{
	json_t *detail = a->detail[0] != '\0' ? json_loads(a->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	int     r = detail != NULL ? add_receipt(p, detail) : 0;
	if (r == 0 && detail != NULL)
		r = add_certificate(p, a, detail);
	if (r == 0 && detail != NULL)
		r = add_approval(p, detail);
	if (r == 0 && detail != NULL)
		r = add_template(p, a, detail);
	json_decref(detail);
	return r;
}

static int add_record(struct pack *p, const struct audit *a)
{
	struct hash path[MERKLE_LEVELS];
	char        seq[24];
	size_t      n = 0;
	(void)snprintf(seq, sizeof(seq), "%llu", (unsigned long long)a->seq);
	if (!is_new(p, "record", seq))
		return 0;
	if (++p->n_records > EVIDENCE_RECORDS_MAX)
		return refuse(p->why, E_EVIDENCE_LARGE, a->object, "more than %d records", (int)EVIDENCE_RECORDS_MAX);
	int r = merkle_inclusion(digest_sha256_two, node_of, p->view, a->seq, p->head.size, path, &n);
	if (r == 0)
		r = json_array_append_new(part(p, "records"), record_json(a, path, n)) < 0 ? E_NOMEM : 0;
	return r == 0 ? add_named(p, a) : r;
}

/* All about the object below the head, newest first; of one order, or of all; of one event, or of all (-1). */
static int add_records(struct pack *p, const char *object, struct id renewal_id, int event)
{
	const struct audit_filter f = {.object = object, .renewal_id = renewal_id, .event = event};
	uint64_t                  before = p->head.size;
	size_t                    n = 0;
	int                       r = 0;
	while (r == 0 && before > 0) {
		uint64_t next = 0;
		r = view_audit_list(p->view, &f, before, p->page, PAGE, &n, &next);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = add_record(p, &p->page[i]);
		before = next;
	}
	return r;
}

static int add_templates(struct pack *p, const char *cert_id)
{
	struct certificate c;
	int                r = view_certificate(p->view, cert_id, &c);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	return is_new(p, "template", c.template_id) ? add_records(p, c.template_id, (struct id){{0}}, AUDIT_TEMPLATE_APPLIED) : 0;
}

/* ---- the pack ---------------------------------------------------------------------------------------------------- */

static int pack_begin(struct pack *p, const char *kind, const char *id)
{
	static const char *const parts[] = {"records", "receipts", "certificates", "authorities", "approvals", "templates"};
	struct issuer            signer;
	size_t                   n = 0;
	int                      r = view_audit_heads_down(p->view, INT64_MAX, &p->head, 1, &n);
	if (r == 0 && n == 0)
		return refuse(p->why, E_EVIDENCE_UNSIGNED, id, "the trail has no signed head");
	if (r == 0)
		r = view_issuer(p->view, p->head.issuer_id, &signer);
	if (r != 0)
		return r;
	p->seen = json_object();
	p->o = json_pack("{s:i,s:{s:s,s:s},s:s}", "vcc_evidence", (int)EVIDENCE_VERSION, "about", "kind", kind, "id", id, "statement",
			 "technical evidence, not legal conformity");
	json_object_set_new(p->o, "head", json_pack("{s:I,s:o,s:I,s:o,s:o}", "size", (json_int_t)p->head.size, "root", json_hash(p->head.root),
						    "at", (json_int_t)p->head.at, "signature",
						    blob((struct span){p->head.signature, p->head.signature_len}), "certificate",
						    blob((struct span){signer.der, signer.der_len})));
	for (size_t i = 0; i < N_ELEMENTS(parts); i++)
		json_object_set_new(p->o, parts[i], json_array());
	return p->o != NULL && p->seen != NULL ? 0 : E_NOMEM;
}

/* It is younger than the newest head, or it never was. */
static int nothing_found(struct pack *p, const char *id)
{
	const struct audit_filter f = {.object = id, .event = -1};
	size_t                    n = 0;
	uint64_t                  next = 0;
	int                       r = view_audit_list(p->view, &f, UINT64_MAX, p->page, 1, &n, &next);
	if (r == 0 && n > 0)
		r = refuse(p->why, E_EVIDENCE_UNSIGNED, id, "its first record is younger than the newest signed head");
	return r < 0 ? r : refuse(p->why, E_EVIDENCE_NONE, id, "no record is about it");
}

static int pack_end(struct pack *p, int r, const char *id, json_t **ret)
{
	if (r == 0 && p->n_records == 0)
		r = nothing_found(p, id);
	if (r == 0)
		*ret = json_incref(p->o);
	json_decref(p->o);
	json_decref(p->seen);
	free(p);
	return r;
}

static struct pack *pack_new(struct store_view *view, struct refusal *why)
{
	struct pack *p = calloc(1, sizeof(*p)); /* large */
	if (p != NULL) {
		p->view = view;
		p->why = why;
	}
	return p;
}

int evidence_of_certificate(struct store_view *view, const char *cert_id, json_t **ret, struct refusal *why)
{
	struct pack *p = pack_new(view, why);
	if (p == NULL)
		return E_NOMEM;
	int r = pack_begin(p, "certificate", cert_id);
	if (r == 0)
		r = add_records(p, cert_id, (struct id){{0}}, -1);
	if (r == 0 && p->n_records > 0)
		r = add_templates(p, cert_id);
	return pack_end(p, r, cert_id, ret);
}

static int add_member(struct pack *p, const struct campaign_member *m)
{
	int r = !id_is_none(m->renewal_id) ? add_records(p, m->cert_id, m->renewal_id, -1) : 0;
	return r == 0 ? add_templates(p, m->cert_id) : r;
}

/* Members after `skip`, at most `max`; *ret_more: there are others behind them. Members have positions, which need not be without holes. */
static int add_members(struct pack *p, struct id campaign_id, uint64_t skip, uint64_t max, uint64_t *ret_n, bool *ret_more)
{
	struct campaign_member *page = calloc(PAGE, sizeof(*page));
	uint64_t                after = 0, seen = 0;
	size_t                  n = PAGE;
	int                     r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && seen <= skip + max) {
		r = view_members(p->view, campaign_id, after, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n && seen <= skip + max; i++, seen++) {
			after = page[i].position;
			if (seen >= skip && seen < skip + max)
				r = add_member(p, &page[i]);
		}
	}
	free(page);
	*ret_more = seen > skip + max;
	*ret_n = seen < skip ? 0 : seen - skip;
	return r;
}

static int add_all(struct pack *p, struct id campaign_id, const char *id)
{
	uint64_t n = 0;
	bool     more = false;
	int      r = add_members(p, campaign_id, 0, EVIDENCE_MEMBERS_MAX, &n, &more);
	if (r == 0 && more)
		r = refuse(p->why, E_EVIDENCE_LARGE, id, "more than %d certificates: with --file it is written in parts (part=1, part=2 ...)",
			   (int)EVIDENCE_MEMBERS_MAX);
	return r;
}

static int add_part(struct pack *p, struct id campaign_id, uint32_t number, const char *id)
{
	uint64_t n = 0;
	bool     more = false;
	int      r = add_members(p, campaign_id, (uint64_t)(number - 1) * EVIDENCE_PART_MEMBERS, EVIDENCE_PART_MEMBERS, &n, &more);
	if (r == 0 && n == 0)
		r = refuse(p->why, E_EVIDENCE_NONE, id, "there is no part %u of it", (unsigned)number);
	json_object_set_new(part(p, "about"), "part", json_integer((json_int_t)number));
	json_object_set_new(part(p, "about"), "more", json_boolean(more));
	return r;
}

int evidence_of_campaign(struct store_view *view, struct id campaign_id, uint32_t part, json_t **ret, struct refusal *why)
{
	char         id[ID_TEXT_SIZE];
	struct pack *p = pack_new(view, why);
	if (p == NULL)
		return E_NOMEM;
	int r = pack_begin(p, "campaign", id_text(campaign_id, id));
	if (r == 0)
		r = add_records(p, id, (struct id){{0}}, -1);
	if (r == 0 && p->n_records > 0)
		r = part == 0 ? add_all(p, campaign_id, id) : add_part(p, campaign_id, part, id);
	return pack_end(p, r, id, ret);
}
