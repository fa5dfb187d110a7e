/* haproxy_conf.c - room agent/survey: reads HAProxy's configuration language as far as certificates go.
 * Never: running HAProxy; crt-list files. */
#include "agent/survey/haproxy_conf.h"

#include <stdlib.h>
#include <string.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

struct parse {
	struct sources  *src;
	struct sites    *out;
	struct refusal  *why;
	size_t           file;
	char             crt_base[SITE_VALUE_SIZE];
	struct conf_line line;
};

static const char *word(const struct parse *p, size_t i)
{
	return i < p->line.n ? p->line.word[i].text : "";
}

static size_t find(const struct parse *p, const char *name)
{
	for (size_t i = 1; i < p->line.n; i++)
		if (text_equal(word(p, i), name))
			return i;
	return 0;
}

/* The options behind the address; values of `crt` and `crt-list` may have any name. */
static bool options_take(struct parse *p, struct site *s)
{
	bool ssl = false;
	for (size_t i = 2; i < p->line.n; i++) {
		if (text_equal(word(p, i), "ssl")) {
			ssl = true;
		} else if (text_equal(word(p, i), "crt-list")) {
			s->problem = "its certificates come from a crt-list";
			i++;
		} else if (text_equal(word(p, i), "crt")) {
			if (++i < p->line.n) {
				s->certs++;
				conf_value(p->file, &p->line.word[i], p->crt_base[0] != '\0' ? p->crt_base : NULL, &s->cert);
			} else {
				s->cert.variable = true; /* its value is missing */
			}
		}
	}
	return ssl;
}

/* bind 192.0.2.1:443,[::]:443 ssl crt /etc/haproxy/site.pem alpn h2 */
static int take_bind(struct parse *p)
{
	struct site  one = {.problem = NULL};
	struct site *s = NULL;
	const char  *cursor = word(p, 1);
	char         address[SITE_HOST_SIZE + 16];
	const bool   ssl = options_take(p, &one);
	if (one.certs == 0 && one.cert.variable)
		return conf_syntax(p->src, p->file, p->line.at, "the value of crt is missing", p->why);
	if (!ssl || (one.certs == 0 && one.problem == NULL))
		return 0;
	int r = site_add(p->out, &s, p->why);
	if (r != 0)
		return r;
	*s = one;
	while (text_item(&cursor, address, sizeof(address)))
		(void)site_listen(s, address, 0);
	if (s->problem == NULL && s->certs > 1)
		s->problem = "it has several certificates side by side";
	else if (s->problem == NULL && s->cert.variable)
		s->problem = "the path of the certificate holds a variable";
	return 0;
}

static int take_base(struct parse *p)
{
	(void)!text_copy(p->crt_base, sizeof(p->crt_base), word(p, 1));
	return 0;
}

/* stats socket /run/haproxy/admin.sock mode 660 level admin */
static int take_stats(struct parse *p)
{
	const size_t level = find(p, "level");
	if (text_equal(word(p, 1), "socket") && level != 0 && text_equal(word(p, level + 1), "admin") && word(p, 2)[0] == '/')
		(void)!text_copy(p->out->admin_socket, sizeof(p->out->admin_socket), word(p, 2));
	return 0;
}

static int take_pid(struct parse *p)
{
	if (word(p, 1)[0] == '/')
		(void)!text_copy(p->out->pidfile, sizeof(p->out->pidfile), word(p, 1));
	return 0;
}

static const struct {
	const char *name;
	int (*take)(struct parse *p);
} keywords[] = {{"bind", take_bind}, {"crt-base", take_base}, {"stats", take_stats}, {"pidfile", take_pid}};

static int line_take(struct parse *p)
{
	for (size_t i = 0; i < N_ELEMENTS(keywords); i++)
		if (text_equal(word(p, 0), keywords[i].name))
			return keywords[i].take(p);
	return 0;
}

int haproxy_conf_read(struct sources *src, const char *path, struct sites *ret, struct refusal *why)
{
	struct parse *p = calloc(1, sizeof(*p));
	size_t        at = 0;
	int           r = p != NULL ? 0 : refuse(why, E_NOMEM, path, "no memory");
	if (r == 0) {
		p->src = src;
		p->out = ret;
		p->why = why;
		r = source_load(src, path, &p->file, why);
	}
	while (r == 0) {
		int got = conf_line_next(buf_span(&src->file[p->file]->bytes), &at, CONF_HAPROXY, &p->line);
		if (got == 0)
			break;
		r = got < 0 ? conf_syntax(src, p->file, at, "a quote is not closed", why) : line_take(p);
	}
	free(p);
	return r;
}
