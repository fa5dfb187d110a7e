/* vfs_power.c - tests: a SQLite VFS over the usual one that remembers what is asked of the disk, and what it may hold after a
 * power cut. Never: changing what the process itself sees. */
#include "tests/lib/vfs_power.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECTOR = 512 };
enum subject { DATABASE, LOG, SUBJECTS };
enum kind { WRITE, TRUNCATE, REMOVE, SYNC };

struct op {
	enum kind    kind;
	enum subject subject;
	uint64_t     at;    /* of a write; the length of a truncation */
	size_t       n;
	uint8_t     *bytes; /* owned */
};

struct power_file {
	sqlite3_file base;
	bool         kept; /* database or log */
	enum subject subject;
	sqlite3_file *real; /* right behind this struct */
};

static sqlite3_vfs       *below;
static sqlite3_vfs        power;
static sqlite3_io_methods methods;
static pthread_mutex_t    lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	bool       on;
	struct op *op;
	size_t     n, cap;
} record;

/* ---- remembering ---- */

static void note(enum kind kind, enum subject subject, uint64_t at, const void *bytes, size_t n)
{
	pthread_mutex_lock(&lock);
	if (record.on) {
		if (record.n == record.cap) {
			record.cap = record.cap == 0 ? 1024 : 2 * record.cap;
			record.op = reallocarray(record.op, record.cap, sizeof(*record.op));
		}
		uint8_t *copy = n > 0 ? malloc(n) : NULL;
		if (record.op == NULL || (n > 0 && copy == NULL))
			abort();
		if (n > 0)
			memcpy(copy, bytes, n);
		record.op[record.n++] = (struct op){kind, subject, at, n, copy};
	}
	pthread_mutex_unlock(&lock);
}

void vfs_power_begin(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < record.n; i++)
		free(record.op[i].bytes);
	free(record.op);
	memset(&record, 0, sizeof(record));
	record.on = true;
	pthread_mutex_unlock(&lock);
}

void vfs_power_end(void)
{
	pthread_mutex_lock(&lock);
	record.on = false;
	pthread_mutex_unlock(&lock);
}

size_t vfs_power_count(void)
{
	pthread_mutex_lock(&lock);
	size_t n = record.n;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- the VFS: what it does not look at goes straight through ---- */

static sqlite3_file *real_of(sqlite3_file *f)
{
	return ((struct power_file *)f)->real;
}

static int power_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

static int power_read(sqlite3_file *f, void *to, int n, sqlite3_int64 at)
{
	return real_of(f)->pMethods->xRead(real_of(f), to, n, at);
}

static int power_write(sqlite3_file *f, const void *from, int n, sqlite3_int64 at)
{
	const struct power_file *p = (struct power_file *)f;
	int                      rc = p->real->pMethods->xWrite(p->real, from, n, at);
	if (rc == SQLITE_OK && p->kept)
		note(WRITE, p->subject, (uint64_t)at, from, (size_t)n);
	return rc;
}

static int power_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	const struct power_file *p = (struct power_file *)f;
	int                      rc = p->real->pMethods->xTruncate(p->real, size);
	if (rc == SQLITE_OK && p->kept)
		note(TRUNCATE, p->subject, (uint64_t)size, NULL, 0);
	return rc;
}

/* The one that the process runs on needs none: no power is cut here. */
static int power_sync(sqlite3_file *f, int flags)
{
	const struct power_file *p = (struct power_file *)f;
	(void)flags;
	if (p->kept)
		note(SYNC, p->subject, 0, NULL, 0);
	return SQLITE_OK;
}

static int power_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	return real_of(f)->pMethods->xFileSize(real_of(f), ret);
}

static int power_lock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int power_unlock(sqlite3_file *f, int level)
{
	return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int power_check_lock(sqlite3_file *f, int *ret)
{
	return real_of(f)->pMethods->xCheckReservedLock(real_of(f), ret);
}

static int power_control(sqlite3_file *f, int op, void *arg)
{
	return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int power_sector(sqlite3_file *f)
{
	return real_of(f)->pMethods->xSectorSize(real_of(f));
}

/* No promise that the usual one might make: sectors are written in any order, and a write can tear. */
static int power_device(sqlite3_file *f)
{
	(void)f;
	return 0;
}

static int power_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), region, size, extend, ret);
}

static int power_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void power_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int power_shm_unmap(sqlite3_file *f, int remove)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static int power_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)vfs;
	struct power_file *p = (struct power_file *)f;
	memset(p, 0, sizeof(*p));
	p->real = (sqlite3_file *)(p + 1);
	p->kept = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0;
	p->subject = (flags & SQLITE_OPEN_WAL) != 0 ? LOG : DATABASE;
	int rc = below->xOpen(below, name, p->real, flags, ret_flags);
	if (rc != SQLITE_OK && p->real->pMethods == NULL)
		return rc;
	p->base.pMethods = &methods;
	return rc;
}

static int power_delete(sqlite3_vfs *vfs, const char *name, int sync_folder)
{
	(void)vfs;
	size_t n = strlen(name);
	int    rc = below->xDelete(below, name, sync_folder);
	if (rc == SQLITE_OK && n > 4 && strcmp(name + n - 4, "-wal") == 0)
		note(REMOVE, LOG, 0, NULL, 0);
	return rc;
}

void vfs_power_install(void)
{
	below = sqlite3_vfs_find(NULL);
	if (below == NULL)
		abort();
	methods = (sqlite3_io_methods){
		.iVersion = 2,
		.xClose = power_close,
		.xRead = power_read,
		.xWrite = power_write,
		.xTruncate = power_truncate,
		.xSync = power_sync,
		.xFileSize = power_size,
		.xLock = power_lock,
		.xUnlock = power_unlock,
		.xCheckReservedLock = power_check_lock,
		.xFileControl = power_control,
		.xSectorSize = power_sector,
		.xDeviceCharacteristics = power_device,
		.xShmMap = power_shm_map,
		.xShmLock = power_shm_lock,
		.xShmBarrier = power_shm_barrier,
		.xShmUnmap = power_shm_unmap,
	};
	power = *below;
	power.zName = "power";
	power.szOsFile = (int)sizeof(struct power_file) + below->szOsFile;
	power.xOpen = power_open;
	power.xDelete = power_delete;
	if (sqlite3_vfs_register(&power, 1) != SQLITE_OK)
		abort();
}

/* ---- the cut ---- */

struct image {
	bool     there;
	uint8_t *bytes; /* owned */
	uint64_t n, cap;
};

static uint32_t draw(uint64_t *random, uint32_t below_this)
{
	*random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*random >> 33) % below_this;
}

static void image_size(struct image *i, uint64_t n)
{
	if (n > i->cap) {
		i->cap = 2 * n;
		i->bytes = realloc(i->bytes, i->cap);
		if (i->bytes == NULL)
			abort();
	}
	if (n > i->n)
		memset(i->bytes + i->n, 0, n - i->n);
	i->n = n;
	i->there = true;
}

static void image_write(struct image *i, uint64_t at, const uint8_t *bytes, size_t n)
{
	if (at + n > i->n)
		image_size(i, at + n);
	memcpy(i->bytes + at, bytes, n);
	i->there = true;
}

static void apply(struct image *i, const struct op *o)
{
	if (o->kind == WRITE) {
		image_write(i, o->at, o->bytes, o->n);
	} else if (o->kind == TRUNCATE) {
		image_size(i, o->at);
	} else if (o->kind == REMOVE) {
		i->n = 0;
		i->there = false;
	}
}

/* Of a write each sector by itself, all or nothing of the rest. False: the file was to go and is still there, so that nothing behind it
 * can have reached the disk. */
static bool apply_some(struct image *i, const struct op *o, uint32_t percent, uint64_t *random)
{
	if (o->kind != WRITE) {
		bool done = draw(random, 100) < percent;
		if (done)
			apply(i, o);
		return done || o->kind != REMOVE;
	}
	for (uint64_t at = o->at, end = o->at + o->n; at < end;) {
		uint64_t next = (at / SECTOR + 1) * SECTOR < end ? (at / SECTOR + 1) * SECTOR : end;
		if (draw(random, 100) < percent)
			image_write(i, at, o->bytes + (at - o->at), (size_t)(next - at));
		at = next;
	}
	return true;
}

static size_t last_sync(size_t k, enum subject s)
{
	while (k > 0 && !(record.op[k - 1].kind == SYNC && record.op[k - 1].subject == s))
		k--;
	return k;
}

static void spill(const struct image *i, const char *path)
{
	FILE *f = i->there ? fopen(path, "wb") : NULL;
	if (i->there && (f == NULL || fwrite(i->bytes, 1, i->n, f) != i->n || fclose(f) != 0))
		abort();
	if (!i->there)
		unlink(path);
}

void vfs_power_cut(size_t k, uint64_t seed, bool syncs, const char *path)
{
	static const uint32_t percents[] = {0, 5, 50, 95, 100};
	char                  names[SUBJECTS][300];
	uint64_t              random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	snprintf(names[DATABASE], sizeof(names[0]), "%s", path);
	snprintf(names[LOG], sizeof(names[0]), "%s-wal", path);
	for (int s = 0; s < SUBJECTS; s++) {
		struct image i = {.there = false};
		size_t       durable = syncs ? last_sync(k, (enum subject)s) : 0;
		uint32_t     percent = percents[draw(&random, sizeof(percents) / sizeof(percents[0]))];
		bool         goes_on = true;
		for (size_t n = 0; n < k && goes_on; n++) {
			const struct op *o = &record.op[n];
			if ((int)o->subject != s || o->kind == SYNC)
				continue;
			if (n < durable)
				apply(&i, o);
			else
				goes_on = apply_some(&i, o, percent, &random);
		}
		spill(&i, names[s]);
		free(i.bytes);
	}
}
