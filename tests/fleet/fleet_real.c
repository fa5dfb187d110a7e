/* fleet_real.c - starts real hosts, looks what they serve, ends them.
 * Each process of a host dies with the one that started it, and that one with vcc-fleet. Never: judging what is served. */
#include "tests/fleet/fleet_real.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>

#include "agent/keeper/keeper_state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "tests/fleet/fleet_part.h"
#include "tests/fleet/tls_service.h"

enum { PATH_LONG = 4096, LOOK_MS = 200, END_MS = 10000, RESTARTS_MAX = 20, BACKLOG = 64 };
static const char folder[] = "real";

enum part { PART_SERVICE, PART_HOOK, PART_KEEPER, PART_AGENT };
static const char *const part_names[REAL_PROCESSES] = {"service", "vcc-hook", "vcc-keeper", "vcc-agent"};

struct host {
	const struct seat *seat;
	struct real_seen  *seen;
	struct hash       *served;
	char               dir[PATH_LONG - 256]; /* absolute */
	char               sni[DNS_NAME_SIZE + AGENT_NAME_SIZE + 32];
	int                listener;
	uint16_t           port;
	unsigned           restarts;
	struct hash        last;
};

int real_find(int dir_fd, struct seat *seats, size_t *n, size_t max, struct refusal *why)
{
	int            fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR           *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *e;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (dir == NULL) {
		fd_close(fd);
		return sys_refuse(why, folder, "list it");
	}
	while (*n < max && (e = readdir(dir)) != NULL) {
		char identity[PATH_LONG];
		snprintf(identity, sizeof(identity), "%s/link/identity.pem", e->d_name);
		if (e->d_name[0] == '.' || faccessat(dirfd(dir), identity, F_OK, 0) != 0)
			continue; /* it has never joined: its token may still be good */
		text_cut(seats[*n].name, sizeof(seats[*n].name), e->d_name);
		seats[(*n)++].real = true;
	}
	closedir(dir);
	return 0;
}

/* ---- files ------------------------------------------------------------------------------------------------------------- */

static int put(const struct host *h, const char *below, const char *name, mode_t mode, const struct buf *text,
	       struct refusal *why)
{
	char path[PATH_LONG];
	snprintf(path, sizeof(path), "%s/%s", h->dir, below);
	_cleanup_fd_ int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int              r = buf_error(text);
	if (dir < 0 || r != 0)
		return dir < 0 ? sys_refuse(why, path, "open it") : refuse(why, r, name, "it cannot be made");
	return file_replace(dir, name, buf_span(text), (uid_t)-1, (gid_t)-1, mode, why);
}

static int folders_make(const struct host *h, struct refusal *why)
{
	static const char *const names[] = {"service/tls", "log", "run", "targets.d", "agent.conf.d"};
	int                      r = 0;
	for (size_t i = 0; i < N_ELEMENTS(names) && r == 0; i++) {
		char path[PATH_LONG];
		snprintf(path, sizeof(path), "%s/%s", h->dir, names[i]);
		r = dir_make(path, 0755, why);
	}
	return r;
}

/* What the host is, its keeper knows. */
static int identity_read(const struct host *h, struct identity *ret, struct refusal *why)
{
	static struct keeper_state state;
	char                       path[PATH_LONG];
	snprintf(path, sizeof(path), "%s/keeper", h->dir);
	int r = keeper_state_open(path, &state, why);
	if (r != 0)
		return r;
	*ret = state.identity;
	keeper_state_close(&state);
	return 0;
}

static int target_write(struct host *h, struct refusal *why)
{
	static struct identity who;
	char                   names[NAMES_TEXT_SIZE];
	struct buf             text = BUF_MAX(4096);
	const struct passwd   *user = getpwuid(geteuid());
	const struct group    *group = getgrgid(getegid());
	int r = user != NULL && group != NULL ? identity_read(h, &who, why) : refuse(why, E_SYS_IO, "user", "it has no name");
	if (r != 0)
		return r;
	const char *template_id = member_template(who.service, h->seat->name, who.domain, names, sizeof(names));
	text_cut(h->sni, sizeof(h->sni), names);
	buf_add_fmt(&text, "[target]\ncert_id = %s-web\nservice = %s\ntemplate = %s\n", h->seat->name, who.service,
		    template_id);
	if (names[0] != '\0')
		buf_add_fmt(&text, "names = %s\n", names);
	buf_add_fmt(&text, "dir = %s/service/tls\n[files]\nowner = %s\ngroup = %s\nmode = 0640\n", h->dir, user->pw_name,
		    group->gr_name);
	buf_add_fmt(&text, "[reload]\nkind = signal\npidfile = %s/service/pid\nsignal = HUP\ntimeout = 20s\n", h->dir);
	if (names[0] != '\0')
		buf_add_fmt(&text, "[verify]\nkind = tls\nconnect = 127.0.0.1:%u\nsni = %s\n", h->port, names);
	else /* a client's: no listener is to serve it, though ours shows it */
		buf_add_fmt(&text, "[verify]\nkind = none\n");
	r = put(h, "targets.d", "web.conf", 0644, &text, why);
	buf_free(&text);
	return r;
}

/* As a fleet's other hosts: back soon, the next key made when they make theirs. */
static int settings_write(const struct host *h, const struct fleet_options *o, struct refusal *why)
{
	struct buf text = BUF_MAX(512);
	buf_add_fmt(&text, "[agent]\nreconnect_spread = %lldms\n", (long long)(o->spread_ms > 0 ? o->spread_ms : 1));
	if (o->stage_ms > 0)
		buf_add_fmt(&text, "[keeper]\nstage_after = %lldms\n", (long long)o->stage_ms);
	int r = put(h, "agent.conf.d", "50-fleet.conf", 0644, &text, why);
	buf_free(&text);
	return r;
}

/* ---- processes ---------------------------------------------------------------------------------------------------------- */

/* Programs stand beside this one. */
static int program_path(const char *name, char ret[PATH_LONG], struct refusal *why)
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_LONG - 64);
	ret[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(ret, '/');
	if (slash == NULL)
		return sys_refuse(why, name, "find its folder");
	text_cut(slash + 1, 64, name);
	return access(ret, X_OK) == 0 ? 0 : sys_refuse(why, ret, "start it");
}

static void child_begins(const struct host *h, const char *name, pid_t parent)
{
	char log[PATH_LONG];
	snprintf(log, sizeof(log), "%s/log/%s.log", h->dir, name);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644), in = open("/dev/null", O_RDONLY);
	if (out < 0 || in < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent) /* it died before that was said */
		_exit(126);
	(void)signal(SIGINT, SIG_IGN); /* of the terminal: we are told when to end */
	(void)signal(SIGTERM, SIG_DFL);
}

static pid_t child_start(const struct host *h, const char *name, char *const argv[])
{
	pid_t parent = getpid(), pid = fork();
	if (pid != 0)
		return pid;
	child_begins(h, name, parent);
	execv(argv[0], argv);
	_exit(127);
}

static pid_t service_start(const struct host *h)
{
	char  dir[PATH_LONG], pidfile[PATH_LONG];
	pid_t parent = getpid(), pid = fork();
	if (pid != 0)
		return pid;
	child_begins(h, part_names[PART_SERVICE], parent);
	snprintf(dir, sizeof(dir), "%s/service/tls", h->dir);
	snprintf(pidfile, sizeof(pidfile), "%s/service/pid", h->dir);
	service_run(h->listener, dir, pidfile);
}

static int part_start(struct host *h, enum part part, struct refusal *why)
{
	char program[PATH_LONG], config[PATH_LONG], hook_socket[PATH_LONG];
	int  r = part == PART_SERVICE ? 0 : program_path(part_names[part], program, why);
	if (r != 0)
		return r;
	snprintf(config, sizeof(config), "%s/agent.conf", h->dir);
	snprintf(hook_socket, sizeof(hook_socket), "%s/run/hook.sock", h->dir);
	static char config_word[] = "--config", listen_word[] = "--listen";
	char       *argv[] = {program, config_word, config, part == PART_HOOK ? listen_word : NULL, hook_socket, NULL};
	pid_t       pid = part == PART_SERVICE ? service_start(h) : child_start(h, part_names[part], argv);
	h->seen->pids[part] = pid;
	return pid > 0 ? 0 : sys_refuse(why, part_names[part], "start it");
}

static int join(const struct host *h, const struct fleet_options *o, struct refusal *why)
{
	char       program[PATH_LONG], token[PATH_LONG], pin[HASH_TEXT_SIZE + 8] = "sha256:";
	int        status = 1;
	struct buf text = BUF_MAX(1024);
	buf_add_fmt(&text, "%s\n", h->seat->token);
	int r = put(h, ".", "token", 0600, &text, why);
	buf_wipe(&text);
	if (r == 0)
		r = program_path(part_names[PART_AGENT], program, why);
	if (r != 0)
		return r;
	snprintf(token, sizeof(token), "%s/token", h->dir);
	hash_text(o->pin, pin + strlen("sha256:"));
	static char words[][16] = {"join", "--pin", "--state-dir", "--token-file"};
	char       *argv[] = {program, words[0], (char *)(uintptr_t)o->address, words[1],
			      pin,     words[2], (char *)(uintptr_t)h->dir,     words[3],
			      token,   NULL};
	pid_t       pid = child_start(h, "join", argv);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)unlink(token);
	if (pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	return refuse(why, E_JOIN_TOKEN, h->seat->name, "it could not join; see %.300s/log/join.log", h->dir);
}

static int listener_open(struct host *h, struct refusal *why)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t          n = sizeof(at);
	h->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h->listener < 0 || bind(h->listener, (struct sockaddr *)&at, n) != 0 || listen(h->listener, BACKLOG) != 0 ||
	    getsockname(h->listener, (struct sockaddr *)&at, &n) != 0)
		return sys_refuse(why, h->seat->name, "listen on loopback");
	h->port = ntohs(at.sin_port);
	return 0;
}

static int host_start(struct host *h, const struct fleet_options *o, struct fleet_real *shared, struct refusal *why)
{
	snprintf(h->dir, sizeof(h->dir), "%s/%s/%s", o->state_dir, folder, h->seat->name);
	int r = strlen(h->dir) + 1 < sizeof(h->dir) ? folders_make(h, why)
						    : refuse(why, E_CONF_VALUE, o->state_dir, "the path is too long");
	if (r == 0)
		r = settings_write(h, o, why);
	if (r == 0)
		r = listener_open(h, why);
	if (r == 0)
		r = part_start(h, PART_SERVICE, why);
	if (r == 0 && h->seat->token != NULL) {
		r = join(h, o, why);
		shared->joined += r == 0;
	}
	if (r == 0)
		r = target_write(h, why);
	for (int part = PART_HOOK; part < REAL_PROCESSES && r == 0; part++)
		r = part_start(h, (enum part)part, why);
	return r;
}

/* ---- while they run ---------------------------------------------------------------------------------------------------------
 */

/* What ended is started again, as systemd would. */
static int supervise(struct host *hosts, struct fleet_real *shared, struct refusal *why)
{
	int   status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (uint32_t i = 0; i < shared->n; i++)
			for (int part = 0; part < REAL_PROCESSES; part++) {
				if (hosts[i].seen->pids[part] != pid)
					continue;
				shared->restarts++;
				if (++hosts[i].restarts > RESTARTS_MAX)
					return refuse(why, E_SYS_IO, hosts[i].seat->name,
						      "%s ends again and again; see %.300s/log", part_names[part],
						      hosts[i].dir);
				int r = part_start(&hosts[i], (enum part)part, why);
				if (r != 0)
					return r;
			}
	return 0;
}

static void look(struct host *h)
{
	struct hash now = {{0}};
	if (service_look(h->port, h->sni, &now) != 0 || hash_equal(now, h->last))
		return;
	h->last = now;
	*h->served = now;
	h->seen->at = clock_now();
	h->seen->certificates++;
}

static void end_all(struct fleet_real *shared, int number)
{
	for (uint32_t i = 0; i < shared->n; i++)
		for (int part = REAL_PROCESSES; part-- > 0;)
			if (shared->host[i].pids[part] > 0)
				kill(shared->host[i].pids[part], number);
}

/* Those that take too long are killed. */
static void hosts_end(struct fleet_real *shared)
{
	int64_t until = clock_monotonic() + END_MS;
	bool    killed = false;
	end_all(shared, SIGTERM);
	for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) >= 0 || errno == EINTR;) {
		for (uint32_t i = 0; i < shared->n && pid > 0; i++)
			for (int part = 0; part < REAL_PROCESSES; part++)
				if (shared->host[i].pids[part] == pid)
					shared->host[i].pids[part] = 0;
		if (!killed && clock_monotonic() > until) {
			killed = true;
			end_all(shared, SIGKILL);
		}
		if (pid == 0)
			nanosleep(&(struct timespec){.tv_nsec = 10 * 1000000L}, NULL);
	}
}

int real_run(const struct fleet_options *o, const struct seat *seats, struct fleet_real *shared, struct hash *served,
	     const volatile int *stop)
{
	static struct host hosts[FLEET_REAL_MAX];
	struct refusal     why = {.code = 0};
	char               text[640];
	int                r = 0;
	for (uint32_t i = 0; i < shared->n && r == 0 && *stop == 0; i++) {
		hosts[i] = (struct host){.seat = &seats[i], .seen = &shared->host[i], .served = &served[i], .listener = -1};
		r = host_start(&hosts[i], o, shared, &why);
	}
	while (r == 0 && *stop == 0) {
		for (uint32_t i = 0; i < shared->n; i++)
			look(&hosts[i]);
		r = supervise(hosts, shared, &why);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	if (r != 0)
		fprintf(stderr, "vcc-fleet: %s\n", refusal_text(&why, text, sizeof(text)));
	hosts_end(shared);
	shared->failed = r != 0;
	return r == 0 ? 0 : 1;
}
