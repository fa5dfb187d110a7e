/* jail.c - room shared/sys: a role locks itself in after warm-up: capabilities, no new privileges, Landlock, seccomp.
 * Never: undoing it. */
#include "shared/sys/jail.h"

#include <cap-ng.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

/* ---- what each role may do: the tables are the policy ---------------------------------------------------------------- */

enum {
	MAY_THREAD = 1 << 0,  /* start threads (never processes) */
	MAY_UNIX = 1 << 1,    /* new local sockets */
	MAY_CONNECT = 1 << 2, /* new TCP sockets, to connect */
	MAY_LISTEN = 1 << 3,  /* listen after the lock-in */
	MAY_ACCEPT = 1 << 4,
	MAY_CHANGE = 1 << 5, /* make, rename and remove files */
	MAY_OWN = 1 << 6,    /* change owners and modes */
	MAY_RESOLVE = 1 << 7, /* ask name servers: UDP, and which addresses the host has */
};

static const struct {
	const char *name;
	unsigned    may;
	int         caps[8]; /* kept when held; -1 ends */
	bool        etc;     /* reads /etc: DNS, users and groups, time zone; by folder, because its files are replaced by rename */
} roles[JAIL_ROLE_COUNT] = {
	[JAIL_CONTROLLER] = {"controller", MAY_THREAD | MAY_UNIX | MAY_CONNECT | MAY_RESOLVE | MAY_LISTEN | MAY_ACCEPT | MAY_CHANGE | MAY_OWN, {-1}, true},
	[JAIL_GATEWAY] = {"gateway", MAY_UNIX | MAY_ACCEPT | MAY_CHANGE | MAY_OWN, {-1}, false},
	[JAIL_SIGNER] = {"signer", MAY_THREAD | MAY_ACCEPT | MAY_CHANGE | MAY_OWN, {-1}, false},
	[JAIL_SIGNER_LOCAL] = {"signer", MAY_THREAD | MAY_UNIX | MAY_ACCEPT | MAY_CHANGE | MAY_OWN, {-1}, false}, /* its token is behind a daemon */
	[JAIL_LINK] = {"link", MAY_UNIX | MAY_CONNECT | MAY_RESOLVE | MAY_CHANGE | MAY_OWN, {-1}, true},
	[JAIL_KEEPER] = {"keeper",
                         MAY_THREAD | MAY_UNIX | MAY_ACCEPT | MAY_CHANGE | MAY_OWN,
                         {CAP_CHOWN, CAP_FOWNER, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, -1},
                         true},
	[JAIL_DIALER] = {"dialer", MAY_CONNECT, {-1}, false},
};

static const struct {
	unsigned    needs; /* any of these; 0 = every role */
	const char *call;
} calls[] = {
	/* memory, time, identity, signals, scheduling */
	{0, "brk"}, {0, "munmap"}, {0, "mremap"}, {0, "madvise"}, {0, "mlock"},
	{0, "munlock"}, {0, "msync"}, {0, "clock_gettime"}, {0, "clock_getres"}, {0, "clock_nanosleep"}, {0, "nanosleep"},
	{0, "gettimeofday"}, {0, "time"}, {0, "times"}, {0, "getrandom"}, {0, "getpid"}, {0, "getppid"}, {0, "gettid"}, {0, "getuid"},
	{0, "geteuid"}, {0, "getgid"}, {0, "getegid"}, {0, "getgroups"}, {0, "getresuid"}, {0, "getresgid"}, {0, "getpgrp"},
	{0, "getsid"}, {0, "uname"}, {0, "sysinfo"}, {0, "getrusage"}, {0, "getrlimit"}, {0, "getcpu"},
	{0, "sched_yield"}, {0, "sched_getaffinity"}, {0, "sched_getparam"}, {0, "sched_getscheduler"}, {0, "getpriority"},
	{0, "rt_sigaction"}, {0, "rt_sigprocmask"}, {0, "rt_sigreturn"}, {0, "rt_sigtimedwait"}, {0, "rt_sigpending"},
	{0, "sigaltstack"}, {0, "restart_syscall"}, {0, "set_robust_list"}, {0, "get_robust_list"}, {0, "rseq"},
	{0, "set_tid_address"}, {0, "membarrier"}, {0, "futex"}, {0, "exit"}, {0, "exit_group"}, {0, "arch_prctl"},
	{0, "capget"}, {0, "umask"}, {0, "getcwd"},
	/* reading, waiting, descriptors */
	{0, "read"}, {0, "readv"}, {0, "pread64"}, {0, "preadv"}, {0, "write"}, {0, "writev"}, {0, "pwrite64"}, {0, "pwritev"},
	{0, "lseek"}, {0, "close"}, {0, "close_range"}, {0, "dup"}, {0, "dup2"}, {0, "dup3"},
	{0, "flock"}, {0, "pipe"}, {0, "pipe2"}, {0, "eventfd2"}, {0, "epoll_create1"}, {0, "epoll_ctl"},
	{0, "epoll_wait"}, {0, "epoll_pwait"}, {0, "epoll_pwait2"}, {0, "poll"}, {0, "ppoll"}, {0, "select"}, {0, "pselect6"},
	{0, "timerfd_create"}, {0, "timerfd_settime"}, {0, "timerfd_gettime"}, {0, "signalfd4"}, {0, "inotify_init1"},
	{0, "inotify_add_watch"}, {0, "inotify_rm_watch"}, {0, "stat"}, {0, "fstat"}, {0, "lstat"}, {0, "newfstatat"}, {0, "statx"},
	{0, "statfs"}, {0, "fstatfs"}, {0, "access"}, {0, "faccessat"}, {0, "faccessat2"}, {0, "readlink"}, {0, "readlinkat"},
	{0, "getdents64"}, {0, "fsync"}, {0, "fdatasync"}, {0, "sync_file_range"}, {0, "fadvise64"}, {0, "readahead"},
	{0, "getxattr"}, {0, "fgetxattr"}, {0, "lgetxattr"}, {0, "pidfd_open"}, {0, "wait4"}, {0, "waitid"},
	/* open sockets */
	{0, "recvfrom"}, {0, "recvmsg"}, {0, "recvmmsg"}, {0, "sendto"}, {0, "sendmsg"}, {0, "sendmmsg"}, {0, "shutdown"},
	{0, "getsockname"}, {0, "getpeername"}, {0, "getsockopt"}, {0, "setsockopt"}, {0, "sendfile"},
	/* by role */
	{MAY_ACCEPT, "accept"}, {MAY_ACCEPT, "accept4"}, {MAY_LISTEN, "listen"}, {MAY_UNIX | MAY_CONNECT, "connect"},
	{MAY_CONNECT | MAY_LISTEN, "bind"}, 
	{MAY_CHANGE, "rename"}, {MAY_CHANGE, "renameat"}, {MAY_CHANGE, "renameat2"}, {MAY_CHANGE, "unlink"},
	{MAY_CHANGE, "unlinkat"}, {MAY_CHANGE, "mkdir"}, {MAY_CHANGE, "mkdirat"}, {MAY_CHANGE, "rmdir"}, {MAY_CHANGE, "symlink"},
	{MAY_CHANGE, "symlinkat"}, {MAY_CHANGE, "link"}, {MAY_CHANGE, "linkat"}, {MAY_CHANGE, "truncate"},
	{MAY_CHANGE, "ftruncate"}, {MAY_CHANGE, "fallocate"}, {MAY_CHANGE, "copy_file_range"}, {MAY_CHANGE, "utimensat"},
	{MAY_OWN, "chown"}, {MAY_OWN, "fchown"},
	{MAY_OWN, "fchownat"}, {MAY_OWN, "lchown"}, {MAY_CHANGE, "fremovexattr"},
};

/* Allowed where (argument & mask) == value; several rows of a call: where one of them fits. */
enum { SET_IDS = S_ISUID | S_ISGID, ALL_BITS = -1 };
enum { NEW_SPACES = CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP };
static const struct {
	unsigned    needs;
	const char *call;
	unsigned    argument;
	int         mask, value;
} judged[] = {
	/* memory that was written is not run, what runs is not written; a file that was written and is mapped to run afterwards no filter sees */
	{0, "mmap", 2, PROT_EXEC, 0}, {0, "mmap", 2, PROT_WRITE, 0}, {0, "mmap2", 2, PROT_EXEC, 0}, {0, "mmap2", 2, PROT_WRITE, 0},
	{0, "mprotect", 2, PROT_EXEC, 0},
	/* no file that runs with its owner's rights; the C library passes mode 0 where none is made */
	{0, "open", 2, SET_IDS, 0}, {0, "openat", 3, SET_IDS, 0}, {MAY_OWN, "chmod", 1, SET_IDS, 0},
	{MAY_OWN, "fchmod", 1, SET_IDS, 0}, {MAY_OWN, "fchmodat", 2, SET_IDS, 0},
	/* threads, not processes, and in the same place; limits of itself; local pairs */
	{MAY_THREAD, "clone", 0, CLONE_THREAD | NEW_SPACES, CLONE_THREAD},
	{0, "prlimit64", 0, ALL_BITS, 0}, {MAY_UNIX, "socketpair", 0, ALL_BITS, AF_UNIX},
	/* names and questions; not: to be traceable again */
	{0, "prctl", 0, ALL_BITS, PR_SET_NAME}, {0, "prctl", 0, ALL_BITS, PR_GET_NAME}, {0, "prctl", 0, ALL_BITS, PR_SET_VMA},
	{0, "prctl", 0, ALL_BITS, PR_GET_DUMPABLE}, {0, "prctl", 0, ALL_BITS, PR_GET_SECCOMP},
	{0, "prctl", 0, ALL_BITS, PR_GET_NO_NEW_PRIVS}, {0, "prctl", 0, ALL_BITS, PR_CAPBSET_READ},
	/* descriptors and locks; not: signals to others when something can be read (F_SETOWN) */
	{0, "fcntl", 1, ALL_BITS, F_DUPFD}, {0, "fcntl", 1, ALL_BITS, F_DUPFD_CLOEXEC}, {0, "fcntl", 1, ALL_BITS, F_GETFD},
	{0, "fcntl", 1, ALL_BITS, F_SETFD}, {0, "fcntl", 1, ALL_BITS, F_GETFL}, {0, "fcntl", 1, ALL_BITS, F_SETFL},
	{0, "fcntl", 1, ALL_BITS, F_GETLK}, {0, "fcntl", 1, ALL_BITS, F_SETLK}, {0, "fcntl", 1, ALL_BITS, F_SETLKW},
	{0, "fcntl", 1, ALL_BITS, F_OFD_GETLK}, {0, "fcntl", 1, ALL_BITS, F_OFD_SETLK}, {0, "fcntl", 1, ALL_BITS, F_OFD_SETLKW},
};

static const struct {
	unsigned needs;
	int      family, type, protocol;
} sockets[] = {
	{MAY_UNIX, AF_UNIX, SOCK_STREAM, 0},
	{MAY_UNIX, AF_UNIX, SOCK_DGRAM, 0},
	{MAY_UNIX, AF_UNIX, SOCK_SEQPACKET, 0},
	{MAY_CONNECT, AF_INET, SOCK_STREAM, 0},
	{MAY_CONNECT, AF_INET, SOCK_STREAM, IPPROTO_TCP},
	{MAY_CONNECT, AF_INET6, SOCK_STREAM, 0},
	{MAY_CONNECT, AF_INET6, SOCK_STREAM, IPPROTO_TCP},
	{MAY_RESOLVE, AF_INET, SOCK_DGRAM, 0},
	{MAY_RESOLVE, AF_INET, SOCK_DGRAM, IPPROTO_UDP},
	{MAY_RESOLVE, AF_INET6, SOCK_DGRAM, 0},
	{MAY_RESOLVE, AF_INET6, SOCK_DGRAM, IPPROTO_UDP},
	{MAY_RESOLVE, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, /* getaddrinfo asks which address families the host has */
};

static const unsigned long ioctls[] = {FIONBIO, FIONREAD, FIOCLEX, FIONCLEX, TCGETS, TIOCGWINSZ};

/* Readable for everyone: libraries that load late (name service, providers). */
static const struct jail_path common[] = {
	{"/usr/lib", false}, {"/lib", false},      {"/lib64", false},        {"/usr/share", false},
	{"/etc/ssl", false}, {"/dev/null", true}, {"/dev/urandom", false},
};
static const struct jail_path with_etc[] = {{"/etc", false}, {"/run/systemd/resolve", false}};

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

static int jail_refuse(struct refusal *why, enum jail_role role, const char *doing)
{
	return refuse(why, E_SYS_JAIL, roles[role].name, "cannot %s: %s", doing, strerror(errno));
}

static int assert_single_thread(enum jail_role role, struct refusal *why)
{
	int            n = 0;
	struct dirent *e;
	DIR           *d = opendir("/proc/self/task");
	if (d == NULL)
		return jail_refuse(why, role, "count the threads");
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	if (n != 1)
		return refuse(why, E_SYS_JAIL, roles[role].name, "%d threads run before the lock-in; one is allowed", n);
	return 0;
}

static int drop_capabilities(enum jail_role role, struct refusal *why)
{
	bool held[sizeof(roles[role].caps) / sizeof(int)] = {false};
	capng_get_caps_process();
	bool bounding = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
	for (size_t i = 0; roles[role].caps[i] >= 0; i++)
		held[i] = capng_have_capability(CAPNG_PERMITTED, (unsigned)roles[role].caps[i]) != 0;
	capng_clear(CAPNG_SELECT_ALL);
	for (size_t i = 0; roles[role].caps[i] >= 0; i++)
		if (held[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)roles[role].caps[i]) != 0)
			return jail_refuse(why, role, "choose the capabilities");
	/* without CAP_SETPCAP the bounding set stays; no_new_privs makes it harmless */
	if (capng_apply(bounding ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) != 0)
		return jail_refuse(why, role, "drop the capabilities");
	return 0;
}

/* Header constants end at version 2 on Debian 12. */
enum { ACCESS_TRUNCATE = 1 << 14, ACCESS_IOCTL_DEV = 1 << 15, SCOPE_ABSTRACT_SOCKETS = 1 << 0, SCOPE_SIGNALS = 1 << 1 };
struct landlock_wanted {
	uint64_t files, network, scoped;
};

/* The kernel's Landlock; below 1 = none. */
static long landlock_version(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static uint64_t landlock_rights(long version)
{
	uint64_t rights = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	if (version >= 2)
		rights |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		rights |= ACCESS_TRUNCATE;
	if (version >= 5)
		rights |= ACCESS_IOCTL_DEV;
	return rights;
}

static int landlock_allow(int ruleset, uint64_t all, const struct jail_path *path)
{
	const uint64_t   read_only = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
	const uint64_t   never = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
	const uint64_t   for_files = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE;
	struct stat      st;
	_cleanup_fd_ int fd = open(path->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -1;
	if (fstat(fd, &st) != 0)
		return -1;
	struct landlock_path_beneath_attr rule = {.parent_fd = fd, .allowed_access = all & (path->write ? ~never : read_only)};
	if (!S_ISDIR(st.st_mode))
		rule.allowed_access &= for_files;
	return (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
}

static int landlock_allow_all(int ruleset, uint64_t all, const struct jail_path *paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (landlock_allow(ruleset, all, &paths[i]) != 0)
			return -1;
	return 0;
}

static int limit_files(enum jail_role role, const struct jail_path *paths, size_t n, struct refusal *why)
{
	long version = landlock_version();
	if (version < 1)
		return 0;
	/* from version 6 on also what has no folder: sockets and signals of others. Older kernels know the first word alone */
	uint64_t                     all = landlock_rights(version);
	const struct landlock_wanted wanted = {.files = all, .scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS};
	size_t                       size = version >= 6 ? sizeof(wanted) : sizeof(wanted.files);
	_cleanup_fd_ int             ruleset = (int)syscall(SYS_landlock_create_ruleset, &wanted, size, 0);
	if (ruleset < 0 || landlock_allow_all(ruleset, all, common, N_ELEMENTS(common)) != 0 ||
	    (roles[role].etc && landlock_allow_all(ruleset, all, with_etc, N_ELEMENTS(with_etc)) != 0) ||
	    landlock_allow_all(ruleset, all, paths, n) != 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return jail_refuse(why, role, "limit the file system (Landlock)");
	return 0;
}

static int add_calls(scmp_filter_ctx ctx, unsigned may)
{
	for (size_t i = 0; i < N_ELEMENTS(calls); i++) {
		int nr = seccomp_syscall_resolve_name(calls[i].call);
		if (nr == __NR_SCMP_ERROR || (calls[i].needs != 0 && (calls[i].needs & may) == 0))
			continue; /* other architectures lack some names */
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 0) != 0)
			return -1;
	}
	for (size_t i = 0; i < N_ELEMENTS(ioctls); i++)
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0)) != 0)
			return -1;
	return 0;
}

static int add_judged(scmp_filter_ctx ctx, unsigned may)
{
	for (size_t i = 0; i < N_ELEMENTS(judged); i++) {
		int nr = seccomp_syscall_resolve_name(judged[i].call);
		if (nr == __NR_SCMP_ERROR || (judged[i].needs != 0 && (judged[i].needs & may) == 0))
			continue;
		if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, nr, 1,
				     SCMP_CMP(judged[i].argument, SCMP_CMP_MASKED_EQ, (uint32_t)judged[i].mask,
					      (scmp_datum_t)judged[i].value)) != 0)
			return -1;
	}
	return 0;
}

static int add_sockets(scmp_filter_ctx ctx, unsigned may)
{
	enum { TYPE_BITS = 0xf }; /* the others are SOCK_CLOEXEC and SOCK_NONBLOCK */
	for (size_t i = 0; i < N_ELEMENTS(sockets); i++)
		if ((sockets[i].needs & may) != 0 &&
		    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].family, 0),
				     SCMP_A1(SCMP_CMP_MASKED_EQ, TYPE_BITS, (scmp_datum_t)sockets[i].type),
				     SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)sockets[i].protocol, 0)) != 0)
			return -1;
	return 0;
}

static int filter_calls(enum jail_role role, struct refusal *why)
{
	unsigned        may = roles[role].may;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int             r = ctx == NULL ? -ENOMEM : add_calls(ctx, may);
	if (r == 0)
		r = add_judged(ctx, may);
	if (r == 0)
		r = add_sockets(ctx, may);
	/* a pointer to flags cannot be checked: the C library falls back to clone(2), whose flags can */
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* a process may signal only itself */
	const int signals[] = {SCMP_SYS(kill), SCMP_SYS(tgkill)};
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(signals); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, signals[i], 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
	if (r == 0)
		r = seccomp_load(ctx);
	if (ctx != NULL)
		seccomp_release(ctx);
	errno = -r;
	return r == 0 ? 0 : jail_refuse(why, role, "filter the system calls");
}

/* Sanitizers need ptrace and more at exit; their builds are locked in only where a test asks for it. */
static bool jail_is_off(void)
{
#ifdef VCC_FAULTS
	const char *word = getenv("VCC_JAIL");
#ifdef VCC_SANITIZED
	return word == NULL || !text_equal(word, "on");
#else
	return word != NULL && text_equal(word, "off");
#endif
#else
	return false;
#endif
}

static bool dumps_forbidden(void)
{
	const struct rlimit none = {0, 0};
	return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int jail_no_dump(struct refusal *why)
{
	return jail_is_off() || dumps_forbidden() ? 0 : refuse(why, E_SYS_JAIL, "process", "forbid core dumps: %s", strerror(errno));
}

int jail_enter(enum jail_role role, const struct jail_path *paths, size_t n, struct refusal *why)
{
	if ((size_t)role >= JAIL_ROLE_COUNT)
		return E_INTERNAL;
	(void)clock_steady(); /* what the clocks need is opened now */
	if (jail_is_off())
		return 0;

	int r = assert_single_thread(role, why);
	if (r != 0)
		return r;
	if (!dumps_forbidden())
		return jail_refuse(why, role, "forbid core dumps");
	r = drop_capabilities(role, why);
	if (r != 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return jail_refuse(why, role, "refuse new privileges");
	r = limit_files(role, paths, n, why);
	return r != 0 ? r : filter_calls(role, why);
}
