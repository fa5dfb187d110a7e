/* campaign_watch.h - room controller/cli: follows a campaign until nothing more happens, and says how it ended.
 * Progress goes to stderr and only to a terminal. Never: ordering anything. */
#ifndef VCC_CAMPAIGN_WATCH_H
#define VCC_CAMPAIGN_WATCH_H

#include "controller/cli/verb.h"

/* Until it is closed, halted, waits for a person, or only hosts that are away are waited for; `wait_ms` at the longest. Prints
 * its end and failures. Exit code: EXIT_DONE completed; EXIT_PARTLY halted, cancelled, with failures or still pending;
 * EXIT_DENIED waits for approval. */
int campaign_watch(const struct invocation *in, const char *campaign_id, int64_t wait_ms);
/* One screen of it, once, as it is now. The same exit codes, and EXIT_DONE while it is under way. */
int campaign_look(const struct invocation *in, const char *campaign_id);
/* The same without a word at the end: EXIT_DONE as soon as nothing more happens, or the time is over. */
int campaign_follow(const struct invocation *in, const char *campaign_id, int64_t wait_ms);
/* The exit code that fits a campaign as it is. */
int campaign_exit(const json_t *campaign);
/* --wait of a verb; EXIT_USAGE with `why`. */
_must_check_ int campaign_wait_option(const struct invocation *in, int64_t fallback_ms, int64_t *ret_ms, struct refusal *why);

#endif
