/* service_control.c - room agent/survey: makes a running service read its configuration again, and looks at what it serves.
 * Never: a shell. */
#include "agent/survey/service_control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/survey/command.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { TEST_MS = 60000, RELOAD_MS = 60000, LOOK_MS = 4000, LOOK_PAUSE_MS = 200, LOOKS_MAX = 16, IN_A_ROW = 3 };

int service_test(const struct server *s, struct refusal *why)
{
	struct buf out = BUF_MAX(COMMAND_OUTPUT_MAX);
	char       line[200];
	int        status = 0;
	if (s->test[0] == '\0')
		return 0;
	int r = command_line_run(s->test, TEST_MS, &out, &status, why);
	if (r == 0 && status != 0) {
		command_why(&out, line, sizeof(line));
		r = refuse(why, E_SURVEY_TEST, s->test, "it ended with %d: %s", status, line);
	}
	buf_free(&out);
	return r;
}

static bool by_unit(const struct server *s)
{
	return s->has_unit && s->unit.can_reload;
}

void service_reload_words(const struct server *s, bool restart, char *ret, size_t size)
{
	if (restart)
		snprintf(ret, size, "systemctl daemon-reload; systemctl restart %s", s->process.unit);
	else if (by_unit(s))
		snprintf(ret, size, "systemctl reload %s", s->process.unit);
	else if (s->reload[0] != '\0')
		snprintf(ret, size, "%s", s->reload);
	else
		snprintf(ret, size, "SIG%s to process %d", sigabbrev_np(s->signal) != NULL ? sigabbrev_np(s->signal) : "?",
			 (int)s->process.pid);
}

/* The descriptor pins the process; its start tells that it is still the one that was looked at. */
static int signal_send(const struct server *s, struct refusal *why)
{
	char             path[64];
	char             text[4096];
	_cleanup_fd_ int pidfd = (int)syscall(SYS_pidfd_open, s->process.pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)s->process.pid);
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t          n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[n > 0 ? n : 0] = '\0';
	if (s->signal == 0)
		return refuse(why, E_SURVEY_RELOAD, s->process.program, "it cannot be reloaded without a unit");
	if (pidfd < 0 || process_start(text) != s->process.started)
		return refuse(why, E_SURVEY_RELOAD, s->process.program, "process %d has ended meanwhile", (int)s->process.pid);
	if (syscall(SYS_pidfd_send_signal, pidfd, s->signal, NULL, 0) != 0)
		return refuse(why, E_SURVEY_RELOAD, s->process.program, "it cannot be signalled: %s", strerror(errno));
	return 0;
}

static int command_reload(const struct server *s, struct refusal *why)
{
	struct buf out = BUF_MAX(COMMAND_OUTPUT_MAX);
	char       line[200];
	int        status = 0;
	int        r = command_line_run(s->reload, RELOAD_MS, &out, &status, why);
	if (r == 0 && status != 0) {
		command_why(&out, line, sizeof(line));
		r = refuse(why, E_SURVEY_RELOAD, s->reload, "it ended with %d: %s", status, line);
	}
	buf_free(&out);
	return r;
}

int service_reload(const struct server *s, bool restart, struct refusal *why)
{
	if (fault_point("survey.reload") != 0)
		return refuse(why, E_SURVEY_RELOAD, s->process.program, "stopped before the reload");
	if (restart) {
		int r = unit_ask("daemon-reload", NULL, why);
		return r == 0 ? unit_ask("restart", s->process.unit, why) : r;
	}
	if (by_unit(s))
		return unit_ask("reload", s->process.unit, why);
	return s->reload[0] != '\0' ? command_reload(s, why) : signal_send(s, why);
}

/* ---- what is served ----------------------------------------------------------------------------------------------- */

static const char *wrong_words(const struct look *l)
{
	static const char *const words[LOOK_RESULT_COUNT] = {
		[LOOK_SERVED] = "serves another certificate",
		[LOOK_NONE] = "serves no certificate",
		[LOOK_PLAIN] = "speaks no TLS",
		[LOOK_SILENT] = "does not answer",
		[LOOK_REFUSED] = "refuses connections",
		[LOOK_UNKNOWN] = "was not asked",
	};
	return words[l->result];
}

/* One round; NULL: all as they should be. */
static const struct look *first_wrong(struct look *looks, size_t n, struct hash fingerprint)
{
	for (size_t i = 0; i < n; i++)
		if (looks[i].result != LOOK_SERVED || !looks[i].proved || !hash_equal(looks[i].fingerprint, fingerprint))
			return &looks[i];
	return NULL;
}

int service_serves(const char (*listeners)[ADDRESS_SIZE], size_t n, const char *sni, bool starttls, struct hash fingerprint,
		   int64_t timeout_ms, struct refusal *why)
{
	struct look   looks[LOOKS_MAX];
	const int64_t until = clock_monotonic() + timeout_ms;
	unsigned      good = 0;
	n = n < LOOKS_MAX ? n : LOOKS_MAX;
	for (;;) {
		memset(looks, 0, sizeof(looks));
		for (size_t i = 0; i < n; i++) {
			text_cut(looks[i].address, sizeof(looks[i].address), listeners[i]);
			text_cut(looks[i].sni, sizeof(looks[i].sni), sni);
			looks[i].starttls = starttls;
		}
		int r = look_all(looks, n, LOOK_MS);
		if (r != 0)
			return refuse(why, r, "listeners", "%s", err_what(r));
		const struct look *wrong = first_wrong(looks, n, fingerprint);
		good = wrong == NULL ? good + 1 : 0;
		if (good == IN_A_ROW)
			return 0;
		if (wrong != NULL && clock_monotonic() >= until)
			return refuse(why, E_SURVEY_SERVES, wrong->address, "it %s", wrong_words(wrong));
		poll(NULL, 0, LOOK_PAUSE_MS);
	}
}
