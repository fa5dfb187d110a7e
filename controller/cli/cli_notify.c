/* cli_notify.c - room controller/cli: vccctl notify ...: what people have to be told.
 * Never: policy; the controller decides. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/delivery.h"
#include "shared/model/names.h"
#include "shared/model/notice.h"

static const struct output_column list_columns[] = {
	{"LAST", "last_at", COLUMN_SINCE},   {"LEVEL", "level", COLUMN_TEXT},     {"EVENT", "event", COLUMN_TEXT},
	{"SERVICE", "service", COLUMN_TEXT}, {"OBJECT", "object", COLUMN_TEXT}, {"CODE", "code", COLUMN_TEXT},
	{"COUNT", "count", COLUMN_TEXT},   {"STATE", "standing", COLUMN_TEXT}, {"BY", "acknowledged_by", COLUMN_TEXT},
};

static bool is_level(const char *text)
{
	for (unsigned l = 0; l < NOTICE_LEVEL_COUNT; l++)
		if (text_equal(text, notice_level_name((enum notice_level)l)))
			return true;
	return false;
}

/* `value` NULL: not asked for. */
static void add_arg(char path[CLIENT_PATH_SIZE], const char *name, const char *value)
{
	size_t n = strlen(path);
	if (value != NULL)
		snprintf(path + n, CLIENT_PATH_SIZE - n, "%c%s=%s", strchr(path, '?') == NULL ? '?' : '&', name, value);
}

static const struct output_column delivery_columns[] = {
	{"AT", "at", COLUMN_SINCE},        {"CHANNEL", "channel", COLUMN_TEXT},   {"LEVEL", "level", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT},
	{"STATE", "state", COLUMN_TEXT},   {"TRIES", "attempts", COLUMN_TEXT},    {"CODE", "code", COLUMN_TEXT},   {"CAUSE", "error", COLUMN_TEXT},
	{"NOTIFICATION", "notification_id", COLUMN_ID},
};

/* The last two are the same for all: a person is told of them below the table, where it is wrong. */
enum { CHANNEL_READING = 2 };
static const struct output_column channel_columns[] = {
	{"CHANNEL", "channel", COLUMN_TEXT}, {"KIND", "kind", COLUMN_TEXT},       {"LEVEL", "level", COLUMN_TEXT}, {"SENT", "sent", COLUMN_TEXT},
	{"FAILED", "failed", COLUMN_TEXT},   {"DEAD", "given_up", COLUMN_TEXT},   {"LAST", "sent_at", COLUMN_SINCE}, {"CODE", "code", COLUMN_TEXT},
	{"CAUSE", "error", COLUMN_TEXT},     {"READ", "read_at", COLUMN_SINCE},   {"RELOAD REFUSED", "reload_error", COLUMN_TEXT},
};

static const struct output_column notice_columns[] = {
	{"notification", "notification_id", COLUMN_TEXT}, {"level", "level", COLUMN_TEXT},          {"event", "event", COLUMN_TEXT},
	{"state", "standing", COLUMN_TEXT},               {"service", "service", COLUMN_TEXT},      {"object", "object", COLUMN_TEXT},
	{"code", "code", COLUMN_TEXT},                    {"error", "error", COLUMN_TEXT},          {"count", "count", COLUMN_TEXT},
	{"first", "at", COLUMN_TIME},                     {"last", "last_at", COLUMN_TIME},         {"over since", "closed_at", COLUMN_TIME},
	{"recipients", "recipients", COLUMN_LIST},        {"channels", "channels", COLUMN_LIST},    {"acknowledged", "acknowledged_at", COLUMN_TIME},
	{"acknowledged by", "acknowledged_by", COLUMN_TEXT}, {"delivered", "delivered", COLUMN_TEXT}, {"messages", "messages", COLUMN_TEXT},
	{"snoozed until", "snoozed_until", COLUMN_TIME},  {"reminders", "reminders", COLUMN_TEXT},  {"next reminder", "next_reminder_at", COLUMN_TIME},
};

static const struct output_column tested_columns[] = {
	{"channel", "channel", COLUMN_TEXT}, {"delivered", "delivered", COLUMN_TEXT}, {"code", "code", COLUMN_TEXT},
	{"cause", "error", COLUMN_TEXT},     {"next", "next", COLUMN_TEXT},           {"took (ms)", "took_ms", COLUMN_TEXT},
};

static int list_deliveries(const struct invocation *in, const char *state)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	bool           known = false;
	for (unsigned s = 0; s < DELIVERY_STATE_COUNT; s++)
		known |= text_equal(state, delivery_state_name((enum delivery_state)s));
	if (!known) {
		refuse(&why, E_CLI_USAGE, "--state", "must be waiting, sent or dead");
		return verb_fail(EXIT_USAGE, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/notifications/deliveries");
	add_arg(path, "state", state);
	return ask_list(in, path, "items", delivery_columns, N_ELEMENTS(delivery_columns));
}

static int list(const struct invocation *in)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	const char    *level = verb_value(in, "level"), *service = verb_value(in, "service");
	if (level != NULL && !is_level(level)) {
		refuse(&why, E_CLI_USAGE, "--level", "must be success, info, error or critical");
		return verb_fail(EXIT_USAGE, &why);
	}
	if (service != NULL && !name_service_ok(service)) {
		refuse(&why, E_CLI_USAGE, "--service", "`%s` is no name of a service", service);
		return verb_fail(EXIT_USAGE, &why);
	}
	if (verb_given(in, "state"))
		return list_deliveries(in, verb_value(in, "state"));
	snprintf(path, sizeof(path), "/api/v1/notifications");
	add_arg(path, "state", verb_given(in, "all") ? NULL : notice_state_name(NOTICE_QUEUED));
	add_arg(path, "level", level);
	add_arg(path, "service", service);
	return ask_list(in, path, "items", list_columns, N_ELEMENTS(list_columns));
}

/* ---- one of them ------------------------------------------------------------------------------------------------- */

static int on_notice(const struct invocation *in, const char *method, const char *action, const json_t *body)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	struct id      id;
	if (id_parse(in->words[0], &id) < 0) {
		refuse(&why, E_NOT_FOUND, in->words[0], "this is no notification's id; `vccctl notify list -o json` shows them");
		return verb_fail(EXIT_NOT_FOUND, &why);
	}
	snprintf(path, sizeof(path), "/api/v1/notifications/%s%s", in->words[0], action);
	return ask_object(in, method, path, body, notice_columns, N_ELEMENTS(notice_columns));
}

static int show(const struct invocation *in)
{
	return on_notice(in, "GET", "", NULL);
}

static int ack(const struct invocation *in)
{
	json_t *body = json_object();
	if (verb_given(in, "reason"))
		json_object_set_new(body, "reason", json_string(verb_value(in, "reason")));
	int r = on_notice(in, "POST", "/ack", body);
	json_decref(body);
	return r;
}

static int snooze(const struct invocation *in)
{
	struct refusal why;
	int64_t        ms = 0;
	const char    *given = verb_value(in, "for");
	int            bad = given != NULL ? duration_parse(given, &ms) : E_SYNTAX;
	if (bad == E_RANGE || (bad == 0 && ms > 30 * MS_DAY))
		bad = refuse(&why, E_CLI_USAGE, "--for", "`%.40s` is beyond its bound: more than 0 and at most 30d", given);
	else if (bad < 0)
		refuse(&why, E_CLI_USAGE, "--for", "must be a duration like 4h, at most 30d");
	if (bad < 0)
		return verb_fail(EXIT_USAGE, &why);
	json_t *body = json_pack("{s:s}", "for", given);
	int     r = on_notice(in, "POST", "/snooze", body);
	json_decref(body);
	return r;
}

/* ---- once more --------------------------------------------------------------------------------------------------- */

static const struct output_column retried_columns[] = {
	{"queued", "queued", COLUMN_TEXT}, {"without a channel now", "skipped", COLUMN_TEXT},
};

/* All that was given up comes in parts. */
static int retry_all(const struct invocation *in, json_t *body, json_t *total)
{
	bool       more;
	json_int_t queued = 0, skipped = 0;
	do {
		struct refusal why;
		json_t        *answer = NULL;
		int            r = client_call(&in->client, "POST", "/api/v1/notifications/retry", body, NULL, &answer, &why);
		if (r != EXIT_DONE)
			return verb_fail(r, &why);
		queued += json_integer_value(json_object_get(answer, "queued"));
		skipped += json_integer_value(json_object_get(answer, "skipped"));
		const char *next = json_string_value(json_object_get(answer, "next_cursor"));
		more = next != NULL;
		if (more)
			json_object_set_new(body, "cursor", json_string(next));
		json_decref(answer);
	} while (more);
	json_object_set_new(total, "queued", json_integer(queued));
	json_object_set_new(total, "skipped", json_integer(skipped));
	output_object(in->form, retried_columns, N_ELEMENTS(retried_columns), total);
	return EXIT_DONE;
}

static int retry(const struct invocation *in)
{
	struct refusal why;
	bool           all = verb_given(in, "dead");
	if (all == (in->n_words == 1)) {
		refuse(&why, E_CLI_USAGE, "notify retry", "takes the ID of one notification, or --dead");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = all ? json_pack("{s:b}", "dead", 1) : json_pack("{s:s}", "notification_id", in->words[0]);
	json_t *total = json_object();
	if (verb_given(in, "reason"))
		json_object_set_new(body, "reason", json_string(verb_value(in, "reason")));
	int r = retry_all(in, body, total);
	json_decref(body);
	json_decref(total);
	return r;
}

/* ---- channels ---------------------------------------------------------------------------------------------------- */

static int channels(const struct invocation *in)
{
	struct refusal why;
	json_t        *items = NULL;
	int            r = client_list(&in->client, "/api/v1/notifications/channels", "items", &items, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_list(in->form, channel_columns, N_ELEMENTS(channel_columns) - (in->form == OUTPUT_TABLE ? CHANNEL_READING : 0), items);
	output_none(in->form, items, "channels");
	const char *refused = json_string_value(json_object_get(json_array_get(items, 0), "reload_error"));
	if (refused != NULL && in->form == OUTPUT_TABLE)
		verb_say(stdout, 2, "\nreload refused: ", refused);
	json_decref(items);
	return EXIT_DONE;
}

/* It was tried; whether it arrived is the exit code. */
static int test(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL, *body = json_pack("{s:s}", "channel", in->words[0]);
	int            r = client_call(&in->client, "POST", "/api/v1/notifications/test", body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, tested_columns, N_ELEMENTS(tested_columns), answer);
	r = json_is_true(json_object_get(answer, "delivered")) ? EXIT_DONE : EXIT_FAILED;
	json_decref(answer);
	return r;
}

const struct verb cli_notify_verbs[] = {
	{"notify",
	 "list",
	 "",
	 0,
	 0,
	 "what people have to be told, newest first",
	 {{"level", "LEVEL", "success, info, error or critical"},
	  {"service", "NAME", "about one service"},
	  {"state", "STATE", "what became of it on its way: waiting, sent or dead (nobody was told)"},
	  {"all", NULL, "also what is over"}},
	 list},
	{"notify", "show", "ID", 1, 1, "one notification", {{NULL, NULL, NULL}}, show},
	{"notify", "ack", "ID", 1, 1, "you take it over: nobody is reminded any more", {{"reason", "TEXT", "for the trail"}}, ack},
	{"notify", "snooze", "ID", 1, 1, "no reminders for a while", {{"for", "DURATION", "so long, at most 30d"}}, snooze},
	{"notify",
	 "retry",
	 "[ID]",
	 0,
	 1,
	 "sends once more what was given up",
	 {{"dead", NULL, "all of it, instead of one notification's"}, {"reason", "TEXT", "for the trail"}},
	 retry},
	{"notify", "channels", "", 0, 0, "by what people are told, and whether that works", {{NULL, NULL, NULL}}, channels},
	{"notify", "test", "CHANNEL", 1, 1, "sends a test by one channel", {{NULL, NULL, NULL}}, test},
};
const size_t cli_notify_verbs_n = N_ELEMENTS(cli_notify_verbs);
