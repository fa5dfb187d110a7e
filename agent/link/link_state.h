/* link_state.h - room agent/link: the link's own folder: identity (TLS key, certificate, chain in one file), the next key, the
 * pinned root, where to connect. Never: the host key, anything of a service. */
#ifndef VCC_LINK_STATE_H
#define VCC_LINK_STATE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/model/certificate.h"
#include "shared/model/names.h"
#include "shared/pki/key.h"

struct link_state {
	int        dir_fd;
	int        lock_fd;
	char       agent[AGENT_NAME_SIZE];
	char       domain[DNS_NAME_SIZE];
	char       address[ADDRESS_SIZE]; /* of the agents' port, as joining told */
	char       join[ADDRESS_SIZE];    /* of the join port; "" in a folder that an older program wrote */
	struct buf root;                  /* DER of the pinned root */
	struct buf identity;              /* PEM: key, certificate, chain; wiped when freed */
	int64_t    not_before_at;         /* of the identity */
	int64_t    not_after_at;
	char       public_url[URL_SIZE]; /* of the installation, as the identity says; "" = it does not */
};

/* Opens the folder and takes its lock. E_SYS_LOCKED, E_SYS_UNSAFE_PATH. */
_must_check_ int link_state_open(const char *dir, struct link_state *ret, struct refusal *why);
/* Has a host joined with this folder? False also where the caller may not look. */
bool link_state_is_joined(const char *dir);
/* Reads what joining left. E_LINK_NOT_JOINED. */
_must_check_ int link_state_load(struct link_state *s, struct refusal *why);
void             link_state_close(struct link_state *s);

/* The key of the next identity: kept until link_state_save_identity(), so that a lost answer can be asked for again. */
_must_check_ int link_state_next_key(struct link_state *s, struct key **ret, struct refusal *why);
/* Checks that `leaf` is for the next key (the keeper has judged the rest), then makes key, leaf and chain the identity in one
 * rename. */
_must_check_ int link_state_save_identity(struct link_state *s, struct span leaf, struct span chain, struct refusal *why);
/* What joining ends with. */
struct link_joined {
	char agent[AGENT_NAME_SIZE];
	char domain[DNS_NAME_SIZE];
	char address[ADDRESS_SIZE];
	char join[ADDRESS_SIZE];
};
/* The end of joining: root, name, domain, addresses; after the identity. */
_must_check_ int link_state_save_joined(struct link_state *s, const struct link_joined *joined, struct span root, struct refusal *why);
/* The agents' port has another address now. */
_must_check_ int link_state_save_address(struct link_state *s, const char *address, struct refusal *why);

#endif
