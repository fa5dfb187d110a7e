/* test_id.c - do ids, hashes, serials and their texts lead to each other, and nothing else to them? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/id.h"

static void ids_are_uuid_version_7(void **state)
{
	(void)state;
	uint8_t   random[ID_RANDOM];
	char      text[ID_TEXT_SIZE];
	struct id back;
	memset(random, 0xff, sizeof(random));
	struct id id = id_make(0x0123456789ab, random);
	assert_string_equal(id_text(id, text), "01234567-89ab-7fff-bfff-ffffffffffff");
	assert_int_equal(id_parse(text, &back), 0);
	assert_true(id_equal(id, back));
	assert_int_equal(id_parse("01234567-89AB-7FFF-BFFF-FFFFFFFFFFFF", &back), 0);
	assert_true(id_equal(id, back));
	assert_false(id_is_none(id));
	assert_true(id_is_none((struct id){{0}}));
	memset(random, 0, sizeof(random));
	struct id later = id_make(0x0123456789ac, random);
	assert_true(memcmp(id.b, later.b, sizeof(id.b)) < 0);
}

static void wrong_ids_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"01234567-89ab-7fff-bfff-fffffffffff",
		"01234567-89ab-7fff-bfff-fffffffffffff",
		"0123456789ab-7fff-bfff-ffffffffffff-",
		"01234567-89ab-7fff-bfff-fffffffffffg",
		"01234567_89ab_7fff_bfff_ffffffffffff",
		"01234567-89ab-7fff-bfff-ffff-fffffff",
		"{1234567-89ab-7fff-bfff-fffffffffff}",
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct id id = {{7}};
		assert_int_equal(id_parse(bad[i], &id), E_SYNTAX);
		assert_int_equal(id.b[0], 7);
	}
}

static void serials_are_positive_and_ordered(void **state)
{
	(void)state;
	uint8_t       random[SERIAL_RANDOM];
	char          text[SERIAL_TEXT_SIZE];
	struct serial back;
	memset(random, 0xab, sizeof(random));
	struct serial s = serial_make(0x1234, random);
	assert_string_equal(serial_text(s, text), "00000000001234ABABABABABABABABAB");
	assert_int_equal(serial_counter(s), 0x1234);
	assert_int_equal(serial_parse(text, &back), 0);
	assert_true(serial_equal(s, back));
	s = serial_make(UINT64_MAX, random);
	assert_int_equal(s.b[0] & 0x80, 0); /* RFC 5280, 4.1.2.2 */
	assert_true(memcmp(serial_make(255, random).b, serial_make(256, random).b, 16) < 0);
	assert_int_equal(serial_parse("00", &back), E_SYNTAX);
	assert_true(serial_is_none((struct serial){{0}}));
	assert_false(serial_is_none(s));
}

static void hashes_have_64_digits(void **state)
{
	(void)state;
	struct hash h;
	struct hash back;
	char        text[HASH_TEXT_SIZE];
	for (size_t i = 0; i < sizeof(h.b); i++)
		h.b[i] = (uint8_t)(i * 9);
	assert_int_equal(hash_parse(hash_text(h, text), &back), 0);
	assert_true(hash_equal(h, back));
	text[63] = '\0';
	assert_int_equal(hash_parse(text, &back), E_SYNTAX);
	assert_true(hash_is_none((struct hash){{0}}));
	assert_false(hash_is_none(h));
}

static void hex_is_exact(void **state)
{
	(void)state;
	uint8_t bytes[3] = {1, 2, 3};
	char    text[7];
	assert_int_equal(hex_parse("00ff1", bytes, 3), E_SYNTAX);
	assert_int_equal(hex_parse("00ff1g", bytes, 3), E_SYNTAX);
	assert_int_equal(hex_parse("00ff1 ", bytes, 3), E_SYNTAX);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(hex_parse("00Ff1a", bytes, 3), 0);
	hex_text(bytes, 3, text);
	assert_string_equal(text, "00ff1a");
}

/* RFC 4648, 10. */
static const struct {
	const char *plain, *standard, *url;
} base64[] = {
	{"", "", ""},
	{"f", "Zg==", "Zg"},
	{"fo", "Zm8=", "Zm8"},
	{"foo", "Zm9v", "Zm9v"},
	{"foob", "Zm9vYg==", "Zm9vYg"},
	{"fooba", "Zm9vYmE=", "Zm9vYmE"},
	{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
	{"\xfb\xff", "+/8=", "-_8"},
};

static void base64_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(base64); i++) {
		const uint8_t *plain = (const uint8_t *)base64[i].plain;
		size_t         n = strlen(base64[i].plain);
		char           text[32];
		uint8_t        back[16];
		size_t         n_back = 99;
		assert_int_equal(b64_text(plain, n, text, sizeof(text)), 0);
		assert_string_equal(text, base64[i].standard);
		assert_int_equal(b64url_text(plain, n, text, sizeof(text)), 0);
		assert_string_equal(text, base64[i].url);
		assert_int_equal(b64url_parse(text, back, sizeof(back), &n_back), 0);
		assert_int_equal(n_back, n);
		assert_memory_equal(back, plain, n);
		assert_int_equal(b64_text(plain, n, text, sizeof(text)), 0);
		assert_int_equal(b64_parse(text, back, sizeof(back), &n_back), 0);
		assert_int_equal(n_back, n);
		assert_memory_equal(back, plain, n);
	}
}

static void base64_refuses(void **state)
{
	(void)state;
	static const char *const bad[] = {"Z", "Zg==", "Zh", "Zm9", "Z+", "Zm9vY", "Zm 9", "Zm8\n"};
	uint8_t                  back[16];
	size_t                   n;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++)
		assert_int_equal(b64url_parse(bad[i], back, sizeof(back), &n), E_SYNTAX);
	assert_int_equal(b64url_parse("Zm9v", back, 2, &n), E_FULL);
	assert_int_equal(b64url_parse("Zm9v", back, 3, &n), 0);
	char text[5];
	assert_int_equal(b64_text((const uint8_t *)"foo", 3, text, 4), E_FULL);
	assert_int_equal(b64_text((const uint8_t *)"foo", 3, text, 5), 0);
}

static void crc32_check_value(void **state)
{
	(void)state;
	assert_int_equal(crc32_of("123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_of("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ids_are_uuid_version_7), cmocka_unit_test(wrong_ids_are_refused),
		cmocka_unit_test(serials_are_positive_and_ordered), cmocka_unit_test(hashes_have_64_digits),
		cmocka_unit_test(hex_is_exact), cmocka_unit_test(base64_vectors), cmocka_unit_test(base64_refuses),
		cmocka_unit_test(crc32_check_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
