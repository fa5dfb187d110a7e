/* http_answer.c - room controller/daemon: what a handler sees of a request and says to it, and how that is written, whole or in pieces.
 * Never: reading a request; two writes in one callback. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/http_call.h"
#include "shared/base/text.h"

enum { CHUNK = 16384 };

void http_call_drop(struct http_call *c)
{
	if (c == NULL)
		return;
	c->listener->calls--;
	c->listener->bodies -= c->awaited;
	buf_wipe(&c->in);
	buf_free(&c->out);
	free(c);
}

/* Ends a call; who gives its pieces is told. */
void http_call_end(struct http_call *c)
{
	http_more_fn *more = c->more;
	void         *ctx = c->more_ctx;
	http_call_drop(c);
	if (more != NULL)
		more(ctx, true);
}

/* While a call is being worked on nothing is read: what its caller sends meanwhile, or his end, would wake the loop without end, since
 * libwebsockets leaves it there. It does not write either then, so `http_call_write_next` reads again. */
void http_call_read_later(struct http_call *c)
{
	lws_rx_flow_control(c->wsi, 0);
}

void http_call_write_next(struct http_call *c)
{
	lws_rx_flow_control(c->wsi, 1);
	lws_callback_on_writable(c->wsi);
}

/* Of every answer on the admin port: nothing of it is to be taken for a page, or into one of somebody else's. */
static void add_guards(struct http_call *c)
{
	static const char *const guards[][2] = {
		{"content-security-policy", "default-src 'none'; frame-ancestors 'none'"}, {"x-content-type-options", "nosniff"}, {"cross-origin-resource-policy", "same-origin"}};
	for (size_t i = 0; c->listener->which == HTTP_ADMIN && i < N_ELEMENTS(guards); i++)
		if (http_call_given(c, guards[i][0]) == NULL)
			http_call_header(c, guards[i][0], guards[i][1]);
}

static int send_head(struct http_call *c)
{
	add_guards(c);
	unsigned char  buffer[LWS_PRE + 4096];
	unsigned char *start = buffer + LWS_PRE;
	unsigned char *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	lws_filepos_t length = c->more == NULL ? c->out.n : LWS_ILLEGAL_HTTP_CONTENT_LEN;
	if (lws_add_http_common_headers(c->wsi, (unsigned)c->status, c->content_type, length, &p, end) != 0)
		return -1;
	static const unsigned char chunked[] = "chunked";
	if (c->more != NULL && lws_add_http_header_by_token(c->wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, chunked, sizeof(chunked) - 1, &p, end) != 0)
		return -1;
	for (size_t i = 0; i < c->n_headers; i++)
		if (lws_add_http_header_by_name(c->wsi, (const unsigned char *)c->headers[i][0],
		                                (const unsigned char *)c->headers[i][1], (int)strlen(c->headers[i][1]), &p,
		                                end) != 0)
			return -1;
	if (lws_finalize_write_http_header(c->wsi, start, &p, end) != 0)
		return -1;
	c->head_sent = true;
	return 0;
}

static int finish(struct connection *conn, struct lws *wsi)
{
	bool unframed = conn->call->unframed;
	http_call_end(conn->call);
	conn->call = NULL;
	if (unframed)
		return -1;
	return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

static void want_piece(struct http_call *c)
{
	buf_reset(&c->out);
	c->sent = 0;
	c->waiting = true;
	http_call_read_later(c);
	c->more(c->more_ctx, false);
}

/* One write per callback: the head first, then a piece of the body each time. */
int http_call_writable(struct lws *wsi, struct connection *conn)
{
	struct http_call *c = conn->call;
	if (c == NULL || !c->answered)
		return 0;
	bool no_body = c->out.n == 0 || text_equal(c->request.method, "HEAD");
	if (!c->head_sent) {
		if (send_head(c) != 0)
			return -1;
		if (no_body && c->more == NULL)
			return finish(conn, wsi);
		lws_callback_on_writable(wsi);
		return 0;
	}
	if (c->waiting)
		return 0;
	if (c->broken)
		return -1;
	unsigned char piece[LWS_PRE + CHUNK];
	size_t        n = c->out.n - c->sent;
	if (n == 0 && c->more != NULL && !c->complete) {
		want_piece(c);
		return 0;
	}
	if (n > CHUNK)
		n = CHUNK;
	bool last = c->sent + n == c->out.n && (c->more == NULL || c->complete);
	memcpy(piece + LWS_PRE, c->out.p + c->sent, n);
	if (lws_write(wsi, piece + LWS_PRE, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) != (int)n)
		return -1;
	c->sent += n;
	if (last)
		return finish(conn, wsi);
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, 30);
	lws_callback_on_writable(wsi);
	return 0;
}

const struct http_request *http_call_request(const struct http_call *c)
{
	return &c->request;
}

const char *http_call_arg(const struct http_call *c, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < c->request.n_args; i++)
		if (strncmp(c->request.args[i], name, n) == 0 && c->request.args[i][n] == '=')
			return c->request.args[i] + n + 1;
	return NULL;
}

void http_call_header(struct http_call *c, const char *name, const char *value)
{
	if (c->n_headers == HEADERS_MAX || strlen(name) + 2 > HEADER_SIZE || strlen(value) >= HEADER_SIZE)
		return;
	char *to = c->headers[c->n_headers][0];
	memcpy(to, name, strlen(name));
	memcpy(to + strlen(name), ":", 2); /* libwebsockets wants the colon in the name */
	text_cut(c->headers[c->n_headers][1], HEADER_SIZE, value);
	c->n_headers++;
}

const char *http_call_given(const struct http_call *c, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < c->n_headers; i++)
		if (strncmp(c->headers[i][0], name, n) == 0 && text_equal(c->headers[i][0] + n, ":"))
			return c->headers[i][1];
	return NULL;
}

bool http_call_gone(const struct http_call *c)
{
	return c->wsi == NULL;
}

bool http_call_left(const struct http_call *c)
{
	struct pollfd p = {.fd = c->wsi != NULL ? lws_get_socket_fd(c->wsi) : -1, .events = POLLRDHUP};
	return c->wsi == NULL || (poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

void http_call_answer(struct http_call *c, int status, const char *content_type, struct span body)
{
	c->answered = true;
	if (c->wsi == NULL) {
		http_call_end(c);
		return;
	}
	c->status = status;
	text_cut(c->content_type, sizeof(c->content_type), content_type);
	buf_add(&c->out, body.p, body.n);
	if (buf_error(&c->out) != 0) {
		buf_reset(&c->out);
		c->status = 503;
	}
	http_call_write_next(c);
}

void http_call_stream(struct http_call *c, int status, const char *content_type, http_more_fn *more, void *ctx)
{
	c->more = more;
	c->more_ctx = ctx;
	http_call_answer(c, status, content_type, (struct span){NULL, 0});
}

/* RFC 9112, 7.1: length, bytes; a length of nothing ends it. */
void http_call_piece(struct http_call *c, struct span piece, enum http_piece kind)
{
	c->waiting = false;
	if (c->wsi == NULL) {
		http_call_end(c);
		return;
	}
	if (piece.n > 0) {
		buf_add_fmt(&c->out, "%zx\r\n", piece.n);
		buf_add(&c->out, piece.p, piece.n);
		buf_add_text(&c->out, "\r\n");
	}
	c->complete = kind == HTTP_PIECE_LAST;
	if (c->complete)
		buf_add_text(&c->out, "0\r\n\r\n");
	c->broken = kind == HTTP_PIECE_BROKEN || buf_error(&c->out) != 0;
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, 30);
	http_call_write_next(c);
}
