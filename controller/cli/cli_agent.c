/* cli_agent.c - room controller/cli: vccctl agent ...
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/cli_invite.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

static const struct output_column list_columns[] = {
	{"AGENT", "name", COLUMN_TEXT},         {"SERVICE", "service", COLUMN_TEXT}, {"STATE", "state", COLUMN_TEXT},
	{"CONNECTED", "connected", COLUMN_YES}, {"SEEN", "seen_at", COLUMN_TIME},    {"IDENTITY", "identity_expires_at", COLUMN_AGE},
	{"VERSION", "version", COLUMN_TEXT},    {"COPY", "copy", COLUMN_TEXT},
};

static const struct output_column show_columns[] = {
	{"agent", "name", COLUMN_TEXT},         {"service", "service", COLUMN_TEXT},       {"state", "state", COLUMN_TEXT},
	{"connected", "connected", COLUMN_YES}, {"seen", "seen_at", COLUMN_TIME},          {"address", "address", COLUMN_TEXT},
	{"version", "version", COLUMN_TEXT},    {"names", "names", COLUMN_LIST},           {"host key", "host_key", COLUMN_TEXT},
	{"identity", "identity_expires_at", COLUMN_TIME}, {"joined", "joined_at", COLUMN_TIME}, {"clock skew ms", "clock_skew_ms", COLUMN_TEXT},
	{"targets", "targets", COLUMN_COUNT},   {"not in order", "degraded", COLUMN_LIST}, {"trust epoch", "trust_epoch", COLUMN_TEXT},
	{"observed", "inventory.observed_at", COLUMN_TIME},
	{"TLS listeners", "inventory.listeners_found", COLUMN_TEXT}, {"copy", "copy", COLUMN_TEXT},
	{"copy since", "copy_since", COLUMN_TIME}, {"copy's address", "copy_address", COLUMN_TEXT},
};

static const struct output_column inventory_columns[] = {
	{"LISTENER", "address", COLUMN_TEXT},      {"PROGRAM", "program", COLUMN_TEXT}, {"ENDS", "expires_at", COLUMN_AGE},
	{"CERTIFICATE", "cert_id", COLUMN_TEXT},   {"NAMES", "names", COLUMN_LIST},     {"ISSUER", "issuer", COLUMN_TEXT},
	{"SELF-SIGNED", "self_signed", COLUMN_YES},
};

static int list(const struct invocation *in)
{
	return ask_list(in, verb_given(in, "away") ? "/api/v1/agents?connected=no" : "/api/v1/agents", "items", list_columns, N_ELEMENTS(list_columns));
}

static int one(const struct invocation *in, const char *method, const char *format)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (!name_agent_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no agent name");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/agents/%s%s", in->words[0], format);
	return ask_object(in, method, path, NULL, show_columns, N_ELEMENTS(show_columns));
}

/* The agent, and what its host serves by TLS. */
static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *agent = NULL;
	json_t        *inventory = NULL;
	if (in->form == OUTPUT_CSV || !name_agent_ok(in->words[0]))
		return one(in, "GET", "");
	snprintf(path, sizeof(path), "/api/v1/agents/%s", in->words[0]);
	int r = client_call(&in->client, "GET", path, NULL, NULL, &agent, &why);
	snprintf(path, sizeof(path), "/api/v1/agents/%s/inventory", in->words[0]);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &inventory, &why);
	json_t *listeners = json_incref(json_object_get(inventory, "items")); /* a host has fewer than a page holds */
	if (r == EXIT_DONE) {
		json_object_set(inventory, "listeners", listeners);
		json_object_del(inventory, "items");
		json_object_del(inventory, "next_cursor");
		json_object_set(agent, "inventory", inventory);
		output_object(in->form, show_columns, N_ELEMENTS(show_columns), agent);
	}
	if (r == EXIT_DONE && in->form == OUTPUT_TABLE && json_array_size(listeners) > 0) {
		printf("\n");
		output_list(in->form, inventory_columns, N_ELEMENTS(inventory_columns), listeners);
	}
	json_decref(listeners);
	json_decref(inventory);
	json_decref(agent);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

static int evict(const struct invocation *in)
{
	return one(in, "POST", "/evict");
}

static int ban(const struct invocation *in)
{
	return one(in, "POST", "/ban");
}

static int remove_agent(const struct invocation *in)
{
	return one(in, "POST", "/remove");
}

static int release(const struct invocation *in)
{
	return one(in, "POST", "/release");
}

/* The agent as it is now in place of `*agent`; as it was when nobody can say. */
static void look_again(const struct invocation *in, const char *name, json_t **agent)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *now = NULL;
	snprintf(path, sizeof(path), "/api/v1/agents/%s", name);
	if (client_call(&in->client, "GET", path, NULL, NULL, &now, &why) != EXIT_DONE)
		return;
	json_decref(*agent);
	*agent = now;
}

static bool is_connected(const json_t *agent)
{
	return json_is_true(json_object_get(agent, "connected"));
}

/* The host is cut off for it and comes back by itself: who was there before is waited for, or he would look lost. */
static int rename_agent(const struct invocation *in)
{
	enum { LOOKS = 40 };
	static const struct timespec between = {.tv_nsec = 250000000};
	char                         path[CLIENT_PATH_SIZE];
	struct refusal               why;
	json_t                      *before = NULL;
	json_t                      *agent = NULL;
	if (!name_agent_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no agent's name");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	look_again(in, in->words[0], &before);
	snprintf(path, sizeof(path), "/api/v1/agents/%s/rename", in->words[0]);
	json_t *body = json_pack("{s:s}", "new_name", in->words[1]);
	int     r = client_call(&in->client, "POST", path, body, NULL, &agent, &why);
	for (int i = 0; r == EXIT_DONE && is_connected(before) && !is_connected(agent) && i < LOOKS; i++) {
		(void)nanosleep(&between, NULL);
		look_again(in, in->words[1], &agent);
	}
	if (r == EXIT_DONE)
		output_object(in->form, show_columns, N_ELEMENTS(show_columns), agent);
	json_decref(body);
	json_decref(before);
	json_decref(agent);
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

/* What it may do stays as it is; only the machine is another one. */
static int replace(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	if (!name_agent_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no agent's name");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	json_t *body = json_object();
	if (verb_given(in, "ttl"))
		json_object_set_new(body, "ttl", json_string(verb_value(in, "ttl")));
	snprintf(path, sizeof(path), "/api/v1/agents/%s/replace", in->words[0]);
	int r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		cli_invite_print(answer);
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_agent_verbs[] = {
	{"agent", "invite", "[NAME]", 0, 1, "one-time token for a new host, or many",
	 {{"service", "S", "service that the host runs"},
	  {"names", "PATTERN,...", "names it may ask for (default NAME.SERVICE.DOMAIN, SERVICE.DOMAIN)"},
	  {"ttl", "DURATION", "how long the token works (default 15m, at most 24h)"},
	  {"count", "N", "so many: NAME-1 to NAME-N"},
	  {"file", "FILE", "those of its lines: NAME [SERVICE [PATTERN,...]]"}},
	 cli_invite},
	{"agent", "replace", "NAME", 1, 1, "one-time token for the host that takes its place: same names and certificates, new keys",
	 {{"ttl", "DURATION", "how long the token works (default 15m, at most 24h)"}},
	 replace},
	{"agent", "rename", "NAME NEW_NAME", 2, 2, "another name for the host; its certificates keep theirs", {{0}}, rename_agent},
	{"agent", "list", "", 0, 0, "agents and whether they are connected", {{"away", NULL, "only active ones that are not connected"}}, list},
	{"agent", "show", "NAME", 1, 1, "one agent, and what its host serves by TLS", {{0}}, show},
	{"agent", "evict", "NAME", 1, 1, "ends its identity; it may be invited again", {{0}}, evict},
	{"agent", "remove", "NAME", 1, 1, "takes an evicted agent off the lists", {{0}}, remove_agent},
	{"agent", "release", "NAME", 1, 1, "a second host with its identity is gone: lets the next run in", {{0}}, release},
	{"agent", "ban", "NAME", 1, 1, "ends its identity; this host key never returns", {{0}}, ban},
};
const size_t cli_agent_verbs_n = N_ELEMENTS(cli_agent_verbs);
