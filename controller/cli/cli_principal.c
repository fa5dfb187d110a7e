/* cli_principal.c - room controller/cli: vccctl principal ...
 * Never: rights; the controller decides. */
#include <stdio.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/model/agent.h"

#define PRINCIPALS "/api/v1/principals"

static const struct output_column list_columns[] = {
	{"PRINCIPAL", "name", COLUMN_TEXT},   {"PERSON", "person", COLUMN_TEXT},       {"ROLES", "roles", COLUMN_LIST},
	{"SERVICES", "services", COLUMN_LIST}, {"DISABLED", "disabled", COLUMN_YES},
};

static const struct output_column show_columns[] = {
	{"principal", "name", COLUMN_TEXT},    {"person", "person", COLUMN_TEXT},      {"roles", "roles", COLUMN_LIST},
	{"services", "services", COLUMN_LIST}, {"mail", "mail", COLUMN_TEXT},
	{"disabled", "disabled", COLUMN_YES},   {"created", "created_at", COLUMN_TIME},
	{"changed by", "changed_by", COLUMN_TEXT},
	{"waits for", "approval_id", COLUMN_TEXT}, /* when a second person is needed first */
};

static int list(const struct invocation *in)
{
	return ask_list(in, PRINCIPALS, "items", list_columns, N_ELEMENTS(list_columns));
}

static int one(const struct invocation *in, const char *method, const json_t *body)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (!name_principal_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no name of a principal");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), PRINCIPALS "/%s", in->words[0]);
	return ask_object(in, method, path, body, show_columns, N_ELEMENTS(show_columns));
}

static int show(const struct invocation *in)
{
	return one(in, "GET", NULL);
}

/* --services all lifts the limit. */
static void add_options(const struct invocation *in, json_t *body)
{
	const char *services = verb_value(in, "services");
	if (verb_given(in, "roles"))
		json_object_set_new(body, "roles", ask_text_list(verb_value(in, "roles")));
	if (services != NULL)
		json_object_set_new(body, "services", text_equal(services, "all") ? json_null() : ask_text_list(services));
	if (verb_given(in, "person"))
		json_object_set_new(body, "person", json_string(verb_value(in, "person")));
	if (verb_given(in, "mail"))
		json_object_set_new(body, "mail", text_equal(verb_value(in, "mail"), "none") ? json_null() : json_string(verb_value(in, "mail")));
	if (verb_given(in, "machine"))
		json_object_set_new(body, "person", json_null());
}

static int create(const struct invocation *in)
{
	struct refusal why;
	if (!verb_given(in, "roles")) {
		refuse(&why, E_CLI_USAGE, "principal create", "--roles is required");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = json_pack("{s:s,s:s}", "name", in->words[0], "person", in->words[0]);
	add_options(in, body);
	int r = ask_object(in, "POST", PRINCIPALS, body, show_columns, N_ELEMENTS(show_columns));
	json_decref(body);
	return r;
}

static int set_role(const struct invocation *in)
{
	struct refusal why;
	json_t        *body = json_object();
	add_options(in, body);
	int r = EXIT_USAGE;
	if (json_object_size(body) == 0) {
		refuse(&why, E_CLI_USAGE, "principal set-role", "nothing was named that changes: --roles, --services, --person, --machine, --mail");
		verb_fail(r, &why);
	} else {
		r = one(in, "POST", body);
	}
	json_decref(body);
	return r;
}

static int set_disabled(const struct invocation *in, bool disabled)
{
	json_t *body = json_pack("{s:b}", "disabled", disabled);
	int     r = one(in, "POST", body);
	json_decref(body);
	return r;
}

static int disable(const struct invocation *in)
{
	return set_disabled(in, true);
}

static int enable(const struct invocation *in)
{
	return set_disabled(in, false);
}

#define RIGHTS                                                                                                                 \
	{"roles", "ROLE,...", "viewer, operator, approver, auditor, admin"}, {"services", "S,...", "only these services; `all` = no limit"}, \
	{"person", "NAME", "the person who acts by it (default: its name)"},                                                   \
	{"machine", NULL, "no person acts by it"}, {"mail", "ADDRESS", "where it is told of requests that it may decide; `none` takes it away"}

const struct verb cli_principal_verbs[] = {
	{"principal", "list", "", 0, 0, "persons and machines that act here, and their roles", {{0}}, list},
	{"principal", "show", "NAME", 1, 1, "one principal", {{0}}, show},
	{"principal", "create", "NAME", 1, 1, "a new principal; one that may approve waits for an approval", {RIGHTS}, create},
	{"principal", "set-role", "NAME", 1, 1, "changes its roles, services, person or address; never one's own", {RIGHTS}, set_role},
	{"principal", "disable", "NAME", 1, 1, "its tokens and certificates work no longer", {{0}}, disable},
	{"principal", "enable", "NAME", 1, 1, "takes back a disable", {{0}}, enable},
};
const size_t cli_principal_verbs_n = N_ELEMENTS(cli_principal_verbs);
