/* crl_set.h - room shared/pki: all revocation lists of an installation in one PEM file, judged before a host uses them.
 * One bad list makes the whole set bad: a verifier that misses a list refuses everybody, one with a false list the wrong ones.
 * Never: files, clocks, fetching. */
#ifndef VCC_CRL_SET_H
#define VCC_CRL_SET_H

#include "shared/pki/issue.h"

enum {
	CRL_SET_LISTS_MAX = 4096,
	CRL_SET_ISSUERS_MAX = 64,
	CRL_SET_ISSUERS_PEM_MAX = CRL_SET_ISSUERS_MAX * 9216, /* a certificate of CERT_DER_MAX as PEM is shorter */
};

struct crl_set {
	struct span pem;     /* the lists, nothing else, in the one spelling of crl_pem_add() */
	struct span issuers; /* authorities that may have signed them, as cert_pem_add() writes them; trusted only with a way to
				a root */
	struct span roots;   /* trusted: DER one after the other */
	struct span old_pem; /* the set that this one replaces; what cannot be read of it does not count; empty = none */
	int64_t     now_at;
	int64_t     tolerance_ms; /* a list may begin so far in the future */
};
struct crl_set_facts {
	size_t  lists, entries;
	int64_t next_update_at; /* when the first of them ends */
};

/* E_PKI_CRL: something else than lists, no list, one that is there twice, or more than the limit. E_CRL_ISSUER: nobody that a
 * root vouches for has signed it. E_CRL_NUMBER: lower than the one of the list it replaces (same issuer, same distribution
 * point). E_CRL_TIME. E_NOMEM. `ret` is untouched then. */
_must_check_ int crl_set_check(const struct crl_set *set, struct crl_set_facts *ret, struct refusal *why);

/* Is this number on one of the lists of a set that was checked before? */
bool crl_set_names(struct span pem, struct serial serial);

/* When the first list of a set that was checked before ends; 0 = it cannot be read. */
int64_t crl_set_ends_at(struct span pem);

#endif
