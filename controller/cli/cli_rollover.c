/* cli_rollover.c - room controller/cli: vccctl ca rollover: a CA gives way to a new one.
 * Never: policy; the controller decides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/named_file.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

enum { CONSUMERS_FILE_MAX = 65536, POLL_MS = 500 };

static const struct output_column columns[] = {
	{"ca", "issuer_id", COLUMN_TEXT},
	{"successor", "successor_id", COLUMN_TEXT},
	{"phase", "phase", COLUMN_TEXT},
	{"next", "next", COLUMN_TEXT},
	{"emergency", "emergency", COLUMN_YES},
	{"stopped by", "code", COLUMN_TEXT},
	{"cause", "cause", COLUMN_TEXT},
	{"asked for by", "actor", COLUMN_TEXT},
	{"reason", "reason", COLUMN_TEXT},
	{"begun", "created_at", COLUMN_TIME},
	{"successor made", "prepared_at", COLUMN_TIME},
	{"issuing since", "issuing_at", COLUMN_TIME},
	{"draining since", "draining_at", COLUMN_TIME},
	{"ended", "ended_at", COLUMN_TIME},
	{"campaign", "campaign_id", COLUMN_TEXT},
	{"waits for approval", "waiting", COLUMN_TEXT},
	{"trust", "trust.why", COLUMN_TEXT},
	{"hosts without it", "trust.missing", COLUMN_TEXT},
	{"unproved", "trust.unproved", COLUMN_TEXT},
	{"to issue again", "left.reissuable", COLUMN_TEXT},
	{"identities", "left.identities", COLUMN_TEXT},
	{"hosts", "left.agents", COLUMN_TEXT},
	{"of them away", "left.agents_away", COLUMN_TEXT},
	{"long unseen", "left.agents_unseen", COLUMN_TEXT},
	{"external", "left.external", COLUMN_TEXT},
	{"signing code", "left.signing", COLUMN_TEXT},
	{"suspended", "left.suspended", COLUMN_TEXT},
	{"consumers", "consumers", COLUMN_TEXT},
};
static const struct output_column item_columns[] = {
	{"STATE", "state", COLUMN_TEXT},     {"WHAT", "id", COLUMN_TEXT},        {"HOST", "agent", COLUMN_TEXT},
	{"SERVICE", "service", COLUMN_TEXT}, {"ENDS", "expires_at", COLUMN_AGE},
};
static const struct output_column waits_columns[] = {
	{"status", "status", COLUMN_TEXT},
	{"approval", "approval_id", COLUMN_TEXT},
};

/* One of these at most; none: it is shown, and with a reason asked for. */
static const char *const orders[] = {"begin", "advance", "rollback", "retire", "emergency", "watch"};

static const char *order_of(const struct invocation *in, struct refusal *why)
{
	const char *found = "";
	for (size_t i = 0; i < N_ELEMENTS(orders); i++) {
		if (!verb_given(in, orders[i]) || (text_equal(orders[i], "emergency") && text_equal(found, "retire")))
			continue;
		if (found[0] != '\0')
			return refuse(why, E_CLI_USAGE, "ca rollover", "--%s and --%s exclude each other", found, orders[i]),
			       NULL;
		found = orders[i];
	}
	return found;
}

static const char *phase_of(const json_t *rollover)
{
	const char *phase = json_string_value(json_object_get(rollover, "phase"));
	return phase != NULL ? phase : "";
}

static int path_of(const struct invocation *in, const char *end, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	if (!name_cert_id_ok(in->words[0])) /* the names of CAs have the same form */
		return refuse(why, E_NOT_FOUND, in->words[0], "this is no CA; `vccctl ca list` shows them"), EXIT_NOT_FOUND;
	snprintf(ret, CLIENT_PATH_SIZE, "/api/v1/ca/%s/rollover%s", in->words[0], end);
	return EXIT_DONE;
}

static int call(const struct invocation *in, const char *method, const char *end, const json_t *body, json_t **ret,
		struct refusal *why)
{
	char path[CLIENT_PATH_SIZE];
	int  r = path_of(in, end, path, why);
	return r == EXIT_DONE ? client_call(&in->client, method, path, body, NULL, ret, why) : r;
}

static void show(const struct invocation *in, const json_t *rollover)
{
	const json_t *items = json_object_get(rollover, "items");
	output_object(in->form, columns, N_ELEMENTS(columns), rollover);
	if (in->form == OUTPUT_TABLE && json_array_size(items) > 0) {
		printf("\n");
		output_list(in->form, item_columns, N_ELEMENTS(item_columns), items);
	}
}

/* ---- what trusts it outside of the agents ----------------------------------------------------------------------- */

static int consumers_read(const char *path, json_t **ret, struct refusal *why)
{
	struct buf text = BUF_MAX(CONSUMERS_FILE_MAX);
	json_t    *list = json_array();
	char      *rest = NULL;
	int        r = named_file_read(path, false, &text, why);
	buf_add_u8(&text, '\0');
	if (r == 0 && buf_error(&text) < 0)
		r = refuse(why, E_FULL, path, "the file is longer than %d octets", CONSUMERS_FILE_MAX);
	for (char *line = r == 0 ? strtok_r((char *)text.p, "\n", &rest) : NULL; line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		line += strspn(line, " \t\r");
		size_t n = strlen(line);
		while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
			line[--n] = '\0';
		if (n > 0 && line[0] != '#')
			json_array_append_new(list, json_string(line));
	}
	buf_free(&text);
	if (r < 0) {
		json_decref(list);
		return EXIT_USAGE;
	}
	*ret = list;
	return EXIT_DONE;
}

static int retire_body(const struct invocation *in, json_t **ret, struct refusal *why)
{
	const char *path = verb_value(in, "consumers-file");
	json_t     *list = NULL;
	if ((path != NULL) == verb_given(in, "no-consumers"))
		return refuse(why, E_CLI_USAGE, "ca rollover --retire",
			      "say what trusts the CA outside of the agents: --consumers-file FILE, or --no-consumers where "
			      "there is nothing"),
		       EXIT_USAGE;
	if (path == NULL)
		list = json_array();
	int r = path != NULL ? consumers_read(path, &list, why) : EXIT_DONE;
	if (r == EXIT_DONE)
		*ret = json_pack("{s:o, s:b}", "consumers", list, "override", verb_given(in, "emergency") ? 1 : 0);
	return r;
}

/* ---- orders ----------------------------------------------------------------------------------------------------- */

static void add_reason(const struct invocation *in, json_t *body)
{
	const char *reason = verb_value(in, "reason");
	if (reason != NULL)
		json_object_set_new(body, "reason", json_string(reason));
}

/* Rights and gates end as a refusal that a second person or more time can lift. */
static int exit_of(int r, const struct refusal *why)
{
	return why->code == E_ROLLOVER_GATE || why->code == E_ROLLOVER_OPEN ? EXIT_DENIED : r;
}

static int post(const struct invocation *in, const char *end, json_t *body)
{
	struct refusal why = {.code = 0};
	json_t        *answer = NULL;
	add_reason(in, body);
	int r = call(in, "POST", end, body, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(exit_of(r, &why), &why);
	if (json_object_get(answer, "approval_id") != NULL)
		output_object(in->form, waits_columns, N_ELEMENTS(waits_columns), answer);
	else
		show(in, answer);
	r = ask_exit(answer);
	json_decref(answer);
	return r;
}

/* Two persons decide by it, and it stands in the trail. */
static int begin(const struct invocation *in, bool emergency)
{
	struct refusal why = {.code = 0};
	if (verb_value(in, "reason") == NULL) {
		refuse(&why, E_CLI_USAGE, emergency ? "ca rollover --emergency" : "ca rollover --begin",
		       "the second person has to know why: add --reason TEXT");
		return verb_fail(EXIT_USAGE, &why);
	}
	return post(in, "", json_pack("{s:b}", "emergency", (int)emergency));
}

/* The request that waits, where nothing was begun; NULL = there is none. The caller's. */
static json_t *request_of(const struct invocation *in)
{
	struct refusal why;
	json_t        *list = NULL, *one, *found = NULL;
	size_t         i;
	if (client_call(&in->client, "GET", "/api/v1/approvals?limit=500", NULL, NULL, &list, &why) != EXIT_DONE)
		return NULL;
	json_array_foreach(json_object_get(list, "items"), i, one)
	{
		const char *kind = json_string_value(json_object_get(one, "kind")), *object = json_string_value(json_object_get(one, "object"));
		if (found == NULL && kind != NULL && object != NULL && text_equal(kind, "ca_rollover") && text_equal(object, in->words[0]))
			found = json_incref(one);
	}
	json_decref(list);
	return found;
}

static const struct output_column request_columns[] = {
	{"ca", "object", COLUMN_TEXT},
	{"phase", "status", COLUMN_TEXT},
	{"approval", "approval_id", COLUMN_TEXT},
	{"successor", "what.successor_id", COLUMN_TEXT},
	{"emergency", "what.emergency", COLUMN_YES},
	{"asked for by", "requester", COLUMN_TEXT},
	{"reason", "what.reason", COLUMN_TEXT},
	{"warnings", "what.warnings", COLUMN_LIST},
	{"asked", "created_at", COLUMN_TIME},
	{"ends", "expires_at", COLUMN_TIME},
};

/* Changes nothing. Where nothing was begun: what waits for a second person, or how to begin. */
static int show_it(const struct invocation *in)
{
	struct refusal why = {.code = 0};
	json_t        *rollover = NULL;
	int            r = call(in, "GET", "", NULL, &rollover, &why);
	if (r == EXIT_DONE) {
		show(in, rollover);
		json_decref(rollover);
		return EXIT_DONE;
	}
	json_t *request = r == EXIT_NOT_FOUND ? request_of(in) : NULL;
	if (request != NULL) {
		output_object(in->form, request_columns, N_ELEMENTS(request_columns), request);
		json_decref(request);
		return EXIT_DENIED;
	}
	return verb_fail(r, &why);
}

/* ---- watching --------------------------------------------------------------------------------------------------- */

/* Nothing more happens before a person or a host comes. */
static bool rests(const json_t *rollover)
{
	static const char *const phases[] = {"trust", "draining", "retired", "rolled_back"};
	for (size_t i = 0; i < N_ELEMENTS(phases); i++)
		if (text_equal(phase_of(rollover), phases[i]))
			return true;
	/* a root: hosts are told to forget it only when a person has made the bundle without it */
	return text_equal(phase_of(rollover), "retiring") && json_is_string(json_object_get(rollover, "code"));
}

static void line_of(const json_t *rollover, char *ret, size_t size)
{
	const json_t *left = json_object_get(rollover, "left");
	const char   *cause = json_string_value(json_object_get(rollover, "cause"));
	snprintf(ret, size, "%s -> %s: %s, %lld to issue again, %lld hosts, %lld of them away%s%s",
		 json_string_value(json_object_get(rollover, "issuer_id")),
		 json_string_value(json_object_get(rollover, "successor_id")), phase_of(rollover),
		 (long long)json_integer_value(json_object_get(left, "reissuable")),
		 (long long)json_integer_value(json_object_get(left, "agents")),
		 (long long)json_integer_value(json_object_get(left, "agents_away")),
		 cause != NULL && cause[0] != '\0' ? ": " : "", cause != NULL ? cause : "");
}

static int watch(const struct invocation *in)
{
	char           line[512], last[512] = "";
	struct refusal why = {.code = 0};
	json_t        *rollover = NULL;
	int            r;
	while ((r = call(in, "GET", "", NULL, &rollover, &why)) == EXIT_DONE) {
		line_of(rollover, line, sizeof(line));
		if (!text_equal(line, last))
			fprintf(stderr, "%s\n", line);
		text_cut(last, sizeof(last), line);
		if (rests(rollover))
			break;
		json_decref(rollover);
		rollover = NULL;
		(void)nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	}
	if (r == EXIT_NOT_FOUND)
		return show_it(in); /* perhaps a second person is waited for */
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	show(in, rollover);
	json_decref(rollover);
	return EXIT_DONE;
}

static int rollover(const struct invocation *in)
{
	struct refusal why = {.code = 0};
	json_t        *body = NULL;
	const char    *order = order_of(in, &why);
	if (order == NULL)
		return verb_fail(EXIT_USAGE, &why);
	if (text_equal(order, "watch"))
		return watch(in);
	if (text_equal(order, "advance"))
		return post(in, "/advance", json_object());
	if (text_equal(order, "rollback"))
		return post(in, "/rollback", json_object());
	if (text_equal(order, "emergency") || text_equal(order, "begin"))
		return begin(in, text_equal(order, "emergency"));
	if (order[0] == '\0')
		return verb_given(in, "reason") ? begin(in, false) : show_it(in);
	int r = retire_body(in, &body, &why);
	return r == EXIT_DONE ? post(in, "/retire", body) : verb_fail(r, &why);
}

const struct verb cli_rollover_verbs[] = {
	{"ca",
	 "rollover",
	 "ISSUER_ID",
	 1,
	 1,
	 "a CA gives way to a new one: shows how far it is; with --reason asks a second person to let it begin",
	 {{"begin", NULL, "with --reason: asks a second person; the same as --reason alone"},
	  {"watch", NULL, "until a person or a host has to do something"},
	  {"advance", NULL, "certificates come from the successor from now on; later: once more for what is left"},
	  {"rollback", NULL, "the CA signs as before; until it is retired"},
	  {"retire", NULL, "asks a second person to close the old CA for good"},
	  {"consumers-file", "FILE", "--retire: what trusts the CA outside of the agents, one a line"},
	  {"no-consumers", NULL, "--retire: nothing outside of the agents trusts it"},
	  {"emergency", NULL,
	   "its key is not to be trusted: it stops at once, also where it gives way already; with --retire: although hosts still use what it signed"},
	  {"reason", "TEXT", "for the second person and the audit trail"},
	  {NULL, NULL, NULL}},
	 rollover},
};
const size_t cli_rollover_verbs_n = N_ELEMENTS(cli_rollover_verbs);
