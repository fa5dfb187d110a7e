/* apache_conf.c - room agent/survey: reads Apache's configuration language as far as certificates go.
 * Never: running Apache; macros. */
#include "agent/survey/apache_conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

enum { DEFINES_MAX = 64, DEFINE_NAME_SIZE = 64 };

struct define {
	char name[DEFINE_NAME_SIZE];
	char value[SITE_VALUE_SIZE];
};

struct parse {
	struct sources  *src;
	struct sites    *out;
	struct refusal  *why;
	char             root[SOURCE_PATH_SIZE];
	struct site      server; /* what stands outside of virtual hosts */
	struct site     *host;   /* the virtual host that we are in, or NULL */
	unsigned         macros; /* inside <Macro> nothing is taken */
	unsigned         files;
	struct define    define[DEFINES_MAX];
	size_t           n_defines;
	size_t           file; /* being read */
	struct conf_line line;
};

/* ---- ${NAME} ------------------------------------------------------------------------------------------------------ */

static const char *define_find(const struct parse *p, const char *name, size_t n)
{
	for (size_t i = 0; i < p->n_defines; i++)
		if (strlen(p->define[i].name) == n && memcmp(p->define[i].name, name, n) == 0)
			return p->define[i].value;
	return NULL;
}

/* False: a name that is not defined, or the result is too long. */
static bool expand(const struct parse *p, const char *text, char ret[SITE_VALUE_SIZE])
{
	size_t n = 0;
	for (const char *c = text; *c != '\0';) {
		const char *end = c[0] == '$' && c[1] == '{' ? strchr(c, '}') : NULL;
		const char *value = end != NULL ? define_find(p, c + 2, (size_t)(end - c - 2)) : NULL;
		size_t      more = value != NULL ? strlen(value) : 1;
		if ((end != NULL && value == NULL) || n + more + 1 > SITE_VALUE_SIZE)
			return false;
		memcpy(ret + n, value != NULL ? value : c, more);
		n += more;
		c = end != NULL ? end + 1 : c + 1;
	}
	ret[n] = '\0';
	return true;
}

/* ---- directives --------------------------------------------------------------------------------------------------- */

static struct site *site_of(struct parse *p)
{
	return p->host != NULL ? p->host : &p->server;
}

static const char *word(const struct parse *p, size_t i)
{
	return i < p->line.n ? p->line.word[i].text : "";
}

static int take_certificate(struct parse *p)
{
	site_of(p)->certs++;
	conf_value(p->file, &p->line.word[1], p->root, &site_of(p)->cert);
	return 0;
}

static int take_key(struct parse *p)
{
	conf_value(p->file, &p->line.word[1], p->root, &site_of(p)->key);
	return 0;
}

static int take_chain(struct parse *p)
{
	conf_value(p->file, &p->line.word[1], p->root, &site_of(p)->chain);
	return 0;
}

/* "https://name:443" is allowed as a server's name. */
static int take_names(struct parse *p)
{
	for (size_t i = 1; p->host != NULL && i < p->line.n; i++) {
		char        name[SITE_VALUE_SIZE];
		const char *scheme = strstr(word(p, i), "://");
		if (!expand(p, scheme != NULL ? scheme + 3 : word(p, i), name))
			continue;
		name[strcspn(name, ":/")] = '\0';
		site_name(p->host, name);
	}
	return 0;
}

static int take_root(struct parse *p)
{
	if (p->host == NULL && word(p, 1)[0] == '/' && strchr(word(p, 1), '$') == NULL)
		(void)!text_copy(p->root, sizeof(p->root), word(p, 1));
	return 0;
}

static int take_pid(struct parse *p)
{
	char path[SITE_VALUE_SIZE];
	if (expand(p, word(p, 1), path) && path[0] == '/')
		(void)!text_copy(p->out->pidfile, sizeof(p->out->pidfile), path);
	return 0;
}

static int take_define(struct parse *p)
{
	if (p->n_defines == DEFINES_MAX)
		return 0;
	struct define *d = &p->define[p->n_defines];
	if (text_copy(d->name, sizeof(d->name), word(p, 1)) == 0 && expand(p, word(p, 2), d->value))
		p->n_defines++;
	return 0;
}

static int include(struct parse *p);

static const struct {
	const char *name;
	int (*take)(struct parse *p);
} directives[] = {
	{"Include", include},
	{"IncludeOptional", include},
	{"SSLCertificateFile", take_certificate},
	{"SSLCertificateKeyFile", take_key},
	{"SSLCertificateChainFile", take_chain},
	{"ServerName", take_names},
	{"ServerAlias", take_names},
	{"ServerRoot", take_root},
	{"PidFile", take_pid},
	{"Define", take_define},
};

/* ---- sections ----------------------------------------------------------------------------------------------------- */

/* The words behind "<VirtualHost"; the last one ends with '>'. */
static int host_open(struct parse *p)
{
	if (p->host != NULL)
		return conf_syntax(p->src, p->file, p->line.at, "a <VirtualHost> stands inside another one", p->why);
	int r = site_add(p->out, &p->host, p->why);
	for (size_t i = 1; r == 0 && i < p->line.n; i++) {
		char address[SITE_VALUE_SIZE];
		if (!expand(p, word(p, i), address))
			continue;
		address[strcspn(address, ">")] = '\0';
		if (address[0] != '\0')
			(void)site_listen(p->host, address, 443);
	}
	return r;
}

static bool opens(const struct parse *p, const char *section)
{
	size_t n = strlen(section);
	return word(p, 0)[0] == '<' && strncasecmp(word(p, 0) + 1, section, n) == 0 &&
	       (word(p, 0)[n + 1] == '\0' || word(p, 0)[n + 1] == '>');
}

static int section_take(struct parse *p)
{
	if (opens(p, "Macro"))
		p->macros++;
	else if (opens(p, "/Macro"))
		p->macros -= p->macros > 0;
	else if (p->macros > 0)
		return 0;
	else if (opens(p, "VirtualHost"))
		return host_open(p);
	else if (opens(p, "/VirtualHost"))
		p->host = NULL;
	return 0;
}

static int line_take(struct parse *p)
{
	if (word(p, 0)[0] == '<')
		return section_take(p);
	if (p->macros > 0)
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(directives); i++)
		if (strcasecmp(word(p, 0), directives[i].name) == 0)
			return p->line.n >= 2 ? directives[i].take(p)
					      : conf_syntax(p->src, p->file, p->line.at, "a value is missing", p->why);
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
		int got = conf_line_next(buf_span(&p->src->file[index]->bytes), &at, CONF_APACHE, &p->line);
		if (got == 0)
			break;
		r = got < 0 ? conf_syntax(p->src, index, at, "a quote is not closed", p->why) : line_take(p);
	}
	p->file = before;
	p->files--;
	return r;
}

static int include_one(void *ctx, const char *path)
{
	return file_take(ctx, path);
}

/* An optional file may be missing; a path with an unknown variable is not ours to guess. */
static int include(struct parse *p)
{
	char       pattern[SITE_VALUE_SIZE];
	char       path[SOURCE_PATH_SIZE];
	const bool optional = strcasecmp(word(p, 0), "IncludeOptional") == 0;
	if (!expand(p, word(p, 1), pattern))
		return 0;
	int r = source_path(p->root, pattern, path, p->why);
	if (r == 0)
		r = source_glob(p->src, path, include_one, p, p->why);
	if (r == E_NOT_FOUND && optional) {
		p->why->code = 0;
		return 0;
	}
	return r;
}

static void inherit(struct site *host, const struct site *server)
{
	if (host->certs == 0) {
		host->certs = server->certs;
		host->cert = server->cert;
	}
	if (host->key.end == 0)
		host->key = server->key;
	if (host->chain.end == 0)
		host->chain = server->chain;
	if (host->problem == NULL)
		host->problem = server->problem;
}

static void rows_finish(struct parse *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->out->n; i++) {
		struct site *s = &p->out->row[i];
		inherit(s, &p->server);
		if (s->certs == 0)
			continue;
		if (s->certs > 1)
			s->problem = "it has several certificates side by side";
		else if (s->cert.variable || s->key.variable || s->chain.variable)
			s->problem = "the path of certificate or key holds a variable";
		if (n != i)
			p->out->row[n] = *s;
		n++;
	}
	p->out->n = n;
}

int apache_conf_read(struct sources *src, const char *path, const char *root, struct sites *ret, struct refusal *why)
{
	struct parse  *p = calloc(1, sizeof(*p));
	struct refusal spare = {.code = 0};
	int            r = p != NULL ? 0 : refuse(why, E_NOMEM, path, "no memory");
	if (r == 0) {
		p->src = src;
		p->out = ret;
		p->why = why != NULL ? why : &spare;
		r = text_copy(p->root, sizeof(p->root), root);
	}
	if (r == 0)
		r = file_take(p, path);
	if (r == 0 && p->host != NULL)
		r = refuse(why, E_SURVEY_SYNTAX, path, "a <VirtualHost> is not closed");
	if (r == 0)
		rows_finish(p);
	free(p);
	return r;
}
