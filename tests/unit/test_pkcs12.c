/* test_pkcs12.c - do other readers find key, chain and trusted roots in the stores, by the algorithms that were promised?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/pkcs12.h>

#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/pki/issue.h"
#include "shared/pki/pkcs12.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)
#define PASSWORD "correct horse"

static struct hierarchy h, other;
static struct key      *keys[KEY_TYPE_COUNT];

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	hierarchy_make(&other, NOW, KEY_EC_P256, "");
	for (int t = 0; t < KEY_TYPE_COUNT; t++)
		if (t == KEY_EC_P256 || t == KEY_EC_P384 || t == KEY_RSA_2048 || t == KEY_ED25519)
			assert_int_equal(key_make((enum key_type)t, &keys[t]), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int t = 0; t < KEY_TYPE_COUNT; t++)
		key_free(keys[t]);
	hierarchy_free(&h);
	hierarchy_free(&other);
	return 0;
}

static void chain_make(enum key_type type, struct buf *to)
{
	struct cert_facts f;
	hierarchy_facts(&h, LEAF_SERVICE, keys[type], 30 * MS_DAY, 7, &f);
	assert_int_equal(hierarchy_issue(&h, &f, to, NULL), 0);
	struct span ca = hierarchy_der(&h, ISSUER_SERVICE);
	buf_add(to, ca.p, ca.n);
}

static PKCS12 *store_read(const struct buf *store)
{
	const uint8_t *p = store->p;
	PKCS12        *p12 = d2i_PKCS12(NULL, &p, (long)store->n);
	assert_non_null(p12);
	assert_ptr_equal(p, store->p + store->n);
	return p12;
}

static void mac_is_sha256(const PKCS12 *p12)
{
	const X509_ALGOR        *algorithm;
	const ASN1_OBJECT       *object;
	const ASN1_INTEGER      *iterations;
	const ASN1_OCTET_STRING *salt, *mac;
	PKCS12_get0_mac(&mac, &algorithm, &salt, &iterations, p12);
	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	assert_int_equal(OBJ_obj2nid(object), NID_sha256);
	assert_true(ASN1_INTEGER_get(iterations) >= 10000);
}

/* PBES2 with AES-256-CBC and PBKDF2 by HMAC-SHA-256, wherever something is encrypted. */
static void algorithm_is_pbes2(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object;
	const void        *parameter;
	int                type;
	X509_ALGOR_get0(&object, &type, &parameter, algorithm);
	assert_int_equal(OBJ_obj2nid(object), NID_pbes2);
	assert_int_equal(type, V_ASN1_SEQUENCE);
	PBE2PARAM *pbe = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
	assert_non_null(pbe);
	assert_int_equal(OBJ_obj2nid(pbe->encryption->algorithm), NID_aes_256_cbc);
	PBKDF2PARAM *kdf = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), pbe->keyfunc->parameter);
	assert_non_null(kdf);
	assert_non_null(kdf->prf);
	assert_int_equal(OBJ_obj2nid(kdf->prf->algorithm), NID_hmacWithSHA256);
	assert_true(ASN1_INTEGER_get(kdf->iter) >= 10000);
	PBKDF2PARAM_free(kdf);
	PBE2PARAM_free(pbe);
}

static void bags_are_pbes2(PKCS12 *p12, size_t *ret_keys)
{
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	assert_non_null(safes);
	*ret_keys = 0;
	for (int i = 0; i < sk_PKCS7_num(safes); i++) {
		PKCS7                    *safe = sk_PKCS7_value(safes, i);
		STACK_OF(PKCS12_SAFEBAG) *bags;
		if (OBJ_obj2nid(safe->type) == NID_pkcs7_encrypted) {
			algorithm_is_pbes2(safe->d.encrypted->enc_data->algorithm);
			continue;
		}
		bags = PKCS12_unpack_p7data(safe);
		assert_non_null(bags);
		for (int j = 0; j < sk_PKCS12_SAFEBAG_num(bags); j++) {
			const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, j);
			const X509_ALGOR     *algorithm;
			assert_int_equal(PKCS12_SAFEBAG_get_nid(bag), NID_pkcs8ShroudedKeyBag); /* nothing readable without the password */
			X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, NULL);
			algorithm_is_pbes2(algorithm);
			++*ret_keys;
		}
		sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	}
	sk_PKCS7_pop_free(safes, PKCS7_free);
}

static void key_and_chain_come_back(void **state)
{
	(void)state;
	static const enum key_type types[] = {KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_ED25519};
	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		_cleanup_(buf_free) struct buf chain = BUF_MAX(65536), der = BUF_MAX(65536);
		_cleanup_(buf_wipe) struct buf store = BUF_MAX(PKCS12_MAX);
		EVP_PKEY *key = NULL;
		X509     *leaf = NULL;
		STACK_OF(X509) *rest = NULL;
		size_t n_keys;
		chain_make(types[i], &chain);
		assert_int_equal(pkcs12_keystore(keys[types[i]], buf_span(&chain), PASSWORD, &store), 0);
		PKCS12 *p12 = store_read(&store);
		mac_is_sha256(p12);
		bags_are_pbes2(p12, &n_keys);
		assert_int_equal(n_keys, 1);
		assert_int_equal(PKCS12_verify_mac(p12, "wrong", -1), 0);
		assert_int_equal(PKCS12_parse(p12, PASSWORD, &key, &leaf, &rest), 1);
		assert_int_equal(X509_check_private_key(leaf, key), 1);
		assert_int_equal(sk_X509_num(rest), 1);
		for (int c = -1; c < 1; c++) {
			X509    *x = c < 0 ? leaf : sk_X509_value(rest, c);
			uint8_t *room = buf_room(&der, (size_t)i2d_X509(x, NULL));
			buf_used(&der, (size_t)i2d_X509(x, &room));
		}
		assert_true(span_equal(buf_span(&der), buf_span(&chain)));
		assert_string_equal(X509_alias_get0(leaf, NULL), "vcc");
		EVP_PKEY_free(key);
		X509_free(leaf);
		sk_X509_pop_free(rest, X509_free);
		PKCS12_free(p12);
	}
}

static void root_is_trusted(PKCS12_SAFEBAG *bag, int number)
{
	char            want[32];
	char            oid[64];
	X509_ATTRIBUTE *trusted = NULL;
	const STACK_OF(X509_ATTRIBUTE) *attributes = PKCS12_SAFEBAG_get0_attrs(bag);
	assert_int_equal(PKCS12_SAFEBAG_get_nid(bag), NID_certBag);
	char *name = PKCS12_get_friendlyname(bag);
	snprintf(want, sizeof(want), "vcc-ca-%d", number);
	assert_string_equal(name, want);
	OPENSSL_free(name);
	for (int i = 0; i < sk_X509_ATTRIBUTE_num(attributes); i++) {
		X509_ATTRIBUTE *a = sk_X509_ATTRIBUTE_value(attributes, i);
		OBJ_obj2txt(oid, sizeof(oid), X509_ATTRIBUTE_get0_object(a), 1);
		if (strcmp(oid, "2.16.840.1.113894.746875.1.1") == 0)
			trusted = a;
	}
	assert_non_null(trusted);
	const ASN1_TYPE *value = X509_ATTRIBUTE_get0_type(trusted, 0);
	assert_int_equal(X509_ATTRIBUTE_count(trusted), 1);
	assert_int_equal(ASN1_TYPE_get(value), V_ASN1_OBJECT);
	OBJ_obj2txt(oid, sizeof(oid), value->value.object, 1);
	assert_string_equal(oid, "2.5.29.37.0");
}

static void roots_are_trusted_entries(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf roots = BUF_MAX(65536), store = BUF_MAX(PKCS12_MAX);
	size_t      n_keys;
	struct span one = hierarchy_der(&h, ISSUER_ROOT);
	struct span two = hierarchy_der(&other, ISSUER_ROOT);
	buf_add(&roots, one.p, one.n);
	buf_add(&roots, two.p, two.n);
	assert_int_equal(pkcs12_truststore(buf_span(&roots), PASSWORD, &store), 0);
	PKCS12 *p12 = store_read(&store);
	mac_is_sha256(p12);
	assert_int_equal(PKCS12_verify_mac(p12, PASSWORD, -1), 1);
	bags_are_pbes2(p12, &n_keys);
	assert_int_equal(n_keys, 0);
	STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
	assert_int_equal(sk_PKCS7_num(safes), 1);
	STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7encdata(sk_PKCS7_value(safes, 0), PASSWORD, -1);
	assert_int_equal(sk_PKCS12_SAFEBAG_num(bags), 2);
	for (int i = 0; i < 2; i++)
		root_is_trusted(sk_PKCS12_SAFEBAG_value(bags, i), i + 1);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	sk_PKCS7_pop_free(safes, PKCS7_free);
	PKCS12_free(p12);
}

static void refuses(void **state)
{
	(void)state;
	_cleanup_(buf_free) struct buf chain = BUF_MAX(65536), store = BUF_MAX(PKCS12_MAX), little = BUF_MAX(64);
	static const char *const bad[] = {"", "short", "tab\tinside", "umlaut \xc3\xa4", "line\nbreak"};
	char                     longest[PKCS12_PASSWORD_SIZE + 1];
	chain_make(KEY_EC_P256, &chain);
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		assert_false(pkcs12_password_ok(bad[i]));
		assert_int_equal(pkcs12_keystore(keys[KEY_EC_P256], buf_span(&chain), bad[i], &store), E_PKI_PASSPHRASE);
		assert_int_equal(pkcs12_truststore(hierarchy_der(&h, ISSUER_ROOT), bad[i], &store), E_PKI_PASSPHRASE);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(pkcs12_password_ok(longest));
	longest[sizeof(longest) - 2] = '\0';
	assert_true(pkcs12_password_ok(longest));

	assert_int_equal(pkcs12_keystore(keys[KEY_EC_P384], buf_span(&chain), PASSWORD, &store), E_PKI_MISMATCH);
	assert_int_equal(pkcs12_keystore(keys[KEY_EC_P256], (struct span){chain.p, chain.n - 1}, PASSWORD, &store), E_PKI_CERT);
	assert_int_equal(pkcs12_keystore(keys[KEY_EC_P256], (struct span){NULL, 0}, PASSWORD, &store), E_PKI_CERT);
	assert_int_equal(pkcs12_truststore((struct span){NULL, 0}, PASSWORD, &store), E_PKI_CERT);
	assert_int_equal(pkcs12_keystore(keys[KEY_EC_P256], buf_span(&chain), PASSWORD, &little), E_FULL);
	assert_int_equal(store.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_and_chain_come_back),
		cmocka_unit_test(roots_are_trusted_entries),
		cmocka_unit_test(refuses),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
