/* cli_ca.c - room controller/cli: vccctl ca list, show, trust, revoke.
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

static const struct output_column columns[] = {
	{"CA", "issuer_id", COLUMN_TEXT},     {"ROLE", "role", COLUMN_TEXT},   {"STATE", "state", COLUMN_TEXT},
	{"KEY", "key_type", COLUMN_TEXT},     {"ENDS", "expires_at", COLUMN_AGE}, {"PERMITTED", "permitted", COLUMN_LIST},
};
static const struct output_column show_columns[] = {
	{"ca", "issuer_id", COLUMN_TEXT},
	{"role", "role", COLUMN_TEXT},
	{"state", "state", COLUMN_TEXT},
	{"issued by", "parent_id", COLUMN_TEXT},
	{"subject", "subject", COLUMN_TEXT},
	{"key", "key_type", COLUMN_TEXT},
	{"serial", "serial", COLUMN_TEXT},
	{"fingerprint", "fingerprint", COLUMN_TEXT},
	{"valid from", "not_before", COLUMN_TIME},
	{"valid to", "expires_at", COLUMN_TIME},
	{"permitted", "permitted", COLUMN_LIST},
	{"list number", "crl_number", COLUMN_TEXT},
	{"certificates", "live.certificates", COLUMN_TEXT},
	{"identities", "live.identities", COLUMN_TEXT},
	{"revoked at", "revoked_at", COLUMN_TIME},
	{"reason", "revocation_reason", COLUMN_TEXT},
};
static const struct output_column waits_columns[] = {
	{"status", "status", COLUMN_TEXT},
	{"approval", "approval_id", COLUMN_TEXT},
};
static const struct output_column service_columns[] = {{"SERVICE", "service", COLUMN_TEXT}, {"CERTIFICATES", "certificates", COLUMN_TEXT}};

static int list(const struct invocation *in)
{
	return ask_list(in, "/api/v1/ca", "items", columns, N_ELEMENTS(columns));
}

static int path_of(const struct invocation *in, const char *verb, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	if (!name_cert_id_ok(in->words[0])) /* the names of CAs have the same form */
		return refuse(why, E_NOT_FOUND, in->words[0], "this is no CA; `vccctl ca list` shows them"), EXIT_NOT_FOUND;
	snprintf(ret, CLIENT_PATH_SIZE, "/api/v1/ca/%s%s", in->words[0], verb);
	return EXIT_DONE;
}

static int show(const struct invocation *in)
{
	struct refusal why;
	char           path[CLIENT_PATH_SIZE];
	int            r = path_of(in, "", path, &why);
	return r == EXIT_DONE ? ask_object(in, "GET", path, NULL, show_columns, N_ELEMENTS(show_columns)) : verb_fail(r, &why);
}

/* What would end with it, by service, for whoever was refused. */
static void print_breaks(const struct invocation *in, const char *path)
{
	struct refusal why;
	json_t        *answer = NULL;
	if (in->form != OUTPUT_TABLE || client_call(&in->client, "GET", path, NULL, NULL, &answer, &why) != EXIT_DONE)
		return;
	output_list(in->form, service_columns, N_ELEMENTS(service_columns), json_object_get(json_object_get(answer, "live"), "services"));
	json_decref(answer);
}

static int revoke(const struct invocation *in)
{
	struct refusal why;
	char           path[CLIENT_PATH_SIZE], shown[CLIENT_PATH_SIZE];
	json_t        *answer = NULL;
	int            r = path_of(in, "/revoke", path, &why);
	if (r == EXIT_DONE)
		r = path_of(in, "", shown, &why);
	if (r == EXIT_DONE && verb_value(in, "reason") == NULL)
		r = (refuse(&why, E_CLI_USAGE, "ca revoke", "--reason is required (keyCompromise, superseded, cessationOfOperation, ...)"), EXIT_USAGE);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	json_t *body = json_pack("{s:s, s:b}", "reason", verb_value(in, "reason"), "force", verb_given(in, "force") ? 1 : 0);
	r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE) {
		if (why.code == E_CA_IN_USE)
			print_breaks(in, shown);
		return verb_fail(why.code == E_CA_IN_USE ? EXIT_DENIED : r, &why);
	}
	output_object(in->form, waits_columns, N_ELEMENTS(waits_columns), answer);
	r = ask_exit(answer);
	json_decref(answer);
	return r;
}

static const struct output_column trust_columns[] = {
	{"epoch", "epoch", COLUMN_TEXT},       {"made", "made_at", COLUMN_TIME},      {"proved", "proved", COLUMN_TEXT},
	{"reloaded", "reloaded", COLUMN_TEXT}, {"unproved", "unproved", COLUMN_TEXT}, {"behind", "behind", COLUMN_TEXT},
	{"away", "away", COLUMN_TEXT},         {"no service", "idle", COLUMN_TEXT},   {"kept back", "kept_back.epoch", COLUMN_TEXT},
};
static const struct output_column root_columns[] = {
	{"ROOT", "issuer_id", COLUMN_TEXT}, {"SUBJECT", "subject", COLUMN_TEXT}, {"ENDS", "expires_at", COLUMN_AGE}, {"FINGERPRINT", "fingerprint", COLUMN_TEXT},
};
static const struct output_column host_columns[] = {
	{"AGENT", "agent", COLUMN_TEXT},     {"STATE", "state", COLUMN_TEXT},  {"SERVICES", "targets", COLUMN_TEXT},
	{"EPOCH", "trust_epoch", COLUMN_TEXT}, {"SEEN", "seen_at", COLUMN_SINCE},
};

/* The roots that hosts get, how many hosts are how far, and which are not. */
static int trust(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = client_call(&in->client, "GET", "/api/v1/trust", NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, trust_columns, N_ELEMENTS(trust_columns), answer);
	if (in->form == OUTPUT_TABLE) {
		printf("\n");
		output_list(in->form, root_columns, N_ELEMENTS(root_columns), json_object_get(answer, "roots"));
		if (json_array_size(json_object_get(answer, "items")) > 0) {
			printf("\n");
			output_list(in->form, host_columns, N_ELEMENTS(host_columns), json_object_get(answer, "items"));
		}
	}
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_ca_verbs[] = {
	{"ca", "list", "", 0, 0, "CAs: role, state, end, names they may issue", {{NULL, NULL, NULL}}, list},
	{"ca", "show", "ISSUER_ID", 1, 1, "one CA, and how much lives below it", {{NULL, NULL, NULL}}, show},
	{"ca", "trust", "", 0, 0, "the roots that hosts are given, and how far hosts are", {{NULL, NULL, NULL}}, trust},
	{"ca",
	 "revoke",
	 "ISSUER_ID",
	 1,
	 1,
	 "asks a second person to revoke a CA: everything it signed ends with it",
	 {{"reason", "REASON", "keyCompromise, superseded, cessationOfOperation, ..."},
	  {"force", NULL, "although certificates below it are in force"},
	  {NULL, NULL, NULL}},
	 revoke},
};
const size_t cli_ca_verbs_n = N_ELEMENTS(cli_ca_verbs);
