/* test_store_power.c - after a power cut at any moment, with what was not synced lost, torn or written in another order: is everything
 * that was acknowledged there, every change whole, the database sound? A tenth of 500 cuts, VCC_LONG=1 all of them.
 * Never: kills that keep the page cache; see test_store_crash.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/long_run.h"
#include "tests/lib/store_check.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/vfs_power.h"

enum { CUTS = 500, RUNS = 3, CHANGES = 40, FLYING_MAX = 8 };

/* Two folders: one where a store works and is recorded, one where it is opened as a cut left it. */
struct place {
	char   folder[64];
	char   work[96], left[96];
	size_t acked_at[RUNS * CHANGES]; /* how much was asked of the disk by then */
	size_t n_acked;
};

static int setup(void **state)
{
	static struct place p;
	const char         *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp";
	memset(&p, 0, sizeof(p));
	snprintf(p.folder, sizeof(p.folder), "%s/power-XXXXXX", base);
	assert_non_null(mkdtemp(p.folder));
	snprintf(p.work, sizeof(p.work), "%s/work.db", p.folder);
	snprintf(p.left, sizeof(p.left), "%s/left.db", p.folder);
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
	remove_database(p->work);
	remove_database(p->left);
	return rmdir(p->folder);
}

/* ---- a life of a store ---- */

static void on_acked(void *ctx, int code, const struct store_result *result)
{
	struct place *p = ctx;
	(void)result;
	assert_int_equal(code, 0);
	p->acked_at[p->n_acked++] = vfs_power_count();
}

/* Starts, changes alone and several at a time, ends with its checkpoint; and again. */
static void live(struct place *p)
{
	struct refusal why;
	uint32_t       next = 0;
	vfs_power_begin();
	for (uint32_t run = 1; run <= RUNS; run++) {
		struct kit k;
		assert_int_equal(kit_try_open(&k, p->work, true, &why), 0);
		for (uint32_t flying = 1; next < run * CHANGES; flying = flying % FLYING_MAX + 1) {
			for (uint32_t i = 0; i < flying && next < run * CHANGES; i++)
				assert_int_equal(store_submit(k.store, check_change(next++), on_acked, p), 0);
			while (p->n_acked < next)
				kit_poll(&k);
		}
		kit_shut(&k);
	}
	vfs_power_end();
}

static uint32_t acked_by(const struct place *p, size_t k)
{
	uint32_t n = 0;
	while (n < p->n_acked && p->acked_at[n] <= k)
		n++;
	return n;
}

/* ---- what is left of it ---- */

static int count_ok(void *ctx, int n, char **values, char **names)
{
	int *ok = ctx;
	(void)names;
	*ok += n == 1 && strcmp(values[0], "ok") == 0 ? 1 : 100;
	return 0;
}

static bool is_sound(const char *path)
{
	sqlite3 *db = NULL;
	int      ok = 0;
	bool     ran = sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, "PRAGMA integrity_check", count_ok, &ok, NULL) == SQLITE_OK;
	sqlite3_close(db);
	return ran && ok == 1;
}

/* Whole changes 0 .. n-1 are there without a gap; -1: it does not even open, or is damaged. */
static int64_t survivors(const char *path)
{
	struct kit     k;
	struct refusal why;
	struct order   order;
	if (kit_try_open(&k, path, true, &why) < 0)
		return -1;
	assert_int_equal(store_view_open(k.store, &k.view), 0);
	size_t n = check_consistent(k.view);
	if (n > 0)
		assert_int_equal(view_order(k.view, kit_id((uint32_t)n - 1), &order), 0);
	assert_int_equal(view_order(k.view, kit_id((uint32_t)n), &order), E_NOT_FOUND);
	kit_shut(&k);
	return is_sound(path) ? (int64_t)n : -1;
}

static void test_what_was_acknowledged_survives_a_power_cut(void **state)
{
	struct place *p = *state;
	size_t        cuts = long_run() ? CUTS : CUTS / 10, behind = 0;
	live(p);
	size_t all = vfs_power_count();
	assert_true(all > CUTS);
	for (size_t i = 0; i < cuts; i++) {
		size_t k = all * (i + 1) / cuts; /* the last one is behind everything */
		vfs_power_cut(k, i + 1, true, p->left);
		uint32_t acked = acked_by(p, k);
		int64_t  there = survivors(p->left);
		if (there < acked || there > (int64_t)acked + FLYING_MAX)
			fail_msg("cut %zu of %zu, seed %zu: %u were acknowledged, %lld are there", k, all, i + 1, acked, (long long)there);
		behind += there > acked;
		remove_database(p->left);
	}
	print_message("# %zu cuts in %zu writes and syncs; %zu times more was there than acknowledged\n", cuts, all, behind);
	assert_int_equal(acked_by(p, all), RUNS * CHANGES);
}

/* The same with every sync ignored: something acknowledged must be missing, or the cut takes nothing and proves nothing. */
static void test_a_cut_takes_what_is_not_synced(void **state)
{
	struct place *p = *state;
	size_t        lost = 0;
	live(p);
	size_t all = vfs_power_count();
	for (size_t i = 0; i < 20; i++) {
		size_t      k = all * (i + 1) / 20;
		struct kit  kit;
		struct refusal why;
		vfs_power_cut(k, i + 1, false, p->left);
		if (kit_try_open(&kit, p->left, true, &why) < 0) {
			lost++;
		} else {
			struct order order;
			uint32_t     acked = acked_by(p, k);
			assert_int_equal(store_view_open(kit.store, &kit.view), 0);
			lost += acked > 0 && view_order(kit.view, kit_id(acked - 1), &order) != 0;
			kit_shut(&kit);
		}
		remove_database(p->left);
	}
	assert_true(lost > 5);
}

int main(void)
{
	vfs_power_install();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_was_acknowledged_survives_a_power_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_cut_takes_what_is_not_synced, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
