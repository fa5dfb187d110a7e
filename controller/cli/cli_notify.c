/* cli_notify.c - room controller/cli: vccctl notify ...: what people have to be told.
 * Never: ending anything. */
#include <stdio.h>
#include <string.h>

#include "controller/cli/ask.h"
#include "shared/base/text.h"
#include "shared/model/names.h"
#include "shared/model/notice.h"

static const struct output_column list_columns[] = {
	{"LAST", "last_at", COLUMN_SINCE},   {"LEVEL", "level", COLUMN_TEXT},     {"EVENT", "event", COLUMN_TEXT},
	{"SERVICE", "service", COLUMN_TEXT}, {"OBJECT", "object", COLUMN_TEXT}, {"CODE", "code", COLUMN_TEXT},
	{"COUNT", "count", COLUMN_TEXT},   {"STATE", "state", COLUMN_TEXT},
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
	snprintf(path, sizeof(path), "/api/v1/notifications");
	add_arg(path, "state", verb_given(in, "all") ? NULL : notice_state_name(NOTICE_QUEUED));
	add_arg(path, "level", level);
	add_arg(path, "service", service);
	return ask_list(in, path, "items", list_columns, N_ELEMENTS(list_columns));
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
	  {"all", NULL, "also what is over"}},
	 list},
};
const size_t cli_notify_verbs_n = N_ELEMENTS(cli_notify_verbs);
