/* test_proposal.c - is the proposed target file one that keeper and hook accept, with names that this host may have? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/proposal.h"
#include "shared/base/attr.h"

static void host_make(struct host_facts *h, const char *patterns)
{
	*h = (struct host_facts){
		.agent = "clara01", .service = "clara", .domain = "vcc.internal", .targets = "/var/lib/vcc-agent/targets"};
	assert_int_equal(names_parse(patterns, true, &h->patterns, NULL), 0);
}

static void names(void **state)
{
	static const struct {
		const char *patterns, *own, *want; /* NULL: nothing fits */
		size_t      left;
	} rows[] = {
		{"clara01.clara.vcc.internal,clara.vcc.internal", "", "clara01.clara.vcc.internal", 0},
		{"clara01.clara.vcc.internal,clara.vcc.internal", "clara.vcc.internal", "clara.vcc.internal", 0},
		{"clara01.clara.vcc.internal,clara.vcc.internal",
		 "clara.vcc.internal,www.example.org,clara01.clara.vcc.internal",
		 "clara.vcc.internal, clara01.clara.vcc.internal", 1},
		{"clara01.clara.vcc.internal", "www.example.org,localhost", "clara01.clara.vcc.internal", 2},
		{"*.clara.vcc.internal", "a.clara.vcc.internal,a.b.clara.vcc.internal", "a.clara.vcc.internal", 1},
		{"*.clara.vcc.internal", "", "clara01.clara.vcc.internal", 0},
		{"shop.vcc.internal", "www.example.org", "shop.vcc.internal", 1},
		{"*.shop.vcc.internal", "www.example.org", NULL, 0},
		{"clara.vcc.internal,192.0.2.1", "192.0.2.1,192.0.2.2", "192.0.2.1", 1},
		{"*.clara.vcc.internal", "*.clara.vcc.internal", "*.clara.vcc.internal", 0},
		{"clara.vcc.internal", "not a name,,..,clara.vcc.internal", "clara.vcc.internal", 2},
	};
	struct host_facts h;
	char              got[NAMES_TEXT_SIZE];
	size_t            left;
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		host_make(&h, rows[i].patterns);
		int r = proposal_names(&h, rows[i].own, got, &left);
		assert_int_equal(r, rows[i].want != NULL ? 0 : E_NAME);
		if (rows[i].want != NULL) {
			assert_string_equal(got, rows[i].want);
			assert_int_equal(left, rows[i].left);
		}
	}
}

static struct found_service *service(enum server_kind kind)
{
	struct found_service *v = calloc(1, sizeof(*v));
	struct server        *s = calloc(1, sizeof(*s));
	assert_non_null(v);
	assert_non_null(s);
	v->server = s;
	s->kind = kind;
	strcpy(s->group, "www-data");
	strcpy(v->name, "web");
	strcpy(v->cert, "/c.pem");
	strcpy(v->key, "/k.pem");
	v->n_listeners = 2;
	strcpy(v->listener[0].address, "127.0.0.1:443");
	strcpy(v->listener[1].address, "[::1]:443");
	return v;
}

static void service_free(struct found_service *v)
{
	free(v->server);
	free(v);
}

static void with_unit(struct found_service *v, const char *unit, bool can_reload)
{
	v->server->has_unit = true;
	v->server->unit.can_reload = can_reload;
	strcpy(v->server->process.unit, unit);
}

/* Every kind of server, with and without a unit: the text is valid, and it says what it must. */
static void texts(void **state)
{
	static const struct {
		enum server_kind kind;
		const char      *unit;
		bool             can_reload, takes_hup, socket, no_key;
		const char      *test, *reload;
		const char      *want[3];
	} rows[] = {
		{SERVER_NGINX,
		 "nginx.service",
		 true,
		 true,
		 false,
		 false,
		 "/usr/sbin/nginx -t",
		 "",
		 {"kind = systemd\nunit = nginx.service\n", "test = /usr/sbin/nginx -t\n", "kind = tls\n"}},
		{SERVER_NGINX,
		 "",
		 false,
		 true,
		 false,
		 false,
		 "/usr/sbin/nginx -t",
		 "/usr/sbin/nginx -s reload",
		 {"kind = exec\ncommand = /usr/sbin/nginx -s reload\n", "group = www-data\n",
		  "connect = 127.0.0.1:443, [::1]:443\n"}},
		{SERVER_APACHE,
		 "",
		 false,
		 true,
		 false,
		 true,
		 "",
		 "/usr/sbin/apache2ctl graceful",
		 {"combined = yes\n", "kind = exec\n", ""}},
		{SERVER_HAPROXY,
		 "haproxy.service",
		 true,
		 true,
		 true,
		 true,
		 "",
		 "",
		 {"kind = haproxy\nsocket = /run/h.sock\n", "combined = yes\n", ""}},
		{SERVER_HAPROXY,
		 "haproxy.service",
		 true,
		 true,
		 false,
		 true,
		 "",
		 "",
		 {"kind = systemd\n", "combined = yes\n", ""}},
		{SERVER_POSTGRESQL,
		 "postgresql@15-main.service",
		 true,
		 true,
		 false,
		 false,
		 "",
		 "",
		 {"kind = postgresql\nunit = postgresql@15-main.service\n", "kind = starttls-postgresql\n", ""}},
		{SERVER_POSTGRESQL,
		 "",
		 false,
		 true,
		 false,
		 false,
		 "",
		 "",
		 {"kind = postgresql\npidfile = /data/postmaster.pid\n", "", ""}},
		{SERVER_PYTHON,
		 "api.service",
		 true,
		 true,
		 false,
		 false,
		 "",
		 "",
		 {"kind = systemd\nunit = api.service\n", "", ""}},
		{SERVER_PYTHON,
		 "api.service",
		 false,
		 true,
		 false,
		 false,
		 "",
		 "",
		 {"kind = systemd\nunit = api.service\n", "", ""}},
		{SERVER_PYTHON,
		 "api.service",
		 false,
		 false,
		 false,
		 false,
		 "",
		 "",
		 {"kind = exec\ncommand = /usr/bin/systemctl restart api.service\n", "", ""}},
	};
	static struct target_conf t;
	static struct proposal    p;
	struct host_facts         h;
	struct refusal            why = {.code = 0};
	(void)state;
	host_make(&h, "clara01.clara.vcc.internal");
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct found_service *v = service(rows[i].kind);
		if (rows[i].unit[0] != '\0')
			with_unit(v, rows[i].unit, rows[i].can_reload);
		v->server->takes_hup = rows[i].takes_hup;
		strcpy(v->server->base, "/data");
		strcpy(v->server->test, rows[i].test);
		strcpy(v->server->reload, rows[i].reload);
		if (rows[i].socket)
			strcpy(v->server->sites.admin_socket, "/run/h.sock");
		if (rows[i].no_key)
			v->key[0] = '\0';
		strcpy(v->sni, i % 2 == 0 ? "www.example.org" : "");
		if (proposal_make(&h, v, NULL, &p, &why) != 0)
			fail_msg("row %zu: %s", i, why.cause);
		if (conf_parse(&target_schema, "web.conf", span_text(p.text), &t, &why) != 0)
			fail_msg("row %zu: %s: %s\n%s", i, why.object, why.cause, p.text);
		for (size_t k = 0; k < N_ELEMENTS(rows[i].want); k++)
			if (strstr(p.text, rows[i].want[k]) == NULL)
				fail_msg("row %zu lacks \"%s\":\n%s", i, rows[i].want[k], p.text);
		assert_string_equal(t.sni, v->sni);
		assert_string_equal(t.template_id, "clara_service_auth");
		assert_int_equal(t.mode, 0640);
		assert_int_equal(p.exec_reload, rows[i].kind == SERVER_PYTHON && !rows[i].can_reload && rows[i].takes_hup);
		service_free(v);
	}
}

static void must_refuse(void **state)
{
	static struct proposal p;
	struct host_facts      h;
	struct refusal         why = {.code = 0};
	struct found_service  *v = service(SERVER_NGINX);
	(void)state;
	host_make(&h, "clara01.clara.vcc.internal");
	strcpy(h.service, "unheard-of");
	assert_int_equal(proposal_make(&h, v, NULL, &p, &why), E_SURVEY_TEMPLATE);
	assert_int_equal(proposal_make(&h, v, "no such\ntemplate", &p, &why), E_SURVEY_TEMPLATE);
	assert_int_equal(proposal_make(&h, v, "own_template", &p, &why), 0);
	strcpy(h.targets, "/srv/with blank");
	assert_int_equal(proposal_make(&h, v, "own_template", &p, &why), E_SURVEY_CANNOT);
	host_make(&h, "*.other.vcc.internal");
	assert_int_equal(proposal_make(&h, v, NULL, &p, &why), E_SURVEY_CANNOT);
	service_free(v);
	/* HAProxy without socket, unit or master: nothing would make it take a new certificate */
	v = service(SERVER_HAPROXY);
	host_make(&h, "clara01.clara.vcc.internal");
	assert_int_equal(proposal_make(&h, v, NULL, &p, &why), E_SURVEY_CANNOT);
	v->server->signal = SIGUSR2;
	strcpy(v->server->sites.pidfile, "/run/haproxy.pid");
	assert_int_equal(proposal_make(&h, v, NULL, &p, &why), 0);
	assert_non_null(strstr(p.text, "kind = signal\npidfile = /run/haproxy.pid\nsignal = USR2\n"));
	service_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(texts), cmocka_unit_test(must_refuse)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
