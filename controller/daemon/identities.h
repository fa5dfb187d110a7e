/* identities.h - room controller/daemon: certificates of our own parts: agents' links, gateways, the admin listener.
 * Each is an issuance like any other: intent, signature, stored, and only then handed out. Never: a private key of another
 * process. */
#ifndef VCC_IDENTITIES_H
#define VCC_IDENTITIES_H

#include "controller/daemon/commit.h"
#include "controller/daemon/signer_client.h"
#include "shared/model/messages.h"

struct identities;
/* Loads or makes the admin listener's key in the state folder. */
_must_check_ int identities_open(struct controller *ctl, struct identities **ret, struct refusal *why);
void             identities_free(struct identities *i);

/* What is to be certified, and what happens with it. Exactly one call of `done`, with a code or with the stored issuance. */
typedef void identity_done_fn(struct controller *ctl, void *ctx, int code, const struct issuance *issued);
/* Adds to the change of the intent; may name fault points. */
typedef void identity_also_fn(struct commit *c, void *ctx);
struct identity_request {
	enum leaf_profile profile; /* LEAF_AGENT, LEAF_GATEWAY, LEAF_ADMIN_TLS */
	char              name[CERT_ID_SIZE];
	struct hash       host_hash; /* LEAF_AGENT */
	struct span       spki;
	enum key_type     key_type;
	const char       *actor;
	identity_also_fn *also; /* NULL = nothing */
	identity_done_fn *done;
	void             *ctx;
};
/* E_SYS_AGAIN: no serial numbers yet. After a failure here neither `also` nor `done` is called. */
_must_check_ int identities_issue(struct controller *ctl, const struct identity_request *request);

void identities_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);

/* A checked request of an agent for its link key. E_SYS_AGAIN as above. */
_must_check_ int identities_agent(struct controller *ctl, const char *agent, uint64_t id, const struct body_identity *body,
				  struct span spki, enum key_type key_type);
/* The same key again, because the answer was lost: the same certificate again, while more than half of its life is left. */
bool identities_agent_repeated(struct controller *ctl, const struct agent *a, struct hash spki_hash, struct issuance *ret);

void identities_tick(struct controller *ctl, int64_t now); /* the admin listener's certificate */
bool identities_admin(struct controller *ctl, struct span *ret_chain_pem, struct span *ret_key_pem);
bool identities_admin_ready(const struct controller *ctl, int64_t now);

#endif
