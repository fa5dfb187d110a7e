/* tbs.c - room shared/pki: the to-be-signed bytes of a leaf, written straight as DER. Same facts, same bytes.
 * Never: the X.509 library (tbs_plain.c builds the same through it, as the yardstick), judging the facts; that is lint. */
#include <string.h>
#include <arpa/inet.h>

#include "shared/base/text.h"
#include "shared/pki/issue_ca.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"
#include "shared/pki/tbs_part.h"

/* What cannot be written down as X.509 at all. */
static int facts_check(const struct issue_ca *ca, const struct cert_facts *f, struct spki_parts *ret)
{
	struct hash hash;
	if (!text_equal(ca->issuer_id, f->issuer_id) || f->hash_alg >= HASH_ALG_COUNT)
		return E_PKI_LINT;
	if ((f->serial.b[0] & 0x80) != 0 || serial_is_none(f->serial))
		return E_PKI_LINT;
	if (!tbs_time_ok(f->not_before_at) || !tbs_time_ok(f->not_after_at) || f->not_before_at > f->not_after_at)
		return E_PKI_LINT;
	if (!tbs_text_ok(f->organisation) || !tbs_text_ok(f->common_name))
		return E_PKI_LINT;
	if (f->host_hash[0] != '\0' && hash_parse(f->host_hash, &hash) < 0)
		return E_PKI_LINT;
	if (f->uri[0] != '\0' && !tbs_uri_ok(f->uri))
		return E_PKI_LINT;
	if ((f->key_usage & ~0x7fu) != 0 ||
	    (f->ext_key_usage & ~(unsigned)(EKU_SERVER_AUTH | EKU_CLIENT_AUTH | EKU_CODE_SIGNING | EKU_OCSP_SIGNING)) != 0)
		return E_PKI_LINT;
	if (f->spki_len > sizeof(f->spki) || spki_read((struct span){f->spki, f->spki_len}, ret) < 0 ||
	    ret->type != f->key_type)
		return E_PKI_LINT;
	return 0;
}

static int san_put(struct buf *to, const struct san *san)
{
	uint8_t address[16];
	if (san->kind == SAN_DNS) {
		if (!tbs_uri_ok(san->text))
			return E_PKI_LINT;
		der_put(to, GN_DNS, san->text, strlen(san->text));
	} else if (inet_pton(AF_INET, san->text, address) == 1) {
		der_put(to, GN_IP, address, 4);
	} else if (inet_pton(AF_INET6, san->text, address) == 1) {
		der_put(to, GN_IP, address, 16);
	} else {
		return E_PKI_LINT;
	}
	return 0;
}

static int alt_names_put(struct buf *to, const struct cert_facts *f, bool critical)
{
	if (f->names.text[0] == '\0' && f->uri[0] == '\0')
		return 0;
	struct ext_mark mark = ext_open(to, EXT_ALT_NAME, critical);
	size_t          list = der_open(to, DER_SEQUENCE);
	struct san      san;
	size_t          cursor = 0;
	size_t          n = 0;
	while (names_next(&f->names, &cursor, &san)) {
		int r = ++n <= NAMES_MAX ? san_put(to, &san) : E_PKI_LINT;
		if (r < 0)
			return r;
	}
	if (f->names.text[cursor] != '\0')
		return E_PKI_LINT;
	if (f->uri[0] != '\0')
		der_put(to, GN_URI, f->uri, strlen(f->uri));
	der_close(to, list);
	ext_close(to, mark);
	return 0;
}

static int extensions_put(struct buf *to, const struct issue_ca *ca, const struct cert_facts *f, struct span spki_bits,
			  bool subject_empty)
{
	uint8_t key_id[KEY_ID_SIZE];
	tbs_key_id(spki_bits, key_id);

	size_t tag = der_open(to, DER_CONTEXT_CONS | 3);
	size_t list = der_open(to, DER_SEQUENCE);
	/* RFC 8813, 3: keys that cannot encipher do not say that they may */
	tbs_put_key_usage(to, sig_alg_is_rsa(f->key_type) ? f->key_usage : f->key_usage & ~(unsigned)KU_KEY_ENCIPHERMENT);
	ext_put_extended_usage(to, f->ext_key_usage);
	struct ext_mark constraints = ext_open(to, EXT_BASIC_CONSTRAINTS, true);
	der_put(to, DER_SEQUENCE, NULL, 0);
	ext_close(to, constraints);
	tbs_put_subject_key_id(to, SPAN_OF(key_id));
	buf_add(to, ca->fixed.p, ca->fixed.n);
	int r = alt_names_put(to, f, subject_empty);
	if (r < 0)
		return r;
	tbs_put_crl_point(to, ca->crl_prefix, f->crl_shard);
	if (f->profile == LEAF_OCSP) { /* RFC 6960, 4.2.2.2.1: nobody asks a responder about itself */
		struct ext_mark no_check = ext_open(to, EXT_OCSP_NO_CHECK, false);
		der_put(to, DER_NULL, NULL, 0);
		ext_close(to, no_check);
	}
	der_close(to, list);
	der_close(to, tag);
	return 0;
}

static int tbs_put(struct buf *to, const struct issue_ca *ca, const struct cert_facts *f)
{
	struct spki_parts key;
	int               r = facts_check(ca, f, &key);
	if (r < 0)
		return r;
	size_t mark = der_open(to, DER_SEQUENCE);
	tbs_put_version3(to);
	tbs_put_serial(to, &f->serial);
	der_put_span(to, sig_alg_der(ca->key_type, f->hash_alg));
	der_put_span(to, ca->cert.t.subject);
	tbs_put_validity(to, f->not_before_at, f->not_after_at);
	tbs_put_name(to, f->organisation, f->common_name, f->host_hash);
	der_put_span(to, (struct span){f->spki, f->spki_len});
	bool subject_empty = f->organisation[0] == '\0' && f->common_name[0] == '\0' && f->host_hash[0] == '\0';
	r = extensions_put(to, ca, f, key.bits, subject_empty);
	der_close(to, mark);
	return r < 0 ? r : buf_error(to);
}

int issue_tbs(const struct issue_ca *ca, const struct cert_facts *facts, struct buf *to)
{
	size_t start = to->n;
	int    r = tbs_put(to, ca, facts);
	if (r < 0)
		to->n = start;
	return r;
}

int issue_sign(const struct issue_ca *ca, unsigned hand, struct span tbs, enum hash_alg alg, struct buf *to)
{
	struct tbs_parts parts;
	int              r = tbs_parts_read(tbs, &parts);
	if (r < 0)
		return r;
	/* a certificate that names another algorithm than it was signed with is useless (RFC 5280, 4.1.1.2) */
	if (!span_equal(parts.alg, sig_alg_der(ca->key_type, alg)))
		return E_PKI_LINT;
	return issue_ca_seal(ca, hand, tbs, alg, to);
}
