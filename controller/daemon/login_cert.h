/* login_cert.h - room controller/daemon: which principal a client certificate on the admin port stands for, if any.
 * Never: trusting what stands in the certificate; it only names the row of the store that is asked. */
#ifndef VCC_LOGIN_CERT_H
#define VCC_LOGIN_CERT_H

#include "controller/store/store.h"

/* The certificate's key was proved by TLS; `serial` and `fingerprint` are of the certificate that was shown. It must be one that we issued,
 * by a template for admin certificates, whose cert_id is the principal's name, and a second person must have agreed to that. Revoked,
 * suspended, retired, expired: refused. E_API_UNAUTHENTICATED with its cause, E_STORE_*. */
_must_check_ int login_cert_find(struct store_view *view, struct serial serial, struct hash fingerprint, int64_t now, struct principal *ret,
				 struct refusal *why);

#endif
