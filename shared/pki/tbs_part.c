/* tbs_part.c - room shared/pki: pieces of TBSCertificate and TBSCertList as DER (RFC 5280, 4.1, 4.2).
 * Never: deciding which of them a certificate gets. */
#include "shared/pki/tbs_part.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

/* id-at (2.5.4) and the last arc. */
static void rdn_put(struct buf *to, uint8_t arc, uint8_t tag, const char *text)
{
	if (text[0] == '\0')
		return;
	uint8_t oid[] = {0x55, 0x04, arc};
	size_t  set = der_open(to, DER_SET);
	size_t  pair = der_open(to, DER_SEQUENCE);
	der_put(to, DER_OID, oid, sizeof(oid));
	der_put(to, tag, text, strlen(text));
	der_close(to, pair);
	der_close(to, set);
}

void tbs_put_name(struct buf *to, const char *organisation, const char *common_name, const char *serial_number)
{
	size_t mark = der_open(to, DER_SEQUENCE);
	rdn_put(to, 10, DER_UTF8, organisation);
	rdn_put(to, 3, DER_UTF8, common_name);
	rdn_put(to, 5, DER_PRINTABLE, serial_number);
	der_close(to, mark);
}

bool tbs_text_ok(const char *text)
{
	return text_utf8_ok(text, strlen(text)) && strpbrk(text, "\n\t") == NULL;
}

bool tbs_uri_ok(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	return text[0] != '\0';
}

bool tbs_time_ok(int64_t at)
{
	static const int64_t first = -INT64_C(631152000) * MS_SECOND;  /* 1950-01-01T00:00:00Z */
	static const int64_t last = INT64_C(253402300799) * MS_SECOND; /* 9999-12-31T23:59:59Z */
	return at % MS_SECOND == 0 && at >= first && at <= last;
}

void tbs_put_version3(struct buf *to)
{
	static const uint8_t version[] = {DER_CONTEXT_CONS | 0, 3, DER_INTEGER, 1, 2};
	buf_add(to, version, sizeof(version));
}

void tbs_put_serial(struct buf *to, const struct serial *serial)
{
	der_put_unsigned(to, serial->b, sizeof(serial->b));
}

void tbs_put_validity(struct buf *to, int64_t not_before_at, int64_t not_after_at)
{
	size_t mark = der_open(to, DER_SEQUENCE);
	der_put_time(to, not_before_at);
	der_put_time(to, not_after_at);
	der_close(to, mark);
}

void tbs_key_id(struct span spki_bits, uint8_t ret[20])
{
	struct hash hash;
	digest_sha256(spki_bits, &hash);
	memcpy(ret, hash.b, 20);
}

void tbs_put_subject_key_id(struct buf *to, struct span key_id)
{
	struct ext_mark mark = ext_open(to, EXT_SUBJECT_KEY_ID, false);
	der_put(to, DER_OCTET_STRING, key_id.p, key_id.n);
	ext_close(to, mark);
}

void tbs_put_authority_key_id(struct buf *to, struct span key_id)
{
	struct ext_mark mark = ext_open(to, EXT_AUTHORITY_KEY_ID, false);
	size_t          seq = der_open(to, DER_SEQUENCE);
	der_put(to, DER_CONTEXT | 0, key_id.p, key_id.n);
	der_close(to, seq);
	ext_close(to, mark);
}

void tbs_put_key_usage(struct buf *to, unsigned bits)
{
	if (bits == 0)
		return;
	struct ext_mark mark = ext_open(to, EXT_KEY_USAGE, true);
	der_put_named_bits(to, bits);
	ext_close(to, mark);
}

/* id-ad (1.3.6.1.5.5.7.48) and the last arc. */
static void access_put(struct buf *to, uint8_t arc, const char *url)
{
	uint8_t method[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, arc};
	size_t  one = der_open(to, DER_SEQUENCE);
	der_put(to, DER_OID, method, sizeof(method));
	der_put(to, GN_URI, url, strlen(url));
	der_close(to, one);
}

void tbs_put_authority_info(struct buf *to, const char *ocsp_url, const char *ca_url)
{
	struct ext_mark mark = ext_open(to, EXT_AUTHORITY_INFO, false);
	size_t          list = der_open(to, DER_SEQUENCE);
	if (ocsp_url != NULL)
		access_put(to, 1, ocsp_url);
	access_put(to, 2, ca_url);
	der_close(to, list);
	ext_close(to, mark);
}

void tbs_put_point_name(struct buf *to, const char *url, size_t n)
{
	size_t point = der_open(to, DER_CONTEXT_CONS | 0);
	size_t full_name = der_open(to, DER_CONTEXT_CONS | 0);
	der_put(to, GN_URI, url, n);
	der_close(to, full_name);
	der_close(to, point);
}

void tbs_put_crl_point(struct buf *to, const char *prefix, uint32_t shard)
{
	char   url[512];
	int    n = snprintf(url, sizeof(url), "%s%u.crl", prefix, shard);
	size_t used = n > 0 && (size_t)n < sizeof(url) ? (size_t)n : 0;

	struct ext_mark mark = ext_open(to, EXT_CRL_POINTS, false);
	size_t          list = der_open(to, DER_SEQUENCE);
	size_t          one = der_open(to, DER_SEQUENCE);
	tbs_put_point_name(to, url, used);
	der_close(to, one);
	der_close(to, list);
	ext_close(to, mark);
}
