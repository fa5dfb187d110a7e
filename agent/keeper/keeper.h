/* keeper.h - room agent/keeper: the one struct of the process and the ways its parts speak to each other: by events in a queue.
 * Never: one part calling back into another; an answer is a new event. */
#ifndef VCC_KEEPER_H
#define VCC_KEEPER_H

#include <uv.h>

#include "agent/core/deploy.h"
#include "agent/keeper/hook_client.h"
#include "agent/keeper/keeper_state.h"
#include "agent/keeper/probe.h"
#include "agent/keeper/receipts.h"
#include "agent/keeper/records.h"
#include "agent/keeper/tls_probe.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/journal.h"
#include "shared/wire/wire.h"

enum { TARGETS_MAX = 64 };

struct keeper;
struct uplink;

/* What a deployment has done in this run of the keeper: for receipts and for what is in flight. Lost with the process. */
struct swap {
	struct receipt_step     steps[MSG_STEPS_MAX];
	uint32_t                n_steps;
	int64_t                 step_from; /* monotonic */
	int                     hook_status;
	struct hook_call       *hook;
	struct probe           *probe;
	bool                    measuring; /* DACT_CHECK waits for the first round of probes */
	struct deploy_event     measured;  /* its answer so far */
	struct probe_summary    summary;   /* of the last round */
	struct receipt_listener listeners[MSG_LISTENERS_MAX];
	uint32_t                n_listeners;
	int64_t                 first_new_at, last_old_at;
};

/* What `current` holds. */
struct on_disk {
	uint64_t      generation; /* 0 = nothing */
	struct serial serial;     /* none: a pair that is not of our CA */
	struct hash   fingerprint;
	int64_t       not_after_at;
};

/* One target and the deployment of its certificate. */
struct managed {
	struct keeper     *keeper;
	char               cert_id[CERT_ID_SIZE];
	char               stem[CERT_ID_SIZE];
	bool               present; /* `conf` was read; false: only the journal knows it */
	bool               retired; /* the target file is gone and the controller has not acknowledged it */
	uint64_t           retired_id;
	struct target_conf conf;
	char               dir[TARGET_PATH_SIZE];
	struct hash        digest;
	uint64_t           generation; /* highest number that was ever used */
	struct on_disk     on_disk;
	struct deploy      deploy;
	struct buf         order;       /* MSG_ORDER frame of `deploy` */
	struct buf         certificate; /* MSG_CERTIFICATE frame */
	uv_timer_t         timer;
	struct swap        swap;
	bool               probed_waits; /* a DEV_PROBED is in the queue */
	int64_t            old_answers_ms; /* how long the service gave them after its last reload; 0 = not known */
};

/* An event of one deployment, with the message it came from. */
struct keeper_event {
	struct keeper_event *next;
	struct managed      *managed;
	struct deploy_event  event;
	uint64_t             message_id; /* 0 = no message */
	uint32_t             type;       /* MSG_ORDER, MSG_CERTIFICATE: `frame` goes to the journal */
	struct buf           frame;
};

struct keeper {
	const struct agent_conf *conf;
	uv_loop_t                loop;
	struct keeper_state      state;
	struct journal          *journal;
	struct buf               batch; /* records being collected for it */
	size_t                   tend_from; /* bytes from which on it is rewritten */
	struct managed          *managed[TARGETS_MAX];
	size_t                   n_managed;
	struct receipts          receipts;
	struct tls_probes       *tls;
	struct uplink           *uplink;
	uv_idle_t                idle;
	uv_timer_t               again; /* the journal had no space: the queue waits */
	struct keeper_event     *first, *last;
	uint64_t                 acting_for; /* message id of the event being handled */
	uint64_t                 ignored;    /* events that fitted nothing */
	uint64_t                 next_id;    /* of our messages */
	bool                     welcomed;
	int                      link_code; /* why there is no welcome, as the link says it */
	char                     link_text[MSG_TEXT_SIZE];
	int64_t                  controller_at;    /* the controller's time when it last told it; 0 = never */
	int64_t                  controller_since; /* clock_boot() then */
	int64_t                  skew_told_ms;     /* what the controller was last told of ours */
	struct buf               link_csr;    /* PKCS#10 of the link, waiting for an identity */
	struct buf               return_spki; /* the link key for which the host key asked the controller to be let in again */
	uv_signal_t              on_hup, on_term, on_int;
	uv_fs_event_t            on_targets;
	uv_timer_t               rescan, tick;
	unsigned                 ticks;
	int                      exit_code;
};

/* Queues an event; handled at the next turn of the loop. `frame` may be empty. */
void keeper_post(struct keeper *k, struct managed *m, const struct deploy_event *event);
void keeper_post_message(struct keeper *k, struct managed *m, const struct deploy_event *event, uint64_t message_id, uint32_t type,
                         struct span frame);
/* Words for messages and receipts: what is not printable ASCII (a cut UTF-8 sequence, a program's output) becomes '?'. */
void keeper_words(char *text);
/* An event of `m`'s present deployment: kind, ids and code are filled in. */
struct deploy_event keeper_event_of(const struct managed *m, enum deploy_event_kind kind, int code);
/* The process cannot go on (journal, memory): logs, ends the loop with a failure. systemd starts it again. */
void keeper_die(struct keeper *k, int code, const char *doing);

struct managed *keeper_find(struct keeper *k, const char *cert_id); /* NULL */
/* E_FULL, E_NOMEM. */
_must_check_ int keeper_manage(struct keeper *k, const char *cert_id, const char *stem, struct managed **ret);
void keeper_forget(struct keeper *k, struct managed *m);

/* Runs until SIGTERM. Returns the exit status. */
int keeper_run(struct keeper *k);

#endif
