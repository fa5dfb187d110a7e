/* evidence_subjects.h - room controller/cli: which certificates and campaigns are part of a period, by the audit trail.
 * Never: fetching their evidence. */
#ifndef VCC_EVIDENCE_SUBJECTS_H
#define VCC_EVIDENCE_SUBJECTS_H

#include <jansson.h>

#include "controller/cli/client.h"

struct evidence_subjects {
	json_t *certificates, *campaigns; /* objects; their keys are the names, true: it is that for sure */
};

/* From `since` up to `until`, in milliseconds. EXIT_FAILED: more than `max` of them. The caller frees what there is in any case. */
_must_check_ int evidence_subjects_find(const struct client *c, int64_t since, int64_t until, size_t max, struct evidence_subjects *ret, struct refusal *why);
void             evidence_subjects_free(struct evidence_subjects *s);

#endif
