/* test_sign_log.c - is a serial ever free for a second content: in one run, after a restart, after rotating, at the window's edges? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/signer/sign_log.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

enum { NOW = 1000 };

struct place {
	char folder[64], path[96];
};

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	strcpy(p->folder, "/tmp/test_sign_log_XXXXXX");
	if (mkdtemp(p->folder) == NULL)
		return -1;
	snprintf(p->path, sizeof(p->path), "%s/signing.log", p->folder);
	*state = p;
	return 0;
}

/* Calls `each` for every file of the folder; returns how many there are. */
static size_t files(const struct place *p, bool remove_them, const char *prefix)
{
	char   path[512];
	size_t n = 0;
	DIR   *dir = opendir(p->folder);
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] == '.' && (e->d_name[1] == '\0' || e->d_name[1] == '.'))
			continue;
		n += text_starts(e->d_name, prefix);
		snprintf(path, sizeof(path), "%s/%s", p->folder, e->d_name);
		if (remove_them)
			unlink(path);
	}
	closedir(dir);
	return n;
}

static int teardown(void **state)
{
	struct place *p = *state;
	files(p, true, "");
	rmdir(p->folder);
	free(p);
	return 0;
}

static struct sign_log *reopen(const struct place *p, struct sign_log *l, size_t rotate_at)
{
	struct refusal why = {0};
	sign_log_close(l);
	if (sign_log_open(p->path, rotate_at, &l, &why) < 0)
		fail_msg("%s: %s", why.object, why.cause);
	return l;
}

static struct serial serial_of(uint64_t counter, uint8_t tail)
{
	uint8_t random[SERIAL_RANDOM] = {tail};
	return serial_make(counter, random);
}

static struct hash hash_of(uint8_t byte)
{
	struct hash h;
	memset(h.b, byte, sizeof(h.b));
	return h;
}

static int add(struct sign_log *l, uint64_t counter, uint8_t tail, uint8_t content, bool *ret_repeat)
{
	struct refusal why = {0};
	return sign_log_add(l, serial_of(counter, tail), hash_of(content), LEAF_SERVICE, ret_repeat, &why);
}

static void must_add(struct sign_log *l, uint64_t counter, uint8_t content, bool repeat)
{
	bool seen = !repeat;
	assert_int_equal(add(l, counter, 1, content, &seen), 0);
	assert_int_equal(seen, repeat);
	assert_int_equal(sign_log_commit(l, NOW), 0);
}

static void one_serial_one_content(void **state)
{
	const struct place *p = *state;
	struct sign_log    *l = reopen(p, NULL, SIGN_LOG_ROTATE);
	bool                repeat;
	assert_int_equal(sign_log_top(l), 0);
	must_add(l, 7, 'a', false);
	must_add(l, 7, 'a', true);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(add(l, 7, 1, 'b', &repeat), E_SIGNER_SERIAL);
		assert_int_equal(add(l, 7, 2, 'a', &repeat), E_SIGNER_SERIAL); /* same counter, other random part */
		assert_int_equal(sign_log_top(l), 7);
		l = reopen(p, l, SIGN_LOG_ROTATE); /* the second time from the file */
	}
	must_add(l, 7, 'a', true);
	must_add(l, 6, 'c', false); /* a free number below the top */
	assert_int_equal(add(l, 0, 1, 'a', &repeat), E_SIGNER_SERIAL);
	sign_log_close(l);
}

static int may(const struct sign_log *l, uint64_t counter)
{
	struct refusal why = {0};
	return sign_log_may(l, serial_of(counter, 1), &why);
}

/* Asked before anything is made for it: the same rules, and nothing is reserved. */
static void asked_before(void **state)
{
	struct sign_log *l = reopen(*state, NULL, SIGN_LOG_ROTATE);
	must_add(l, 10, 'a', false);
	must_add(l, 10 + SIGN_WINDOW, 'b', false);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(may(l, 0), E_SIGNER_SERIAL);
		assert_int_equal(may(l, 10), E_SIGNER_SERIAL);		    /* below the window */
		assert_int_equal(may(l, 10 + SIGN_WINDOW), E_SIGNER_SERIAL); /* used, for whatever */
		assert_int_equal(may(l, 11 + SIGN_WINDOW + SIGN_JUMP_MAX), E_SIGNER_SERIAL);
		assert_int_equal(may(l, 11), 0);
		assert_int_equal(may(l, 11 + SIGN_WINDOW), 0);
		assert_int_equal(sign_log_top(l), 10 + SIGN_WINDOW);
	}
	sign_log_close(l);
}

static void within_one_batch(void **state)
{
	struct sign_log *l = reopen(*state, NULL, SIGN_LOG_ROTATE);
	bool             repeat;
	assert_int_equal(add(l, 1, 1, 'a', &repeat), 0);
	assert_int_equal(add(l, 1, 1, 'b', &repeat), E_SIGNER_SERIAL);
	assert_int_equal(add(l, 1, 1, 'a', &repeat), 0);
	assert_true(repeat);
	for (uint64_t i = 2; i < SIGN_BATCH_MAX; i++)
		assert_int_equal(add(l, i, 1, 'a', &repeat), 0);
	assert_int_equal(add(l, 100000, 1, 'a', &repeat), E_FULL);
	assert_int_equal(sign_log_commit(l, NOW), 0);
	assert_int_equal(add(l, 1000, 1, 'a', &repeat), 0);
	sign_log_close(l); /* not committed */
	l = reopen(*state, NULL, SIGN_LOG_ROTATE);
	assert_int_equal(sign_log_top(l), SIGN_BATCH_MAX - 1);
	sign_log_close(l);
}

static void window_and_jumps(void **state)
{
	struct sign_log *l = reopen(*state, NULL, SIGN_LOG_ROTATE);
	bool             repeat;
	must_add(l, 10, 'a', false);
	must_add(l, 9 + SIGN_WINDOW, 'b', false);
	must_add(l, 10, 'a', true); /* the lowest one inside */
	must_add(l, 10 + SIGN_WINDOW, 'b', false);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(add(l, 10, 1, 'a', &repeat), E_SIGNER_SERIAL);
		assert_int_equal(add(l, 10 + SIGN_WINDOW + SIGN_JUMP_MAX + 1, 1, 'a', &repeat), E_SIGNER_SERIAL);
		assert_int_equal(add(l, UINT64_C(1) << 54, 1, 'a', &repeat), E_SIGNER_SERIAL);
		l = reopen(*state, l, SIGN_LOG_ROTATE);
	}
	must_add(l, 10 + SIGN_WINDOW + SIGN_JUMP_MAX, 'c', false);
	sign_log_close(l);
}

static void lists_never_fall(void **state)
{
	struct sign_log *l = reopen(*state, NULL, SIGN_LOG_ROTATE);
	struct refusal   why = {0};
	bool             repeat;
	assert_int_equal(sign_log_add_list(l, "service-1", 3, 20, hash_of('a'), &repeat, &why), 0);
	assert_false(repeat);
	assert_int_equal(sign_log_add_list(l, "service-1", 4, 10, hash_of('a'), &repeat, &why), 0); /* each shard counts by itself */
	assert_int_equal(sign_log_commit(l, NOW), 0);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(sign_log_add_list(l, "service-1", 3, 19, hash_of('a'), &repeat, &why), E_SIGNER_SERIAL);
		assert_int_equal(sign_log_add_list(l, "service-1", 3, 20, hash_of('b'), &repeat, &why), E_SIGNER_SERIAL);
		assert_false(sign_log_may_list(l, "service-1", 3, 19, hash_of('a')) || sign_log_may_list(l, "service-1", 3, 20, hash_of('b')));
		assert_true(sign_log_may_list(l, "service-1", 3, 20, hash_of('a')) && sign_log_may_list(l, "service-1", 3, 21, hash_of('b')));
		assert_true(sign_log_list_top(l, "service-1", 3) == 20 && sign_log_list_top(l, "service-1", 4) == 10);
		assert_true(sign_log_list_top(l, "service-1", 5) == 0 && sign_log_may_list(l, "service-1", 5, 1, hash_of('a')));
		l = reopen(*state, l, SIGN_LOG_ROTATE);
	}
	assert_int_equal(sign_log_add_list(l, "service-1", 3, 20, hash_of('a'), &repeat, &why), 0);
	assert_true(repeat);
	assert_int_equal(sign_log_add_list(l, "agent-1", 3, 1, hash_of('a'), &repeat, &why), 0);
	assert_false(repeat);
	sign_log_close(l);
}

/* Small enough that it rotates at once; the window must come through, the old file must stay. */
static void rotating_keeps_the_window(void **state)
{
	struct sign_log *l = reopen(*state, NULL, 1000);
	struct refusal   why = {0};
	bool             repeat;
	for (uint64_t i = 1; i <= 3000; i++) {
		assert_int_equal(add(l, i, 1, (uint8_t)i, &repeat), 0);
		if (i % 200 == 0)
			assert_int_equal(sign_log_commit(l, NOW), 0);
	}
	assert_int_equal(sign_log_add_list(l, "service-1", 0, 5, hash_of('x'), &repeat, &why), 0);
	assert_int_equal(sign_log_commit(l, NOW), 0);
	assert_int_equal(sign_log_tidy(l, 123456), 0);
	assert_int_equal(files(*state, false, "signing.log.123456"), 1);
	for (int run = 0; run < 2; run++) {
		assert_int_equal(sign_log_top(l), 3000);
		for (uint64_t i = 1; i <= 3000; i += 7)
			assert_int_equal(add(l, i, 1, (uint8_t)(i + 1), &repeat), E_SIGNER_SERIAL);
		assert_int_equal(sign_log_add_list(l, "service-1", 0, 4, hash_of('x'), &repeat, &why), E_SIGNER_SERIAL);
		l = reopen(*state, l, 1000);
	}
	must_add(l, 2999, (uint8_t)2999, true);
	sign_log_close(l);
}

/* A full disk or a bad folder must not stop the signer: the old file goes on, and is the only one. */
static void a_failed_rotation_changes_nothing(void **state)
{
	const struct place *p = *state;
	struct sign_log    *l = reopen(p, NULL, 1000);
	char                obstacle[128];
	for (uint64_t i = 1; i <= 40; i++)
		must_add(l, i, (uint8_t)i, false);
	snprintf(obstacle, sizeof(obstacle), "%s/.signing.log.new", p->folder);
	assert_int_equal(mkdir(obstacle, 0700), 0);
	assert_true(sign_log_tidy(l, 5000) < 0);
	assert_int_equal(files(p, false, "signing.log."), 0);
	assert_int_equal(rmdir(obstacle), 0);
	assert_int_equal(sign_log_tidy(l, 6000), 0); /* too early: not tried */
	assert_int_equal(files(p, false, "signing.log."), 0);
	must_add(l, 41, 41, false);
	assert_int_equal(sign_log_tidy(l, 66000), 0);
	assert_int_equal(files(p, false, "signing.log.66000"), 1);
	l = reopen(p, l, 1000);
	assert_int_equal(sign_log_top(l), 41);
	sign_log_close(l);
}

/* ---- audit heads ---- */

struct grove { /* a tree of leaves 0, 1, 2 ... of which every node is kept */
	struct merkle_frontier f;
	struct hash            root[20];
	struct merkle_made     made[64];
	size_t                 n;
};

static int grove_get(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	const struct grove *g = ctx;
	for (size_t i = 0; i < g->n; i++)
		if (g->made[i].level == level && g->made[i].index == index) {
			*ret = g->made[i].hash;
			return 0;
		}
	return E_NOT_FOUND;
}

static void grove_make(struct grove *g, char first)
{
	memset(g, 0, sizeof(*g));
	for (int i = 0; i < 20; i++) {
		struct hash leaf;
		char        text[2] = {first, (char)i};
		merkle_root(digest_sha256_two, &g->f, &g->root[i]);
		merkle_leaf(digest_sha256_two, text, sizeof(text), &leaf);
		struct merkle_made made[MERKLE_LEVELS];
		size_t             n = merkle_append(digest_sha256_two, &g->f, &leaf, made);
		memcpy(&g->made[g->n], made, n * sizeof(made[0]));
		g->n += n;
	}
}

static int head_at(struct sign_log *l, struct grove *g, uint64_t from, uint64_t size, int64_t at, bool *ret_repeat)
{
	struct hash    path[2 * MERKLE_LEVELS];
	size_t         n = 0;
	struct refusal why;
	assert_int_equal(merkle_consistency(digest_sha256_two, grove_get, g, from, size, path, &n), 0);
	int r = sign_log_add_head(l, size, g->root[size], at, (struct span){(const uint8_t *)path, n * sizeof(path[0])}, ret_repeat, &why);
	if (r == 0)
		assert_int_equal(sign_log_commit(l, NOW), 0);
	return r;
}

/* The tree never falls, never forks, and time in it never runs backward; also after a restart and after rotating. */
static void audit_heads_only_grow(void **state)
{
	const struct place *p = *state;
	static struct grove g, other;
	struct audit_head   head;
	struct refusal      why;
	bool                repeat;
	grove_make(&g, 'a');
	grove_make(&other, 'b');
	for (int run = 0; run < 3; run++) {
		struct sign_log *l = reopen(p, NULL, run == 2 ? 1 : SIGN_LOG_ROTATE); /* the last one rotates at once */
		sign_log_head(l, &head);
		assert_int_equal(head.size, run == 0 ? 0 : 5 + 3 * run);
		if (run == 0) {
			assert_int_equal(head_at(l, &g, 0, 5, 100, &repeat), 0);
			assert_false(repeat);
			head.size = 5;
		}
		assert_int_equal(head_at(l, &g, head.size, head.size, 100 + run, &repeat), 0);
		assert_true(repeat);
		assert_int_equal(head_at(l, &g, 3, head.size, 100 + run, &repeat), 0); /* its answer was lost: an older proof */
		assert_true(repeat);
		assert_int_equal(head_at(l, &other, head.size, head.size, 100 + run, &repeat), E_AUDIT_HEAD);
		assert_int_equal(head_at(l, &other, head.size, head.size + 4, 100 + run, &repeat), E_AUDIT_HEAD);
		assert_int_equal(head_at(l, &g, 3, head.size + 4, 100 + run, &repeat), E_AUDIT_HEAD); /* not from its own */
		assert_int_equal(head_at(l, &g, 1, 4, 100 + run, &repeat), E_AUDIT_HEAD);
		assert_int_equal(head_at(l, &g, head.size, head.size + 3, 99, &repeat), E_AUDIT_HEAD);
		assert_int_equal(head_at(l, &g, head.size, head.size + 3, 101 + run, &repeat), 0);
		assert_int_equal(sign_log_tidy(l, NOW), 0);
		sign_log_close(l);
	}
	struct sign_log *l = reopen(p, NULL, SIGN_LOG_ROTATE);
	sign_log_head(l, &head);
	assert_int_equal(head.size, 14);
	assert_true(hash_equal(head.root, g.root[14]));
	assert_int_equal(head.at, 103);
	assert_int_equal(sign_log_restart_head(l, &why), 0);
	assert_int_equal(sign_log_commit(l, NOW), 0);
	sign_log_close(l);
	l = reopen(p, NULL, SIGN_LOG_ROTATE);
	assert_int_equal(head_at(l, &other, 0, 2, 7, &repeat), 0);
	sign_log_close(l);
}

static void one_process_only(void **state)
{
	const struct place *p = *state;
	struct sign_log    *l = reopen(p, NULL, SIGN_LOG_ROTATE), *second = NULL;
	struct refusal      why = {0};
	assert_int_equal(sign_log_open(p->path, SIGN_LOG_ROTATE, &second, &why), E_SYS_LOCKED);
	assert_null(second);
	sign_log_close(l);
}

static void damage_is_noticed(void **state)
{
	const struct place *p = *state;
	struct sign_log    *l = reopen(p, NULL, SIGN_LOG_ROTATE), *again = NULL;
	struct refusal      why = {0};
	must_add(l, 1, 'a', false);
	must_add(l, 2, 'b', false);
	must_add(l, 3, 'c', false);
	sign_log_close(l);
	FILE *f = fopen(p->path, "r+");
	assert_int_equal(fseek(f, 60, SEEK_SET), 0); /* inside the first record */
	fputc(0xff, f);
	fclose(f);
	assert_int_equal(sign_log_open(p->path, SIGN_LOG_ROTATE, &again, &why), E_SYS_JOURNAL);
	assert_null(again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(one_serial_one_content), T(asked_before), T(within_one_batch), T(window_and_jumps), T(lists_never_fall),
		T(rotating_keeps_the_window), T(a_failed_rotation_changes_nothing), T(one_process_only), T(audit_heads_only_grow), T(damage_is_noticed),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
