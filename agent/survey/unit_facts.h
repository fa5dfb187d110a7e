/* unit_facts.h - room agent/survey: what systemd knows of a service unit, and asking it for a reload.
 * Never: enabling, disabling, masking; a unit whose name is not one. */
#ifndef VCC_UNIT_FACTS_H
#define VCC_UNIT_FACTS_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/survey/source.h"

enum { UNIT_DROPINS_MAX = 16 };

struct unit_facts {
	bool   can_reload;
	pid_t  main_pid;
	char   fragment[SOURCE_PATH_SIZE];                 /* the unit's file */
	char   dropin[UNIT_DROPINS_MAX][SOURCE_PATH_SIZE]; /* in the order in which they count */
	size_t n_dropins;
};

/* systemd runs here. */
bool unit_systemd_runs(void);
/* E_NOT_FOUND: no such unit is loaded. */
_must_check_ int unit_facts_read(const char *unit, struct unit_facts *ret, struct refusal *why);

/* `systemctl VERB [UNIT]`: "reload", "restart", "daemon-reload" (unit NULL), "start", "stop". Waits for the job.
 * E_SURVEY_RELOAD. */
_must_check_ int unit_ask(const char *verb, const char *unit, struct refusal *why);
bool             unit_is_active(const char *unit);

/* From the text of `systemctl show`. False: not loaded. */
bool unit_facts_parse(struct span text, struct unit_facts *ret);

#endif
