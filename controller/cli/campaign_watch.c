/* campaign_watch.c - room controller/cli: follows a campaign until nothing more happens, and says how it ended.
 * Never: ordering anything. */
#include "controller/cli/campaign_watch.h"

#include "controller/cli/campaign_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "controller/cli/ask.h"
#include "controller/cli/output.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { POLL_FIRST_MS = 50, POLL_MAX_MS = 500, STILL_MS = 10 * 1000 };

/* Since when no more certificates have come to their end. */
struct still {
	long long done;
	int64_t   from;
	bool      told;
};

static long long count_of(const json_t *campaign, const char *field)
{
	return (long long)json_integer_value(json_object_get(campaign, field));
}

int campaign_exit(const json_t *campaign)
{
	const char *status = output_text(campaign, "status");
	if (ask_exit(campaign) != EXIT_DONE)
		return EXIT_DENIED;
	return text_equal(status, "completed") ? EXIT_DONE : EXIT_PARTLY;
}

static bool in_flight(const json_t *campaign)
{
	long long open = count_of(campaign, "in_progress_count");
	bool      more = count_of(campaign, "waiting_count") > 0 || json_is_true(json_object_get(campaign, "collecting"));
	bool      sends = text_equal(output_text(campaign, "status"), "processing") && more;
	return sends || open > count_of(campaign, "offline_count");
}

/* Halted, nothing is in flight any more, and a person has to look: that is an end, too. */
static bool rests(const json_t *campaign)
{
	const char *status = output_text(campaign, "status");
	return json_is_string(json_object_get(campaign, "completed_at")) || text_equal(status, "awaiting_approval") ||
	       !in_flight(campaign);
}

static int fetch(const struct invocation *in, const char *campaign_id, bool with_members, json_t **ret, struct refusal *why)
{
	char path[CLIENT_PATH_SIZE];
	snprintf(path, sizeof(path), "/api/v1/campaigns/%s%s", campaign_id, with_members ? "" : "?members=no");
	return client_call(&in->client, "GET", path, NULL, NULL, ret, why);
}

static int fetch_failures(const struct invocation *in, const char *campaign_id, const json_t *campaign, json_t **ret)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	if (count_of(campaign, "failed_count") == 0)
		return EXIT_DONE;
	snprintf(path, sizeof(path), "/api/v1/campaigns/%s/members?state=failed&limit=%d", campaign_id, SCREEN_FAILURES);
	return client_call(&in->client, "GET", path, NULL, NULL, ret, &why);
}

static void draw(const struct invocation *in, FILE *to, const json_t *campaign, bool redraw)
{
	json_t *failures = NULL;
	(void)fetch_failures(in, output_text(campaign, "campaign_id"), campaign, &failures); /* the counts are there without them */
	campaign_screen(to, campaign, json_object_get(failures, "items"), redraw);
	json_decref(failures);
}

/* A terminal whose lines can be drawn over. */
static bool can_redraw(void)
{
	const char *term = getenv("TERM");
	return isatty(STDERR_FILENO) == 1 && term != NULL && term[0] != '\0' && !text_equal(term, "dumb");
}

static void progress(const struct invocation *in, const json_t *campaign)
{
	if (can_redraw())
		draw(in, stderr, campaign, true);
}

/* What a person does now, each with the line to type. */
static void tell_next(const json_t *campaign)
{
	const char *status = output_text(campaign, "status"), *id = output_text(campaign, "campaign_id");
	if (text_equal(status, "awaiting_approval"))
		printf("  next: another person runs\n  `vccctl approval approve %s`\n", id);
	if (text_equal(output_text(campaign, "confirmation"), "asked"))
		printf("  it ran first; next: another person confirms it by\n  `vccctl approval approve %s`\n", id);
	if (text_equal(status, "processing"))
		printf("  next: it goes on; follow it by\n  `vccctl campaign watch %s`\n", id);
	if (text_equal(status, "halted"))
		printf("  next: mend the cause, then `vccctl campaign resume`, `cancel` or `rollback`\n  %s\n", id);
}

static void print_end(const json_t *campaign)
{
	size_t        i;
	const json_t *failure;
	char          line[WAITING_LINE_SIZE];
	printf("%s: %lld of %lld renewed, %lld failed, %lld skipped, %lld pending after %.1f s\n", output_text(campaign, "status"),
	       count_of(campaign, "successful_count"), count_of(campaign, "total_certificates"),
	       count_of(campaign, "failed_count"), count_of(campaign, "skipped_count"), count_of(campaign, "pending_count"),
	       json_number_value(json_object_get(campaign, "duration_minutes")) * 60);
	if (count_of(campaign, "rolled_back_count") + count_of(campaign, "kept_count") > 0)
		printf("  %lld rolled back, %lld could not be\n", count_of(campaign, "rolled_back_count"), count_of(campaign, "kept_count"));
	if (json_is_true(json_object_get(campaign, "peer_proof")))
		printf("  relying parties have seen %lld of %lld; `vccctl cert show CERT_ID` tells who has not\n",
		       count_of(campaign, "successful_count") - count_of(campaign, "peer_unproved_count"), count_of(campaign, "successful_count"));
	if (output_text(campaign, "cause")[0] != '\0')
		printf("  %s\n", output_text(campaign, "cause"));
	if (text_equal(output_text(campaign, "status"), "cancelled")) /* what waits yet is dropped in a moment */
		printf("  %lld were not sent, and are dropped\n",
		       count_of(campaign, "dropped_count") + count_of(campaign, "waiting_count"));
	json_array_foreach(json_object_get(campaign, "slowest"), i, failure) {
		campaign_waiting_line(failure, line);
		verb_say(stdout, 4, "  waits: ", line);
	}
	tell_next(campaign);
	if (count_of(campaign, "held_count") > 0)
		printf("  %lld wait for a new host: `vccctl agent replace`\n", count_of(campaign, "held_count"));
	json_t *failures = json_object_get(campaign, "failed_renewals");
	json_array_foreach(failures, i, failure) {
		snprintf(line, sizeof(line), "%s: %s %s", output_text(failure, "cert_id"), output_text(failure, "code"), output_text(failure, "error"));
		verb_say(stdout, 4, "  ", line);
	}
}

static int end(const struct invocation *in, const char *campaign_id)
{
	struct refusal why;
	json_t        *campaign = NULL;
	int            r = fetch(in, campaign_id, true, &campaign, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		print_end(campaign);
	else
		output_json(campaign);
	r = campaign_exit(campaign);
	json_decref(campaign);
	return r;
}

/* Once, to somebody who sits there: nothing has ended for a while. */
static void tell_still(const char *campaign_id, const json_t *campaign, struct still *s)
{
	long long done = count_of(campaign, "successful_count") + count_of(campaign, "failed_count") + count_of(campaign, "skipped_count");
	char      line[256];
	if (done != s->done) {
		s->done = done;
		s->from = clock_monotonic();
	}
	if (s->told || clock_monotonic() - s->from < STILL_MS || isatty(STDERR_FILENO) == 0)
		return;
	s->told = true;
	snprintf(line, sizeof(line), "`vccctl campaign show %s` tells what is in progress; what waits for its service's window goes on with `vccctl cert renew CERT_ID --now`",
		 campaign_id);
	verb_say(stderr, 2, "  ", line);
}

int campaign_follow(const struct invocation *in, const char *campaign_id, int64_t wait_ms)
{
	int64_t until = clock_monotonic() + wait_ms;
	long    poll_ms = POLL_FIRST_MS;
	struct still still = {.done = -1};
	if (can_redraw())
		fprintf(stderr, "\033[2J");
	for (;;) {
		struct refusal why;
		json_t        *campaign = NULL;
		int            r = fetch(in, campaign_id, false, &campaign, &why);
		if (r != EXIT_DONE)
			return verb_fail(r, &why);
		bool over = rests(campaign) || clock_monotonic() >= until;
		if (!over)
			tell_still(campaign_id, campaign, &still);
		progress(in, campaign);
		json_decref(campaign);
		if (over)
			break;
		nanosleep(&(struct timespec){.tv_nsec = poll_ms * 1000000L}, NULL);
		poll_ms = poll_ms * 2 < POLL_MAX_MS ? poll_ms * 2 : POLL_MAX_MS;
	}
	if (can_redraw())
		fprintf(stderr, "\n");
	return EXIT_DONE;
}

int campaign_watch(const struct invocation *in, const char *campaign_id, int64_t wait_ms)
{
	int r = campaign_follow(in, campaign_id, wait_ms);
	return r == EXIT_DONE ? end(in, campaign_id) : r;
}

int campaign_look(const struct invocation *in, const char *campaign_id)
{
	struct refusal why;
	json_t        *campaign = NULL;
	int            r = fetch(in, campaign_id, false, &campaign, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		draw(in, stdout, campaign, false);
	else
		output_json(campaign);
	r = rests(campaign) ? campaign_exit(campaign) : EXIT_DONE;
	json_decref(campaign);
	return r;
}

int campaign_wait_option(const struct invocation *in, int64_t fallback_ms, int64_t *ret_ms, struct refusal *why)
{
	*ret_ms = fallback_ms;
	if (!verb_given(in, "wait") || duration_parse(verb_value(in, "wait"), ret_ms) == 0)
		return EXIT_DONE;
	refuse(why, E_CLI_USAGE, "--wait", "must be a duration like 30s or 10m");
	return EXIT_USAGE;
}
