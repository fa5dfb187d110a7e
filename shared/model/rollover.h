/* rollover.h - room shared/model: one authority gives way to another: how far that is.
 * Plain values. The decisions are in controller/core/rollover_flow.c. Never: functions with state. */
#ifndef VCC_ROLLOVER_H
#define VCC_ROLLOVER_H

#include "shared/model/agent.h"

enum rollover_phase {
	ROLLOVER_PREPARING, /* two persons agreed; the signer is asked for the successor */
	ROLLOVER_TRUST,     /* the successor is there and signs nothing; hosts learn to trust it */
	ROLLOVER_ISSUING,   /* everything new comes from the successor; what the old one signed is issued again */
	ROLLOVER_DRAINING, /* the old one signs lists and OCSP responders; what is left below it waits for its host, a person or
			      its end */
	ROLLOVER_RETIRING, /* two persons agreed; the signer is asked to close the old one for good */
	ROLLOVER_RETIRED,
	ROLLOVER_ROLLED_BACK, /* the old one signs as before; the successor stands by */
	ROLLOVER_PHASE_COUNT,
};
const char *rollover_phase_name(enum rollover_phase p);

/* One row for each authority that ever gave way: a second try takes the place of the first. */
struct rollover {
	char                issuer_id[ISSUER_ID_SIZE];
	char                successor_id[ISSUER_ID_SIZE];
	enum rollover_phase phase;
	bool        emergency;   /* the old one's key is not to be trusted: it signed nothing more from the beginning on */
	bool        closed;      /* the signer has said so */
	struct id   campaign_id; /* the last one that issued again; none before */
	uint32_t    campaigns;   /* how many there were */
	int         code;        /* why it does not go on; 0 = it does */
	char        cause[CAUSE_SIZE];
	char        actor[ACTOR_SIZE]; /* who asked for it */
	char        reason[REASON_SIZE];
	int64_t     created_at;
	int64_t     prepared_at; /* 0 = not yet, here and below */
	int64_t     issuing_at;
	int64_t     draining_at;
	int64_t     ended_at;
	int64_t     next_at;        /* nothing is tried again before; TIME_NEVER = nothing is to be tried */
	bool        overridden;     /* retired although not everything had left it */
	uint32_t    consumers;      /* named as what trusts it outside of the agents */
	struct hash consumers_hash; /* of that list; none before */
};

/* A root gives way with all that stands below it; names of authorities begin with their role. */
bool rollover_is_root(const struct rollover *r);

#endif
