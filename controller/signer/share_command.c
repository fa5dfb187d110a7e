/* share_command.c - room controller/signer: shows each custodian a share; takes one from a keyboard to the process that waits.
 * Never: a share in a file, an argument or a log. */
#include "controller/signer/share_command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
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
#include "shared/conf/command_options.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/jail.h"
#include "shared/sys/owner.h"

#define SHARES_LOCK "shares.lock" /* beside the keys */

static int failed(const struct refusal *why)
{
	char text[600];
	fprintf(stderr, "vcc-signer: %s\n", refusal_text(why, text, sizeof(text)));
	return 1;
}

/* ---- split ---- */

/* Without stdio, whose buffer would keep it. */
static int put(const char *text, struct refusal *why)
{
	for (size_t n = strlen(text); n > 0;) {
		ssize_t done = write(STDOUT_FILENO, text, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return sys_refuse(why, "standard output", "write");
		text += done;
		n -= (size_t)done;
	}
	return 0;
}

static int enter_awaited(struct refusal *why)
{
	ssize_t n;
	char    c = 0;
	do
		n = read(STDIN_FILENO, &c, 1);
	while ((n == 1 && c != '\n') || (n < 0 && errno == EINTR));
	return n == 1 ? 0 : refuse(why, E_SHARES_SPLIT, "split", "the input ended before each share was shown; nothing was changed");
}

/* On a terminal each custodian is alone with his own: the next one comes when the screen is empty. */
static int show(const struct share *shares, unsigned n, struct refusal *why)
{
	bool terminal = isatty(STDOUT_FILENO);
	char text[SHARE_TEXT_SIZE], head[64];
	int  r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		share_text(&shares[i], text);
		(void)snprintf(head, sizeof(head), "Share %u of %u, for its custodian alone:\n\n  ", i + 1, n);
		if (terminal)
			r = put(head, why);
		if (r == 0)
			r = put(text, why);
		if (r == 0)
			r = put(terminal ? "\n\nWrite it down, read it back, then press Enter: the screen is emptied." : "\n", why);
		if (r == 0 && terminal) {
			r = enter_awaited(why);
			if (put("\033[2J\033[3J\033[H", r == 0 ? why : NULL) < 0 && r == 0)
				r = why->code;
		}
	}
	secret_wipe(text, sizeof(text));
	return r;
}

/* Who was shown his share must hear what it is worth: the folder may have the set all the same, when only its way to the disk failed. */
static int shown_in_vain(const struct signer_conf *conf, const struct share_set *set, struct refusal *why)
{
	static struct share_set now;
	const struct refusal    was = *why;
	bool                    there = shares_read(conf->state_dir, &now, NULL) == 0 && memcmp(now.set, set->set, sizeof(now.set)) == 0;
	return refuse(why, was.code, was.object, "%s; %s", was.cause,
		      there ? "the shares that were shown are in use until the power fails: split again" : "the shares that were shown are void");
}

/* The set is written when every share was shown: cut short before, the shares of before go on to be the right ones. */
static int keep(int ca_fd, const struct signer_conf *conf, const struct share_set *set, struct refusal *why)
{
	struct buf text = BUF_MAX(SHARE_SET_MAX);
	int        r = share_set_write(set, &text);
	if (r < 0)
		(void)refuse(why, r, SHARES_FILE, "%s", err_what(r));
	else
		r = file_replace(ca_fd, SHARES_FILE, buf_span(&text), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_free(&text);
	return r == 0 ? 0 : shown_in_vain(conf, set, why);
}

/* Of two at once the custodians of one would have shares of a set that is not kept. */
static int alone(const struct signer_conf *conf, int *ret_ca_fd, int *ret_lock_fd, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 16];

	(void)snprintf(path, sizeof(path), "%s/ca", conf->state_dir);
	*ret_ca_fd = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_ca_fd < 0)
		return sys_refuse(why, path, "open the folder");
	int r = dir_lock(*ret_ca_fd, SHARES_LOCK, ret_lock_fd, why);
	return r == E_SYS_LOCKED ? refuse(why, r, path, "another `vcc-signer split` is under way") : r;
}

/* The passphrase opens every key first: shares of a wrong one would be found out when nobody has the right one any more. */
static int split(const struct signer_conf *conf, unsigned needed, unsigned n, struct refusal *why)
{
	static struct ca_store  cas;
	static struct share_set set;
	struct share            shares[SHARES_MAX];
	char                    name[SHARE_SET_TEXT];
	struct buf              passphrase = BUF_MAX(SHARE_PASSPHRASE_MAX + 2);
	_cleanup_fd_ int        ca_fd = -1, lock_fd = -1;

	int r = alone(conf, &ca_fd, &lock_fd, why);
	if (r == 0)
		r = hsm_open(conf, &cas.hsm, why);
	if (r == 0)
		r = shares_passphrase(conf, conf->state_dir, &passphrase, why);
	if (r == 0 && passphrase.n == 0)
		r = refuse(why, E_SHARES_SPLIT, "split", "the keys are in a token, and no passphrase opens them");
	if (r == 0)
		r = ca_store_load(conf->state_dir, buf_span(&passphrase), conf->public_url, &cas, why);
	if (r == 0 && (r = share_set_make(buf_span(&passphrase), needed, n, &set, shares)) < 0)
		(void)refuse(why, r, "split", "%s", err_what(r));
	if (r == 0)
		r = show(shares, n, why);
	if (r == 0)
		r = keep(ca_fd, conf, &set, why);
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
	struct command_words      words;
	int64_t                   needed, n;

	command_options("vcc-signer", argc, argv, NULL, 0, 2, 2, &words);
	if (text_i64(words.word[0], 2, SHARES_MAX, &needed) < 0)
		command_refuse("vcc-signer", "split", words.word[0], "how many shares are needed is a number from 2 on");
	if (text_i64(words.word[1], needed, SHARES_MAX, &n) < 0)
		command_refuse("vcc-signer", "split", words.word[1], "how many shares are made is a number not below those needed, and has a limit");
	int r = conf_load(&signer_schema, words.config, &conf, NULL, &why);
	if (r == 0 && isatty(STDIN_FILENO) != isatty(STDOUT_FILENO)) /* the shares would go by unseen, or stay on a screen that nobody empties */
		r = refuse(&why, E_SHARES_SPLIT, "split", "either input and output are both the terminal, or neither is (`</dev/null`)");
	if (r == 0)
		r = owner_become(conf.state_dir, &why);
	if (r == 0)
		r = jail_no_dump(&why);
	if (r == 0)
		r = split(&conf, (unsigned)needed, (unsigned)n, &why);
	return r == 0 ? 0 : failed(&why);
}

/* ---- unlock ---- */

static const int           ends[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP};
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = signal_number;
}

/* Read without stdio, whose buffer would keep it. Signals come while it waits, and end it. */
static int read_line(const sigset_t *waiting, char *ret, size_t size, size_t *ret_n)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	size_t        n = 0;
	char          c = 0;
	while (n < size && ppoll(&p, 1, NULL, waiting) > 0 && read(STDIN_FILENO, &c, 1) == 1 && c != '\n')
		ret[n++] = c;
	*ret_n = n;
	return n > 0 && n < size ? 0 : E_SIGNER_SHARE;
}

/* While nothing is shown a signal has to wait until it is shown again; the key that stops a job does nothing meanwhile. */
static void signals_hold(sigset_t *ret_before, sigset_t *ret_waiting)
{
	const struct sigaction note = {.sa_handler = on_interrupt}, none = {.sa_handler = SIG_IGN};
	sigset_t               held;
	sigemptyset(&held);
	for (size_t i = 0; i < N_ELEMENTS(ends); i++)
		sigaddset(&held, ends[i]);
	sigprocmask(SIG_BLOCK, &held, ret_before);
	*ret_waiting = *ret_before;
	for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
		struct sigaction was;
		if (sigaction(ends[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN) /* nohup */
			sigaction(ends[i], &note, NULL);
		sigdelset(ret_waiting, ends[i]);
	}
	sigaction(SIGTSTP, &none, NULL);
}

static void signals_release(const sigset_t *before)
{
	for (size_t i = 0; i < N_ELEMENTS(ends); i++) {
		struct sigaction was;
		if (sigaction(ends[i], NULL, &was) == 0 && was.sa_handler == on_interrupt)
			(void)signal(ends[i], SIG_DFL);
	}
	(void)signal(SIGTSTP, SIG_DFL);
	sigprocmask(SIG_SETMASK, before, NULL); /* one that came since ends it here */
	if (interrupted != 0)
		(void)raise(interrupted);
}

/* Interrupted or not, the terminal shows again what is typed. */
static int ask(char *ret, size_t size, size_t *ret_n)
{
	struct termios before;
	sigset_t       mask, waiting;
	bool           terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (!terminal)
		return read_line(NULL, ret, size, ret_n);
	struct termios quiet = before;
	signals_hold(&mask, &waiting);
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet); /* before it asks: what is typed earlier is thrown away */
	fprintf(stderr, "share: ");
	int r = read_line(&waiting, ret, size, ret_n);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fprintf(stderr, "\n");
	if (interrupted != 0)
		secret_wipe(ret, size);
	signals_release(&mask);
	return r;
}

/* A connection for each question: the one who waits goes on to the next custodian. */
static int tell(const char *folder, struct span share, unsigned *ret_have, unsigned *ret_needed, struct refusal *why)
{
	char             path[PATH_MAX];
	struct buf       frame = BUF_MAX(UNLOCK_FRAME_MAX);
	_cleanup_fd_ int fd = -1;

	unlock_path(folder, path, sizeof(path));
	int r = ipc_connect(path, &fd, why);
	if (r == E_SYS_CLOSED && (errno == ENOENT || errno == ECONNREFUSED))
		return refuse(why, E_SHARES_UNASKED, path, "nobody waits for shares there");
	if (r == E_SYS_CLOSED)
		return sys_refuse(why, path, "ask who waits there");
	if (r < 0)
		return r;
	r = ipc_write(fd, share, UNLOCK_TIMEOUT_MS);
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
	struct command_words      words;
	char                      text[UNLOCK_FRAME_MAX];
	size_t                    n = 0;
	unsigned                  have = 0, needed = 0;

	command_options("vcc-signer", argc, argv, NULL, 0, 0, 1, &words);
	int         r = conf_load(&signer_schema, words.config, &conf, NULL, &why);
	const char *folder = words.n > 0 ? words.word[0] : conf.state_dir;
	if (r == 0)
		r = jail_no_dump(&why);
	if (r == 0) /* before anybody types: does one wait at all? */
		r = tell(folder, (struct span){NULL, 0}, &have, &needed, &why);
	if (r == 0 && isatty(STDIN_FILENO))
		fprintf(stderr, "%u of %u shares are here\n", have, needed);
	if (r == 0 && ask(text, sizeof(text), &n) < 0)
		r = refuse(&why, E_SIGNER_SHARE, "share", "the line is empty or too long");
	if (r == 0)
		r = tell(folder, (struct span){(const uint8_t *)text, n}, &have, &needed, &why);
	secret_wipe(text, sizeof(text));
	if (r < 0)
		return why.code != 0 ? failed(&why) : 1; /* what the other side refused stands there already */
	if (have < needed)
		printf("%u of %u shares are here\n", have, needed);
	else
		printf("%u of %u shares are here: the keys are being opened\n", have, needed);
	return 0;
}
