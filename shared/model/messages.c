/* messages.c - room shared/model: the names of receipt outcomes.
 * Never: encoding; that is shared/wire. */
#include "shared/model/messages.h"

const char *receipt_outcome_name(enum receipt_outcome o)
{
	static const char *const names[RECEIPT_OUTCOME_COUNT] = {
		[RECEIPT_VERIFIED] = "verified", [RECEIPT_SETTLED] = "settled", [RECEIPT_FAILED] = "failed",
		[RECEIPT_REFUSED] = "refused",   [RECEIPT_KEPT] = "kept",
	};
	return (size_t)o < N_ELEMENTS(names) ? names[o] : "unknown";
}
