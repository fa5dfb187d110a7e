/* test_peer_judge.c - does a relying party see what its services would: another certificate, the one before, a wrong name, half a chain, roots of others?
 * Never: sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/peer_judge.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy    h, foreign;
static struct key         *key;
static struct cert_info    info, old_info;
static struct buf          leaf = BUF_MAX(CERT_DER_MAX), old = BUF_MAX(CERT_DER_MAX), stranger = BUF_MAX(CERT_DER_MAX), agent = BUF_MAX(CERT_DER_MAX);
static char                name[DNS_NAME_SIZE];
static struct peer_anchors anchors;

static void issue(const struct hierarchy *by, enum leaf_profile profile, uint64_t counter, struct buf *to)
{
	struct cert_facts facts;
	hierarchy_facts(by, profile, key, MS_DAY, counter, &facts);
	assert_int_equal(hierarchy_issue(by, &facts, to, NULL), 0);
}

static int setup(void **state)
{
	struct san san;
	size_t     cursor = 0;
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	hierarchy_make(&foreign, NOW, KEY_EC_P256, "");
	assert_int_equal(key_make(KEY_EC_P256, &key), 0);
	issue(&h, LEAF_SERVICE, 8, &leaf);
	issue(&h, LEAF_SERVICE, 7, &old);
	issue(&foreign, LEAF_SERVICE, 9, &stranger);
	issue(&h, LEAF_AGENT, 10, &agent);
	assert_int_equal(cert_read(buf_span(&leaf), &info), 0);
	assert_int_equal(cert_read(buf_span(&old), &old_info), 0);
	assert_true(names_next(&info.names, &cursor, &san));
	memcpy(name, san.text, sizeof(name));
	return peer_anchors_add(&anchors, "web", hierarchy_der(&h, ISSUER_ROOT));
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&leaf);
	buf_free(&old);
	buf_free(&stranger);
	buf_free(&agent);
	key_free(key);
	peer_anchors_free(&anchors);
	hierarchy_free(&h);
	hierarchy_free(&foreign);
	return 0;
}

static struct peer_wanted wanted(void)
{
	return (struct peer_wanted){.fingerprint = info.fingerprint, .old_serial = old_info.serial, .name = name, .at = NOW};
}

/* The leaf and what is sent with it. */
static int judge(const struct peer_wanted *w, const struct peer_anchors *a, struct span first, struct span second, struct hash *ret_seen)
{
	struct buf     served = BUF_MAX(4 * CERT_DER_MAX);
	struct refusal why = {.code = 0};
	struct hash    seen = {{0}};
	buf_add(&served, first.p, first.n);
	buf_add(&served, second.p, second.n);
	int r = peer_judge(w, a, buf_span(&served), &seen, &why);
	if (r != 0)
		assert_true(why.code == r && why.cause[0] != '\0');
	if (ret_seen != NULL)
		*ret_seen = seen;
	buf_free(&served);
	return r;
}

static const struct span nothing = {NULL, 0};

static void test_right(void **state)
{
	struct peer_wanted w = wanted();
	struct hash        seen;
	(void)state;
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), &seen), 0);
	assert_true(hash_equal(seen, info.fingerprint));
	w.old_serial = (struct serial){{0}}; /* a first issue */
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), 0);
}

static void test_another_certificate(void **state)
{
	struct peer_wanted w = wanted();
	struct hash        seen;
	(void)state;
	assert_int_equal(judge(&w, &anchors, buf_span(&old), hierarchy_der(&h, ISSUER_SERVICE), &seen), E_PEER_STALE);
	assert_true(hash_equal(seen, old_info.fingerprint));
	assert_int_equal(judge(&w, &anchors, buf_span(&stranger), hierarchy_der(&foreign, ISSUER_SERVICE), NULL), E_PEER_OTHER);
	assert_int_equal(judge(&w, &anchors, buf_span(&agent), nothing, NULL), E_PEER_OTHER);
	w.old_serial = (struct serial){{0}};
	assert_int_equal(judge(&w, &anchors, buf_span(&old), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_OTHER);
}

static void test_chain(void **state)
{
	struct peer_wanted  w = wanted();
	struct peer_anchors others = {.n = 0};
	(void)state;
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), nothing, NULL), E_PEER_CHAIN);                             /* the leaf alone */
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_AGENT), NULL), E_PEER_CHAIN);     /* somebody else's issuer */
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&foreign, ISSUER_SERVICE), NULL), E_PEER_CHAIN);
	assert_int_equal(peer_anchors_add(&others, "", hierarchy_der(&foreign, ISSUER_ROOT)), 0);
	assert_int_equal(judge(&w, &others, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_CHAIN);
	/* one service of the host holds other roots than the rest */
	assert_int_equal(peer_anchors_add(&others, "web", hierarchy_der(&h, ISSUER_ROOT)), 0);
	assert_int_equal(judge(&w, &others, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_CHAIN);
	peer_anchors_free(&others);
	w.at = NOW + 2 * MS_DAY;
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_CHAIN); /* it has ended */
}

static void test_name(void **state)
{
	struct peer_wanted w = wanted();
	(void)state;
	w.name = "elsewhere.vcc.internal";
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_NAME);
	w.name = "192.0.2.1";
	assert_int_equal(judge(&w, &anchors, buf_span(&leaf), hierarchy_der(&h, ISSUER_SERVICE), NULL), E_PEER_NAME);
}

static void test_no_certificate(void **state)
{
	struct peer_wanted w = wanted();
	struct span        cut = buf_span(&leaf);
	static uint8_t     noise[] = {0x30, 0x03, 0x02, 0x01, 0x01};
	(void)state;
	cut.n -= 1;
	assert_int_equal(judge(&w, &anchors, cut, nothing, NULL), E_PEER_OTHER);
	assert_int_equal(judge(&w, &anchors, nothing, nothing, NULL), E_PEER_OTHER);
	assert_int_equal(judge(&w, &anchors, (struct span){noise, sizeof(noise)}, nothing, NULL), E_PEER_OTHER);
}

static void test_anchors(void **state)
{
	struct peer_anchors a = {.n = 0};
	uint8_t             one = 0;
	(void)state;
	for (uint8_t i = 0; i < PEER_ANCHORS_MAX; i++) {
		assert_int_equal(peer_anchors_add(&a, "web", (struct span){&i, 1}), 0);
		assert_int_equal(peer_anchors_add(&a, "again", (struct span){&i, 1}), 0); /* the same is kept once */
	}
	assert_int_equal(a.n, PEER_ANCHORS_MAX);
	one = PEER_ANCHORS_MAX;
	assert_int_equal(peer_anchors_add(&a, "web", (struct span){&one, 1}), E_FULL);
	peer_anchors_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_another_certificate),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_no_certificate),
		cmocka_unit_test(test_anchors),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
