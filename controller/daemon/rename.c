/* rename.c - room controller/daemon: the host is cut off, memory follows, one change moves every row, the host comes back.
 * What was on its way to the store under the old name gets there before; what would come after it fails by a version or by the
 * former name, and is done again. Never: two renamings at once. */
#include "controller/daemon/rename.h"

#include <stdlib.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

struct renaming {
	struct answer     *answer;
	struct former_name to;
};

static void in_memory(struct controller *ctl, const char *from, const char *to)
{
	orders_renamed(ctl, from, to);
	campaigns_renamed(ctl, from, to);
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct renaming *n = ctx;
	fleet_renamed(ctl, code == 0);
	rows_forget_idle(ctl->rows);
	if (code < 0)
		in_memory(ctl, n->to.agent, n->to.name);
	answer_stored(ctl, n->answer, code == E_EXISTS ? E_AGENT_NAME_TAKEN : code, result);
	free(n);
}

/* The same order again finds the host under its new name. */
static int find_host(struct controller *ctl, const char *name, const char *new_name, struct agent *ret, struct refusal *why)
{
	struct former_name former;
	int                r = rows_agent(ctl->rows, name, ret);
	bool               before = r == E_NOT_FOUND && view_former_name(ctl->view, name, &former) == 0;
	if (before && text_equal(former.agent, new_name))
		r = rows_agent(ctl->rows, new_name, ret);
	if (before && r < 0)
		return refuse(why, r, name, "this host is called %s now", former.agent);
	return r < 0 ? refuse(why, r, name, "there is no such agent") : 0;
}

static int check(struct controller *ctl, const char *name, const char *new_name, struct agent *ret, struct refusal *why)
{
	struct former_name former;
	struct agent       other;
	int                r = find_host(ctl, name, new_name, ret, why);
	if (r < 0)
		return r;
	if (!name_agent_ok(new_name))
		return refuse(why, E_NAME, "new_name", "`%s` is not an agent name: lower-case letters, digits, '-', at most 32",
			      new_name);
	if (ret->state != AGENT_ACTIVE)
		return refuse(why, ret->state == AGENT_BANNED ? E_AGENT_BANNED : E_AGENT_EVICTED, name,
			      "the agent is in state %s", agent_state_name(ret->state));
	if (text_equal(ret->name, new_name))
		return 0;
	if (rows_agent(ctl->rows, new_name, &other) != E_NOT_FOUND)
		return refuse(why, E_AGENT_NAME_TAKEN, new_name, "another host has this name");
	if (view_former_name(ctl->view, new_name, &former) == 0 && !text_equal(former.agent, name))
		return refuse(why, E_AGENT_NAME_TAKEN, new_name, "this name leads to %s, which had it before", former.agent);
	return 0;
}

void controller_rename(struct controller *ctl, const char *name, const char *new_name, const struct caller *who,
		       api_done_fn *done, void *ctx)
{
	struct answer *a = answer_new(done, ctx);
	int            r = check(ctl, name, new_name, &a->result.agent, &a->result.why);
	bool           done_already = r == 0 && text_equal(a->result.agent.name, new_name);
	if (r == 0 && !done_already && !fleet_renaming(ctl, name, new_name))
		r = refuse(&a->result.why, E_AGENT_RENAMED, name, "another host is being renamed");
	if (r < 0 || done_already) {
		a->result.code = r;
		answer_now(a);
		return;
	}
	struct renaming *n = calloc(1, sizeof(*n));
	if (n == NULL)
		abort();
	n->answer = a;
	n->to.since_at = clock_now();
	text_cut(n->to.name, sizeof(n->to.name), name);
	text_cut(n->to.agent, sizeof(n->to.agent), new_name);
	text_cut(a->result.agent.name, sizeof(a->result.agent.name), new_name);
	in_memory(ctl, name, new_name);

	struct commit *c = commit_new(ctl);
	store_rename_agent(commit_change(c), &n->to);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_AGENT_RENAMED,
					.actor = who->actor,
					.object = new_name,
					.request_id = who->request_id,
					.reason = who->reason},
		     "{s:s,s:s}", "from", name, "to", new_name);
	commit_fault_points(c, "controller.rename", "controller.rename_stored");
	commit_now(c, on_stored, n);
}

/* ---- the identities of former names ------------------------------------------------------------------------------- */

struct ending_identities {
	struct controller  *ctl;
	struct commit      *commit; /* NULL = none found yet */
	const struct agent *row;
	int64_t             renamed_at, now;
};

static void end_identity(void *ctx, const struct issuance *i)
{
	static const struct caller controller = {.actor = "controller"};
	struct ending_identities  *e = ctx;
	if (!operate_in_use(i, e->now) || i->created_at > e->renamed_at || serial_equal(i->serial, e->row->identity))
		return;
	if (e->commit == NULL)
		e->commit = commit_new(e->ctl);
	operate_revoke_issuance(e->ctl, e->commit, i, REASON_SUPERSEDED, e->now, &controller);
}

void renamed_identity_used(struct controller *ctl, const struct agent *row)
{
	struct former_name       former[STORE_LIST_MAX];
	size_t                   n = 0;
	struct ending_identities e = {.ctl = ctl, .row = row, .now = clock_now()};
	if (view_former_names(ctl->view, row->name, former, N_ELEMENTS(former), &n) < 0 || n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		e.renamed_at = former[i].since_at > e.renamed_at ? former[i].since_at : e.renamed_at;
	/* what is not found now is found at the next connection */
	(void)!operate_each_issuance(ctl, OWNER_AGENT, row->name, end_identity, &e);
	if (e.commit == NULL)
		return;
	commit_fault_points(e.commit, "controller.rename_identity", "controller.rename_identity_stored");
	commit_now(e.commit, NULL, NULL);
}
