/* source.h - room agent/survey: the configuration files of a service, read safely and within limits.
 * They decide what root edits and runs later, so whoever may change them must be root or the service itself. Links are followed
 * to the real file; that one, and every folder on the way to it, must be safe. Never: writing; trusting a size, a depth or a
 * name. */
#ifndef VCC_SOURCE_H
#define VCC_SOURCE_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum {
	SOURCES_MAX = 256,          /* files of one service */
	SOURCE_BYTES_MAX = 1 << 20, /* of one file */
	SOURCE_TOTAL_MAX = 8 << 20, /* of all */
	SOURCE_DEPTH_MAX = 12,      /* of includes */
	SOURCE_INCLUDES_MAX = 2048, /* files read, repeats counted */
	SOURCE_PATH_SIZE = 512,
};

struct source {
	char        path[SOURCE_PATH_SIZE]; /* of the real file */
	struct stat st;
	struct buf  bytes;
};

struct sources {
	struct source *file[SOURCES_MAX];
	size_t         n;
	size_t         total;
	size_t         includes;
	uid_t          owner;  /* who may own files and folders beside root: the service's user */
	bool           closed; /* no file is read but those that were given */
};

/* Reads a file once, however often it is asked for. E_NOT_FOUND; E_SURVEY_UNSAFE, E_SURVEY_LIMIT, E_SURVEY_SYNTAX (binary). */
_must_check_ int source_load(struct sources *s, const char *path, size_t *ret_index, struct refusal *why);

/* Bytes under a path, instead of a file: for tests. E_NOMEM, E_SURVEY_LIMIT, E_SURVEY_SYNTAX. */
_must_check_ int source_give(struct sources *s, const char *path, struct span bytes);

/* Calls `each` for every file that `pattern` names, in byte order. '*', '?' and '[' may stand in the last part only. Without
 * such a character the file must exist. A code that `each` returns ends the walk and is returned. E_SURVEY_LIMIT. */
typedef int      source_fn(void *ctx, const char *path);
_must_check_ int source_glob(struct sources *s, const char *pattern, source_fn *each, void *ctx, struct refusal *why);

/* `name` as it stands in a file, below `base` unless it is absolute. E_SURVEY_LIMIT. */
_must_check_ int source_path(const char *base, const char *name, char ret[SOURCE_PATH_SIZE], struct refusal *why);

void sources_free(struct sources *s);

/* Line number of an offset, for words to people. */
unsigned source_line(const struct source *f, size_t at);

/* A certificate or key, whoever owns it, read once whatever links lead there. Never a device. `to` is empty before.
 * E_NOT_FOUND, E_SURVEY_UNSAFE, E_SURVEY_LIMIT. */
_must_check_ int source_pem(const char *path, struct buf *to, struct refusal *why);

/* The path as it is written, not only the file at its end: nobody but root and `owner` may turn a folder or link on the way
 * elsewhere. For paths that are named again later, in a command or a target file. E_NOT_FOUND, E_SURVEY_UNSAFE, E_SURVEY_LIMIT. */
_must_check_ int source_way(const char *path, uid_t owner, struct refusal *why);

/* A program that root may run: root's, and nobody else may change it or a folder on the way. E_SURVEY_UNSAFE. */
_must_check_ int source_program(const char *path, struct refusal *why);

#endif
