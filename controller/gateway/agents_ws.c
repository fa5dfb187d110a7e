/* agents_ws.c - room controller/gateway: the agents' websocket port: frames checked and passed on unchanged, liveness, ends.
 * Never: understanding frames beyond their form, acknowledging, keeping anything of a closed connection. */
#include "controller/gateway/agents_ws.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/gateway/gateway.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { FRAGMENTS_MAX = 16, TX_PACKET = 32768, RX_BUFFER = 512, HELD_MAX = 64 << 20 };

_Static_assert((int)OUTBOX_HEADROOM >= LWS_PRE, "the library writes its header in front of the bytes");

/* ---- life of a session ------------------------------------------------------------------------------------------------- */

static int64_t now_of(const struct gateway *g)
{
	return (int64_t)uv_now(&g->loop); /* monotonic, read once per turn of the loop */
}

static void rearm(struct session *s)
{
	int64_t now = now_of(s->gateway);
	wheel_set(&s->gateway->wheel, &s->timer, liveness_due(&s->live, now, clock_now()));
}

/* Sessions with frames that wait for credit stand in a ring, one frame each in turn. */
static void held_remove(struct gateway *g, struct session *s)
{
	g->held_bytes -= s->waiting.bytes;
	outbox_clear(&s->waiting);
	if (!s->held)
		return;
	DL_DELETE2(g->held, s, held_previous, held_next);
	s->held = false;
}

static void session_free(struct session *s)
{
	struct gateway *g = s->gateway;
	if (s->number == 0 && !s->ended)
		acceptor_done(&g->agents); /* never came to stand */
	wheel_clear(&s->timer);
	held_remove(g, s);
	outbox_clear(&s->out);
	buf_free(&s->in);
	free(s);
}

/* Out of the table, and the controller knows. What follows on the wire is only politeness. */
static void session_down(struct session *s, int code)
{
	struct gateway *g = s->gateway;
	if (s->number == 0)
		return;
	struct gw_down down = {.session = s->number, .code = code};
	HASH_DEL(g->sessions, s);
	held_remove(g, s);
	s->number = 0;
	s->ended = true;
	s->code = code;
	buf_free(&s->in);
	if (upstream_connected(g->up) && upstream_send(g->up, GW_DOWN, &down) != 0)
		log_line(LOG_LEVEL_DEBUG, NULL, "the end of a session could not be told; the next roster will");
}

/* The other side ended it, or its bytes were cut off. */
static void session_lost(struct session *s)
{
	session_down(s, s->code != 0 ? s->code : E_SYS_CLOSED);
}

/* Sync kill frees the wsi inside: only for callers outside of its own callbacks, and the session is gone afterwards. */
static void session_kill(struct session *s, int code)
{
	struct lws *wsi = s->wsi;
	session_down(s, code);
	wheel_clear(&s->timer);
	if (wsi == NULL)
		session_free(s); /* refused by the library at once */
	else
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC);
}

/* Ends with a bye frame that carries the code; a peer that does not take it is cut off a second later. */
static void session_close(struct session *s, int code, const char *text)
{
	char           name[ERR_CODE_SIZE];
	struct msg_bye bye = {.code = code};
	struct buf     frame = BUF_MAX(FRAME_BEFORE_WELCOME);
	if (s->ended)
		return;
	session_down(s, code);
	outbox_clear(&s->out);
	text_cut(bye.text, sizeof(bye.text), text);
	if (wire_encode(&wire_agent, MSG_BYE, 0, &bye, &frame) != 0 || outbox_add(&s->out, true, buf_span(&frame)) != 0)
		log_line(LOG_LEVEL_DEBUG, NULL, "no bye for a session that ends with %s", err_code(code, name));
	buf_free(&frame);
	s->live = (struct liveness){.deadline_ms = now_of(s->gateway) + LIVENESS_CLOSE_MS};
	rearm(s);
	lws_callback_on_writable(s->wsi);
}

bool agents_ws_accepted(struct gateway *g, int fd, const char *address)
{
	/* this one is counted already */
	struct session *s = gateway_agents(g) <= (size_t)g->conf.max_agents ? calloc(1, sizeof(*s)) : NULL;
	if (s == NULL) {
		gateway_note(g, E_GW_FULL, address);
		fd_close(fd);
		return false;
	}
	s->gateway = g;
	s->in.max = FRAME_MAX;
	text_cut(s->address, sizeof(s->address), address);
	liveness_begin(&s->live, now_of(g));
	rearm(s);

	const lws_adopt_desc_t info = {
		.vh = g->agents_vhost,
		.type = LWS_ADOPT_HTTP | LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
		.fd = {.sockfd = fd},
		.opaque = s,
	};
	struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&info);
	if (wsi != NULL)
		s->wsi = wsi;
	return true; /* counted off when the library destroys it or, if it never came that far, at the handshake's deadline */
}

/* ---- upwards ----------------------------------------------------------------------------------------------------------- */

static void send_up(struct gateway *g, const struct session *s)
{
	struct gw_up up = {.session = s->number, .identity = s->peer.identity, .host_hash = s->peer.host_hash,
	                   .not_after_at = s->peer.not_after_at};
	text_cut(up.agent, sizeof(up.agent), s->peer.agent);
	text_cut(up.address, sizeof(up.address), s->address);
	if (upstream_connected(g->up) && upstream_send(g->up, GW_UP, &up) != 0)
		log_line(LOG_LEVEL_DEBUG, NULL, "a session could not be told; the next roster will");
}

void agents_ws_roster(struct gateway *g)
{
	struct gw_roster roster = {.sessions = HASH_COUNT(g->sessions)};
	struct session  *s;
	struct session  *next;
	if (upstream_send(g->up, GW_ROSTER_BEGIN, &roster) != 0)
		return;
	HASH_ITER(hh, g->sessions, s, next)
		send_up(g, s);
	if (upstream_send(g->up, GW_ROSTER_END, &roster) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the roster of %u sessions could not be sent", roster.sessions);
}

/* Passes one whole, checked frame on. False = no credit. */
static bool pass_on(struct gateway *g, struct session *s, struct span frame)
{
	struct gw_frame up = {.session = s->number, .frame = frame};
	if (!upstream_connected(g->up))
		return true; /* dropped: after the next roster the agent is welcomed and sends again what is not acknowledged */
	(void)fault_point("gateway_frame");
	return upstream_send(g->up, GW_FRAME, &up) != E_SYS_AGAIN;
}

/* The library's own flow control makes it spin on libuv, so what comes without credit is kept, within bounds. An agent that
 * goes beyond them loses its connection, and sends again what is not acknowledged when it comes back. */
static void hold(struct gateway *g, struct session *s, struct span frame)
{
	size_t before = s->waiting.bytes;
	int    r = g->held_bytes < HELD_MAX ? outbox_add(&s->waiting, false, frame) : E_FULL;
	if (r != 0) {
		gateway_note(g, E_API_BUSY, s->peer.agent);
		session_close(s, E_API_BUSY, err_what(E_API_BUSY));
		return;
	}
	g->held_bytes += s->waiting.bytes - before;
	if (!s->held)
		DL_APPEND2(g->held, s, held_previous, held_next);
	s->held = true;
}

void agents_ws_release(struct gateway *g)
{
	while (g->held != NULL && upstream_may_send(g->up)) {
		struct session      *s = g->held;
		size_t               before = s->waiting.bytes;
		struct outbox_frame *f = outbox_take(&s->waiting);
		g->held_bytes -= before - s->waiting.bytes;
		DL_DELETE2(g->held, s, held_previous, held_next);
		s->held = !outbox_empty(&s->waiting);
		if (s->held)
			DL_APPEND2(g->held, s, held_previous, held_next);
		(void)pass_on(g, s, (struct span){f->bytes, f->n});
		free(f);
	}
}

void agents_ws_drop_held(struct gateway *g)
{
	while (g->held != NULL)
		held_remove(g, g->held);
}

static void take_frame(struct session *s, struct span frame)
{
	struct gateway *g = s->gateway;
	uint16_t        type;
	uint64_t        id;
	int r = wire_check(&wire_agent, frame, s->welcomed ? FRAME_MAX : FRAME_BEFORE_WELCOME, &type, &id);
	if (r == 0 && type >= MSG_WELCOME)
		r = E_WIRE_MESSAGE; /* only the controller says that */
	if (r != 0) {
		gateway_note(g, r, s->peer.agent);
		session_close(s, r, err_what(r));
	} else if (s->held || !pass_on(g, s, frame)) {
		hold(g, s, frame); /* behind its own earlier ones */
	}
}

static void on_receive(struct session *s, struct lws *wsi, struct span part)
{
	size_t limit = s->welcomed ? FRAME_MAX : FRAME_BEFORE_WELCOME;
	size_t announced = lws_remaining_packet_payload(wsi);
	bool   final = lws_is_final_fragment(wsi) != 0;
	if (s->ended)
		return;
	liveness_seen(&s->live);
	overhead_content(&s->overhead, part.n);
	int r = 0;
	if (!lws_frame_is_binary(wsi))
		r = E_WIRE_MESSAGE;
	else if (s->in.n + part.n > limit || announced > limit - s->in.n - part.n)
		r = E_WIRE_LIMIT;
	else if (announced == 0 && !final && ++s->fragments >= FRAGMENTS_MAX)
		r = E_WIRE_LIMIT;
	if (r != 0) {
		gateway_note(s->gateway, r, s->peer.agent);
		session_close(s, r, err_what(r));
		return;
	}

	if (final && s->in.n == 0) {
		s->fragments = 0;
		take_frame(s, part);
		return;
	}
	if (s->in.n == 0 && s->live.deadline_ms == 0) {
		s->live.deadline_ms = now_of(s->gateway) + LIVENESS_MESSAGE_MS;
		rearm(s);
	}
	buf_add(&s->in, part.p, part.n);
	if (buf_error(&s->in) != 0) {
		session_close(s, buf_error(&s->in), err_what(buf_error(&s->in)));
	} else if (final) {
		s->fragments = 0;
		s->live.deadline_ms = 0;
		struct buf whole = BUF_MAX(FRAME_MAX);
		buf_take(&whole, &s->in);
		take_frame(s, buf_span(&whole));
		buf_free(&whole);
	}
}

/* ---- downwards ----------------------------------------------------------------------------------------------------------- */

static struct session *session_find(struct gateway *g, uint64_t number)
{
	struct session *s;
	HASH_FIND(hh, g->sessions, &number, sizeof(number), s);
	return s;
}

/* What overtakes nothing is written at once, which spares a turn of the loop and two changes of the poll set. The library keeps the rest
 * of one write at most: while it does, frames wait in the outbox, which is bounded. */
static bool may_write_now(const struct session *s)
{
	return outbox_empty(&s->out) && lws_partial_buffered(s->wsi) == 0;
}

static int write_now(struct gateway *g, struct session *s, struct span frame)
{
	memcpy(g->tx + LWS_PRE, frame.p, frame.n);
	return lws_write(s->wsi, g->tx + LWS_PRE, frame.n, LWS_WRITE_BINARY) < 0 ? E_SYS_CLOSED : 0;
}

void agents_ws_send(struct gateway *g, uint64_t session, bool urgent, struct span frame)
{
	struct session *s = session_find(g, session);
	uint16_t        type;
	uint64_t        id;
	if (s == NULL)
		return;
	int r = wire_check(&wire_agent, frame, 0, &type, &id);
	if (r != 0) {
		log_line(LOG_LEVEL_ERROR, NULL, "the controller wants a frame sent that is none: %s", err_what(r));
		return;
	}
	if (type == MSG_WELCOME)
		s->welcomed = true;
	if (may_write_now(s)) {
		if (write_now(g, s, frame) != 0)
			session_kill(s, E_SYS_CLOSED);
		return;
	}
	if (outbox_add(&s->out, urgent, frame) != 0) {
		gateway_note(g, E_GW_SLOW, s->peer.agent);
		session_close(s, E_GW_SLOW, err_what(E_GW_SLOW));
		return;
	}
	lws_callback_on_writable(s->wsi);
}

void agents_ws_kick(struct gateway *g, uint64_t session, int code, const char *text)
{
	struct session *s = session_find(g, session);
	if (s != NULL)
		session_close(s, code, text);
}

static int write_ping(struct session *s, struct lws *wsi)
{
	/* with a payload: the library keeps pongs without one to itself */
	uint8_t out[LWS_PRE + 1] = {0};
	s->ping = false;
	return lws_write(wsi, out + LWS_PRE, 1, LWS_WRITE_PING) < 0 ? -1 : 0;
}

static int write_frame(struct lws *wsi, struct outbox_frame *f)
{
	int n = lws_write(wsi, f->bytes, f->n, LWS_WRITE_BINARY);
	free(f);
	return n < 0 ? -1 : 0;
}

/* What waits: one write each time the socket takes one. The end itself is a closed TLS connection: Debian's build of the library
 * never gets its own close frame out on libuv, so the bye frame carries the code. */
static int write_next(struct session *s, struct lws *wsi)
{
	struct outbox_frame *f = NULL;
	int                  r = 0;
	if (s->ping && !s->ended)
		r = write_ping(s, wsi);
	else if ((f = outbox_take(&s->out)) != NULL)
		r = write_frame(wsi, f);
	else if (s->ended)
		r = -1;
	if (r == 0 && (s->ping || s->ended || !outbox_empty(&s->out)))
		lws_callback_on_writable(wsi);
	return r;
}

/* ---- time ------------------------------------------------------------------------------------------------------------------ */

void agents_ws_timer(struct gateway *g, struct session *s, int64_t now_ms, int64_t now_at)
{
	switch (liveness_judge(&s->live, now_ms, now_at, now_ms < g->judge_from_ms)) {
	case LIVENESS_PING:
		s->ping = true;
		lws_callback_on_writable(s->wsi);
		break;
	case LIVENESS_DEAD:
		session_kill(s, E_GW_DEAD);
		return;
	case LIVENESS_LATE:
		if (s->number == 0) {
			session_kill(s, s->code);
			return;
		}
		session_close(s, E_SYS_TIMEOUT, "a message was not finished in time");
		return;
	case LIVENESS_EXPIRED:
		session_close(s, E_GW_EXPIRED, err_what(E_GW_EXPIRED));
		return;
	case LIVENESS_OK:
		break;
	}
	rearm(s);
}

/* ---- the library ------------------------------------------------------------------------------------------------------------- */

static struct gateway *gateway_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static void destroyed(struct lws *wsi)
{
	struct session *s = lws_get_opaque_user_data(wsi);
	if (s == NULL)
		return;
	lws_set_opaque_user_data(wsi, NULL);
	session_lost(s);
	session_free(s);
}

/* Events that belong to the port, not to a websocket: everything before the subprotocol is agreed. */
static int port_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct gateway *g = gateway_of(wsi);
	(void)in;
	switch (reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		return tls_gateway_serve(g->tls, TLS_AGENTS, user) == 0 ? 0 : 1;
	case LWS_CALLBACK_OPENSSL_PERFORM_CLIENT_CERT_VERIFICATION:
		/* 0 means "accept" to the library even when the verification failed; `len` is its outcome */
		return len != 0 ? 0 : 1;
	case LWS_CALLBACK_WSI_DESTROY:
		destroyed(wsi);
		return 0;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* no subprotocol of ours */
	case LWS_CALLBACK_HTTP:
		return -1;
	default:
		return 0;
	}
}

static int admit(struct session *s, struct lws *wsi)
{
	struct gateway *g = s->gateway;
	int             r = tls_gateway_peer(g->tls, lws_get_ssl(wsi), &s->peer);
	if (r == 0 && s->peer.not_after_at <= clock_now())
		r = E_GW_EXPIRED;
	if (r != 0)
		gateway_note(g, r, s->address);
	return r == 0 ? 0 : -1;
}

/* The library answers pings by itself and would read on for ever, so a flood ends where its bytes come in. */
static bool on_read(struct tls_tap *tap, size_t n)
{
	struct session *s = (struct session *)(void *)((char *)tap - offsetof(struct session, tap));
	if (overhead_read(&s->overhead, n, now_of(s->gateway)))
		return true;
	if (!s->ended && s->code == 0)
		gateway_note(s->gateway, E_GW_FLOOD, s->peer.agent);
	s->code = E_GW_FLOOD;
	return false;
}

static void stand(struct session *s, struct lws *wsi)
{
	struct gateway *g = s->gateway;
	uint32_t        spread;
	s->tap.read = on_read;
	overhead_begin(&s->overhead, now_of(g));
	tls_gateway_tap(lws_get_ssl(wsi), &s->tap);
	entropy(&spread, sizeof(spread));
	s->number = ++g->last_session;
	HASH_ADD(hh, g->sessions, number, sizeof(s->number), s);
	liveness_stand(&s->live, now_of(g), spread, s->peer.not_after_at);
	rearm(s);
	acceptor_done(&g->agents);
	send_up(g, s);
}

static int agent_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct session *s = lws_get_opaque_user_data(wsi);
	(void)user;
	if (s == NULL)
		return reason == LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION || reason == LWS_CALLBACK_ESTABLISHED ? -1 : 0;
	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
		return admit(s, wsi);
	case LWS_CALLBACK_ESTABLISHED:
		stand(s, wsi);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		on_receive(s, wsi, (struct span){in, len});
		return 0;
	case LWS_CALLBACK_RECEIVE_PONG:
		liveness_seen(&s->live);
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		return write_next(s, wsi);
	case LWS_CALLBACK_CLOSED:
		session_lost(s);
		return 0;
	default:
		return 0;
	}
}

const struct lws_protocols agents_ws_protocols[] = {
	{.name = "none", .callback = port_event},
	{.name = "vcc-agent.v1", .callback = agent_event, .rx_buffer_size = RX_BUFFER, .tx_packet_size = TX_PACKET},
	{0},
};
