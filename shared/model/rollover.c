/* rollover.c - room shared/model: names of the phases.
 * Never: decisions. */
#include "shared/model/rollover.h"

#include <string.h>

const char *rollover_phase_name(enum rollover_phase p)
{
	static const char *const names[ROLLOVER_PHASE_COUNT] = {
		[ROLLOVER_PREPARING] = "preparing",     [ROLLOVER_TRUST] = "trust",       [ROLLOVER_ISSUING] = "issuing",
		[ROLLOVER_DRAINING] = "draining",       [ROLLOVER_RETIRING] = "retiring", [ROLLOVER_RETIRED] = "retired",
		[ROLLOVER_ROLLED_BACK] = "rolled_back",
	};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

bool rollover_is_root(const struct rollover *r)
{
	static const char prefix[] = "root-";
	return strncmp(r->issuer_id, prefix, sizeof(prefix) - 1) == 0;
}
