/* cli_drill.c - room controller/cli: vccctl drill ...: an emergency is rehearsed, followed, and its report carried away.
 * Never: policy; the controller decides. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/campaign_watch.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

#define DRILLS "/api/v1/drills"

enum { ASK_EVERY_MS = 200, REPORT_WAIT_MS = 60 * 1000, FAILURES_SHOWN = 20 };

static const struct output_column list_columns[] = {
	{"DRILL", "drill_id", COLUMN_ID},
	{"STATUS", "status", COLUMN_TEXT},
	{"SELECTION", "selector", COLUMN_TEXT},
	{"TOTAL", "total_certificates", COLUMN_TEXT},
	{"TESTED", "tested_count", COLUMN_TEXT},
	{"FAILED", "failed_count", COLUMN_TEXT},
	{"MISSED", "not_reached_count", COLUMN_TEXT},
	{"SKIPPED", "skipped_count", COLUMN_TEXT},
	{"BEGAN", "created_at", COLUMN_SINCE},
};

static const struct output_column show_columns[] = {
	{"drill", "drill_id", COLUMN_TEXT},
	{"status", "status", COLUMN_TEXT},
	{"cause", "cause", COLUMN_TEXT},
	{"selection", "selector", COLUMN_TEXT},
	{"services", "services", COLUMN_LIST},
	{"asked by", "requester", COLUMN_TEXT},
	{"reason", "reason", COLUMN_TEXT},
	{"total", "total_certificates", COLUMN_TEXT},
	{"tested", "tested_count", COLUMN_TEXT},
	{"failed", "failed_count", COLUMN_TEXT},
	{"not reached", "not_reached_count", COLUMN_TEXT},
	{"skipped", "skipped_count", COLUMN_TEXT},
	{"in progress", "in_progress_count", COLUMN_TEXT},
	{"took (s)", "duration_seconds", COLUMN_TEXT},
	{"began", "created_at", COLUMN_TIME},
	{"ended", "ended_at", COLUMN_TIME},
	{"report of", "reported_at", COLUMN_TIME},
	{"report sha256", "report_sha256", COLUMN_TEXT},
};

static const struct output_column report_columns[] = {
	{"not reached", "not_reached_hosts", COLUMN_LIST},
	{"served as before", "served.unchanged", COLUMN_TEXT},
	{"not shown to be", "served.not_shown", COLUMN_TEXT},
	{"not probed", "served.not_probed", COLUMN_TEXT},
	{"one takes p50 (ms)", "milliseconds.total.p50", COLUMN_TEXT},
	{"one takes p99 (ms)", "milliseconds.total.p99", COLUMN_TEXT},
	{"of that key", "milliseconds.key.p50", COLUMN_TEXT},
	{"of that test", "milliseconds.test.p50", COLUMN_TEXT},
};

static const struct output_column row_columns[] = {
	{"CERT_ID", "cert_id", COLUMN_TEXT}, {"SERVICE", "service", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},     {"CODE", "code", COLUMN_TEXT},       {"SERVED", "served", COLUMN_TEXT},
	{"MS", "ms", COLUMN_TEXT},           {"CAUSE", "cause", COLUMN_TEXT},
};

static int drill_path(const char *id, const char *format, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	struct id parsed;
	if (id_parse(id, &parsed) < 0) {
		refuse(why, E_NOT_FOUND, id, "this is no drill's id; `vccctl drill list` shows them");
		return EXIT_NOT_FOUND;
	}
	snprintf(ret, CLIENT_PATH_SIZE, format, id);
	return EXIT_DONE;
}

static int list(const struct invocation *in)
{
	return ask_list(in, DRILLS, "items", list_columns, N_ELEMENTS(list_columns));
}

/* ---- the report -------------------------------------------------------------------------------------------------- */

/* The text as it was made, once its hash is found to be the one that the drill's row names: that hash stands in the trail, too.
 */
static int fetch_report(const struct invocation *in, const char *id, json_t **ret, struct refusal *why)
{
	char        path[CLIENT_PATH_SIZE], text[HASH_TEXT_SIZE];
	json_t     *answer = NULL;
	struct hash hash;
	int         r = drill_path(id, DRILLS "/%s/report", path, why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, why);
	if (r != EXIT_DONE)
		return r;
	const char *report = json_string_value(json_object_get(answer, "report"));
	const char *named = json_string_value(json_object_get(answer, "report_sha256"));
	digest_sha256(report != NULL ? span_text(report) : (struct span){NULL, 0}, &hash);
	if (report == NULL || named == NULL || !text_equal(hash_text(hash, text), named)) {
		refuse(why, E_DRILL_REPORT_OTHER, id, "its hash is %s, and %s was named", text, named != NULL ? named : "none");
		json_decref(answer);
		return EXIT_FAILED;
	}
	*ret = answer;
	return EXIT_DONE;
}

static int export(const struct invocation *in, const char *id, struct refusal *why)
{
	const char *file = verb_value(in, "export");
	json_t     *answer = NULL;
	int         r = fetch_report(in, id, &answer, why);
	if (r != EXIT_DONE)
		return r;
	const char *report = json_string_value(json_object_get(answer, "report"));
	if (file_create(AT_FDCWD, file, span_text(report), (uid_t)-1, (gid_t)-1, 0644, why) < 0)
		r = EXIT_FAILED;
	else if (in->form == OUTPUT_TABLE)
		fprintf(stderr,
			"%s: %zu bytes, sha256\n%s\n"
			"as in the trail: `vccctl audit list --event drill_ended`, `audit show SEQ`\n",
			file, strlen(report), json_string_value(json_object_get(answer, "report_sha256")));
	json_decref(answer);
	return r;
}

static void print_report(const struct invocation *in, const json_t *report)
{
	printf("\n");
	output_object(in->form, report_columns, N_ELEMENTS(report_columns), report);
	printf("\n");
	output_list(in->form, row_columns, N_ELEMENTS(row_columns), json_object_get(report, "certificates"));
}

/* Without a report the members tell who is how far. */
static int show_rest(const struct invocation *in, const json_t *drill)
{
	struct refusal why;
	json_t        *answer = NULL;
	const char    *id = json_string_value(json_object_get(drill, "drill_id"));
	if (!json_is_string(json_object_get(drill, "reported_at"))) {
		printf("\n  `vccctl campaign show %s` tells who is how far; the report follows at the end\n", id);
		return EXIT_DONE;
	}
	int r = fetch_report(in, id, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	json_t *report = json_loads(json_string_value(json_object_get(answer, "report")), 0, NULL);
	print_report(in, report);
	json_decref(report);
	json_decref(answer);
	return EXIT_DONE;
}

static int fetch(const struct invocation *in, const char *id, json_t **ret, struct refusal *why)
{
	char path[CLIENT_PATH_SIZE];
	int  r = drill_path(id, DRILLS "/%s", path, why);
	return r == EXIT_DONE ? client_call(&in->client, "GET", path, NULL, NULL, ret, why) : r;
}

/* -o json: the report itself, once there is one. */
static int show(const struct invocation *in)
{
	struct refusal why;
	json_t        *drill = NULL, *answer = NULL;
	int            r = fetch(in, in->words[0], &drill, &why);
	if (r == EXIT_DONE && verb_given(in, "export"))
		r = export(in, in->words[0], &why);
	else if (r == EXIT_DONE && in->form != OUTPUT_TABLE && json_is_string(json_object_get(drill, "reported_at")))
		r = fetch_report(in, in->words[0], &answer, &why);
	if (r != EXIT_DONE)
		r = verb_fail(r, &why);
	else if (answer != NULL)
		printf("%s", json_string_value(json_object_get(answer, "report")));
	else if (!verb_given(in, "export")) {
		output_object(in->form, show_columns, N_ELEMENTS(show_columns), drill);
		r = in->form == OUTPUT_TABLE ? show_rest(in, drill) : EXIT_DONE;
	}
	json_decref(answer);
	json_decref(drill);
	return r;
}

static int cancel(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	int            r = drill_path(in->words[0], DRILLS "/%s/cancel", path, &why);
	return r == EXIT_DONE ? ask_object(in, "POST", path, NULL, show_columns, N_ELEMENTS(show_columns)) : verb_fail(r, &why);
}

/* ---- a drill ----------------------------------------------------------------------------------------------------- */

static const char *const selections[] = {"all", "service", "template", "agent", "pattern"};

static int body_of(const struct invocation *in, json_t **ret, struct refusal *why)
{
	const char *named = NULL;
	for (size_t i = 0; i < N_ELEMENTS(selections); i++) {
		if (!verb_given(in, selections[i]))
			continue;
		if (named != NULL) {
			refuse(why, E_CLI_USAGE, selections[i], "only one selection at a time; --%s was given, too", named);
			return EXIT_USAGE;
		}
		named = selections[i];
	}
	if (named == NULL) {
		refuse(why, E_CLI_USAGE, "drill", "name --service, --pattern, --template, --agent or --all");
		return EXIT_USAGE;
	}
	json_t *value = text_equal(named, "all") ? json_true() : json_string(verb_value(in, named));
	*ret = json_pack("{s:{s:o}}", "selector", named, value);
	if (verb_given(in, "reason"))
		json_object_set_new(*ret, "reason", json_string(verb_value(in, "reason")));
	return EXIT_DONE;
}

/* What is left after the last host that answers: those that are given up, and the report, which is made within moments of the
 * end. */
static int wait_for_report(const struct invocation *in, const char *id, int64_t until, json_t **ret, struct refusal *why)
{
	int64_t latest = clock_monotonic() + REPORT_WAIT_MS;
	for (;;) {
		json_t *drill = NULL;
		int     r = fetch(in, id, &drill, why);
		bool    ended = json_is_string(json_object_get(drill, "ended_at"));
		bool    reported = json_is_string(json_object_get(drill, "reported_at"));
		if (r != EXIT_DONE || reported || clock_monotonic() >= (ended ? latest : until)) {
			*ret = drill;
			return r;
		}
		json_decref(drill);
		nanosleep(&(struct timespec){.tv_nsec = ASK_EVERY_MS * 1000000L}, NULL);
	}
}

static long long number(const json_t *o, const char *field)
{
	return (long long)json_integer_value(json_object_get(o, field));
}

static void print_failures(const struct invocation *in, const char *id)
{
	struct refusal why;
	json_t        *answer = NULL;
	size_t         i, shown = 0;
	const json_t  *row;
	if (fetch_report(in, id, &answer, &why) != EXIT_DONE)
		return; /* the counts are there without it */
	json_t *report = json_loads(json_string_value(json_object_get(answer, "report")), 0, NULL);
	json_array_foreach(json_object_get(report, "certificates"), i, row)
	{
		char line[512];
		if (!text_equal(json_string_value(json_object_get(row, "state")), "failed") || shown++ == FAILURES_SHOWN)
			continue;
		snprintf(line, sizeof(line), "%s on %s: %s %s", json_string_value(json_object_get(row, "cert_id")),
			 json_string_value(json_object_get(row, "agent")), json_string_value(json_object_get(row, "code")),
			 json_string_value(json_object_get(row, "cause")));
		verb_say(stdout, 4, "  ", line);
	}
	printf("  served as before: %lld, not shown to be: %lld, not probed: %lld\n",
	       number(json_object_get(report, "served"), "unchanged"), number(json_object_get(report, "served"), "not_shown"),
	       number(json_object_get(report, "served"), "not_probed"));
	json_decref(report);
	json_decref(answer);
}

static int finish(const struct invocation *in, const char *id, int64_t until)
{
	struct refusal why;
	json_t        *drill = NULL;
	int            r = wait_for_report(in, id, until, &drill, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE) {
		printf("%s: %lld of %lld tested, %lld failed (%lld not reached), %lld skipped after %.1f s\n",
		       json_string_value(json_object_get(drill, "status")), number(drill, "tested_count"),
		       number(drill, "total_certificates"), number(drill, "failed_count"), number(drill, "not_reached_count"),
		       number(drill, "skipped_count"), json_number_value(json_object_get(drill, "duration_seconds")));
		print_failures(in, id);
	} else {
		output_object(in->form, show_columns, N_ELEMENTS(show_columns), drill);
	}
	r = campaign_exit(drill);
	json_decref(drill);
	return r;
}

static int drill(const struct invocation *in)
{
	struct refusal why;
	json_t        *body = NULL, *answer = NULL;
	int64_t        wait_ms = 0;
	int            r = campaign_wait_option(in, MS_HOUR, &wait_ms, &why);
	if (r == EXIT_DONE)
		r = body_of(in, &body, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "POST", DRILLS, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	const char *id = json_string_value(json_object_get(answer, "drill_id"));
	if (in->form == OUTPUT_TABLE)
		printf("drill %s\n", id), fflush(stdout);
	else if (verb_given(in, "no-wait"))
		output_json(answer);
	if (!verb_given(in, "no-wait")) {
		int64_t until = clock_monotonic() + wait_ms;
		(void)campaign_follow(in, id, wait_ms);
		r = finish(in, id, until);
	}
	json_decref(answer);
	return r;
}

const struct verb cli_drill_verbs[] = {
	{"drill", "list", "", 0, 0, "drills, newest first", {{0}}, list},
	{"drill",
	 "show",
	 "ID",
	 1,
	 1,
	 "one drill and its report; with -o json the report itself",
	 {{"export", "FILE", "write the report to a new file; its sha256 stands in the audit trail"}},
	 show},
	{"drill", "cancel", "ID", 1, 1, "ends a drill; what was sent of it is called back", {{0}}, cancel},
	{"drill",
	 NULL,
	 "",
	 0,
	 0,
	 "rehearses an emergency: certificates are made and tested on their hosts, and never used; exit code 6 when something "
	 "failed",
	 {{"service", "S", "of this service"},
	  {"pattern", "P", "of these names: NAME, or *.NAME for everything below"},
	  {"template", "T", "of this template"},
	  {"agent", "NAME", "on this host"},
	  {"all", NULL, "every certificate"},
	  {"reason", "TEXT", "why, for the audit trail and the report"},
	  {"no-wait", NULL, "leave it running"},
	  {"wait", "DURATION", "how long to follow it at most (default 1h)"}},
	 drill},
};
const size_t cli_drill_verbs_n = N_ELEMENTS(cli_drill_verbs);
