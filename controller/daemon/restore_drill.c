/* restore_drill.c - room controller/daemon: a folder for the drill -> (restore.c restores) -> what came of it, as JSON -> nothing is left.
 * Never: the store in force. */
#include "controller/daemon/restore_drill.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <jansson.h>

#include "shared/base/attr.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

#define FOLDER "drill"

enum { ROUNDS = 10 };

static const uint64_t SPARE_BYTES = UINT64_C(128) * 1024 * 1024; /* left to the database that is in force */

/* ---- the folder -------------------------------------------------------------------------------------------------- */

static void empty(int dir_fd)
{
	int  fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	if (dir == NULL) {
		fd_close(fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;)
		(void)unlinkat(dir_fd, e->d_name, 0); /* "." and "..": refused */
	(void)closedir(dir);
}

static void folder_of(const char *path, char *ret, size_t size)
{
	snprintf(ret, size, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static void signals_that_end(sigset_t *ret)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	sigemptyset(ret);
	for (size_t i = 0; i < N_ELEMENTS(numbers); i++)
		sigaddset(ret, numbers[i]);
}

/* Twice its size: the copy, and the log of what is changed in it. */
static int room_check(const char *folder, int fd, struct refusal *why)
{
	struct stat    st;
	struct statvfs disk;
	if (fstat(fd, &st) != 0 || statvfs(folder, &disk) != 0)
		return sys_refuse(why, folder, "stat");
	uint64_t need = 2 * (uint64_t)st.st_size + SPARE_BYTES, have = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (have < need)
		return refuse(why, E_BACKUP_SPACE, folder, "%llu MiB are needed, %llu MiB are free", (unsigned long long)(need >> 20),
			      (unsigned long long)(have >> 20));
	return 0;
}

void restore_drill_end(const char *path)
{
	char folder[4096];
	folder_of(path, folder, sizeof(folder));
	_cleanup_fd_ int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0)
		return;
	empty(dir);
	(void)rmdir(folder);
}

/* The rest of the process goes on until the end of it: what it makes meanwhile goes with the next round. */
static void *watch(void *path)
{
	sigset_t ends;
	int      number = SIGTERM;
	struct   stat st;
	char     folder[4096];
	signals_that_end(&ends);
	(void)sigwait(&ends, &number);
	folder_of(path, folder, sizeof(folder));
	for (int round = 0; round < ROUNDS && stat(folder, &st) == 0; round++)
		restore_drill_end(path);
	fprintf(stderr, "vcc-controller: the drill was ended by signal %d\n", number);
	_exit(128 + number);
}

/* Before any other thread is made. `path` has to stay. */
static int watch_start(char *path, struct refusal *why)
{
	pthread_t watcher;
	return pthread_create(&watcher, NULL, watch, path) == 0 ? 0 : refuse(why, E_SYS_IO, path, "no thread can be made that removes it at the end");
}

int restore_drill_begin(const char *state_dir, int fd, char *ret_path, size_t size, struct refusal *why)
{
	char folder[4096];
	int  dir = -1; /* kept open: its lock ends with this process */
	int  n = snprintf(folder, sizeof(folder), "%s/" FOLDER, state_dir);
	if (n < 0 || (size_t)n >= sizeof(folder) || snprintf(ret_path, size, "%s/vcc.db", folder) >= (int)size)
		return refuse(why, E_SYS_IO, state_dir, "the path is too long");
	sigset_t ends;
	signals_that_end(&ends);
	(void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
	if (mkdir(folder, 0700) != 0 && errno != EEXIST)
		return sys_refuse(why, folder, "mkdir");
	int r = dir_open_safe(folder, geteuid(), &dir, why);
	if (r < 0)
		return r;
	if (flock(dir, LOCK_EX | LOCK_NB) != 0) {
		fd_close(dir);
		return refuse(why, E_SYS_LOCKED, folder, "another drill is under way");
	}
	empty(dir); /* of a drill that was killed */
	r = room_check(folder, fd, why);
	if (r == 0)
		r = watch_start(ret_path, why);
	if (r < 0) {
		(void)rmdir(folder);
		fd_close(dir);
	}
	return r;
}

void restore_drill_clear(const char *state_dir)
{
	char             folder[4096];
	_cleanup_fd_ int dir = -1;
	if (snprintf(folder, sizeof(folder), "%s/" FOLDER, state_dir) >= (int)sizeof(folder))
		return;
	dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) != 0)
		return;
	empty(dir);
	(void)rmdir(folder);
}

/* ---- what came of it --------------------------------------------------------------------------------------------- */

static int authorities_json(struct store_view *view, json_t *list)
{
	struct issuer *page = calloc(STORE_LIST_MAX, sizeof(*page));
	size_t         n = 0;
	int            r = page != NULL ? view_issuers(view, "", page, STORE_LIST_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct hash hash;
		char        hex[HASH_TEXT_SIZE];
		digest_sha256((struct span){page[i].der, page[i].der_len}, &hash);
		json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "issuer_id", page[i].issuer_id, "sha256", hash_text(hash, hex), "in_use",
						      !page[i].retired && page[i].revoked_at == 0));
	}
	free(page);
	return r;
}

static int look(struct store_view *view, const char *path, const struct restore_found *found, struct refusal *why)
{
	uint64_t    certificates = 0, agents = 0, orders = 0;
	struct hash root;
	char        made[TIME_TEXT_SIZE], hex[HASH_TEXT_SIZE];
	json_t     *list = json_array();
	int         r = view_audit_root_at(view, found->audit_size, &root);
	if (r == 0 && !hash_equal(root, found->audit_root))
		r = E_RESTORE_BACKUP;
	if (r == 0)
		r = view_counts(view, clock_now(), &certificates, &agents, &orders);
	if (r == 0)
		r = authorities_json(view, list);
	if (r < 0) {
		json_decref(list);
		return refuse(why, r, path, "%s", err_what(r));
	}
	json_t *o = json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:o}", "backup_of", time_text(found->made_at, made), "audit_size", (json_int_t)found->audit_size,
			      "audit_root", hash_text(found->audit_root, hex), "heads", (json_int_t)found->heads, "certificates",
			      (json_int_t)certificates, "agents", (json_int_t)agents, "authorities", list);
	bool    written = json_dumpf(o, stdout, JSON_COMPACT) == 0 && puts("") >= 0 && fflush(stdout) == 0;
	json_decref(o);
	return written ? 0 : sys_refuse(why, "stdout", "write");
}

int restore_drill_look(const char *path, const struct restore_found *found, struct refusal *why)
{
	struct store_options options = {.path = path, .hash = digest_sha256_two};
	struct store        *store = NULL;
	struct store_view   *view = NULL;
	int                  r = store_sqlite_open(&options, &store, why);
	if (r < 0)
		return r;
	r = store_view_open(store, &view);
	r = r < 0 ? refuse(why, r, path, "%s", err_what(r)) : look(view, path, found, why);
	store_view_close(view);
	store_close(store);
	return r;
}
