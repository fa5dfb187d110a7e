/* test_key.c - do keys of every type survive PEM, DER and SPKI, and are odd ones refused before arithmetic?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/pki/key.h"

static void every_type_survives(void **state)
{
	(void)state;
	for (int t = 0; t < KEY_TYPE_COUNT; t++) {
		if (t == KEY_RSA_3072 || t == KEY_RSA_4096)
			continue; /* the same code as 2048, seconds under the sanitizers */
		_cleanup_(key_freep) struct key *k = NULL, *pem = NULL, *der = NULL, *pub = NULL;
		_cleanup_(buf_wipe) struct buf b = BUF_MAX(8192), d = BUF_MAX(8192), spki = BUF_MAX(1024), sig = BUF_MAX(1024);
		enum key_type                  type;
		assert_int_equal(key_make((enum key_type)t, &k), 0);
		assert_int_equal(key_type(k), t);
		assert_int_equal(key_to_pem(k, &b), 0);
		assert_int_equal(key_from_pem(buf_span(&b), &pem), 0);
		assert_int_equal(key_to_der(k, &d), 0);
		assert_int_equal(key_from_der(buf_span(&d), &der), 0);
		assert_int_equal(key_spki(k, &spki), 0);
		assert_int_equal(key_spki_type(buf_span(&spki), &type), 0);
		assert_int_equal(type, t);
		assert_int_equal(key_from_spki(buf_span(&spki), &pub), 0);
		assert_true(key_same(k, pem) && key_same(k, der) && key_same(k, pub));

		assert_int_equal(key_sign(pem, "a label", span_text("body"), &sig), 0);
		assert_int_equal(key_verify(pub, "a label", span_text("body"), buf_span(&sig)), 0);
		assert_int_equal(key_verify(pub, "a labe", span_text("lbody"), buf_span(&sig)), E_PKI_SIGNATURE);
		assert_int_equal(key_verify(pub, "a label", span_text("Body"), buf_span(&sig)), E_PKI_SIGNATURE);
		assert_int_equal(key_verify(pub, "a label", span_text("body"), (struct span){sig.p, sig.n - 1}),
				 E_PKI_SIGNATURE);
		assert_int_equal(key_verify(pub, "a label", span_text("body"), (struct span){sig.p, 0}), E_PKI_SIGNATURE);

		/* a public half is no private key */
		_cleanup_(buf_wipe) struct buf none = BUF_MAX(8192);
		assert_int_equal(key_to_pem(pub, &none), E_PKI_KEY);
		assert_int_equal(key_to_der(pub, &none), E_PKI_KEY);
		assert_true(key_sign(pub, "a label", span_text("body"), &none) < 0);
		assert_int_equal(none.n, 0);
	}
}

static void every_cut_is_refused(void **state)
{
	(void)state;
	_cleanup_(key_freep) struct key *k = NULL;
	_cleanup_(buf_wipe) struct buf   der = BUF_MAX(8192), spki = BUF_MAX(1024);
	struct key                      *none = NULL;
	assert_int_equal(key_make(KEY_EC_P256, &k), 0);
	assert_int_equal(key_to_der(k, &der), 0);
	assert_int_equal(key_spki(k, &spki), 0);
	for (size_t n = 0; n < der.n; n++)
		assert_int_equal(key_from_der((struct span){der.p, n}, &none), E_PKI_KEY);
	for (size_t n = 0; n < spki.n; n++)
		assert_int_equal(key_from_spki((struct span){spki.p, n}, &none), E_PKI_KEY);
	buf_add_u8(&spki, 0);
	assert_int_equal(key_from_spki(buf_span(&spki), &none), E_PKI_KEY);
	spki.p[spki.n - 2] ^= 1; /* not on the curve any more */
	assert_int_equal(key_from_spki((struct span){spki.p, spki.n - 1}, &none), E_PKI_KEY);
	assert_null(none);
}

/* An RSA SPKI of `bytes` octets of modulus and the given exponent. */
static void rsa_spki(struct buf *to, size_t bytes, const char *exponent, size_t n_exponent)
{
	static const uint8_t alg[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
	size_t               integer = bytes + 1, exp = n_exponent + 2;
	size_t               seq = 4 + integer + exp, bits = 4 + seq + 1, all = 4 + bits + sizeof(alg);
#define LONG(tag, n) (uint8_t[]){tag, 0x82, (uint8_t)((n) >> 8), (uint8_t)(n)}, 4
	buf_reset(to);
	buf_add(to, LONG(0x30, all));
	buf_add(to, alg, sizeof(alg));
	buf_add(to, LONG(0x03, bits));
	buf_add_u8(to, 0);
	buf_add(to, LONG(0x30, seq));
	buf_add(to, LONG(0x02, integer));
#undef LONG
	buf_add_u8(to, 0);
	for (size_t i = 0; i < bytes; i++)
		buf_add_u8(to, 0xab);
	buf_add_u8(to, 0x02);
	buf_add_u8(to, (uint8_t)n_exponent);
	buf_add(to, exponent, n_exponent);
}

static void odd_rsa_is_refused(void **state)
{
	(void)state;
	static const struct {
		size_t      bytes;
		const char *exponent;
		size_t      n;
		int         result;
	} rows[] = {
		{256, "\x01\x00\x01", 3, 0},
		{512, "\x01\x00\x01", 3, 0},
		{2048, "\x01\x00\x01", 3, E_PKI_KEY}, /* 16k bit */
		{513, "\x01\x00\x01", 3, E_PKI_KEY},
		{128, "\x01\x00\x01", 3, E_PKI_KEY},
		{256, "\x03", 1, E_PKI_KEY},
		{256, "\x01", 1, E_PKI_KEY},
		{256, "\x00\x01\x00\x01", 4, E_PKI_KEY}, /* not minimal */
		{256, "\x01\x00\x01\x00\x01\x00\x01\x00\x01", 9, E_PKI_KEY},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		_cleanup_(buf_free) struct buf spki = BUF_MAX(4096);
		enum key_type                  type;
		rsa_spki(&spki, rows[i].bytes, rows[i].exponent, rows[i].n);
		assert_int_equal(key_spki_type(buf_span(&spki), &type), rows[i].result);
	}
}

static void other_curves_and_passphrases_are_refused(void **state)
{
	(void)state;
	static const char *const pems[] = {
		/* secp521r1 */
		"-----BEGIN PRIVATE KEY-----\n"
		"MGACAQAwEAYHKoZIzj0CAQYFK4EEACMESTBHAgEBBEIAIDAXBj3bVBZVyI7IdGWf\n"
		"-----END PRIVATE KEY-----\n",
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMGACAQAw\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nMGACAQAw\n-----END CERTIFICATE-----\n",
		"",
		"-----BEGIN PRIVATE KEY-----",
	};
	struct key *none = NULL;
	for (size_t i = 0; i < N_ELEMENTS(pems); i++)
		assert_int_equal(key_from_pem(span_text(pems[i]), &none), E_PKI_KEY);
	assert_null(none);
}

static void seed_gives_the_known_key(void **state)
{
	(void)state;
	/* RFC 8032, 7.1, test 1 */
	uint8_t seed[32], expected[32], public[32];
	assert_int_equal(hex_parse("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed, 32), 0);
	assert_int_equal(hex_parse("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", expected, 32), 0);
	_cleanup_(key_freep) struct key *k = NULL, *pub = NULL;
	assert_int_equal(key_from_seed(seed, &k, public), 0);
	assert_memory_equal(public, expected, 32);
	assert_int_equal(key_from_ed25519(public, &pub), 0);
	_cleanup_(buf_free) struct buf sig = BUF_MAX(64);
	assert_int_equal(key_sign(k, "vcc join v1", span_text("x"), &sig), 0);
	assert_int_equal(key_verify(pub, "vcc join v1", span_text("x"), buf_span(&sig)), 0);
}

static void digests_are_known(void **state)
{
	(void)state;
	struct hash one, two;
	char        text[HASH_TEXT_SIZE];
	digest_sha256(span_text("abc"), &one);
	assert_string_equal(hash_text(one, text), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	digest_sha256_two("a", 1, "bc", 2, &two);
	assert_true(hash_equal(one, two));
	digest_sha256_two("abc", 3, NULL, 0, &two);
	assert_true(hash_equal(one, two));
}

static void random_differs(void **state)
{
	(void)state;
	uint8_t a[9000] = {0}, b[9000] = {0};
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 8192, b + 8192, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_type_survives),      cmocka_unit_test(every_cut_is_refused),
		cmocka_unit_test(odd_rsa_is_refused),       cmocka_unit_test(other_curves_and_passphrases_are_refused),
		cmocka_unit_test(seed_gives_the_known_key), cmocka_unit_test(digests_are_known),
		cmocka_unit_test(random_differs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
