/* sqlite_schema.c - room controller/store: opens SQLite connections the one way this store uses them, and brings the schema
 * up to date from the numbered files of schema/. Never: reading or changing rows. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controller/store/sqlite_rows.h"
#include "shared/sys/fault.h"

/* Made from schema/ at build time by scripts/embed. */
struct embedded_file {
	const char          *name;
	const unsigned char *bytes; /* a NUL follows */
	size_t               n;
};
extern const struct embedded_file schema_files[];
extern const size_t               schema_files_n;

enum {
	APPLICATION_ID = 0x56434350, /* "VCCP" in the file's header */
	CHECK_MAX_BYTES = 64 * 1024 * 1024, /* a third of a second; in larger files damage shows when the page is read: an emergency waits for the start */
	BUSY_MS = 5000,
};

/* FULL: a commit that was answered survives a power cut (NORMAL may lose the last ones). Automatic checkpoints are off:
 * the writer makes them between its batches. */
static const char writer_pragmas[] = "PRAGMA journal_mode=WAL;"
				     "PRAGMA synchronous=FULL;"
				     "PRAGMA wal_autocheckpoint=0;"
				     "PRAGMA journal_size_limit=67108864;"
				     "PRAGMA cache_size=-65536;"
				     "PRAGMA temp_store=MEMORY;"
				     "PRAGMA secure_delete=OFF;"
				     "PRAGMA trusted_schema=OFF;";
static const char reader_pragmas[] = "PRAGMA query_only=1;"
				     "PRAGMA wal_autocheckpoint=0;"
				     "PRAGMA cache_size=-2048;"
				     "PRAGMA temp_store=MEMORY;"
				     "PRAGMA trusted_schema=OFF;";

static int refuse_sqlite(struct refusal *why, int code, const char *path, sqlite3 *db)
{
	return refuse(why, code, path, "%s", db != NULL ? sqlite3_errmsg(db) : err_what(code));
}

static int pragma_number(sqlite3 *db, const char *sql, int64_t *ret)
{
	sqlite3_stmt *stmt;
	int           rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return sqlite_code(db, rc);
	rc = sqlite3_step(stmt);
	int code = rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? E_STORE_DAMAGED : sqlite_code(db, rc);
	if (code == 0)
		*ret = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return code;
}

static int connect(const char *path, int flags, const char *pragmas, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int      rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (db == NULL)
		return E_NOMEM;
	*ret = db; /* also on failure: it holds the cause */
	if (rc != SQLITE_OK)
		return sqlite_code(db, rc);
	sqlite3_busy_timeout(db, BUSY_MS);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return sqlite_exec(db, pragmas);
}

int sqlite_open_reader(const char *path, sqlite3 **ret)
{
	sqlite3 *db = NULL;
	int      code = connect(path, SQLITE_OPEN_READONLY, reader_pragmas, &db);
	if (db != NULL)
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code < 0) {
		sqlite3_close(db);
		return code;
	}
	*ret = db;
	return 0;
}

/* The file with its final mode; SQLite gives its side files the same. */
static int make_file(const char *path, bool create, struct refusal *why)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return refuse(why, E_STORE_IO, path, "%s",
		              errno == ENOENT && !create ? "there is no database here; `init` makes it" : strerror(errno));
	close(fd);
	return 0;
}

/* One migration is one transaction: the schema is the old one or the new one, whenever the process dies. */
static int migrate(sqlite3 *db, const struct embedded_file *file, int number)
{
	char version[64];
	snprintf(version, sizeof(version), "PRAGMA user_version=%d", number);
	int code = sqlite_exec(db, "BEGIN IMMEDIATE");
	if (code == 0)
		code = sqlite_exec(db, (const char *)file->bytes);
	if (code == 0 && fault_point("store_migrate") != 0)
		code = E_STORE_IO;
	if (code == 0)
		code = sqlite_exec(db, version);
	if (code == 0)
		code = sqlite_exec(db, "COMMIT");
	if (code != 0 && sqlite3_get_autocommit(db) == 0)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	return code;
}

static int migrate_all(sqlite3 *db, const char *path, struct refusal *why)
{
	int64_t version, newest = 0;
	int     code = pragma_number(db, "PRAGMA user_version", &version);
	if (code != 0)
		return refuse_sqlite(why, code, path, db);
	for (size_t i = 0; i < schema_files_n; i++) {
		int number = atoi(schema_files[i].name);
		newest = number;
		if (number <= version)
			continue;
		code = migrate(db, &schema_files[i], number);
		if (code < 0)
			return refuse(why, code, path, "%s: %s", schema_files[i].name, sqlite3_errmsg(db));
	}
	if (version > newest)
		return refuse(why, E_STORE_SCHEMA, path, "the database has schema %lld, this program knows %lld", (long long)version,
		              (long long)newest);
	return 0;
}

/* Ours or empty; anything else is somebody's file. */
static int check_owner(sqlite3 *db, const char *path, struct refusal *why)
{
	int64_t application, tables;
	int     code = pragma_number(db, "PRAGMA application_id", &application);
	if (code == 0)
		code = pragma_number(db, "SELECT count(*) FROM sqlite_master", &tables);
	if (code != 0)
		return refuse_sqlite(why, code, path, db);
	if (application == APPLICATION_ID)
		return 0;
	if (application != 0 || tables != 0)
		return refuse(why, E_STORE_DAMAGED, path, "this is not a database of this program");
	char mark[64];
	snprintf(mark, sizeof(mark), "PRAGMA application_id=%d", APPLICATION_ID);
	code = sqlite_exec(db, mark);
	return code < 0 ? refuse_sqlite(why, code, path, db) : 0;
}

/* The last process did not close the database: the log beside it still holds frames. */
static bool was_killed(const char *path)
{
	char        wal[4096];
	struct stat st;
	int         n = snprintf(wal, sizeof(wal), "%s-wal", path);
	return n > 0 && (size_t)n < sizeof(wal) && stat(wal, &st) == 0 && st.st_size > 0;
}

static int check_pages(sqlite3 *db, const char *path, struct refusal *why)
{
	struct stat st;
	if (stat(path, &st) != 0 || st.st_size > CHECK_MAX_BYTES)
		return 0;
	sqlite3_stmt *stmt;
	int           rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return refuse_sqlite(why, sqlite_code(db, rc), path, db);
	rc = sqlite3_step(stmt);
	const char *answer = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
	int         code = 0;
	if (answer == NULL)
		code = refuse_sqlite(why, rc == SQLITE_ROW ? E_NOMEM : sqlite_code(db, rc), path, db);
	else if (strcmp(answer, "ok") != 0)
		code = refuse(why, E_STORE_DAMAGED, path, "%s", answer);
	sqlite3_finalize(stmt);
	return code;
}

/* The first cell of a query as text equals `wanted`; *ret_text keeps what it was for people. */
static bool answers(sqlite3 *db, const char *sql, const char *wanted, char *ret_text, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	bool          same = false;
	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(stmt, 0);
		snprintf(ret_text, size, "%s", text != NULL ? text : "");
		same = text != NULL && strcmp(text, wanted) == 0;
	} else {
		snprintf(ret_text, size, "%s", sqlite3_errmsg(db));
	}
	sqlite3_finalize(stmt);
	return same;
}

static int judge_backup(sqlite3 *db, const char *name, struct refusal *why)
{
	char    text[160], mark[16];
	int64_t version = 0, newest = schema_files_n > 0 ? atoi(schema_files[schema_files_n - 1].name) : 0;
	snprintf(mark, sizeof(mark), "%d", APPLICATION_ID);
	if (!answers(db, "PRAGMA application_id", mark, text, sizeof(text)))
		return refuse(why, E_RESTORE_BACKUP, name, "this is not a database of this program");
	if (pragma_number(db, "PRAGMA user_version", &version) < 0 || version > newest)
		return refuse(why, E_STORE_SCHEMA, name, "the backup has schema %lld, this program knows %lld", (long long)version,
			      (long long)newest);
	if (!answers(db, "PRAGMA integrity_check(1)", "ok", text, sizeof(text)))
		return refuse(why, E_RESTORE_BACKUP, name, "%s", text);
	if (!answers(db, "SELECT count(*) FROM settings WHERE name = 'backup'", "1", text, sizeof(text)))
		return refuse(why, E_RESTORE_BACKUP, name, "`vccctl backup` did not make it; a file copied by hand may lack its log");
	return 0;
}

int sqlite_check_backup(const char *path, const char *name, struct refusal *why)
{
	sqlite3 *db = NULL;
	int      code = connect(path, SQLITE_OPEN_READONLY, reader_pragmas, &db);
	if (code < 0)
		code = refuse(why, E_RESTORE_BACKUP, name, "%s", db != NULL ? sqlite3_errmsg(db) : err_what(code));
	else
		code = judge_backup(db, name, why);
	sqlite3_close(db);
	return code;
}

int sqlite_open_writer(const char *path, bool create, sqlite3 **ret, struct refusal *why)
{
	sqlite3 *db = NULL;
	int      code = make_file(path, create, why);
	if (code < 0)
		return code;
	bool killed = was_killed(path);
	code = connect(path, SQLITE_OPEN_READWRITE, writer_pragmas, &db);
	if (code < 0)
		code = refuse_sqlite(why, code, path, db);
	if (code == 0)
		code = check_owner(db, path, why);
	if (code == 0 && killed)
		code = check_pages(db, path, why);
	if (code == 0)
		code = migrate_all(db, path, why);
	if (code < 0) {
		sqlite3_close(db);
		return code;
	}
	*ret = db;
	return 0;
}
