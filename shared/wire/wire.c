/* wire.c - room shared/wire: encodes structs by their tables, and fills them from bytes that the cursor has passed.
 * Never: I/O, judging content; a frame is refused by the cursor or not at all. */
#include "shared/wire/wire.h"

#include <msgpack.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/wire/cursor.h"

const struct wire_message *wire_message_of(const struct wire_table *table, uint64_t type)
{
	for (size_t i = 0; i < table->n_messages; i++)
		if (table->messages[i]->type == type)
			return table->messages[i];
	return NULL;
}

/* ---- structs to bytes ---------------------------------------------------------------------------------------- */

struct writer {
	msgpack_packer pk;
	struct buf    *to;
	int            error;
};

static int write_bytes(void *ctx, const char *bytes, size_t n)
{
	buf_add(ctx, bytes, n);
	return 0; /* the buffer's own error sticks and is read at the end */
}

static void fail(struct writer *w, int error)
{
	if (w->error == 0)
		w->error = error;
}

static void put_uint(struct writer *w, uint64_t v, uint64_t max)
{
	if (v > max)
		fail(w, E_WIRE_LIMIT);
	msgpack_pack_uint64(&w->pk, v);
}

static void put_bytes(struct writer *w, const void *p, size_t n, size_t max)
{
	if (n > max) {
		fail(w, E_WIRE_LIMIT);
		return;
	}
	msgpack_pack_bin(&w->pk, n);
	msgpack_pack_bin_body(&w->pk, p, n);
}

static void put_text(struct writer *w, const char *text, size_t size)
{
	size_t n = strnlen(text, size);
	if (n == size)
		fail(w, E_WIRE_LIMIT);
	else if (!text_utf8_ok(text, n))
		fail(w, E_WIRE_UTF8);
	else
		msgpack_pack_str_with_body(&w->pk, text, n);
}

/* Reads a member of a payload without assuming more about it than its size. */
#define MEMBER(type, base, at) member_##type((base) + (at))
#define MEMBER_READER(name, type)                                                                                              \
	static type member_##name(const uint8_t *p)                                                                            \
	{                                                                                                                      \
		type v;                                                                                                        \
		memcpy(&v, p, sizeof(v));                                                                                      \
		return v;                                                                                                      \
	}
MEMBER_READER(u64, uint64_t)
MEMBER_READER(u32, uint32_t)
MEMBER_READER(u16, uint16_t)
MEMBER_READER(i64, int64_t)
MEMBER_READER(int, int)
MEMBER_READER(bool, bool)
MEMBER_READER(span, struct span)

static void put_fields(struct writer *w, const struct wire_message *message, const uint8_t *base);

static void put_rows(struct writer *w, const struct wire_field *f, const uint8_t *base)
{
	uint32_t n = MEMBER(u32, base, f->count_offset);
	if (n > f->max) {
		fail(w, E_WIRE_LIMIT);
		return;
	}
	msgpack_pack_array(&w->pk, n);
	for (uint32_t i = 0; i < n; i++)
		put_fields(w, f->rows, base + f->offset + i * f->rows->struct_size);
}

static void put_field(struct writer *w, const struct wire_field *f, const uint8_t *base)
{
	struct span s;
	switch (f->kind) {
	case WIRE_U64:
		put_uint(w, MEMBER(u64, base, f->offset), f->max);
		return;
	case WIRE_U32:
		put_uint(w, MEMBER(u32, base, f->offset), f->max);
		return;
	case WIRE_U16:
		put_uint(w, MEMBER(u16, base, f->offset), f->max);
		return;
	case WIRE_I64:
		msgpack_pack_int64(&w->pk, MEMBER(i64, base, f->offset));
		return;
	case WIRE_INT:
		msgpack_pack_int32(&w->pk, MEMBER(int, base, f->offset));
		return;
	case WIRE_BOOL:
		(void)(MEMBER(bool, base, f->offset) ? msgpack_pack_true(&w->pk) : msgpack_pack_false(&w->pk));
		return;
	case WIRE_TEXT:
		put_text(w, (const char *)base + f->offset, f->size);
		return;
	case WIRE_FIXED:
		put_bytes(w, base + f->offset, f->size, f->size);
		return;
	case WIRE_BYTES:
		s = MEMBER(span, base, f->offset);
		put_bytes(w, s.p, s.n, f->max);
		return;
	case WIRE_BLOB:
		put_bytes(w, base + f->offset, MEMBER(u16, base, f->count_offset), f->size);
		return;
	case WIRE_ROWS:
		put_rows(w, f, base);
		return;
	case WIRE_KIND_COUNT:
		break;
	}
	fail(w, E_INTERNAL); /* a table of ours names no kind */
}

static void put_fields(struct writer *w, const struct wire_message *message, const uint8_t *base)
{
	msgpack_pack_map(&w->pk, message->n_fields);
	for (size_t i = 0; i < message->n_fields; i++) {
		msgpack_pack_uint8(&w->pk, message->fields[i].number);
		put_field(w, &message->fields[i], base);
	}
}

static void writer_init(struct writer *w, struct buf *to)
{
	*w = (struct writer){.to = to};
	msgpack_packer_init(&w->pk, to, write_bytes);
}

/* The error of a whole write that began at `start`; what was written of it is taken back. */
static int writer_end(struct writer *w, size_t start, size_t max)
{
	int r = w->error != 0 ? w->error : buf_error(w->to);
	if (r == 0 && w->to->n - start > max)
		r = E_WIRE_LIMIT;
	if (r < 0)
		w->to->n = start;
	return r;
}

int wire_encode(const struct wire_table *table, uint16_t type, uint64_t id, const void *payload, struct buf *to)
{
	const struct wire_message *message = wire_message_of(table, type);
	if (message == NULL)
		return E_WIRE_MESSAGE;

	struct writer w;
	size_t        start = to->n;
	writer_init(&w, to);
	msgpack_pack_array(&w.pk, 4);
	msgpack_pack_uint8(&w.pk, WIRE_VERSION);
	msgpack_pack_uint16(&w.pk, type);
	msgpack_pack_uint64(&w.pk, id);
	put_fields(&w, message, payload);
	return writer_end(&w, start, table->frame_max);
}

int wire_body_encode(const struct wire_message *body, const void *payload, struct buf *to)
{
	struct writer w;
	size_t        start = to->n;
	writer_init(&w, to);
	put_fields(&w, body, payload);
	return writer_end(&w, start, FRAME_MAX);
}

/* ---- bytes to structs ---------------------------------------------------------------------------------------- */

/* One scalar by msgpack-c. The zone is for arrays and maps, which it never sees: without one of ours it would allocate 8 KB for each text and for
 * each field of bytes. */
static int scalar(struct cursor *c, msgpack_object *ret)
{
	msgpack_zone          unused = {.chunk_size = MSGPACK_ZONE_CHUNK_SIZE};
	msgpack_unpack_return r = msgpack_unpack((const char *)c->p, c->n, &c->at, &unused, ret);
	if (r == MSGPACK_UNPACK_SUCCESS || r == MSGPACK_UNPACK_EXTRA_BYTES) /* no test: the cursor has passed these bytes */
		return 0;
	return E_INTERNAL; /* no test: the same */
}

/* Puts the low bytes of an integer into a member of `size` bytes. */
static void set_integer(uint8_t *to, size_t size, const msgpack_object *o)
{
	uint64_t wide = o->via.u64; /* via.i64 has the same bits */
	uint32_t u32 = (uint32_t)wide;
	uint16_t u16 = (uint16_t)wide;
	if (size == sizeof(wide))
		memcpy(to, &wide, size);
	else if (size == sizeof(u32))
		memcpy(to, &u32, size);
	else
		memcpy(to, &u16, size);
}

static int get_fields(struct cursor *c, const struct wire_message *message, uint8_t *base);

static int get_rows(struct cursor *c, const struct wire_field *f, uint8_t *base)
{
	uint32_t n = (uint32_t)cursor_array(c, f->max);
	memcpy(base + f->count_offset, &n, sizeof(n));
	int r = c->error;
	for (uint32_t i = 0; i < n && r == 0; i++) /* no test: the cursor has passed these bytes */
		r = get_fields(c, f->rows, base + f->offset + i * f->rows->struct_size);
	return r;
}

static int get_bytes(const struct wire_field *f, const msgpack_object *o, uint8_t *base)
{
	struct span s = {(const uint8_t *)o->via.bin.ptr, o->via.bin.size};
	uint16_t    n = (uint16_t)s.n;
	if (f->kind == WIRE_BYTES) {
		memcpy(base + f->offset, &s, sizeof(s));
		return 0;
	}
	if (s.n > f->size) /* no test: the cursor has judged the length */
		return E_INTERNAL; /* no test: the same */
	memcpy(base + f->offset, s.p, s.n);
	if (f->kind == WIRE_BLOB)
		memcpy(base + f->count_offset, &n, sizeof(n));
	return 0;
}

struct kind_row {
	msgpack_object_type type;
	msgpack_object_type other;
};

/* What msgpack-c must have found: a second opinion on the cursor's verdict, at no cost. */
static const struct kind_row kinds[WIRE_KIND_COUNT] = {
	[WIRE_U64] = {MSGPACK_OBJECT_POSITIVE_INTEGER, MSGPACK_OBJECT_POSITIVE_INTEGER},
	[WIRE_U32] = {MSGPACK_OBJECT_POSITIVE_INTEGER, MSGPACK_OBJECT_POSITIVE_INTEGER},
	[WIRE_U16] = {MSGPACK_OBJECT_POSITIVE_INTEGER, MSGPACK_OBJECT_POSITIVE_INTEGER},
	[WIRE_I64] = {MSGPACK_OBJECT_POSITIVE_INTEGER, MSGPACK_OBJECT_NEGATIVE_INTEGER},
	[WIRE_INT] = {MSGPACK_OBJECT_POSITIVE_INTEGER, MSGPACK_OBJECT_NEGATIVE_INTEGER},
	[WIRE_BOOL] = {MSGPACK_OBJECT_BOOLEAN, MSGPACK_OBJECT_BOOLEAN},
	[WIRE_TEXT] = {MSGPACK_OBJECT_STR, MSGPACK_OBJECT_STR},
	[WIRE_FIXED] = {MSGPACK_OBJECT_BIN, MSGPACK_OBJECT_BIN},
	[WIRE_BYTES] = {MSGPACK_OBJECT_BIN, MSGPACK_OBJECT_BIN},
	[WIRE_BLOB] = {MSGPACK_OBJECT_BIN, MSGPACK_OBJECT_BIN},
};

static int get_field(struct cursor *c, const struct wire_field *f, uint8_t *base)
{
	if (f->kind == WIRE_ROWS)
		return get_rows(c, f, base);

	msgpack_object o;
	int            r = scalar(c, &o);
	if (r < 0) /* no test: the cursor has passed these bytes */
		return r; /* no test: the same */
	if (o.type != kinds[f->kind].type && o.type != kinds[f->kind].other) /* no test: msgpack-c would have to differ from the cursor */
		return E_INTERNAL; /* no test: the same */
	switch (o.type) {
	case MSGPACK_OBJECT_BOOLEAN:
		memcpy(base + f->offset, &o.via.boolean, sizeof(bool));
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		set_integer(base + f->offset, f->size, &o);
		return 0;
	case MSGPACK_OBJECT_STR:
		return text_copy_n((char *)base + f->offset, f->size, o.via.str.ptr, o.via.str.size);
	default:
		return get_bytes(f, &o, base);
	}
}

static int get_fields(struct cursor *c, const struct wire_message *message, uint8_t *base)
{
	(void)cursor_map(c, WIRE_FIELDS_MAX);
	int r = c->error;
	for (size_t i = 0; i < message->n_fields && r == 0; i++) { /* no test: the cursor has passed these bytes */
		(void)cursor_uint(c, WIRE_FIELDS_MAX);
		r = c->error != 0 ? c->error : get_field(c, &message->fields[i], base); /* no test: the same */
	}
	return r;
}

/* The struct is cleared first: its padding and the tails of its texts hold nothing of an earlier frame. */
static int payload_get(struct cursor *c, const struct wire_message *message, void *ret)
{
	memset(ret, 0, message->struct_size);
	return get_fields(c, message, ret);
}

int wire_decode(const struct wire_table *table, struct span bytes, size_t limit, struct wire_frame *ret)
{
	const struct wire_message *message;
	struct cursor              c;
	int                        r = cursor_frame(table, bytes, limit, &message, &ret->id, &c);
	if (r < 0)
		return r;
	ret->type = message->type;
	return payload_get(&c, message, &ret->u);
}

int wire_check(const struct wire_table *table, struct span bytes, size_t limit, uint16_t *ret_type, uint64_t *ret_id)
{
	const struct wire_message *message;
	struct cursor              c;
	uint64_t                   id;
	int                        r = cursor_frame(table, bytes, limit, &message, &id, &c);
	if (r < 0)
		return r;
	*ret_type = message->type;
	*ret_id = id;
	return 0;
}

int wire_body_decode(const struct wire_message *body, struct span bytes, void *ret)
{
	if (bytes.n > FRAME_MAX)
		return E_WIRE_LIMIT;
	struct cursor c = cursor_of(bytes);
	cursor_fields(&c, body, 1);
	int r = cursor_end(&c);
	if (r < 0)
		return r;
	c = cursor_of(bytes);
	return payload_get(&c, body, ret);
}
