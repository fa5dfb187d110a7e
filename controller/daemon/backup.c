/* backup.c - room controller/daemon: one copy of the database at a time: room on the disk? -> copy on a worker -> final name ->
 * audit. Never: two at once; a final name for a file that is not whole. */
#include "controller/daemon/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <jansson.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

#define FOLDER "backup"
#define NAME   "vcc.db"
#define PART   "making.db" /* what a kill left half made is overwritten by the next */

static const uint64_t SPARE_BYTES =
	UINT64_C(128) * 1024 * 1024; /* left to the database beside the copy and the log of its duration */

struct backups {
	struct controller   *ctl;
	struct backup_report report;
	struct caller        who;
	char                 folder[CONF_PATH_SIZE + 16];
	char                *note; /* JSON that the copy carries */
	atomic_bool          stop;
	/* The worker's while one is being made; the loop reads them when it has ended. */
	uint64_t       bytes, audit_size;
	int            code;
	struct refusal why;
};

const char *backup_state_name(enum backup_state s)
{
	static const char *const names[BACKUP_STATE_COUNT] = {
		[BACKUP_NONE] = "none", [BACKUP_RUNNING] = "running", [BACKUP_DONE] = "done", [BACKUP_FAILED] = "failed"};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

int backups_open(struct controller *ctl, struct backups **ret)
{
	struct backups *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return E_NOMEM;
	b->ctl = ctl;
	snprintf(b->folder, sizeof(b->folder), "%s/" FOLDER, ctl->conf->state_dir);
	*ret = b;
	return 0;
}

void backups_stop(struct controller *ctl)
{
	if (ctl->backups != NULL)
		atomic_store(&ctl->backups->stop, true);
}

void backups_free(struct backups *b)
{
	if (b != NULL)
		free(b->note);
	free(b);
}

void controller_backup_report(const struct controller *ctl, struct backup_report *ret)
{
	*ret = ctl->backups->report;
}

/* ---- on the worker --------------------------------------------------------------------------------------------- */

/* The database's own disk: what fills it would stop every change (FULL), so there must be room for more than the copy. */
static int room_check(struct backups *b, const char *part)
{
	char           db[CONF_PATH_SIZE + 16], wal[CONF_PATH_SIZE + 16];
	struct stat    st = {0}, log = {0};
	struct statvfs disk;
	snprintf(db, sizeof(db), "%s/vcc.db", b->ctl->conf->state_dir);
	snprintf(wal, sizeof(wal), "%s/vcc.db-wal", b->ctl->conf->state_dir);
	if (unlink(part) != 0 && errno != ENOENT)
		return sys_refuse(&b->why, part, "unlink");
	if (stat(db, &st) != 0 || statvfs(b->folder, &disk) != 0)
		return sys_refuse(&b->why, b->folder, "stat");
	(void)stat(wal, &log);
	uint64_t need = (uint64_t)st.st_size + (uint64_t)log.st_size + SPARE_BYTES,
		 have = (uint64_t)disk.f_bavail * disk.f_frsize;
	if (have < need)
		return refuse(&b->why, E_BACKUP_SPACE, b->folder, "%llu MiB are needed, %llu MiB are free",
			      (unsigned long long)(need >> 20), (unsigned long long)(have >> 20));
	return 0;
}

static int name_it(struct backups *b, int dir)
{
	struct stat st;
	if (fault_point("controller.backup_made") != 0 || renameat(dir, PART, dir, NAME) != 0)
		return sys_refuse(&b->why, b->folder, "rename");
	if (dir_sync(dir) < 0 || fstatat(dir, NAME, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return sys_refuse(&b->why, b->folder, "fsync");
	b->bytes = (uint64_t)st.st_size;
	return 0;
}

static int copy(struct backups *b, struct store_view *view)
{
	char             part[CONF_PATH_SIZE + 32];
	_cleanup_fd_ int dir = -1;
	snprintf(part, sizeof(part), "%s/" PART, b->folder);
	if (mkdir(b->folder, 0700) != 0 && errno != EEXIST)
		return sys_refuse(&b->why, b->folder, "mkdir");
	struct hash root;
	int         r = dir_open_safe(b->folder, geteuid(), &dir, &b->why);
	if (r == 0)
		r = room_check(b, part);
	if (r == 0)
		r = view_audit_head(view, &b->audit_size, &root);
	if (r == 0)
		r = view_copy(view, part, span_text(b->note), &b->stop, &b->why);
	return r < 0 ? r : name_it(b, dir);
}

static void run(void *job, struct store_view *view)
{
	struct backups *b = job;
	b->code = copy(b, view);
}

/* ---- on the loop ----------------------------------------------------------------------------------------------- */

static void audit_end(struct backups *b)
{
	struct commit        *c = commit_new(b->ctl);
	const struct audit_of of = {.event = b->code == 0 ? AUDIT_BACKUP_MADE : AUDIT_BACKUP_FAILED,
				    .actor = b->who.actor,
				    .object = "store",
				    .request_id = b->who.request_id};
	char                  code[ERR_CODE_SIZE];
	if (b->code == 0)
		commit_audit(c, &of, "{s:I,s:I,s:I}", "bytes", (json_int_t)b->report.bytes, "audit_size",
			     (json_int_t)b->report.audit_size, "seconds",
			     (json_int_t)((b->report.ended_at - b->report.started_at) / 1000));
	else
		commit_audit(c, &of, "{s:s}", "code", err_code(b->code, code));
	commit_now(c, NULL, NULL);
}

static void ended(void *job)
{
	struct backups *b = job;
	if (b->code < 0 && b->why.code == 0)
		(void)refuse(&b->why, b->code, b->folder, "%s", err_what(b->code));
	b->report.ended_at = clock_now();
	b->report.bytes = b->bytes;
	b->report.audit_size = b->audit_size;
	b->report.state = b->code == 0 ? BACKUP_DONE : BACKUP_FAILED;
	b->report.why = b->why;
	if (b->code == 0)
		log_line(LOG_LEVEL_NOTICE, NULL, "backup %s: %llu bytes", b->report.path, (unsigned long long)b->report.bytes);
	else
		log_refusal(LOG_LEVEL_ERROR, NULL, &b->why);
	if (!b->ctl->stopping)
		audit_end(b);
}

/* What a restore and its reader want to know before they open it. */
static char *note_make(const struct backups *b)
{
	json_t *o = json_pack("{s:s,s:I,s:s}", "version", VCC_VERSION, "made_at", (json_int_t)b->report.started_at, "by",
			      b->who.actor);
	char   *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	return text;
}

int controller_backup(struct controller *ctl, const struct caller *who, struct refusal *why)
{
	struct backups *b = ctl->backups;
	if (b->report.state == BACKUP_RUNNING)
		return refuse(why, E_BACKUP_RUNNING, "backup", "%s", err_what(E_BACKUP_RUNNING));
	free(b->note);
	b->report = (struct backup_report){.state = BACKUP_RUNNING, .started_at = clock_now()};
	snprintf(b->report.path, sizeof(b->report.path), "%s/" NAME, b->folder);
	b->who = *who;
	b->why = (struct refusal){0};
	b->bytes = b->audit_size = 0;
	b->code = E_STORE_IO; /* stands when no view could be opened */
	b->note = note_make(b);
	if (b->note == NULL) {
		b->report.state = BACKUP_FAILED;
		return refuse(why, E_NOMEM, "backup", "%s", err_what(E_NOMEM));
	}
	workers_read(ctl->workers, run, ended, b);
	return 0;
}
