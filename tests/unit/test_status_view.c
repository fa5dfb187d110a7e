/* test_status_view.c - room tests: does `vcc-agent status` say in 80 columns what a person needs at three in the morning? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/status_view.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/base/wrap.h"

#define FP     "3f2a91bc00000000000000000000000000000000000000000000000000000000"
#define OTHER  "77aa01ff00000000000000000000000000000000000000000000000000000000"
#define HOST   "'agent': 'clara01', 'service': 'clara', 'connected': true, 'skew_ms': 0, 'clock': 'right', 'watch': 'complete', 'receipts_waiting': 0"
#define ISSUED "'issued': '01', 'fingerprint': '" FP "', 'not_after': '2026-08-11T12:00:00Z', 'expired': false"
#define ONDISK "'on_disk': 'g000012', 'on_disk_serial': '01', 'on_disk_fingerprint': '" FP "'"
#define QUIET  "'care': {'second_writer': false, 'rehearsal_late': false}, 'draining': null"
#define NAMED(stem) "'stem': '" stem "', 'cert_id': 'clara01-web', 'wanted': 'managed'"
#define DONE   "'phase': 'done', 'next_step': 'rehearsal', 'next': '2026-07-02T09:30:00Z'"
#define SERVED "'served_state': 'served', 'served_since': null, 'listeners': [{'address': '127.0.0.1:443', 'fingerprint': '" FP "'}]"
#define GOOD(stem) "{" NAMED(stem) ", " ISSUED ", " ONDISK ", " QUIET ", " DONE ", " SERVED ", 'ok': true}"

static const int64_t NOW = INT64_C(1782907200000); /* 2026-07-01T12:00:00Z */

/* The view of a document, whose strings are written with ' here. */
static const char *view(struct buf *b, const char *document, bool *ret_good)
{
	char *json = strdup(document);
	for (char *p = json; *p != '\0'; p++)
		if (*p == '\'')
			*p = '"';
	json_error_t why;
	json_t      *root = json_loads(json, 0, &why);
	if (root == NULL)
		fail_msg("%s at %d: %.60s", why.text, why.position, json + why.position);
	buf_reset(b);
	*ret_good = status_view(root, NOW, b);
	buf_add_u8(b, 0);
	assert_int_equal(buf_error(b), 0);
	json_decref(root);
	free(json);
	for (const char *p = (const char *)b->p; *p != '\0'; p += strcspn(p, "\n") + 1)
		if (strcspn(p, "\n") > WRAP_COLUMNS)
			fail_msg("wider than 80: %.*s", (int)strcspn(p, "\n"), p);
	return (const char *)b->p;
}

static void says(const char *document, bool good, const char *wanted)
{
	struct buf b = BUF_MAX(1 << 20);
	bool       was_good;
	assert_string_equal(view(&b, document, &was_good), wanted);
	assert_int_equal(was_good, good);
	buf_free(&b);
}

static void contains(const char *document, bool good, const char *wanted)
{
	struct buf  b = BUF_MAX(1 << 20);
	bool        was_good;
	const char *text = view(&b, document, &was_good);
	if (strstr(text, wanted) == NULL)
		fail_msg("`%s` is not in:\n%s", wanted, text);
	assert_int_equal(was_good, good);
	buf_free(&b);
}

#define HEAD "TARGET              WANTED   ISSUED   ON DISK SERVED      ENDS IN NEXT\n"
#define FIRST "agent clara01 (clara): connected, clock +0.0 s, 0 receipts waiting\n"
#define HINT "`vcc-agent doctor` tells what to do, `vccctl explain CODE` what a code means\n"

static void a_good_host_is_three_lines(void **state)
{
	(void)state;
	says("{" HOST ", 'targets': [" GOOD("web") "], 'problems': []}", true,
	     FIRST HEAD "clara01-web         managed  3f2a91bc g000012 yes         41d     rehearsal 21h\n");
}

static void a_host_without_targets_says_where_to_begin(void **state)
{
	(void)state;
	says("{" HOST ", 'targets': [], 'problems': []}", true,
	     FIRST "no targets: `vcc-agent discover` shows what could be managed here\n");
}

static void issued_but_not_served_has_its_age_and_its_listeners(void **state)
{
	(void)state;
	says("{" HOST ", 'targets': [{" NAMED("web") ", " ISSUED ", " ONDISK ", " QUIET ", 'phase': 'heal', 'next_step': 'reload_again', 'next': '2026-07-01T12:00:40Z',"
	     "'served_state': 'stale', 'served_since': '2026-07-01T08:48:00Z', 'listeners': [{'address': '127.0.0.1:443', 'fingerprint': '" OTHER "'},"
	     "{'address': '[::1]:443', 'fingerprint': null}], 'last_code': 'VCC-2204', 'last_error': 'systemd refused to reload the unit: nginx.service is not active', 'ok': false}],"
	     "'problems': []}",
	     false,
	     FIRST HEAD "clara01-web         managed  3f2a91bc g000012 NO 3h12m    41d     reload 40s\n"
	     "  VCC-2204 systemd refused to reload the unit: nginx.service is not active\n"
	     "  issued but not served since 2026-07-01 08:48 UTC (3h12m)\n"
	     "  127.0.0.1:443 serves 77aa01ff, [::1]:443 does not answer\n" HINT);
}

static void nobody_answers_is_not_another_certificate(void **state)
{
	(void)state;
	const char *document = "{" HOST ", 'targets': [{" NAMED("web") ", " ISSUED ", " ONDISK ", " QUIET ", " DONE
			       ", 'served_state': 'down', 'served_since': '2026-07-01T11:58:30Z', 'listeners': [], 'last_code': 'VCC-2005', 'last_error': 'a listener of "
			       "the target does not answer', 'ok': false}], 'problems': []}";
	contains(document, false, " g000012 down 90s ");
	contains(document, false, "\n  nobody answers since 2026-07-01 11:58 UTC (90s)\n");
}

static void a_window_says_when_it_opens(void **state)
{
	(void)state;
	const char *document = "{" HOST ", 'targets': [{" NAMED("web") ", " ISSUED ", " ONDISK ", " QUIET ", 'phase': 'window', 'next_step': 'window', 'next': "
			       "'2026-07-01T20:00:00Z', 'window': 'Mon-Fri 22:00-04:00 Europe/Berlin', " SERVED ", 'ok': true}], 'problems': []}";
	contains(document, true, " 41d     window 8h\n");
	contains(document, true, "\n  the next certificate waits for a window (Mon-Fri 22:00-04:00 Europe/Berlin);\n    opens 2026-07-01 20:00 UTC, in 8h00m\n");
}

static void a_group_is_one_certificate_with_its_files(void **state)
{
	(void)state;
	says("{" HOST ", 'targets': [" GOOD("web") ", {" NAMED("bus") ", " ISSUED ", " ONDISK ", " QUIET ", " DONE
	     ", 'served_state': 'stale', 'served_since': '2026-06-29T12:00:00Z', 'listeners': [{'address': '127.0.0.1:8443', 'fingerprint': '" OTHER "'}],"
	     " 'last_code': 'VCC-2004', 'last_error': 'the service still serves the old certificate', 'ok': false}, " GOOD("api") "], 'problems': []}",
	     false,
	     FIRST HEAD "clara01-web         3 files  3f2a91bc         NO 2d       41d\n"
	     "  api               managed           g000012 yes                 rehearsal 21h\n"
	     "  bus               managed           g000012 NO 2d               rehearsal 21h\n"
	     "  VCC-2004 the service still serves the old certificate\n"
	     "  issued but not served since 2026-06-29 12:00 UTC (2d)\n"
	     "  127.0.0.1:8443 serves 77aa01ff\n"
	     "  web               managed           g000012 yes                 rehearsal 21h\n" HINT);
}

static void what_a_group_shares_is_said_once(void **state)
{
	(void)state;
#define FAILED(stem) "{" NAMED(stem) ", " ISSUED ", " ONDISK ", " QUIET ", " DONE ", " SERVED ", 'last_code': 'VCC-2002', 'last_error': 'nginx: [emerg]', 'ok': false}"
	says("{" HOST ", 'targets': [" FAILED("api") ", " FAILED("bus") "], 'problems': []}", false,
	     FIRST HEAD "clara01-web         2 files  3f2a91bc         yes         41d\n"
	     "  VCC-2002 nginx: [emerg]\n"
	     "  api               managed           g000012 yes                 rehearsal 21h\n"
	     "  bus               managed           g000012 yes                 rehearsal 21h\n" HINT);
}

static void a_long_name_does_not_break_the_columns(void **state)
{
	(void)state;
	const char *document = "{" HOST ", 'targets': [{'stem': 'x', 'cert_id': 'a-host-with-a-name-of-thirty-two-c-and-a-target-that-is-as-long', 'wanted': 'managed', "
			       ISSUED ", " ONDISK ", " QUIET ", " DONE ", " SERVED ", 'ok': true}], 'problems': []}";
	contains(document, true,
	         "\na-host-with-a-name-of-thirty-two-c-and-a-target-that-is-as-long\n                    managed  3f2a91bc g000012 yes         41d     rehearsal 21h\n");
}

static void what_is_said_against_files_stands_below(void **state)
{
	(void)state;
	says("{" HOST ", 'targets': [" GOOD("web") "], 'problems': [{'file': 'shop', 'from': 'file', 'code': 'VCC-1201', 'text': "
	     "'/etc/vcc-agent/targets.d/shop.conf:12: section files has no key `mdoe`; it has owner, group, mode, combined'}, {'file': 'web', 'from': 'controller', "
	     "'text': 'the names will be issued when they are approved'}]}",
	     false,
	     FIRST HEAD "clara01-web         managed  3f2a91bc g000012 yes         41d     rehearsal 21h\n"
	     "shop.conf: VCC-1201 /etc/vcc-agent/targets.d/shop.conf:12: section files has no\n    key `mdoe`; it has owner, group, mode, combined\n"
	     "web.conf: the controller says: the names will be issued when they are approved\n" HINT);
	contains("{" HOST ", 'targets': [" GOOD("web") "], 'problems': [{'file': 'web', 'from': 'controller', 'text': 'a remark'}]}", true,
	         "web.conf: the controller says: a remark\n");
}

static void files_that_are_not_what_was_issued(void **state)
{
	(void)state;
	contains("{" HOST ", 'targets': [{" NAMED("web") ", " ISSUED ", 'on_disk': 'g000011', 'on_disk_serial': '02', 'on_disk_fingerprint': '" OTHER "', 'care': {'drift': "
	         "'current leads elsewhere', 'second_writer': true}, 'phase': 'done', 'next_step': 'repair', 'next': '2026-07-01T12:00:51Z', " SERVED ", 'ok': false}]}",
	         false,
	         "clara01-web         managed  3f2a91bc NO      yes         41d     repair 51s\n"
	         "  on disk: g000011 77aa01ff instead of the issued certificate\n"
	         "  current leads elsewhere\n"
	         "  a second writer undoes the repairs: one a minute is made\n");
	/* the pair from before the target was managed, and nothing issued yet */
	contains("{" HOST ", 'targets': [{" NAMED("web") ", 'issued': null, 'fingerprint': null, 'not_after': null, 'on_disk': 'g000001', 'on_disk_serial': null, "
	         "'on_disk_fingerprint': '" OTHER "', 'phase': 'none', 'next_step': 'order', 'next': null, 'served_state': 'nothing_issued', 'ok': true}]}",
	         true, "clara01-web         managed  -        other   -           -       first order\n");
}

static void a_certificate_that_ended_is_told(void **state)
{
	(void)state;
	const char *document = "{" HOST ", 'targets': [{" NAMED("web") ", 'issued': '01', 'fingerprint': '" FP "', 'not_after': '2026-06-30T00:00:00Z', 'expired': true, "
			       ONDISK ", " QUIET ", " DONE ", " SERVED ", 'ok': false}]}";
	contains(document, false, " yes         ENDED   rehearsal 21h\n  the issued certificate ended 2026-06-30 00:00 UTC\n");
}

static void a_rehearsal_that_failed_or_is_late(void **state)
{
	(void)state;
	contains("{" HOST ", 'targets': [{" NAMED("web") ", " ISSUED ", " ONDISK ", 'care': {'rehearsal_code': 'VCC-2002', 'rehearsal_late': true, 'rehearsed_at': "
	         "'2026-06-28T00:00:00Z'}, " DONE ", " SERVED ", 'ok': false}]}",
	         false,
	         "  VCC-2002 at the last rehearsal: a renewal would not work now\n"
	         "  no rehearsal went well since 2026-06-28 00:00 UTC: nobody knows whether a\n    renewal would work\n");
}

static void the_host_itself(void **state)
{
	(void)state;
	says("{'agent': 'clara01', 'service': 'clara', 'connected': false, 'link_code': 'VCC-2302', 'link_error': 'pki.vcc.internal:8443: connection refused', 'skew_ms': 172800000, "
	     "'clock': 'wrong', 'watch': 'watches', 'receipts_waiting': 3, 'journal_code': 'VCC-1301', 'journal_error': 'no space or no inodes left', 'lists': {'code': 'VCC-2024', "
	     "'error': 'a revocation list has ended or begins in the future'}, 'targets': [" GOOD("web") "], 'problems': []}",
	     false,
	     "agent clara01 (clara): NOT connected, clock +172800.0 s, 3 receipts waiting\n"
	     "  VCC-2302 pki.vcc.internal:8443: connection refused\n"
	     "  VCC-1301 no space or no inodes left: nothing can be done until then\n"
	     "  VCC-2014 the clock is off by more than a day: swaps are refused until it is\n    right, or the keeper's folder holds a file allow-wrong-clock\n"
	     "  changes of files are found by the clock alone; `vcc-agent doctor` says why\n"
	     "  VCC-2024 revocation lists: a revocation list has ended or begins in the future\n" HEAD
	     "clara01-web         managed  3f2a91bc g000012 yes         41d     rehearsal 21h\n" HINT);
}

/* Every string as long as it likes, times anywhere, fields of wrong kinds: never wider, never a crash. */
static void whatever_a_keeper_says_it_stays_in_80_columns(void **state)
{
	(void)state;
	static const char *const fields[] = {
		"stem",   "cert_id", "wanted",       "phase",      "next_step",  "next",      "window",    "fingerprint",         "not_after",
		"on_disk", "served", "served_state", "served_since", "last_code", "last_error", "on_disk_serial", "on_disk_fingerprint"};
	static const char *const values[] = {"",     "done", "window", "stale", "down", "partly", "2026-07-01T12:00:00Z", "1970-01-02T00:00:00Z", "9999-12-31T23:59:59Z", "heal",
	                                     "g000012", FP};
	struct buf b = BUF_MAX(1 << 20);
	srand(11);
	for (int round = 0; round < 500; round++) {
		json_t *targets = json_array();
		for (int n = rand() % 5; n > 0; n--) {
			json_t *t = json_object();
			for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
				char   text[600];
				size_t length = (size_t)(rand() % 599);
				for (size_t k = 0; k < length; k++)
					text[k] = (char)(rand() % 9 == 0 ? ' ' : 'a' + rand() % 26);
				text[length] = '\0';
				json_object_set_new(t, fields[i], rand() % 8 == 0 ? json_integer(rand()) : rand() % 2 == 0 ? json_string(text) : json_string(values[(size_t)rand() % N_ELEMENTS(values)]));
			}
			json_object_set_new(t, "care", json_pack("{s:s, s:b, s:b}", "drift", fields[(size_t)rand() % N_ELEMENTS(fields)], "second_writer", rand() % 2, "rehearsal_late", rand() % 2));
			json_object_set_new(t, "draining", json_pack("{s:I, s:I}", "old_workers", (json_int_t)rand() * rand(), "oldest_ms", (json_int_t)rand() * rand()));
			json_object_set_new(t, "listeners", json_pack("[{s:s, s:n}, {s:s, s:s}]", "address", FP FP, "fingerprint", "address", "x", "fingerprint", FP));
			json_array_append_new(targets, t);
		}
		json_t *root = json_pack("{s:s, s:s, s:b, s:I, s:o, s:[{s:s, s:s}]}", "agent", FP FP, "link_error", FP FP FP, "connected", 0, "skew_ms", (json_int_t)rand() * rand(), "targets",
		                         targets, "problems", "file", FP FP, "text", FP);
		json_object_set_new(root, "link_code", json_string("VCC-2302"));
		buf_reset(&b);
		(void)status_view(root, NOW, &b);
		buf_add_u8(&b, 0);
		assert_int_equal(buf_error(&b), 0);
		for (const char *p = (const char *)b.p; *p != '\0'; p += strcspn(p, "\n") + 1)
			if (strcspn(p, "\n") > WRAP_COLUMNS)
				fail_msg("round %d, wider than 80: %.*s", round, (int)strcspn(p, "\n"), p);
		json_decref(root);
	}
	buf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_host_is_three_lines),
		cmocka_unit_test(a_host_without_targets_says_where_to_begin),
		cmocka_unit_test(issued_but_not_served_has_its_age_and_its_listeners),
		cmocka_unit_test(nobody_answers_is_not_another_certificate),
		cmocka_unit_test(a_window_says_when_it_opens),
		cmocka_unit_test(a_group_is_one_certificate_with_its_files),
		cmocka_unit_test(what_a_group_shares_is_said_once),
		cmocka_unit_test(a_long_name_does_not_break_the_columns),
		cmocka_unit_test(what_is_said_against_files_stands_below),
		cmocka_unit_test(files_that_are_not_what_was_issued),
		cmocka_unit_test(a_certificate_that_ended_is_told),
		cmocka_unit_test(a_rehearsal_that_failed_or_is_late),
		cmocka_unit_test(the_host_itself),
		cmocka_unit_test(whatever_a_keeper_says_it_stays_in_80_columns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
