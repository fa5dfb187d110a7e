/* doctor_host.c - room agent/survey: the doctor's checks of the host itself: keeper, link, clock, file watches, space, rights.
 * Never: changing anything but limits of file watches and modes of our own folders, and only with --fix. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "agent/survey/doctor_part.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

/* ---- keeper and link --------------------------------------------------------------------------------------------- */

static bool joined(const struct patient *p)
{
	char path[AGENT_PATH_SIZE + 16];
	snprintf(path, sizeof(path), "%s/joined", p->conf->link_dir);
	return access(path, F_OK) == 0;
}

void doctor_keeper(struct patient *p)
{
	if (p->status != NULL) {
		doctor_note(p, "answers for %s of service %s, targets: %zu", doctor_text(p->status, "agent"),
			    doctor_text(p->status, "service"), json_array_size(json_object_get(p->status, "targets")));
		return;
	}
	struct finding *f;
	if (!joined(p) && geteuid() == 0)
		f = doctor_find(p, FINDING_ERROR, E_LINK_NOT_JOINED, "vcc-agent", "there is no %s/joined", p->conf->link_dir);
	else
		f = doctor_find(p, FINDING_ERROR, E_DOCTOR_KEEPER, p->conf->keeper_socket, "%s", p->no_keeper.cause);
	if (geteuid() != 0)
		text_cut(f->next, sizeof(f->next), "Repeat this as root: only root and the agent may ask the keeper.");
}

void doctor_link(struct patient *p)
{
	int         code = doctor_code(p->status, "link_code");
	const char *text = doctor_text(p->status, "link_error");
	long long   waiting = (long long)json_integer_value(json_object_get(p->status, "receipts_waiting"));
	if (json_is_true(json_object_get(p->status, "connected")))
		doctor_note(p, "connected, receipts waiting: %lld", waiting);
	else
		doctor_find(p, FINDING_ERROR, code != 0 ? code : E_LINK_DOWN, "vcc-agent", "%s",
			    text[0] != '\0' ? text : "it said nothing yet: is the unit vcc-agent active?");
}

/* The link's file holds its key, too: only the certificate behind it is looked at. */
static int identity_look(const char *dir, struct look *ret)
{
	struct buf       pem = BUF_MAX(65536);
	_cleanup_fd_ int fd = -1;
	struct stat      st;
	int              r = stat(dir, &st) == 0 ? dir_open_safe(dir, st.st_uid, &fd, NULL) : E_NOT_FOUND;
	if (r == 0)
		r = file_read(fd, "identity.pem", true, &pem, NULL);
	static const char mark[] = "-----BEGIN CERTIFICATE";
	const uint8_t    *from = r == 0 && pem.n > 0 ? memmem(pem.p, pem.n, mark, sizeof(mark) - 1) : NULL;
	if (r == 0)
		r = from != NULL ? look_pem((struct span){from, pem.n - (size_t)(from - pem.p)}, ret) : E_PKI_CERT;
	buf_wipe(&pem);
	return r;
}

void doctor_identity(struct patient *p)
{
	struct look *l = calloc(1, sizeof(*l));
	char         left[TIME_TEXT_SIZE];
	int          r = l != NULL ? identity_look(p->conf->link_dir, l) : E_NOMEM;
	if (r != 0)
		doctor_find(p, joined(p) ? FINDING_ERROR : FINDING_WARNING, r, p->conf->link_dir,
			    "the identity certificate cannot be read: %s", err_what(r));
	else if (l->not_after_at <= p->now)
		doctor_find(p, FINDING_ERROR, E_LINK_RETURN, p->conf->link_dir, "it ended %s ago",
			    duration_brief(p->now - l->not_after_at, left));
	else
		doctor_note(p, "the link's identity is good for another %s", duration_brief(l->not_after_at - p->now, left));
	free(l);
}

void doctor_journal(struct patient *p)
{
	int code = doctor_code(p->status, "journal_code");
	if (code != 0)
		doctor_find(p, FINDING_ERROR, code, p->conf->keeper_dir,
			    "%s: nothing can be decided until the journal can be written",
			    doctor_text(p->status, "journal_error"));
	else
		doctor_note(p, "the keeper can write it");
}

/* ---- clock ------------------------------------------------------------------------------------------------------- */

static bool clock_is_kept(void)
{
	struct timex t = {.modes = 0};
	int          state = adjtimex(&t);
	return state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0;
}

void doctor_clock(struct patient *p)
{
	const char *state = doctor_text(p->status, "clock");
	double      skew = (double)json_integer_value(json_object_get(p->status, "skew_ms")) / 1000.0;
	bool        off = state[0] != '\0' && !text_equal(state, "right");
	if (off)
		doctor_find(p, text_equal(state, "wrong") ? FINDING_ERROR : FINDING_WARNING, E_SWAP_CLOCK, "clock",
			    "it differs from the controller's by %+.0f s; %s", skew,
			    text_equal(state, "wrong")     ? "swaps are refused"
			    : text_equal(state, "allowed") ? "allow-wrong-clock lets swaps go on"
							   : "validity is judged by the controller's");
	if (!clock_is_kept())
		doctor_find(p, FINDING_WARNING, E_DOCTOR_CLOCK, "clock", "the kernel does not call it synchronised");
	if (!off)
		doctor_note(p, p->status != NULL ? "%+.1f s against the controller's" : "the kernel calls it synchronised",
			    skew);
}

/* ---- file watches ------------------------------------------------------------------------------------------------ */

/* What a host with 64 targets needs a few times over, and other programs want some, too. Raising costs nothing until it is
 * used. */
static const struct limit {
	const char *path, *name; /* as sysctl calls it */
	long        want;
} limits[] = {
	{"/proc/sys/fs/inotify/max_user_watches", "fs.inotify.max_user_watches", 65536},
	{"/proc/sys/fs/inotify/max_user_instances", "fs.inotify.max_user_instances", 512},
	{"/proc/sys/fs/inotify/max_queued_events", "fs.inotify.max_queued_events", 65536},
	{"/proc/sys/user/max_inotify_watches", "user.max_inotify_watches", 65536}, /* not every kernel has these two */
	{"/proc/sys/user/max_inotify_instances", "user.max_inotify_instances", 512},
};
#define SYSCTL_DIR  "/etc/sysctl.d"
#define SYSCTL_FILE "60-vcc-agent.conf"

static long limit_read(const struct patient *p, const struct limit *l)
{
	char path[512];
	long value = -1;
	snprintf(path, sizeof(path), "%s%s", p->root, l->path);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return -1;
	if (fscanf(f, "%ld", &value) != 1)
		value = -1;
	fclose(f);
	return value;
}

static bool limit_write(const struct patient *p, const struct limit *l)
{
	char path[512];
	snprintf(path, sizeof(path), "%s%s", p->root, l->path);
	FILE *f = fopen(path, "re+");
	if (f == NULL)
		return false;
	bool good = fprintf(f, "%ld\n", l->want) > 0;
	return fclose(f) == 0 && good;
}

/* For the next boot. Limits that are higher already stay out of the file. */
static int limits_keep(const struct patient *p, struct span text, struct refusal *why)
{
	char             path[512];
	_cleanup_fd_ int fd = -1;
	snprintf(path, sizeof(path), "%s%s", p->root, SYSCTL_DIR);
	int r = dir_open_safe(path, geteuid(), &fd, why);
	return r == 0 ? file_replace(fd, SYSCTL_FILE, text, (uid_t)-1, (gid_t)-1, 0644, why) : r;
}

static void limits_raise(struct patient *p, struct finding *f)
{
	struct refusal why = {.code = 0};
	struct buf     text = BUF_MAX(4096);
	size_t         raised = 0;
	size_t         refused = 0;
	buf_add_text(&text, "# File watches for vcc-keeper, written by `vcc-agent doctor --fix`.\n");
	for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
		long now = limit_read(p, &limits[i]);
		if (now >= limits[i].want || now < 0)
			continue;
		buf_add_fmt(&text, "%s = %ld\n", limits[i].name, limits[i].want);
		bool good = limit_write(p, &limits[i]);
		raised += good;
		refused += !good;
	}
	int r = raised > 0 ? limits_keep(p, buf_span(&text), &why) : 0;
	if (refused > 0)
		finding_not_mended(f, "the kernel does not let this be changed here (in a container: raise it on its host)");
	else if (raised == 0)
		finding_not_mended(f, "the limits are high enough: other programs of the same user have used them up");
	else if (r != 0)
		finding_mended(f, "raised until the next boot; %s%s cannot be written: %s", p->root, SYSCTL_DIR, why.cause);
	else
		finding_mended(f, "raised, also for the next boot by %s%s/%s; the keeper uses it within a second%s", p->root,
			       SYSCTL_DIR, SYSCTL_FILE,
			       text_equal(doctor_text(p->status, "watch"), "instances")
				       ? " after `systemctl restart vcc-keeper`"
				       : "");
	buf_free(&text);
}

static struct finding *watch_find(struct patient *p, const char *state)
{
	long watches = limit_read(p, &limits[0]);
	long overflows = (long)json_integer_value(json_object_get(p->status, "watch_overflows"));
	if (text_equal(state, "watches"))
		return doctor_find(p, FINDING_ERROR, E_DOCTOR_WATCHES, limits[0].name,
				   "all %ld watches of the keeper's user are used", watches);
	if (text_equal(state, "instances"))
		return doctor_find(p, FINDING_ERROR, E_DOCTOR_WATCHES, limits[1].name,
				   "all %ld instances of the keeper's user are used", limit_read(p, &limits[1]));
	if (text_equal(state, "overflow") || overflows > 0)
		return doctor_find(p, FINDING_WARNING, E_DOCTOR_OVERFLOW, limits[2].name,
				   "it happened %ld times since the keeper's start; the queue holds %ld", overflows,
				   limit_read(p, &limits[2]));
	return NULL;
}

void doctor_watch(struct patient *p)
{
	const char     *state = doctor_text(p->status, "watch");
	struct finding *f = watch_find(p, state);
	if (f != NULL && p->fix)
		limits_raise(p, f);
	if (text_equal(state, "targets"))
		doctor_find(p, FINDING_WARNING, E_DOCTOR_WATCHES, p->conf->targets_dir,
			    "the folder of target files cannot be watched: it is read again every minute");
	if (text_equal(state, "refused"))
		doctor_find(p, FINDING_WARNING, E_DOCTOR_MODE, "targets",
			    "the keeper may not watch the files of every target: see its log");
	if (f == NULL && text_equal(state, "complete"))
		doctor_note(p, "every target's files are watched; the kernel allows %ld", limit_read(p, &limits[0]));
}

/* ---- space and rights -------------------------------------------------------------------------------------------- */

static void space_look(struct patient *p, const char *path, dev_t *seen, size_t *n)
{
	enum { LEAST_BYTES = 16 << 20, FEW_BYTES = 128 << 20, LEAST_INODES = 64, FEW_INODES = 1024 };
	struct statvfs v;
	struct stat    st;
	if (stat(path, &st) != 0 || statvfs(path, &v) != 0)
		return;
	for (size_t i = 0; i < *n; i++)
		if (seen[i] == st.st_dev)
			return;
	seen[(*n)++] = st.st_dev;
	unsigned long long bytes = (unsigned long long)v.f_bavail * v.f_frsize;
	bool               counted = v.f_files != 0; /* some file systems make inodes as they need them */
	bool               none = bytes < LEAST_BYTES || (counted && v.f_favail < LEAST_INODES);
	bool               few = bytes < FEW_BYTES || (counted && v.f_favail < FEW_INODES);
	if (none || few)
		doctor_find(p, none ? FINDING_ERROR : FINDING_WARNING, none ? E_SYS_SPACE : E_DOCTOR_SPACE, path,
			    "%llu MiB and %llu inodes are left", bytes >> 20, counted ? (unsigned long long)v.f_favail : 0ULL);
	else if (p->note[0] == '\0' || strlen(p->note) < DOCTOR_NOTE_SIZE / 2)
		snprintf(p->note + strlen(p->note), DOCTOR_NOTE_SIZE - strlen(p->note), "%s%llu MiB free for %.60s",
			 p->note[0] != '\0' ? ", " : "", bytes >> 20, path);
}

void doctor_space(struct patient *p)
{
	dev_t  seen[DOCTOR_TARGETS_MAX + 2];
	size_t n = 0;
	char   folder[TARGET_PATH_SIZE];
	space_look(p, p->conf->keeper_dir, seen, &n);
	space_look(p, p->conf->link_dir, seen, &n);
	for (size_t i = 0; i < p->n_targets; i++)
		if (doctor_folder(p, &p->target[i], folder))
			space_look(p, folder, seen, &n);
}

/* Closed rooms: nobody but their owner has any business there. */
static void closed_look(struct patient *p, const char *path)
{
	char             self[32];
	struct stat      st;
	_cleanup_fd_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		if (p->status != NULL || geteuid() == 0)
			doctor_find(p, FINDING_ERROR, E_NOT_FOUND, path, "there is no such folder");
		return;
	}
	if ((st.st_mode & 077) == 0)
		return;
	struct finding *f = doctor_find(p, FINDING_ERROR, E_DOCTOR_MODE, path, "mode %04o: nobody but its owner may look in",
					(unsigned)st.st_mode & 07777);
	snprintf(f->next, sizeof(f->next), "chmod 0700 %.200s, or `vcc-agent doctor --fix`.", path);
	if (!p->fix)
		return;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd); /* the folder that was looked at, whatever has this name now */
	if (chmod(self, 0700) == 0)
		finding_mended(f, "mode 0700 now");
	else
		finding_not_mended(f, "chmod was refused: %s", strerror(errno));
}

void doctor_modes(struct patient *p)
{
	size_t      before = p->findings.n;
	struct stat st;
	closed_look(p, p->conf->keeper_dir);
	closed_look(p, p->conf->link_dir);
	/* Not mended: whoever could write there may have written. */
	if (stat(p->conf->targets_dir, &st) == 0 && (st.st_mode & 022) != 0) {
		struct finding *f = doctor_find(p, FINDING_ERROR, E_DOCTOR_MODE, p->conf->targets_dir,
						"mode %04o: others may write target files, which name commands of root",
						(unsigned)st.st_mode & 07777);
		text_cut(f->next, sizeof(f->next), "Look through the files in it, then `chmod go-w` the folder.");
	}
	if (p->findings.n == before)
		doctor_note(p, "the state folders are closed to others");
}

void doctor_hook(struct patient *p)
{
	struct stat st;
	size_t      needed = 0;
	for (size_t i = 0; i < p->n_targets; i++)
		needed += p->target[i].reload != RELOAD_NONE || p->target[i].test[0] != '\0';
	if (stat(p->conf->hook_socket, &st) == 0 && S_ISSOCK(st.st_mode))
		doctor_note(p, "%s", p->conf->hook_socket);
	else if (needed > 0)
		doctor_find(p, FINDING_ERROR, E_DOCTOR_HOOK, p->conf->hook_socket, "%zu targets need it", needed);
}
