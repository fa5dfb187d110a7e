/* test_token.c - do token texts survive the way there and back, and is each single changed character noticed? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/pki/key.h"
#include "shared/pki/token.h"

static const uint8_t secret[TOKEN_SECRET] = {0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
                                             17,   18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 0x80};

static void pat_round_trip(void **state)
{
	(void)state;
	char        text[TOKEN_PAT_SIZE];
	struct hash made, seen, whole;
	assert_int_equal(token_pat_make(secret, text, &made), 0);
	assert_int_equal(strlen(text), TOKEN_PAT_SIZE - 1);
	assert_memory_equal(text, "vcc_pat_", 8);
	assert_int_equal(token_pat_check(text, &seen), 0);
	assert_true(hash_equal(made, seen));
	digest_sha256(span_text(text), &whole);
	assert_true(hash_equal(made, whole));
}

static void pat_changed_is_refused(void **state)
{
	(void)state;
	char        text[TOKEN_PAT_SIZE];
	struct hash hash;
	assert_int_equal(token_pat_make(secret, text, &hash), 0);
	for (size_t i = 0; i < TOKEN_PAT_SIZE - 1; i++) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(token_pat_check(text, &hash), E_SYNTAX);
		text[i] = '\0'; /* cut */
		assert_int_equal(token_pat_check(text, &hash), E_SYNTAX);
		text[i] = was;
	}
	assert_int_equal(token_pat_check("", &hash), E_SYNTAX);
	char longer[TOKEN_PAT_SIZE + 4];
	memcpy(longer, text, TOKEN_PAT_SIZE);
	strcat(longer, "AAAA");
	assert_int_equal(token_pat_check(longer, &hash), E_SYNTAX);
}

static void join_round_trip(void **state)
{
	(void)state;
	static const char *const names[] = {"a", "clara01", "abcdefghijklmnopqrstuvwxyz012345"};
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		char    text[TOKEN_JOIN_SIZE], name[AGENT_NAME_SIZE];
		uint8_t seed[TOKEN_SECRET];
		assert_int_equal(token_join_make(secret, names[i], text), 0);
		assert_int_equal(token_join_parse(text, seed, name), 0);
		assert_string_equal(name, names[i]);
		assert_memory_equal(seed, secret, sizeof(seed));
	}
}

static void join_hostile_is_refused(void **state)
{
	(void)state;
	char        text[TOKEN_JOIN_SIZE], name[AGENT_NAME_SIZE] = "kept", pat[TOKEN_PAT_SIZE];
	uint8_t     seed[TOKEN_SECRET];
	struct hash hash;
	assert_int_equal(token_join_make(secret, "", text), E_NAME);
	assert_int_equal(token_join_make(secret, "Clara", text), E_NAME);
	assert_int_equal(token_join_make(secret, "abcdefghijklmnopqrstuvwxyz0123456", text), E_NAME);
	assert_int_equal(token_join_make(secret, "clara01", text), 0);
	size_t n = strlen(text);
	for (size_t i = 0; i < n; i++) {
		char was = text[i];
		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_equal(token_join_parse(text, seed, name), E_SYNTAX);
		text[i] = was;
	}
	/* a bearer token is not an invite, nor the other way round */
	assert_int_equal(token_pat_make(secret, pat, &hash), 0);
	assert_int_equal(token_join_parse(pat, seed, name), E_SYNTAX);
	assert_int_equal(token_pat_check(text, &hash), E_SYNTAX);
	assert_string_equal(name, "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pat_round_trip),
		cmocka_unit_test(pat_changed_is_refused),
		cmocka_unit_test(join_round_trip),
		cmocka_unit_test(join_hostile_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
