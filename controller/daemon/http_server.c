/* http_server.c - room controller/daemon: HTTP/1.1 on libwebsockets over a libuv loop and our own listening sockets.
 * Never: knowing routes or rights. */
#include "controller/daemon/http_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "controller/daemon/tls_http.h"
#include "shared/base/text.h"

enum { HEADERS_MAX = 8, HEADER_SIZE = 320, ACCEPT_BATCH = 16, WAIT_SECONDS = 120, CHUNK = 16384 };

struct listener {
	struct http_server *server;
	enum http_listener  which;
	struct lws_vhost   *vhost;
	uv_poll_t          *poll; /* on the heap: closing is asynchronous */
	int                 fd;
};

struct http_server {
	uv_loop_t          *loop;
	struct lws_context *context;
	http_handle_fn     *handle;
	void               *ctx;
	struct listener     listeners[HTTP_LISTENER_COUNT];
	size_t              calls;
	void               *tls; /* SSL_CTX of the admin vhost */
};

struct http_call {
	struct http_server *server;
	struct lws         *wsi; /* NULL when the connection is gone */
	struct http_request request;
	struct buf          in;
	char                headers[HEADERS_MAX][2][HEADER_SIZE];
	size_t              n_headers;
	bool                handed; /* the handler has it */
	bool                answered;
	bool                head_sent;
	int                 status;
	char                content_type[64];
	struct buf          out;
	size_t              sent;
};

/* per connection, owned by libwebsockets */
struct connection {
	struct http_call *call;
};

static const char *const vhost_names[HTTP_LISTENER_COUNT] = {"admin", "local", "public"};

static void call_free(struct http_call *c)
{
	if (c == NULL)
		return;
	c->server->calls--;
	buf_wipe(&c->in);
	buf_free(&c->out);
	free(c);
}

static struct http_call *call_new(struct http_server *s, struct lws *wsi)
{
	if (s->calls >= HTTP_CALLS_MAX)
		return NULL;
	struct http_call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	s->calls++;
	c->server = s;
	c->wsi = wsi;
	c->in.max = HTTP_BODY_MAX;
	c->out.max = SIZE_MAX / 4;
	return c;
}

static const struct {
	enum lws_token_indexes token;
	const char            *method;
} methods[] = {
	{WSI_TOKEN_GET_URI, "GET"}, {WSI_TOKEN_POST_URI, "POST"},     {WSI_TOKEN_PUT_URI, "PUT"},
	{WSI_TOKEN_PATCH_URI, "PATCH"}, {WSI_TOKEN_DELETE_URI, "DELETE"}, {WSI_TOKEN_HEAD_URI, "HEAD"},
};

/* Copies a header that fits; an over-long one is reported. */
static int header_copy(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size)
{
	int n = lws_hdr_total_length(wsi, token);
	if (n <= 0)
		return 0;
	if ((size_t)n >= size || lws_hdr_copy(wsi, to, (int)size, token) < 0)
		return E_API_TOO_LARGE;
	return 0;
}

static int custom_copy(struct lws *wsi, const char *name, char *to, size_t size)
{
	int n = lws_hdr_custom_length(wsi, name, (int)strlen(name));
	if (n <= 0)
		return 0;
	if ((size_t)n >= size || lws_hdr_custom_copy(wsi, to, (int)size, name, (int)strlen(name)) < 0)
		return E_API_TOO_LARGE;
	return 0;
}

static int args_copy(struct lws *wsi, struct http_request *q)
{
	for (int i = 0;; i++) {
		if (q->n_args == HTTP_ARGS_MAX)
			return E_API_TOO_LARGE;
		int n = lws_hdr_copy_fragment(wsi, q->args[q->n_args], HTTP_ARG_SIZE, WSI_TOKEN_HTTP_URI_ARGS, i);
		if (n == -1)
			return 0;
		if (n < 0)
			return E_API_TOO_LARGE;
		q->n_args++;
	}
}

static uid_t peer_uid(struct lws *wsi)
{
	struct ucred cred;
	socklen_t    n = sizeof(cred);
	if (getsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return (uid_t)-1;
	return cred.uid;
}

static int request_read(struct lws *wsi, enum http_listener which, struct http_request *q)
{
	q->listener = which;
	if (which == HTTP_LOCAL)
		q->peer_uid = peer_uid(wsi);
	for (size_t i = 0; i < N_ELEMENTS(methods); i++) {
		if (lws_hdr_total_length(wsi, methods[i].token) <= 0)
			continue;
		text_cut(q->method, sizeof(q->method), methods[i].method);
		if (header_copy(wsi, methods[i].token, q->path, sizeof(q->path)) < 0)
			return E_API_TOO_LARGE;
		break;
	}
	if (q->method[0] == '\0')
		return E_API_METHOD;
	if (!text_utf8_ok(q->path, strlen(q->path)))
		return E_API_ROUTE;
	int r = header_copy(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, q->authorization, sizeof(q->authorization));
	if (r == 0)
		r = header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, q->content_type, sizeof(q->content_type));
	if (r == 0)
		r = header_copy(wsi, WSI_TOKEN_HTTP_IF_MATCH, q->if_match, sizeof(q->if_match));
	if (r == 0)
		r = custom_copy(wsi, "idempotency-key:", q->idempotency_key, sizeof(q->idempotency_key));
	if (r == 0)
		r = custom_copy(wsi, "prefer:", q->prefer, sizeof(q->prefer));
	return r == 0 ? args_copy(wsi, q) : r;
}

/* Length of the body that follows: 0 when none; negative for what we do not take. */
static int64_t body_length(struct lws *wsi)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return E_API_BODY;
	char text[24] = "";
	if (header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) < 0)
		return E_API_BODY;
	if (text[0] == '\0')
		return 0;
	int64_t n;
	if (text_i64(text, 0, INT64_MAX, &n) < 0)
		return E_API_BODY;
	return n > HTTP_BODY_MAX ? E_API_TOO_LARGE : n;
}

static void call_hand_over(struct http_call *c)
{
	c->handed = true;
	c->request.body = buf_span(&c->in);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, WAIT_SECONDS);
	c->server->handle(c->server->ctx, c);
}

/* An answer from this file, before any handler saw the request. */
static int refuse_early(struct lws *wsi, int status)
{
	if (lws_return_http_status(wsi, (unsigned)status, NULL) != 0)
		return -1;
	return -1; /* the rest of such a request is not read */
}

static int on_request(struct lws *wsi, struct listener *l, struct connection *conn)
{
	call_free(conn->call);
	conn->call = NULL;
	struct http_call *c = call_new(l->server, wsi);
	if (c == NULL)
		return refuse_early(wsi, 503);
	int     r = request_read(wsi, l->which, &c->request);
	int64_t n = r == 0 ? body_length(wsi) : r;
	if (n < 0) {
		call_free(c);
		return refuse_early(wsi, n == E_API_TOO_LARGE ? 413 : n == E_API_METHOD ? 405 : 400);
	}
	conn->call = c;
	if (n == 0)
		call_hand_over(c);
	return 0;
}

static int on_body(struct connection *conn, const void *bytes, size_t n)
{
	if (conn->call == NULL || conn->call->handed)
		return -1;
	buf_add(&conn->call->in, bytes, n);
	return buf_error(&conn->call->in) == 0 ? 0 : -1;
}

static int send_head(struct http_call *c)
{
	unsigned char  buffer[LWS_PRE + 4096];
	unsigned char *start = buffer + LWS_PRE;
	unsigned char *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	if (lws_add_http_common_headers(c->wsi, (unsigned)c->status, c->content_type, c->out.n, &p, end) != 0)
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
	call_free(conn->call);
	conn->call = NULL;
	return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

/* One write per callback: the head first, then a piece of the body each time. */
static int on_writable(struct lws *wsi, struct connection *conn)
{
	struct http_call *c = conn->call;
	if (c == NULL || !c->answered)
		return 0;
	bool no_body = c->out.n == 0 || text_equal(c->request.method, "HEAD");
	if (!c->head_sent) {
		if (send_head(c) != 0)
			return -1;
		if (no_body)
			return finish(conn, wsi);
		lws_callback_on_writable(wsi);
		return 0;
	}
	unsigned char piece[LWS_PRE + CHUNK];
	size_t        n = c->out.n - c->sent;
	if (n > CHUNK)
		n = CHUNK;
	bool last = c->sent + n == c->out.n;
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

static void on_closed(struct connection *conn)
{
	struct http_call *c = conn != NULL ? conn->call : NULL;
	if (c == NULL)
		return;
	conn->call = NULL;
	c->wsi = NULL;
	if (!c->handed || c->answered)
		call_free(c); /* otherwise the handler's answer frees it */
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct connection *conn = user;
	switch (reason) {
	case LWS_CALLBACK_HTTP: {
		/* Not the vhost: a Host header may lead to another one. */
		struct listener *l = lws_get_opaque_user_data(wsi);
		return l != NULL ? on_request(wsi, l, conn) : -1;
	}
	case LWS_CALLBACK_HTTP_BODY:
		return on_body(conn, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		if (conn->call != NULL && !conn->call->handed)
			call_hand_over(conn->call);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return on_writable(wsi, conn);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		on_closed(conn);
		return 0;
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		tls_http_harden(user);
		((struct http_server *)lws_context_user(lws_get_context(wsi)))->tls = user;
		return 0;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return -1; /* nothing here speaks websocket */
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = callback, .per_session_data_size = sizeof(struct connection), .rx_buffer_size = 4096, .tx_packet_size = 32768},
	{0},
};

int http_server_make(uv_loop_t *loop, http_handle_fn *handle, void *ctx, struct http_server **ret, struct refusal *why)
{
	struct http_server *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return refuse(why, E_NOMEM, "http server", "out of memory");
	s->loop = loop;
	s->handle = handle;
	s->ctx = ctx;
	for (size_t i = 0; i < HTTP_LISTENER_COUNT; i++)
		s->listeners[i] = (struct listener){.server = s, .which = (enum http_listener)i, .fd = -1};

	void                            *loops[] = {loop};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.user = s,
		.pt_serv_buf_size = 20480,
		.max_http_header_data = 8192,
		.fd_limit_per_thread = 4096,
		.uid = -1,
		.gid = -1,
	};
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	s->context = lws_create_context(&info);
	if (s->context == NULL) {
		free(s);
		return refuse(why, E_GW_PLUGIN, "libwebsockets", "no context on a libuv loop");
	}
	*ret = s;
	return 0;
}

static struct lws_vhost *vhost_make(struct http_server *s, struct listener *l)
{
	static const lws_retry_bo_t      no_validity; /* all zero: no timer per connection */
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = vhost_names[l->which],
		.protocols = protocols,
		.user = l,
		.retry_and_idle_policy = &no_validity,
		.timeout_secs = 20,
		.keepalive_timeout = 60,
		.alpn = "http/1.1",
	};
	if (l->which == HTTP_ADMIN) {
		/* A name that does not exist makes a TLS vhost whose certificate we load ourselves, from memory. */
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_IGNORE_MISSING_CERT;
		info.ssl_cert_filepath = "/nonexistent/vcc-admin-chain";
		info.ssl_private_key_filepath = "/nonexistent/vcc-admin-key";
	}
	return lws_create_vhost(s->context, &info);
}

int http_server_tls(struct http_server *s, struct span chain_pem, struct span key_pem, struct refusal *why)
{
	struct listener *l = &s->listeners[HTTP_ADMIN];
	if (l->vhost == NULL)
		l->vhost = vhost_make(s, l);
	if (l->vhost == NULL || s->tls == NULL)
		return refuse(why, E_GW_TLS, vhost_names[HTTP_ADMIN], "the TLS listener cannot be set up");
	return tls_http_load(s->tls, chain_pem, key_pem, why);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	struct listener *l = poll->data;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return; /* EAGAIN; on EMFILE the connection waits in the backlog */
		struct lws *wsi = lws_adopt_socket_vhost(l->vhost, fd); /* closes fd itself when it fails */
		if (wsi != NULL)
			lws_set_opaque_user_data(wsi, l);
	}
}

int http_server_listen(struct http_server *s, enum http_listener which, int fd, struct refusal *why)
{
	struct listener *l = &s->listeners[which];
	if (l->vhost == NULL && which != HTTP_ADMIN)
		l->vhost = vhost_make(s, l);
	if (l->vhost == NULL)
		return refuse(why, E_GW_TLS, vhost_names[which], "the listener cannot be set up");
	uv_poll_t *poll = calloc(1, sizeof(*poll));
	if (poll == NULL)
		return refuse(why, E_NOMEM, vhost_names[which], "out of memory");
	if (uv_poll_init(s->loop, poll, fd) != 0) {
		free(poll);
		return refuse(why, E_SYS_ADDRESS, vhost_names[which], "the socket cannot be watched");
	}
	l->fd = fd;
	l->poll = poll;
	poll->data = l;
	uv_poll_start(poll, UV_READABLE, on_connection);
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	free(handle);
}

void http_server_close(struct http_server *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < HTTP_LISTENER_COUNT; i++) {
		struct listener *l = &s->listeners[i];
		if (l->poll != NULL)
			uv_close((uv_handle_t *)l->poll, on_poll_closed);
		if (l->fd >= 0)
			close(l->fd);
		l->poll = NULL;
		l->fd = -1;
	}
	if (s->context != NULL)
		lws_context_destroy(s->context);
}

void http_server_free(struct http_server *s)
{
	if (s == NULL)
		return;
	if (s->context != NULL)
		lws_context_destroy(s->context); /* second call: with a foreign loop the first one only starts it */
	free(s);
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

void http_call_answer(struct http_call *c, int status, const char *content_type, struct span body)
{
	c->answered = true;
	if (c->wsi == NULL) {
		call_free(c);
		return;
	}
	c->status = status;
	text_cut(c->content_type, sizeof(c->content_type), content_type);
	buf_add(&c->out, body.p, body.n);
	if (buf_error(&c->out) != 0) {
		buf_reset(&c->out);
		c->status = 503;
	}
	lws_callback_on_writable(c->wsi);
}
