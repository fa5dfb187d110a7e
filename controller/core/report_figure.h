/* report_figure.h - room controller/core: what each figure of a report counts (LIFECYCLE 9). The report adds up what is decided here, and the
 * list of a figure's rows is made by the same decision. Pure. Never: clocks, heap, reading anything. */
#ifndef VCC_REPORT_FIGURE_H
#define VCC_REPORT_FIGURE_H

#include "shared/model/campaign.h"
#include "shared/model/order.h"

enum figure_noun { FIGURE_OF_CERTIFICATE, FIGURE_OF_ORDER, FIGURE_OF_CAMPAIGN, FIGURE_OF_REVOCATION };

/* symbol, name, of what, what it means */
#define FIGURES(X)                                                                                                             \
	X(TOTAL, "total_certificates", CERTIFICATE, "certificates that were not removed, at the time of the report")           \
	X(ACTIVE, "active_certificates", CERTIFICATE, "of these: active or expiring")                                          \
	X(EXPIRING, "expiring", CERTIFICATE, "of these: inside the renewal threshold of its policy")                           \
	X(EXPIRED, "expired", CERTIFICATE, "ended, and nothing took its place")                                                \
	X(SOON, "expiring_soon", CERTIFICATE, "in force, and ends within 30 days")                                             \
	X(HIGH_RISK, "high_risk_certificates", CERTIFICATE,                                                                    \
	  "expired, inside the emergency threshold, served other than issued, its order paused, or an error-level rule failed") \
	X(VIOLATIONS, "compliance_violations", CERTIFICATE, "failed results of error-level rules: of certificates and of the installation") \
	X(ENDED, "renewals_ended", ORDER, "renewals that ended in the period, and those that are paused; no first issue, no drill") \
	X(COMPLETED, "renewals_completed", ORDER, "of these: completed")                                                       \
	X(FAILED, "renewals_failed", ORDER, "of these: failed or paused")                                                      \
	X(AUTOMATED, "renewals_automated", ORDER, "of those completed: no person in the order's trail")                        \
	X(EMERGENCIES, "emergency_recertifications", CAMPAIGN, "emergency campaigns that began in the period")                 \
	X(REVOKED, "revocations", REVOCATION, "certificates of services that were revoked in the period; none on hold")        \
	X(SUPERSEDED, "revocations_superseded", REVOCATION, "of these: because another one had taken their place")             \
	X(REVOKED_OTHER, "revocations_other", REVOCATION, "of these: for any other reason")

enum figure {
#define X(symbol, name, noun, means) FIGURE_##symbol,
	FIGURES(X)
#undef X
	FIGURE_COUNT,
};

struct figure_info {
	const char      *name;
	enum figure_noun noun;
	const char      *means;
};
const struct figure_info *figure_info(enum figure f);
_must_check_ int          figure_parse(const char *name, enum figure *ret);

#define FIGURE_BIT(symbol) (1u << FIGURE_##symbol)

/* Which figures count it, as bits. HIGH_RISK and VIOLATIONS hang on more than the row: the caller's. */
unsigned figure_of_certificate(const struct certificate *c, enum cert_status status, int64_t now);
/* The period is [from, to). A paused order is not over: it counts in every period since it was made, until somebody ends it. */
unsigned figure_of_order(const struct order *o, int64_t from, int64_t to);
/* `reason`: enum revoke_reason, or REASON_HOLD. */
unsigned figure_of_revocation(int reason, int64_t revoked_at, int64_t from, int64_t to);
unsigned figure_of_campaign(const struct campaign *c, int64_t from, int64_t to);

#endif
