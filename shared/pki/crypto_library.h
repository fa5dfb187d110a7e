/* crypto_library.h - room shared/pki: is libcrypto there? To be asked before a library uses it that does not ask. Never: what is done with it. */
#ifndef VCC_CRYPTO_LIBRARY_H
#define VCC_CRYPTO_LIBRARY_H

#include "shared/base/err.h"

/* Makes libcrypto's default context, once. Where that fails, OpenSSL 3.0 goes on without it and crashes at the next use: libcurl, for one, does not ask.
 * E_NOMEM. */
_must_check_ int crypto_library_start(void);

#endif
