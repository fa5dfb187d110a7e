/* audit_export.c - room shared/model: the one way in which each line of an export is written.
 * Never: reading lines. */
#include "shared/model/audit_export.h"

enum { BLOB_MAX = AUDIT_RECEIPT_MAX };
_Static_assert((int)BLOB_MAX >= (int)CERT_DER_MAX, "certificates stand in it, too");

/* Texts hold no control characters, so two escapes are enough. */
static void add_text(struct buf *to, const char *name, const char *text)
{
	buf_add_fmt(to, "\"%s\":\"", name);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_u8(to, '\\');
		buf_add_u8(to, (uint8_t)*text);
	}
	buf_add_u8(to, '"');
}

static void add_blob(struct buf *to, const char *name, struct span bytes)
{
	char text[BLOB_MAX * 4 / 3 + 4];
	if (b64url_text(bytes.p, bytes.n, text, sizeof(text)) < 0)
		text[0] = '\0'; /* larger than anything we keep: the line will not verify */
	add_text(to, name, text);
}

static void add_hash(struct buf *to, const char *name, struct hash hash)
{
	char text[HASH_TEXT_SIZE];
	add_text(to, name, hash_text(hash, text));
}

static void add_id(struct buf *to, const char *name, struct id id)
{
	char text[ID_TEXT_SIZE];
	add_text(to, name, id_is_none(id) ? "" : id_text(id, text));
}

void audit_line_begin(const struct merkle_frontier *before, struct buf *to)
{
	char text[HASH_TEXT_SIZE];
	bool first = true;
	buf_add_fmt(to, "{\"vcc_audit_export\":%d,\"from\":%llu,\"frontier\":[", AUDIT_EXPORT_VERSION,
		    (unsigned long long)before->size);
	for (unsigned level = 0; level < MERKLE_LEVELS; level++) {
		if ((before->size >> level & 1) == 0)
			continue;
		buf_add_fmt(to, "%s\"%s\"", first ? "" : ",", hash_text(before->node[level], text));
		first = false;
	}
	buf_add_text(to, "]}\n");
}

void audit_line_issuer(const char *issuer_id, struct span der, struct buf *to)
{
	buf_add_u8(to, '{');
	add_text(to, "issuer", issuer_id);
	buf_add_u8(to, ',');
	add_blob(to, "certificate", der);
	buf_add_text(to, "}\n");
}

void audit_line_person(const struct audit_person *p, struct buf *to)
{
	buf_add_u8(to, '{');
	add_text(to, "person", p->alias);
	buf_add_u8(to, ',');
	add_text(to, "name", p->name);
	buf_add_u8(to, ',');
	add_hash(to, "salt", p->salt);
	buf_add_text(to, "}\n");
}

void audit_line_row(const struct audit_leaf *row, struct buf *to)
{
	const struct {
		const char *name, *text;
	} texts[] = {{"event", row->event}, {"actor", row->actor}, {"object", row->object}};
	buf_add_fmt(to, "{\"seq\":%llu,\"at\":%lld,\"behind_ms\":%lld,", (unsigned long long)row->seq, (long long)row->at,
		    (long long)row->behind_ms);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
		add_text(to, texts[i].name, texts[i].text);
		buf_add_u8(to, ',');
	}
	add_id(to, "renewal_id", row->renewal_id);
	buf_add_u8(to, ',');
	add_id(to, "request_id", row->request_id);
	buf_add_u8(to, ',');
	add_text(to, "reason", row->reason);
	buf_add_u8(to, ',');
	add_text(to, "detail", row->detail);
	buf_add_text(to, "}\n");
}

void audit_line_head(const struct audit_head *h, struct buf *to)
{
	buf_add_fmt(to, "{\"size\":%llu,", (unsigned long long)h->size);
	add_hash(to, "root", h->root);
	buf_add_fmt(to, ",\"at\":%lld,", (long long)h->at);
	add_text(to, "issuer", h->issuer_id);
	buf_add_u8(to, ',');
	add_blob(to, "signature", (struct span){h->signature, h->signature_len});
	buf_add_text(to, "}\n");
}

void audit_line_receipt(const struct audit_receipt *r, struct buf *to)
{
	buf_add_u8(to, '{');
	add_blob(to, "receipt_of", r->host_spki);
	buf_add_fmt(to, ",\"receipt_seq\":%llu,", (unsigned long long)r->seq);
	add_blob(to, "body", r->body);
	buf_add_u8(to, ',');
	add_blob(to, "signature", r->signature);
	buf_add_text(to, "}\n");
}

void audit_line_end(const struct audit_line_counts *n, struct buf *to)
{
	buf_add_fmt(to, "{\"end\":true,\"rows\":%llu,\"heads\":%llu,\"persons\":%llu,\"receipts\":%llu}\n", (unsigned long long)n->rows,
		    (unsigned long long)n->heads, (unsigned long long)n->persons, (unsigned long long)n->receipts);
}
