/* test_store_crash.c - after SIGKILL at any point, a truncated log or a torn page: is everything that was acknowledged there,
 * every change whole, and the tree the one of its records? VCC_CRASH_ROUNDS raises the number of random kills (12).
 * Never: power cuts; the page cache survives here, so lost pages are made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sqlite3.h>
#include <unistd.h>
#include <cmocka.h>

#include "shared/sys/clock.h"
#include "tests/lib/long_run.h"
#include "tests/lib/store_check.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/vfs_shim.h"

struct place {
	char folder[64];
	char path[96];
};

static int setup(void **state)
{
	static struct place p;
	const char         *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp"; /* a killed process needs no disk */
	snprintf(p.folder, sizeof(p.folder), "%s/store-XXXXXX", base);
	assert_non_null(mkdtemp(p.folder));
	snprintf(p.path, sizeof(p.path), "%s/vcc.db", p.folder);
	*state = &p;
	return 0;
}

static void remove_database(const char *path)
{
	static const char *const tails[] = {"", "-wal", "-shm", ".lock"};
	char                     name[160];
	for (size_t i = 0; i < N_ELEMENTS(tails); i++) {
		snprintf(name, sizeof(name), "%s%s", path, tails[i]);
		unlink(name);
	}
}

static int teardown(void **state)
{
	struct place *p = *state;
	remove_database(p->path);
	return rmdir(p->folder);
}

static void open_ok(struct kit *k, const char *path)
{
	struct refusal why;
	char           text[600];
	int            r = kit_try_open(k, path, true, &why);
	if (r < 0)
		fail_msg("%s", refusal_text(&why, text, sizeof(text)));
	assert_int_equal(store_view_open(k->store, &k->view), 0);
}

/* What survived: whole changes 0 .. n-1 without a gap, because they commit in order. */
static uint32_t survivors(const char *path)
{
	struct kit   k;
	struct order order;
	open_ok(&k, path);
	size_t n = check_consistent(k.view);
	if (n > 0)
		assert_int_equal(view_order(k.view, kit_id((uint32_t)n - 1), &order), 0);
	assert_int_equal(view_order(k.view, kit_id((uint32_t)n), &order), E_NOT_FOUND);
	kit_shut(&k);
	return (uint32_t)n;
}

/* ---- random kills ---- */

struct ack {
	uint32_t n;
	int      out;
	size_t  *flying;
};

static void acknowledge(void *ctx, int code, const struct store_result *result)
{
	struct ack *a = ctx;
	(void)result;
	if (code != 0 || write(a->out, &a->n, sizeof(a->n)) != (ssize_t)sizeof(a->n))
		_exit(3);
	--*a->flying;
	free(a);
}

/* Submits change after change until it is killed, and tells which ones were acknowledged. */
static void child_run(const char *path, uint32_t next, int out)
{
	struct kit     k;
	struct refusal why;
	size_t         flying = 0;
	if (kit_try_open(&k, path, true, &why) < 0)
		_exit(2);
	for (;;) {
		while (flying < 64) {
			struct ack *a = malloc(sizeof(*a));
			if (a == NULL)
				_exit(4);
			*a = (struct ack){next, out, &flying};
			if (store_submit(k.store, check_change(next++), acknowledge, a) < 0)
				_exit(5);
			flying++;
		}
		kit_poll(&k);
	}
}

/* Lets the child live for `wait_us` after its first acknowledgement; returns the highest acknowledged number + 1. */
static uint32_t run_and_kill(const char *path, uint32_t next, unsigned wait_us)
{
	int      pipes[2], status;
	uint32_t n, acked = next;
	assert_int_equal(pipe(pipes), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pipes[0]);
		child_run(path, next, pipes[1]);
	}
	close(pipes[1]);
	int64_t until = 0;
	while (read(pipes[0], &n, sizeof(n)) == (ssize_t)sizeof(n)) {
		acked = n + 1;
		if (until == 0)
			until = clock_monotonic_us() + wait_us;
		if (clock_monotonic_us() >= until)
			kill(pid, SIGKILL);
	}
	close(pipes[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return acked;
}

static void test_what_was_acknowledged_survives_sigkill(void **state)
{
	struct place *p = *state;
	const char   *env = getenv("VCC_CRASH_ROUNDS");
	int           rounds = env != NULL ? atoi(env) : 12;
	uint32_t      next = 0;
	assert_true(rounds > 0);
	for (int i = 0; i < rounds; i++) {
		uint8_t random[2];
		entropy(random, sizeof(random));
		unsigned wait_us = ((unsigned)random[0] << 8 | random[1]) % 30000;
		uint32_t acked = run_and_kill(p->path, next, wait_us);
		uint32_t there = survivors(p->path);
		if (there < acked)
			fail_msg("round %d: %u were acknowledged, %u are there", i, acked, there);
		assert_true(acked > next);
		next = there;
		if (next > 1500) { /* the check reads everything */
			remove_database(p->path);
			next = 0;
		}
	}
}

/* ---- a kill before every single write and sync (VCC_LONG=1; else before every seventh) ---- */

static void child_once(const char *path, long kill_at, int out)
{
	struct kit     k;
	struct refusal why;
	vfs_shim_arm(VFS_ANY, kill_at, 0, -1);
	if (kit_try_open(&k, path, true, &why) < 0)
		_exit(2);
	for (uint32_t n = 0; n < 4; n++) {
		if (kit_commit(&k, check_change(n), NULL) != 0)
			_exit(3);
		if (write(out, &n, sizeof(n)) != (ssize_t)sizeof(n))
			_exit(4);
	}
	kit_shut(&k); /* its checkpoint, too */
	_exit(0);
}

static void test_kill_before_every_write(void **state)
{
	struct place *p = *state;
	bool          ended = false;
	long          at = 1;
	while (!ended) {
		int      pipes[2], status;
		uint32_t n, acked = 0;
		assert_int_equal(pipe(pipes), 0);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(pipes[0]);
			child_once(p->path, at, pipes[1]);
		}
		close(pipes[1]);
		while (read(pipes[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
			acked = n + 1;
		close(pipes[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		ended = WIFEXITED(status);
		if (ended)
			assert_int_equal(WEXITSTATUS(status), 0);
		assert_true(survivors(p->path) >= acked); /* also: the schema is whole or not there, and is made then */
		remove_database(p->path);
		at += sample_step(7);
	}
	assert_true(at - sample_step(7) > 40); /* it went on behind the schema, four commits and the checkpoint */
}

/* ---- damaged files, as after a power cut or by a broken disk ---- */

struct image {
	uint8_t *database, *log;
	size_t   n_database, n_log;
};

static uint8_t *slurp(const char *path, size_t *ret_n)
{
	struct stat st;
	FILE       *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	uint8_t *bytes = malloc((size_t)st.st_size + 1);
	assert_non_null(bytes);
	*ret_n = fread(bytes, 1, (size_t)st.st_size, f);
	assert_int_equal(*ret_n, st.st_size);
	fclose(f);
	return bytes;
}

static void spill(const char *path, const char *tail, const uint8_t *bytes, size_t n)
{
	char name[160];
	snprintf(name, sizeof(name), "%s%s", path, tail);
	FILE *f = fopen(name, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

/* The files as a kill leaves them: `checkpointed` changes in the database, 20 more in the log only. */
static void image_take(const char *path, uint32_t checkpointed, struct image *ret)
{
	struct kit k;
	char       log[160];
	open_ok(&k, path);
	for (uint32_t n = 0; n < checkpointed; n++)
		assert_int_equal(kit_commit(&k, check_change(n), NULL), 0);
	kit_shut(&k);
	open_ok(&k, path);
	for (uint32_t n = checkpointed; n < checkpointed + 20; n++)
		assert_int_equal(kit_commit(&k, check_change(n), NULL), 0);
	snprintf(log, sizeof(log), "%s-wal", path);
	ret->database = slurp(path, &ret->n_database);
	ret->log = slurp(log, &ret->n_log);
	kit_shut(&k);
	remove_database(path);
}

static void image_put(const char *path, const struct image *i)
{
	remove_database(path);
	spill(path, "", i->database, i->n_database);
	spill(path, "-wal", i->log, i->n_log);
}

static void image_free(struct image *i)
{
	free(i->database);
	free(i->log);
}

static void test_lost_shm_and_truncated_log(void **state)
{
	struct place *p = *state;
	struct image  image;
	uint32_t      last = 0, steps = 0;
	image_take(p->path, 10, &image);
	image_put(p->path, &image); /* without -shm */
	assert_int_equal(survivors(p->path), 30);
	size_t whole = image.n_log;
	for (size_t cut = 0; cut <= 24; cut++) { /* every length is a start with a prefix of the commits */
		image.n_log = whole * cut / 24 - (cut > 0 && cut < 24 ? cut % 7 : 0);
		image_put(p->path, &image);
		uint32_t n = survivors(p->path);
		assert_true(n >= 10 && n <= 30 && n >= last);
		steps += n > last;
		last = n;
	}
	assert_int_equal(last, 30);
	assert_true(steps > 5);

	image_put(p->path, &image);
	memset(image.log + whole / 2, 0xa5, 100); /* and so is a log that is wrong in the middle */
	image_put(p->path, &image);
	uint32_t n = survivors(p->path);
	assert_true(n > 10 && n < 30);
	image_free(&image);
}

static void test_torn_page_is_refused(void **state)
{
	struct place *p = *state;
	struct image  image;
	size_t        refused = 0;
	image_take(p->path, 200, &image);
	for (size_t page = 1; page < image.n_database / 4096; page += long_run() ? 1 : 19) {
		uint8_t        kept[2048];
		struct kit     k;
		struct refusal why = {.code = 0};
		char           text[600];
		memcpy(kept, image.database + page * 4096, sizeof(kept));
		memset(image.database + page * 4096, 0x5a, sizeof(kept));
		image_put(p->path, &image);
		int r = kit_try_open(&k, p->path, false, &why);
		memcpy(image.database + page * 4096, kept, sizeof(kept));
		if (r == 0) { /* the log holds a newer version of this page: nothing is lost */
			kit_shut(&k);
			assert_int_equal(survivors(p->path), 220);
			continue;
		}
		assert_int_equal(r, E_STORE_DAMAGED);
		assert_non_null(strstr(refusal_text(&why, text, sizeof(text)), "Restore a backup"));
		refused++;
	}
	assert_true(refused > 3);

	struct kit     k;
	struct refusal why;
	image.n_database /= 2;
	image.n_log = image.n_log > 64 ? 64 : image.n_log;
	image_put(p->path, &image);
	assert_int_equal(kit_try_open(&k, p->path, false, &why), E_STORE_DAMAGED);
	image_free(&image);
}

int main(void)
{
	vfs_shim_install();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_acknowledged_survives_sigkill, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kill_before_every_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_shm_and_truncated_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_page_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
