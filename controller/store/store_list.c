/* store_list.c - room controller/store: lists, by keyset pages. Each query has its index in schema/.
 * Never: writing, SQL. */
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_front.h"

static size_t page(size_t max)
{
	return max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
}

/* Not removed: in use, or retired with an issuance that still counts. */
static void where_not_removed(struct query *q, const int64_t *now)
{
	query_either(q, offsetof(struct certificate, retired_at), NONE, NULL);
	query_where(q, offsetof(struct certificate, not_after_at), ABOVE, now);
	query_either(q, offsetof(struct certificate, retired_at), NONE, NULL);
	query_where(q, offsetof(struct certificate, revoked_at), NONE, NULL);
}

int view_certificates(struct store_view *v, const struct cert_filter *f, const char *after, struct certificate *ret, size_t max,
                      size_t *ret_n)
{
	struct query  q = {.noun = &noun_certificate, .max = page(max)};
	const int64_t last = f->expires_before_at - 1;
	query_where(&q, offsetof(struct certificate, cert_id), ABOVE, after);
	if (f->service != NULL)
		query_where(&q, offsetof(struct certificate, service), IS, f->service);
	if (f->agent != NULL)
		query_where(&q, offsetof(struct certificate, agent), IS, f->agent);
	if (f->template_id != NULL)
		query_where(&q, offsetof(struct certificate, template_id), IS, f->template_id);
	if (f->expires_before_at != 0)
		query_where(&q, offsetof(struct certificate, not_after_at), AT_MOST, &last);
	if (!f->with_removed)
		where_not_removed(&q, &f->now);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_alerts_due(struct store_view *v, int64_t now, struct certificate *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_certificate, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct certificate, alert_at));
	query_where(&q, offsetof(struct certificate, alert_at), AT_MOST, &now);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_due(struct store_view *v, int64_t now, struct certificate *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_certificate, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct certificate, renew_at));
	query_where(&q, offsetof(struct certificate, renew_at), AT_MOST, &now);
	query_where(&q, offsetof(struct certificate, open_order), NONE, NULL);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_agents(struct store_view *v, const char *after, struct agent *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_agent, .max = page(max)};
	query_where(&q, offsetof(struct agent, name), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_invites(struct store_view *v, struct id after, struct invite *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_invite, .max = page(max)};
	query_where(&q, offsetof(struct invite, invite_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_targets(struct store_view *v, const char *agent, const char *after, struct target *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_target, .max = page(max)};
	query_where(&q, offsetof(struct target, target_id), ABOVE, after);
	if (agent != NULL)
		query_where(&q, offsetof(struct target, agent), IS, agent);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_targets_of(struct store_view *v, const char *cert_id, struct target *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_target, .max = page(max)};
	query_where(&q, offsetof(struct target, cert_id), IS, cert_id);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_targets_count(struct store_view *v, const char *cert_id, uint64_t *ret)
{
	struct query q = {.noun = &noun_target};
	query_where(&q, offsetof(struct target, cert_id), IS, cert_id);
	return v->rows->ops->count(v->rows, &q, ret);
}

int view_listeners(struct store_view *v, const char *agent, const char *after, struct inventory_listener *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_listener, .max = page(max)};
	query_where(&q, offsetof(struct inventory_listener, agent), IS, agent);
	query_where(&q, offsetof(struct inventory_listener, address), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_templates(struct store_view *v, const char *after, struct template *ret, size_t max, size_t *ret_n)
{
	size_t      n = 0;
	const char *last = after;
	while (n < page(max)) { /* one step per template: its first version names it, then its current one */
		struct query q = {.noun = &noun_template};
		query_where(&q, offsetof(struct template, template_id), ABOVE, last);
		int r = rows_first(v->rows, &q, &ret[n]);
		if (r == E_NOT_FOUND)
			break;
		if (r == 0) {
			char id[TEMPLATE_ID_SIZE];
			memcpy(id, ret[n].template_id, sizeof(id));
			r = view_template(v, id, 0, &ret[n]);
		}
		if (r < 0)
			return r;
		last = ret[n++].template_id;
	}
	*ret_n = n;
	return 0;
}

int view_issuers(struct store_view *v, const char *after, struct issuer *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_issuer, .max = page(max)};
	query_where(&q, offsetof(struct issuer, issuer_id), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_peers_of(struct store_view *v, const char *cert_id, const char *after, struct peer *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_peer, .max = page(max)};
	query_where(&q, offsetof(struct peer, cert_id), IS, cert_id);
	query_where(&q, offsetof(struct peer, agent), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_peers_by(struct store_view *v, const char *agent, struct peer *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_peer, .max = page(max)};
	query_where(&q, offsetof(struct peer, agent), IS, agent);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_rollovers(struct store_view *v, const char *after, struct rollover *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_rollover, .max = page(max)};
	query_where(&q, offsetof(struct rollover, issuer_id), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_principals(struct store_view *v, const char *after, struct principal *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_principal, .max = page(max)};
	query_where(&q, offsetof(struct principal, name), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_tokens(struct store_view *v, const char *principal, struct id after, struct token *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_token, .max = page(max)};
	if (principal != NULL)
		query_where(&q, offsetof(struct token, principal), IS, principal);
	query_where(&q, offsetof(struct token, token_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_approvals(struct store_view *v, bool waiting, struct id before, struct approval *ret, size_t max, size_t *ret_n)
{
	static const enum approval_state undecided = APPROVAL_WAITING;
	struct query                     q = {.noun = &noun_approval, .max = page(max), .down = true};
	if (waiting)
		query_where(&q, offsetof(struct approval, state), IS, &undecided);
	if (!id_is_none(before))
		query_where(&q, offsetof(struct approval, approval_id), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_approvals_of(struct store_view *v, const char *object, struct id before, struct approval *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_approval, .max = page(max), .down = true};
	query_where(&q, offsetof(struct approval, object), IS, object);
	if (!id_is_none(before))
		query_where(&q, offsetof(struct approval, approval_id), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_services(struct store_view *v, const char *after, struct service *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_service, .max = page(max)};
	query_where(&q, offsetof(struct service, name), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

/* In the order of the enum, as the partial index of the schema spells it. */
static const enum order_phase final_phases[] = {ORDER_COMPLETED, ORDER_FAILED, ORDER_ROLLED_BACK, ORDER_CANCELLED};

static void where_not_final(struct query *q)
{
	for (size_t i = 0; i < N_ELEMENTS(final_phases); i++)
		query_where(q, offsetof(struct order, phase), IS_NOT, &final_phases[i]);
}

int view_orders_open(struct store_view *v, struct id after, struct order *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_order, .max = page(max)};
	where_not_final(&q);
	query_where(&q, offsetof(struct order, renewal_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_orders(struct store_view *v, const char *cert_id, struct id before, struct order *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_order, .max = page(max), .down = true};
	if (cert_id != NULL)
		query_where(&q, offsetof(struct order, cert_id), IS, cert_id);
	if (!id_is_none(before))
		query_where(&q, offsetof(struct order, renewal_id), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_orders_paused(struct store_view *v, struct id after, struct order *ret, size_t max, size_t *ret_n)
{
	static const enum order_phase paused = ORDER_PAUSED;
	struct query                  q = {.noun = &noun_order, .max = page(max)};
	query_where(&q, offsetof(struct order, phase), IS, &paused);
	query_where(&q, offsetof(struct order, renewal_id), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_policy_walks(struct store_view *v, const char *after, struct policy_walk *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_walk, .max = page(max)};
	query_where(&q, offsetof(struct policy_walk, object), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

struct receipts {
	struct receipt_row *to;
	size_t              n;
};

static int copy_receipt(void *ctx, const void *row)
{
	struct receipts *l = ctx;
	l->to[l->n] = *(const struct receipt_row *)row;
	l->to[l->n++].body = (struct span){NULL, 0};
	return 0;
}

int view_receipts(struct store_view *v, struct id renewal_id, struct receipt_row *ret, size_t max, size_t *ret_n)
{
	struct receipts receipts = {.to = ret};
	struct query    q = {.noun = &noun_receipt, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct receipt_row, stored_at));
	query_where(&q, offsetof(struct receipt_row, renewal_id), IS, &renewal_id);
	int r = rows_find(v->rows, &q, copy_receipt, &receipts);
	if (r < 0)
		return r;
	*ret_n = receipts.n;
	return 0;
}

/* Rows with the same end as the last one, then later ends: two walks along the index. */
static int ended(struct store_view *v, const struct noun *noun, size_t by, size_t key, int64_t end, int64_t at, const void *after,
                 void *ret, size_t max, size_t *ret_n)
{
	struct query same = {.noun = noun, .max = page(max)}, later = {.noun = noun};
	size_t       n = 0, more = 0;
	same.by = later.by = noun_column(noun, by);
	query_where(&same, by, IS, &at);
	query_where(&same, key, ABOVE, after);
	int r = at != 0 && at <= end ? rows_list(v->rows, &same, ret, &n) : 0;
	later.max = page(max) - n;
	query_where(&later, by, ABOVE, &at);
	query_where(&later, by, AT_MOST, &end);
	if (r == 0 && later.max > 0)
		r = rows_list(v->rows, &later, (uint8_t *)ret + n * noun->size, &more);
	if (r == 0)
		*ret_n = n + more;
	return r;
}

int view_issuances_ended(struct store_view *v, int64_t end, int64_t at, struct serial after, struct issuance *ret, size_t max,
                         size_t *ret_n)
{
	return ended(v, &noun_issuance, offsetof(struct issuance, not_after_at), offsetof(struct issuance, serial), end, at, &after, ret, max,
	             ret_n);
}

int view_orders_ended(struct store_view *v, int64_t end, int64_t at, struct id after, struct order *ret, size_t max, size_t *ret_n)
{
	return ended(v, &noun_order, offsetof(struct order, completed_at), offsetof(struct order, renewal_id), end, at, &after, ret, max, ret_n);
}

int view_notices_by_last(struct store_view *v, int64_t end, int64_t at, struct id after, struct notice *ret, size_t max, size_t *ret_n)
{
	return ended(v, &noun_notice, offsetof(struct notice, last_at), offsetof(struct notice, notice_id), end, at, &after, ret, max, ret_n);
}

int view_receipts_of_care(struct store_view *v, int64_t end, struct receipt_row *ret, size_t max, size_t *ret_n)
{
	struct receipts receipts = {.to = ret};
	struct query    q = {.noun = &noun_receipt, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct receipt_row, stored_at));
	query_where(&q, offsetof(struct receipt_row, renewal_id), NONE, NULL);
	query_where(&q, offsetof(struct receipt_row, stored_at), AT_MOST, &end);
	int r = rows_find(v->rows, &q, copy_receipt, &receipts);
	if (r < 0)
		return r;
	*ret_n = receipts.n;
	return 0;
}

int view_issuances(struct store_view *v, enum issuance_owner owner, const char *owner_id, struct serial after, struct issuance *ret,
                   size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_issuance, .max = page(max)};
	query_where(&q, offsetof(struct issuance, owner), IS, &owner);
	query_where(&q, offsetof(struct issuance, owner_id), IS, owner_id);
	query_where(&q, offsetof(struct issuance, serial), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

void key_use_add(struct key_use *use, const struct issuance *i, const char *cert_id, struct id renewal_id)
{
	bool mine = i->owner == OWNER_CERTIFICATE && strcmp(i->owner_id, cert_id) == 0;
	bool gone = i->state == ISSUANCE_REVOKED || i->revoke_asked_at != 0;
	if (i->state == ISSUANCE_VOID)
		return;
	use->compromised |= gone && i->revoke_reason == REASON_KEY_COMPROMISE;
	use->elsewhere |= !mine;
	use->before |= mine && !id_equal(i->renewal_id, renewal_id);
}

struct key_search {
	struct key_use *use;
	const char     *cert_id;
	struct id       renewal_id;
	struct serial   last;
	size_t          n;
};

static int add_use(void *ctx, const void *row)
{
	struct key_search     *s = ctx;
	const struct issuance *i = row;
	key_use_add(s->use, i, s->cert_id, s->renewal_id);
	s->last = i->serial;
	s->n++;
	return 0;
}

int view_key_use(struct store_view *v, struct hash spki_hash, const char *cert_id, struct id renewal_id, struct key_use *ret)
{
	struct key_use    use = {.before = false};
	struct key_search s = {.use = &use, .cert_id = cert_id, .renewal_id = renewal_id, .n = STORE_LIST_MAX};
	while (s.n == STORE_LIST_MAX) { /* a key may be renewed by request as often as somebody likes */
		struct serial after = s.last;
		struct query  q = {.noun = &noun_issuance, .max = STORE_LIST_MAX};
		query_where(&q, offsetof(struct issuance, spki_hash), IS, &spki_hash);
		query_where(&q, offsetof(struct issuance, serial), ABOVE, &after);
		s.n = 0;
		int r = rows_find(v->rows, &q, add_use, &s);
		if (r < 0)
			return r;
	}
	*ret = use;
	return 0;
}

int view_live_issuances(struct store_view *v, const char *issuer_id, int64_t now, struct serial after, struct issuance *ret, size_t max, size_t *ret_n)
{
	static const enum issuance_state gone[] = {ISSUANCE_INTENT, ISSUANCE_VOID, ISSUANCE_REVOKED};
	struct query                     q = {.noun = &noun_issuance, .max = page(max)};
	query_where(&q, offsetof(struct issuance, issuer_id), IS, issuer_id);
	query_where(&q, offsetof(struct issuance, serial), ABOVE, &after);
	query_where(&q, offsetof(struct issuance, not_after_at), ABOVE, &now);
	for (size_t i = 0; i < N_ELEMENTS(gone); i++)
		query_where(&q, offsetof(struct issuance, state), IS_NOT, &gone[i]);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_intents(struct store_view *v, struct serial after, struct issuance *ret, size_t max, size_t *ret_n)
{
	static const enum issuance_state intent = ISSUANCE_INTENT;
	struct query                     q = {.noun = &noun_issuance, .max = page(max)};
	query_where(&q, offsetof(struct issuance, state), IS, &intent);
	query_where(&q, offsetof(struct issuance, serial), ABOVE, &after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_signed_above(struct store_view *v, uint64_t above, uint64_t *ret_counter)
{
	uint8_t         last[SERIAL_RANDOM];
	struct issuance top;
	struct query    q = {.noun = &noun_issuance, .down = true};
	memset(last, 0xff, sizeof(last));
	struct serial from = serial_make(above, last);
	query_where(&q, offsetof(struct issuance, serial), ABOVE, &from);
	query_where(&q, offsetof(struct issuance, fingerprint), SOME, NULL);
	int r = rows_first(v->rows, &q, &top);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	*ret_counter = r == 0 ? serial_counter(top.serial) : 0;
	return 0;
}

int view_supersede_due(struct store_view *v, int64_t now, struct issuance *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_issuance, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct issuance, supersede_at));
	query_where(&q, offsetof(struct issuance, supersede_at), AT_MOST, &now);
	query_where(&q, offsetof(struct issuance, revoked_at), NONE, NULL);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_audit(struct store_view *v, uint64_t from, struct audit *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_audit, .max = page(max)};
	uint64_t     before = from - 1;
	if (from > 0)
		query_where(&q, offsetof(struct audit, seq), ABOVE, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

static void where_active(struct query *q)
{
	static const enum agent_state active = AGENT_ACTIVE;
	*q = (struct query){.noun = &noun_agent};
	query_where(q, offsetof(struct agent, state), IS, &active);
}

int view_agents_active(struct store_view *v, uint64_t *ret)
{
	struct query q;
	where_active(&q);
	return v->rows->ops->count(v->rows, &q, ret);
}

int view_counts(struct store_view *v, int64_t now, uint64_t *ret_certificates, uint64_t *ret_agents, uint64_t *ret_open_orders)
{
	static const enum order_phase paused = ORDER_PAUSED;
	uint64_t                      all, removed, agents, open;
	struct query                  every = {.noun = &noun_certificate};
	struct query                  gone = {.noun = &noun_certificate}; /* few: cheaper to count than those in use */
	query_where(&gone, offsetof(struct certificate, retired_at), SOME, NULL);
	query_either(&gone, offsetof(struct certificate, not_after_at), AT_MOST, &now);
	query_where(&gone, offsetof(struct certificate, revoked_at), SOME, NULL);
	struct query agent;
	where_active(&agent);
	struct query order = {.noun = &noun_order};
	where_not_final(&order);
	query_where(&order, offsetof(struct order, phase), IS_NOT, &paused);

	const struct {
		const struct query *q;
		uint64_t           *ret;
	} counts[] = {{&every, &all}, {&gone, &removed}, {&agent, &agents}, {&order, &open}};
	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		int r = v->rows->ops->count(v->rows, counts[i].q, counts[i].ret);
		if (r != 0)
			return r;
	}
	*ret_certificates = all > removed ? all - removed : 0;
	*ret_agents = agents;
	*ret_open_orders = open;
	return 0;
}

struct messages {
	struct outbox_row *to;
	size_t             n;
};

static int copy_message(void *ctx, const void *row)
{
	struct messages          *m = ctx;
	const struct message_row *from = row;
	struct outbox_row        *to = &m->to[m->n];
	if (from->frame.n > sizeof(to->frame))
		return E_STORE_DAMAGED;
	to->message_id = from->message_id;
	to->renewal_id = from->renewal_id;
	to->type = from->type;
	to->n = from->frame.n;
	if (from->frame.n > 0)
		memcpy(to->frame, from->frame.p, from->frame.n);
	m->n++;
	return 0;
}

int view_outbox(struct store_view *v, const char *agent, uint64_t after, struct outbox_row *ret, size_t max, size_t *ret_n)
{
	struct messages messages = {.to = ret};
	struct query    q = {.noun = &noun_message, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct message_row, message_id));
	query_where(&q, offsetof(struct message_row, agent), IS, agent);
	query_where(&q, offsetof(struct message_row, message_id), ABOVE, &after);
	int r = rows_find(v->rows, &q, copy_message, &messages);
	if (r < 0)
		return r;
	*ret_n = messages.n;
	return 0;
}

struct revoked {
	struct revoked_row *to;
	size_t              n;
};

static int copy_revoked(void *ctx, const void *row)
{
	struct revoked        *l = ctx;
	const struct issuance *i = row;
	bool                   held = i->state != ISSUANCE_REVOKED;
	l->to[l->n++] = (struct revoked_row){i->serial, held ? i->held_at : i->revoked_at, held ? REASON_HOLD : i->revoke_reason,
				              held ? 0 : i->invalidity_at};
	return 0;
}

/* Each kind has its own index, so it is asked for by itself. */
static int list_kind(struct store_view *v, bool held, const char *issuer_id, uint32_t shard, int64_t since, struct serial after, size_t max,
                     struct revoked *list)
{
	static const enum issuance_state revoked = ISSUANCE_REVOKED;
	struct query                     q = {.noun = &noun_issuance, .max = max};
	query_where(&q, offsetof(struct issuance, state), held ? IS_NOT : IS, &revoked);
	if (held)
		query_where(&q, offsetof(struct issuance, held_at), SOME, NULL);
	query_where(&q, offsetof(struct issuance, issuer_id), IS, issuer_id);
	query_where(&q, offsetof(struct issuance, crl_shard), IS, &shard);
	query_where(&q, offsetof(struct issuance, serial), ABOVE, &after);
	query_where(&q, offsetof(struct issuance, not_after_at), ABOVE, &since);
	return rows_find(v->rows, &q, copy_revoked, list);
}

/* The first `max` of both, which are sorted. */
static size_t merge(const struct revoked *a, const struct revoked *b, struct revoked_row *ret, size_t max)
{
	size_t n = 0, x = 0, y = 0;
	while (n < max && (x < a->n || y < b->n)) {
		bool from_a = y == b->n || (x < a->n && memcmp(&a->to[x].serial, &b->to[y].serial, sizeof(a->to[x].serial)) < 0);
		ret[n++] = from_a ? a->to[x++] : b->to[y++];
	}
	return n;
}

int view_revoked(struct store_view *v, const char *issuer_id, uint32_t shard, int64_t since, struct serial after,
                 struct revoked_row *ret, size_t max, size_t *ret_n)
{
	struct revoked revoked = {.to = calloc(max + 1, sizeof(*ret))}, held = {.to = calloc(max + 1, sizeof(*ret))};
	int            r = revoked.to != NULL && held.to != NULL ? 0 : E_NOMEM;
	if (r == 0)
		r = list_kind(v, false, issuer_id, shard, since, after, max, &revoked);
	if (r == 0)
		r = list_kind(v, true, issuer_id, shard, since, after, max, &held);
	if (r == 0)
		*ret_n = merge(&revoked, &held, ret, max);
	free(revoked.to);
	free(held.to);
	return r;
}

int view_shards(struct store_view *v, const char *issuer_id, int64_t now, uint32_t *ret, size_t max, size_t *ret_n)
{
	static const enum issuance_state void_state = ISSUANCE_VOID;
	size_t                           n = 0;
	while (n < max) { /* one step per shard */
		struct issuance first;
		struct query    q = {.noun = &noun_issuance};
		q.by = noun_column(q.noun, offsetof(struct issuance, crl_shard));
		query_where(&q, offsetof(struct issuance, issuer_id), IS, issuer_id);
		if (n > 0)
			query_where(&q, offsetof(struct issuance, crl_shard), ABOVE, &ret[n - 1]);
		query_where(&q, offsetof(struct issuance, not_after_at), ABOVE, &now);
		query_where(&q, offsetof(struct issuance, state), IS_NOT, &void_state);
		int r = rows_first(v->rows, &q, &first);
		if (r == E_NOT_FOUND)
			break;
		if (r < 0)
			return r;
		ret[n++] = first.crl_shard;
	}
	*ret_n = n;
	return 0;
}
