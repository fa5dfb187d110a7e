/* link_gateway.c - room agent/link: the websocket to a gateway: connecting, frames, liveness.
 * Never: reading frames, but for a welcome's time and a bye; keeping a frame that could not be sent. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/link/link_part.h"
#include "agent/link/tls_link.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

enum {
	EVICTED_WAIT_MS = 3600 * 1000,
	SILENT_ASK_MS = 22 * 1000,  /* the gateway pings every 20 s; when it does not, we ask */
	SILENT_DEAD_MS = 29 * 1000, /* and then it is gone, whatever TCP believes */
};

static void set_reason(struct link *l, int code, const char *text)
{
	l->last_code = code;
	text_cut(l->last_text, sizeof(l->last_text), text);
}

/* ---- connecting -------------------------------------------------------------------------------------------------- */

static void on_lost(struct link *l);

static void connect_now(struct link *l)
{
	struct lws_client_connect_info info = {
		.context = l->context,
		.vhost = l->vhost,
		.address = l->trying,
		.path = "/",
		.host = l->trying,
		.origin = l->trying,
		.protocol = "vcc-agent.v1",
		.local_protocol_name = "vcc-agent.v1",
		.ssl_connection = LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_EXPIRED,
		.alpn = "http/1.1",
		.pwsi = &l->ws,
	};
	const char    *address = l->conf->controller[0] != '\0' ? l->conf->controller : l->state.address;
	struct refusal why;
	uint16_t       port;
	if (resolver_find(&l->resolver, address, link_random(), l->trying, &port, &why) < 0) {
		text_cut(l->trying, sizeof(l->trying), address);
		set_reason(l, why.code, why.cause);
		on_lost(l);
		return;
	}
	info.port = port;
	set_reason(l, 0, "");
	/* failure comes as LWS_CALLBACK_CLIENT_CONNECTION_ERROR, also at once; without memory nothing comes */
	(void)lws_client_connect_via_info(&info);
	if (l->ws == NULL && lws_dll2_is_detached(&l->connect_timer.list))
		link_gateway_connect_later(l, backoff_next(&l->backoff, link_random()));
}

static void on_connect_timer(lws_sorted_usec_list_t *timer)
{
	struct link *l = lws_container_of(timer, struct link, connect_timer);
	if (l->ws == NULL && l->pipe_wsi != NULL && !l->final && !l->stopping)
		connect_now(l);
}

void link_gateway_connect_later(struct link *l, int64_t ms)
{
	if (!l->final && !l->stopping)
		lws_sul_schedule(l->context, 0, &l->connect_timer, on_connect_timer, ms * LWS_US_PER_MS);
}

void link_gateway_drop(struct link *l, int code, const char *text)
{
	set_reason(l, code, text);
	if (l->ws != NULL)
		lws_set_timeout(l->ws, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static int64_t wait_after_loss(struct link *l)
{
	if (l->moving)
		return 0; /* the identity was renewed: nothing is wrong with the gateway */
	if (l->last_code == E_AGENT_EVICTED)
		return EVICTED_WAIT_MS;
	return backoff_next(&l->backoff, link_random());
}

static void on_lost(struct link *l)
{
	bool was = l->established;
	l->ws = NULL;
	l->established = l->welcomed = l->ping_wanted = false;
	buf_free(&l->in);
	buf_free(&l->out);
	lws_sul_cancel(&l->life_timer);
	if (l->stopping)
		return;
	if (l->last_code == 0)
		set_reason(l, E_LINK_DOWN, "the gateway closed the connection");
	if (!was)
		resolver_failed(&l->resolver);
	int64_t wait = wait_after_loss(l);
	l->moving = false;
	if (l->final)
		log_line(LOG_LEVEL_WARNING, NULL, "%s", l->last_text);
	else
		log_line(LOG_LEVEL_NOTICE, NULL, "%s %s: %s; next try in %lld ms", was ? "connection lost to" : "no connection to", l->trying, l->last_text,
		         (long long)wait);
	link_keeper_tell(l);
	link_gateway_connect_later(l, wait);
}

/* ---- liveness ---------------------------------------------------------------------------------------------------- */

static void on_life_timer(lws_sorted_usec_list_t *timer)
{
	struct link    *l = lws_container_of(timer, struct link, life_timer);
	struct tcp_info info = {0};
	socklen_t       n = sizeof(info);
	int64_t         silent = 0;
	if (getsockopt(lws_get_socket_fd(l->ws), IPPROTO_TCP, TCP_INFO, &info, &n) == 0)
		silent = info.tcpi_last_data_recv;
	if (silent >= SILENT_DEAD_MS) {
		link_gateway_drop(l, E_LINK_DOWN, "nothing came from the gateway for 29 s");
		return;
	}
	if (silent >= SILENT_ASK_MS) {
		l->ping_wanted = true;
		lws_callback_on_writable(l->ws);
	}
	int64_t next = silent >= SILENT_ASK_MS ? SILENT_DEAD_MS : SILENT_ASK_MS;
	lws_sul_schedule(l->context, 0, &l->life_timer, on_life_timer, (next - silent + 20) * LWS_US_PER_MS);
}

static void on_established(struct link *l)
{
	l->established = true;
	resolver_worked(&l->resolver, l->trying);
	log_line(LOG_LEVEL_INFO, NULL, "connected to %s", l->trying);
	link_keeper_tell(l);
	on_life_timer(&l->life_timer);
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

/* Connected means welcomed: TLS 1.3 judges our certificate after our side of the handshake is over. */
static void on_welcome(struct link *l, struct span bytes)
{
	if (wire_decode(&wire_agent, bytes, 0, &l->frame) < 0)
		return;
	backoff_reset(&l->backoff);
	l->welcomed = true;
	link_identity_welcomed(l, l->frame.u.welcome.now_at);
}

/* It tells whether to come back. */
static void on_bye(struct link *l, struct span bytes)
{
	char text[MSG_TEXT_SIZE + 40];
	if (wire_decode(&wire_agent, bytes, 0, &l->frame) < 0)
		return;
	const struct msg_bye *bye = &l->frame.u.bye;
	l->final = bye->code == E_AGENT_BANNED || bye->code == E_JOIN_BANNED;
	(void)snprintf(text, sizeof(text), "%.150s%s", bye->text, l->final ? "; this host does not ask again" : "");
	set_reason(l, bye->code != 0 ? bye->code : E_LINK_DOWN, text);
}

static int on_frame(struct link *l, struct span bytes)
{
	uint16_t        type;
	uint64_t        id;
	struct lk_frame message = {.frame = bytes};
	if (wire_check(&wire_agent, bytes, l->welcomed ? 0 : FRAME_BEFORE_WELCOME, &type, &id) < 0) {
		set_reason(l, E_WIRE_MESSAGE, "the gateway sent a frame that cannot be read");
		return -1;
	}
	if (fault_point("link.frame.down") != 0)
		return -1;
	/* first to the keeper: what the welcome makes us ask for must come after it */
	if (link_keeper_send(l, LK_FRAME, &message) < 0) {
		set_reason(l, E_SYS_AGAIN, "the keeper is away or does not read");
		return -1; /* what it missed comes again after the next welcome */
	}
	if (type == MSG_WELCOME)
		on_welcome(l, bytes);
	if (type == MSG_BYE)
		on_bye(l, bytes);
	return 0;
}

static int on_receive(struct link *l, struct lws *wsi, const void *bytes, size_t n)
{
	if (!lws_frame_is_binary(wsi)) {
		set_reason(l, E_WIRE_MESSAGE, "the gateway sent a text frame");
		return -1;
	}
	bool whole = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
	if (whole && l->in.n == 0)
		return on_frame(l, (struct span){bytes, n});
	buf_add(&l->in, bytes, n);
	if (buf_error(&l->in) != 0) {
		set_reason(l, E_WIRE_LIMIT, "the gateway sent an over-long frame");
		return -1;
	}
	if (!whole)
		return 0;
	int r = on_frame(l, buf_span(&l->in));
	buf_free(&l->in);
	return r;
}

void link_gateway_send(struct link *l, struct span frame)
{
	uint8_t length[4];
	if (!l->established)
		return;
	be_put(length, frame.n, sizeof(length));
	buf_add(&l->out, length, sizeof(length));
	buf_add(&l->out, frame.p, frame.n);
	if (buf_error(&l->out) != 0)
		link_gateway_drop(l, E_GW_SLOW, "the gateway does not take our frames");
	else
		lws_callback_on_writable(l->ws);
}

static int write_ping(struct link *l, struct lws *wsi)
{
	uint8_t bytes[LWS_PRE + 1] = {0};
	l->ping_wanted = false;
	return lws_write(wsi, bytes + LWS_PRE, 0, LWS_WRITE_PING) < 0 ? -1 : 0;
}

static int write_frame(struct link *l, struct lws *wsi)
{
	size_t   n = be_get(l->out.p, 4);
	uint8_t *copy = malloc(LWS_PRE + n); /* the library writes its header in front and masks in place */
	if (copy == NULL || fault_point("link.frame.up") != 0) {
		free(copy);
		return -1;
	}
	memcpy(copy + LWS_PRE, l->out.p + 4, n);
	int written = lws_write(wsi, copy + LWS_PRE, n, LWS_WRITE_BINARY);
	free(copy);
	if (written < (int)n)
		return -1;
	buf_drop_front(&l->out, n + 4);
	return 0;
}

/* One write per callback. */
static int on_writable(struct link *l, struct lws *wsi)
{
	int r = 0;
	if (buf_error(&l->out) != 0)
		return -1; /* dropped; the queue's end is no whole frame */
	if (lws_partial_buffered(wsi) == 0) {
		if (l->ping_wanted)
			r = write_ping(l, wsi);
		else if (l->out.n > 0)
			r = write_frame(l, wsi);
	}
	if (r == 0 && (l->ping_wanted || l->out.n > 0))
		lws_callback_on_writable(wsi);
	return r;
}

/* ---- libwebsockets ----------------------------------------------------------------------------------------------- */

static int judge_peer(struct link *l, struct lws *wsi)
{
	struct refusal why;
	if (tls_link_peer(lws_get_ssl(wsi), buf_span(&l->state.root), l->state.domain, &why) == 0)
		return 0;
	set_reason(l, why.code, why.cause);
	return -1;
}

static void on_error(struct link *l, const char *text)
{
	char words[MSG_TEXT_SIZE];
	if (l->last_code == 0) {
		/* an OpenSSL error without words means that the bytes ended */
		if (text == NULL || strstr(text, "lib(0)") != NULL)
			text = "the connection ended before it stood";
		(void)snprintf(words, sizeof(words), "%s%.120s", link_identity_ended(l) ? "this host's identity has ended: invite and join it again; " : "",
		               text);
		set_reason(l, E_LINK_DOWN, words);
	}
	on_lost(l);
}

int link_gateway_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	switch (reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS:
		l->tls = user;
		return 0;
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		return judge_peer(l, wsi);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		on_established(l);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(l, wsi, in, n);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writable(l, wsi);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		on_error(l, in);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		on_lost(l);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY: /* of every connection, whatever its protocol */
		link_fetch_gone(l, wsi);
		if (wsi == l->ws) /* when the request for the upgrade cannot be written, 4.1.6 tells neither of the two above */
			on_error(l, NULL);
		return 0;
	default:
		return 0;
	}
}
