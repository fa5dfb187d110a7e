/* sqlite_copy.c - room controller/store: a whole copy of the database as it stood at one moment, made through a reading
 * connection while the writer goes on. Never: holding the writer, checkpoints, more than one step's pages in memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/store/sqlite_rows.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { COPY_PAGES = 256 }; /* of one step: 1 MiB */

/* The copy is nobody's database until it is whole and its bytes are synced as one file: a journal would protect nothing. */
static const char copy_pragmas[] = "PRAGMA journal_mode=OFF;"
				   "PRAGMA synchronous=OFF;"
				   "PRAGMA cache_size=-2048;"
				   "PRAGMA trusted_schema=OFF;";

/* A read transaction that stays open: without it every commit of the writer would make the copy begin again, and under load it
 * would never end. The log cannot be reset meanwhile, so it grows by what is committed during the copy. */
static int hold_moment(sqlite3 *db)
{
	int code = sqlite_exec(db, "BEGIN");
	return code < 0 ? code : sqlite_exec(db, "SELECT name FROM sqlite_master LIMIT 1");
}

static int copy_pages(sqlite3 *from, sqlite3 *to, const atomic_bool *stop)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	if (b == NULL)
		return sqlite_code(to, sqlite3_errcode(to));
	int rc, code = 0;
	do {
		rc = sqlite3_backup_step(b, COPY_PAGES);
		if (fault_point("store_copy") != 0)
			code = errno == ENOSPC ? E_STORE_FULL : E_STORE_IO;
		if (stop != NULL && atomic_load(stop))
			code = E_SYS_AGAIN;
	} while (rc == SQLITE_OK && code == 0);
	if (code == 0)
		code = sqlite_code(to, rc);
	rc = sqlite3_backup_finish(b);
	return code == 0 ? sqlite_code(to, rc) : code;
}

static int write_note(sqlite3 *db, struct span note)
{
	sqlite3_stmt *stmt;
	int rc = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO settings (name, value) VALUES ('backup', ?1)", -1, &stmt, NULL);
	if (rc != SQLITE_OK)
		return sqlite_code(db, rc);
	rc = sqlite3_bind_blob64(stmt, 1, note.p, note.n, SQLITE_STATIC);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	int code = sqlite_code(db, rc);
	sqlite3_finalize(stmt);
	return code;
}

/* The mode of the journal stands in the file: the copy has no log beside it, so that it is one file wherever it is carried. */
static int fill(sqlite3 *from, const char *path, struct span note, const atomic_bool *stop, struct refusal *why)
{
	sqlite3 *to = NULL;
	int      rc = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	int      code = to == NULL ? E_NOMEM : sqlite_code(to, rc);
	if (code == 0)
		code = sqlite_exec(to, copy_pragmas);
	if (code == 0)
		code = copy_pages(from, to, stop);
	if (code == 0)
		code = sqlite_exec(to, "PRAGMA journal_mode=DELETE");
	if (code == 0)
		code = write_note(to, note);
	if (code < 0)
		code = refuse(why, code, path, "%s",
			      to == NULL || sqlite3_errcode(to) == SQLITE_OK ? err_what(code) : sqlite3_errmsg(to));
	rc = sqlite3_close(to);
	return code == 0 && rc != SQLITE_OK ? refuse(why, E_STORE_IO, path, "it cannot be closed") : code;
}

static int sync_file(int fd, const char *path, struct refusal *why)
{
	return fsync(fd) == 0 ? 0 : sys_refuse(why, path, "fsync");
}

int sqlite_copy(sqlite3 *db, const char *path, struct span note, const atomic_bool *stop, struct refusal *why)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return sys_refuse(why, path, "open");
	int code = hold_moment(db);
	if (code < 0)
		code = refuse(why, code, path, "%s", sqlite3_errmsg(db));
	if (code == 0)
		code = fill(db, path, note, stop, why);
	if (sqlite3_get_autocommit(db) == 0)
		sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	if (code == 0)
		code = sync_file(fd, path, why);
	if (code < 0)
		unlink(path);
	return code;
}
