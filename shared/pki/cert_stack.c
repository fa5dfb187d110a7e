/* cert_stack.c - room shared/pki: DER certificates as objects of the X.509 library.
 * Never: a certificate whose key was not measured first. */
#include "shared/pki/cert_stack.h"

#include <openssl/err.h>

#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/spki.h"

int cert_x509(struct span der, X509 **ret)
{
	struct cert_parts parts;
	struct spki_parts key;
	int               r = cert_parts_read(der, &parts);
	if (r == 0)
		r = spki_read(parts.t.spki, &key);
	if (r < 0)
		return r;
	const uint8_t *p = der.p;
	*ret = d2i_X509(NULL, &p, (long)der.n);
	if (*ret == NULL || p != der.p + der.n) {
		ERR_clear_error();
		return E_PKI_CERT;
	}
	return 0;
}

int cert_stack(struct span ders, size_t max, STACK_OF(X509) * *ret)
{
	_cleanup_(x509_stack_freep) STACK_OF(X509) *stack = sk_X509_new_null();
	if (stack == NULL)
		return E_NOMEM;
	size_t      n = 0;
	struct span one;
	for (struct span rest = ders; der_next(&rest, &one);)
		n++;
	if (n > max)
		return E_FULL;
	while (der_next(&ders, &one)) {
		X509 *x = NULL;
		int   r = cert_x509(one, &x);
		if (r < 0) {
			X509_free(x);
			return r;
		}
		if (sk_X509_push(stack, x) <= 0) {
			X509_free(x);
			return E_NOMEM;
		}
	}
	if (ders.n != 0)
		return E_PKI_CERT;
	*ret = stack;
	stack = NULL;
	return 0;
}
