/* test_share.c - do any k of n shares give the secret back and no fewer, and is every mistyped digit found?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shared/pki/key.h"
#include "shared/pki/share.h"

static uint8_t secret[SHARE_SECRET];

static int secret_make(void **state)
{
	(void)state;
	random_bytes(secret, sizeof(secret));
	return 0;
}

/* Every subset of n shares, by the bits of `which`: those of k give the secret, and others are refused. */
static void every_subset(void **state)
{
	(void)state;
	struct share s[SHARES_MAX], some[SHARES_MAX];
	uint8_t      got[SHARE_SECRET];
	for (unsigned n = 2; n <= 6; n++)
		for (unsigned k = 2; k <= n; k++) {
			assert_int_equal(share_split(secret, k, n, s), 0);
			for (unsigned which = 0; which < 1U << n; which++) {
				size_t have = 0;
				for (unsigned i = n; i-- > 0;) /* not in the order of their numbers */
					if ((which >> i & 1U) != 0)
						some[have++] = s[i];
				memset(got, 0, sizeof(got));
				assert_int_equal(share_join(some, have, got), have == k ? 0 : E_RANGE);
				assert_int_equal(memcmp(got, secret, sizeof(got)) == 0, have == k);
			}
		}
}

static void the_most_of_them(void **state)
{
	(void)state;
	struct share s[SHARES_MAX];
	uint8_t      got[SHARE_SECRET];
	assert_int_equal(share_split(secret, SHARES_MAX, SHARES_MAX, s), 0);
	assert_int_equal(share_join(s, SHARES_MAX, got), 0);
	assert_memory_equal(got, secret, sizeof(got));
	assert_int_equal(share_split(secret, 9, SHARES_MAX, s), 0);
	assert_int_equal(share_join(s + 7, 9, got), 0);
	assert_memory_equal(got, secret, sizeof(got));
}

/* With fewer than k every value of the secret fits: a share that is made up leads to one, and it is another each time. */
static void fewer_say_nothing(void **state)
{
	(void)state;
	struct share s[3], forged[3];
	uint8_t      got[SHARE_SECRET];
	bool         seen[256] = {false};
	assert_int_equal(share_split(secret, 3, 3, s), 0);
	memcpy(forged, s, sizeof(forged));
	for (unsigned v = 0; v < 256; v++) {
		forged[2].value[0] = (uint8_t)v;
		assert_int_equal(share_join(forged, 3, got), 0);
		assert_false(seen[got[0]]);
		seen[got[0]] = true;
	}
}

static void twice_the_same_secret_is_shared_otherwise(void **state)
{
	(void)state;
	struct share a[3], b[3], mixed[2];
	uint8_t      got[SHARE_SECRET];
	assert_int_equal(share_split(secret, 2, 3, a), 0);
	assert_int_equal(share_split(secret, 2, 3, b), 0);
	assert_memory_not_equal(a[0].set, b[0].set, SHARE_SET);
	assert_memory_not_equal(a[0].value, b[0].value, SHARE_SECRET);
	mixed[0] = a[0];
	mixed[1] = b[1];
	assert_int_equal(share_join(mixed, 2, got), E_RANGE);
	mixed[1] = a[0];
	assert_int_equal(share_join(mixed, 2, got), E_RANGE);
	mixed[1] = a[1];
	mixed[1].number = 0; /* there the secret itself would lie */
	assert_int_equal(share_join(mixed, 2, got), E_RANGE);
}

static void sizes_are_limited(void **state)
{
	(void)state;
	struct share s[SHARES_MAX];
	assert_int_equal(share_split(secret, 1, 3, s), E_RANGE);
	assert_int_equal(share_split(secret, 4, 3, s), E_RANGE);
	assert_int_equal(share_split(secret, 2, SHARES_MAX + 1, s), E_RANGE);
}

/* Values that were worked out by another program (the field of FIPS 197): polynomials 0xa5 + 0x17 x and 0x00 + 0x01 x. */
static void known_values(void **state)
{
	(void)state;
	struct share s[2] = {{.number = 1, .needed = 2}, {.number = 2, .needed = 2}};
	uint8_t      got[SHARE_SECRET];
	s[0].value[0] = 0xa5 ^ 0x17;
	s[1].value[0] = 0xa5 ^ 0x2e;
	s[0].value[1] = 0x01;
	s[1].value[1] = 0x02;
	assert_int_equal(share_join(s, 2, got), 0);
	assert_int_equal(got[0], 0xa5);
	assert_int_equal(got[1], 0x00);
	s[0].number = 0x53; /* FIPS 197: 0x53 and 0xca are each other's inverse */
	s[1].number = 0xca;
	s[0].value[0] = 0x3c ^ 0x01; /* 0x3c + 0xca x */
	s[1].value[0] = 0x3c ^ 0x75; /* 0xca squared */
	assert_int_equal(share_join(s, 2, got), 0);
	assert_int_equal(got[0], 0x3c);
}

static void text_there_and_back(void **state)
{
	(void)state;
	struct share   s[3], back;
	struct refusal why = {0};
	char           text[SHARE_TEXT_SIZE], other[SHARE_TEXT_SIZE + 40] = "  ";
	assert_int_equal(share_split(secret, 2, 3, s), 0);
	share_text(&s[1], text);
	assert_int_equal(strlen(text), SHARE_TEXT_SIZE - 1);
	assert_int_equal(share_read(span_text(text), &back, &why), 0);
	assert_memory_equal(&back, &s[1], sizeof(back));
	for (size_t i = 0, n = 2; text[i] != '\0'; i++) { /* as people type it */
		other[n++] = text[i] == ' ' ? '-' : (char)(text[i] >= 'a' ? text[i] - 32 : text[i]);
		other[n] = '\0';
	}
	strcat(other, " \r");
	assert_int_equal(share_read(span_text(other), &back, &why), 0);
	assert_memory_equal(&back, &s[1], sizeof(back));
}

static void every_mistyped_digit_is_found(void **state)
{
	(void)state;
	struct share   s[3], back;
	struct refusal why = {0};
	char           text[SHARE_TEXT_SIZE], bad[SHARE_TEXT_SIZE + 8];
	assert_int_equal(share_split(secret, 2, 3, s), 0);
	share_text(&s[2], text);
	for (size_t i = 0; text[i] != '\0'; i++) {
		if (text[i] == ' ')
			continue;
		strcpy(bad, text);
		bad[i] = text[i] == '7' ? '1' : '7';
		assert_int_equal(share_read(span_text(bad), &back, &why), E_SIGNER_SHARE);
		assert_non_null(strstr(why.cause, "mistyped"));
		bad[i] = 'g';
		assert_int_equal(share_read(span_text(bad), &back, &why), E_SIGNER_SHARE);
	}
	text[SHARE_TEXT_SIZE - 2] = '\0';
	assert_int_equal(share_read(span_text(text), &back, &why), E_SIGNER_SHARE);
	assert_non_null(strstr(why.cause, "87 digits"));
	assert_int_equal(share_read(span_text(""), &back, &why), E_SIGNER_SHARE);
	snprintf(bad, sizeof(bad), "%s0 00", text);
	assert_int_equal(share_read(span_text(bad), &back, &why), E_SIGNER_SHARE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_subset), cmocka_unit_test(the_most_of_them), cmocka_unit_test(fewer_say_nothing),
		cmocka_unit_test(twice_the_same_secret_is_shared_otherwise), cmocka_unit_test(sizes_are_limited), cmocka_unit_test(known_values),
		cmocka_unit_test(text_there_and_back), cmocka_unit_test(every_mistyped_digit_is_found),
	};
	return cmocka_run_group_tests(tests, secret_make, NULL);
}
