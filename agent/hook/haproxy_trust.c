/* haproxy_trust.c - room agent/hook: does HAProxy judge by the authorities and lists that lie in current/, and if not, a new
 * worker. Never: a signal to a process without a master, which it would end. */
#include "agent/hook/haproxy_trust.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/hook/main_process.h"
#include "agent/hook/pidfile.h"
#include "shared/base/text.h"
#include "shared/conf/target_copies.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/pem_read.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"

enum {
	TRUST_FILE_MAX = 128 * 1024,
	TRUST_NAME_SIZE = 1024,
	RELOAD_LOOK_MS = 50,
};

static _printf_(3, 4) int trust_refuse(struct hk_reply *ret, int code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(ret->output, sizeof(ret->output), fmt, args);
	va_end(args);
	return code;
}

static bool is_file(const char *path, const struct stat *wanted)
{
	struct stat st;
	return stat(path, &st) == 0 && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

/* HAProxy keeps the path as its configuration wrote it; the same file is the same, also a copy that the target file names. */
static bool is_ours(const struct reload_job *job, const char *file, const char *name)
{
	char               path[TARGET_PATH_SIZE + 32];
	struct target_copy copy;
	struct stat        st;
	snprintf(path, sizeof(path), "%s/current/%s", job->dir, file);
	if (stat(path, &st) == 0 && is_file(name, &st))
		return true;
	for (const char *cursor = job->target->copies; target_copy_next(&cursor, &copy);)
		if (text_equal(copy.source->name, file) && stat(copy.path, &st) == 0 && is_file(name, &st))
			return true;
	return false;
}

/* The next loaded file of this target in the answer to `show ssl ca-file` ("NAME - 2 certificate(s)") or `crl-file` ("NAME").
 */
static bool loaded_next(const struct reload_job *job, const char *file, char **rest, char ret_name[TRUST_NAME_SIZE])
{
	for (char *line; (line = strsep(rest, "\n")) != NULL;) {
		char *count = strstr(line, " - ");
		if (count != NULL)
			*count = '\0';
		if (line[0] == '/' && strpbrk(line, " ;<\\\"'") == NULL && text_copy(ret_name, TRUST_NAME_SIZE, line) == 0 &&
		    is_ours(job, file, ret_name))
			return true;
	}
	return false;
}

/* `answer` is emptied. HAProxy before 2.5 does not know the command: nobody is told then what it has loaded. */
static int loaded_ask(struct haproxy_cli *cli, const char *noun, const char *name, struct buf *answer, struct hk_reply *ret)
{
	char command[TRUST_NAME_SIZE + 32];
	snprintf(command, sizeof(command), "show ssl %s%s%s\n", noun, name[0] != '\0' ? " " : "", name);
	int r = haproxy_ask(cli, span_text(command), answer, ret);
	if (r != 0)
		return r;
	const char *text = (const char *)answer->p;
	if (strstr(text, name[0] != '\0' ? "Filename: " : "# filename") != NULL || strstr(text, "Unknown command") != NULL)
		return 0;
	return trust_refuse(ret, E_HOOK_ANSWER, "show ssl %s: %zu bytes that are not an answer of HAProxy", noun, answer->n);
}

/* ---- the authorities --------------------------------------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *word)
{
	size_t n = 0;
	for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
		n++;
	return n;
}

/* "Serial: 01AB..." as HAProxy shows each of them. */
static int serial_line(struct span der, char *ret, size_t size)
{
	struct cert_parts parts;
	int               r = cert_parts_read(der, &parts);
	if (r != 0)
		return r;
	struct span serial = parts.t.serial;
	if (serial.n > 1 && serial.p[0] == 0)
		serial = (struct span){serial.p + 1, serial.n - 1};
	int at = snprintf(ret, size, "Serial: ");
	for (size_t i = 0; i < serial.n && (size_t)at + 3 < size; i++)
		at += snprintf(ret + at, size - (size_t)at, "%02X", serial.p[i]);
	return (size_t)at + 2 < size ? (void)snprintf(ret + at, size - (size_t)at, "\n"), 0 : E_PKI_CERT;
}

/* The same certificates, whatever their order. */
static int authorities_compare(struct span pem, const char *shown, bool *ret_same)
{
	struct buf der = BUF_MAX(TRUST_FILE_MAX);
	size_t     n = 0;
	bool       same = true;
	int        r = 0;
	while ((r = pem_read(&pem, PEM_CERTIFICATE, &der)) > 0) {
		char line[128];
		r = serial_line(buf_span(&der), line, sizeof(line));
		if (r != 0)
			break;
		same = same && strstr(shown, line) != NULL;
		n++;
		buf_reset(&der);
	}
	buf_free(&der);
	if (r == 0)
		*ret_same = same && occurrences(shown, "\nSerial: ") == n;
	return r;
}

static int authorities_same(const struct reload_job *job, struct haproxy_cli *cli, const char *name, bool *ret_same,
			    struct hk_reply *ret)
{
	char             path[TARGET_PATH_SIZE + 32];
	struct refusal   why = {.code = 0};
	struct buf       pem = BUF_MAX(TRUST_FILE_MAX);
	struct buf       answer = BUF_MAX(HAPROXY_ANSWER_MAX);
	_cleanup_fd_ int dir = -1;
	int              r = loaded_ask(cli, "ca-file", name, &answer, ret);
	if (r == 0 && dir_open_safe(job->dir, job->owner, &dir, &why) != 0)
		r = trust_refuse(ret, E_HOOK_FILES, "%s", why.cause);
	snprintf(path, sizeof(path), "%s/current", job->dir);
	_cleanup_fd_ int generation = r == 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (r == 0 && (generation < 0 || file_read(generation, "ca.pem", false, &pem, &why) != 0))
		r = trust_refuse(ret, E_HOOK_FILES, "ca.pem: %s", why.code != 0 ? why.cause : strerror(errno));
	if (r == 0 && authorities_compare(buf_span(&pem), (const char *)answer.p, ret_same) != 0)
		r = trust_refuse(ret, E_HOOK_FILES, "ca.pem does not hold certificates");
	buf_free(&pem);
	buf_free(&answer);
	return r;
}

static int is_stale(const struct reload_job *job, struct haproxy_cli *cli, bool *ret_stale, struct hk_reply *ret)
{
	char       name[TRUST_NAME_SIZE];
	struct buf answer = BUF_MAX(HAPROXY_ANSWER_MAX);
	bool       stale = false;
	int        r = loaded_ask(cli, "ca-file", "", &answer, ret);
	char      *rest = (char *)answer.p;
	while (r == 0 && !stale && loaded_next(job, "ca.pem", &rest, name)) {
		bool same = false;
		r = authorities_same(job, cli, name, &same, ret);
		stale = !same;
	}
	if (r == 0 && !stale) {
		r = loaded_ask(cli, "crl-file", "", &answer, ret);
		rest = (char *)answer.p;
		stale = r == 0 && loaded_next(job, "crl.pem", &rest, name); /* it shows no number of theirs */
	}
	buf_free(&answer);
	if (r == 0)
		*ret_stale = stale;
	return r;
}

/* ---- a new worker ------------------------------------------------------------------------------------------------ */

static int master_signal(const struct main_process *main, const struct reload_job *job, struct hk_reply *ret)
{
	struct main_process again;
	if (main->pid == main->current)
		return trust_refuse(ret, E_HOOK_FILES,
				    "HAProxy has no master process (-W) that could load ca.pem or crl.pem anew: name its unit");
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, main->pid, 0);
	/* it is still the one: the descriptor pins it now */
	if (pidfd < 0 || main_process_find(job, &again, ret) != 0 || again.pid != main->pid)
		return trust_refuse(ret, E_HOOK_PID, "the master process of HAProxy changed meanwhile");
	return pidfd_signal(pidfd, main->pid, SIGUSR2, ret);
}

/* A configuration that cannot be loaded leaves the old worker where it is. A signal that comes while the master still begins
 * anew because of the last one is lost: half way it is sent again, which costs one more worker at worst. */
static int worker_wait(const struct main_process *old, const struct reload_job *job, int64_t until, bool signalled,
		       struct hk_reply *ret)
{
	struct main_process now;
	struct hk_reply     unheard = {.code = 0};
	int64_t             again = clock_monotonic() + (until - clock_monotonic()) / 2;
	while (clock_monotonic() < until) {
		if (main_process_find(job, &now, &unheard) == 0 && now.current != old->current)
			return 0;
		if (signalled && clock_monotonic() >= again) {
			(void)!master_signal(old, job, &unheard);
			signalled = false;
		}
		nanosleep(&(struct timespec){.tv_nsec = RELOAD_LOOK_MS * 1000000L}, NULL);
	}
	return trust_refuse(ret, E_HOOK_TIMEOUT, "HAProxy did not load ca.pem or crl.pem anew: its log says why");
}

static int reload_all(const struct reload_job *job, int64_t until, struct hk_reply *ret)
{
	struct main_process old;
	bool                by_unit = job->target->unit[0] != '\0';
	int                 found = main_process_find(job, &old, ret);
	int                 r = found;
	if (by_unit)
		r = reload_systemd(job, ret); /* the job ends when the master was told */
	else if (r == 0)
		r = master_signal(&old, job, ret);
	return r == 0 && found == 0 ? worker_wait(&old, job, until, !by_unit, ret) : r;
}

int haproxy_trust_follow(const struct reload_job *job, struct haproxy_cli *cli, struct hk_reply *ret, bool *ret_reloaded)
{
	bool stale = false;
	int  r = is_stale(job, cli, &stale, ret);
	if (r == 0 && stale)
		r = reload_all(job, cli->until, ret);
	if (r == 0)
		*ret_reloaded = stale;
	return r;
}
