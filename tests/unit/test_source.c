/* test_source.c - may a path that root names again later be turned elsewhere by somebody else? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/source.h"
#include "shared/sys/file.h"

static char base[64];

static int setup(void **state)
{
	(void)state;
	strcpy(base, "/tmp/vcc-source-XXXXXX");
	return mkdtemp(base) != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	_cleanup_fd_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree_remove(dir, base + 1, NULL);
}

static const char *below(const char *name)
{
	static char path[4][PATH_MAX];
	static int  i;
	i = (i + 1) % 4;
	snprintf(path[i], PATH_MAX, "%s/%s", base, name);
	return path[i];
}

static void make(const char *name)
{
	_cleanup_fd_ int fd = open(below(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
}

static int way(const char *name)
{
	struct refusal why = {.code = 0};
	int            r = source_way(below(name), geteuid(), &why);
	assert_int_equal(why.code, r);
	return r;
}

static void good_ways(void **state)
{
	(void)state;
	assert_int_equal(mkdir(below("etc"), 0755), 0);
	make("etc/n.conf");
	assert_int_equal(symlink("etc", below("link")), 0);
	assert_int_equal(symlink("../etc/n.conf", below("etc/again.conf")), 0);
	assert_int_equal(symlink(below("link/again.conf"), below("whole.conf")), 0);
	assert_int_equal(way("etc/n.conf"), 0);
	assert_int_equal(way("etc/./..//etc/n.conf"), 0);
	assert_int_equal(way("link/n.conf"), 0);
	assert_int_equal(way("whole.conf"), 0);
	assert_int_equal(way("etc"), 0);
	assert_int_equal(source_way("/", 0, NULL), 0);
}

static void no_ways(void **state)
{
	struct refusal why = {.code = 0};
	(void)state;
	assert_int_equal(way("etc/none.conf"), E_NOT_FOUND);
	assert_int_equal(symlink("round", below("round")), 0);
	assert_int_equal(way("round"), E_SURVEY_LIMIT);
	assert_int_equal(source_way("etc/n.conf", 0, &why), E_SURVEY_UNSAFE);
	assert_int_equal(source_way("", 0, &why), E_SURVEY_UNSAFE);
}

/* The file is ours, and so is the link in our folder; but one part of the way is not. */
static void ways_of_others(void **state)
{
	(void)state;
	assert_int_equal(mkdir(below("open"), 0755), 0);
	assert_int_equal(symlink(below("etc/n.conf"), below("open/turn.conf")), 0);
	assert_int_equal(symlink(below("open/turn.conf"), below("mine.conf")), 0);
	assert_int_equal(way("mine.conf"), 0);
	assert_int_equal(chmod(below("open"), 0777), 0);
	assert_int_equal(way("open/turn.conf"), E_SURVEY_UNSAFE);
	assert_int_equal(way("mine.conf"), E_SURVEY_UNSAFE);
	assert_int_equal(chmod(below("open"), 0755), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(lchown(below("open/turn.conf"), 4711, 4711), 0);
	assert_int_equal(way("mine.conf"), E_SURVEY_UNSAFE);
	assert_int_equal(source_way(below("mine.conf"), 4711, NULL), 0);
	assert_int_equal(lchown(below("open/turn.conf"), 0, 0), 0);
	assert_int_equal(chown(below("open"), 4711, 4711), 0);
	assert_int_equal(way("mine.conf"), E_SURVEY_UNSAFE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_ways),
		cmocka_unit_test(no_ways),
		cmocka_unit_test(ways_of_others),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
