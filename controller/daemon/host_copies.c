/* host_copies.c - room controller/daemon: two hosts with one identity: kept in the agent's row, told to people, ended by a person.
 * Never: deciding which of them is let in; that is controller/core/session.c. */
#include "controller/daemon/host_copies.h"

#include <stdio.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* Loudly, and once: the row remembers. */
static void tell(const char *agent, enum agent_copy copy)
{
	char fields[64];
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", agent);
	if (copy == COPY_PROVED)
		log_line(LOG_LEVEL_ERROR, fields,
			 "two hosts have the identity of %s: the one that was seen first stays, every other is refused until a person "
			 "decides; see `vccctl agent show %s`",
			 agent, agent);
	else
		log_line(LOG_LEVEL_WARNING, fields,
			 "%s may be a copy, or was restored from a snapshot: what its keeper tells does not follow what was known; "
			 "see `vccctl agent show %s`",
			 agent, agent);
}

/* `found`: this change is the first to say so. */
static void put(struct controller *ctl, struct agent *a, bool found, const struct agent_run *before, uint64_t seq)
{
	char           id[ID_TEXT_SIZE], other[ID_TEXT_SIZE];
	struct commit *c = commit_new(ctl);
	if (found) {
		a->copy_at = clock_now();
		commit_audit(c, &(struct audit_of){.event = AUDIT_AGENT_CLONE, .actor = "controller", .object = a->name},
			     "{s:s,s:s,s:s,s:s,s:I}", "copy", agent_copy_name(a->run.copy), "run", id_text(a->run.run_id, id),
			     "run_before", id_text(before->run_id, other), "address", a->address, "receipt", (long long)seq);
	}
	commit_agent(c, a);
	commit_fault_points(c, "controller.run", "controller.run_stored");
	commit_now(c, NULL, NULL);
	if (found)
		tell(a->name, a->run.copy);
}

void host_copies_keep(struct controller *ctl, const struct agent *row, const struct agent_run *run)
{
	struct agent a = *row;
	a.run = *run;
	put(ctl, &a, row->run.copy != run->copy, &row->run, 0);
}

void host_copies_note(struct controller *ctl, const struct agent *row, const char *address)
{
	struct agent a = *row;
	text_cut(a.copy_address, sizeof(a.copy_address), address);
	put(ctl, &a, false, &row->run, 0);
}

void host_copies_suspect(struct controller *ctl, const char *agent, uint64_t seq)
{
	struct agent a;
	if (rows_agent(ctl->rows, agent, &a) < 0 || a.run.copy != COPY_NONE)
		return;
	a.run.copy = COPY_SUSPECTED;
	put(ctl, &a, true, &a.run, seq);
}
