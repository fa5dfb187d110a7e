/* test_root_request.c - is a request to a root read in its one spelling alone, and answered only for the digits that were read out?
 * Never: building the certificate (tests/system/test_offline_root.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/signer/root_request.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

static const int64_t now = INT64_C(1800000000000);

static struct root_request sample(void)
{
	static const uint8_t random[SERIAL_RANDOM] = {1, 2, 3};
	struct root_request  q = {.authority_id = "service-2", .root_id = "root-1", .serial = serial_make(77, random), .made_at = now, .csr_n = 200};
	memset(q.root_hash.b, 0xa5, sizeof(q.root_hash.b));
	for (size_t i = 0; i < q.csr_n; i++)
		q.csr[i] = (uint8_t)(i * 7);
	return q;
}

static void text_of(const struct root_request *q, char ret[ROOT_REQUEST_MAX])
{
	struct buf b = BUF_MAX(ROOT_REQUEST_MAX);
	assert_int_equal(root_request_write(q, &b), 0);
	assert_true(b.n < ROOT_REQUEST_MAX);
	memcpy(ret, b.p, b.n);
	ret[b.n] = '\0';
	buf_free(&b);
}

/* A copy on the heap of exactly this size: reading beyond it is seen by the sanitizer. */
static int read_bytes(const void *bytes, size_t n, struct root_request *ret)
{
	struct refusal why = {0};
	uint8_t       *copy = malloc(n > 0 ? n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	int r = root_request_read((struct span){copy, n}, ret, &why);
	free(copy);
	assert_int_equal(why.code, r);
	return r;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	struct root_request q = sample(), got;
	char                text[ROOT_REQUEST_MAX];
	text_of(&q, text);
	assert_int_equal(read_bytes(text, strlen(text), &got), 0);
	assert_string_equal(got.authority_id, q.authority_id);
	assert_string_equal(got.root_id, q.root_id);
	assert_true(hash_equal(got.root_hash, q.root_hash) && serial_equal(got.serial, q.serial));
	assert_true(got.made_at == q.made_at && got.csr_n == q.csr_n);
	assert_memory_equal(got.csr, q.csr, q.csr_n);
}

/* `what` of the good text is exchanged for `to`. */
static void other_spellings_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *what, *to;
	} rows[] = {
		{"vcc-root-request 1", "vcc-root-request 2"},
		{"vcc-root-request 1", " vcc-root-request 1"},
		{"vcc-root-request 1\n", "vcc-root-request 1\r\n"},
		{"vcc-root-request 1\n", "vcc-root-request 1 "},
		{"authority service-2", "authority  service-2"},
		{"authority service-2", "authority "},
		{"authority service-2", "authority service-2 root-2"},
		{"authority service-2", "authority service-2service-2service-2service-2"},
		{"authority service-2\nroot root-1", "root root-1\nauthority service-2"},
		{"root root-1", "root root-1\t"},
		{"certificate a5", "certificate A5"},
		{"certificate a5", "certificate 0xa5"},
		{"certificate a5", "certificate "},
		{"certificate a5", "certificate a5a5"},
		{"serial ", "serial -"},
		{"serial ", "serial 00000000000000000000000000000000000000"},
		{"made 1", "made +1"},
		{"made 1", "made 01"},
		{"made 1", "made -0"},
		{"made 1", "made 99999999999999999999999"},
		{"made 1", "made x"},
		{"key ", "key *"},
		{"key ", "key ="},
		{"key ", "key \n"},
	};
	struct root_request q = sample(), got;
	char                good[ROOT_REQUEST_MAX], bad[2 * ROOT_REQUEST_MAX];
	text_of(&q, good);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		const char *at = strstr(good, rows[i].what);
		assert_non_null(at);
		snprintf(bad, sizeof(bad), "%.*s%s%s", (int)(at - good), good, rows[i].to, at + strlen(rows[i].what));
		if (read_bytes(bad, strlen(bad), &got) != E_ROOT_REQUEST)
			fail_msg("row %zu: %s", i, bad);
	}
	snprintf(bad, sizeof(bad), "%s%s", good, good);
	assert_int_equal(read_bytes(bad, strlen(bad), &got), E_ROOT_REQUEST);
	snprintf(bad, sizeof(bad), "%s\n", good);
	assert_int_equal(read_bytes(bad, strlen(bad), &got), E_ROOT_REQUEST);
	assert_int_equal(read_bytes(good, strlen(good) + 1, &got), E_ROOT_REQUEST); /* with the zero byte */
	memset(bad, 'A', sizeof(bad));
	assert_int_equal(read_bytes(bad, sizeof(bad), &got), E_ROOT_REQUEST);
}

static void cut_or_altered_anywhere(void **state)
{
	(void)state;
	static const char   put[] = {'\0', ' ', '\n', '%', '/', '0', 'z', '\xff'};
	struct root_request q = sample(), got;
	char                good[ROOT_REQUEST_MAX], bad[ROOT_REQUEST_MAX], again[ROOT_REQUEST_MAX];
	text_of(&q, good);
	size_t n = strlen(good);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(read_bytes(good, i, &got), E_ROOT_REQUEST);
		for (size_t k = 0; k < sizeof(put); k++) {
			memcpy(bad, good, n + 1);
			bad[i] = put[k];
			if (read_bytes(bad, n, &got) < 0)
				continue;
			text_of(&got, again); /* another request, and still the one spelling of it */
			assert_memory_equal(again, bad, n);
		}
	}
}

static void a_key_that_is_too_large(void **state)
{
	(void)state;
	struct root_request q = sample(), got;
	char                text[ROOT_REQUEST_MAX], bad[ROOT_REQUEST_MAX];
	q.csr_n = sizeof(q.csr);
	text_of(&q, text);
	assert_int_equal(read_bytes(text, strlen(text), &got), 0);
	snprintf(bad, sizeof(bad), "%.*sAAAA\n", (int)strlen(text) - 5, text); /* three bytes more than there is room for */
	assert_int_equal(read_bytes(bad, strlen(bad), &got), E_ROOT_REQUEST);
}

static void by_the_digits_that_were_read_out(void **state)
{
	(void)state;
	static struct ca    root = {.issuer = {.issuer_id = "root-1", .der = {1, 2, 3}, .der_len = 3}};
	struct root_request q = sample();
	char                text[ROOT_REQUEST_MAX], print[HASH_TEXT_SIZE], given[2 * HASH_TEXT_SIZE];
	struct hash         hash;
	struct refusal      why;
	digest_sha256((struct span){root.issuer.der, root.issuer.der_len}, &q.root_hash);
	text_of(&q, text);
	digest_sha256(span_text(text), &hash);
	hash_text(hash, print);
#define JUDGE(digits) root_request_judge(&q, span_text(text), digits, &root, now, &why)
	assert_int_equal(JUDGE(print), 0);
	snprintf(given, sizeof(given), "%.32s", print);
	assert_int_equal(JUDGE(given), 0);
	given[31] = '\0';
	assert_int_equal(JUDGE(given), E_ROOT_REQUEST);
	snprintf(given, sizeof(given), " %.4s %.4s  %.24s ", print, print + 4, print + 8);
	assert_int_equal(JUDGE(given), 0);
	snprintf(given, sizeof(given), "%.30s%40s", print, ""); /* blanks are no digits */
	assert_int_equal(JUDGE(given), E_ROOT_REQUEST);
	snprintf(given, sizeof(given), "%s0", print);
	assert_int_equal(JUDGE(given), E_ROOT_REQUEST);
	snprintf(given, sizeof(given), "%.32s", print);
	given[31] = given[31] == '0' ? '1' : '0';
	assert_int_equal(JUDGE(given), E_ROOT_REQUEST);
	assert_int_equal(JUDGE(""), E_ROOT_REQUEST);
	root.issuer.der[0] = 9;
	assert_int_equal(JUDGE(print), E_ROOT_REQUEST);
	root.issuer.der[0] = 1;
	assert_int_equal(root_request_judge(&q, span_text(text), print, &root, now + (ROOT_REQUEST_DAYS + 1) * MS_DAY, &why), E_ROOT_STALE);
#undef JUDGE
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read), cmocka_unit_test(other_spellings_are_refused), cmocka_unit_test(cut_or_altered_anywhere),
		cmocka_unit_test(a_key_that_is_too_large), cmocka_unit_test(by_the_digits_that_were_read_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
