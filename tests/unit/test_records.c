/* test_records.c - is what the keeper's journal holds read back exactly, and anything else refused?
 * Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/records.h"

static struct deploy sample(void)
{
	struct deploy d;
	memset(&d, 0, sizeof(d));
	memset(d.renewal_id.b, 7, sizeof(d.renewal_id.b));
	strcpy(d.cert_id, "clara01-web");
	d.attempt = 3;
	d.phase = DEPLOY_BACK_PROBE;
	d.trigger = TRIGGER_EMERGENCY;
	d.key_type = KEY_RSA_3072;
	d.post_validation = d.had_old = d.was_serving = true;
	d.tries = 4;
	d.restarts = 2;
	d.generation = 12;
	d.old_generation = 11;
	memset(d.fingerprint.b, 1, 32);
	memset(d.serial.b, 2, 16);
	d.code = E_SWAP_STALE;
	strcpy(d.cause, "the old certificate is still served");
	d.flags = ORDER_HOOK_FAILED;
	d.deadline_at = INT64_MAX;
	d.flipped_at = 1790000000000;
	d.next_at = INT64_MAX;
	return d;
}

static void batch(void **state)
{
	(void)state;
	struct buf           b = BUF_MAX(65536);
	struct deploy        d = sample();
	struct record_target t = {.cert_id = "clara01-web", .stem = "web", .generation = 12};
	struct record_frame  f = {.cert_id = "clara01-web", .type = 33, .frame = SPAN_OF("frame")};
	struct record       *r = malloc(sizeof(*r));
	assert_int_equal(record_encode(RECORD_TARGET, &t, &b), 0);
	assert_int_equal(record_encode(RECORD_FRAME, &f, &b), 0);
	assert_int_equal(record_encode(RECORD_DEPLOY, &d, &b), 0);
	struct span rest = buf_span(&b);
	assert_int_equal(record_decode(&rest, r), 0);
	assert_int_equal(r->kind, RECORD_TARGET);
	assert_string_equal(r->u.target.stem, "web");
	assert_int_equal(record_decode(&rest, r), 0);
	assert_int_equal(r->u.frame.frame.n, 6);
	assert_int_equal(record_decode(&rest, r), 0);
	assert_int_equal(r->kind, RECORD_DEPLOY);
	assert_memory_equal(&r->u.deploy.fingerprint, &d.fingerprint, 32);
	assert_int_equal(r->u.deploy.phase, d.phase);
	assert_int_equal(r->u.deploy.next_at, d.next_at);
	assert_int_equal(r->u.deploy.code, d.code);
	assert_string_equal(r->u.deploy.cause, d.cause);
	assert_int_equal(r->u.deploy.restarts, 2);
	assert_int_equal(rest.n, 0);
	free(r);
	buf_free(&b);
}

/* Every cut and every changed byte of a record is refused or gives a record; nothing reads beyond it. */
static void damage(void **state)
{
	(void)state;
	struct buf     b = BUF_MAX(65536);
	struct deploy  d = sample();
	struct record *r = malloc(sizeof(*r));
	assert_int_equal(record_encode(RECORD_DEPLOY, &d, &b), 0);
	for (size_t n = 0; n < b.n; n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy, b.p, n);
		struct span cut = {copy, n};
		assert_int_equal(record_decode(&cut, r), E_SYS_JOURNAL);
		free(copy);
	}
	size_t refused = 0;
	for (size_t i = 0; i < b.n; i++) {
		b.p[i] ^= 0x81;
		struct span all = buf_span(&b);
		refused += record_decode(&all, r) != 0;
		b.p[i] ^= 0x81;
	}
	assert_true(refused > b.n / 4);
	free(r);
	buf_free(&b);
}

static void foreign_kinds(void **state)
{
	(void)state;
	struct record *r = malloc(sizeof(*r));
	for (unsigned kind = 0; kind < 256; kind++) {
		const uint8_t bytes[] = {0, 0, 0, 1, (uint8_t)kind, 0x80};
		struct span   s = SPAN_OF(bytes);
		assert_int_equal(record_decode(&s, r), E_SYS_JOURNAL);
	}
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(batch), cmocka_unit_test(damage), cmocka_unit_test(foreign_kinds)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
