/* notices.h - room controller/daemon: puts what people have to be told into the commit of the change that causes it.
 * Never: deciding who is told what (controller/core/notice_rule.h), delivering it. */
#ifndef VCC_NOTICES_H
#define VCC_NOTICES_H

#include "controller/core/notice_rule.h"
#include "controller/daemon/commit.h"

/* A step of an order; `near`: one more unattended renewal, and a person has to agree. `t` is the certificate's policy, or NULL. */
void notices_order(struct commit *c, const struct order *was, const struct order_step *step, const struct template *t, bool near, int64_t now);
/* The certificate is inside its emergency threshold, or has expired. */
void notices_threshold(struct commit *c, const struct certificate *cert, const struct template *t, int64_t now);
/* What went as it should between two times, and what is open now. */
struct digest_counts {
	int64_t  from, to;
	uint64_t renewed, issued, failed; /* orders that ended */
	uint64_t ending;                  /* certificates that end within a week */
	uint64_t troubles, waiting;       /* open matters of level error and above; requests */
};
void notices_digest(struct commit *c, const struct digest_counts *counts);
/* A record of a campaign, as it stands with it. */
void notices_campaign(struct commit *c, const struct campaign *g, enum audit_event event, int64_t now);
/* A request waits for a second person, or does no longer. */
void notices_approval(struct commit *c, const struct approval *a, enum notice_event event, const struct template *t);
void notices_approval_over(struct commit *c, struct id approval_id, int64_t now);
/* Nobody looks after the certificate any more: it is in no trouble. */
void notices_certificate_gone(struct store_change *change, const char *cert_id, int64_t now);

/* Many hosts are silent at once, and that this is over. */
void notices_fleet(struct commit *c, uint32_t silent, uint32_t known, int64_t now);
void notices_fleet_back(struct commit *c, uint32_t connected, int64_t now);
#define NOTICE_FLEET_KEY "fleet silent"

#endif
