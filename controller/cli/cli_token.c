/* cli_token.c - room controller/cli: vccctl token ...
 * Never: keeping a token; it is printed once, or written into the file that was named. */
#include <fcntl.h>
#include <stdio.h>

#include "controller/cli/ask.h"
#include "controller/cli/token_file.h"
#include "shared/base/id.h"
#include "shared/base/text.h"
#include "shared/model/agent.h"

#define TOKENS "/api/v1/tokens"

static const struct output_column list_columns[] = {
	{"TOKEN", "token_id", COLUMN_ID}, {"PRINCIPAL", "principal", COLUMN_TEXT}, {"LABEL", "label", COLUMN_TEXT},
	{"ROLES", "roles", COLUMN_LIST},    {"SERVICES", "services", COLUMN_LIST},   {"ENDS", "expires_at", COLUMN_AGE},
	{"USED", "used_at", COLUMN_SINCE},    {"REVOKED", "revoked_at", COLUMN_SINCE},
};

static const struct output_column show_columns[] = {
	{"token", "token_id", COLUMN_TEXT},    {"principal", "principal", COLUMN_TEXT}, {"label", "label", COLUMN_TEXT},
	{"roles", "roles", COLUMN_LIST},       {"services", "services", COLUMN_LIST},   {"ends", "expires_at", COLUMN_TIME},
	{"revoked", "revoked_at", COLUMN_TIME}, {"waits for", "approval_id", COLUMN_TEXT},
};

static int list(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (in->n_words == 0)
		return ask_list(in, TOKENS, "items", list_columns, N_ELEMENTS(list_columns));
	if (!name_principal_ok(in->words[0])) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no name of a principal");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), TOKENS "?principal=%s", in->words[0]);
	return ask_list(in, path, "items", list_columns, N_ELEMENTS(list_columns));
}

static json_t *request(const struct invocation *in)
{
	static const char *const texts[] = {"label", "ttl"}, *const lists[] = {"roles", "services"};
	json_t                  *body = json_object();
	if (in->n_words > 0)
		json_object_set_new(body, "principal", json_string(in->words[0]));
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		if (verb_given(in, texts[i]))
			json_object_set_new(body, texts[i], json_string(verb_value(in, texts[i])));
	for (size_t i = 0; i < N_ELEMENTS(lists); i++)
		if (verb_given(in, lists[i]))
			json_object_set_new(body, lists[i], ask_text_list(verb_value(in, lists[i])));
	return body;
}

static int create(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL, *body = request(in);
	int            r = token_file_free(in, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "POST", TOKENS, body, NULL, &answer, &why);
	json_decref(body);
	if (r == EXIT_DONE)
		r = token_file_take(in, answer, &why);
	if (r != EXIT_DONE) {
		json_decref(answer);
		return verb_fail(r, &why);
	}
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), answer);
	token_file_print(in, answer);
	r = ask_exit(answer);
	json_decref(answer);
	return r;
}

static int revoke(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct id      id;
	struct refusal why;
	if (id_parse(in->words[0], &id) < 0) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no token's id; `vccctl token list` shows them");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), TOKENS "/%s/revoke", in->words[0]);
	return ask_object(in, "POST", path, NULL, show_columns, N_ELEMENTS(show_columns));
}

const struct verb cli_token_verbs[] = {
	{"token", "create", "[PRINCIPAL]", 0, 1, "a new bearer token, shown once (default: for oneself)",
	 {{"label", "TEXT", "what it is for"},
	  {"ttl", "DURATION", "how long it works (default 90d, at most 366d)"},
	  {"roles", "ROLE,...", "only these of the principal's roles"},
	  {"services", "S,...", "only these of the principal's services"},
	  TOKEN_FILE_OPTION},
	 create},
	{"token", "list", "[PRINCIPAL]", 0, 1, "tokens without their secret", {{0}}, list},
	{"token", "revoke", "TOKEN_ID", 1, 1, "ends a token at once", {{0}}, revoke},
};
const size_t cli_token_verbs_n = N_ELEMENTS(cli_token_verbs);
