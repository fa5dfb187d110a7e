/* store_password.h - room agent/keeper: the password of a target's PKCS#12 stores, from its file.
 * Never: in a log, a message or the configuration. */
#ifndef VCC_STORE_PASSWORD_H
#define VCC_STORE_PASSWORD_H

#include "shared/conf/target_conf.h"
#include "shared/pki/pkcs12.h"

/* First line of [files] pkcs12_password_file: a file of root (or our own user) with mode 0600, in a folder that nobody else may
 * change. "" when the target has no stores. To be wiped by the caller. E_SWAP_PASSWORD. */
_must_check_ int store_password_read(const struct target_conf *t, char ret[PKCS12_PASSWORD_SIZE], struct refusal *why);

#endif
