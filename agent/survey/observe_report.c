/* observe_report.c - room agent/survey: hands an observation to the keeper, which signs it and tells the controller.
 * Never: speaking to the controller itself. */
#include "agent/survey/observe_report.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/survey/keeper_ask.h"

const char *report_result_name(enum report_result r)
{
	static const char *const names[] = {"sent", "kept", "no_keeper", "failed", "not_asked"};
	return (size_t)r < N_ELEMENTS(names) ? names[r] : "unknown";
}

static int body_make(const struct observation *o, struct buf *to)
{
	struct body_inventory *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return E_NOMEM;
	b->observed_at = o->at;
	for (size_t i = 0; i < o->n; i++) {
		if (!observed_is_tls(&o->rows[i]))
			continue;
		b->found++;
		if (b->n_rows < INVENTORY_MAX)
			observed_row(&o->rows[i], &b->rows[b->n_rows++]);
	}
	int r = wire_body_encode(&wire_body_inventory, b, to);
	free(b);
	return r;
}

static int body_send(struct span body, const char *keeper_socket, bool *ret_sent, struct refusal *why)
{
	struct lk_inventory message = {.body = body};
	struct buf          answer = BUF_MAX(wire_link.frame_max);
	struct wire_frame  *frame = calloc(1, sizeof(*frame));
	int                 r = frame != NULL ? 0 : refuse(why, E_NOMEM, "observe", "no memory");
	if (r == 0)
		r = keeper_ask(keeper_socket, LK_INVENTORY, &message, LK_INVENTORY_DONE, &answer, frame, why);
	if (r == 0 && frame->u.lk_inventory_done.code != 0)
		r = refuse(why, frame->u.lk_inventory_done.code, keeper_socket, "%s", frame->u.lk_inventory_done.text);
	if (r == 0)
		*ret_sent = frame->u.lk_inventory_done.sent;
	free(frame);
	buf_free(&answer);
	return r;
}

enum report_result observe_report(const struct observation *o, const char *keeper_socket, struct refusal *why)
{
	struct buf body = BUF_MAX(INVENTORY_BODY_MAX);
	bool       sent = false;
	if (access(keeper_socket, F_OK) != 0 && errno == ENOENT)
		return REPORT_NOBODY;
	int r = body_make(o, &body);
	if (r != 0)
		refuse(why, r, "observe", "the report cannot be made: %s", err_what(r));
	else
		r = body_send(buf_span(&body), keeper_socket, &sent, why);
	buf_free(&body);
	return r != 0 ? REPORT_FAILED : sent ? REPORT_SENT : REPORT_KEPT;
}
