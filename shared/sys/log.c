/* log.c - room shared/sys: one line per event, to stderr or to the journal's own socket.
 * Never: secrets, raw peer bytes; control characters are escaped. */
#include "shared/sys/log.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/err_catalog.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { LOG_TEXT_SIZE = 1024, LOG_FIELDS_SIZE = 512 };

static char           log_program[32] = "vcc";
static enum log_level log_max = LOG_LEVEL_INFO;
static int            log_journal = -1; /* datagram socket to the journal, or -1 */
static bool           log_terminal;

/* systemd tells in JOURNAL_STREAM which device:inode its own pipe has; another stderr means somebody redirected it. */
static bool stderr_is_journal(void)
{
	const char        *env = getenv("JOURNAL_STREAM");
	struct stat        st;
	unsigned long long dev;
	unsigned long long ino;
	if (env == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	return sscanf(env, "%llu:%llu", &dev, &ino) == 2 && st.st_dev == dev && st.st_ino == ino;
}

static int journal_socket(void)
{
	static const struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/socket"};
	int                             fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

void log_open(const char *program, enum log_level max)
{
	text_cut(log_program, sizeof(log_program), program);
	log_max = max;
	log_terminal = isatty(STDERR_FILENO);
	if (log_journal < 0 && stderr_is_journal())
		log_journal = journal_socket();
}

/* What names a code is found by it: MESSAGE_ID of the catalog, and the code as people say it. */
static const char *code_fields(const char *text, char *ret, size_t size)
{
	char id[ERR_MESSAGE_ID_SIZE], name[ERR_CODE_SIZE];
	int  code = err_in_text(text);
	ret[0] = '\0';
	if (code != 0)
		(void)snprintf(ret, size, "MESSAGE_ID=%s\nVCC_CODE=%s\n", err_message_id(code, id), err_code(code, name));
	return ret;
}

/* Native protocol: one NAME=value a line; values here never hold a newline. */
static bool log_to_journal(enum log_level level, const char *fields, const char *text)
{
	char out[LOG_TEXT_SIZE + LOG_FIELDS_SIZE + 256], code[96];
	int  n = snprintf(out, sizeof(out), "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n%s", (int)level, log_program, text, code_fields(text, code, sizeof(code)));
	if (n < 0 || (size_t)n >= sizeof(out))
		return false;
	size_t used = (size_t)n;
	for (const char *p = fields; *p != '\0' && used + 1 < sizeof(out); p++)
		out[used++] = *p == ' ' ? '\n' : *p;
	if (out[used - 1] != '\n')
		out[used++] = '\n';
	return send(log_journal, out, used, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

static void log_to_stderr(enum log_level level, const char *fields, const char *text)
{
	char at[TIME_TEXT_SIZE];
	char out[LOG_TEXT_SIZE + LOG_FIELDS_SIZE + 128];
	char priority[8] = "";
	if (!log_terminal)
		snprintf(priority, sizeof(priority), "<%d>", (int)level);
	int n = snprintf(out, sizeof(out), "%s%s %s[%d]: %s%s%s\n", priority, time_text(clock_now(), at), log_program,
	                 (int)getpid(), text, fields[0] != '\0' ? " " : "", fields);
	if (n < 0)
		return;
	size_t len = (size_t)n < sizeof(out) ? (size_t)n : sizeof(out) - 1;
	out[len - 1] = '\n';
	/* one write: lines of several processes do not mix; nothing can be done when it fails */
	ssize_t ignored = write(STDERR_FILENO, out, len);
	(void)ignored;
}

void log_line(enum log_level level, const char *fields, const char *fmt, ...)
{
	char text[LOG_TEXT_SIZE];
	char safe[LOG_FIELDS_SIZE];
	if (level > log_max)
		return;

	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text_cut(safe, sizeof(safe), fields != NULL ? fields : "");
	text_hide_controls(text);
	text_hide_controls(safe);

	if (log_journal < 0 || !log_to_journal(level, safe, text))
		log_to_stderr(level, safe, text);
}

void log_refusal(enum log_level level, const char *fields, const struct refusal *r)
{
	char text[LOG_TEXT_SIZE];
	log_line(level, fields, "%s", refusal_text(r, text, sizeof(text)));
}
