/* deploy.h - room agent/core: decides the next step of one deployment on the host (DESIGN 6, all ten steps). Several places of one
 * certificate are one deployment: the keeper does each step in all of them and answers once, with the worst that it saw.
 * Never: clocks, files, sockets, heap, crypto. The keeper writes the new state to its journal when `save` says so
 * (fsync when `sync`), and only then performs the actions. Any action may be repeated after a kill. */
#ifndef VCC_DEPLOY_H
#define VCC_DEPLOY_H

#include "shared/base/attr.h"
#include "shared/model/messages.h"

enum deploy_phase {
	DEPLOY_NONE,
	DEPLOY_KEY,       /* key is being made */
	DEPLOY_CSR,       /* csr sent, waiting for the certificate */
	DEPLOY_WINDOW,    /* the certificate is here; the maintenance window is closed */
	DEPLOY_CHECK,     /* step 1 */
	DEPLOY_WRITE,     /* step 2 */
	DEPLOY_TEST,      /* step 4 (intent of step 3 is in the journal) */
	DEPLOY_FLIP,      /* step 5 */
	DEPLOY_RELOAD,    /* step 6 */
	DEPLOY_PROBE,     /* step 7, until verified */
	DEPLOY_SETTLE,    /* step 7, until settled */
	DEPLOY_BACK_FLIP, /* step 8 */
	DEPLOY_BACK_RELOAD,
	DEPLOY_BACK_PROBE,
	DEPLOY_HEAL, /* new pair kept but not proved: reload again with back-off until a handshake proves it */
	DEPLOY_DONE, /* final receipt is in the outbox; remembered until it is acked */
	DEPLOY_COMPARE, /* a drill, after the test: is the same served as before? */
	DEPLOY_PHASE_COUNT,
};
const char *deploy_phase_name(enum deploy_phase p);

/* From the check of the answer to the proof the place is the order's, and not while it waits for its window. While a kept pair is being
 * healed only what lies there is ours. */
bool deploy_owns_place(enum deploy_phase p);

struct deploy {
	struct id         renewal_id;
	uint32_t          attempt;
	char              cert_id[CERT_ID_SIZE];
	enum deploy_phase phase;
	enum trigger      trigger;
	enum key_type     key_type;
	bool              post_validation;
	bool              any_time;    /* the order passes maintenance windows */
	bool              pre_validation; /* findings before the key end the attempt */
	bool              drill;          /* everything up to the test, and never the flip */
	char              window[SERVICE_WINDOWS_SIZE]; /* of the service; "" = any time */
	bool              had_old;     /* current/ held a pair of ours before */
	bool              old_valid;   /* and it was not expired */
	bool              was_serving; /* and it was being served (probe before the flip) */
	bool              was_down;    /* no listener answered before the flip */
	bool              blind;       /* the last reload failed at a place that no handshake can prove */
	uint32_t          tries;       /* repeats inside the phase: reloads, flip-backs, csr re-sends */
	uint32_t      restarts;   /* keeper starts in a row that found this phase: an order that kills its keeper is given up */
	uint64_t      generation; /* the new one */
	uint64_t      old_generation;
	struct hash   fingerprint, old_fingerprint;
	struct serial serial;
	struct hash   spki_hash; /* of the key made for this attempt */
	uint32_t      outcome;   /* enum receipt_outcome of the last receipt made */
	bool          receipted; /* a receipt was made at all */
	int           code;      /* first failure of this attempt */
	char          cause[CAUSE_SIZE];
	uint32_t      flags; /* ORDER_* */
	int64_t       deadline_at;
	int64_t       flipped_at;
	int64_t       next_at; /* timer; TIME_NEVER = none */
};

enum deploy_event_kind {
	DEV_ORDER,       /* msg_order: new order or attempt (or a repeat); drill: message drill */
	DEV_KEY,         /* key made: spki_hash; or code */
	DEV_CERTIFICATE, /* msg_certificate: stage (SPKI hash it is for), fingerprint, serial; staged: no order came before it, key_present:
			    the host has staged that key */
	DEV_CHECKED,     /* code; and facts of the target: had_old, old_valid, was_serving, was_down, old_generation,
			    old_fingerprint */
	DEV_WRITTEN,     /* code; generation */
	DEV_TESTED,      /* code; tested */
	DEV_FLIPPED,     /* code; current_generation: what current/ names now in all places, also after a failure; another number
			    when they differ */
	DEV_RELOADED,    /* code (hint), status; blind; probe.applies */
	DEV_PROBED,      /* a summary of the probe stream, after each round of handshakes */
	DEV_TIMER,       /* now >= next_at; probe as in DEV_PROBED while probing */
	DEV_CANCEL,      /* code */
	DEV_ROLLBACK,    /* the certificate before the one in use is to be used again: stage, fingerprint, serial; its key is in a
			    generation that was kept */
	DEV_RESTART,     /* keeper start: `current_generation` and `key_present` tell what is on disk */
	DEV_KIND_COUNT,
};
const char *deploy_event_name(enum deploy_event_kind k);

/* Probe stream so far, since the flip (or since flip-back). "Row" = consecutive handshakes. */
struct probe_summary {
	bool     applies;  /* false: verify = none or file */
	uint32_t row_new;  /* smallest row of the new fingerprint with full chain over all listeners */
	uint32_t row_old;  /* smallest row of the old fingerprint over all listeners */
	uint32_t answered; /* listeners that answered at all */
	uint32_t listeners;
	bool     wrong;       /* a listener serves neither old nor new */
	bool     asks;        /* a listener asks for clients' certificates and names their authorities */
	uint32_t row_trust;   /* as row_new, with exactly the authorities that it should name */
	int64_t  last_old_at; /* 0 = never since the flip */
	uint64_t total, failed;
};

struct deploy_event {
	enum deploy_event_kind kind;
	struct id              renewal_id;
	uint32_t               attempt;
	char                   cert_id[CERT_ID_SIZE];
	enum trigger           trigger;
	enum key_type          key_type;
	bool                   post_validation;
	bool                   any_time;
	bool                   pre_validation;
	bool                   drill;
	char                   window[SERVICE_WINDOWS_SIZE];
	int64_t                deadline_at;
	struct hash            spki_hash, stage, fingerprint, old_fingerprint;
	struct serial          serial;
	bool                   had_old, old_valid, was_serving, was_down, tested, key_present;
	bool                   staged;
	bool                   blind; /* DEV_RELOADED: it failed at a place that no handshake can prove */
	uint64_t               generation, old_generation, current_generation;
	int                    code;
	int                    status;
	char                   cause[CAUSE_SIZE];
	struct probe_summary   probe;
	uint32_t               random;
};

enum deploy_action_kind {
	DACT_MAKE_KEY,    /* off the loop; answer DEV_KEY */
	DACT_SEND_CSR,    /* signed with the host key; repeated until answered */
	DACT_CHECK,       /* take the key out of the generation that has it, where it is not beside the others; check the certificate against key, bundle, names, time; measure the target; start probing; answer
			     DEV_CHECKED */
	DACT_WRITE,       /* remove what an unfinished try left, write the new generation; answer DEV_WRITTEN */
	DACT_TEST,        /* hook test; answer DEV_TESTED (at once, tested = false, where there is none) */
	DACT_FLIP,        /* answer DEV_FLIPPED */
	DACT_FLIP_BACK,   /* to old_generation; answer DEV_FLIPPED */
	DACT_RELOAD,      /* hook reload; answer DEV_RELOADED (at once where the reload kind is none) */
	DACT_PROBE_RESET, /* forget rows: a new phase of the probe stream begins (and the stream, if it does not run) */
	DACT_PROBE_STOP,
	DACT_RECEIPT,        /* make, sign, store and send a receipt with `outcome` */
	DACT_DISCARD,        /* remove this attempt's key and, unless 0, `generation`; never the current one */
	DACT_REMOVE,         /* remove `generation`, which was never in use; the attempt goes on */
	DACT_PRUNE,          /* remove generations that are no longer needed */
	DACT_ACK,            /* tell the controller that this message (order, certificate, cancel) is in the journal */
	DACT_REPEAT_RECEIPT, /* a repeated order or certificate that was already dealt with: send its receipt again if that is
				still unacked */
	DACT_KIND_COUNT,
};
const char *deploy_action_name(enum deploy_action_kind k);

struct deploy_action {
	enum deploy_action_kind kind;
	struct id               renewal_id;
	uint32_t                attempt;
	enum receipt_outcome    outcome;
	uint64_t                generation; /* DACT_DISCARD, DACT_FLIP, DACT_FLIP_BACK: which */
	int                     code;
};

struct deploy_policy {
	int64_t  key_ms; /* limits of single steps */
	int64_t  test_ms, reload_ms;
	int64_t  probe_ms;   /* how long to wait for the new certificate after a reload (default 30 s) */
	int64_t  settle_ms;  /* >= 500 ms after the last old answer */
	uint32_t verify_row; /* 3 */
	uint32_t settle_row; /* 20 */
	int64_t  csr_repeat_ms;
	int64_t  heal_min_ms, heal_max_ms; /* back-off of DEPLOY_HEAL */
	bool     window_open;         /* swaps may begin now */
	int64_t  window_at;           /* when that changes; TIME_NEVER = it does not */
	bool     forward; /* the host wants no way back: a new pair that is not proved is kept and healed */
};

enum { DEPLOY_ACTIONS_MAX = 6 };
struct deploy_step {
	struct deploy        next;
	bool                 save;    /* to the journal before acting */
	bool                 sync;    /* with fsync */
	bool                 ignored; /* fits nothing: a duplicate, a replay, a late answer; count it */
	struct deploy_action act[DEPLOY_ACTIONS_MAX];
	size_t               n_act;
};

/* `d` with phase DEPLOY_NONE stands for "nothing known of this certificate". An event of another renewal or an older attempt,
 * and anything that does not fit the phase, changes nothing. Renewal ids grow with time (RFC 9562, UUIDv7): while a swap is
 * under way an order with a lower id is an old one. An order of a newer attempt or renewal replaces the old one only while
 * nothing has been flipped that is not yet settled or rolled back; otherwise it is answered later (repeat by the controller).
 */
_must_check_ int deploy_step(const struct deploy *d, const struct deploy_event *event, int64_t now,
			     const struct deploy_policy *policy, struct deploy_step *ret);

#endif
