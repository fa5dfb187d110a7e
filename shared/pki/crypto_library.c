/* crypto_library.c - room shared/pki: is libcrypto there? Never: what is done with it. */
#include "shared/pki/crypto_library.h"

#include <stddef.h>

#include <openssl/crypto.h>

int crypto_library_start(void)
{
	return OSSL_LIB_CTX_get0_global_default() != NULL ? 0 : E_NOMEM;
}
