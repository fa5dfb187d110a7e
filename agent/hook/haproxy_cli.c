/* haproxy_cli.c - room agent/hook: one command and its answer on HAProxy's admin socket.
 * Never: a socket that somebody else than root or the owner of its folder serves; an answer without limit in bytes and time. */
#include "agent/hook/haproxy_cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/target_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

static _printf_(3, 4) int cli_refuse(struct hk_reply *ret, int code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(ret->output, sizeof(ret->output), fmt, args);
	va_end(args);
	return code;
}

/* ---- whom we speak to -------------------------------------------------------------------------------------------- */

/* Only root, the folder's owner and his group can put a socket there: Debian's /run/haproxy is HAProxy's own. The way to the
 * folder is root's. The group is no danger: whoever serves the socket is asked for below. */
static int folder_open(const char *path, int *ret_fd, uid_t *ret_owner, struct hk_reply *ret)
{
	char           above[TARGET_PATH_SIZE];
	struct stat    st;
	struct refusal why = {.code = 0};
	const char    *slash = strrchr(path, '/');
	size_t         n = slash != NULL ? (size_t)(slash - path) : 0;
	if (n == 0 || text_copy_n(above, sizeof(above), path, n) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "%s is not in a folder", path);
	char            *last = strrchr(above, '/');
	char             name[NAME_MAX + 1];
	_cleanup_fd_ int parent = -1;
	if (last == NULL || text_copy(name, sizeof(name), last + 1) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "%s is not in a folder", path);
	last[last == above ? 1 : 0] = '\0';
	if (dir_open_safe(above, geteuid(), &parent, &why) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "%s", why.cause);
	_cleanup_fd_ int fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "the folder of %s: %s", path, strerror(errno));
	if ((st.st_mode & S_IWOTH) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "everybody may write into the folder of %s", path);
	*ret_owner = st.st_uid;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int peer_check(int fd, uid_t folder_owner, struct hk_reply *ret)
{
	struct ucred peer;
	socklen_t    n = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "the socket's owner cannot be asked for: %s", strerror(errno));
	if (peer.uid != 0 && peer.uid != geteuid() && peer.uid != folder_owner)
		return cli_refuse(ret, E_HOOK_SOCKET, "uid %u serves the socket, its folder belongs to uid %u",
				  (unsigned)peer.uid, (unsigned)folder_owner);
	return 0;
}

/* Through a descriptor of the socket's inode: what was looked at is what is connected to, and long paths fit. */
static int cli_connect(const char *path, int *ret_fd, uid_t *ret_owner, struct hk_reply *ret)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct stat        st;
	uid_t              owner = 0;
	_cleanup_fd_ int   folder = -1;
	int                r = folder_open(path, &folder, &owner, ret);
	if (r != 0)
		return r;
	_cleanup_fd_ int inode = openat(folder, strrchr(path, '/') + 1, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (inode < 0 || fstat(inode, &st) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "cannot open %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return cli_refuse(ret, E_HOOK_SOCKET, "%s is not a socket", path);
	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", inode);
	/* non-blocking: a full backlog is an answer, too */
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0)
		return cli_refuse(ret, E_HOOK_SOCKET, "cannot connect to %s: %s", path, strerror(errno));
	r = peer_check(fd, owner, ret);
	if (r == 0) {
		*ret_owner = owner;
		*ret_fd = fd;
		fd = -1;
	}
	return r;
}

/* ---- one command ------------------------------------------------------------------------------------------------- */

static int cli_wait(const struct haproxy_cli *cli, int fd, short events, struct hk_reply *ret)
{
	for (;;) {
		int64_t left = cli->until - clock_monotonic();
		if (left <= 0)
			return cli_refuse(ret, E_HOOK_TIMEOUT, "HAProxy did not answer in time");
		struct pollfd p = {.fd = fd, .events = events};
		int           n = poll(&p, 1, left > 1000 ? 1000 : (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return cli_refuse(ret, E_HOOK_SOCKET, "the socket cannot be waited for: %s", strerror(errno));
	}
}

static int command_send(const struct haproxy_cli *cli, int fd, struct span bytes, struct hk_reply *ret)
{
	while (bytes.n > 0) {
		ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n >= 0) {
			bytes.p += n;
			bytes.n -= (size_t)n;
		} else if (errno == EAGAIN) {
			int r = cli_wait(cli, fd, POLLOUT, ret);
			if (r != 0)
				return r;
		} else if (errno == EPIPE || errno == ECONNRESET) {
			return 0; /* it closed early, perhaps with an answer */
		} else if (errno != EINTR) {
			return cli_refuse(ret, E_HOOK_SOCKET, "the command cannot be sent: %s", strerror(errno));
		}
	}
	return 0;
}

static int answer_read(const struct haproxy_cli *cli, int fd, struct buf *answer, struct hk_reply *ret)
{
	for (;;) {
		uint8_t *room = buf_room(answer, 4096);
		if (room == NULL)
			return cli_refuse(ret, E_HOOK_ANSWER, "the answer is longer than %zu bytes", answer->max);
		ssize_t n = recv(fd, room, 4096, 0);
		if (n > 0) {
			buf_used(answer, (size_t)n);
		} else if (n == 0 || errno == ECONNRESET) {
			return 0;
		} else if (errno == EAGAIN) {
			int r = cli_wait(cli, fd, POLLIN, ret);
			if (r != 0)
				return r;
		} else if (errno != EINTR) {
			return cli_refuse(ret, E_HOOK_SOCKET, "the answer cannot be read: %s", strerror(errno));
		}
	}
}

int haproxy_ask(struct haproxy_cli *cli, struct span command, struct buf *answer, struct hk_reply *ret)
{
	_cleanup_fd_ int fd = -1;
	buf_reset(answer);
	int r = cli_connect(cli->path, &fd, &cli->owner, ret);
	if (r == 0)
		r = command_send(cli, fd, command, ret);
	if (r == 0)
		r = answer_read(cli, fd, answer, ret);
	if (r != 0)
		return r;
	if (answer->n > 0 && memchr(answer->p, '\0', answer->n) != NULL)
		return cli_refuse(ret, E_HOOK_ANSWER, "the answer is not text");
	buf_add_u8(answer, '\0');
	if (buf_error(answer) != 0)
		return cli_refuse(ret, E_HOOK_ANSWER, "the answer is longer than %zu bytes", answer->max);
	answer->n--;
	return 0;
}
