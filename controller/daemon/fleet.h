/* fleet.h - room controller/daemon: which agent is connected where, and what is sent to it when (controller/core/session.h
 * decides). Never: what a message means (agent_messages.h). */
#ifndef VCC_FLEET_H
#define VCC_FLEET_H

#include "controller/core/session.h"
#include "controller/daemon/controller.h"
#include "shared/model/messages.h"
#include "shared/pki/key.h"

struct fleet;

/* A public key that jobs on other threads may still use after its agent is gone. Counted on the loop. */
struct host_key {
	struct key *key;
	size_t      users;
};
struct host_key *host_key_use(struct host_key *k);
void             host_key_drop(struct host_key *k); /* NULL allowed */

struct waiting_frame {
	struct waiting_frame *prev, *next;
	size_t                n;
	uint8_t               bytes[];
};

/* One agent that is or was connected in this run. */
struct member {
	char                  name[AGENT_NAME_SIZE];
	struct session        session;
	const struct agent   *row;  /* newest value; NULL while not connected */
	struct host_key      *key;  /* of row->host_spki, made at the first signed message */
	bool                  busy; /* a message of this agent is being checked; later ones wait in `waiting` */
	struct waiting_frame *waiting;
	size_t                waiting_bytes;
	bool                  gone; /* its row says that it is no active host, or is no more; until it comes again */
	int64_t               left_at;         /* end of the last connection; 0 = none ended in this run */
	int64_t               refused_at;      /* last audit record about a refused message */
	int64_t               drift_at;        /* monotonic; last change of a file that was told */
	int64_t               refused_hour_at; /* audit records about refused targets: so many an hour */
	uint32_t              refused_in_hour;
	bool                  health_told; /* on the current connection */
	struct msg_health     health;
	uint64_t              trust_epoch; /* of the bundle that it said it has, or has taken since */
	uint64_t              trust_told;  /* of the last one that was sent to it; its own, when it comes */
};

_must_check_ int fleet_open(struct controller *ctl, struct fleet **ret);
void             fleet_close(struct fleet *f);
void             fleet_free(struct fleet *f);

/* ---- from gateways.c ---- */
void fleet_up(struct controller *ctl, uint64_t gateway, const struct gw_up *up);
void fleet_down(struct controller *ctl, uint64_t gateway, uint64_t session);
void fleet_gateway_lost(struct controller *ctl, uint64_t gateway);
void fleet_frame(struct controller *ctl, uint64_t gateway, uint64_t session, struct span bytes);

/* ---- for agent_messages.c ---- */
/* `asking`: of the connection that waits for its hello to be judged, else of the current one. */
void           fleet_hello(struct controller *ctl, struct member *m, bool asking, const struct msg_hello *hello);
struct member *fleet_member(struct controller *ctl, const char *name); /* NULL = never seen */
/* The message that made the member busy is done: the next one is taken. */
void fleet_ready(struct controller *ctl, const char *name);

/* ---- for everybody ---- */
/* Another agents' authority signs: who shows a certificate of the one before is told to ask for a new one, twenty a second. */
void     fleet_identities_due(struct controller *ctl);
bool     fleet_is_here(const struct member *m); /* welcomed and said hello */
bool     fleet_connected(const struct controller *ctl, const char *name); /* welcomed and said hello */
uint64_t fleet_trust_epoch(const struct controller *ctl, const char *name); /* of the trust bundle that it has; 0 = it is not here to ask */
/* What it said last on its current connection; NULL = nothing, or there is none. */
const struct msg_health *fleet_health(const struct controller *ctl, const char *name);
/* Now, or when its last connection ended; 0 = it had none in this run, so only the store knows. */
int64_t  fleet_seen_at(const struct controller *ctl, const char *name);
/* Everybody who was connected in this run, in the order of their coming; NULL after the last. Nobody leaves, so a walk may pause. */
const struct member *fleet_next(const struct controller *ctl, const struct member *after); /* NULL = the first */
size_t               fleet_size(const struct controller *ctl);                               /* how many that are */
void                 fleet_gone(struct controller *ctl, const char *name); /* nobody waits for it any more, until it comes again */
uint32_t fleet_count(const struct controller *ctl);
/* Sends to the agent's current connection, if there is one that said hello; else false and nothing is kept: the outbox is. */
bool fleet_send(struct controller *ctl, const char *name, uint16_t type, uint64_t id, const void *payload, bool urgent);
bool fleet_send_frame(struct controller *ctl, const char *name, uint64_t id, struct span frame, bool urgent);
/* The name belongs to another host now: cuts the connections of the one before. */
void fleet_replaced(struct controller *ctl, const char *name);
/* From now on, until fleet_renamed(): the host is disconnected, and whoever comes with one of the two names is told to come back later.
 * False: another one is being renamed. */
_must_check_ bool fleet_renaming(struct controller *ctl, const char *from, const char *to);
void              fleet_renamed(struct controller *ctl, bool stored);
bool              fleet_is_renaming(const struct controller *ctl, const char *name);
/* The agent's row changed its state (evicted, banned): cuts the connection. */
void fleet_state_changed(struct controller *ctl, const char *name);
/* Something of this agent could not be stored: it is welcomed again in a moment and then re-sends what is unacked. */
void fleet_rewelcome(struct controller *ctl, const char *name);
/* Everybody learns the controller's time anew. */
void fleet_rewelcome_all(struct controller *ctl);

#endif
