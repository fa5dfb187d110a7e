/* fleet_table.h - room controller/daemon: the fleet as fleet.c (who is where) and fleet_welcome.c share it. Never: included by anybody else. */
#ifndef VCC_FLEET_TABLE_H
#define VCC_FLEET_TABLE_H

#include <uthash.h>

#include "controller/daemon/fleet.h"
#include "shared/base/buf.h"

struct fleet_entry {
	struct member  m; /* first: fleet_next() */
	UT_hash_handle hh;
};

struct link { /* (gateway, session) -> agent */
	struct {
		uint64_t gateway, session;
	} key;
	char           name[AGENT_NAME_SIZE];
	char           address[ADDRESS_SIZE];
	UT_hash_handle hh;
};

struct welcome {
	char            name[AGENT_NAME_SIZE];
	int64_t         at;
	struct welcome *prev, *next;
};

struct fleet {
	struct controller  *ctl;
	struct fleet_entry *members;
	struct link        *links;
	struct welcome     *welcomes;
	uv_timer_t          pace;
	bool                pacing;
	uint32_t            connected; /* welcomed and helloed */
	size_t              waiting_bytes;
	char                renaming[AGENT_NAME_SIZE]; /* "" = none */
	char                renaming_to[AGENT_NAME_SIZE];
	struct buf          out;
};

/* fleet.c: false = it is lost with its connection. */
bool fleet_send_to(struct controller *ctl, const struct session *s, uint64_t id, struct span frame, bool urgent);

/* fleet_welcome.c */
void fleet_welcome_to(struct controller *ctl, struct member *m, uint64_t gateway, uint64_t session, int64_t not_after_at);
void fleet_welcome_now(struct controller *ctl, struct member *m);
void fleet_welcome_later(struct controller *ctl, const char *name, int64_t at); /* monotonic; in turns */

#endif
