/* store_delivery.c - room controller/store: notices on their way to channels: queued by the writer with the notice itself, and
 * what becomes of them. Never: deciding where a notice goes, or when. */
#include <string.h>

#include "controller/store/store_apply.h"
#include "controller/store/store_front.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

/* ---- queueing ---------------------------------------------------------------------------------------------------- */

int deliveries_queue(struct apply *a, const struct notice *n, enum delivery_kind kind, int64_t at)
{
	struct delivery d = {
		.notice_id = n->notice_id, .kind = kind, .level = n->level, .state = DELIVERY_WAITING, .at = at, .due_at = at};
	const char *cursor = n->channels;
	int         r = 0;
	text_cut(d.group, sizeof(d.group), notice_group(n));
	while (r == 0 && text_item(&cursor, d.channel, sizeof(d.channel)))
		r = a->rows->ops->add(a->rows, &noun_delivery, &d);
	return r;
}

int deliveries_gone(struct apply *a, struct id notice_id)
{
	enum { PAGE = 64 };
	struct query q = {.noun = &noun_delivery, .max = PAGE};
	query_where(&q, offsetof(struct delivery, notice_id), IS, &notice_id);
	return apply_remove_found(a, &q);
}

/* ---- what becomes of them ---------------------------------------------------------------------------------------- */

static int take_waiting(void *ctx, const void *row)
{
	*(bool *)ctx |= ((const struct delivery *)row)->state == DELIVERY_WAITING;
	return 0;
}

/* By its notice alone: there are few of these, and there may be many that wait. */
static int still_waits(struct apply *a, struct id notice_id, bool *ret)
{
	struct query q = {.noun = &noun_delivery, .max = STORE_LIST_MAX};
	query_where(&q, offsetof(struct delivery, notice_id), IS, &notice_id);
	query_only(&q, offsetof(struct delivery, state));
	return a->rows->ops->find(a->rows, &q, take_waiting, ret);
}

/* What was told once is over when everybody was told: nobody ends it. */
static int close_told(struct apply *a, const struct delivery *d)
{
	struct notice n = {.notice_id = d->notice_id};
	bool          waits = false;
	int           r = rows_get(a->rows, &noun_notice, &n);
	if (r < 0 || n.key[0] != '\0' || n.closed_at != 0)
		return r == E_NOT_FOUND ? 0 : r;
	r = still_waits(a, d->notice_id, &waits);
	if (r < 0 || waits)
		return r;
	notice_close(&n, d->ended_at);
	return a->rows->ops->replace(a->rows, &noun_notice, &n);
}

int apply_delivery(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct delivery *d = v->row;
	(void)result;
	int r = a->rows->ops->replace(a->rows, &noun_delivery, d);
	if (r == E_NOT_FOUND) /* its notice was pruned */
		return 0;
	return r == 0 && d->state != DELIVERY_WAITING ? close_told(a, d) : r;
}

int apply_remind(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct notice *asked = v->row; /* notice_id, channels, at, remind_at */
	enum delivery_kind   kind = (enum delivery_kind)v->number;
	struct notice        n = {.notice_id = asked->notice_id}, sent;
	(void)result;
	int r = rows_get(a->rows, &noun_notice, &n);
	if (r < 0 || n.closed_at != 0 || n.acked_at != 0)
		return r == E_NOT_FOUND ? 0 : r;
	if (n.remind_at > asked->at) /* looked at already, or snoozed, since it was found */
		return 0;
	n.remind_at = asked->remind_at;
	n.reminders += kind == DELIVERY_REMINDER;
	n.escalations += kind == DELIVERY_ESCALATION;
	r = a->rows->ops->replace(a->rows, &noun_notice, &n);
	if (r < 0 || kind == DELIVERY_FIRST)
		return r;
	sent = n;
	memcpy(sent.channels, asked->channels, sizeof(sent.channels));
	return deliveries_queue(a, &sent, kind, asked->at);
}

static int find_standing(struct apply *a, const struct notice *asked, struct notice *ret)
{
	ret->notice_id = asked->notice_id;
	int r = rows_get(a->rows, &noun_notice, ret);
	return r == 0 && ret->closed_at != 0 ? E_NOTICE_OVER : r;
}

int apply_ack(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct notice *asked = v->row;
	struct notice        n;
	(void)result;
	int r = find_standing(a, asked, &n);
	if (r < 0)
		return r;
	n.acked_at = asked->acked_at;
	n.remind_at = TIME_NEVER;
	return a->rows->ops->replace(a->rows, &noun_notice, &n);
}

int apply_snooze(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct notice *asked = v->row;
	struct notice        n;
	(void)result;
	int r = find_standing(a, asked, &n);
	if (r < 0)
		return r;
	n.snoozed_until_at = asked->snoozed_until_at;
	if (n.remind_at != TIME_NEVER)
		n.remind_at = asked->snoozed_until_at;
	return a->rows->ops->replace(a->rows, &noun_notice, &n);
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static size_t page(size_t max)
{
	return max < STORE_LIST_MAX ? max : STORE_LIST_MAX;
}

int view_notices_to_remind(struct store_view *v, int64_t now, struct notice *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_notice, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct notice, remind_at));
	query_where(&q, offsetof(struct notice, remind_at), AT_MOST, &now);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_notices_open(struct store_view *v, const char *after, struct notice *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_notice, .max = page(max)};
	q.by = noun_column(q.noun, offsetof(struct notice, key));
	query_where(&q, offsetof(struct notice, key), ABOVE, after);
	query_where(&q, offsetof(struct notice, closed_at), NONE, NULL);
	return rows_list(v->rows, &q, ret, ret_n);
}

/* However much waits in one of these, what is in those before it is seen. */
enum due_list { DUE_URGENT, DUE_BEGUN, DUE_OTHER, DUE_LIST_COUNT };

static int list_due(struct store_view *v, enum due_list list, const char *channel, int64_t now, const struct due_pass *pass,
		    struct delivery *ret, size_t max, size_t *ret_n)
{
	static const enum notice_level critical = NOTICE_CRITICAL;
	struct query                   q = {.noun = &noun_delivery, .max = max};
	q.by = noun_column(q.noun, offsetof(struct delivery, due_at));
	query_where(&q, offsetof(struct delivery, channel), IS, channel);
	query_where(&q, offsetof(struct delivery, due_at), AT_MOST, &now);
	query_where(&q, offsetof(struct delivery, message_id), list == DUE_BEGUN ? SOME : NONE, NULL);
	if (list != DUE_BEGUN)
		query_where(&q, offsetof(struct delivery, level), list == DUE_URGENT ? IS : IS_NOT, &critical);
	for (size_t i = 0; list == DUE_OTHER && pass != NULL && i < pass->n; i++)
		query_where(&q, offsetof(struct delivery, group), IS_NOT, pass->group[i]);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_deliveries_due(struct store_view *v, const char *channel, int64_t now, const struct due_pass *pass, struct delivery *ret,
			size_t max, size_t *ret_n)
{
	size_t n = 0, more;
	int    r = 0;
	max = page(max);
	for (int list = 0; r == 0 && list < DUE_LIST_COUNT && n < max; list++) {
		more = 0;
		r = list_due(v, (enum due_list)list, channel, now, pass, ret + n, max - n, &more);
		n += more;
	}
	*ret_n = n;
	return r;
}

int view_deliveries_of(struct store_view *v, struct id message_id, struct delivery *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_delivery, .max = page(max)};
	query_where(&q, offsetof(struct delivery, message_id), IS, &message_id);
	return rows_list(v->rows, &q, ret, ret_n);
}

static void narrow(struct query *q, const struct delivery_filter *f, const enum delivery_state *state)
{
	if (f->state >= 0)
		query_where(q, offsetof(struct delivery, state), IS, state);
	if (f->channel != NULL)
		query_where(q, offsetof(struct delivery, channel), IS, f->channel);
	if (f->notice_id != NULL)
		query_where(q, offsetof(struct delivery, notice_id), IS, f->notice_id);
}

int view_deliveries(struct store_view *v, const struct delivery_filter *f, uint64_t before, struct delivery *ret, size_t max,
		    size_t *ret_n)
{
	struct query        q = {.noun = &noun_delivery, .max = page(max), .down = true};
	enum delivery_state state = (enum delivery_state)f->state;
	narrow(&q, f, &state);
	if (before != UINT64_MAX)
		query_where(&q, offsetof(struct delivery, seq), BELOW, &before);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_deliveries_count(struct store_view *v, const struct delivery_filter *f, uint64_t *ret)
{
	struct query        q = {.noun = &noun_delivery};
	enum delivery_state state = (enum delivery_state)f->state;
	narrow(&q, f, &state);
	return v->rows->ops->count(v->rows, &q, ret);
}
