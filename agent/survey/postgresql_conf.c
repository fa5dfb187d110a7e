/* postgresql_conf.c - room agent/survey: reads postgresql.conf as far as its certificate goes.
 * Never: a connection to the database. */
#include "agent/survey/postgresql_conf.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

struct parse {
	struct sources  *src;
	struct refusal  *why;
	const char      *data_dir;
	struct site      site;
	bool             on;
	bool             by_sql; /* reading what ALTER SYSTEM wrote */
	unsigned         files;
	size_t           file;
	struct conf_line line;
	char            *pidfile;
};

/* "key = value" and "key value": the value's word. */
static const struct conf_word *value_of(const struct parse *p)
{
	const size_t at = p->line.n > 1 && text_equal(p->line.word[1].text, "=") ? 2 : 1;
	return at < p->line.n ? &p->line.word[at] : NULL;
}

static int take_path(struct parse *p, const struct conf_word *w, struct site_value *to)
{
	conf_value(p->file, w, p->data_dir, to);
	if (p->by_sql)
		p->site.problem = "its certificate is set by ALTER SYSTEM: RESET it there first";
	return 0;
}

static int take_certificate(struct parse *p, const struct conf_word *w)
{
	return take_path(p, w, &p->site.cert);
}

static int take_key(struct parse *p, const struct conf_word *w)
{
	return take_path(p, w, &p->site.key);
}

static int take_on(struct parse *p, const struct conf_word *w)
{
	static const char *const yes[] = {"on", "true", "yes", "1"};
	p->on = false;
	for (size_t i = 0; i < N_ELEMENTS(yes); i++)
		p->on |= strcasecmp(w->text, yes[i]) == 0;
	return 0;
}

static int take_pid(struct parse *p, const struct conf_word *w)
{
	(void)!text_copy(p->pidfile, SITE_VALUE_SIZE, w->text);
	return 0;
}

static int file_take(struct parse *p, const char *path);

static int include_one(void *ctx, const char *path)
{
	return file_take(ctx, path);
}

/* Relative to the folder of the file that includes. */
static int include_path(struct parse *p, const char *name, const char *behind)
{
	char base[SOURCE_PATH_SIZE];
	char path[SOURCE_PATH_SIZE];
	char whole[SOURCE_PATH_SIZE];
	text_cut(base, sizeof(base), p->src->file[p->file]->path);
	*strrchr(base, '/') = '\0';
	int r = source_path(base, name, path, p->why);
	if (r == 0 && behind != NULL)
		r = source_path(path, behind, whole, p->why);
	return r == 0 ? source_glob(p->src, behind != NULL ? whole : path, include_one, p, p->why) : r;
}

static int take_include(struct parse *p, const struct conf_word *w)
{
	return include_path(p, w->text, NULL);
}

static int take_include_if(struct parse *p, const struct conf_word *w)
{
	int r = include_path(p, w->text, NULL);
	if (r == E_NOT_FOUND)
		p->why->code = 0;
	return r == E_NOT_FOUND ? 0 : r;
}

static int take_include_dir(struct parse *p, const struct conf_word *w)
{
	return include_path(p, w->text, "*.conf");
}

static const struct {
	const char *name;
	int (*take)(struct parse *p, const struct conf_word *w);
} settings[] = {
	{"ssl", take_on},
	{"ssl_cert_file", take_certificate},
	{"ssl_key_file", take_key},
	{"external_pid_file", take_pid},
	{"include", take_include},
	{"include_if_exists", take_include_if},
	{"include_dir", take_include_dir},
};

static int line_take(struct parse *p)
{
	const struct conf_word *w = value_of(p);
	for (size_t i = 0; w != NULL && i < N_ELEMENTS(settings); i++)
		if (strcasecmp(p->line.word[0].text, settings[i].name) == 0) {
			if (w != &p->line.word[p->line.n - 1] || p->line.more)
				return conf_syntax(p->src, p->file, p->line.at, "there is more than one value", p->why);
			struct conf_word own = *w; /* an included file takes the line's place */
			return settings[i].take(p, &own);
		}
	return 0;
}

static int file_take(struct parse *p, const char *path)
{
	size_t index = 0;
	size_t at = 0;
	size_t before = p->file;
	if (++p->files > SOURCE_DEPTH_MAX)
		return refuse(p->why, E_SURVEY_LIMIT, path, "files include each other more than %d deep", SOURCE_DEPTH_MAX);
	int r = source_load(p->src, path, &index, p->why);
	while (r == 0) {
		p->file = index;
		int got = conf_line_next(buf_span(&p->src->file[index]->bytes), &at, CONF_POSTGRESQL, &p->line);
		if (got == 0)
			break;
		r = got < 0 ? conf_syntax(p->src, index, at, "a quote is not closed", p->why) : line_take(p);
	}
	p->file = before;
	p->files--;
	return r;
}

/* What ALTER SYSTEM wrote comes last and counts. */
static int auto_take(struct parse *p)
{
	char path[SOURCE_PATH_SIZE];
	int  r = source_path(p->data_dir, "postgresql.auto.conf", path, p->why);
	p->by_sql = true;
	if (r == 0)
		r = file_take(p, path);
	if (r == E_NOT_FOUND)
		p->why->code = 0;
	return r == E_NOT_FOUND ? 0 : r;
}

static int row_finish(struct parse *p, struct sites *ret)
{
	struct site *row;
	if (!p->on)
		return 0;
	if (p->site.problem == NULL && (p->site.cert.variable || p->site.key.variable))
		p->site.problem = "the path of certificate or key cannot be read";
	if (p->site.problem == NULL && (p->site.cert.end == 0 || p->site.key.end == 0))
		p->site.problem = "ssl_cert_file and ssl_key_file are not set: name the files there first";
	p->site.certs = 1;
	int r = site_add(ret, &row, p->why);
	if (r == 0)
		*row = p->site;
	return r;
}

int postgresql_conf_read(struct sources *src, const char *path, const char *data_dir, struct sites *ret, struct refusal *why)
{
	struct parse  *p = calloc(1, sizeof(*p));
	struct refusal spare = {.code = 0};
	int            r = p != NULL ? 0 : refuse(why, E_NOMEM, path, "no memory");
	if (r == 0) {
		p->src = src;
		p->why = why != NULL ? why : &spare;
		p->data_dir = data_dir;
		p->pidfile = ret->pidfile;
		r = file_take(p, path);
	}
	if (r == 0)
		r = auto_take(p);
	if (r == 0)
		r = row_finish(p, ret);
	free(p);
	return r;
}
