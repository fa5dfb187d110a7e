/* proposal.h - room agent/survey: the target file that a service would get, and the paths that its configuration would name.
 * Never: writing it. */
#ifndef VCC_PROPOSAL_H
#define VCC_PROPOSAL_H

#include "agent/survey/service_find.h"

enum { PROPOSAL_TEXT_MAX = 16384, PROPOSAL_NOTES_MAX = 4, PROPOSAL_NOTE_SIZE = 200 };

/* How a renewed certificate gets into the running service. */
enum proposal_reload {
	PROPOSE_SYSTEMD,
	PROPOSE_EXEC,
	PROPOSE_SIGNAL,
	PROPOSE_HAPROXY,
	PROPOSE_POSTGRESQL,
	PROPOSAL_RELOAD_COUNT
};

struct proposal {
	char                 dir[TARGET_PATH_SIZE]; /* the target's folder */
	char                 template_id[TEMPLATE_ID_SIZE];
	char                 names[NAMES_TEXT_SIZE]; /* comma list for people: "a, b" */
	bool                 combined;               /* the service reads key and chain from one file */
	bool                 chain_apart;            /* Apache: leaf and intermediates in two files */
	enum proposal_reload reload;
	bool                 restarts;                /* each renewal restarts the service: connections end */
	bool                 exec_reload;             /* its unit gets an ExecReload= that it lacks */
	char                 text[PROPOSAL_TEXT_MAX]; /* the whole target file */
	char                 note[PROPOSAL_NOTES_MAX][PROPOSAL_NOTE_SIZE];
	size_t               n_notes;
};

/* `template_id` NULL: the service's own. E_SURVEY_TEMPLATE, E_SURVEY_CANNOT. */
_must_check_ int proposal_make(const struct host_facts *host, const struct found_service *v, const char *template_id,
			       struct proposal *ret, struct refusal *why);

/* The names for a target: those of `own` that lie inside the patterns, else NAME.SERVICE.DOMAIN, else the first plain pattern.
 * *ret_left tells how many of `own` were left out. E_NAME: nothing fits. */
_must_check_ int proposal_names(const struct host_facts *host, const char *own, char ret[NAMES_TEXT_SIZE], size_t *ret_left);

#endif
