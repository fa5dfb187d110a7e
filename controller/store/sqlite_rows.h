/* sqlite_rows.h - room controller/store: rows of nouns in a SQLite connection; sqlite_schema: how a connection is opened.
 * Never: threads, rules. */
#ifndef VCC_SQLITE_ROWS_H
#define VCC_SQLITE_ROWS_H

#include <sqlite3.h>

#include "controller/store/store_rows.h"

enum sqlite_verb { SQLITE_VERB_GET, SQLITE_VERB_ADD, SQLITE_VERB_REMOVE, SQLITE_VERB_COUNT };
enum { SQLITE_FINDS = 96, SQLITE_UPDATES = 128, SQLITE_TEXT_MAX = 16384 };

struct sqlite_shape {
	const struct noun   *noun;
	const struct column *by;
	size_t               n_terms;
	bool                 down, count;
	uint64_t             only;
	struct {
		const struct column *column;
		int64_t              name; /* the value, when it is spelled out */
		enum condition_op    op;
		bool                 or_next;
	} term[QUERY_TERMS_MAX];
};
struct sqlite_find {
	struct sqlite_shape shape;
	sqlite3_stmt       *stmt;
};

/* Sets the columns of `changed` (bit n is column n) of the row with a key. */
struct sqlite_update {
	const struct noun *noun;
	uint64_t           changed;
	sqlite3_stmt      *stmt;
};

/* One connection, used by one thread at a time. Statements are prepared once and kept. */
struct sqlite_rows {
	struct rows        base;
	sqlite3           *db;
	sqlite3_stmt      *verb[NOUN_COUNT][SQLITE_VERB_COUNT];
	struct sqlite_find find[SQLITE_FINDS];
	size_t             find_next; /* the slot to be used (again) next */
	struct sqlite_update update[SQLITE_UPDATES];
	size_t               update_next;
	struct buf         text;
	void              *row; /* where found rows are read into */
	bool               holds; /* reads begin a transaction that sqlite_rows_go_on() ends */
	sqlite3_stmt      *hold_begin, *hold_end;
};

/* Takes `db` over (also on failure). */
_must_check_ int sqlite_rows_init(struct sqlite_rows *r, sqlite3 *db);
void             sqlite_rows_close(struct sqlite_rows *r);
/* Prepares every verb of every noun: what the schema lacks shows here. The cause is sqlite3_errmsg(). */
_must_check_ int sqlite_rows_prepare_all(struct sqlite_rows *r);

/* See view_hold(). */
void sqlite_rows_hold(struct sqlite_rows *r);
void sqlite_rows_go_on(struct sqlite_rows *r);

/* A result code of SQLite as ours; 0 for OK, ROW and DONE. */
int sqlite_code(sqlite3 *db, int rc);
_must_check_ int sqlite_exec(sqlite3 *db, const char *sql);

/* Texts, from the tables of store_columns.c alone. Parameter n of a verb is column n (from 1); those of a query come in order. */
void sql_verb(struct buf *to, const struct noun *noun, enum sqlite_verb verb);
void sql_update(struct buf *to, const struct noun *noun, uint64_t changed);
void sql_query(struct buf *to, const struct query *q, bool count);

/* The one connection that may write and checkpoint: makes the file if asked, migrates, checks. */
_must_check_ int sqlite_open_writer(const char *path, bool create, sqlite3 **ret, struct refusal *why);
/* Reads only; can neither write nor checkpoint. */
_must_check_ int sqlite_open_reader(const char *path, sqlite3 **ret);

/* sqlite_copy.c: see view_copy() of store.h. `db` reads and is in no transaction. */
_must_check_ int sqlite_copy(sqlite3 *db, const char *path, struct span note, const atomic_bool *stop, struct refusal *why);

/* sqlite_schema.c: a closed copy that is to become the database: made by sqlite_copy(), every page and index as it should be, of a schema
 * that this program knows. E_RESTORE_BACKUP names `name`. */
_must_check_ int sqlite_check_backup(const char *path, const char *name, struct refusal *why);

/* store_sqlite.c: PATH.lock beside the database: one process at a time. E_SYS_LOCKED. */
_must_check_ int sqlite_lock_beside(const char *path, int *ret_fd, struct refusal *why);
/* sqlite_restore.c: a restore that was killed after its decision; nothing to do otherwise. Under the lock. */
_must_check_ int sqlite_finish_restore(const char *path, struct refusal *why);

#endif
