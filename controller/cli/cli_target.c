/* cli_target.c - room controller/cli: vccctl target ...
 * Never: policy; the controller decides. */
#include <stdio.h>

#include "controller/cli/verb.h"
#include "shared/model/certificate.h"

static const struct output_column columns[] = {
	{"TARGET", "target_id", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT},      {"FILE", "file", COLUMN_TEXT},
	{"RELOAD", "reload", COLUMN_TEXT},   {"VERIFY", "verify", COLUMN_TEXT},    {"PROVED", "proved_at", COLUMN_TIME},
	{"LISTS CURRENT", "crl_current", COLUMN_YES},
	{"ERROR", "error", COLUMN_TEXT},     {"LISTENERS", "listeners", COLUMN_LIST},
};

static int list(const struct invocation *in)
{
	struct refusal why;
	json_t        *items = NULL;
	int            r = client_list(&in->client, "/api/v1/targets", &items, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_list(in->form, columns, N_ELEMENTS(columns), items);
	json_decref(items);
	return EXIT_DONE;
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	if (!target_id_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no target; `vccctl target list` names them");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/targets/%s", in->words[0]);
	int r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, columns, N_ELEMENTS(columns), answer);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_target_verbs[] = {
	{"target", "list", "", 0, 0, "where certificates are served", {{0}}, list},
	{"target", "show", "TARGET", 1, 1, "one target", {{0}}, show},
};
const size_t cli_target_verbs_n = N_ELEMENTS(cli_target_verbs);
