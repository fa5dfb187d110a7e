/* constraint.h - room shared/pki: does a CA's nameConstraints extension allow a name (RFC 5280, 4.2.1.10)?
 * Never: path validation; that is cert_verify. */
#ifndef VCC_CONSTRAINT_H
#define VCC_CONSTRAINT_H

#include "shared/base/err.h"
#include "shared/pki/ext.h"

/* `constraints`: value of the extension, empty = none; `tag` and `name`: a GeneralName GN_DNS, GN_URI or GN_IP. Not allowed
 * when the constraints cannot be read. */
bool constraint_allows(struct span constraints, uint8_t tag, struct span name);

/* The permitted subtrees, one a line: "DNS:vcc.internal", "IP:10.0.0.0/8", "URI:vcc.internal". E_PKI_CERT when they cannot be read. */
_must_check_ int constraint_permitted(struct span constraints, struct buf *to);

#endif
