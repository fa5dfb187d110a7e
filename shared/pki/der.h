/* der.h - room shared/pki: reads and writes DER (X.690): a cursor with a sticky error, and a writer into a buf.
 * Strict: definite minimal lengths, one-byte tags. Never: knowing what the elements mean. */
#ifndef VCC_DER_H
#define VCC_DER_H

#include "shared/base/buf.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8 = 0x0c,
	DER_PRINTABLE = 0x13,
	DER_UTC_TIME = 0x17,
	DER_GENERAL_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80,      /* [n] IMPLICIT primitive: DER_CONTEXT | n */
	DER_CONTEXT_CONS = 0xa0, /* [n] constructed */
};

/* Walks sibling elements. After a mistake `bad` stays set and every further read gives an empty span. */
struct der {
	const uint8_t *p;
	size_t         n;
	bool           bad;
};

struct der  der_of(struct span bytes);
bool        der_more(const struct der *d);         /* something is left and nothing was wrong */
bool        der_done(const struct der *d);         /* all consumed and nothing was wrong */
uint8_t     der_tag(const struct der *d);          /* of the next element; 0 at the end */
struct span der_get(struct der *d, uint8_t tag);   /* content of the next element, which must have this tag */
struct span der_whole(struct der *d, uint8_t tag); /* the same with its header */
struct span der_any(struct der *d);                /* next element with its header, any tag */
struct der  der_in(struct der *d, uint8_t tag);    /* cursor over the content; bad when `d` is */
bool        der_skip(struct der *d, uint8_t tag);  /* takes the element if it has this tag */
/* Content of a minimal non-negative INTEGER without its sign octet (zero gives one octet 0). */
struct span der_unsigned(struct der *d);
uint64_t    der_u64(struct der *d);
bool        der_flag(struct der *d);       /* BOOLEAN */
struct span der_bits(struct der *d);       /* BIT STRING of whole octets */
unsigned    der_named_bits(struct der *d); /* BIT STRING of up to 9 named bits; bit n = 1 << n. Minimal form only */
/* UTCTime (1950-2049) or GeneralizedTime in the form of RFC 5280, 4.1.2.5; which one is told by der_tag() before. */
int64_t der_time(struct der *d);

/* Opens a constructed element; der_close() gets the returned mark and fills in the length. */
size_t der_open(struct buf *to, uint8_t tag);
void   der_close(struct buf *to, size_t mark);
void   der_put(struct buf *to, uint8_t tag, const void *content, size_t n);
void   der_put_span(struct buf *to, struct span whole); /* an element that is DER already */
void   der_put_unsigned(struct buf *to, const uint8_t *big_endian, size_t n);
void   der_put_u64(struct buf *to, uint64_t v);
void   der_put_bits(struct buf *to, const void *bytes, size_t n);
void   der_put_named_bits(struct buf *to, unsigned bits); /* trailing zero bits dropped (X.690, 11.2.2); bits 0-7 */
void   der_put_time(struct buf *to, int64_t at);          /* years 1950-9999, whole seconds; UTCTime until 2049 */
void   der_put_general_time(struct buf *to, int64_t at);  /* GeneralizedTime for all of them (RFC 6960) */

#endif
