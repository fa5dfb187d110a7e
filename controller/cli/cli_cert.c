/* cli_cert.c - room controller/cli: vccctl cert ...
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/cli/ask.h"
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
	{"certificate", "cert_id", COLUMN_TEXT},  {"state", "status", COLUMN_TEXT},
	{"service", "service", COLUMN_TEXT},      {"agent", "agent", COLUMN_TEXT},
	{"template", "template_id", COLUMN_TEXT}, {"names", "names", COLUMN_LIST},
	{"issued", "serial", COLUMN_TEXT},        {"fingerprint", "fingerprint", COLUMN_TEXT},
	{"served", "target.served_serial", COLUMN_TEXT}, {"served=issued", "served", COLUMN_YES},
	{"valid from", "not_before", COLUMN_TIME}, {"valid to", "expires_at", COLUMN_TIME},
	{"renews at", "renew_at", COLUMN_TIME},   {"proved at", "target.proved_at", COLUMN_TIME},
	{"listeners", "target.listeners", COLUMN_LIST}, {"last error", "target.error", COLUMN_TEXT},
	{"open order", "open_order", COLUMN_TEXT}, {"revoked at", "revoked_at", COLUMN_TIME},
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

static int list(const struct invocation *in)
{
	static const char *const filters[] = {"service", "agent"};
	char                     path[CLIENT_PATH_SIZE] = "/api/v1/certificates";
	struct refusal           why;
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

static const char *text_of(const json_t *object, const char *field)
{
	const char *text = json_string_value(json_object_get(object, field));
	return text != NULL ? text : "";
}

/* Attempts failed and another one will follow. */
static bool waits_for_try(const json_t *renewal)
{
	return text_equal(text_of(renewal, "phase"), "retry_wait") || text_equal(text_of(renewal, "status"), "paused");
}

static void print_failure(const json_t *renewal)
{
	const json_t *error = json_object_get(renewal, "error");
	printf("attempt %lld failed: %s %s\n  next: %s\n  tried again at %.16s UTC; after mending, --force tries at once\n",
	       (long long)json_integer_value(json_object_get(renewal, "attempt")), text_of(error, "code"), text_of(error, "message"),
	       text_of(error, "next"), text_of(renewal, "next_at"));
	fflush(stdout);
}

static int show(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	json_t        *answer = NULL;
	int            r = cert_path(in, "/api/v1/certificates/%s", path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, show_columns, N_ELEMENTS(show_columns), answer);
	const json_t *renewals = json_object_get(answer, "renewals");
	const json_t *targets = json_object_get(answer, "targets");
	if (in->form == OUTPUT_TABLE && json_array_size(targets) > 1) {
		printf("\n");
		output_list(in->form, target_columns, N_ELEMENTS(target_columns), targets);
	}
	if (in->form == OUTPUT_TABLE && json_array_size(renewals) > 0) {
		printf("\n");
		output_list(in->form, renewal_columns, N_ELEMENTS(renewal_columns), renewals);
		if (waits_for_try(json_array_get(renewals, 0)))
			print_failure(json_array_get(renewals, 0));
	}
	json_decref(answer);
	return EXIT_DONE;
}

/* ---- renew, and watch it to its end ---- */

/* Prints the steps that came since the last look. */
static size_t print_steps(const json_t *steps, size_t printed)
{
	for (size_t i = printed; i < json_array_size(steps); i++) {
		const json_t *s = json_array_get(steps, i);
		const char   *code = text_of(s, "code");
		printf("  %-15s %-7s %8.3f s  %.*s%s%s\n", text_of(s, "step"), text_of(s, "status"),
		       json_real_value(json_object_get(s, "seconds")), code[0] != '\0' ? 120 : 45, text_of(s, "detail"),
		       code[0] != '\0' ? " " : "", code);
	}
	fflush(stdout);
	return json_array_size(steps);
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

static int print_end(const json_t *renewal)
{
	const char   *status = text_of(renewal, "status");
	const json_t *receipts = json_object_get(renewal, "receipts");
	const json_t *last = json_array_get(receipts, json_array_size(receipts) - (json_array_size(receipts) > 0 ? 1 : 0));
	const json_t *error = json_object_get(renewal, "error");
	if (text_equal(status, "completed") && text_of(renewal, "verified_at")[0] != '\0') {
		printf("proved after %.1f s, %lld failed handshakes of %lld\n",
		       seconds_between(text_of(renewal, "created_at"), text_of(renewal, "verified_at")),
		       (long long)json_integer_value(json_object_get(last, "handshakes_failed")),
		       (long long)json_integer_value(json_object_get(last, "handshakes")));
		print_draining(last);
		return EXIT_DONE;
	}
	printf("%s", status);
	if (json_is_object(error))
		printf(": %s %s\n  next: %s", text_of(error, "code"), text_of(error, "message"), text_of(error, "next"));
	printf("\n");
	return text_equal(status, "completed") ? EXIT_DONE : EXIT_FAILED;
}

static bool is_over(const char *status)
{
	static const char *const ends[] = {"completed", "failed", "paused", "cancelled", "rolled_back", "awaiting_approval"};
	for (size_t i = 0; i < N_ELEMENTS(ends); i++)
		if (text_equal(status, ends[i]))
			return true;
	return false;
}

/* What one watch has told so far. */
struct watched {
	size_t  steps;
	int64_t failures;   /* failed attempts that were told */
	int64_t still_from; /* monotonic: since then nothing has moved */
	char    phase[24];
	bool    wait_told;
};

/* Nothing has moved for a while: says what is waited for, once in each phase. */
static void print_wait(const struct invocation *in, const json_t *renewal, struct watched *w)
{
	const char    *phase = text_of(renewal, "phase");
	const char    *agent = text_of(renewal, "agent");
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
	if (failures == w->failures || !text_equal(text_of(renewal, "phase"), "retry_wait"))
		return;
	w->failures = failures;
	print_failure(renewal);
}

/* The next attempt begins only after the watch has ended: no reason to stay. */
static bool waits_longer(const json_t *renewal, int64_t left_ms)
{
	int64_t at;
	return text_equal(text_of(renewal, "phase"), "retry_wait") && time_parse(text_of(renewal, "next_at"), &at) == 0 &&
	       at - clock_now() > left_ms;
}

static int watch_end(const struct invocation *in, const json_t *renewal, bool over)
{
	int r = text_equal(text_of(renewal, "status"), "completed") ? EXIT_DONE : EXIT_FAILED;
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
		bool    over = is_over(text_of(renewal, "status"));
		int64_t left = end - clock_monotonic();
		if (in->form == OUTPUT_TABLE) {
			w.steps = print_steps(json_object_get(renewal, "steps"), w.steps);
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
	json_t        *body = json_pack("{s:s, s:b}", "trigger", "manual", "force", verb_given(in, "force") ? 1 : 0);
	int            r = cert_path(in, "/api/v1/certificates/lifecycle/renew/%s", path, &why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	bool watched = verb_given(in, "watch");
	if (in->form != OUTPUT_TABLE && !watched)
		output_json(answer);
	else if (in->form == OUTPUT_TABLE)
		printf("renewal %s of %s: %s\n", text_of(answer, "renewal_id"), text_of(answer, "cert_id"), text_of(answer, "status"));
	if (watched)
		r = watch(in, text_of(answer, "renewal_id"));
	json_decref(answer);
	return r;
}

static int revoke(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	const char    *reason = verb_value(in, "reason");
	if (reason == NULL) {
		refuse(&why, E_CLI_USAGE, "cert revoke", "--reason is required (keyCompromise, superseded, cessationOfOperation, ...)");
		return verb_fail(EXIT_USAGE, &why);
	}
	int r = cert_path(in, "/api/v1/certificates/%s/revoke", path, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	json_t *body = json_pack("{s:s}", "reason", reason);
	r = ask_object(in, "POST", path, body, show_columns, N_ELEMENTS(show_columns));
	json_decref(body);
	return r;
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
		json_decref(rows);
	}
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_cert_verbs[] = {
	{"cert", "list", "", 0, 0, "certificates, their state and what is served",
	 {{"service", "S", "only of this service"}, {"agent", "NAME", "only on this host"}}, list},
	{"cert", "show", "CERT_ID", 1, 1, "wanted, issued and served, with the last renewals", {{0}}, show},
	{"cert", "renew", "CERT_ID", 1, 1, "orders a renewal now",
	 {{"force", NULL, "also when it is not due yet"}, {"watch", NULL, "follow it to the proof"}}, renew},
	{"cert", "revoke", "CERT_ID", 1, 1, "ends the certificate for good", {{"reason", "R", "why: keyCompromise, superseded, ..."}}, revoke},
	{"cert", "expiring", "", 0, 0, "what ends soon", {{"days", "N", "how far to look ahead (default 30)"}}, expiring},
};
const size_t cli_cert_verbs_n = N_ELEMENTS(cli_cert_verbs);
