/* source.c - room agent/survey: the configuration files of a service, read safely and within limits.
 * Never: writing; trusting a size, a depth or a name. */
#include "agent/survey/source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { GLOB_MAX = 1024, READ_STEP = 4096, WAY_LINKS_MAX = 16 };

/* ---- one file ----------------------------------------------------------------------------------------------------- */

/* The real file's folder by descriptor, and its name in there. */
static int real_open(struct sources *s, const char *path, char real[PATH_MAX], int *ret_dir, const char **ret_name,
		     struct refusal *why)
{
	char dir[PATH_MAX];
	if (realpath(path, real) == NULL)
		return sys_refuse(why, path, "find the file");
	if (strlen(real) >= SOURCE_PATH_SIZE)
		return refuse(why, E_SURVEY_LIMIT, path, "its real path is longer than %d characters", SOURCE_PATH_SIZE - 1);
	strcpy(dir, real);
	char *slash = strrchr(dir, '/');
	*slash = '\0';
	*ret_name = strrchr(real, '/') + 1;
	int r = dir_open_safe(dir[0] != '\0' ? dir : "/", s->owner, ret_dir, why);
	if (r == E_SYS_UNSAFE_PATH && why != NULL)
		why->code = E_SURVEY_UNSAFE;
	return r == E_SYS_UNSAFE_PATH ? E_SURVEY_UNSAFE : r;
}

static int file_check(const struct sources *s, const char *path, const struct stat *st, struct refusal *why)
{
	if (st->st_uid != 0 && st->st_uid != s->owner)
		return refuse(why, E_SURVEY_UNSAFE, path, "it belongs to uid %u", (unsigned)st->st_uid);
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return refuse(why, E_SURVEY_UNSAFE, path, "mode %04o: others may change it", (unsigned)(st->st_mode & 07777));
	if (st->st_nlink > 1 && s->owner != 0) /* a foreign file may be hidden behind a second name */
		return refuse(why, E_SURVEY_UNSAFE, path, "the file has a second name (hard link)");
	return 0;
}

/* All bytes of the descriptor that was checked, up to the cap. */
static int bytes_read(int fd, const char *path, struct buf *to, struct refusal *why)
{
	to->max = SOURCE_BYTES_MAX + READ_STEP; /* a step is asked for before its end is known */
	for (;;) {
		uint8_t *room = buf_room(to, READ_STEP);
		if (room == NULL)
			return refuse(why, E_SURVEY_LIMIT, path, "it is longer than %d bytes", SOURCE_BYTES_MAX);
		ssize_t n = read(fd, room, READ_STEP);
		if (n < 0 && errno != EINTR)
			return sys_refuse(why, path, "read the file");
		if (n == 0)
			break;
		if (n > 0)
			buf_used(to, (size_t)n);
	}
	return to->n <= SOURCE_BYTES_MAX ? 0
					 : refuse(why, E_SURVEY_LIMIT, path, "it is longer than %d bytes", SOURCE_BYTES_MAX);
}

/* Looked at first: a device may do something when it is opened. */
static int plain_open(int dir, const char *name, const char *path, struct stat *ret_st, int *ret_fd, struct refusal *why)
{
	char             link[32];
	_cleanup_fd_ int seen = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (seen < 0 || fstat(seen, ret_st) != 0)
		return sys_refuse(why, path, "open the file");
	if (!S_ISREG(ret_st->st_mode))
		return refuse(why, E_SURVEY_UNSAFE, path, "it is not a plain file");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", seen);
	int fd = open(link, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, path, "open the file");
	*ret_fd = fd;
	return 0;
}

static int source_read(struct sources *s, int dir, const char *name, struct source *f, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	int              r = plain_open(dir, name, f->path, &f->st, &fd, why);
	if (r == 0)
		r = file_check(s, f->path, &f->st, why);
	return r == 0 ? bytes_read(fd, f->path, &f->bytes, why) : r;
}

int source_pem(const char *path, struct buf *to, struct refusal *why)
{
	char             real[PATH_MAX];
	struct stat      st;
	_cleanup_fd_ int fd = -1;
	if (realpath(path, real) == NULL)
		return sys_refuse(why, path, "find the file");
	int r = plain_open(AT_FDCWD, real, path, &st, &fd, why);
	return r == 0 ? bytes_read(fd, path, to, why) : r;
}

static bool known(const struct sources *s, const char *path, size_t *ret_index)
{
	for (size_t i = 0; i < s->n; i++)
		if (text_equal(s->file[i]->path, path)) {
			*ret_index = i;
			return true;
		}
	return false;
}

static int source_new(struct sources *s, const char *path, struct source **ret, struct refusal *why)
{
	if (s->n == SOURCES_MAX || s->total >= SOURCE_TOTAL_MAX)
		return refuse(why, E_SURVEY_LIMIT, path, "the configuration has more than %d files or %d bytes", SOURCES_MAX,
			      SOURCE_TOTAL_MAX);
	if (text_has_controls(path) || !text_utf8_ok(path, strlen(path))) /* it will be shown, and kept in a record */
		return refuse(why, E_SURVEY_UNSAFE, path, "its name holds control characters, or is not UTF-8");
	struct source *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return refuse(why, E_NOMEM, path, "no memory");
	f->bytes.max = SOURCE_BYTES_MAX + READ_STEP;
	text_cut(f->path, sizeof(f->path), path);
	*ret = f;
	return 0;
}

static int source_keep(struct sources *s, struct source *f, int r, struct refusal *why)
{
	if (r == 0 && f->bytes.n > 0 && memchr(f->bytes.p, '\0', f->bytes.n) != NULL)
		r = refuse(why, E_SURVEY_SYNTAX, f->path, "it is no text: it holds NUL bytes");
	if (r != 0) {
		buf_free(&f->bytes);
		free(f);
		return r;
	}
	s->total += f->bytes.n;
	s->file[s->n++] = f;
	return 0;
}

int source_give(struct sources *s, const char *path, struct span bytes)
{
	struct source *f = NULL;
	int            r = source_new(s, path, &f, NULL);
	if (r != 0)
		return r;
	buf_add(&f->bytes, bytes.p, bytes.n);
	return source_keep(s, f, buf_error(&f->bytes), NULL);
}

int source_load(struct sources *s, const char *path, size_t *ret_index, struct refusal *why)
{
	char             real[PATH_MAX];
	const char      *name = NULL;
	_cleanup_fd_ int dir = -1;
	if (++s->includes > SOURCE_INCLUDES_MAX)
		return refuse(why, E_SURVEY_LIMIT, path, "more than %d files are included", SOURCE_INCLUDES_MAX);
	if (known(s, path, ret_index))
		return 0;
	if (s->closed)
		return refuse(why, E_NOT_FOUND, path, "there is no such file");
	int r = real_open(s, path, real, &dir, &name, why);
	if (r != 0)
		return r;
	if (known(s, real, ret_index))
		return 0;
	struct source *f = NULL;
	r = source_new(s, real, &f, why);
	if (r != 0)
		return r;
	r = source_keep(s, f, source_read(s, dir, name, f, why), why);
	*ret_index = s->n - 1;
	return r;
}

void sources_free(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++) {
		buf_free(&s->file[i]->bytes);
		free(s->file[i]);
	}
	s->n = 0;
	s->total = 0;
}

unsigned source_line(const struct source *f, size_t at)
{
	unsigned line = 1;
	for (size_t i = 0; i < at && i < f->bytes.n; i++)
		line += f->bytes.p[i] == '\n';
	return line;
}

/* ---- many --------------------------------------------------------------------------------------------------------- */

int source_path(const char *base, const char *name, char ret[SOURCE_PATH_SIZE], struct refusal *why)
{
	int n = name[0] == '/' ? snprintf(ret, SOURCE_PATH_SIZE, "%s", name)
			       : snprintf(ret, SOURCE_PATH_SIZE, "%s/%s", base, name);
	if (n < 0 || n >= SOURCE_PATH_SIZE)
		return refuse(why, E_SURVEY_LIMIT, name, "the path is longer than %d characters", SOURCE_PATH_SIZE - 1);
	return 0;
}

static int names_by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void names_free(char **names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* Matching names of one folder, sorted. A folder that is not there has none. */
static int names_list(const char *dir, const char *pattern, char ***ret, size_t *ret_n, struct refusal *why)
{
	DIR           *list = opendir(dir);
	char         **names = calloc(GLOB_MAX, sizeof(*names));
	size_t         n = 0;
	struct dirent *e;
	int            r = names != NULL ? 0 : refuse(why, E_NOMEM, dir, "no memory");
	while (r == 0 && list != NULL && (e = readdir(list)) != NULL) {
		if (fnmatch(pattern, e->d_name, FNM_PERIOD) != 0)
			continue;
		if (n == GLOB_MAX)
			r = refuse(why, E_SURVEY_LIMIT, dir, "more than %d files are included from this folder", GLOB_MAX);
		else if ((names[n] = strdup(e->d_name)) == NULL)
			r = refuse(why, E_NOMEM, dir, "no memory");
		else
			n++;
	}
	if (list != NULL)
		closedir(list);
	if (r != 0) {
		names_free(names, n);
		return r;
	}
	qsort(names, n, sizeof(*names), names_by_bytes);
	*ret = names;
	*ret_n = n;
	return 0;
}

int source_glob(struct sources *s, const char *pattern, source_fn *each, void *ctx, struct refusal *why)
{
	static const char wild[] = "*?[";
	char              dir[SOURCE_PATH_SIZE];
	char              path[SOURCE_PATH_SIZE];
	char            **names = NULL;
	size_t            n = 0;
	if (strpbrk(pattern, wild) == NULL)
		return each(ctx, pattern);
	if (s->closed)
		return 0;
	if (text_copy(dir, sizeof(dir), pattern) != 0 || pattern[0] != '/')
		return refuse(why, E_SURVEY_LIMIT, pattern, "the path is too long or not absolute");
	char *last = strrchr(dir, '/');
	*last++ = '\0';
	if (strpbrk(dir, wild) != NULL)
		return refuse(why, E_SURVEY_SYNTAX, pattern, "wildcards in the middle of a path are not followed");
	int r = names_list(dir[0] != '\0' ? dir : "/", last, &names, &n, why);
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = source_path(dir, names[i], path, why);
		if (r == 0)
			r = each(ctx, path);
	}
	names_free(names, n);
	return r;
}

/* ---- ways --------------------------------------------------------------------------------------------------------- */

/* A walk as the kernel does it; links are put in the place of their names. */
struct way {
	const char *path; /* as asked, for words */
	uid_t       owner;
	unsigned    links;
	char        done[PATH_MAX];
	char        rest[PATH_MAX];
};

static int way_judge(const struct way *w, const struct stat *st, struct refusal *why)
{
	const bool sticky = S_ISDIR(st->st_mode) && st->st_uid == 0 && (st->st_mode & S_ISVTX) != 0;
	if (st->st_uid != 0 && st->st_uid != w->owner)
		return refuse(why, E_SURVEY_UNSAFE, w->path, "%.200s on the way to it belongs to uid %u", w->done,
			      (unsigned)st->st_uid);
	if (!S_ISLNK(st->st_mode) && !sticky && (st->st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return refuse(why, E_SURVEY_UNSAFE, w->path, "%.200s on the way to it has mode %04o: others may change it",
			      w->done, (unsigned)(st->st_mode & 07777));
	return 0;
}

static void way_up(struct way *w)
{
	char *slash = strrchr(w->done, '/');
	*(slash != NULL ? slash : w->done) = '\0';
}

static int way_link(struct way *w, struct refusal *why)
{
	char    whole[2 * PATH_MAX];
	ssize_t n = readlink(w->done, whole, PATH_MAX - 1);
	if (n <= 0)
		return sys_refuse(why, w->path, "find the file");
	snprintf(whole + n, sizeof(whole) - (size_t)n, "/%s", w->rest);
	if (++w->links > WAY_LINKS_MAX || text_copy(w->rest, sizeof(w->rest), whole) != 0)
		return refuse(why, E_SURVEY_LIMIT, w->path, "too many links, or too long ones, lead to it");
	if (whole[0] == '/')
		w->done[0] = '\0';
	else
		way_up(w);
	return 0;
}

/* One part further. */
static int way_step(struct way *w, struct refusal *why)
{
	struct stat  st;
	char        *part = w->rest + strspn(w->rest, "/");
	const size_t n = strcspn(part, "/");
	const size_t used = strlen(w->done);
	if (n == 2 && memcmp(part, "..", n) == 0) {
		way_up(w);
	} else if (n > 0 && !(n == 1 && part[0] == '.')) {
		if (used + n + 2 > sizeof(w->done))
			return refuse(why, E_SURVEY_LIMIT, w->path, "the path is too long");
		w->done[used] = '/';
		memcpy(w->done + used + 1, part, n);
		w->done[used + 1 + n] = '\0';
	}
	memmove(w->rest, part + n, strlen(part + n) + 1);
	if (w->done[0] == '\0')
		return 0;
	if (lstat(w->done, &st) != 0)
		return sys_refuse(why, w->path, "find the file");
	int r = way_judge(w, &st, why);
	return r == 0 && S_ISLNK(st.st_mode) ? way_link(w, why) : r;
}

int source_way(const char *path, uid_t owner, struct refusal *why)
{
	struct way w = {.path = path, .owner = owner};
	int        r = path[0] == '/' ? text_copy(w.rest, sizeof(w.rest), path) : E_SYNTAX;
	if (r != 0)
		return refuse(why, E_SURVEY_UNSAFE, path, "this is no absolute path of a file");
	while (r == 0 && w.rest[0] != '\0')
		r = way_step(&w, why);
	return r;
}

/* ---- programs ----------------------------------------------------------------------------------------------------- */

int source_program(const char *path, struct refusal *why)
{
	char             real[PATH_MAX];
	const char      *name = NULL;
	struct sources   roots = {.owner = 0};
	struct stat      st;
	_cleanup_fd_ int dir = -1;
	int              r = real_open(&roots, path, real, &dir, &name, why);
	if (r != 0)
		return r;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return sys_refuse(why, path, "look at the program");
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0 || (st.st_mode & S_IXUSR) == 0)
		return refuse(why, E_SURVEY_UNSAFE, path,
			      "owner %u, mode %04o: wanted a program of root that nobody else may change", (unsigned)st.st_uid,
			      (unsigned)(st.st_mode & 07777));
	return 0;
}
