/* main.c - vcc-controller: policy, schedule, store, admin API. Binds its sockets, locks itself in, opens the store, serves.
 * Never: a CA key; a command on a host. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>

#include "controller/daemon/channels.h"
#include "controller/daemon/compliance_rules.h"
#include "controller/daemon/conf_reload.h"
#include "controller/daemon/controller.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/init.h"
#include "controller/daemon/listeners.h"
#include "controller/daemon/restore.h"
#include "controller/daemon/restore_drill.h"
#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/notify.h"

enum { BEAT_MS = 5000 };

struct process {
	struct controller *ctl;
	struct listeners  *listeners;
	const char        *conf_path;
	uv_signal_t        term, interrupt, hangup;
	uv_timer_t         beat;
	uint32_t           told; /* connected agents, as systemd was told last */
	bool               serving, ending;
};

static void on_signal(uv_signal_t *handle, int number)
{
	struct process *p = handle->data;
	if (p->ending)
		return;
	p->ending = true;
	log_line(LOG_LEVEL_NOTICE, NULL, "ends on signal %d", number);
	notify_send("STOPPING=1");
	uv_close((uv_handle_t *)&p->term, NULL);
	uv_close((uv_handle_t *)&p->interrupt, NULL);
	uv_close((uv_handle_t *)&p->beat, NULL);
	uv_close((uv_handle_t *)&p->hangup, NULL);
	listeners_close(p->listeners);
	controller_stop(p->ctl);
}

/* Told by the loop that serves, so that systemd hears of one that stands still. */
static void tell_unit(struct process *p)
{
	char     text[64];
	uint32_t connected = fleet_count(p->ctl);
	if (notify_watchdog_ms() > 0)
		notify_send("WATCHDOG=1");
	if (connected == p->told)
		return;
	p->told = connected;
	(void)snprintf(text, sizeof(text), "STATUS=serving, %u agent%s connected", connected, connected == 1 ? "" : "s");
	notify_send(text);
}

/* What STATUS says of a reading that was refused stands until the next one, or until another agent comes. */
static void on_reloaded(void *ctx)
{
	struct process            *p = ctx;
	const struct conf_reading *reading = conf_reading(p->ctl);
	char                       why[640], status[700];
	if (p->ending)
		return;
	notify_send("READY=1");
	if (reading->well) {
		p->told = UINT32_MAX;
		tell_unit(p);
		return;
	}
	(void)snprintf(status, sizeof(status), "STATUS=not read again: %s", refusal_text(&reading->why, why, sizeof(why)));
	notify_send(status);
}

/* systemd waits for READY=1 after RELOADING=1 (sd_notify(3)). */
static void on_hangup(uv_signal_t *handle, int number)
{
	struct process *p = handle->data;
	char            state[64];
	(void)number;
	if (!p->serving || p->ending)
		return;
	(void)snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_monotonic_us());
	notify_send(state);
	conf_reload(p->ctl, p->conf_path, on_reloaded, p);
}

static void watch_signals(struct process *p, uv_loop_t *loop)
{
	signal(SIGPIPE, SIG_IGN);
	uv_signal_init(loop, &p->term);
	uv_signal_init(loop, &p->interrupt);
	uv_signal_init(loop, &p->hangup);
	uv_timer_init(loop, &p->beat);
	p->term.data = p->interrupt.data = p->hangup.data = p->beat.data = p;
	(void)uv_signal_start(&p->term, on_signal, SIGTERM);
	(void)uv_signal_start(&p->interrupt, on_signal, SIGINT);
	(void)uv_signal_start(&p->hangup, on_hangup, SIGHUP);
}

static void on_beat(uv_timer_t *timer)
{
	tell_unit(timer->data);
}

/* However short the unit's watchdog is. */
static uint64_t beat_ms(void)
{
	int64_t watchdog = notify_watchdog_ms();
	return watchdog > 0 && watchdog < BEAT_MS ? (uint64_t)watchdog : BEAT_MS;
}

/* The crypto library loads what it needs while files are still in reach. */
static int warm_up(struct refusal *why)
{
	struct key *k = NULL;
	struct buf  signature = BUF_MAX(1024);
	int         r = key_make(KEY_EC_P256, &k);
	if (r == 0)
		r = key_sign(k, "vcc controller start v1", span_text("warm-up"), &signature);
	if (r == 0)
		r = key_verify(k, "vcc controller start v1", span_text("warm-up"), buf_span(&signature));
	key_free(k);
	buf_free(&signature);
	return r < 0 ? refuse(why, r, "crypto library", "%s", err_what(r)) : 0;
}

/* The configuration stays in reach: it is read again when somebody asks for it. */
static int lock_in(const struct controller_conf *conf, const char *conf_path, struct refusal *why)
{
	char folder[CONF_PATH_SIZE];
	text_cut(folder, sizeof(folder), conf_path);
	char *slash = strrchr(folder, '/');
	*(slash != NULL ? slash : folder) = '\0';
	const struct jail_path paths[] = {
		{conf->state_dir, true},
		{conf->signer_socket, true},
		{conf->notify_dir, false},
		{folder, false},
	};
	notify_send("STATUS=locking in");
	return jail_enter(JAIL_CONTROLLER, paths, N_ELEMENTS(paths), why);
}

static int start(struct process *p, const struct controller_conf *conf, uv_loop_t *loop, struct refusal *why)
{
	int r = warm_up(why);
	restore_drill_clear(conf->state_dir);
	if (r == 0)
		r = controller_make(conf, loop, &p->ctl, why);
	if (r == 0)
		r = listeners_open(p->ctl, &p->listeners, why);
	if (r == 0)
		r = lock_in(conf, p->conf_path, why);
	if (r == 0)
		r = controller_start(p->ctl, why);
	return r;
}

static int run(const struct controller_conf *conf, const char *conf_path)
{
	static uv_loop_t loop;
	struct process   p = {.conf_path = conf_path};
	struct refusal   why = {0};
	if (uv_loop_init(&loop) < 0)
		return 1;
	watch_signals(&p, &loop);
	int r = start(&p, conf, &loop, &why);
	if (r < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		p.ending = true;
		return 1; /* nothing was served: the kernel takes everything back */
	}
	p.serving = true;
	p.told = UINT32_MAX;
	(void)uv_timer_start(&p.beat, on_beat, beat_ms(), beat_ms());
	notify_send("READY=1");
	tell_unit(&p);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	controller_free(p.ctl);
	listeners_free(p.listeners);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	(void)uv_loop_close(&loop);
	return 0;
}

/* --check: the channels and the compliance rules belong to the configuration. */
static int check(const char *path)
{
	static struct controller_conf conf;
	struct rule_book             *book = NULL;
	struct refusal                why = {0};
	char                          text[640];
	if (conf_load(&controller_schema, path, &conf, NULL, &why) == 0 && channels_check(&conf, &why) == 0 &&
	    rule_book_folder_check(conf.rules_dir, &why) == 0 && rule_book_load(conf.rules_dir, &book, &why) == 0) {
		free(book);
		printf("%s: ok\n", path); /* all of it */
		return 0;
	}
	fprintf(stderr, "vcc-controller: %s\n", refusal_text(&why, text, sizeof(text)));
	return 1;
}

int main(int argc, char **argv)
{
	struct conf_options           options;
	struct refusal                why = {0};
	static struct controller_conf conf;

	umask(077);
	json_set_alloc_funcs(memory_or_end, free); /* its parser goes on with what it could not allocate */
	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return daemon_init(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "restore") == 0)
		return daemon_restore(argc - 1, argv + 1);
	conf_options(argc, argv, &controller_schema, &options);
	if (options.rest < argc) {
		fprintf(stderr, "vcc-controller: unknown argument `%s`; see --help\n", argv[options.rest]);
		return 2;
	}
	if (options.check)
		return check(options.config);
	log_open("vcc-controller", LOG_LEVEL_INFO);
	if (conf_load(&controller_schema, options.config, &conf, NULL, &why) < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	return run(&conf, options.config);
}
