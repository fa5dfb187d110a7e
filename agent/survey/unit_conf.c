/* unit_conf.c - room agent/survey: reads the unit of a Python web server as far as its certificate goes.
 * Never: asking systemd; settings that stand in Python or in an environment file. */
#include "agent/survey/unit_conf.h"

#include <stdlib.h>
#include <string.h>

#include "agent/survey/conf_line.h"
#include "shared/base/text.h"

struct parse {
	struct sources  *src;
	struct refusal  *why;
	struct conf_line line; /* the last ExecStart= */
	size_t           file; /* where it stands */
	struct conf_line read; /* the one being read */
};

/* vcc_tls: our helper, which runs uvicorn or a program that does. */
static const char *const servers[] = {"uvicorn", "gunicorn", "hypercorn", "vcc_tls"};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

/* "--name value" or "--name=value": the value with its place. False: it is not there. */
static bool option_find(const struct parse *p, const char *name, struct conf_word *ret)
{
	const size_t n = strlen(name);
	for (size_t i = 1; i < p->line.n; i++) {
		const struct conf_word *w = &p->line.word[i];
		if (text_equal(w->text, name) && i + 1 < p->line.n) {
			*ret = p->line.word[i + 1];
			return true;
		}
		if (text_starts(w->text, name) && w->text[n] == '=') {
			*ret = *w;
			memmove(ret->text, w->text + n + 1, strlen(w->text + n + 1) + 1);
			ret->start += n + 1;
			/* inside of quotes the value has no bytes of its own */
			ret->joined |= w->end - w->start != strlen(w->text);
			return true;
		}
	}
	return false;
}

static bool option_of(const struct parse *p, const char *const *names, struct site_value *ret)
{
	struct conf_word w;
	for (; *names != NULL; names++)
		if (option_find(p, *names, &w)) {
			conf_value(p->file, &w, NULL, ret);
			ret->variable |=
				strchr(w.text, '%') != NULL || w.text[0] != '/'; /* relative to a folder that we do not know */
			return true;
		}
	return false;
}

/* ---- the line ----------------------------------------------------------------------------------------------------- */

/* "ExecStart=/usr/bin/x": the program is the rest of the first word; an empty value forgets what came before. */
static void exec_take(struct parse *p, size_t file)
{
	static const char key[] = "ExecStart";
	struct conf_word *w = &p->read.word[0];
	const size_t      n = sizeof(key) - 1;
	if (!text_starts(w->text, key) || (w->text[n] != '=' && w->text[n] != '\0'))
		return;
	const char *program = w->text[n] == '=' ? w->text + n + 1 : "";
	program += strspn(program, "@-:+!");
	p->line = p->read;
	p->file = file;
	memmove(p->line.word[0].text, program, strlen(program) + 1);
	if (p->line.word[0].text[0] == '\0' && p->line.n > 1) { /* "ExecStart= /usr/bin/x" */
		p->line.n--;
		memmove(&p->line.word[0], &p->line.word[1], p->line.n * sizeof(p->line.word[0]));
		if (text_equal(p->line.word[0].text, "=") && p->line.n > 1) {
			p->line.n--;
			memmove(&p->line.word[0], &p->line.word[1], p->line.n * sizeof(p->line.word[0]));
		}
	}
}

static int file_take(struct parse *p, const char *path)
{
	size_t index = 0;
	size_t at = 0;
	bool   service = false;
	int    r = source_load(p->src, path, &index, p->why);
	while (r == 0) {
		int got = conf_line_next(buf_span(&p->src->file[index]->bytes), &at, CONF_UNIT, &p->read);
		if (got == 0)
			break;
		if (got < 0)
			r = conf_syntax(p->src, index, at, "a quote is not closed", p->why);
		else if (p->read.word[0].text[0] == '[')
			service = text_equal(p->read.word[0].text, "[Service]");
		else if (service)
			exec_take(p, index);
	}
	return r;
}

/* Its name is the program's or, as in "env --ignore-signal=HUP python3 -m uvicorn", the module's. */
static bool is_server(const struct parse *p)
{
	for (size_t i = 0; i < p->line.n && i < 6; i++)
		for (size_t k = 0; k < N_ELEMENTS(servers); k++)
			if (text_equal(base_name(p->line.word[i].text), servers[k]))
				return true;
	return false;
}

static int row_make(struct parse *p, struct sites *ret)
{
	static const char *const certs[] = {"--ssl-certfile", "--certfile", NULL};
	static const char *const keys[] = {"--ssl-keyfile", "--keyfile", NULL};
	struct site_value        cert;
	struct site_value        key;
	struct site             *row;
	if (!option_of(p, certs, &cert) || !option_of(p, keys, &key))
		return 0;
	int r = site_add(ret, &row, p->why);
	if (r != 0)
		return r;
	row->cert = cert;
	row->key = key;
	row->certs = 1;
	if (cert.variable || key.variable)
		row->problem = "the path of certificate or key is relative or holds a variable";
	else if (!text_starts(p->src->file[p->file]->path, "/etc/"))
		row->problem = "its unit belongs to a package: make it yours with `systemctl edit --full` first";
	return 0;
}

int unit_conf_read(struct sources *src, const char *const *files, size_t n_files, struct sites *ret, struct refusal *why)
{
	struct parse *p = calloc(1, sizeof(*p));
	int           r = p != NULL ? 0 : refuse(why, E_NOMEM, "unit", "no memory");
	if (r == 0) {
		p->src = src;
		p->why = why;
	}
	for (size_t i = 0; r == 0 && i < n_files; i++)
		r = file_take(p, files[i]);
	if (r == 0 && is_server(p))
		r = row_make(p, ret);
	free(p);
	return r;
}
