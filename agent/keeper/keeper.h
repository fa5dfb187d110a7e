/* keeper.h - room agent/keeper: the one struct of the process and the ways its parts speak to each other: by events in a queue.
 * Never: one part calling back into another; an answer is a new event. */
#ifndef VCC_KEEPER_H
#define VCC_KEEPER_H

#include <uv.h>

#include "agent/core/refresh.h"
#include "agent/core/rival.h"
#include "agent/keeper/drain_watch.h"
#include "agent/keeper/generation.h"
#include "agent/keeper/hook_client.h"
#include "agent/keeper/keeper_state.h"
#include "agent/keeper/probe.h"
#include "agent/keeper/receipts.h"
#include "agent/keeper/records.h"
#include "agent/keeper/target_scan.h"
#include "agent/keeper/tls_probe.h"
#include "shared/conf/agent_conf.h"
#include "shared/sys/journal.h"
#include "shared/wire/wire.h"

struct keeper;
struct uplink;
struct watch;
struct rehearsal;
struct crl_fetch;

enum { PLACE_MADE = 2, PLACE_WATCHES_CAPATH = 32, PLACE_WATCHES_MAX = GENERATION_FILES_MAX + 3 + PLACE_WATCHES_CAPATH };

/* inotify's numbers for a place: its folder, the generation in use, its files. */
struct place_watch {
	int    wd[PLACE_WATCHES_MAX];
	size_t n;
	bool   missing; /* some could not be set: the place is looked at every second instead */
};

/* What `current` holds. */
struct on_disk {
	uint64_t      generation; /* 0 = nothing */
	struct serial serial;     /* none: a pair that is not of our CA */
	struct hash   fingerprint;
	int64_t       not_after_at;
};

/* A target file that cannot be used, for people; the last good settings stay in force. */
struct target_unread {
	char           stem[CERT_ID_SIZE];
	struct refusal why;
};

/* One target file: a place where the certificate is served, and what is under way there. */
struct place {
	struct managed    *managed;
	char               stem[CERT_ID_SIZE];
	bool               present; /* `conf` was read; false: only the journal knows it */
	bool               retired; /* the target file is gone and the controller has not acknowledged it */
	uint64_t           told_id;   /* message that told the controller of the file, or of its end */
	int                told_code; /* its answer: 0 = taken, perhaps with a remark */
	char               told_text[MSG_TEXT_SIZE];
	struct target_conf conf;
	char               dir[TARGET_PATH_SIZE];
	struct hash        digest;
	struct on_disk     on_disk;
	uint64_t           old_generation; /* what `current` named before the swap: where to go back to; 0 = nothing of ours */
	struct drain_watch *drain;         /* NULL = no old workers are looked for */
	int64_t            old_answers_ms; /* how long the service gave them after its last reload; 0 = not known */
	/* in the journal: what was written, and what of it was proved */
	struct made        made[PLACE_MADE]; /* the last generations, newest first */
	struct hash        proved;           /* content of the generation that was last proved in use */
	int64_t            rehearsed_at;     /* last rehearsal that went well; 0 = none */
	/* lost with the process, and found again */
	struct hook_call  *hook;
	struct probe      *probe;
	struct refresh     care;
	struct hook_call  *care_hook;
	struct probe      *care_probe;
	bool               care_probed_waits; /* a REV_PROBED is in the queue */
	bool               care_want_waits;   /* a REV_WANT is: a queue that waits for space on the disk must not grow by them */
	uv_timer_t        *timer;      /* care.next_at; owned by the loop */
	int64_t            rescan_due; /* monotonic */
	struct rival       rival;
	struct drift       drift;     /* the last one that was found */
	int64_t            drifted_at; /* 0 = none */
	uint64_t           drifts;
	struct drift       drift_told; /* the last one that the log and the controller were told of */
	int64_t            drift_told_at;
	uint32_t           trust_proof; /* enum trust_proof of what is in use */
	int                reload_code; /* what the last reload came to; a handshake may prove the pair all the same, never the trust */
	struct probe_summary care_summary; /* of the last refresh's probes */
	struct hash        trust_seen;     /* authorities that the listeners named then */
	struct rehearsal  *rehearsal;      /* its key is being made */
	struct drift       repaired;       /* what the last repair was for */
	bool               touched;        /* the kernel told of a change */
	struct {
		uint64_t seq; /* of the last receipt about this place */
		uint32_t reason;
		int      code;
	} reported;
	struct place_watch watch;
	bool               looking;   /* `care_probe` is a look at what is served, by nobody's order */
	bool               suspect;   /* the last look saw something wrong: it is looked at once more before it is believed */
	int                look_code; /* of the last look; 0 = the issued certificate is served */
	int64_t            look_due;  /* monotonic */
	int64_t            stale_since_at; /* a listener serves another certificate than the issued one; 0 = none does */
	bool               down;           /* at the last look nobody answered */
	int64_t            down_since_at;  /* and at the look after it; 0 = somebody did */
	int                files_code;     /* why what lies here cannot even be compared; 0 = it can */
	char               files_cause[CAUSE_SIZE];
	int64_t            rehearse_due;   /* wall clock; 0 = to be planned */
	int                rehearsal_code; /* why the last rehearsal failed; 0 = it went well, or a renewal did since */
	struct receipt_listener *seen; /* at the last look, or by the last swap; n_seen, owned */
	uint32_t           n_seen;
};

/* What a deployment has done in this run of the keeper: for receipts and for what is in flight. Lost with the process. */
struct swap {
	struct receipt_step    *steps; /* owned; at most MSG_STEPS_MAX */
	uint32_t                n_steps;
	int64_t                 step_from; /* monotonic */
	int                     hook_status;
	size_t                  asked;     /* places whose answer the step under way still waits for */
	struct deploy_event     gathered;  /* the answer of those that have given it */
	bool                    measuring; /* DACT_CHECK waits for the first round of probes */
	struct deploy_event     measured;  /* its answer so far */
	int64_t                 lists_until; /* monotonic: DACT_CHECK waits so long for the first revocation lists; 0 = it does not */
	bool                    without_lists; /* none came in time */
	struct probe_summary    summary;   /* of the last round */
	struct receipt_listener listeners[MSG_LISTENERS_MAX];
	uint32_t                n_listeners;
	int64_t                 first_new_at;
};

/* The issuance in use: what repairs and new trust files are made from. Its key is the one of this attempt. */
struct live {
	struct id     renewal_id;
	uint32_t      attempt;
	struct hash   fingerprint;
	struct serial serial;
	int64_t       not_after_at; /* 0: nobody can read it */
	struct buf    certificate; /* MSG_CERTIFICATE frame; empty = none yet */
};

/* The next key of a certificate: see stage.h. */
enum stage_state { STAGE_NONE, STAGE_MAKING, STAGE_OFFERED /* in the journal; the controller does not say yet that it has it */, STAGE_READY, STAGE_STATE_COUNT };
struct stage_kept {
	enum stage_state state;
	struct id        id; /* of its file */
	enum key_type    key_type;
	struct hash      spki_hash;
	int64_t          made_at;
	/* lost with the process */
	uint64_t         message_id; /* of the last offer */
	int64_t          due;        /* monotonic: when the next one is made; 0 = not planned */
	bool             unwanted;   /* the controller wants none */
	bool             asked;      /* it has said of which type: */
	enum key_type    asked_type;
};

/* One certificate of this host: its places (several are a group: one key, all verified or all back) and its deployment. */
struct managed {
	struct keeper *keeper;
	char           cert_id[CERT_ID_SIZE];
	struct place  *places[PLACES_MAX];
	size_t         n_places;
	uint64_t       generation; /* highest number that was ever used, in any place */
	struct deploy  deploy;
	struct buf     order;       /* MSG_ORDER or MSG_DRILL frame of `deploy` */
	struct buf     certificate; /* MSG_CERTIFICATE frame */
	struct live    live;
	struct stage_kept stage;
	int64_t        stage_again; /* monotonic: no next key is made before, whoever asks; lost with the process */
	uv_timer_t     timer;
	struct swap    swap;
	bool           probed_waits; /* a DEV_PROBED is in the queue */
};

/* An event of one deployment, with the message it came from; or of the care for one place. */
struct keeper_event {
	struct keeper_event *next;
	struct managed      *managed; /* NULL: it is gone */
	struct deploy_event  event;
	struct place        *place; /* not NULL: `care` counts, not `event` */
	struct refresh_event care;
	bool                 message;    /* it came from the controller */
	uint64_t             message_id;
	uint32_t             type;       /* MSG_ORDER, MSG_CERTIFICATE: `frame` goes to the journal */
	struct buf           frame;
};

/* What systemd was told: see keeper_unit.h. */
struct unit_told {
	char     words[400]; /* the last ones */
	unsigned beats;
	int64_t  watchdog_ms, watchdog_at; /* how often; when next, monotonic */
};

struct keeper {
	const struct agent_conf *conf;
	uv_loop_t                loop;
	struct keeper_state      state;
	char                     called[AGENT_NAME_SIZE]; /* by the last welcome; a certificate for this host key makes it the host's name */
	struct journal          *journal;
	struct buf               batch; /* records being collected for it */
	size_t                   tend_from; /* bytes from which on it is rewritten */
	struct managed          *managed[TARGETS_MAX];
	size_t                   n_managed;
	struct target_unread    *unread; /* as of the last scan */
	size_t                   n_unread;
	struct receipts          receipts;
	int                 dialer; /* of dialer_start() */
	uv_poll_t           on_dialer;
	struct tls_probes       *tls;
	struct watch            *watch;
	struct uplink           *uplink;
	struct crl_fetch        *crl_fetch;
	struct peer_look        *peer_look;
	uv_idle_t                idle;
	uv_timer_t               again; /* the journal had no space: the queue waits */
	int                      journal_code; /* and why; 0 = it does not wait */
	struct keeper_event     *first, *last;
	size_t                   n_messages; /* of the controller, in that queue */
	uint64_t                 acting_for; /* message id of the event being handled */
	uint64_t                 ignored;    /* events that fitted nothing */
	uint64_t                 next_id;    /* of our messages */
	bool                     welcomed;
	int                      link_code; /* why there is no welcome, as the link says it */
	char                     link_text[MSG_TEXT_SIZE];
	struct refusal           head_refused; /* the last audit head that contradicted one kept here; code 0 = none in this run */
	int64_t                  controller_at;    /* the controller's time when it last told it; 0 = never */
	int64_t                  controller_since; /* clock_boot() then */
	int64_t                  skew_told_ms;     /* what the controller was last told of ours */
	struct buf               link_csr;    /* PKCS#10 of the link, waiting for an identity */
	struct buf               return_spki; /* the link key for which the host key asked the controller to be let in again */
	struct buf               inventory; /* of the host, signed, until the controller has it; empty = none */
	struct buf               inventory_signature;
	uint64_t                 inventory_id; /* of the message; 0 = not sent */
	uv_signal_t              on_hup, on_term, on_int;
	uv_fs_event_t            on_targets;
	uv_timer_t               rescan, tick, beat;
	bool                     targets_unwatched; /* their folder is read at SIGHUP only */
	struct msg_health        told;              /* what the controller was last told of our health */
	unsigned                 ticks;
	struct unit_told         unit;
	int                      exit_code;
};

/* Queues an event; handled at the next turn of the loop. */
void keeper_post_care(struct place *p, const struct refresh_event *event);
void keeper_post(struct keeper *k, struct managed *m, const struct deploy_event *event);
/* A message of the controller; `frame` may be empty. Of too many none are taken: the controller says again what is not acknowledged. */
void keeper_post_message(struct keeper *k, struct managed *m, const struct deploy_event *event, uint64_t message_id, uint32_t type,
                         struct span frame);
/* An event of `m`'s present deployment: kind, ids and code are filled in. */
struct deploy_event keeper_event_of(const struct managed *m, enum deploy_event_kind kind, int code);
/* The process cannot go on (journal, memory): logs, ends the loop with a failure. systemd starts it again. */
void keeper_die(struct keeper *k, int code, const char *doing);

struct managed *keeper_find(struct keeper *k, const char *cert_id); /* NULL */
/* E_FULL, E_NOMEM. */
_must_check_ int keeper_manage(struct keeper *k, const char *cert_id, struct managed **ret);
void keeper_forget(struct keeper *k, struct managed *m);
void keeper_forget_place(struct keeper *k, const struct place *p); /* its events in the queue are for nobody */

/* Runs until SIGTERM. Returns the exit status. */
int keeper_run(struct keeper *k);

#endif
