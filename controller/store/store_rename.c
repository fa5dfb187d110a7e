/* store_rename.c - room controller/store: an agent gets another name: every row that means the host follows in one change.
 * What tells of the past keeps the old name: audit, receipts, members of campaigns that are over. Never: a cert_id that
 * changes. */
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_front.h"
#include "shared/base/text.h"

enum { PAGE = 50 };

struct renaming {
	struct apply             *a;
	const struct former_name *to;   /* name = the old one, agent = the new one */
	uint8_t                  *page; /* PAGE rows of the largest noun */
};

/* A row whose key holds the name, or is made of it, is another row afterwards. */
typedef void change_fn(const struct renaming *r, void *row);

static int move_row(const struct renaming *r, const struct noun *noun, void *row, change_fn *change, bool rekeyed)
{
	const struct rows_ops *ops = r->a->rows->ops;
	int                    code = rekeyed ? ops->remove(r->a->rows, noun, row) : 0;
	if (code < 0)
		return code;
	change(r, row);
	return rekeyed ? ops->add(r->a->rows, noun, row) : ops->replace(r->a->rows, noun, row);
}

/* What was changed is not found again, so each round begins anew. */
static int move_found(const struct renaming *r, struct query *q, change_fn *change, bool rekeyed)
{
	size_t n = PAGE;
	int    code = 0;
	q->max = PAGE;
	while (code == 0 && n == PAGE) {
		code = rows_list(r->a->rows, q, r->page, &n);
		for (size_t i = 0; code == 0 && i < n; i++)
			code = move_row(r, q->noun, r->page + i * q->noun->size, change, rekeyed);
	}
	return code;
}

static void name_certificate(const struct renaming *r, void *row)
{
	struct certificate *c = row;
	memcpy(c->agent, r->to->agent, sizeof(c->agent));
	c->version++;
}

static void name_order(const struct renaming *r, void *row)
{
	memcpy(((struct order *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_identity(const struct renaming *r, void *row)
{
	struct issuance *i = row;
	text_cut(i->owner_id, sizeof(i->owner_id), r->to->agent);
}

static void name_inventory(const struct renaming *r, void *row)
{
	memcpy(((struct inventory *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_listener(const struct renaming *r, void *row)
{
	memcpy(((struct inventory_listener *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_peer(const struct renaming *r, void *row)
{
	memcpy(((struct peer *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_former(const struct renaming *r, void *row)
{
	memcpy(((struct former_name *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_member(const struct renaming *r, void *row)
{
	memcpy(((struct campaign_member *)row)->agent, r->to->agent, sizeof(r->to->agent));
}

static void name_target(const struct renaming *r, void *row)
{
	struct target *t = row;
	memcpy(t->agent, r->to->agent, sizeof(t->agent));
	target_id_of(t->agent, t->cert_id, t->stem, t->target_id);
}

/* Rows of `noun` whose text at `at` is the old name. */
static int move_all(const struct renaming *r, const struct noun *noun, size_t at, change_fn *change, bool rekeyed)
{
	struct query q = {.noun = noun};
	query_where(&q, at, IS, r->to->name);
	return move_found(r, &q, change, rekeyed);
}

/* Orders have no index by agent; those of its certificates are found by theirs. */
static int move_orders(const struct renaming *r)
{
	struct certificate *certs = calloc(PAGE, sizeof(*certs));
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	int                 code = certs != NULL ? 0 : E_NOMEM;
	while (code == 0 && n == PAGE) {
		struct query q = {.noun = &noun_certificate, .max = PAGE};
		query_where(&q, offsetof(struct certificate, agent), IS, r->to->name);
		query_where(&q, offsetof(struct certificate, cert_id), ABOVE, after);
		code = rows_list(r->a->rows, &q, certs, &n);
		for (size_t i = 0; code == 0 && i < n; i++) {
			struct query orders = {.noun = &noun_order};
			query_where(&orders, offsetof(struct order, cert_id), IS, certs[i].cert_id);
			query_where(&orders, offsetof(struct order, agent), IS, r->to->name);
			code = move_found(r, &orders, name_order, false);
			memcpy(after, certs[i].cert_id, sizeof(after));
		}
	}
	free(certs);
	return code;
}

static int move_identities(const struct renaming *r)
{
	static const enum issuance_owner agent = OWNER_AGENT;
	struct query                     q = {.noun = &noun_issuance};
	query_where(&q, offsetof(struct issuance, owner_id), IS, r->to->name);
	query_where(&q, offsetof(struct issuance, owner), IS, &agent);
	return move_found(r, &q, name_identity, false);
}

static int move_members(const struct renaming *r)
{
	struct campaign *open = calloc(PAGE, sizeof(*open));
	struct id        after = {{0}};
	size_t           n = PAGE;
	int              code = open != NULL ? 0 : E_NOMEM;
	while (code == 0 && n == PAGE) {
		struct query q = {.noun = &noun_campaign, .max = PAGE};
		query_where(&q, offsetof(struct campaign, completed_at), NONE, NULL);
		query_where(&q, offsetof(struct campaign, campaign_id), ABOVE, &after);
		code = rows_list(r->a->rows, &q, open, &n);
		for (size_t i = 0; code == 0 && i < n; i++) {
			struct query members = {.noun = &noun_member};
			query_where(&members, offsetof(struct campaign_member, campaign_id), IS, &open[i].campaign_id);
			query_where(&members, offsetof(struct campaign_member, agent), IS, r->to->name);
			code = move_found(r, &members, name_member, false);
			after = open[i].campaign_id;
		}
	}
	free(open);
	return code;
}

/* A frame lies outside its row, so each message is copied, and moved when the walk is over. */
struct moved_message {
	struct message_row    row;
	struct moved_message *next;
	uint8_t               frame[];
};

static int keep_message(void *ctx, const void *row)
{
	struct moved_message    **list = ctx;
	const struct message_row *from = row;
	struct moved_message     *m = calloc(1, sizeof(*m) + from->frame.n);
	if (m == NULL)
		return E_NOMEM;
	m->row = *from;
	memcpy(m->frame, from->frame.p, from->frame.n);
	m->row.frame.p = m->frame;
	m->next = *list;
	*list = m;
	return 0;
}

static int move_outbox(const struct renaming *r)
{
	struct moved_message *list = NULL;
	struct query          q = {.noun = &noun_message, .max = SIZE_MAX};
	query_where(&q, offsetof(struct message_row, agent), IS, r->to->name);
	int code = rows_find(r->a->rows, &q, keep_message, &list);
	while (list != NULL) {
		struct moved_message *m = list;
		list = m->next;
		if (code == 0)
			code = r->a->rows->ops->remove(r->a->rows, &noun_message, &m->row);
		memcpy(m->row.agent, r->to->agent, sizeof(m->row.agent));
		if (code == 0)
			code = r->a->rows->ops->add(r->a->rows, &noun_message, &m->row);
		free(m);
	}
	return code;
}

/* A value that was made before a renaming must not bring the old name back. */
int apply_agent(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct former_name former;
	(void)result;
	int r = a->rows->ops->replace(a->rows, &noun_agent, v->row);
	if (r != E_NOT_FOUND)
		return r;
	memcpy(former.name, ((const struct agent *)v->row)->name, sizeof(former.name));
	r = rows_get(a->rows, &noun_former, &former);
	if (r != E_NOT_FOUND)
		return r == 0 ? E_STORE_CONFLICT : r;
	return a->rows->ops->add(a->rows, &noun_agent, v->row);
}

/* A plan, or a member that was read, may be older than a renaming that is stored by now. */
static int member_now(struct apply *a, const struct store_verb *v, struct campaign_member *ret)
{
	struct former_name former;
	*ret = *(const struct campaign_member *)v->row;
	memcpy(former.name, ret->agent, sizeof(former.name));
	int r = rows_get(a->rows, &noun_former, &former);
	if (r == 0)
		memcpy(ret->agent, former.agent, sizeof(ret->agent));
	return r == E_NOT_FOUND ? 0 : r;
}

int apply_add_member(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct campaign_member m;
	(void)result;
	int r = member_now(a, v, &m);
	return r < 0 ? r : a->rows->ops->add(a->rows, v->noun, &m);
}

int apply_replace_member(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct campaign_member m;
	(void)result;
	int r = member_now(a, v, &m);
	return r < 0 ? r : a->rows->ops->replace(a->rows, v->noun, &m);
}

/* The new name is free, or is one that this very host had before. */
static int take_name(struct apply *a, const struct former_name *to, struct agent *ret_row)
{
	struct agent       taken;
	struct former_name reserved;
	memcpy(taken.name, to->agent, sizeof(taken.name));
	memcpy(reserved.name, to->agent, sizeof(reserved.name));
	memcpy(ret_row->name, to->name, sizeof(ret_row->name));
	int r = rows_get(a->rows, &noun_agent, ret_row);
	if (r < 0)
		return r;
	if ((r = rows_get(a->rows, &noun_agent, &taken)) != E_NOT_FOUND)
		return r == 0 ? E_EXISTS : r;
	r = rows_get(a->rows, &noun_former, &reserved);
	if (r == E_NOT_FOUND)
		return 0;
	if (r == 0 && !text_equal(reserved.agent, to->name))
		return E_EXISTS;
	return r < 0 ? r : a->rows->ops->remove(a->rows, &noun_former, &reserved);
}

static int move_host(struct apply *a, const struct former_name *to, struct agent *row)
{
	int r = a->rows->ops->remove(a->rows, &noun_agent, row);
	memcpy(row->name, to->agent, sizeof(row->name));
	if (r == 0)
		r = a->rows->ops->add(a->rows, &noun_agent, row);
	return r < 0 ? r : a->rows->ops->put(a->rows, &noun_former, to);
}

int apply_rename(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct former_name *to = v->row;
	struct agent              row;
	(void)result;
	int r = take_name(a, to, &row);
	if (r < 0)
		return r;
	struct renaming move = {.a = a, .to = to, .page = calloc(PAGE, noun_row_max)};
	if (move.page == NULL)
		return E_NOMEM;
	r = move_orders(&move); /* by certificates that still have the old name */
	if (r == 0)
		r = move_all(&move, &noun_certificate, offsetof(struct certificate, agent), name_certificate, false);
	if (r == 0)
		r = move_all(&move, &noun_target, offsetof(struct target, agent), name_target, true);
	if (r == 0)
		r = move_all(&move, &noun_inventory, offsetof(struct inventory, agent), name_inventory, true);
	if (r == 0)
		r = move_all(&move, &noun_listener, offsetof(struct inventory_listener, agent), name_listener, true);
	if (r == 0)
		r = move_all(&move, &noun_peer, offsetof(struct peer, agent), name_peer, true);
	if (r == 0)
		r = move_all(&move, &noun_former, offsetof(struct former_name, agent), name_former, false);
	if (r == 0)
		r = move_identities(&move);
	if (r == 0)
		r = move_members(&move);
	if (r == 0)
		r = move_outbox(&move);
	free(move.page);
	return r < 0 ? r : move_host(a, to, &row);
}
