/* cert_url.h - room shared/pki: where an installation publishes its lists and certificates, from a certificate of its own.
 * Never: an address that no authority has signed; URLs of another form than ours. */
#ifndef VCC_CERT_URL_H
#define VCC_CERT_URL_H

#include "shared/base/err.h"
#include "shared/model/certificate.h"

/* "http://HOST[:PORT][/PATH]" of the certificate's one distribution point ".../crl/ISSUER/SHARD.crl". E_PKI_CERT: unreadable;
 * E_NOT_FOUND: no point, several, or of another form. */
_must_check_ int cert_public_url(struct span der, char ret[URL_SIZE]);

#endif
