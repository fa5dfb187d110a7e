/* takeover.h - room agent/survey: ends another tool's renewal of a certificate, in the tool's own way, so that it can be put
 * back. certbot: `autorenew = False` for the lineage. certmonger: stops tracking. acme.sh: the domain's record is renamed as
 * `acme.sh --remove` does. Never: other certificates of the tool; its timers. */
#ifndef VCC_TAKEOVER_H
#define VCC_TAKEOVER_H

#include "agent/survey/plan.h"

/* Adds what would change to the plan. `from` NONE: nothing. E_SURVEY_RENEWER: another tool, or none, renews it. */
_must_check_ int takeover_plan(struct plan *p, enum renewer_kind from, struct refusal *why);
void             takeover_show(const struct plan *p, FILE *to);

/* What cannot be done by changing its files alone: certmonger is told. */
_must_check_ int takeover_tell(const struct undo *u, struct refusal *why);

/* Around putting its files back: certmonger reads them at its start only. Does it have to be paused? Kept in the record as
 * `paused` before that is done, so that it is started again after a kill, too. */
bool             takeover_pauses(const struct undo *u);
_must_check_ int takeover_pause(const struct undo *u, struct refusal *why);
_must_check_ int takeover_resume(const struct undo *u, struct refusal *why);

#endif
