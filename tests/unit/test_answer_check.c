/* test_answer_check.c - is a certificate that does not fit refused, at the edges of its time too, by the right clock?
 * Never: writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/answer_check.h"
#include "shared/base/times.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy  h, foreign;
static struct key       *key, *other;
static struct cert_facts facts;
static struct buf        leaf = BUF_MAX(CERT_DER_MAX);

static int setup(void **state)
{
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	hierarchy_make(&foreign, NOW, KEY_EC_P256, "");
	assert_int_equal(key_make(KEY_EC_P256, &key), 0);
	assert_int_equal(key_make(KEY_EC_P256, &other), 0);
	hierarchy_facts(&h, LEAF_SERVICE, key, MS_DAY, 7, &facts);
	return hierarchy_issue(&h, &facts, &leaf, NULL);
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&leaf);
	key_free(key);
	key_free(other);
	hierarchy_free(&h);
	hierarchy_free(&foreign);
	return 0;
}

static struct answer good(void)
{
	return (struct answer){
		.certificate = buf_span(&leaf),
		.chain = hierarchy_der(&h, ISSUER_SERVICE),
		.roots = hierarchy_der(&h, ISSUER_ROOT),
		.key = key,
		.wanted = &facts.names,
		.ordered = facts.names.text,
		.common_name = facts.common_name,
		.serving = true,
		.now = NOW,
	};
}

static int judge(const struct answer *a)
{
	struct cert_info info;
	struct refusal   why = {.code = 0};
	int              r = answer_check(a, &info, &why);
	if (r != 0)
		assert_true(why.code == r && why.cause[0] != '\0');
	return r;
}

static void good_one(void **state)
{
	(void)state;
	struct answer a = good();
	assert_int_equal(judge(&a), 0);
}

static void wrong_ones(void **state)
{
	(void)state;
	struct names  names;
	struct answer a = good();
	a.key = other;
	assert_int_equal(judge(&a), E_PKI_MISMATCH);
	a = good();
	a.roots = hierarchy_der(&foreign, ISSUER_ROOT);
	assert_int_equal(judge(&a), E_PKI_CHAIN);
	a = good();
	a.chain = (struct span){NULL, 0};
	assert_int_equal(judge(&a), E_PKI_CHAIN);
	a = good();
	assert_int_equal(names_parse("other.vcc.internal", false, &names, NULL), 0);
	a.wanted = &names;
	assert_int_equal(judge(&a), E_PKI_NAMES);
	a = good();
	a.ordered = names.text;
	assert_int_equal(judge(&a), E_PKI_NAMES);
	a = good();
	a.common_name = "else";
	assert_int_equal(judge(&a), E_PKI_NAMES);
	a = good();
	a.certificate.n--;
	assert_int_equal(judge(&a), E_PKI_CERT);
	a = good();
	a.certificate = hierarchy_der(&h, ISSUER_SERVICE);
	assert_int_not_equal(judge(&a), 0);
}

static void times(void **state)
{
	(void)state;
	const int64_t from = facts.not_before_at;
	const int64_t to = facts.not_after_at;
	const struct {
		int64_t now, skew;
		int     code;
	} rows[] = {
		{from, 0, 0},
		{from - 4 * MS_MINUTE, 0, 0}, /* a slow clock: within the tolerance */
		{from - 6 * MS_MINUTE, 0, E_PKI_VALIDITY},
		{to - MS_SECOND, 0, 0},
		{to, 0, E_PKI_VALIDITY},
		{to + MS_MINUTE, 2 * MS_MINUTE, 0},          /* our clock is fast: by the controller's it is valid */
		{to - MS_MINUTE, -2 * MS_MINUTE, 0},         /* our clock is slow: not ended by both */
		{from - MS_HOUR, -MS_HOUR, 0},               /* an hour slow: the controller's time decides */
		{to + MS_HOUR, MS_HOUR + MS_MINUTE, 0},      /* an hour fast */
		{to + MS_HOUR, MS_HOUR - MS_MINUTE, E_PKI_VALIDITY},
		{NOW + MS_DAY, MS_DAY, 0},
		{NOW - MS_DAY, -MS_DAY, 0},
		{NOW, MS_DAY + 6 * MS_MINUTE, E_SWAP_CLOCK}, /* nobody's hint moves us more than a day */
		{NOW, -MS_DAY - 6 * MS_MINUTE, E_SWAP_CLOCK},
		{NOW + 2 * MS_DAY, 2 * MS_DAY, E_SWAP_CLOCK},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct answer a = good();
		a.now = rows[i].now;
		a.skew_ms = rows[i].skew;
		int r = judge(&a);
		if (r != rows[i].code)
			print_message("row %zu\n", i);
		assert_int_equal(r, rows[i].code);
	}
}

/* A person on the host lets the controller's time count, which makes nothing valid that is not. */
static void times_by_a_persons_flag(void **state)
{
	(void)state;
	const int64_t to = facts.not_after_at;
	const struct {
		int64_t now, skew;
		int     code;
	} rows[] = {
		{to - 2 * MS_DAY + MS_MINUTE, -2 * MS_DAY, E_PKI_VALIDITY},
		{NOW + 2 * MS_DAY, 2 * MS_DAY, 0},
		{NOW - 1095 * MS_DAY, -1095 * MS_DAY, 0},
		{NOW + 1095 * MS_DAY, 1095 * MS_DAY, 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct answer a = good();
		a.now = rows[i].now;
		a.skew_ms = rows[i].skew;
		assert_int_equal(judge(&a), E_SWAP_CLOCK);
		a.clock_allowed = true;
		assert_int_equal(judge(&a), rows[i].code);
	}
}

static void other_profiles(void **state)
{
	(void)state;
	static const enum leaf_profile profiles[] = {LEAF_AGENT, LEAF_GATEWAY, LEAF_CODE_SIGNING};
	for (size_t i = 0; i < N_ELEMENTS(profiles); i++) {
		_cleanup_(buf_free) struct buf der = BUF_MAX(CERT_DER_MAX);
		struct cert_facts              f;
		hierarchy_facts(&h, profiles[i], key, MS_DAY, 8 + i, &f);
		assert_int_equal(hierarchy_issue(&h, &f, &der, NULL), 0);
		struct answer a = good();
		a.certificate = buf_span(&der);
		a.chain = hierarchy_der(&h, hierarchy_role(profiles[i]));
		assert_int_not_equal(judge(&a), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good_one), cmocka_unit_test(wrong_ones), cmocka_unit_test(times),
	                                   cmocka_unit_test(times_by_a_persons_flag),
	                                   cmocka_unit_test(other_profiles)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
