/* cert_parts.c - room shared/pki: the outer form of TBSCertificate and Certificate (RFC 5280, 4.1).
 * Never: judging it, decoding keys, copying. */
#include "shared/pki/cert_parts.h"

#include <string.h>

#include "shared/base/err.h"
#include "shared/model/certificate.h"

static void version_read(struct der *d, struct tbs_parts *t)
{
	t->version = 1;
	if (der_tag(d) != (DER_CONTEXT_CONS | 0))
		return;
	struct der in = der_in(d, DER_CONTEXT_CONS | 0);
	uint64_t   v = der_u64(&in);
	if (!der_done(&in) || v == 0 || v > 2)
		d->bad = true;
	t->version = (unsigned)v + 1;
}

static void validity_read(struct der *d, struct tbs_parts *t)
{
	struct der in = der_in(d, DER_SEQUENCE);
	t->not_before_tag = der_tag(&in);
	t->not_before_at = der_time(&in);
	t->not_after_tag = der_tag(&in);
	t->not_after_at = der_time(&in);
	if (!der_done(&in))
		d->bad = true;
}

static void extensions_read(struct der *d, struct tbs_parts *t)
{
	if (der_tag(d) != (DER_CONTEXT_CONS | 3))
		return;
	struct der in = der_in(d, DER_CONTEXT_CONS | 3);
	t->exts = der_get(&in, DER_SEQUENCE);
	if (!der_done(&in) || t->version != 3)
		d->bad = true;
}

int tbs_parts_read(struct span tbs, struct tbs_parts *ret)
{
	struct tbs_parts t = {.exts = {NULL, 0}};
	struct der       outer = der_of(tbs);
	struct der       d = der_in(&outer, DER_SEQUENCE);
	version_read(&d, &t);
	t.serial = der_get(&d, DER_INTEGER);
	t.alg = der_whole(&d, DER_SEQUENCE);
	t.issuer = der_whole(&d, DER_SEQUENCE);
	validity_read(&d, &t);
	t.subject = der_whole(&d, DER_SEQUENCE);
	t.spki = der_whole(&d, DER_SEQUENCE);
	bool issuer_id = der_skip(&d, DER_CONTEXT | 1);
	t.unique_ids = der_skip(&d, DER_CONTEXT | 2) || issuer_id;
	extensions_read(&d, &t);
	if (!der_done(&d) || !der_done(&outer) || t.serial.n == 0)
		return E_PKI_CERT;

	struct der exts = der_of(t.exts);
	struct ext ext;
	while (ext_next(&exts, &ext))
		;
	if (!der_done(&exts))
		return E_PKI_CERT;
	*ret = t;
	return 0;
}

int cert_parts_read(struct span der, struct cert_parts *ret)
{
	if (der.n > CERT_DER_MAX)
		return E_PKI_CERT;
	struct der        outer = der_of(der);
	struct der        d = der_in(&outer, DER_SEQUENCE);
	struct cert_parts c = {.tbs = der_whole(&d, DER_SEQUENCE)};
	c.alg = der_whole(&d, DER_SEQUENCE);
	c.signature = der_bits(&d);
	if (!der_done(&d) || !der_done(&outer))
		return E_PKI_CERT;
	int r = tbs_parts_read(c.tbs, &c.t);
	if (r < 0)
		return r;
	if (!span_equal(c.alg, c.t.alg)) /* RFC 5280, 4.1.1.2 */
		return E_PKI_CERT;
	*ret = c;
	return 0;
}

bool tbs_parts_ext(const struct tbs_parts *t, enum ext_id id, struct span *ret)
{
	struct der d = der_of(t->exts);
	struct ext ext;
	size_t     found = 0;
	while (ext_next(&d, &ext)) {
		if (ext.id != id)
			continue;
		*ret = ext.value;
		found++;
	}
	return found == 1;
}

struct span tbs_parts_subject_key_id(const struct tbs_parts *t)
{
	struct span value;
	if (!tbs_parts_ext(t, EXT_SUBJECT_KEY_ID, &value))
		return (struct span){NULL, 0};
	struct der  d = der_of(value);
	struct span id = der_get(&d, DER_OCTET_STRING);
	return der_done(&d) ? id : (struct span){NULL, 0};
}

bool cert_parts_serial(struct span content, struct serial *ret)
{
	struct span v = content;
	if (v.n == 0 || (v.p[0] & 0x80) != 0)
		return false;
	if (v.n > 1 && v.p[0] == 0)
		v = (struct span){v.p + 1, v.n - 1};
	if (v.n > sizeof(ret->b) || (v.n == sizeof(ret->b) && (v.p[0] & 0x80) != 0))
		return false;
	*ret = (struct serial){{0}};
	memcpy(ret->b + sizeof(ret->b) - v.n, v.p, v.n);
	return true;
}
