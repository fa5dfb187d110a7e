/* cli_system.c - room controller/cli: vccctl status, whoami, explain.
 * Never: changing anything. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"

static const struct output_column status_columns[] = {
	{"controller", "status", COLUMN_TEXT},       {"store", "checks.store", COLUMN_TEXT},
	{"signer", "checks.signer", COLUMN_TEXT},    {"CRLs", "checks.crl", COLUMN_TEXT},
	{"gateway", "checks.gateway", COLUMN_TEXT},  {"warnings", "warnings", COLUMN_LIST},
	{"agents", "connected_agents", COLUMN_TEXT}, {"open orders", "open_orders", COLUMN_TEXT},
	{"since", "started_at", COLUMN_TIME},        {"version", "version", COLUMN_TEXT},
};

static const struct output_column who_columns[] = {
	{"principal", "principal", COLUMN_TEXT}, {"person", "person", COLUMN_TEXT},   {"by", "by", COLUMN_TEXT},
	{"roles", "roles", COLUMN_LIST},         {"services", "services", COLUMN_LIST}, {"token", "token.label", COLUMN_TEXT},
	{"token ends", "token.expires_at", COLUMN_TIME},
	{"domain", "domain", COLUMN_TEXT},       {"version", "version", COLUMN_TEXT},
};

/* Scripts ask by the exit status: what fails is named on stderr, whatever the form. */
static int status(const struct invocation *in)
{
	struct refusal why;
	const char    *name;
	json_t        *answer = NULL, *value;
	char           failed[128] = "";
	size_t         n = 0;
	int            r = client_call(&in->client, "GET", "/api/v1/status", NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, status_columns, N_ELEMENTS(status_columns), answer);
	json_object_foreach(json_object_get(answer, "checks"), name, value)
		if (!text_equal(json_string_value(value), "ok") && n < sizeof(failed))
			n += (size_t)snprintf(failed + n, sizeof(failed) - n, "%s%s", n > 0 ? ", " : "", name);
	json_decref(answer);
	if (n == 0)
		return EXIT_DONE;
	refuse(&why, E_CLI_NOT_READY, failed, "nothing can be renewed while this fails");
	return verb_fail(EXIT_FAILED, &why);
}

static int whoami(const struct invocation *in)
{
	return ask_object(in, "GET", "/api/v1/whoami", NULL, who_columns, N_ELEMENTS(who_columns));
}

static int explain(const struct invocation *in)
{
	struct refusal        why;
	char                  code[ERR_CODE_SIZE];
	int64_t               number = 0;
	const char           *word = in->words[0];
	const struct err_row *row = NULL;
	if (text_i64(strncasecmp(word, "VCC-", 4) == 0 ? word + 4 : word, 1, 9999, &number) == 0)
		row = err_find((int)number);
	if (row == NULL) {
		refuse(&why, E_NOT_FOUND, word, "there is no such code");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	err_code(row->number, code);
	if (in->form != OUTPUT_TABLE) {
		json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "code", code, "kind", err_kind_name(row->kind), "what", row->what, "next", row->next);
		output_json(o);
		json_decref(o);
		return EXIT_DONE;
	}
	char head[ERR_CODE_SIZE + 2];
	snprintf(head, sizeof(head), "%-9s", code);
	verb_say(stdout, 9, head, row->what);
	verb_say(stdout, 9, "kind     ", err_kind_name(row->kind));
	verb_say(stdout, 9, "next     ", row->next);
	return EXIT_DONE;
}

const struct verb cli_system_verbs[] = {
	{"status", NULL, "", 0, 0, "is the controller able to renew now?", {{0}}, status},
	{"whoami", NULL, "", 0, 0, "who the controller takes you for", {{0}}, whoami},
	{"explain", NULL, "CODE", 1, 1, "what a VCC-nnnn code means and what to do", {{0}}, explain},
};
const size_t cli_system_verbs_n = N_ELEMENTS(cli_system_verbs);
