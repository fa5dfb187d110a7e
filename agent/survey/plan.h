/* plan.h - room agent/survey: everything that `manage` would do with one service, worked out before anything is done.
 * Never: changing anything. */
#ifndef VCC_PLAN_H
#define VCC_PLAN_H

#include <stdio.h>

#include "agent/survey/edit.h"
#include "agent/survey/proposal.h"
#include "agent/survey/target_folder.h"
#include "agent/survey/undo.h"

struct plan {
	const struct found_service *service;
	struct proposal             proposal;
	struct undo                 undo;                  /* what will be recorded */
	struct buf                  after[UNDO_FILES_MAX]; /* new bytes of undo.file[i]; none when it is removed */
	struct edit                *edits;                 /* EDITS_MAX, on the heap */
	size_t                      n_edits;
	struct buf                  cert, key, chain, combined; /* what the service uses now: before/ */
	struct target_before        before;                     /* spans of these */
	uid_t                       keeper;
	gid_t                       keeper_gid;
	uid_t                       reader; /* the service's user, who must be able to read the key */
	gid_t                       reader_gid;
};

/* `from` RENEWER_NONE: the other tool, if there is one, goes on. E_SURVEY_*. `ret` is to be freed in any case. */
_must_check_ int plan_make(const struct agent_conf *conf, const struct host_facts *host, const struct found_service *v,
			   const char *template_id, enum renewer_kind from, struct plan *ret, struct refusal *why);
void             plan_free(struct plan *p);

/* Every file change as a difference, the folder, the target file, the reload. */
void plan_show(const struct plan *p, FILE *to);

/* For the parts of a plan: a file that will change, read now; `ret_index` is its place in undo.file and after. */
_must_check_ int plan_file(struct plan *p, const char *path, uid_t owner, size_t *ret_index, struct refusal *why);

#endif
