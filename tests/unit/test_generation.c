/* test_generation.c - does `current` always name one whole matching set, and does nothing of a failed write stay?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/keeper/generation.h"
#include "shared/base/times.h"
#include "shared/sys/file.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy          h;
static struct key               *key;
static struct buf                leaf = BUF_MAX(CERT_DER_MAX);
static struct generation_content content;
static struct made               made;
static char                      folder[64];
static int                       fd = -1;

static int setup(void **state)
{
	(void)state;
	struct cert_facts f;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	assert_int_equal(key_make(KEY_EC_P256, &key), 0);
	hierarchy_facts(&h, LEAF_SERVICE, key, MS_DAY, 7, &f);
	assert_int_equal(hierarchy_issue(&h, &f, &leaf, NULL), 0);
	content = (struct generation_content){
		.key = key,
		.certificate = buf_span(&leaf),
		.chain = hierarchy_der(&h, ISSUER_SERVICE),
		.roots = hierarchy_der(&h, ISSUER_ROOT),
		.uid = (uid_t)-1,
		.gid = (gid_t)-1,
		.mode = 0640,
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_free(&leaf);
	key_free(key);
	hierarchy_free(&h);
	return 0;
}

static int each(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/vcc-generation-XXXXXX");
	assert_non_null(mkdtemp(folder));
	chmod(folder, 0755);
	struct refusal why;
	return generation_dir(folder, &fd, &why);
}

static int each_end(void **state)
{
	(void)state;
	int at = open("/tmp", O_RDONLY | O_DIRECTORY);
	assert_int_equal(tree_remove(at, folder + 5, NULL), 0);
	close(at);
	close(fd);
	return 0;
}

static void write_one(uint64_t number)
{
	struct refusal why = {.code = 0};
	assert_int_equal(generation_write(fd, number, &content, &made, &why), 0);
}

static uint64_t current(void)
{
	uint64_t       n = 99;
	struct refusal why;
	assert_int_equal(generation_current(fd, &n, &why), 0);
	return n;
}

static bool exists(const char *name)
{
	struct stat st;
	return fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void whole_set(void **state)
{
	(void)state;
	struct generation_facts facts;
	struct refusal          why;
	struct stat             st;
	umask(0077); /* modes are as configured, whatever the umask */
	write_one(1);
	umask(0022);
	assert_int_equal(current(), 0);
	assert_int_equal(generation_flip(fd, 1, &why), 0);
	assert_int_equal(current(), 1);
	assert_int_equal(generation_read(fd, 1, &facts, &why), 0);
	assert_int_equal(facts.info.names.text[0], 'D');
	assert_int_equal(facts.chain.n, content.certificate.n + content.chain.n);
	buf_free(&facts.chain);
	assert_int_equal(fstatat(fd, "g000001/key.pem", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(fstatat(fd, "g000001/ca.pem", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(fstatat(fd, "g000001", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0755);
	assert_false(exists("g000001/combined.pem"));
}

static void combined(void **state)
{
	(void)state;
	struct stat st;
	content.combined = true;
	write_one(1);
	content.combined = false;
	assert_int_equal(fstatat(fd, "g000001/combined.pem", &st, 0), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void number_is_taken(void **state)
{
	(void)state;
	struct refusal why;
	write_one(1);
	assert_int_equal(generation_write(fd, 1, &content, &made, &why), E_EXISTS);
	assert_false(exists(".new-g000001"));
}

static void leftovers_are_removed(void **state)
{
	(void)state;
	struct refusal why;
	assert_int_equal(mkdirat(fd, ".new-g000007", 0700), 0);
	assert_int_equal(file_create(open(folder, O_RDONLY), "half", SPAN_OF("x"), (uid_t)-1, (gid_t)-1, 0600, NULL), 0);
	assert_int_equal(generation_clean(fd, &why), 0);
	assert_false(exists(".new-g000007"));
	assert_true(exists("half")); /* not ours */
}

static void mismatched_set_is_seen(void **state)
{
	(void)state;
	struct generation_facts facts;
	struct refusal          why = {.code = 0};
	struct key             *other = NULL;
	assert_int_equal(key_make(KEY_EC_P256, &other), 0);
	content.key = other;
	write_one(1);
	content.key = key;
	key_free(other);
	assert_int_equal(generation_read(fd, 1, &facts, &why), E_PKI_MISMATCH);
}

static void flip_into_nothing(void **state)
{
	(void)state;
	struct refusal why;
	write_one(1);
	assert_int_equal(generation_flip(fd, 1, &why), 0);
	assert_int_equal(generation_flip(fd, 2, &why), E_SWAP_TARGET);
	assert_int_equal(current(), 1);
}

static void current_is_something_else(void **state)
{
	(void)state;
	struct refusal why;
	uint64_t       n;
	write_one(1);
	assert_int_equal(symlinkat("../other", fd, "current"), 0);
	assert_int_equal(generation_current(fd, &n, &why), E_SWAP_TARGET);
	unlinkat(fd, "current", 0);
	assert_int_equal(symlinkat("before", fd, "current"), 0);
	assert_int_equal(current(), 0);
	unlinkat(fd, "current", 0);
	assert_int_equal(mkdirat(fd, "current", 0755), 0);
	assert_int_equal(generation_current(fd, &n, &why), E_SWAP_TARGET);
	assert_int_equal(generation_flip(fd, 1, &why), E_SWAP_TARGET);
}

static void names_that_are_not_ours(void **state)
{
	(void)state;
	static const char *const names[] = {"g00001", "g0000001", "g000000", "gabcdef", "g-00001", "g000001x"};
	struct refusal           why;
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		assert_int_equal(mkdirat(fd, names[i], 0755), 0);
	uint64_t highest = 99;
	assert_int_equal(generation_highest(fd, &highest, &why), 0);
	assert_int_equal(highest, 0);
	write_one(1000000);
	assert_int_equal(generation_highest(fd, &highest, &why), 0);
	assert_int_equal(highest, 1000000);
}

static void prune_keeps_what_is_needed(void **state)
{
	(void)state;
	struct refusal why;
	for (uint64_t i = 1; i <= 5; i++)
		write_one(i);
	assert_int_equal(generation_flip(fd, 2, &why), 0); /* a rolled back target */
	assert_int_equal(generation_prune(fd, 1, 2, &why), 0);
	assert_true(exists("g000002"));
	assert_true(exists("g000001"));
	assert_false(exists("g000003"));
	assert_int_equal(generation_remove(fd, 2, &why), E_SWAP_TARGET);
	assert_true(exists("g000002"));
	assert_int_equal(generation_remove(fd, 4, &why), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_set, each, each_end),
		cmocka_unit_test_setup_teardown(combined, each, each_end),
		cmocka_unit_test_setup_teardown(number_is_taken, each, each_end),
		cmocka_unit_test_setup_teardown(leftovers_are_removed, each, each_end),
		cmocka_unit_test_setup_teardown(mismatched_set_is_seen, each, each_end),
		cmocka_unit_test_setup_teardown(flip_into_nothing, each, each_end),
		cmocka_unit_test_setup_teardown(current_is_something_else, each, each_end),
		cmocka_unit_test_setup_teardown(names_that_are_not_ours, each, each_end),
		cmocka_unit_test_setup_teardown(prune_keeps_what_is_needed, each, each_end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
