/* http_server.c - room controller/daemon: HTTP/1.1 on libwebsockets over a libuv loop and our own listening sockets: whom it lets in, and what
 * it reads until a request is whole. Never: knowing routes or rights; the answer (http_answer.c). */
#include "controller/daemon/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libwebsockets.h>

#include "controller/daemon/http_call.h"
#include "controller/daemon/http_read.h"
#include "controller/daemon/ocsp_serve.h"
#include "controller/daemon/tls_http.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { ACCEPT_BATCH = 16, BODY_SECONDS = 15, REFUSED_SECONDS = 5, WAIT_SECONDS = 120, FILES = 4096 };

/* A crowd on one listener never takes the room of another: whoever holds the public one cannot lock out the operator, nor whoever
 * holds the admin one root on the local socket. */
static const struct {
	size_t  connections; /* more are closed at once */
	size_t  calls;       /* requests in work; more get 503 */
	int64_t body;        /* largest body */
	int64_t     bodies;    /* all bodies being received, as declared; more get 503 */
	const char *body_path; /* the only path that takes one; NULL = any */
} limits[HTTP_LISTENER_COUNT] = {
	[HTTP_ADMIN] = {512, 256, HTTP_BODY_MAX, 16 * HTTP_BODY_MAX, NULL},
	[HTTP_LOCAL] = {128, 64, HTTP_BODY_MAX, 16 * HTTP_BODY_MAX, NULL},
	[HTTP_PUBLIC] = {1024, 256, OCSP_BODY_MAX, 256 * OCSP_BODY_MAX, "/ocsp"},
};

struct http_server {
	uv_loop_t          *loop;
	struct lws_context *context;
	http_handle_fn     *handle;
	http_body_max_fn   *body_max; /* may be NULL */
	void               *ctx;
	struct listener     listeners[HTTP_LISTENER_COUNT];
	void               *tls; /* SSL_CTX of the admin vhost */
	uv_prepare_t       *before_sockets;
	uv_check_t         *behind_sockets;
	bool                from_socket; /* the loop has turned to its sockets: what is read now was not kept from before */
};

static const char *const vhost_names[HTTP_LISTENER_COUNT] = {"admin", "local", "public"};

static struct http_call *call_new(struct listener *l, struct lws *wsi)
{
	if (l->calls >= limits[l->which].calls)
		return NULL;
	struct http_call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	l->calls++;
	c->listener = l;
	c->wsi = wsi;
	c->out.max = SIZE_MAX / 4;
	return c;
}

static void call_hand_over(struct http_call *c)
{
	c->handed = true;
	http_call_read_later(c);
	c->listener->bodies -= c->awaited;
	c->awaited = 0;
	lws_set_timer_usecs(c->wsi, LWS_SET_TIMER_USEC_CANCEL);
	c->request.body = buf_span(&c->in);
	lws_set_timeout(c->wsi, PENDING_TIMEOUT_HTTP_CONTENT, WAIT_SECONDS);
	c->listener->server->handle(c->listener->server->ctx, c);
}

/* An answer from this file, before any handler saw the request. A caller who still sends its body would lose the answer by a reset:
 * the body is read and dropped for a moment. */
static int refuse_early(struct lws *wsi, struct connection *conn, int status, int code)
{
	unsigned char  buffer[LWS_PRE + 2048];
	unsigned char *start = buffer + LWS_PRE;
	unsigned char *p = start;
	unsigned char *end = buffer + sizeof(buffer) - 1;
	char           body[768];
	char           name[ERR_CODE_SIZE];
	char           request_id[ID_TEXT_SIZE];
	uint8_t        random[ID_RANDOM];
	entropy(random, sizeof(random));
	id_text(id_make(clock_now(), random), request_id);
	snprintf(body, sizeof(body),
	         "{\"type\":\"urn:vcc:error:%s\",\"title\":\"%s\",\"status\":%d,\"code\":\"%s\",\"object\":\"request\",\"detail\":\"%s\","
	         "\"next\":\"%s\",\"request_id\":\"%s\",\"retryable\":%s}",
	         err_code(code, name), err_what(code), status, name, err_what(code), err_next(code), request_id,
	         err_kind(code) == ERR_KIND_RETRY ? "true" : "false");
	size_t n = strlen(body);
	if (lws_add_http_common_headers(wsi, (unsigned)status, "application/problem+json", n, &p, end) != 0 ||
	    lws_add_http_header_by_name(wsi, (const unsigned char *)"x-request-id:", (const unsigned char *)request_id, (int)strlen(request_id), &p, end) != 0 ||
	    lws_finalize_http_header(wsi, &p, end) != 0 || (size_t)(end - p) < n)
		return -1;
	memcpy(p, body, n);
	size_t whole = (size_t)(p - start) + n;
	if (lws_write(wsi, start, whole, LWS_WRITE_HTTP_HEADERS) != (int)whole || !http_read_has_body(wsi))
		return -1;
	conn->refused = true;
	lws_set_timer_usecs(wsi, REFUSED_SECONDS * LWS_USEC_PER_SEC);
	return 0;
}

static int early_status(int64_t code)
{
	return code == E_API_TOO_LARGE ? 413 : code == E_API_METHOD ? 405 : code == E_API_BUSY ? 503 : 400;
}

/* By the head, where somebody can tell. */
static int64_t body_max_of(const struct listener *l, const struct http_request *q)
{
	const struct http_server *s = l->server;
	return l->which != HTTP_PUBLIC && s->body_max != NULL ? s->body_max(s->ctx, q) : limits[l->which].body;
}

/* Reads the head into a new call, which takes its room in the listener's budget. */
static int call_open(struct lws *wsi, struct listener *l, struct http_call **ret)
{
	struct http_call *c = call_new(l, wsi);
	if (c == NULL)
		return E_API_BUSY;
	int     r = http_read_request(wsi, l->which, &c->request);
	int64_t max = r == 0 ? body_max_of(l, &c->request) : 0;
	int64_t n = r == 0 ? http_read_length(wsi, max) : r;
	c->in.max = (size_t)max;
	if (r == 0 && (n > 0 || n == E_API_TOO_LARGE) && limits[l->which].body_path != NULL && !text_equal(c->request.path, limits[l->which].body_path))
		n = E_API_METHOD;
	if (n > 0 && l->bodies + n > limits[l->which].bodies)
		n = E_API_BUSY;
	if (n < 0) {
		http_call_drop(c);
		return (int)n;
	}
	c->awaited = n;
	l->bodies += n;
	c->unframed = c->request.method[0] == 'P' && lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0;
	*ret = c;
	return 0;
}

/* The connection no longer has a call. */
static void let_go(struct connection *conn)
{
	struct http_call *c = conn != NULL ? conn->call : NULL;
	if (c == NULL)
		return;
	conn->call = NULL;
	c->wsi = NULL;
	if ((!c->handed || c->answered) && !c->waiting)
		http_call_end(c); /* otherwise the handler's answer frees it */
}

/* A body behind a head that the library had kept, because it came behind a request whose answer was still being made, is not taken: the library reads on in
 * memory that it has given back by then. Who waits for an answer before the next request, as everybody does who sends a body (RFC 9112, 9.3.2), never meets this. */
static int on_request(struct lws *wsi, struct listener *l, struct connection *conn)
{
	let_go(conn);
	conn->whole = false;
	if (!l->server->from_socket && http_read_has_body(wsi)) {
		(void)refuse_early(wsi, conn, early_status(E_API_BODY), E_API_BODY);
		return -1;
	}
	int r = call_open(wsi, l, &conn->call);
	if (r < 0)
		return refuse_early(wsi, conn, early_status(r), r);
	if (conn->call->awaited == 0)
		call_hand_over(conn->call);
	else /* of libwebsockets' own timeout each byte makes a new one */
		lws_set_timer_usecs(wsi, BODY_SECONDS * LWS_USEC_PER_SEC);
	return 0;
}

static int on_body(struct connection *conn, const void *bytes, size_t n)
{
	if (conn->refused || n == 0) /* libwebsockets tells an empty body, too, when its length was said */
		return 0;
	if (conn->call == NULL || conn->call->handed)
		return -1;
	buf_add(&conn->call->in, bytes, n);
	return buf_error(&conn->call->in) == 0 ? 0 : -1;
}

/* libwebsockets keeps what follows a body, and says again and again, without ever going back to the loop, that the body has ended: where the request itself
 * came behind another one, nothing but the end of the connection ends that. Nobody may send more before the answer to a body (RFC 9112, 9.3.2). */
static int on_body_end(struct connection *conn)
{
	if (conn->refused || conn->whole)
		return -1;
	conn->whole = true;
	if (conn->call != NULL && !conn->call->handed) /* else it was empty */
		call_hand_over(conn->call);
	return 0;
}

/* CONNECT: libwebsockets makes a connection of plain bytes of it and takes its timeout away before it says so here, the last place
 * where the request is still one. */
static int on_bind(struct lws *wsi, struct connection *conn)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_CONNECT) <= 0)
		return 0;
	if (conn != NULL)
		(void)refuse_early(wsi, conn, early_status(E_API_METHOD), E_API_METHOD);
	lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
	return -1;
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
		return on_body_end(conn);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return http_call_writable(wsi, conn);
	case LWS_CALLBACK_TIMER:
		return conn != NULL && (conn->refused || (conn->call != NULL && !conn->call->handed)) ? -1 : 0;
	case LWS_CALLBACK_WSI_DESTROY: {
		struct listener *l = lws_get_opaque_user_data(wsi);
		if (l != NULL)
			l->connections--;
		return 0;
	}
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		let_go(conn);
		return 0;
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		tls_http_harden(user);
		((struct http_server *)lws_context_user(lws_get_context(wsi)))->tls = user;
		return 0;
	case LWS_CALLBACK_HTTP_BIND_PROTOCOL:
		return on_bind(wsi, conn);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
	case LWS_CALLBACK_RAW_ADOPT:
	case LWS_CALLBACK_RAW_RX:
		return -1; /* nothing here speaks websocket, or anything but HTTP */
	default:
		return 0;
	}
}

static void on_before_sockets(uv_prepare_t *handle)
{
	((struct http_server *)handle->data)->from_socket = true;
}

static void on_behind_sockets(uv_check_t *handle)
{
	((struct http_server *)handle->data)->from_socket = false;
}

/* What the library has kept it goes through in the idle handles' turn, which comes before the sockets'. */
static void watch_turns(struct http_server *s)
{
	s->before_sockets = calloc(1, sizeof(*s->before_sockets));
	s->behind_sockets = calloc(1, sizeof(*s->behind_sockets));
	if (s->before_sockets == NULL || s->behind_sockets == NULL)
		abort();
	uv_prepare_init(s->loop, s->before_sockets);
	uv_check_init(s->loop, s->behind_sockets);
	s->before_sockets->data = s->behind_sockets->data = s;
	uv_prepare_start(s->before_sockets, on_before_sockets);
	uv_check_start(s->behind_sockets, on_behind_sockets);
	uv_unref((uv_handle_t *)s->before_sockets);
	uv_unref((uv_handle_t *)s->behind_sockets);
}

static const struct lws_protocols protocols[] = {
	{.name = "http", .callback = callback, .per_session_data_size = sizeof(struct connection), .rx_buffer_size = 4096, .tx_packet_size = 32768},
	{0},
};

/* The soft limit of open files: room for every listener's connections and for the store. libwebsockets sizes its table by it. */
static unsigned files_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || limit.rlim_max > FILES ? FILES : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 1024;
	return (unsigned)limit.rlim_cur;
}

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
		.fd_limit_per_thread = files_limit(),
		.uid = -1,
		.gid = -1,
	};
	lws_set_log_level(LLL_ERR | LLL_WARN, NULL);
	s->context = lws_create_context(&info);
	if (s->context == NULL) {
		free(s);
		return refuse(why, E_GW_PLUGIN, "libwebsockets", "no context on a libuv loop");
	}
	watch_turns(s);
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
		.options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS, /* of the client's context that the library makes for each vhost */
	};
	if (l->which == HTTP_ADMIN) {
		/* A name that does not exist makes a TLS vhost whose certificate we load ourselves, from memory. */
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_IGNORE_MISSING_CERT;
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
		int on = 1;
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return; /* EAGAIN; on EMFILE the connection waits in the backlog */
		if (l->connections >= limits[l->which].connections) {
			close(fd);
			continue;
		}
		/* head and body are two writes: the second would wait for the peer's delayed acknowledgement, 40 ms. The library sets this
		 * only on what it accepts itself. The local socket has no such thing. */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		struct lws *wsi = lws_adopt_socket_vhost(l->vhost, fd); /* closes fd itself when it fails */
		if (wsi != NULL) {
			lws_set_opaque_user_data(wsi, l);
			l->connections++;
		}
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

static void on_handle_closed(uv_handle_t *handle)
{
	free(handle);
}

void http_server_body_max(struct http_server *s, http_body_max_fn *body_max)
{
	s->body_max = body_max;
}

void http_server_close(struct http_server *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < HTTP_LISTENER_COUNT; i++) {
		struct listener *l = &s->listeners[i];
		if (l->poll != NULL)
			uv_close((uv_handle_t *)l->poll, on_handle_closed);
		if (l->fd >= 0)
			close(l->fd);
		l->poll = NULL;
		l->fd = -1;
	}
	if (s->before_sockets != NULL) {
		uv_close((uv_handle_t *)s->before_sockets, on_handle_closed);
		uv_close((uv_handle_t *)s->behind_sockets, on_handle_closed);
	}
	s->before_sockets = NULL;
	s->behind_sockets = NULL;
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
