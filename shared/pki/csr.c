/* csr.c - room shared/pki: certificate requests (PKCS#10, RFC 2986): makes them, checks proof of possession.
 * Never: using anything of a request but its key: subject and attributes are walked and forgotten. */
#include "shared/base/err.h"
#include "shared/pki/cert.h"
#include "shared/pki/der.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"

enum { CSR_MAX = 4096, INFO_MAX = 1024 };

int csr_make(const struct key *k, struct buf *to)
{
	_cleanup_(buf_free) struct buf info = BUF_MAX(INFO_MAX);
	_cleanup_(buf_free) struct buf signature = BUF_MAX(INFO_MAX);
	size_t                         mark = der_open(&info, DER_SEQUENCE);
	der_put_u64(&info, 0);
	der_put(&info, DER_SEQUENCE, NULL, 0);
	der_put_span(&info, (struct span){k->spki, k->spki_len});
	der_put(&info, DER_CONTEXT_CONS | 0, NULL, 0);
	der_close(&info, mark);
	int r = buf_error(&info);
	if (r < 0)
		return r;

	enum hash_alg alg = sig_alg_usual(k->type);
	r = key_evp_sign(k, alg, buf_span(&info), &signature);
	if (r < 0)
		return r;
	mark = der_open(to, DER_SEQUENCE);
	der_put_span(to, buf_span(&info));
	der_put_span(to, sig_alg_der(k->type, alg));
	der_put_bits(to, signature.p, signature.n);
	der_close(to, mark);
	return buf_error(to);
}

/* SEQUENCE OF SET OF SEQUENCE { type, value }. */
static bool name_walk(struct span content)
{
	struct der d = der_of(content);
	while (der_more(&d)) {
		struct der set = der_in(&d, DER_SET);
		do {
			struct der pair = der_in(&set, DER_SEQUENCE);
			(void)der_get(&pair, DER_OID);
			(void)der_any(&pair);
			if (!der_done(&pair))
				return false;
		} while (der_more(&set));
		if (!der_done(&set))
			return false;
	}
	return der_done(&d);
}

/* SET OF SEQUENCE { type, SET OF value }. */
static bool attributes_walk(struct span content)
{
	struct der d = der_of(content);
	while (der_more(&d)) {
		struct der pair = der_in(&d, DER_SEQUENCE);
		(void)der_get(&pair, DER_OID);
		struct der values = der_in(&pair, DER_SET);
		while (der_more(&values))
			(void)der_any(&values);
		if (!der_done(&values) || !der_done(&pair))
			return false;
	}
	return der_done(&d);
}

struct csr_parts {
	struct span info, spki, alg, signature;
};

static int csr_read(struct span csr, struct csr_parts *ret)
{
	if (csr.n > CSR_MAX)
		return E_PKI_CSR;
	struct der       outer = der_of(csr);
	struct der       d = der_in(&outer, DER_SEQUENCE);
	struct csr_parts p = {.info = der_whole(&d, DER_SEQUENCE)};
	p.alg = der_whole(&d, DER_SEQUENCE);
	p.signature = der_bits(&d);
	if (!der_done(&d) || !der_done(&outer))
		return E_PKI_CSR;

	struct der  whole = der_of(p.info);
	struct der  info = der_in(&whole, DER_SEQUENCE);
	uint64_t    version = der_u64(&info);
	struct span subject = der_get(&info, DER_SEQUENCE);
	p.spki = der_whole(&info, DER_SEQUENCE);
	struct span attributes = der_get(&info, DER_CONTEXT_CONS | 0);
	if (!der_done(&info) || version != 0 || !name_walk(subject) || !attributes_walk(attributes))
		return E_PKI_CSR;
	*ret = p;
	return 0;
}

int csr_check(struct span csr, struct span *ret_spki, enum key_type *ret_type)
{
	struct csr_parts  parts;
	struct spki_parts spki;
	enum hash_alg     alg;
	int               r = csr_read(csr, &parts);
	if (r == 0)
		r = spki_read(parts.spki, &spki);
	if (r == 0)
		r = sig_alg_read(parts.alg, spki.type, &alg);
	if (r != 0)
		return r;

	_cleanup_(key_freep) struct key *k = NULL;
	r = key_from_spki(parts.spki, &k);
	if (r == 0)
		r = key_evp_verify(k, alg, parts.info, parts.signature);
	if (r < 0)
		return r;
	*ret_spki = parts.spki;
	*ret_type = spki.type;
	return 0;
}
