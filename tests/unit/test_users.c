/* test_users.c - are names of users and groups found in the local files, and strangers nowhere? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <pwd.h>

#include "shared/sys/users.h"

enum { UNTOUCHED = 4242 };

static void root_is_a_local_user(void **state)
{
	(void)state;
	uid_t uid = UNTOUCHED;
	gid_t gid = UNTOUCHED;
	assert_int_equal(user_id_local("root", &uid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(group_id("root", &gid), 0);
	assert_int_equal(gid, 0);
}

/* Every row of the files, by the library's own reading of them. */
static void all_rows_are_found(void **state)
{
	(void)state;
	size_t         n = 0;
	struct passwd *user;
	struct group  *group;
	setpwent();
	while ((user = getpwent()) != NULL) {
		uid_t uid = UNTOUCHED;
		assert_int_equal(user_id(user->pw_name, &uid), 0);
		assert_int_equal(uid, user->pw_uid);
		n++;
	}
	endpwent();
	setgrent();
	while ((group = getgrent()) != NULL) {
		gid_t gid = UNTOUCHED;
		assert_int_equal(group_id(group->gr_name, &gid), 0);
		assert_int_equal(gid, group->gr_gid);
		n++;
	}
	endgrent();
	assert_true(n >= 2);
}

static void strangers_are_refused(void **state)
{
	static const char *const names[] = {"", ":", "root:", "nobody-of-that-name", "roo", "rootx", "root\n"};
	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uid_t uid = UNTOUCHED;
		gid_t gid = UNTOUCHED;
		assert_int_equal(user_id(names[i], &uid), E_NOT_FOUND);
		assert_int_equal(user_id_local(names[i], &uid), E_NOT_FOUND);
		assert_int_equal(group_id(names[i], &gid), E_NOT_FOUND);
		assert_int_equal(uid, UNTOUCHED);
		assert_int_equal(gid, UNTOUCHED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_a_local_user),
		cmocka_unit_test(all_rows_are_found),
		cmocka_unit_test(strangers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
