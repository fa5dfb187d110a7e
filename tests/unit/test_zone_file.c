/* test_zone_file.c - room tests: are time zones found by every name that the system has, and by none that leads elsewhere? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shared/sys/zone_file.h"

static void test_a_link_is_a_zone(void **state)
{
	static const char *const same[][2] = {{"UTC", "Etc/UTC"}, {"Brazil/East", "America/Sao_Paulo"}, {"Europe/Busingen", "Europe/Zurich"}};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(same); i++) {
		const struct tz *link, *zone;
		struct refusal   why;
		assert_int_equal(zone_get(same[i][0], &link, &why), 0);
		assert_int_equal(zone_get(same[i][1], &zone, &why), 0);
		for (int64_t at = 0; at < INT64_C(2000000000); at += 86400 * 30)
			assert_int_equal(tz_offset(link, at), tz_offset(zone, at));
	}
}

static void test_what_leads_out_of_the_folder_is_no_zone(void **state)
{
	static const char *const names[] = {"localtime", "posixrules/x", "Europe", "Europe/Nowhere", ""};
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		const struct tz *zone = NULL;
		struct refusal   why = {0};
		int              r = zone_get(names[i], &zone, &why);
		if (r == 0)
			fail_msg("`%s` was taken", names[i]);
		assert_int_equal(why.code, r);
		assert_null(zone);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_link_is_a_zone),
		cmocka_unit_test(test_what_leads_out_of_the_folder_is_no_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
