/* test_journal.c - does the journal give back every durable record after any cut, and refuse damage? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/sys/file.h"
#include "shared/sys/journal.h"

static char dir_path[64];
static int  dir;

struct seen {
	size_t n;
	char   text[64][32];
};

static int collect(void *ctx, struct span record)
{
	struct seen *s = ctx;
	assert_true(s->n < 64);
	if (record.n < 32) {
		memcpy(s->text[s->n], record.p, record.n);
		s->text[s->n][record.n] = '\0';
	}
	s->n++;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	strcpy(dir_path, "/tmp/vcc-test-journal-XXXXXX");
	assert_non_null(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	fd_close(dir);
	return tree_remove(AT_FDCWD, dir_path, NULL);
}

static struct journal *reopen(struct seen *seen)
{
	struct journal *j = NULL;
	struct refusal  why = {0};
	*seen = (struct seen){0};
	assert_int_equal(journal_open(dir, "j", collect, seen, &j, &why), 0);
	return j;
}

static size_t file_bytes(uint8_t *to, size_t max)
{
	int     fd = openat(dir, "j", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, to, max);
	close(fd);
	assert_true(n >= 0);
	return (size_t)n;
}

static void file_set(const uint8_t *bytes, size_t n)
{
	int fd = openat(dir, "j", O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

static void three_records(bool sync)
{
	struct seen     seen;
	struct journal *j = reopen(&seen);
	assert_int_equal(journal_append(j, span_text("one"), sync), 0);
	assert_int_equal(journal_append(j, span_text("two"), sync), 0);
	assert_int_equal(journal_append(j, span_text("three"), sync), 0);
	journal_close(j);
}

/* A cut after any byte gives a prefix of the records, never an error; what follows can be written again. */
static void survives_a_cut_after_any_byte(void **state)
{
	(void)state;
	uint8_t     bytes[512];
	struct seen seen;
	three_records(false);
	size_t n = file_bytes(bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= n; cut++) {
		file_set(bytes, cut);
		struct journal *j = reopen(&seen);
		static const char *const texts[] = {"one", "two", "three"};
		assert_true(seen.n <= 3);
		assert_true(cut < n || seen.n == 3);
		for (size_t i = 0; i < seen.n; i++)
			assert_string_equal(seen.text[i], texts[i]);
		size_t had = seen.n;
		assert_int_equal(journal_append(j, span_text("after"), true), 0);
		journal_close(j);
		j = reopen(&seen);
		assert_int_equal(seen.n, had + 1);
		assert_string_equal(seen.text[had], "after");
		journal_close(j);
	}
}

/* A power cut may also leave zeros, or a later page without the earlier one. */
static void survives_torn_pages(void **state)
{
	(void)state;
	uint8_t     bytes[512];
	struct seen seen;
	three_records(false);
	size_t n = file_bytes(bytes, sizeof(bytes));
	memset(bytes + 16, 0, 24 + 3); /* the first record is lost, the later ones were never called durable */
	file_set(bytes, n);
	struct journal *j = reopen(&seen);
	assert_int_equal(seen.n, 0);
	journal_close(j);
	assert_int_equal(file_bytes(bytes, sizeof(bytes)), 16);
}

static void refuses_damage_of_durable_records(void **state)
{
	(void)state;
	uint8_t        bytes[512];
	uint8_t        good[512];
	struct seen    seen = {0};
	struct refusal why = {0};
	three_records(true);
	size_t n = file_bytes(good, sizeof(good));
	size_t last = 16 + (24 + 3) + (24 + 3); /* damage of the very last record cannot be told from a torn one */
	for (size_t at = 0; at < last; at++) {
		struct journal *j = NULL;
		memcpy(bytes, good, n);
		bytes[at] ^= 0x41;
		file_set(bytes, n);
		seen.n = 0;
		assert_int_equal(journal_open(dir, "j", collect, &seen, &j, &why), E_SYS_JOURNAL);
	}
}

static void rewrites_in_one_step(void **state)
{
	(void)state;
	struct seen     seen;
	struct span     two[] = {span_text("a"), span_text("b")};
	struct journal *j;
	uint8_t         bytes[512];
	struct refusal  why = {0};
	three_records(true);
	j = reopen(&seen);
	assert_int_equal(seen.n, 3);
	assert_int_equal(journal_rewrite(j, two, 2), 0);
	assert_int_equal(journal_append(j, span_text("c"), true), 0);
	assert_int_equal(journal_size(j), 16 + 3 * 25);
	journal_close(j);
	j = reopen(&seen);
	assert_int_equal(seen.n, 3);
	assert_string_equal(seen.text[0], "a");
	assert_string_equal(seen.text[2], "c");
	journal_close(j);

	/* rewritten records count as durable */
	size_t n = file_bytes(bytes, sizeof(bytes));
	bytes[16 + 24] ^= 1;
	file_set(bytes, n);
	assert_int_equal(journal_open(dir, "j", collect, &seen, &j, &why), E_SYS_JOURNAL);
}

static void large_records_cross_the_window(void **state)
{
	(void)state;
	struct seen     seen;
	static uint8_t  big[JOURNAL_RECORD_MAX + 1];
	struct journal *j = reopen(&seen);
	memset(big, 'x', sizeof(big));
	assert_int_equal(journal_append(j, (struct span){big, sizeof(big)}, false), E_FULL);
	for (int i = 0; i < 20; i++)
		assert_int_equal(journal_append(j, (struct span){big, (size_t)JOURNAL_RECORD_MAX - (size_t)i}, false), 0);
	assert_int_equal(journal_sync(j), 0);
	journal_close(j);
	j = reopen(&seen);
	assert_int_equal(seen.n, 20);
	journal_close(j);
}

static int refuse_all(void *ctx, struct span record)
{
	(void)ctx;
	(void)record;
	return E_WIRE_TYPE;
}

static void refuses_strangers(void **state)
{
	(void)state;
	struct journal *j = NULL;
	struct refusal  why = {0};
	struct seen     seen = {0};
	three_records(true);
	assert_int_equal(journal_open(dir, "j", refuse_all, NULL, &j, &why), E_WIRE_TYPE);
	file_set((const uint8_t *)"this is no journal at all", 25);
	assert_int_equal(journal_open(dir, "j", collect, &seen, &j, &why), E_SYS_JOURNAL);
	assert_int_equal(journal_open(dir, "a/b", collect, &seen, &j, &why), E_SYS_IO);
}

#ifdef VCC_FAULTS
static void a_failed_sync_ends_the_journal(void **state)
{
	(void)state;
	struct seen     seen;
	struct journal *j = reopen(&seen);
	assert_int_equal(journal_append(j, span_text("a"), false), E_SYS_SPACE); /* journal_append@1=err:ENOSPC */
	assert_int_equal(journal_append(j, span_text("b"), true), E_SYS_IO);     /* journal_sync@1=err:EIO */
	assert_int_equal(journal_append(j, span_text("c"), true), E_SYS_IO);
	assert_int_equal(journal_sync(j), E_SYS_IO);
	journal_close(j);
	j = reopen(&seen);
	assert_int_equal(journal_append(j, span_text("d"), true), 0);
	journal_close(j);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef VCC_FAULTS
		cmocka_unit_test_setup_teardown(a_failed_sync_ends_the_journal, setup, teardown),
#endif
		cmocka_unit_test_setup_teardown(survives_a_cut_after_any_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_torn_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_damage_of_durable_records, setup, teardown),
		cmocka_unit_test_setup_teardown(rewrites_in_one_step, setup, teardown),
		cmocka_unit_test_setup_teardown(large_records_cross_the_window, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses_strangers, setup, teardown),
	};
	setenv("VCC_FAILPOINT", "journal_append@1=err:ENOSPC;journal_sync@1=err:EIO", 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
