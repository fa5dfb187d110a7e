/* log_place.c - room controller/signer: where the log of what was signed lies, and whether it was lost.
 * Never: beginning a new one where there was one. */
#include "controller/signer/log_place.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

#define LOG_MARK "signing.log.begun"

void log_place(const struct signer_conf *conf, char *ret, size_t size)
{
	if (conf->log[0] != '\0')
		text_cut(ret, size, conf->log);
	else
		snprintf(ret, size, "%s/signing.log", conf->state_dir);
}

/* A log that was begun must be there: without it the signer would not know what it signed. The mark lies with the keys, so that
 * only who loses both loses the question. */
static int lost_check(int keys_fd, const char *path, struct refusal *why)
{
	struct stat st;
	if (faccessat(keys_fd, LOG_MARK, F_OK, 0) != 0 || (stat(path, &st) == 0 && st.st_size > 0))
		return 0;
	return refuse(why, E_SYS_JOURNAL, path,
		      "the log of what was signed is missing or empty; if it is lost for good, remove %s in the "
		      "state folder",
		      LOG_MARK);
}

int log_place_open(const struct signer_conf *conf, const char *path, struct sign_log **ret, struct refusal *why)
{
	_cleanup_fd_ int keys_fd = open(conf->state_dir, O_DIRECTORY | O_CLOEXEC);
	if (keys_fd < 0)
		return sys_refuse(why, conf->state_dir, "open the folder");
	int r = lost_check(keys_fd, path, why);
	if (r == 0)
		r = sign_log_open(path, SIGN_LOG_ROTATE, ret, why);
	if (r == 0 && faccessat(keys_fd, LOG_MARK, F_OK, 0) != 0) {
		r = file_create(keys_fd, LOG_MARK, (struct span){NULL, 0}, (uid_t)-1, (gid_t)-1, 0600, why);
		if (r == 0)
			r = dir_sync(keys_fd);
	}
	return r;
}
