/* store_campaign.c - room controller/store: reading campaigns and their members.
 * Never: writing, SQL. Each query has its index in schema/008_campaigns.sql, 014_policy_campaigns.sql or 026_plans.sql. */
#include "controller/store/store_front.h"

static size_t page(size_t max)
{
	return max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
}

int view_campaign(struct store_view *v, struct id campaign_id, struct campaign *ret)
{
	struct campaign row = {.campaign_id = campaign_id};
	int             r = rows_get(v->rows, &noun_campaign, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_campaigns(struct store_view *v, struct id before, struct campaign *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_campaign, .max = page(max), .down = true};
	if (!id_is_none(before))
		query_where(&q, offsetof(struct campaign, campaign_id), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_campaigns_open(struct store_view *v, struct id after, struct campaign *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_campaign, .max = page(max)};
	query_where(&q, offsetof(struct campaign, completed_at), NONE, NULL);
	query_where(&q, offsetof(struct campaign, campaign_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_campaigns_unconfirmed(struct store_view *v, struct id after, struct campaign *ret, size_t max, size_t *ret_n)
{
	static const enum confirmation asked = CONFIRMATION_ASKED;
	struct query                   q = {.noun = &noun_campaign, .max = page(max)};
	query_where(&q, offsetof(struct campaign, confirmation), IS, &asked);
	query_where(&q, offsetof(struct campaign, campaign_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

static int newest_with(struct store_view *v, size_t column, struct hash hash, struct campaign *ret)
{
	struct query q = {.noun = &noun_campaign, .max = 1, .down = true};
	query_where(&q, column, IS, &hash);
	return rows_first(v->rows, &q, ret);
}

int view_campaign_planned(struct store_view *v, struct hash plan_hash, struct campaign *ret)
{
	return newest_with(v, offsetof(struct campaign, plan_hash), plan_hash, ret);
}

int view_campaign_like(struct store_view *v, struct hash content_hash, struct campaign *ret)
{
	return newest_with(v, offsetof(struct campaign, content_hash), content_hash, ret);
}

int view_drill(struct store_view *v, struct id campaign_id, struct drill *ret)
{
	struct drill row = {.campaign_id = campaign_id};
	int          r = rows_get(v->rows, &noun_drill, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_drills(struct store_view *v, struct id before, struct drill *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_drill, .max = page(max), .down = true};
	if (!id_is_none(before))
		query_where(&q, offsetof(struct drill, campaign_id), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_drills_unreported(struct store_view *v, struct id after, struct drill *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_drill, .max = page(max)};
	query_where(&q, offsetof(struct drill, reported_at), NONE, NULL);
	query_where(&q, offsetof(struct drill, campaign_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_member(struct store_view *v, struct id campaign_id, uint64_t position, struct campaign_member *ret)
{
	struct campaign_member row = {.campaign_id = campaign_id, .position = position};
	int                    r = rows_get(v->rows, &noun_member, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_member_of(struct store_view *v, struct id campaign_id, const char *cert_id, struct campaign_member *ret)
{
	struct query           q = {.noun = &noun_member, .max = 1};
	struct campaign_member row;
	size_t                 n = 0;
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, cert_id), IS, cert_id);
	int r = rows_list(v->rows, &q, &row, &n);
	if (r == 0 && n == 1)
		*ret = row;
	return r < 0 ? r : n == 1 ? 0 : E_NOT_FOUND;
}

int view_members(struct store_view *v, struct id campaign_id, uint64_t after, struct campaign_member *ret, size_t max,
		 size_t *ret_n)
{
	struct query q = {.noun = &noun_member, .max = page(max)};
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, position), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_members_in(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t after,
		    struct campaign_member *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_member, .max = page(max)};
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, state), IS, &state);
	query_where(&q, offsetof(struct campaign_member, position), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_members_count(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t *ret)
{
	struct query q = {.noun = &noun_member};
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, state), IS, &state);
	return v->rows->ops->count(v->rows, &q, ret);
}

int view_members_span(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t first, uint64_t last,
		      uint64_t *ret)
{
	struct query q = {.noun = &noun_member};
	uint64_t     before = first - 1, after = last + 1;
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, state), IS, &state);
	query_where(&q, offsetof(struct campaign_member, position), ABOVE, &before);
	query_where(&q, offsetof(struct campaign_member, position), BELOW, &after);
	return v->rows->ops->count(v->rows, &q, ret);
}

int view_members_newest(struct store_view *v, struct id campaign_id, enum member_state state, struct campaign_member *ret, size_t max,
			size_t *ret_n)
{
	struct query q = {.noun = &noun_member, .max = page(max), .down = true};
	query_where(&q, offsetof(struct campaign_member, campaign_id), IS, &campaign_id);
	query_where(&q, offsetof(struct campaign_member, state), IS, &state);
	return rows_list(v->rows, &q, ret, ret_n);
}
