/* conf.c - room shared/conf: INI files with drop-ins, read by a schema table (inih only here).
 * Never: defaults hidden outside the table. */
#include "shared/conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { KEYS_MAX = 96, LINE_MAX_BYTES = 2048, DROPINS_MAX = 64 };

/* One load: the file being read, and what was set so far. */
struct loading {
	const struct conf_schema *schema;
	char                     *conf; /* the caller's struct */
	char (*origins)[CONF_ORIGIN_SIZE];
	struct refusal *why;
	int             code; /* first refusal */
	const char     *file;
	const char     *at;  /* rest of the text */
	int             line; /* of the line that inih looks at */
	unsigned char   set[KEYS_MAX]; /* 0 not yet, 1 by an earlier file, 2 by this one */
};

/* ---- values ------------------------------------------------------------------------------------------------------- */

static int set_text(const struct conf_key *k, const char *value, void *to)
{
	return text_copy(to, k->size, value);
}

static int set_path(const struct conf_key *k, const char *value, void *to)
{
	bool may_be_empty = k->fallback != NULL && k->fallback[0] == '\0';
	if (value[0] != '/' && !(may_be_empty && value[0] == '\0'))
		return E_SYNTAX;
	return text_copy(to, k->size, value);
}

static int set_int(const struct conf_key *k, const char *value, void *to)
{
	return text_i64(value, k->min, k->max, to);
}

static int set_duration(const struct conf_key *k, const char *value, void *to)
{
	int64_t ms = 0;
	int     r = text_equal(value, "0") || text_equal(value, "0s") ? 0 : duration_parse(value, &ms);
	if (r == 0 && (ms < k->min || ms > k->max))
		r = E_RANGE;
	if (r == 0)
		memcpy(to, &ms, sizeof(ms));
	return r;
}

static int set_bool(const struct conf_key *k, const char *value, void *to)
{
	static const struct {
		const char *word;
		bool        is;
	} words[] = {{"yes", true}, {"true", true}, {"1", true}, {"no", false}, {"false", false}, {"0", false}};
	(void)k;
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (text_equal(value, words[i].word)) {
			memcpy(to, &words[i].is, sizeof(bool));
			return 0;
		}
	return E_SYNTAX;
}

static int set_enum(const struct conf_key *k, const char *value, void *to)
{
	for (int i = 0; k->words[i] != NULL; i++)
		if (text_equal(value, k->words[i])) {
			memcpy(to, &i, sizeof(i));
			return 0;
		}
	return E_SYNTAX;
}

static int set_list(const struct conf_key *k, const char *value, void *to)
{
	char  *list = to;
	size_t have = strlen(list);
	size_t more = strlen(value);
	if (have == 0 || more == 0)
		return more == 0 ? 0 : text_copy(list, k->size, value);
	if (have + 2 + more >= k->size)
		return E_FULL;
	memcpy(list + have, ", ", 2);
	memcpy(list + have + 2, value, more + 1);
	return 0;
}

static int set_mode(const struct conf_key *k, const char *value, void *to)
{
	size_t  n = strspn(value, "01234567");
	int64_t mode = strtol(value, NULL, 8);
	if (n == 0 || n > 5 || value[n] != '\0')
		return E_SYNTAX;
	if (mode < k->min || mode > k->max)
		return E_RANGE;
	memcpy(to, &mode, sizeof(mode));
	return 0;
}

/* "25%", "0.25", "1": per mille. */
static int set_share(const struct conf_key *k, const char *value, void *to)
{
	char    whole[8];
	int64_t a = 0;
	int64_t b = 0;
	size_t  n = strcspn(value, ".%");
	if (text_copy_n(whole, sizeof(whole), value, n) != 0 || text_i64(whole, 0, 100, &a) != 0)
		return E_SYNTAX;
	if (value[n] == '%' && value[n + 1] == '\0') {
		a *= 10;
	} else {
		if (value[n] == '.') {
			const char *digits = value + n + 1;
			size_t      count = strspn(digits, "0123456789");
			if (count == 0 || count > 3 || digits[count] != '\0' || text_i64(digits, 0, 999, &b) != 0)
				return E_SYNTAX;
			for (; count < 3; count++)
				b *= 10;
		} else if (value[n] != '\0') {
			return E_SYNTAX;
		}
		a = a * 1000 + b;
	}
	if (a < k->min || a > k->max || a > 1000)
		return E_RANGE;
	memcpy(to, &a, sizeof(a));
	return 0;
}

static const struct {
	int (*set)(const struct conf_key *k, const char *value, void *to);
	const char *wanted; /* what a person should write */
} kinds[] = {
	[CONF_TEXT] = {set_text, "a text"},
	[CONF_PATH] = {set_path, "an absolute path"},
	[CONF_INT] = {set_int, "a whole number"},
	[CONF_DURATION] = {set_duration, "a duration like 30s, 15m, 8h, 7d"},
	[CONF_BOOL] = {set_bool, "yes or no"},
	[CONF_ENUM] = {set_enum, "one of"},
	[CONF_LIST] = {set_list, "a comma list"},
	[CONF_MODE] = {set_mode, "an octal file mode"},
	[CONF_SHARE] = {set_share, "a share like 25% or 0.25"},
};

static void words_text(const struct conf_key *k, char *ret, size_t size)
{
	size_t n = 0;
	ret[0] = '\0';
	for (int i = 0; k->words[i] != NULL && n < size; i++)
		n += (size_t)snprintf(ret + n, size - n, "%s%s", i > 0 ? ", " : "", k->words[i]);
}

static int refuse_value(const struct conf_key *k, const char *value, int code, const char *object, struct refusal *why)
{
	char extra[160] = "";
	if (k->kind == CONF_ENUM)
		words_text(k, extra, sizeof(extra));
	else if (code == E_RANGE && (k->kind == CONF_INT || k->kind == CONF_SHARE))
		snprintf(extra, sizeof(extra), "from %lld to %lld%s", (long long)k->min, (long long)k->max,
		         k->kind == CONF_SHARE ? " per mille" : "");
	else if (code == E_RANGE && k->kind == CONF_DURATION)
		snprintf(extra, sizeof(extra), "from %lld ms to %lld ms", (long long)k->min, (long long)k->max);
	else if (code == E_FULL) /* nobody reads it in a log, and the address of a chat service is a secret */
		return refuse(why, E_CONF_VALUE, object, "%s.%s has %zu bytes: wanted %s of at most %zu bytes", k->section, k->key,
		              strlen(value), kinds[k->kind].wanted, k->size - 1);
	return refuse(why, E_CONF_VALUE, object, "%s.%s = `%.80s`: wanted %s%s%s", k->section, k->key, value,
	              kinds[k->kind].wanted, extra[0] != '\0' ? " " : "", extra);
}

/* ---- one file through inih ---------------------------------------------------------------------------------------- */

static const struct conf_key *key_find(const struct conf_schema *schema, const char *section, const char *key, bool *ret_section)
{
	*ret_section = false;
	for (size_t i = 0; i < schema->n_keys; i++) {
		if (!text_equal(schema->keys[i].section, section))
			continue;
		*ret_section = true;
		if (text_equal(schema->keys[i].key, key))
			return &schema->keys[i];
	}
	return NULL;
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
	struct loading *l = user;
	char            place[CONF_ORIGIN_SIZE];
	bool            known;
	if (l->code != 0)
		return 0;
	snprintf(place, sizeof(place), "%.170s:%d", l->file, l->line);

	const struct conf_key *k = key_find(l->schema, section, name, &known);
	if (k == NULL) {
		l->code = section[0] == '\0' ? refuse(l->why, E_CONF_SYNTAX, place, "`%.60s` stands before the first [section]", name)
		          : known ? refuse(l->why, E_CONF_KEY, place, "unknown key `%.60s` in [%s]", name, section)
		                  : refuse(l->why, E_CONF_KEY, place, "unknown section [%.60s]", section);
		return 0;
	}
	size_t i = (size_t)(k - l->schema->keys);
	void  *to = l->conf + k->offset;
	if (k->kind == CONF_LIST && l->set[i] != 2) {
		((char *)to)[0] = '\0'; /* a later file replaces the list of an earlier one */
	} else if (l->set[i] == 2 && k->kind != CONF_LIST) {
		l->code = refuse(l->why, E_CONF_VALUE, place, "%s.%s is given twice in this file (an indented line continues the one above)",
		                 section, name);
		return 0;
	}
	int r = kinds[k->kind].set(k, value, to);
	if (r != 0) {
		l->code = refuse_value(k, value, r, place, l->why);
		return 0;
	}
	l->set[i] = 2;
	if (l->origins != NULL)
		text_cut(l->origins[i], CONF_ORIGIN_SIZE, place);
	return 1;
}

/* inih takes every indented line as more of the value above. Ours may be indented as a whole, as when pasted from a page:
 * only what is neither `[section]` nor `key =` continues a list. Returns the blanks to skip. */
static size_t indent_of(const char *line)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	size_t            blanks = strspn(line, " \t");
	const char       *at = line + blanks;
	bool              section = *at == '[';
	size_t            n = strspn(at + section, name);
	if (section)
		return n > 0 && at[1 + n] == ']' ? blanks : 0;
	return n > 0 && at[n + strspn(at + n, " \t")] == '=' ? blanks : 0;
}

/* Gives inih one line. A line that its buffer cannot hold would be taken apart silently: refused here. */
static char *next_line(char *to, int size, void *user)
{
	struct loading *l = user;
	if (l->code != 0 || *l->at == '\0')
		return NULL;
	l->at += indent_of(l->at);
	size_t n = strcspn(l->at, "\n");
	l->line++;
	if (n + 2 > (size_t)size || n > LINE_MAX_BYTES) {
		char place[CONF_ORIGIN_SIZE];
		snprintf(place, sizeof(place), "%.170s:%d", l->file, l->line);
		l->code = refuse(l->why, E_CONF_SYNTAX, place, "the line is longer than %d bytes", LINE_MAX_BYTES);
		return NULL;
	}
	memcpy(to, l->at, n);
	to[n] = '\n';
	to[n + 1] = '\0';
	l->at += n + (l->at[n] == '\n');
	return to;
}

/* `text` ends with NUL. */
static int parse_text(struct loading *l, const char *name, const char *text, size_t n)
{
	l->file = name;
	l->at = text;
	l->line = 0;
	for (size_t i = 0; i < l->schema->n_keys; i++)
		if (l->set[i] == 2)
			l->set[i] = 1;
	if (!text_utf8_ok(text, n))
		return refuse(l->why, E_CONF_SYNTAX, name, "the file is not plain UTF-8 text");

	/* the library's settings are global variables with limits too small for us */
	static char prefixes[] = ";#";
	ini_use_stack = false;
	ini_stop_on_first_error = true;
	ini_allow_realloc = false;
	ini_max_line = LINE_MAX_BYTES + 8;
	ini_initial_alloc = LINE_MAX_BYTES + 8;
	ini_inline_comment_prefixes = prefixes;
	int bad = ini_parse_stream(next_line, l, on_value, l);
	if (l->code != 0)
		return l->code;
	char place[CONF_ORIGIN_SIZE];
	snprintf(place, sizeof(place), "%.170s:%d", name, bad);
	if (bad < 0)
		return refuse(l->why, E_NOMEM, name, "no memory to read the file");
	return bad == 0 ? 0 : refuse(l->why, E_CONF_SYNTAX, place, "neither [section], key = value nor a comment");
}

/* ---- defaults and checks ------------------------------------------------------------------------------------------ */

static int loading_begin(struct loading *l, const struct conf_schema *schema, char (*origins)[CONF_ORIGIN_SIZE],
                         struct refusal *why)
{
	*l = (struct loading){.schema = schema, .origins = origins, .why = why};
	if (schema->n_keys > KEYS_MAX)
		return refuse(why, E_INTERNAL, schema->file, "the schema has more than %d keys", KEYS_MAX);
	l->conf = calloc(1, schema->struct_size);
	if (l->conf == NULL)
		return refuse(why, E_NOMEM, schema->file, "no memory for the settings");
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct conf_key *k = &schema->keys[i];
		if (k->fallback == NULL)
			continue;
		int r = kinds[k->kind].set(k, k->fallback, l->conf + k->offset);
		if (r != 0)
			return refuse_value(k, k->fallback, r, schema->file, why);
		if (origins != NULL)
			text_cut(origins[i], CONF_ORIGIN_SIZE, "default");
	}
	return 0;
}

static int loading_end(struct loading *l, const char *name, void *ret)
{
	const struct conf_schema *schema = l->schema;
	for (size_t i = 0; i < schema->n_keys; i++)
		if (l->set[i] == 0 && schema->keys[i].fallback == NULL)
			return refuse(l->why, E_CONF_MISSING, name, "the key `%s` in [%s] is required (%s)", schema->keys[i].key,
			              schema->keys[i].section, schema->keys[i].about);
	if (schema->check != NULL) {
		struct refusal inner = {0};
		int            r = schema->check(l->conf, &inner);
		if (r != 0)
			return refuse(l->why, r, name, "%s%s%s", inner.object, inner.object[0] != '\0' ? ": " : "", inner.cause);
	}
	memcpy(ret, l->conf, schema->struct_size);
	return 0;
}

int conf_parse(const struct conf_schema *schema, const char *name, struct span text, void *ret, struct refusal *why)
{
	struct loading l;
	int            r = loading_begin(&l, schema, NULL, why);
	char          *copy = NULL;
	if (r == 0 && text.n > CONF_FILE_MAX)
		r = refuse(why, E_CONF_FILE, name, "the file is longer than %d bytes", CONF_FILE_MAX);
	if (r == 0 && (copy = malloc(text.n + 1)) == NULL)
		r = refuse(why, E_NOMEM, name, "no memory to read the file");
	if (r == 0) {
		if (text.n > 0)
			memcpy(copy, text.p, text.n);
		copy[text.n] = '\0';
		r = parse_text(&l, name, copy, text.n);
	}
	if (r == 0)
		r = loading_end(&l, name, ret);
	free(copy);
	free(l.conf);
	return r;
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

static int read_conf_file(const char *path, struct buf *to, struct refusal *why)
{
	struct stat st;
	int         fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return refuse(why, E_CONF_FILE, path, "cannot open the file: %s", strerror(errno));
	int r = 0;
	if (fstat(fd, &st) != 0)
		r = refuse(why, E_CONF_FILE, path, "cannot tell what it is: %s", strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = refuse(why, E_CONF_FILE, path, "is not a plain file");
	else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		r = refuse(why, E_CONF_UNSAFE, path, "mode %04o lets others change it; wanted: not writable by group and others",
		           (unsigned)(st.st_mode & 07777));
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		r = refuse(why, E_CONF_UNSAFE, path, "belongs to uid %u; wanted: root or the own user", (unsigned)st.st_uid);
	while (r == 0) {
		uint8_t *room = buf_room(to, 8192);
		ssize_t  n = room != NULL ? read(fd, room, 8192) : -1;
		if (room == NULL && buf_error(to) == E_NOMEM)
			r = refuse(why, E_NOMEM, path, "no memory to read the file");
		else if (room == NULL)
			r = refuse(why, E_CONF_FILE, path, "the file is longer than %d bytes", CONF_FILE_MAX);
		else if (n < 0 && errno != EINTR)
			r = refuse(why, E_CONF_FILE, path, "cannot read the file: %s", strerror(errno));
		else if (n == 0)
			break;
		else if (n > 0)
			buf_used(to, (size_t)n);
	}
	close(fd);
	return r;
}

static int load_file(struct loading *l, const char *path)
{
	struct buf text = BUF_MAX(CONF_FILE_MAX + 8192 + 1);
	int        r = read_conf_file(path, &text, l->why);
	size_t     n = text.n;
	if (r == 0) {
		buf_add_u8(&text, 0);
		r = buf_error(&text) != 0 ? refuse(l->why, E_CONF_FILE, path, "the file is longer than %d bytes", CONF_FILE_MAX)
		                          : parse_text(l, path, (const char *)text.p, n);
	}
	buf_free(&text);
	return r;
}

static int is_dropin(const struct dirent *e)
{
	return e->d_name[0] != '.' && text_ends(e->d_name, ".conf");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* alphasort() would follow the locale */
}

static int load_dropins(struct loading *l, const char *path)
{
	char            dir[PATH_MAX];
	char            file[PATH_MAX + 256];
	struct dirent **list = NULL;
	int             len = snprintf(dir, sizeof(dir), "%s.d", path);
	if (len < 0 || (size_t)len >= sizeof(dir))
		return refuse(l->why, E_CONF_FILE, path, "the path is too long");
	int n = scandir(dir, &list, is_dropin, by_bytes);
	if (n < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : refuse(l->why, E_CONF_FILE, dir, "cannot list: %s", strerror(errno));
	int r = n > DROPINS_MAX ? refuse(l->why, E_CONF_FILE, dir, "more than %d drop-ins", DROPINS_MAX) : 0;
	for (int i = 0; i < n; i++) {
		if (r == 0) {
			snprintf(file, sizeof(file), "%s/%s", dir, list[i]->d_name);
			r = load_file(l, file);
		}
		free(list[i]);
	}
	free(list);
	return r;
}

int conf_load(const struct conf_schema *schema, const char *path, void *ret, char (*origins)[CONF_ORIGIN_SIZE],
              struct refusal *why)
{
	struct loading l;
	int            r = loading_begin(&l, schema, origins, why);
	if (r == 0)
		r = load_file(&l, path);
	if (r == 0)
		r = load_dropins(&l, path);
	if (r == 0)
		r = loading_end(&l, path, ret);
	free(l.conf);
	return r;
}
