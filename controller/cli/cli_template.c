/* cli_template.c - room controller/cli: vccctl template ...
 * Never: judging a template; the controller does. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "controller/cli/ask.h"
#include "shared/model/names.h"
#include "shared/sys/file.h"

enum { TEMPLATE_FILE_MAX = 65536 };
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

/* What `apply` takes again, whatever -o says. */
static int export(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = template_path(in, path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

static int read_template(const char *path, json_t **ret, struct refusal *why)
{
	struct buf   text = BUF_MAX(TEMPLATE_FILE_MAX);
	json_error_t error;
	int          r = file_read(AT_FDCWD, path, false, &text, why);
	if (r == 0) {
		*ret = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(*ret))
			r = refuse(why, E_CLI_USAGE, path, "line %d: %s", *ret == NULL ? error.line : 1, *ret == NULL ? error.text : "not an object");
	}
	buf_free(&text);
	return r;
}

static int apply(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *body = NULL;
	json_t        *answer = NULL;
	if (read_template(in->words[0], &body, &why) < 0) {
		json_decref(body);
		return verb_fail(EXIT_USAGE, &why);
	}
	const char *id = json_string_value(json_object_get(body, "template_id"));
	if (id == NULL || !name_template_ok(id)) {
		json_decref(body);
		refuse(&why, E_POLICY_TEMPLATE, in->words[0], "template_id is missing or not allowed");
		return verb_fail(EXIT_FAILED, &why);
	}
	snprintf(path, sizeof(path), TEMPLATES "/%s", id);
	int r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		printf("%s\n", json_string_value(json_object_get(answer, "message")));
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_template_verbs[] = {
	{"template", "list", "", 0, 0, "templates in force", {{0}}, list},
	{"template", "show", "TEMPLATE", 1, 1, "one template", {{0}}, show},
	{"template", "export", "TEMPLATE", 1, 1, "as JSON, for apply", {{0}}, export},
	{"template", "apply", "FILE", 1, 1, "makes a new version of the template in FILE", {{0}}, apply},
};
const size_t cli_template_verbs_n = N_ELEMENTS(cli_template_verbs);
