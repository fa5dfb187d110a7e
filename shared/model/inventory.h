/* inventory.h - room shared/model: what a host serves by TLS today, whoever manages it.
 * Seen from outside by one handshake per listener; no key, no file. Plain values. Never: functions with state. */
#ifndef VCC_INVENTORY_H
#define VCC_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/id.h"
#include "shared/model/names.h"

enum {
	INVENTORY_MAX = 64, /* listeners of one host */
	INVENTORY_PROGRAM_SIZE = 32,
	INVENTORY_USER_SIZE = 33,
	INVENTORY_UNIT_SIZE = 96,
	INVENTORY_DN_SIZE = 130,    /* longer subjects and issuers are cut */
	INVENTORY_NAMES_SIZE = 320, /* the names that fit; `n_names` tells how many there are */
};

/* One listener and the leaf that it serves to a client that asks for no name. */
struct inventory_listener {
	char        agent[AGENT_NAME_SIZE];     /* whose row it is; the controller's business, not in messages */
	char        address[ADDRESS_SIZE]; /* as bound: "0.0.0.0:443" */
	char        program[INVENTORY_PROGRAM_SIZE];
	char        user[INVENTORY_USER_SIZE];
	char        unit[INVENTORY_UNIT_SIZE]; /* systemd unit, or "" */
	bool        starttls;                  /* PostgreSQL's way */
	struct hash fingerprint;               /* none: it speaks TLS, but serves nothing without a name */
	char        subject[INVENTORY_DN_SIZE];
	char        issuer[INVENTORY_DN_SIZE];
	char        names[INVENTORY_NAMES_SIZE]; /* "DNS:a, IP:b", as served */
	uint32_t    n_names;
	int64_t     not_before_at;
	int64_t     not_after_at;
	bool        self_signed;
	uint32_t    chain; /* certificates served, the leaf included */
};

/* What a host found at one time; its listeners are rows of their own. */
struct inventory {
	char        agent[AGENT_NAME_SIZE];
	struct hash host_hash;   /* the host, not its name: a new host may have the name of an old one */
	struct hash digest;      /* of the rows: a report that says the same is no news */
	int64_t     observed_at; /* by the host's clock */
	int64_t     reported_at; /* by the controller's */
	uint32_t    found;       /* TLS listeners, also those beyond INVENTORY_MAX */
};

#endif
