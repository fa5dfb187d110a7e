/* challenge.h - room controller/daemon: what a returning host must sign: a word that only this run of the controller can have given
 * to this agent, and that is worthless after a minute. Nothing is remembered. Never: clocks. */
#ifndef VCC_CHALLENGE_H
#define VCC_CHALLENGE_H

#include "shared/pki/key.h"

enum { CHALLENGE_BYTES = 40, CHALLENGE_LIFE_MS = 60 * 1000 };

struct challenge {
	uint8_t bytes[CHALLENGE_BYTES]; /* when it was given, then the seal over that and the name */
};

/* `secret` belongs to this run; `now` is monotonic. */
void challenge_make(const uint8_t secret[HMAC_KEY_SIZE], const char *agent, int64_t now, struct challenge *ret);
bool challenge_fresh(const uint8_t secret[HMAC_KEY_SIZE], const char *agent, int64_t now, struct span said);

#endif
