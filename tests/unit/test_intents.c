/* test_intents.c - is a certificate taken from the signer only when it is exactly what was intended?
 * Never: a store or a signer; the hierarchy of tests signs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/intents.h"
#include "shared/base/times.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1800000000000)

struct made {
	struct hierarchy h;
	struct key      *key;
	struct issuance  intent;
	struct buf       certificate;
};

static int setup(void **state)
{
	static struct made m;
	struct cert_facts  facts;
	struct refusal     why;
	struct buf         tbs = BUF_MAX(CERT_DER_MAX);
	m.certificate = (struct buf)BUF_MAX(CERT_DER_MAX);
	hierarchy_make(&m.h, NOW, KEY_EC_P256, "");
	assert_int_equal(key_make(KEY_EC_P256, &m.key), 0);
	hierarchy_facts(&m.h, LEAF_SERVICE, m.key, MS_DAY, 77, &facts);
	assert_int_equal(issue_tbs(m.h.ca[ISSUER_SERVICE], &facts, &tbs), 0);
	m.intent = (struct issuance){.serial = facts.serial, .state = ISSUANCE_INTENT};
	digest_sha256(buf_span(&tbs), &m.intent.tbs_hash);
	assert_int_equal(hierarchy_issue(&m.h, &facts, &m.certificate, &why), 0);
	buf_free(&tbs);
	*state = &m;
	return 0;
}

static int teardown(void **state)
{
	struct made *m = *state;
	hierarchy_free(&m->h);
	key_free(m->key);
	buf_free(&m->certificate);
	return 0;
}

static void test_ours_is_taken(void **state)
{
	struct made    *m = *state;
	struct issuance got;
	struct hash     fingerprint;
	assert_int_equal(intent_signed(&m->intent, buf_span(&m->certificate), &got), 0);
	digest_sha256(buf_span(&m->certificate), &fingerprint);
	assert_true(hash_equal(got.fingerprint, fingerprint));
	assert_int_equal(got.state, ISSUANCE_ISSUED);
	assert_int_equal(got.der_len, m->certificate.n);
}

static void test_other_content_is_refused(void **state)
{
	struct made      *m = *state;
	struct issuance   got = {.state = ISSUANCE_VOID};
	struct cert_facts facts;
	struct refusal    why;
	struct buf        other = BUF_MAX(CERT_DER_MAX);
	hierarchy_facts(&m->h, LEAF_SERVICE, m->key, 2 * MS_DAY, 77, &facts); /* the same serial, a longer life */
	assert_int_equal(hierarchy_issue(&m->h, &facts, &other, &why), 0);
	assert_int_equal(intent_signed(&m->intent, buf_span(&other), &got), E_SIGNER_HASH);
	assert_int_equal(got.state, ISSUANCE_VOID); /* untouched */
	buf_free(&other);
}

static void test_broken_bytes_are_refused(void **state)
{
	struct made    *m = *state;
	struct issuance got;
	uint8_t         bytes[CERT_DER_MAX];
	struct span     whole = buf_span(&m->certificate);
	memcpy(bytes, whole.p, whole.n);
	for (size_t n = 0; n < 8; n++)
		assert_int_equal(intent_signed(&m->intent, (struct span){bytes, n}, &got), E_PKI_CERT);
	bytes[0] = 0x31;
	assert_int_equal(intent_signed(&m->intent, (struct span){bytes, whole.n}, &got), E_PKI_CERT);
	bytes[0] = 0x30;
	bytes[20] ^= 1; /* inside the TBS */
	assert_true(intent_signed(&m->intent, (struct span){bytes, whole.n}, &got) < 0);
	static const uint8_t large[CERT_DER_MAX] = {0x30, 0x82, 0x17, 0xfc, 0x30, 0x00};
	assert_int_equal(intent_signed(&m->intent, SPAN_OF(large), &got), E_PKI_CERT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ours_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_content_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_broken_bytes_are_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
