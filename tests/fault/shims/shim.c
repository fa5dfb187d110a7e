/* shim.c - loaded into a program by LD_PRELOAD: system calls that fail, stutter or lie, while it runs and as a test says.
 * VCC_SHIM_FILE is a file of the numbers below, mapped before the program locks itself in; the test writes them in place.
 * Never: part of the product. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In the order of tests/lib/shim.py. Counters count calls; what is to fail counts down and fails when it comes to 0. */
struct shim {
	_Atomic int64_t fsync_fails;   /* this fsync or fdatasync from now on fails with EIO, once */
	_Atomic int64_t fsync_skips;   /* not 0: they report success and do nothing */
	_Atomic int64_t fsyncs;
	_Atomic int64_t short_io;      /* not 0: at most one byte is read or written at a time */
	_Atomic int64_t interrupts;    /* not 0: every second call ends with EINTR */
	_Atomic int64_t malloc_fails;  /* this allocation from now on fails, once */
	_Atomic int64_t mallocs;
	_Atomic int64_t no_entropy;    /* not 0: the kernel's generator is not ready */
	_Atomic int64_t entropy_asked; /* while it was not ready */
	_Atomic int64_t failed;        /* how often anything was made to fail */
	_Atomic int64_t call_fails;    /* this call to the kernel from now on fails with EIO, once */
	_Atomic int64_t calls;         /* of those that may be made to fail in that way */
};

static struct shim  nothing;
static struct shim *shim = &nothing;
static _Atomic int64_t calls;

__attribute__((constructor)) static void shim_load(void)
{
	const char *path = getenv("VCC_SHIM_FILE");
	int         fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void       *at = fd >= 0 ? mmap(NULL, sizeof(struct shim), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (fd >= 0)
		close(fd);
	if (at != MAP_FAILED)
		shim = at;
}

/* True for the one call that was counted down to. */
static int falls(_Atomic int64_t *countdown)
{
	if (*countdown <= 0 || atomic_fetch_sub(countdown, 1) != 1)
		return 0;
	shim->failed++;
	return 1;
}

static int interrupted(void)
{
	if (shim->interrupts == 0 || atomic_fetch_add(&calls, 1) % 2 != 0)
		return 0;
	shim->failed++;
	errno = EINTR;
	return 1;
}

/* One call for files, sockets and waiting. */
static int broken(void)
{
	shim->calls++;
	if (!falls(&shim->call_fails))
		return 0;
	errno = EIO;
	return 1;
}

/* Plain files and sockets alone: an event counter or a small write to a pipe is never cut by any kernel. */
static size_t shorter(int fd, size_t n)
{
	struct stat st;
	if (shim->short_io == 0 || n <= 1 || fstat(fd, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISSOCK(st.st_mode)))
		return n;
	shim->failed++;
	return 1;
}

ssize_t write(int fd, const void *p, size_t n)
{
	return interrupted() || broken() ? -1 : syscall(SYS_write, fd, p, shorter(fd, n));
}

ssize_t read(int fd, void *p, size_t n)
{
	return interrupted() || broken() ? -1 : syscall(SYS_read, fd, p, shorter(fd, n));
}

ssize_t __read_chk(int fd, void *p, size_t n, size_t size)
{
	return n > size ? (abort(), -1) : read(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return interrupted() || broken() ? -1 : syscall(SYS_pwrite64, fd, p, shorter(fd, n), at);
}

static int sync_with(long number, int fd)
{
	shim->fsyncs++;
	if (falls(&shim->fsync_fails) || broken()) {
		errno = EIO;
		return -1;
	}
	return shim->fsync_skips != 0 ? 0 : (int)syscall(number, fd);
}

int fsync(int fd)
{
	return sync_with(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return sync_with(SYS_fdatasync, fd);
}

/* As the kernel does before its generator is seeded: who may wait waits. */
static int entropy_is_missing(unsigned flags)
{
	while (shim->no_entropy != 0) {
		shim->entropy_asked++;
		if ((flags & GRND_NONBLOCK) != 0) {
			errno = EAGAIN;
			return 1;
		}
		usleep(20000);
	}
	return 0;
}

ssize_t getrandom(void *p, size_t n, unsigned flags)
{
	return entropy_is_missing(flags) ? -1 : syscall(SYS_getrandom, p, n, flags);
}

int getentropy(void *p, size_t n)
{
	return entropy_is_missing(0) || syscall(SYS_getrandom, p, n, 0) != (long)n ? -1 : 0;
}

/* ---- the others: as they are, or not at all ---- */

/* The C library's own of this name. */
#define REAL(name)                                                            \
	({                                                                    \
		static __typeof__(&name) real;                                \
		if (real == NULL)                                             \
			real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);    \
		real;                                                         \
	})
#define OR_BROKEN(bad, call) return broken() ? (bad) : (call)

int open(const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	OR_BROKEN(-1, REAL(open)(path, flags, mode));
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list args;
	va_start(args, flags);
	mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	OR_BROKEN(-1, REAL(openat)(dir, path, flags, mode));
}

FILE *fopen(const char *path, const char *mode)
{
	OR_BROKEN(NULL, REAL(fopen)(path, mode));
}

int rename(const char *from, const char *to)
{
	OR_BROKEN(-1, REAL(rename)(from, to));
}

int renameat(int a, const char *from, int b, const char *to)
{
	OR_BROKEN(-1, REAL(renameat)(a, from, b, to));
}

int mkdirat(int dir, const char *path, mode_t mode)
{
	OR_BROKEN(-1, REAL(mkdirat)(dir, path, mode));
}

int fchmod(int fd, mode_t mode)
{
	OR_BROKEN(-1, REAL(fchmod)(fd, mode));
}

int ftruncate(int fd, off_t n)
{
	OR_BROKEN(-1, REAL(ftruncate)(fd, n));
}

int fstat(int fd, struct stat *to)
{
	OR_BROKEN(-1, REAL(fstat)(fd, to));
}

int socket(int domain, int type, int protocol)
{
	OR_BROKEN(-1, REAL(socket)(domain, type, protocol));
}

int connect(int fd, const struct sockaddr *to, socklen_t n)
{
	OR_BROKEN(-1, REAL(connect)(fd, to, n));
}

int accept4(int fd, struct sockaddr *from, socklen_t *n, int flags)
{
	OR_BROKEN(-1, REAL(accept4)(fd, from, n, flags));
}

int epoll_create1(int flags)
{
	OR_BROKEN(-1, REAL(epoll_create1)(flags));
}

int epoll_ctl(int fd, int op, int of, struct epoll_event *e)
{
	OR_BROKEN(-1, REAL(epoll_ctl)(fd, op, of, e));
}

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	OR_BROKEN(-1, REAL(poll)(fds, n, ms));
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	OR_BROKEN(-1, REAL(send)(fd, p, n, flags));
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	OR_BROKEN(-1, REAL(recv)(fd, p, n, flags));
}

/* ---- memory: the C library's own, by its other names ---- */

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

static int no_memory(void)
{
	shim->mallocs++;
	if (!falls(&shim->malloc_fails))
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t n)
{
	return no_memory() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return no_memory() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return no_memory() ? NULL : __libc_realloc(p, n);
}
