/* cli_bulk.c - room controller/cli: vccctl bulk, emergency, and service renew-all.
 * What is applied is what was planned and counted before: an apply always names the hash of a plan. Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "controller/cli/campaign_watch.h"
#include "controller/cli/named_file.h"
#include "controller/cli/plan_lines.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/campaign.h"

enum { IDS_FILE_MAX = CAMPAIGN_IDS_MAX * (CERT_ID_SIZE + 1) };
#define LIFE "/api/v1/certificates/lifecycle"

static const struct output_column plan_columns[] = {
	{"kind", "plan.kind", COLUMN_TEXT},
	{"selection", "plan.selector", COLUMN_TEXT},
	{"certificates", "matching_certificates", COLUMN_TEXT},
	{"to be renewed", "plan.renewed", COLUMN_TEXT},
	{"of all", "plan.all_certificates", COLUMN_TEXT},
	{"limit", "plan.limit", COLUMN_TEXT},
	{"of yours in 24 h", "plan.recent", COLUMN_TEXT},
	{"second person", "plan.approval", COLUMN_TEXT},
	{"stages", "plan.stages", COLUMN_TEXT},
	{"at a time", "plan.batch", COLUMN_TEXT},
	{"incident type", "plan.incident_type", COLUMN_TEXT},
	{"fresh keys", "plan.fresh_keys", COLUMN_TEXT},
	{"peer proof", "plan.peer_proof", COLUMN_TEXT},
	{"revoke old", "plan.revoke_old", COLUMN_TEXT},
	{"will take (s)", "plan.prediction.duration_seconds", COLUMN_TEXT},
	{"batches", "plan.prediction.batches", COLUMN_TEXT},
	{"of that pauses (s)", "plan.prediction.pauses_seconds", COLUMN_TEXT},
	{"by past orders", "plan.prediction.past_orders", COLUMN_TEXT},
	{"one takes p50 (s)", "plan.prediction.order_seconds_p50", COLUMN_TEXT},
	{"one takes p99 (s)", "plan.prediction.order_seconds_p99", COLUMN_TEXT},
	{"offline", "plan.offline", COLUMN_LIST},
	{"lose service", "plan.loses_service", COLUMN_LIST},
	{"banned hosts", "plan.banned_agents", COLUMN_LIST},
	{"skipped", "plan.skipped", COLUMN_LIST},
	{"plan hash", "plan_hash", COLUMN_TEXT},
};

static int post(const struct invocation *in, const char *path, const json_t *body, json_t **ret, struct refusal *why)
{
	struct client now = in->client;
	snprintf(now.prefer, sizeof(now.prefer), "wait=0"); /* we watch it ourselves */
	return client_call(&now, "POST", path, body, NULL, ret, why);
}

static int make_plan(const struct invocation *in, const char *path, json_t *body, json_t **ret, struct refusal *why)
{
	json_object_set_new(body, "dry_run", json_true());
	int r = post(in, path, body, ret, why);
	json_object_del(body, "dry_run");
	return r;
}

static void print_lines(FILE *to, const json_t *lines, const char *head)
{
	size_t        i;
	const json_t *line;
	json_array_foreach((json_t *)(uintptr_t)lines, i, line)
		verb_say(to, 2, head, json_string_value(line));
}

static void print_failures(const json_t *plan)
{
	size_t        i;
	const json_t *f;
	char          line[512];
	json_array_foreach(json_object_get(plan, "failures"), i, f) {
		snprintf(line, sizeof(line), "%s: %s %s", json_string_value(json_object_get(f, "cert_id")),
			 json_string_value(json_object_get(f, "code")), json_string_value(json_object_get(f, "error")));
		verb_say(stdout, 4, "  cannot be renewed: ", line);
	}
}

static void print_violations(const json_t *plan)
{
	size_t        i;
	const json_t *v;
	char          line[512];
	json_array_foreach(json_object_get(plan, "violations"), i, v)
	{
		const char *profile = json_string_value(json_object_get(v, "profile"));
		snprintf(line, sizeof(line), "%s%s%s: %s (%lld certificates)", json_string_value(json_object_get(v, "template_id")),
			 profile != NULL ? ", " : "", profile != NULL ? profile : "", json_string_value(json_object_get(v, "text")),
			 (long long)json_integer_value(json_object_get(v, "certificates")));
		verb_say(stdout, 4, "  policy: ", line);
	}
}

/* A mistyped name looks like success otherwise. */
static void warn_of_none(const struct invocation *in, FILE *to, const json_t *answer)
{
	if (text_equal(in->verb->noun, "emergency") && verb_given(in, "issuer"))
		return; /* the name was looked up; a CA may have signed nothing that is in force */
	if (json_integer_value(json_object_get(answer, "matching_certificates")) == 0)
		verb_say(to, 2, "warning: ", "no certificate matches; is the name right? `vccctl cert list` shows them");
}

/* What a person must know before he types the number, in words. */
static void say_effects(FILE *to, const json_t *plan)
{
	const char *old = json_string_value(json_object_get(plan, "revoke_old"));
	const char *second = json_string_value(json_object_get(plan, "approval"));
	size_t      lose = json_array_size(json_object_get(plan, "loses_service"));
	char        line[256];
	if (old != NULL && text_starts(old, "after:")) {
		snprintf(line, sizeof(line), "old certificates are revoked when the new one is proved, in %s at the latest",
			 old + strlen("after:"));
		verb_say(to, 2, "  ", line);
	}
	if (lose > 0) {
		snprintf(line, sizeof(line), "%zu lose service: theirs is revoked before the new one is there", lose);
		verb_say(to, 2, "  ", line);
	}
	if (second != NULL && text_equal(second, "before"))
		verb_say(to, 2, "  ", "nothing happens before another person agrees");
	if (second != NULL && text_equal(second, "after"))
		verb_say(to, 2, "  ", "it runs at once, and another person has to confirm it afterwards");
}

static int plan_and_print(const struct invocation *in, const char *path, json_t *body)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = make_plan(in, path, body, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	json_t *plan = json_object_get(answer, "plan");
	if (in->form == OUTPUT_TABLE && json_integer_value(json_object_get(plan, "batch")) == 0)
		json_object_set_new(plan, "batch", json_string("all"));
	output_object(in->form, plan_columns, N_ELEMENTS(plan_columns), answer);
	if (in->form == OUTPUT_TABLE) {
		warn_of_none(in, stdout, answer);
		plan_print_waves(plan);
		plan_print_services(plan);
		print_violations(plan);
		print_failures(plan);
		say_effects(stdout, plan);
		print_lines(stdout, json_object_get(plan, "warnings"), "warning: ");
		printf("\n");
		print_lines(stdout, json_object_get(answer, "certificate_list"), "");
	}
	json_decref(answer);
	return EXIT_DONE;
}

/* ---- apply ------------------------------------------------------------------------------------------------------ */

/* Somebody who sits there types the number; a key pressed by habit is not enough. Without a terminal the plan's hash is all the care there is. */
static bool person_confirms(const struct invocation *in, const json_t *answer)
{
	const json_t *plan = json_object_get(answer, "plan");
	long long     n = (long long)json_integer_value(json_object_get(plan, "renewed"));
	char          line[64] = "", wanted[24];
	fprintf(stderr, "%s: %lld of %lld certificates to be renewed\n", json_string_value(json_object_get(plan, "selector")), n,
		(long long)json_integer_value(json_object_get(plan, "all_certificates")));
	warn_of_none(in, stderr, answer);
	say_effects(stderr, plan);
	print_lines(stderr, json_object_get(plan, "warnings"), "warning: ");
	if (verb_given(in, "yes") || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return true;
	snprintf(wanted, sizeof(wanted), "%lld", n);
	fprintf(stderr, "Type %s to go on: ", wanted);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return text_equal(line, wanted);
}

/* Names the hash of the plan that was given, or of one that is made and counted now. */
static int set_hash(const struct invocation *in, const char *path, json_t *body, struct refusal *why)
{
	json_t *answer = NULL;
	if (verb_given(in, "plan-hash")) {
		json_object_set_new(body, "plan_hash", json_string(verb_value(in, "plan-hash")));
		return EXIT_DONE;
	}
	int r = make_plan(in, path, body, &answer, why);
	if (r == EXIT_DONE && !person_confirms(in, answer)) {
		refuse(why, E_CLI_USAGE, "apply", "the number was not typed: nothing was renewed; repeat, or add --yes");
		r = EXIT_DENIED;
	}
	if (r == EXIT_DONE)
		json_object_set(body, "plan_hash", json_object_get(answer, "plan_hash"));
	json_decref(answer);
	return r;
}

/* Takes over `body`. `watched`: follow it to its end. */
static int apply(const struct invocation *in, const char *path, json_t *body, bool watched)
{
	struct refusal why;
	json_t        *answer = NULL;
	int64_t        wait_ms = 0;
	int            r = campaign_wait_option(in, MS_HOUR, &wait_ms, &why);
	if (r == EXIT_DONE)
		r = set_hash(in, path, body, &why);
	if (r == EXIT_DONE)
		r = post(in, path, body, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	const char *id = json_string_value(json_object_get(answer, "campaign_id"));
	if (watched && id != NULL) {
		if (in->form == OUTPUT_TABLE)
			printf("campaign %s\n", id), fflush(stdout);
		r = campaign_watch(in, id, wait_ms);
	} else if (in->form == OUTPUT_TABLE && id == NULL) {
		printf("approval %s: a second person has to agree; then `vccctl ca rollover` tells how far it is\n",
		       json_string_value(json_object_get(answer, "approval_id")));
	} else if (in->form == OUTPUT_TABLE) {
		printf("campaign %s: %s\n", id != NULL ? id : "-", json_string_value(json_object_get(answer, "message")));
	} else {
		output_json(answer);
	}
	if (!watched || id == NULL)
		r = ask_exit(answer);
	json_decref(answer);
	return r;
}

/* ---- bulk, service ---------------------------------------------------------------------------------------------- */

static void set_text(const struct invocation *in, const char *option, const char *field, json_t *body)
{
	if (verb_given(in, option))
		json_object_set_new(body, field, json_string(verb_value(in, option)));
}

/* Every item, also one that is empty: who forgot a wave is told so. */
static json_t *split_waves(const char *text)
{
	json_t *list = json_array();
	for (const char *item = text; item != NULL;) {
		const char *end = strchr(item, ',');
		const char *next = end != NULL ? end + 1 : NULL;
		if (end == NULL)
			end = item + strlen(item);
		while (item < end && (*item == ' ' || *item == '\t'))
			item++;
		while (end > item && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		json_array_append_new(list, json_stringn(item, (size_t)(end - item)));
		item = next;
	}
	return list;
}

/* --canary 5 --waves 10%,30%,rest and the limits that halt it. */
static void set_waves(const struct invocation *in, json_t *body)
{
	int64_t count;
	set_text(in, "canary", "canary", body);
	set_text(in, "halt-share", "halt_share", body);
	if (verb_given(in, "halt-count")) /* what is no number is refused by the controller, as every other mistake */
		json_object_set_new(body, "halt_count", text_i64(verb_value(in, "halt-count"), 0, CAMPAIGN_MEMBERS_MAX, &count) == 0
								? json_integer((json_int_t)count)
								: json_string(verb_value(in, "halt-count")));
	if (verb_given(in, "rollback-on-halt"))
		json_object_set_new(body, "rollback_on_halt", json_true());
	if (verb_given(in, "peer-proof"))
		json_object_set_new(body, "peer_proof", json_true());
	if (verb_given(in, "waves"))
		json_object_set_new(body, "waves", split_waves(verb_value(in, "waves")));
}

static json_t *bulk_body(const struct invocation *in)
{
	json_t *body = json_object();
	set_text(in, "pattern", "service_pattern", body);
	set_text(in, "type", "cert_type_filter", body);
	set_text(in, "trigger", "trigger", body);
	set_waves(in, body);
	return body;
}

static int bulk_plan(const struct invocation *in)
{
	return plan_and_print(in, LIFE "/bulk-renewal", bulk_body(in));
}

static int bulk_apply(const struct invocation *in)
{
	return apply(in, LIFE "/bulk-renewal", bulk_body(in), verb_given(in, "watch"));
}

static int renew_all(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (!name_service_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no name of a service");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	json_t *body = json_object();
	set_text(in, "type", "cert_type_filter", body);
	set_waves(in, body);
	snprintf(path, sizeof(path), LIFE "/vcc-service/%s/renew-all", in->words[0]);
	return apply(in, path, body, verb_given(in, "watch"));
}

/* ---- emergency -------------------------------------------------------------------------------------------------- */

static const char *const selections[] = {"all", "service", "template", "agent", "pattern", "ids-file"};

/* One cert_id a line; blank lines and what follows '#' say nothing. */
static int read_ids(const char *path, json_t *body, struct refusal *why)
{
	struct buf text = BUF_MAX(IDS_FILE_MAX);
	json_t    *ids = json_array();
	int        r = named_file_read(path, false, &text, why);
	buf_add_u8(&text, 0);
	if (r == 0)
		r = buf_error(&text);
	char *rest = NULL;
	for (char *line = r == 0 ? strtok_r((char *)text.p, "\n\r", &rest) : NULL; line != NULL; line = strtok_r(NULL, "\n\r", &rest)) {
		char *more = NULL;
		line[strcspn(line, "#")] = '\0';
		for (char *word = strtok_r(line, "\t ", &more); word != NULL; word = strtok_r(NULL, "\t ", &more))
			json_array_append_new(ids, json_string(word));
	}
	buf_free(&text);
	json_object_set_new(body, "certificate_ids", ids);
	return r < 0 && why->code == 0 ? refuse(why, r, path, "it is too large") : r;
}

static int select_certificates(const struct invocation *in, json_t *body, struct refusal *why)
{
	const char *named = NULL;
	for (size_t i = 0; i < N_ELEMENTS(selections); i++) {
		if (!verb_given(in, selections[i]))
			continue;
		if (named != NULL)
			return refuse(why, E_CLI_USAGE, selections[i], "only one selection at a time; --%s was given, too", named);
		named = selections[i];
	}
	if (text_equal(verb_value(in, "type"), "ca_compromise")) {
		if (named != NULL || !verb_given(in, "issuer"))
			return refuse(why, E_CLI_USAGE, "emergency", "a compromised CA is named by --issuer ISSUER_ID, without a selection");
		set_text(in, "issuer", "issuer_id", body);
		return 0;
	}
	if (verb_given(in, "issuer"))
		return refuse(why, E_CLI_USAGE, "emergency", "--issuer is of --type ca_compromise alone");
	if (named == NULL)
		return refuse(why, E_CLI_USAGE, "emergency", "name --all, --service, --template, --agent, --pattern or --ids-file");
	if (text_equal(named, "ids-file"))
		return read_ids(verb_value(in, named), body, why);
	json_t *value = text_equal(named, "all") ? json_true() : json_string(verb_value(in, named));
	json_object_set_new(body, "selector", json_pack("{s:o}", named, value));
	return 0;
}

static int emergency_body(const struct invocation *in, json_t **ret, struct refusal *why)
{
	static const char *const needed[] = {"incident", "reason", "type"};
	json_t                  *body = json_object();
	int                      r = 0;
	*why = (struct refusal){0};
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(needed); i++)
		if (!verb_given(in, needed[i]))
			r = refuse(why, E_CLI_USAGE, "emergency", "--%s is required", needed[i]);
	if (r == 0)
		r = select_certificates(in, body, why);
	set_text(in, "incident", "incident_id", body);
	set_text(in, "reason", "reason", body);
	set_text(in, "type", "incident_type", body);
	set_text(in, "revoke-old", "revoke_old", body);
	set_text(in, "invalidity-date", "invalidity_date", body);
	set_waves(in, body);
	if (verb_given(in, "fresh-keys"))
		json_object_set_new(body, "fresh_keys", json_true());
	if (r < 0) {
		json_decref(body);
		return EXIT_USAGE;
	}
	*ret = body;
	return EXIT_DONE;
}

static int emergency_plan(const struct invocation *in)
{
	struct refusal why;
	json_t        *body = NULL;
	int            r = emergency_body(in, &body, &why);
	return r == EXIT_DONE ? plan_and_print(in, LIFE "/emergency-recertification", body) : verb_fail(r, &why);
}

static int emergency_apply(const struct invocation *in)
{
	struct refusal why;
	json_t        *body = NULL;
	int            r = emergency_body(in, &body, &why);
	return r == EXIT_DONE ? apply(in, LIFE "/emergency-recertification", body, true) : verb_fail(r, &why);
}

#define PLANNED {"plan-hash", "HEX", "only if the plan is still the one with this hash and was not applied yet (exit code 8 else)"}
#define WATCHED {"watch", NULL, "follow it to its end"}, {"wait", "DURATION", "how long at most (default 1h)"}
#define SURE    {"yes", NULL, "ask nothing"}
#define WAVES                                                                                                                  \
	{"canary", "HOW", "go first, and may not fail: a number, 1%, service:NAME or pattern:NAME, =HOW-MANY"},                \
		{"waves", "LIST", "then these, each when the one before has ended well: 10%,30%,rest"},                        \
		{"halt-share", "SHARE", "halt when more of a wave fails, like 3% (without waves: of a batch)"},                \
		{"halt-count", "N", "halt when so many of a wave fail"},                                                       \
		{"rollback-on-halt", NULL, "when it halts by itself, what was renewed goes back"},                             \
		{"peer-proof", NULL, "done only when the relying parties have seen it from their own hosts"}
#define SELECTION                                                                                                              \
	{"all", NULL, "every certificate"}, {"service", "S", "of this service"}, {"template", "T", "of this template"},        \
		{"agent", "NAME", "on this host"}, {"pattern", "P", "of these names: NAME, or *.NAME for everything below"},   \
		{"ids-file", "FILE", "one cert_id a line"}
#define INCIDENT                                                                                                               \
	{"incident", "ID", "name of the incident"}, {"reason", "TEXT", "why, for the audit trail"},                            \
		{"type", "T", "key_compromise, host_compromise, ca_compromise, algorithm, misissuance, exercise, other"},      \
		{"issuer", "ISSUER_ID", "--type ca_compromise: the CA, instead of a selection"},                           \
		{"fresh-keys", NULL, "no key that was made before"},                                                           \
		{"revoke-old", "WHEN", "when the old certificate is revoked: proved, now, or after:4h (when proved, in 4 h at the latest)"},                        \
		{"invalidity-date", "TIME", "since when signatures of the key are worth nothing"}

const struct verb cli_bulk_verbs[] = {
	{"bulk", "plan", "", 0, 0, "what a bulk renewal would do, and its hash",
	 {{"pattern", "P", "names: NAME, or *.NAME for everything below (default: the whole domain)"},
	  {"type", "T", "only of this template"}, {"trigger", "T", "what the orders say (default manual)"}, WAVES},
	 bulk_plan},
	{"bulk", "apply", "", 0, 0, "renews in batches",
	 {{"pattern", "P", "names: NAME, or *.NAME for everything below (default: the whole domain)"},
	  {"type", "T", "only of this template"}, {"trigger", "T", "what the orders say (default manual)"}, WAVES, PLANNED, WATCHED, SURE},
	 bulk_apply},
	{"emergency", "plan", "", 0, 0, "what an emergency re-certification would do, and its hash", {INCIDENT, SELECTION, WAVES}, emergency_plan},
	{"emergency", "apply", "", 0, 0, "renews all at once and follows it to its end",
	 {INCIDENT, SELECTION, WAVES, PLANNED, SURE, {"wait", "DURATION", "how long to follow it at most (default 1h)"}}, emergency_apply},
	{"service", "renew-all", "NAME", 1, 1, "renews every certificate of a service in batches",
	 {{"type", "T", "only of this template"}, WAVES, PLANNED, WATCHED, SURE}, renew_all},
};
const size_t cli_bulk_verbs_n = N_ELEMENTS(cli_bulk_verbs);
