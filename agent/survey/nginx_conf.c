/* nginx_conf.c - room agent/survey: reads nginx's configuration language as far as certificates go.
 * Never: running nginx; following a variable. */
#include "agent/survey/nginx_conf.h"

#include <stdlib.h>
#include <string.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

enum { WORDS_MAX = 128, BLOCKS_MAX = 16 };

/* ---- tokens ------------------------------------------------------------------------------------------------------- */

enum token_kind { TOKEN_WORD, TOKEN_END /* ; */, TOKEN_OPEN, TOKEN_CLOSE, TOKEN_EOF, TOKEN_WRONG };

struct word {
	size_t start, end; /* quotes included */
};

struct reader {
	const uint8_t *p;
	size_t         n;
	size_t         at;
};

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct reader *r)
{
	while (r->at < r->n) {
		if (r->p[r->at] == '#')
			while (r->at < r->n && r->p[r->at] != '\n')
				r->at++;
		else if (blank(r->p[r->at]))
			r->at++;
		else
			return;
	}
}

static bool quoted_read(struct reader *r)
{
	uint8_t quote = r->p[r->at++];
	while (r->at < r->n && r->p[r->at] != quote)
		r->at += r->p[r->at] == '\\' ? 2 : 1;
	return r->at++ < r->n;
}

/* Quotes count at the beginning of a word only; `${name}` is part of it. */
static bool plain_read(struct reader *r)
{
	for (bool variable = false; r->at < r->n; r->at++) {
		uint8_t c = r->p[r->at];
		if (blank(c) || c == ';' || (c == '{' && !variable))
			break;
		variable = c == '$';
		r->at += c == '\\';
	}
	return r->at <= r->n;
}

static enum token_kind token_next(struct reader *r, struct word *ret)
{
	skip_blanks(r);
	if (r->at >= r->n)
		return TOKEN_EOF;
	uint8_t c = r->p[r->at];
	if (c == ';' || c == '{' || c == '}') {
		r->at++;
		return c == ';' ? TOKEN_END : c == '{' ? TOKEN_OPEN : TOKEN_CLOSE;
	}
	ret->start = r->at;
	bool good = c == '"' || c == '\'' ? quoted_read(r) : plain_read(r);
	ret->end = r->at;
	return good ? TOKEN_WORD : TOKEN_WRONG;
}

/* The word without quotes and escapes; false: too long. */
static bool word_text(const uint8_t *p, struct word w, char *ret, size_t size)
{
	size_t n = 0;
	bool   quoted = p[w.start] == '"' || p[w.start] == '\'';
	for (size_t i = w.start + quoted; i < w.end - quoted; i++) {
		uint8_t c = p[i];
		if (c == '\\' && i + 1 < w.end - quoted && strchr("\"'\\ ", p[i + 1]) != NULL)
			c = p[++i];
		if (n + 1 >= size)
			return false;
		ret[n++] = (char)c;
	}
	ret[n] = '\0';
	return true;
}

/* ---- directives --------------------------------------------------------------------------------------------------- */

/* What a block hands down to the blocks in it. */
struct scope {
	struct site *server; /* NULL: not inside one */
	struct site  own;    /* certificate and key that stand in this block */
	size_t       first;  /* servers from here on lie in this block */
};

struct parse {
	struct sources *src;
	struct sites   *out;
	const char     *prefix;
	struct refusal *why;
	unsigned        files;  /* depth of includes */
	unsigned        blocks; /* depth of blocks */
};

/* A directive: its words, and the file that they stand in. */
struct directive {
	size_t      file;
	struct word word[WORDS_MAX];
	size_t      n;
};

static const struct source *file_of(const struct parse *p, const struct directive *d)
{
	return p->src->file[d->file];
}

static int syntax(struct parse *p, size_t file, size_t at, const char *what)
{
	return conf_syntax(p->src, file, at, what, p->why);
}

static void value_take(const struct parse *p, const struct directive *d, struct site_value *ret)
{
	struct site_value v = {.file = d->file, .start = d->word[1].start, .end = d->word[1].end};
	v.variable = !word_text(file_of(p, d)->bytes.p, d->word[1], v.text, sizeof(v.text)) || strchr(v.text, '$') != NULL ||
		     text_starts(v.text, "data:") || text_starts(v.text, "engine:") || text_starts(v.text, "store:");
	*ret = v;
}

static int take_certificate(struct parse *p, struct scope *s, const struct directive *d)
{
	struct site *of = s->server != NULL ? s->server : &s->own;
	of->certs++;
	value_take(p, d, &of->cert);
	return 0;
}

static int take_key(struct parse *p, struct scope *s, const struct directive *d)
{
	value_take(p, d, s->server != NULL ? &s->server->key : &s->own.key);
	return 0;
}

static int take_names(struct parse *p, struct scope *s, const struct directive *d)
{
	char name[SITE_VALUE_SIZE];
	for (size_t i = 1; s->server != NULL && i < d->n; i++)
		if (word_text(file_of(p, d)->bytes.p, d->word[i], name, sizeof(name)))
			site_name(s->server, name);
	return 0;
}

static int take_listen(struct parse *p, struct scope *s, const struct directive *d)
{
	char text[SITE_VALUE_SIZE];
	if (s->server != NULL && word_text(file_of(p, d)->bytes.p, d->word[1], text, sizeof(text)))
		(void)site_listen(s->server, text, 80);
	return 0;
}

static int take_pid(struct parse *p, struct scope *s, const struct directive *d)
{
	(void)s;
	if (p->blocks == 0 && !word_text(file_of(p, d)->bytes.p, d->word[1], p->out->pidfile, sizeof(p->out->pidfile)))
		p->out->pidfile[0] = '\0';
	return 0;
}

static int include(struct parse *p, struct scope *s, const struct directive *d);

static const struct {
	const char *name;
	int (*take)(struct parse *p, struct scope *s, const struct directive *d);
} directives[] = {
	{"include", include},
	{"ssl_certificate", take_certificate},
	{"ssl_certificate_key", take_key},
	{"server_name", take_names},
	{"listen", take_listen},
	{"pid", take_pid},
};

static bool is_word(const struct parse *p, const struct directive *d, size_t i, const char *name)
{
	const struct word w = d->word[i];
	return w.end - w.start == strlen(name) && memcmp(file_of(p, d)->bytes.p + w.start, name, strlen(name)) == 0;
}

static int directive_take(struct parse *p, struct scope *s, const struct directive *d)
{
	for (size_t i = 0; i < N_ELEMENTS(directives); i++)
		if (is_word(p, d, 0, directives[i].name))
			return d->n >= 2 ? directives[i].take(p, s, d)
					 : syntax(p, d->file, d->word[0].start, "a value is missing");
	return 0;
}

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

/* Lua is not nginx's language: its braces are counted, its strings and comments left alone. */
static bool lua_skip(struct reader *r)
{
	for (unsigned open = 1; r->at < r->n; r->at++) {
		uint8_t c = r->p[r->at];
		if (c == '"' || c == '\'') {
			if (!quoted_read(r))
				return false;
			r->at--;
		} else if (c == '-' && r->at + 1 < r->n && r->p[r->at + 1] == '-') {
			while (r->at + 1 < r->n && r->p[r->at + 1] != '\n')
				r->at++;
		} else if (c == '{') {
			open++;
		} else if (c == '}' && --open == 0) {
			r->at++;
			return true;
		}
	}
	return false;
}

static bool is_lua(const struct parse *p, const struct directive *d)
{
	static const char end[] = "_by_lua_block";
	const struct word w = d->word[0];
	const size_t      n = sizeof(end) - 1;
	return d->n > 0 && w.end - w.start > n && memcmp(file_of(p, d)->bytes.p + w.end - n, end, n) == 0;
}

/* Servers that have no certificate of their own take the one of the block around them. */
static void scope_end(struct parse *p, const struct scope *s)
{
	for (size_t i = s->first; i < p->out->n; i++) {
		struct site *server = &p->out->row[i];
		if (server->certs == 0 && s->own.certs > 0) {
			server->certs = s->own.certs;
			server->cert = s->own.cert;
		}
		if (server->key.end == 0)
			server->key = s->own.key;
		if (server->problem == NULL)
			server->problem = s->own.problem;
	}
}

static int items_read(struct parse *p, struct scope *s, size_t file, struct reader *r);

static int block_read(struct parse *p, const struct scope *around, const struct directive *d, struct reader *r)
{
	struct scope *s = calloc(1, sizeof(*s));
	int           code = s != NULL ? 0 : refuse(p->why, E_NOMEM, "nginx", "no memory");
	if (code == 0 && ++p->blocks > BLOCKS_MAX)
		code = syntax(p, d->file, r->at, "blocks are nested too deeply");
	if (code == 0) {
		s->server = around->server;
		s->first = p->out->n;
		if (d->n == 1 && is_word(p, d, 0, "server") && around->server == NULL)
			code = site_add(p->out, &s->server, p->why);
	}
	if (code == 0)
		code = items_read(p, s, d->file, r);
	if (code == 0)
		scope_end(p, s);
	p->blocks--;
	free(s);
	return code;
}

/* Directives up to the end of the block or file. `r` stands behind the closing brace then. */
static int items_read(struct parse *p, struct scope *s, size_t file, struct reader *r)
{
	struct directive d = {.file = file, .n = 0};
	for (int code = 0; code == 0;) {
		struct word     w = {0, 0};
		enum token_kind kind = token_next(r, &w);
		if (kind == TOKEN_WORD) {
			if (d.n < WORDS_MAX)
				d.word[d.n++] = w;
			continue;
		}
		if (kind == TOKEN_WRONG)
			return syntax(p, file, w.start, "a quote is not closed");
		if (kind == TOKEN_EOF || kind == TOKEN_CLOSE) {
			if (d.n > 0)
				return syntax(p, file, r->at, "a directive is not ended by `;`");
			return kind == TOKEN_EOF ? 1 : 0;
		}
		if (d.n == 0)
			return syntax(p, file, r->at, "a directive is missing");
		if (kind == TOKEN_END)
			code = directive_take(p, s, &d);
		else if (is_lua(p, &d))
			code = lua_skip(r) ? 0 : syntax(p, file, d.word[0].start, "a Lua block is not closed");
		else if ((code = block_read(p, s, &d, r)) == 1)
			code = syntax(p, file, d.word[0].start, "a block is not closed");
		d.n = 0;
		if (code != 0)
			return code;
	}
	return 0;
}

static int file_read_conf(struct parse *p, struct scope *s, const char *path)
{
	size_t index = 0;
	if (++p->files > SOURCE_DEPTH_MAX)
		return refuse(p->why, E_SURVEY_LIMIT, path, "files include each other more than %d deep", SOURCE_DEPTH_MAX);
	int r = source_load(p->src, path, &index, p->why);
	if (r == 0) {
		struct reader reader = {p->src->file[index]->bytes.p, p->src->file[index]->bytes.n, 0};
		r = items_read(p, s, index, &reader);
		if (r == 0)
			r = syntax(p, index, reader.at, "a `}` closes nothing");
	}
	p->files--;
	return r == 1 ? 0 : r;
}

struct include_walk {
	struct parse *p;
	struct scope *s;
};

static int include_one(void *ctx, const char *path)
{
	const struct include_walk *w = ctx;
	return file_read_conf(w->p, w->s, path);
}

static int include(struct parse *p, struct scope *s, const struct directive *d)
{
	char                pattern[SITE_VALUE_SIZE];
	char                path[SOURCE_PATH_SIZE];
	struct include_walk walk = {p, s};
	if (!word_text(file_of(p, d)->bytes.p, d->word[1], pattern, sizeof(pattern)))
		return syntax(p, d->file, d->word[1].start, "the path is too long");
	int r = source_path(p->prefix, pattern, path, p->why);
	return r == 0 ? source_glob(p->src, path, include_one, &walk, p->why) : r;
}

/* Rows without a certificate are not ours to report. */
static void keep_certificates(struct sites *s)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->row[i].certs > 0) {
			if (n != i)
				s->row[n] = s->row[i];
			n++;
		}
	s->n = n;
}

static void problems_find(struct sites *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct site *site = &s->row[i];
		if (site->certs > 1)
			site->problem = "it has several certificates side by side";
		else if (site->cert.variable || site->key.variable)
			site->problem = "the path of certificate or key holds a variable";
		else if (site->key.end == 0)
			site->problem = "it has no ssl_certificate_key";
	}
}

int nginx_conf_read(struct sources *src, const char *path, const char *prefix, struct sites *ret, struct refusal *why)
{
	struct parse  p = {.src = src, .out = ret, .prefix = prefix, .why = why};
	struct scope *top = calloc(1, sizeof(*top));
	int           r = top != NULL ? file_read_conf(&p, top, path) : refuse(why, E_NOMEM, path, "no memory");
	free(top);
	if (r != 0)
		return r;
	keep_certificates(ret);
	problems_find(ret);
	return 0;
}
