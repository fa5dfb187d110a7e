/* answer_check.h - room agent/keeper: step 1 of a swap: does the controller's answer fit what this host wants?
 * Nothing of a wrong answer is ever written. Never: trusting the controller's word for names, chain or time. */
#ifndef VCC_ANSWER_CHECK_H
#define VCC_ANSWER_CHECK_H

#include "shared/base/err.h"
#include "shared/pki/cert.h"

struct answer {
	struct span         certificate, chain; /* DER */
	struct span         roots;              /* of the current bundle */
	const struct key   *key;                /* staged for this attempt */
	const struct names *wanted;             /* of the local target file */
	const char         *ordered;            /* struct names text of the order */
	const char         *common_name;        /* of the order */
	bool                serving;            /* the target serves TLS */
	int64_t             now;
	int64_t             skew_ms;       /* own clock minus the controller's */
	bool                clock_allowed; /* a person on this host lets the controller's time count, however far it is */
};

/* Above a day, of which the tolerance is no part: the controller's hint does not move a host that far. */
enum { ANSWER_TOLERANCE_MS = 5 * 60 * 1000, ANSWER_SKEW_MAX_MS = 24 * 60 * 60 * 1000 + ANSWER_TOLERANCE_MS };

/* E_PKI_* or E_SWAP_CLOCK. */
_must_check_ int answer_check(const struct answer *a, struct cert_info *ret, struct refusal *why);

#endif
