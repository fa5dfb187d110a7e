/* main.c - room agent/keeper: vcc-keeper, the host's key holder. `vcc-keeper join` is the half of joining that owns the host key.
 * Never: running a program, speaking to another host. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/keeper/copies.h"
#include "agent/keeper/jail_paths.h"
#include "agent/keeper/keeper.h"
#include "agent/keeper/keeper_join.h"
#include "agent/keeper/keeper_journal.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
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
	if (r == 0 && tls_probes_open(&k->tls) != 0)
		r = refuse(why, E_NOMEM, "TLS", "the library cannot be set up");
	if (r == 0)
		r = uplink_open(k, why);
	if (r == 0)
		notify_send("STATUS=locks itself in");
	return r == 0 ? lock_in(k->conf, why) : r;
}

static int keeper_main(const struct agent_conf *conf)
{
	struct refusal why = {.code = 0};
	struct keeper *k = calloc(1, sizeof(*k));
	if (k == NULL || uv_loop_init(&k->loop) != 0)
		return 1;
	k->conf = conf;
	k->batch = (struct buf)BUF_MAX(JOURNAL_RECORD_MAX);
	k->idle.data = k->again.data = k;
	uv_idle_init(&k->loop, &k->idle);
	uv_timer_init(&k->loop, &k->again);
	if (keeper_start(k, &why) != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	int status = keeper_run(k);
	keeper_state_close(&k->state);
	free(k);
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

/* A target file that was read, and its folder. */
struct checked {
	struct target_conf conf;
	char               dir[TARGET_PATH_SIZE];
};

/* all[n] against the ones before it, and its copies against the file system as the keeper will find it. */
static int target_check(const struct agent_conf *conf, struct checked *all, size_t n, uid_t keeper, struct refusal *why)
{
	struct checked *c = &all[n];
	int             r = agent_target_dir(conf, &c->conf, c->dir);
	if (r != 0)
		return refuse(why, r, c->conf.stem, "the path of its folder is too long");
	for (size_t i = 0; i < n; i++) {
		if (text_equal(all[i].dir, c->dir))
			return refuse(why, E_SWAP_TARGET, c->conf.stem, "the folder %s belongs to another target already", c->dir);
		if (copies_clash(&c->conf, c->dir, &all[i].conf, all[i].dir, why))
			return E_SWAP_COPY;
	}
	return copies_check(&c->conf, conf, keeper, why);
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
	char           text[600];
	struct refusal why = {.code = 0};
	size_t         n = 0;
	size_t         good = 0;
	int            status = conf_check(schema, path);
	char(*stems)[CERT_ID_SIZE] = calloc(TARGETS_MAX, CERT_ID_SIZE);
	struct checked *all = calloc(TARGETS_MAX, sizeof(*all));
	if (status != 0 || stems == NULL || all == NULL || conf_load(schema, path, conf, NULL, &why) != 0) {
		status = 1;
	} else if (target_conf_list(conf->targets_dir, stems, TARGETS_MAX, &n, &why) != 0) {
		fprintf(stderr, "vcc-keeper: %s\n", refusal_text(&why, text, sizeof(text)));
		status = 1;
	}
	for (size_t i = 0; i < n; i++) {
		why = (struct refusal){.code = 0};
		if (target_conf_load(conf->targets_dir, stems[i], &all[good].conf, &why) == 0 &&
		    target_check(conf, all, good, keeper_uid(conf), &why) == 0) {
			printf("%s/%s.conf: ok\n", conf->targets_dir, stems[i]);
			good++;
		} else {
			fprintf(stderr, "vcc-keeper: %s\n", refusal_text(&why, text, sizeof(text)));
			status = 1;
		}
	}
	free(stems);
	free(all);
	return status;
}

static int usage(void)
{
	fprintf(stderr, "usage: vcc-keeper [--config FILE] [--check]\n       vcc-keeper join [--config FILE | --state-dir D]\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct agent_conf conf;
	struct conf_schema       schema = agent_schema;
	struct conf_options      options;
	struct refusal           why = {.code = 0};
	bool                     join = argc > 1 && text_equal(argv[1], "join");
	int                      r;
	schema.program = "vcc-keeper";
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	memory_be_thrifty();
	log_open("vcc-keeper", LOG_LEVEL_INFO);
	if (join && argc == 4 && text_equal(argv[2], "--state-dir")) {
		r = state_dir_conf(argv[3], &conf, &why);
	} else {
		conf_options(argc - join, argv + join, &schema, AGENT_CONF_PATH, "[join [--state-dir D]]", &options);
		if (options.check)
			return check(&schema, options.config, &conf);
		if (options.rest < argc - join)
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
