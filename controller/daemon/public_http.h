/* public_http.h - room controller/daemon: the public listener: CRLs and CA certificates for relying parties.
 * Never: anything that needs a token. */
#ifndef VCC_PUBLIC_HTTP_H
#define VCC_PUBLIC_HTTP_H

#include "controller/daemon/controller.h"
#include "controller/daemon/http_server.h"

/* GET and HEAD of /crl/ISSUER/SHARD.crl, /crl/all.pem[?sha256=HEX], /ca/ISSUER.cer, /ca/all.pem. */
void public_http_handle(struct controller *ctl, struct http_call *call);

#endif
