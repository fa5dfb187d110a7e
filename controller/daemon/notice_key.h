/* notice_key.h - room controller/daemon: STATE_DIR/notice.key, by which links in notifications are signed; made where there is none.
 * It is in no backup of the database: after a restore on another machine old links are refused, and that is all. Never: showing it. */
#ifndef VCC_NOTICE_KEY_H
#define VCC_NOTICE_KEY_H

#include "shared/base/err.h"
#include "shared/pki/key.h"

_must_check_ int notice_key_open(const char *state_dir, uint8_t ret[HMAC_KEY_SIZE], struct refusal *why);

#endif
