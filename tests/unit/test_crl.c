/* test_crl.c - are revocation lists read back as written, refused when altered, and never built against the rules?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/issue.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)
#define IDP HIERARCHY_URL "/crl/service-1/3.crl"

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

static struct crl_entry entry(uint64_t counter, int reason)
{
	static const uint8_t random[SERIAL_RANDOM] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
	return (struct crl_entry){serial_make(counter, random), NOW, reason};
}

static void read_back(void **state)
{
	(void)state;
	static const size_t counts[] = {0, 1, 2, 1000, ISSUANCES_PER_SHARD};
	struct crl_entry   *entries = calloc(ISSUANCES_PER_SHARD, sizeof(*entries));
	for (size_t i = 0; i < ISSUANCES_PER_SHARD; i++)
		entries[i] = entry(i + 1, i % 2 == 0 ? REASON_UNSPECIFIED : REASON_SUPERSEDED);
	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		_cleanup_(buf_free) struct buf crl = BUF_MAX(1 << 20);
		struct crl_info                info;
		assert_int_equal(issue_crl(h.ca[ISSUER_SERVICE], 42, NOW, NOW + MS_DAY, IDP, entries, counts[i], &crl), 0);
		assert_int_equal(crl_read(buf_span(&crl), hierarchy_der(&h, ISSUER_SERVICE), &info), 0);
		assert_true(info.number == 42 && info.this_update_at == NOW && info.next_update_at == NOW + MS_DAY);
		assert_int_equal(info.entries, counts[i]);
		assert_int_equal(crl_read(buf_span(&crl), hierarchy_der(&h, ISSUER_AGENT), &info), E_PKI_SIGNATURE);

		size_t            n = 0;
		struct crl_entry *again = calloc(counts[i] + 1, sizeof(*again));
		assert_int_equal(crl_entries(buf_span(&crl), again, counts[i], &n), 0);
		assert_int_equal(n, counts[i]);
		for (size_t k = 0; k < n; k++)
			assert_true(serial_equal(again[k].serial, entries[k].serial) && again[k].revoked_at == entries[k].revoked_at &&
				    again[k].reason == entries[k].reason);
		if (counts[i] > 0)
			assert_int_equal(crl_entries(buf_span(&crl), again, counts[i] - 1, &n), E_FULL);
		free(again);
		struct crl_info peeked;
		assert_int_equal(crl_peek(buf_span(&crl), &peeked), 0);
		assert_true(span_equal(peeked.point, span_text(IDP)) && peeked.number == info.number && span_equal(peeked.issuer, info.issuer));

		const uint8_t *p = crl.p;
		X509_CRL      *x = d2i_X509_CRL(NULL, &p, (long)crl.n);
		assert_non_null(x);
		STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(x);
		assert_int_equal(revoked == NULL ? 0 : sk_X509_REVOKED_num(revoked), counts[i]);
		X509_CRL_free(x);
	}
	free(entries);
}

static void altered_ones_are_refused(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf crl = BUF_MAX(1 << 16);
	struct crl_entry               e = entry(5, REASON_KEY_COMPROMISE);
	struct crl_info                info = {.number = 99};
	assert_int_equal(issue_crl(h.ca[ISSUER_SERVICE], 42, NOW, NOW + MS_DAY, IDP, &e, 1, &crl), 0);
	for (size_t i = 0; i < crl.n; i++) {
		crl.p[i] ^= 1;
		assert_true(crl_read(buf_span(&crl), hierarchy_der(&h, ISSUER_SERVICE), &info) < 0);
		crl.p[i] ^= 1;
	}
	for (size_t n = 0; n < crl.n; n++)
		assert_int_equal(crl_read((struct span){crl.p, n}, hierarchy_der(&h, ISSUER_SERVICE), &info), E_PKI_CRL);
	assert_int_equal(info.number, 99);
}

static void rules(void **state)
{
	(void)state;
	const struct crl_entry good[] = {entry(1, 0), entry(2, REASON_HOLD), entry(3, REASON_PRIVILEGE_WITHDRAWN)};
	const struct crl_entry twice[] = {entry(1, 0), entry(1, 0)};
	const struct crl_entry unsorted[] = {entry(2, 0), entry(1, 0)};
	const struct crl_entry remove[] = {entry(1, 8)};
	const struct crl_entry unused[] = {entry(1, 7)};
	const struct crl_entry negative[] = {entry(1, -1)};
	struct crl_entry       late = entry(1, 0);
	late.revoked_at += 1; /* not a whole second */
	const struct {
		enum issuer_role        role;
		uint64_t                number;
		int64_t                 life;
		const char             *idp;
		const struct crl_entry *entries;
		size_t                  n;
		int                     result;
	} rows[] = {
		{ISSUER_SERVICE, 1, MS_DAY, IDP, good, 3, 0},
		{ISSUER_SERVICE, 1, 10 * MS_DAY, IDP, good, 3, 0},
		{ISSUER_SERVICE, 1, 10 * MS_DAY + MS_SECOND, IDP, good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, 0, IDP, good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 0, MS_DAY, IDP, good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, NULL, good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, HIERARCHY_URL "/crl/agent-1/3.crl", good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, HIERARCHY_URL "/crl/service-1/03.crl", good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, HIERARCHY_URL "/crl/service-1/.crl", good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, HIERARCHY_URL "/crl/service-1/0.crl", good, 3, 0},
		{ISSUER_SERVICE, 1, MS_DAY, HIERARCHY_URL "/crl/service-1/0.crl?", good, 3, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, twice, 2, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, unsorted, 2, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, remove, 1, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, unused, 1, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, negative, 1, E_PKI_LINT},
		{ISSUER_SERVICE, 1, MS_DAY, IDP, &late, 1, E_PKI_LINT},
		{ISSUER_ROOT, 1, 400 * MS_DAY, NULL, good, 3, 0},
		{ISSUER_ROOT, 1, 401 * MS_DAY, NULL, good, 3, E_PKI_LINT},
		{ISSUER_ROOT, 1, MS_DAY, HIERARCHY_URL "/crl/root-1/0.crl", good, 3, E_PKI_LINT},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf crl = BUF_MAX(1 << 16);
		int r = issue_crl(h.ca[rows[i].role], rows[i].number, NOW, NOW + rows[i].life, rows[i].idp, rows[i].entries,
				  rows[i].n, &crl);
		assert_int_equal(r, rows[i].result);
		assert_true((crl.n == 0) == (r < 0));
	}
}

static void pem(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf crl = BUF_MAX(1 << 16), text = BUF_MAX(1 << 16);
	assert_int_equal(issue_crl(h.ca[ISSUER_ROOT], 1, NOW, NOW + MS_DAY, NULL, NULL, 0, &crl), 0);
	assert_int_equal(crl_pem_add(buf_span(&crl), &text), 0);
	assert_memory_equal(text.p, "-----BEGIN X509 CRL-----\n", 25);
	assert_int_equal(crl_pem_add((struct span){crl.p, crl.n - 1}, &text), E_PKI_CRL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_back),
		cmocka_unit_test(altered_ones_are_refused),
		cmocka_unit_test(rules),
		cmocka_unit_test(pem),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
