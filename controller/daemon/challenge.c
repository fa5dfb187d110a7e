/* challenge.c - room controller/daemon: what a returning host must sign. Nothing is remembered.
 * Never: clocks. */
#include "controller/daemon/challenge.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/be.h"

enum { TIME_BYTES = CHALLENGE_BYTES - (int)sizeof(struct hash), WORDS_MAX = 256 };

/* What is sealed: the time, and the name that it was given to. */
static void words_of(const char *agent, const uint8_t at[TIME_BYTES], struct buf *to)
{
	buf_add_text(to, "vcc challenge v1");
	buf_add_u8(to, 0);
	buf_add(to, at, TIME_BYTES);
	buf_add_text(to, agent);
	if (buf_error(to) != 0)
		abort();
}

void challenge_make(const uint8_t secret[HMAC_KEY_SIZE], const char *agent, int64_t now, struct challenge *ret)
{
	struct buf  words = BUF_MAX(WORDS_MAX);
	struct hash seal;
	be_put(ret->bytes, (uint64_t)now, TIME_BYTES);
	words_of(agent, ret->bytes, &words);
	digest_hmac(secret, buf_span(&words), &seal);
	memcpy(ret->bytes + TIME_BYTES, seal.b, sizeof(seal.b));
	buf_free(&words);
}

bool challenge_fresh(const uint8_t secret[HMAC_KEY_SIZE], const char *agent, int64_t now, struct span said)
{
	struct buf  words = BUF_MAX(WORDS_MAX);
	struct hash seal;
	if (said.n != CHALLENGE_BYTES)
		return false;
	int64_t at = (int64_t)be_get(said.p, TIME_BYTES);
	memcpy(seal.b, said.p + TIME_BYTES, sizeof(seal.b));
	words_of(agent, said.p, &words);
	bool fits = digest_hmac_fits(secret, buf_span(&words), seal);
	buf_free(&words);
	return fits && at <= now && now - at <= CHALLENGE_LIFE_MS;
}
