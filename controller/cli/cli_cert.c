/* cli_cert.c - room controller/cli: vccctl cert ...
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/cli/ask.h"
#include "controller/cli/cli_peer.h"
#include "controller/cli/policy_file.h"
#include "controller/cli/output.h"
#include "shared/base/id.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/names.h"
#include "shared/sys/clock.h"

enum { WATCH_SECONDS = 3600, POLL_MS = 200, STILL_MS = 3000 };

static const struct output_column list_columns[] = {
	{"CERT_ID", "cert_id", COLUMN_TEXT},    {"SERVICE", "service", COLUMN_TEXT}, {"AGENT", "agent", COLUMN_TEXT},
	{"STATE", "status", COLUMN_TEXT},       {"SERVED", "served", COLUMN_YES},    {"EXPIRES", "expires_at", COLUMN_AGE},
	{"RENEWS", "renew_at", COLUMN_AGE},
};

static const struct output_column show_columns[] = {
	{"certificate", "cert_id", COLUMN_TEXT},  {"state", "status", COLUMN_TEXT}, {"orphaned", "orphaned", COLUMN_YES},
	{"service", "service", COLUMN_TEXT},      {"agent", "agent", COLUMN_TEXT},
	{"template", "template_id", COLUMN_TEXT}, {"names", "names", COLUMN_LIST},
	{"issued", "serial", COLUMN_TEXT},        {"fingerprint", "fingerprint", COLUMN_TEXT},
	{"served", "target.served_serial", COLUMN_TEXT}, {"served=issued", "served", COLUMN_YES},
	{"valid from", "not_before", COLUMN_TIME}, {"valid to", "expires_at", COLUMN_TIME},
	{"renews at", "renew_at", COLUMN_TIME},   {"next key since", "next_key_since", COLUMN_TIME}, {"proved at", "target.proved_at", COLUMN_TIME},
	{"listeners", "target.listeners", COLUMN_LIST}, {"last error", "target.error", COLUMN_TEXT},
	{"open order", "open_order", COLUMN_TEXT}, {"alerts", "alerts", COLUMN_LIST}, {"suspended at", "suspended_at", COLUMN_TIME},
	{"revoked at", "revoked_at", COLUMN_TIME}, {"keys invalid since", "invalidity_date", COLUMN_TIME}, {"old issuances", "archived.issuances", COLUMN_TEXT},
	{"old orders", "archived.orders", COLUMN_TEXT}, {"archive from", "archived.first_file", COLUMN_TEXT},
	{"archive to", "archived.last_file", COLUMN_TEXT},
};

/* A group: one certificate, several places. */
static const struct output_column target_columns[] = {
	{"TARGET", "target_id", COLUMN_TEXT}, {"SERVED", "served_serial", COLUMN_TEXT}, {"PROVED", "proved_at", COLUMN_TIME},
	{"ERROR", "error", COLUMN_TEXT},
};

static const struct output_column renewal_columns[] = {
	{"RENEWAL", "renewal_id", COLUMN_TEXT}, {"TRIGGER", "renewal_trigger", COLUMN_TEXT},
	{"STATUS", "status", COLUMN_TEXT},      {"CREATED", "created_at", COLUMN_TIME},
};

static const struct output_column paused_columns[] = {
	{"CERT_ID", "cert_id", COLUMN_TEXT}, {"SERVICE", "service_name", COLUMN_TEXT}, {"SINCE", "created_at", COLUMN_TIME},
	{"ATTEMPTS", "retry_count", COLUMN_TEXT}, {"CODE", "error.code", COLUMN_TEXT}, {"CAUSE", "error.message", COLUMN_TEXT},
	{"TRIED AGAIN", "next_at", COLUMN_TIME},
};

static const struct output_column expiring_columns[] = {
	{"CERT_ID", "cert_id", COLUMN_TEXT},
	{"SERVICE", "service_name", COLUMN_TEXT},
	{"EXPIRES", "expires_at", COLUMN_TIME},
	{"DAYS", "days_remaining", COLUMN_TEXT},
};

static int cert_path(const struct invocation *in, const char *format, char ret[CLIENT_PATH_SIZE], struct refusal *why)
{
	if (!name_cert_id_ok(in->words[0])) {
		refuse(why, E_NOT_FOUND, in->words[0], "this is no cert_id");
		return EXIT_NOT_FOUND;
	}
	snprintf(ret, CLIENT_PATH_SIZE, format, in->words[0]);
	return EXIT_DONE;
}

static int list_paused(const struct invocation *in)
{
	return ask_list(in, "/api/v1/renewals?status=paused", "items", paused_columns, N_ELEMENTS(paused_columns));
}

static int list(const struct invocation *in)
{
	static const char *const filters[] = {"service", "agent"};
	char                     path[CLIENT_PATH_SIZE] = "/api/v1/certificates";
	struct refusal           why;
	if (verb_given(in, "paused"))
		return list_paused(in);
	for (size_t i = 0; i < N_ELEMENTS(filters); i++) {
		const char *value = verb_value(in, filters[i]);
		if (value == NULL)
			continue;
		if (!name_agent_ok(value)) {
			refuse(&why, E_CLI_USAGE, value, "this is no name of a service or agent");
			return verb_fail(EXIT_USAGE, &why);
		}
		size_t n = strlen(path);
		snprintf(path + n, sizeof(path) - n, "%c%s=%s", strchr(path, '?') != NULL ? '&' : '?', filters[i], value);
	}
	return ask_list(in, path, "items", list_columns, N_ELEMENTS(list_columns));
}

/* Attempts failed and another one will follow. */
static bool waits_for_try(const json_t *renewal)
{
	return text_equal(output_text(renewal, "phase"), "retry_wait") || text_equal(output_text(renewal, "status"), "paused");
}

static void print_failure(const json_t *renewal)
{
	const json_t *error = json_object_get(renewal, "error");
	printf("attempt %lld failed: %s %s\n  next: %s\n  tried again at %.16s UTC; after mending, --force tries at once\n",
	       (long long)json_integer_value(json_object_get(renewal, "attempt")), output_text(error, "code"), output_text(error, "message"),
	       output_text(error, "next"), output_text(renewal, "next_at"));
	fflush(stdout);
}

/* True: it waits for a window of its service, and that was told. */
static bool print_window(const json_t *renewal)
{
	if (output_text(renewal, "waits_for")[0] == '\0')
		return false;
	printf("waits for %s from %.16s UTC; `vccctl cert renew %s --now` passes it\n", output_text(renewal, "waits_for"),
	       json_is_string(json_object_get(renewal, "next_at")) ? output_text(renewal, "next_at") : "(not within eight days)",
	       output_text(renewal, "cert_id"));
	fflush(stdout);
	return true;
}

/* For other programs: the certificate, then what leads to the root. */
static int show_pem(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = cert_path(in, "/api/v1/certificates/%s/pem", path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		printf("%s%s", output_text(answer, "certificate"), output_text(answer, "chain"));
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}

static int show(const struct invocation *in)
{
	if (verb_given(in, "pem"))
		return show_pem(in);
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = cert_path(in, "/api/v1/certificates/%s", path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), answer);
	if (in->form == OUTPUT_TABLE)
		policy_print_overrides(json_object_get(answer, "policy_overrides"));
	const json_t *renewals = json_object_get(answer, "renewals");
	const json_t *targets = json_object_get(answer, "targets");
	if (in->form == OUTPUT_TABLE && json_array_size(targets) > 1) {
		printf("\n");
		output_list(in->form, target_columns, N_ELEMENTS(target_columns), targets);
	}
	if (in->form == OUTPUT_TABLE && json_array_size(json_object_get(answer, "relying_parties")) > 0) {
		printf("\n");
		peer_print(in->form, json_object_get(answer, "relying_parties"));
	}
	if (in->form == OUTPUT_TABLE && json_array_size(renewals) > 0) {
		printf("\n");
		output_list(in->form, renewal_columns, N_ELEMENTS(renewal_columns), renewals);
		if (waits_for_try(json_array_get(renewals, 0)))
			print_failure(json_array_get(renewals, 0));
		print_window(json_array_get(renewals, 0));
	}
	json_decref(answer);
	return EXIT_DONE;
}

/* ---- renew, and watch it to its end ---- */

/* What one watch has told so far. Steps come in by their time: a new one may stand before one that was told. */
enum { TOLD_MAX = 128, TOLD_SIZE = 48 };
struct watched {
	char    told[TOLD_MAX][TOLD_SIZE]; /* "attempt/step/status" */
	size_t  n_told;
	int64_t failures;   /* failed attempts that were told */
	int64_t still_from; /* monotonic: since then nothing has moved */
	char    phase[24];
	bool    wait_told;
};

static bool is_new(struct watched *w, const json_t *s)
{
	char key[TOLD_SIZE];
	snprintf(key, sizeof(key), "%lld/%.20s/%.10s", (long long)json_integer_value(json_object_get(s, "attempt")), output_text(s, "step"),
		 output_text(s, "status"));
	for (size_t i = 0; i < w->n_told && i < TOLD_MAX; i++)
		if (text_equal(w->told[i], key))
			return false;
	memcpy(w->told[w->n_told++ % TOLD_MAX], key, sizeof(key));
	return true;
}

static void print_steps(const json_t *steps, struct watched *w)
{
	for (size_t i = 0; i < json_array_size(steps); i++) {
		const json_t *s = json_array_get(steps, i), *seconds = json_object_get(s, "seconds");
		const char   *code = output_text(s, "code");
		char          took[24] = "         -";
		if (!is_new(w, s))
			continue;
		if (json_is_number(seconds))
			snprintf(took, sizeof(took), "%8.3f s", json_number_value(seconds));
		printf("  %-15s %-7s %10s  %.*s%s%s\n", output_text(s, "step"), output_text(s, "status"), took, code[0] != '\0' ? 120 : 43, output_text(s, "detail"),
		       code[0] != '\0' ? " " : "", code);
	}
	fflush(stdout);
}

static double seconds_between(const char *from, const char *to)
{
	int64_t a;
	int64_t b;
	if (time_parse(from, &a) < 0 || time_parse(to, &b) < 0)
		return 0;
	return (double)(b - a) / 1000.0;
}

/* "3 h": people want a size, not a figure. */
static void age_print(double seconds)
{
	static const struct {
		double      seconds;
		const char *unit;
	} units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
	size_t i = 0;
	while (i + 1 < N_ELEMENTS(units) && seconds < units[i].seconds)
		i++;
	printf("%.0f %s", seconds / units[i].seconds, units[i].unit);
}

static void print_draining(const json_t *receipt)
{
	long long n = json_integer_value(json_object_get(receipt, "old_workers"));
	if (n == 0)
		return;
	printf("completed, draining: %lld old worker%s, oldest ", n, n == 1 ? "" : "s");
	age_print(json_number_value(json_object_get(receipt, "oldest_worker_seconds")));
	printf("\n");
}

static bool has_flag(const json_t *renewal, const char *flag)
{
	size_t  i;
	json_t *f;
	json_array_foreach(json_object_get(renewal, "flags"), i, f)
		if (text_equal(json_string_value(f), flag))
			return true;
	return false;
}

/* Whoever demanded their word is told it, also when they kept it to themselves. */
static void print_peers(const json_t *renewal)
{
	const json_t *error = json_object_get(renewal, "error");
	char          text[512];
	if (!has_flag(renewal, "peer_proof"))
		return;
	if (!has_flag(renewal, "peer_unproved"))
		snprintf(text, sizeof(text), "seen by all %zu that rely on it", json_array_size(json_object_get(renewal, "relying_parties")));
	else
		snprintf(text, sizeof(text), "not proved to those that rely on it: %s %s", output_text(error, "code"), output_text(error, "message"));
	verb_say(stdout, 2, "", text);
}

static int print_end(const json_t *renewal)
{
	const char   *status = output_text(renewal, "status");
	const json_t *receipts = json_object_get(renewal, "receipts");
	const json_t *last = json_array_get(receipts, json_array_size(receipts) - (json_array_size(receipts) > 0 ? 1 : 0));
	const json_t *error = json_object_get(renewal, "error");
	if (text_equal(status, "completed") && output_text(renewal, "verified_at")[0] != '\0') {
		printf("proved after %.1f s, %lld failed handshakes of %lld\n",
		       seconds_between(output_text(renewal, "created_at"), output_text(renewal, "verified_at")),
		       (long long)json_integer_value(json_object_get(last, "handshakes_failed")),
		       (long long)json_integer_value(json_object_get(last, "handshakes")));
		print_draining(last);
		print_peers(renewal);
		return EXIT_DONE;
	}
	printf("%s", status);
	if (json_is_object(error))
		printf(": %s %s\n  next: %s", output_text(error, "code"), output_text(error, "message"), output_text(error, "next"));
	printf("\n");
	return ask_exit(renewal) != EXIT_DONE ? EXIT_DENIED : text_equal(status, "completed") ? EXIT_DONE : EXIT_FAILED;
}

static bool is_over(const char *status)
{
	static const char *const ends[] = {"completed", "failed", "paused", "cancelled", "rolled_back", "awaiting_approval"};
	for (size_t i = 0; i < N_ELEMENTS(ends); i++)
		if (text_equal(status, ends[i]))
			return true;
	return false;
}

/* Nothing has moved for a while: says what is waited for, once in each phase. */
static void print_wait(const struct invocation *in, const json_t *renewal, struct watched *w)
{
	const char    *phase = output_text(renewal, "phase");
	const char    *agent = output_text(renewal, "agent");
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	if (!text_equal(phase, w->phase)) {
		text_cut(w->phase, sizeof(w->phase), phase);
		w->still_from = clock_monotonic();
		w->wait_told = false;
	}
	if (w->wait_told || clock_monotonic() - w->still_from < STILL_MS)
		return;
	w->wait_told = true;
	if (print_window(renewal))
		return;
	if (text_equal(phase, "signing")) {
		printf("  waits for the signer: see `vccctl status`\n");
	} else if (name_agent_ok(agent)) {
		snprintf(path, sizeof(path), "/api/v1/agents/%s", agent);
		if (client_call(&in->client, "GET", path, NULL, NULL, &answer, &why) == EXIT_DONE &&
		    !json_is_true(json_object_get(answer, "connected")))
			printf("  waits for agent %s, which is not connected\n", agent);
		json_decref(answer);
	}
	fflush(stdout);
}

/* Each failed attempt is told once; the last one is told by the end. */
static void tell_failure(const json_t *renewal, struct watched *w)
{
	int64_t failures = json_integer_value(json_object_get(renewal, "retry_count"));
	if (failures == w->failures || !text_equal(output_text(renewal, "phase"), "retry_wait"))
		return;
	w->failures = failures;
	print_failure(renewal);
}

/* The next attempt begins only after the watch has ended: no reason to stay. */
static bool waits_longer(const json_t *renewal, int64_t left_ms)
{
	int64_t at;
	return text_equal(output_text(renewal, "phase"), "retry_wait") && time_parse(output_text(renewal, "next_at"), &at) == 0 &&
	       at - clock_now() > left_ms;
}

static int watch_end(const struct invocation *in, const json_t *renewal, bool over)
{
	int r = text_equal(output_text(renewal, "status"), "completed") ? EXIT_DONE : EXIT_FAILED;
	if (ask_exit(renewal) != EXIT_DONE)
		r = EXIT_DENIED;
	if (in->form != OUTPUT_TABLE)
		output_json(renewal);
	else if (over)
		r = print_end(renewal);
	return over ? r : EXIT_PARTLY;
}

static int watch(const struct invocation *in, const char *renewal_id)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	struct watched w = {.still_from = clock_monotonic()};
	int64_t        end = clock_monotonic() + WATCH_SECONDS * MS_SECOND;
	snprintf(path, sizeof(path), "/api/v1/renewals/%s", renewal_id);
	for (;;) {
		json_t *renewal = NULL;
		int     r = client_call(&in->client, "GET", path, NULL, NULL, &renewal, &why);
		if (r != EXIT_DONE)
			return verb_fail(r, &why);
		bool    over = is_over(output_text(renewal, "status"));
		int64_t left = end - clock_monotonic();
		if (in->form == OUTPUT_TABLE) {
			print_steps(json_object_get(renewal, "steps"), &w);
			tell_failure(renewal, &w);
			if (!over)
				print_wait(in, renewal, &w);
		}
		if (over || left <= 0 || waits_longer(renewal, left)) {
			r = watch_end(in, renewal, over);
			json_decref(renewal);
			return r;
		}
		json_decref(renewal);
		nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
	}
}

static int renew(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	json_t        *body = json_pack("{s:s, s:b, s:b}", "trigger", "manual", "force", verb_given(in, "force") ? 1 : 0, "now",
	                                       verb_given(in, "now") ? 1 : 0);
	if (verb_given(in, "peer-proof"))
		json_object_set_new(body, "peer_proof", json_true());
	int            r = cert_path(in, "/api/v1/certificates/lifecycle/renew/%s", path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	bool watched = verb_given(in, "watch");
	r = ask_exit(answer);
	if (in->form != OUTPUT_TABLE && !watched)
		output_json(answer);
	else if (in->form == OUTPUT_TABLE)
		printf("renewal %s of %s: %s\n", output_text(answer, "renewal_id"), output_text(answer, "cert_id"), output_text(answer, "status"));
	if (watched)
		r = watch(in, output_text(answer, "renewal_id"));
	json_decref(answer);
	return r;
}

/* ---- cancel ---- */

/* The order that is open for the certificate; "" = there is none. */
static int open_order_of(const struct invocation *in, char ret[ID_TEXT_SIZE], struct refusal *why)
{
	char    path[CLIENT_PATH_SIZE];
	json_t *answer = NULL;
	int     r = cert_path(in, "/api/v1/certificates/%s", path, why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, why);
	if (r == EXIT_DONE)
		text_cut(ret, ID_TEXT_SIZE, output_text(answer, "open_order"));
	json_decref(answer);
	return r;
}

static int cancel_renewal(const struct invocation *in, const char *renewal_id, struct refusal *why)
{
	char    path[CLIENT_PATH_SIZE];
	json_t *answer = NULL;
	snprintf(path, sizeof(path), "/api/v1/renewals/%s/cancel", renewal_id);
	int r = client_call(&in->client, "POST", path, NULL, NULL, &answer, why);
	if (r == EXIT_DONE && in->form != OUTPUT_TABLE)
		output_json(answer);
	else if (r == EXIT_DONE)
		printf("renewal %s of %s: %s\n", output_text(answer, "renewal_id"), output_text(answer, "cert_id"), output_text(answer, "status"));
	json_decref(answer);
	return r;
}

/* A word that looks like a renewal_id may be a cert_id, too. */
static int cancel(const struct invocation *in)
{
	struct refusal why;
	struct id      id;
	char           renewal_id[ID_TEXT_SIZE] = "";
	int            r = id_parse(in->words[0], &id) == 0 ? cancel_renewal(in, in->words[0], &why) : EXIT_NOT_FOUND;
	if (r != EXIT_NOT_FOUND)
		return r == EXIT_DONE ? r : verb_fail(r, &why);
	r = open_order_of(in, renewal_id, &why);
	if (r == EXIT_DONE && renewal_id[0] != '\0')
		r = cancel_renewal(in, renewal_id, &why);
	else if (r == EXIT_DONE && in->form == OUTPUT_TABLE)
		printf("%s has no open renewal: there is nothing to cancel\n", in->words[0]);
	else if (r == EXIT_DONE)
		printf("null\n");
	return r == EXIT_DONE ? r : verb_fail(r, &why);
}

static int expiring(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int64_t        days = 30;
	if (verb_given(in, "days") && text_i64(verb_value(in, "days"), 0, 36500, &days) < 0) {
		refuse(&why, E_CLI_USAGE, "--days", "must be a number of days");
		return verb_fail(EXIT_USAGE, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/certificates/lifecycle/expiring?days_ahead=%lld", (long long)days);
	int r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_JSON) {
		output_json(answer);
	} else {
		json_t *rows = json_array();
		json_array_extend(rows, json_object_get(json_object_get(answer, "certificates"), "critical"));
		json_array_extend(rows, json_object_get(json_object_get(answer, "certificates"), "warning"));
		output_list(in->form, expiring_columns, N_ELEMENTS(expiring_columns), rows);
		output_none(in->form, rows, "certificates that expire soon");
		json_decref(rows);
	}
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_cert_verbs[] = {
	{"cert", "list", "", 0, 0, "certificates, their state and what is served",
	 {{"service", "S", "only of this service"}, {"agent", "NAME", "only on this host"},
	  {"paused", NULL, "whose renewal gave up for now: why, and when it is tried again"}}, list},
	{"cert", "show", "CERT_ID", 1, 1, "wanted, issued and served, with the last renewals",
	 {{"pem", NULL, "the newest certificate and its chain instead, for other programs"}}, show},
	{"cert", "renew", "CERT_ID", 1, 1, "orders a renewal now",
	 {{"force", NULL, "also when it is not due yet"}, {"now", NULL, "wait for no window; an order that waits goes on"},
	  {"peer-proof", NULL, "done only when the relying parties have seen it from their own hosts"}, {"watch", NULL, "follow it to the proof"}}, renew},
	{"cert", "cancel", "CERT_ID|RENEWAL_ID", 1, 1, "ends a renewal that is not at the signer yet", {{NULL, NULL, NULL}}, cancel},
	{"cert", "expiring", "", 0, 0, "what ends soon", {{"days", "N", "how far to look ahead (default 30)"}}, expiring},
};
const size_t cli_cert_verbs_n = N_ELEMENTS(cli_cert_verbs);
