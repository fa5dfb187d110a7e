/* test_notice_link.c - does a link name what it was signed for, and is everything else refused: each bit, each length, another key, another time?
 * Never: files, HTTP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/daemon/notice_link.h"
#include "shared/base/text.h"

#define NOW INT64_C(1800000000000)

static const uint8_t key[HMAC_KEY_SIZE] = {1, 2, 3};
static const uint8_t other_key[HMAC_KEY_SIZE] = {1, 2, 4};

static struct notice_link sample(const char *recipient)
{
	struct notice_link l = {.notice_id = {{1, 0x8f, 3, 4, 5, 6, 0x70, 8, 0x90, 10, 11, 12, 13, 14, 15, 16}}, .ends_at = NOW + 1000};
	text_cut(l.recipient, sizeof(l.recipient), recipient);
	return l;
}

static int read_at(const char *text, int64_t now)
{
	struct notice_link got = {.ends_at = -1};
	struct refusal     why = {.code = 0};
	int                r = notice_link_read(key, text, now, &got, &why);
	assert_int_equal(r < 0 ? why.code : 0, r);
	assert_true(r == 0 || got.ends_at == -1); /* untouched */
	return r;
}

static void test_it_is_read_as_it_was_made(void **state)
{
	static const char *const recipients[] = {"a", "ops@vcc.internal", "link:pager", "12345678901234567890123456789012345678901234567"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(recipients); i++) {
		struct notice_link l = sample(recipients[i]), got;
		struct refusal     why;
		char               text[NOTICE_LINK_TEXT_SIZE];
		assert_int_equal(notice_link_make(key, &l, text), 0);
		assert_int_equal(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text));
		assert_int_equal(notice_link_read(key, text, NOW, &got, &why), 0);
		assert_true(id_equal(got.notice_id, l.notice_id));
		assert_true(got.ends_at == l.ends_at);
		assert_string_equal(got.recipient, recipients[i]);
	}
}

static void test_it_ends(void **state)
{
	struct notice_link l = sample("ops@vcc.internal");
	char               text[NOTICE_LINK_TEXT_SIZE];
	(void)state;
	assert_int_equal(notice_link_make(key, &l, text), 0);
	assert_int_equal(read_at(text, l.ends_at - 1), 0);
	assert_int_equal(read_at(text, l.ends_at), E_LINK_OVER);
	assert_int_equal(read_at(text, INT64_MAX), E_LINK_OVER);
}

/* Also in the last character, where bits are left over that no byte holds. */
static void test_every_change_is_refused(void **state)
{
	static const char  alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	struct notice_link l = sample("ops@vcc.internal");
	char               text[NOTICE_LINK_TEXT_SIZE], changed[2 * NOTICE_LINK_TEXT_SIZE];
	(void)state;
	assert_int_equal(notice_link_make(key, &l, text), 0);
	for (size_t i = 0; text[i] != '\0'; i++)
		for (const char *c = alphabet; *c != '\0'; c++) {
			text_cut(changed, sizeof(changed), text);
			changed[i] = *c;
			if (*c != text[i])
				assert_int_equal(read_at(changed, NOW), E_LINK_BAD);
		}
	for (size_t n = 0; n < strlen(text); n++) {
		text_cut(changed, n + 1, text);
		assert_int_equal(read_at(changed, NOW), E_LINK_BAD);
	}
	for (size_t n = 1; n < 120; n++) {
		text_cut(changed, sizeof(changed), text);
		memset(changed + strlen(text), 'A', n);
		changed[strlen(text) + n] = '\0';
		assert_int_equal(read_at(changed, NOW), E_LINK_BAD);
	}
	assert_int_equal(read_at("", NOW), E_LINK_BAD);
	assert_int_equal(read_at("../../etc/passwd", NOW), E_LINK_BAD);
}

static void test_another_key_and_another_ones_signature(void **state)
{
	struct notice_link l = sample("ops@vcc.internal"), second = sample("ops@vcc.internal");
	struct refusal     why;
	struct notice_link got;
	char               text[NOTICE_LINK_TEXT_SIZE], of_second[NOTICE_LINK_TEXT_SIZE];
	uint8_t            a[128], b[128];
	size_t             n_a, n_b;
	(void)state;
	second.notice_id.b[15]++;
	assert_int_equal(notice_link_make(key, &l, text), 0);
	assert_int_equal(notice_link_make(key, &second, of_second), 0);
	assert_int_equal(notice_link_read(other_key, text, NOW, &got, &why), E_LINK_BAD);
	assert_int_equal(b64url_parse(text, a, sizeof(a), &n_a), 0);
	assert_int_equal(b64url_parse(of_second, b, sizeof(b), &n_b), 0);
	assert_int_equal(n_a, n_b);
	memcpy(a + n_a - 32, b + n_b - 32, 32);
	assert_int_equal(b64url_text(a, n_a, text, sizeof(text)), 0);
	assert_int_equal(read_at(text, NOW), E_LINK_BAD);
	/* a signature over the bytes alone, as some other use of the key might give it */
	struct hash mac;
	digest_hmac(key, (struct span){b, n_b - 32}, &mac);
	memcpy(b + n_b - 32, mac.b, 32);
	assert_int_equal(b64url_text(b, n_b, text, sizeof(text)), 0);
	assert_int_equal(read_at(text, NOW), E_LINK_BAD);
}

static void test_what_can_be_no_link(void **state)
{
	struct notice_link nobody = sample(""), ended = sample("ops@vcc.internal");
	char               text[NOTICE_LINK_TEXT_SIZE];
	(void)state;
	ended.ends_at = 0;
	assert_int_equal(notice_link_make(key, &nobody, text), E_RANGE);
	assert_int_equal(notice_link_make(key, &ended, text), E_RANGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_read_as_it_was_made),
		cmocka_unit_test(test_it_ends),
		cmocka_unit_test(test_every_change_is_refused),
		cmocka_unit_test(test_another_key_and_another_ones_signature),
		cmocka_unit_test(test_what_can_be_no_link),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
