/* refresh.h - room agent/core: decides the next step of the care for one target between orders: new trust files or settings, repair of
 * what somebody changed, healing of what is not served, and the daily rehearsal. Key and certificate stay the same.
 * Never: clocks, files, sockets, heap, crypto. Nothing of this state outlives the keeper: what is to be done is found again from what
 * is on disk and from what was proved, so a kill is only another event. */
#ifndef VCC_REFRESH_H
#define VCC_REFRESH_H

#include "agent/core/deploy.h"

enum refresh_phase {
	REFRESH_REST,
	REFRESH_WRITE,
	REFRESH_TEST,
	REFRESH_FLIP,
	REFRESH_RELOAD,
	REFRESH_PROBE,
	REFRESH_BACK_FLIP,
	REFRESH_BACK_RELOAD,
	REFRESH_WAIT, /* it failed; tried again at next_at */
	REFRESH_PHASE_COUNT,
};
const char *refresh_phase_name(enum refresh_phase p);

struct refresh {
	enum refresh_phase  phase;
	enum refresh_reason reason; /* of the present or the last one */
	uint32_t            tries;  /* failures in a row */
	struct hash         content; /* what the generation is to be made from */
	bool                changed; /* REFRESH_REPAIR: bytes were changed, so the service may have read wrong ones */
	bool                can_go_back;
	bool                blind; /* no handshake can prove this target: the hook decides */
	bool                was_down; /* nobody answered before: that is not the fault of what was changed here */
	uint64_t            generation, old_generation;
	int                 code; /* of the last failure; 0 = it went well */
	char                cause[CAUSE_SIZE];
	int64_t             next_at; /* TIME_NEVER = no timer */
};

enum refresh_event_kind {
	REV_WANT,     /* reason, content, changed, blind, was_down, old_generation (0 = nothing to go back to) */
	REV_WRITTEN,  /* code; generation */
	REV_TESTED,   /* code */
	REV_FLIPPED,  /* code; current_generation */
	REV_RELOADED, /* code */
	REV_PROBED,   /* probe */
	REV_TIMER,    /* now >= next_at; probe as in REV_PROBED while probing */
	REV_DROP,     /* an order takes over, the target file is gone, or there is nothing left to be done */
	REV_KIND_COUNT,
};

struct refresh_event {
	enum refresh_event_kind kind;
	enum refresh_reason     reason;
	struct hash             content;
	bool                    changed, was_down, blind;
	uint64_t                generation, old_generation, current_generation;
	int                     code;
	char                    cause[CAUSE_SIZE];
	struct probe_summary    probe;
	uint32_t                random;
};

enum refresh_action_kind {
	RACT_WRITE,      /* a new generation; for a rehearsal with a key that nobody will use. Answer REV_WRITTEN */
	RACT_TEST,       /* answer REV_TESTED */
	RACT_FLIP,       /* answer REV_FLIPPED */
	RACT_FLIP_BACK,  /* to old_generation; answer REV_FLIPPED */
	RACT_RELOAD,     /* answer REV_RELOADED */
	RACT_PROBE,      /* begin to look; answers REV_PROBED */
	RACT_PROBE_STOP,
	RACT_DISCARD,    /* remove `generation`, never the current one, and end what is still being written */
	RACT_PROVED,     /* what is in place is proved: remember that, remove what is no longer needed */
	RACT_REPORT,     /* a receipt: how it ended */
	RACT_KIND_COUNT,
};
const char *refresh_action_name(enum refresh_action_kind k);

enum { REFRESH_ACTIONS_MAX = 5 };
struct refresh_step {
	struct refresh           next;
	bool                     ignored; /* fits nothing */
	enum refresh_action_kind act[REFRESH_ACTIONS_MAX];
	size_t                   n_act;
};

/* Uses of the policy: test_ms, reload_ms, probe_ms, verify_row, heal_min_ms, heal_max_ms. */
_must_check_ int refresh_step(const struct refresh *r, const struct refresh_event *event, int64_t now,
			      const struct deploy_policy *policy, struct refresh_step *ret);

/* May something of this reason and content begin? While another one waits for its next try only what is different may. */
bool refresh_may_begin(const struct refresh *r, enum refresh_reason reason, const struct hash *content);

#endif
