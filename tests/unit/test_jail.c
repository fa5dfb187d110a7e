/* test_jail.c - is a role really locked in: no programs, no foreign files, only its own kinds of sockets, one thread before? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/sys/file.h"
#include "shared/sys/jail.h"

/* Each check runs in its own child and ends it with 0 or the line that was wrong. */
#define WANT(condition)                                                                                               \
	do {                                                                                                          \
		if (!(condition)) {                                                                                   \
			fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #condition, errno);                     \
			_exit(1);                                                                                     \
		}                                                                                                     \
	} while (0)

static char inside[64];
static char outside[64];

static void lock_in(enum jail_role role)
{
	struct refusal         why = {0};
	const struct jail_path paths[] = {{inside, true}, {"/nonexistent", false}};
	int                    r = jail_enter(role, paths, N_ELEMENTS(paths), &why);
	if (r != 0)
		fprintf(stderr, "%s: %s\n", why.object, why.cause);
	WANT(r == 0);
}

static void run(void (*check)(enum jail_role), enum jail_role role)
{
	int   status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		check(role);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("role %d: child ended with %d", (int)role, status);
}

static void *thread_body(void *ctx)
{
	return ctx;
}

static void check_everything_forbidden(enum jail_role role)
{
	char *const    argv[] = {"/bin/true", NULL};
	char           path[128];
	struct rlimit  core;
	lock_in(role);
	WANT(execve("/bin/true", argv, NULL) == -1 && errno == EPERM);
	WANT(fork() == -1);
	WANT(kill(getppid(), SIGUSR1) == -1 && errno == EPERM);
	WANT(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0);
	WANT(prctl(PR_GET_DUMPABLE) == 0);
	WANT(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	WANT(prctl(PR_GET_SECCOMP) == 2);
	WANT(chroot("/") == -1 && errno == EPERM);
	WANT(open(outside, O_RDONLY | O_CLOEXEC) == -1 && errno == EACCES);
	WANT(open("/root", O_RDONLY | O_DIRECTORY | O_CLOEXEC) == -1 && errno == EACCES);
	snprintf(path, sizeof(path), "%s/new", inside);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	bool changes = role != JAIL_DIALER;
	WANT(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && (ftruncate(fd, 0) == 0) == changes);
	WANT((unlink(path) == 0) == changes);
	WANT(socket(AF_PACKET, SOCK_RAW, 0) == -1 && errno == EPERM);
}

static void check_sockets(enum jail_role role)
{
	bool local = role != JAIL_SIGNER && role != JAIL_DIALER;
	bool internet = role == JAIL_CONTROLLER || role == JAIL_LINK || role == JAIL_DIALER;
	int  fd = socket(AF_UNIX, SOCK_STREAM, 0);
	lock_in(role);
	WANT((socket(AF_UNIX, SOCK_STREAM, 0) >= 0) == local);
	WANT((socket(AF_INET, SOCK_STREAM, 0) >= 0) == internet);
	WANT((socket(AF_INET6, SOCK_STREAM, 0) >= 0) == internet);
	if (role != JAIL_CONTROLLER)
		WANT(listen(fd, 1) == -1 && errno == EPERM);
}

static void check_threads(enum jail_role role)
{
	pthread_t t;
	lock_in(role);
	bool may = role == JAIL_CONTROLLER || role == JAIL_KEEPER || role == JAIL_SIGNER || role == JAIL_SIGNER_LOCAL;
	int  r = pthread_create(&t, NULL, thread_body, NULL);
	WANT((r == 0) == may);
	if (r == 0)
		WANT(pthread_join(t, NULL) == 0);
}

static void *thread_waits(void *ctx)
{
	pause();
	return ctx;
}

static void check_second_thread_refused(enum jail_role role)
{
	pthread_t      t;
	struct refusal why = {0};
	WANT(pthread_create(&t, NULL, thread_waits, NULL) == 0);
	WANT(jail_enter(role, NULL, 0, &why) == E_SYS_JAIL);
	WANT(strstr(why.cause, "2 threads") != NULL);
}

/* The kernel's own word for it, as the system test reads it for the real processes. */
static void check_capabilities(enum jail_role role)
{
	char line[256];
	int  status = open("/proc/self/status", O_RDONLY | O_CLOEXEC); /* before the lock-in: /proc is out of reach then */
	lock_in(role);
	ssize_t n;
	char    text[4096];
	WANT((n = read(status, text, sizeof(text) - 1)) > 0);
	text[n] = '\0';
	const char *eff = strstr(text, "CapEff:");
	WANT(eff != NULL && sscanf(eff, "CapEff: %255s", line) == 1);
	unsigned long long caps = strtoull(line, NULL, 16);
	if (role == JAIL_KEEPER)
		WANT((caps & ~UINT64_C(0xf)) == 0); /* chown, dac_override, dac_read_search, fowner */
	else
		WANT(caps == 0);
}

static void every_role(void (*check)(enum jail_role))
{
	for (int role = 0; role < JAIL_ROLE_COUNT; role++)
		run(check, (enum jail_role)role);
}

static void forbids_what_nobody_needs(void **state)
{
	(void)state;
	every_role(check_everything_forbidden);
}

static void limits_sockets_by_role(void **state)
{
	(void)state;
	every_role(check_sockets);
}

static void threads_only_where_needed(void **state)
{
	(void)state;
	every_role(check_threads);
}

static void wants_one_thread(void **state)
{
	(void)state;
	run(check_second_thread_refused, JAIL_KEEPER);
}

static void drops_capabilities(void **state)
{
	(void)state;
	every_role(check_capabilities);
}

static int setup(void **state)
{
	(void)state;
	strcpy(inside, "/tmp/vcc-test-jail-XXXXXX");
	setenv("VCC_JAIL", "on", 1);
	if (mkdtemp(inside) == NULL)
		return -1;
	strcpy(outside, "/tmp/vcc-test-jail-file-XXXXXX");
	int fd = mkstemp(outside);
	fd_close(fd);
	return fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	unlink(outside);
	return tree_remove(AT_FDCWD, inside, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbids_what_nobody_needs), cmocka_unit_test(limits_sockets_by_role),
		cmocka_unit_test(threads_only_where_needed), cmocka_unit_test(wants_one_thread),
		cmocka_unit_test(drops_capabilities),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
