/* share_wait.h - room controller/signer: a passphrase in shares: whether it is, and waiting until enough custodians have given theirs.
 * STATE_DIR/ca/shares holds it, sealed; unlock.sock of the folder that is opened takes shares, from root and the signer's user alone.
 * Never: the network; the controller, which must not learn a share; a share in a log. */
#ifndef VCC_SHARE_WAIT_H
#define VCC_SHARE_WAIT_H

#include "shared/conf/signer_conf.h"
#include "shared/pki/share_set.h"

#define SHARES_FILE "shares" /* beside the keys */

enum { UNLOCK_FRAME_MAX = 1024, UNLOCK_HEAD = 6 /* of an answer: code 4 octets, shares that are here, shares that are needed; then text */ };
#define UNLOCK_TIMEOUT_MS 5000

void unlock_path(const char *folder, char *ret, size_t size);

/* E_NOT_FOUND: the passphrase is not in shares; `why` stays as it is then. E_SHARES_DAMAGED, E_CONF_UNSAFE, E_SYS_*. */
_must_check_ int shares_read(const char *folder, struct share_set *ret, struct refusal *why);

/* The passphrase of the keys below `folder`: of the credential or file, and where there is neither, of shares: then it waits for them at FOLDER/unlock.sock
 * (whoever tries a copy must not be given what is meant for the signer), says so to
 * systemd (ready, so that nobody who starts the unit waits with it) and in the log. `to` must be wiped by the caller. */
_must_check_ int shares_passphrase(const struct signer_conf *conf, const char *folder, struct buf *to, struct refusal *why);

#endif
