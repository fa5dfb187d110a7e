/* commit.h - room controller/daemon: one change of the store together with what follows it.
 * Rows put here are seen by the next decision at once (rows.h); messages, signing requests and answers wait until the change is
 * durable. Never: acting before that. */
#ifndef VCC_COMMIT_H
#define VCC_COMMIT_H

#include "controller/daemon/controller.h"

struct commit;

struct commit *commit_new(struct controller *ctl);
void           commit_drop(struct commit *c); /* instead of commit_now(): nothing happens */
/* For verbs without a row below. */
struct store_change *commit_change(struct commit *c);

void commit_certificate(struct commit *c, const struct certificate *cert); /* version as read; 0 = new */
void commit_issuance_new(struct commit *c, const struct issuance *i);
void commit_issuance(struct commit *c, const struct issuance *i);
void commit_agent(struct commit *c, const struct agent *a);
void commit_target(struct commit *c, const struct target *t);
void commit_remove_target(struct commit *c, const char *target_id);

/* Who and what of an audit record; the rest is a JSON object made as by json_pack() ("{s:s}"), or NULL. */
struct audit_of {
	enum audit_event event;
	const char      *actor;
	const char      *object;
	struct id        renewal_id;
	struct id        request_id;
};
void commit_audit(struct commit *c, const struct audit_of *of, const char *format, ...);

/* What happens when the change is durable, or when it could not be stored, in the order of the calls. The value is copied. */
typedef void commit_then_fn(struct controller *ctl, const void *value, size_t n);
void         commit_then(struct commit *c, commit_then_fn *fn, const void *value, size_t n);
void         commit_else(struct commit *c, commit_then_fn *fn, const void *value, size_t n);

/* Inside a commit_else() function: why it could not be stored. */
int commit_failure(const struct controller *ctl);

/* Names of the fault points before the change is handed over and after it is durable. */
void commit_fault_points(struct commit *c, const char *before, const char *after);

typedef void commit_done_fn(struct controller *ctl, void *ctx, int code, const struct store_result *result);
/* Hands it over. `done` may be NULL; it runs after all commit_then(), never inside this call. */
void commit_now(struct commit *c, commit_done_fn *done, void *ctx);

/* Changes handed over and not yet answered: back-pressure. */
size_t commit_waiting(const struct controller *ctl);
bool   commit_healthy(const struct controller *ctl); /* the last one was stored */

/* Wiring, for controller.c. */
struct commits;
_must_check_ int commits_open(struct controller *ctl, struct commits **ret);
void             commits_poll(struct commits *all); /* store completions wait: on the loop */
void             commits_free(struct commits *all);

#endif
