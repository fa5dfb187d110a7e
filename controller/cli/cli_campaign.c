/* cli_campaign.c - room controller/cli: vccctl campaign ...
 * Never: policy; the controller decides. */
#include <stdio.h>

#include "controller/cli/ask.h"
#include "controller/cli/campaign_watch.h"
#include "shared/base/id.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/campaign.h"

#define CAMPAIGNS "/api/v1/campaigns"

static const struct output_column list_columns[] = {
	{"CAMPAIGN", "campaign_id", COLUMN_ID},      {"KIND", "kind", COLUMN_TEXT},           {"STATUS", "status", COLUMN_TEXT},
	{"SELECTION", "selector", COLUMN_TEXT},        {"TOTAL", "total_certificates", COLUMN_TEXT}, {"DONE", "successful_count", COLUMN_TEXT},
	{"FAILED", "failed_count", COLUMN_TEXT},       {"LEFT", "pending_count", COLUMN_TEXT}, {"BEGAN", "created_at", COLUMN_SINCE},
};

static const struct output_column show_columns[] = {
	{"campaign", "campaign_id", COLUMN_TEXT},   {"kind", "kind", COLUMN_TEXT},
	{"status", "status", COLUMN_TEXT},          {"cause", "cause", COLUMN_TEXT},
	{"selection", "selector", COLUMN_TEXT},     {"services", "services", COLUMN_LIST},
	{"asked by", "requester", COLUMN_TEXT},     {"reason", "reason", COLUMN_TEXT},
	{"incident", "incident_id", COLUMN_TEXT},   {"incident type", "incident_type", COLUMN_TEXT},
	{"fresh keys", "fresh_keys", COLUMN_TEXT},  {"revoke old", "revoke_old", COLUMN_TEXT},
	{"revoked by", "revoke_by", COLUMN_TIME},
	{"confirmation", "confirmation", COLUMN_TEXT}, {"total", "total_certificates", COLUMN_TEXT},
	{"done", "successful_count", COLUMN_TEXT},  {"failed", "failed_count", COLUMN_TEXT},
	{"skipped", "skipped_count", COLUMN_TEXT},  {"waiting", "waiting_count", COLUMN_TEXT},
	{"held", "held_count", COLUMN_TEXT},        {"in progress", "in_progress_count", COLUMN_TEXT},
	{"offline", "offline_count", COLUMN_TEXT},  {"dropped", "dropped_count", COLUMN_TEXT},
	{"rolled back", "rolled_back_count", COLUMN_TEXT}, {"kept", "kept_count", COLUMN_TEXT},
	{"peer proof", "peer_proof", COLUMN_TEXT},  {"peer unproved", "peer_unproved_count", COLUMN_TEXT},
	{"wave", "wave", COLUMN_TEXT},              {"of waves", "wave_count", COLUMN_TEXT},
	{"began", "started_at", COLUMN_TIME},       {"ended", "completed_at", COLUMN_TIME},
	{"plan hash", "plan_hash", COLUMN_TEXT},
};

static const struct output_column member_columns[] = {
	{"CERT_ID", "cert_id", COLUMN_TEXT}, {"SERVICE", "service", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},     {"CODE", "code", COLUMN_TEXT},       {"ERROR", "error", COLUMN_TEXT},
	{"WAITS FOR", "waits_for", COLUMN_TEXT}, {"FROM", "next_at", COLUMN_TIME},
};

static const struct output_column slowest_columns[] = {
	{"SLOWEST", "cert_id", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT}, {"STATE", "state", COLUMN_TEXT},
	{"FOR (S)", "seconds", COLUMN_TEXT}, {"WAITS FOR", "waits_for", COLUMN_TEXT},
};

static int campaign_path(const struct invocation *in, const char *format, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	struct id id;
	if (id_parse(in->words[0], &id) < 0) {
		refuse(why, E_NOT_FOUND, in->words[0], "this is no campaign's id; `vccctl campaign list` shows them");
		return EXIT_NOT_FOUND;
	}
	snprintf(ret, CLIENT_PATH_SIZE, format, in->words[0]);
	return EXIT_DONE;
}

static int list(const struct invocation *in)
{
	return ask_list(in, CAMPAIGNS, "items", list_columns, N_ELEMENTS(list_columns));
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	int            r = campaign_path(in, CAMPAIGNS "/%s", path, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	json_t *campaign = NULL;
	r = client_call(&in->client, "GET", path, NULL, NULL, &campaign, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), campaign);
	json_t *slowest = json_object_get(campaign, "slowest");
	if (in->form == OUTPUT_TABLE && json_array_size(slowest) > 0) {
		printf("\n");
		output_list(in->form, slowest_columns, N_ELEMENTS(slowest_columns), slowest);
	}
	json_decref(campaign);
	if (in->form != OUTPUT_TABLE)
		return EXIT_DONE;
	printf("\n");
	r = campaign_path(in, CAMPAIGNS "/%s/members", path, &why);
	return r == EXIT_DONE ? ask_list(in, path, "items", member_columns, N_ELEMENTS(member_columns)) : verb_fail(r, &why);
}

static int watch(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	int64_t        wait_ms;
	int            r = campaign_path(in, "%s", path, &why);
	if (r == EXIT_DONE)
		r = campaign_wait_option(in, MS_HOUR, &wait_ms, &why);
	if (r == EXIT_DONE && verb_given(in, "once"))
		return campaign_look(in, in->words[0]);
	return r == EXIT_DONE ? campaign_watch(in, in->words[0], wait_ms) : verb_fail(r, &why);
}

static int rollback(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *body = json_object();
	int64_t        wave = 0;
	int            r = campaign_path(in, CAMPAIGNS "/%s/rollback", path, &why);
	if (r == EXIT_DONE && verb_given(in, "wave") && text_i64(verb_value(in, "wave"), 1, WAVES_MAX, &wave) < 0) {
		refuse(&why, E_CLI_USAGE, "--wave", "must be the number of a wave, from 1 on");
		r = EXIT_USAGE;
	}
	if (wave > 0)
		json_object_set_new(body, "wave", json_integer((json_int_t)wave));
	if (r == EXIT_DONE)
		r = ask_object(in, "POST", path, body, show_columns, N_ELEMENTS(show_columns));
	else
		r = verb_fail(r, &why);
	json_decref(body);
	return r;
}

static int word(const struct invocation *in, const char *format)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	int            r = campaign_path(in, format, path, &why);
	return r == EXIT_DONE ? ask_object(in, "POST", path, NULL, show_columns, N_ELEMENTS(show_columns)) : verb_fail(r, &why);
}

static int halt(const struct invocation *in)
{
	return word(in, CAMPAIGNS "/%s/halt");
}

static int resume(const struct invocation *in)
{
	return word(in, CAMPAIGNS "/%s/resume");
}

static int cancel(const struct invocation *in)
{
	return word(in, CAMPAIGNS "/%s/cancel");
}

const struct verb cli_campaign_verbs[] = {
	{"campaign", "list", "", 0, 0, "campaigns, newest first", {{0}}, list},
	{"campaign", "show", "ID", 1, 1, "one campaign with each of its certificates", {{0}}, show},
	{"campaign", "watch", "ID", 1, 1, "follows it to its end on one screen; exit code 6 when it is partly done or halted",
	 {{"wait", "DURATION", "how long at most (default 1h)"}, {"once", NULL, "one screen, as it is now"}}, watch},
	{"campaign", "halt", "ID", 1, 1, "sends nothing more; what was sent finishes", {{0}}, halt},
	{"campaign", "resume", "ID", 1, 1, "goes on with a halted campaign", {{0}}, resume},
	{"campaign", "cancel", "ID", 1, 1, "drops for good what was not sent", {{0}}, cancel},
	{"campaign", "rollback", "ID", 1, 1, "puts the certificates before in use again, while they are in their grace",
	 {{"wave", "N", "of this wave alone (default: of all that was touched)"}}, rollback},
};
const size_t cli_campaign_verbs_n = N_ELEMENTS(cli_campaign_verbs);
