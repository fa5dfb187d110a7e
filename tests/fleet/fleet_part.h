/* fleet_part.h - one process of a simulated fleet: its members, their timers and the loop that serves them.
 * A member has what a host has: host key, link key, one service with one target, receipts that wait, and the real agent core. What it
 * has not: a disk and a service; both are plain values here. Never: a decision about a deployment outside agent/core. */
#ifndef VCC_FLEET_PART_H
#define VCC_FLEET_PART_H

#include "agent/core/deploy.h"
#include "agent/keeper/receipts.h"
#include "agent/link/backoff.h"
#include "shared/wire/wire.h"
#include "tests/fleet/fleet_count.h"
#include "tests/fleet/fleet_options.h"
#include "tests/fleet/tls_fleet.h"

enum member_state {
	MEMBER_NEW,       /* has a token */
	MEMBER_JOINING,   /* asks the join port */
	MEMBER_AWAY,      /* will connect */
	MEMBER_DIALING,   /* TCP and TLS */
	MEMBER_UPGRADING,
	MEMBER_OPEN,
	MEMBER_OFFLINE,   /* by plan */
	MEMBER_REFUSED,   /* for good */
};

enum member_timer {
	TIMER_CONNECT,  /* connect now; or the deadline of what is under way */
	TIMER_CORE,     /* deploy.next_at */
	TIMER_RELOAD,   /* the service has finished its reload */
	TIMER_SETTLE,   /* the probe stream has seen enough */
	TIMER_RECEIPTS, /* what is not acknowledged is sent again */
	TIMER_SLOW,     /* a slow link takes the next bytes */
	TIMER_STAGE,    /* quiet for long enough: the next key is made */
	TIMER_COUNT,
};

struct member {
	char                   name[AGENT_NAME_SIZE];
	uint32_t               index; /* in the whole fleet */
	enum member_state      state;
	bool                   slow, failing, leaves, welcomed, told, ready, storing;
	int64_t                skew_ms;
	char                  *token; /* until it has joined */
	struct key            *host_key, *link_key;
	struct hash            host_hash;
	struct fleet_identity *identity;
	struct fleet_place     place; /* of the agents' port */
	char                   address[ADDRESS_SIZE];
	char                   service[SERVICE_SIZE];
	char                   domain[DNS_NAME_SIZE];
	uint8_t               *leaf; /* DER of the identity, as it is kept */
	size_t                 n_leaf;
	struct id              boot_id;
	uint64_t               runs; /* of the played keeper, kept */

	struct fleet_peer peer;
	struct buf        in; /* a part of a message */
	struct backoff    backoff;
	int64_t           begun_us; /* of the connection or join under way */
	uint64_t          last_id, target_id, inventory_id;

	struct deploy    deploy;
	struct key      *service_key; /* of the attempt under way */
	struct buf       request;     /* its PKCS#10 */
	struct key      *stage_key;   /* the next one, offered; NULL = none */
	struct hash      stage_hash;  /* of its SPKI */
	enum key_type    stage_type;
	bool             stage_ready, stage_asked, stage_unwanted; /* the controller has it; has said which type; wants none */
	uint64_t         stage_id;    /* of the offer that is not acknowledged */
	struct receipts  receipts;
	uint64_t         generation;          /* current/ names it */
	struct hash      current, serves;     /* fingerprints: of current/, and what the service has loaded */
	struct serial    serial;              /* of current/ */
	struct hash      previous;            /* what current/ named before the flip */
	struct serial    previous_serial;
	uint64_t         previous_generation;
	bool             enough; /* the probe stream has settled */
	int64_t          probed_from;         /* the reload was done */
	int64_t          order_us, request_us, certificate_us;
	int64_t          step_at[STEP_COUNT]; /* for the receipt; 0 = not done */

	int64_t due[TIMER_COUNT]; /* TIME_NEVER = not set */
	int64_t due_first;
	size_t  heap_at;
};

struct fleet {
	const struct fleet_options *options;
	struct fleet_count         *count; /* shared with the parent */
	volatile int64_t           *storm; /* the parent counts storms up here */
	struct hash                *served; /* shared with the parent: what each member of the whole fleet serves */
	int64_t                     storms_seen;
	struct fleet_tls           *tls;
	struct fleet_place          join_place;
	int                         dir_fd; /* members' files */
	int                         epoll;
	struct member              *members;
	size_t                      n;
	size_t                      joining, next_new;
	uint64_t                    random;
	int64_t                     now; /* clock_steady() of this turn */
	struct member             **heap;
	size_t                      n_heap;
	struct wire_frame           frame;
	struct body_receipt         receipt;
	struct body_inventory       inventory;
	struct buf                  out, packet;
	uint8_t                     bytes[FRAME_MAX + 4096];
};

/* ---- fleet_loop.c ---- */
int      fleet_run(struct fleet *f, volatile int *stop); /* until `stop`, the end of the run or a limit; 0, or a code */
void     fleet_timer(struct fleet *f, struct member *m, enum member_timer t, int64_t at);
uint32_t fleet_random(struct fleet *f);
void     fleet_lost(struct fleet *f, struct member *m, int code); /* closes and plans the next connection */
void     fleet_open(struct fleet *f, struct member *m);

/* ---- fleet_join.c ---- */
void fleet_join_begin(struct fleet *f, struct member *m);
void fleet_join_turn(struct fleet *f, struct member *m);

/* ---- fleet_member.c: messages ---- */
void member_frame(struct fleet *f, struct member *m, struct span bytes);
void member_timer(struct fleet *f, struct member *m, enum member_timer t);
uint64_t member_send(struct fleet *f, struct member *m, uint16_t type, const void *payload);
uint64_t member_send_signed(struct fleet *f, struct member *m, uint16_t type, const char *label, const struct wire_message *body,
                            const void *payload);
void     member_send_receipt(struct fleet *f, struct member *m, const struct receipt_kept *r);
void     member_pong(struct fleet *f, struct member *m, struct span payload);
void     member_target(struct fleet *f, struct member *m);
void     member_ready(struct fleet *f, struct member *m);

/* ---- fleet_deploy.c: the core, and a host that does what it says ---- */
void deploy_event(struct fleet *f, struct member *m, struct deploy_event *e, uint64_t ack_id);
struct deploy_event deploy_event_of(struct fleet *f, const struct member *m, enum deploy_event_kind kind);
void deploy_order(struct fleet *f, struct member *m, const struct msg_order *o, uint64_t id, bool drill);
void deploy_certificate(struct fleet *f, struct member *m, const struct msg_certificate *c, uint64_t id);
void deploy_cancel(struct fleet *f, struct member *m, const struct msg_cancel *c, uint64_t id);
void deploy_timer(struct fleet *f, struct member *m, enum member_timer t);
void deploy_request_again(struct fleet *f, struct member *m);

/* ---- fleet_stage.c: the next key ---- */
void stage_plan(struct fleet *f, struct member *m); /* made some time after it came to rest */
void stage_timer(struct fleet *f, struct member *m);
void stage_offer(struct fleet *f, struct member *m);
void stage_asked(struct fleet *f, struct member *m, const struct msg_restage *r);
bool stage_acked(struct fleet *f, struct member *m, uint64_t id, int code); /* true = the message was an offer */
void stage_take(struct fleet *f, struct member *m);

/* ---- fleet_keep.c: what a second run needs ---- */
int keep_open(const char *state_dir, int *ret_dir_fd, struct refusal *why);
int keep_names(int dir_fd, uint32_t max, char (**ret)[AGENT_NAME_SIZE], size_t *ret_n, struct refusal *why); /* sorted */
int keep_load(int dir_fd, struct member *m, struct refusal *why);
int keep_save(int dir_fd, const struct member *m, struct refusal *why);
int keep_key_hash(const struct key *key, struct hash *ret); /* of its SPKI */
int keep_root_load(int dir_fd, struct buf *to, struct refusal *why);
int keep_root_save(int dir_fd, struct span root, struct refusal *why);

#endif
