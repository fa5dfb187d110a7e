/* process_facts.c - room agent/survey: which process holds a listening socket: program, user, systemd unit.
 * Never: another process's memory or descriptors beyond the names of the links in /proc. */
#include "agent/survey/process_facts.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { SMALL_FILE = 4096 };

/* ---- small files of /proc/PID ------------------------------------------------------------------------------------- */

static bool small_read(int dir_fd, const char *name, char ret[SMALL_FILE])
{
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t          n = fd >= 0 ? read(fd, ret, SMALL_FILE - 1) : -1;
	ret[n > 0 ? n : 0] = '\0';
	return n > 0;
}

int64_t process_start(const char *stat_line)
{
	unsigned long long ticks;
	const char        *rest = strrchr(stat_line, ')'); /* the program's name may hold anything but ends there */
	if (rest == NULL ||
	    sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks) != 1)
		return -1;
	return (int64_t)ticks;
}

static bool unit_part(const char *part, size_t n, char ret[INVENTORY_UNIT_SIZE])
{
	static const char end[] = ".service";
	return n > sizeof(end) - 1 && n < INVENTORY_UNIT_SIZE && text_utf8_ok(part, n) &&
	       memcmp(part + n - (sizeof(end) - 1), end, sizeof(end) - 1) == 0 &&
	       text_copy_n(ret, INVENTORY_UNIT_SIZE, part, n) == 0;
}

/* "0::/system.slice/system-postgresql.slice/postgresql@15-main.service": the last part that names a service. A unit of a user's
 * own systemd is not one that root could reload. */
void process_unit(const char *cgroup, char ret[INVENTORY_UNIT_SIZE])
{
	ret[0] = '\0';
	for (const char *line = cgroup; line != NULL && *line != '\0';) {
		size_t      n = strcspn(line, "\n");
		const char *path = memchr(line, ':', n);
		path = path != NULL ? memchr(path + 1, ':', n - (size_t)(path + 1 - line)) : NULL;
		bool systemd = path != NULL &&
			       (text_starts(line, "0::") || memmem(line, (size_t)(path - line), ":name=systemd", 13) != NULL);
		const char *end = line + n;
		for (const char *p = systemd ? path + 1 : end; p < end;) {
			p += *p == '/';
			size_t part = strcspn(p, "/\n");
			if (part >= 6 && memcmp(p, "user@", 5) == 0)
				break;
			(void)unit_part(p, part, ret);
			p += part;
		}
		if (ret[0] != '\0')
			return;
		line = *end == '\n' ? end + 1 : NULL;
	}
}

static void user_name(uid_t uid, char ret[INVENTORY_USER_SIZE])
{
	const struct passwd *row = getpwuid(uid);
	if (row == NULL || !text_utf8_ok(row->pw_name, strlen(row->pw_name)) ||
	    text_copy(ret, INVENTORY_USER_SIZE, row->pw_name) != 0)
		snprintf(ret, INVENTORY_USER_SIZE, "%u", (unsigned)uid);
}

static void facts_read(int dir_fd, struct process_facts *f)
{
	static const char deleted[] = " (deleted)";
	char              text[SMALL_FILE];
	const char       *uid;
	unsigned          real;
	unsigned          effective;
	if (small_read(dir_fd, "comm", text)) {
		text[strcspn(text, "\n")] = '\0';
		text_cut(f->program, sizeof(f->program), text);
		text_plain(f->program);
	}
	ssize_t n = readlinkat(dir_fd, "exe", f->exe, sizeof(f->exe) - 1);
	f->exe[n > 0 ? n : 0] = '\0';
	if (text_ends(f->exe, deleted)) /* upgraded under a running process: still the same program */
		f->exe[strlen(f->exe) - strlen(deleted)] = '\0';
	if (!text_utf8_ok(f->exe, strlen(f->exe)))
		f->exe[0] = '\0';
	if (small_read(dir_fd, "cgroup", text))
		process_unit(text, f->unit);
	if (small_read(dir_fd, "status", text) && (uid = strstr(text, "\nUid:")) != NULL &&
	    sscanf(uid, " Uid: %u %u", &real, &effective) == 2) {
		f->uid = effective;
		user_name(f->uid, f->user);
	}
}

/* ---- who holds what ---------------------------------------------------------------------------------------------- */

struct search {
	const uint64_t       *inodes;
	size_t                n;
	struct process_facts *found;
};

/* "socket:[12345]" */
static bool socket_link(int dir_fd, const char *name, uint64_t *ret)
{
	char               link[64];
	unsigned long long inode;
	ssize_t            n = readlinkat(dir_fd, name, link, sizeof(link) - 1);
	if (n <= 0)
		return false;
	link[n] = '\0';
	if (sscanf(link, "socket:[%llu]", &inode) != 1)
		return false;
	*ret = inode;
	return true;
}

static bool better(const struct process_facts *old, pid_t pid, int64_t started)
{
	if (old->pid == 0 || old->pid == 1)
		return true;
	return pid != 1 && started < old->started;
}

static void holder(struct search *s, uint64_t inode, pid_t pid, int64_t started)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->inodes[i] == inode && better(&s->found[i], pid, started)) {
			s->found[i].pid = pid;
			s->found[i].started = started;
		}
}

static void process_scan(struct search *s, int proc_fd, const char *name)
{
	char             text[SMALL_FILE];
	int64_t          pid;
	_cleanup_fd_ int dir = -1;
	if (text_i64(name, 1, INT_MAX, &pid) != 0)
		return;
	dir = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !small_read(dir, "stat", text))
		return; /* it has ended meanwhile */
	int  fds = openat(dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fds >= 0 ? fdopendir(fds) : NULL;
	if (list == NULL) {
		fd_close(fds); /* not ours to see, or ended */
		return;
	}
	const int64_t  started = process_start(text);
	struct dirent *e;
	uint64_t       inode;
	while ((e = readdir(list)) != NULL)
		if (socket_link(dirfd(list), e->d_name, &inode))
			holder(s, inode, (pid_t)pid, started);
	closedir(list);
}

/* The process that was found may have ended and its number been taken by another one: its start tells. */
static void process_describe(int proc_fd, struct process_facts *f)
{
	char name[16];
	char text[SMALL_FILE];
	snprintf(name, sizeof(name), "%d", (int)f->pid);
	_cleanup_fd_ int dir = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !small_read(dir, "stat", text) || process_start(text) != f->started)
		f->pid = 0;
	else
		facts_read(dir, f);
}

int process_facts_find(const uint64_t *inodes, size_t n, struct process_facts *ret, struct refusal *why)
{
	struct search s = {.inodes = inodes, .n = n, .found = ret};
	DIR          *proc = opendir("/proc");
	if (proc == NULL)
		return sys_refuse(why, "/proc", "list the processes");
	memset(ret, 0, n * sizeof(*ret));
	struct dirent *e;
	while ((e = readdir(proc)) != NULL)
		process_scan(&s, dirfd(proc), e->d_name);
	for (size_t i = 0; i < n; i++)
		if (ret[i].pid != 0)
			process_describe(dirfd(proc), &ret[i]);
	closedir(proc);
	return 0;
}

/* ---- masters ------------------------------------------------------------------------------------------------------ */

static pid_t parent_of(const char *stat_line)
{
	int         parent;
	const char *rest = strrchr(stat_line, ')');
	return rest != NULL && sscanf(rest + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : 0;
}

static bool process_open(int proc_fd, pid_t pid, char text[SMALL_FILE], int *ret_dir)
{
	char name[16];
	snprintf(name, sizeof(name), "%d", (int)pid);
	*ret_dir = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_dir >= 0 && small_read(*ret_dir, "stat", text);
}

bool process_facts_of(pid_t pid, struct process_facts *ret)
{
	char             text[SMALL_FILE];
	_cleanup_fd_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_fd_ int dir = -1;
	*ret = (struct process_facts){.pid = 0};
	if (proc < 0 || pid <= 0 || !process_open(proc, pid, text, &dir))
		return false;
	ret->pid = pid;
	ret->started = process_start(text);
	facts_read(dir, ret);
	return true;
}

static bool climb(int proc_fd, struct process_facts *p)
{
	char                 text[SMALL_FILE];
	struct process_facts up = {.pid = 0};
	_cleanup_fd_ int     dir = -1;
	_cleanup_fd_ int     above = -1;
	if (!process_open(proc_fd, p->pid, text, &dir) || process_start(text) != p->started)
		return false;
	up.pid = parent_of(text);
	if (up.pid <= 1 || !process_open(proc_fd, up.pid, text, &above))
		return false;
	up.started = process_start(text);
	facts_read(above, &up);
	if (!text_equal(up.program, p->program) || !text_equal(up.exe, p->exe) || !text_equal(up.unit, p->unit) ||
	    up.started > p->started)
		return false;
	*p = up;
	return true;
}

void process_master(struct process_facts *p)
{
	enum { DEPTH_MAX = 8 };
	_cleanup_fd_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < DEPTH_MAX && proc >= 0 && p->pid > 1 && climb(proc, p); i++)
		;
}
