/* token_file.c - room controller/cli: what becomes of a token that an answer holds: a file of its owner, or a line on the terminal.
 * Never: both. */
#include "controller/cli/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/text.h"

static bool folder_writable(const char *path)
{
	char folder[CLIENT_PATH_SIZE];
	return text_copy(folder, sizeof(folder), path) == 0 && access(dirname(folder), W_OK | X_OK) == 0;
}

int token_file_free(const struct invocation *in, struct refusal *why)
{
	struct stat st;
	const char *path = verb_value(in, "out");
	if (path == NULL)
		return EXIT_DONE;
	bool there = lstat(path, &st) == 0;
	if (!there && folder_writable(path))
		return EXIT_DONE;
	if (there)
		refuse(why, E_EXISTS, path, "a token overwrites nothing; none was made");
	else
		refuse(why, E_SYS_IO, path, "its folder cannot be written to; no token was made");
	return EXIT_FAILED;
}

int token_file_take(const struct invocation *in, json_t *answer, struct refusal *why)
{
	const char *path = verb_value(in, "out");
	const char *token = json_string_value(json_object_get(answer, "token"));
	if (path == NULL || token == NULL)
		return EXIT_DONE;
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		refuse(why, E_SYS_IO, path, "%s; the token was made and is lost: revoke it and make another", strerror(errno));
		return EXIT_FAILED;
	}
	size_t n = strlen(token);
	bool   ok = write(fd, token, n) == (ssize_t)n && write(fd, "\n", 1) == 1 && fsync(fd) == 0;
	if (close(fd) < 0 || !ok) {
		refuse(why, E_SYS_IO, path, "it cannot be written; the token was made and is lost: revoke it and make another");
		return EXIT_FAILED;
	}
	json_object_del(answer, "token");
	return EXIT_DONE;
}

void token_file_print(const struct invocation *in, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "token"));
	if (in->form == OUTPUT_TABLE && token != NULL)
		printf("\nThis is shown once:\n\n  %s\n", token);
}
