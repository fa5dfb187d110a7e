/* test_keyfile.c - does a sealed key open only with its passphrase, and does no altered file cost memory?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/pki/key.h"

static const struct keyfile_cost cheap = {1, 8};

static int seal(const struct key *k, struct span passphrase, struct keyfile_cost cost, struct buf *to)
{
	struct keyfile_lock lock;
	int                 r = keyfile_lock_make(passphrase, cost, &lock);
	return r == 0 ? keyfile_seal_under(k, &lock, to) : r;
}

static void opens_with_its_passphrase_only(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519};
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		_cleanup_(key_freep) struct key *k = NULL, *back = NULL, *none = NULL;
		_cleanup_(buf_free) struct buf   file = BUF_MAX(8192);
		assert_int_equal(key_make(types[i], &k), 0);
		assert_int_equal(seal(k, span_text("correct horse"), cheap, &file), 0);
		assert_int_equal(keyfile_open(buf_span(&file), span_text("correct horse"), &back), 0);
		assert_true(key_same(k, back));
		assert_int_equal(keyfile_open(buf_span(&file), span_text("correct horsE"), &none), E_PKI_PASSPHRASE);
		assert_int_equal(keyfile_open(buf_span(&file), span_text(""), &none), E_PKI_PASSPHRASE);
		assert_null(none);
	}
}

static void plain_key_is_not_inside(void **state)
{
	(void)state;
	_cleanup_(key_freep) struct key *k = NULL;
	_cleanup_(buf_free) struct buf   file = BUF_MAX(8192), again = BUF_MAX(8192);
	_cleanup_(buf_wipe) struct buf   der = BUF_MAX(8192);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(key_to_der(k, &der), 0);
	assert_int_equal(seal(k, span_text("p"), cheap, &file), 0);
	for (size_t at = 0; at + 16 <= der.n; at++)
		assert_null(memmem(file.p, file.n, der.p + at, 16));
	/* salt and nonce are fresh each time */
	assert_int_equal(seal(k, span_text("p"), cheap, &again), 0);
	assert_memory_not_equal(file.p + 16, again.p + 16, 16);
	assert_memory_not_equal(file.p + 32, again.p + 32, 12);
}

static void every_changed_octet_is_refused(void **state)
{
	(void)state;
	_cleanup_(key_freep) struct key *k = NULL, *none = NULL;
	_cleanup_(buf_free) struct buf   file = BUF_MAX(8192);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(seal(k, span_text("p"), cheap, &file), 0);
	for (size_t i = 0; i < file.n; i++) {
		file.p[i] ^= 1;
		int r = keyfile_open(buf_span(&file), span_text("p"), &none);
		assert_true(r == E_PKI_KEY || r == E_PKI_PASSPHRASE);
		file.p[i] ^= 1;
	}
	for (size_t n = 0; n < file.n; n++)
		assert_int_equal(keyfile_open((struct span){file.p, n}, span_text("p"), &none), E_PKI_KEY);
	buf_add_u8(&file, 0);
	assert_int_equal(keyfile_open(buf_span(&file), span_text("p"), &none), E_PKI_KEY);
	assert_null(none);
}

static void claimed_cost_is_limited(void **state)
{
	(void)state;
	_cleanup_(key_freep) struct key *k = NULL, *none = NULL;
	_cleanup_(buf_free) struct buf   file = BUF_MAX(8192), nothing = BUF_MAX(8192);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(seal(k, span_text("p"), cheap, &file), 0);
	file.p[12] = 0xff; /* 4 TiB */
	assert_int_equal(keyfile_open(buf_span(&file), span_text("p"), &none), E_PKI_KEY);
	file.p[12] = 0;
	file.p[11] = 17; /* operations */
	assert_int_equal(keyfile_open(buf_span(&file), span_text("p"), &none), E_PKI_KEY);
	assert_int_equal(seal(k, span_text("p"), (struct keyfile_cost){17, 8}, &nothing), E_RANGE);
	assert_int_equal(seal(k, span_text("p"), (struct keyfile_cost){1, 1 << 21}, &nothing), E_RANGE);
	assert_int_equal(seal(k, span_text(""), cheap, &nothing), E_RANGE);
	assert_int_equal(nothing.n, 0);
}

static void usual_cost_is_accepted(void **state)
{
	(void)state;
	_cleanup_(key_freep) struct key *k = NULL, *back = NULL;
	_cleanup_(buf_free) struct buf   file = BUF_MAX(8192);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(seal(k, span_text("p"), keyfile_cost_usual, &file), 0);
	assert_int_equal(keyfile_open(buf_span(&file), span_text("p"), &back), 0);
	assert_true(key_same(k, back));
}

/* Of what is random already the file says the small cost, opens with it, and another passphrase does not open it. */
static void random_cost_is_accepted(void **state)
{
	(void)state;
	static const uint8_t             said[8] = {0, 0, 0, 1, 0, 0, 0x20, 0}; /* 1 operation, 8192 KiB */
	_cleanup_(key_freep) struct key *k = NULL, *back = NULL, *none = NULL;
	_cleanup_(buf_free) struct buf   file = BUF_MAX(8192);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(seal(k, span_text("p"), keyfile_cost_random, &file), 0);
	assert_memory_equal(file.p + 8, said, sizeof(said));
	assert_int_equal(keyfile_open(buf_span(&file), span_text("P"), &none), E_PKI_PASSPHRASE);
	assert_int_equal(keyfile_open(buf_span(&file), span_text("p"), &back), 0);
	assert_true(key_same(k, back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_with_its_passphrase_only), cmocka_unit_test(plain_key_is_not_inside),
		cmocka_unit_test(every_changed_octet_is_refused), cmocka_unit_test(claimed_cost_is_limited),
		cmocka_unit_test(usual_cost_is_accepted), cmocka_unit_test(random_cost_is_accepted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
