/* approval_campaign.c - room controller/daemon: what a second person has to see of a campaign that is asked about.
 * Never: deciding. */
#include "controller/daemon/approval_campaign.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/campaign_waves.h"
#include "shared/base/text.h"

enum { PAGE = 500 };

/* Where one certificate of the campaign is. */
struct place {
	char     service[SERVICE_SIZE];
	char     agent[AGENT_NAME_SIZE];
	uint64_t targets;
};

struct places {
	struct place *list;
	size_t        n;
};

/* Nothing was, is or will be done with it. */
static bool left_out(const struct campaign_member *m)
{
	return (m->state == MEMBER_FAILED || m->state == MEMBER_SKIPPED) && id_is_none(m->renewal_id);
}

static int add_place(struct store_view *view, const struct campaign_member *m, struct places *all)
{
	struct place *p = &all->list[all->n];
	int           r = view_targets_count(view, m->cert_id, &p->targets);
	text_cut(p->service, sizeof(p->service), m->service);
	text_cut(p->agent, sizeof(p->agent), m->agent);
	all->n += r == 0;
	return r;
}

static int read_places(struct store_view *view, const struct campaign *c, struct places *ret)
{
	struct campaign_member *rows = calloc(PAGE, sizeof(*rows));
	uint64_t                after = 0;
	size_t                  n = PAGE;
	ret->list = calloc((size_t)c->total + 1, sizeof(*ret->list));
	int r = rows != NULL && ret->list != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_members(view, c->campaign_id, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].position;
			if (!left_out(&rows[i]) && ret->n < c->total)
				r = add_place(view, &rows[i], ret);
		}
	free(rows);
	return r;
}

static int by_agent(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->agent, ((const struct place *)b)->agent);
}

static int by_service(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int                 d = strcmp(x->service, y->service);
	return d != 0 ? d : strcmp(x->agent, y->agent);
}

static json_int_t count_hosts(struct places *all)
{
	json_int_t hosts = 0;
	qsort(all->list, all->n, sizeof(all->list[0]), by_agent);
	for (size_t i = 0; i < all->n; i++) {
		bool again = i > 0 && text_equal(all->list[i].agent, all->list[i - 1].agent);
		hosts += !again && all->list[i].agent[0] != '\0'; /* a certificate by request is on no host */
	}
	return hosts;
}

static json_t *count_services(struct places *all)
{
	json_t *services = json_object();
	qsort(all->list, all->n, sizeof(all->list[0]), by_service);
	for (size_t i = 0, end; i < all->n; i = end) {
		json_int_t hosts = 0, targets = 0;
		for (end = i; end < all->n && text_equal(all->list[end].service, all->list[i].service); end++) {
			bool again = end > i && text_equal(all->list[end].agent, all->list[end - 1].agent);
			hosts += !again && all->list[end].agent[0] != '\0';
			targets += (json_int_t)all->list[end].targets;
		}
		json_object_set_new(
			services, all->list[i].service,
			json_pack("{s:I,s:I,s:I}", "certificates", (json_int_t)(end - i), "hosts", hosts, "targets", targets));
	}
	return services;
}

int approval_campaign_json(struct store_view *view, struct id campaign_id, json_t **ret)
{
	struct campaign c;
	struct places   all = {.n = 0};
	int             r = view_campaign(view, campaign_id, &c);
	if (r == 0)
		r = read_places(view, &c, &all);
	if (r != 0) {
		free(all.list);
		return r;
	}
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(campaign_state_name(c.state)));
	json_object_set_new(o, "total_certificates", json_integer((json_int_t)c.total));
	json_object_set_new(o, "renewed", json_integer((json_int_t)all.n));
	json_object_set_new(o, "hosts", json_integer(count_hosts(&all)));
	json_object_set_new(o, "blast_radius", count_services(&all));
	json_object_set_new(o, "batch", json_integer((json_int_t)c.batch));
	json_object_set_new(o, "waves", json_waves(c.waves, c.canary));
	json_object_set_new(o, "halt_share_percent", json_real((double)c.halt_share / 10));
	json_object_set_new(o, "halt_count", json_integer((json_int_t)c.halt_count));
	json_object_set_new(o, "rollback_on_halt", json_boolean(c.rollback_on_halt));
	json_object_set_new(o, "peer_proof", json_boolean(c.peer_proof));
	if (c.kind == CAMPAIGN_EMERGENCY)
		json_incident(o, &c);
	free(all.list);
	*ret = o;
	return 0;
}
