/* join_port.c - room controller/gateway: POST /join: one bounded body passed to the controller, its answer passed back, close.
 * Never: looking into the body beyond its form, keeping a token. */
#include "controller/gateway/join_port.h"

#include <stdlib.h>
#include <string.h>

#include "controller/gateway/gateway.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

struct joiner {
	struct wheel_entry timer;
	struct gateway    *gateway;
	struct lws        *wsi;
	char               address[TCP_ADDRESS_SIZE];
	uint64_t           request; /* 0 = the controller is not asked */
	bool               unsent;  /* waits for credit */
	bool               whole; /* the body's end was told */
	bool               answered;
	int64_t            length; /* of the body, as announced */
	int                status;
	struct buf         body;  /* request, then reply */
	UT_hash_handle     hh;
};

static int64_t now_of(const struct gateway *g)
{
	return (int64_t)uv_now(&g->loop);
}

static void forget_request(struct joiner *j)
{
	if (j->request != 0)
		HASH_DEL(j->gateway->join.waiting, j);
	j->request = 0;
	j->unsent = false;
}

static void joiner_free(struct joiner *j)
{
	forget_request(j);
	wheel_clear(&j->timer);
	acceptor_done(&j->gateway->joins);
	buf_free(&j->body);
	free(j);
}

/* ---- answers --------------------------------------------------------------------------------------------------------------- */

static void answer(struct joiner *j, int status, struct span body)
{
	forget_request(j);
	j->answered = true;
	j->status = status;
	buf_free(&j->body);
	j->body.max = JOIN_REPLY_MAX;
	buf_add(&j->body, body.p, body.n);
	lws_callback_on_writable(j->wsi);
}

/* Refusals of the gateway look like those of the controller. */
static void refuse_join(struct joiner *j, int status, int code)
{
	static struct msg_join_reply reply; /* large; this process has one thread */
	struct buf                   frame = BUF_MAX(JOIN_REPLY_MAX);
	reply.code = code;
	text_cut(reply.text, sizeof(reply.text), err_what(code));
	if (wire_encode(&wire_join, JOIN_REPLY, 0, &reply, &frame) != 0)
		buf_reset(&frame);
	answer(j, status, buf_span(&frame));
	buf_free(&frame);
}

void join_port_answer(struct gateway *g, uint64_t request, struct span body)
{
	struct joiner *j;
	HASH_FIND(hh, g->join.waiting, &request, sizeof(request), j);
	if (j != NULL)
		answer(j, 200, body);
}

void join_port_lost(struct gateway *g)
{
	struct joiner *j;
	struct joiner *next;
	HASH_ITER(hh, g->join.waiting, j, next)
		refuse_join(j, 503, E_API_UNAVAILABLE);
}

static void ask_controller(struct joiner *j)
{
	struct gateway *g = j->gateway;
	struct gw_join  up = {.request = j->request, .body = buf_span(&j->body)};
	text_cut(up.address, sizeof(up.address), j->address);
	int r = upstream_send(g->up, GW_JOIN, &up);
	j->unsent = r == E_SYS_AGAIN && upstream_connected(g->up);
	if (r != 0 && !j->unsent)
		refuse_join(j, 503, E_API_UNAVAILABLE);
}

static void on_deadline(void *ctx, struct wheel_entry *e)
{
	(void)ctx;
	struct joiner *j = (struct joiner *)(void *)((char *)e - offsetof(struct joiner, timer));
	if (j->wsi == NULL)
		joiner_free(j); /* refused by the library at once */
	else
		lws_set_timeout(j->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

/* Requests without credit are asked again; a second of waiting does not matter to somebody who types a token. */
void join_port_turn(struct gateway *g, int64_t now_ms)
{
	struct joiner *j;
	struct joiner *next;
	HASH_ITER(hh, g->join.waiting, j, next)
		if (j->unsent && upstream_may_send(g->up))
			ask_controller(j);
	wheel_turn(&g->join.wheel, now_ms, on_deadline, NULL);
}

/* ---- requests ---------------------------------------------------------------------------------------------------------------- */

static void on_body_end(struct joiner *j)
{
	struct gateway *g = j->gateway;
	uint16_t        type;
	uint64_t        id;
	int             r = wire_check(&wire_join, buf_span(&j->body), JOIN_BODY_MAX, &type, &id);
	if (r == 0 && type != JOIN_REQUEST && type != JOIN_RETURN_ASK && type != JOIN_RETURN)
		r = E_WIRE_MESSAGE;
	if (r != 0) {
		gateway_note(g, r, j->address);
		refuse_join(j, 400, r);
	} else if (!upstream_connected(g->up) || HASH_COUNT(g->join.waiting) >= JOIN_REQUESTS_MAX) {
		refuse_join(j, 503, E_API_UNAVAILABLE);
	} else {
		j->request = ++g->join.last_request;
		HASH_ADD(hh, g->join.waiting, request, sizeof(j->request), j);
		ask_controller(j);
	}
}

static bool content_length(struct lws *wsi, int64_t *ret)
{
	char text[16];
	return lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 && text_i64(text, 0, INT32_MAX, ret) == 0;
}

static void on_request(struct joiner *j, struct lws *wsi, const char *path)
{
	struct gateway *g = j->gateway;
	if (!text_equal(path, "/join"))
		answer(j, 404, (struct span){0});
	else if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) <= 0)
		answer(j, 405, (struct span){0});
	else if (!rate_allow(&g->join.rate, j->address, now_of(g))) {
		gateway_note(g, E_JOIN_RATE, j->address);
		refuse_join(j, 429, E_JOIN_RATE);
	} else if (!content_length(wsi, &j->length))
		answer(j, 411, (struct span){0});
	else if (j->length == 0 || j->length > JOIN_BODY_MAX)
		refuse_join(j, 413, E_API_TOO_LARGE);
}

static void on_body(struct joiner *j, struct span part)
{
	if (j->answered)
		return;
	if (part.n > (size_t)JOIN_BODY_MAX - j->body.n) {
		refuse_join(j, 413, E_API_TOO_LARGE);
		return;
	}
	buf_add(&j->body, part.p, part.n);
	if (buf_error(&j->body) != 0)
		refuse_join(j, 503, E_NOMEM);
}

static int header_add(struct lws *wsi, const char *name, const char *value, unsigned char **p, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), p, end);
}

/* Everything in one write: the connection ends with it. */
static int write_answer(struct joiner *j, struct lws *wsi)
{
	enum { HEAD_MAX = 512 };
	unsigned char *out = malloc(LWS_PRE + HEAD_MAX + j->body.n);
	if (out == NULL)
		return -1;
	unsigned char *p = out + LWS_PRE;
	unsigned char *end = p + HEAD_MAX;
	int            r = lws_add_http_header_status(wsi, (unsigned int)j->status, &p, end) != 0 ||
	        header_add(wsi, "content-type:", "application/msgpack", &p, end) != 0 ||
	        header_add(wsi, "connection:", "close", &p, end) != 0 ||
	        lws_add_http_header_content_length(wsi, j->body.n, &p, end) != 0 || lws_finalize_http_header(wsi, &p, end) != 0;
	if (r == 0) {
		if (j->body.n > 0)
			memcpy(p, j->body.p, j->body.n);
		p += j->body.n;
		(void)lws_write(wsi, out + LWS_PRE, (size_t)(p - out - LWS_PRE), LWS_WRITE_HTTP_FINAL);
	}
	free(out);
	return -1;
}

/* ---- connections --------------------------------------------------------------------------------------------------------------- */

bool join_port_accepted(struct gateway *g, int fd, const char *address)
{
	struct joiner *j = calloc(1, sizeof(*j));
	if (j == NULL) {
		fd_close(fd);
		return false;
	}
	j->gateway = g;
	j->body.max = JOIN_BODY_MAX;
	text_cut(j->address, sizeof(j->address), address);
	wheel_set(&g->join.wheel, &j->timer, now_of(g) + JOIN_DEADLINE_MS);

	const lws_adopt_desc_t info = {
		.vh = g->join_vhost,
		.type = LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
		.fd = {.sockfd = fd},
		.opaque = j,
	};
	struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&info);
	if (wsi != NULL)
		j->wsi = wsi;
	return true; /* counted off when the library destroys it, or at the deadline */
}

static int join_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct gateway *g = lws_context_user(lws_get_context(wsi));
	struct joiner  *j = lws_get_opaque_user_data(wsi);
	if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS)
		return tls_gateway_serve(g->tls, TLS_JOIN, user) == 0 ? 0 : 1;
	if (j == NULL)
		return reason == LWS_CALLBACK_HTTP ? -1 : 0;
	switch (reason) {
	case LWS_CALLBACK_HTTP:
		on_request(j, wsi, in);
		return 0;
	case LWS_CALLBACK_HTTP_BODY:
		on_body(j, (struct span){in, len});
		return 0;
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: /* told again, perhaps for ever, when something follows the body */
		if (j->whole)
			return -1;
		j->whole = true;
		if (!j->answered)
			on_body_end(j);
		return 0;
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return j->answered ? write_answer(j, wsi) : 0;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* no websockets here */
		return -1;
	case LWS_CALLBACK_WSI_DESTROY:
		lws_set_opaque_user_data(wsi, NULL);
		joiner_free(j);
		return 0;
	default:
		return 0;
	}
}

const struct lws_protocols join_port_protocols[] = {
	{.name = "http", .callback = join_event, .rx_buffer_size = JOIN_BODY_MAX, .tx_packet_size = 32768},
	{0},
};
