/* store_steps.c - room controller/store: an order's history as text: what came at once is one row, each step a line of it.
 * Never: writing rows; SQL. */
#include "controller/store/store_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_front.h"
#include "shared/base/text.h"

enum { STEP_LINE_MAX = CAUSE_SIZE + 128 };

void steps_text(const struct order_step_row *rows, size_t n, struct buf *to)
{
	for (size_t i = 0; i < n; i++) {
		const struct order_step_row *s = &rows[i];
		char                         line[STEP_LINE_MAX], detail[CAUSE_SIZE];
		text_cut(detail, sizeof(detail), s->detail);
		text_hide_controls(detail);
		int length = snprintf(line, sizeof(line), "%u %s %d %lld %lld %s\n", s->attempt, workflow_step_name(s->step), s->code,
				      (long long)s->at, (long long)s->took_ms, detail);
		buf_add(to, line, (size_t)length);
	}
}

static bool step_of_name(const char *name, enum workflow_step *ret)
{
	for (int s = 0; s < STEP_COUNT; s++)
		if (text_equal(workflow_step_name((enum workflow_step)s), name)) {
			*ret = (enum workflow_step)s;
			return true;
		}
	return false;
}

static int line_read(const char *line, struct order_step_row *ret)
{
	char      name[32];
	long long at, took_ms;
	int       words = 0;
	if (sscanf(line, "%u %31s %d %lld %lld%n", &ret->attempt, name, &ret->code, &at, &took_ms, &words) != 5 || line[words] != ' ' ||
	    !step_of_name(name, &ret->step))
		return E_STORE_DAMAGED;
	ret->at = at;
	ret->took_ms = took_ms;
	return text_copy(ret->detail, sizeof(ret->detail), line + words + 1) < 0 ? E_STORE_DAMAGED : 0;
}

int steps_read(struct span text, struct id renewal_id, struct order_step_row *ret, size_t max, size_t *n)
{
	char line[STEP_LINE_MAX];
	while (text.n > 0 && *n < max) {
		const uint8_t *end = memchr(text.p, '\n', text.n);
		size_t         length = end != NULL ? (size_t)(end - text.p) : 0;
		if (end == NULL || text_copy_n(line, sizeof(line), (const char *)text.p, length) < 0)
			return E_STORE_DAMAGED;
		struct order_step_row row = {.renewal_id = renewal_id};
		int                   r = line_read(line, &row);
		if (r < 0)
			return r;
		ret[(*n)++] = row;
		text.p += length + 1;
		text.n -= length + 1;
	}
	return 0;
}

/* ---- reading ---- */

struct steps {
	struct order_step_row *to;
	size_t                 n, max;
};

static int copy_step(void *ctx, const void *row)
{
	struct steps *s = ctx;
	s->to[s->n++] = ((const struct history_row *)row)->step;
	return 0;
}

static int copy_steps(void *ctx, const void *row)
{
	struct steps           *s = ctx;
	const struct steps_row *one = row;
	return steps_read(one->steps, one->renewal_id, s->to, s->max, &s->n);
}

int view_steps(struct store_view *v, struct id renewal_id, struct order_step_row *ret, size_t max, size_t *ret_n)
{
	struct steps steps = {.to = ret, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX};
	struct query former = {.noun = &noun_step, .max = steps.max}, q = {.noun = &noun_steps, .max = steps.max};
	query_where(&former, offsetof(struct history_row, step.renewal_id), IS, &renewal_id);
	query_where(&q, offsetof(struct steps_row, renewal_id), IS, &renewal_id);
	int r = rows_find(v->rows, &former, copy_step, &steps);
	if (r == 0)
		r = rows_find(v->rows, &q, copy_steps, &steps);
	if (r < 0)
		return r;
	*ret_n = steps.n;
	return 0;
}
