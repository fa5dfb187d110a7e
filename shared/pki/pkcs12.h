/* pkcs12.h - room shared/pki: PKCS#12 stores (RFC 7292) for programs that read nothing else, above all Java.
 * PBES2 with AES-256 and PBKDF2-SHA-256, MAC by SHA-256: what OpenSSL 3 and Java 17 read and write by default.
 * Never: empty passwords, RC2, 3DES, SHA-1. */
#ifndef VCC_PKCS12_H
#define VCC_PKCS12_H

#include "shared/base/err.h"
#include "shared/pki/key.h"

/* Java's keytool wants six. Printable ASCII: other characters are encoded differently by different readers. */
enum { PKCS12_PASSWORD_MIN = 6, PKCS12_PASSWORD_SIZE = 129, PKCS12_MAX = 65536 };
bool pkcs12_password_ok(const char *password);

/* The key and its chain (DER one after the other, leaf first) under the alias "vcc". `to` must be wiped by the caller.
 * E_PKI_MISMATCH, E_PKI_CERT, E_PKI_PASSPHRASE. */
_must_check_ int pkcs12_keystore(const struct key *k, struct span chain, const char *password, struct buf *to);
/* Roots as trusted certificates, "vcc-ca-1" and so on, each with Java's trusted-key attribute: without it a Java trust store
 * shows no entry at all. */
_must_check_ int pkcs12_truststore(struct span roots, const char *password, struct buf *to);

#endif
