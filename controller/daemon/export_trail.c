/* export_trail.c - room controller/daemon: the trail as lines, piece by piece: a worker reads one, the connection takes it, and
 * so on. Memory is one piece, however long the trail is. Never: holding a view while a peer is slow. */
#include "controller/daemon/export_trail.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/workers.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/audit_export.h"
#include "shared/sys/clock.h"

enum { PIECE_ROWS = 250, PIECE_ENOUGH = 1 << 19, PIECE_MAX = 1 << 20, EXPORTS_MAX = 4 };

enum phase { PHASE_BEGIN, PHASE_PERSONS, PHASE_ROWS };

struct trail {
	struct controller *ctl;
	struct api        *api;
	const struct api_route *route;
	struct http_call  *http;
	size_t            *running;
	bool               names;
	int64_t            since_at;
	enum phase         phase;
	uint64_t           from, size, seq; /* rows to give: [from, size); next one */
	struct audit_line_counts n;
	uint64_t           receipt_seq; /* the last one given, of: */
	struct hash        receipt_of;
	char               person[ACTOR_SIZE]; /* the last one given */
	struct audit_head  head;               /* the next one; size 0 = none is left */
	struct audit       row[PIECE_ROWS];
	struct buf         piece;
	bool               last;
	int                code;
};

/* ---- on a worker ------------------------------------------------------------------------------------------------ */

static int node_of(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	return view_audit_node(ctx, level, index, ret);
}

static int next_head(struct trail *t, struct store_view *view, uint64_t above)
{
	size_t n = 0;
	t->head.size = 0;
	int r = view_audit_heads(view, above, &t->head, 1, &n);
	if (r == 0 && n > 0 && t->head.size > t->size)
		t->head.size = 0;
	return r;
}

static int begin(struct trail *t, struct store_view *view)
{
	struct merkle_frontier before;
	struct issuer         *issuers = calloc(STORE_LIST_MAX, sizeof(*issuers));
	size_t                 n = 0;
	int                    r = issuers != NULL ? view_audit_size(view, &t->size) : E_NOMEM;
	if (r == 0 && t->since_at > 0)
		r = view_audit_since(view, t->since_at, &t->from);
	if (r == 0)
		r = merkle_frontier_load(node_of, view, t->from, &before);
	if (r == 0)
		r = next_head(t, view, t->from);
	if (r == 0)
		r = view_issuers(view, "", issuers, STORE_LIST_MAX, &n);
	if (r == 0)
		audit_line_begin(&before, &t->piece);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (issuers[i].role == ISSUER_AGENT) /* whose key the signer uses */
			audit_line_issuer(issuers[i].issuer_id, (struct span){issuers[i].der, issuers[i].der_len}, &t->piece);
	free(issuers);
	t->seq = t->from;
	t->phase = t->names ? PHASE_PERSONS : PHASE_ROWS;
	return r;
}

static int persons(struct trail *t, struct store_view *view)
{
	struct audit_person *page = calloc(STORE_LIST_MAX, sizeof(*page));
	size_t               n = 0;
	int                  r = page != NULL ? view_audit_persons(view, t->person, page, STORE_LIST_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		audit_line_person(&page[i], &t->piece);
	if (r == 0 && n > 0)
		text_cut(t->person, sizeof(t->person), page[n - 1].name);
	t->n.persons += n;
	if (n < STORE_LIST_MAX)
		t->phase = PHASE_ROWS;
	free(page);
	return r;
}

static void add_row(struct trail *t, const struct audit *a)
{
	struct audit_leaf leaf = {
		.seq = a->seq,
		.at = a->at,
		.behind_ms = a->behind_ms,
		.event = audit_event_name(a->event),
		.actor = a->actor,
		.object = a->object,
		.renewal_id = a->renewal_id,
		.request_id = a->request_id,
		.reason = a->reason,
		.detail = a->detail,
	};
	audit_line_row(&leaf, &t->piece);
	t->n.rows++;
	t->seq = a->seq + 1;
}

/* The receipt that a record names: false when it names none, or the one that was given last. */
static bool names_receipt(struct trail *t, const struct audit *a)
{
	struct hash host;
	json_t     *detail = strstr(a->detail, "\"" AUDIT_DETAIL_RECEIPT "\"") != NULL ? json_loads(a->detail, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(detail, AUDIT_DETAIL_HOST));
	uint64_t    seq = (uint64_t)json_integer_value(json_object_get(detail, AUDIT_DETAIL_RECEIPT_SEQ));
	bool        fresh = text != NULL && hash_parse(text, &host) == 0 && (seq != t->receipt_seq || !hash_equal(host, t->receipt_of));
	json_decref(detail);
	if (fresh) {
		t->receipt_seq = seq;
		t->receipt_of = host;
	}
	return fresh;
}

/* One that is not there any more is not given: the reader sees that it is missing. */
static int add_receipt(struct trail *t, struct store_view *view)
{
	struct buf         body = BUF_MAX(RECEIPT_BODY_MAX);
	struct receipt_row row;
	int                r = view_receipt(view, t->receipt_of, t->receipt_seq, &row);
	if (r == 0)
		r = view_receipt_body(view, t->receipt_of, t->receipt_seq, &body);
	if (r == 0 && row.host_spki_len > 0) {
		audit_line_receipt(&(struct audit_receipt){.host_spki = {row.host_spki, row.host_spki_len},
							   .seq = row.seq,
							   .body = buf_span(&body),
							   .signature = {row.signature, row.signature_len}},
				   &t->piece);
		t->n.receipts++;
	}
	buf_free(&body);
	return r == E_NOT_FOUND ? 0 : r;
}

static int rows(struct trail *t, struct store_view *view)
{
	size_t n = 0;
	int    r = t->seq < t->size ? view_audit(view, t->seq, t->row, PIECE_ROWS, &n) : 0;
	for (size_t i = 0; r == 0 && i < n && t->row[i].seq < t->size && t->piece.n < PIECE_ENOUGH; i++) {
		add_row(t, &t->row[i]);
		if (names_receipt(t, &t->row[i]))
			r = add_receipt(t, view);
		if (r < 0 || t->head.size != t->seq)
			continue;
		audit_line_head(&t->head, &t->piece);
		t->n.heads++;
		r = next_head(t, view, t->seq);
	}
	if (r == 0 && t->seq >= t->size) {
		audit_line_end(&t->n, &t->piece);
		t->last = true;
	}
	return r == 0 && n == 0 && !t->last ? E_STORE_DAMAGED : r;
}

static void make_piece(void *job, struct store_view *view)
{
	static int (*const phases[])(struct trail * t, struct store_view * view) = {begin, persons, rows};
	struct trail *t = job;
	buf_reset(&t->piece);
	t->code = view != NULL ? phases[t->phase](t, view) : E_STORE_IO;
	if (t->code == 0)
		t->code = buf_error(&t->piece);
}

/* ---- on the loop ------------------------------------------------------------------------------------------------ */

/* Whoever was cut off meanwhile sees that the answer is not whole: a reader must not take the beginning of the trail for all of it. */
static void on_piece(void *job)
{
	struct trail *t = job;
	if (t->code == 0 && !api_still_may(t->api, t->ctl, t->route, http_call_request(t->http), clock_now())) {
		buf_reset(&t->piece);
		t->code = E_API_FORBIDDEN;
	}
	http_call_piece(t->http, buf_span(&t->piece), t->code < 0 ? HTTP_PIECE_BROKEN : t->last ? HTTP_PIECE_LAST : HTTP_PIECE);
}

static void more(void *ctx, bool over)
{
	struct trail *t = ctx;
	if (!over) {
		t->code = E_STORE_IO; /* stands when no view could be opened */
		workers_read(controller_workers(t->ctl), make_piece, on_piece, t);
		return;
	}
	(*t->running)--;
	buf_free(&t->piece);
	free(t);
}

void api_audit_export(struct api_call *call)
{
	static size_t running; /* on the loop only */
	const char   *since = api_arg(call, "since"), *names = api_arg(call, "names");
	int64_t       since_at = 0;
	char          request_id[ID_TEXT_SIZE];
	if (since != NULL && time_parse(since, &since_at) < 0) {
		api_refuse(call, E_API_BODY, "since", "must be a time like 2026-01-02T03:04:05Z");
		return;
	}
	struct trail *t = running < EXPORTS_MAX ? calloc(1, sizeof(*t)) : NULL;
	if (t == NULL) {
		api_refuse(call, E_API_BUSY, "export", "enough exports are under way");
		return;
	}
	running++;
	t->ctl = call->ctl;
	t->api = call->api;
	t->route = call->route;
	t->http = call->http;
	t->running = &running;
	t->names = names == NULL || !text_equal(names, "no");
	t->since_at = since_at;
	t->piece = (struct buf)BUF_MAX(PIECE_MAX);
	http_call_header(call->http, "x-request-id", id_text(call->caller.request_id, request_id));
	http_call_header(call->http, "cache-control", "no-store");
	http_call_stream(call->http, 200, "application/x-ndjson", more, t);
	api_let_go(call);
}
