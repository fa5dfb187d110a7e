/* test_depends.c - room tests/unit: services depend on each other: is every circle found, and named as it is?
 * Never: the order in which they are listed mattering. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "controller/core/depends.h"

static struct service services[DEPENDS_MAX];

static int check(size_t n, const char *name, const char *on, struct refusal *why)
{
	const struct service *list[DEPENDS_MAX];
	struct service        next = {.name = ""};
	snprintf(next.name, sizeof(next.name), "%s", name);
	snprintf(next.depends_on, sizeof(next.depends_on), "%s", on);
	for (size_t i = 0; i < n; i++)
		list[i] = &services[i];
	return depends_check(list, n, &next, why);
}

static void put(size_t i, const char *name, const char *on)
{
	services[i] = (struct service){.name = ""};
	snprintf(services[i].name, sizeof(services[i].name), "%s", name);
	snprintf(services[i].depends_on, sizeof(services[i].depends_on), "%s", on);
}

static void test_circles(void **state)
{
	(void)state;
	struct refusal why;
	put(0, "argus", "covina,clara");
	put(1, "clara", "covina");
	put(2, "covina", "");
	put(3, "vpb", "argus");
	assert_int_equal(check(4, "new", "vpb,clara", &why), 0);
	assert_int_equal(check(4, "covina", "", &why), 0);
	assert_int_equal(check(4, "clara", "", &why), 0);
	assert_int_equal(check(4, "covina", "covina", &why), E_SERVICE_CYCLE);
	assert_string_equal(why.cause, "covina -> covina");
	assert_int_equal(check(4, "covina", "clara", &why), E_SERVICE_CYCLE);
	assert_string_equal(why.cause, "covina -> clara -> covina");
	assert_int_equal(check(4, "covina", "vpb", &why), E_SERVICE_CYCLE);
	assert_string_equal(why.cause, "covina -> vpb -> argus -> covina");
	assert_int_equal(check(4, "clara", "covina,vpb", &why), E_SERVICE_CYCLE);
	assert_string_equal(why.cause, "clara -> vpb -> argus -> clara");
	assert_int_equal(check(4, "clara", "billing", &why), E_SERVICE_FILE);
	assert_non_null(strstr(why.cause, "billing"));
	assert_int_equal(check(0, "first", "first", &why), E_SERVICE_CYCLE);
}

static void test_many(void **state)
{
	(void)state;
	struct refusal why;
	char           name[SERVICE_SIZE], on[SERVICE_SIZE];
	for (size_t i = 0; i < DEPENDS_MAX; i++) { /* the longest chain there can be */
		snprintf(name, sizeof(name), "s%zu", i);
		snprintf(on, sizeof(on), "s%zu", i + 1);
		put(i, name, i + 1 < DEPENDS_MAX ? on : "");
	}
	assert_int_equal(check(DEPENDS_MAX, "new", "s0", &why), 0);
	assert_int_equal(check(DEPENDS_MAX, "s199", "s0", &why), E_SERVICE_CYCLE);
	assert_true(strlen(why.cause) < DEPENDS_TEXT_SIZE);
	for (size_t i = 0; i + 1 < DEPENDS_MAX; i++) /* many ways to the same place are walked once */
		snprintf(services[i].depends_on, sizeof(services[i].depends_on), "s%zu,s%zu,s199", i + 1, i + 2 < DEPENDS_MAX ? i + 2 : i + 1);
	assert_int_equal(check(DEPENDS_MAX, "new", "s0,s1,s2", &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_circles), cmocka_unit_test(test_many)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
