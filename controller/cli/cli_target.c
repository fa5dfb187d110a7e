/* cli_target.c - room controller/cli: vccctl target ...
 * Never: policy; the controller decides. */
#include <stdio.h>

#include "controller/cli/ask.h"
#include "shared/model/certificate.h"

static const struct output_column list_columns[] = {
	{"TARGET", "target_id", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT},   {"FILE", "file", COLUMN_TEXT},
	{"RELOAD", "reload", COLUMN_TEXT},   {"VERIFY", "verify", COLUMN_TEXT}, {"PROVED", "proved_at", COLUMN_SINCE},
	{"ERROR", "error", COLUMN_TEXT},     {"LISTENERS", "listeners", COLUMN_LIST},
};

static const struct output_column show_columns[] = {
	{"certificate", "cert_id", COLUMN_TEXT}, {"agent", "agent", COLUMN_TEXT},   {"file", "file", COLUMN_TEXT},
	{"reload", "reload", COLUMN_TEXT},       {"verify", "verify", COLUMN_TEXT}, {"proved at", "proved_at", COLUMN_TIME},
	{"last error", "error", COLUMN_TEXT},    {"lists current", "crl_current", COLUMN_YES}, {"listeners", "listeners", COLUMN_LIST},
};

static int list(const struct invocation *in)
{
	const char *path = verb_given(in, "changed") ? "/api/v1/targets?show=changed" : verb_given(in, "trouble") ? "/api/v1/targets?show=trouble" : "/api/v1/targets";
	return ask_list(in, path, "items", list_columns, N_ELEMENTS(list_columns));
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (!target_id_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no target; `vccctl target list` names them");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/targets/%s", in->words[0]);
	return ask_object(in, "GET", path, NULL, show_columns, N_ELEMENTS(show_columns));
}

const struct verb cli_target_verbs[] = {
	{"target", "list", "", 0, 0, "where certificates are served",
	 {{"changed", NULL, "only those whose files somebody changed within a day"}, {"trouble", NULL, "only those with an error or an old certificate served"}}, list},
	{"target", "show", "TARGET", 1, 1, "one target", {{0}}, show},
};
const size_t cli_target_verbs_n = N_ELEMENTS(cli_target_verbs);
