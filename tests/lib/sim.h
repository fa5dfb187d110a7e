/* sim.h - room tests/lib: a whole installation in one process under a virtual clock: controller (its cores and a store in
 * memory), signer, gateway, agents (the agent core with disk, journal and a service), and a bad network between them.
 * The same seed gives the same run. Never: real clocks, sockets, files, threads. */
#ifndef VCC_SIM_H
#define VCC_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/deploy.h"
#include "agent/core/refresh.h"
#include "controller/core/campaign_flow.h"
#include "controller/core/order_flow.h"
#include "controller/core/policy.h"
#include "controller/core/session.h"
#include "controller/store/store.h"

enum {
	SIM_AGENTS_MAX = 1000,
	SIM_CERTS_MAX = 2, /* per agent; the second one has nothing to probe */
	SIM_GENERATIONS = 1024,
	SIM_RECEIPTS = 256,
	SIM_SLOTS = 2048,
	SIM_CAMPAIGNS = 4,
	SIM_SIGNATURES = 16384,
	SIM_FLIPS = 8192,
};

enum sim_role { SIM_CONTROLLER, SIM_GATEWAY, SIM_SIGNER, SIM_AGENT, SIM_ROLES };

/* The invariants of the catalogue of faults, by their numbers. */
enum sim_invariant {
	SIM_WHOLE_PAIR = 1,
	SIM_SERVED,
	SIM_ACKNOWLEDGED,
	SIM_INTENT,
	SIM_AUDIT,
	SIM_KEY_STAYS,
	SIM_ONE_END,
	SIM_CLEAR_ERROR,
};

/* Mistakes that a program could make, one against each invariant: a simulation that does not see them proves nothing. */
enum sim_mutant {
	MUTANT_NONE,
	MUTANT_NO_SYNC,        /* a generation is flipped to before its files are synced */
	MUTANT_NO_SYNC_START,  /* a keeper that starts relies on a rename that nobody synced */
	MUTANT_IN_PLACE,       /* files are written where `current` points to already */
	MUTANT_PROBE_LIES,     /* the probe reports what is in the files, not what is served */
	MUTANT_ACK_EARLY,      /* a receipt is acknowledged before it is committed */
	MUTANT_SIGN_EARLY,     /* the signer is asked before the intent is committed */
	MUTANT_AUDIT_EDIT,     /* somebody changes a record of the trail */
	MUTANT_KEY_SENT,       /* a request carries the private key */
	MUTANT_NO_TIMER,       /* nobody looks again at an order that waits */
	MUTANT_NO_CAUSE,       /* a failure is told without its cause */
	MUTANT_COUNT,
};

/* What goes wrong, in chances per mille while the bad time lasts. */
struct sim_config {
	const char *name;
	unsigned    lose, twice, late; /* each message between agent and gateway */
	unsigned    cut;               /* the connection, at a message */
	unsigned    kill[SIM_ROLES];   /* at each point where that role may die */
	unsigned    fall;              /* each minute: controller, gateway or signer dies, whatever it does */
	unsigned    power;             /* of an agent's deaths: a power cut, what was not synced is gone */
	unsigned    target;            /* of the swaps: hook, service or disk misbehave */
	unsigned    cancel;            /* of the open orders, each second: a person cancels */
	unsigned    jump;              /* each second: the controller's clock jumps */
	unsigned    host_jump;         /* each second: that of one host does */
	unsigned    part;              /* each second: some hosts are parted from the gateway, in one direction or both, for a while */
	int         agents, certs;     /* 0: three, with two certificates each */
	bool        campaigns;         /* renewals come from campaigns alone: a bulk renewal in waves, an emergency, one in batches */
	bool        staged;            /* hosts keep their next key ready */
	int         days;              /* years (sim_years.c): so long things go wrong; 0 = as long as a check takes */
	unsigned    rate;              /* years: percent of the rates of its table of faults */
	int         lead_days;         /* years: from when a renewal is due to the emergency threshold; 0 = as the template is shipped */
	int         life_hours;        /* years: of a certificate; due at two thirds of it; 0 = as the template is shipped */
	enum sim_mutant mutant;        /* what is done wrong on purpose */
};

/* Every message of the fleet protocol, as values. */
struct sim_msg {
	uint16_t      type; /* MSG_* of shared/wire */
	uint64_t      id;
	struct id     renewal_id;
	uint32_t      attempt;
	int           cert; /* of the agent */
	uint32_t      trigger;
	bool          post_validation, staged;
	int64_t       deadline_at;
	struct hash   stage, fingerprint;
	struct serial serial;
	int64_t       not_after_at;
	uint64_t      seq; /* receipt, ack, welcome: highest durable one */
	uint32_t      outcome;
	int           code;
	uint32_t      flags;
	struct id     boot_id;
	uint64_t      generation;
	struct hash   host_hash;
};

struct sim;
struct sim_event;
typedef void sim_fn(struct sim *s, const struct sim_event *e);

struct sim_event {
	int64_t             at;
	uint64_t            order; /* first in, first out at the same time */
	sim_fn             *fn;
	int                 agent, cert;
	uint64_t            run, link; /* of the process and the connection it was meant for: else it is dropped */
	struct sim_msg      msg;
	struct deploy_event dev;
	uint32_t            act;
};

/* ---- agent ---- */

/* How hook, service and disk behave during one attempt. */
enum sim_mode {
	MODE_OK,
	MODE_CHECK_REFUSED,
	MODE_WRITE_FAILS,
	MODE_TEST_FAILS,
	MODE_FLIP_FAILS,      /* before the rename */
	MODE_FLIP_FAILS_LATE, /* after it */
	MODE_RELOAD_FAILS,
	MODE_RELOAD_NOOP,  /* says yes, does nothing */
	MODE_RELOAD_LIES,  /* says no, works */
	MODE_RELOAD_HANGS, /* says nothing */
	MODE_KILLS_SERVICE,
	MODE_STALE_WORKER, /* an old process goes on answering for a while */
	MODE_PASSING, /* those before are met by chance, too */
	MODE_SERVICE_DOWN = MODE_PASSING, /* and a reload does not start it */
	MODE_CLOCK_WRONG,  /* by more than a day */
	MODE_COUNT,
};

struct sim_generation {
	bool        there, complete, synced;
	struct hash key;         /* of key.pem */
	struct hash certified;   /* key named in cert.pem */
	struct hash fingerprint; /* of cert.pem */
	int64_t     not_after_at;
};

struct sim_cert {
	char          cert_id[CERT_ID_SIZE];
	bool          probed; /* false: verify none */
	struct deploy d;      /* memory */
	/* disk */
	struct deploy         journal, synced; /* as written; as it is after a power cut */
	int64_t               not_after_at;    /* of the certificate in the journal */
	struct hash           certified;
	struct sim_generation generation[SIM_GENERATIONS];
	uint64_t              current, highest;
	uint64_t              current_synced;  /* as `current` is after a power cut, perhaps */
	uint64_t              proved;          /* generation */
	bool                  key_there;
	bool                  staged_there, staged_ready; /* the next key; the controller has said that it has it */
	struct hash           staged;
	int64_t               stage_at; /* not before */
	struct id             key_renewal;
	uint32_t              key_attempt;
	struct hash           key;
	/* service */
	enum sim_mode        mode;
	bool                 lasting; /* the mode ends with the fault that brought it */
	struct serial        judged;  /* years: whose emergency threshold is looked at when it comes */
	bool                 up;
	uint64_t             loaded;
	int64_t              stale_until;
	bool                 probing;
	int64_t              probing_since;
	struct probe_summary probe;
	struct refresh       care; /* memory, as everything of it */
};

struct sim_agent {
	char            name[AGENT_NAME_SIZE];
	struct hash     host_hash;
	bool            alive, connected, welcomed;
	uint64_t        run;  /* grows with each start */
	uint64_t        link; /* session number of the connection */
	struct id       boot_id;
	uint64_t        generation;
	uint32_t        connects;
	uint64_t        acking;                /* message that is being handled */
	struct sim_msg  receipt[SIM_RECEIPTS]; /* durable, ascending */
	size_t          n_receipts;
	uint64_t        last_seq, acked_seq;
	int64_t         ahead;   /* of its clock before the true one */
	int64_t         deaf_until, mute_until; /* nothing gets to it, nothing of it gets out */
	uint32_t        ails;    /* years: bits of its faults */
	enum sim_mode   wrong;   /* what a reload does while it is broken */
	struct sim_cert cert[SIM_CERTS_MAX];
};

/* ---- the others ---- */

struct sim_gateway {
	bool     alive;
	uint64_t run;
	bool     linked;              /* to the controller */
	uint64_t sessions;            /* counter */
	uint64_t session[SIM_AGENTS_MAX]; /* 0 = not connected */
};

struct sim_signature {
	struct serial serial;
	struct hash   tbs;
	uint32_t      times;
};

struct sim_signer {
	bool                 alive;
	uint64_t             run;
	uint64_t             top;
	struct sim_signature log[SIM_SIGNATURES];
	size_t               n;
	uint64_t             made; /* each signature differs, also over the same bytes */
};

struct sim_slot {
	bool         used, busy;
	struct order o;
};

/* A change on its way to the store, and what follows when it is there. */
struct sim_part { /* one step of one order, and what is sent after it */
	struct order_step step;
	bool              has_send, restage;
	struct sim_msg    send;
};

struct sim_change {
	struct sim_change   *next;
	struct store_change *change;
	struct sim_part     *part; /* owned */
	size_t               n_parts;
	struct certificate   cert; /* as it was written here last: the store does not have it yet */
	uint64_t             cert_version;
	char                 no_stage[CERT_ID_SIZE]; /* whose staged key goes */
	struct id            campaign[SIM_CAMPAIGNS]; /* that take steps in it */
	unsigned             steps[SIM_CAMPAIGNS], sending[SIM_CAMPAIGNS]; /* how many; in how many some of those that wait are taken */
	size_t               n_campaigns;
	struct sim_msg       offer; /* a staged key that is stored */
	int                  offer_agent;
	int                  agent; /* whose receipt; -1 = none */
	uint64_t             ack_seq, ack_id;
	bool                 reserves;
	int                  code;
	struct store_result  result;
};

/* One order that a member of a campaign waits for. */
struct sim_watch {
	struct id         renewal_id;
	uint64_t          position;
	bool              follows; /* it was not made for it */
	enum member_state state;
};

struct sim_campaign {
	bool             used;
	struct campaign  c;
	unsigned         pending, sending; /* changes on their way to the store */
	uint32_t         away;
	int64_t          halted_at; /* true time */
	struct sim_watch watch[SIM_AGENTS_MAX * SIM_CERTS_MAX];
	size_t           n_watches;
};

struct sim_controller {
	bool               alive;
	uint64_t           run, connection; /* to the gateway: numbers of ours */
	struct sim_slot    slot[SIM_SLOTS];
	int                slots; /* that were used since the start; none behind them is */
	struct session     session[SIM_AGENTS_MAX];
	struct agent_run   keeper_run[SIM_AGENTS_MAX]; /* in memory: a controller that starts knows no run */
	uint64_t           taken[SIM_AGENTS_MAX], durable[SIM_AGENTS_MAX]; /* receipts */
	struct sim_change *first, **last;
	bool               commit_planned;
	uint64_t           message_id;
	uint64_t           serial_next, serial_end;
	bool               signer_linked, reserving;
	struct sim_campaign campaign[SIM_CAMPAIGNS]; /* those that are open */
	bool               asked;                    /* for one that is not stored yet */
	int64_t            seen_at[SIM_AGENTS_MAX], started_at; /* true time */
	int64_t            look_at, supersede_at; /* in years: for what is due, for what is followed */
};

struct sim_flip {
	int         agent, cert;
	uint64_t    generation;
	struct hash fingerprint;
};

/* ---- years ---- */

enum sim_fault {
	FAULT_HOST_DOWN,
	FAULT_HOST_GONE,
	FAULT_LINK_CUT,
	FAULT_DISK_FULL,
	FAULT_READ_ONLY,
	FAULT_HOST_CLOCK,
	FAULT_CONFIG_TEST,
	FAULT_RELOAD,
	FAULT_SERVICE_DOWN,
	FAULT_SITE_CUT,
	FAULT_CONTROLLER_DOWN,
	FAULT_GATEWAY_DOWN,
	FAULT_SIGNER_DOWN,
	FAULT_STORE_FULL,
	FAULT_CLOCK,
	FAULT_COUNT,
};

/* Why a renewal was not done in time: a fault that went on then, else how far its order had come. */
enum {
	CAUSE_UNPROVED = FAULT_COUNT, /* its successor is in use, and no handshake has shown it yet */
	CAUSE_NO_ORDER,
	CAUSE_PHASE,
	CAUSE_COUNT = CAUSE_PHASE + ORDER_PHASE_COUNT,
	SIM_MISSES = 64,
};

struct sim_miss {
	char             cert_id[CERT_ID_SIZE];
	int64_t          at;
	unsigned         cause;
	enum order_phase phase; /* ORDER_PHASE_COUNT: there is no order */
	int              code;
	bool             ended; /* it was not renewed before its end either */
};

struct sim_years {
	uint32_t        ails; /* bits of the faults of the installation */
	uint32_t        begun[FAULT_COUNT];
	uint32_t        judged, in_time, ended, first; /* renewals; of them expired; first issues */
	uint32_t        completed, attempts, retried, paused; /* orders, their attempts, those with more than one; rests of a day */
	uint32_t        cause[CAUSE_COUNT];
	struct sim_miss miss[SIM_MISSES];
	size_t          n_misses;
};

struct sim {
	const struct sim_config *config;
	uint64_t                 seed, random;
	int64_t                  now, calm_at; /* until then things go wrong */
	int64_t                  ahead;        /* of the controller's clock before the true one */
	int                      n_agents, n_certs;
	int64_t                  begun_at, next_ask_at; /* for the next campaign */
	bool                     verbose, mute; /* mute: what is wrong is counted, not told */
	struct sim_event       **queue;
	size_t                   n_queue, cap_queue;
	uint64_t                 events, trace;
	struct template template;
	struct policy_limits  limits;
	struct store         *store;
	struct store_view    *view;
	struct sim_controller controller;
	struct sim_gateway    gateway;
	struct sim_signer     signer;
	struct sim_agent     *agent; /* owned */
	struct sim_flip       flip[SIM_FLIPS];
	struct certificate    due[SIM_AGENTS_MAX * SIM_CERTS_MAX]; /* of this tick */
	struct sim_years      years;
	size_t                n_flips;
	unsigned              errors, kills, completed, failures, cancelled, unverified;
	unsigned              given_up; /* attempts, by a keeper that died again and again in one step: nobody did wrong, and the order fails once */
	unsigned              halts, resumes, overtaken, with_stage, jumps, parted, reverted;
	unsigned              broken; /* bits of the invariants that did not hold */
};

/* sim_world.c */
struct sim       *sim_new(const struct sim_config *config, uint64_t seed, bool verbose);
void              sim_free(struct sim *s);
void              sim_run(struct sim *s); /* until everything has come to rest, or too much time has passed */
uint32_t          sim_random(struct sim *s, uint32_t below);
int64_t           sim_between(struct sim *s, int64_t least_ms, int64_t most_ms);
bool              sim_chance(struct sim *s, unsigned per_mille); /* only in the bad time */
void              sim_hash(struct sim *s, struct hash *ret);
struct sim_event *sim_after(struct sim *s, int64_t ms, sim_fn *fn); /* fill in the rest */
struct sim_event *sim_later(struct sim *s, int agent, int cert, int64_t ms, sim_fn *fn); /* of the agent's process as it runs now */
bool              sim_is_gone(const struct sim *s, const struct sim_event *e); /* the process that asked: what it did ended with it */
void              sim_trace(struct sim *s, const char *fmt, ...) _printf_(2, 3);
void              sim_error(struct sim *s, const char *fmt, ...) _printf_(2, 3); /* the run is not as it should be */
void              sim_broken(struct sim *s, enum sim_invariant i, const char *fmt, ...) _printf_(3, 4);
/* True when the role died here. */
bool sim_may_die(struct sim *s, enum sim_role role, int agent);

/* sim_agent.c: the keeper around the agent core */
void                agent_start(struct sim *s, int agent);
void                agent_die(struct sim *s, int agent);
void                agent_message(struct sim *s, int agent, const struct sim_msg *m);
void                agent_connected(struct sim *s, int agent, uint64_t link);
void                agent_disconnected(struct sim *s, int agent);
extern const struct deploy_policy sim_policy;
void                agent_event(struct sim *s, int agent, int cert, const struct deploy_event *e);
struct deploy_event agent_event_of(struct sim *s, int agent, int cert, enum deploy_event_kind kind);
bool                agent_at_rest(const struct sim *s, int agent);
void                agent_repair(struct sim *s, int agent); /* calm: services run again */

/* sim_disk.c: what the actions of a deployment do to disk and service */
void disk_act(struct sim *s, int agent, int cert, const struct deploy_action *a);
int  disk_reload(struct sim *s, struct sim_cert *c); /* 0, E_HOOK_FAILED, E_SYS_TIMEOUT: it hangs */
void disk_take_stage(struct sim *s, int agent, int cert); /* a staged key becomes that of the attempt that is for it */
void disk_check(struct sim *s, int agent); /* current always names one complete matching pair */
void disk_power_cut(struct sim *s, int agent); /* what was not synced is gone, or not */
void disk_sync(struct sim *s, int agent, int cert); /* the link, when a keeper starts */
void disk_private_key(const struct hash *public_key, struct hash *ret); /* the secret bytes that belong to a key */

/* sim_care.c: the care for what is not served between orders */
bool care_is_due(const struct sim *s, const struct sim_cert *c); /* the current generation is not served, or was never proved */
void care_look(struct sim *s, int agent, int cert);
void care_follow(struct sim *s, int agent, int cert); /* behind each step of an order */

/* sim_net.c: agent <-> gateway <-> controller */
void net_from_agent(struct sim *s, int agent, const struct sim_msg *m);
void net_to_agent(struct sim *s, int agent, uint64_t connection, uint64_t session, const struct sim_msg *m);
void net_kick(struct sim *s, uint64_t connection, uint64_t session);
void net_connect_later(struct sim *s, int agent);
void net_cut(struct sim *s, int agent);
void net_agent_gone(struct sim *s, int agent);
void net_weather(struct sim *s); /* now and then some hosts are parted from the gateway */
void gateway_start(struct sim *s);
void gateway_die(struct sim *s);
void net_controller_up(struct sim *s);
void net_controller_gone(struct sim *s);

/* sim_signer.c */
void signer_start(struct sim *s);
void signer_die(struct sim *s);
void signer_request(struct sim *s, struct serial serial, struct hash tbs);

/* sim_control.c, sim_intake.c, sim_tick.c: the shell around the controller core */
void                control_install(struct sim *s);
void                control_start(struct sim *s);
void                control_die(struct sim *s);
void                control_up(struct sim *s, int agent, uint64_t session);
void                control_down(struct sim *s, uint64_t session, int agent);
void                control_gateway_lost(struct sim *s);
void                control_message(struct sim *s, int agent, uint64_t session, const struct sim_msg *m);
void                control_signer_up(struct sim *s);
void                control_signer_gone(struct sim *s);
void                control_signed(struct sim *s, struct serial serial, int code, struct hash fingerprint);
bool                control_at_rest(struct sim *s);
void                control_tick_begin(struct sim *s);
void                control_session(struct sim *s, int agent, struct session_event *e);
struct order_policy control_policy(const struct sim *s);

/* Time as the controller sees it. */
int64_t control_now(const struct sim *s);
/* One event of an order. `agent`, `receipt`: the message that brought it, stored with what follows; -1 and NULL = none. `into`: its change, NULL = one of its
 * own. Nothing may be on its way for it. */
void              control_order(struct sim *s, struct sim_slot *slot, struct order_event *e, int agent, const struct sim_msg *receipt,
				struct sim_change *into);
/* A new order; NULL and a code when it may not be. */
struct sim_slot  *control_order_new(struct sim *s, const struct certificate *cert, enum trigger trigger, uint32_t flags, struct id campaign,
				    struct sim_change *into);
struct sim_slot  *control_slot(struct sim *s, struct id renewal_id); /* in memory, or read back; NULL = there is none */
struct sim_slot  *control_find(struct sim *s, struct id renewal_id); /* in memory alone */
struct order_event control_event(struct sim *s, const struct order *o, enum order_event_kind kind);
void               control_fill_intent(struct sim *s, struct order_event *e); /* serial and content for the key that it names */
void               control_send(struct sim *s, int agent, const struct sim_msg *m);
void               control_restage(struct sim *s, const char *cert_id);
void               control_reserve(struct sim *s); /* serials */
struct sim_change *change_new(void);
void               change_submit(struct sim *s, struct sim_change *c);

/* sim_years.c: faults at stated rates that pass by themselves, and which renewals were done before their emergency threshold */
extern const struct sim_config sim_years_config;
extern const struct sim_fault_kind {
	const char *name, *rows; /* of the catalogue of faults */
	enum { FAULT_OF_HOST, FAULT_OF_SITE, FAULT_OF_ALL } scope;
	unsigned a_century;         /* how often, for each host or for the installation */
	int64_t  least_ms, most_ms; /* how long: each doubling between the two is as likely */
} sim_fault_kinds[FAULT_COUNT];
const char *sim_cause_name(unsigned cause, char ret[64]);
void        years_begin(struct sim *s);
void        years_calm(struct sim *s); /* whatever is wrong ends */
void        years_stored(struct sim *s, const struct sim_change *c);
bool        years_down(const struct sim *s, enum sim_role role, int agent);
bool        years_reachable(const struct sim *s, int agent);
bool        years_mode(const struct sim *s, int agent, enum sim_mode *ret); /* false: nothing is wrong with service or disk */
bool        years_store_full(const struct sim *s);

/* sim_campaign.c: the shell around the campaign core */
void campaign_load(struct sim *s);
void campaign_tick(struct sim *s);
void campaign_moved(struct sim *s, struct sim_change *c, const struct order *was, const struct order *next);
void campaign_stored(struct sim *s, const struct sim_change *c);
void campaign_begin(struct sim *s, const struct campaign *row); /* over all certificates */
bool campaign_word(struct sim *s, struct sim_campaign *k, enum campaign_event_kind word); /* of a person; false: not now */
bool campaign_at_rest(struct sim *s);

/* sim_people.c: what people ask for */
void people_tick(struct sim *s);

/* sim_change.c: actions of an order as one change of the store */
void change_of_step(struct sim *s, const struct order_step *step, const struct order_event *e, struct sim_change *c);
void cert_name(int agent, int cert, char ret[CERT_ID_SIZE]);
bool cert_find(const char *cert_id, int *ret_agent, int *ret_cert);

/* sim_verdict.c: what must hold at the end */
void verdict(struct sim *s);
/* sim_ballot.c: the same for campaigns */
void verdict_campaigns(struct sim *s, const struct audit *rows, size_t n);

#endif
