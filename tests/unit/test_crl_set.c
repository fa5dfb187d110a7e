/* test_crl_set.c - is a set of revocation lists refused for each single thing that is wrong with it, and accepted otherwise? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/crl_set.h"
#include "tests/lib/hierarchy.h"
#include "tests/lib/long_run.h"

#define NOW       INT64_C(1790000000000)
#define TOLERANCE (5 * MS_MINUTE)

static struct hierarchy h, foreign;
static struct buf       issuers = BUF_MAX(1 << 16);

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	hierarchy_make(&foreign, NOW, KEY_EC_P256, "");
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		assert_int_equal(cert_pem_add(hierarchy_der(&h, (enum issuer_role)role), &issuers), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&issuers);
	hierarchy_free(&h);
	hierarchy_free(&foreign);
	return 0;
}

struct list {
	const struct hierarchy *by;
	enum issuer_role        role;
	uint32_t                shard;
	uint64_t                number;
	int64_t                 begin, end; /* from NOW */
};
#define GOOD(role_, shard_, number_)                                                                                           \
	{                                                                                                                      \
		&h, role_, shard_, number_, -MS_MINUTE, MS_DAY                                                                 \
	}

static void list_add(const struct list *l, struct buf *to)
{
	static const uint8_t           random[SERIAL_RANDOM] = {9};
	struct crl_entry               entry = {serial_make(l->number, random), NOW - MS_DAY, REASON_SUPERSEDED, 0};
	_cleanup_(buf_free) struct buf der = BUF_MAX(1 << 16);
	char                           url[URL_SIZE];
	bool                           root = l->role == ISSUER_ROOT;
	snprintf(url, sizeof(url), HIERARCHY_URL "/crl/%s/%u.crl", l->by->issuer[l->role].issuer_id, l->shard);
	assert_int_equal(
		issue_crl(l->by->ca[l->role], l->number, NOW + l->begin, NOW + l->end, root ? NULL : url, &entry, 1, &der), 0);
	assert_int_equal(crl_pem_add(buf_span(&der), to), 0);
}

static void lists_make(const struct list *l, size_t n, struct buf *to)
{
	buf_reset(to);
	for (size_t i = 0; i < n; i++)
		list_add(&l[i], to);
}

static int check(const struct buf *pem, const struct buf *old, struct crl_set_facts *ret, struct refusal *why)
{
	struct crl_set set = {
		.pem = buf_span(pem),
		.issuers = buf_span(&issuers),
		.roots = hierarchy_der(&h, ISSUER_ROOT),
		.now_at = NOW,
		.tolerance_ms = TOLERANCE,
	};
	if (old != NULL)
		set.old_pem = buf_span(old);
	return crl_set_check(&set, ret, why);
}

/* Good lists around the one that is not. */
static void one_bad_list_spoils_all(void **state)
{
	(void)state;
	static const struct {
		struct list list;
		int         code;
	} rows[] = {
		{GOOD(ISSUER_SERVICE, 1, 7), 0},
		{{&foreign, ISSUER_SERVICE, 1, 7, -MS_MINUTE, MS_DAY}, E_CRL_ISSUER}, /* the same name, another key */
		{{&foreign, ISSUER_ROOT, 0, 7, -MS_MINUTE, MS_DAY}, E_CRL_ISSUER},
		{{&h, ISSUER_SERVICE, 1, 7, TOLERANCE + MS_SECOND, MS_DAY}, E_CRL_TIME},
		{{&h, ISSUER_SERVICE, 1, 7, TOLERANCE, MS_DAY}, 0},
		{{&h, ISSUER_SERVICE, 1, 7, -MS_DAY, 0}, E_CRL_TIME},
		{{&h, ISSUER_SERVICE, 1, 7, -MS_DAY, -MS_HOUR}, E_CRL_TIME},
		{{&h, ISSUER_SERVICE, 1, 7, -MS_DAY, MS_SECOND}, 0},
		{{&h, ISSUER_SERVICE, 0, 8, -MS_MINUTE, MS_DAY}, E_PKI_CRL}, /* shard 0 is there already */
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		for (size_t at = 0; at < 3; at++) {
			_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16);
			struct list                    lists[] = {GOOD(ISSUER_SERVICE, 0, 5), GOOD(ISSUER_AGENT, 0, 1),
								  GOOD(ISSUER_CODE_SIGNING, 0, 1), GOOD(ISSUER_ROOT, 0, 3)};
			struct crl_set_facts           facts = {.lists = 99};
			struct refusal                 why = {.code = 0};
			lists_make(lists, at, &pem);
			list_add(&rows[i].list, &pem);
			for (size_t k = at; k < N_ELEMENTS(lists); k++)
				list_add(&lists[k], &pem);
			int r = check(&pem, NULL, &facts, &why);
			if (r != rows[i].code)
				fail_msg("row %zu at %zu: %d %s: %s", i, at, r, why.object, why.cause);
			assert_int_equal(why.code, rows[i].code);
			assert_int_equal(facts.lists, r == 0 ? 5 : 99);
			if (r == 0)
				assert_int_equal(facts.entries, 5);
		}
	}
}

static void numbers_never_fall(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf old = BUF_MAX(1 << 16), pem = BUF_MAX(1 << 16);
	static const struct list before[] = {GOOD(ISSUER_SERVICE, 0, 10), GOOD(ISSUER_SERVICE, 1, 20), GOOD(ISSUER_AGENT, 0, 5),
					     GOOD(ISSUER_ROOT, 0, 2)};
	static const struct {
		struct list list;
		int         code;
	} rows[] = {
		{GOOD(ISSUER_SERVICE, 0, 9), E_CRL_NUMBER}, {GOOD(ISSUER_SERVICE, 0, 10), 0},
		{GOOD(ISSUER_SERVICE, 0, 11), 0},           {GOOD(ISSUER_SERVICE, 1, 19), E_CRL_NUMBER},
		{GOOD(ISSUER_SERVICE, 1, 20), 0},           {GOOD(ISSUER_SERVICE, 2, 1), 0}, /* new */
		{GOOD(ISSUER_AGENT, 0, 4), E_CRL_NUMBER},   {GOOD(ISSUER_AGENT, 1, 1), 0},
		{GOOD(ISSUER_ROOT, 0, 1), E_CRL_NUMBER},    {GOOD(ISSUER_ROOT, 0, 3), 0},
	};
	struct crl_set_facts facts;
	lists_make(before, N_ELEMENTS(before), &old);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct refusal why = {.code = 0};
		lists_make(&rows[i].list, 1, &pem);
		int r = check(&pem, &old, &facts, &why);
		if (r != rows[i].code)
			fail_msg("row %zu: %d %s", i, r, why.cause);
	}
	/* what the old set has and the new one has not is no reason; what cannot be read of it does not count */
	assert_int_equal(check(&pem, &old, &facts, NULL), 0);
	lists_make(&rows[0].list, 1, &pem);
	old.p[0] ^= 1;
	assert_int_equal(check(&pem, &old, &facts, NULL), 0);
	old.p[0] ^= 1;
	assert_int_equal(check(&pem, &old, &facts, NULL), E_CRL_NUMBER);
}

/* Certificates, keys, text, rubbish: anything but lists, anywhere. */
static void nothing_but_lists(void **state)
{
	(void)state;
	static const struct list       two[] = {GOOD(ISSUER_SERVICE, 0, 1), GOOD(ISSUER_ROOT, 0, 1)};
	_cleanup_(buf_free) struct buf cert = BUF_MAX(1 << 16);
	assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_SERVICE), &cert), 0);
	buf_add_u8(&cert, 0);
	const char *const rubbish[] = {(const char *)cert.p,
				       "\n",
				       "# text\n",
				       "-----BEGIN X509 CRL-----\nAQID\n-----END X509 CRL-----\n",
				       "-----BEGIN X509 CRL-----\n",
				       "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n"};
	for (size_t i = 0; i < N_ELEMENTS(rubbish); i++)
		for (size_t at = 0; at < 3; at++) {
			_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16);
			struct refusal                 why = {.code = 0};
			struct crl_set_facts           facts;
			for (size_t k = 0; k < 3; k++) {
				if (k == at)
					buf_add_text(&pem, rubbish[i]);
				if (k < 2)
					list_add(&two[k], &pem);
			}
			assert_int_equal(check(&pem, NULL, &facts, &why), E_PKI_CRL);
		}
	_cleanup_(buf_free) struct buf empty = BUF_MAX(16);
	struct crl_set_facts           facts;
	assert_int_equal(check(&empty, NULL, &facts, NULL), E_PKI_CRL);
}

static void any_altered_octet(void **state)
{
	(void)state;
	static const struct list       one[] = {GOOD(ISSUER_SERVICE, 0, 1)};
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16);
	struct crl_set_facts           facts;
	lists_make(one, 1, &pem);
	size_t step = (size_t)sample_step(1);
	for (size_t i = 0; i < pem.n; i += step) {
		pem.p[i] ^= 1;
		assert_true(check(&pem, NULL, &facts, NULL) != 0);
		pem.p[i] ^= 1;
	}
	for (size_t n = 0; n < pem.n; n += step) {
		struct buf cut = {.p = pem.p, .n = n, .cap = n, .max = n};
		assert_int_equal(check(&cut, NULL, &facts, NULL), E_PKI_CRL);
	}
	assert_int_equal(check(&pem, NULL, &facts, NULL), 0);
}

/* Only an authority may sign a list: not a service with a good certificate, not an authority of another root, none that is not
 * sent. */
static void who_may_sign(void **state)
{
	(void)state;
	static const struct list       service[] = {GOOD(ISSUER_SERVICE, 0, 1)};
	static const struct list       root[] = {GOOD(ISSUER_ROOT, 0, 1)};
	static const struct list       other[] = {{&foreign, ISSUER_SERVICE, 0, 1, -MS_MINUTE, MS_DAY}};
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16), sent = BUF_MAX(1 << 16), leaf = BUF_MAX(CERT_DER_MAX);
	struct cert_facts              f;
	struct key                    *k = NULL;
	struct crl_set       set = {.roots = hierarchy_der(&h, ISSUER_ROOT), .now_at = NOW, .tolerance_ms = TOLERANCE};
	struct crl_set_facts facts;
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	hierarchy_facts(&h, LEAF_SERVICE, k, MS_DAY, 3, &f);
	assert_int_equal(hierarchy_issue(&h, &f, &leaf, NULL), 0);

	lists_make(root, 1, &pem); /* a root needs nobody's word */
	set.pem = buf_span(&pem);
	assert_int_equal(crl_set_check(&set, &facts, NULL), 0);
	lists_make(service, 1, &pem);
	set.pem = buf_span(&pem);
	assert_int_equal(crl_set_check(&set, &facts, NULL), E_CRL_ISSUER);
	assert_int_equal(cert_pem_add(buf_span(&leaf), &sent), 0);
	assert_int_equal(cert_pem_add(hierarchy_der(&foreign, ISSUER_SERVICE), &sent), 0);
	set.issuers = buf_span(&sent);
	assert_int_equal(crl_set_check(&set, &facts, NULL), E_CRL_ISSUER);
	lists_make(other, 1, &pem);
	set.pem = buf_span(&pem);
	assert_int_equal(crl_set_check(&set, &facts, NULL), E_CRL_ISSUER); /* it is sent, but no root of ours knows it */
	assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_SERVICE), &sent), 0);
	set.issuers = buf_span(&sent);
	lists_make(service, 1, &pem);
	set.pem = buf_span(&pem);
	assert_int_equal(crl_set_check(&set, &facts, NULL), 0); /* what is sent beside it does no harm */

	key_free(k);
}

static void cross_make(const struct hierarchy *by, struct buf *to)
{
	struct ca_facts f = {.role = ISSUER_ROOT,
			     .serial = {{1, 3}},
			     .organisation = "Vcc Test",
			     .common_name = "Test Root",
			     .not_before_at = NOW - MS_HOUR,
			     .not_after_at = NOW + MS_DAY,
			     .domains = HIERARCHY_DOMAIN,
			     .public_url = HIERARCHY_URL,
			     .parent_id = "root-1",
			     .cross = true};
	assert_int_equal(issue_ca_certificate(&f, foreign.key[ISSUER_ROOT], by->key[ISSUER_ROOT], hierarchy_der(by, ISSUER_ROOT), to), 0);
}

/* While the root changes: whoever knows one of the two roots takes the lists of both, by the certificate of the one by the other,
 * wherever in what is sent that stands; without it, or with one that the known root did not sign, none. */
static void the_lists_of_two_roots(void **state)
{
	(void)state;
	static const struct list lists[] = {GOOD(ISSUER_SERVICE, 0, 1),
					    GOOD(ISSUER_ROOT, 0, 1),
					    {&foreign, ISSUER_SERVICE, 1, 1, -MS_MINUTE, MS_DAY}};
	_cleanup_(buf_free) struct buf cross = BUF_MAX(CERT_DER_MAX), false_cross = BUF_MAX(CERT_DER_MAX), pem = BUF_MAX(1 << 16);
	struct hierarchy               third; /* nobody knows it */
	hierarchy_make(&third, NOW, KEY_EC_P256, "");
	cross_make(&h, &cross);
	cross_make(&third, &false_cross);
	hierarchy_free(&third);
	lists_make(lists, N_ELEMENTS(lists), &pem);
	for (int row = 0; row < 4; row++) {
		_cleanup_(buf_free) struct buf sent = BUF_MAX(1 << 16);
		struct crl_set_facts           facts;
		if (row == 1 || row == 3)
			assert_int_equal(cert_pem_add(row == 1 ? buf_span(&cross) : buf_span(&false_cross), &sent), 0);
		assert_int_equal(cert_pem_add(hierarchy_der(&foreign, ISSUER_SERVICE), &sent), 0);
		assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_SERVICE), &sent), 0);
		if (row == 2) /* after what it vouches for */
			assert_int_equal(cert_pem_add(buf_span(&cross), &sent), 0);
		struct crl_set set = {.pem = buf_span(&pem),
				      .issuers = buf_span(&sent),
				      .roots = hierarchy_der(&h, ISSUER_ROOT),
				      .now_at = NOW,
				      .tolerance_ms = TOLERANCE};
		assert_int_equal(crl_set_check(&set, &facts, NULL), row == 1 || row == 2 ? 0 : E_CRL_ISSUER);
	}
}

/* A certificate that leads straight to the root, but is no authority: its key signs a list in its name. */
static void a_leaf_is_no_authority(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf tbs = BUF_MAX(CERT_DER_MAX), leaf = BUF_MAX(CERT_DER_MAX), fake = BUF_MAX(CERT_DER_MAX);
	_cleanup_(buf_free) struct buf der = BUF_MAX(1 << 16), pem = BUF_MAX(1 << 16), sent = BUF_MAX(1 << 16);
	struct ca_facts                authority = {
			       .role = ISSUER_ROOT, .serial = {{1, 2}}, .not_before_at = NOW - MS_HOUR, .not_after_at = NOW + MS_DAY};
	struct issuer        row = h.issuer[ISSUER_ROOT];
	struct cert_facts    f;
	struct issue_ca     *ca = NULL;
	struct key          *k = NULL;
	struct crl_set       set = {.now_at = NOW, .tolerance_ms = TOLERANCE};
	struct crl_set_facts facts;
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	hierarchy_facts(&h, LEAF_SERVICE, k, MS_DAY, 3, &f);
	strcpy(f.issuer_id, h.issuer[ISSUER_ROOT].issuer_id);
	assert_int_equal(issue_tbs(h.ca[ISSUER_ROOT], &f, &tbs), 0);
	assert_int_equal(issue_sign(h.ca[ISSUER_ROOT], 0, buf_span(&tbs), f.hash_alg, &leaf), 0);
	assert_int_equal(cert_verify(buf_span(&leaf), (struct span){NULL, 0}, hierarchy_der(&h, ISSUER_ROOT), 0, NOW, NULL), 0);

	strcpy(authority.organisation, f.organisation);
	strcpy(authority.common_name, f.common_name);
	strcpy(authority.domains, HIERARCHY_DOMAIN);
	strcpy(authority.public_url, HIERARCHY_URL);
	assert_int_equal(issue_ca_certificate(&authority, k, NULL, (struct span){NULL, 0}, &fake), 0);
	memcpy(row.der, fake.p, fake.n);
	row.der_len = (uint16_t)fake.n;
	row.key_type = KEY_EC_P256;
	assert_int_equal(issue_ca_make(&row, k, HIERARCHY_URL, &ca), 0);
	assert_int_equal(issue_crl(ca, 1, NOW - MS_MINUTE, NOW + MS_DAY, NULL, NULL, 0, &der), 0);
	assert_int_equal(crl_pem_add(buf_span(&der), &pem), 0);
	assert_int_equal(cert_pem_add(buf_span(&leaf), &sent), 0);
	set.pem = buf_span(&pem);
	set.issuers = buf_span(&sent);
	set.roots = hierarchy_der(&h, ISSUER_ROOT);
	assert_int_equal(crl_set_check(&set, &facts, NULL), E_CRL_ISSUER);
	set.roots = buf_span(&fake); /* the list itself is a good one */
	assert_int_equal(crl_set_check(&set, &facts, NULL), 0);
	issue_ca_free(ca);
	key_free(k);
}

static void authorities_that_cannot_be_read(void **state)
{
	(void)state;
	static const struct list       service[] = {GOOD(ISSUER_SERVICE, 0, 1)};
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16), sent = BUF_MAX(1 << 20);
	struct crl_set       set = {.roots = hierarchy_der(&h, ISSUER_ROOT), .now_at = NOW, .tolerance_ms = TOLERANCE};
	struct crl_set_facts facts;
	struct refusal       why;
	lists_make(service, 1, &pem);
	set.pem = buf_span(&pem);
	buf_add(&sent, issuers.p, issuers.n);
	for (size_t n = 1; n < issuers.n; n += 7) {
		set.issuers = (struct span){sent.p, n};
		int r = crl_set_check(&set, &facts, &why);
		assert_true(r == E_CRL_ISSUER || r == 0);
	}
	set.issuers = span_text("no certificate\n");
	assert_int_equal(crl_set_check(&set, &facts, &why), E_CRL_ISSUER);
	buf_reset(&sent);
	for (int i = 0; i < CRL_SET_ISSUERS_MAX + 1; i++)
		assert_int_equal(cert_pem_add(hierarchy_der(&h, ISSUER_SERVICE), &sent), 0);
	set.issuers = buf_span(&sent);
	assert_int_equal(crl_set_check(&set, &facts, &why), E_CRL_ISSUER);
}

/* An authority that has ended: its lists have times of their own. */
static void ended_authorities_still_count(void **state)
{
	(void)state;
	static const struct list       service[] = {{&h, ISSUER_SERVICE, 0, 1, 3 * 365 * MS_DAY, 3 * 365 * MS_DAY + MS_DAY}};
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 16);
	struct crl_set_facts           facts;
	lists_make(service, 1, &pem);
	struct crl_set set = {.pem = buf_span(&pem),
			      .issuers = buf_span(&issuers),
			      .roots = hierarchy_der(&h, ISSUER_ROOT),
			      .now_at = NOW + 3 * 365 * MS_DAY + MS_HOUR,
			      .tolerance_ms = TOLERANCE};
	assert_int_equal(crl_set_check(&set, &facts, NULL), 0);
	assert_true(facts.next_update_at == NOW + 3 * 365 * MS_DAY + MS_DAY);
}

/* As many as an installation may have. */
static void many(void **state)
{
	(void)state;
	enum { MANY = 600 };
	_cleanup_(buf_free) struct buf pem = BUF_MAX(1 << 20), old = BUF_MAX(1 << 20);
	struct crl_set_facts           facts;
	struct refusal                 why = {.code = 0};
	for (uint32_t i = 0; i < MANY; i++) {
		struct list new = GOOD(ISSUER_SERVICE, i, i + 2);
		struct list before = GOOD(ISSUER_SERVICE, MANY - 1 - i, MANY - i);
		list_add(&new, &pem);
		list_add(&before, &old);
	}
	assert_int_equal(check(&pem, &old, &facts, &why), 0);
	assert_int_equal(facts.lists, MANY);
	assert_int_equal(check(&old, &pem, &facts, &why), E_CRL_NUMBER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_bad_list_spoils_all),
		cmocka_unit_test(numbers_never_fall),
		cmocka_unit_test(nothing_but_lists),
		cmocka_unit_test(any_altered_octet),
		cmocka_unit_test(who_may_sign),
		cmocka_unit_test(the_lists_of_two_roots),
		cmocka_unit_test(a_leaf_is_no_authority),
		cmocka_unit_test(authorities_that_cannot_be_read),
		cmocka_unit_test(ended_authorities_still_count),
		cmocka_unit_test(many),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
