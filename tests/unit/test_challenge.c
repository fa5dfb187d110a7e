/* test_challenge.c - is a challenge good for its agent, its run and a minute, and for nothing else? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "controller/daemon/challenge.h"

static const uint8_t secret[HMAC_KEY_SIZE] = {1}, other_run[HMAC_KEY_SIZE] = {2};

static void good_for_one_agent_and_a_minute(void **state)
{
	(void)state;
	struct challenge c;
	challenge_make(secret, "clara01", 1000, &c);
	struct span said = {c.bytes, sizeof(c.bytes)};
	assert_false(challenge_fresh(secret, "clara02", 1000, said));
	assert_false(challenge_fresh(secret, "clara0", 1000, said));
	assert_false(challenge_fresh(other_run, "clara01", 1000, said));
	assert_false(challenge_fresh(secret, "clara01", 999, said)); /* of the future: not ours */
	assert_false(challenge_fresh(secret, "clara01", 1001 + CHALLENGE_LIFE_MS, said));
	assert_true(challenge_fresh(secret, "clara01", 1000, said));
	assert_true(challenge_fresh(secret, "clara01", 1000 + CHALLENGE_LIFE_MS, said));
}

static void every_bit_counts(void **state)
{
	(void)state;
	struct challenge c;
	challenge_make(secret, "clara01", 1000, &c);
	for (size_t n = 0; n < sizeof(c.bytes); n++)
		assert_false(challenge_fresh(secret, "clara01", 1000, (struct span){c.bytes, n}));
	for (size_t bit = 0; bit < sizeof(c.bytes) * 8; bit++) {
		struct challenge spoilt = c;
		spoilt.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(challenge_fresh(secret, "clara01", 1000, (struct span){spoilt.bytes, sizeof(spoilt.bytes)}));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_for_one_agent_and_a_minute),
		cmocka_unit_test(every_bit_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
