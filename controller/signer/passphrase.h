/* passphrase.h - room controller/signer: where the passphrase of the CA keys comes from.
 * Never: printing it, keeping it longer than the keys' opening takes. */
#ifndef VCC_PASSPHRASE_H
#define VCC_PASSPHRASE_H

#include <sys/types.h>

#include "shared/conf/signer_conf.h"

enum { PASSPHRASE_MAX = 1024 };

/* The systemd credential "ca-passphrase" if there is one, else the file that signer.conf names (mode 0600). Ends of line at
 * its end do not count. `to` (cap at least PASSPHRASE_MAX + 2) must be wiped by the caller. E_PKI_PASSPHRASE, E_CONF_UNSAFE. */
_must_check_ int passphrase_read(const struct signer_conf *conf, struct buf *to, struct refusal *why);

/* Is there such a credential or file? What it holds is read later. */
bool passphrase_is_here(const struct signer_conf *conf);

/* For init: makes the file with 256 random bits when there is neither credential nor file; it belongs to uid:gid. *ret_made is
 * set when it was made now, and left alone otherwise: what lay there already is some person's, however random it looks. */
_must_check_ int passphrase_make(const struct signer_conf *conf, uid_t uid, gid_t gid, bool *ret_made, struct refusal *why);

/* The token's PIN in the same way: credential "ca-pin", else pkcs11.pin_file. E_SIGNER_PIN, E_CONF_UNSAFE. */
_must_check_ int pin_read(const struct signer_conf *conf, struct buf *to, struct refusal *why);

/* With a token there need be none, as long as no key is a file. */
bool passphrase_is_needed(const struct signer_conf *conf);

#endif
