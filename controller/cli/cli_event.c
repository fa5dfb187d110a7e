/* cli_event.c - room controller/cli: vccctl event tail: what happens, as it happens.
 * Never: leaving an event out: what was missed while the controller was away is asked for by the last id. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller/cli/verb.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { AWAY_SECONDS = 60 }; /* a restart is waited for */

struct tail {
	enum output_form form;
	char             last_id[CLIENT_EVENT_ID_SIZE];
	int64_t          left; /* events to show; -1 = no end */
	bool             any;
};

static const char *member(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL ? text : "";
}

/* The controller's answer comes from elsewhere: nothing of it moves the cursor. */
static void print_event(const json_t *o)
{
	char line[512];
	snprintf(line, sizeof(line), "%s  %-24s %s by %s%s%s", member(o, "at"), member(o, "event"), member(o, "object"), member(o, "actor"),
	         member(o, "reason")[0] != '\0' ? ": " : "", member(o, "reason"));
	text_hide_controls(line);
	puts(line);
}

static int show(void *ctx, const char *id, const char *data)
{
	struct tail *t = ctx;
	text_cut(t->last_id, sizeof(t->last_id), id);
	t->any = true;
	json_t *o = json_loads(data, 0, NULL);
	if (o == NULL)
		return 0;
	if (t->form == OUTPUT_TABLE)
		print_event(o);
	else
		puts(data); /* a line each: there is no end at which a list could be closed */
	json_decref(o);
	if (t->left > 0)
		t->left--;
	return fflush(stdout) != 0 || t->left == 0;
}

/* Goes on after the controller has ended the stream or was away for a moment. */
static int follow(const struct invocation *in, struct tail *t, const char *path)
{
	struct refusal why = {0};
	time_t         away_since = 0;
	for (;;) {
		t->any = false;
		int r = client_events(&in->client, path, t->last_id, show, t, &why);
		if (r == EXIT_DONE && (t->left == 0 || ferror(stdout)))
			return EXIT_DONE;
		if (r != EXIT_DONE && (r != EXIT_UNREACHABLE || t->last_id[0] == '\0'))
			return verb_fail(r, &why);
		if (r == EXIT_DONE || t->any)
			away_since = 0;
		else if (away_since == 0)
			away_since = time(NULL);
		else if (time(NULL) - away_since > AWAY_SECONDS)
			return verb_fail(r, &why);
		sleep(1);
	}
}

static int event_tail(const struct invocation *in)
{
	struct tail    t = {.form = in->form, .left = -1};
	struct refusal why;
	char           path[CLIENT_PATH_SIZE] = "/api/v1/events", since[TIME_TEXT_SIZE];
	int64_t        ago;
	const char    *count = verb_value(in, "count");
	if (count != NULL && text_i64(count, 1, INT32_MAX, &t.left) < 0) {
		refuse(&why, E_CLI_USAGE, "--count", "must be a number from 1 on");
		return verb_fail(EXIT_USAGE, &why);
	}
	if (verb_given(in, "since")) {
		if (duration_parse(verb_value(in, "since"), &ago) < 0) {
			refuse(&why, E_CLI_USAGE, "--since", "must be a duration like 5m");
			return verb_fail(EXIT_USAGE, &why);
		}
		snprintf(path, sizeof(path), "/api/v1/events?since=%s", time_text((int64_t)time(NULL) * MS_SECOND - ago, since));
	}
	return follow(in, &t, path);
}

const struct verb cli_event_verbs[] = {
	{"event",
	 "tail",
	 "",
	 0,
	 0,
	 "what happens, from now on",
	 {{"since", "DURATION", "begin with what happened within this time, like 5m"}, {"count", "N", "end after so many"}},
	 event_tail},
};
const size_t cli_event_verbs_n = N_ELEMENTS(cli_event_verbs);
