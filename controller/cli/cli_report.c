/* cli_report.c - room controller/cli: vccctl report ...
 * Never: counting; the controller does. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "controller/cli/evidence_zip.h"
#include "controller/cli/report_page.h"
#include "controller/cli/report_words.h"
#include "controller/cli/since.h"
#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

#define REPORTS "/api/v1/reports"

static const struct output_column head_columns[] = {
	{"period", "report_period", COLUMN_TEXT}, {"from", "from", COLUMN_TEXT}, {"to", "to", COLUMN_TEXT}, {"made at", "generated_at", COLUMN_TEXT},
};
static const struct output_column now_columns[] = {
	{"certificates", "summary.total_certificates", COLUMN_TEXT},
	{"active", "summary.active_certificates", COLUMN_TEXT},
	{"end within 30 days", "risk_assessment.expiring_soon", COLUMN_TEXT},
	{"at high risk", "risk_assessment.high_risk_count", COLUMN_TEXT},
	{"violations of rules of severity error", "summary.compliance_violations", COLUMN_TEXT},
};
static const struct output_column period_columns[] = {
	{"renewals completed", "summary.renewals_completed", COLUMN_TEXT},
	{"of those that ended", "completed", COLUMN_TEXT},
	{"average duration", "duration", COLUMN_TEXT},
	{"without a person", "automated", COLUMN_TEXT},
	{"emergencies", "summary.emergency_recertifications", COLUMN_TEXT},
	{"revoked, superseded", "revocations.superseded", COLUMN_TEXT},
	{"revoked, otherwise", "revocations.other", COLUMN_TEXT},
};
static const struct output_column service_columns[] = {
	{"SERVICE", "service_name", COLUMN_TEXT}, {"TOTAL", "total", COLUMN_TEXT},       {"ACTIVE", "active", COLUMN_TEXT},
	{"EXPIRING", "expiring", COLUMN_TEXT},    {"EXPIRED", "expired", COLUMN_TEXT},   {"RENEWED", "renewals_completed", COLUMN_TEXT},
	{"FAILED", "renewals_failed", COLUMN_TEXT},
};
static const struct output_column gap_columns[] = {
	{"RULE", "rule", COLUMN_TEXT},   {"LEVEL", "severity", COLUMN_TEXT}, {"N", "count", COLUMN_TEXT},
	{"DEMAND", "text", COLUMN_TEXT}, {"CAUSE", "reason", COLUMN_TEXT},   {"FOR EXAMPLE", "certificates", COLUMN_LIST},
};
static const struct output_column risk_columns[] = {
	{"CERTIFICATE", "cert_id", COLUMN_TEXT}, {"SERVICE", "service_name", COLUMN_TEXT}, {"ENDS", "expires_at", COLUMN_AGE},
	{"WHY", "reasons", COLUMN_LIST},         {"RULES", "rules", COLUMN_LIST},
};
static const struct output_column row_columns[] = {
	{"KIND", "kind", COLUMN_TEXT}, {"ID", "id", COLUMN_ID}, {"SERVICE", "service_name", COLUMN_TEXT}, {"STATUS", "status", COLUMN_TEXT},
	{"AT", "at", COLUMN_TIME},     {"WHY", "reasons", COLUMN_LIST},
};

#define MIDNIGHT "T00:00:00Z"

/* A date is its first moment in UTC. */
static bool is_day(const char *option, const char *value)
{
	char    whole[TIME_TEXT_SIZE];
	int64_t at;
	if ((!text_equal(option, "from") && !text_equal(option, "to")) || strlen(value) != sizeof("2026-01-02") - 1)
		return false;
	return snprintf(whole, sizeof(whole), "%s" MIDNIGHT, value) > 0 && time_parse(whole, &at) == 0;
}

/* Arguments that both verbs pass on; the controller judges them. Times and names need no escapes but '+'. */
static int path_of(const struct invocation *in, const char *base, const char *const *options, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	struct buf path = BUF_MAX(CLIENT_PATH_SIZE - 1);
	buf_add_text(&path, base);
	for (size_t i = 0; options[i] != NULL; i++) {
		const char *value = verb_value(in, options[i]);
		if (value == NULL)
			continue;
		bool day = is_day(options[i], value);
		buf_add_fmt(&path, "%s%s=", memchr(path.p, '?', path.n) != NULL ? "&" : "?", options[i]);
		for (; *value != '\0'; value++) {
			bool plain = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z') || (*value >= '0' && *value <= '9') ||
				     strchr("-_.:", *value) != NULL;
			buf_add_fmt(&path, plain ? "%c" : "%%%02X", (unsigned char)*value);
		}
		buf_add_text(&path, day ? MIDNIGHT : "");
	}
	int r = buf_error(&path) == 0 ? EXIT_DONE : (refuse(why, E_CLI_USAGE, base, "the arguments are too long"), EXIT_USAGE);
	if (r == EXIT_DONE) {
		memcpy(ret, path.p, path.n);
		ret[path.n] = '\0';
	}
	buf_free(&path);
	return r;
}

static void print_services(const json_t *all)
{
	json_t     *walk = (json_t *)(uintptr_t)all, *rows = json_array(), *row; /* jansson's iterator wants a mutable object, but changes nothing */
	const char *name;
	json_object_foreach(walk, name, row)
	{
		json_t *copy = json_copy(row);
		json_object_set_new(copy, "service_name", json_string(name));
		json_array_append_new(rows, copy);
	}
	output_list(OUTPUT_TABLE, service_columns, N_ELEMENTS(service_columns), rows);
	json_decref(rows);
}

static void print_period(const json_t *report)
{
	const json_t *r = json_object_get(report, "renewal_performance");
	char          text[REPORT_WORD_SIZE];
	json_t       *o = json_copy((json_t *)(uintptr_t)report);
	json_object_set_new(o, "completed", json_string(report_share(json_object_get(r, "success_rate"), 1, false, text)));
	json_object_set_new(o, "duration", json_string(report_duration(json_object_get(r, "average_duration_minutes"), false, text)));
	json_object_set_new(o, "automated", json_string(report_share(json_object_get(r, "automated_renewals_percentage"), 100, false, text)));
	printf("\nin the period\n");
	output_object(OUTPUT_TABLE, period_columns, N_ELEMENTS(period_columns), o);
	json_decref(o);
}

/* Some figures are of the moment of the report, whatever period is asked for: each block says of which time it is. */
static void print_figures(const json_t *report)
{
	size_t        i;
	const json_t *note;
	output_object(OUTPUT_TABLE, head_columns, N_ELEMENTS(head_columns), report);
	json_array_foreach(json_object_get(report, "notes"), i, note) verb_say(stdout, 6, "note: ", json_string_value(note));
	printf("\nas of %s\n", output_text(report, "generated_at"));
	output_object(OUTPUT_TABLE, now_columns, N_ELEMENTS(now_columns), report);
	print_period(report);
	printf("\nas of %s; RENEWED and FAILED in the period\n", output_text(report, "generated_at"));
}

static void print_table(const json_t *report)
{
	const json_t *risks = json_object_get(report, "risk_assessment");
	print_figures(report);
	print_services(json_object_get(report, "vcc_service_breakdown"));
	if (json_array_size(json_object_get(risks, "compliance_gaps")) > 0) {
		printf("\n");
		output_list(OUTPUT_TABLE, gap_columns, N_ELEMENTS(gap_columns), json_object_get(risks, "compliance_gaps"));
	}
	if (json_array_size(json_object_get(risks, "high_risk_certificates")) > 0) {
		printf("\n");
		output_list(OUTPUT_TABLE, risk_columns, N_ELEMENTS(risk_columns), json_object_get(risks, "high_risk_certificates"));
	}
	printf("\n%s\n", output_text(report, "statement"));
}

static int compliance(const struct invocation *in)
{
	static const char *const options[] = {"period", "from", "to", "lang", NULL};
	char                     path[CLIENT_PATH_SIZE];
	struct refusal           why = {0};
	json_t                  *report = NULL;
	const char              *lang = verb_value(in, "lang");
	int                      r = path_of(in, REPORTS "/compliance", options, path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &report, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_HTML)
		report_page_html(stdout, report, text_equal(lang, "de"));
	else if (in->form == OUTPUT_CSV)
		report_page_csv(stdout, report);
	else if (in->form == OUTPUT_JSON)
		output_json(report);
	else
		print_table(report);
	json_decref(report);
	return EXIT_DONE;
}

static int rows(const struct invocation *in)
{
	static const char *const options[] = {"figure", "service", "rule", "period", "from", "to", "lang", NULL};
	char                     path[CLIENT_PATH_SIZE];
	struct refusal           why = {0};
	int                      r = path_of(in, REPORTS "/rows", options, path, &why);
	return r == EXIT_DONE ? ask_list(in, path, "items", row_columns, N_ELEMENTS(row_columns)) : verb_fail(r, &why);
}

/* ---- evidence ---------------------------------------------------------------------------------------------------- */

/* Whole or not at all, and never in place of what is there. */
static int fetch_to(const struct invocation *in, const char *path, const char *file, struct refusal *why)
{
	FILE *to = fopen(file, "wxe");
	if (to == NULL)
		return sys_refuse(why, file, "make the file"), EXIT_FAILED;
	int  r = client_download(&in->client, path, to, why);
	bool written = fflush(to) == 0 && fsync(fileno(to)) == 0;
	if (fclose(to) != 0 || !written)
		r = r == EXIT_DONE ? (sys_refuse(why, file, "write the file"), EXIT_FAILED) : r;
	if (r != EXIT_DONE)
		(void)unlink(file);
	else
		fprintf(stderr, "%s: `vccctl audit verify %s` checks it without the controller\n", file, file);
	return r;
}

/* FILE.1, FILE.2 ... until the controller has no more. Parts that are there stay, whatever becomes of a later one. */
static int fetch_parts(const struct invocation *in, const char *path, const char *file, struct refusal *why)
{
	int r = EXIT_DONE;
	for (unsigned part = 1; r == EXIT_DONE; part++) {
		char one[CLIENT_PATH_SIZE], to[CLIENT_PATH_SIZE];
		if (snprintf(one, sizeof(one), "%s&part=%u", path, part) >= (int)sizeof(one) || snprintf(to, sizeof(to), "%s.%u", file, part) >= (int)sizeof(to))
			return refuse(why, E_CLI_USAGE, "--file", "the path is too long"), EXIT_USAGE;
		r = fetch_to(in, one, to, why);
		if (part > 1 && why->code == E_EVIDENCE_NONE) {
			fprintf(stderr, "%s: %u parts\n", file, part - 1);
			return EXIT_DONE;
		}
	}
	return r;
}

/* One file, or several where it is too much for one. */
static int fetch(const struct invocation *in, const char *path, const char *file, struct refusal *why)
{
	int r = fetch_to(in, path, file, why);
	return r != EXIT_DONE && why->code == E_EVIDENCE_LARGE && verb_given(in, "campaign") ? fetch_parts(in, path, file, why) : r;
}

/* Of a period, or of one certificate or campaign, as one archive. */
static int evidence_archive(const struct invocation *in, const char *file)
{
	int64_t                now = clock_now();
	bool                   period = verb_given(in, "since");
	struct evidence_period what = {.until = now, .certificate = verb_value(in, "certificate"), .campaign = verb_value(in, "campaign")};
	struct refusal         why = {0};
	int                    r = EXIT_DONE;
	if (period + verb_given(in, "certificate") + verb_given(in, "campaign") != 1 || (verb_given(in, "until") && !period))
		r = (refuse(&why, E_CLI_USAGE, "--since", "one of --since, --certificate and --campaign is needed; --until goes with --since"), EXIT_USAGE);
	if (r == EXIT_DONE && period)
		r = since_read("--since", verb_value(in, "since"), now, &what.since, &why);
	if (r == EXIT_DONE && verb_given(in, "until"))
		r = since_read("--until", verb_value(in, "until"), now, &what.until, &why);
	if (r == EXIT_DONE && what.since >= what.until)
		r = (refuse(&why, E_CLI_USAGE, "--since", "it has to lie before --until, and before now"), EXIT_USAGE);
	if (r == EXIT_DONE)
		r = evidence_zip_make(in, &what, file, &why);
	return r == EXIT_DONE || r == EXIT_PARTLY ? r : verb_fail(r, &why);
}

static int evidence(const struct invocation *in)
{
	static const char *const options[] = {"certificate", "campaign", NULL};
	char                     path[CLIENT_PATH_SIZE];
	struct refusal           why = {0};
	const char              *file = in->archive != NULL ? in->archive : verb_value(in, "file");
	int                      r = EXIT_DONE;
	if (file != NULL && text_ends(file, ".zip"))
		return evidence_archive(in, file);
	if (verb_given(in, "since") || verb_given(in, "until"))
		r = (refuse(&why, E_CLI_USAGE, "--since", "evidence of a period is an archive: -o FILE.zip is needed"), EXIT_USAGE);
	if (r == EXIT_DONE && verb_given(in, "certificate") == verb_given(in, "campaign"))
		r = (refuse(&why, E_CLI_USAGE, "--certificate", "one of --certificate and --campaign is needed, or --since and -o FILE.zip"), EXIT_USAGE);
	if (r == EXIT_DONE)
		r = path_of(in, REPORTS "/evidence", options, path, &why);
	if (r == EXIT_DONE)
		r = file != NULL ? fetch(in, path, file, &why) : client_download(&in->client, path, stdout, &why);
	if (r == EXIT_DONE && fflush(stdout) != 0)
		r = (sys_refuse(&why, "stdout", "write"), EXIT_FAILED);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

/* ---- exceptions -------------------------------------------------------------------------------------------------- */

static const struct output_column exception_columns[] = {
	{"RULE", "rule", COLUMN_TEXT},   {"TEMPLATE", "template_id", COLUMN_TEXT}, {"OWNER", "owner", COLUMN_TEXT},
	{"UNTIL", "until", COLUMN_TIME}, {"IN FORCE", "in_force", COLUMN_YES},     {"MADE BY", "source", COLUMN_TEXT},
	{"REASON", "reason", COLUMN_TEXT},
};

static int exceptions(const struct invocation *in)
{
	return ask_whole_list(in, REPORTS "/exceptions", "exceptions", exception_columns, N_ELEMENTS(exception_columns));
}

static int except(const struct invocation *in)
{
	struct refusal why = {0};
	json_t        *body = json_pack("{s:s,s:s,s:s}", "rule", in->words[0], "template_id", in->words[1], "reason", in->client.reason);
	if (verb_given(in, "end") == (verb_given(in, "until") && verb_given(in, "owner")) || in->client.reason[0] == '\0') {
		json_decref(body);
		refuse(&why, E_CLI_USAGE, "--until", "--owner, --until and --reason are needed, or --end and --reason");
		return verb_fail(EXIT_USAGE, &why);
	}
	if (!verb_given(in, "end")) {
		json_object_set_new(body, "owner", json_string(verb_value(in, "owner")));
		json_object_set_new(body, "until", json_string(verb_value(in, "until")));
	}
	int r = ask_object(in, "POST", REPORTS "/exceptions", body, exception_columns, N_ELEMENTS(exception_columns));
	json_decref(body);
	return r;
}

#define PERIOD_OPTIONS                                                                                                         \
	{"period", "P", "daily, weekly, monthly (default), quarterly, yearly"}, {"from", "TIME", "with --to, instead of a period; 2026-07-01: its midnight in UTC"},   \
		{"to", "TIME", "the period ends before it"},                                                                   \
	{                                                                                                                      \
		"lang", "L", "en (default) or de; a table's headings stay English"                                                       \
	}

const struct verb cli_report_verbs[] = {
	{"report", "compliance", "", 0, 0, "the compliance report of a period; -o html prints well", {PERIOD_OPTIONS}, compliance},
	{"report",
	 "rows",
	 "",
	 0,
	 0,
	 "what a figure of the report counts, row by row",
	 {{"figure", "NAME", "as below `sources` of the report: renewals_failed ... (default total_certificates)"},
	  {"service", "S", "of this service"},
	  {"rule", "ID", "of compliance_violations: this rule alone"},
	  PERIOD_OPTIONS},
	 rows},
	{"report",
	 "evidence",
	 "",
	 0,
	 0,
	 "what proves the history of a certificate or a campaign, as one file for audit verify; of a period as an archive: -o FILE.zip",
	 {{"certificate", "CERT_ID", "of this certificate"},
	  {"campaign", "ID", "of this campaign"},
	  {"since", "WHEN", "of all that something happened to since then: -90d, 90d, 2026-07-01, or a time; with -o FILE.zip"},
	  {"until", "WHEN", "and before then (default: now)"},
	  {"file", "FILE", "a new file (default: standard output); of a large campaign FILE.1, FILE.2 ...; FILE.zip: an archive"}},
	 evidence},
	{"report", "exceptions", "", 0, 0, "exceptions to compliance rules: who answers for them, why, until when", {{0}}, exceptions},
	{"report",
	 "except",
	 "RULE TEMPLATE",
	 2,
	 2,
	 "makes, replaces or ends the exception of a rule for certificates of a template; --reason is needed",
	 {{"owner", "ROLE", "who answers for it"}, {"until", "TIME", "at most two years ahead"}, {"end", NULL, "the exception ends now"}},
	 except},
};
const size_t cli_report_verbs_n = N_ELEMENTS(cli_report_verbs);
