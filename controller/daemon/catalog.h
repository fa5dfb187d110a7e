/* catalog.h - room controller/daemon: templates (current versions), what services say of policy, and issuers, in memory.
 * Never: writing to the store; whoever stored a new version tells it here. */
#ifndef VCC_CATALOG_H
#define VCC_CATALOG_H

#include "controller/store/store.h"
#include "shared/pki/issue.h"

struct catalog;

enum { CATALOG_ISSUERS_MAX = 32 };

struct catalog_issuer {
	struct issuer    row;        /* crl_number is the highest one given out */
	struct issue_ca *ca;         /* without key */
	struct hash      spki_hash;
	struct span      chain;      /* this certificate and its parents without the root: what travels with a leaf. Below a root that
				       follows another also its certificate by that one, for who knows only that one */
	struct span      chain_root; /* the same with the root, and after it the one that it follows, until that is retired */
	struct buf       chain_bytes, chain_root_bytes;
	struct buf       cross; /* of a root that follows another: its certificate by that one; else empty */
	unsigned         asked;   /* rollover_ask.c: requests about it that are on their way to the store */
	bool             offline; /* the signer said so: its key is kept elsewhere */
};

/* E_STORE_*, E_NOT_FOUND when there is no root: no installation. */
_must_check_ int catalog_open(struct store_view *view, const char *public_url, struct catalog **ret, struct refusal *why);
void             catalog_free(struct catalog *c);

const struct template *catalog_template(const struct catalog *c, const char *template_id); /* NULL = unknown */
/* Each current template once, in no order: after NULL the first; NULL = there are no more. */
const struct template *catalog_template_after(const struct catalog *c, const struct template *t);
/* The template with what the service says instead: the policy of its certificates. NULL = unknown template. Valid until a put. */
const struct template *catalog_policy(struct catalog *c, const char *template_id, const char *service);
const struct service  *catalog_service(const struct catalog *c, const char *name); /* NULL = nothing was ever said about it */
void                   catalog_put_service(struct catalog *c, const struct service *s);
void                   catalog_put_template(struct catalog *c, const struct template *t);

struct catalog_issuer *catalog_issuer(struct catalog *c, const char *issuer_id);
struct catalog_issuer *catalog_issuer_of_role(struct catalog *c, enum issuer_role role); /* newest that issues */
/* Whoever signs for the template now: where it names one that gives way, the one that takes its place. NULL = nobody. */
struct catalog_issuer *catalog_issuer_for(struct catalog *c, const struct template *t);
/* Why this one signs nothing: E_CA_REVOKED, E_CA_GIVES_WAY; 0 = it signs. NULL allowed, where nobody of `role` was found. */
_must_check_ int catalog_signs(const struct catalog *c, const struct catalog_issuer *i, enum issuer_role role);
/* One that was just stored; a root with its certificate by the one before, which came first. Known already: nothing. E_FULL, E_PKI_*. */
_must_check_ int catalog_add_issuer(struct catalog *c, const struct issuer *row, struct span cross, const char *public_url);
/* "cross-ROOT": the store's setting with that certificate. */
enum { CROSS_NAME_SIZE = ISSUER_ID_SIZE + 8 };
const char *catalog_cross_name(const char *root_id, char ret[CROSS_NAME_SIZE]);
struct catalog_issuer *catalog_root_of(struct catalog *c, const struct catalog_issuer *i); /* itself, where it is one */
/* SHA-256 of the certificate of the root that issues: what invites pin. */
struct hash catalog_pin(struct catalog *c);
/* Is it the pin of a root that we have, or had? */
bool catalog_has_pin(struct catalog *c, struct hash pin);
void             catalog_set_standing(struct catalog *c, const char *issuer_id, enum issuer_standing standing, const char *successor_id, bool retired);
bool                   catalog_has_key(const struct catalog *c, struct hash spki_hash); /* of any authority, past ones too */
struct catalog_issuer *catalog_issuer_at(struct catalog *c, size_t i); /* NULL beyond the last */

#endif
