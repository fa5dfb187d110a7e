/* main.c - room agent/keeper: vcc-keeper, the host's key holder. `vcc-keeper join` is the half of joining that owns the host key.
 * Never: running a program, speaking to another host. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper/access_check.h"
#include "agent/keeper/copies.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/dialer.h"
#include "agent/keeper/jail_paths.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/keeper_join.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/peer_look.h"
#include "agent/keeper/uplink.h"
#include "agent/keeper/watch.h"
#include "shared/base/text.h"
#include "shared/conf/command_options.h"
#include "shared/conf/program_table.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/notify.h"
#include "shared/sys/owner.h"

/* ---- locking in -------------------------------------------------------------------------------------------------- */

static int lock_in(const struct agent_conf *conf, struct refusal *why)
{
	struct jail_paths paths;
	int               r = jail_paths_collect(conf, &paths, why);
	if (r != 0)
		return r;
	r = jail_enter(JAIL_KEEPER, paths.paths, paths.n, why);
	jail_paths_free(&paths);
	return r;
}

/* ---- the daemon -------------------------------------------------------------------------------------------------- */

static int keeper_start(struct keeper *k, struct refusal *why)
{
	int r = keeper_state_open(k->conf->keeper_dir, &k->state, why);
	if (r == 0 && k->state.identity.agent[0] == '\0')
		r = refuse(why, E_LINK_NOT_JOINED, k->conf->keeper_dir, "there is no identity here");
	if (r == 0)
		r = keeper_state_start(&k->state, clock_now(), why);
	if (r == 0)
		r = keeper_journal_open(k, why);
	if (r == 0 && tls_probes_open(k->dialer, &k->tls) != 0)
		r = refuse(why, E_NOMEM, "TLS", "the library cannot be set up");
	if (r == 0 && crl_fetch_open(k) != 0)
		r = refuse(why, E_NOMEM, "revocation lists", "no memory");
	if (r == 0)
		r = peer_look_open(k, why);
	if (r == 0)
		r = uplink_open(k, why);
	if (r == 0)
		r = watch_open(k, why);
	if (r == 0)
		notify_send("STATUS=locks itself in");
	return r == 0 ? lock_in(k->conf, why) : r;
}

static int keeper_main(const struct agent_conf *conf)
{
	static struct keeper keeper; /* lives as long as the process, also where it does not come to run */
	struct refusal       why = {.code = 0};
	struct keeper       *k = &keeper;
	if (uv_loop_init(&k->loop) != 0)
		return 1;
	k->conf = conf;
	k->batch = (struct buf)BUF_MAX(JOURNAL_RECORD_MAX);
	k->idle.data = k->again.data = k;
	uv_idle_init(&k->loop, &k->idle);
	uv_timer_init(&k->loop, &k->again);
	if (dialer_start(&k->dialer, &why) != 0 || keeper_start(k, &why) != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	int status = keeper_run(k);
	keeper_state_close(&k->state);
	return status;
}

/* ---- command line ------------------------------------------------------------------------------------------------ */

/* `join --state-dir D`: the folder layout of D, without a file. */
static int state_dir_conf(const char *dir, struct agent_conf *ret, struct refusal *why)
{
	struct buf text = BUF_MAX(8192);
	int        r = agent_conf_text(dir, &text);
	if (r != 0)
		refuse(why, r, dir, "is not a usable path");
	else
		r = conf_parse(&agent_schema, "--state-dir", buf_span(&text), ret, why);
	buf_free(&text);
	return r;
}

/* Whoever owns the keeper's folder runs it; before joining there is none. */
static uid_t keeper_uid(const struct agent_conf *conf)
{
	struct stat st;
	return stat(conf->keeper_dir, &st) == 0 ? st.st_uid : geteuid();
}

/* --check: the settings, then every target file. */
static int check(const struct conf_schema *schema, const char *path, struct agent_conf *conf)
{
	char                text[600];
	struct refusal      why = {.code = 0};
	struct target_scan *s = calloc(1, sizeof(*s));
	int                 status = s != NULL ? conf_check(schema, path) : 1;
	if (status == 0)
		status = conf_load(schema, path, conf, NULL, &why) != 0;
	if (status == 0) {
		s->agent = "host"; /* it may not have joined yet */
		s->service = "";
		status = target_scan(conf, s, &why) != 0;
	}
	if (why.code != 0)
		fprintf(stderr, "vcc-keeper: %s\n", refusal_text(&why, text, sizeof(text)));
	for (size_t i = 0; status != 1 && i < s->n; i++) {
		struct target_candidate *c = &s->files[i];
		if (c->why.code == 0 && copies_check(&c->conf, conf, keeper_uid(conf), &c->why) == 0) {
			printf("%s/%s.conf: ok\n", conf->targets_dir, c->conf.stem);
			continue;
		}
		fprintf(stderr, "vcc-keeper: %s\n", refusal_text(&c->why, text, sizeof(text)));
		status = -1; /* the others are looked at, too */
	}
	free(s);
	return status != 0;
}

static int usage(void)
{
	program_help("vcc-keeper", NULL, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static struct agent_conf conf;
	struct conf_schema       schema = agent_schema;
	struct conf_options      options;
	struct refusal           why = {.code = 0};
	struct command_words     words;
	const char              *state_dir = NULL;
	const struct command_option below = {"state-dir", &state_dir, NULL};
	bool                     join = argc > 1 && text_equal(argv[1], "join");
	int                      r;
	schema.program = "vcc-keeper";
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	memory_be_thrifty();
	(void)setenv("UV_THREADPOOL_SIZE", "2", 0); /* they make keys, now and then: the host's processors and memory are not ours */
	log_open("vcc-keeper", LOG_LEVEL_INFO);
	if (join) {
		command_options("vcc-keeper", argc - 1, argv + 1, &below, 1, 0, 0, &words);
		if (state_dir != NULL && words.config != program_find("vcc-keeper")->conf)
			command_refuse("vcc-keeper", "join", "--state-dir", "it stands without --config");
		r = state_dir != NULL ? state_dir_conf(state_dir, &conf, &why) : conf_load(&schema, words.config, &conf, NULL, &why);
	} else {
		conf_options(argc, argv, &schema, &options);
		if (options.check)
			return check(&schema, options.config, &conf);
		if (options.rest < argc)
			return usage();
		r = conf_load(&schema, options.config, &conf, NULL, &why);
	}
	if (r == 0 && join) /* what joining makes must belong to the user that runs the keeper */
		r = owner_become(conf.keeper_dir, &why);
	if (r != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	return join ? keeper_join(&conf, STDIN_FILENO, STDOUT_FILENO) : keeper_main(&conf);
}
