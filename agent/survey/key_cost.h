/* key_cost.h - room agent/survey: what making a key of some type costs on this host; for people who choose a template's key.
 * Never: on the loop (it works for as long as it is told), a key that is kept. */
#ifndef VCC_KEY_COST_H
#define VCC_KEY_COST_H

#include "shared/base/err.h"
#include "shared/model/certificate.h"

enum { KEY_COST_MIN = 3, KEY_COST_MAX = 25 };

struct key_cost {
	enum key_type type;
	uint32_t      made;
	int64_t       median_us;
	int64_t       longest_us; /* RSA has a long tail */
};

/* Makes keys for about `budget_ms`, at least three and at most 25. E_PKI_*, E_NOMEM. */
_must_check_ int key_cost_measure(enum key_type type, int64_t budget_ms, struct key_cost *ret);

#endif
