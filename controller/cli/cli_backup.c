/* cli_backup.c - room controller/cli: vccctl backup: the controller copies its database, this program carries the copy away.
 * Never: opening the database; overwriting a file. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "controller/cli/verb.h"
#include "shared/sys/file.h"

#define BACKUP "/api/v1/backup"

enum { ASK_EVERY_MS = 200, PIECE = 65536 };

static const struct output_column columns[] = {
	{"status", "status", COLUMN_TEXT},         {"file", "path", COLUMN_TEXT},
	{"bytes", "bytes", COLUMN_TEXT},           {"audit rows", "audit_size", COLUMN_TEXT},
	{"started at", "started_at", COLUMN_TIME}, {"ended at", "ended_at", COLUMN_TIME},
	{"error", "error", COLUMN_TEXT},           {"cause", "cause", COLUMN_TEXT},
};

static const char *member(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL ? text : "";
}

/* Asks until it is no longer running. Exit code. */
static int wait_for(const struct client *client, json_t **ret, struct refusal *why)
{
	const struct timespec pause = {.tv_nsec = ASK_EVERY_MS * 1000000L};
	for (;;) {
		json_t *answer = NULL;
		int     r = client_call(client, "GET", BACKUP, NULL, NULL, &answer, why);
		if (r != EXIT_DONE)
			return r;
		if (strcmp(member(answer, "status"), "running") != 0) {
			*ret = answer;
			return EXIT_DONE;
		}
		json_decref(answer);
		nanosleep(&pause, NULL);
	}
}

static int carry_bytes(int from, int to, const char *file, struct refusal *why)
{
	static char piece[PIECE];
	ssize_t     n;
	while ((n = read(from, piece, sizeof(piece))) > 0)
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(to, piece + done, (size_t)(n - done));
			if (w < 0 && errno == EINTR)
				w = 0;
			else if (w < 0)
				return sys_refuse(why, file, "write");
		}
	if (n < 0)
		return sys_refuse(why, file, "read the controller's copy");
	return fsync(to) == 0 ? 0 : sys_refuse(why, file, "fsync");
}

static int sync_folder_of(const char *file, struct refusal *why)
{
	char copy[CLIENT_PATH_SIZE];
	snprintf(copy, sizeof(copy), "%s", file);
	_cleanup_fd_ int dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir >= 0 && dir_sync(dir) == 0 ? 0 : sys_refuse(why, file, "fsync the folder");
}

/* The controller renames a newer backup over its own file: what was opened once stays whole. */
static int carry(const char *path, int64_t bytes, const char *file, struct refusal *why)
{
	struct stat      st;
	_cleanup_fd_ int from = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (from < 0 || fstat(from, &st) != 0 || !S_ISREG(st.st_mode) || (int64_t)st.st_size != bytes)
		return refuse(why, E_BACKUP_AWAY, path, "the controller wrote it, but it cannot be read here: %s",
			      from < 0 ? strerror(errno) : "it is another file");
	_cleanup_fd_ int to = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (to < 0)
		return sys_refuse(why, file, "open");
	int r = carry_bytes(from, to, file, why);
	if (r < 0)
		(void)unlink(file);
	return r < 0 ? r : sync_folder_of(file, why);
}

/* Before the controller does any work. */
static int file_check(const char *file, struct refusal *why)
{
	struct stat st;
	if (strlen(file) >= CLIENT_PATH_SIZE)
		return refuse(why, E_FULL, file, "the path is too long");
	return lstat(file, &st) != 0 ? 0 : refuse(why, E_EXISTS, file, "a backup overwrites nothing");
}

static int finish(const struct invocation *in, json_t *answer)
{
	struct refusal why;
	const char    *file = in->n_words > 0 ? in->words[0] : NULL;
	if (strcmp(member(answer, "status"), "done") != 0) {
		output_object(in->form, columns, N_ELEMENTS(columns), answer);
		return EXIT_FAILED;
	}
	if (file != NULL) {
		if (carry(member(answer, "path"), json_integer_value(json_object_get(answer, "bytes")), file, &why) < 0)
			return verb_fail(EXIT_FAILED, &why);
		json_object_set_new(answer, "path", json_string(file));
	}
	output_object(in->form, columns, N_ELEMENTS(columns), answer);
	return EXIT_DONE;
}

static int backup(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	if (in->n_words > 0 && file_check(in->words[0], &why) < 0)
		return verb_fail(EXIT_FAILED, &why);
	int r = client_call(&in->client, "POST", BACKUP, NULL, NULL, &answer, &why);
	json_decref(answer);
	answer = NULL;
	if (r == EXIT_DONE)
		r = wait_for(&in->client, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	r = finish(in, answer);
	json_decref(answer);
	return r;
}

const struct verb cli_backup_verbs[] = {
	{"backup", NULL, "[FILE]", 0, 1, "copies the controller's database while everything goes on", {{0}}, backup},
};
const size_t cli_backup_verbs_n = N_ELEMENTS(cli_backup_verbs);
