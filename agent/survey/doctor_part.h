/* doctor_part.h - room agent/survey: what the doctor's files share: the patient and the checks.
 * Never: included from outside of doctor*.c and its tests. */
#ifndef VCC_DOCTOR_PART_H
#define VCC_DOCTOR_PART_H

#include <jansson.h>

#include "agent/survey/finding.h"
#include "agent/survey/server.h"
#include "agent/survey/tls_look.h"
#include "shared/base/times.h"
#include "shared/conf/agent_conf.h"

enum { DOCTOR_TARGETS_MAX = 64, DOCTOR_NOTE_SIZE = 200 };

struct patient {
	const struct agent_conf *conf;
	const char              *root; /* before /proc/sys and /etc: "", or a folder of a test */
	bool                     fix;
	int64_t                  now;
	json_t                  *status; /* the keeper's document; NULL = it does not answer */
	struct refusal           no_keeper;
	struct target_conf      *target; /* DOCTOR_TARGETS_MAX; those that can be read, by name */
	size_t                   n_targets;
	struct server           *server[DOCTOR_TARGETS_MAX]; /* those behind the targets, each once; on the heap */
	size_t                   n_servers;
	const struct server     *behind[DOCTOR_TARGETS_MAX]; /* of each target; NULL: none that we know */
	const char              *check;                      /* id of the one that runs */
	char                     note[DOCTOR_NOTE_SIZE];     /* of it: what is right; "" = nothing to say */
	struct findings          findings;
};

/* Of the check that runs. */
#define doctor_find(p, level, code, object, ...) finding_add(&(p)->findings, (p)->check, (level), (code), (object), __VA_ARGS__)
void doctor_note(struct patient *p, const char *fmt, ...) _printf_(2, 3);

/* ---- the keeper's document ---- */
const json_t *doctor_target(const struct patient *p, const char *stem); /* NULL: it does not know it */
const char   *doctor_text(const json_t *o, const char *name);           /* "" = none */
int64_t       doctor_time(const json_t *o, const char *name);           /* 0 = none */
int           doctor_code(const json_t *o, const char *name);           /* negative; 0 = none */
/* The folder of a target; false: its path is too long to be one. */
bool doctor_folder(const struct patient *p, const struct target_conf *t, char ret[TARGET_PATH_SIZE]);
/* Asks each listener of a target once. *ret is owned; its number, 0 when nothing is probed. */
size_t doctor_look(const struct target_conf *t, struct look **ret);
/* Finds the server behind each target's listeners; what cannot be read of it is told in its `why`. E_SYS_IO, E_NOMEM. */
_must_check_ int doctor_behind(struct patient *p, struct refusal *why);
void             doctor_behind_free(struct patient *p);

/* ---- the checks ---- */
typedef void doctor_fn(struct patient *p);
doctor_fn doctor_keeper, doctor_link, doctor_identity, doctor_clock, doctor_journal, doctor_watch, doctor_space, doctor_modes,
	doctor_hook;
doctor_fn doctor_files, doctor_listeners, doctor_disk, doctor_rehearsal, doctor_orders, doctor_lists;
doctor_fn doctor_reload, doctor_python, doctor_drain, doctor_renewer, doctor_writer, doctor_half, doctor_keys;

#endif
