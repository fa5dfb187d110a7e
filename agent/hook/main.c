/* main.c - room agent/hook: vcc-hook, one short-lived process per request of the keeper.
 * Socket-activated per connection (Accept=yes: the connection is descriptor 3 or stdin), or --listen SOCKET: one child per connection.
 * Never: a sandbox; service commands inherit it (DESIGN 1). Therefore small. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/hook/hook_request.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"

enum { CHILDREN_MAX = 32 };

static volatile sig_atomic_t stopping;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stopping = 1;
}

static void on_child(int signal_number)
{
	(void)signal_number; /* only to interrupt poll() */
}

static int serve(int fd, const struct agent_conf *conf)
{
	struct refusal why = {.code = 0};
	if (hook_request_serve(fd, conf, &why) == 0)
		return 0;
	log_refusal(LOG_LEVEL_WARNING, NULL, &why);
	return 1;
}

static _Noreturn void child(int fd, int listener, const struct agent_conf *conf)
{
	fd_close(listener);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	exit(serve(fd, conf));
}

static int listen_loop(const char *path, const struct agent_conf *conf)
{
	struct refusal   why = {.code = 0};
	unsigned         children = 0;
	_cleanup_fd_ int listener = -1;
	if (ipc_listen(path, 0600, &listener, &why) != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	struct sigaction stop = {.sa_handler = on_stop};
	struct sigaction reap = {.sa_handler = on_child};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGCHLD, &reap, NULL);
	notify_send("READY=1");

	while (!stopping) {
		for (int status; children > 0 && waitpid(-1, &status, WNOHANG) > 0; children--)
			if (WIFSIGNALED(status))
				log_line(LOG_LEVEL_WARNING, NULL, "the process of a request was killed by signal %d", WTERMSIG(status));
		/* a signal between reaping and poll() is seen at the next turn */
		struct pollfd p = {.fd = children < CHILDREN_MAX ? listener : -1, .events = POLLIN};
		if (poll(&p, 1, 1000) <= 0)
			continue;
		_cleanup_fd_ int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			continue;
		pid_t pid = fork();
		if (pid == 0)
			child(fd, listener, conf);
		if (pid > 0)
			children++;
	}
	unlink(path);
	return 0;
}

/* systemd's Accept=yes gives the connection as descriptor 3 (LISTEN_FDS) or, with StandardInput=socket, as 0. */
static int activated_fd(void)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	int         type;
	socklen_t   n = sizeof(type);
	if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == getpid() && text_equal(fds, "1"))
		return 3;
	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &n) == 0 ? STDIN_FILENO : -1;
}

int main(int argc, char **argv)
{
	static struct agent_conf conf;
	struct conf_schema       schema = agent_schema;
	struct conf_options      options;
	struct refusal           why = {.code = 0};
	schema.program = "vcc-hook";
	conf_options(argc, argv, &schema, &options);
	log_open("vcc-hook", LOG_LEVEL_INFO);
	if (options.check)
		return conf_check(&schema, options.config);
	if (conf_load(&schema, options.config, &conf, NULL, &why) != 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	if (options.rest + 1 < argc && text_equal(argv[options.rest], "--listen"))
		return listen_loop(argv[options.rest + 1], &conf);
	int fd = activated_fd();
	if (options.rest < argc || fd < 0) {
		fprintf(stderr, "vcc-hook: wants --listen SOCKET, or a connection from systemd\n");
		return 2;
	}
	return serve(fd, &conf);
}
