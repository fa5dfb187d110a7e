/* keeper_state.h - room agent/keeper: what the keeper is and owns: its folder, host key, name, trust, run counter.
 * Every file is whole or refused: a hash in front of the content finds damage (never a silent new enrolment).
 * Never: service keys; those are in keys.h and generation.h. */
#ifndef VCC_KEEPER_STATE_H
#define VCC_KEEPER_STATE_H

#include "agent/keeper/trust.h"
#include "shared/pki/key.h"

struct identity {
	char     agent[AGENT_NAME_SIZE];
	char     service[SERVICE_SIZE];
	char     domain[DNS_NAME_SIZE];
	char     address[ADDRESS_SIZE];
	char     patterns[NAMES_TEXT_SIZE]; /* of the invite */
	uint32_t finished; /* 0: joined, but no connection was welcomed yet: joining may be repeated */
};

struct keeper_state {
	int             dir_fd;
	int             keys_fd; /* staged keys */
	int             lock_fd;
	struct identity identity; /* agent "" = not joined */
	struct key     *host_key; /* NULL before join */
	struct hash     host_hash;
	struct trust    trust;
	struct hash     crl_hash; /* of the revocation lists that are kept; none = there are none yet */
	int64_t         crl_ends_at; /* when the first of them ends */
	struct id       boot_id; /* of this run */
	uint64_t        counter; /* grows with each start: tells clones apart */
};

/* Opens (and makes) the folder and locks it for the life of the process. E_SYS_LOCKED: a second keeper. Then reads what is there. */
_must_check_ int keeper_state_open(const char *dir, struct keeper_state *ret, struct refusal *why);
void keeper_state_close(struct keeper_state *s);

/* The host key (P-256): kept once made. */
_must_check_ int keeper_state_host_key(struct keeper_state *s, struct refusal *why);
_must_check_ int keeper_state_save_identity(struct keeper_state *s, const struct identity *identity, struct refusal *why);
_must_check_ int keeper_state_save_trust(struct keeper_state *s, struct trust *trust, struct refusal *why); /* takes `trust` */
/* The revocation lists as PEM, checked before. They may be large: read when they are needed. `to` gets the cap that it needs. */
enum { CRL_FILE_MAX = MSG_LISTS_MAX };
_must_check_ int keeper_state_save_crl(struct keeper_state *s, struct span pem, struct refusal *why);
_must_check_ int keeper_state_crl(const struct keeper_state *s, struct buf *to, struct refusal *why);
/* A new run: boot id and counter + 1, durable where there is space. */
_must_check_ int keeper_state_start(struct keeper_state *s, int64_t now, struct refusal *why);

#endif
