/* undo.c - room agent/survey: the record of what `manage` changed: a folder with record.json and the original bytes of every
 * file. Never: a change that is not in it. */
#include "agent/survey/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { RECORD_MAX = 1 << 20, RECORD_VERSION = 1, PHASE_ROOM = 16 /* a later phase may be a longer word */ };
static const char record_name[] = "record.json";

const char *undo_phase_name(enum undo_phase p)
{
	static const char *const names[] = {"begun", "managed", "undoing"};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

/* ---- the folder --------------------------------------------------------------------------------------------------- */

int undo_dir_path(const struct agent_conf *conf, char ret[TARGET_PATH_SIZE])
{
	const char *slash = strrchr(conf->keeper_dir, '/');
	int         n = snprintf(ret, TARGET_PATH_SIZE, "%.*s/survey", slash != NULL ? (int)(slash - conf->keeper_dir) : 0,
				 conf->keeper_dir);
	return n > 0 && n < TARGET_PATH_SIZE ? 0 : E_SURVEY_LIMIT;
}

int undo_dir_open(const struct agent_conf *conf, struct undo_dir *ret, struct refusal *why)
{
	char path[TARGET_PATH_SIZE];
	*ret = (struct undo_dir){-1, -1};
	if (undo_dir_path(conf, path) != 0)
		return refuse(why, E_SURVEY_LIMIT, conf->keeper_dir, "the path is too long");
	int r = dir_make(path, 0700, why);
	if (r == 0)
		r = dir_open_safe(path, geteuid(), &ret->fd, why);
	if (r == 0)
		r = dir_lock(ret->fd, "lock", &ret->lock_fd, why);
	if (r != 0)
		undo_dir_close(ret);
	return r;
}

void undo_dir_close(struct undo_dir *d)
{
	fd_close(d->lock_fd);
	fd_close(d->fd);
	*d = (struct undo_dir){-1, -1};
}

int undo_new(struct undo *ret, struct refusal *why)
{
	*ret = (struct undo){.phase = UNDO_BEGUN};
	ret->file = calloc(UNDO_FILES_MAX, sizeof(*ret->file));
	return ret->file != NULL ? 0 : refuse(why, E_NOMEM, "undo", "no memory");
}

void undo_free(struct undo *u)
{
	for (size_t i = 0; i < u->n_files; i++)
		file_state_free(&u->file[i].before);
	free(u->file);
	u->file = NULL;
	u->n_files = 0;
}

int undo_file_add(struct undo *u, struct undo_file **ret, struct refusal *why)
{
	if (u->n_files == UNDO_FILES_MAX)
		return refuse(why, E_SURVEY_LIMIT, u->name, "more than %d files would change", UNDO_FILES_MAX);
	*ret = &u->file[u->n_files++];
	return 0;
}

/* ---- to JSON ------------------------------------------------------------------------------------------------------ */

static json_t *time_json(struct timespec t)
{
	return json_pack("[I, I]", (json_int_t)t.tv_sec, (json_int_t)t.tv_nsec);
}

static json_t *xattrs_json(const struct file_state *s)
{
	json_t *o = json_object();
	for (size_t i = 0; i < s->n_xattrs; i++) {
		char *hex = malloc(2 * s->xattr[i].value.n + 1);
		if (hex == NULL)
			continue; /* found by the reader: the count differs */
		hex_text(s->xattr[i].value.p, s->xattr[i].value.n, hex);
		json_object_set_new(o, s->xattr[i].name, json_string(hex));
		free(hex);
	}
	return o;
}

static json_t *swaps_json(const struct undo_file *f)
{
	json_t *list = json_array();
	for (size_t i = 0; i < f->n_swaps; i++)
		json_array_append_new(list, json_pack("[s, s]", f->swap[i].from, f->swap[i].into));
	return list;
}

static json_t *file_json(const struct undo_file *f)
{
	char        hash[HASH_TEXT_SIZE];
	struct hash before = {{0}};
	if (!f->made)
		digest_sha256(buf_span(&f->before.bytes), &before);
	json_t *o = json_pack("{s:s, s:I, s:b, s:b, s:b, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:i, s:o}", "path", f->path,
			      "owner", (json_int_t)f->owner, "made", (int)f->made, "made_dir", (int)f->made_dir, "removed",
			      (int)f->removed, "moved", f->moved, "uid", (json_int_t)f->before.uid, "gid",
			      (json_int_t)f->before.gid, "mode", (json_int_t)f->before.mode, "accessed",
			      time_json(f->before.accessed), "modified", time_json(f->before.modified), "xattrs",
			      xattrs_json(&f->before), "n_xattrs", (int)f->before.n_xattrs, "swaps", swaps_json(f));
	json_object_set_new(o, "before", json_string(hash_text(before, hash)));
	json_object_set_new(o, "after", json_string(hash_text(f->after, hash)));
	return o;
}

static json_t *record_json(const struct undo *u)
{
	json_t *files = json_array();
	json_t *listeners = json_array();
	for (size_t i = 0; i < u->n_files; i++)
		json_array_append_new(files, file_json(&u->file[i]));
	for (size_t i = 0; i < u->n_listeners; i++)
		json_array_append_new(listeners, json_string(u->listener[i]));
	return json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:o}", "version",
			 RECORD_VERSION, "name", u->name, "phase", undo_phase_name(u->phase), "kind", server_kind_name(u->kind),
			 "main_file", u->main_file, "unit", u->unit, "unit_changed", (int)u->unit_changed, "listeners",
			 listeners, "sni", u->sni, "cert", u->cert, "target_dir", u->target_dir, "target_file", u->target_file,
			 "renewer", renewer_kind_name(u->renewer.kind), "renewer_name", u->renewer.name, "renewer_conf",
			 u->renewer.conf, "paused", (int)u->paused, "files", files);
}

static int record_write(int dir, const struct undo *u, struct refusal *why)
{
	json_t *root = record_json(u);
	char   *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
	int     r = 0;
	if (text == NULL)
		r = refuse(why, E_SURVEY_CANNOT, u->name,
			   "the undo record cannot be made: no memory, or a path that is not UTF-8");
	else if (strlen(text) > RECORD_MAX - PHASE_ROOM)
		r = refuse(why, E_SURVEY_LIMIT, u->name, "the undo record would have more than %d bytes", RECORD_MAX);
	else
		r = file_replace(dir, record_name, span_text(text), (uid_t)-1, (gid_t)-1, 0600, why);
	free(text);
	json_decref(root);
	return r;
}

/* ---- loading ------------------------------------------------------------------------------------------------------ */

/* Reading with one sticky error: what is missing or too long makes the whole record unreadable. */
struct reading {
	bool wrong;
};

static void text_get(struct reading *r, const json_t *o, const char *name, char *ret, size_t size)
{
	const char *text = json_string_value(json_object_get(o, name));
	r->wrong |= text == NULL || text_copy(ret, size, text) != 0;
}

static int64_t number_get(struct reading *r, const json_t *o, const char *name)
{
	const json_t *value = json_object_get(o, name);
	r->wrong |= !json_is_integer(value);
	return json_integer_value(value);
}

static bool flag_get(struct reading *r, const json_t *o, const char *name)
{
	const json_t *value = json_object_get(o, name);
	r->wrong |= !json_is_boolean(value);
	return json_is_true(value);
}

static void hash_get(struct reading *r, const json_t *o, const char *name, struct hash *ret)
{
	const char *text = json_string_value(json_object_get(o, name));
	r->wrong |= text == NULL || hash_parse(text, ret) != 0;
}

static struct timespec time_get(struct reading *r, const json_t *o, const char *name)
{
	const json_t *pair = json_object_get(o, name);
	r->wrong |= json_array_size(pair) != 2;
	return (struct timespec){.tv_sec = (time_t)json_integer_value(json_array_get(pair, 0)),
				 .tv_nsec = (long)json_integer_value(json_array_get(pair, 1))};
}

static void xattrs_get(struct reading *r, const json_t *o, struct file_state *s)
{
	const char   *name;
	json_t       *value;
	const int64_t wanted = number_get(r, o, "n_xattrs");
	s->xattr = calloc(FILE_XATTRS_MAX, sizeof(*s->xattr));
	r->wrong |= s->xattr == NULL;
	json_object_foreach(json_object_get(o, "xattrs"), name, value)
	{
		if (r->wrong || s->n_xattrs == FILE_XATTRS_MAX) {
			r->wrong = true;
			return;
		}
		struct file_xattr *x = &s->xattr[s->n_xattrs++];
		const char        *hex = json_string_value(value);
		const size_t       n = json_string_length(value) / 2;
		x->value.max = FILE_XATTR_VALUE_MAX;
		uint8_t *room = buf_room(&x->value, n);
		r->wrong |= text_copy(x->name, sizeof(x->name), name) != 0 || room == NULL || hex == NULL ||
			    hex_parse(hex, room, n) != 0;
		if (!r->wrong)
			buf_used(&x->value, n);
	}
	r->wrong |= wanted < 0 || (size_t)wanted != s->n_xattrs;
}

static void swaps_get(struct reading *r, const json_t *o, struct undo_file *f)
{
	json_t *pair;
	size_t  i;
	r->wrong |= !json_is_array(json_object_get(o, "swaps"));
	json_array_foreach(json_object_get(o, "swaps"), i, pair)
	{
		const char *from = json_string_value(json_array_get(pair, 0));
		const char *into = json_string_value(json_array_get(pair, 1));
		r->wrong |= i >= N_ELEMENTS(f->swap) || from == NULL || into == NULL;
		if (r->wrong)
			return;
		r->wrong |= text_copy(f->swap[i].from, SITE_VALUE_SIZE, from) != 0 ||
			    text_copy(f->swap[i].into, SITE_VALUE_SIZE, into) != 0;
		f->n_swaps = i + 1;
	}
}

static void bytes_get(struct reading *r, int dir, size_t index, const json_t *o, struct undo_file *f)
{
	char        name[32];
	struct hash wanted = {{0}};
	struct hash found = {{0}};
	snprintf(name, sizeof(name), "%zu.before", index);
	f->before.bytes.max = FILE_STATE_BYTES_MAX + 1;
	hash_get(r, o, "before", &wanted);
	r->wrong |= file_read(dir, name, true, &f->before.bytes, NULL) != 0;
	digest_sha256(buf_span(&f->before.bytes), &found);
	r->wrong |= !hash_equal(wanted, found);
}

static void file_get(struct reading *r, int dir, size_t index, const json_t *o, struct undo_file *f)
{
	text_get(r, o, "path", f->path, sizeof(f->path));
	text_get(r, o, "moved", f->moved, sizeof(f->moved));
	f->owner = (uid_t)number_get(r, o, "owner");
	f->made = flag_get(r, o, "made");
	f->made_dir = flag_get(r, o, "made_dir");
	f->removed = flag_get(r, o, "removed");
	f->before.uid = (uid_t)number_get(r, o, "uid");
	f->before.gid = (gid_t)number_get(r, o, "gid");
	f->before.mode = (mode_t)number_get(r, o, "mode");
	f->before.accessed = time_get(r, o, "accessed");
	f->before.modified = time_get(r, o, "modified");
	hash_get(r, o, "after", &f->after);
	swaps_get(r, o, f);
	xattrs_get(r, o, &f->before);
	if (!f->made)
		bytes_get(r, dir, index, o, f);
}

static unsigned word_get(struct reading *r, const json_t *o, const char *name, const char *(*name_of)(unsigned), unsigned n)
{
	const char *text = json_string_value(json_object_get(o, name));
	for (unsigned i = 0; text != NULL && i < n; i++)
		if (text_equal(text, name_of(i)))
			return i;
	r->wrong = true;
	return 0;
}

static const char *phase_word(unsigned i)
{
	return undo_phase_name((enum undo_phase)i);
}

static const char *kind_word(unsigned i)
{
	return server_kind_name((enum server_kind)i);
}

static const char *renewer_word(unsigned i)
{
	return renewer_kind_name((enum renewer_kind)i);
}

static void record_get(struct reading *r, int dir, const json_t *root, struct undo *u)
{
	json_t *o;
	size_t  i;
	r->wrong |= number_get(r, root, "version") != RECORD_VERSION;
	text_get(r, root, "name", u->name, sizeof(u->name));
	u->phase = (enum undo_phase)word_get(r, root, "phase", phase_word, UNDO_PHASE_COUNT);
	u->kind = (enum server_kind)word_get(r, root, "kind", kind_word, SERVER_KIND_COUNT);
	u->renewer.kind = (enum renewer_kind)word_get(r, root, "renewer", renewer_word, RENEWER_KIND_COUNT);
	text_get(r, root, "renewer_name", u->renewer.name, sizeof(u->renewer.name));
	text_get(r, root, "renewer_conf", u->renewer.conf, sizeof(u->renewer.conf));
	u->paused = json_is_true(json_object_get(root, "paused"));
	text_get(r, root, "main_file", u->main_file, sizeof(u->main_file));
	text_get(r, root, "unit", u->unit, sizeof(u->unit));
	u->unit_changed = flag_get(r, root, "unit_changed");
	text_get(r, root, "sni", u->sni, sizeof(u->sni));
	text_get(r, root, "cert", u->cert, sizeof(u->cert));
	text_get(r, root, "target_dir", u->target_dir, sizeof(u->target_dir));
	text_get(r, root, "target_file", u->target_file, sizeof(u->target_file));
	r->wrong |= !json_is_array(json_object_get(root, "listeners")) || !json_is_array(json_object_get(root, "files"));
	json_array_foreach(json_object_get(root, "listeners"), i, o)
	{
		r->wrong |= i >= UNDO_LISTENERS_MAX || !json_is_string(o);
		if (r->wrong)
			return;
		r->wrong |= text_copy(u->listener[i], ADDRESS_SIZE, json_string_value(o)) != 0;
		u->n_listeners = i + 1;
	}
	json_array_foreach(json_object_get(root, "files"), i, o)
	{
		r->wrong |= i >= UNDO_FILES_MAX;
		if (r->wrong)
			return;
		u->n_files = i + 1;
		file_get(r, dir, i, o, &u->file[i]);
	}
}

/* From a record's open folder. */
static int folder_load(int dir, const char *name, struct undo *ret, struct refusal *why)
{
	struct buf     text = BUF_MAX(RECORD_MAX);
	struct reading reading = {false};
	int            r = undo_new(ret, why);
	if (r == 0)
		r = file_read(dir, record_name, true, &text, why);
	json_t *root = r == 0 ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;
	buf_free(&text);
	if (r == 0) {
		record_get(&reading, dir, root, ret);
		if (root == NULL || reading.wrong || !text_equal(ret->name, name))
			r = refuse(why, E_SURVEY_UNDO, name, "its undo record is damaged");
	}
	json_decref(root);
	if (r != 0 && ret->file != NULL)
		undo_free(ret);
	return r;
}

int undo_load(const struct undo_dir *d, const char *name, struct undo *ret, struct refusal *why)
{
	_cleanup_fd_ int dir = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0 && errno == ENOENT)
		return E_NOT_FOUND;
	return dir >= 0 ? folder_load(dir, name, ret, why) : sys_refuse(why, name, "open the undo record");
}

/* ---- saving ------------------------------------------------------------------------------------------------------- */

static int folder_fill(int dir, const struct undo *u, struct refusal *why)
{
	char name[32];
	for (size_t i = 0; i < u->n_files; i++) {
		if (u->file[i].made)
			continue;
		snprintf(name, sizeof(name), "%zu.before", i);
		int r = file_create(dir, name, buf_span(&u->file[i].before.bytes), (uid_t)-1, (gid_t)-1, 0600, why);
		if (r != 0)
			return r;
	}
	return record_write(dir, u, why); /* and syncs the folder */
}

static bool same_files(const struct undo *a, const struct undo *b)
{
	bool same = a->n_files == b->n_files && a->n_listeners == b->n_listeners;
	for (size_t i = 0; same && i < a->n_files; i++)
		same = text_equal(a->file[i].path, b->file[i].path) && a->file[i].n_swaps == b->file[i].n_swaps;
	return same;
}

/* What cannot be read again cannot be put back: it is tried before anything changes. */
static int folder_check(int dir, const struct undo *u, struct refusal *why)
{
	struct undo    again;
	struct refusal cause = {.code = 0};
	int            r = folder_load(dir, u->name, &again, &cause);
	if (r != 0)
		return refuse(why, E_SURVEY_CANNOT, u->name, "its undo record could not be read again: %s", cause.cause);
	const bool same = same_files(&again, u);
	undo_free(&again);
	return same ? 0
		    : refuse(why, E_SURVEY_CANNOT, u->name, "its undo record would not hold all of it: a value is not UTF-8");
}

/* Complete under another name first: whoever finds the record finds all of it. */
int undo_save(const struct undo_dir *d, const struct undo *u, struct refusal *why)
{
	char staging[CERT_ID_SIZE + 8];
	snprintf(staging, sizeof(staging), ".new-%s", u->name);
	int r = tree_remove(d->fd, staging, why);
	if (r == 0 && mkdirat(d->fd, staging, 0700) != 0)
		r = sys_refuse(why, u->name, "make the undo record");
	if (r != 0)
		return r;
	_cleanup_fd_ int dir = openat(d->fd, staging, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	r = dir >= 0 ? folder_fill(dir, u, why) : sys_refuse(why, u->name, "open the undo record");
	if (r == 0)
		r = folder_check(dir, u, why);
	if (r == 0 &&
	    (fault_point("survey.undo_save") != 0 || renameat2(d->fd, staging, d->fd, u->name, RENAME_NOREPLACE) != 0))
		r = sys_refuse(why, u->name, "name the undo record");
	if (r == 0 && dir_sync(d->fd) != 0)
		r = sys_refuse(why, u->name, "sync the undo folder");
	if (r != 0)
		(void)!tree_remove(d->fd, staging, NULL);
	return r;
}

int undo_phase_set(const struct undo_dir *d, struct undo *u, enum undo_phase phase, struct refusal *why)
{
	_cleanup_fd_ int dir = openat(d->fd, u->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	u->phase = phase;
	return dir >= 0 ? record_write(dir, u, why) : sys_refuse(why, u->name, "open the undo record");
}

int undo_remove(const struct undo_dir *d, const char *name, struct refusal *why)
{
	char gone[CERT_ID_SIZE + 8];
	snprintf(gone, sizeof(gone), ".old-%s", name);
	int r = tree_remove(d->fd, gone, why);
	if (r == 0 && renameat(d->fd, name, d->fd, gone) != 0 && errno != ENOENT)
		r = sys_refuse(why, name, "remove the undo record");
	if (r == 0 && dir_sync(d->fd) != 0)
		r = sys_refuse(why, name, "sync the undo folder");
	return r == 0 ? tree_remove(d->fd, gone, why) : r;
}
