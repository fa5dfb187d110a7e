/* reload_haproxy.c - room agent/hook: gives HAProxy the current key and chain over its admin socket: `set ssl cert`, `commit
 * ssl cert`, and `abort ssl cert` when anything fails. No reload, no new process. The files are in step: current/ was flipped
 * before. This is the one place where key bytes leave a file. Never: in an answer, in a log, to a certificate that is not this
 * target's. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/hook/haproxy_cli.h"
#include "agent/hook/reload.h"
#include "shared/base/text.h"
#include "shared/conf/target_copies.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum {
	PAYLOAD_MAX = 128 * 1024,
	CERT_NAMES_MAX = 16, /* one file may be loaded under several names: links, doubled slashes, copies */
	CERT_NAME_SIZE = 1024,
	ABORT_MS = 2000, /* beyond the time limit: the keeper waits five seconds more */
};

struct change {
	const struct reload_job *job;
	struct haproxy_cli       cli;
	struct stat              files[1 + TARGET_COPIES_MAX];
	size_t                   n_files;
	char                     names[CERT_NAMES_MAX][CERT_NAME_SIZE]; /* as HAProxy calls them */
	size_t                   n_names;
	char                     open[CERT_NAME_SIZE]; /* certificate of a transaction that was found open; "" = none */
	bool                     open_ours;
	bool                     mixed;                /* our bytes went into a transaction of somebody else */
	struct buf               pem, command, answer; /* `pem` and `command` hold the key */
	struct hk_reply         *reply;
};

static _printf_(3, 4) int change_refuse(struct change *c, int code, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(c->reply->output, sizeof(c->reply->output), fmt, args);
	va_end(args);
	return code;
}

/* ---- what HAProxy says ------------------------------------------------------------------------------------------- */

/* Answers are recognised, never repeated: whatever sits on the socket may send back what it was sent. First match counts. */
static const struct {
	const char *says;
	int         code;
	const char *words;
} known[] = {
	{"Permission denied", E_HOOK_LEVEL, "the admin socket has no `level admin`"},
	{"Unknown command", E_HOOK_ANSWER,
	 "this socket does not know `ssl cert` commands: HAProxy before 2.2, or its master socket"},
	{"not referenced by the configuration", E_HOOK_CERT_NAME, "HAProxy has unloaded the certificate meanwhile"},
	{"inconsistencies between private key", E_HOOK_REFUSED, "HAProxy says that key and certificate do not belong together"},
	{"unable to load certificate", E_HOOK_REFUSED, "HAProxy cannot read the certificate"},
	{"unable to load private key", E_HOOK_REFUSED, "HAProxy cannot read the key"},
	{"must contain at least a certificate and a private key", E_HOOK_REFUSED, "HAProxy misses certificate or key"},
	{"Can't load the payload", E_HOOK_REFUSED, "HAProxy cannot load key and chain"},
	{"No ongoing transaction", E_HOOK_BUSY, "the change was ended by somebody else"},
	{"The ongoing transaction is about", E_HOOK_BUSY, "a change of another certificate is open"},
	{"Transaction updated for certificate", E_HOOK_BUSY, "a change of another certificate was begun at the same time"},
	{"Can't commit", E_HOOK_REFUSED, "HAProxy did not take the certificate"},
	{"Can't update", E_HOOK_REFUSED, "HAProxy did not take key and chain"},
};

static int answer_judge(struct change *c, const char *wanted, const char *command)
{
	const char *text = (const char *)c->answer.p;
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (strstr(text, known[i].says) != NULL)
			return change_refuse(c, known[i].code, "%s: %s", command, known[i].words);
	if (strstr(text, wanted) != NULL)
		return 0;
	if (c->answer.n == 0)
		return change_refuse(c, E_HOOK_ANSWER,
				     "%s: closed without an answer; are %zu bytes too many for its tune.bufsize?", command,
				     c->command.n);
	return change_refuse(c, E_HOOK_ANSWER, "%s: %zu bytes that are not an answer of HAProxy", command, c->answer.n);
}

static int change_ask(struct change *c)
{
	int r = buf_error(&c->command);
	if (r != 0)
		return change_refuse(c, r, "the command is too long");
	return haproxy_ask(&c->cli, buf_span(&c->command), &c->answer, c->reply);
}

static void command_begin(struct change *c, const char *verb, const char *name)
{
	buf_wipe(&c->command);
	buf_add_fmt(&c->command, "%s ssl cert%s%s", verb, name[0] != '\0' ? " " : "", name);
}

/* ---- which certificates are ours --------------------------------------------------------------------------------- */

/* The command line splits at blanks and semicolons; a name that would need quoting is not used at all. */
static bool name_plain(const char *name)
{
	return name[0] == '/' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+@:,=%~") == strlen(name);
}

/* HAProxy keeps the path as its configuration wrote it; the same file is the same certificate. */
static bool name_ours(const struct change *c, const char *name)
{
	struct stat st;
	if (stat(name, &st) != 0)
		return false;
	for (size_t i = 0; i < c->n_files; i++)
		if (st.st_dev == c->files[i].st_dev && st.st_ino == c->files[i].st_ino)
			return true;
	return false;
}

static void file_add(struct change *c, const char *path)
{
	struct stat st;
	if (c->n_files < N_ELEMENTS(c->files) && stat(path, &st) == 0)
		c->files[c->n_files++] = st;
}

/* What HAProxy can have loaded of this target: combined.pem, and copies of it or of fullchain.pem (with key.pem beside it). */
static void files_find(struct change *c)
{
	char               path[TARGET_PATH_SIZE + 32];
	struct target_copy copy;
	snprintf(path, sizeof(path), "%s/current/combined.pem", c->job->dir);
	c->n_files = 0;
	file_add(c, path);
	for (const char *cursor = c->job->target->copies; target_copy_next(&cursor, &copy);)
		if (text_equal(copy.source->name, "combined.pem") || text_equal(copy.source->name, "fullchain.pem"))
			file_add(c, copy.path);
}

static int line_take(struct change *c, char *line)
{
	bool open = line[0] == '*';
	line += open;
	if (line[0] == '\0' || line[0] == '#' || strlen(line) >= CERT_NAME_SIZE)
		return 0;
	bool ours = name_plain(line) && name_ours(c, line);
	if (open) {
		text_cut(c->open, sizeof(c->open), line);
		c->open_ours = ours;
	} else if (ours && c->n_names == CERT_NAMES_MAX) {
		return change_refuse(c, E_HOOK_CERT_NAME, "HAProxy has loaded the file under more than %d names",
				     CERT_NAMES_MAX);
	} else if (ours) {
		text_cut(c->names[c->n_names++], CERT_NAME_SIZE, line);
	}
	return 0;
}

static int names_read(struct change *c)
{
	files_find(c);
	c->n_names = 0;
	c->open[0] = '\0';
	command_begin(c, "show", "");
	buf_add_text(&c->command, "\n");
	int r = change_ask(c);
	if (r == 0)
		r = answer_judge(c, "# filename", "show ssl cert");
	char *rest = (char *)c->answer.p;
	for (char *line; r == 0 && (line = strsep(&rest, "\n")) != NULL;)
		r = line_take(c, line);
	if (r == 0 && c->n_names == 0)
		return change_refuse(c, E_HOOK_CERT_NAME, "HAProxy has not loaded %s/current/combined.pem, nor a copy of it",
				     c->job->dir);
	return r;
}

/* ---- key and chain ----------------------------------------------------------------------------------------------- */

/* A blank line would end the payload, and what follows it would be read as commands. */
static bool pem_plain(struct span pem)
{
	if (pem.n == 0 || pem.p[0] == '\n' || pem.p[pem.n - 1] != '\n')
		return false;
	for (size_t i = 0; i < pem.n; i++)
		if ((pem.p[i] != '\n' && (pem.p[i] < ' ' || pem.p[i] > '~')) ||
		    (i > 0 && pem.p[i] == '\n' && pem.p[i - 1] == '\n'))
			return false;
	return true;
}

/* By descriptors from a folder that only root and the keeper may change; `current` names a folder in it, as config_test.c reads
 * it. */
static int pem_read(struct change *c)
{
	char             name[NAME_MAX + 1];
	struct refusal   why = {.code = 0};
	_cleanup_fd_ int dir = -1;
	if (dir_open_safe(c->job->dir, c->job->owner, &dir, &why) != 0)
		return change_refuse(c, E_HOOK_FILES, "%s", why.cause);
	ssize_t n = readlinkat(dir, "current", name, sizeof(name) - 1);
	if (n <= 0)
		return change_refuse(c, E_HOOK_FILES, "%s/current is not a link", c->job->dir);
	name[n] = '\0';
	_cleanup_fd_ int generation = -1;
	if (name[0] != '.' && strchr(name, '/') == NULL)
		generation = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (generation < 0)
		return change_refuse(c, E_HOOK_FILES, "%s/current does not name a folder beside it", c->job->dir);
	static const char *const files[] = {"key.pem", "fullchain.pem"};
	for (size_t i = 0; i < N_ELEMENTS(files); i++) {
		size_t from = c->pem.n;
		if (file_read(generation, files[i], false, &c->pem, &why) != 0)
			return change_refuse(c, E_HOOK_FILES, "%s: %s", files[i], why.cause);
		if (!pem_plain((struct span){c->pem.p + from, c->pem.n - from}))
			return change_refuse(c, E_HOOK_FILES, "%s is not plain PEM text", files[i]);
	}
	return 0;
}

/* ---- the change -------------------------------------------------------------------------------------------------- */

/* What is open stays open for hours and would mix with the next change. Keeps the words of the failure that led here. */
static void change_abort(struct change *c, const char *name)
{
	struct hk_reply  unheard = {.code = 0};
	struct hk_reply *reply = c->reply;
	int64_t          until = c->cli.until;
	c->reply = &unheard;
	c->cli.until = clock_monotonic() + ABORT_MS;
	/* our bytes are in a transaction that somebody else began meanwhile: theirs must fail, or it would commit our pair */
	if (c->mixed && names_read(c) == 0 && c->open[0] != '\0')
		name = c->open;
	if (name_plain(name)) {
		command_begin(c, "abort", name);
		buf_add_text(&c->command, "\n");
		(void)!change_ask(c);
	}
	c->cli.until = until;
	c->reply = reply;
}

/* A transaction of ours is what a killed hook left; one of another certificate is somebody at work: HAProxy has only one. */
static int leftover_clear(struct change *c)
{
	if (c->open[0] == '\0')
		return 0;
	if (!c->open_ours)
		return change_refuse(c, E_HOOK_BUSY, "a change of another certificate is open in HAProxy");
	change_abort(c, c->open);
	return 0;
}

/* HAProxy 2.6 puts the payload into whatever transaction is open, of whatever name: only one that was created for this name is
 * ours. */
static int name_set(struct change *c, const char *name)
{
	char created[CERT_NAME_SIZE + 64];
	snprintf(created, sizeof(created), "Transaction created for certificate %s!", name);
	command_begin(c, "set", name);
	buf_add_text(&c->command, " <<\n");
	buf_add(&c->command, c->pem.p, c->pem.n);
	buf_add_text(&c->command, "\n");
	int r = fault_point("hook.haproxy.set") != 0 ? change_refuse(c, E_SYS_IO, "set ssl cert: fault point") : change_ask(c);
	if (r == 0) {
		c->mixed = strstr((const char *)c->answer.p, "Transaction updated for certificate") != NULL;
		r = answer_judge(c, created, "set ssl cert");
	}
	(void)fault_point("hook.haproxy.set.done");
	return r;
}

static int name_commit(struct change *c, const char *name)
{
	command_begin(c, "commit", name);
	buf_add_text(&c->command, "\n");
	int r = change_ask(c);
	return r == 0 ? answer_judge(c, "Success!", "commit ssl cert") : r;
}

static int change_do(struct change *c)
{
	int r = pem_read(c);
	if (r == 0)
		r = names_read(c);
	if (r == 0)
		r = leftover_clear(c);
	for (size_t i = 0; r == 0 && i < c->n_names; i++) {
		r = name_set(c, c->names[i]);
		if (r == 0)
			r = name_commit(c, c->names[i]);
		if (r != 0)
			change_abort(c, c->names[i]);
	}
	return r;
}

int reload_haproxy(const struct reload_job *job, struct hk_reply *ret)
{
	static struct change c; /* large, and one process serves one request */
	c = (struct change){
		.job = job,
		.cli = {.path = job->target->socket, .until = clock_monotonic() + job->target->timeout_ms},
		.pem = BUF_MAX(PAYLOAD_MAX),
		.command = BUF_MAX(PAYLOAD_MAX + 2 * CERT_NAME_SIZE),
		.answer = BUF_MAX(HAPROXY_ANSWER_MAX),
		.reply = ret,
	};
	int r = change_do(&c);
	if (r == 0)
		snprintf(ret->output, sizeof(ret->output), "%zu certificate%s exchanged in HAProxy", c.n_names,
			 c.n_names == 1 ? "" : "s");
	buf_wipe(&c.pem);
	buf_wipe(&c.command);
	buf_wipe(&c.answer); /* whatever answered may have sent the key back */
	return r;
}
