/* test_siem_lines.c - is each record of an export one line of JSON or syslog, with names in place of pseudonyms, however the
 * export is cut into pieces; and is what is no export refused? Never: a controller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "controller/cli/siem_lines.h"
#include "shared/base/text.h"

#define ALIAS "person:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const char export[] = "{\"vcc_audit_export\":1,\"from\":0,\"frontier\":[]}\n"
			     "{\"issuer\":\"agent-1\",\"certificate\":\"AA\"}\n"
			     "{\"person\":\"" ALIAS "\",\"name\":\"erika\",\"salt\":\"00\"}\n"
			     "{\"seq\":0,\"at\":1800000000000,\"behind_ms\":0,\"event\":\"token_created\",\"actor\":\"" ALIAS
			     "\",\"object\":\"a\\\"b\",\"renewal_id\":\"\",\"request_id\":\"\",\"reason\":\"\","
			     "\"detail\":\"{\\\"label\\\":\\\"x\\\"}\"}\n"
			     "{\"receipt_of\":\"AA\",\"receipt_seq\":1,\"body\":\"AA\",\"signature\":\"AA\"}\n"
			     "{\"seq\":1,\"at\":1800000000500,\"behind_ms\":0,\"event\":\"break_glass_access\",\"actor\":"
			     "\"local:uid-0\",\"object\":\"\",\"renewal_id\":\"\",\"request_id\":\"\",\"reason\":\"why\","
			     "\"detail\":\"\"}\n"
			     "{\"size\":2,\"root\":\"00\",\"at\":1,\"issuer\":\"agent-1\",\"signature\":\"AA\"}\n"
			     "{\"end\":true,\"rows\":2,\"heads\":1,\"persons\":1,\"receipts\":1}\n";

static const char as_json[] = "{\"seq\":0,\"at\":\"2027-01-15T08:00:00Z\",\"event\":\"token_created\",\"actor\":\"erika\","
			      "\"object\":\"a\\\"b\",\"detail\":{\"label\":\"x\"}}\n"
			      "{\"seq\":1,\"at\":\"2027-01-15T08:00:00.500Z\",\"event\":\"break_glass_access\",\"actor\":"
			      "\"local:uid-0\",\"reason\":\"why\"}\n";

static const char as_syslog[] = "<109>1 2027-01-15T08:00:00Z pki vcc-controller - audit - @cee: "
				"{\"seq\":0,\"at\":\"2027-01-15T08:00:00Z\",\"event\":\"token_created\",\"actor\":\"erika\","
				"\"object\":\"a\\\"b\",\"detail\":{\"label\":\"x\"}}\n"
				"<108>1 2027-01-15T08:00:00.500Z pki vcc-controller - audit - @cee: "
				"{\"seq\":1,\"at\":\"2027-01-15T08:00:00.500Z\",\"event\":\"break_glass_access\","
				"\"actor\":\"local:uid-0\",\"reason\":\"why\"}\n";

static void check(enum siem_format format, size_t piece, const char *want)
{
	struct siem *s;
	struct buf   to = BUF_MAX(1 << 16);
	assert_int_equal(siem_new(format, "pki", &s), 0);
	for (size_t at = 0; at < strlen(export); at += piece) {
		size_t n = strlen(export) - at < piece ? strlen(export) - at : piece;
		assert_int_equal(siem_take(s, (struct span){(const uint8_t *)export + at, n}, &to), 0);
	}
	assert_int_equal(siem_end(s), 0);
	buf_add_u8(&to, '\0');
	assert_string_equal((const char *)to.p, want);
	buf_free(&to);
	siem_free(s);
}

static void test_lines(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= sizeof(export); piece += piece < 70 ? 1 : 97) {
		check(SIEM_JSONL, piece, as_json);
		check(SIEM_RFC5424, piece, as_syslog);
	}
}

static void refused(const char *text, int want_take, int want_end)
{
	struct siem *s;
	struct buf   to = BUF_MAX(1 << 20);
	assert_int_equal(siem_new(SIEM_RFC5424, "with space", &s), 0);
	assert_int_equal(siem_take(s, span_text(text), &to), want_take);
	if (want_take == 0)
		assert_int_equal(siem_end(s), want_end);
	buf_free(&to);
	siem_free(s);
}

static void test_what_is_no_export(void **state)
{
	(void)state;
	static char       long_line[40000];
	static const char end[] = "{\"end\":true}\n";
	enum siem_format  format;
	memset(long_line, ' ', sizeof(long_line) - 1);
	refused("", 0, E_AUDIT_LINE);
	refused("nonsense\n", E_AUDIT_LINE, 0);
	refused("[1]\n", E_AUDIT_LINE, 0);
	refused("{\"seq\":1}\n", E_AUDIT_LINE, 0);
	refused("{\"seq\":1,\"at\":\"now\",\"event\":\"x\"}\n", E_AUDIT_LINE, 0);
	refused("{\"person\":7,\"name\":\"x\"}\n", E_AUDIT_LINE, 0);
	refused("{\"end\":true}\n{\"end\":true}\n", E_AUDIT_LINE, 0);
	refused(long_line, E_AUDIT_LINE, 0);
	refused("{\"end\":true}\n{", 0, E_AUDIT_LINE);
	refused(end, 0, 0);
	assert_int_equal(siem_format_parse("cef", &format), E_SYNTAX);
	assert_int_equal(siem_format_parse("rfc5424", &format), 0);
	assert_int_equal(format, SIEM_RFC5424);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lines), cmocka_unit_test(test_what_is_no_export)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
