/* capath_folder.c - room agent/keeper: the sub-folder capath/ of a generation: written as a whole, compared with what it was made as.
 * Never: links; changing it after it was made. */
#include "agent/keeper/capath_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/keeper/generation_part.h"
#include "shared/base/text.h"
#include "shared/pki/capath.h"
#include "shared/sys/file.h"

enum { CA_PEM_MAX = 65536, LISTS_PEM_MAX = 16 << 20, ENTRY_SIZE = CAPATH_NAME_SIZE + 32 };

/* One hash of all names and contents, in the order of names. */
struct tree {
	struct buf bytes;
};

static void tree_add(struct tree *t, const char *name, const struct hash *content)
{
	buf_add(&t->bytes, name, strlen(name) + 1);
	buf_add(&t->bytes, content->b, sizeof(content->b));
}

static int tree_end(struct tree *t, struct hash *ret)
{
	int r = buf_error(&t->bytes);
	if (r == 0)
		digest_sha256(buf_span(&t->bytes), ret);
	buf_free(&t->bytes);
	return r;
}

static struct tree tree_of(void)
{
	return (struct tree){.bytes = BUF_MAX(CAPATH_FILES_MAX * ENTRY_SIZE)};
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static int files_write(int fd, const struct capath *c, uid_t uid, gid_t gid, mode_t mode, struct hash *ret, struct refusal *why)
{
	struct tree t = tree_of();
	int         r = 0;
	for (size_t i = 0; r == 0 && i < c->n; i++) {
		struct hash hash;
		digest_sha256(c->files[i].pem, &hash);
		tree_add(&t, c->files[i].name, &hash);
		r = file_create(fd, c->files[i].name, c->files[i].pem, uid, gid, mode, why);
	}
	if (r == 0 && dir_sync(fd) != 0)
		r = sys_refuse_at(why, fd, ".", "sync the folder");
	if (r == 0 && fchmod(fd, 0755) != 0)
		r = sys_refuse_at(why, fd, ".", "set the folder's mode");
	struct hash hash;
	int         end = tree_end(&t, &hash);
	if (r == 0 && end != 0)
		r = refuse(why, end, CAPATH_FOLDER, "no memory to remember it");
	if (r == 0)
		*ret = hash;
	return r;
}

int capath_folder_write(int generation, struct span ca_pem, struct span crl_pem, uid_t uid, gid_t gid, mode_t mode, struct hash *ret,
                        struct refusal *why)
{
	struct capath c;
	int           r = capath_make(ca_pem, crl_pem, &c);
	if (r != 0)
		return refuse(why, r, CAPATH_FOLDER, "it cannot be made: %s", err_what(r));
	if (mkdirat(generation, CAPATH_FOLDER, 0700) != 0)
		r = sys_refuse_at(why, generation, CAPATH_FOLDER, "make the folder");
	_cleanup_fd_ int fd = r == 0 ? openat(generation, CAPATH_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (r == 0 && fd < 0)
		r = sys_refuse_at(why, generation, CAPATH_FOLDER, "open the folder");
	if (r == 0 && acl_drop(fd) != 0)
		r = sys_refuse_at(why, generation, CAPATH_FOLDER, "remove the ACL that the folder inherited");
	if (r == 0)
		r = files_write(fd, &c, uid, gid, mode, ret, why);
	capath_free(&c);
	return r;
}

/* ---- what lies there --------------------------------------------------------------------------------------------- */

struct entry {
	char            name[CAPATH_NAME_SIZE];
	enum drift_kind kind;
};

struct listing {
	struct entry *entries; /* by name */
	size_t        n;
	char          odd[GENERATION_FILE_SIZE]; /* a name that cannot be one of ours; "" = none */
};

/* Entries and files of a struct capath alike begin with their name. */
static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int entry_add(struct listing *l, const char *name)
{
	struct entry one = {.kind = DRIFT_NONE};
	if (text_equal(name, ".") || text_equal(name, ".."))
		return 0;
	if (text_copy(one.name, sizeof(one.name), name) != 0) {
		text_cut(l->odd, sizeof(l->odd), name);
		return 0;
	}
	if (l->n == CAPATH_FILES_MAX)
		return E_FULL;
	struct entry *more = reallocarray(l->entries, l->n + 1, sizeof(*more));
	if (more == NULL)
		return E_NOMEM;
	l->entries = more;
	l->entries[l->n++] = one;
	return 0;
}

/* E_FULL: there are more than ever were made. What was found is in `ret` whatever is returned; its entries must be freed. */
static int entries_list(int fd, struct listing *ret)
{
	int            again = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR           *dir = again >= 0 ? fdopendir(again) : NULL;
	struct dirent *e;
	int            r = dir != NULL ? 0 : E_SYS_IO;
	*ret = (struct listing){.n = 0};
	if (dir == NULL)
		fd_close(again);
	while (r == 0 && (e = readdir(dir)) != NULL)
		r = entry_add(ret, e->d_name);
	if (dir != NULL)
		closedir(dir);
	if (ret->n > 0)
		qsort(ret->entries, ret->n, sizeof(*ret->entries), by_name);
	return r;
}

size_t capath_folder_names(int generation, char (*ret)[GENERATION_FILE_SIZE], size_t max)
{
	struct listing   l;
	_cleanup_fd_ int fd = openat(generation, CAPATH_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	size_t           n = 0;
	if (fd < 0)
		return 0;
	(void)!entries_list(fd, &l);
	for (; n < l.n && n < max; n++)
		text_cut(ret[n], GENERATION_FILE_SIZE, l.entries[n].name);
	free(l.entries);
	return n;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

/* A name that somebody else chose goes into logs and messages. */
static void note(struct drift *d, enum drift_kind kind, const char *name, const struct stat *st)
{
	char file[sizeof(CAPATH_FOLDER) + GENERATION_FILE_SIZE];
	snprintf(file, sizeof(file), CAPATH_FOLDER "/%s", name);
	text_plain(file);
	drift_note(d, kind, file, st);
}

/* Type, names, owner, mode of each; and the hash of all. */
static struct hash entries_compare(int fd, const struct made *made, struct listing *l)
{
	struct tree t = tree_of();
	struct stat st;
	struct hash all;
	for (size_t i = 0; i < l->n; i++) {
		struct entry *e = &l->entries[i];
		struct hash   hash = {{0}};
		if (fstatat(fd, e->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		if (!S_ISREG(st.st_mode))
			e->kind = DRIFT_TYPE;
		else if (generation_file_hash(fd, e->name, &hash))
			e->kind = file_meta_differs(fd, e->name, made, false, &st);
		tree_add(&t, e->name, &hash);
	}
	return tree_end(&t, &all) == 0 ? all : (struct hash){{0}};
}

/* What one file should be, and is. */
static void file_compare(int fd, const struct capath_file *should, struct listing *l, struct drift *d)
{
	struct entry *is = l->n > 0 ? bsearch(should->name, l->entries, l->n, sizeof(*l->entries), by_name) : NULL;
	struct hash   want;
	struct hash   found;
	digest_sha256(should->pem, &want);
	if (is == NULL)
		note(d, DRIFT_MISSING, should->name, NULL);
	else if (is->kind != DRIFT_TYPE && (!generation_file_hash(fd, is->name, &found) || !hash_equal(found, want)))
		is->kind = DRIFT_BYTES;
}

/* Something of the whole is not what it was. By ca.pem and crl.pem beside it: which? */
static void content_compare(int generation, int fd, struct listing *l, struct drift *d)
{
	struct buf    ca = BUF_MAX(CA_PEM_MAX);
	struct buf    crl = BUF_MAX(LISTS_PEM_MAX);
	struct capath c = {.n = 0};
	int           r = file_read(generation, "ca.pem", false, &ca, NULL);
	if (r == 0)
		r = file_read(generation, "crl.pem", false, &crl, NULL);
	if ((r == 0 || r == E_NOT_FOUND) && capath_make(buf_span(&ca), buf_span(&crl), &c) == 0) {
		for (size_t i = 0; i < c.n; i++)
			file_compare(fd, &c.files[i], l, d);
		for (size_t i = 0; i < l->n; i++)
			if (c.n == 0 || bsearch(l->entries[i].name, c.files, c.n, sizeof(*c.files), by_name) == NULL)
				l->entries[i].kind = DRIFT_ADDED;
	}
	capath_free(&c);
	buf_free(&ca);
	buf_free(&crl);
}

static void entries_note(int fd, const struct listing *l, struct drift *d)
{
	struct stat st;
	for (size_t i = 0; i < l->n; i++)
		if (l->entries[i].kind != DRIFT_NONE && fstatat(fd, l->entries[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			note(d, l->entries[i].kind, l->entries[i].name, &st);
}

void capath_folder_compare(int generation, const struct made *made, const struct made_file *m, struct drift *d)
{
	struct stat      st = {.st_mode = 0};
	struct listing   l;
	uint32_t         before = d->files;
	_cleanup_fd_ int fd = openat(generation, m->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0) {
		bool there = fstatat(generation, m->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
		drift_note(d, there ? DRIFT_TYPE : DRIFT_MISSING, m->name, &st);
		return;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 07777) != 0755 || file_has_acl(fd, "."))
		drift_note(d, st.st_uid != geteuid() ? DRIFT_OWNER : DRIFT_MODE, m->name, &st);
	int         r = entries_list(fd, &l);
	struct hash all = entries_compare(fd, made, &l);
	bool        same = r == 0 && l.odd[0] == '\0' && hash_equal(all, m->hash);
	if (r == E_FULL || l.odd[0] != '\0')
		note(d, DRIFT_ADDED, l.odd, &st);
	else if (!same)
		content_compare(generation, fd, &l, d);
	entries_note(fd, &l, d);
	if (!same && d->files == before) /* ca.pem or crl.pem are changed, too: it cannot be told which */
		drift_note(d, DRIFT_BYTES, m->name, &st);
	free(l.entries);
}
