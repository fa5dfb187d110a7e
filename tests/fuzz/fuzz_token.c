/* fuzz_token.c - no text but the one that was made is taken for a token: whatever is parsed is made again from its parts, octet by octet, and another token is not the same one.
 * The first byte chooses: a token of a principal, an invite, or an invite made from the seed and name that follow. */
#include <stdlib.h>
#include <string.h>

#include "shared/pki/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_join(const char *text)
{
	uint8_t seed[TOKEN_SECRET];
	char    name[AGENT_NAME_SIZE], again[TOKEN_JOIN_SIZE];
	if (token_join_parse(text, seed, name) < 0)
		return;
	if (token_join_make(seed, name, again) < 0 || strcmp(text, again) != 0)
		abort();
}

static void try_pat(const char *text)
{
	char        other[TOKEN_PAT_SIZE];
	struct hash one, two;
	if (token_pat_check(text, &one) < 0)
		return;
	if (strlen(text) + 1 != TOKEN_PAT_SIZE)
		abort();
	memcpy(other, text, sizeof(other));
	other[TOKEN_PAT_SIZE / 2] = other[TOKEN_PAT_SIZE / 2] == 'A' ? 'B' : 'A';
	if (token_pat_check(other, &two) == 0 && hash_equal(one, two))
		abort();
}

/* What may be a name comes back as it was. */
static void make_join(const uint8_t *data, size_t n)
{
	uint8_t seed[TOKEN_SECRET], back[TOKEN_SECRET];
	char    name[AGENT_NAME_SIZE] = "", there[AGENT_NAME_SIZE], text[TOKEN_JOIN_SIZE];
	if (n < sizeof(seed))
		return;
	memcpy(seed, data, sizeof(seed));
	memcpy(name, data + sizeof(seed), n - sizeof(seed) < sizeof(name) - 1 ? n - sizeof(seed) : sizeof(name) - 1);
	if (token_join_make(seed, name, text) < 0)
		return;
	if (token_join_parse(text, back, there) < 0 || memcmp(seed, back, sizeof(seed)) != 0 || strcmp(name, there) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512] = "";
	if (size < 1 || size > sizeof(text))
		return 0;
	memcpy(text, data + 1, size - 1);
	if (data[0] % 3 == 0)
		try_pat(text);
	else if (data[0] % 3 == 1)
		try_join(text);
	else
		make_join(data + 1, size - 1);
	return 0;
}
