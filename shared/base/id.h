/* id.h - room shared/base: fixed-size binary names (ids, hashes, serials) and their texts.
 * Never: making randomness; it comes from the caller. */
#ifndef VCC_ID_H
#define VCC_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/attr.h"

/* RFC 9562 UUIDv7: time-ordered. All zero = none. */
struct id {
	uint8_t b[16];
};

/* A SHA-256 value. All zero = none. */
struct hash {
	uint8_t b[32];
};

/* Certificate serial: 7-byte big-endian counter, then 9 random bytes; top bit clear (RFC 5280, 4.1.2.2). */
struct serial {
	uint8_t b[16];
};

enum { ID_TEXT_SIZE = 37, HASH_TEXT_SIZE = 65, SERIAL_TEXT_SIZE = 33, SERIAL_RANDOM = 9, ID_RANDOM = 10 };

struct id   id_make(int64_t now_ms, const uint8_t random[ID_RANDOM]);
bool        id_equal(struct id a, struct id b);
bool        id_is_none(struct id a);
const char *id_text(struct id a, char ret[ID_TEXT_SIZE]); /* lower-case UUID */
_must_check_ int id_parse(const char *text, struct id *ret);

bool        hash_equal(struct hash a, struct hash b);
bool        hash_is_none(struct hash a);
const char *hash_text(struct hash a, char ret[HASH_TEXT_SIZE]);
_must_check_ int hash_parse(const char *text, struct hash *ret);

/* `counter` < 2^55. */
struct serial serial_make(uint64_t counter, const uint8_t random[SERIAL_RANDOM]);
uint64_t      serial_counter(struct serial s);
bool          serial_equal(struct serial a, struct serial b);
bool          serial_is_none(struct serial s);
const char   *serial_text(struct serial s, char ret[SERIAL_TEXT_SIZE]); /* upper-case hex */
_must_check_ int serial_parse(const char *text, struct serial *ret);

/* Lower-case hex into `ret` (2*n+1 bytes). */
void hex_text(const uint8_t *bytes, size_t n, char *ret);
/* Exactly `n` bytes from 2*n hex digits and a NUL; E_SYNTAX otherwise. */
_must_check_ int hex_parse(const char *text, uint8_t *ret, size_t n);

/* Base64url without padding (RFC 4648, 5). `size` of the text includes the NUL; E_FULL when too small. */
_must_check_ int b64url_text(const uint8_t *bytes, size_t n, char *ret, size_t size);
_must_check_ int b64url_parse(const char *text, uint8_t *ret, size_t size, size_t *ret_n);

/* Standard base64 with padding, for PEM-like texts. Same rules. */
_must_check_ int b64_text(const uint8_t *bytes, size_t n, char *ret, size_t size);
_must_check_ int b64_parse(const char *text, uint8_t *ret, size_t size, size_t *ret_n);

/* CRC-32 (IEEE): finds mistakes and torn writes, not forgeries. */
uint32_t crc32_of(const void *bytes, size_t n);

#endif
