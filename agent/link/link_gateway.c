/* link_gateway.c - room agent/link: the websocket to a gateway: connecting, frames, liveness.
 * Never: reading frames, but for a welcome's time and a bye; keeping a frame that could not be sent. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agent/link/link_part.h"
#include "shared/base/be.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

enum {
	HOUR_MS = 3600 * 1000,
	SILENT_ASK_MS = 22 * 1000,  /* the gateway pings every 20 s; when it does not, we ask */
	SILENT_DEAD_MS = 29 * 1000, /* and then it is gone, whatever TCP believes */
};

void link_gateway_reason(struct link *l, int code, const char *text)
{
	l->last_code = code;
	text_cut(l->last_text, sizeof(l->last_text), text);
	text_plain(l->last_text); /* it is cut again on its way to people: half a UTF-8 sequence would be no text, and not sent */
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
		link_gateway_reason(l, why.code, why.cause);
		on_lost(l);
		return;
	}
	info.port = port;
	l->seen = (struct tls_seen){.alert = 0};
	link_gateway_reason(l, 0, "");
	/* failure comes as LWS_CALLBACK_CLIENT_CONNECTION_ERROR, also at once; without memory nothing comes */
	(void)lws_client_connect_via_info(&info);
	if (l->ws == NULL && lws_dll2_is_detached(&l->connect_timer.list))
		link_gateway_connect_later(l, backoff_next(&l->backoff, BACKOFF_AWAY_MS, link_random()));
}

static void on_connect_timer(lws_sorted_usec_list_t *timer)
{
	struct link *l = lws_container_of(timer, struct link, connect_timer);
	if (l->ws != NULL || l->ret.step != RETURN_NONE || l->pipe_wsi == NULL || l->final || l->stopping)
		return;
	if (l->return_next)
		link_return_begin(l);
	else
		connect_now(l);
}

void link_gateway_connect_later(struct link *l, int64_t ms)
{
	if (!l->final && !l->stopping)
		lws_sul_schedule(l->context, 0, &l->connect_timer, on_connect_timer, ms * LWS_US_PER_MS);
}

void link_gateway_drop(struct link *l, int code, const char *text)
{
	link_gateway_reason(l, code, text);
	if (l->ws != NULL)
		lws_set_timeout(l->ws, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static int64_t pause_ms(struct link *l, enum comeback_pause pause)
{
	switch (pause) {
	case PAUSE_AWAY:
		return backoff_next(&l->backoff, BACKOFF_AWAY_MS, link_random());
	case PAUSE_REFUSED:
		return backoff_next(&l->backoff, BACKOFF_REFUSED_MS, link_random());
	case PAUSE_MINUTES:
		return BACKOFF_REFUSED_MS / 2 + (int64_t)link_random() % (BACKOFF_REFUSED_MS / 2);
	case PAUSE_HOUR:
		return HOUR_MS;
	case PAUSE_NONE:
		break;
	}
	return 0;
}

void link_gateway_plan(struct link *l, struct loss *loss, const char *what)
{
	char text[MSG_TEXT_SIZE];
	loss->code = l->last_code;
	loss->ended = link_identity_ended(l);
	loss->seems_ended = link_identity_seems_ended(l);
	loss->returned = l->returned;
	struct comeback then = comeback_after(loss);
	int64_t         wait = pause_ms(l, then.pause);
	l->final = then.how == COMEBACK_NEVER;
	l->return_next = then.how == COMEBACK_RETURN;
	if (l->final) {
		text_cut(text, sizeof(text), l->last_text);
		(void)snprintf(l->last_text, sizeof(l->last_text), "%.150s; this host does not ask again", text);
		log_line(LOG_LEVEL_WARNING, NULL, "%s", l->last_text);
	} else {
		log_line(LOG_LEVEL_NOTICE, NULL, "%s: %s; next try%s in %lld ms", what, l->last_text,
		         l->return_next ? " by the host key, for a new identity," : "", (long long)wait);
	}
	if (l->return_next) { /* the cause is worth less than what is done about it */
		text_cut(text, sizeof(text), l->last_text);
		(void)snprintf(l->last_text, sizeof(l->last_text), "its identity has ended, the host key asks for a new one; last: %.100s", text);
		l->last_code = E_LINK_RETURN;
	}
	link_keeper_tell(l);
	link_gateway_connect_later(l, wait);
}

static void on_lost(struct link *l)
{
	char        what[ADDRESS_SIZE + 40];
	struct loss loss = {.moving = l->moving, .expired = tls_seen_expired(&l->seen), .shaken = l->seen.shaken, .established = l->established};
	l->ws = NULL;
	l->established = l->welcomed = l->ping_wanted = l->moving = false;
	buf_free(&l->in);
	buf_free(&l->out);
	lws_sul_cancel(&l->life_timer);
	if (l->stopping)
		return;
	if (l->last_code == 0)
		link_gateway_reason(l, E_LINK_DOWN, "the gateway closed the connection");
	if (!loss.established)
		resolver_failed(&l->resolver);
	(void)snprintf(what, sizeof(what), "%s %s", loss.established ? "connection lost to" : "no connection to", l->trying);
	link_gateway_plan(l, &loss, what);
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
	l->returned = false;
	link_identity_welcomed(l, l->frame.u.welcome.now_at);
	memory_give_back(); /* the handshake was the largest piece of work for hours */
}

/* It tells whether to come back: the reason decides when the connection ends. */
static void on_bye(struct link *l, struct span bytes)
{
	if (wire_decode(&wire_agent, bytes, 0, &l->frame) < 0)
		return;
	const struct msg_bye *bye = &l->frame.u.bye;
	link_gateway_reason(l, bye->code != 0 ? bye->code : E_LINK_DOWN, bye->text);
}

static int on_frame(struct link *l, struct span bytes)
{
	uint16_t        type;
	uint64_t        id;
	struct lk_frame message = {.frame = bytes};
	if (wire_check(&wire_agent, bytes, l->welcomed ? 0 : FRAME_BEFORE_WELCOME, &type, &id) < 0) {
		link_gateway_reason(l, E_WIRE_MESSAGE, "the gateway sent a frame that cannot be read");
		return -1;
	}
	if (fault_point("link.frame.down") != 0)
		return -1;
	/* first to the keeper: what the welcome makes us ask for must come after it */
	if (link_keeper_send(l, LK_FRAME, &message) < 0) {
		link_gateway_reason(l, E_SYS_AGAIN, "the keeper is away or does not read");
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
		link_gateway_reason(l, E_WIRE_MESSAGE, "the gateway sent a text frame");
		return -1;
	}
	bool whole = lws_is_final_fragment(wsi) && lws_remaining_packet_payload(wsi) == 0;
	if (whole && l->in.n == 0)
		return on_frame(l, (struct span){bytes, n});
	buf_add(&l->in, bytes, n);
	if (buf_error(&l->in) != 0) {
		link_gateway_reason(l, E_WIRE_LIMIT, "the gateway sent an over-long frame");
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
	link_gateway_reason(l, why.code, why.cause);
	return -1;
}

static void on_error(struct link *l, const char *text)
{
	if (l->last_code == 0 && tls_seen_expired(&l->seen)) {
		link_gateway_reason(l, E_GW_EXPIRED, "the gateway says that this host's identity has ended");
	} else if (l->last_code == 0) {
		/* an OpenSSL error without words means that the bytes ended, and so does this while the answer to the upgrade is awaited */
		if (text == NULL || strstr(text, "lib(0)") != NULL || text_equal(text, "read failed"))
			text = "the connection ended before it stood";
		link_gateway_reason(l, E_LINK_DOWN, text);
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
