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

#endif
