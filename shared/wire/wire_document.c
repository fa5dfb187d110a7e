/* wire_document.c - room shared/wire: the list of all tables, and docs/wire.md written from them.
 * Never: text about a message that is not in its table. */
#include "shared/wire/wire.h"

#include "shared/base/err.h"

static const struct wire_table *const tables[] = {&wire_agent, &wire_join, &wire_gw, &wire_link, &wire_hook, &wire_signer};

static const struct wire_message *const bodies[] = {
	&wire_body_csr,  &wire_body_identity,  &wire_body_receipt, &wire_body_bundle,
	&wire_body_join, &wire_body_inventory, &wire_body_return,
};

const struct wire_table *const *wire_tables(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(tables);
	return tables;
}

const char *wire_kind_name(enum wire_kind kind)
{
	static const char *const names[WIRE_KIND_COUNT] = {
		[WIRE_U64] = "unsigned 64", [WIRE_U32] = "unsigned 32", [WIRE_U16] = "unsigned 16", [WIRE_I64] = "signed 64",
		[WIRE_INT] = "signed 32",   [WIRE_BOOL] = "boolean",    [WIRE_TEXT] = "text",       [WIRE_FIXED] = "bytes",
		[WIRE_BYTES] = "bytes",     [WIRE_BLOB] = "bytes",      [WIRE_ROWS] = "rows",
	};
	return (size_t)kind < N_ELEMENTS(names) ? names[kind] : "unknown";
}

static void limit_write(struct buf *to, const struct wire_field *f)
{
	switch (f->kind) {
	case WIRE_TEXT:
		buf_add_fmt(to, "at most %zu bytes", f->size - 1);
		break;
	case WIRE_FIXED:
		buf_add_fmt(to, "exactly %zu", f->size);
		break;
	case WIRE_BYTES:
	case WIRE_BLOB:
		buf_add_fmt(to, "at most %zu", f->max);
		break;
	case WIRE_ROWS:
		buf_add_fmt(to, "at most %zu of \"%s\"", f->max, f->rows->name);
		break;
	case WIRE_U32:
		if (f->max < UINT32_MAX)
			buf_add_fmt(to, "0 to %zu", f->max);
		break;
	default:
		break;
	}
}

static void fields_write(struct buf *to, const struct wire_message *m)
{
	buf_add_text(to, "| no. | field | kind | limit |\n|---|---|---|---|\n");
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct wire_field *f = &m->fields[i];
		buf_add_fmt(to, "| %u | %s | %s | ", f->number, f->name, wire_kind_name(f->kind));
		limit_write(to, f);
		buf_add_text(to, " |\n");
	}
	buf_add_text(to, "\n");
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct wire_field *f = &m->fields[i];
		if (f->kind != WIRE_ROWS)
			continue;
		buf_add_fmt(to, "Each row \"%s\": %s\n\n", f->rows->name, f->rows->about);
		fields_write(to, f->rows);
	}
}

static void table_write(struct buf *to, const struct wire_table *t)
{
	buf_add_fmt(to, "## %s\n\n%s A frame holds at most %zu bytes.\n\n", t->name, t->about, t->frame_max);
	for (size_t i = 0; i < t->n_messages; i++) {
		const struct wire_message *m = t->messages[i];
		buf_add_fmt(to, "### %u %s\n\nFrom: %s. %s\n\n", m->type, m->name, m->from, m->about);
		fields_write(to, m);
	}
}

static const char preamble[] =
	"# The protocols on the wire\n"
	"\n"
	"Written from the tables in `shared/wire` by `make docs`; do not edit by hand.\n"
	"\n"
	"A frame is one msgpack array `[version, type, id, fields]`: the version is 1, `type` names the message, `id` is\n"
	"chosen by the sender and named by acks, `fields` is a map from field number to value.\n"
	"\n"
	"- Every field of a message stands in the map exactly once, in ascending order; unknown fields are refused.\n"
	"- Integers and lengths are written in their shortest form, so one message has one encoding.\n"
	"- Texts are strict UTF-8 without control characters except newline and tab. Bytes are msgpack `bin`.\n"
	"- No floats, no nil, no extension types, nothing after the frame, nesting at most 8.\n"
	"- Times are milliseconds since 1970-01-01T00:00:00Z (`_at`), durations milliseconds (`_ms`).\n"
	"- An id, hash or serial of zeros means none. `code` is 0 or a negative VCC code.\n"
	"- A type or field number is never used again for something else.\n"
	"\n";

void wire_document(struct buf *to)
{
	buf_add_text(to, preamble);
	for (size_t i = 0; i < N_ELEMENTS(tables); i++)
		table_write(to, tables[i]);
	buf_add_text(to, "## Signed bodies\n\n"
			 "A body is a bare fields map that travels as bytes. A signature covers `label || 0x00 || body`; "
			 "nothing is read from a body before its signature has been checked.\n\n");
	for (size_t i = 0; i < N_ELEMENTS(bodies); i++) {
		buf_add_fmt(to, "### %s\n\nLabel: `%s`. %s\n\n", bodies[i]->name, bodies[i]->from, bodies[i]->about);
		fields_write(to, bodies[i]);
	}
}
