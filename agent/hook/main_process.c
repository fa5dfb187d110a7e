/* main_process.c - room agent/hook: the process that started all others of a service, by what the target file says of it.
 * Never: a guess. */
#include "agent/hook/main_process.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "agent/hook/haproxy_cli.h"
#include "agent/hook/pidfile.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

static int find_by_pidfile(const struct reload_job *job, struct main_process *ret, struct hk_reply *reply)
{
	_cleanup_fd_ int pidfd = -1;
	return pidfile_open(job->target->pidfile, "", &ret->pid, &pidfd, reply);
}

/* ---- systemd ----------------------------------------------------------------------------------------------------- */

static int bus_refuse(struct hk_reply *reply, const sd_bus_error *error, int r)
{
	text_cut(reply->output, sizeof(reply->output), error->message != NULL ? error->message : strerror(-r));
	return E_HOOK_UNIT;
}

static int unit_main_pid(sd_bus *bus, const char *unit, uint32_t *ret_pid, struct hk_reply *reply)
{
	sd_bus_error    error = SD_BUS_ERROR_NULL;
	sd_bus_message *found = NULL;
	const char     *path = NULL;
	int             code = 0;
	int             r = sd_bus_call_method(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
					       "org.freedesktop.systemd1.Manager", "GetUnit", &error, &found, "s", unit);
	if (r >= 0)
		r = sd_bus_message_read(found, "o", &path);
	if (r >= 0)
		r = sd_bus_get_property_trivial(bus, "org.freedesktop.systemd1", path, "org.freedesktop.systemd1.Service",
						"MainPID", &error, 'u', ret_pid);
	if (r < 0)
		code = bus_refuse(reply, &error, r);
	sd_bus_message_unref(found);
	sd_bus_error_free(&error);
	return code;
}

static int find_by_unit(const struct reload_job *job, struct main_process *ret, struct hk_reply *reply)
{
	sd_bus  *bus = NULL;
	uint32_t pid = 0;
	if (sd_bus_open_system(&bus) < 0) {
		text_cut(reply->output, sizeof(reply->output), "cannot open the system bus");
		return E_HOOK_UNIT;
	}
	sd_bus_set_method_call_timeout(bus, (uint64_t)job->target->timeout_ms * 1000);
	int r = unit_main_pid(bus, job->target->unit, &pid, reply);
	sd_bus_flush_close_unref(bus);
	if (r == 0 && pid <= 1) {
		text_cut(reply->output, sizeof(reply->output), "the unit has no main process");
		r = E_HOOK_UNIT;
	}
	ret->pid = (pid_t)pid;
	return r;
}

/* ---- HAProxy ----------------------------------------------------------------------------------------------------- */

static bool program_of(pid_t pid, char ret[PATH_MAX])
{
	char link[64];
	snprintf(link, sizeof(link), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, ret, PATH_MAX - 1);
	if (n > 0)
		ret[n] = '\0';
	return n > 0;
}

/* As with pid files: who can put his own socket there could name any process, so only his own is believed. */
static int worker_owned(const struct haproxy_cli *cli, pid_t pid, struct hk_reply *reply)
{
	char        path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st) == 0 && (cli->owner == 0 || cli->owner == geteuid() || st.st_uid == cli->owner))
		return 0;
	snprintf(reply->output, sizeof(reply->output), "show info: process %d is not one of uid %u, who owns the socket's folder", (int)pid,
	         (unsigned)cli->owner);
	return E_HOOK_ANSWER;
}

/* The worker that serves the admin socket; its master, where there is one, is its parent and the same program. */
static int find_by_socket(const struct reload_job *job, struct main_process *ret, struct hk_reply *reply)
{
	struct buf         answer = BUF_MAX(65536);
	struct haproxy_cli cli = {.path = job->target->socket, .until = clock_monotonic() + job->target->timeout_ms};
	char               worker_program[PATH_MAX];
	char               parent_program[PATH_MAX];
	struct process     worker;
	int                pid = 0;
	int                r = haproxy_ask(&cli, span_text("show info\n"), &answer, reply);
	const char        *line = r == 0 && answer.n > 0 ? strstr((const char *)answer.p, "\nPid: ") : NULL;
	if (r == 0 && (line == NULL || sscanf(line, "\nPid: %9d", &pid) != 1 || pid <= 1 || process_read(pid, &worker) != 0)) {
		text_cut(reply->output, sizeof(reply->output), "show info: the answer names no process");
		r = E_HOOK_ANSWER;
	}
	buf_free(&answer);
	if (r == 0)
		r = worker_owned(&cli, pid, reply);
	if (r != 0)
		return r;
	ret->current = pid;
	ret->pid = ret->current;
	if (worker.parent > 1 && program_of(ret->current, worker_program) && program_of(worker.parent, parent_program) &&
	    text_equal(worker_program, parent_program))
		ret->pid = worker.parent;
	return 0;
}

int main_process_find(const struct reload_job *job, struct main_process *ret, struct hk_reply *reply)
{
	const struct target_conf *t = job->target;
	*ret = (struct main_process){.pid = 0};
	if (t->reload == RELOAD_HAPROXY)
		return find_by_socket(job, ret, reply);
	if (t->pidfile[0] != '\0')
		return find_by_pidfile(job, ret, reply);
	if (t->unit[0] != '\0')
		return find_by_unit(job, ret, reply);
	text_cut(reply->output, sizeof(reply->output), "the target file names neither unit nor pid file");
	return E_HOOK_DRAIN;
}
