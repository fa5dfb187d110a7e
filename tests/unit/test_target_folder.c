/* test_target_folder.c - is the folder of a new target whole, the keeper's, and nobody else's before it is? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/target_folder.h"
#include "tests/lib/conf_kit.h"

enum { KEEPER = 4711, GROUP = 4712 };

static struct span text(const char *t)
{
	return (struct span){(const uint8_t *)t, strlen(t)};
}

static struct target_before pair(void)
{
	return (struct target_before){
		.key = text("K"), .cert = text("C"), .fullchain = text("F"), .uid = geteuid(), .gid = getegid(), .mode = 0640};
}

static mode_t mode_of(const char *path, uid_t *ret_uid)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return 0;
	*ret_uid = st.st_uid;
	return st.st_mode & 07777;
}

static void made(void **state)
{
	struct conf_kit     *k = *state;
	struct refusal       why = {.code = 0};
	struct target_before b = pair();
	uid_t                keeper = geteuid() == 0 ? KEEPER : geteuid();
	gid_t                group = geteuid() == 0 ? GROUP : getegid();
	uid_t                uid = (uid_t)-1;
	char                 dir[128];
	char                 path[256];
	char                 link[32] = "";
	snprintf(dir, sizeof(dir), "%s/targets/web", k->dir);
	assert_int_equal(chmod(k->dir, 0755), 0);
	assert_int_equal(target_folder_make(dir, keeper, group, &b, &why), 0); /* and the folder around it */
	assert_int_equal(mode_of(dir, &uid), 0755);
	assert_int_equal(uid, keeper);
	snprintf(path, sizeof(path), "%s/current", dir);
	assert_int_equal(readlink(path, link, sizeof(link) - 1), 6);
	assert_string_equal(link, "before");
	snprintf(path, sizeof(path), "%s/before/key.pem", dir);
	assert_int_equal(mode_of(path, &uid), 0640);
	assert_int_equal(uid, geteuid());
	snprintf(path, sizeof(path), "%s/before/fullchain.pem", dir);
	assert_int_equal(mode_of(path, &uid), 0644);
	snprintf(path, sizeof(path), "%s/before/chain.pem", dir);
	assert_int_equal(mode_of(path, &uid), 0); /* what the service does not read is not there */

	assert_int_equal(target_folder_make(dir, keeper, group, &b, &why), E_EXISTS);
	assert_int_equal(target_folder_remove(dir, keeper, &why), 0);
	assert_int_equal(mode_of(dir, &uid), 0);
	assert_int_equal(target_folder_remove(dir, keeper, &why), 0);
	snprintf(dir, sizeof(dir), "%s/none/web", k->dir);
	assert_int_equal(target_folder_remove(dir, keeper, &why), 0);
	snprintf(dir, sizeof(dir), "%s/none", k->dir);
	assert_int_equal(mode_of(dir, &uid), 0); /* and was not made for that */
}

static void must_refuse(void **state)
{
	struct conf_kit     *k = *state;
	struct refusal       why = {.code = 0};
	struct target_before b = pair();
	char                 dir[128];
	char                 link[128];
	snprintf(dir, sizeof(dir), "%s/web", k->dir);
	assert_int_equal(chmod(k->dir, 0777), 0);
	assert_int_equal(target_folder_make(dir, geteuid(), getegid(), &b, &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(chmod(k->dir, 0755), 0);
	/* a link where the folder should be, and one on the way */
	snprintf(link, sizeof(link), "%s/link", k->dir);
	assert_int_equal(symlink("/etc", dir), 0);
	assert_int_equal(target_folder_make(dir, geteuid(), getegid(), &b, &why), E_EXISTS);
	assert_int_equal(unlink(dir), 0);
	assert_int_equal(symlink(k->dir, link), 0);
	snprintf(dir, sizeof(dir), "%s/link/web", k->dir);
	assert_int_equal(target_folder_make(dir, geteuid(), getegid(), &b, &why), E_SYS_UNSAFE_PATH);
	assert_int_equal(target_folder_make("web", geteuid(), getegid(), &b, &why), E_SURVEY_UNSAFE);
	assert_int_equal(target_folder_make("/web", geteuid(), getegid(), &b, &why), E_SURVEY_UNSAFE);
	/* somebody else's folder */
	if (geteuid() == 0) {
		snprintf(dir, sizeof(dir), "%s/web", k->dir);
		assert_int_equal(chown(k->dir, 4713, 0), 0);
		assert_int_equal(target_folder_make(dir, KEEPER, GROUP, &b, &why), E_SYS_UNSAFE_PATH);
		assert_int_equal(target_folder_remove(dir, KEEPER, &why), E_SYS_UNSAFE_PATH);
		assert_int_equal(chown(k->dir, 0, 0), 0);
	}
}

static void readers(void **state)
{
	struct conf_kit *k = *state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(k->dir, 0755), 0);
	conf_kit_file(k, "key", "K");
	const char *path = conf_kit_path(k, "key");
	assert_int_equal(chown(path, 0, 4711), 0);
	assert_int_equal(chmod(path, 0640), 0);
	assert_true(target_readable(path, 1000, 4711));
	assert_false(target_readable(path, 1000, 1000));
	assert_int_equal(chmod(k->dir, 0700), 0);
	assert_false(target_readable(path, 1000, 4711)); /* the way there counts */
	assert_int_equal(geteuid(), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, conf_kit_setup, conf_kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(made), TEST(must_refuse), TEST(readers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
