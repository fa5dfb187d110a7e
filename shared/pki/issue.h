/* issue.h - room shared/pki: builds certificates and CRLs from facts (RFC 5280). Same facts, same bytes.
 * The common case (EC P-256 subject) is built as prepared DER; `issue_tbs_plain` builds the same through the X.509
 * library and tests compare the two. Never: files, clocks, deciding whether something may be issued. */
#ifndef VCC_ISSUE_H
#define VCC_ISSUE_H

#include "shared/pki/cert.h"

/* A CA prepared for issuing: name, key identifiers, URLs as DER. Built once per issuer; immutable afterwards, so it may
 * be shared by threads (issue_sign excepted: one signer thread). */
struct issue_ca;
/* `public_url` like "http://pki.vcc.internal" (no final slash). `k` may be NULL: then only issue_tbs() works. */
_must_check_ int issue_ca_make(const struct issuer *issuer, const struct key *k, const char *public_url, struct issue_ca **ret);
void             issue_ca_free(struct issue_ca *ca);

/* The to-be-signed bytes of a leaf. Extensions by profile: SAN (critical when the subject is empty), keyUsage, EKU,
 * basicConstraints CA:FALSE, SKI, AKI, CRL distribution point, AIA caIssuers. keyEncipherment is dropped for EC and Ed25519
 * keys (RFC 8813). E_PKI_LINT when facts cannot be encoded. */
_must_check_ int issue_tbs(const struct issue_ca *ca, const struct cert_facts *facts, struct buf *to);
_must_check_ int issue_tbs_plain(const struct issue_ca *ca, const struct cert_facts *facts, struct buf *to);

/* Signs TBS bytes made by issue_tbs with the CA's key and the facts' hash; gives the whole certificate. */
_must_check_ int issue_sign(const struct issue_ca *ca, struct span tbs, enum hash_alg alg, struct buf *to);

/* FAULTS 4 lints on the built bytes and facts before the key is touched; `why` names the lint. E_PKI_LINT. */
_must_check_ int issue_lint(const struct issue_ca *ca, const struct cert_facts *facts, struct span tbs, struct refusal *why);

struct crl_entry {
	struct serial serial;
	int64_t       revoked_at;
	int           reason;
};
/* Entries ascending by serial. `idp`: the shard's URL for the critical issuing distribution point, exactly as in the
 * certificates (PUBLIC_URL/crl/ISSUER/SHARD.crl); NULL for a root and only there. nextUpdate <= 10 d ahead (root 400 d), number
 * > 0, whole seconds, reasons of enum revoke_reason. E_PKI_LINT otherwise. */
_must_check_ int issue_crl(const struct issue_ca *ca, uint64_t number, int64_t this_update_at, int64_t next_update_at,
			   const char *idp, const struct crl_entry *entries, size_t n, struct buf *to);
struct crl_info {
	uint64_t number;
	int64_t  this_update_at, next_update_at;
	size_t   entries;
	struct span issuer; /* whole Name; points into the list */
	struct span point;  /* URI of its distribution point; points into the list, empty = none */
};
/* Checks the signature by the issuer's certificate and reads the numbers. E_PKI_CRL, E_PKI_SIGNATURE, E_PKI_CERT (issuer). */
_must_check_ int crl_read(struct span crl, struct span issuer_der, struct crl_info *ret);
/* The same of a list that nobody has vouched for: to find its issuer, or where it was checked before. */
_must_check_ int crl_peek(struct span crl, struct crl_info *ret);
/* What a list that was checked before says; E_FULL beyond `max`. */
_must_check_ int crl_entries(struct span crl, struct crl_entry *ret, size_t max, size_t *ret_n);
_must_check_ int crl_pem_add(struct span crl, struct buf *to);

/* CA certificates for `init`. Root: self-signed, CA, no pathLen, keyCertSign+cRLSign. Issuing CAs: pathLen 0, name constraints
 * by role: service: `domains` (DNS subtree each: domain and below) and `ip_ranges` (CIDR list) permitted, all IP excluded when
 * the list is empty; agent: URI `domain` permitted, DNS and IP excluded; code-signing: EKU codeSigning, DNS and IP excluded;
 * service and code-signing permit no URI (only host "invalid"). A family of addresses without a permitted range is excluded.
 * The CRL of CA certificates is shard 0 of the parent. AIA and distribution point of the root at public_url. */
struct ca_facts {
	enum issuer_role role;
	struct serial    serial;
	char             organisation[SUBJECT_SIZE];
	char             common_name[SUBJECT_SIZE];
	int64_t          not_before_at, not_after_at;
	char             domains[512];   /* comma list, first is the main one */
	char             ip_ranges[256]; /* comma list of CIDR */
	char             public_url[URL_SIZE];
	char             parent_id[ISSUER_ID_SIZE]; /* id in the parent's URLs, "root-1" */
};
/* parent_key and parent_der NULL/empty for the root. */
_must_check_ int issue_ca_certificate(const struct ca_facts *facts, const struct key *subject, const struct key *parent_key,
				      struct span parent_der, struct buf *to);

#endif
