/* service_find.c - room agent/survey: the TLS services of this host.
 * Never: changing anything. */
#include "agent/survey/service_find.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/text.h"
#include "shared/sys/tcp.h"

enum { LOOK_MS = 4000 };

/* ---- servers ------------------------------------------------------------------------------------------------------ */

static bool known_process(const struct found *f, const struct process_facts *p)
{
	for (size_t i = 0; i < f->n_servers; i++) {
		const struct process_facts *q = &f->server[i]->process;
		if (q->pid == p->pid || (q->unit[0] != '\0' && text_equal(q->unit, p->unit)))
			return true;
	}
	return false;
}

static int server_add(struct found *f, const struct process_facts *p, struct refusal *why)
{
	const enum server_kind kind = server_kind_of(p);
	if (kind == SERVER_KIND_COUNT || p->pid == 0 || known_process(f, p) || f->n_servers == SERVERS_MAX)
		return 0;
	struct server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return refuse(why, E_NOMEM, "discover", "no memory");
	s->kind = kind;
	s->process = *p;
	server_read(s);
	f->server[f->n_servers++] = s;
	return 0;
}

/* ---- pairs -------------------------------------------------------------------------------------------------------- */

struct pair {
	char cert[SOURCE_PATH_SIZE], key[SOURCE_PATH_SIZE], chain[SOURCE_PATH_SIZE];
};

/* Absolute, or as it stands when nobody knows what it is relative to. What is no text is none to show, and leads nowhere. */
static void path_whole(const struct server *s, const char *text, char ret[SOURCE_PATH_SIZE])
{
	if (text[0] == '/' || text[0] == '\0' || s->base[0] != '/' || source_path(s->base, text, ret, NULL) != 0)
		text_cut(ret, SOURCE_PATH_SIZE, text);
	text_hide_controls(ret);
	if (!text_utf8_ok(ret, strlen(ret)))
		text_plain(ret);
}

static struct found_service *pair_find(struct found *f, const struct server *s, const struct pair *pair)
{
	for (size_t i = 0; i < f->n_services; i++) {
		struct found_service *v = &f->service[i];
		if (v->server == s && text_equal(v->cert, pair->cert) && text_equal(v->key, pair->key))
			return v;
	}
	return NULL;
}

static void names_add(char *list, size_t size, const char *more)
{
	char        one[DNS_NAME_SIZE];
	const char *cursor = more;
	while (text_item(&cursor, one, sizeof(one))) {
		size_t used = strlen(list);
		if (!text_listed(list, one) && used + strlen(one) + 2 <= size)
			snprintf(list + used, size - used, "%s%s", used > 0 ? "," : "", one);
	}
}

static int pairs_of(struct found *f, struct server *s, struct refusal *why)
{
	for (size_t i = 0; i < s->sites.n; i++) {
		const struct site *site = &s->sites.row[i];
		struct pair        pair;
		path_whole(s, site->cert.text, pair.cert);
		path_whole(s, site->key.text, pair.key);
		path_whole(s, site->chain.text, pair.chain);
		struct found_service *v = pair_find(f, s, &pair);
		if (v == NULL && f->n_services == SERVICES_MAX)
			return refuse(why, E_SURVEY_LIMIT, "discover", "this host has more than %d services", SERVICES_MAX);
		if (v == NULL) {
			v = &f->service[f->n_services++];
			v->server = s;
			memcpy(v->cert, pair.cert, sizeof(v->cert));
			memcpy(v->key, pair.key, sizeof(v->key));
			memcpy(v->chain, pair.chain, sizeof(v->chain));
		}
		v->site[v->n_sites++] = i;
		names_add(v->own_names, sizeof(v->own_names), site->names);
		if (site->problem != NULL && v->problem[0] == '\0')
			text_cut(v->problem, sizeof(v->problem), site->problem);
	}
	return 0;
}

/* ---- what lies on disk -------------------------------------------------------------------------------------------- */

static void problem(struct found_service *v, const char *text)
{
	if (v->problem[0] == '\0')
		text_cut(v->problem, sizeof(v->problem), text);
}

static void disk_look(struct found_service *v)
{
	struct buf  pem = BUF_MAX(SOURCE_BYTES_MAX);
	struct stat st;
	if (v->cert[0] != '/') {
		problem(v, "the path of its certificate is relative");
		return;
	}
	if (stat(v->cert, &st) == 0 && S_ISDIR(st.st_mode)) {
		problem(v, "its certificates are a folder, not a file");
		return;
	}
	if (source_pem(v->cert, &pem, NULL) != 0 || look_pem(buf_span(&pem), &v->disk) != 0)
		problem(v, "its certificate file cannot be read");
	buf_wipe(&pem);
}

/* Names of a certificate without their kinds: "DNS:a,IP:b" -> "a,b". */
static void disk_names(struct found_service *v)
{
	char        one[DNS_NAME_SIZE + 8];
	const char *cursor = v->disk.names;
	while (text_item(&cursor, one, sizeof(one)))
		names_add(v->own_names, sizeof(v->own_names), strchr(one, ':') + 1);
}

static void sni_choose(struct found_service *v)
{
	char        one[DNS_NAME_SIZE];
	char        canonical[DNS_NAME_SIZE];
	const char *cursor = v->own_names;
	while (v->sni[0] == '\0' && text_item(&cursor, one, sizeof(one)))
		if (name_dns(one, false, canonical) == 0)
			text_cut(v->sni, sizeof(v->sni), canonical);
}

static void managed_look(struct found_service *v, const char *targets)
{
	char              stem[CERT_ID_SIZE];
	const size_t      n = strlen(targets);
	const char *const rest = n > 0 && text_starts(v->cert, targets) && v->cert[n] == '/' ? v->cert + n + 1 : NULL;
	const char *const slash = rest != NULL ? strchr(rest, '/') : NULL;
	if (slash == NULL || !text_starts(slash, "/current/") ||
	    text_copy_n(stem, sizeof(stem), rest, (size_t)(slash - rest)) != 0)
		return;
	v->managed = true;
	text_cut(v->name, sizeof(v->name), stem);
}

/* ---- listeners ---------------------------------------------------------------------------------------------------- */

/* How the listening socket of this row is reached for what the configuration says; false: it is another listener. */
static bool reach_of(const struct site_listen *l, const struct listen_socket *socket, char ret[ADDRESS_SIZE])
{
	char     host[TCP_HOST_SIZE];
	uint16_t port;
	uint8_t  address[16];
	if (tcp_split(socket->address, host, &port) != 0 || port != l->port)
		return false;
	if (l->host[0] == '\0' || text_equal(l->host, host)) {
		text_cut(ret, ADDRESS_SIZE, socket->reach);
		return true;
	}
	/* one address of a socket that listens on all */
	const bool v6 = inet_pton(AF_INET6, l->host, address) == 1;
	const bool any = text_equal(host, "::") || (!v6 && text_equal(host, "0.0.0.0"));
	const bool all = text_equal(l->host, "0.0.0.0") || text_equal(l->host, "::");
	if (!any || all)
		return false;
	snprintf(ret, ADDRESS_SIZE, v6 ? "[%s]:%u" : "%s:%u", l->host, port);
	return true;
}

static void listener_add(struct found_service *v, const char *address)
{
	for (size_t i = 0; i < v->n_listeners; i++)
		if (text_equal(v->listener[i].address, address))
			return;
	if (v->n_listeners == SERVICE_LISTENERS_MAX) {
		problem(v, "it has more than 16 listeners");
		return;
	}
	text_cut(v->listener[v->n_listeners++].address, ADDRESS_SIZE, address);
}

static bool of_server(const struct observed *row, const struct server *s)
{
	return row->process.pid == s->process.pid ||
	       (s->process.unit[0] != '\0' && text_equal(row->process.unit, s->process.unit));
}

static void listeners_of(struct found_service *v, const struct observation *o)
{
	char address[ADDRESS_SIZE];
	for (size_t r = 0; r < o->n; r++) {
		const struct observed *row = &o->rows[r];
		if (!observed_is_tls(row) || !of_server(row, v->server))
			continue;
		for (size_t i = 0; i < v->n_sites; i++) {
			const struct site *site = &v->server->sites.row[v->site[i]];
			if (site->n_listens == 0) /* PostgreSQL, units: all that the process has */
				listener_add(v, row->socket.reach);
			for (size_t k = 0; k < site->n_listens; k++)
				if (reach_of(&site->listen[k], &row->socket, address))
					listener_add(v, address);
		}
	}
}

static int listeners_ask(struct found_service *v, struct refusal *why)
{
	struct look looks[SERVICE_LISTENERS_MAX];
	size_t      kept = 0;
	memset(looks, 0, sizeof(looks));
	for (size_t i = 0; i < v->n_listeners; i++) {
		memcpy(looks[i].address, v->listener[i].address, sizeof(looks[i].address));
		memcpy(looks[i].sni, v->sni, sizeof(looks[i].sni));
		looks[i].starttls = v->server->kind == SERVER_POSTGRESQL;
	}
	int r = look_all(looks, v->n_listeners, LOOK_MS);
	if (r != 0)
		return refuse(why, r, "discover", "%s", err_what(r));
	for (size_t i = 0; i < v->n_listeners; i++) {
		if (looks[i].result != LOOK_SERVED || !hash_equal(looks[i].fingerprint, v->disk.fingerprint)) {
			v->n_others++;
			continue;
		}
		v->listener[kept] = v->listener[i];
		v->listener[kept++].look = looks[i];
	}
	v->n_listeners = kept;
	return 0;
}

static int service_look(struct found *f, struct found_service *v, const char *targets, struct refusal *why)
{
	const bool named = v->own_names[0] != '\0';
	managed_look(v, targets);
	disk_look(v);
	if (named) /* what a certificate is for says nothing of how its server chooses */
		sni_choose(v);
	else
		disk_names(v);
	renewer_find(v->cert, &v->renewer);
	listeners_of(v, &f->observation);
	int r = v->disk.result == LOOK_SERVED ? listeners_ask(v, why) : 0;
	if (r == 0 && v->n_listeners == 0)
		problem(v, v->n_others > 0 ? "its listeners serve another certificate than its file holds: reload it first"
					   : "no running listener belongs to it");
	return r;
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

static void stem_clean(char *name)
{
	for (char *p = name; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("._-", *p) == NULL)
			*p = '-';
	while (name[0] == '.' || name[0] == '-')
		memmove(name, name + 1, strlen(name));
}

static size_t pairs_of_kind(const struct found *f, enum server_kind kind)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n_services; i++)
		n += f->service[i].server->kind == kind;
	return n;
}

/* "nginx" where there is one, else "nginx-shop.example.org" or "nginx-8443"; units have names of their own. */
static void service_name(const struct found *f, struct found_service *v)
{
	char                 unit[INVENTORY_UNIT_SIZE];
	const struct server *s = v->server;
	char                 more[DNS_NAME_SIZE] = "";
	text_cut(unit, sizeof(unit), s->process.unit);
	if (text_ends(unit, ".service"))
		unit[strlen(unit) - strlen(".service")] = '\0';
	if (s->kind == SERVER_PYTHON) {
		text_cut(v->name, sizeof(v->name), unit);
	} else {
		if (v->sni[0] != '\0')
			text_cut(more, sizeof(more), v->sni);
		else if (s->kind == SERVER_POSTGRESQL && unit[0] != '\0')
			text_cut(more, sizeof(more), text_starts(unit, "postgresql@") ? unit + strlen("postgresql@") : unit);
		else if (v->n_listeners > 0)
			text_cut(more, sizeof(more), strrchr(v->listener[0].address, ':') + 1);
		const bool alone = pairs_of_kind(f, s->kind) == 1;
		snprintf(v->name, sizeof(v->name), "%s%s%.48s", server_kind_name(s->kind), alone ? "" : "-", alone ? "" : more);
	}
	stem_clean(v->name);
}

static void names_give(struct found *f)
{
	for (size_t i = 0; i < f->n_services; i++) {
		struct found_service *v = &f->service[i];
		if (!v->managed)
			service_name(f, v);
		char base[CERT_ID_SIZE - 4];
		text_cut(base, sizeof(base), v->name);
		for (size_t twin = 2; found_name(f, v->name) != v && twin < 100; twin++)
			snprintf(v->name, sizeof(v->name), "%s-%zu", base, twin);
	}
}

struct found_service *found_name(const struct found *f, const char *name)
{
	for (size_t i = 0; i < f->n_services; i++)
		if (text_equal(f->service[i].name, name))
			return &f->service[i];
	return NULL;
}

int service_find(const char *targets, struct found *ret, struct refusal *why)
{
	*ret = (struct found){.n_servers = 0};
	ret->service = calloc(SERVICES_MAX, sizeof(*ret->service));
	if (ret->service == NULL)
		return refuse(why, E_NOMEM, "discover", "no memory");
	int r = observe(&ret->observation, why);
	/* HAProxy's workers hold the sockets, in a root folder of their own; its master knows the files */
	for (size_t i = 0; r == 0 && i < ret->observation.n; i++)
		if (server_kind_of(&ret->observation.rows[i].process) == SERVER_HAPROXY)
			process_master(&ret->observation.rows[i].process);
	for (size_t i = 0; r == 0 && i < ret->observation.n; i++)
		if (observed_is_tls(&ret->observation.rows[i]))
			r = server_add(ret, &ret->observation.rows[i].process, why);
	for (size_t i = 0; r == 0 && i < ret->n_servers; i++)
		r = pairs_of(ret, ret->server[i], why);
	for (size_t i = 0; r == 0 && i < ret->n_services; i++)
		r = service_look(ret, &ret->service[i], targets, why);
	if (r == 0)
		names_give(ret);
	return r;
}

void found_free(struct found *f)
{
	for (size_t i = 0; i < f->n_servers; i++) {
		server_free(f->server[i]);
		free(f->server[i]);
	}
	f->n_servers = 0;
	free(f->service);
	f->service = NULL;
	f->n_services = 0;
	observation_free(&f->observation);
}
