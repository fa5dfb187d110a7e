/* pkcs12.c - room shared/pki: PKCS#12 stores (RFC 7292) for programs that read nothing else.
 * Never: empty passwords, RC2, 3DES, SHA-1. */
#include "shared/pki/pkcs12.h"

#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "shared/pki/cert.h"
#include "shared/pki/cert_stack.h"
#include "shared/pki/key_evp.h"

enum { ITERATIONS = 10000 /* as Java 17 */, CERTIFICATES_MAX = 16 };

static inline void p12_freep(PKCS12 **p)
{
	PKCS12_free(*p);
}

static inline void bags_freep(STACK_OF(PKCS12_SAFEBAG) * *p)
{
	sk_PKCS12_SAFEBAG_pop_free(*p, PKCS12_SAFEBAG_free);
}

static inline void safes_freep(STACK_OF(PKCS7) * *p)
{
	sk_PKCS7_pop_free(*p, PKCS7_free);
}

static inline void object_freep(ASN1_OBJECT **p)
{
	ASN1_OBJECT_free(*p);
}

bool pkcs12_password_ok(const char *password)
{
	size_t n = strlen(password);
	if (n < PKCS12_PASSWORD_MIN || n >= PKCS12_PASSWORD_SIZE)
		return false;
	for (size_t i = 0; i < n; i++)
		if (password[i] < ' ' || password[i] > '~')
			return false;
	return true;
}

static int crypto_failed(void)
{
	ERR_clear_error();
	return E_PKI_CRYPTO;
}

static int p12_write(PKCS12 *p12, const char *password, struct buf *to)
{
	if (PKCS12_set_mac(p12, password, -1, NULL, 0, ITERATIONS, EVP_sha256()) != 1)
		return crypto_failed();
	int n = i2d_PKCS12(p12, NULL);
	if (n <= 0)
		return crypto_failed();
	uint8_t *room = buf_room(to, (size_t)n);
	if (room == NULL)
		return buf_error(to);
	buf_used(to, (size_t)i2d_PKCS12(p12, &room));
	return 0;
}

int pkcs12_keystore(const struct key *k, struct span chain, const char *password, struct buf *to)
{
	_cleanup_(x509_freep) X509 *leaf = NULL;
	_cleanup_(x509_stack_freep) STACK_OF(X509) *rest = NULL;
	_cleanup_(p12_freep) PKCS12 *p12 = NULL;
	struct span                  first;
	if (!pkcs12_password_ok(password))
		return E_PKI_PASSPHRASE;
	if (!der_next(&chain, &first))
		return E_PKI_CERT;
	int r = cert_fits_key(first, k);
	if (r == 0)
		r = cert_x509(first, &leaf);
	if (r == 0)
		r = cert_stack(chain, CERTIFICATES_MAX, &rest);
	if (r != 0)
		return r;
	/* -1: the MAC is set by p12_write(), with a hash that does not depend on the library's version */
	p12 = PKCS12_create_ex(password, "vcc", k->evp, leaf, rest, NID_aes_256_cbc, NID_aes_256_cbc, ITERATIONS, -1, 0, NULL,
			       NULL);
	return p12 != NULL ? p12_write(p12, password, to) : crypto_failed();
}

/* ---- trust store ------------------------------------------------------------------------------------------------- */

/* 2.16.840.1.113894.746875.1.1 with any extended key usage: Java takes only such certificates for trusted. OpenSSL 3.0 has no
 * call that adds an attribute of this kind; the list is the bag's own, and exists once it has a name. */
static bool trusted_set(PKCS12_SAFEBAG *bag, const char *name)
{
	_cleanup_(object_freep) ASN1_OBJECT *usage = OBJ_txt2obj("2.16.840.1.113894.746875.1.1", 1);
	_cleanup_(object_freep) ASN1_OBJECT *any = OBJ_txt2obj("2.5.29.37.0", 1);
	if (usage == NULL || any == NULL || PKCS12_add_friendlyname_utf8(bag, name, -1) != 1)
		return false;
	STACK_OF(X509_ATTRIBUTE) *attributes = (STACK_OF(X509_ATTRIBUTE) *)(uintptr_t)PKCS12_SAFEBAG_get0_attrs(bag);
	/* length -1: `any` is the object itself, not its bytes */
	return X509at_add1_attr_by_OBJ(&attributes, usage, V_ASN1_OBJECT, (const unsigned char *)any, -1) != NULL;
}

static int root_add(STACK_OF(PKCS12_SAFEBAG) * *bags, X509 *root, int number)
{
	char name[32];
	snprintf(name, sizeof(name), "vcc-ca-%d", number);
	PKCS12_SAFEBAG *bag = PKCS12_add_cert(bags, root); /* the bag belongs to `bags` */
	return bag != NULL && trusted_set(bag, name) ? 0 : crypto_failed();
}

int pkcs12_truststore(struct span roots, const char *password, struct buf *to)
{
	_cleanup_(x509_stack_freep) STACK_OF(X509) *anchors = NULL;
	_cleanup_(bags_freep) STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	_cleanup_(safes_freep) STACK_OF(PKCS7) *safes = NULL;
	_cleanup_(p12_freep) PKCS12 *p12 = NULL;
	if (!pkcs12_password_ok(password))
		return E_PKI_PASSPHRASE;
	int r = cert_stack(roots, CERTIFICATES_MAX, &anchors);
	if (r == 0 && sk_X509_num(anchors) == 0)
		r = E_PKI_CERT;
	for (int i = 0; r == 0 && i < sk_X509_num(anchors); i++)
		r = root_add(&bags, sk_X509_value(anchors, i), i + 1);
	if (r != 0)
		return r;
	if (PKCS12_add_safe_ex(&safes, bags, NID_aes_256_cbc, ITERATIONS, password, NULL, NULL) != 1)
		return crypto_failed();
	p12 = PKCS12_add_safes_ex(safes, 0, NULL, NULL);
	return p12 != NULL ? p12_write(p12, password, to) : crypto_failed();
}
