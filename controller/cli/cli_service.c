/* cli_service.c - room controller/cli: vccctl service ...
 * Never: judging a service's description; the controller does. */
#include <stdio.h>

#include "controller/cli/ask.h"
#include "controller/cli/policy_file.h"
#include "shared/model/names.h"

#define SERVICES "/api/v1/services"

static const struct output_column list_columns[] = {
	{"SERVICE", "name", COLUMN_TEXT},        {"VERSION", "version", COLUMN_TEXT}, {"DEPENDS ON", "depends_on", COLUMN_LIST},
	{"NEEDED BY", "needed_by", COLUMN_LIST}, {"WINDOWS", "windows", COLUMN_LIST},
};

static const struct output_column show_columns[] = {
	{"service", "name", COLUMN_TEXT},
	{"version", "version", COLUMN_TEXT},
	{"depends on", "depends_on", COLUMN_LIST},
	{"needed by", "needed_by", COLUMN_LIST},
	{"windows", "windows", COLUMN_LIST},
	{"known since", "created_at", COLUMN_TIME},
	{"update since", "update.started_at", COLUMN_TIME},
	{"update at", "update.after", COLUMN_TEXT},
	{"relied on", "peer_proof.relied_on_count", COLUMN_TEXT},
	{"seen by all", "peer_proof.proved_count", COLUMN_TEXT},
	{"seen wrong", "peer_proof.refused_count", COLUMN_TEXT},
	{"relying hosts", "peer_proof.relying_agents", COLUMN_LIST},
};

static int list(const struct invocation *in)
{
	return ask_list(in, SERVICES, "items", list_columns, N_ELEMENTS(list_columns));
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = EXIT_DONE;
	if (!name_service_ok(in->words[0]))
		r = (refuse(&why, E_NOT_FOUND, in->words[0], "this is no service name"), EXIT_NOT_FOUND);
	snprintf(path, sizeof(path), SERVICES "/%s", in->words[0]);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), answer);
	if (in->form == OUTPUT_TABLE)
		policy_print_overrides(json_object_get(answer, "policy"));
	json_decref(answer);
	return EXIT_DONE;
}

static int apply(const struct invocation *in)
{
	return policy_file_apply(in, SERVICES, "name", false);
}

const struct verb cli_service_verbs[] = {
	{"service", "list", "", 0, 0, "services: what they depend on, when they may be touched", {{0}}, list},
	{"service", "show", "SERVICE", 1, 1, "one service, with what it says instead of its templates", {{0}}, show},
	{"service",
	 "apply",
	 "FILE",
	 1,
	 1,
	 "takes policy, windows and dependencies of the service in FILE",
	 {POLICY_APPLY_OPTIONS, {0}},
	 apply},
};
const size_t cli_service_verbs_n = N_ELEMENTS(cli_service_verbs);
