/* proposal.c - room agent/survey: the target file that a service would get, and the paths that its configuration would name.
 * Never: writing it. */
#include "agent/survey/proposal.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

/* The shipped templates of servers; a house may have its own (--template). */
static const struct {
	const char *service;
	const char *template_id;
} templates[] = {
	{"clara", "clara_service_auth"}, {"covina", "covina_orchestrator"},
	{"argus", "argus_api"},          {"veritas", "veritas_pipeline"},
	{"vpb", "vpb_service"},          {"external", "external_service"},
};

static _printf_(2, 3) void note(struct proposal *p, const char *fmt, ...)
{
	va_list args;
	if (p->n_notes == PROPOSAL_NOTES_MAX)
		return;
	va_start(args, fmt);
	vsnprintf(p->note[p->n_notes++], PROPOSAL_NOTE_SIZE, fmt, args);
	va_end(args);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static bool allowed(const struct host_facts *host, const char *name)
{
	struct names one;
	struct san   bad;
	return names_parse(name, true, &one, NULL) == 0 && names_count(&one) == 1 && names_within(&one, &host->patterns, &bad);
}

static void list_add(char ret[NAMES_TEXT_SIZE], const char *name)
{
	size_t used = strlen(ret);
	if (used + strlen(name) + 3 <= NAMES_TEXT_SIZE)
		snprintf(ret + used, NAMES_TEXT_SIZE - used, "%s%s", used > 0 ? ", " : "", name);
}

int proposal_names(const struct host_facts *host, const char *own, char ret[NAMES_TEXT_SIZE], size_t *ret_left)
{
	char        name[DNS_NAME_SIZE];
	char        list[NAMES_TEXT_SIZE] = "";
	size_t      left = 0;
	size_t      taken = 0;
	const char *cursor = own;
	while (text_item(&cursor, name, sizeof(name))) {
		if (taken < NAMES_MAX && allowed(host, name)) {
			list_add(list, name);
			taken++;
		} else {
			left++;
		}
	}
	int n = snprintf(name, sizeof(name), "%s.%s.%s", host->agent, host->service, host->domain);
	if (list[0] == '\0' && n > 0 && (size_t)n < sizeof(name) && allowed(host, name))
		list_add(list, name);
	size_t     at = 0;
	struct san pattern;
	while (list[0] == '\0' && names_next(&host->patterns, &at, &pattern))
		if (strchr(pattern.text, '*') == NULL)
			list_add(list, pattern.text);
	if (list[0] == '\0')
		return E_NAME;
	memcpy(ret, list, sizeof(list));
	*ret_left = left;
	return 0;
}

/* ---- reload ------------------------------------------------------------------------------------------------------- */

static int reload_python(const struct found_service *v, struct proposal *p)
{
	const struct server *s = v->server;
	if (s->unit.can_reload) {
		p->reload = PROPOSE_SYSTEMD;
		return 0;
	}
	if (s->takes_hup) {
		p->reload = PROPOSE_SYSTEMD;
		p->exec_reload = true;
		note(p, "its unit has no ExecReload=: a drop-in adds one that sends SIGHUP");
		return 0;
	}
	p->reload = PROPOSE_EXEC;
	p->restarts = true;
	note(p, "it does not handle SIGHUP: each renewal restarts it and ends its connections; run by "
		"`python3 -m vcc_tls` it needs no restart");
	return 0;
}

static int reload_haproxy(const struct found_service *v, struct proposal *p, struct refusal *why)
{
	const struct server *s = v->server;
	if (s->sites.admin_socket[0] != '\0' && server_path_plain(s->sites.admin_socket)) {
		p->reload = PROPOSE_HAPROXY;
		return 0;
	}
	note(p, "no `stats socket ... level admin`: each renewal reloads HAProxy; with one it would need no reload");
	if (s->has_unit)
		p->reload = PROPOSE_SYSTEMD;
	else if (s->signal != 0 && server_path_plain(s->sites.pidfile))
		p->reload = PROPOSE_SIGNAL;
	else
		return refuse(why, E_SURVEY_CANNOT, v->name,
			      "it has neither an admin socket nor a unit nor a master with a pid file");
	return 0;
}

static int reload_choose(const struct found_service *v, struct proposal *p, struct refusal *why)
{
	const struct server *s = v->server;
	switch (s->kind) {
	case SERVER_HAPROXY:
		return reload_haproxy(v, p, why);
	case SERVER_PYTHON:
		return reload_python(v, p);
	case SERVER_POSTGRESQL:
		p->reload = PROPOSE_POSTGRESQL;
		return 0;
	default:
		p->reload = s->has_unit ? PROPOSE_SYSTEMD : PROPOSE_EXEC;
		return 0;
	}
}

/* ---- the text ----------------------------------------------------------------------------------------------------- */

static void text_reload(const struct found_service *v, const struct proposal *p, struct buf *to)
{
	const struct server *s = v->server;
	switch (p->reload) {
	case PROPOSE_SYSTEMD:
		buf_add_fmt(to, "kind = systemd\nunit = %s\n", s->process.unit);
		break;
	case PROPOSE_EXEC:
		if (p->restarts)
			buf_add_fmt(to, "kind = exec\ncommand = /usr/bin/systemctl restart %s\n", s->process.unit);
		else
			buf_add_fmt(to, "kind = exec\ncommand = %s\n", s->reload);
		break;
	case PROPOSE_SIGNAL:
		buf_add_fmt(to, "kind = signal\npidfile = %s\nsignal = USR2\n", s->sites.pidfile);
		break;
	case PROPOSE_HAPROXY:
		buf_add_fmt(to, "kind = haproxy\nsocket = %s\n", s->sites.admin_socket);
		break;
	case PROPOSE_POSTGRESQL:
		buf_add_text(to, "kind = postgresql\n");
		if (s->has_unit)
			buf_add_fmt(to, "unit = %s\n", s->process.unit);
		else
			buf_add_fmt(to, "pidfile = %s/postmaster.pid\n", s->base);
		break;
	default:
		break;
	}
	if (s->test[0] != '\0')
		buf_add_fmt(to, "test = %s\n", s->test);
}

static void text_verify(const struct found_service *v, struct buf *to)
{
	buf_add_fmt(to,
		    "\n[verify]\nkind = %s\nconnect = ", v->server->kind == SERVER_POSTGRESQL ? "starttls-postgresql" : "tls");
	for (size_t i = 0; i < v->n_listeners; i++)
		buf_add_fmt(to, "%s%s", i > 0 ? ", " : "", v->listener[i].address);
	buf_add_text(to, "\n");
	if (v->sni[0] != '\0')
		buf_add_fmt(to, "sni = %s\n", v->sni);
}

static int text_make(const struct host_facts *host, const struct found_service *v, struct proposal *p, struct refusal *why)
{
	struct buf to = BUF_MAX(PROPOSAL_TEXT_MAX - 1);
	buf_add_fmt(&to,
		    "# %s: written by `vcc-agent manage %s`; `vcc-agent unmanage %s` takes everything back.\n"
		    "[target]\nservice = %s\ntemplate = %s\nnames = %s\n\n"
		    "[files]\nowner = root\ngroup = %s\nmode = 0640\n%s\n[reload]\n",
		    server_kind_name(v->server->kind), v->name, v->name, host->service, p->template_id, p->names,
		    v->server->group, p->combined ? "combined = yes\n" : "");
	text_reload(v, p, &to);
	text_verify(v, &to);
	int r = buf_error(&to);
	if (r != 0)
		refuse(why, r, v->name, "its target file would be too long");
	else
		memcpy(p->text, to.p, to.n);
	buf_free(&to);
	return r;
}

/* Clients that use one of these need another invite first: a person wants to see which. */
static void note_left(struct proposal *p, const struct host_facts *host, const char *own, size_t left)
{
	char        name[DNS_NAME_SIZE];
	char        list[PROPOSAL_NOTE_SIZE / 2] = "";
	const char *cursor = own;
	size_t      shown = 0;
	while (text_item(&cursor, name, sizeof(name))) {
		const size_t used = strlen(list);
		if (allowed(host, name) || used + strlen(name) + 3 > sizeof(list))
			continue;
		text_cut(list + used, sizeof(list) - used, used > 0 ? ", " : "");
		text_cut(list + strlen(list), sizeof(list) - strlen(list), name);
		shown++;
	}
	if (shown == 0)
		note(p, "names left out: %zu", left);
	else if (shown < left)
		note(p, "left out, this host was not invited for them: %s and %zu more", list, left - shown);
	else
		note(p, "left out, this host was not invited for %s: %s", left == 1 ? "it" : "them", list);
}

static int template_choose(const struct host_facts *host, const char *wanted, struct proposal *p, struct refusal *why)
{
	if (wanted != NULL)
		return name_template_ok(wanted) ? text_copy(p->template_id, sizeof(p->template_id), wanted)
						: refuse(why, E_SURVEY_TEMPLATE, wanted, "this is no template's name");
	for (size_t i = 0; i < N_ELEMENTS(templates); i++)
		if (text_equal(templates[i].service, host->service))
			return text_copy(p->template_id, sizeof(p->template_id), templates[i].template_id);
	return refuse(why, E_SURVEY_TEMPLATE, host->service, "no shipped template is made for servers of this service");
}

int proposal_make(const struct host_facts *host, const struct found_service *v, const char *template_id, struct proposal *ret,
		  struct refusal *why)
{
	size_t left = 0;
	memset(ret, 0, sizeof(*ret));
	int n = snprintf(ret->dir, sizeof(ret->dir), "%s/%s", host->targets, v->name);
	int r = n > 0 && (size_t)n < sizeof(ret->dir) && server_path_plain(ret->dir)
			? 0
			: refuse(why, E_SURVEY_CANNOT, host->targets,
				 "the path of the target's folder is too long or has unusual characters");
	if (r == 0)
		r = template_choose(host, template_id, ret, why);
	if (r == 0 && proposal_names(host, v->own_names, ret->names, &left) != 0)
		r = refuse(why, E_SURVEY_CANNOT, v->name, "no name can be proposed: the invite's patterns are all wildcards");
	if (r != 0)
		return r;
	if (left > 0)
		note_left(ret, host, v->own_names, left);
	ret->combined = v->server->kind == SERVER_HAPROXY || (v->server->kind == SERVER_APACHE && v->key[0] == '\0');
	ret->chain_apart = v->chain[0] != '\0';
	r = reload_choose(v, ret, why);
	return r == 0 ? text_make(host, v, ret, why) : r;
}
