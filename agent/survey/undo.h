/* undo.h - room agent/survey: the record of what `manage` changed, so that `unmanage` can put it back: durable before the first
 * change. One folder for each target below the agent's state folder, root's alone: record.json and the original bytes of every
 * file. Never: a change that is not in it. */
#ifndef VCC_UNDO_H
#define VCC_UNDO_H

#include <jansson.h>

#include "agent/survey/file_state.h"
#include "agent/survey/renewer.h"
#include "agent/survey/server.h"
#include "shared/base/id.h"
#include "shared/conf/agent_conf.h"

enum { UNDO_FILES_MAX = 64, UNDO_LISTENERS_MAX = 16 };

enum undo_phase {
	UNDO_BEGUN,   /* some of it may have been done: to be put back before anything else */
	UNDO_MANAGED, /* all of it is done */
	UNDO_UNDOING, /* some of it may have been put back */
	UNDO_PHASE_COUNT,
};
const char *undo_phase_name(enum undo_phase p);

struct undo_file {
	char              path[SOURCE_PATH_SIZE];
	uid_t             owner;    /* whose its folders may be beside root */
	bool              made;     /* it did not exist: there is nothing to put back but its absence */
	bool              made_dir; /* nor did its folder */
	bool              removed;  /* we took it away under a new name (`moved`) */
	char              moved[SOURCE_PATH_SIZE];
	struct file_state before; /* empty when `made` */
	struct hash       after;  /* SHA-256 of what we wrote; none when `removed` */
	/* what was exchanged, for a file that somebody edited meanwhile */
	struct undo_swap {
		char from[SITE_VALUE_SIZE], into[SITE_VALUE_SIZE];
	} swap[8];
	size_t n_swaps;
};

struct undo {
	char            name[CERT_ID_SIZE];
	enum undo_phase phase;
	/* the service, so that it can be reloaded and looked at again */
	enum server_kind  kind;
	char              main_file[SOURCE_PATH_SIZE]; /* finds the running server again */
	char              unit[INVENTORY_UNIT_SIZE];
	bool              unit_changed; /* systemd must read units anew, and the service must be restarted */
	char              listener[UNDO_LISTENERS_MAX][ADDRESS_SIZE];
	size_t            n_listeners;
	char              sni[DNS_NAME_SIZE];
	char              cert[SOURCE_PATH_SIZE]; /* the file that was served before */
	char              target_dir[TARGET_PATH_SIZE];
	char              target_file[TARGET_PATH_SIZE];
	struct renewer    renewer; /* taken over; kind none = nobody */
	bool              paused;  /* it was running, and is stopped while its files are put back */
	struct undo_file *file;    /* UNDO_FILES_MAX, on the heap */
	size_t            n_files;
};

/* The folder of all records, made and locked; one command at a time. E_SYS_LOCKED, E_SYS_UNSAFE_PATH. */
struct undo_dir {
	int fd, lock_fd;
};
_must_check_ int undo_dir_path(const struct agent_conf *conf, char ret[TARGET_PATH_SIZE]); /* E_SURVEY_LIMIT */
_must_check_ int undo_dir_open(const struct agent_conf *conf, struct undo_dir *ret, struct refusal *why);
void             undo_dir_close(struct undo_dir *d);

_must_check_ int undo_new(struct undo *ret, struct refusal *why);
void             undo_free(struct undo *u);
/* A free row. E_SURVEY_LIMIT. */
_must_check_ int undo_file_add(struct undo *u, struct undo_file **ret, struct refusal *why);

/* Writes the whole record and reads it again; durable when it returns. There must be none of that name. E_SURVEY_CANNOT,
 * E_SURVEY_LIMIT: it could not be read again. */
_must_check_ int undo_save(const struct undo_dir *d, const struct undo *u, struct refusal *why);
/* E_NOT_FOUND: there is none. E_SURVEY_UNDO: it cannot be read. */
_must_check_ int undo_load(const struct undo_dir *d, const char *name, struct undo *ret, struct refusal *why);
/* Durable. */
_must_check_ int undo_phase_set(const struct undo_dir *d, struct undo *u, enum undo_phase phase, struct refusal *why);
_must_check_ int undo_remove(const struct undo_dir *d, const char *name, struct refusal *why);

#endif
