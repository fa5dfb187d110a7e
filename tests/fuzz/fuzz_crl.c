/* fuzz_crl.c - do the readers of revocation lists, PEM blocks and distribution points ever read outside their bytes, accept a
 * second spelling, or take a list that the X.509 library would not? Input: the first octet chooses: PEM; a list; the inside of
 * a list that is signed; a distribution point; a whole set. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/crl_set.h"
#include "shared/pki/der.h"
#include "shared/pki/key_evp.h"
#include "shared/pki/pem_read.h"
#include "shared/pki/point.h"
#include "shared/pki/sig_alg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW INT64_C(1790000000000)

static struct key *authority_key;
static struct buf  authority = BUF_MAX(CERT_DER_MAX);
static struct buf  authority_pem = BUF_MAX(16384);

static void must(int r)
{
	if (r < 0)
		abort();
}

static void authority_make(void)
{
	struct ca_facts f = {
		.role = ISSUER_ROOT, .serial = {{1, 2}}, .not_before_at = NOW - MS_DAY, .not_after_at = NOW + 3650 * MS_DAY};
	if (authority_key != NULL)
		return;
	strcpy(f.organisation, "Fuzz");
	strcpy(f.common_name, "Root");
	strcpy(f.domains, "vcc.internal");
	strcpy(f.public_url, "http://pki.vcc.internal");
	must(key_make(KEY_EC_P256, &authority_key));
	must(issue_ca_certificate(&f, authority_key, NULL, (struct span){NULL, 0}, &authority));
	must(cert_pem_add(buf_span(&authority), &authority_pem));
}

static void inside(struct span part, struct span whole)
{
	if (part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n))
		abort();
}

static void pem_try(struct span data, const char *label)
{
	struct buf  der = BUF_MAX(1 << 20), again = BUF_MAX(1 << 20);
	struct span rest = data;
	while (pem_read(&rest, label, &der) == 1) {
		inside(rest, data);
		struct span one, left = buf_span(&der);
		if (der_next(&left, &one) && left.n == 0) { /* what was read writes itself again as it stood there */
			struct span block = {data.p, (size_t)(rest.p - data.p)};
			buf_reset(&again);
			must(strcmp(label, PEM_CRL) == 0 ? crl_pem_add(one, &again) : cert_pem_add(one, &again));
			if (!span_equal(block, buf_span(&again)))
				abort();
		}
		buf_reset(&der);
		data = rest;
	}
	buf_free(&der);
	buf_free(&again);
}

static void list_try(struct span data)
{
	struct crl_info         info = {.number = 77};
	static struct crl_entry entries[64];
	size_t                  n = 0;
	int                     r = crl_peek(data, &info);
	if (r < 0) {
		if (info.number != 77)
			abort();
		return;
	}
	inside(info.issuer, data);
	inside(info.point, data);
	r = crl_entries(data, entries, N_ELEMENTS(entries), &n);
	if (r != 0 && (r != E_FULL || info.entries <= N_ELEMENTS(entries)))
		abort();
	if (r == 0 && n != info.entries)
		abort();
}

/* The library reads what we accept, and finds the same in it; text inside a name that it cannot decode is no reason. */
static void compare(struct span crl, const struct crl_info *info)
{
	const uint8_t *p = crl.p;
	X509_CRL      *x = d2i_X509_CRL(NULL, &p, (long)crl.n);
	if (x == NULL) {
		ERR_clear_error();
		return;
	}
	STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(x);
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(x, NID_crl_number, NULL, NULL);
	uint64_t      v = 0;
	if (p != crl.p + crl.n || X509_CRL_verify(x, authority_key->evp) != 1 || number == NULL ||
	    ASN1_INTEGER_get_uint64(&v, number) != 1 || v != info->number ||
	    (size_t)(revoked != NULL ? sk_X509_REVOKED_num(revoked) : 0) != info->entries)
		abort();
	ASN1_INTEGER_free(number);
	X509_CRL_free(x);
}

static void signed_make(struct span data, bool named, struct buf *to)
{
	struct buf        tbs = BUF_MAX(1 << 20), signature = BUF_MAX(1024);
	struct span       alg = sig_alg_der(KEY_EC_P256, HASH_SHA256);
	struct cert_parts parts;
	size_t            mark = der_open(&tbs, DER_SEQUENCE);
	must(cert_parts_read(buf_span(&authority), &parts));
	der_put_u64(&tbs, 1);
	der_put_span(&tbs, alg);
	if (named) {
		der_put_span(&tbs, parts.t.subject);
		der_put_time(&tbs, NOW - MS_MINUTE);
		der_put_time(&tbs, NOW + MS_DAY);
	}
	buf_add(&tbs, data.p, data.n);
	der_close(&tbs, mark);
	if (buf_error(&tbs) == 0 && key_evp_sign(authority_key, HASH_SHA256, buf_span(&tbs), &signature) == 0) {
		mark = der_open(to, DER_SEQUENCE);
		der_put_span(to, buf_span(&tbs));
		der_put_span(to, alg);
		der_put_bits(to, signature.p, signature.n);
		der_close(to, mark);
	}
	buf_free(&tbs);
	buf_free(&signature);
}

static void signed_try(struct span data, bool named)
{
	struct buf      crl = BUF_MAX(1 << 20), pem = BUF_MAX(1 << 21);
	struct crl_info info;
	signed_make(data, named, &crl);
	if (buf_error(&crl) == 0 && crl.n > 0 && crl_read(buf_span(&crl), buf_span(&authority), &info) == 0) {
		compare(buf_span(&crl), &info);
		list_try(buf_span(&crl));
		must(crl_pem_add(buf_span(&crl), &pem));
		pem_try(buf_span(&pem), PEM_CRL);
	}
	buf_free(&crl);
	buf_free(&pem);
}

static void set_try(struct span data)
{
	struct crl_set set = {.pem = data, .issuers = data, .roots = buf_span(&authority), .old_pem = data, .now_at = NOW};
	struct crl_set_facts facts = {.lists = 0};
	if (crl_set_check(&set, &facts, NULL) == 0 && facts.lists == 0)
		abort();
	set.issuers = buf_span(&authority_pem);
	(void)!crl_set_check(&set, &facts, NULL);
	(void)crl_set_ends_at(data);
}

static void point_try(struct span data)
{
	struct span uri;
	if (point_of_certificate(data, &uri))
		inside(uri, data);
	if (point_of_list(data, &uri))
		inside(uri, data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	authority_make();
	if (size < 1)
		return 0;
	struct span rest = {data + 1, size - 1};
	switch (data[0] % 6) {
	case 0:
		pem_try(rest, data[0] / 6 % 2 == 0 ? PEM_CRL : PEM_CERTIFICATE);
		break;
	case 1:
		list_try(rest);
		break;
	case 2:
	case 3:
		signed_try(rest, data[0] % 6 == 3);
		break;
	case 4:
		point_try(rest);
		break;
	default:
		set_try(rest);
		break;
	}
	return 0;
}
