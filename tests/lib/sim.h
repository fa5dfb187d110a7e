/* sim.h - room tests/lib: a whole installation in one process under a virtual clock: controller (its cores and a store in
 * memory), signer, gateway, agents (the agent core with disk, journal and a service), and a bad network between them.
 * The same seed gives the same run. Never: real clocks, sockets, files, threads. */
#ifndef VCC_SIM_H
#define VCC_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/core/deploy.h"
#include "controller/core/order_flow.h"
#include "controller/core/policy.h"
#include "controller/core/session.h"
#include "controller/store/store.h"

enum {
	SIM_AGENTS = 3,
	SIM_CERTS = 2, /* per agent; the second one has nothing to probe */
	SIM_GENERATIONS = 256,
	SIM_RECEIPTS = 256,
	SIM_SLOTS = 32,
	SIM_SIGNATURES = 4096,
	SIM_FLIPS = 2048,
};

enum sim_role { SIM_CONTROLLER, SIM_GATEWAY, SIM_SIGNER, SIM_AGENT, SIM_ROLES };

/* What goes wrong, in chances per mille while the bad time lasts. */
struct sim_config {
	const char *name;
	unsigned    lose, twice, late; /* each message between agent and gateway */
	unsigned    cut;               /* the connection, at a message */
	unsigned    kill[SIM_ROLES];   /* at each point where that role may die */
	unsigned    power;             /* of an agent's deaths: a power cut, what was not synced is gone */
	unsigned    target;            /* of the swaps: hook, service or disk misbehave */
	unsigned    cancel;            /* of the open orders, each second: a person cancels */
};

/* Every message of the fleet protocol, as values. */
struct sim_msg {
	uint16_t      type; /* MSG_* of shared/wire */
	uint64_t      id;
	struct id     renewal_id;
	uint32_t      attempt;
	int           cert; /* of the agent */
	uint32_t      trigger;
	bool          post_validation;
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
	MODE_COUNT,
};

struct sim_generation {
	bool        there, complete;
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
	bool                  key_there;
	struct id             key_renewal;
	uint32_t              key_attempt;
	struct hash           key;
	/* service */
	enum sim_mode        mode;
	bool                 up;
	uint64_t             loaded;
	int64_t              stale_until;
	bool                 probing;
	int64_t              probing_since;
	struct probe_summary probe;
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
	struct sim_cert cert[SIM_CERTS];
};

/* ---- the others ---- */

struct sim_gateway {
	bool     alive;
	uint64_t run;
	bool     linked;              /* to the controller */
	uint64_t sessions;            /* counter */
	uint64_t session[SIM_AGENTS]; /* 0 = not connected */
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
struct sim_change {
	struct sim_change   *next;
	struct store_change *change;
	bool                 has_step, has_send;
	struct order_step    step;
	struct sim_msg       send;
	int                  agent; /* whose receipt; -1 = none */
	uint64_t             ack_seq, ack_id;
	bool                 reserves;
	int                  code;
	struct store_result  result;
};

struct sim_controller {
	bool               alive;
	uint64_t           run, connection; /* to the gateway: numbers of ours */
	struct sim_slot    slot[SIM_SLOTS];
	struct session     session[SIM_AGENTS];
	struct agent_run   keeper_run[SIM_AGENTS]; /* in memory: a controller that starts knows no run */
	uint64_t           taken[SIM_AGENTS], durable[SIM_AGENTS]; /* receipts */
	struct sim_change *first, **last;
	bool               commit_planned;
	uint64_t           message_id;
	uint64_t           serial_next, serial_end;
	bool               signer_linked;
};

struct sim_flip {
	int         agent, cert;
	uint64_t    generation;
	struct hash fingerprint;
};

struct sim {
	const struct sim_config *config;
	uint64_t                 seed, random;
	int64_t                  now, calm_at; /* until then things go wrong */
	bool                     verbose;
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
	struct sim_agent      agent[SIM_AGENTS];
	struct sim_flip       flip[SIM_FLIPS];
	size_t                n_flips;
	unsigned              errors, kills, completed, failures, cancelled, unverified;
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
void              sim_trace(struct sim *s, const char *fmt, ...) _printf_(2, 3);
void              sim_error(struct sim *s, const char *fmt, ...) _printf_(2, 3);
/* True when the role died here. */
bool sim_may_die(struct sim *s, enum sim_role role, int agent);

/* sim_agent.c: the keeper around the agent core */
void                agent_start(struct sim *s, int agent);
void                agent_die(struct sim *s, int agent);
void                agent_message(struct sim *s, int agent, const struct sim_msg *m);
void                agent_connected(struct sim *s, int agent, uint64_t link);
void                agent_disconnected(struct sim *s, int agent);
void                agent_event(struct sim *s, int agent, int cert, const struct deploy_event *e);
struct deploy_event agent_event_of(struct sim *s, int agent, int cert, enum deploy_event_kind kind);
bool                agent_at_rest(const struct sim_agent *a);
void                agent_repair(struct sim *s, int agent); /* calm: services run again */

/* sim_disk.c: what the actions of a deployment do to disk and service */
void disk_act(struct sim *s, int agent, int cert, const struct deploy_action *a);
void disk_check(struct sim *s); /* current always names one complete matching pair */

/* sim_net.c: agent <-> gateway <-> controller */
void net_from_agent(struct sim *s, int agent, const struct sim_msg *m);
void net_to_agent(struct sim *s, int agent, uint64_t connection, uint64_t session, const struct sim_msg *m);
void net_kick(struct sim *s, uint64_t connection, uint64_t session);
void net_connect_later(struct sim *s, int agent);
void net_cut(struct sim *s, int agent);
void net_agent_gone(struct sim *s, int agent);
void gateway_start(struct sim *s);
void gateway_die(struct sim *s);
void net_controller_up(struct sim *s);
void net_controller_gone(struct sim *s);

/* sim_signer.c */
void signer_start(struct sim *s);
void signer_die(struct sim *s);
void signer_request(struct sim *s, struct serial serial, struct hash tbs);

/* sim_control.c: the shell around the controller core */
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
bool                control_at_rest(const struct sim *s);
struct order_policy control_policy(void);

/* sim_change.c: actions of an order as one change of the store */
void change_of_step(struct sim *s, const struct order_step *step, const struct order_event *e, struct sim_change *c);
void cert_name(int agent, int cert, char ret[CERT_ID_SIZE]);
bool cert_find(const char *cert_id, int *ret_agent, int *ret_cert);

/* sim_verdict.c: what must hold at the end */
void verdict(struct sim *s);

#endif
