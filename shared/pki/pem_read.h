/* pem_read.h - room shared/pki: PEM in the one spelling that cert_pem_add() and crl_pem_add() write (RFC 7468, strict), for
 * files that other programs read after us: what they find in it is what was judged here. Never: text between blocks, headers,
 * other line ends. */
#ifndef VCC_PEM_READ_H
#define VCC_PEM_READ_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

#define PEM_CERTIFICATE "CERTIFICATE"
#define PEM_CRL         "X509 CRL"

/* Takes the next block and puts its bytes into `ret_bytes`, whose cap limits them. 1; 0 at the end; E_SYNTAX when the next byte
 * does not begin a block of this label or the block has another spelling; E_FULL, E_NOMEM. `rest` moves on only after a good
 * block. */
_must_check_ int pem_read(struct span *rest, const char *label, struct buf *ret_bytes);

#endif
