/* vfs_shim.c - tests: a SQLite VFS over the usual one that counts who writes, and fails or kills at the n-th call.
 * Never: storage of its own. */
#include "tests/lib/vfs_shim.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { LOCK_CHECKPOINT = 1 }; /* of SQLite's write-ahead log index */

struct shim_file {
	sqlite3_file  base;
	sqlite3_file *real; /* right behind this struct */
	bool          is_database, is_log;
	bool          counted_writer, counted_log;
};

static sqlite3_vfs      *below;
static sqlite3_vfs       shim;
static pthread_mutex_t   lock = PTHREAD_MUTEX_INITIALIZER;
static struct vfs_counts counts;
static struct {
	bool           armed;
	enum vfs_fault kind;
	long           at, more, seen;
	int            rc;
} fault;

void vfs_shim_reset(void)
{
	pthread_mutex_lock(&lock);
	memset(&counts, 0, sizeof(counts));
	pthread_mutex_unlock(&lock);
}

void vfs_shim_counts(struct vfs_counts *ret)
{
	pthread_mutex_lock(&lock);
	*ret = counts;
	pthread_mutex_unlock(&lock);
}

void vfs_shim_arm(enum vfs_fault kind, long n, long more, int rc)
{
	pthread_mutex_lock(&lock);
	fault.armed = true;
	fault.kind = kind;
	fault.at = n;
	fault.more = more;
	fault.seen = 0;
	fault.rc = rc;
	pthread_mutex_unlock(&lock);
}

long vfs_shim_disarm(void)
{
	pthread_mutex_lock(&lock);
	fault.armed = false;
	long seen = fault.seen;
	pthread_mutex_unlock(&lock);
	return seen;
}

/* 0, or the code that this call must fail with. */
static int pass(enum vfs_fault kind)
{
	int rc = SQLITE_OK;
	pthread_mutex_lock(&lock);
	if (fault.armed && (fault.kind == kind || fault.kind == VFS_ANY)) {
		fault.seen++;
		if (fault.seen >= fault.at && fault.seen <= fault.at + fault.more)
			rc = fault.rc;
	}
	pthread_mutex_unlock(&lock);
	if (rc == -1)
		raise(SIGKILL);
	return rc;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct shim_file *)f)->real;
}

static int shim_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static void count_writer(struct shim_file *s)
{
	counts.writers += !s->counted_writer;
	s->counted_writer = true;
}

static int shim_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	struct shim_file *s = (struct shim_file *)f;
	if (!s->is_database && !s->is_log)
		return s->real->pMethods->xWrite(s->real, from, n, at);
	int rc = pass(VFS_WRITE);
	if (rc != SQLITE_OK)
		return rc;
	pthread_mutex_lock(&lock);
	if (s->is_log && !s->counted_log)
		counts.log_writers++;
	s->counted_log = s->counted_log || s->is_log;
	counts.log_writes += s->is_log;
	counts.database_writes += s->is_database;
	if (s->is_database)
		count_writer(s);
	pthread_mutex_unlock(&lock);
	return s->real->pMethods->xWrite(s->real, from, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return real_of(f)->pMethods->xTruncate(real_of(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
	int rc = pass(VFS_SYNC);
	return rc != SQLITE_OK ? rc : real_of(f)->pMethods->xSync(real_of(f), flags);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int shim_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_check_lock(sqlite3_file *f, int *ret)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_device(sqlite3_file *f)
{
	return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, ret);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	struct shim_file *s = (struct shim_file *)f;
	int               rc = s->real->pMethods->xShmLock(s->real, offset, n, flags);
	bool exclusive = rc == SQLITE_OK && (flags & SQLITE_SHM_EXCLUSIVE) != 0 && (flags & SQLITE_SHM_LOCK) != 0;
	/* the writer's lock proves nothing: a reader takes it to read the log's index again that changed under its eyes */
	if (exclusive && offset <= LOCK_CHECKPOINT && offset + n > LOCK_CHECKPOINT) {
		pthread_mutex_lock(&lock);
		count_writer(s);
		pthread_mutex_unlock(&lock);
	}
	return rc;
}

static void shim_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int remove)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = shim_close,
	.xRead = shim_read,
	.xWrite = shim_write,
	.xTruncate = shim_truncate,
	.xSync = shim_sync,
	.xFileSize = shim_size,
	.xLock = shim_lock,
	.xUnlock = shim_unlock,
	.xCheckReservedLock = shim_check_lock,
	.xFileControl = shim_control,
	.xSectorSize = shim_sector,
	.xDeviceCharacteristics = shim_device,
	.xShmMap = shim_shm_map,
	.xShmLock = shim_shm_lock,
	.xShmBarrier = shim_shm_barrier,
	.xShmUnmap = shim_shm_unmap,
};

static int shim_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)vfs;
	struct shim_file *s = (struct shim_file *)f;
	memset(s, 0, sizeof(*s));
	s->real = (sqlite3_file *)(s + 1);
	s->is_database = (flags & SQLITE_OPEN_MAIN_DB) != 0;
	s->is_log = (flags & SQLITE_OPEN_WAL) != 0;
	int rc = below->xOpen(below, name, s->real, flags, ret_flags);
	if (rc != SQLITE_OK && s->real->pMethods == NULL)
		return rc;
	s->base.pMethods = &methods;
	pthread_mutex_lock(&lock);
	counts.connections += s->is_database;
	pthread_mutex_unlock(&lock);
	return rc;
}

void vfs_shim_install(void)
{
	below = sqlite3_vfs_find(NULL);
	if (below == NULL)
		abort();
	shim = *below;
	shim.zName = "shim";
	shim.szOsFile = (int)sizeof(struct shim_file) + below->szOsFile;
	shim.xOpen = shim_open;
	if (sqlite3_vfs_register(&shim, 1) != SQLITE_OK)
		abort();
}
