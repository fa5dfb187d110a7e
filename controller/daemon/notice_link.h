/* notice_link.h - room controller/daemon: the signed text of a link by which whoever was told of a matter takes it over without a login:
 * which notification, who was told, until when. Values in, values out. Never: files, clocks, changing anything. */
#ifndef VCC_NOTICE_LINK_H
#define VCC_NOTICE_LINK_H

#include "shared/base/err.h"
#include "shared/model/notice.h"
#include "shared/pki/key.h"

enum { NOTICE_LINK_TEXT_SIZE = 144 }; /* base64url of at most 104 bytes */

/* Where links lead on the admin listener: this, and the text. */
#define NOTICE_LINK_PATH "/notice/"

struct notice_link {
	struct id notice_id;
	int64_t   ends_at;
	char      recipient[ACTOR_SIZE]; /* as the audit trail names who acts: a mail address, or "link:CHANNEL" where there is no single one
	                               * or it is longer than an actor may be */
};

/* E_RANGE: nobody, or no time. */
_must_check_ int notice_link_make(const uint8_t key[HMAC_KEY_SIZE], const struct notice_link *link, char ret[NOTICE_LINK_TEXT_SIZE]);
/* E_LINK_BAD: not signed by this key, whatever is wrong with it. E_LINK_OVER: it was, and has ended. */
_must_check_ int notice_link_read(const uint8_t key[HMAC_KEY_SIZE], const char *text, int64_t now, struct notice_link *ret, struct refusal *why);

#endif
