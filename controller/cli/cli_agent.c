/* cli_agent.c - room controller/cli: vccctl agent ...
 * Never: policy; the controller decides. */
#include <stdio.h>

#include "controller/cli/ask.h"
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
	{"targets", "targets", COLUMN_COUNT},   {"not in order", "degraded", COLUMN_LIST}, {"observed", "inventory.observed_at", COLUMN_TIME},
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
	return ask_list(in, "/api/v1/agents", "items", list_columns, N_ELEMENTS(list_columns));
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

static int release(const struct invocation *in)
{
	return one(in, "POST", "/release");
}

static json_t *name_list(const char *comma_list)
{
	json_t     *names = json_array();
	const char *cursor = comma_list;
	char        item[DNS_NAME_SIZE];
	while (text_item(&cursor, item, sizeof(item)))
		json_array_append_new(names, json_string(item));
	return names;
}

/* The token stands on a line of its own, so that it is pasted where the agent asks for it and not into a shell. */
static void print_invite(const json_t *answer)
{
	size_t  i;
	json_t *name;
	printf("%s may serve these names of service %s:\n\n", json_string_value(json_object_get(answer, "name")),
	       json_string_value(json_object_get(answer, "service")));
	json_array_foreach(json_object_get(answer, "names"), i, name)
		printf("  %s\n", json_string_value(name));
	printf("\nOn the host, as root, before %.16s UTC:\n\n", json_string_value(json_object_get(answer, "expires_at")));
	printf("  %s\n\n", json_string_value(json_object_get(answer, "command")));
	printf("It asks for this token, which works once:\n\n");
	printf("  %s\n", json_string_value(json_object_get(answer, "token")));
}

static int invite(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	const char    *service = verb_value(in, "service");
	if (service == NULL) {
		refuse(&why, E_CLI_USAGE, "agent invite", "--service is required");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = json_pack("{s:s, s:s}", "name", in->words[0], "service", service);
	if (verb_given(in, "names"))
		json_object_set_new(body, "names", name_list(verb_value(in, "names")));
	if (verb_given(in, "ttl"))
		json_object_set_new(body, "ttl", json_string(verb_value(in, "ttl")));
	int r = client_call(&in->client, "POST", "/api/v1/invites", body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		print_invite(answer);
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_agent_verbs[] = {
	{"agent", "invite", "NAME", 1, 1, "one-time token for a new host",
	 {{"service", "S", "service that the host runs"},
	  {"names", "PATTERN,...", "names it may ask for (default NAME.SERVICE.DOMAIN, SERVICE.DOMAIN)"},
	  {"ttl", "DURATION", "how long the token works (default 15m, at most 24h)"}},
	 invite},
	{"agent", "list", "", 0, 0, "agents and whether they are connected", {{0}}, list},
	{"agent", "show", "NAME", 1, 1, "one agent, and what its host serves by TLS", {{0}}, show},
	{"agent", "evict", "NAME", 1, 1, "ends its identity; it may be invited again", {{0}}, evict},
	{"agent", "release", "NAME", 1, 1, "a second host with its identity is gone: lets the next run in", {{0}}, release},
	{"agent", "ban", "NAME", 1, 1, "ends its identity; this host key never returns", {{0}}, ban},
};
const size_t cli_agent_verbs_n = N_ELEMENTS(cli_agent_verbs);
