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
	size_t                n_waiting;
	int64_t               left_at;         /* end of the last connection; 0 = none ended in this run */
	int64_t               refused_at;      /* last audit record about a refused message */
	int64_t               drift_at;        /* monotonic; last change of a file that was told */
	int64_t               refused_hour_at; /* audit records about refused targets: so many an hour */
	uint32_t              refused_in_hour;
	bool                  health_told; /* on the current connection */
	struct msg_health     health;
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
bool     fleet_connected(const struct controller *ctl, const char *name); /* welcomed and said hello */
/* What it said last on its current connection; NULL = nothing, or there is none. */
const struct msg_health *fleet_health(const struct controller *ctl, const char *name);
/* Now, or when its last connection ended; 0 = it had none in this run, so only the store knows. */
int64_t  fleet_seen_at(const struct controller *ctl, const char *name);
/* Everybody who was connected in this run, in the order of their coming; NULL after the last. Nobody leaves, so a walk may pause. */
const struct member *fleet_next(const struct controller *ctl, const struct member *after); /* NULL = the first */
size_t               fleet_size(const struct controller *ctl);                               /* how many that are */
uint32_t fleet_count(const struct controller *ctl);
/* Sends to the agent's current connection, if there is one that said hello; else false and nothing is kept: the outbox is. */
bool fleet_send(struct controller *ctl, const char *name, uint16_t type, uint64_t id, const void *payload, bool urgent);
bool fleet_send_frame(struct controller *ctl, const char *name, uint64_t id, struct span frame, bool urgent);
/* The agent's row changed its state (evicted, banned): cuts the connection. */
void fleet_state_changed(struct controller *ctl, const char *name);
/* Something of this agent could not be stored: it is welcomed again in a moment and then re-sends what is unacked. */
void fleet_rewelcome(struct controller *ctl, const char *name);

#endif
