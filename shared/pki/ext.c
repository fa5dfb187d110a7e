/* ext.c - room shared/pki: table of extensions and extended key usages (RFC 5280, 4.2).
 * Never: their meaning for one certificate. */
#include "shared/pki/ext.h"

#include "shared/model/certificate.h"

/* Below id-ce (2.5.29), id-pe and id-pkix-ocsp. */
static const struct ext_row {
	uint8_t n;
	uint8_t oid[9];
} rows[EXT_COUNT] = {
	[EXT_SUBJECT_KEY_ID] = {3, {0x55, 0x1d, 0x0e}},
	[EXT_KEY_USAGE] = {3, {0x55, 0x1d, 0x0f}},
	[EXT_ALT_NAME] = {3, {0x55, 0x1d, 0x11}},
	[EXT_BASIC_CONSTRAINTS] = {3, {0x55, 0x1d, 0x13}},
	[EXT_CRL_NUMBER] = {3, {0x55, 0x1d, 0x14}},
	[EXT_CRL_REASON] = {3, {0x55, 0x1d, 0x15}},
	[EXT_INVALIDITY_DATE] = {3, {0x55, 0x1d, 0x18}},
	[EXT_ISSUING_POINT] = {3, {0x55, 0x1d, 0x1c}},
	[EXT_NAME_CONSTRAINTS] = {3, {0x55, 0x1d, 0x1e}},
	[EXT_CRL_POINTS] = {3, {0x55, 0x1d, 0x1f}},
	[EXT_AUTHORITY_KEY_ID] = {3, {0x55, 0x1d, 0x23}},
	[EXT_EXTENDED_USAGE] = {3, {0x55, 0x1d, 0x25}},
	[EXT_AUTHORITY_INFO] = {8, {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01}},
	[EXT_OCSP_NONCE] = {9, {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x02}},
	[EXT_OCSP_NO_CHECK] = {9, {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05}},
};

/* X.690, 8.19.2: arcs in as few octets as they need, the last one complete. */
static bool oid_ok(struct span oid)
{
	bool first = true;
	for (size_t i = 0; i < oid.n; i++) {
		if (first && oid.p[i] == 0x80)
			return false;
		first = (oid.p[i] & 0x80) == 0;
	}
	return oid.n > 0 && first;
}

bool ext_next(struct der *d, struct ext *ret)
{
	if (!der_more(d))
		return false;
	struct der  e = der_in(d, DER_SEQUENCE);
	struct span oid = der_get(&e, DER_OID);
	struct ext  ext = {.id = EXT_COUNT, .critical = der_tag(&e) == DER_BOOLEAN};
	if (ext.critical && !der_flag(&e)) /* FALSE is the default and must be left out */
		e.bad = true;
	ext.value = der_get(&e, DER_OCTET_STRING);
	if (!der_done(&e) || !oid_ok(oid)) {
		d->bad = true;
		return false;
	}
	for (int i = 0; i < EXT_COUNT; i++)
		if (span_equal(oid, (struct span){rows[i].oid, rows[i].n}))
			ext.id = (enum ext_id)i;
	*ret = ext;
	return true;
}

struct ext_mark ext_open(struct buf *to, enum ext_id id, bool critical)
{
	static const uint8_t true_element[] = {DER_BOOLEAN, 1, 0xff};
	struct ext_mark      mark = {.whole = der_open(to, DER_SEQUENCE)};
	der_put(to, DER_OID, rows[id].oid, rows[id].n);
	if (critical)
		buf_add(to, true_element, sizeof(true_element));
	mark.value = der_open(to, DER_OCTET_STRING);
	return mark;
}

void ext_close(struct buf *to, struct ext_mark mark)
{
	der_close(to, mark.value);
	der_close(to, mark.whole);
}

/* id-kp (1.3.6.1.5.5.7.3) and the last arc. */
static const uint8_t purpose_prefix[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03};
static const struct {
	uint16_t bit;
	uint8_t  arc;
} purposes[] = {{EKU_SERVER_AUTH, 1}, {EKU_CLIENT_AUTH, 2}, {EKU_CODE_SIGNING, 3}, {EKU_OCSP_SIGNING, 9}};

void ext_put_extended_usage(struct buf *to, unsigned bits)
{
	if (bits == 0)
		return;
	struct ext_mark mark = ext_open(to, EXT_EXTENDED_USAGE, false);
	size_t          list = der_open(to, DER_SEQUENCE);
	for (size_t i = 0; i < N_ELEMENTS(purposes); i++) {
		if ((bits & purposes[i].bit) == 0)
			continue;
		size_t oid = der_open(to, DER_OID);
		buf_add(to, purpose_prefix, sizeof(purpose_prefix));
		buf_add_u8(to, purposes[i].arc);
		der_close(to, oid);
	}
	der_close(to, list);
	ext_close(to, mark);
}

static unsigned purpose_bit(struct span oid)
{
	struct span prefix = SPAN_OF(purpose_prefix);
	if (oid.n == prefix.n + 1 && span_equal((struct span){oid.p, prefix.n}, prefix))
		for (size_t i = 0; i < N_ELEMENTS(purposes); i++)
			if (oid.p[prefix.n] == purposes[i].arc)
				return purposes[i].bit;
	return EKU_OTHER;
}

unsigned ext_get_extended_usage(struct span value, bool *ret_bad)
{
	struct der outer = der_of(value);
	struct der d = der_in(&outer, DER_SEQUENCE);
	unsigned   bits = 0;
	if (d.n == 0)
		d.bad = true; /* an empty list is malformed, not "any" */
	while (der_more(&d))
		bits |= purpose_bit(der_get(&d, DER_OID));
	if (!der_done(&d) || !der_done(&outer))
		*ret_bad = true;
	return bits;
}
