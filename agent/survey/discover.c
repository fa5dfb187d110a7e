/* discover.c - room agent/survey: `vcc-agent discover`: services, who renews them, and the target file that each would get.
 * Never: changing anything. */
#include "agent/survey/discover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/observe_show.h"
#include "agent/survey/proposal.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_NOT_FOUND = 3 };

struct view {
	const struct agent_conf *conf;
	struct host_facts        host;
	bool                     joined;
	struct refusal           not_joined;
	const char              *template_id;
	struct found             found;
};

/* What would be done with a service, or why nothing can be. */
struct outlook {
	struct proposal proposal;
	struct refusal  why; /* code != 0: no proposal */
};

static void outlook_make(const struct view *w, const struct found_service *v, struct outlook *ret)
{
	ret->why = (struct refusal){.code = 0};
	ret->proposal.n_notes = 0;
	if (v->problem[0] != '\0')
		refuse(&ret->why, E_SURVEY_CANNOT, v->name, "%s", v->problem);
	else if (!w->joined)
		ret->why = w->not_joined;
	else
		(void)!proposal_make(&w->host, v, w->template_id, &ret->proposal, &ret->why);
}

/* ---- for people --------------------------------------------------------------------------------------------------- */

static void print_certificate(const struct found_service *v, int64_t now)
{
	char day[16];
	char days[16];
	char name[DNS_NAME_SIZE];
	if (v->disk.result != LOOK_SERVED)
		return;
	observed_name(&v->disk, name, sizeof(name));
	printf("  %-10s %s%s\n", "serves", name, v->disk.self_signed ? " (self-signed)" : "");
	if (!v->disk.self_signed)
		printf("  %-10s %s\n", "issuer", v->disk.issuer);
	printf("  %-10s %s, in %s days\n", "ends", show_day(v->disk.not_after_at, day),
	       show_days(v->disk.not_after_at, now, days));
}

static void print_places(const struct found_service *v)
{
	const struct server *s = v->server;
	printf("  %-10s", "listens");
	for (size_t i = 0; i < v->n_listeners; i++)
		printf("%s %s", i > 0 ? "," : "", v->listener[i].address);
	printf("%s\n", v->n_listeners == 0 ? " -" : "");
	printf("  %-10s %s\n", "reads", v->cert);
	for (size_t i = 0; i < v->n_sites; i++) {
		const struct site_value *cert = &s->sites.row[v->site[i]].cert;
		const struct source     *file = s->src.file[cert->file];
		printf("  %-10s %s:%u\n", i == 0 ? "set in" : "", file->path, source_line(file, cert->start));
	}
	if (v->renewer.kind != RENEWER_NONE)
		printf("  %-10s %s (%s)\n", "renewed by", renewer_kind_name(v->renewer.kind), v->renewer.name);
	else
		printf("  %-10s %s\n", "renewed by", v->managed ? "us" : "nobody that is known here");
}

static void print_text(const char *text)
{
	for (const char *line = text; *line != '\0';) {
		size_t n = strcspn(line, "\n");
		printf("%s%.*s\n", n > 0 ? "    " : "", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

static void print_service(const struct view *w, const struct found_service *v)
{
	struct outlook *o = calloc(1, sizeof(*o));
	char            text[640];
	if (o == NULL)
		return;
	if (v->server->process.unit[0] != '\0')
		printf("%s (%s)\n", v->name, v->server->process.unit);
	else
		printf("%s (no unit: process %d of %s)\n", v->name, (int)v->server->process.pid, v->server->process.user);
	print_certificate(v, w->found.observation.at);
	print_places(v);
	outlook_make(w, v, o);
	if (v->managed) {
		printf("  %-10s yes; `vcc-agent unmanage %s` takes it back\n", "managed", v->name);
	} else if (o->why.code != 0) {
		printf("  %-10s no: %s\n", "can manage", refusal_text(&o->why, text, sizeof(text)));
	} else {
		for (size_t i = 0; i < o->proposal.n_notes; i++)
			printf("  %-10s %s\n", "note", o->proposal.note[i]);
		printf("  %-10s `vcc-agent manage %s`, with this target file:\n\n", "can manage", v->name);
		print_text(o->proposal.text);
	}
	printf("\n");
	free(o);
}

static bool served_by(const struct found *f, const struct observed *row)
{
	for (size_t i = 0; i < f->n_services; i++)
		for (size_t k = 0; k < f->service[i].n_listeners; k++)
			if (text_equal(f->service[i].listener[k].address, row->socket.reach))
				return true;
	return false;
}

/* Listeners whose configuration we do not know, and servers whose configuration we could not follow. */
static void print_rest(const struct view *w)
{
	char   text[640];
	char   service[INVENTORY_UNIT_SIZE];
	size_t n = 0;
	for (size_t i = 0; i < w->found.n_servers; i++) {
		const struct server *s = w->found.server[i];
		if (s->why.code != 0)
			printf("%s (pid %d): %s\n", s->process.program, (int)s->process.pid,
			       refusal_text(&s->why, text, sizeof(text)));
	}
	for (size_t i = 0; i < w->found.observation.n; i++) {
		const struct observed *row = &w->found.observation.rows[i];
		if (!observed_is_tls(row) || served_by(&w->found, row))
			continue;
		observed_service(row, service);
		printf("%s  %s %.40s\n", n++ == 0 ? "other TLS listeners, for which a target file is written by hand:\n" : "",
		       row->socket.address, service);
	}
	if (w->found.n_services == 0 && n == 0)
		printf("no TLS listener was found on this host\n");
}

/* ---- for programs ------------------------------------------------------------------------------------------------- */

static json_t *listeners_json(const struct found_service *v)
{
	json_t *list = json_array();
	for (size_t i = 0; i < v->n_listeners; i++)
		json_array_append_new(list, json_string(v->listener[i].address));
	return list;
}

static json_t *directives_json(const struct found_service *v)
{
	const struct server *s = v->server;
	json_t              *list = json_array();
	for (size_t i = 0; i < v->n_sites; i++) {
		const struct site_value *cert = &s->sites.row[v->site[i]].cert;
		const struct source     *file = s->src.file[cert->file];
		json_array_append_new(list,
				      json_pack("{s:s, s:i}", "file", file->path, "line", (int)source_line(file, cert->start)));
	}
	return list;
}

static json_t *refusal_json(const struct refusal *why)
{
	char code[ERR_CODE_SIZE];
	if (why->code == 0)
		return json_null();
	return json_pack("{s:s, s:s, s:s, s:s}", "code", err_code(why->code, code), "object", why->object, "cause", why->cause,
			 "next", err_next(why->code));
}

static json_t *service_json(const struct view *w, const struct found_service *v)
{
	char            fingerprint[HASH_TEXT_SIZE];
	char            end[TIME_TEXT_SIZE];
	struct outlook *o = calloc(1, sizeof(*o));
	if (o == NULL)
		return NULL;
	outlook_make(w, v, o);
	const bool known = v->disk.result == LOOK_SERVED;
	json_t    *notes = json_array();
	for (size_t i = 0; o->why.code == 0 && i < o->proposal.n_notes; i++)
		json_array_append_new(notes, json_string(o->proposal.note[i]));
	json_t *json = json_pack(
		"{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o, s:o, s:o}", "name", v->name, "kind",
		server_kind_name(v->server->kind), "pid", (int)v->server->process.pid, "unit", v->server->process.unit,
		"certificate_file", v->cert, "key_file", v->key, "not_after", time_text(v->disk.not_after_at, end),
		"fingerprint", known ? hash_text(v->disk.fingerprint, fingerprint) : "", "managed", (int)v->managed, "renewer",
		renewer_kind_name(v->renewer.kind), "renewer_name", v->renewer.name, "listeners", listeners_json(v), "set_in",
		directives_json(v), "problem", refusal_json(&o->why), "notes", notes);
	if (o->why.code == 0)
		json_object_set_new(json, "target_file", json_string(o->proposal.text));
	free(o);
	return json;
}

static int print_json(const struct view *w, const char *name)
{
	json_t *services = json_array();
	json_t *unread = json_array();
	for (size_t i = 0; i < w->found.n_services; i++)
		if (name == NULL || text_equal(name, w->found.service[i].name))
			json_array_append_new(services, service_json(w, &w->found.service[i]));
	for (size_t i = 0; i < w->found.n_servers; i++)
		if (w->found.server[i]->why.code != 0)
			json_array_append_new(unread,
					      json_pack("{s:s, s:i, s:o}", "program", w->found.server[i]->process.program,
							"pid", (int)w->found.server[i]->process.pid, "problem",
							refusal_json(&w->found.server[i]->why)));
	json_t *root = json_pack("{s:b, s:o, s:o, s:o}", "joined", (int)w->joined, "services", services, "unread", unread,
				 "observation", observe_show_json(&w->found.observation));
	int     status = root != NULL && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 ? STATUS_DONE : STATUS_FAILED;
	printf("\n");
	json_decref(root);
	return status;
}

static int show(const struct view *w, const char *name, bool json)
{
	struct refusal why = {.code = 0};
	char           text[640];
	if (name != NULL && found_name(&w->found, name) == NULL) {
		refuse(&why, E_SURVEY_UNKNOWN, name, "`vcc-agent discover` finds no such service");
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(&why, text, sizeof(text)));
		return STATUS_NOT_FOUND;
	}
	if (json)
		return print_json(w, name);
	for (size_t i = 0; i < w->found.n_services; i++)
		if (name == NULL || text_equal(name, w->found.service[i].name))
			print_service(w, &w->found.service[i]);
	if (name == NULL)
		print_rest(w);
	return STATUS_DONE;
}

int discover(const struct agent_conf *conf, const char *name, const char *template_id, bool json)
{
	struct view   *w = calloc(1, sizeof(*w));
	struct refusal why = {.code = 0};
	char           text[640];
	int            status = STATUS_FAILED;
	if (w == NULL)
		return STATUS_FAILED;
	w->conf = conf;
	w->template_id = template_id;
	w->joined = host_facts_read(conf, &w->host, &w->not_joined) == 0;
	if (service_find(w->host.targets, &w->found, &why) == 0)
		status = show(w, name, json);
	else
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(&why, text, sizeof(text)));
	found_free(&w->found);
	free(w);
	return status;
}
