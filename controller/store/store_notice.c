/* store_notice.c - room controller/store: what people have to be told: one open notice for each matter, and the certificates that a trouble
 * stands for. Decided in the writer, so that two changes in one batch cannot open the same trouble twice.
 * Never: deciding what is told to whom. */
#include <stdio.h>
#include <string.h>

#include "controller/store/store_apply.h"
#include "controller/store/store_front.h"
#include "controller/store/store_steps.h"
#include "shared/base/times.h"

/* ---- the row of an order's history ------------------------------------------------------------------------------- */

/* `told` NULL: nothing was. */
static int add_step(struct apply *a, const struct store_verb *v, const struct notice *told)
{
	const struct notice  *n = v->row;
	struct order_step_row step = {.renewal_id = n->renewal_id, .attempt = n->attempt, .step = STEP_NOTIFY, .at = n->at, .took_ms = -1};
	struct buf            text = BUF_MAX(STEPS_TEXT_MAX);
	char                  id[ID_TEXT_SIZE];
	if (v->floor == NOTICE_STEP_NO || (told == NULL && v->floor == NOTICE_STEP_IF_TOLD))
		return 0;
	if (told == NULL)
		snprintf(step.detail, sizeof(step.detail), "nothing to tell");
	else if (told->count == 1)
		snprintf(step.detail, sizeof(step.detail), "queued %s, notice %s", notice_event_name(told->event),
			 id_text(told->notice_id, id));
	else
		snprintf(step.detail, sizeof(step.detail), "raised %s to %u, notice %s", notice_event_name(told->event),
			 (unsigned)told->count, id_text(told->notice_id, id));
	steps_text(&step, 1, &text);
	int r = buf_error(&text);
	if (r == 0)
		r = a->rows->ops->add(a->rows, &noun_steps, &(struct steps_row){.renewal_id = n->renewal_id, .steps = buf_span(&text)});
	buf_free(&text);
	return r;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

static int find_open(struct rows *rows, const char *key, struct notice *ret)
{
	struct query q = {.noun = &noun_notice, .max = 1};
	query_where(&q, offsetof(struct notice, key), IS, key);
	query_where(&q, offsetof(struct notice, closed_at), NONE, NULL);
	return rows_first(rows, &q, ret);
}

static void raise_it(struct notice *open, const struct notice *n)
{
	open->count++;
	open->last_at = n->at;
	open->level = n->level > open->level ? n->level : open->level;
	open->event = n->event;
	open->code = n->code;
	open->renewal_id = n->renewal_id;
	open->attempt = n->attempt;
	memcpy(open->object, n->object, sizeof(open->object));
	memcpy(open->detail, n->detail, sizeof(open->detail));
	notice_recipients_add(open->recipients, n->recipients);
	notice_recipients_add(open->escalation, n->escalation);
}

/* *ret: the notice as it stands now. */
static int tell(struct apply *a, const struct notice *n, struct notice *ret)
{
	int r = n->key[0] != '\0' ? find_open(a->rows, n->key, ret) : E_NOT_FOUND;
	if (r == 0) {
		bool worse = n->level > ret->level;
		raise_it(ret, n);
		if (worse)
			memcpy(ret->channels, n->channels, sizeof(ret->channels));
		r = a->rows->ops->replace(a->rows, &noun_notice, ret);
		return r == 0 && worse ? deliveries_queue(a, ret, DELIVERY_FIRST, n->at) : r;
	}
	if (r != E_NOT_FOUND)
		return r;
	*ret = *n;
	ret->state = NOTICE_QUEUED;
	ret->count = 1;
	ret->last_at = n->at;
	ret->closed_at = 0;
	if (ret->key[0] == '\0' || ret->remind_at == 0)
		ret->remind_at = TIME_NEVER;
	r = a->rows->ops->add(a->rows, &noun_notice, ret);
	return r == 0 ? deliveries_queue(a, ret, DELIVERY_FIRST, ret->at) : r;
}

int apply_tell(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct notice told;
	(void)result;
	int r = tell(a, v->row, &told);
	return r < 0 ? r : add_step(a, v, &told);
}

/* ---- troubles ---------------------------------------------------------------------------------------------------- */

static int stands_for_nobody(struct rows *rows, struct id notice_id, bool *ret)
{
	struct query         q = {.noun = &noun_notice_member, .max = 1};
	struct notice_member any;
	query_where(&q, offsetof(struct notice_member, notice_id), IS, &notice_id);
	int r = rows_first(rows, &q, &any);
	*ret = r == E_NOT_FOUND;
	return r == E_NOT_FOUND ? 0 : r;
}

void notice_close(struct notice *n, int64_t at)
{
	n->state = NOTICE_CLOSED;
	n->closed_at = at;
	n->remind_at = TIME_NEVER;
}

/* Closes it when nothing is left that it stands for; *ret_closed, and how it stands. */
static int close_if_empty(struct apply *a, struct id notice_id, int64_t at, struct notice *ret, bool *ret_closed)
{
	bool empty;
	int  r = stands_for_nobody(a->rows, notice_id, &empty);
	*ret_closed = false;
	ret->notice_id = notice_id;
	if (r == 0 && empty)
		r = rows_get(a->rows, &noun_notice, ret);
	if (r < 0 || !empty)
		return r == E_NOT_FOUND ? 0 : r; /* it was pruned */
	notice_close(ret, at);
	*ret_closed = true;
	return a->rows->ops->replace(a->rows, &noun_notice, ret);
}

int apply_trouble(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct notice *n = v->row;
	struct notice        told, before;
	struct notice_member m = {.topic = (enum notice_topic)v->number}, old;
	bool                 closed;
	(void)result;
	int r = tell(a, n, &told);
	if (r < 0)
		return r;
	memcpy(m.cert_id, n->object, sizeof(m.cert_id));
	old = m;
	r = rows_get(a->rows, &noun_notice_member, &old);
	bool moves = r == 0 && !id_equal(old.notice_id, told.notice_id), stays = r == 0 && !moves;
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	m.notice_id = told.notice_id;
	m.since_at = n->at;
	r = stays ? 0 : a->rows->ops->put(a->rows, &noun_notice_member, &m);
	if (r == 0 && moves)
		r = close_if_empty(a, old.notice_id, n->at, &before, &closed);
	return r < 0 ? r : add_step(a, v, &told);
}

/* Each topic may end a trouble: their notices get ids of their own. */
static int tell_resolved(struct apply *a, const struct notice *n, unsigned topic, const struct notice *trouble, struct notice *ret)
{
	char id[ID_TEXT_SIZE], since[TIME_TEXT_SIZE];
	*ret = *n;
	ret->notice_id.b[sizeof(ret->notice_id.b) - 1] ^= (uint8_t)topic;
	ret->level = NOTICE_SUCCESS;
	ret->event = NOTICE_TROUBLE_RESOLVED;
	ret->key[0] = '\0';
	ret->code = trouble->code;
	memcpy(ret->service, trouble->service, sizeof(ret->service));
	memcpy(ret->recipients, trouble->recipients, sizeof(ret->recipients));
	memcpy(ret->channels, trouble->channels, sizeof(ret->channels));
	ret->remind_at = TIME_NEVER;
	snprintf(ret->detail, sizeof(ret->detail), "{\"count\":%u,\"event\":\"%s\",\"since\":\"%s\",\"trouble\":\"%s\"}",
		 (unsigned)trouble->count, notice_event_name(trouble->event), time_text(trouble->at, since), id_text(trouble->notice_id, id));
	return tell(a, ret, ret);
}

static int end_topic(struct apply *a, const struct notice *n, unsigned topic, struct notice *ret_told, bool *ret_any)
{
	struct notice_member m = {.topic = (enum notice_topic)topic};
	struct notice        trouble, resolved;
	bool                 closed;
	memcpy(m.cert_id, n->object, sizeof(m.cert_id));
	int r = rows_get(a->rows, &noun_notice_member, &m);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	r = a->rows->ops->remove(a->rows, &noun_notice_member, &m);
	if (r == 0)
		r = close_if_empty(a, m.notice_id, n->at, &trouble, &closed);
	if (r != 0 || !closed || id_is_none(n->notice_id))
		return r;
	r = tell_resolved(a, n, topic, &trouble, &resolved);
	if (r == 0 && !*ret_any)
		*ret_told = resolved;
	*ret_any = true;
	return r;
}

int apply_trouble_over(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct notice told;
	bool          any = false;
	int           r = 0;
	(void)result;
	for (unsigned topic = 0; topic < NOTICE_TOPIC_COUNT && r == 0; topic++)
		if ((v->number >> topic & 1) != 0)
			r = end_topic(a, v->row, topic, &told, &any);
	return r < 0 ? r : add_step(a, v, any ? &told : NULL);
}

int apply_notice_over(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct notice *over = v->row; /* key, at */
	struct notice        row;
	(void)result;
	int r = find_open(a->rows, over->key, &row);
	if (r < 0)
		return r == E_NOT_FOUND ? 0 : r;
	notice_close(&row, over->at);
	return a->rows->ops->replace(a->rows, &noun_notice, &row);
}

int apply_notice_gone(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	enum { PAGE = 64 };
	const struct notice *gone = v->row;
	struct query         q = {.noun = &noun_notice_member, .max = PAGE};
	query_where(&q, offsetof(struct notice_member, notice_id), IS, &gone->notice_id);
	int r = apply_remove_found(a, &q);
	if (r == 0)
		r = deliveries_gone(a, gone->notice_id);
	return r < 0 ? r : apply_remove(a, v, result);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

int view_notice(struct store_view *v, struct id notice_id, struct notice *ret)
{
	struct notice row = {.notice_id = notice_id};
	int           r = rows_get(v->rows, &noun_notice, &row);
	if (r == 0)
		*ret = row;
	return r;
}

int view_notice_by_key(struct store_view *v, const char *key, struct notice *ret)
{
	return find_open(v->rows, key, ret);
}

int view_notices(struct store_view *v, const struct notice_filter *f, struct id before, struct notice *ret, size_t max, size_t *ret_n)
{
	struct query      q = {.noun = &noun_notice, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX, .down = true};
	enum notice_level level = (enum notice_level)f->level;
	enum notice_state state = (enum notice_state)f->state;
	if (!id_is_none(before))
		query_where(&q, offsetof(struct notice, notice_id), BELOW, &before);
	if (f->level >= 0)
		query_where(&q, offsetof(struct notice, level), IS, &level);
	if (f->state >= 0)
		query_where(&q, offsetof(struct notice, state), IS, &state);
	if (f->service != NULL)
		query_where(&q, offsetof(struct notice, service), IS, f->service);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_notices_count(struct store_view *v, uint64_t *ret)
{
	struct query q = {.noun = &noun_notice};
	return v->rows->ops->count(v->rows, &q, ret);
}
