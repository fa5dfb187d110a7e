/* cli_approval.c - room controller/cli: vccctl approval ...
 * A decision names the hash of what was shown: by --hash of what was seen before, else of what is printed now. Never: deciding without naming a hash. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "controller/cli/plan_lines.h"
#include "controller/cli/token_file.h"
#include "shared/base/id.h"
#include "shared/base/text.h"

#define APPROVALS "/api/v1/approvals"

static const struct output_column list_columns[] = {
	{"APPROVAL", "approval_id", COLUMN_ID}, {"KIND", "kind", COLUMN_TEXT},   {"OBJECT", "object", COLUMN_TEXT},
	{"SERVICE", "service", COLUMN_TEXT},      {"ASKED BY", "requester", COLUMN_TEXT}, {"STATUS", "status", COLUMN_TEXT},
	{"ENDS", "expires_at", COLUMN_AGE},       {"YOURS", "you_may_decide", COLUMN_YES},
};

static const struct output_column show_columns[] = {
	{"approval", "approval_id", COLUMN_TEXT}, {"kind", "kind", COLUMN_TEXT},         {"object", "object", COLUMN_TEXT},
	{"service", "service", COLUMN_TEXT},      {"asked by", "requester", COLUMN_TEXT}, {"person", "person", COLUMN_TEXT},
	{"status", "status", COLUMN_TEXT},        {"asked", "created_at", COLUMN_TIME},  {"ends", "expires_at", COLUMN_TIME},
	{"decided", "decided_at", COLUMN_TIME},   {"by", "decider", COLUMN_TEXT},        {"comment", "comment", COLUMN_TEXT},
	{"hash", "hash", COLUMN_TEXT},            {"you may decide", "you_may_decide", COLUMN_YES},
};

/* Of a campaign: what is agreed to. */
static const struct output_column campaign_columns[] = {
	{"certificates", "total_certificates", COLUMN_TEXT}, {"to be renewed", "renewed", COLUMN_TEXT},
	{"hosts", "hosts", COLUMN_TEXT},                     {"at a time", "batch", COLUMN_TEXT},
	{"fresh keys", "fresh_keys", COLUMN_TEXT},           {"revoke old", "revoke_old", COLUMN_TEXT},
	{"revoked by", "revoke_by", COLUMN_TIME},            {"invalid since", "invalidity_date", COLUMN_TIME},
	{"peer proof", "peer_proof", COLUMN_TEXT},           {"halts above (%)", "halt_share_percent", COLUMN_TEXT},
	{"halts at", "halt_count", COLUMN_TEXT},             {"back on halt", "rollback_on_halt", COLUMN_TEXT},
};

static int list(const struct invocation *in)
{
	return ask_list(in, verb_given(in, "all") ? APPROVALS "?state=all" : APPROVALS, "items", list_columns, N_ELEMENTS(list_columns));
}

/* The request as the table shows it, and then everything that it asks for, as it was hashed. */
static void print_request(const struct invocation *in, const json_t *approval)
{
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), approval);
	if (in->form != OUTPUT_TABLE)
		return;
	json_t *campaign = json_object_get(approval, "campaign");
	if (campaign != NULL) {
		if (json_integer_value(json_object_get(campaign, "batch")) == 0)
			json_object_set_new(campaign, "batch", json_string("all"));
		if (json_integer_value(json_object_get(campaign, "halt_count")) == 0)
			json_object_set_new(campaign, "halt_count", json_null());
		output_object(in->form, campaign_columns, N_ELEMENTS(campaign_columns), campaign);
		plan_print_waves(campaign);
		plan_print_services(campaign);
	}
	printf("\n");
	output_json(json_object_get(approval, "what"));
}

/* A change of policy that was agreed to is on its way. */
static void print_campaign(const struct invocation *in, const json_t *answer)
{
	const char *id = json_string_value(json_object_get(answer, "campaign_id"));
	if (in->form == OUTPUT_TABLE && id != NULL)
		printf("\ncampaign: vccctl campaign watch %s\n", id);
}

static int fetch(const struct invocation *in, json_t **ret, struct refusal *why)
{
	char      path[CLIENT_PATH_SIZE];
	struct id id;
	if (id_parse(in->words[0], &id) < 0) {
		refuse(why, E_NOT_FOUND, in->words[0], "this is no request's id; `vccctl approval list` shows them");
		return EXIT_NOT_FOUND;
	}
	snprintf(path, sizeof(path), APPROVALS "/%s", in->words[0]);
	return client_call(&in->client, "GET", path, NULL, NULL, ret, why);
}

static int show(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = fetch(in, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	print_request(in, answer);
	json_decref(answer);
	return EXIT_DONE;
}

static bool can_ask(const struct invocation *in)
{
	return in->form == OUTPUT_TABLE && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
}

/* Nobody agrees to what he has not seen: it is named by its hash, or shown here and now. A no needs neither. */
static int may_agree(const struct invocation *in, struct refusal *why)
{
	if (verb_given(in, "hash") || can_ask(in))
		return EXIT_DONE;
	refuse(why, E_CLI_USAGE, in->words[0], "say what you saw: --hash HEX, as `vccctl approval show %s` shows it", in->words[0]);
	return EXIT_USAGE;
}

static int person_agrees(const struct invocation *in, const json_t *seen, struct refusal *why)
{
	char line[16] = "";
	if (verb_given(in, "hash"))
		return EXIT_DONE;
	print_request(in, seen);
	fflush(stdout);
	if (!json_is_true(json_object_get(seen, "you_may_decide"))) { /* asked for nothing */
		refuse(why, E_APPROVAL_OWN, in->words[0], "the request is decided already, or was made by you or for you");
		return EXIT_DENIED;
	}
	fprintf(stderr, "\nType yes to agree: ");
	bool said = fgets(line, sizeof(line), stdin) != NULL;
	line[strcspn(line, "\n")] = '\0';
	if (said && text_equal(line, "yes"))
		return EXIT_DONE;
	refuse(why, E_CLI_USAGE, in->words[0], "it was not agreed to, and waits on");
	return EXIT_DENIED;
}

static int decide(const struct invocation *in, const char *verb, bool agrees)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *seen = NULL, *answer = NULL;
	int            r = agrees ? may_agree(in, &why) : EXIT_DONE;
	if (r == EXIT_DONE)
		r = token_file_free(in, &why);
	if (r == EXIT_DONE)
		r = fetch(in, &seen, &why);
	if (r == EXIT_DONE && agrees)
		r = person_agrees(in, seen, &why);
	if (r != EXIT_DONE) {
		json_decref(seen);
		return verb_fail(r, &why);
	}
	const char *hash = verb_given(in, "hash") ? verb_value(in, "hash") : json_string_value(json_object_get(seen, "hash"));
	json_t     *body = json_pack("{s:s}", "hash", hash);
	if (verb_given(in, "comment"))
		json_object_set_new(body, "comment", json_string(verb_value(in, "comment")));
	snprintf(path, sizeof(path), APPROVALS "/%s/%s", in->words[0], verb);
	r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	if (r == EXIT_DONE)
		r = token_file_take(in, answer, &why);
	if (r == EXIT_DONE) {
		print_request(in, answer);
		token_file_print(in, answer);
		print_campaign(in, answer);
	}
	json_decref(body);
	json_decref(seen);
	json_decref(answer);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

static int approve(const struct invocation *in)
{
	return decide(in, "approve", true);
}

static int reject(const struct invocation *in)
{
	return decide(in, "reject", false);
}

#define DECISION                                                                                                               \
	{"hash", "HEX", "only if it is still what `approval show` showed with this hash"}, {"comment", "TEXT", "why, for the record"}

const struct verb cli_approval_verbs[] = {
	{"approval", "list", "", 0, 0, "what waits for a second person", {{"all", NULL, "also what was decided"}}, list},
	{"approval", "show", "ID", 1, 1, "one request, and everything that it asks for", {{0}}, show},
	{"approval", "approve", "ID", 1, 1, "agrees to what --hash names, or to what it shows and asks about; never to one's own request", {DECISION, TOKEN_FILE_OPTION}, approve},
	{"approval", "reject", "ID", 1, 1, "ends the request", {DECISION}, reject},
};
const size_t cli_approval_verbs_n = N_ELEMENTS(cli_approval_verbs);
