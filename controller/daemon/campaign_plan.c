/* campaign_plan.c - room controller/daemon: which certificates a campaign means, in which order, and the hash of exactly that.
 * Never: changing anything. */
#include "controller/daemon/campaign_plan.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/campaign_flow.h"
#include "controller/daemon/campaign_empty.h"
#include "controller/daemon/campaign_once.h"
#include "controller/daemon/campaign_waves.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

enum { PAGE = 500, TEXT_MAX = 64 << 20 };

/* A walk over the certificates: what the last one needed is often what the next one needs. */
struct walk {
	struct campaign_plan *p;
	struct store_view    *view;
	struct template template;
	struct agent agent;
	bool         agent_known;
};

/* ---- dependencies ----------------------------------------------------------------------------------------------- */

/* One service with the stage that it belongs to: 0 where it depends on nothing. */
struct stage {
	char     name[SERVICE_SIZE];
	char     depends_on[sizeof(((struct service *)NULL)->depends_on)];
	uint32_t depth;
};

static struct stage *stage_find(struct stage *all, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(all[i].name, name))
			return &all[i];
	return NULL;
}

/* Raises every service above what it depends on. With n services nothing is deeper than n - 1, so a cycle comes to an end, too.
 */
static void stages_raise(struct stage *all, size_t n)
{
	bool moved = true;
	for (size_t round = 0; moved && round < n; round++) {
		moved = false;
		for (size_t i = 0; i < n; i++) {
			const char *cursor = all[i].depends_on;
			char        name[SERVICE_SIZE];
			while (text_item(&cursor, name, sizeof(name))) {
				const struct stage *below = stage_find(all, n, name); /* NULL: it depends on nothing itself */
				uint32_t            depth = below != NULL ? below->depth : 0;
				if (below == &all[i] || depth < all[i].depth)
					continue;
				all[i].depth = depth + 1;
				moved = true;
			}
		}
	}
}

/* The one place where declared dependencies are read: of the services that have any. */
static int stages_read(struct store_view *view, struct stage **ret, size_t *ret_n)
{
	struct service *rows = calloc(PAGE, sizeof(*rows));
	struct stage   *all = NULL;
	char            after[SERVICE_SIZE] = "";
	size_t          n = PAGE, found = 0;
	int             r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_services(view, after, rows, PAGE, &n)) == 0) {
		struct stage *grown = reallocarray(all, found + n + 1, sizeof(*all));
		if (grown == NULL)
			r = E_NOMEM;
		all = grown != NULL ? grown : all;
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), rows[i].name);
			if (rows[i].depends_on[0] == '\0')
				continue;
			all[found].depth = 0;
			text_cut(all[found].name, sizeof(all[found].name), rows[i].name);
			text_cut(all[found++].depends_on, sizeof(all->depends_on), rows[i].depends_on);
		}
	}
	free(rows);
	if (r < 0) {
		free(all);
		return r;
	}
	stages_raise(all, found);
	*ret = all;
	*ret_n = found;
	return 0;
}

/* ---- one certificate -------------------------------------------------------------------------------------------- */

static uint32_t rank_of(const char *priority, const char *service)
{
	const char *cursor = priority;
	char        name[SERVICE_SIZE];
	uint32_t    rank = 0;
	for (; text_item(&cursor, name, sizeof(name)); rank++)
		if (text_equal(name, service))
			break;
	return rank;
}

static struct planned *row_new(struct campaign_plan *p)
{
	if (p->n == CAMPAIGN_MEMBERS_MAX)
		return NULL;
	if (p->n == p->cap) {
		size_t          cap = p->cap == 0 ? 64 : p->cap * 2;
		struct planned *grown = reallocarray(p->rows, cap, sizeof(*grown));
		if (grown == NULL)
			return NULL;
		p->rows = grown;
		p->cap = cap;
	}
	struct planned *row = &p->rows[p->n++];
	*row = (struct planned){.state = MEMBER_WAITING};
	return row;
}

static int too_large(struct campaign_plan *p)
{
	return refuse(&p->why, E_CAMPAIGN_LARGE, "selection", "more than %d certificates", CAMPAIGN_MEMBERS_MAX);
}

static bool signs_code(struct walk *w, const struct certificate *c)
{
	if (!text_equal(w->template.template_id, c->template_id) && view_template(w->view, c->template_id, 0, &w->template) < 0)
		w->template = (struct template){0};
	return w->template.purpose == PURPOSE_CODE_SIGNING && text_equal(w->template.template_id, c->template_id);
}

/* A banned host is no reason to leave out what it had: it is what the campaign is about. */
static int agent_code(struct walk *w, const struct certificate *c)
{
	static const int codes[AGENT_STATE_COUNT] = {[AGENT_ACTIVE] = 0,
						     [AGENT_EVICTED] = E_AGENT_EVICTED,
						     [AGENT_BANNED] = E_AGENT_BANNED,
						     [AGENT_REMOVED] = E_ORDER_NO_AGENT};
	if (c->agent[0] == '\0')
		return E_ORDER_NO_AGENT;
	if (!w->agent_known || !text_equal(w->agent.name, c->agent))
		w->agent_known = view_agent(w->view, c->agent, &w->agent) == 0;
	int  code = w->agent_known ? codes[w->agent.state] : E_ORDER_NO_AGENT;
	bool bans = w->p->request.incident == INCIDENT_HOST_COMPROMISE;
	if (bans && w->agent_known && !rights_service(&w->p->request.by, w->agent.service))
		return E_RIGHTS_LIMIT; /* it would end a host that the caller may not ban */
	return code == E_AGENT_BANNED && bans ? 0 : code;
}

/* Why nothing can be ordered for it; 0 = it can. */
static int obstacle(struct walk *w, const struct certificate *c)
{
	if (c->revoked_at != 0)
		return E_ORDER_REVOKED;
	if (c->retired_at != 0)
		return E_ORDER_RETIRED;
	if (c->suspended_at != 0)
		return E_ORDER_SUSPENDED;
	if (!c->approved)
		return E_POLICY_APPROVAL;
	if (serial_is_none(c->serial))
		return E_REVOKE_NOT_ISSUED;
	return agent_code(w, c);
}

static int take(struct walk *w, const struct certificate *c)
{
	struct planned *row = row_new(w->p);
	if (row == NULL)
		return too_large(w->p);
	text_cut(row->cert_id, sizeof(row->cert_id), c->cert_id);
	text_cut(row->service, sizeof(row->service), c->service);
	text_cut(row->agent, sizeof(row->agent), c->agent);
	text_cut(row->template_id, sizeof(row->template_id), c->template_id);
	row->signs_code = signs_code(w, c);
	row->fits = campaign_waves_fit(&w->p->request, c, w->p->domain);
	row->code = obstacle(w, c);
	if (row->code == 0 && row->signs_code && w->p->request.kind == CAMPAIGN_DRILL)
		row->code = E_DRILL_CODE;
	/* a key that was brought by a person is renewed by that person; only in an emergency somebody has to be told */
	bool by_request = c->agent[0] == '\0' && w->p->request.kind != CAMPAIGN_EMERGENCY;
	if (row->code != 0)
		row->state = row->code == E_ORDER_SUSPENDED || row->code == E_DRILL_CODE || by_request ? MEMBER_SKIPPED : MEMBER_FAILED;
	return row->code == 0 ? plan_outlook_take(w->p, w->view, c, &row->targets) : 0;
}

static bool is_meant(struct walk *w, const struct certificate *c)
{
	const struct campaign_request *q = &w->p->request;
	bool                           over = c->revoked_at != 0 || c->retired_at != 0 || serial_is_none(c->serial);
	return !over && rights_service(&q->by, c->service) && selector_matches(&q->selector, c, signs_code(w, c), w->p->domain);
}

/* ---- the selection ---------------------------------------------------------------------------------------------- */

static int select_ids(struct walk *w)
{
	const struct campaign_request *q = &w->p->request;
	struct certificate             c;
	int                            r = 0;
	for (size_t i = 0; r == 0 && i < q->n_ids; i++) {
		r = view_certificate(w->view, q->ids[i], &c);
		if (r == 0 && !selector_matches(&q->selector, &c, signs_code(w, &c), w->p->domain))
			continue; /* of another type than the one asked for */
		if (r == 0 && rights_service(&q->by, c.service)) {
			r = take(w, &c);
		} else if (r == 0 || r == E_NOT_FOUND) { /* also of a service that is not the caller's */
			struct planned *row = row_new(w->p);
			r = row != NULL ? 0 : too_large(w->p);
			if (row == NULL)
				break;
			text_cut(row->cert_id, sizeof(row->cert_id), q->ids[i]);
			row->state = MEMBER_FAILED;
			row->code = E_CAMPAIGN_UNKNOWN;
		}
	}
	return r;
}

static int select_scan(struct walk *w, const struct cert_filter *filter, bool all)
{
	struct certificate *page = calloc(PAGE, sizeof(*page));
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	int                 r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE) {
		r = view_certificates(w->view, filter, after, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			if (is_meant(w, &page[i]) ||
			    (all && rights_service(&w->p->request.by, page[i].service) && page[i].retired_at == 0 &&
			     page[i].revoked_at == 0 && !serial_is_none(page[i].serial)))
				r = take(w, &page[i]);
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), page[n - 1].cert_id);
	}
	free(page);
	return r;
}

static int by_agent(const void *a, const void *b)
{
	return strcmp(((const struct planned *)a)->agent, ((const struct planned *)b)->agent);
}

static int by_cert_id(const void *a, const void *b)
{
	return strcmp(((const struct planned *)a)->cert_id, ((const struct planned *)b)->cert_id);
}

/* Doubles are one. */
static void make_unique(struct campaign_plan *p)
{
	size_t n = 0;
	if (p->n == 0)
		return;
	qsort(p->rows, p->n, sizeof(p->rows[0]), by_cert_id);
	for (size_t i = 1; i < p->n; i++)
		if (strcmp(p->rows[n].cert_id, p->rows[i].cert_id) != 0)
			p->rows[++n] = p->rows[i];
	p->n = n + 1;
}

/* Whoever had the host had every key on it: the selection grows to all of its certificates. */
static int add_whole_hosts(struct walk *w)
{
	struct campaign_plan *p = w->p;
	size_t                n = p->n;
	char                  done[AGENT_NAME_SIZE] = "";
	if (n == 0)
		return 0;
	qsort(p->rows, n, sizeof(p->rows[0]), by_agent);
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (text_equal(p->rows[i].agent, done)) /* also where there is no host */
			continue;
		text_cut(done, sizeof(done), p->rows[i].agent);
		struct cert_filter filter = {.agent = done, .now = p->now};
		r = select_scan(w, &filter, true);
	}
	return r;
}

static int select_all(struct walk *w)
{
	const struct campaign_request *q = &w->p->request;
	struct cert_filter filter = {.now = w->p->now, .template_id = q->selector.type[0] != '\0' ? q->selector.type : NULL};
	switch (q->selector.kind) {
	case SELECT_IDS:
		return select_ids(w);
	case SELECT_SERVICE:
		filter.service = q->selector.value;
		break;
	case SELECT_AGENT:
		filter.agent = q->selector.value;
		break;
	case SELECT_TEMPLATE:
		filter.template_id = q->selector.value;
		break;
	default:
		break;
	}
	return select_scan(w, &filter, false);
}

/* ---- order and hash --------------------------------------------------------------------------------------------- */

static int by_turn(const void *a, const void *b)
{
	const struct planned *x = a, *y = b;
	if (x->stage != y->stage)
		return x->stage < y->stage ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	int d = strcmp(x->service, y->service);
	return d != 0 ? d : strcmp(x->cert_id, y->cert_id);
}

static int put_in_turn(struct campaign_plan *p, struct store_view *view)
{
	struct stage *stages = NULL;
	size_t        n_stages = 0;
	int           r = stages_read(view, &stages, &n_stages);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->n; i++) {
		const struct stage *s = stage_find(stages, n_stages, p->rows[i].service);
		p->rows[i].stage = s != NULL ? s->depth : 0;
		p->rows[i].rank = rank_of(p->priority, p->rows[i].service);
	}
	free(stages);
	if (p->n > 0)
		qsort(p->rows, p->n, sizeof(p->rows[0]), by_turn);
	return 0;
}

/* A certificate of no service belongs to nobody who is limited to some: it counts as more than can be named. */
static void name_service(struct campaign_plan *p, const struct planned *row)
{
	size_t n = strlen(p->services), len = strlen(row->service);
	if (row->code == E_CAMPAIGN_UNKNOWN || text_equal(p->services, "*"))
		return;
	if (len == 0 || n + len + 2 > sizeof(p->services)) {
		text_cut(p->services, sizeof(p->services), "*");
		return;
	}
	if (n > 0)
		p->services[n++] = ',';
	memcpy(p->services + n, row->service, len + 1);
}

static void sum_up(struct campaign_plan *p)
{
	char last[SERVICE_SIZE] = "";
	for (size_t i = 0; i < p->n; i++) {
		const struct planned *row = &p->rows[i];
		p->by_state[row->state]++;
		p->signs_code |= row->signs_code && row->state == MEMBER_WAITING;
		if (i == 0 || row->stage != p->rows[i - 1].stage)
			p->stages++;
		if (i == 0 || row->service[0] == '\0' || !text_equal(last, row->service))
			name_service(p, row); /* rows come by service within a stage, and a service is in one stage */
		text_cut(last, sizeof(last), row->service);
	}
	p->limit = campaign_flow_limit(p->certificates, p->share);
}

/* Of everything that says what will be done, and to what. */
static int make_content_hash(struct campaign_plan *p)
{
	const struct campaign_request *q = &p->request;
	struct buf                     text = BUF_MAX(TEXT_MAX);
	buf_add_fmt(&text, "%s\n%s\n%s\n%d\n%s\n%lld\n%lld\n%s", campaign_kind_name(q->kind), trigger_name(q->trigger),
		    incident_type_name(q->incident), q->fresh_keys, revoke_old_name(q->revoke_old),
		    (long long)q->revoke_after_ms, (long long)q->invalidity_at, q->peer_proof ? "peer proof\n" : "");
	if (q->gives_way[0] != '\0')
		buf_add_fmt(&text, "%s\n", q->gives_way);
	campaign_waves_hash(q, &text);
	for (size_t i = 0; i < p->n; i++)
		buf_add_fmt(&text, "%s %s %u %u %s %u %s %s\n", p->rows[i].cert_id, member_state_name(p->rows[i].state), p->rows[i].stage,
			    p->rows[i].wave, p->rows[i].agent, p->rows[i].targets, p->rows[i].service, p->rows[i].template_id);
	int r = buf_error(&text);
	if (r == 0)
		digest_sha256(buf_span(&text), &p->content_hash);
	buf_free(&text);
	return r;
}

/* It may have been applied between the first look and the last row, and be another one just because of that. */
static int refuse_other_plan(struct campaign_plan *p, struct store_view *view)
{
	int r = campaign_once_applied(p, view);
	return r != 0 ? r : refuse(&p->why, E_CAMPAIGN_PLAN_STALE, "plan_hash",
				   "it means %zu certificates now, of which %u would be renewed; options have to be those of the plan, too", p->n,
				   (unsigned)p->by_state[MEMBER_WAITING]);
}

void campaign_plan_make(struct campaign_plan *p, struct store_view *view)
{
	struct walk *w = calloc(1, sizeof(*w)); /* large rows */
	uint64_t     agents, orders;
	p->code = w != NULL ? 0 : E_NOMEM;
	if (w != NULL) {
		w->p = p;
		w->view = view;
		p->code = campaign_once_applied(p, view);
	}
	if (p->code == 0)
		p->code = select_all(w);
	if (p->code == 0 && p->request.incident == INCIDENT_HOST_COMPROMISE)
		p->code = add_whole_hosts(w);
	free(w);
	if (p->code == 0)
		p->code = view_counts(view, p->now, &p->certificates, &agents, &orders);
	if (p->code == 0) {
		make_unique(p);
		bool may_be = p->request.gives_way[0] != '\0'; /* a CA gives way whatever hangs on it */
		p->code = p->n == 0 && !may_be ? campaign_empty_why(p, view) : 0;
	}
	if (p->code == 0) {
		p->code = put_in_turn(p, view);
	}
	if (p->code == 0) {
		sum_up(p);
		p->code = campaign_waves_cut(p);
	}
	if (p->code == 0)
		p->code = plan_outlook_make(p, view);
	if (p->code == 0)
		p->code = make_content_hash(p);
	if (p->code == 0)
		p->code = campaign_once_hash(p, view);
	if (p->code == 0 && p->signs_code && p->request.incident == INCIDENT_KEY_COMPROMISE && p->request.invalidity_at == 0)
		p->code = refuse(&p->why, E_CAMPAIGN_INVALIDITY, "invalidity_date", "the selection holds a code-signing key");
	if (p->code == 0 && p->request.as_planned && !hash_equal(p->request.plan_hash, p->hash))
		p->code = refuse_other_plan(p, view);
	if (p->code != 0 && p->why.code != p->code)
		refuse(&p->why, p->code, "plan", "%s", err_what(p->code));
}

bool campaign_plan_all_at_once(const struct campaign_request *q)
{
	return q->kind == CAMPAIGN_EMERGENCY || q->kind == CAMPAIGN_DRILL || q->trigger == TRIGGER_EMERGENCY;
}

void campaign_plan_free(struct campaign_plan *p)
{
	plan_outlook_free(&p->outlook);
	free(p->request.ids);
	free(p->rows);
	free(p);
}

/* ---- shown ------------------------------------------------------------------------------------------------------ */

void campaign_plan_selector(const struct campaign_request *q, char ret[CAMPAIGN_TEXT_SIZE])
{
	const struct selector *s = &q->selector;
	char                   text[sizeof(s->value) + sizeof(s->type) + 40];
	if (s->kind == SELECT_ALL)
		snprintf(text, sizeof(text), "everything");
	else if (s->kind == SELECT_IDS)
		snprintf(text, sizeof(text), "%zu named", q->n_ids);
	else
		snprintf(text, sizeof(text), "%s %s", selector_kind_name(s->kind), s->value);
	if (s->type[0] != '\0') {
		size_t n = strlen(text);
		snprintf(text + n, sizeof(text) - n, ", type %s", s->type);
	}
	text_cut(ret, CAMPAIGN_TEXT_SIZE, text);
}
