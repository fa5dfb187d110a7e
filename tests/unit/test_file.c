/* test_file.c - are files written whole or not at all, and never through links? Also clock, fault points, log and notify's
 * edges are used here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

struct place {
	char path[64];
	int  fd;
};

static int setup(void **state)
{
	struct place  *p = calloc(1, sizeof(*p));
	struct refusal why = {0};
	strcpy(p->path, "/tmp/vcc-test-file-XXXXXX");
	assert_non_null(mkdtemp(p->path));
	assert_int_equal(dir_open_safe(p->path, geteuid(), &p->fd, &why), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	int           r = tree_remove(AT_FDCWD, p->path, NULL);
	fd_close(p->fd);
	free(p);
	return r;
}

static mode_t mode_of(int dir, const char *name)
{
	struct stat st;
	assert_int_equal(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mode & 07777;
}

static void refuses_unsafe_paths(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	char           path[128];
	int            fd = -1;
	assert_int_equal(dir_open_safe("relative", 0, &fd, &why), E_SYS_UNSAFE_PATH);
	snprintf(path, sizeof(path), "%s/../x", p->path);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), E_SYS_UNSAFE_PATH);

	assert_int_equal(mkdirat(p->fd, "real", 0755), 0);
	assert_int_equal(symlinkat("real", p->fd, "link"), 0);
	snprintf(path, sizeof(path), "%s/link", p->path);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), E_SYS_UNSAFE_PATH);
	assert_non_null(strstr(why.cause, "link"));

	/* a folder that others may write: as the last part, and on the way */
	assert_int_equal(mkdirat(p->fd, "real/in", 0755), 0);
	assert_int_equal(fchmodat(p->fd, "real", 0775, 0), 0);
	snprintf(path, sizeof(path), "%s/real", p->path);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), E_SYS_UNSAFE_PATH);
	snprintf(path, sizeof(path), "%s/real/in", p->path);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(fchmodat(p->fd, "real", 01777, 0), 0);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), geteuid() == 0 ? 0 : E_SYS_UNSAFE_PATH);
	fd_close(fd);
	fd = -1;
	/* a sticky folder is no place for the files themselves */
	snprintf(path, sizeof(path), "%s/real", p->path);
	assert_int_equal(dir_open_safe(path, geteuid(), &fd, &why), E_SYS_UNSAFE_PATH);
	if (geteuid() == 0) {
		assert_int_equal(fchmodat(p->fd, "real", 0755, 0), 0);
		assert_int_equal(fchownat(p->fd, "real", 12345, 0, 0), 0);
		assert_int_equal(dir_open_safe(path, 0, &fd, &why), E_SYS_UNSAFE_PATH);
		assert_int_equal(dir_open_safe(path, 12345, &fd, &why), 0);
		fd_close(fd);
	}
	assert_int_equal(dir_open_safe("/nonexistent-vcc", 0, &fd, &why), E_NOT_FOUND);
}

static void refuses_bad_reads(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	struct buf     small = BUF_MAX(4);
	struct buf     fits = BUF_MAX(5);
	assert_int_equal(file_create(p->fd, "five", span_text("12345"), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	assert_int_equal(file_read(p->fd, "five", false, &small, &why), E_FULL);
	assert_int_equal(file_read(p->fd, "five", true, &fits, &why), E_CONF_UNSAFE);
	assert_int_equal(file_read(p->fd, "five", false, &fits, &why), 0);
	assert_true(span_equal(buf_span(&fits), span_text("12345")));
	if (geteuid() == 0) { /* an init that was cut short finds what it gave to the service's user */
		buf_reset(&fits);
		assert_int_equal(fchmodat(p->fd, "five", 0600, 0), 0);
		assert_int_equal(fchownat(p->fd, "five", 12345, 0, 0), 0);
		assert_int_equal(file_read(p->fd, "five", true, &fits, &why), 0);
	}
	assert_int_equal(symlinkat("five", p->fd, "soft"), 0);
	assert_int_equal(file_read(p->fd, "soft", false, &fits, &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(file_read(p->fd, "absent", false, &fits, &why), E_NOT_FOUND);
	assert_int_equal(mkfifoat(p->fd, "pipe", 0600), 0);
	assert_int_equal(file_read(p->fd, "pipe", false, &fits, &why), E_SYS_IO); /* does not hang */
	buf_free(&small);
	buf_free(&fits);
}

static void writes_with_exact_mode(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	mode_t         old = umask(077);
	assert_int_equal(file_create(p->fd, "a", span_text("x"), (uid_t)-1, (gid_t)-1, 0644, &why), 0);
	umask(old);
	assert_int_equal(mode_of(p->fd, "a"), 0644);
	assert_int_equal(file_create(p->fd, "a", span_text("y"), (uid_t)-1, (gid_t)-1, 0644, &why), E_EXISTS);
	assert_int_equal(symlinkat("elsewhere", p->fd, "s"), 0);
	assert_int_equal(file_create(p->fd, "s", span_text("y"), (uid_t)-1, (gid_t)-1, 0644, &why), E_EXISTS);
	assert_int_equal(faccessat(p->fd, "elsewhere", F_OK, 0), -1);

	/* replacing puts a new file in the place of a link, and removes a leftover */
	assert_int_equal(file_create(p->fd, ".s.new", span_text("old"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(file_replace(p->fd, "s", span_text("new"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	struct buf got = BUF_MAX(16);
	assert_int_equal(file_read(p->fd, "s", true, &got, &why), 0);
	assert_true(span_equal(buf_span(&got), span_text("new")));
	assert_int_equal(faccessat(p->fd, ".s.new", F_OK, 0), -1);
	buf_free(&got);
}

/* u::rwx, user 65534 rwx, g::r-x, mask rwx, o::r-x */
static const uint8_t acl_for_nobody[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 7, 0, 254, 255, 0, 0, 4, 0,
	                                 5, 0, 255, 255, 255, 255, 16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255};

static void gives_nobody_rights_by_an_acl(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	if (fsetxattr(p->fd, "system.posix_acl_default", acl_for_nobody, sizeof(acl_for_nobody), 0) != 0)
		skip(); /* a file system without ACLs */
	int fd = openat(p->fd, "plain", O_WRONLY | O_CREAT | O_EXCL, 0640);
	assert_true(fd >= 0);
	assert_true(file_has_acl(p->fd, "plain")); /* so it is there to be inherited */
	assert_int_equal(acl_drop(fd), 0);
	close(fd);
	assert_false(file_has_acl(p->fd, "plain"));
	assert_int_equal(file_create(p->fd, "ours", span_text("x"), (uid_t)-1, (gid_t)-1, 0640, &why), 0);
	assert_false(file_has_acl(p->fd, "ours"));
	assert_int_equal(mode_of(p->fd, "ours"), 0640);
	assert_int_equal(acl_drop(p->fd), 0);
}

static void a_refusal_names_the_whole_path(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	char           path[80];
	errno = EACCES;
	assert_int_equal(sys_refuse_at(&why, p->fd, "key.pem", "write the file"), E_SYS_IO);
	snprintf(path, sizeof(path), "%s/key.pem", p->path);
	assert_string_equal(why.object, path);
	assert_string_equal(why.cause, "cannot write the file: Permission denied");
	errno = ENOSPC;
	assert_int_equal(sys_refuse_at(&why, p->fd, ".", "sync the folder"), E_SYS_SPACE);
	assert_string_equal(why.object, p->path);
	assert_string_equal(why.cause, "cannot sync the folder: no space left on its file system");
}

static void flips_links(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	char           to[32] = "";
	assert_int_equal(link_flip(p->fd, "current", "g1", &why), 0);
	assert_int_equal(link_flip(p->fd, "current", "g2", &why), 0);
	assert_int_equal(readlinkat(p->fd, "current", to, sizeof(to)), 2);
	assert_memory_equal(to, "g2", 2);
}

static void removes_trees_but_not_through_links(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	assert_int_equal(mkdirat(p->fd, "keep", 0700), 0);
	assert_int_equal(file_create(p->fd, "keep/f", span_text("x"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(mkdirat(p->fd, "t", 0700), 0);
	assert_int_equal(mkdirat(p->fd, "t/u", 0700), 0);
	assert_int_equal(file_create(p->fd, "t/u/f", span_text("x"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(symlinkat("../keep", p->fd, "t/l"), 0);
	assert_int_equal(tree_remove(p->fd, "t", &why), 0);
	assert_int_equal(faccessat(p->fd, "t", F_OK, 0), -1);
	assert_int_equal(faccessat(p->fd, "keep/f", F_OK, 0), 0);
	assert_int_equal(tree_remove(p->fd, "t", &why), 0); /* missing is fine */
}

static void makes_folders_and_locks(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	char           path[128];
	int            one = -1;
	int            two = -1;
	snprintf(path, sizeof(path), "%s/a/b//c/", p->path);
	mode_t old = umask(077);
	assert_int_equal(dir_make(path, 0750, &why), 0);
	umask(old);
	assert_int_equal(mode_of(p->fd, "a"), 0755);
	assert_int_equal(mode_of(p->fd, "a/b/c"), 0750);
	assert_int_equal(dir_make(path, 0700, &why), 0);
	assert_int_equal(mode_of(p->fd, "a/b/c"), 0750);

	assert_int_equal(dir_lock(p->fd, "lock", &one, &why), 0);
	assert_int_equal(dir_lock(p->fd, "lock", &two, &why), E_SYS_LOCKED);
	fd_close(one);
	assert_int_equal(dir_lock(p->fd, "lock", &two, &why), 0);
	fd_close(two);
}

static void clocks_tell_time(void **state)
{
	(void)state;
	uint8_t a[32] = {0};
	uint8_t b[32] = {0};
	assert_true(clock_now() > INT64_C(1700000000000));
	int64_t first = clock_monotonic_us();
	assert_true(clock_monotonic_us() >= first);
	entropy(a, sizeof(a));
	entropy(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
}

#ifdef VCC_FAULTS
static void failed_writes_leave_nothing(void **state)
{
	struct place  *p = *state;
	struct refusal why = {0};
	struct buf     got = BUF_MAX(16);
	/* armed for the whole process in main(): pass 1 of file_rename fails with ENOSPC */
	assert_int_equal(file_replace(p->fd, "r", span_text("new"), (uid_t)-1, (gid_t)-1, 0600, &why), E_SYS_SPACE);
	assert_int_equal(faccessat(p->fd, "r", F_OK, 0), -1);
	assert_int_equal(faccessat(p->fd, ".r.new", F_OK, 0), -1);
	assert_int_equal(file_replace(p->fd, "r", span_text("new"), (uid_t)-1, (gid_t)-1, 0600, &why), 0);
	assert_int_equal(file_read(p->fd, "r", true, &got, &why), 0);
	buf_free(&got);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef VCC_FAULTS
		cmocka_unit_test_setup_teardown(failed_writes_leave_nothing, setup, teardown),
#endif
		cmocka_unit_test_setup_teardown(refuses_unsafe_paths, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_bad_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(writes_with_exact_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_nobody_rights_by_an_acl, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_names_the_whole_path, setup, teardown),
		cmocka_unit_test_setup_teardown(flips_links, setup, teardown),
		cmocka_unit_test_setup_teardown(removes_trees_but_not_through_links, setup, teardown),
		cmocka_unit_test_setup_teardown(makes_folders_and_locks, setup, teardown),
		cmocka_unit_test(clocks_tell_time),
	};
	setenv("VCC_FAILPOINT", "file_rename@1=err:ENOSPC", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
