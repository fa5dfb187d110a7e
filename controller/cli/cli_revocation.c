/* cli_revocation.c - room controller/cli: vccctl cert revoke, suspend, resume, and crl.
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

static const struct output_column standing_columns[] = {
	{"certificate", "cert_id", COLUMN_TEXT},
	{"state", "status", COLUMN_TEXT},
	{"issued", "serial", COLUMN_TEXT},
	{"valid to", "expires_at", COLUMN_TIME},
	{"suspended at", "suspended_at", COLUMN_TIME},
	{"revoked at", "revoked_at", COLUMN_TIME},
	{"renews at", "renew_at", COLUMN_TIME},
	{"renewal", "renewal_id", COLUMN_TEXT},
};

static int call_certificate(const struct invocation *in, const char *verb, const json_t *body, json_t **ret,
			    struct refusal *why)
{
	char path[CLIENT_PATH_SIZE];
	if (!name_cert_id_ok(in->words[0])) {
		refuse(why, E_NOT_FOUND, in->words[0], "this is no cert_id");
		return EXIT_NOT_FOUND;
	}
	snprintf(path, sizeof(path), "/api/v1/certificates/%s/%s", in->words[0], verb);
	return client_call(&in->client, "POST", path, body, NULL, ret, why);
}

static int print_standing(const struct invocation *in, json_t *answer)
{
	int r = ask_exit(answer);
	output_object(in->form, standing_columns, N_ELEMENTS(standing_columns), answer);
	json_decref(answer);
	return r;
}

/* ---- revoke ------------------------------------------------------------------------------------------------------ */

/* The second question, to somebody who sits there: the name has to be typed, a key pressed by habit is not enough. */
static bool person_confirms(const char *cert_id, const struct refusal *why)
{
	char line[128] = "";
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return false;
	fprintf(stderr, "%s: %s.\nType %s to revoke it all the same: ", why->object, why->cause, cert_id);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return false;
	line[strcspn(line, "\n")] = '\0';
	return text_equal(line, cert_id);
}

static int revoke_certificate(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	const char    *reason = verb_value(in, "reason");
	if (reason == NULL) {
		refuse(&why, E_CLI_USAGE, "cert revoke",
		       "--reason is required (keyCompromise, superseded, cessationOfOperation, ...)");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = json_pack("{s:s, s:b, s:b}", "reason", reason, "replace", verb_given(in, "replace") ? 1 : 0, "confirm",
				 verb_given(in, "yes") ? 1 : 0);
	int     r = call_certificate(in, "revoke", body, &answer, &why);
	if (r != EXIT_DONE && why.code == E_REVOKE_LAST && person_confirms(in->words[0], &why)) {
		json_object_set_new(body, "confirm", json_true());
		r = call_certificate(in, "revoke", body, &answer, &why);
	}
	json_decref(body);
	return r == EXIT_DONE ? print_standing(in, answer) : verb_fail(why.code == E_REVOKE_LAST ? EXIT_DENIED : r, &why);
}

/* ---- suspend, resume --------------------------------------------------------------------------------------------- */

static int change(const struct invocation *in, const char *verb)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = call_certificate(in, verb, NULL, &answer, &why);
	return r == EXIT_DONE ? print_standing(in, answer) : verb_fail(r, &why);
}

static int suspend(const struct invocation *in)
{
	return change(in, "suspend");
}

static int resume(const struct invocation *in)
{
	return change(in, "resume");
}

static int rollback(const struct invocation *in)
{
	return change(in, "rollback");
}

/* ---- crl --------------------------------------------------------------------------------------------------------- */

static const struct output_column list_columns[] = {
	{"ISSUER", "issuer", COLUMN_TEXT},   {"SHARD", "shard", COLUMN_TEXT},      {"NUMBER", "number", COLUMN_TEXT},
	{"ENTRIES", "entries", COLUMN_TEXT}, {"MADE", "this_update", COLUMN_SINCE}, {"NEXT", "next_update", COLUMN_AGE},
	{"URL", "url", COLUMN_TEXT},
};

static int crl(const struct invocation *in)
{
	return ask_list(in, "/api/v1/crls", "items", list_columns, N_ELEMENTS(list_columns));
}

const struct verb cli_revocation_verbs[] = {
	{"cert",
	 "revoke",
	 "CERT_ID",
	 1,
	 1,
	 "ends the certificate for good",
	 {{"reason", "R", "why: keyCompromise, superseded, ..."},
	  {"replace", NULL, "renew first; what is replaced is revoked when the new one is proved"},
	  {"yes", NULL, "also when its service is left without a certificate in force"}},
	 revoke_certificate},
	{"cert", "rollback", "CERT_ID", 1, 1, "puts the certificate before in use again, while it is in its grace", {{0}}, rollback},
	{"cert", "suspend", "CERT_ID", 1, 1, "puts it on hold: lists and OCSP say so until it is resumed", {{0}}, suspend},
	{"cert", "resume", "CERT_ID", 1, 1, "puts a suspended certificate back in force", {{0}}, resume},
	{"crl", NULL, "", 0, 0, "published revocation lists and their age", {{0}}, crl},
};
const size_t cli_revocation_verbs_n = N_ELEMENTS(cli_revocation_verbs);
