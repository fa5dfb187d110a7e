/* test_owner.c - does root leave root behind, and only where the folder is somebody's? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/sys/owner.h"

enum { SOMEBODY = 54321 };

static char folder[64];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/test_owner.XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return rmdir(folder);
}

/* Who one is afterwards, asked in a child: there is no way back. 0 = as expected. */
static int child_status(const char *dir, uid_t uid, gid_t gid)
{
	int   status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		struct refusal why = {.code = 0};
		if (owner_become(dir, &why) != 0)
			_exit(1);
		if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
			_exit(2);
		if (uid != 0 && (setuid(0) == 0 || getgroups(0, NULL) != 0))
			_exit(3);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void own_folder_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(child_status(folder, geteuid(), getegid()), 0);
}

static void missing_folder_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(child_status("/nowhere/at/all", geteuid(), getegid()), 0);
}

static void root_becomes_the_owner_for_good(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chown(folder, SOMEBODY, SOMEBODY + 1), 0);
	assert_int_equal(child_status(folder, SOMEBODY, SOMEBODY + 1), 0);
	assert_int_equal(chown(folder, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(own_folder_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_folder_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(root_becomes_the_owner_for_good, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
