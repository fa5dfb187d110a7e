/* test_doctor_target.c - from the keeper's document: is everything found that stands in the way of a renewal, with code and
 * object, and is nothing found where nothing is wrong? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "agent/survey/doctor_part.h"
#include "tests/lib/conf_kit.h"

#define NOW INT64_C(1782907200000) /* 2026-07-01T12:00:00Z */
#define GOOD                                                                                                                   \
	"'stem': 'web', 'fingerprint': 'aa01', 'on_disk_fingerprint': 'aa01', 'served_state': 'served', 'expired': false, "    \
	"'key_type': 'ec-p256'"
#define CALM "'care': {'rehearsal_late': false, 'second_writer': false, 'rehearsed_at': '2026-07-01T09:00:00Z', 'drifts': 0}"

static struct patient   *p;
static struct agent_conf conf;

static int setup(void **state)
{
	(void)state;
	p = calloc(1, sizeof(*p));
	return p != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(p->status);
	free(p);
	return 0;
}

/* Runs one check on a document, whose quotes are single. */
static void examine(doctor_fn *check, const char *document)
{
	char text[4096];
	assert_true(strlen(document) < sizeof(text));
	strcpy(text, document);
	for (char *c = text; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	json_decref(p->status);
	*p = (struct patient){.conf = &conf, .root = "", .now = NOW, .check = "it"};
	p->status = json_loads(text, 0, NULL);
	assert_non_null(p->status);
	check(p);
}

static void is_fine(doctor_fn *check, const char *document)
{
	examine(check, document);
	if (p->findings.n > 0)
		fail_msg("found %s: %s", p->findings.row[0].why.object, p->findings.row[0].why.cause);
	assert_true(p->note[0] != '\0');
}

static void finds(doctor_fn *check, const char *document, enum finding_level level, int code, const char *object,
		  const char *cause)
{
	examine(check, document);
	assert_int_equal(p->findings.n, 1);
	const struct finding *f = &p->findings.row[0];
	assert_int_equal(f->level, level);
	assert_int_equal(f->why.code, code);
	assert_string_equal(f->check, "it");
	assert_string_equal(f->why.object, object);
	if (strstr(f->why.cause, cause) == NULL)
		fail_msg("`%s` is not in: %s", cause, f->why.cause);
	assert_true(finding_next(f)[0] != '\0');
}

static void link_and_journal(void **state)
{
	(void)state;
	is_fine(doctor_link, "{'connected': true, 'receipts_waiting': 0}");
	finds(doctor_link, "{'connected': false, 'link_code': 'VCC-3207', 'link_error': 'the agent was banned'}", FINDING_ERROR,
	      E_AGENT_BANNED, "vcc-agent", "was banned");
	finds(doctor_link, "{'connected': false}", FINDING_ERROR, E_LINK_DOWN, "vcc-agent", "nothing yet");
	finds(doctor_link, "{'connected': false, 'link_code': 'nonsense'}", FINDING_ERROR, E_LINK_DOWN, "vcc-agent",
	      "nothing yet");
	is_fine(doctor_journal, "{}");
	finds(doctor_journal, "{'journal_code': 'VCC-1301', 'journal_error': 'no space'}", FINDING_ERROR, E_SYS_SPACE, "",
	      "no space: nothing can be decided");
}

static void what_lies_on_disk(void **state)
{
	(void)state;
	is_fine(doctor_disk, "{'targets': [{" GOOD ", " CALM "}]}");
	is_fine(doctor_disk, "{'targets': []}");
	/* in the middle of a swap the new pair is on disk before it is the issued one; before the first order there is none */
	is_fine(doctor_disk, "{'targets': [{'stem': 'web', 'fingerprint': 'aa01', 'on_disk_fingerprint': 'bb02', "
			     "'served_state': 'changing'}]}");
	is_fine(doctor_disk, "{'targets': [{'stem': 'web', 'fingerprint': null, 'on_disk_fingerprint': 'bb02', 'served_state': "
			     "'nothing_issued'}]}");
	finds(doctor_disk,
	      "{'targets': [{'stem': 'web', 'fingerprint': 'aa01', 'on_disk_fingerprint': 'bb02', 'served_state': 'served'}]}",
	      FINDING_ERROR, E_SWAP_FILES, "web", "holds bb02, issued is aa01");
	finds(doctor_disk, "{'targets': [{'stem': 'web', 'fingerprint': 'aa01', 'on_disk_fingerprint': null}]}", FINDING_ERROR,
	      E_SWAP_FILES, "web", "holds nothing");
	finds(doctor_disk, "{'targets': [{" GOOD ", 'care': {'drift': 'cert.pem was changed'}}]}", FINDING_ERROR, E_SWAP_FILES,
	      "web", "cert.pem was changed");
	finds(doctor_disk,
	      "{'targets': [{'stem': 'web', 'fingerprint': 'aa', 'on_disk_fingerprint': 'aa', 'expired': true, 'not_after': "
	      "'2026-06-30T10:00:00Z'}]}",
	      FINDING_ERROR, E_DOCTOR_ENDED, "web", "26h");
}

static void rehearsals(void **state)
{
	(void)state;
	is_fine(doctor_rehearsal, "{'targets': [{" GOOD ", " CALM "}]}");
	assert_non_null(strstr(p->note, "3h00m"));
	is_fine(doctor_rehearsal, "{'targets': [{" GOOD ", 'care': {'rehearsal_late': false, 'rehearsed_at': null}}]}");
	assert_non_null(strstr(p->note, "none was made yet"));
	finds(doctor_rehearsal, "{'targets': [{" GOOD ", 'care': {'rehearsal_late': false, 'rehearsal_code': 'VCC-2002'}}]}",
	      FINDING_ERROR, E_SWAP_TEST, "web", "would not work now");
	finds(doctor_rehearsal,
	      "{'targets': [{" GOOD ", 'care': {'rehearsal_late': true, 'rehearsed_at': '2026-06-28T12:00:00Z'}}]}",
	      FINDING_ERROR, E_DOCTOR_REHEARSAL, "web", "3d");
	finds(doctor_rehearsal, "{'targets': [{" GOOD ", 'care': {'rehearsal_late': true}}]}", FINDING_ERROR,
	      E_DOCTOR_REHEARSAL, "web", "never");
}

static void last_orders(void **state)
{
	(void)state;
	is_fine(doctor_orders, "{'targets': [{" GOOD ", " CALM "}]}");
	is_fine(doctor_orders,
		"{'targets': [{" GOOD ", 'last_code': 'VCC-2012', 'last_error': 'cancelled'}]}"); /* by a person */
	finds(doctor_orders, "{'targets': [{" GOOD ", 'last_code': 'VCC-2204', 'last_error': 'nginx.service is not active'}]}",
	      FINDING_ERROR, E_HOOK_UNIT, "web", "not active");
	/* what another check said of the same target is not said twice */
	(void)finding_add(&p->findings, "listeners", FINDING_ERROR, E_SWAP_PROBE, "web", "x");
	size_t n = p->findings.n;
	json_decref(p->status);
	p->status = json_loads("{\"targets\": [{\"stem\": \"web\", \"last_code\": \"VCC-2005\"}]}", 0, NULL);
	doctor_orders(p);
	assert_int_equal(p->findings.n, n);
}

static void revocation_lists(void **state)
{
	(void)state;
	examine(doctor_lists, "{}");
	assert_int_equal(p->findings.n, 0);
	is_fine(doctor_lists, "{'lists': {'ends': '2026-07-02T12:00:00Z'}}");
	finds(doctor_lists, "{'lists': {'code': 'VCC-2020', 'error': 'cannot be reached'}}", FINDING_ERROR, -2020,
	      "revocation lists", "cannot be reached");
}

static void second_writers(void **state)
{
	(void)state;
	is_fine(doctor_writer, "{'targets': [{" GOOD ", " CALM "}]}");
	finds(doctor_writer, "{'targets': [{" GOOD ", 'care': {'second_writer': true, 'drifts': 17}}]}", FINDING_ERROR,
	      E_DOCTOR_RENEWER, "web", "17 changes");
}

/* A keeper of another version, or one that was captured: fields of wrong kinds are no fields. */
static void nonsense_finds_nothing_and_breaks_nothing(void **state)
{
	(void)state;
	static doctor_fn *const  all[] = {doctor_link,   doctor_journal, doctor_disk,   doctor_rehearsal,
					  doctor_orders, doctor_lists,   doctor_writer, doctor_keeper};
	static const char *const documents[] = {"[]", "{'targets': {'a': 1}}", "{'targets': [1, null, 'x', []]}",
						"{'targets': [{'stem': 5, 'care': 'x', 'last_code': 7}], 'lists': []}",
						"{'link_code': 'VCC-99999999999', 'lists': {'code': 'VCC-'}}"};
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		for (size_t k = 0; k < N_ELEMENTS(documents); k++) {
			examine(all[i], documents[k]);
			assert_true(p->findings.n <= 5);
		}
}

static void too_many_findings_are_counted(void **state)
{
	(void)state;
	examine(doctor_lists, "{}");
	for (int i = 0; i < FINDINGS_MAX + 7; i++)
		(void)finding_add(&p->findings, "it", FINDING_ERROR, E_SWAP_PROBE, "web", "%d\x01", i);
	assert_int_equal(p->findings.n, FINDINGS_MAX);
	assert_int_equal(p->findings.more, 7);
	assert_int_equal(findings_count(&p->findings, FINDING_ERROR), FINDINGS_MAX);
	assert_string_equal(p->findings.row[3].why.cause, "3?");
	finding_not_mended(&p->findings.row[3], "no");
	assert_int_equal(p->findings.row[3].level, FINDING_ERROR);
	finding_mended(&p->findings.row[3], "yes");
	assert_int_equal(p->findings.row[3].level, FINDING_MENDED);
	assert_int_equal(findings_count(&p->findings, FINDING_ERROR), FINDINGS_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(link_and_journal),
		cmocka_unit_test(what_lies_on_disk),
		cmocka_unit_test(rehearsals),
		cmocka_unit_test(last_orders),
		cmocka_unit_test(revocation_lists),
		cmocka_unit_test(second_writers),
		cmocka_unit_test(nonsense_finds_nothing_and_breaks_nothing),
		cmocka_unit_test(too_many_findings_are_counted),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
