/* cli_issue.c - room controller/cli: vccctl cert issue, create: a certificate for a key that somebody made
 * elsewhere, and one that a host's target file will take up.
 * Never: a private key; what is read is a request, and it is sent in the one spelling that the controller takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/named_file.h"
#include "controller/cli/output.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { CSR_FILE_MAX = 16384, POLL_MS = 100, WAIT_MS = 60 * 1000 };

#define BASE64    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
#define BEGIN     "-----BEGIN CERTIFICATE REQUEST-----"
#define END       "-----END CERTIFICATE REQUEST-----"
#define BEGIN_OLD "-----BEGIN NEW CERTIFICATE REQUEST-----"
#define END_OLD   "-----END NEW CERTIFICATE REQUEST-----"

static const struct output_column issue_columns[] = {
	{"certificate", "cert_id", COLUMN_TEXT},
	{"order", "renewal_id", COLUMN_TEXT},
	{"status", "status", COLUMN_TEXT},
	{"approval", "approval_id", COLUMN_TEXT},
};

/* ---- the file -------------------------------------------------------------------------------------------------- */

static int read_file(const char *path, char *ret, size_t size, struct refusal *why)
{
	FILE *f = text_equal(path, "-") ? stdin : fopen(path, "re");
	if (f == NULL) {
		named_file_refuse(path, "open the file", why);
		return EXIT_USAGE;
	}
	size_t n = fread(ret, 1, size - 1, f);
	bool   whole = feof(f) != 0, failed = ferror(f) != 0;
	if (failed)
		named_file_refuse(path, "read the file", why);
	if (f != stdin)
		fclose(f);
	ret[n] = '\0';
	if (failed)
		return EXIT_USAGE;
	if (!whole || memchr(ret, '\0', n) != NULL) {
		refuse(why, E_PKI_CSR, path,
		       whole ? "it is not PEM; `openssl req -inform DER -in F` writes it as PEM"
			     : "it is too long for a certificate request");
		return EXIT_USAGE;
	}
	return EXIT_DONE;
}

static void drop_returns(char *text)
{
	char *to = text;
	for (const char *p = text; *p != '\0'; p++)
		if (*p != '\r')
			*to++ = *p;
	*to = '\0';
}

/* Other programs write text before the block, other line ends, and an older label. */
static json_t *request_of(char *text, const char *path, struct refusal *why)
{
	drop_returns(text);
	bool        old = strstr(text, BEGIN_OLD) != NULL;
	const char *begin = strstr(text, old ? BEGIN_OLD : BEGIN);
	const char *end = begin != NULL ? strstr(begin, old ? END_OLD : END) : NULL;
	if (end == NULL) {
		refuse(why, E_PKI_CSR, path, "it holds no CERTIFICATE REQUEST");
		return NULL;
	}
	begin += strlen(old ? BEGIN_OLD : BEGIN);
	size_t plain = strspn(begin, BASE64 " \t\n");
	if (plain < (size_t)(end - begin)) {
		refuse(why, E_PKI_CSR, path, "byte 0x%02x inside the CERTIFICATE REQUEST is no base64: the file is damaged, or was written in another character set",
		       (unsigned)(unsigned char)begin[plain]);
		return NULL;
	}
	return json_sprintf(BEGIN "%.*s" END "\n", (int)(end - begin), begin);
}

static json_t *body_of(const struct invocation *in, struct refusal *why)
{
	static const char *const fields[][2] = {
		{"template", "template_id"}, {"service", "service"}, {"cert-id", "cert_id"}, {"renew", "renew"}};
	static char text[CSR_FILE_MAX];
	const char *path = verb_value(in, "csr");
	if (path == NULL || verb_given(in, "template") == verb_given(in, "renew")) {
		refuse(why, E_CLI_USAGE, "cert issue", "--csr F and one of --template T or --renew CERT_ID are required");
		return NULL;
	}
	if (read_file(path, text, sizeof(text), why) != EXIT_DONE)
		return NULL;
	json_t *csr = request_of(text, path, why);
	if (csr == NULL)
		return NULL;
	json_t *body = json_pack("{s:o}", "csr", csr);
	for (size_t i = 0; i < N_ELEMENTS(fields); i++)
		if (verb_given(in, fields[i][0]))
			json_object_set_new(body, fields[i][1], json_string(verb_value(in, fields[i][0])));
	if (verb_given(in, "names"))
		json_object_set_new(body, "names", ask_text_list(verb_value(in, "names")));
	return body;
}

/* ---- the order ------------------------------------------------------------------------------------------------- */

static bool under_way(const char *status)
{
	return text_equal(status, "processing") || text_equal(status, "pending") || text_equal(status, "in_progress");
}

/* It is signed within a second where the signer is there. */
static int wait_for_end(const struct invocation *in, json_t *answer, json_t **ret_renewal, struct refusal *why)
{
	char    path[CLIENT_PATH_SIZE];
	int64_t end = clock_monotonic() + WAIT_MS;
	snprintf(path, sizeof(path), "/api/v1/renewals/%s", output_text(answer, "renewal_id"));
	while (under_way(output_text(answer, "status")) && clock_monotonic() < end) {
		json_t *renewal = NULL;
		int     r = client_call(&in->client, "GET", path, NULL, NULL, &renewal, why);
		if (r != EXIT_DONE)
			return r;
		json_object_set(answer, "status", json_object_get(renewal, "status"));
		json_decref(*ret_renewal);
		*ret_renewal = renewal;
		nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	}
	return EXIT_DONE;
}

static int print_end(const struct invocation *in, const json_t *answer, const json_t *renewal)
{
	const char   *status = output_text(answer, "status");
	const json_t *error = json_object_get(renewal, "error");
	bool          table = in->form == OUTPUT_TABLE;
	output_object(in->form, issue_columns, N_ELEMENTS(issue_columns), answer);
	if (text_equal(status, "completed")) {
		if (table)
			printf("\nIt is issued: vccctl cert show %s --pem\n", output_text(answer, "cert_id"));
		return EXIT_DONE;
	}
	if (text_equal(status, "awaiting_approval")) {
		if (table)
			printf("\nA second person decides:\n  vccctl approval show %s\nThen: vccctl cert show %s --pem\n",
			       output_text(answer, "approval_id"), output_text(answer, "cert_id"));
		return EXIT_DENIED;
	}
	if (table && json_is_object(error))
		printf("\n%s %s\n  next: %s\n", output_text(error, "code"), output_text(error, "message"), output_text(error, "next"));
	else if (table)
		printf("\nIt goes on without this command; the signer may be away: vccctl status\n");
	return under_way(status) ? EXIT_PARTLY : EXIT_FAILED;
}

static int issue(const struct invocation *in)
{
	struct refusal why = {0};
	json_t        *answer = NULL, *renewal = NULL;
	json_t        *body = body_of(in, &why);
	int            r = body != NULL ? EXIT_DONE : EXIT_USAGE;
	if (r == EXIT_DONE)
		r = client_call(&in->client, "POST", "/api/v1/certificates", body, NULL, &answer, &why);
	if (r == EXIT_DONE)
		r = wait_for_end(in, answer, &renewal, &why);
	r = r == EXIT_DONE ? print_end(in, answer, renewal) : verb_fail(r, &why);
	json_decref(body);
	json_decref(answer);
	json_decref(renewal);
	return r;
}

/* ---- for a host ------------------------------------------------------------------------------------------------ */

static const struct output_column create_columns[] = {
	{"certificate", "cert_id", COLUMN_TEXT}, {"state", "status", COLUMN_TEXT},       {"agent", "agent", COLUMN_TEXT},
	{"service", "service", COLUMN_TEXT},     {"template", "template_id", COLUMN_TEXT}, {"names", "names", COLUMN_LIST},
};

static int create(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	if (!verb_given(in, "agent") || !verb_given(in, "template")) {
		refuse(&why, E_CLI_USAGE, "cert create", "--agent NAME and --template T are required");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = json_pack("{s:s,s:s,s:s}", "cert_id", in->words[0], "agent", verb_value(in, "agent"), "template_id", verb_value(in, "template"));
	if (verb_given(in, "service"))
		json_object_set_new(body, "service", json_string(verb_value(in, "service")));
	if (verb_given(in, "names"))
		json_object_set_new(body, "names", ask_text_list(verb_value(in, "names")));
	int r = client_call(&in->client, "POST", "/api/v1/certificates", body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	bool approved = json_is_true(json_object_get(answer, "approved"));
	output_object(in->form, create_columns, N_ELEMENTS(create_columns), answer);
	if (in->form == OUTPUT_TABLE)
		printf("\n%sIt is issued when a target file on %s asks for just this.\n", approved ? "" : "A second person decides: vccctl approval list\n",
		       output_text(answer, "agent"));
	json_decref(answer);
	return approved ? EXIT_DONE : EXIT_DENIED;
}

const struct verb cli_issue_verbs[] = {
	{"cert",
	 "create",
	 "CERT_ID",
	 1,
	 1,
	 "a certificate for a host, before its target file is there",
	 {{"agent", "NAME", "the host that makes the key"},
	  {"template", "T", "what it is made from"},
	  {"names", "NAME,...", "names; outside the invite's or template's patterns a second person decides"},
	  {"service", "S", "whose it is (default: the agent's)"}},
	 create},
	{"cert",
	 "issue",
	 "",
	 0,
	 0,
	 "a certificate for a key made elsewhere: a host without agent, or a person",
	 {{"csr", "FILE", "the request (PKCS#10, PEM, - = stdin): its key counts, nothing else of it"},
	  {"template", "T", "what it is made from"},
	  {"service", "S", "whose it is (default: the template's)"},
	  {"names", "NAME,...", "names, inside the template's patterns"},
	  {"cert-id", "ID", "what it is called (default: after the first name; the principal, where it opens the admin API)"},
	  {"renew", "CERT_ID", "instead: the next one of this certificate"}},
	 issue},
};
const size_t cli_issue_verbs_n = N_ELEMENTS(cli_issue_verbs);
