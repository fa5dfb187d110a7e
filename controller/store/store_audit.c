/* store_audit.c - room controller/store: audit records, their pseudonyms and their place in the hash tree.
 * Never: signing heads, deciding what is recorded. */
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_front.h"
#include "shared/base/text.h"

/* ---- writing ---- */

/* The pseudonym of a person, made at the first record. */
static int alias_of(struct apply *a, const char *name, int64_t at, char ret[ACTOR_SIZE])
{
	struct audit_person p = {.since_at = at};
	for (size_t i = 0; i < APPLY_ALIASES; i++)
		if (text_equal(a->alias[i].name, name)) {
			memcpy(ret, a->alias[i].alias, sizeof(a->alias[i].alias));
			return 0;
		}
	int                 r = text_copy(p.name, sizeof(p.name), name);
	if (r == 0)
		r = rows_get(a->rows, &noun_person, &p);
	if (r == E_NOT_FOUND) {
		if (hash_is_none(*a->salt))
			return E_INTERNAL;       /* a pseudonym that anybody could guess */
		const uint32_t n = a->n_salts++; /* none can be told from another one */
		a->hash(a->salt->b, sizeof(a->salt->b), &n, sizeof(n), &p.salt);
		audit_alias(a->hash, p.name, p.salt, p.alias);
		r = a->rows->ops->add(a->rows, &noun_person, &p);
	}
	if (r < 0)
		return r;
	struct apply_alias *known = &a->alias[a->next_alias++ % APPLY_ALIASES];
	memcpy(known->name, p.name, sizeof(known->name));
	memcpy(known->alias, p.alias, sizeof(known->alias));
	memcpy(ret, p.alias, sizeof(p.alias));
	return 0;
}

static int hide_persons(struct apply *a, struct audit *row)
{
	char alias[ACTOR_SIZE];
	int  r = 0;
	if (audit_is_person(row->actor) && (r = alias_of(a, row->actor, row->at, alias)) == 0)
		memcpy(row->actor, alias, sizeof(alias));
	if (r == 0 && audit_event_info(row->event)->object == OBJECT_PRINCIPAL && audit_is_person(row->object) &&
	    (r = alias_of(a, row->object, row->at, alias)) == 0)
		text_cut(row->object, sizeof(row->object), alias);
	return r;
}

/* ---- forgetting ---- */

enum { FORGET_PAGE = 50 };

/* Where the name of a person stands outside the trail. What found a row finds it no more once it was changed. */
static const struct name_place {
	const struct noun *noun;
	size_t             at;
} name_places[] = {
	{&noun_order, offsetof(struct order, actor)},
	{&noun_invite, offsetof(struct invite, actor)},
	{&noun_principal, offsetof(struct principal, maker)},
	{&noun_token, offsetof(struct token, maker)},
	{&noun_approval, offsetof(struct approval, requester)},
	{&noun_approval, offsetof(struct approval, person)},
	{&noun_approval, offsetof(struct approval, maker_of_principal)},
	{&noun_approval, offsetof(struct approval, maker_of_token)},
	{&noun_approval, offsetof(struct approval, decider)},
	{&noun_campaign, offsetof(struct campaign, actor)},
	{&noun_drill, offsetof(struct drill, actor)},
};

static bool order_is_open(const struct order *o)
{
	return o->phase != ORDER_COMPLETED && o->phase != ORDER_FAILED && o->phase != ORDER_ROLLED_BACK &&
	       o->phase != ORDER_CANCELLED;
}

/* What still waits needs to know whose it is. */
static int still_needed(const struct noun *noun, const void *row)
{
	if (noun == &noun_order && order_is_open(row))
		return E_ORDER_OPEN;
	if (noun == &noun_campaign && ((const struct campaign *)row)->completed_at == 0)
		return E_ORDER_OPEN;
	if (noun == &noun_drill && ((const struct drill *)row)->reported_at == 0)
		return E_ORDER_OPEN;
	if (noun == &noun_approval && ((const struct approval *)row)->state == APPROVAL_WAITING)
		return E_AUDIT_PERSON_WAITS;
	return 0;
}

/* The next rows where the text field at `at` is `name`. */
static int rows_named(struct apply *a, const struct noun *noun, size_t at, const char *name, void *page, size_t *ret_n)
{
	struct query q = {.noun = noun, .max = FORGET_PAGE};
	query_where(&q, at, IS, name);
	return rows_list(a->rows, &q, page, ret_n);
}

static int forget_at(struct apply *a, const struct audit_person *p, const struct name_place *place, uint8_t *page)
{
	size_t n = FORGET_PAGE;
	int    r = 0;
	while (r == 0 && n == FORGET_PAGE) {
		r = rows_named(a, place->noun, place->at, p->name, page, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			uint8_t *row = page + i * place->noun->size;
			r = still_needed(place->noun, row);
			memcpy(row + place->at, p->alias, sizeof(p->alias));
			if (r == 0)
				r = a->rows->ops->replace(a->rows, place->noun, row);
		}
	}
	return r;
}

/* Requests about the person: what was shown names him. Its hash stays, as in the trail. */
static int forget_requests(struct apply *a, const struct audit_person *p, struct approval *page)
{
	size_t n = FORGET_PAGE;
	int    r = 0;
	while (r == 0 && n == FORGET_PAGE) {
		r = rows_named(a, &noun_approval, offsetof(struct approval, object), p->name, page, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			r = still_needed(&noun_approval, &page[i]);
			text_cut(page[i].object, sizeof(page[i].object), p->alias);
			page[i].what[0] = '\0';
			if (r == 0)
				r = a->rows->ops->replace(a->rows, &noun_approval, &page[i]);
		}
	}
	return r;
}

static int forget_principal(struct apply *a, const struct audit_person *p, struct token *page)
{
	struct principal principal = {0};
	size_t           n = FORGET_PAGE;
	int              r = 0;
	while (r == 0 && n == FORGET_PAGE) {
		r = rows_named(a, &noun_token, offsetof(struct token, principal), p->name, page, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = a->rows->ops->remove(a->rows, &noun_token, &page[i]);
	}
	memcpy(principal.name, p->name, sizeof(principal.name));
	return r == 0 ? a->rows->ops->remove(a->rows, &noun_principal, &principal) : r;
}

/* Whoever took a matter over by a link stands in the trail under a mail address (longer ones never do). One that another principal has, too,
 * goes with the last of them. */
static int forget_mail(struct apply *a, const struct audit_person *p, struct principal *page)
{
	struct principal    principal = {.name = ""};
	struct audit_person by_mail = {.name = ""};
	size_t              n = 0;
	memcpy(principal.name, p->name, sizeof(principal.name));
	int r = rows_get(a->rows, &noun_principal, &principal);
	if (r == 0 && text_copy(by_mail.name, sizeof(by_mail.name), principal.mail) < 0)
		return 0;
	if (r == 0)
		r = rows_get(a->rows, &noun_person, &by_mail);
	if (r == 0)
		r = rows_named(a, &noun_principal, offsetof(struct principal, mail), principal.mail, page, &n);
	if (r == 0 && n <= 1)
		r = a->rows->ops->remove(a->rows, &noun_person, &by_mail);
	return r == E_NOT_FOUND ? 0 : r; /* no principal, or the address never acted */
}

int apply_forget(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct audit_person p = *(const struct audit_person *)v->row;
	(void)result;
	apply_undone(a); /* who is forgotten is remembered nowhere */
	int r = rows_get(a->rows, &noun_person, &p);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	void *page = calloc(FORGET_PAGE, noun_row_max);
	r = page != NULL ? 0 : E_NOMEM;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(name_places); i++)
		r = forget_at(a, &p, &name_places[i], page);
	if (r == 0)
		r = forget_requests(a, &p, page);
	if (r == 0)
		r = forget_mail(a, &p, page);
	if (r == 0)
		r = forget_principal(a, &p, page);
	free(page);
	return r == 0 ? a->rows->ops->remove(a->rows, &noun_person, &p) : r;
}

/* ---- the tree ---- */

/* Every fourth level is kept, one node for sixteen records. A leaf is made of its record and what lies between of at most sixteen
 * below it: a proof reads a few rows more, and a record is written with one row instead of three. */
enum { LEVELS_APART = 4 };

static bool is_kept(uint32_t level)
{
	return level > 0 && level % LEVELS_APART == 0;
}

static int leaf_of_record(const struct audit_tree *t, uint64_t seq, struct hash *ret)
{
	struct audit row = {.seq = seq};
	struct buf   text = BUF_MAX(AUDIT_LEAF_MAX);
	int          r = rows_get(t->rows, &noun_audit, &row);
	if (r == 0) {
		audit_canonical(&row, &text);
		r = buf_error(&text);
	}
	if (r == 0)
		merkle_leaf(t->hash, text.p, text.n, ret);
	buf_free(&text);
	return r;
}

int audit_node(void *tree, uint32_t level, uint64_t index, struct hash *ret)
{
	struct audit_tree *t = tree;
	struct hash        left, right;
	if (level >= MERKLE_LEVELS - 1 || index >> (MERKLE_LEVELS - 1 - level) != 0)
		return E_NOT_FOUND;
	if (level == 0)
		return leaf_of_record(t, index, ret);
	if (is_kept(level)) {
		struct node_row node = {.position = merkle_position(level, index)};
		int             r = rows_get(t->rows, &noun_node, &node);
		*ret = node.hash;
		return r;
	}
	int r = audit_node(t, level - 1, 2 * index, &left);
	if (r == 0)
		r = audit_node(t, level - 1, 2 * index + 1, &right);
	if (r == 0)
		merkle_node(t->hash, &left, &right, ret);
	return r;
}

/* ---- records ---- */

int audit_append(struct apply *a, struct audit *row)
{
	struct hash        leaf;
	struct merkle_made made[MERKLE_LEVELS];
	int                r = hide_persons(a, row);
	if (r < 0)
		return r;
	row->seq = a->tree.size;
	row->behind_ms = row->at < a->audit_at ? a->audit_at - row->at : 0;
	row->at += row->behind_ms;
	a->audit_at = row->at;
	buf_reset(&a->text);
	audit_canonical(row, &a->text);
	if (buf_error(&a->text) != 0)
		return buf_error(&a->text);
	merkle_leaf(a->hash, a->text.p, a->text.n, &leaf);
	r = a->rows->ops->add(a->rows, &noun_audit, row);
	if (r < 0)
		return r == E_EXISTS ? E_STORE_DAMAGED : r;

	size_t n = merkle_append(a->hash, &a->tree, &leaf, made);
	for (size_t i = 0; i < n; i++) {
		if (!is_kept(made[i].level))
			continue;
		struct node_row node = {merkle_position(made[i].level, made[i].index), made[i].hash};
		r = a->rows->ops->add(a->rows, &noun_node, &node);
		if (r < 0)
			return r == E_EXISTS ? E_STORE_DAMAGED : r;
	}
	return 0;
}

/* ---- reading ---- */

enum { SCAN_MAX = 50000 }; /* rows that one list call looks at: some 50 ms */

int view_audit_size(struct store_view *v, uint64_t *ret)
{
	return rows_audit_size(v->rows, ret);
}

int view_audit_root_at(struct store_view *v, uint64_t size, struct hash *ret)
{
	struct merkle_frontier tree;
	uint64_t               now;
	int                    r = rows_audit_size(v->rows, &now);
	if (r == 0 && size > now)
		r = E_RANGE;
	if (r == 0)
		r = merkle_frontier_load(audit_node, &(struct audit_tree){v->rows, v->hash}, size, &tree);
	if (r < 0)
		return r == E_NOT_FOUND ? E_STORE_DAMAGED : r;
	merkle_root(v->hash, &tree, ret);
	return 0;
}

/* Time never runs backward in the trail, so it can be searched by halves. */
int view_audit_since(struct store_view *v, int64_t at, uint64_t *ret_seq)
{
	uint64_t low = 0, high;
	int      r = rows_audit_size(v->rows, &high);
	while (r == 0 && low < high) {
		struct audit row = {.seq = low + (high - low) / 2};
		uint64_t     mid = row.seq;
		r = rows_get(v->rows, &noun_audit, &row);
		if (r == 0 && row.at < at)
			low = mid + 1;
		else
			high = mid;
	}
	if (r < 0)
		return r == E_NOT_FOUND ? E_STORE_DAMAGED : r;
	*ret_seq = low;
	return 0;
}

static void filter_terms(struct query *q, const struct audit_filter *f, const enum audit_event *event)
{
	if (f->object != NULL)
		query_where(q, offsetof(struct audit, object), IS, f->object);
	if (f->actor != NULL)
		query_where(q, offsetof(struct audit, actor), IS, f->actor);
	if (f->event >= 0)
		query_where(q, offsetof(struct audit, event), IS, event);
	if (!id_is_none(f->renewal_id))
		query_where(q, offsetof(struct audit, renewal_id), IS, &f->renewal_id);
}

int view_audit_list(struct store_view *v, const struct audit_filter *f, uint64_t before, struct audit *ret, size_t max,
		    size_t *ret_n, uint64_t *ret_next)
{
	const enum audit_event event = f->event >= 0 ? (enum audit_event)f->event : AUDIT_INSTALLATION_CREATED;
	struct query           q = {.noun = &noun_audit, .down = true, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX};
	uint64_t               size, first = 0;
	int                    r = rows_audit_size(v->rows, &size);
	if (r == 0 && f->since_at > 0)
		r = view_audit_since(v, f->since_at, &first);
	if (r < 0)
		return r;
	uint64_t top = before < size ? before : size;
	bool     indexed = f->object != NULL; /* then only rows of the object are looked at */
	uint64_t floor = !indexed && top > SCAN_MAX && top - SCAN_MAX > first ? top - SCAN_MAX : first;
	uint64_t below = floor - 1;
	query_where(&q, offsetof(struct audit, seq), BELOW, &top);
	if (floor > 0)
		query_where(&q, offsetof(struct audit, seq), ABOVE, &below);
	filter_terms(&q, f, &event);
	r = rows_list(v->rows, &q, ret, ret_n);
	if (r < 0)
		return r;
	if (*ret_n == q.max)
		*ret_next = ret[*ret_n - 1].seq > first ? ret[*ret_n - 1].seq : 0;
	else
		*ret_next = floor > first ? floor : 0;
	return 0;
}

static int heads(struct store_view *v, struct query *q, struct audit_head *ret, size_t max, size_t *ret_n)
{
	q->max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
	return rows_list(v->rows, q, ret, ret_n);
}

int view_audit_heads(struct store_view *v, uint64_t above, struct audit_head *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_head};
	query_where(&q, offsetof(struct audit_head, size), ABOVE, &above);
	return heads(v, &q, ret, max, ret_n);
}

int view_audit_heads_down(struct store_view *v, uint64_t below, struct audit_head *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_head, .down = true};
	if (below <= INT64_MAX)
		query_where(&q, offsetof(struct audit_head, size), BELOW, &below);
	return heads(v, &q, ret, max, ret_n);
}

int view_audit_person(struct store_view *v, const char *name, struct audit_person *ret)
{
	struct audit_person row = {.since_at = 0};
	if (text_copy(row.name, sizeof(row.name), name) < 0)
		return E_NOT_FOUND;
	int r = rows_get(v->rows, &noun_person, &row);
	if (r == 0)
		*ret = row;
	return r;
}

int view_audit_person_by_alias(struct store_view *v, const char *alias, struct audit_person *ret)
{
	struct query q = {.noun = &noun_person};
	query_where(&q, offsetof(struct audit_person, alias), IS, alias);
	return rows_first(v->rows, &q, ret);
}

int view_audit_persons(struct store_view *v, const char *after, struct audit_person *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_person, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX};
	query_where(&q, offsetof(struct audit_person, name), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}
