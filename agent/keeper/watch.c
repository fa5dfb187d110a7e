/* watch.c - room agent/keeper: the kernel tells when somebody touches what we wrote.
 * Never: repairing; it only says where to look. */
#include "agent/keeper/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/keeper/capath_folder.h"
#include "agent/keeper/care.h"
#include "agent/keeper/place.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum {
	SETTLE_MS = 5,                /* several events of one change are one look */
	LOOK_GAP_MS = 25,             /* who changes something without end gets no more looks than that */
	READS_MAX = 8,                /* of the kernel's queue in one turn of the loop: others have their turn, too */
	OVERFLOW_MS = 10 * 60 * 1000, /* so long it is told after the last one */
	DIR_MASK = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR,
	FILE_MASK = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_DONT_FOLLOW,
};

struct watch {
	struct keeper *keeper;
	int            fd;
	uv_poll_t      poll;
	uv_timer_t     settle;
	unsigned       handles;
	bool           said;  /* that watches are missing */
	int            error; /* errno of the last one that was refused */
	int64_t        looked_at; /* monotonic */
	uint64_t       overflows;
	int64_t        overflow_at; /* monotonic; 0 = none */
};

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void place_of_watch(struct keeper *k, int wd)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++) {
			struct place *p = k->managed[i]->places[j];
			for (size_t n = 0; n < p->watch.n; n++)
				p->touched |= p->watch.wd[n] == wd;
		}
}

static void all_touched(struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			k->managed[i]->places[j]->touched = true;
}

static void on_settled(uv_timer_t *timer)
{
	struct watch *w = timer->data;
	w->looked_at = clock_monotonic();
	for (size_t i = 0; i < w->keeper->n_managed; i++)
		for (size_t j = 0; j < w->keeper->managed[i]->n_places; j++) {
			struct place *p = w->keeper->managed[i]->places[j];
			if (!p->touched)
				continue;
			p->touched = false;
			care_look(p);
		}
}

static bool overflowed(const struct keeper *k)
{
	const struct watch *w = k->watch;
	return w != NULL && w->overflow_at != 0 && clock_monotonic() - w->overflow_at < fault_ms("VCC_OVERFLOW_MS", OVERFLOW_MS);
}

/* Nobody knows what was lost: everything is looked at, and people are told for a while that this happens here. */
static void overflow(struct watch *w)
{
	bool said = overflowed(w->keeper);
	w->overflows++;
	w->overflow_at = clock_monotonic();
	if (!said)
		log_line(LOG_LEVEL_WARNING, NULL, "more changes than the kernel could tell: every target is looked at");
	all_touched(w->keeper);
}

/* The first event of several sets the time: a stream of them must not put the look off. */
static void look_soon(struct watch *w)
{
	int64_t wait = w->looked_at + LOOK_GAP_MS - clock_monotonic();
	if (!uv_is_active((uv_handle_t *)&w->settle))
		uv_timer_start(&w->settle, on_settled, (uint64_t)(wait > SETTLE_MS ? wait : SETTLE_MS), 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watch *w = poll->data;
	_Alignas(struct inotify_event) char bytes[8192];
	ssize_t n;
	(void)status;
	(void)events;
	for (unsigned turn = 0; turn < READS_MAX && (n = read(w->fd, bytes, sizeof(bytes))) > 0; turn++) {
		for (char *p = bytes; p < bytes + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(const void *)p;
			if ((e->mask & IN_Q_OVERFLOW) != 0 || fault_point("keeper.watch.overflow") != 0)
				overflow(w);
			else
				place_of_watch(w->keeper, e->wd);
			p += sizeof(*e) + e->len;
		}
	}
	look_soon(w);
}

/* ---- setting ----------------------------------------------------------------------------------------------------- */

void watch_forget(struct watch *w, struct place *p)
{
	for (size_t i = 0; w != NULL && i < p->watch.n; i++)
		(void)inotify_rm_watch(w->fd, p->watch.wd[i]);
	p->watch = (struct place_watch){.n = 0};
}

static void add(struct watch *w, struct place_watch *to, int dir_fd, const char *name, uint32_t mask)
{
	char path[64 + 2 * GENERATION_FILE_SIZE];
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir_fd, name);
	int wd = to->n < PLACE_WATCHES_MAX ? inotify_add_watch(w->fd, path, mask) : -1;
	if (wd >= 0) {
		to->wd[to->n++] = wd;
	} else if (errno != ENOENT) { /* a file that is missing is found by the look that follows */
		to->missing = true;
		w->error = errno;
	}
}

/* The folder tells what happens to names and contents in it. Another name for one of its files shows only on the file itself: for the
 * first ones, which are the authorities as long as there are few lists, at once; for the others at the next rescan. */
static void add_folder(struct watch *w, struct place_watch *to, int generation)
{
	char (*names)[GENERATION_FILE_SIZE] = calloc(PLACE_WATCHES_CAPATH, sizeof(*names));
	size_t n = names != NULL ? capath_folder_names(generation, names, PLACE_WATCHES_CAPATH) : 0;
	add(w, to, generation, CAPATH_FOLDER, DIR_MASK | IN_MODIFY | IN_CLOSE_WRITE);
	for (size_t i = 0; i < n; i++) {
		char path[sizeof(CAPATH_FOLDER) + GENERATION_FILE_SIZE];
		snprintf(path, sizeof(path), CAPATH_FOLDER "/%s", names[i]);
		add(w, to, generation, path, FILE_MASK);
	}
	free(names);
}

static bool unchanged(const struct place_watch *a, const struct place_watch *b)
{
	return a->n == b->n && a->missing == b->missing && memcmp(a->wd, b->wd, a->n * sizeof(a->wd[0])) == 0;
}

/* The same inode gives the same number again, so what is still watched stays. */
static void replace(struct watch *w, struct place *p, const struct place_watch *new)
{
	if (unchanged(&p->watch, new))
		return;
	for (size_t i = 0; i < p->watch.n; i++) {
		bool kept = false;
		for (size_t j = 0; j < new->n; j++)
			kept |= new->wd[j] == p->watch.wd[i];
		if (!kept)
			(void)inotify_rm_watch(w->fd, p->watch.wd[i]);
	}
	p->watch = *new;
}

void watch_place(struct watch *w, struct place *p)
{
	char               name[GENERATION_NAME_SIZE];
	struct place_watch new = {.n = 0};
	const struct made *made = place_in_use(p);
	_cleanup_fd_ int   dir = -1;
	if (place_open(p, &dir, NULL) != 0)
		return;
	add(w, &new, dir, ".", DIR_MASK);
	_cleanup_fd_ int generation =
		made != NULL ? openat(dir, generation_name(made->generation, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (generation >= 0) {
		add(w, &new, generation, ".", DIR_MASK);
		for (uint32_t i = 0; i < made->n; i++)
			if (made->files[i].folder)
				add_folder(w, &new, generation);
			else
				add(w, &new, generation, made->files[i].name, FILE_MASK);
	}
	replace(w, p, &new);
	if (new.missing && !w->said) {
		w->said = true;
		log_line(LOG_LEVEL_WARNING, NULL, "%s cannot be watched (%s): it is compared every second instead; raise fs.inotify.max_user_%s",
		         p->stem, w->fd < 0 ? "no instance" : strerror(w->error), w->fd < 0 ? "instances" : "watches");
	}
}

uint64_t watch_overflows(const struct keeper *k)
{
	return k->watch != NULL ? k->watch->overflows : 0;
}

static bool watch_missing(const struct keeper *k)
{
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			if (k->managed[i]->places[j]->watch.missing)
				return true;
	return false;
}

bool watch_degraded(const struct keeper *k)
{
	return watch_missing(k) || overflowed(k);
}

const char *watch_state(const struct keeper *k)
{
	if (!watch_missing(k))
		return k->targets_unwatched ? "targets" : overflowed(k) ? "overflow" : "complete";
	if (k->watch == NULL || k->watch->fd < 0)
		return "instances";
	return k->watch->error == ENOSPC ? "watches" : "refused";
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int watch_open(struct keeper *k, struct refusal *why)
{
	struct watch *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return refuse(why, E_NOMEM, "inotify", "no memory");
	w->keeper = k;
	k->watch = w;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0)
		return 0; /* no instance left: each place says that it cannot be watched */
	w->poll.data = w->settle.data = w;
	if (uv_timer_init(&k->loop, &w->settle) != 0 || uv_poll_init(&k->loop, &w->poll, w->fd) != 0 ||
	    uv_poll_start(&w->poll, UV_READABLE, on_readable) != 0) {
		return refuse(why, E_SYS_IO, "inotify", "the loop refused the descriptor");
	}
	w->handles = 2;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct watch *w = handle->data;
	if (--w->handles > 0)
		return;
	fd_close(w->fd);
	free(w);
}

void watch_close(struct watch *w)
{
	if (w == NULL)
		return;
	w->keeper->watch = NULL;
	if (w->handles == 0) {
		free(w);
		return;
	}
	uv_close((uv_handle_t *)&w->poll, on_closed);
	uv_close((uv_handle_t *)&w->settle, on_closed);
}
