/* token.h - room shared/pki: the texts of secret tokens, with a checksum that tells a typing error from a wrong token.
 * "vcc_pat_" + base64url(32 random bytes | crc32): a principal's bearer token; stored as SHA-256 of the whole text.
 * "vcc_join_" + base64url(32-byte Ed25519 seed | agent name | crc32): an invite; the store keeps the public key only.
 * The CRC-32 (big-endian) is taken over the prefix and the bytes before it. Never: making randomness, storing, logging. */
#ifndef VCC_TOKEN_H
#define VCC_TOKEN_H

#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/model/names.h"

enum {
	TOKEN_SECRET = 32,
	TOKEN_PAT_SIZE = 57,   /* 8 + 48 and NUL */
	TOKEN_JOIN_SIZE = 102, /* 9 + 92 and NUL: room for the longest name */
};

/* The text and its stored hash. Callers wipe the text when it was handed over. */
_must_check_ int token_pat_make(const uint8_t random[TOKEN_SECRET], char ret[TOKEN_PAT_SIZE], struct hash *ret_hash);
/* Form and checksum only (E_SYNTAX): whether the token is known, the caller asks by its hash. */
_must_check_ int token_pat_check(const char *text, struct hash *ret_hash);

/* E_NAME when `name` is no agent name. */
_must_check_ int token_join_make(const uint8_t seed[TOKEN_SECRET], const char *name, char ret[TOKEN_JOIN_SIZE]);
/* E_SYNTAX: not a whole join token. The caller wipes the seed. */
_must_check_ int token_join_parse(const char *text, uint8_t ret_seed[TOKEN_SECRET], char ret_name[AGENT_NAME_SIZE]);

#endif
