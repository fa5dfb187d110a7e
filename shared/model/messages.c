/* messages.c - room shared/model: the names of what messages tell by number.
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

const char *refresh_reason_name(enum refresh_reason r)
{
	static const char *const names[REFRESH_REASON_COUNT] = {
		[REFRESH_ORDER] = "order", [REFRESH_REPAIR] = "repair", [REFRESH_CONTENT] = "content",
		[REFRESH_PROVE] = "prove", [REFRESH_HEAL] = "heal",     [REFRESH_REHEARSE] = "rehearsal",
	};
	return (size_t)r < N_ELEMENTS(names) ? names[r] : "unknown";
}

const char *drift_kind_name(enum drift_kind k)
{
	static const char *const names[DRIFT_KIND_COUNT] = {
		[DRIFT_NONE] = "nothing",         [DRIFT_LINK] = "current leads elsewhere", [DRIFT_MISSING] = "is missing",
		[DRIFT_BYTES] = "was changed",    [DRIFT_TYPE] = "is no plain file",        [DRIFT_MODE] = "has another mode",
		[DRIFT_OWNER] = "has another owner", [DRIFT_LINKS] = "has another name, too",
		[DRIFT_COPY] = "differs from its source", [DRIFT_ADDED] = "does not belong there",
	};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

const char *trust_proof_name(enum trust_proof p)
{
	static const char *const names[TRUST_PROOF_COUNT] = {
		[TRUST_UNPROVED] = "unproved", [TRUST_RELOADED] = "reloaded", [TRUST_PROVED] = "proved"};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

const char *health_name(unsigned bit)
{
	static const char *const names[HEALTH_BITS] = {"clock", "stale",   "down",    "rehearsal", "watch",
							 "files", "targets", "journal", "lists"};
	return bit < N_ELEMENTS(names) ? names[bit] : "unknown";
}
