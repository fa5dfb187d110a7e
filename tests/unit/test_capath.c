/* test_capath.c - is every authority and list found under the name that OpenSSL looks for, and nothing else taken?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/capath.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h, twin; /* the same names, other keys */

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	hierarchy_make(&twin, NOW, KEY_EC_P256, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hierarchy_free(&h);
	hierarchy_free(&twin);
	return 0;
}

static void authority_add(struct buf *pem, const struct hierarchy *from, enum issuer_role role)
{
	assert_int_equal(cert_pem_add(hierarchy_der(from, role), pem), 0);
}

static void list_add(struct buf *pem, enum issuer_role role, unsigned shard)
{
	char       idp[128];
	struct buf der = BUF_MAX(1 << 20);
	snprintf(idp, sizeof(idp), HIERARCHY_URL "/crl/service-1/%u.crl", shard);
	assert_int_equal(issue_crl(h.ca[role], shard + 1, NOW, NOW + MS_DAY, role == ISSUER_ROOT ? NULL : idp, NULL, 0, &der), 0);
	assert_int_equal(crl_pem_add(buf_span(&der), pem), 0);
	buf_free(&der);
}

/* What the library itself says of a certificate's name. */
static unsigned long library_hash(enum issuer_role role)
{
	struct span    der = hierarchy_der(&h, role);
	const uint8_t *p = der.p;
	X509          *x = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(x);
	unsigned long hash = X509_subject_name_hash(x);
	X509_free(x);
	return hash;
}

static const struct capath_file *find(const struct capath *c, enum issuer_role role, const char *end)
{
	char name[CAPATH_NAME_SIZE];
	snprintf(name, sizeof(name), "%08lx.%s", library_hash(role), end);
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->files[i].name, name) == 0)
			return &c->files[i];
	return NULL;
}

static void names_and_content(void **state)
{
	(void)state;
	struct buf    ca = BUF_MAX(65536);
	struct buf    lists = BUF_MAX(1 << 20);
	struct capath c;
	authority_add(&ca, &h, ISSUER_ROOT);
	size_t first = ca.n;
	authority_add(&ca, &twin, ISSUER_ROOT);
	authority_add(&ca, &h, ISSUER_ROOT); /* once more */
	list_add(&lists, ISSUER_SERVICE, 0);
	list_add(&lists, ISSUER_ROOT, 0);
	for (unsigned shard = 1; shard < 12; shard++)
		list_add(&lists, ISSUER_SERVICE, shard);
	assert_int_equal(capath_make(buf_span(&ca), buf_span(&lists), &c), 0);
	assert_int_equal(c.n, 2 + 13);
	assert_true(span_equal(find(&c, ISSUER_ROOT, "0")->pem, (struct span){ca.p, first}));
	assert_non_null(find(&c, ISSUER_ROOT, "1"));
	assert_null(find(&c, ISSUER_ROOT, "2"));
	assert_non_null(find(&c, ISSUER_ROOT, "r0"));
	assert_null(find(&c, ISSUER_ROOT, "r1"));
	assert_true(find(&c, ISSUER_SERVICE, "r0")->pem.p == lists.p);
	assert_non_null(find(&c, ISSUER_SERVICE, "r11"));
	assert_null(find(&c, ISSUER_SERVICE, "r12"));
	for (size_t i = 1; i < c.n; i++)
		assert_true(strcmp(c.files[i - 1].name, c.files[i].name) < 0);
	capath_free(&c);
	assert_int_equal(capath_make(buf_span(&ca), SPAN_OF(""), &c), E_PKI_CRL); /* a NUL is no list */
	assert_int_equal(capath_make(buf_span(&ca), (struct span){NULL, 0}, &c), 0);
	assert_int_equal(c.n, 2);
	capath_free(&c);
	buf_free(&ca);
	buf_free(&lists);
}

static void other_content_is_refused(void **state)
{
	(void)state;
	struct buf    ca = BUF_MAX(1 << 20);
	struct buf    lists = BUF_MAX(1 << 20);
	struct capath c;
	authority_add(&ca, &h, ISSUER_ROOT);
	list_add(&lists, ISSUER_ROOT, 0);
	/* the one where the other is wanted */
	assert_int_equal(capath_make(buf_span(&lists), buf_span(&lists), &c), E_PKI_CERT);
	assert_int_equal(capath_make(buf_span(&ca), buf_span(&ca), &c), E_PKI_CRL);
	/* cut anywhere */
	for (size_t n = 1; n < ca.n; n++)
		assert_true(capath_make((struct span){ca.p, n}, buf_span(&lists), &c) < 0);
	for (size_t n = 1; n < lists.n; n++)
		assert_int_equal(capath_make(buf_span(&ca), (struct span){lists.p, n}, &c), E_PKI_CRL);
	/* one octet changed: refused, or at least never a name that leaves the folder */
	for (size_t i = 0; i < lists.n; i++) {
		lists.p[i] ^= 0x11;
		if (capath_make(buf_span(&ca), buf_span(&lists), &c) == 0) {
			assert_int_equal(c.n, 2);
			for (size_t k = 0; k < c.n; k++)
				assert_int_equal(strspn(c.files[k].name, "0123456789abcdef.r"), strlen(c.files[k].name));
			capath_free(&c);
		}
		lists.p[i] ^= 0x11;
	}
	buf_free(&ca);
	buf_free(&lists);
}

static void limits(void **state)
{
	(void)state;
	struct buf    ca = BUF_MAX(1 << 20);
	struct buf    one = BUF_MAX(1 << 20);
	struct buf    lists = BUF_MAX(16 << 20);
	struct capath c;
	for (int i = 0; i < CAPATH_AUTHORITIES_MAX; i++)
		authority_add(&ca, &h, ISSUER_ROOT);
	list_add(&one, ISSUER_ROOT, 0);
	for (int i = 0; i < CAPATH_LISTS_MAX; i++)
		buf_add(&lists, one.p, one.n);
	assert_int_equal(buf_error(&lists), 0);
	assert_int_equal(capath_make(buf_span(&ca), buf_span(&lists), &c), 0);
	assert_int_equal(c.n, 1 + CAPATH_LISTS_MAX);
	capath_free(&c);
	buf_add(&lists, one.p, one.n);
	assert_int_equal(capath_make(buf_span(&ca), buf_span(&lists), &c), E_FULL);
	authority_add(&ca, &h, ISSUER_ROOT);
	assert_int_equal(capath_make(buf_span(&ca), (struct span){NULL, 0}, &c), E_FULL);
	buf_free(&ca);
	buf_free(&one);
	buf_free(&lists);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_and_content),
		cmocka_unit_test(other_content_is_refused),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
