/* test_wire.c - do tables, encoder and decoder agree: every message there and back, limits on the way out, fixed bytes.
 * Hostile input is in tests/hostile/test_wire_hostile.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <msgpack.h>

#include "shared/base/err.h"
#include "shared/wire/cursor.h"
#include "tests/lib/wire_sample.h"

/* In the place of msgpack-c's own, to count them. Other tests of this program use zones. */
static unsigned zones;
msgpack_zone *msgpack_zone_new(size_t chunk_size)
{
	msgpack_zone *z = malloc(sizeof(*z));
	zones++;
	if (z != NULL && !msgpack_zone_init(z, chunk_size)) {
		free(z);
		z = NULL;
	}
	return z;
}

static void check_message(const struct wire_message *m)
{
	assert_in_range(m->n_fields, 1, WIRE_FIELDS_MAX);
	assert_true(m->struct_size <= SAMPLE_PAYLOAD_MAX);
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct wire_field *f = &m->fields[i];
		assert_int_equal(f->number, i + 1);
		assert_non_null(f->name);
		assert_true(f->offset + f->size <= m->struct_size);
		if (f->kind == WIRE_ROWS) {
			assert_int_equal(f->size, f->max * f->rows->struct_size);
			check_message(f->rows);
		}
		if (f->kind == WIRE_BYTES)
			assert_in_range(f->max, 1, 1 << 20);
	}
}

static void tables_are_sound(void **state)
{
	(void)state;
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	assert_true(n > 40);
	for (size_t i = 0; i < n; i++) {
		check_message(s[i].message);
		assert_int_equal(s[i].message->type == 0, s[i].table == NULL);
		for (size_t k = 0; k < i; k++)
			assert_true(s[k].message->type != s[i].message->type || s[i].table == NULL);
	}
}

/* Marks the bytes of `map` that the table covers. */
static void cover(const struct wire_message *m, uint8_t *map)
{
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct wire_field *f = &m->fields[i];
		memset(map + f->offset, 1, f->size);
		if (f->kind == WIRE_ROWS)
			memset(map + f->count_offset, 1, sizeof(uint32_t));
		if (f->kind == WIRE_BLOB)
			memset(map + f->count_offset, 1, sizeof(uint16_t));
	}
}

/* A member that no row of the table names leaves a hole that padding cannot explain. */
static void no_member_is_forgotten(void **state)
{
	(void)state;
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	for (size_t i = 0; i < n; i++) {
		uint8_t map[SAMPLE_PAYLOAD_MAX] = {0};
		size_t  hole = 0;
		cover(s[i].message, map);
		for (size_t at = 0; at < s[i].message->struct_size; at++) {
			hole = map[at] != 0 ? 0 : hole + 1;
			if (hole >= sizeof(uint64_t))
				fail_msg("%s: byte %zu is in no field", s[i].message->name, at);
		}
	}
}

static void every_message_there_and_back(void **state)
{
	(void)state;
	static uint8_t               in[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	static uint8_t               out[SAMPLE_PAYLOAD_MAX] __attribute__((aligned(16)));
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	struct rng                   r = {20260101};
	_cleanup_(buf_free) struct buf a = BUF_MAX(1 << 20);
	_cleanup_(buf_free) struct buf b = BUF_MAX(1 << 20);
	size_t                         sent = 0;
	unsigned                       before = zones;
	for (size_t round = 0; round < 300; round++) {
		for (size_t i = 0; i < n; i++) {
			buf_reset(&a);
			buf_reset(&b);
			memset(in, 0, sizeof(in));
			sample_payload(s[i].message, &r, round % 16 == 0 ? 65536 : 300, in);
			uint64_t id = rng_next(&r);
			int      e = subject_encode(&s[i], id, in, &a);
			if (e == E_WIRE_LIMIT)
				continue; /* several longest fields at once can be more than a frame */
			assert_int_equal(e, 0);
			assert_int_equal(subject_decode(&s[i], buf_span(&a), out), 0);
			assert_true(sample_equal(s[i].message, in, out));
			assert_int_equal(subject_encode(&s[i], id, out, &b), 0);
			assert_true(span_equal(buf_span(&a), buf_span(&b)));
			sent++;
		}
	}
	assert_true(sent > 290 * n);
	assert_int_equal(zones, before); /* nothing was allocated to decode them */
}

static void check_agrees_with_decode(void **state)
{
	(void)state;
	struct msg_cancel              cancel = {.attempt = 2, .code = E_SWAP_CANCELLED};
	_cleanup_(buf_free) struct buf b = BUF_MAX(4096);
	assert_int_equal(wire_encode(&wire_agent, MSG_CANCEL, UINT64_MAX, &cancel, &b), 0);
	uint16_t type;
	uint64_t id;
	assert_int_equal(wire_check(&wire_agent, buf_span(&b), 0, &type, &id), 0);
	assert_int_equal(type, MSG_CANCEL);
	assert_true(id == UINT64_MAX);
	assert_int_equal(wire_check(&wire_gw, buf_span(&b), 0, &type, &id), E_WIRE_MESSAGE);
}

static void limit_is_the_smaller_one(void **state)
{
	(void)state;
	static uint8_t                 bytes[FRAME_MAX];
	struct gw_frame                frame = {.session = 1, .frame = SPAN_OF(bytes)};
	_cleanup_(buf_free) struct buf b = BUF_MAX(1 << 20);
	uint16_t                       type;
	uint64_t                       id;
	assert_int_equal(wire_encode(&wire_gw, GW_FRAME, 1, &frame, &b), 0);
	assert_int_equal(wire_check(&wire_gw, buf_span(&b), 0, &type, &id), 0);
	assert_int_equal(wire_check(&wire_gw, buf_span(&b), b.n, &type, &id), 0);
	assert_int_equal(wire_check(&wire_gw, buf_span(&b), b.n - 1, &type, &id), E_WIRE_LIMIT);
	assert_int_equal(wire_check(&wire_gw, buf_span(&b), SIZE_MAX, &type, &id), 0);
}

/* What may not be received is not sent either, and leaves nothing behind in the buffer. */
static void encoder_refuses(void **state)
{
	(void)state;
	static uint8_t                 bytes[MSG_SIGNATURE_MAX + 1];
	_cleanup_(buf_free) struct buf b = BUF_MAX(4096);
	buf_add_text(&b, "kept");

	struct msg_signed long_span = {.signature = SPAN_OF(bytes)};
	assert_int_equal(wire_encode(&wire_agent, MSG_CSR, 1, &long_span, &b), E_WIRE_LIMIT);
	struct msg_bye no_end;
	memset(&no_end, 'x', sizeof(no_end));
	assert_int_equal(wire_encode(&wire_agent, MSG_BYE, 1, &no_end, &b), E_WIRE_LIMIT);
	struct msg_bye control = {.text = "red \033[31m"};
	assert_int_equal(wire_encode(&wire_agent, MSG_BYE, 1, &control, &b), E_WIRE_UTF8);
	struct msg_bundle many = {.n_signatures = MSG_ROOTS_MAX + 1};
	assert_int_equal(wire_encode(&wire_agent, MSG_BUNDLE, 1, &many, &b), E_WIRE_LIMIT);
	struct msg_step step = {.step = STEP_COUNT};
	assert_int_equal(wire_encode(&wire_agent, MSG_STEP, 1, &step, &b), E_WIRE_LIMIT);
	struct sg_issue issue = {.facts = {.spki_len = SPKI_MAX + 1}};
	assert_int_equal(wire_encode(&wire_signer, SG_ISSUE, 1, &issue, &b), E_WIRE_LIMIT);
	assert_int_equal(wire_encode(&wire_signer, MSG_BYE, 1, &control, &b), E_WIRE_MESSAGE);
	struct msg_hello two = {.version = "\033[31m"}; /* the first fault is the one that is told */
	memset(two.name, 'x', sizeof(two.name));
	assert_int_equal(wire_encode(&wire_agent, MSG_HELLO, 1, &two, &b), E_WIRE_UTF8);
	memset(two.version, 'x', sizeof(two.version));
	two.name[1] = '\0';
	two.name[0] = '\033';
	assert_int_equal(wire_encode(&wire_agent, MSG_HELLO, 1, &two, &b), E_WIRE_LIMIT);
	assert_int_equal(b.n, 4);
	assert_int_equal(buf_error(&b), 0);

	static struct hk_reply         reply;
	_cleanup_(buf_free) struct buf small = BUF_MAX(15);
	assert_int_equal(wire_encode(&wire_hook, HK_REPLY, 1, &reply, &small), E_FULL);
	assert_int_equal(small.n, 0);
}

static void two_frames_that_are_legal_alone_are_too_long_together(void **state)
{
	(void)state;
	static uint8_t                 bytes[CHAIN_DER_MAX];
	struct msg_join_reply          reply = {.chain = SPAN_OF(bytes)};
	_cleanup_(buf_free) struct buf b = BUF_MAX(1 << 20);
	assert_int_equal(wire_encode(&wire_join, JOIN_REPLY, 1, &reply, &b), E_WIRE_LIMIT);
	reply.chain.n = 8192;
	assert_int_equal(wire_encode(&wire_join, JOIN_REPLY, 1, &reply, &b), 0);
}

/* A host with as many listeners as may be, every text at its longest: still one frame, with its signature. */
static void full_inventory_is_one_frame(void **state)
{
	(void)state;
	struct body_inventory         *in = calloc(2, sizeof(*in));
	static const uint8_t           signature[MSG_SIGNATURE_MAX];
	_cleanup_(buf_free) struct buf body = BUF_MAX(1 << 20);
	_cleanup_(buf_free) struct buf frame = BUF_MAX(1 << 20);
	_cleanup_(buf_free) struct buf local = BUF_MAX(1 << 20);
	assert_non_null(in);
	in->observed_at = INT64_MAX;
	in->found = UINT32_MAX;
	in->n_rows = INVENTORY_MAX;
	for (size_t i = 0; i < INVENTORY_MAX; i++) {
		struct inventory_listener *l = &in->rows[i];
		*l = (struct inventory_listener){.n_names = UINT32_MAX, .not_before_at = INT64_MIN, .not_after_at = INT64_MAX, .chain = UINT32_MAX};
		memset(l->address, 'a', sizeof(l->address) - 1);
		memset(l->program, 'p', sizeof(l->program) - 1);
		memset(l->user, 'u', sizeof(l->user) - 1);
		memset(l->unit, 'n', sizeof(l->unit) - 1);
		memset(l->subject, 's', sizeof(l->subject) - 1);
		memset(l->issuer, 'i', sizeof(l->issuer) - 1);
		memset(l->names, 'd', sizeof(l->names) - 1);
	}
	assert_int_equal(wire_body_encode(&wire_body_inventory, in, &body), 0);
	struct msg_signed   message = {.body = buf_span(&body), .signature = SPAN_OF(signature)};
	struct lk_inventory lk = {.body = buf_span(&body)};
	assert_int_equal(wire_encode(&wire_agent, MSG_INVENTORY, UINT64_MAX, &message, &frame), 0);
	assert_true(frame.n <= FRAME_MAX);
	assert_int_equal(wire_encode(&wire_link, LK_INVENTORY, UINT64_MAX, &lk, &local), 0);
	assert_int_equal(wire_body_decode(&wire_body_inventory, buf_span(&body), &in[1]), 0);
	assert_memory_equal(&in[1], &in[0], sizeof(*in));
	free(in);
}

/* Types that have a number but no work yet. */
static void types_without_a_row_are_refused(void **state)
{
	(void)state;
	static const uint16_t none[] = {MSG_REHEARSAL, 0};
	for (size_t i = 0; i < N_ELEMENTS(none); i++) {
		uint8_t  bytes[] = {0x94, 0x01, (uint8_t)none[i], 0x00, 0x80};
		uint16_t type;
		uint64_t id;
		assert_int_equal(wire_check(&wire_agent, SPAN_OF(bytes), 0, &type, &id), E_WIRE_MESSAGE);
		assert_null(none[i] != 0 ? wire_message_of(&wire_agent, none[i]) : NULL);
	}
}

/* Tables of ours that are wrong let nothing through, in neither direction, and the first error is kept. */
static void a_field_of_no_kind_is_refused(void **state)
{
	(void)state;
	static const int      kinds[] = {WIRE_KIND_COUNT, WIRE_KIND_COUNT + 1};
	static const uint8_t  right[] = {0x81, 0x01, 0x00}, other_key[] = {0x81, 0x02, 0x00};
	struct { uint64_t v; } out = {7};
	for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
		struct wire_field              f = {.number = 1, .kind = (enum wire_kind)kinds[i], .name = "v", .size = sizeof(out), .max = 9};
		struct wire_message            m = {.name = "odd", .struct_size = sizeof(out), .fields = &f, .n_fields = 1};
		_cleanup_(buf_free) struct buf b = BUF_MAX(64);
		assert_int_equal(wire_body_encode(&m, &out, &b), E_INTERNAL);
		assert_int_equal(b.n, 0);
		assert_int_equal(wire_body_decode(&m, SPAN_OF(right), &out), E_INTERNAL);
		assert_int_equal(wire_body_decode(&m, SPAN_OF(other_key), &out), E_WIRE_FIELD);
		assert_int_equal(out.v, 7);
	}
}

/* Rows within rows for ever: the walk ends at the limit of depth, whichever container is the one too many. */
static const struct wire_message endless;
static const struct wire_field   endless_fields[] = {{.number = 1, .kind = WIRE_ROWS, .name = "rows", .max = 1, .rows = &endless}};
static const struct wire_message endless = {.name = "endless", .fields = endless_fields, .n_fields = 1};

static void depth_has_a_limit(void **state)
{
	(void)state;
	for (unsigned start = 1; start <= 2; start++) {
		for (size_t levels = 1; levels < 9; levels++) {
			uint8_t bytes[3 * 9];
			for (size_t i = 0; i < levels; i++) {
				bytes[3 * i] = 0x81;
				bytes[3 * i + 1] = 0x01;
				bytes[3 * i + 2] = i + 1 < levels ? 0x91 : 0x90;
			}
			struct cursor c = cursor_of((struct span){bytes, 3 * levels});
			cursor_fields(&c, &endless, start);
			unsigned deepest = start + 2 * (unsigned)levels - 1; /* a map and an array a level */
			if (cursor_end(&c) != (deepest <= WIRE_DEPTH_MAX ? 0 : E_WIRE_DEPTH))
				fail_msg("from %u, %zu levels: %d", start, levels, cursor_end(&c));
		}
	}
}

/* Nothing of an earlier frame stays behind in a reused struct. */
static void decoding_clears_the_struct(void **state)
{
	(void)state;
	struct msg_bye                 bye = {.code = E_AGENT_EVICTED, .text = "short"};
	_cleanup_(buf_free) struct buf b = BUF_MAX(4096);
	static struct wire_frame       frame;
	memset(&frame, 'S', sizeof(frame));
	assert_int_equal(wire_encode(&wire_agent, MSG_BYE, 1, &bye, &b), 0);
	assert_int_equal(wire_decode(&wire_agent, buf_span(&b), 0, &frame), 0);
	assert_memory_equal(&frame.u.bye, &bye, sizeof(bye));
}

struct golden {
	const struct wire_table   *table;
	const struct wire_message *body;
	uint16_t                   type;
	const void                *payload;
	const char                *hex;
};

static const struct msg_ack     golden_ack = {.id = 300, .seq = 7, .code = E_ORDER_OPEN, .text = "no"};
static const struct hk_request  golden_hook = {.stem = "nginx", .verb = HOOK_RELOAD, .generation = 70000};
static const struct gw_down     golden_down = {.session = UINT64_C(0x100000001), .code = 0};
static const struct msg_step    golden_step = {.renewal_id = {{1}}, .attempt = 1, .step = STEP_FLIP, .code = -33, .at = -129};
static const struct body_bundle golden_bundle = {
	.epoch = 1, .threshold = 1, .made_at = 1700000000000, .n_roots = 1, .roots = {{{(const uint8_t *)"\x30\x00", 2}}}};

static const struct golden goldens[] = {
	{&wire_agent, NULL, MSG_ACK, &golden_ack, "94012b0584" "01cd012c" "0207" "03d1f447" "04a26e6f"},
	{&wire_hook, NULL, HK_REQUEST, &golden_hook, "9401cc800584" "01a56e67696e78" "0201" "03ce00011170" "0400"},
	{&wire_gw, NULL, GW_DOWN, &golden_down, "9401420582" "01cf0000000100000001" "0200"},
	{&wire_agent, NULL, MSG_STEP, &golden_step,
	 "9401070585" "01c41001000000000000000000000000000000" "0201" "0306" "04d0df" "05d1ff7f"},
	{NULL, &wire_body_bundle, 0, &golden_bundle,
	 "85" "0101" "02c4200000000000000000000000000000000000000000000000000000000000000000" "0301" "04cf0000018bcfe56800"
	 "0591" "81" "01c4023000"},
};

/* Bytes that are on disks and in signatures for ever. */
static void golden_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(goldens); i++) {
		const struct golden           *g = &goldens[i];
		struct sample_subject          s = {g->table, g->body != NULL ? g->body : wire_message_of(g->table, g->type)};
		_cleanup_(buf_free) struct buf b = BUF_MAX(4096);
		assert_int_equal(subject_encode(&s, 5, g->payload, &b), 0);
		char hex[512];
		assert_true(2 * b.n < sizeof(hex));
		hex_text(b.p, b.n, hex);
		assert_string_equal(hex, g->hex);
	}
}

static void document_names_everything(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf text = BUF_MAX(1 << 20);
	wire_document(&text);
	buf_add_u8(&text, 0);
	assert_int_equal(buf_error(&text), 0);
	const struct sample_subject *s;
	size_t                       n = sample_subjects(&s);
	for (size_t i = 0; i < n; i++) {
		char head[80];
		if (s[i].table != NULL)
			snprintf(head, sizeof(head), "\n### %u %s\n", s[i].message->type, s[i].message->name);
		else
			snprintf(head, sizeof(head), "\n### %s\n", s[i].message->name);
		assert_non_null(strstr((const char *)text.p, head));
		for (size_t k = 0; k < s[i].message->n_fields; k++)
			assert_string_not_equal(wire_kind_name(s[i].message->fields[k].kind), "unknown");
	}
	assert_string_equal(wire_kind_name(WIRE_KIND_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_sound),
		cmocka_unit_test(no_member_is_forgotten),
		cmocka_unit_test(every_message_there_and_back),
		cmocka_unit_test(check_agrees_with_decode),
		cmocka_unit_test(limit_is_the_smaller_one),
		cmocka_unit_test(encoder_refuses),
		cmocka_unit_test(two_frames_that_are_legal_alone_are_too_long_together),
		cmocka_unit_test(full_inventory_is_one_frame),
		cmocka_unit_test(types_without_a_row_are_refused),
		cmocka_unit_test(a_field_of_no_kind_is_refused),
		cmocka_unit_test(depth_has_a_limit),
		cmocka_unit_test(decoding_clears_the_struct),
		cmocka_unit_test(golden_bytes),
		cmocka_unit_test(document_names_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
