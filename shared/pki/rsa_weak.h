/* rsa_weak.h - room shared/pki: RSA moduli that anybody can factor.
 * Never: other key types. */
#ifndef VCC_RSA_WEAK_H
#define VCC_RSA_WEAK_H

#include "shared/base/buf.h"

/* The primes are so close that Fermat's method finds them in 100 rounds. True as well when the arithmetic fails. */
bool rsa_weak_close_primes(struct span modulus);

#endif
