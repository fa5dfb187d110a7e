/* test_cert_url.c - is the public address taken from a certificate's distribution point, and from nothing of another form? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/cert_url.h"
#include "shared/pki/issue.h"
#include "shared/pki/point.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h;
static struct key      *k;

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	return key_make(KEY_EC_P256, &k);
}

static int teardown(void **state)
{
	(void)state;
	key_free(k);
	hierarchy_free(&h);
	return 0;
}

/* One point with this URI: the value of cRLDistributionPoints. */
static void points_put(struct buf *to, const char *uri, size_t points, size_t names)
{
	size_t list = der_open(to, DER_SEQUENCE);
	for (size_t i = 0; i < points; i++) {
		size_t point = der_open(to, DER_SEQUENCE);
		size_t name = der_open(to, DER_CONTEXT_CONS | 0);
		size_t full = der_open(to, DER_CONTEXT_CONS | 0);
		for (size_t n = 0; n < names; n++)
			der_put(to, GN_URI, uri, strlen(uri));
		der_close(to, full);
		der_close(to, name);
		der_close(to, point);
	}
	der_close(to, list);
}

/* An agent's identity whose distribution point is replaced by `value`; nobody signs it, and nobody has to. */
static void identity_make(struct span value, struct buf *to)
{
	struct cert_facts              f;
	struct cert_parts              parts;
	_cleanup_(buf_free) struct buf leaf = BUF_MAX(CERT_DER_MAX);
	hierarchy_facts(&h, LEAF_AGENT, k, MS_DAY, 7, &f);
	assert_int_equal(hierarchy_issue(&h, &f, &leaf, NULL), 0);
	assert_int_equal(cert_parts_read(buf_span(&leaf), &parts), 0);
	if (value.p == NULL) {
		buf_add(to, leaf.p, leaf.n);
		return;
	}
	size_t      cert = der_open(to, DER_SEQUENCE);
	size_t      tbs = der_open(to, DER_SEQUENCE);
	struct der  outer = der_of(parts.tbs);
	struct der  body = der_in(&outer, DER_SEQUENCE);
	struct span before = {body.p, (size_t)(parts.t.spki.p + parts.t.spki.n - body.p)};
	der_put_span(to, before);
	size_t     tag = der_open(to, DER_CONTEXT_CONS | 3);
	size_t     list = der_open(to, DER_SEQUENCE);
	struct der exts = der_of(parts.t.exts);
	struct ext ext;
	while (ext_next(&exts, &ext)) {
		if (ext.id == EXT_COUNT)
			continue;
		struct ext_mark mark = ext_open(to, ext.id, ext.critical);
		der_put_span(to, ext.id == EXT_CRL_POINTS ? value : ext.value);
		ext_close(to, mark);
	}
	der_close(to, list);
	der_close(to, tag);
	der_close(to, tbs);
	der_put_span(to, parts.alg);
	der_put_bits(to, parts.signature.p, parts.signature.n);
	der_close(to, cert);
	assert_int_equal(buf_error(to), 0);
}

static int url_of(struct span value, char ret[URL_SIZE])
{
	_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
	identity_make(value, &der);
	return cert_public_url(buf_span(&der), ret);
}

static void other_forms_are_refused(void **state)
{
	(void)state;
	static const char *const rows[] = {
		"",
		"http://pki.vcc.internal/crl/agent-1/0.crl?",
		"http://pki.vcc.internal/crl/agent-1/0.crl#x",
		"http://pki.vcc.internal/crl/agent-1/.crl",
		"http://pki.vcc.internal/crl/agent-1/0",
		"http://pki.vcc.internal/crl/agent-1/x.crl",
		"http://pki.vcc.internal/crl/agent-1/1x.crl",
		"http://pki.vcc.internal/crl//0.crl",
		"http://pki.vcc.internal/crl/0.crl",
		"http://pki.vcc.internal/lists/agent-1/0.crl",
		"http://pki.vcc.internalcrl/agent-1/0.crl",
		"http:///crl/agent-1/0.crl",
		"http://",
		"https://pki.vcc.internal/crl/agent-1/0.crl",
		"ldap://pki.vcc.internal/crl/agent-1/0.crl",
		"file:///crl/agent-1/0.crl",
		"http://user@pki.vcc.internal/crl/agent-1/0.crl",
		"http://pki vcc.internal/crl/agent-1/0.crl",
		"http://pki.vcc.internal\r\nHost: x/crl/agent-1/0.crl",
		"http://pki.vcc.internal/%2e/crl/agent-1/0.crl",
		"/crl/agent-1/0.crl",
	};
	char url[URL_SIZE] = "untouched";
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf value = BUF_MAX(4096);
		points_put(&value, rows[i], 1, 1);
		if (url_of(buf_span(&value), url) != E_NOT_FOUND)
			fail_msg("row %zu is accepted", i);
	}
	for (size_t points = 0; points < 3; points++)
		for (size_t names = 0; names < 3; names++) {
			_cleanup_(buf_free) struct buf value = BUF_MAX(4096);
			points_put(&value, "http://pki.vcc.internal/crl/agent-1/0.crl", points, names);
			assert_int_equal(url_of(buf_span(&value), url), points == 1 && names == 1 ? 0 : E_NOT_FOUND);
		}
	char long_one[1000] = "http://";
	memset(long_one + 7, 'a', 300);
	strcpy(long_one + 307, "/crl/agent-1/0.crl");
	_cleanup_(buf_free) struct buf value = BUF_MAX(4096);
	points_put(&value, long_one, 1, 1);
	assert_int_equal(url_of(buf_span(&value), url), E_NOT_FOUND);
	assert_int_equal(cert_public_url((struct span){NULL, 0}, url), E_PKI_CERT);
	assert_int_equal(cert_public_url(hierarchy_der(&h, ISSUER_ROOT), url), E_NOT_FOUND); /* a root has no point */
	assert_string_equal(url, "http://pki.vcc.internal");
}

static void good_ones(void **state)
{
	(void)state;
	static const struct {
		const char *point, *url;
	} rows[] = {
		{"http://pki.vcc.internal/crl/agent-1/0.crl", "http://pki.vcc.internal"},
		{"http://pki.vcc.internal:8080/crl/agent-1/4294967295.crl", "http://pki.vcc.internal:8080"},
		{"http://127.0.0.1:80/crl/agent-1/3.crl", "http://127.0.0.1:80"},
		{"http://[2001:db8::1]:80/crl/agent-1/3.crl", "http://[2001:db8::1]:80"},
		{"http://pki.vcc.internal/x/y/crl/agent-1/3.crl", "http://pki.vcc.internal/x/y"},
		{"http://pki.vcc.internal/crl/crl/agent-1/3.crl", "http://pki.vcc.internal/crl"},
	};
	char url[URL_SIZE];
	assert_int_equal(url_of((struct span){NULL, 0}, url), 0);
	assert_string_equal(url, HIERARCHY_URL);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf value = BUF_MAX(4096);
		points_put(&value, rows[i].point, 1, 1);
		assert_int_equal(url_of(buf_span(&value), url), 0);
		assert_string_equal(url, rows[i].url);
	}
}

/* Each octet of a good value changed to anything: read as something else or refused, never outside of it. */
static void any_octet(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf value = BUF_MAX(4096);
	points_put(&value, "http://pki.vcc.internal/crl/agent-1/0.crl", 1, 1);
	for (size_t i = 0; i < value.n; i++)
		for (unsigned v = 0; v < 256; v++) {
			uint8_t     was = value.p[i];
			struct span uri;
			value.p[i] = (uint8_t)v;
			if (point_of_certificate(buf_span(&value), &uri))
				assert_true(uri.p >= value.p && uri.p + uri.n <= value.p + value.n);
			value.p[i] = was;
		}
	for (size_t n = 0; n < value.n; n++) {
		struct span uri;
		assert_false(point_of_certificate((struct span){value.p, n}, &uri));
		assert_false(point_of_list((struct span){value.p, n}, &uri));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(good_ones),
		cmocka_unit_test(any_octet),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
