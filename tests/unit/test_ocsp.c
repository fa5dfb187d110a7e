/* test_ocsp.c - Are OCSP requests read strictly and the same as the crypto library reads them, and does the library take our
 * answers? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/base/times.h"
#include "shared/pki/der.h"
#include "shared/pki/key.h"
#include "shared/pki/ocsp.h"
#include "tests/lib/hierarchy.h"

#include <openssl/ocsp.h> /* last: its KU_ macros would break the enum of our model */

static struct world {
	struct hierarchy       h;
	struct ocsp_issuer     issuer, other;
	struct ocsp_responder *responder;
	X509                  *ca, *root, *leaf;
	struct serial          serial;
} w;

static X509 *x509_of(struct span der)
{
	const uint8_t *p = der.p;
	X509          *x = d2i_X509(NULL, &p, (long)der.n);
	assert_non_null(x);
	return x;
}

static void issue(enum leaf_profile profile, uint64_t counter, struct key *k, struct buf *to)
{
	struct cert_facts f;
	struct refusal    why = {0};
	hierarchy_facts(&w.h, profile, k, 20 * MS_DAY, counter, &f);
	if (hierarchy_issue(&w.h, &f, to, &why) < 0)
		fail_msg("%s", why.cause);
	w.serial = f.serial;
}

static int setup(void **state)
{
	(void)state;
	struct buf  der = BUF_MAX(CERT_DER_MAX);
	struct key *k;
	hierarchy_make(&w.h, INT64_C(1780000000) * MS_SECOND, KEY_EC_P256, "");
	assert_int_equal(ocsp_issuer_read(hierarchy_der(&w.h, ISSUER_SERVICE), &w.issuer), 0);
	assert_int_equal(ocsp_issuer_read(hierarchy_der(&w.h, ISSUER_AGENT), &w.other), 0);
	w.ca = x509_of(hierarchy_der(&w.h, ISSUER_SERVICE));
	w.root = x509_of(hierarchy_der(&w.h, ISSUER_ROOT));
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	issue(LEAF_OCSP, 5, k, &der);
	assert_int_equal(ocsp_responder_make(k, buf_span(&der), &w.responder), 0);
	buf_reset(&der);
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	issue(LEAF_SERVICE, 6, k, &der);
	w.leaf = x509_of(buf_span(&der));
	key_free(k);
	buf_free(&der);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ocsp_responder_free(w.responder);
	X509_free(w.ca);
	X509_free(w.root);
	X509_free(w.leaf);
	hierarchy_free(&w.h);
	return 0;
}

/* ---- requests ---- */

/* As the library writes it. */
static size_t request_make(const EVP_MD *md, int certificates, int nonce, uint8_t *ret)
{
	OCSP_REQUEST *q = OCSP_REQUEST_new();
	for (int i = 0; i < certificates; i++)
		assert_non_null(OCSP_request_add0_id(q, OCSP_cert_to_id(md, w.leaf, w.ca)));
	if (nonce > 0)
		assert_int_equal(OCSP_request_add1_nonce(q, NULL, nonce), 1);
	uint8_t *p = ret;
	int      n = i2d_OCSP_REQUEST(q, &p);
	assert_true(n > 0 && n <= OCSP_REQUEST_MAX);
	OCSP_REQUEST_free(q);
	return (size_t)n;
}

static void the_librarys_requests_are_read(void **state)
{
	(void)state;
	const EVP_MD *hashes[OCSP_HASH_COUNT] = {EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
	for (int h = 0; h < OCSP_HASH_COUNT; h++)
		for (int n = 1; n <= OCSP_LIST_MAX; n++) {
			uint8_t             bytes[OCSP_REQUEST_MAX];
			struct ocsp_request q;
			size_t              size = request_make(hashes[h], n, n * 16, bytes);
			assert_int_equal(ocsp_request_read((struct span){bytes, size}, &q), 0);
			assert_int_equal(q.n, n);
			assert_int_equal(q.nonce.n, n * 16);
			for (int i = 0; i < n; i++) {
				assert_int_equal(q.one[i].hash, h);
				assert_true(serial_equal(q.one[i].serial, w.serial));
				assert_true(ocsp_is_of(&q.one[i], &w.issuer));
				assert_false(ocsp_is_of(&q.one[i], &w.other));
			}
		}
}

/* Every bit and every cut: no crash, and what is read points into the bytes. */
static void changed_requests_are_refused_or_read(void **state)
{
	(void)state;
	uint8_t bytes[OCSP_REQUEST_MAX];
	size_t  size = request_make(EVP_sha1(), 2, 16, bytes), refused = 0;
	for (size_t bit = 0; bit < size * 8; bit++) {
		struct ocsp_request q;
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (ocsp_request_read((struct span){bytes, size}, &q) == 0) {
			for (size_t i = 0; i < q.n; i++)
				assert_true(q.one[i].whole.p >= bytes && q.one[i].whole.p + q.one[i].whole.n <= bytes + size);
		} else {
			refused++;
		}
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(refused > size); /* the rest are hashes, serials and nonces, where any value is one */
	for (size_t cut = 0; cut < size; cut++) {
		struct ocsp_request q;
		assert_int_equal(ocsp_request_read((struct span){bytes, cut}, &q), E_OCSP_REQUEST);
	}
}

static size_t hand_made(int certificates, size_t nonce, bool twice, bool critical, size_t serial, uint8_t *ret)
{
	static const uint8_t sha1[] = {0x30, 7, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a}, zero[160] = {0};
	static const uint8_t oid[] = {0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2}, other[] = {0x2b, 6, 1, 5, 5, 7, 0x30, 1, 99};
	struct buf           b = BUF_MAX(OCSP_REQUEST_MAX);
	uint8_t              number[64];
	memset(number, 0x11, sizeof(number));
	size_t whole = der_open(&b, DER_SEQUENCE), tbs = der_open(&b, DER_SEQUENCE), list = der_open(&b, DER_SEQUENCE);
	for (int i = 0; i < certificates; i++) {
		size_t one = der_open(&b, DER_SEQUENCE), id = der_open(&b, DER_SEQUENCE);
		buf_add(&b, sha1, sizeof(sha1));
		der_put(&b, DER_OCTET_STRING, zero, 20);
		der_put(&b, DER_OCTET_STRING, zero, 20);
		der_put(&b, DER_INTEGER, number, serial);
		der_close(&b, id);
		der_close(&b, one);
	}
	der_close(&b, list);
	if (nonce < sizeof(zero)) {
		size_t tag = der_open(&b, DER_CONTEXT_CONS | 2), exts = der_open(&b, DER_SEQUENCE);
		for (int i = 0; i < (twice ? 2 : 1); i++) {
			size_t ext = der_open(&b, DER_SEQUENCE);
			der_put(&b, DER_OID, critical ? other : oid, sizeof(oid));
			if (critical)
				buf_add(&b, (const uint8_t[]){1, 1, 0xff}, 3);
			size_t value = der_open(&b, DER_OCTET_STRING);
			der_put(&b, DER_OCTET_STRING, zero, nonce);
			der_close(&b, value);
			der_close(&b, ext);
		}
		der_close(&b, exts);
		der_close(&b, tag);
	}
	der_close(&b, tbs);
	der_close(&b, whole);
	assert_int_equal(buf_error(&b), 0);
	size_t n = b.n;
	memcpy(ret, b.p, n);
	buf_free(&b);
	return n;
}

static void limits_hold(void **state)
{
	(void)state;
	static const struct {
		int    certificates;
		size_t nonce; /* 999 = none */
		bool   twice, critical;
		size_t serial;
		int    code;
	} rows[] = {
		{1, 999, false, false, 16, 0},
		{OCSP_LIST_MAX, 128, false, false, 16, 0},
		{1, 1, false, false, 20, 0},
		{0, 999, false, false, 16, E_OCSP_REQUEST},
		{OCSP_LIST_MAX + 1, 999, false, false, 16, E_OCSP_REQUEST},
		{1, 0, false, false, 16, E_OCSP_REQUEST},
		{1, 129, false, false, 16, E_OCSP_REQUEST},
		{1, 16, true, false, 16, E_OCSP_REQUEST},
		{1, 16, false, true, 16, E_OCSP_REQUEST},
		{1, 999, false, false, 21, E_OCSP_REQUEST},
		{1, 999, false, false, 0, E_OCSP_REQUEST},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		uint8_t             bytes[OCSP_REQUEST_MAX];
		struct ocsp_request q;
		size_t              n =
			hand_made(rows[i].certificates, rows[i].nonce, rows[i].twice, rows[i].critical, rows[i].serial, bytes);
		int code = ocsp_request_read((struct span){bytes, n}, &q);
		if (code != rows[i].code)
			fail_msg("row %zu: %d", i, code);
		if (code == 0 && rows[i].serial > sizeof(q.one[0].serial.b))
			assert_true(serial_is_none(q.one[0].serial));
	}
	static uint8_t      large[OCSP_REQUEST_MAX + 1] = {0x30, 0x82, 0x0f, 0xfd};
	struct ocsp_request q;
	assert_int_equal(ocsp_request_read(SPAN_OF(large), &q), E_OCSP_REQUEST);
}

static void an_unknown_hash_is_of_nobody(void **state)
{
	(void)state;
	uint8_t             bytes[OCSP_REQUEST_MAX];
	struct ocsp_request q;
	size_t              n = request_make(EVP_md5(), 1, 0, bytes);
	assert_int_equal(ocsp_request_read((struct span){bytes, n}, &q), E_NOT_FOUND);
}

/* ---- answers ---- */

static OCSP_BASICRESP *verified(struct span der)
{
	const uint8_t *p = der.p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
	assert_non_null(r);
	assert_ptr_equal(p, der.p + der.n);
	assert_int_equal(OCSP_response_status(r), OCSP_RESPONSE_STATUS_SUCCESSFUL);
	OCSP_BASICRESP *b = OCSP_response_get1_basic(r);
	assert_non_null(b);
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *more = sk_X509_new_null();
	X509_STORE_add_cert(store, w.root);
	X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), (time_t)(w.h.now_at / MS_SECOND + 10));
	sk_X509_push(more, w.ca);
	assert_int_equal(OCSP_basic_verify(b, more, store, 0), 1);
	sk_X509_free(more);
	X509_STORE_free(store);
	OCSP_RESPONSE_free(r);
	return b;
}

static void the_library_takes_each_status(void **state)
{
	(void)state;
	static const struct {
		enum ocsp_state state;
		int             reason, status, read;
	} rows[] = {{OCSP_GOOD, 0, V_OCSP_CERTSTATUS_GOOD, -1},
		    {OCSP_UNKNOWN, 0, V_OCSP_CERTSTATUS_UNKNOWN, -1},
		    {OCSP_REVOKED, REASON_KEY_COMPROMISE, V_OCSP_CERTSTATUS_REVOKED, 1},
		    {OCSP_REVOKED, REASON_HOLD, V_OCSP_CERTSTATUS_REVOKED, 6},
		    {OCSP_REVOKED, REASON_UNSPECIFIED, V_OCSP_CERTSTATUS_REVOKED, -1}};
	uint8_t             bytes[OCSP_REQUEST_MAX];
	struct ocsp_request q;
	size_t              n = request_make(EVP_sha1(), (int)N_ELEMENTS(rows), 32, bytes);
	assert_int_equal(ocsp_request_read((struct span){bytes, n}, &q), 0);
	struct ocsp_status list[N_ELEMENTS(rows)];
	struct buf         der = BUF_MAX(OCSP_RESPONSE_MAX);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		list[i] = (struct ocsp_status){q.one[i].whole, rows[i].state, w.h.now_at, rows[i].reason};
	assert_int_equal(ocsp_answer(w.responder, list, N_ELEMENTS(rows), w.h.now_at, w.h.now_at + MS_HOUR, q.nonce, &der), 0);

	OCSP_BASICRESP *b = verified(buf_span(&der));
	const uint8_t  *p = bytes;
	OCSP_REQUEST   *request = d2i_OCSP_REQUEST(NULL, &p, (long)n);
	assert_int_equal(OCSP_check_nonce(request, b), 1);
	assert_int_equal(OCSP_resp_count(b), N_ELEMENTS(rows));
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		int reason = -1;
		assert_int_equal(OCSP_single_get0_status(OCSP_resp_get0(b, (int)i), &reason, NULL, NULL, NULL), rows[i].status);
		if (rows[i].status == V_OCSP_CERTSTATUS_REVOKED)
			assert_int_equal(reason, rows[i].read);
	}
	OCSP_REQUEST_free(request);
	OCSP_BASICRESP_free(b);
	buf_free(&der);
}

static void what_cannot_be_true_is_not_signed(void **state)
{
	(void)state;
	static const uint8_t id[] = {0x30, 0};
	struct buf           der = BUF_MAX(OCSP_RESPONSE_MAX);
	struct span          none = {NULL, 0};
	int64_t              now = w.h.now_at;
	struct ocsp_status   good = {SPAN_OF(id), OCSP_GOOD, 0, 0};
	struct ocsp_status   odd = {SPAN_OF(id), OCSP_REVOKED, now, 7}, when = {SPAN_OF(id), OCSP_REVOKED, now + 1, 1};
	assert_int_equal(ocsp_answer(w.responder, &good, 0, now, now + 1000, none, &der), E_PKI_LINT);
	assert_int_equal(ocsp_answer(w.responder, &good, 1, now, now, none, &der), E_PKI_LINT);
	assert_int_equal(ocsp_answer(w.responder, &good, 1, now + 1, now + 1000, none, &der), E_PKI_LINT);
	assert_int_equal(ocsp_answer(w.responder, &odd, 1, now, now + 1000, none, &der), E_PKI_LINT);
	assert_int_equal(ocsp_answer(w.responder, &when, 1, now, now + 1000, none, &der), E_PKI_LINT);
	assert_int_equal(der.n, 0);
}

static void errors_are_read(void **state)
{
	(void)state;
	static const enum ocsp_error errors[] = {OCSP_MALFORMED, OCSP_INTERNAL, OCSP_TRY_LATER, OCSP_UNAUTHORIZED};
	for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
		struct span    der = ocsp_error(errors[i]);
		const uint8_t *p = der.p;
		OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
		assert_non_null(r);
		assert_int_equal(OCSP_response_status(r), errors[i]);
		OCSP_RESPONSE_free(r);
	}
}

static void a_foreign_key_is_no_responder(void **state)
{
	(void)state;
	struct key            *k, *other;
	struct buf             der = BUF_MAX(CERT_DER_MAX);
	struct ocsp_responder *r = NULL;
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(key_make(KEY_EC_P256, &other), 0);
	issue(LEAF_OCSP, 9, k, &der);
	assert_int_equal(ocsp_responder_make(other, buf_span(&der), &r), E_PKI_MISMATCH);
	assert_null(r);
	key_free(k);
	buf_free(&der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_librarys_requests_are_read),
		cmocka_unit_test(changed_requests_are_refused_or_read),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(an_unknown_hash_is_of_nobody),
		cmocka_unit_test(the_library_takes_each_status),
		cmocka_unit_test(what_cannot_be_true_is_not_signed),
		cmocka_unit_test(errors_are_read),
		cmocka_unit_test(a_foreign_key_is_no_responder),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
