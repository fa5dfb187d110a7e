/* crl_plan.h - room agent/core: when this host fetches the revocation lists: at once when others are announced, again with
 * growing pauses until it has them, and not more often than services should be reloaded for them. Never: clocks, files,
 * sockets, heap, crypto. Nothing of this state outlives the keeper: the next welcome announces them again. */
#ifndef VCC_CRL_PLAN_H
#define VCC_CRL_PLAN_H

#include <stdbool.h>

#include "shared/base/id.h"

enum crl_plan_phase {
	CRL_PLAN_REST,  /* nothing is to be done, or nobody can be asked */
	CRL_PLAN_WAIT,  /* they are fetched at next_at */
	CRL_PLAN_FETCH, /* under way; given up at next_at */
	CRL_PLAN_PHASE_COUNT,
};
const char *crl_plan_phase_name(enum crl_plan_phase p);

/* All times are monotonic. */
struct crl_plan {
	enum crl_plan_phase phase;
	bool                wanted;    /* some target wants lists */
	struct hash         announced; /* by the controller in this connection; none = not yet */
	struct hash         have;      /* in use; none = there are none */
	struct hash         fetching;  /* what is under way */
	uint32_t            tries;     /* failures in a row for what is announced */
	int64_t             tried_at;  /* when the last try began; 0 = never */
	int64_t             taken_at;  /* when `have` came into use; 0 = before this run */
	int64_t             next_at;   /* TIME_NEVER = no timer */
};

struct crl_plan_policy {
	int64_t spread_max_ms; /* longer ones are cut: a controller cannot put it off for ever */
	int64_t gap_ms;        /* between the beginnings of two tries */
	int64_t pace_ms;       /* between two sets that come into use */
	int64_t retry_min_ms, retry_max_ms;
	int64_t fetch_ms;
};

enum crl_plan_event_kind {
	CRL_PLAN_WANTED,    /* wanted */
	CRL_PLAN_ANNOUNCED, /* hash, spread_ms */
	CRL_PLAN_LOST,      /* nobody can be asked until the next announcement */
	CRL_PLAN_TIMER,     /* now >= next_at */
	CRL_PLAN_TAKEN,     /* what was under way is in use */
	CRL_PLAN_FAILED,    /* it is not; the old ones stay */
	CRL_PLAN_EVENT_COUNT,
};
struct crl_plan_event {
	enum crl_plan_event_kind kind;
	bool                     wanted;
	struct hash              hash;
	int64_t                  spread_ms;
	uint32_t                 random;
};

enum crl_plan_action {
	CRL_PLAN_NOTHING,
	CRL_PLAN_BEGIN, /* fetch and check `fetching`; answer TAKEN or FAILED */
	CRL_PLAN_DROP,  /* end what is under way; no answer */
};

/* Returns what is to be done after `plan` was brought up to date. An event that fits nothing changes nothing. */
enum crl_plan_action crl_plan_step(struct crl_plan *plan, const struct crl_plan_event *event, int64_t now,
				   const struct crl_plan_policy *policy);

#endif
