/* test_generation.c - does `current` always name one whole matching set, and does nothing of a failed write stay?
 * Never: timings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
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

/* ---- the folder of authorities and lists ------------------------------------------------------------------------- */

static void capath_one(struct buf *lists)
{
	struct buf der = BUF_MAX(1 << 20);
	assert_int_equal(issue_crl(h.ca[ISSUER_ROOT], 1, NOW, NOW + MS_DAY, NULL, NULL, 0, &der), 0);
	assert_int_equal(crl_pem_add(buf_span(&der), lists), 0);
	buf_free(&der);
	content.crl = buf_span(lists);
	content.capath = true;
	content.uid = geteuid();
	content.gid = getegid();
	write_one(1);
	content.crl = (struct span){NULL, 0};
	content.capath = false;
	content.uid = (uid_t)-1;
	content.gid = (gid_t)-1;
}

static struct drift drift_of(void)
{
	struct drift   d;
	struct refusal why;
	assert_int_equal(generation_compare(fd, &made, &d, &why), 0);
	return d;
}

/* The name in capath/ that ends so. */
static const char *capath_name(const char *end)
{
	static char name[sizeof("g000001/capath/") + NAME_MAX];
	char        dir[128];
	snprintf(dir, sizeof(dir), "%s/g000001/capath", folder);
	DIR           *d = opendir(dir);
	struct dirent *e;
	assert_non_null(d);
	name[0] = '\0';
	while ((e = readdir(d)) != NULL)
		if (strlen(e->d_name) > 9 && strcmp(e->d_name + 8, end) == 0)
			snprintf(name, sizeof(name), "g000001/capath/%s", e->d_name);
	closedir(d);
	assert_true(name[0] != '\0');
	return name;
}

static void capath_holds(void **state)
{
	(void)state;
	struct stat st;
	struct buf  lists = BUF_MAX(1 << 20);
	struct buf  is = BUF_MAX(1 << 20);
	struct buf  should = BUF_MAX(1 << 20);
	umask(0077);
	capath_one(&lists);
	umask(0022);
	assert_int_equal(drift_of().kind, DRIFT_NONE);
	assert_int_equal(fstatat(fd, "g000001/capath", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISDIR(st.st_mode) && (st.st_mode & 07777) == 0755);
	assert_int_equal(fstatat(fd, capath_name(".0"), &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0644);
	assert_int_equal(file_read(fd, capath_name(".0"), false, &is, NULL), 0);
	assert_int_equal(file_read(fd, "g000001/ca.pem", false, &should, NULL), 0);
	assert_true(span_equal(buf_span(&is), buf_span(&should)));
	buf_reset(&is);
	assert_int_equal(file_read(fd, capath_name(".r0"), false, &is, NULL), 0);
	assert_true(span_equal(buf_span(&is), buf_span(&lists)));
	assert_int_equal(generation_remove(fd, 1, NULL), 0);
	assert_false(exists("g000001"));
	buf_free(&lists);
	buf_free(&is);
	buf_free(&should);
}

static void capath_must_be_possible(void **state)
{
	(void)state;
	struct refusal why = {.code = 0};
	content.crl = span_text("-----BEGIN X509 CRL-----\nnothing\n");
	content.capath = true;
	assert_int_equal(generation_write(fd, 1, &content, &made, &why), E_PKI_CRL);
	assert_string_equal(why.object, "capath");
	content.crl = (struct span){NULL, 0};
	content.capath = false;
	assert_false(exists("g000001"));
	assert_false(exists(".new-g000001"));
}

static void overwrite(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int tamper_bytes(const char *name)
{
	overwrite(name, "x");
	return 0;
}

static int tamper_delete(const char *name)
{
	return unlinkat(fd, name, 0);
}

static int tamper_mode(const char *name)
{
	return fchmodat(fd, name, 0666, 0);
}

static int tamper_over(const char *name)
{
	overwrite("elsewhere", "x");
	return renameat(fd, "elsewhere", fd, name) != 0 ? -1 : fchmodat(fd, name, 0600, 0); /* also other settings: one file differs */
}

static int tamper_links(const char *name)
{
	return linkat(fd, name, fd, "elsewhere", 0);
}

static int tamper_type(const char *name)
{
	return unlinkat(fd, name, 0) != 0 ? -1 : symlinkat("/etc/hostname", fd, name);
}

static int tamper_add(const char *name)
{
	(void)name;
	overwrite("g000001/capath/12345678.0", "x"); /* an authority that nobody gave out */
	return 0;
}

static int tamper_add_long(const char *name)
{
	(void)name;
	overwrite("g000001/capath/a n\x80me\nthat none of ours can have", "x");
	return 0;
}

static int tamper_folder(const char *name)
{
	(void)name;
	return renameat(fd, "g000001/capath", fd, "g000001/elsewhere");
}

static int tamper_folder_mode(const char *name)
{
	(void)name;
	return fchmodat(fd, "g000001/capath", 0700, 0);
}

static int tamper_both(const char *name)
{
	overwrite("g000001/ca.pem", "x"); /* what the folder follows from */
	return unlinkat(fd, name, 0);
}

static void capath_changes_are_found(void **state)
{
	(void)state;
	static const struct {
		int (*tamper)(const char *name);
		enum drift_kind kind;
		const char     *file;
		uint32_t        files;
		bool            bytes;
	} want[] = {
		{tamper_bytes, DRIFT_BYTES, NULL, 1, true},
		{tamper_delete, DRIFT_MISSING, NULL, 1, true},
		{tamper_mode, DRIFT_MODE, NULL, 1, false},
		{tamper_over, DRIFT_BYTES, NULL, 1, true},
		{tamper_links, DRIFT_LINKS, NULL, 1, false},
		{tamper_type, DRIFT_TYPE, NULL, 1, true},
		{tamper_add, DRIFT_ADDED, "capath/12345678.0", 1, true},
		{tamper_add_long, DRIFT_ADDED, "capath/a n?me?that none", 1, true},
		{tamper_folder, DRIFT_MISSING, "capath", 1, true},
		{tamper_folder_mode, DRIFT_MODE, "capath", 1, false},
		{tamper_both, DRIFT_BYTES, "ca.pem", 2, true},
	};
	for (size_t i = 0; i < N_ELEMENTS(want); i++) {
		struct buf lists = BUF_MAX(1 << 20);
		capath_one(&lists);
		char name[64];
		snprintf(name, sizeof(name), "%s", capath_name(i % 2 == 0 ? ".0" : ".r0"));
		assert_int_equal(want[i].tamper(name), 0);
		struct drift d = drift_of();
		if (d.kind != want[i].kind || d.files != want[i].files || d.bytes != want[i].bytes ||
		    strncmp(d.file, want[i].file != NULL ? want[i].file : name + strlen("g000001/"), GENERATION_FILE_SIZE - 1) != 0)
			fail_msg("case %zu: %d `%s` of %u", i, d.kind, d.file, d.files);
		assert_int_equal(generation_remove(fd, 1, NULL), 0);
		(void)unlinkat(fd, "elsewhere", 0);
		buf_free(&lists);
	}
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
		cmocka_unit_test_setup_teardown(capath_holds, each, each_end),
		cmocka_unit_test_setup_teardown(capath_must_be_possible, each, each_end),
		cmocka_unit_test_setup_teardown(capath_changes_are_found, each, each_end),
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
