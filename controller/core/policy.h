/* policy.h - room controller/core: may this be done? Templates, names, eligibility, due times.
 * Pure: values in, values out. Never: clocks, heap, reading anything. */
#ifndef VCC_POLICY_H
#define VCC_POLICY_H

#include "shared/base/err.h"
#include "shared/model/agent.h"
#include "shared/model/template.h"

struct policy_limits {
	bool    allow_short_validity; /* >= 5 s instead of >= 60 s */
	int64_t jitter_share;         /* per mille of the threshold, default 100 */
};

/* LIFECYCLE 1: E_POLICY_TEMPLATE with field and reason. */
_must_check_ int policy_template_check(const struct template *t, const struct policy_limits *limits, struct refusal *why);

/* Is a template of this vcc_service_type ("" = any) one for this service? `external` is every service that has no type of its own. */
bool policy_service_fits(const char *type, const char *service);

/* A target's proposal: names inside invite and template patterns, service fits, template usable. E_POLICY_*. */
_must_check_ int policy_assign(const struct agent *agent, const struct template *t, const char *service,
			       const struct names *names, struct refusal *why);

/* What a person asks for without a host: service ("" for purpose admin, which belongs to none) and names inside the template's. E_POLICY_*. */
_must_check_ int policy_request(const struct template *t, const char *service, const struct names *names, struct refusal *why);
/* May a certificate by request follow on what is stored under its cert_id? E_ISSUE_AGENT, E_ORDER_*. */
_must_check_ int policy_may_follow(const struct certificate *c);

/* May an order be made now? E_ORDER_* or 0. `open` is the order that c->open_order names, NULL when there is none. A paused one
 * is in the way of a scheduled order only, with `force` also one that waits for its next attempt; for any other trigger the
 * caller ends it (EV_CANCEL) before the new one. `force` passes threshold, back-off, window and max_renewals. *ret_approval = the order must wait for approval (max_renewals reached,
 * code signing). */
_must_check_ int policy_eligible(const struct certificate *c, const struct template *t, const struct order *open,
				 enum trigger trigger, bool force, int64_t now, bool *ret_approval);

/* Who is served first where orders wait for the same thing (LIFECYCLE 4): 0 = emergency, a single manual order, policy_update,
 * service_update, bulk, scheduled; after all of them a drill. */
enum { ORDER_RANK_DRILL = 6, ORDER_RANKS };
unsigned order_rank(enum trigger trigger, bool in_campaign);

/* The same for a certificate of a campaign: the threshold is passed, and an emergency passes max_renewals, too. */
_must_check_ int policy_eligible_in_campaign(const struct certificate *c, const struct template *t, const struct order *open,
					     enum trigger trigger, bool *ret_approval);

/* Validity of a leaf made now: not_before = now - 5 min back-dated for validity > 1 h (else now - 1 s), whole seconds;
 * not_after = now + validity, cut to the issuer's end (service leaves; *ret_cut) or E_ISSUE_OUTLIVES (code signing: what was signed with it would be judged by it after the cut).
 * E_SIGNER_LIMIT: the issuer has ended. */
_must_check_ int policy_validity(const struct template *t, int64_t issuer_not_after_at, int64_t now, int64_t *ret_not_before_at,
				 int64_t *ret_not_after_at, bool *ret_cut);

/* Stable due time: not_after - threshold + jitter, jitter uniform in 0..share of the threshold by hash of cert_id and serial.
 * TIME_NEVER when auto renewal is off, but for code signing: there the order that is due waits for an approval. */
int64_t policy_renew_at(const struct template *t, const char *cert_id, struct serial serial, int64_t not_before_at,
			int64_t not_after_at, const struct policy_limits *limits);

/* Everything of the leaf that policy decides: fills profile, names, subject, usages, hash, key type and validity of `ret`;
 * serial, issuer, spki and shard are the caller's. */
_must_check_ int policy_facts(const struct certificate *c, const struct template *t, const char *organisation,
			      int64_t not_before_at, int64_t not_after_at, struct cert_facts *ret);

/* What somebody has to know about a certificate now (LIFECYCLE 1, 4), derived. */
enum policy_alert {
	POLICY_ALERT_EMERGENCY,     /* inside the emergency threshold, or expired */
	POLICY_ALERT_RENEWALS_NEAR, /* one more unattended renewal, then a person has to agree */
	POLICY_ALERT_RENEWALS_USED, /* the next one waits for a person */
	POLICY_ALERT_REVOKED,       /* its current issuance was revoked, and it has no other */
	POLICY_ALERT_COUNT,
};
const char *policy_alert_name(enum policy_alert a);
bool        policy_alerts(enum policy_alert a, const struct certificate *c, const struct template *t, int64_t now);

/* The next threshold that the certificate crosses after `now`: renewal, emergency, end; TIME_NEVER = none is left. */
int64_t policy_crossing_at(const struct certificate *c, const struct template *t, int64_t now);

/* When somebody may have to know next, after `now` (INT64_MIN = nobody was told yet): emergency threshold, then end; TIME_NEVER = nothing of that is left to come. */
int64_t policy_alert_at(const struct certificate *c, const struct template *t, int64_t now);

/* When it was ended for good, or else its current issuance alone: what it shows is revoked. 0 = neither. */
int64_t policy_revoked_at(const struct certificate *c);

/* LIFECYCLE 3, strongest first; `t` NULL = its template is not known, so no threshold. A retired certificate is served nowhere any more:
 * what is left of it is `issued` until it ends. */
enum cert_status policy_status(const struct certificate *c, const struct template *t, int64_t now);
/* The same of one issuance; *renewed* is a state of these alone. An intent, signed or not, is `requested`. */
enum cert_status policy_issuance_status(const struct issuance *i, const struct template *t, int64_t now);

#endif
