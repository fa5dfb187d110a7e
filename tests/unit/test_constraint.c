/* test_constraint.c - do name constraints hold for hosts, addresses and URIs as RFC 5280, 4.2.1.10 says?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/pki/constraint.h"

/* NameConstraints with one permitted and one excluded subtree (NULL = none). */
static void constraints_make(struct buf *to, uint8_t tag, const char *permitted, size_t n_permitted, const char *excluded,
			     size_t n_excluded)
{
	size_t seq = der_open(to, DER_SEQUENCE);
	for (uint8_t i = 0; i < 2; i++) {
		const char *base = i == 0 ? permitted : excluded;
		if (base == NULL)
			continue;
		size_t list = der_open(to, (uint8_t)(DER_CONTEXT_CONS | i));
		size_t one = der_open(to, DER_SEQUENCE);
		der_put(to, tag, base, i == 0 ? n_permitted : n_excluded);
		der_close(to, one);
		der_close(to, list);
	}
	der_close(to, seq);
}

static void texts(void **state)
{
	(void)state;
	static const struct {
		uint8_t     tag;
		const char *permitted, *excluded, *name;
		bool        allowed;
	} rows[] = {
		{GN_DNS, "a.b", NULL, "a.b", true},
		{GN_DNS, "a.b", NULL, "x.a.b", true},
		{GN_DNS, "a.b", NULL, "x.y.A.B", true},
		{GN_DNS, "a.b", NULL, "xa.b", false},
		{GN_DNS, "a.b", NULL, "b", false},
		{GN_DNS, "a.b", NULL, "*.a.b", true},
		{GN_DNS, "a.b", NULL, "*.b", false},
		{GN_DNS, NULL, "", "anything", false},
		{GN_DNS, "a.b", "x.a.b", "x.a.b", false},
		{GN_DNS, "a.b", "x.a.b", "y.a.b", true},
		{GN_DNS, NULL, NULL, "anything", true},
		{GN_URI, "a.b", NULL, "spiffe://a.b/x", true},
		{GN_URI, "a.b", NULL, "spiffe://x.a.b/x", false},
		{GN_URI, ".a.b", NULL, "spiffe://x.a.b/x", true},
		{GN_URI, ".a.b", NULL, "spiffe://a.b/x", false},
		{GN_URI, "a.b", NULL, "spiffe://a.b:80/x", true},
		{GN_URI, "a.b", NULL, "spiffe://c.d@a.b", true},
		{GN_URI, "a.b", NULL, "spiffe://a.b@c.d/", false},
		{GN_URI, "a.b", NULL, "spiffe://c.d/@a.b", false},
		{GN_URI, "a.b", NULL, "spiffe://c.d?@a.b", false},
		{GN_URI, "a.b", NULL, "urn:a.b", false},
		{GN_URI, "a.b", NULL, "://", false},
		{GN_URI, "a.b", NULL, "", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(1024);
		const char                    *p = rows[i].permitted, *e = rows[i].excluded;
		constraints_make(&b, rows[i].tag, p, p != NULL ? strlen(p) : 0, e, e != NULL ? strlen(e) : 0);
		assert_int_equal(constraint_allows(buf_span(&b), rows[i].tag, span_text(rows[i].name)), rows[i].allowed);
	}
}

static void addresses(void **state)
{
	(void)state;
	static const uint8_t           ten[8] = {10, 0, 0, 0, 255, 0, 0, 0}, all[32];
	static const uint8_t           inside[4] = {10, 1, 2, 3}, outside[4] = {11, 1, 2, 3}, six[16] = {0x20, 1};
	_cleanup_(buf_free) struct buf permitted = BUF_MAX(256), excluded = BUF_MAX(256), none = BUF_MAX(256);
	constraints_make(&permitted, GN_IP, (const char *)ten, 8, NULL, 0);
	assert_true(constraint_allows(buf_span(&permitted), GN_IP, SPAN_OF(inside)));
	assert_false(constraint_allows(buf_span(&permitted), GN_IP, SPAN_OF(outside)));
	assert_false(constraint_allows(buf_span(&permitted), GN_IP, SPAN_OF(six)));
	/* other kinds are not touched */
	assert_true(constraint_allows(buf_span(&permitted), GN_DNS, span_text("a.b")));
	constraints_make(&excluded, GN_IP, NULL, 0, (const char *)all, 32);
	assert_true(constraint_allows(buf_span(&excluded), GN_IP, SPAN_OF(inside)));
	assert_false(constraint_allows(buf_span(&excluded), GN_IP, SPAN_OF(six)));
	/* no constraints at all */
	assert_true(constraint_allows(buf_span(&none), GN_IP, SPAN_OF(six)));
}

static void unreadable_ones_allow_nothing(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf b = BUF_MAX(256);
	constraints_make(&b, GN_DNS, "a.b", 3, NULL, 0);
	assert_true(constraint_allows(buf_span(&b), GN_DNS, span_text("a.b")));
	for (size_t n = 1; n < b.n; n++)
		assert_false(constraint_allows((struct span){b.p, n}, GN_DNS, span_text("a.b")));
}

static void what_is_permitted_is_shown(void **state)
{
	(void)state;
	static const uint8_t ten[8] = {10, 0, 0, 0, 255, 240, 0, 0}, six[32] = {0xfd, 0, [16] = 0xff}, odd[7] = {0};
	static const struct {
		uint8_t     tag;
		const void *base;
		size_t      n;
		const char *text; /* NULL = cannot be read */
	} rows[] = {
		{GN_DNS, "vcc.internal", 12, "DNS:vcc.internal\n"}, {GN_URI, "a.b", 3, "URI:a.b\n"}, {GN_IP, ten, 8, "IP:10.0.0.0/12\n"},
		{GN_IP, six, 32, "IP:fd00::/8\n"},                 {GN_DNS, "a\nb", 3, "DNS:a?b\n"}, {GN_IP, odd, 7, NULL},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(256), text = BUF_MAX(256);
		constraints_make(&b, rows[i].tag, rows[i].base, rows[i].n, "x", 1);
		assert_int_equal(constraint_permitted(buf_span(&b), &text), rows[i].text != NULL ? 0 : E_PKI_CERT);
		buf_add_u8(&text, 0);
		if (rows[i].text != NULL)
			assert_string_equal((const char *)text.p, rows[i].text);
		for (size_t n = 1; n < b.n; n++) {
			buf_reset(&text);
			assert_int_not_equal(constraint_permitted((struct span){b.p, n}, &text), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(addresses),
		cmocka_unit_test(unreadable_ones_allow_nothing),
		cmocka_unit_test(what_is_permitted_is_shown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
