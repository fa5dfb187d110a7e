/* test_pem_read.c - is PEM accepted in exactly the spelling that we write, and in no other that somebody else might read
 * differently? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "shared/pki/pem_read.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h;

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hierarchy_free(&h);
	return 0;
}

static int read_one(const char *text, const char *label, struct buf *to)
{
	struct span rest = span_text(text);
	struct span before = rest;
	int         r = pem_read(&rest, label, to);
	if (r != 1)
		assert_true(rest.p == before.p && rest.n == before.n);
	return r;
}

/* The three bytes 01 02 03, and what is nearly that. */
static void other_spellings_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"AQID\n",
		"-----BEGIN X509 CRL-----",
		"-----BEGIN X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQID\n",
		"-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----", /* no line end */
		"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\n\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQID\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n",
		"-----BEGIN X509 CRL-----\r\nAQID\r\n-----END X509 CRL-----\r\n",
		" -----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n",
		"\n-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n",
		"text\n-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nA: b\n\nAQID\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\n AQID\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQID \n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQI\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQ\nID\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQID\nAQID\n-----END X509 CRL-----\n", /* a short line is the last one */
		"-----BEGIN X509 CRL-----\nAQ==AQID\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAR==\n-----END X509 CRL-----\n", /* bits that do not count */
		"-----BEGIN X509 CRL-----\nAQJ=\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nA===\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\n====\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQ-D\n-----END X509 CRL-----\n",
		"-----BEGIN X509 CRL-----\nAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQID\n-----END X509 "
		"CRL-----\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf to = BUF_MAX(4096);
		buf_add_text(&to, "x");
		if (read_one(rows[i], PEM_CRL, &to) != E_SYNTAX)
			fail_msg("row %zu is accepted", i);
		assert_int_equal(to.n, 1);
	}
}

static void good_ones(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t      n;
	} rows[] = {
		{"-----BEGIN X509 CRL-----\nAQ==\n-----END X509 CRL-----\n", 1},
		{"-----BEGIN X509 CRL-----\nAQI=\n-----END X509 CRL-----\n", 2},
		{"-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n", 3},
		{"-----BEGIN X509 CRL-----\nAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQID\n-----END X509 "
		 "CRL-----\n",
		 48},
		{"-----BEGIN X509 CRL-----\nAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQIDAQID\nAQ==\n-----END "
		 "X509 CRL-----\nrest",
		 49},
	};
	_cleanup_(buf_free) struct buf to = BUF_MAX(4096);
	assert_int_equal(read_one("", PEM_CRL, &to), 0);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		buf_reset(&to);
		assert_int_equal(read_one(rows[i].text, PEM_CRL, &to), 1);
		assert_int_equal(to.n, rows[i].n);
		for (size_t k = 0; k < to.n; k++)
			assert_int_equal(to.p[k], k == 48 ? 1 : 1 + k % 3);
	}
}

/* What cert_pem_add() and crl_pem_add() write is read back, whatever its length; cut anywhere it is not. */
static void there_and_back(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16), back = BUF_MAX(1 << 16), crl = BUF_MAX(1 << 16);
	struct crl_entry               entries[40];
	for (size_t n = 0; n < N_ELEMENTS(entries); n++) {
		static const uint8_t random[SERIAL_RANDOM] = {1};
		entries[n] = (struct crl_entry){serial_make(n + 1, random), NOW, n % 2 == 0 ? 0 : REASON_SUPERSEDED};
		buf_reset(&crl);
		buf_reset(&pem);
		buf_reset(&back);
		assert_int_equal(issue_crl(h.ca[ISSUER_ROOT], n + 1, NOW, NOW + MS_DAY, NULL, entries, n, &crl), 0);
		assert_int_equal(crl_pem_add(buf_span(&crl), &pem), 0);
		assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_ROOT), &pem), 0);
		struct span rest = buf_span(&pem);
		assert_int_equal(pem_read(&rest, PEM_CERTIFICATE, &back), E_SYNTAX);
		assert_int_equal(pem_read(&rest, PEM_CRL, &back), 1);
		assert_true(span_equal(buf_span(&back), buf_span(&crl)));
		buf_reset(&back);
		assert_int_equal(pem_read(&rest, PEM_CERTIFICATE, &back), 1);
		assert_true(span_equal(buf_span(&back), hierarchy_der(&h, ISSUER_ROOT)));
		assert_int_equal(pem_read(&rest, PEM_CERTIFICATE, &back), 0);
	}
	buf_reset(&pem);
	assert_int_equal(crl_pem_add(buf_span(&crl), &pem), 0);
	for (size_t n = 1; n < pem.n; n++) {
		struct span cut = {pem.p, n};
		buf_reset(&back);
		assert_int_equal(pem_read(&cut, PEM_CRL, &back), E_SYNTAX);
	}
}

static void the_cap_holds(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16), small = BUF_MAX(100);
	assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_ROOT), &pem), 0);
	struct span rest = buf_span(&pem);
	assert_int_equal(pem_read(&rest, PEM_CERTIFICATE, &small), E_FULL);
	assert_true(rest.p == pem.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_spellings_are_refused),
		cmocka_unit_test(good_ones),
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(the_cap_holds),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
