/* share_command.c - room controller/signer: shows each custodian a share; takes one from a keyboard to the process that waits.
 * Never: a share in a file, an argument or a log. */
#include "controller/signer/share_command.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "controller/signer/ca_store.h"
#include "controller/signer/share_wait.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/conf/program_table.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/owner.h"

static int failed(const struct refusal *why)
{
	char text[600];
	fprintf(stderr, "vcc-signer: %s\n", refusal_text(why, text, sizeof(text)));
	return 1;
}

static int usage(const char *command)
{
	program_help("vcc-signer", command, stderr);
	return 2;
}

/* What stands between is left at argv[*ret_rest]; false: a word that is not known. */
static bool options_read(int argc, char **argv, const char **ret_config, int *ret_rest)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {0}};
	*ret_config = SIGNER_CONF_PATH;
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c != 'c')
			return false;
		*ret_config = optarg;
	}
	*ret_rest = optind;
	return true;
}

/* ---- split ---- */

/* On a terminal each custodian is alone with his own: the next one comes when the screen is empty. */
static int show(const struct share *shares, unsigned n, struct refusal *why)
{
	bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	char text[SHARE_TEXT_SIZE];
	int  c = 0;

	for (unsigned i = 0; i < n && c != EOF; i++) {
		share_text(&shares[i], text);
		if (terminal)
			printf("Share %u of %u, for its custodian alone:\n\n  ", i + 1, n);
		printf("%s\n", text);
		if (terminal) {
			printf("\nWrite it down, read it back, then press Enter: the screen is emptied.");
			fflush(stdout);
			while ((c = getchar()) != '\n' && c != EOF)
				;
			printf("\033[2J\033[3J\033[H");
		}
	}
	secret_wipe(text, sizeof(text));
	if (c == EOF)
		return refuse(why, E_SIGNER_SHARES, "split", "the input ended before each share was shown; nothing was changed");
	return fflush(stdout) == 0 ? 0 : sys_refuse(why, "standard output", "write");
}

/* The set is written when every share was shown: cut short before, the shares of before go on to be the right ones. */
static int keep(const struct signer_conf *conf, const struct share_set *set, struct refusal *why)
{
	char             path[CONF_PATH_SIZE + 16];
	struct buf       text = BUF_MAX(SHARE_SET_MAX);
	_cleanup_fd_ int fd = -1;

	(void)snprintf(path, sizeof(path), "%s/ca", conf->state_dir);
	fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, path, "open the folder");
	int r = share_set_write(set, &text);
	if (r < 0)
		(void)refuse(why, r, SHARES_FILE, "%s", err_what(r));
	else
		r = file_replace(fd, SHARES_FILE, buf_span(&text), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_free(&text);
	return r;
}

/* The passphrase opens every key first: shares of a wrong one would be found out when nobody has the right one any more. */
static int split(const struct signer_conf *conf, unsigned needed, unsigned n, struct refusal *why)
{
	static struct ca_store  cas;
	static struct share_set set;
	struct share            shares[SHARES_MAX];
	char                    name[SHARE_SET_TEXT];
	struct buf              passphrase = BUF_MAX(SHARE_PASSPHRASE_MAX + 2);

	int r = hsm_open(conf, &cas.hsm, why);
	if (r == 0)
		r = shares_passphrase(conf, conf->state_dir, &passphrase, why);
	if (r == 0 && passphrase.n == 0)
		r = refuse(why, E_SIGNER_SHARES, "split", "the keys are in a token, and no passphrase opens them");
	if (r == 0)
		r = ca_store_load(conf->state_dir, buf_span(&passphrase), conf->public_url, &cas, why);
	if (r == 0 && (r = share_set_make(buf_span(&passphrase), needed, n, &set, shares)) < 0)
		(void)refuse(why, r, "split", "%s", err_what(r));
	if (r == 0)
		r = show(shares, n, why);
	if (r == 0)
		r = keep(conf, &set, why);
	if (r == 0) {
		share_set_name(set.set, name);
		fprintf(stderr, "set %s: %u of %u shares open the keys; shares of another set do not any more\n", name, needed, n);
		fprintf(stderr, "next: take the passphrase's file or credential away, and try the shares: `vcc-signer drill`\n");
	}
	secret_wipe(shares, sizeof(shares));
	buf_wipe(&passphrase);
	ca_store_free(&cas);
	hsm_close(cas.hsm);
	return r;
}

int share_split_command(int argc, char **argv)
{
	static struct signer_conf conf;
	struct refusal            why = {0};
	const char               *config;
	int64_t                   needed, n;
	int                       rest;

	if (!options_read(argc, argv, &config, &rest) || argc - rest != 2 || text_i64(argv[rest], 2, SHARES_MAX, &needed) < 0 ||
	    text_i64(argv[rest + 1], needed, SHARES_MAX, &n) < 0)
		return usage("split");
	int r = conf_load(&signer_schema, config, &conf, NULL, &why);
	if (r == 0)
		r = owner_become(conf.state_dir, &why);
	if (r == 0)
		r = split(&conf, (unsigned)needed, (unsigned)n, &why);
	return r == 0 ? 0 : failed(&why);
}

/* ---- unlock ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = signal_number;
}

/* Read without stdio, whose buffer would keep it. */
static int read_line(char *ret, size_t size, size_t *ret_n)
{
	size_t n = 0;
	char   c = 0;
	while (n < size && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		ret[n++] = c;
	*ret_n = n;
	return n > 0 && n < size ? 0 : E_SIGNER_SHARE;
}

/* Interrupted or not, the terminal shows again what is typed. */
static int ask(char *ret, size_t size, size_t *ret_n)
{
	const struct sigaction once = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}; /* ends the read */
	struct termios         before;
	bool                   terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		struct termios quiet = before;
		sigaction(SIGINT, &once, NULL);
		sigaction(SIGTERM, &once, NULL);
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "share: ");
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	int r = read_line(ret, size, ret_n);
	if (terminal) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
		fprintf(stderr, "\n");
		(void)signal(SIGINT, SIG_DFL);
		(void)signal(SIGTERM, SIG_DFL);
	}
	if (interrupted != 0)
		(void)raise(interrupted);
	return r;
}

/* A connection for each question: the one who waits goes on to the next custodian. */
static int tell(const struct signer_conf *conf, struct span share, unsigned *ret_have, unsigned *ret_needed, struct refusal *why)
{
	char             path[CONF_PATH_SIZE + 16];
	struct buf       frame = BUF_MAX(UNLOCK_FRAME_MAX);
	_cleanup_fd_ int fd = -1;

	unlock_path(conf, path, sizeof(path));
	if (ipc_connect(path, &fd, NULL) < 0)
		return refuse(why, E_SIGNER_SHARES, path, "no signer waits for shares there");
	int r = ipc_write(fd, share, UNLOCK_TIMEOUT_MS);
	if (r == 0)
		r = ipc_read(fd, UNLOCK_FRAME_MAX, UNLOCK_TIMEOUT_MS, &frame);
	if (r == 0 && frame.n < UNLOCK_HEAD)
		r = E_SYS_CLOSED;
	if (r < 0) {
		(void)refuse(why, r, path, "%s", err_what(r));
	} else {
		r = -(int)be_get(frame.p, 4);
		*ret_have = frame.p[4];
		*ret_needed = frame.p[5];
		if (r < 0)
			fprintf(stderr, "vcc-signer: %.*s\n", (int)(frame.n - UNLOCK_HEAD), (const char *)frame.p + UNLOCK_HEAD);
	}
	buf_free(&frame);
	return r;
}

int share_unlock_command(int argc, char **argv)
{
	static struct signer_conf conf;
	struct refusal            why = {0};
	const char               *config;
	int                       rest;
	char                      text[UNLOCK_FRAME_MAX];
	size_t                    n = 0;
	unsigned                  have = 0, needed = 0;

	if (!options_read(argc, argv, &config, &rest) || argc != rest)
		return usage("unlock");
	int r = conf_load(&signer_schema, config, &conf, NULL, &why);
	if (r == 0) /* before anybody types: does one wait at all? */
		r = tell(&conf, (struct span){NULL, 0}, &have, &needed, &why);
	if (r == 0 && isatty(STDIN_FILENO))
		fprintf(stderr, "%u of %u shares are here\n", have, needed);
	if (r == 0 && ask(text, sizeof(text), &n) < 0)
		r = refuse(&why, E_SIGNER_SHARE, "share", "the line is empty or too long");
	if (r == 0)
		r = tell(&conf, (struct span){(const uint8_t *)text, n}, &have, &needed, &why);
	secret_wipe(text, sizeof(text));
	if (r < 0)
		return why.code != 0 ? failed(&why) : 1; /* what the other side refused stands there already */
	if (have < needed)
		printf("%u of %u shares are here\n", have, needed);
	else
		printf("%u of %u shares are here: the keys are being opened\n", have, needed);
	return 0;
}
