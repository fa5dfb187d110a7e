/* api_events.c - room controller/daemon: the audit trail as it grows, as server-sent events; Last-Event-ID goes on after a record.
 * What is sent is durable: it is read from the store, not from what is under way. Whose session, token or right has ended
 * is sent nothing more. Never: sending a record before that was asked. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum {
	STREAMS_MAX = 32,
	ROWS = 50,
	EVENTS_PIECE_MAX = 1 << 20,
	LOOK_MS = 500,         /* how late an event may come */
	BEAT_MS = 10 * 1000,   /* a comment line where nothing was sent for so long: the reader hears that we are there, and we that it is (docs/api.md) */
	LIFE_MS = 600 * 1000,  /* then the reader asks again */
};

struct stream {
	struct controller *ctl;
	struct api        *api;
	struct http_call  *http;
	const struct api_route *route;
	size_t            *running;
	uv_timer_t         timer; /* runs while a piece is wanted and nothing is new */
	uint64_t           seq;   /* the next record */
	int64_t            since_at; /* 0 = `seq` is known */
	bool               from_end;
	bool               wanted; /* the connection waits for a piece */
	bool               reading; /* a worker has it */
	bool               over;
	int64_t            begun, said; /* monotonic: the stream, its last piece */
	int                code;
	struct buf         piece;
	struct audit       row[ROWS];
};

/* ---- on a worker ------------------------------------------------------------------------------------------------ */

/* The first record at or after a time; times in the trail never run backward. */
static int seek(struct stream *s, struct store_view *view, uint64_t size)
{
	uint64_t low = 0, high = size;
	int      r = 0;
	while (r == 0 && low < high) {
		uint64_t middle = low + (high - low) / 2;
		size_t   n = 0;
		r = view_audit(view, middle, s->row, 1, &n);
		if (r == 0 && n > 0 && s->row[0].at < s->since_at)
			low = middle + 1;
		else
			high = middle;
	}
	s->seq = low;
	return r;
}

static int place(struct stream *s, struct store_view *view)
{
	uint64_t size = 0;
	int      r = view_audit_size(view, &size);
	if (r == 0 && s->since_at != 0)
		r = seek(s, view, size);
	else if (r == 0 && s->from_end)
		s->seq = size;
	s->since_at = 0;
	s->from_end = false;
	return r;
}

static void add_event(struct stream *s, struct store_view *view, const struct audit *a)
{
	json_t *o = api_audit_record_json(view, a);
	char   *text = json_dumps(o, JSON_COMPACT);
	if (text != NULL)
		buf_add_fmt(&s->piece, "id: %llu\nevent: %s\ndata: ", (unsigned long long)a->seq, audit_event_name(a->event));
	buf_add_text(&s->piece, text != NULL ? text : "");
	buf_add_text(&s->piece, "\n\n");
	free(text);
	json_decref(o);
	s->seq = a->seq + 1;
}

static void read_rows(void *job, struct store_view *view)
{
	struct stream *s = job;
	size_t         n = 0;
	s->code = view == NULL ? E_STORE_IO : s->since_at != 0 || s->from_end ? place(s, view) : 0;
	if (s->code == 0)
		s->code = view_audit(view, s->seq, s->row, ROWS, &n);
	for (size_t i = 0; s->code == 0 && i < n; i++)
		add_event(s, view, &s->row[i]);
	if (s->code == 0)
		s->code = buf_error(&s->piece);
}

/* ---- on the loop ------------------------------------------------------------------------------------------------ */

static void on_closed(uv_handle_t *timer)
{
	struct stream *s = timer->data;
	(*s->running)--;
	buf_free(&s->piece);
	free(s);
}

static void give(struct stream *s, enum http_piece kind)
{
	s->wanted = false;
	s->said = clock_monotonic();
	http_call_piece(s->http, buf_span(&s->piece), kind);
}

static void rows_read(void *job)
{
	struct stream *s = job;
	int64_t        now = clock_monotonic();
	s->reading = false;
	if (s->code < 0) {
		give(s, HTTP_PIECE_BROKEN);
		return;
	}
	bool end = s->ctl->stopping || now - s->begun > LIFE_MS;
	if (!api_still_may(s->api, s->ctl, s->route, http_call_request(s->http), clock_now())) { /* logged out, revoked, narrowed: it hears nothing of what was read */
		buf_reset(&s->piece);
		end = true;
	}
	if (s->piece.n == 0 && !end && now - s->said > BEAT_MS)
		buf_add_text(&s->piece, ":\n\n");
	if (s->piece.n > 0 || end)
		give(s, end ? HTTP_PIECE_LAST : HTTP_PIECE);
}

static void look(struct stream *s)
{
	if (!s->wanted || s->reading)
		return;
	s->reading = true;
	s->code = E_STORE_IO; /* stands when no view could be opened */
	workers_read(controller_workers(s->ctl), read_rows, rows_read, s);
}

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

/* A piece is wanted; or, with `over`, none ever again. */
static void more(void *ctx, bool over)
{
	struct stream *s = ctx;
	if (over) {
		uv_close((uv_handle_t *)&s->timer, on_closed);
		return;
	}
	buf_reset(&s->piece);
	s->wanted = true;
	look(s);
}

static int begin_at(struct api_call *call, struct stream *s)
{
	const char *since = api_arg(call, "since");
	const char *last = http_call_request(call->http)->last_event_id;
	int64_t     seq;
	if (last[0] != '\0') {
		if (text_i64(last, 0, INT64_MAX - 1, &seq) < 0)
			return refuse(&call->why, E_API_BODY, "Last-Event-ID", "must be the id of one of our events");
		s->seq = (uint64_t)seq + 1;
		return 0;
	}
	if (since != NULL && time_parse(since, &s->since_at) < 0)
		return refuse(&call->why, E_API_BODY, "since", "must be a time like 2026-01-02T03:04:05Z");
	if (since != NULL && s->since_at < 1)
		s->since_at = 1;
	s->from_end = since == NULL;
	return 0;
}

void api_events(struct api_call *call)
{
	static size_t  running; /* on the loop only */
	char           request_id[ID_TEXT_SIZE];
	struct stream *s = running < STREAMS_MAX ? calloc(1, sizeof(*s)) : NULL;
	if (s == NULL) {
		api_refuse(call, E_API_BUSY, "events", "enough streams are open");
		return;
	}
	if (begin_at(call, s) < 0) {
		free(s);
		api_refuse_why(call, &call->why);
		return;
	}
	running++;
	s->ctl = call->ctl;
	s->api = call->api;
	s->route = call->route;
	s->http = call->http;
	s->running = &running;
	s->piece = (struct buf)BUF_MAX(EVENTS_PIECE_MAX);
	s->begun = clock_monotonic();
	s->said = s->begun - BEAT_MS - 1; /* the first line comes with the first look: whoever listens knows that we are there */
	s->timer.data = s;
	uv_timer_init(controller_loop(call->ctl), &s->timer);
	uv_timer_start(&s->timer, on_timer, LOOK_MS, LOOK_MS);
	http_call_header(call->http, "x-request-id", id_text(call->caller.request_id, request_id));
	http_call_header(call->http, "cache-control", "no-store");
	http_call_stream(call->http, 200, "text/event-stream", more, s);
	api_let_go(call);
}
