/* test_share_set.c - is each wrong share named for what it is, and does the seal open for the right ones alone?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "shared/base/text.h"
#include "shared/pki/share_set.h"

#define PASSPHRASE span_text("a passphrase of any length, within bounds")

static struct share_set set;
static struct share     shares[SHARES_MAX];

static int set_make(void **state)
{
	(void)state;
	return share_set_make(PASSPHRASE, 3, 5, &set, shares);
}

static int judge(const struct share *have, size_t n, const struct share *s, const char *cause)
{
	struct refusal why = {0};
	int            r = share_set_judge(&set, have, n, s, &why);
	if (cause != NULL)
		assert_non_null(strstr(why.cause, cause));
	return r;
}

static void each_of_the_set_is_known(void **state)
{
	(void)state;
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(judge(shares, i, &shares[i], NULL), 0);
}

static void wrong_ones_are_named(void **state)
{
	(void)state;
	struct share_set other;
	struct share     others[SHARES_MAX], s = shares[1];
	assert_int_equal(share_set_make(PASSPHRASE, 3, 5, &other, others), 0);
	assert_int_equal(judge(NULL, 0, &others[0], "it is of set"), E_SIGNER_SHARE);
	assert_int_equal(judge(shares, 2, &shares[1], "here already"), E_SIGNER_SHARE);
	s.value[7] ^= 1; /* whoever makes one up can make its last digits fit */
	assert_int_equal(judge(NULL, 0, &s, "not the one that was handed out"), E_SIGNER_SHARE);
	s = shares[1];
	s.number = 3;
	assert_int_equal(judge(NULL, 0, &s, "not the one that was handed out"), E_SIGNER_SHARE);
	for (unsigned number = 0; number < 256; number += number == 0 ? 6 : 1) {
		s.number = (uint8_t)number;
		assert_int_equal(judge(NULL, 0, &s, NULL), E_SIGNER_SHARE);
	}
	s = shares[1];
	s.needed = 2;
	assert_int_equal(judge(NULL, 0, &s, NULL), E_SIGNER_SHARE);
}

static void opens_for_any_three(void **state)
{
	(void)state;
	struct refusal why = {0};
	for (size_t a = 0; a < 5; a++)
		for (size_t b = a + 1; b < 5; b++)
			for (size_t c = b + 1; c < 5; c++) {
				_cleanup_(buf_free) struct buf got = BUF_MAX(SHARE_PASSPHRASE_MAX);
				struct share                   some[3] = {shares[c], shares[a], shares[b]};
				assert_int_equal(share_set_open(&set, some, 2, &got, &why), E_SIGNER_SHARE);
				assert_int_equal(share_set_open(&set, some, 3, &got, &why), 0);
				assert_true(span_equal(buf_span(&got), PASSPHRASE));
			}
}

static void an_altered_seal_does_not_open(void **state)
{
	(void)state;
	struct refusal why = {0};
	for (size_t i = 0; i < set.seal_n; i++) {
		struct buf       got = BUF_MAX(SHARE_PASSPHRASE_MAX);
		struct share_set bad = set;
		bad.seal[i] ^= 0x10;
		assert_int_equal(share_set_open(&bad, shares, 3, &got, &why), E_SHARES_DAMAGED);
		assert_int_equal(got.n, 0);
		buf_wipe(&got);
	}
}

static void text_there_and_back(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf text = BUF_MAX(SHARE_SET_MAX), again = BUF_MAX(SHARE_SET_MAX);
	struct share_set               back;
	struct refusal                 why = {0};
	assert_int_equal(share_set_write(&set, &text), 0);
	assert_int_equal(share_set_read(buf_span(&text), &back, &why), 0);
	assert_int_equal(share_set_write(&back, &again), 0);
	assert_true(span_equal(buf_span(&text), buf_span(&again)));
	for (size_t n = 0; n < text.n; n++) /* cut short anywhere */
		assert_int_equal(share_set_read((struct span){text.p, n}, &back, &why), E_SHARES_DAMAGED);
	assert_null(strstr((char *)text.p, "a passphrase"));
	buf_add_text(&text, "\n");
	assert_int_equal(share_set_read(buf_span(&text), &back, &why), E_SHARES_DAMAGED);
}

static void hostile_texts(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "vcc-shares 2\n", "vcc-shares 1\nset 00000000\nneeded 1\nof 1\npassphrase AAAA\nshare 1 00\n",
		"vcc-shares 1\nset 00000000\nneeded 3\nof 2\n", "vcc-shares 1\nset 00000000\nneeded 2\nof 99\n", "vcc-shares 1\nset zz000000\nneeded 2\nof 2\n",
		"vcc-shares 1\nset 00000000\nneeded 2\nof 2\npassphrase AAAA\n", "vcc-shares 1\nset 00000000\nneeded 2\nof 2\npassphrase \n",
	};
	struct share_set back;
	struct refusal   why = {0};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(share_set_read(span_text(bad[i]), &back, &why), E_SHARES_DAMAGED);
	static char long_one[SHARE_SET_MAX + 100];
	memset(long_one, 'a', sizeof(long_one));
	assert_int_equal(share_set_read((struct span){(uint8_t *)long_one, sizeof(long_one)}, &back, &why), E_SHARES_DAMAGED);
}

static void passphrases_are_limited(void **state)
{
	(void)state;
	static const char long_one[SHARE_PASSPHRASE_MAX + 1] = {1};
	struct share_set  other;
	struct share      s[SHARES_MAX];
	struct refusal    why = {0};
	struct buf        text = BUF_MAX(SHARE_SET_MAX), got = BUF_MAX(SHARE_PASSPHRASE_MAX);
	assert_int_equal(share_set_make(span_text(""), 2, 2, &other, s), E_RANGE);
	assert_int_equal(share_set_make((struct span){(const uint8_t *)long_one, sizeof(long_one)}, 2, 2, &other, s), E_RANGE);
	assert_int_equal(share_set_make(PASSPHRASE, 1, 2, &other, s), E_RANGE);
	assert_int_equal(share_set_make((struct span){(const uint8_t *)long_one, SHARE_PASSPHRASE_MAX}, 16, 16, &other, s), 0);
	assert_int_equal(share_set_write(&other, &text), 0);
	assert_int_equal(share_set_read(buf_span(&text), &other, &why), 0);
	assert_int_equal(share_set_open(&other, s, 16, &got, &why), 0);
	assert_int_equal(got.n, SHARE_PASSPHRASE_MAX);
	buf_free(&text);
	buf_wipe(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_of_the_set_is_known), cmocka_unit_test(wrong_ones_are_named), cmocka_unit_test(opens_for_any_three),
		cmocka_unit_test(an_altered_seal_does_not_open), cmocka_unit_test(text_there_and_back), cmocka_unit_test(hostile_texts),
		cmocka_unit_test(passphrases_are_limited),
	};
	return cmocka_run_group_tests(tests, set_make, NULL);
}
