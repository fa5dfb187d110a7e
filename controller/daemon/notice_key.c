/* notice_key.c - room controller/daemon: STATE_DIR/notice.key, by which links in notifications are signed; made where there is none.
 * Never: showing it. */
#include "controller/daemon/notice_key.h"

#include <string.h>
#include <unistd.h>

#include "shared/sys/clock.h"
#include "shared/sys/file.h"

#define NAME "notice.key"

int notice_key_open(const char *state_dir, uint8_t ret[HMAC_KEY_SIZE], struct refusal *why)
{
	_cleanup_fd_ int dir_fd = -1;
	uint8_t          made[HMAC_KEY_SIZE];
	struct buf       bytes = BUF_MAX(HMAC_KEY_SIZE);
	int              r = dir_open_safe(state_dir, geteuid(), &dir_fd, why);
	if (r < 0)
		return r;
	r = file_read(dir_fd, NAME, true, &bytes, why);
	if (r == E_NOT_FOUND) {
		entropy(made, sizeof(made));
		r = file_replace(dir_fd, NAME, (struct span){made, sizeof(made)}, (uid_t)-1, (gid_t)-1, 0600, why);
		if (r == 0)
			memcpy(ret, made, sizeof(made));
		secret_wipe(made, sizeof(made));
	} else if (r == E_FULL || (r == 0 && bytes.n != HMAC_KEY_SIZE)) {
		r = refuse(why, E_CONF_VALUE, NAME, "it is not %d bytes; remove it and a new one is made, links sent before are refused then", HMAC_KEY_SIZE);
	} else if (r == 0) {
		memcpy(ret, bytes.p, HMAC_KEY_SIZE);
	}
	buf_wipe(&bytes);
	return r;
}
