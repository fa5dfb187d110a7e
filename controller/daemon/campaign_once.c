/* campaign_once.c - room controller/daemon: one plan becomes one campaign.
 * The store says what became of a plan; what is on its way there is kept in memory, and a kill loses both or neither. Never:
 * deciding what a plan holds. */
#include "controller/daemon/campaign_once.h"

#include <stdlib.h>

#include <utlist.h>

#include "controller/daemon/campaign_drive.h"
#include "controller/daemon/state.h"
#include "shared/pki/key.h"

/* A campaign whose commit was not answered yet. */
struct making {
	struct id      campaign_id;
	struct hash    plan_hash;
	struct making *next;
};

static int refuse_applied(struct refusal *why, struct id campaign_id, enum campaign_kind kind, const char *how_far)
{
	const char *noun = kind == CAMPAIGN_DRILL ? "drill" : "campaign";
	char        id[ID_TEXT_SIZE];
	id_text(campaign_id, id);
	return refuse(why, E_CAMPAIGN_APPLIED, "plan_hash", "it became %s %s (%s): `vccctl %s show %s`", noun, id, how_far,
		      noun, id);
}

/* ---- on a worker ------------------------------------------------------------------------------------------------ */

int campaign_once_hash(struct campaign_plan *p, struct store_view *view)
{
	struct campaign before = {.state = CAMPAIGN_COMPLETED};
	int             r = view_campaign_like(view, p->content_hash, &before);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	digest_sha256_two(p->content_hash.b, sizeof(p->content_hash.b), before.campaign_id.b, sizeof(before.campaign_id.b),
			  &p->hash);
	p->before = before.campaign_id;
	p->before_runs = r == 0 && before.completed_at == 0;
	return 0;
}

int campaign_once_applied(struct campaign_plan *p, struct store_view *view)
{
	struct campaign applied;
	int             r = p->request.as_planned ? view_campaign_planned(view, p->request.plan_hash, &applied) : E_NOT_FOUND;
	if (r == 0)
		return refuse_applied(&p->why, applied.campaign_id, applied.kind, campaign_state_name(applied.state));
	return r == E_NOT_FOUND ? 0 : r;
}

/* ---- on the loop ------------------------------------------------------------------------------------------------ */

int campaign_once_check(struct controller *ctl, const struct campaign_plan *p, struct refusal *why)
{
	struct campaign applied;
	struct making  *m;
	if (!p->request.as_planned)
		return 0;
	LL_FOREACH (ctl->campaigns->making, m)
		if (hash_equal(m->plan_hash, p->hash))
			return refuse_applied(why, m->campaign_id, p->request.kind, "it begins just now");
	int r = view_campaign_planned(ctl->view, p->hash, &applied);
	if (r == 0)
		return refuse_applied(why, applied.campaign_id, applied.kind, campaign_state_name(applied.state));
	return r == E_NOT_FOUND ? 0 : refuse(why, r, "store", "it cannot be read now");
}

void campaign_once_begin(struct controller *ctl, const struct campaign *c)
{
	struct making *m = calloc(1, sizeof(*m));
	if (m == NULL)
		abort();
	m->campaign_id = c->campaign_id;
	m->plan_hash = c->plan_hash;
	LL_PREPEND(ctl->campaigns->making, m);
}

void campaign_once_end(struct controller *ctl, struct id campaign_id)
{
	struct making *m, *tmp;
	LL_FOREACH_SAFE (ctl->campaigns->making, m, tmp)
		if (id_equal(m->campaign_id, campaign_id)) {
			LL_DELETE(ctl->campaigns->making, m);
			free(m);
		}
}

void campaign_once_free(struct campaigns *all)
{
	struct making *m, *tmp;
	LL_FOREACH_SAFE (all->making, m, tmp)
		free(m);
	all->making = NULL;
}
