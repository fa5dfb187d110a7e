/* point.h - room shared/pki: the distribution point of a certificate or list (RFC 5280, 4.2.1.13, 5.2.5), in the form that we
 * write: one full name, a URI. Never: reasons, indirect lists, names relative to an issuer. */
#ifndef VCC_POINT_H
#define VCC_POINT_H

#include "shared/pki/ext.h"

/* The URI, pointing into `value` (content of the extension). False for any other form: such an extension must not be
 * overlooked. */
bool point_of_certificate(struct span value, struct span *ret_uri); /* cRLDistributionPoints */
bool point_of_list(struct span value, struct span *ret_uri);        /* issuingDistributionPoint */

#endif
