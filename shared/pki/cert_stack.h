/* cert_stack.h - room shared/pki: DER certificates as objects of the X.509 library; for files of this room only.
 * Never: included from another room. */
#ifndef VCC_CERT_STACK_H
#define VCC_CERT_STACK_H

#include <openssl/x509.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* Sizes and key are judged on the DER before the library does any arithmetic. E_PKI_CERT, E_PKI_KEY. */
_must_check_ int cert_x509(struct span der, X509 **ret);
/* Certificates one after the other, at most `max`: E_FULL. */
_must_check_ int cert_stack(struct span ders, size_t max, STACK_OF(X509) * *ret);

static inline void x509_freep(X509 **p)
{
	X509_free(*p);
}

static inline void x509_stack_freep(STACK_OF(X509) * *p)
{
	sk_X509_pop_free(*p, X509_free);
}

#endif
