/* test_audit_detail.c - is the detail of a record what jansson makes of the same members, and nothing at all where that cannot be? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <jansson.h>

#include "controller/daemon/audit_detail.h"

static char text[400];

static void pack(size_t size, const char *format, ...)
{
	struct detail d;
	va_list       ap;
	detail_begin(&d, text, size);
	va_start(ap, format);
	detail_pack(&d, format, ap);
	va_end(ap);
	detail_end(&d);
}

static void test_members(void **state)
{
	json_t *list = json_pack("[s,i]", "a", 1);
	(void)state;
	pack(sizeof(text), "{s:s,s:i,s:I,s:b,s:f,s:O,s:o}", "text", "x", "small", -3, "large", (json_int_t)INT64_MIN, "yes", 1, "share", 0.5, "list", list,
	     "more", json_object());
	assert_string_equal(text, "{\"text\":\"x\",\"small\":-3,\"large\":-9223372036854775808,\"yes\":true,\"share\":0.5,\"list\":[\"a\",1],\"more\":{}}");
	json_decref(list);
}

static void test_texts_come_back_as_they_were(void **state)
{
	char every[130], high[] = "\xc3\xbc \xe2\x82\xac \xf0\x9f\x94\x91";
	(void)state;
	for (size_t i = 0; i < 127; i++)
		every[i] = (char)(i + 1);
	every[127] = '\0';
	const char *const texts[] = {"", "plain", "\"quoted\" \\ / back", every, high};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		pack(sizeof(text), "{s:s}", "t", texts[i]);
		json_t *o = json_loads(text, 0, NULL);
		assert_non_null(o);
		assert_string_equal(json_string_value(json_object_get(o, "t")), texts[i]);
		json_decref(o);
	}
}

static void test_what_cannot_be_is_left_out_whole(void **state)
{
	(void)state;
	pack(sizeof(text), "{s:s,s:s}", "a", "good", "b", "bad \xc3(");
	assert_string_equal(text, "");
	pack(sizeof(text), "{s:s}", "a", NULL);
	assert_string_equal(text, "");
	pack(sizeof(text), "{s:o,s:s}", "a", NULL, "b", "c");
	assert_string_equal(text, "");
	for (size_t size = 2; size < 11; size++) {
		memset(text, 'x', sizeof(text));
		pack(size, "{s:s}", "a", "bcd");
		assert_string_equal(text, "");
		assert_int_equal(text[size], 'x');
	}
	for (size_t size = 2; size < 12; size++) {
		pack(size, "{s:o}", "a", json_pack("[i]", 123));
		assert_string_equal(text, "");
	}
	pack(12, "{s:s}", "a", "bcd");
	assert_string_equal(text, "{\"a\":\"bcd\"}");
	pack(12, "{s:o}", "a", json_pack("[i]", 123));
	assert_string_equal(text, "{\"a\":[123]}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_texts_come_back_as_they_were),
		cmocka_unit_test(test_what_cannot_be_is_left_out_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
