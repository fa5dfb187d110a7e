/* test_as_user.c - does root see only what the other user sees, and all again afterwards? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/as_user.h"
#include "agent/survey/source.h"
#include "tests/lib/conf_kit.h"

static int reads(const char *path)
{
	struct buf to = BUF_MAX(100);
	int        r = source_pem(path, &to, NULL);
	buf_free(&to);
	return r;
}

static void files(void **state)
{
	const struct passwd *nobody = getpwnam("nobody");
	struct conf_kit     *k = *state;
	struct as_user       me;
	struct refusal       why = {.code = 0};
	const gid_t          extra[] = {0, 4711};
	if (geteuid() != 0 || nobody == NULL)
		skip();
	const uid_t uid = nobody->pw_uid;
	const gid_t gid = nobody->pw_gid;
	conf_kit_file(k, "key", "secret\n");
	const char *path = conf_kit_path(k, "key");
	assert_int_equal(chmod(k->dir, 0755), 0);
	assert_int_equal(setgroups(2, extra), 0);

	assert_int_equal(chown(path, 0, 4711), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(as_user_begin(uid, &me, &why), 0);
	assert_int_equal(geteuid(), uid);
	assert_int_equal(reads(path), E_SYS_IO); /* a group of ours is none of his */
	as_user_end(&me);
	assert_int_equal(geteuid(), 0);
	assert_int_equal(getegid(), 0);
	assert_int_equal(getgroups(0, NULL), 2);
	assert_int_equal(reads(path), 0);

	assert_int_equal(chown(path, 0, gid), 0);
	assert_int_equal(as_user_begin(uid, &me, &why), 0);
	assert_int_equal(reads(path), 0);
	as_user_end(&me);

	assert_int_equal(as_user_begin((uid_t)-2, &me, &why), nobody->pw_uid == (uid_t)-2 ? 0 : E_SYS_IO);
	as_user_end(&me);
	assert_int_equal(geteuid(), 0);
	assert_int_equal(setgroups(0, NULL), 0);
}

/* What is no plain file is not even opened: a pipe would tell its reader. */
static void devices(void **state)
{
	struct conf_kit *k = *state;
	assert_int_equal(reads("/dev/null"), E_SURVEY_UNSAFE);
	assert_int_equal(reads(k->dir), E_SURVEY_UNSAFE);
	assert_int_equal(mkfifo(conf_kit_path(k, "pipe"), 0600), 0);
	assert_int_equal(reads(conf_kit_path(k, "pipe")), E_SURVEY_UNSAFE);
	assert_int_equal(reads(conf_kit_path(k, "none")), E_NOT_FOUND);
	assert_int_equal(open(conf_kit_path(k, "pipe"), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
	assert_int_equal(errno, ENXIO);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(files), TEST(devices)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
