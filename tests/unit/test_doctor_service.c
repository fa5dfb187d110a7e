/* test_doctor_service.c - is it found who else renews, who would end at a reload, who keeps old workers, and what `manage` left
 * half done? Cron jobs and records lie below a folder of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/survey/doctor_part.h"
#include "agent/survey/undo.h"
#include "shared/base/text.h"
#include "tests/lib/conf_kit.h"

static struct patient     p;
static struct agent_conf  conf;
static struct target_conf target;
static struct server      server;

/* One target of some server kind; nobody listens, nobody is asked. */
static void host(struct conf_kit *k, enum server_kind kind)
{
	p = (struct patient){.conf = &conf, .root = k->dir, .check = "it", .target = &target, .n_targets = 1};
	target = (struct target_conf){.reload = RELOAD_NONE, .verify = VERIFY_TLS};
	text_cut(target.stem, sizeof(target.stem), "web");
	text_cut(target.connect, sizeof(target.connect), "127.0.0.1:443");
	snprintf(target.dir, sizeof(target.dir), "%s/targets/web", k->dir);
	snprintf(conf.keeper_dir, sizeof(conf.keeper_dir), "%s/keeper", k->dir);
	server = (struct server){.kind = kind};
	p.behind[0] = &server;
}

static void found(int code, enum finding_level level, const char *cause)
{
	assert_int_equal(p.findings.n, 1);
	assert_int_equal(p.findings.row[0].why.code, code);
	assert_int_equal(p.findings.row[0].level, level);
	assert_string_equal(p.findings.row[0].why.object, "web");
	if (strstr(p.findings.row[0].why.cause, cause) == NULL)
		fail_msg("`%s` is not in: %s", cause, p.findings.row[0].why.cause);
}

static void jobs_that_touch_the_files(void **state)
{
	struct conf_kit *k = *state;
	char             line[1200];
	host(k, SERVER_NGINX);
	conf_kit_file(k, "etc/crontab", "17 * * * * root run-parts /etc/cron.hourly\n");
	snprintf(line, sizeof(line), "#0 3 * * * root cp x %s/current/cert.pem\n  # %s\nPATH=/bin\n", target.dir, target.dir);
	conf_kit_file(k, "etc/cron.d/old", line);
	doctor_renewer(&p);
	assert_int_equal(p.findings.n, 0);
	assert_true(p.note[0] != '\0');
	snprintf(line, sizeof(line), "PATH=/bin\n0 3 * * * root cp x %s/current/cert.pem",
		 target.dir); /* without a line feed at the end */
	conf_kit_file(k, "etc/cron.d/old", line);
	doctor_renewer(&p);
	found(E_DOCTOR_RENEWER, FINDING_WARNING, "/etc/cron.d/old names ");
	conf_kit_file(k, "etc/cron.d/old", "");
	snprintf(line, sizeof(line), "#!/bin/sh\n\ncp \"$RENEWED_LINEAGE\"/* /srv/tls/\n");
	conf_kit_file(k, "etc/letsencrypt/renewal-hooks/deploy/web", line);
	host(k, SERVER_NGINX);
	doctor_renewer(&p);
	assert_int_equal(p.findings.n, 0);
	text_cut(target.copies, sizeof(target.copies), "fullchain.pem:/srv/tls/web.pem");
	snprintf(line, sizeof(line), "#!/bin/sh\ncat x > /srv/tls/web.pem\n");
	conf_kit_file(k, "etc/letsencrypt/renewal-hooks/deploy/web", line);
	doctor_renewer(&p);
	found(E_DOCTOR_RENEWER, FINDING_WARNING, "/renewal-hooks/deploy/web names /srv/tls/web.pem");
}

static void python_servers(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		enum reload_kind reload;
		const char      *signal;
		bool             takes, bad;
	} rows[] = {
		{RELOAD_SIGNAL, "HUP", false, true},   {RELOAD_SIGNAL, "", false, true},    {RELOAD_SYSTEMD, "", false, true},
		{RELOAD_SIGNAL, "USR1", false, false}, {RELOAD_SIGNAL, "HUP", true, false}, {RELOAD_NONE, "", false, false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		host(k, SERVER_PYTHON);
		target.reload = (int)rows[i].reload;
		text_cut(target.signal, sizeof(target.signal), rows[i].signal);
		server.takes_hup = rows[i].takes;
		doctor_python(&p);
		if (rows[i].bad)
			found(E_DOCTOR_PYTHON, FINDING_ERROR, "the next reload ends it");
		else
			assert_int_equal(p.findings.n, 0);
	}
	host(k, SERVER_NGINX);
	target.reload = RELOAD_SIGNAL;
	doctor_python(&p);
	assert_int_equal(p.findings.n, 0);
}

static void nginx_workers(void **state)
{
	struct conf_kit *k = *state;
	static const struct {
		const char *text;
		bool        bad;
	} rows[] = {
		{"worker_processes 2;\n", true},
		{"", true},
		{"  worker_shutdown_timeout 30s;\n", false},
		{"# worker_shutdown_timeout 30s;\n", true},
		{"# worker_shutdown_timeout 30s;\nworker_shutdown_timeout 1m;", false},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		host(k, SERVER_NGINX);
		assert_int_equal(source_give(&server.src, "/etc/nginx/nginx.conf", span_text(rows[i].text)), 0);
		doctor_drain(&p);
		if (rows[i].bad)
			found(E_DOCTOR_DRAIN, FINDING_WARNING, "sets no worker_shutdown_timeout");
		else
			assert_int_equal(p.findings.n, 0);
		p.findings.n = 0;
		target.max_drain_ms = 1000; /* our own limit does as well, if it ends them */
		target.on_drain = DRAIN_REPORT;
		doctor_drain(&p);
		assert_int_equal(p.findings.n, rows[i].bad ? 1 : 0);
		p.findings.n = 0;
		target.on_drain = DRAIN_TERMINATE;
		doctor_drain(&p);
		assert_int_equal(p.findings.n, 0);
		sources_free(&server.src);
	}
	host(k, SERVER_NGINX); /* what cannot be read is not judged */
	server.why.code = E_SURVEY_UNSAFE;
	doctor_drain(&p);
	assert_int_equal(p.findings.n, 0);
}

static void reloads(void **state)
{
	struct conf_kit *k = *state;
	char             pid[32];
	host(k, SERVER_NGINX);
	doctor_reload(&p);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "nginx reads its files at a reload only");
	host(k, SERVER_NGINX);
	target.verify = VERIFY_NONE;
	doctor_reload(&p);
	assert_int_equal(p.findings.n, 0);
	host(k, SERVER_PYTHON);
	doctor_reload(&p);
	assert_int_equal(p.findings.n, 0);

	host(k, SERVER_NGINX);
	target.reload = RELOAD_EXEC;
	text_cut(target.command, sizeof(target.command), "/nowhere/nginx -s reload");
	doctor_reload(&p);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "command: /nowhere/nginx cannot be run");
	host(k, SERVER_NGINX);
	target.reload = RELOAD_EXEC;
	text_cut(target.command, sizeof(target.command), "/bin/true");
	text_cut(target.test, sizeof(target.test), "/nowhere/nginx -t");
	doctor_reload(&p);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "test: /nowhere/nginx cannot be run");

	host(k, SERVER_NGINX);
	target.reload = RELOAD_SIGNAL;
	snprintf(target.pidfile, sizeof(target.pidfile), "%s/pid", k->dir);
	doctor_reload(&p);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "/pid names no running process");
	static const char *const bad[] = {"", "x", "0", "1", "-5"};
	for (size_t i = 0; i < N_ELEMENTS(bad); i++) {
		conf_kit_file(k, "pid", bad[i]);
		p.findings.n = 0;
		doctor_reload(&p);
		found(E_DOCTOR_RELOAD, FINDING_ERROR, "/pid names no running process");
	}
	snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	conf_kit_file(k, "pid", pid);
	p.findings.n = 0;
	doctor_reload(&p);
	assert_int_equal(p.findings.n, 0);
	/* a service user's FIFO in its place: the doctor waits for nobody */
	assert_int_equal(unlink(target.pidfile), 0);
	assert_int_equal(mkfifo(target.pidfile, 0600), 0);
	alarm(20);
	doctor_reload(&p);
	alarm(0);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "/pid names no running process");

	/* a unit beside another kind only tells where old workers are looked for */
	host(k, SERVER_NGINX);
	target.reload = RELOAD_EXEC;
	text_cut(target.command, sizeof(target.command), "/bin/true");
	text_cut(target.unit, sizeof(target.unit), "no-such-unit-at-all.service");
	doctor_reload(&p);
	assert_int_equal(p.findings.n, 0);
	target.reload = RELOAD_POSTGRESQL;
	doctor_reload(&p);
	found(E_DOCTOR_RELOAD, FINDING_ERROR, "unit");

	host(k, SERVER_HAPROXY);
	target.reload = RELOAD_HAPROXY;
	text_cut(target.socket, sizeof(target.socket), "/nowhere/admin.sock");
	doctor_reload(&p);
	found(E_HOOK_SOCKET, FINDING_ERROR, "/nowhere/admin.sock");
}

static void what_manage_left(void **state)
{
	struct conf_kit *k = *state;
	struct undo_dir  dir;
	struct undo      u;
	struct refusal   why = {.code = 0};
	host(k, SERVER_NGINX);
	doctor_half(&p); /* there is no record: and none is made by looking */
	assert_int_equal(p.findings.n, 0);
	assert_int_not_equal(access(conf_kit_path(k, "survey"), F_OK), 0);
	assert_int_equal(undo_dir_open(&conf, &dir, &why), 0);
	assert_int_equal(undo_new(&u, &why), 0);
	strcpy(u.name, "web");
	strcpy(u.cert, "/etc/ssl/web.pem");
	strcpy(u.main_file, "/etc/nginx/nginx.conf");
	strcpy(u.target_dir, target.dir);
	strcpy(u.target_file, "/etc/vcc-agent/targets.d/web.conf");
	assert_int_equal(undo_save(&dir, &u, &why), 0);
	doctor_half(&p);
	found(E_DOCTOR_HALF, FINDING_ERROR, "begun");
	assert_string_equal(finding_next(&p.findings.row[0]), "`vcc-agent unmanage web` puts back what is left.");
	assert_int_equal(undo_phase_set(&dir, &u, UNDO_MANAGED, &why), 0);
	p.findings.n = 0;
	doctor_half(&p);
	assert_int_equal(p.findings.n, 0);
	conf_kit_file(k, "survey/web/record.json", "{");
	assert_int_equal(chmod(conf_kit_path(k, "survey/web/record.json"), 0600), 0);
	doctor_half(&p);
	found(E_SURVEY_UNDO, FINDING_ERROR, "");
	undo_free(&u);
	undo_dir_close(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_that_touch_the_files),
		cmocka_unit_test(python_servers),
		cmocka_unit_test(nginx_workers),
		cmocka_unit_test(reloads),
		cmocka_unit_test(what_manage_left),
	};
	return cmocka_run_group_tests(tests, conf_kit_setup, conf_kit_teardown);
}
