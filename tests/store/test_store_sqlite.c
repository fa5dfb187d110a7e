/* test_store_sqlite.c - does the SQLite backend refuse what it must not open, have exactly one writing connection, use its
 * indexes, and come back by itself from every failing call of the disk? Never: timing. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "controller/store/sqlite_rows.h"
#include "controller/store/store_front.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "tests/lib/long_run.h"
#include "tests/lib/store_check.h"
#include "tests/lib/store_kit.h"
#include "tests/lib/vfs_shim.h"

static int setup(void **state)
{
	static struct kit k;
	kit_open(&k, KIT_SQLITE);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_close(*state);
	return 0;
}

static void commit_ok(struct kit *k, uint32_t n)
{
	assert_int_equal(kit_commit(k, check_change(n), NULL), 0);
}

/* ---- what may be opened ---- */

static int open_in_child(const char *path)
{
	pid_t pid = fork();
	if (pid == 0) {
		struct kit     k;
		struct refusal why;
		int            r = kit_try_open(&k, path, false, &why);
		_exit(r == E_SYS_LOCKED ? 42 : 1);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_second_process_is_refused(void **state)
{
	struct kit    *k = *state, other;
	struct refusal why = {.code = 0};
	assert_int_equal(open_in_child(k->path), 42);
	assert_int_equal(kit_try_open(&other, k->path, false, &why), E_SYS_LOCKED);
	assert_int_equal(why.code, E_SYS_LOCKED);
	commit_ok(k, 1);
}

static void test_file_is_private(void **state)
{
	struct kit *k = *state;
	struct stat st;
	commit_ok(k, 1);
	assert_int_equal(stat(k->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	char log[256];
	snprintf(log, sizeof(log), "%s-wal", k->path);
	assert_int_equal(stat(log, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void sql(const char *path, const char *text)
{
	sqlite3 *db;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void expect_refusal(const char *path, int code, const char *word)
{
	struct kit     k;
	struct refusal why = {.code = 0};
	char           text[600];
	assert_int_equal(kit_try_open(&k, path, false, &why), code);
	assert_int_equal(why.code, code);
	if (strstr(refusal_text(&why, text, sizeof(text)), word) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", text, word);
}

static int version_of(const char *path)
{
	sqlite3      *db;
	sqlite3_stmt *stmt;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
	int version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return version;
}

struct embedded_file {
	const char          *name;
	const unsigned char *bytes;
	size_t               n;
};
extern const struct embedded_file schema_files[];

/* A database of the first release: it gets what is missing and keeps what it has. */
static void test_older_schema_is_brought_up(void **state)
{
	struct kit                    *k = *state;
	struct kit                     old;
	struct refusal                 why = {.code = 0};
	_cleanup_(buf_free) struct buf value = BUF_MAX(100);
	struct principal               p;
	struct token                   t;
	size_t                         n;
	char                           path[256], lock[280];
	snprintf(path, sizeof(path), "%s/old", k->folder);
	sql(path, "PRAGMA application_id=1447248720");
	sql(path, (const char *)schema_files[0].bytes);
	sql(path, "INSERT INTO settings VALUES ('domain', x'766363'); PRAGMA user_version=1");
	sql(path, "INSERT INTO principals VALUES ('admin', 16, 'clara', 1, 0, 7), ('bot', 1, '', 0, 1, 8)");
	sql(path, "INSERT INTO tokens VALUES (x'01010101010101010101010101010101', x'0202020202020202020202020202020202020202020202020202020202020202', 'admin', "
	          "'init', 7, NULL, 9, NULL)");
	assert_int_equal(kit_try_open(&old, path, false, &why), 0);
	assert_int_equal(store_view_open(old.store, &old.view), 0);
	assert_int_equal(view_setting(old.view, "domain", &value), 0);
	assert_memory_equal(value.p, "vcc", 3);
	assert_int_equal(view_principal(old.view, "admin", &p), 0);
	assert_string_equal(p.person, "admin"); /* a person then is a person of that name now */
	assert_string_equal(p.services, "clara");
	assert_true(p.roles == 16 && !p.disabled && p.created_at == 7);
	assert_int_equal(view_principal(old.view, "bot", &p), 0);
	assert_string_equal(p.person, "");
	assert_true(p.disabled);
	assert_int_equal(view_tokens(old.view, "admin", (struct id){{0}}, &t, 1, &n), 0);
	assert_true(n == 1 && t.roles == 0 && t.services[0] == '\0' && t.used_at == 9 && t.expires_at == TIME_NEVER);
	assert_int_equal(kit_commit(&old, check_change(1), NULL), 0);
	assert_int_equal(check_consistent(old.view), 1);
	kit_shut(&old);
	assert_int_equal(version_of(path), version_of(k->path));
	unlink(path);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
}

static void test_newer_schema_is_refused(void **state)
{
	struct kit *k = *state;
	char        back[64];
	commit_ok(k, 1);
	kit_stop(k);
	snprintf(back, sizeof(back), "PRAGMA user_version=%d", version_of(k->path));
	sql(k->path, "PRAGMA user_version=4711");
	expect_refusal(k->path, E_STORE_SCHEMA, "4711");
	sql(k->path, back);
	kit_start(k);
	assert_int_equal(check_consistent(k->view), 1);
}

static void test_other_files_are_refused(void **state)
{
	struct kit *k = *state;
	char        path[256];
	snprintf(path, sizeof(path), "%s/other", k->folder);
	expect_refusal(path, E_STORE_IO, "init");
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 3000; i++)
		fputs("not a database ", f);
	fclose(f);
	expect_refusal(path, E_STORE_DAMAGED, "Restore a backup");
	unlink(path);
	sql(path, "CREATE TABLE somebodys(x)");
	expect_refusal(path, E_STORE_DAMAGED, "not a database of this program");
	unlink(path);
	snprintf(path, sizeof(path), "%s/other.lock", k->folder);
	unlink(path);
	expect_refusal("/nonexistent-folder/vcc.db", E_STORE_IO, "No such file");
}

/* A schema that lost a column, under the right number, is not worked with. */
static void test_foreign_schema_is_refused(void **state)
{
	struct kit *k = *state;
	char        path[256], lock[280], text[160];
	snprintf(path, sizeof(path), "%s/lost", k->folder);
	snprintf(text, sizeof(text), "PRAGMA application_id=1447248720; PRAGMA user_version=%d; CREATE TABLE orders(renewal_id BLOB)",
	         version_of(k->path));
	sql(path, text);
	expect_refusal(path, E_STORE_DAMAGED, "orders");
	unlink(path);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
}

/* ---- one writing connection ---- */

struct reader {
	struct store *store;
	pthread_t     thread;
	atomic_bool   stop;
	int           failed;
	size_t        reads;
};

static void *read_on(void *arg)
{
	struct reader      *r = arg;
	struct certificate *page = calloc(50, sizeof(*page));
	while (!r->stop) { /* views come and go while the log is written, checkpointed and reset */
		struct store_view *v;
		struct cert_filter f = {.with_removed = true};
		size_t             n;
		uint64_t           size;
		struct hash        root;
		if (store_view_open(r->store, &v) != 0) {
			r->failed++;
			break;
		}
		for (int i = 0; i < 20 && !r->stop; i++) {
			r->failed += view_certificates(v, &f, "", page, 50, &n) != 0;
			r->failed += view_audit_head(v, &size, &root) != 0;
			r->reads++;
		}
		store_view_close(v);
	}
	free(page);
	return NULL;
}

static void test_one_connection_writes_and_checkpoints(void **state)
{
	struct kit        *k = *state;
	struct reader      reader[3];
	struct vfs_counts  counts;
	struct check_count ended = {0};
	for (size_t i = 0; i < N_ELEMENTS(reader); i++) {
		reader[i] = (struct reader){.store = k->store};
		assert_int_equal(pthread_create(&reader[i].thread, NULL, read_on, &reader[i]), 0);
	}
	for (uint32_t n = 0; n < 4000; n++) {
		assert_int_equal(store_submit(k->store, check_change(n), check_ended, &ended), 0);
		if (n % 100 == 99)
			while (ended.n + 50 < n)
				kit_poll(k);
	}
	while (ended.n < 4000)
		kit_poll(k);
	for (size_t i = 0; i < N_ELEMENTS(reader); i++) {
		reader[i].stop = true;
		pthread_join(reader[i].thread, NULL);
		assert_int_equal(reader[i].failed, 0);
		assert_true(reader[i].reads > 0);
	}
	assert_int_equal(ended.good, 4000);
	check_consistent(k->view);
	vfs_shim_counts(&counts);
	assert_true(counts.connections >= 5);     /* there were others that could have written */
	assert_true(counts.database_writes > 500); /* and checkpoints took place */
	assert_int_equal(counts.writers, 1);
	assert_int_equal(counts.log_writers, 1);
}

static int setup_counted(void **state)
{
	vfs_shim_reset();
	return setup(state);
}

static void test_views_cannot_write(void **state)
{
	struct kit *k = *state;
	sqlite3    *db;
	assert_int_equal(sqlite_open_reader(k->path, &db), 0);
	assert_int_equal(sqlite3_exec(db, "DELETE FROM audit", NULL, NULL, NULL) & 0xff, SQLITE_READONLY);
	assert_int_not_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static uint64_t size_seen(struct kit *k)
{
	uint64_t size = 0;
	assert_int_equal(view_audit_size(k->view, &size), 0);
	return size;
}

/* One moment until it goes on, begun by the first read. */
static void test_a_view_that_holds(void **state)
{
	struct kit *k = *state;
	commit_ok(k, 1);
	view_hold(k->view);
	view_go_on(k->view); /* nothing was read: nothing ends */
	commit_ok(k, 2);
	uint64_t size = size_seen(k);
	commit_ok(k, 3);
	assert_int_equal(size_seen(k), size);
	check_consistent(k->view);
	view_go_on(k->view);
	assert_true(size_seen(k) > size);
	view_go_on(k->view);
	check_consistent(k->view);
}

/* ---- indexes ---- */

struct plan {
	sqlite3 *db; /* where the plans are asked */
	bool     filtered; /* by key alone, a page from the start is no scan */
	int      statements, scans;
	char     indexes[4096]; /* " name (terms)" of each index that was chosen */
};

static int note_plan(void *ctx, int n, char **values, char **names)
{
	struct plan *p = ctx;
	(void)n;
	(void)names;
	bool whole = strncmp(values[3], "SCAN", 4) == 0 && strstr(values[3], "INDEX") == NULL && p->filtered;
	if (whole || strstr(values[3], "TEMP B-TREE") != NULL) {
		p->scans++;
		print_message("plan: %s\n", values[3]);
	}
	const char *index = strstr(values[3], " INDEX ");
	if (index != NULL && strstr(p->indexes, index + 6) == NULL)
		strncat(p->indexes, index + 6, sizeof(p->indexes) - strlen(p->indexes) - 1);
	return 0;
}

static int note_statement(unsigned type, void *ctx, void *stmt, void *text)
{
	struct plan *p = ctx;
	(void)type;
	(void)text;
	const char *statement = sqlite3_sql(stmt);
	if (statement == NULL || strncmp(statement, "SELECT", 6) != 0)
		return 0;
	char explain[SQLITE_TEXT_MAX];
	snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", statement);
	int before = p->scans;
	p->filtered = strstr(statement, " WHERE ") != NULL;
	assert_int_equal(sqlite3_exec(p->db, explain, note_plan, p, NULL), SQLITE_OK);
	if (p->scans > before)
		print_message("  of: %s\n", statement);
	p->statements++;
	return 0;
}

static int note_index(void *ctx, int n, char **values, char **names)
{
	struct plan *p = ctx;
	(void)n;
	(void)names;
	char wanted[80];
	snprintf(wanted, sizeof(wanted), " %s ", values[0]);
	if (strstr(p->indexes, wanted) == NULL) {
		p->scans++;
		print_message("nothing is read by the index %s\n", values[0]);
	}
	return 0;
}

/* Every list and search but the few counts must be answered from an index, in its order. */
static void test_lists_use_indexes(void **state)
{
	struct kit        *k = *state;
	struct plan        plan = {.db = NULL};
	struct sqlite_rows rows;
	sqlite3           *db;
	commit_ok(k, 1);
	assert_int_equal(sqlite_open_reader(k->path, &db), 0);
	assert_int_equal(sqlite_open_reader(k->path, &plan.db), 0);
	assert_int_equal(sqlite_rows_init(&rows, db), 0);
	sqlite3_trace_v2(db, SQLITE_TRACE_STMT, note_statement, &plan);
	struct store_view v = {.rows = &rows.base, .hash = digest_sha256_two};
	check_every_list(&v);
	assert_true(plan.statements > 25);
	/* of the largest table each index serves what it was made for: the planner may prefer another one, which answers as well, and slowly */
	assert_int_equal(sqlite3_exec(plan.db, "SELECT name FROM sqlite_schema WHERE tbl_name = 'issuances' AND type = 'index' AND sql IS NOT NULL",
				      note_index, &plan, NULL),
			 SQLITE_OK);
	assert_int_equal(plan.scans, 0);
	sqlite_rows_close(&rows);
	sqlite3_close(plan.db);
}

/* ---- failing disks ---- */

static const struct {
	const char    *name;
	enum vfs_fault kind;
	int            rc;
	int            code;
} faults[] = {
	{"full", VFS_WRITE, SQLITE_FULL, E_STORE_FULL},
	{"write error", VFS_WRITE, SQLITE_IOERR_WRITE, E_STORE_IO},
	{"read-only", VFS_WRITE, SQLITE_READONLY, E_STORE_IO},
	{"busy", VFS_WRITE, SQLITE_BUSY, E_STORE_IO},
	{"sync error", VFS_SYNC, SQLITE_IOERR_FSYNC, E_STORE_IO},
};

/* At call n of the disk the batch is lost whole, its callers hear why, and the next change goes through. */
static void fail_at(struct kit *k, size_t f, long n, uint32_t *next, size_t *ret_failed)
{
	struct check_count ended = {0};
	uint32_t           first = *next;
	vfs_shim_arm(faults[f].kind, n, 2, faults[f].rc);
	for (int i = 0; i < 4; i++)
		assert_int_equal(store_submit(k->store, check_change((*next)++), check_ended, &ended), 0);
	while (ended.n < 4)
		kit_poll(k);
	vfs_shim_disarm();
	for (uint32_t i = 0; i < 4; i++) {
		struct order order;
		int          code = ended.code[i];
		if (code != 0 && code != faults[f].code)
			fail_msg("%s at %ld: code %d", faults[f].name, n, code);
		assert_int_equal(view_order(k->view, kit_id(first + i), &order), code == 0 ? 0 : E_NOT_FOUND);
		*ret_failed += code != 0;
	}
	commit_ok(k, (*next)++);
	check_consistent(k->view);
}

static void test_every_failing_call_is_survived(void **state)
{
	struct kit *k = *state;
	uint32_t    next = 0;
	commit_ok(k, next++);
	for (size_t f = 0; f < N_ELEMENTS(faults); f++) {
		size_t failed = 0;
		for (long n = 1; n <= (faults[f].kind == VFS_WRITE ? 30 : 4); n++)
			fail_at(k, f, n, &next, &failed);
		assert_true(failed > 0);
	}
	kit_stop(k);
	kit_start(k);
	check_consistent(k->view);
}

/* A full disk while the schema is made, from each call (VCC_LONG=1; else from some): refused with its code, and the next start makes it. */
static void test_failing_migration_is_repeated(void **state)
{
	(void)state;
	struct kit k;
	kit_open(&k, KIT_SQLITE);
	char path[256];
	long calls = 1;
	snprintf(path, sizeof(path), "%s/new.db", k.folder);
	for (long n = 1; n <= calls; n += sample_step(9)) {
		struct kit     other;
		struct refusal why = {.code = 0};
		vfs_shim_arm(VFS_ANY, n, 100000, SQLITE_FULL);
		int r = kit_try_open(&other, path, true, &why);
		vfs_shim_disarm();
		if (r == 0)
			kit_shut(&other);
		else
			assert_int_equal(r, E_STORE_FULL);
		vfs_shim_arm(VFS_ANY, 1000000, 0, SQLITE_FULL);
		assert_int_equal(kit_try_open(&other, path, true, &why), 0);
		if (n == 1)
			calls = vfs_shim_disarm();
		assert_int_equal(store_view_open(other.store, &other.view), 0);
		assert_int_equal(kit_commit(&other, check_change(1), NULL), 0);
		kit_shut(&other);
		unlink(path);
	}
	assert_true(calls > 20);
	snprintf(path, sizeof(path), "%s/new.db.lock", k.folder);
	unlink(path);
	kit_close(&k);
}

/* ---- copies ---- */

struct load {
	struct kit     *k;
	_Atomic uint32_t next;
	_Atomic bool   stop;
};

static void copy_path(const struct kit *k, char ret[256])
{
	snprintf(ret, 256, "%s/copy", k->folder);
}

/* Commits one issue after another until told to stop. */
static void *commit_on(void *arg)
{
	struct load *l = arg;
	while (!l->stop) {
		if (kit_commit(l->k, check_change(l->next), NULL) != 0)
			abort();
		l->next++;
	}
	return NULL;
}

/* What was committed before the copy is in it, what came later is not half in it, and the writer never waited for it. */
static void test_copy_under_load_is_one_moment(void **state)
{
	struct kit                    *k = *state, copy;
	struct refusal                 why = {.code = 0};
	struct load                    l = {.k = k, .next = 301};
	_cleanup_(buf_free) struct buf note = BUF_MAX(100);
	char                           path[256];
	pthread_t                      thread;
	copy_path(k, path);
	for (uint32_t n = 1; n <= 300; n++)
		commit_ok(k, n);
	assert_int_equal(pthread_create(&thread, NULL, commit_on, &l), 0);
	for (int round = 0; round < 5; round++) {
		uint32_t before = l.next;
		while (l.next < before + 3)
			sched_yield();
		size_t sure = l.next - 1;
		assert_int_equal(view_copy(k->view, path, span_text("moment"), NULL, &why), 0);
		size_t most = l.next; /* and the one under way */
		assert_int_equal(kit_try_open(&copy, path, false, &why), 0);
		assert_int_equal(store_view_open(copy.store, &copy.view), 0);
		size_t n = check_consistent(copy.view);
		assert_in_range(n, sure, most);
		buf_free(&note);
		note = (struct buf)BUF_MAX(100);
		assert_int_equal(view_setting(copy.view, "backup", &note), 0);
		assert_memory_equal(note.p, "moment", 6);
		assert_int_equal(kit_commit(&copy, check_change(100000), NULL), 0); /* it goes on from there */
		kit_shut(&copy);
		assert_int_equal(unlink(path), 0);
	}
	l.stop = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(view_setting(k->view, "backup", &note), E_NOT_FOUND); /* the note is the copy's alone */
	assert_int_equal(check_consistent(k->view), l.next - 1);
}

static void test_copy_is_one_private_file(void **state)
{
	struct kit    *k = *state;
	struct refusal why = {.code = 0};
	struct stat    st;
	char           path[256], beside[280];
	copy_path(k, path);
	commit_ok(k, 1);
	assert_int_equal(view_copy(k->view, path, span_text(""), NULL, &why), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	static const char *const sides[] = {"-wal", "-shm", "-journal"};
	for (size_t i = 0; i < N_ELEMENTS(sides); i++) {
		snprintf(beside, sizeof(beside), "%s%s", path, sides[i]);
		assert_int_not_equal(stat(beside, &st), 0);
	}
}

/* Nothing is overwritten, and what cannot be made whole is not there. */
static void test_copy_refuses_what_cannot_be(void **state)
{
	struct kit    *k = *state;
	struct refusal why = {.code = 0};
	char           path[256];
	copy_path(k, path);
	commit_ok(k, 1);
	assert_int_equal(view_copy(k->view, path, span_text(""), NULL, &why), 0);
	assert_int_equal(view_copy(k->view, path, span_text(""), NULL, &why), E_EXISTS);
	assert_int_equal(why.code, E_EXISTS);
	atomic_bool stop = true;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(view_copy(k->view, path, span_text(""), &stop, &why), E_SYS_AGAIN);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(path, sizeof(path), "%s/none/copy", k->folder);
	assert_int_equal(view_copy(k->view, path, span_text(""), NULL, &why), E_NOT_FOUND);
	commit_ok(k, 2); /* no transaction stayed open */
	assert_int_equal(check_consistent(k->view), 2);
}

int main(void)
{
	vfs_shim_install();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_second_process_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_file_is_private, setup, teardown),
		cmocka_unit_test_setup_teardown(test_older_schema_is_brought_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_newer_schema_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_files_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_schema_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_connection_writes_and_checkpoints, setup_counted, teardown),
		cmocka_unit_test_setup_teardown(test_views_cannot_write, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_view_that_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lists_use_indexes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_failing_call_is_survived, setup, teardown),
		cmocka_unit_test(test_failing_migration_is_repeated),
		cmocka_unit_test_setup_teardown(test_copy_under_load_is_one_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_is_one_private_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_copy_refuses_what_cannot_be, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
