/* cli_template.c - room controller/cli: vccctl template ...
 * Never: judging a template; the controller does. */
#include <stdio.h>

#include "controller/cli/ask.h"
#include "controller/cli/policy_file.h"
#include "shared/model/names.h"

#define TEMPLATES "/api/v1/certificates/lifecycle/templates"

static const struct output_column columns[] = {
	{"TEMPLATE", "template_id", COLUMN_TEXT},   {"VERSION", "version", COLUMN_TEXT},    {"KEY", "key_type", COLUMN_TEXT},
	{"SIZE", "key_size", COLUMN_TEXT},          {"VALIDITY", "validity_period", COLUMN_TEXT}, {"AUTO", "auto_renewal_enabled", COLUMN_YES},
	{"SERVICE", "vcc_service_type", COLUMN_TEXT},
};

static const struct output_column show_columns[] = {
	{"template", "template_id", COLUMN_TEXT}, {"version", "version", COLUMN_TEXT}, {"name", "name", COLUMN_TEXT},
	{"description", "description", COLUMN_TEXT}, {"validity", "validity_period", COLUMN_TEXT},
	{"key type", "key_type", COLUMN_TEXT}, {"key size", "key_size", COLUMN_TEXT}, {"hash", "hash_algorithm", COLUMN_TEXT},
	{"key usage", "key_usage", COLUMN_LIST}, {"extended", "extended_key_usage", COLUMN_LIST},
	{"names", "subject_alt_names", COLUMN_LIST}, {"service", "vcc_service_type", COLUMN_TEXT},
	{"purpose", "certificate_purpose", COLUMN_TEXT}, {"auto renewal", "auto_renewal_enabled", COLUMN_YES},
	{"threshold d", "renewal_threshold_days", COLUMN_TEXT}, {"emergency d", "emergency_threshold_days", COLUMN_TEXT},
	{"max renewals", "max_renewals", COLUMN_TEXT}, {"attempts", "max_renewal_attempts", COLUMN_TEXT},
	{"retry", "retry_interval", COLUMN_TEXT}, {"profiles", "compliance_profiles", COLUMN_LIST},
	{"audit", "audit_level", COLUMN_TEXT}, {"update since", "update.started_at", COLUMN_TIME},
};

static int list(const struct invocation *in)
{
	return ask_whole_list(in, TEMPLATES, "templates", columns, N_ELEMENTS(columns));
}

static int template_path(const struct invocation *in, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	if (!name_template_ok(in->words[0])) {
		refuse(why, E_NOT_FOUND, in->words[0], "this is no template_id");
		return EXIT_NOT_FOUND;
	}
	snprintf(ret, CLIENT_PATH_SIZE, TEMPLATES "/%s", in->words[0]);
	return EXIT_DONE;
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	int            r = template_path(in, path, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	return ask_object(in, "GET", path, NULL, show_columns, N_ELEMENTS(show_columns));
}

/* What `apply` takes again, whatever -o says: without what follows from other fields, so that one edit is enough. */
static int export(const struct invocation *in)
{
	static const char *const derived[] = {"validity_period_days", "validity_seconds", "created_at", "update"};
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = template_path(in, path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	for (size_t i = 0; i < N_ELEMENTS(derived); i++)
		json_object_del(answer, derived[i]);
	output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

static int apply(const struct invocation *in)
{
	return policy_file_apply(in, TEMPLATES, "template_id", true);
}

const struct verb cli_template_verbs[] = {
	{"template", "list", "", 0, 0, "templates in force", {{0}}, list},
	{"template", "show", "TEMPLATE", 1, 1, "one template", {{0}}, show},
	{"template", "export", "TEMPLATE", 1, 1, "as JSON, for apply", {{0}}, export},
	{"template", "apply", "FILE", 1, 1, "makes a new version of the template in FILE, and renews what it affects", {POLICY_APPLY_OPTIONS, {0}}, apply},
};
const size_t cli_template_verbs_n = N_ELEMENTS(cli_template_verbs);
