/* token.c - room shared/pki: bearer and join token texts, both ways.
 * Never: making randomness, storing, logging. */
#include "shared/pki/token.h"

#include <string.h>

#include "shared/base/be.h"
#include "shared/base/buf.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

static const char pat_prefix[] = "vcc_pat_";
static const char join_prefix[] = "vcc_join_";

enum { CRC = 4, PREFIX_MAX = sizeof(join_prefix), BODY_MAX = TOKEN_SECRET + AGENT_NAME_SIZE - 1 };

/* CRC-32 over prefix and body; ties the body to its kind. */
static uint32_t token_crc(const char *prefix, const uint8_t *body, size_t n)
{
	uint8_t all[PREFIX_MAX + BODY_MAX];
	size_t  skip = strlen(prefix);
	memcpy(all, prefix, skip);
	memcpy(all + skip, body, n);
	uint32_t crc = crc32_of(all, skip + n);
	secret_wipe(all, sizeof(all));
	return crc;
}

static int token_write(const char *prefix, const uint8_t *body, size_t n, char *ret, size_t size)
{
	uint8_t  bytes[BODY_MAX + CRC];
	uint32_t crc = token_crc(prefix, body, n);
	size_t   skip = strlen(prefix);

	memcpy(bytes, body, n);
	be_put(bytes + n, crc, CRC);
	memcpy(ret, prefix, skip);
	int r = b64url_text(bytes, n + CRC, ret + skip, size - skip);
	secret_wipe(bytes, sizeof(bytes));
	return r;
}

/* Gives the body without its checksum. */
static int token_read(const char *prefix, const char *text, uint8_t ret[BODY_MAX], size_t *ret_n)
{
	uint8_t bytes[BODY_MAX + CRC];
	size_t  n = 0;

	if (!text_starts(text, prefix))
		return E_SYNTAX;
	int r = b64url_parse(text + strlen(prefix), bytes, sizeof(bytes), &n);
	if (r == 0 && n >= TOKEN_SECRET + CRC) {
		n -= CRC;
		r = be_get(bytes + n, CRC) == token_crc(prefix, bytes, n) ? 0 : E_SYNTAX;
	} else {
		r = E_SYNTAX;
	}
	if (r == 0) {
		memcpy(ret, bytes, n);
		*ret_n = n;
	}
	secret_wipe(bytes, sizeof(bytes));
	return r;
}

int token_pat_make(const uint8_t random[TOKEN_SECRET], char ret[TOKEN_PAT_SIZE], struct hash *ret_hash)
{
	int r = token_write(pat_prefix, random, TOKEN_SECRET, ret, TOKEN_PAT_SIZE);
	if (r == 0)
		digest_sha256(span_text(ret), ret_hash);
	return r;
}

int token_pat_check(const char *text, struct hash *ret_hash)
{
	uint8_t body[BODY_MAX];
	size_t  n = 0;
	int     r = token_read(pat_prefix, text, body, &n);
	secret_wipe(body, sizeof(body));
	if (r < 0)
		return r;
	if (n != TOKEN_SECRET)
		return E_SYNTAX;
	digest_sha256(span_text(text), ret_hash);
	return 0;
}

int token_join_make(const uint8_t seed[TOKEN_SECRET], const char *name, char ret[TOKEN_JOIN_SIZE])
{
	uint8_t body[BODY_MAX];

	if (!name_agent_ok(name))
		return E_NAME;
	size_t n = strlen(name);
	memcpy(body, seed, TOKEN_SECRET);
	memcpy(body + TOKEN_SECRET, name, n);
	int r = token_write(join_prefix, body, TOKEN_SECRET + n, ret, TOKEN_JOIN_SIZE);
	secret_wipe(body, sizeof(body));
	return r;
}

int token_join_parse(const char *text, uint8_t ret_seed[TOKEN_SECRET], char ret_name[AGENT_NAME_SIZE])
{
	uint8_t body[BODY_MAX];
	char    name[AGENT_NAME_SIZE];
	size_t  n = 0;

	int r = token_read(join_prefix, text, body, &n);
	if (r == 0)
		r = text_copy_n(name, sizeof(name), (const char *)body + TOKEN_SECRET, n - TOKEN_SECRET);
	if (r == 0 && name_agent_ok(name)) {
		memcpy(ret_seed, body, TOKEN_SECRET);
		memcpy(ret_name, name, sizeof(name));
	} else {
		r = E_SYNTAX;
	}
	secret_wipe(body, sizeof(body));
	return r;
}
