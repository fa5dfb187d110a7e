/* test_der.c - does the cursor refuse everything that is not DER, and does it read back what the writer wrote?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/pki/der.h"

#define BYTES(...) ((struct span){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static void lengths_are_minimal(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 127, 128, 129, 255, 256, 257, 65535, 65536, 70000};
	static uint8_t      zeros[70000];
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
		_cleanup_(buf_free) struct buf one = BUF_MAX(100000), two = BUF_MAX(100000);
		der_put(&one, DER_OCTET_STRING, zeros, sizes[i]);
		size_t mark = der_open(&two, DER_OCTET_STRING);
		buf_add(&two, zeros, sizes[i]);
		der_close(&two, mark);
		assert_true(span_equal(buf_span(&one), buf_span(&two)));
		struct der  d = der_of(buf_span(&one));
		struct span content = der_get(&d, DER_OCTET_STRING);
		assert_true(der_done(&d));
		assert_int_equal(content.n, sizes[i]);
		struct der cut = der_of((struct span){one.p, one.n - 1});
		(void)der_get(&cut, DER_OCTET_STRING);
		assert_true(cut.bad);
	}
}

static void other_forms_are_refused(void **state)
{
	(void)state;
	const struct span rows[] = {
		BYTES(0x04),                               /* no length */
		BYTES(0x04, 0x80, 0x00, 0x00),             /* indefinite */
		BYTES(0x04, 0x81, 0x01, 0x00),             /* longer than needed */
		BYTES(0x04, 0x82, 0x00, 0x80),             /* leading zero */
		BYTES(0x04, 0x84, 0xff, 0xff, 0xff, 0xff), /* 4 GiB */
		BYTES(0x04, 0xff),                         /* reserved */
		BYTES(0x04, 0x02, 0x00),                   /* cut */
		BYTES(0x1f, 0x01, 0x00),                   /* long tag */
		BYTES(0x24, 0x02, 0x04, 0x00),             /* constructed octet string */
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct der  d = der_of(rows[i]);
		struct span v = der_get(&d, DER_OCTET_STRING);
		assert_true(d.bad);
		assert_int_equal(v.n, 0);
		assert_false(der_done(&d));
		assert_false(der_more(&d));
		/* and it stays bad */
		(void)der_any(&d);
		assert_true(d.bad);
	}
}

static void integers(void **state)
{
	(void)state;
	static const uint64_t values[] = {0, 1, 127, 128, 255, 256, 65537, UINT64_MAX / 2, UINT64_MAX};
	for (size_t i = 0; i < N_ELEMENTS(values); i++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(64);
		der_put_u64(&b, values[i]);
		struct der d = der_of(buf_span(&b));
		assert_true(der_u64(&d) == values[i]);
		assert_true(der_done(&d));
	}
	const struct span bad[] = {
		BYTES(0x02, 0x00),                                                             /* empty */
		BYTES(0x02, 0x01, 0x80),                                                       /* negative */
		BYTES(0x02, 0x02, 0x00, 0x7f),                                                 /* not minimal */
		BYTES(0x02, 0x0a, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), /* 72 bit */
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct der d = der_of(bad[i]);
		(void)der_u64(&d);
		assert_true(d.bad);
	}
}

static void named_bits(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 256; bits++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(64);
		der_put_named_bits(&b, bits);
		struct der d = der_of(buf_span(&b));
		assert_int_equal(der_named_bits(&d), bits);
		assert_true(der_done(&d));
	}
	const struct span bad[] = {
		BYTES(0x03, 0x00),
		BYTES(0x03, 0x01, 0x01),
		BYTES(0x03, 0x02, 0x00, 0x80), /* trailing zeros counted */
		BYTES(0x03, 0x02, 0x07, 0x81), /* unused bit set */
		BYTES(0x03, 0x02, 0x08, 0x80),
		BYTES(0x03, 0x02, 0x07, 0x00),
		BYTES(0x03, 0x04, 0x00, 1, 1, 1),
	};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct der d = der_of(bad[i]);
		(void)der_named_bits(&d);
		assert_true(d.bad);
	}
}

static void times_survive(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint8_t     tag;
	} rows[] = {
		{"1970-01-01T00:00:01Z", DER_UTC_TIME},     {"2028-02-29T23:59:59Z", DER_UTC_TIME},
		{"2038-01-19T03:14:08Z", DER_UTC_TIME},     {"2049-12-31T23:59:59Z", DER_UTC_TIME},
		{"2050-01-01T00:00:00Z", DER_GENERAL_TIME}, {"9999-12-31T23:59:59Z", DER_GENERAL_TIME},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(64);
		int64_t                        at;
		assert_int_equal(time_parse(rows[i].text, &at), 0);
		der_put_time(&b, at);
		struct der d = der_of(buf_span(&b));
		assert_int_equal(der_tag(&d), rows[i].tag);
		assert_true(der_time(&d) == at);
		assert_true(der_done(&d));
	}
	static const char *const bad[] = {"260231000000Z", "261301000000Z", "2611230000Z",   "261123000000",
					  "261123240000Z", "261123006000Z", "26112300000aZ", "261123000060Z"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(64);
		der_put(&b, DER_UTC_TIME, bad[i], strlen(bad[i]));
		struct der d = der_of(buf_span(&b));
		(void)der_time(&d);
		assert_true(d.bad);
	}
}

static void flags(void **state)
{
	(void)state;
	struct der yes = der_of(BYTES(0x01, 0x01, 0xff)), no = der_of(BYTES(0x01, 0x01, 0x00)),
		   odd = der_of(BYTES(0x01, 0x01, 0x01));
	assert_true(der_flag(&yes) && der_done(&yes));
	assert_false(der_flag(&no));
	assert_true(der_done(&no));
	assert_false(der_flag(&odd));
	assert_true(odd.bad);
}

static void full_buffer_is_told(void **state)
{
	(void)state;
	uint8_t zeros[200] = {0};
	for (size_t max = 1; max < 205; max++) {
		_cleanup_(buf_free) struct buf b = BUF_MAX(max);
		size_t                         mark = der_open(&b, DER_SEQUENCE);
		der_put(&b, DER_OCTET_STRING, zeros, sizeof(zeros));
		der_close(&b, mark);
		assert_true(buf_error(&b) != 0);
	}
}

static void concatenations(void **state)
{
	(void)state;
	struct span rest = BYTES(0x30, 0x00, 0x30, 0x01, 0x05, 0x31, 0x00);
	struct span one;
	assert_true(der_next(&rest, &one));
	assert_int_equal(one.n, 2);
	assert_true(der_next(&rest, &one));
	assert_int_equal(one.n, 3);
	assert_false(der_next(&rest, &one));
	assert_int_equal(rest.n, 2);
	rest.n = 0;
	assert_false(der_next(&rest, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_are_minimal), cmocka_unit_test(other_forms_are_refused), cmocka_unit_test(integers),
		cmocka_unit_test(named_bits),          cmocka_unit_test(times_survive),           cmocka_unit_test(flags),
		cmocka_unit_test(full_buffer_is_told), cmocka_unit_test(concatenations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
