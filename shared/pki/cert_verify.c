/* cert_verify.c - room shared/pki: path validation (RFC 5280, 6) through the X.509 library.
 * Never: partial chains, the system's trust store, network look-ups, keys that were not measured first. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_stack.h"

#include <openssl/x509v3.h> /* last: its KU_ macros would break the enum of our model */

enum { ROOTS_MAX = 16, SECURITY_LEVEL = 2 /* 112 bit: RSA 2048, SHA-256 */ };

static inline void x509_store_ctx_freep(X509_STORE_CTX **p)
{
	X509_STORE_CTX_free(*p);
}

static int purpose_of(unsigned purpose)
{
	switch (purpose) {
	case EKU_SERVER_AUTH:
		return X509_PURPOSE_SSL_SERVER;
	case EKU_CLIENT_AUTH:
		return X509_PURPOSE_SSL_CLIENT;
	default:
		return X509_PURPOSE_ANY;
	}
}

static int context_make(X509 *leaf, STACK_OF(X509) *chain, STACK_OF(X509) *roots, unsigned purpose, int64_t at,
			X509_STORE_CTX **ret)
{
	_cleanup_(x509_store_ctx_freep) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	if (ctx == NULL)
		return E_NOMEM;
	if (X509_STORE_CTX_init(ctx, NULL, leaf, chain) <= 0)
		return E_PKI_CRYPTO;
	X509_STORE_CTX_set0_trusted_stack(ctx, roots);
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_depth(param, CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
	if (at == 0)
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_NO_CHECK_TIME);
	else
		X509_VERIFY_PARAM_set_time(param, at / MS_SECOND);
	if (X509_VERIFY_PARAM_set_purpose(param, purpose_of(purpose)) <= 0)
		return E_PKI_CRYPTO;
	*ret = ctx;
	ctx = NULL;
	return 0;
}

static int verdict(X509_STORE_CTX *ctx, const char *object, struct refusal *why)
{
	int  error = X509_STORE_CTX_get_error(ctx);
	bool time = error == X509_V_ERR_CERT_NOT_YET_VALID || error == X509_V_ERR_CERT_HAS_EXPIRED;
	return refuse(why, time ? E_PKI_VALIDITY : E_PKI_CHAIN, object, "%s, %d certificates above it",
		      X509_verify_cert_error_string(error), X509_STORE_CTX_get_error_depth(ctx));
}

int cert_verify(struct span leaf, struct span chain, struct span roots, unsigned purpose, int64_t at, struct refusal *why)
{
	_cleanup_(x509_freep) X509 *x = NULL;
	_cleanup_(x509_stack_freep) STACK_OF(X509) *others = NULL;
	_cleanup_(x509_stack_freep) STACK_OF(X509) *anchors = NULL;
	_cleanup_(x509_store_ctx_freep) X509_STORE_CTX *ctx = NULL;

	int r = cert_x509(leaf, &x);
	if (r < 0)
		return refuse(why, E_PKI_CHAIN, "certificate", "it cannot be read or its key is not allowed");
	struct cert_info info;
	const char      *object = "certificate";
	if (cert_read(leaf, &info) == 0 && info.subject[0] != '\0')
		object = info.subject;
	r = cert_stack(chain, CHAIN_MAX, &others);
	if (r < 0)
		return refuse(why, E_PKI_CHAIN, object, "its chain cannot be read, or has more than %d certificates",
			      CHAIN_MAX);
	r = cert_stack(roots, ROOTS_MAX, &anchors);
	if (r < 0)
		return refuse(why, E_PKI_CHAIN, object, "the trusted roots cannot be read, or are more than %d", ROOTS_MAX);
	r = context_make(x, others, anchors, purpose, at, &ctx);
	if (r < 0)
		return refuse(why, r, object, "%s", err_what(r));
	if (X509_verify_cert(ctx) != 1) {
		ERR_clear_error();
		return verdict(ctx, object, why);
	}
	/* the library's purposes accept a certificate without extended key usage, and know no code signing */
	if (purpose != 0 && (cert_read(leaf, &info) < 0 || (info.ext_key_usage & purpose) != purpose))
		return refuse(why, E_PKI_CHAIN, object, "its extended key usage does not allow this use");
	return 0;
}
