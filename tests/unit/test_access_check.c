/* test_access_check.c - is a key that the service's user could not read found before the flip?
 * Never: changing user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/keeper/access_check.h"
#include "shared/base/attr.h"

static char folder[64], inner[80], file[96];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/vcc-access-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(inner, sizeof(inner), "%s/in", folder);
	snprintf(file, sizeof(file), "%s/key", inner);
	assert_int_equal(mkdir(inner, 0755), 0);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(file);
	rmdir(inner);
	rmdir(folder);
	return 0;
}

static void rows(void **state)
{
	(void)state;
	struct stat st;
	stat(file, &st);
	uid_t own = st.st_uid;
	gid_t group = st.st_gid;
	uid_t stranger = 4711;
	gid_t foreign = 4712;
	const struct {
		mode_t outer, inner, file;
		uid_t  uid;
		gid_t  gid;
		int    code;
	} table[] = {
		{0700, 0700, 0600, 0, 0, 0}, /* root reads everything */
		{0755, 0755, 0640, stranger, foreign, E_SWAP_ACCESS},
		{0755, 0755, 0644, stranger, foreign, 0},
		{0750, 0755, 0644, stranger, foreign, E_SWAP_ACCESS}, /* may not even get there */
		{0755, 0700, 0644, stranger, foreign, E_SWAP_ACCESS},
		{0755, 0755, 0604, 0, foreign, 0},
		{0755, 0711, 0644, stranger, foreign, 0},
		{0755, 0755, 0644, stranger, foreign, 0},
	};
	for (size_t i = 0; i < N_ELEMENTS(table); i++) {
		struct refusal why = {.code = 0};
		chmod(folder, table[i].outer);
		chmod(inner, table[i].inner);
		chmod(file, table[i].file);
		assert_int_equal(access_check(file, table[i].uid, table[i].gid, &why), table[i].code);
		if (table[i].code != 0)
			assert_true(why.object[0] == '/');
	}
	/* the first class that fits decides: a group that may not read is not helped by what others may */
	chmod(folder, 0755);
	chmod(inner, 0755);
	if (group != 0) {
		chmod(file, 0604);
		assert_int_equal(access_check(file, 0, group, NULL), E_SWAP_ACCESS);
	}
	if (own != 0) {
		chmod(file, 0044);
		assert_int_equal(access_check(file, own, foreign, NULL), E_SWAP_ACCESS);
	}
	chmod(file, 0600);
}

static void names(void **state)
{
	(void)state;
	uid_t          uid = 9;
	gid_t          gid = 9;
	struct refusal why;
	assert_int_equal(access_owner("root", "root", &uid, &gid, &why), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(gid, 0);
	assert_int_equal(access_owner("no-such-user", "root", &uid, &gid, &why), E_SWAP_TARGET);
	assert_int_equal(access_owner("root", "no-such-group", &uid, &gid, &why), E_SWAP_TARGET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(rows, setup, teardown), cmocka_unit_test(names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
