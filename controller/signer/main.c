/* main.c - vcc-signer: the only process with CA keys. Opens keys and log, locks itself in, serves the controller.
 * Never: a network, signing bytes that it did not build. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "controller/signer/key_drill.h"
#include "controller/signer/log_place.h"
#include "controller/signer/new_root.h"
#include "controller/signer/offline_root.h"
#include "controller/signer/share_command.h"
#include "controller/signer/signer_init.h"
#include "controller/signer/signer_loop.h"
#include "shared/base/text.h"
#include "shared/conf/command_options.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"
#include "shared/sys/owner.h"

/* vcc-signer.service does not start again after this: a token locks itself after some wrong PINs, and not each tells that one was. */
enum { STATUS_PIN = 3 };

/* The controller's user; it may be missing where everything runs as one user. */
static uid_t controller_uid(const struct signer_conf *conf)
{
	const struct passwd *user = conf->controller_user[0] != '\0' ? getpwnam(conf->controller_user) : NULL;
	return user != NULL ? user->pw_uid : (uid_t)-1;
}

/* A token brings its needs with it: folders, and perhaps a daemon of this host. Never a network. */
static int lock_in(const struct signer_conf *conf, const char *log_folder, const char *ca_folder, struct refusal *why)
{
	char             folders[SIGNER_FOLDERS_MAX][CONF_PATH_SIZE];
	struct jail_path paths[SIGNER_FOLDERS_MAX + 2] = {{.path = log_folder, .write = true}, {.path = ca_folder, .write = true}};
	size_t           n = 2;
	const char      *cursor = conf->folders;

	for (size_t i = 0; i < SIGNER_FOLDERS_MAX && text_item(&cursor, folders[i], sizeof(folders[i])); i++)
		paths[n++] = (struct jail_path){.path = folders[i], .write = true};
	return jail_enter(conf->local_sockets ? JAIL_SIGNER_LOCAL : JAIL_SIGNER, paths, n, why);
}

/* Everything that needs files, then the jail. */
static int start(const struct signer_conf *conf, struct signer *s, int *ret_listen, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 16], folder[CONF_PATH_SIZE + 16], cas[CONF_PATH_SIZE + 16];

	log_place(conf, path, sizeof(path));
	text_cut(folder, sizeof(folder), path);
	*strrchr(folder, '/') = '\0';
	/* The log's lock comes first: while another process makes or closes CAs, what is read here would be only half of them. */
	int r = log_place_open(conf, path, &s->log, why);
	if (r == 0)
		r = ca_store_open(conf, conf->state_dir, &s->cas, why);
	s->hsm = s->cas.hsm;
	if (r == 0)
		r = ca_store_try(&s->cas, why);
	if (r == 0)
		r = bundle_file_all(conf->state_dir, s->bundles, &s->n_bundles, why);
	if (r == 0) /* who may speak is decided by the peer's uid, not by the file's mode */
		r = ipc_listen(conf->socket, 0666, ret_listen, why);
	if (r < 0)
		return r;
	notify_keep_socket(*ret_listen);
	signer_limits_rate_init(&s->rate, conf->rate, clock_monotonic());
	signer_signals();
	notify_send("STATUS=locking in");
	(void)snprintf(cas, sizeof(cas), "%s/ca", conf->state_dir); /* successors are made there */
	return lock_in(conf, folder, cas, why);
}

static int run(const struct signer_conf *conf)
{
	struct signer    s = {.conf = conf};
	struct refusal   why = {0};
	_cleanup_fd_ int listen_fd = -1;
	uid_t            also = controller_uid(conf);

	int r = start(conf, &s, &listen_fd, &why);
	if (r == 0) {
		log_line(LOG_LEVEL_NOTICE, NULL, "%zu authorities ready, highest serial counter %llu", s.cas.n,
		         (unsigned long long)sign_log_top(s.log));
		notify_send("READY=1\nSTATUS=serving");
		r = signer_loop(&s, listen_fd, also);
		if (r < 0 && !hsm_is_lost(s.hsm, &why))
			refuse(&why, r, "signing log", "%s", err_what(r));
	}
	if (r < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	else
		log_line(LOG_LEVEL_NOTICE, NULL, "ends; signed %llu, again %llu, refused %llu", (unsigned long long)s.signed_new,
		         (unsigned long long)s.signed_again, (unsigned long long)s.refused);
	ca_store_free(&s.cas);
	hsm_close(s.hsm);
	for (size_t i = 0; i < s.n_bundles; i++)
		bundle_file_free(&s.bundles[i]);
	sign_log_close(s.log);
	if (r == E_SIGNER_PIN)
		return STATUS_PIN;
	return r < 0 ? 1 : 0;
}

/* After the controller's store was restored its audit tree does not grow out of the last signed one: a person says that a new one begins.
 * Hosts that keep an old head go on saying so. */
static int audit_restart(int argc, char **argv)
{
	static struct signer_conf conf;
	struct command_words      words;
	struct refusal            why = {0};
	struct sign_log          *log = NULL;
	char                      path[CONF_PATH_SIZE + 16], text[600];

	command_options("vcc-signer", argc, argv, NULL, 0, 0, 0, &words);
	int r = conf_load(&signer_schema, words.config, &conf, NULL, &why);
	if (r == 0)
		r = owner_become(conf.state_dir, &why);
	log_place(&conf, path, sizeof(path));
	if (r == 0)
		r = log_place_open(&conf, path, &log, &why);
	if (r == 0)
		r = sign_log_restart_head(log, &why);
	if (r == 0 && (r = sign_log_commit(log, clock_now())) < 0)
		refuse(&why, r, path, "%s", err_what(r));
	sign_log_close(log);
	if (r < 0)
		fprintf(stderr, "vcc-signer: %s\n", refusal_text(&why, text, sizeof(text)));
	else
		printf("the next head of the audit trail may begin anew\n");
	return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct conf_options options;
	struct refusal      why = {0};
	static struct signer_conf conf;

	umask(077);
	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return signer_init(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "audit-restart") == 0)
		return audit_restart(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "drill") == 0)
		return key_drill(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "new-root") == 0)
		return new_root(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "drop-root") == 0)
		return drop_root(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "split") == 0)
		return share_split_command(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "unlock") == 0)
		return share_unlock_command(argc - 1, argv + 1);
	if (argc > 1 && text_starts(argv[1], "root-")) {
		int status = offline_root(argc - 1, argv + 1);
		if (status >= 0)
			return status;
	}
	conf_options(argc, argv, &signer_schema, &options);
	if (options.rest < argc) {
		fprintf(stderr, "vcc-signer: unknown argument `%s`; see --help\n", argv[options.rest]);
		return 2;
	}
	if (options.check)
		return conf_check(&signer_schema, options.config);
	log_open("vcc-signer", LOG_LEVEL_INFO);
	if (conf_load(&signer_schema, options.config, &conf, NULL, &why) < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	return run(&conf);
}
