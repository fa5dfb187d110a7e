/* link_join.c - room agent/link: `vcc-agent join`: shows the pinned controller two keys and takes the link's identity.
 * Never: seeing the host key; the token goes to the keeper's half only, through a pipe. */
#include "agent/link/link_join.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent/link/link_state.h"
#include "agent/link/link_status.h"
#include "agent/link/tls_link.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/program_table.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/owner.h"
#include "shared/wire/wire.h"

enum { PATH_SIZE = 512, PEER_MS = 120000, TOKEN_SIZE = 160, EXIT_REFUSED = 4, EXIT_AWAY = 5, CONNECT_MS = 10000 };

extern char **environ;

struct join {
	const char       *address;
	const char       *config;    /* NULL = the default */
	const char       *state_dir; /* NULL = by configuration */
	const char       *token_file;
	struct hash       pin;
	struct agent_conf conf;
	struct link_state state;
	struct tls_join  *tls;
	struct key       *link_key;
	int               keeper_fd;
	pid_t             keeper_pid;
	char              token[TOKEN_SIZE];
	struct buf        in; /* last frame of the keeper */
	struct wire_frame frame;
};

static int usage_error(const char *what)
{
	fprintf(stderr, "vcc-agent: %s\n", what);
	program_help("vcc-agent", "join", stderr);
	return 2;
}

/* ---- what is asked ---------------------------------------------------------------------------------------------- */

static int parse(struct join *j, int argc, char **argv)
{
	static const struct option options[] = {
		{"pin", required_argument, NULL, 'p'},       {"token-file", required_argument, NULL, 't'},
		{"config", required_argument, NULL, 'c'},    {"state-dir", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},            {0},
	};
	const char *pin = NULL;
	for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
		switch (c) {
		case 'p':
			pin = optarg;
			break;
		case 't':
			j->token_file = optarg;
			break;
		case 'c':
			j->config = optarg;
			break;
		case 's':
			j->state_dir = optarg;
			break;
		case 'h':
			program_help("vcc-agent", "join", stdout);
			exit(0);
		default:
			return usage_error("see the options below");
		}
	}
	if (optind + 1 != argc)
		return usage_error("one address is needed");
	j->address = argv[optind];
	if (pin == NULL || !text_starts(pin, "sha256:") || hash_parse(pin + strlen("sha256:"), &j->pin) < 0)
		return usage_error("--pin must be sha256: and 64 hexadecimal digits");
	if (j->state_dir != NULL && (j->config != NULL || j->state_dir[0] != '/'))
		return usage_error("--state-dir must be an absolute path and stands without --config");
	return 0;
}

static int read_line(int fd, char ret[TOKEN_SIZE])
{
	size_t n = 0;
	char   c;
	while (read(fd, &c, 1) == 1 && c != '\n')
		if (c != '\r' && n < TOKEN_SIZE - 1)
			ret[n++] = c;
	ret[n] = '\0';
	return n > 0 ? 0 : E_JOIN_TOKEN;
}

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = signal_number;
}

/* Interrupted or not, the terminal shows again what is typed. */
static int ask_token(char ret[TOKEN_SIZE])
{
	const struct sigaction once = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND}; /* ends the read */
	struct termios         before;
	bool                   terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	if (terminal) {
		sigaction(SIGINT, &once, NULL);
		sigaction(SIGTERM, &once, NULL);
		struct termios quiet = before;
		quiet.c_lflag &= ~(tcflag_t)ECHO;
		fprintf(stderr, "token: ");
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	}
	int r = read_line(STDIN_FILENO, ret);
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

static int take_token(struct join *j, struct refusal *why)
{
	struct buf text = BUF_MAX(TOKEN_SIZE - 1);
	int        r;
	if (j->token_file == NULL) {
		r = ask_token(j->token);
		return r < 0 ? refuse(why, r, "join", "no token was given") : 0;
	}
	r = file_read(AT_FDCWD, j->token_file, true, &text, why);
	if (r == 0) {
		size_t n = text.n;
		while (n > 0 && (text.p[n - 1] == '\n' || text.p[n - 1] == '\r' || text.p[n - 1] == ' '))
			n--;
		r = text_copy_n(j->token, sizeof(j->token), (const char *)text.p, n);
		if (r < 0)
			refuse(why, E_JOIN_TOKEN, j->token_file, "this is no token");
	}
	buf_wipe(&text);
	return r;
}

/* ---- the folder ------------------------------------------------------------------------------------------------- */

static int make_folders(const char *base, struct refusal *why)
{
	static const struct {
		const char *name;
		mode_t      mode;
	} folders[] = {{"link", 0700}, {"keeper", 0700}, {"targets.d", 0755}, {"run", 0755}};
	char path[PATH_SIZE];
	int  r = dir_make(base, 0755, why);
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", base, folders[i].name);
		r = dir_make(path, folders[i].mode, why);
	}
	return r;
}

/* D/agent.conf is written once, whole; a person's edits stay. */
static int write_conf(const char *base, char path[PATH_SIZE], struct refusal *why)
{
	static const char name[] = "agent.conf";
	_cleanup_fd_ int  dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct buf        text = BUF_MAX(8192);
	if (dir < 0)
		return sys_refuse(why, base, "open the folder");
	snprintf(path, PATH_SIZE, "%s/%s", base, name);
	if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return 0;
	int r = agent_conf_text(base, &text);
	if (r < 0)
		refuse(why, r, base, "this path cannot stand in a configuration file");
	else
		r = file_replace(dir, name, buf_span(&text), (uid_t)-1, (gid_t)-1, 0644, why);
	buf_free(&text);
	return r;
}

static int load_conf(struct join *j, struct refusal *why)
{
	static char path[PATH_SIZE];
	if (j->state_dir != NULL) {
		int r = strlen(j->state_dir) < PATH_SIZE - 32 ? make_folders(j->state_dir, why)
		                                             : refuse(why, E_CONF_VALUE, j->state_dir, "the path is too long");
		if (r == 0)
			r = write_conf(j->state_dir, path, why);
		if (r < 0)
			return r;
		j->config = path;
	}
	if (j->config == NULL)
		j->config = AGENT_CONF_PATH;
	return conf_load(&agent_schema, j->config, &j->conf, NULL, why);
}

/* ---- the keeper's half ------------------------------------------------------------------------------------------ */

/* vcc-keeper stands beside this program. Started before we give up root, so that it can become its own user. */
static int keeper_start(struct join *j, struct refusal *why)
{
	char    program[PATH_MAX];
	int     pair[2];
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	program[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(program, '/');
	if (slash == NULL || (size_t)(slash - program) + sizeof("/vcc-keeper") > sizeof(program))
		return refuse(why, E_SYS_IO, "vcc-keeper", "its place cannot be found");
	memcpy(slash, "/vcc-keeper", sizeof("/vcc-keeper"));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return sys_refuse(why, "vcc-keeper", "open a pipe to it");

	posix_spawn_file_actions_t actions;
	char *const                argv[] = {"vcc-keeper", "join", "--config", (char *)(uintptr_t)j->config, NULL};
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
	int error = posix_spawn(&j->keeper_pid, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pair[1]);
	j->keeper_fd = pair[0];
	if (error != 0) {
		j->keeper_pid = 0;
		return refuse(why, E_SYS_IO, program, "it cannot be started: %s", strerror(error));
	}
	return 0;
}

static int keeper_send(struct join *j, uint16_t type, const void *payload, struct refusal *why)
{
	struct buf out = BUF_MAX(wire_link.frame_max);
	int        r = wire_encode(&wire_link, type, 0, payload, &out);
	if (r == 0)
		r = ipc_write(j->keeper_fd, buf_span(&out), PEER_MS);
	buf_wipe(&out);
	return r < 0 ? refuse(why, r, "vcc-keeper", "it does not take our message: %s", err_what(r)) : 0;
}

/* The next message, which must be `type`; a refusal may come instead of any. */
static int keeper_receive(struct join *j, uint16_t type, struct refusal *why)
{
	buf_reset(&j->in);
	int r = ipc_read(j->keeper_fd, wire_link.frame_max, PEER_MS, &j->in);
	if (r == 0)
		r = wire_decode(&wire_link, buf_span(&j->in), 0, &j->frame);
	if (r < 0)
		return refuse(why, r, "vcc-keeper", "it gave no answer: %s", err_what(r));
	const struct lk_join_done *done = &j->frame.u.lk_join_done;
	if (j->frame.type == LK_JOIN_DONE && done->code != 0)
		return refuse(why, done->code, "join", "%s", done->text);
	return j->frame.type == type ? 0 : refuse(why, E_WIRE_MESSAGE, "vcc-keeper", "an unexpected message");
}

/* ---- the conversation ------------------------------------------------------------------------------------------- */

static int send_start(struct join *j, struct refusal *why)
{
	struct buf           spki = BUF_MAX(SPKI_MAX);
	struct lk_join_start start = {.pin = j->pin, .root = tls_join_root(j->tls)};
	int                  r = key_spki(j->link_key, &spki);
	start.link_spki = buf_span(&spki);
	text_cut(start.link_version, sizeof(start.link_version), VCC_VERSION);
	memcpy(start.token, j->token, sizeof(start.token));
	if (r == 0)
		r = keeper_send(j, LK_JOIN_START, &start, why);
	secret_wipe(&start, sizeof(start));
	secret_wipe(j->token, sizeof(j->token));
	buf_free(&spki);
	return r;
}

/* Adds the link key's signature to what the keeper signed and posts it. */
static int post_request(struct join *j, struct buf *reply, struct refusal *why)
{
	const struct lk_join_sign *sign = &j->frame.u.lk_join_sign;
	struct buf                 signature = BUF_MAX(MSG_SIGNATURE_MAX);
	struct buf                 body = BUF_MAX(FRAME_BEFORE_WELCOME);
	struct msg_join            request = {
		.body = sign->body,
		.token_key = sign->token_key,
		.token_signature = sign->token_signature,
		.host_signature = sign->host_signature,
	};
	int r = key_sign(j->link_key, LABEL_JOIN, sign->body, &signature);
	request.link_signature = buf_span(&signature);
	if (r == 0)
		r = wire_encode(&wire_join, JOIN_REQUEST, 0, &request, &body);
	if (r < 0)
		refuse(why, r, "join", "the request cannot be made: %s", err_what(r));
	if (r == 0)
		r = tls_join_post(j->tls, j->address, buf_span(&body), reply, why);
	if (r == 0 && fault_point("link.join.reply") != 0)
		r = refuse(why, E_LINK_DOWN, j->address, "stopped after the answer came");
	buf_free(&signature);
	buf_free(&body);
	return r;
}

static int finish(struct join *j, struct refusal *why)
{
	const struct lk_join_done *done = &j->frame.u.lk_join_done;
	struct link_joined         joined;
	text_cut(joined.agent, sizeof(joined.agent), done->agent);
	text_cut(joined.domain, sizeof(joined.domain), done->domain);
	text_cut(joined.address, sizeof(joined.address), done->address);
	int r = text_copy(joined.join, sizeof(joined.join), j->address);
	if (r < 0)
		return refuse(why, r, j->address, "the address is too long");
	r = link_state_save_identity(&j->state, done->certificate, done->chain, why);
	if (r == 0)
		r = link_state_save_joined(&j->state, &joined, tls_join_root(j->tls), why);
	if (r == 0)
		printf("joined as %s; gateway %s\n", done->agent, done->address);
	return r;
}

static int converse(struct join *j, struct refusal *why)
{
	struct buf reply = BUF_MAX(wire_join.frame_max);
	int        r = tls_join_open(j->address, j->pin, &j->tls, why);
	if (r == 0)
		r = link_state_open(j->conf.link_dir, &j->state, why);
	if (r == E_SYS_LOCKED && link_state_is_joined(j->conf.link_dir))
		r = refuse(why, E_JOIN_STATE, j->conf.link_dir, "this host has joined, and its agent runs");
	if (r == 0)
		r = link_state_next_key(&j->state, &j->link_key, why);
	if (r == 0)
		r = send_start(j, why);
	if (r == 0)
		r = keeper_receive(j, LK_JOIN_SIGN, why);
	if (r == 0)
		r = post_request(j, &reply, why);
	struct lk_join_answer answer = {.reply = buf_span(&reply)};
	if (r == 0)
		r = keeper_send(j, LK_JOIN_ANSWER, &answer, why);
	if (r == 0)
		r = keeper_receive(j, LK_JOIN_DONE, why);
	if (r == 0)
		r = finish(j, why);
	buf_free(&reply);
	return r;
}

/* In a child, because the folder's user is taken on for good while the parent may still have to start units. */
static int converse_as_owner(struct join *j, struct refusal *why)
{
	int r = owner_become(j->conf.link_dir, why);
	/* after the change of user, which forgets it: half of a join must not outlive the command that somebody ended */
	if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		r = sys_refuse(why, "join", "tie the process to its parent");
	if (r == 0)
		r = converse(j, why);
	tls_join_close(j->tls);
	key_free(j->link_key);
	link_state_close(&j->state);
	buf_wipe(&j->in);
	if (r == 0)
		return 0;
	char text[640];
	fprintf(stderr, "vcc-agent: %s\n", refusal_text(why, text, sizeof(text)));
	if (r == E_LINK_DOWN || err_kind(r) == ERR_KIND_RETRY)
		return EXIT_AWAY;
	return err_kind(r) == ERR_KIND_DENIED ? EXIT_REFUSED : 1;
}

static bool systemctl(char *const argv[])
{
	pid_t pid;
	int   status = 1;
	int   error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	return error == 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Where systemd runs and the system's own configuration was used, the units take over now. The first inventory is made at once. */
static int start_units(const struct agent_conf *conf)
{
	char *const enable[] = {"systemctl", "enable", "--now", "--quiet", "vcc-hook.socket", "vcc-keeper.socket", "vcc-keeper.service",
	                        "vcc-agent.service", "vcc-agent-observe.timer", NULL};
	char *const look[] = {"systemctl", "start", "--no-block", "--quiet", "vcc-agent-observe.service", NULL};
	if (!systemctl(enable) || !systemctl(look)) {
		fprintf(stderr, "vcc-agent: the units could not be started; try: systemctl enable --now vcc-hook.socket vcc-keeper vcc-agent "
		                "vcc-agent-observe.timer\n");
		return 1;
	}
	printf("vcc-hook.socket, vcc-keeper and vcc-agent are running\n");
	fflush(stdout);
	/* an agent's first connection comes within reconnect_spread, so that a fleet does not come at once */
	int64_t end = clock_monotonic() + conf->reconnect_spread_ms + CONNECT_MS;
	while (clock_monotonic() < end) {
		if (link_status_connected(conf)) {
			printf("connected to the controller\n");
			return 0;
		}
		nanosleep(&(struct timespec){.tv_nsec = 200 * 1000000L}, NULL);
	}
	printf("not connected yet: see `vcc-agent status`\n");
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int run(struct join *j, struct refusal *why)
{
	int r = load_conf(j, why);
	if (r == 0)
		r = take_token(j, why);
	if (r == 0)
		r = keeper_start(j, why);
	if (r < 0) {
		char text[640];
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(why, text, sizeof(text)));
		return 1;
	}
	fflush(NULL);
	pid_t child = fork();
	if (child == 0)
		exit(converse_as_owner(j, why));
	close(j->keeper_fd);
	int status = child > 0 ? wait_for(child) : 1;
	if (child < 0)
		perror("vcc-agent: a process cannot be started");
	(void)wait_for(j->keeper_pid);
	struct stat st;
	bool        units = status == 0 && j->state_dir == NULL && geteuid() == 0 && stat("/run/systemd/system", &st) == 0;
	return units ? start_units(&j->conf) : status;
}

int link_join(int argc, char **argv)
{
	struct refusal why = {0};
	struct join   *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return 1;
	j->keeper_fd = -1;
	j->state = (struct link_state){.dir_fd = -1, .lock_fd = -1};
	j->in = (struct buf)BUF_MAX(wire_link.frame_max);
	int status = parse(j, argc, argv);
	if (status == 0)
		status = run(j, &why);
	secret_wipe(j->token, sizeof(j->token));
	free(j);
	return status;
}
