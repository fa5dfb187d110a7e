/* test_waves.c - room tests/unit: does controller/core/waves.c read what people write, and cut without losing anybody?
 * Never: releasing a wave; see tests/step/campaign_flow.step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "controller/core/waves.h"
#include "shared/base/attr.h"

static void test_refused(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "-1",
					  "101%",
					  "0%",
					  "5 %",
					  "ten",
					  "1.5%",
					  "%",
					  "rest=5",
					  "200001",
					  "service:",
					  "pattern:",
					  "pattern:*",
					  "service:clara=",
					  "service:clara=0",
					  "host:a",
					  "service:a b",
					  "pattern:**.x",
					  "5,10"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		struct wave_spec w = {.n = 77};
		struct refusal   why = {.code = 0};
		int              r = wave_parse(bad[i], &w, &why);
		if (r != E_CAMPAIGN_WAVES && r != E_CAMPAIGN_SELECTOR)
			fail_msg("`%s` was taken", bad[i]);
		assert_int_equal(why.code, r);
		assert_int_equal(w.n, 77);
	}
}

static struct wave_spec spec(const char *text)
{
	struct wave_spec w;
	struct refusal   why;
	assert_int_equal(wave_parse(text, &w, &why), 0);
	return w;
}

static void test_read(void **state)
{
	(void)state;
	struct wave_spec w = spec("5");
	assert_true(w.amount == WAVE_NUMBER && w.n == 5 && !w.selects);
	w = spec("10%");
	assert_true(w.amount == WAVE_SHARE && w.n == 10 && !w.selects);
	w = spec("rest");
	assert_true(w.amount == WAVE_REST && !w.selects);
	w = spec("service:external");
	assert_true(w.amount == WAVE_REST && w.selects && w.selector.kind == SELECT_SERVICE);
	assert_string_equal(w.selector.value, "external");
	w = spec("pattern:*.Test.Example=3");
	assert_true(w.amount == WAVE_NUMBER && w.n == 3 && w.selector.kind == SELECT_PATTERN);
	assert_string_equal(w.selector.value, "*.test.example");
	w = spec("service:clara=50%");
	assert_true(w.amount == WAVE_SHARE && w.n == 50);
}

static void test_takes_all(void **state)
{
	static const char *const all[] = {"rest", "100%"};
	static const char *const some[] = {"99%", "100", "service:clara", "service:clara=100%", "pattern:*.test.example"};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(all); i++) {
		struct wave_spec w = spec(all[i]);
		assert_true(wave_takes_all(&w));
	}
	for (size_t i = 0; i < N_ELEMENTS(some); i++) {
		struct wave_spec w = spec(some[i]);
		assert_false(wave_takes_all(&w));
	}
}

static void sizes_of(const struct wave_member *m, size_t n, size_t waves, uint32_t *ret)
{
	memset(ret, 0, WAVES_MAX * sizeof(*ret));
	for (size_t i = 0; i < n; i++) {
		assert_true(m[i].wave >= 1 && m[i].wave <= waves); /* nobody is forgotten */
		ret[m[i].wave - 1]++;
	}
}

static void test_divided(void **state)
{
	(void)state;
	static struct wave_member m[1000];
	uint32_t                  sizes[WAVES_MAX];
	char                      text[WAVES_TEXT_SIZE];
	struct wave_spec          w[] = {spec("5"), spec("10%"), spec("30%"), spec("rest")};
	size_t                    n = waves_divide(w, 4, m, 1000);
	assert_int_equal(n, 4);
	sizes_of(m, 1000, n, sizes);
	waves_write(sizes, n, text);
	assert_string_equal(text, "5,100,300,595");
	assert_int_equal(m[0].wave, 1); /* a canary is spread: the first of every two hundred */
	assert_int_equal(m[200].wave, 1);
	assert_int_equal(m[800].wave, 1);

	/* what no wave takes is one more, and what has nobody is left out */
	n = waves_divide(w, 1, m, 8);
	sizes_of(m, 8, n, sizes);
	waves_write(sizes, n, text);
	assert_string_equal(text, "5,3");
	n = waves_divide(w, 4, m, 3);
	sizes_of(m, 3, n, sizes);
	waves_write(sizes, n, text);
	assert_string_equal(text, "3");
	assert_int_equal(waves_divide(w, 4, m, 0), 0);
}

static void test_selected(void **state)
{
	(void)state;
	struct wave_member m[10] = {{0}};
	uint32_t           sizes[WAVES_MAX];
	struct wave_spec   w[] = {spec("service:external=2"), spec("50%")};
	for (size_t i = 6; i < 10; i++)
		m[i].fits = 1;
	size_t n = waves_divide(w, 2, m, 10);
	sizes_of(m, 10, n, sizes);
	assert_true(n == 3 && sizes[0] == 2 && sizes[1] == 5 && sizes[2] == 3);
	for (size_t i = 0; i < 6; i++)
		assert_int_not_equal(m[i].wave, 1);
}

static void test_remembered(void **state)
{
	(void)state;
	uint64_t first = 0, last = 0;
	uint32_t many[WAVES_MAX];
	char     text[WAVES_TEXT_SIZE];
	assert_int_equal(waves_count(""), 0);
	assert_int_equal(waves_count("5,100,300,595"), 4);
	assert_int_equal(waves_size("5,100,300,595", 2), 100);
	assert_int_equal(waves_size("5,100", 3), 0);
	assert_int_equal(waves_at("5,100", 5), 1);
	assert_int_equal(waves_at("5,100", 6), 2);
	assert_int_equal(waves_at("5,100", 106), 0);
	assert_int_equal(waves_at("5,100", 0), 0);
	assert_int_equal(waves_at("", 1), 0);
	assert_true(waves_span("5,100,300", 3, &first, &last));
	assert_true(first == 106 && last == 405);
	assert_false(waves_span("5,100,300", 4, &first, &last));
	assert_false(waves_span("5,100,300", 0, &first, &last));
	for (size_t i = 0; i < WAVES_MAX; i++)
		many[i] = CAMPAIGN_MEMBERS_MAX;
	waves_write(many, WAVES_MAX, text);
	assert_int_equal(waves_count(text), WAVES_MAX);
	assert_int_equal(waves_size(text, WAVES_MAX), CAMPAIGN_MEMBERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),  cmocka_unit_test(test_read), cmocka_unit_test(test_takes_all),       cmocka_unit_test(test_divided),
		cmocka_unit_test(test_selected), cmocka_unit_test(test_remembered),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
