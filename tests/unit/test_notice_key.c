/* test_notice_key.c - is the key of links made once and read again, and does nobody get one that was not stored?
 * Never: links. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "controller/daemon/notice_key.h"

static char folder[] = "/tmp/vcc-test-notice-key-XXXXXX", file[sizeof(folder) + 16];

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/notice.key", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	(void)unlink(file);
	return rmdir(folder); /* nothing half written is left in it */
}

/* Files of the process may hold so many bytes. */
static void room_for(rlim_t bytes)
{
	struct rlimit l;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void test_a_key_is_given_when_it_is_stored(void **state)
{
	uint8_t        key[HMAC_KEY_SIZE], again[HMAC_KEY_SIZE], untouched[HMAC_KEY_SIZE];
	struct refusal why = {.code = 0};
	struct rlimit  before;
	struct stat    st;
	(void)state;
	memset(key, 0xaa, sizeof(key));
	memset(untouched, 0xaa, sizeof(untouched));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	room_for(HMAC_KEY_SIZE - 1);
	int r = notice_key_open(folder, key, &why);
	room_for(before.rlim_cur);
	assert_true(r < 0 && why.code == r);
	assert_memory_equal(key, untouched, sizeof(key));
	assert_int_equal(access(file, F_OK), -1);

	assert_int_equal(notice_key_open(folder, key, &why), 0);
	assert_memory_not_equal(key, untouched, sizeof(key));
	assert_int_equal(stat(file, &st), 0);
	assert_true((st.st_mode & 0777) == 0600 && st.st_size == HMAC_KEY_SIZE);
	assert_int_equal(notice_key_open(folder, again, &why), 0);
	assert_memory_equal(key, again, sizeof(key));
}

static void test_another_length_is_refused(void **state)
{
	uint8_t        key[HMAC_KEY_SIZE], before[HMAC_KEY_SIZE] = {7};
	struct refusal why = {.code = 0};
	(void)state;
	for (off_t length = 0; length <= 3 * HMAC_KEY_SIZE; length++) {
		if (length == HMAC_KEY_SIZE)
			continue;
		memcpy(key, before, sizeof(key));
		assert_int_equal(truncate(file, length), 0);
		assert_int_equal(notice_key_open(folder, key, &why), E_CONF_VALUE);
		assert_memory_equal(key, before, sizeof(key));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_is_given_when_it_is_stored),
		cmocka_unit_test(test_another_length_is_refused),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
