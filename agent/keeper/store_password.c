/* store_password.c - room agent/keeper: the password of a target's PKCS#12 stores, from its file.
 * Never: in a log, a message or the configuration. */
#include "agent/keeper/store_password.h"

#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { PASSWORD_FILE_MAX = 4096 };

static int password_line(const char *path, struct span file, char ret[PKCS12_PASSWORD_SIZE], struct refusal *why)
{
	const uint8_t *end = file.n > 0 ? memchr(file.p, '\n', file.n) : NULL;
	size_t         n = end != NULL ? (size_t)(end - file.p) : file.n;
	if (text_copy_n(ret, PKCS12_PASSWORD_SIZE, (const char *)file.p, n) != 0 || !pkcs12_password_ok(ret)) {
		secret_wipe(ret, PKCS12_PASSWORD_SIZE);
		return refuse(why, E_SWAP_PASSWORD, path, "its first line has not %d to %d printable ASCII characters",
			      PKCS12_PASSWORD_MIN, PKCS12_PASSWORD_SIZE - 1);
	}
	return 0;
}

int store_password_read(const struct target_conf *t, char ret[PKCS12_PASSWORD_SIZE], struct refusal *why)
{
	char             folder[TARGET_PATH_SIZE];
	const char      *path = t->pkcs12_password_file;
	const char      *slash = strrchr(path, '/');
	struct refusal   inner = {.code = 0};
	struct buf       file = BUF_MAX(PASSWORD_FILE_MAX);
	_cleanup_fd_ int fd = -1;
	ret[0] = '\0';
	if (!target_has_truststore(t))
		return 0;
	if (slash == NULL || text_copy_n(folder, sizeof(folder), path, slash == path ? 1 : (size_t)(slash - path)) != 0)
		return refuse(why, E_SWAP_PASSWORD, path, "is not a usable path");
	int r = dir_open_safe(folder, geteuid(), &fd, &inner);
	if (r == 0)
		r = file_read(fd, slash + 1, true, &file, &inner);
	if (r != 0)
		r = refuse(why, E_SWAP_PASSWORD, path, "%s", inner.cause);
	else
		r = password_line(path, buf_span(&file), ret, why);
	buf_wipe(&file);
	return r;
}
