/* link.c - room agent/link: the daemon: a websocket to a gateway, a socket to the keeper, frames between them.
 * Never: deciding anything about orders; a key of a service. */
#include "agent/link/link.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <libwebsockets.h>

#include "agent/link/backoff.h"
#include "agent/link/keeper_pipe.h"
#include "agent/link/link_state.h"
#include "agent/link/resolver.h"
#include "agent/link/tls_link.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"

enum {
	OUT_MAX = 1 << 20,       /* frames from the keeper that wait for the websocket */
	HANDSHAKE_SECONDS = 25,  /* connect, TLS, upgrade */
	KEEPER_RETRY_MS = 500,
	RENEW_RETRY_MS = 15000,
	EVICTED_WAIT_MS = 3600 * 1000,
};

struct link {
	const struct agent_conf *conf;
	struct link_state        state;
	struct lws_context      *context;
	struct lws_vhost        *vhost;
	void                    *tls; /* SSL_CTX of the client */
	struct lws              *ws;  /* connecting or connected */
	struct lws              *pipe_wsi;
	struct keeper_pipe       pipe;
	bool                     established;
	bool                     stopping;
	bool                     final;     /* banned: nothing to ask for any more */
	int                      last_code; /* why there is no connection */
	char                     last_text[MSG_TEXT_SIZE];
	char                     trying[ADDRESS_SIZE];
	struct buf               in;  /* a frame that arrives in pieces */
	struct buf               out; /* 4-byte length and frame, one after the other */
	struct backoff           backoff;
	struct resolver          resolver;
	lws_sorted_usec_list_t   connect_timer, keeper_timer, renew_timer, watchdog_timer;
	struct wire_frame        frame;
};

static struct link *the_link; /* lws hands a context's user pointer to callbacks, signals get nothing */

static struct link *link_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static uint32_t random32(void)
{
	uint32_t r;
	entropy(&r, sizeof(r));
	return r;
}

static void tell_keeper(struct link *l);

/* ---- towards the gateway ---------------------------------------------------------------------------------------- */

static void connect_later(struct link *l, int64_t ms);

static void set_reason(struct link *l, int code, const char *text)
{
	l->last_code = code;
	text_cut(l->last_text, sizeof(l->last_text), text);
}

static void connect_now(lws_sorted_usec_list_t *timer)
{
	struct link   *l = lws_container_of(timer, struct link, connect_timer);
	struct refusal why;
	uint16_t       port;
	const char    *address = l->conf->controller[0] != '\0' ? l->conf->controller : l->state.address;
	if (l->ws != NULL || l->pipe.fd < 0 || l->final || l->stopping)
		return;
	if (resolver_find(&l->resolver, address, random32(), l->trying, &port, &why) < 0) {
		set_reason(l, why.code, why.cause);
		connect_later(l, backoff_next(&l->backoff, random32()));
		return;
	}
	struct lws_client_connect_info info = {
		.context = l->context,
		.vhost = l->vhost,
		.address = l->trying,
		.port = port,
		.path = "/",
		.host = l->trying,
		.origin = l->trying,
		.protocol = "vcc-agent.v1",
		.local_protocol_name = "vcc-agent.v1",
		.ssl_connection = LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_EXPIRED,
		.alpn = "http/1.1",
		.pwsi = &l->ws,
	};
	(void)lws_client_connect_via_info(&info); /* failure comes as LWS_CALLBACK_CLIENT_CONNECTION_ERROR, also at once */
}

static void connect_later(struct link *l, int64_t ms)
{
	if (!l->final && !l->stopping)
		lws_sul_schedule(l->context, 0, &l->connect_timer, connect_now, ms * LWS_US_PER_MS);
}

static void drop_websocket(struct link *l)
{
	if (l->ws != NULL)
		lws_set_timeout(l->ws, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void on_lost(struct link *l)
{
	if (l->established)
		log_line(LOG_LEVEL_NOTICE, NULL, "connection to %s ended: %s", l->trying, l->last_text[0] != '\0' ? l->last_text : "closed by the other side");
	l->ws = NULL;
	l->established = false;
	buf_free(&l->in);
	buf_free(&l->out);
	tell_keeper(l);
	connect_later(l, l->last_code == E_AGENT_EVICTED ? EVICTED_WAIT_MS : backoff_next(&l->backoff, random32()));
}

static void on_established(struct link *l)
{
	l->established = true;
	set_reason(l, 0, "");
	resolver_worked(&l->resolver, l->trying);
	log_line(LOG_LEVEL_INFO, NULL, "connected to %s", l->trying);
	tell_keeper(l);
}

/* The one message the link reads: it tells whether to come back. */
static void on_bye(struct link *l, struct span bytes)
{
	struct wire_frame *f = &l->frame;
	if (wire_decode(&wire_agent, bytes, 0, f) < 0)
		return;
	set_reason(l, f->u.bye.code, f->u.bye.text);
	l->final = f->u.bye.code == E_AGENT_BANNED || f->u.bye.code == E_JOIN_BANNED;
	log_line(LOG_LEVEL_WARNING, NULL, "the controller ends the connection: VCC-%04d %s%s", abs(f->u.bye.code), f->u.bye.text,
	         l->final ? "; it is not asked again" : "");
}

static int on_frame(struct link *l, struct span bytes)
{
	uint16_t        type;
	uint64_t        id;
	struct lk_frame message = {.frame = bytes};
	if (wire_check(&wire_agent, bytes, 0, &type, &id) < 0) {
		set_reason(l, E_WIRE_MESSAGE, "the gateway sent a frame that cannot be read");
		return -1;
	}
	if (fault_point("link.frame.down") != 0)
		return -1;
	if (type == MSG_WELCOME)
		backoff_reset(&l->backoff); /* connected means welcomed: TLS 1.3 judges our certificate late */
	if (type == MSG_BYE)
		on_bye(l, bytes);
	if (keeper_pipe_send(&l->pipe, LK_FRAME, &message) < 0)
		return -1; /* the keeper is away or does not read: what it missed comes again after the next welcome */
	if (l->pipe_wsi != NULL)
		lws_callback_on_writable(l->pipe_wsi);
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

static size_t first_length(const struct buf *out)
{
	return (size_t)out->p[0] << 24 | (size_t)out->p[1] << 16 | (size_t)out->p[2] << 8 | out->p[3];
}

/* One write per callback. */
static int on_writable(struct link *l, struct lws *wsi)
{
	if (l->out.n == 0 || lws_partial_buffered(wsi) != 0) {
		if (l->out.n > 0)
			lws_callback_on_writable(wsi);
		return 0;
	}
	size_t   n = first_length(&l->out);
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
	if (l->out.n > 0)
		lws_callback_on_writable(wsi);
	return 0;
}

/* ---- the keeper ------------------------------------------------------------------------------------------------- */

static void keeper_lost(struct link *l);

static void flush_keeper(struct link *l)
{
	int r = l->pipe.fd >= 0 ? keeper_pipe_flush(&l->pipe) : 0;
	if (r < 0)
		keeper_lost(l);
	else if (r > 0)
		lws_callback_on_writable(l->pipe_wsi);
}

static void tell_keeper(struct link *l)
{
	struct lk_state state = {.connected = l->established, .code = l->last_code};
	text_cut(state.text, sizeof(state.text), l->last_text);
	if (keeper_pipe_send(&l->pipe, LK_STATE, &state) == 0 && l->pipe_wsi != NULL)
		lws_callback_on_writable(l->pipe_wsi);
}

static void from_keeper(struct link *l, const struct lk_frame *f)
{
	uint8_t length[4];
	if (!l->established)
		return; /* it is sent again after the next welcome */
	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (uint8_t)(f->frame.n >> (8 * (3 - i)));
	buf_add(&l->out, length, sizeof(length));
	buf_add(&l->out, f->frame.p, f->frame.n);
	if (buf_error(&l->out) != 0) {
		set_reason(l, E_GW_SLOW, "the gateway does not take our frames");
		drop_websocket(l);
		return;
	}
	lws_callback_on_writable(l->ws);
}

/* Half of the identity's life is over: a new key, and a request that the keeper signs with the host key. */
static void renew_identity(lws_sorted_usec_list_t *timer)
{
	struct link   *l = lws_container_of(timer, struct link, renew_timer);
	struct refusal why = {0};
	struct key    *k = NULL;
	struct buf     csr = BUF_MAX(MSG_CSR_MAX);
	int64_t        half = l->state.not_before_at + (l->state.not_after_at - l->state.not_before_at) / 2;
	int64_t        wait = half - clock_now();
	if (wait <= 0 && l->established) {
		int r = link_state_next_key(&l->state, &k, &why);
		if (r == 0)
			r = csr_make(k, &csr);
		struct lk_csr request = {.csr = buf_span(&csr)};
		if (r == 0)
			r = keeper_pipe_send(&l->pipe, LK_CSR, &request);
		if (r == 0)
			lws_callback_on_writable(l->pipe_wsi);
		else
			log_line(LOG_LEVEL_ERROR, NULL, "the identity's renewal cannot be asked for: %s", why.cause[0] != '\0' ? why.cause : err_what(r));
	}
	key_free(k);
	buf_free(&csr);
	int64_t life = l->state.not_after_at - l->state.not_before_at;
	int64_t retry = life / 20 < RENEW_RETRY_MS ? life / 20 + 200 : RENEW_RETRY_MS;
	if (wait > MS_HOUR)
		wait = MS_HOUR; /* the clock may jump: looked at again */
	lws_sul_schedule(l->context, 0, &l->renew_timer, renew_identity, (wait > retry ? wait : retry) * LWS_US_PER_MS);
}

/* The connection moves to the new identity at once; what is in flight is sent again after the next welcome. */
static void take_identity(struct link *l, const struct lk_identity *identity)
{
	struct refusal why = {0};
	int            r = link_state_save_identity(&l->state, identity->certificate, identity->chain, &why);
	if (r == 0)
		r = tls_link_setup(l->tls, buf_span(&l->state.root), buf_span(&l->state.identity), &why);
	if (r < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		return;
	}
	log_line(LOG_LEVEL_INFO, NULL, "new link identity");
	backoff_reset(&l->backoff);
	set_reason(l, E_GW_EXPIRED, "moving to the new identity");
	drop_websocket(l);
	renew_identity(&l->renew_timer);
}

static int read_keeper(struct link *l)
{
	size_t at = 0;
	int    r = keeper_pipe_fill(&l->pipe);
	if (r < 0 && r != E_SYS_AGAIN)
		return r;
	while ((r = keeper_pipe_next(&l->pipe, &at, &l->frame)) == 1) {
		if (l->frame.type == LK_FRAME)
			from_keeper(l, &l->frame.u.lk_frame);
		else if (l->frame.type == LK_IDENTITY)
			take_identity(l, &l->frame.u.lk_identity);
		else
			return E_WIRE_MESSAGE;
	}
	keeper_pipe_done(&l->pipe, at);
	return r;
}

static void open_keeper(lws_sorted_usec_list_t *timer)
{
	struct link   *l = lws_container_of(timer, struct link, keeper_timer);
	struct refusal why;
	if (l->stopping)
		return;
	if (keeper_pipe_open(&l->pipe, l->conf->keeper_socket, &why) == 0) {
		lws_sock_file_fd_type fd = {.filefd = l->pipe.fd};
		l->pipe_wsi = lws_adopt_descriptor_vhost(l->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "vcc-keeper", NULL);
		if (l->pipe_wsi != NULL) {
			log_line(LOG_LEVEL_INFO, NULL, "the keeper is there");
			tell_keeper(l);
			connect_later(l, backoff_next(&l->backoff, random32()));
			return;
		}
		l->pipe.fd = -1; /* closed by the library */
	}
	lws_sul_schedule(l->context, 0, &l->keeper_timer, open_keeper, KEEPER_RETRY_MS * LWS_US_PER_MS);
}

/* Without a keeper there is nobody to speak for: the websocket ends, and a welcome follows when both are back. */
static void keeper_lost(struct link *l)
{
	if (l->pipe_wsi != NULL)
		lws_set_timeout(l->pipe_wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static void on_keeper_closed(struct link *l)
{
	if (l->stopping)
		return;
	log_line(LOG_LEVEL_WARNING, NULL, "the keeper is gone");
	l->pipe_wsi = NULL;
	l->pipe.fd = -1; /* closed by the library */
	keeper_pipe_close(&l->pipe);
	keeper_pipe_init(&l->pipe);
	set_reason(l, E_SYS_CLOSED, "the keeper is away");
	backoff_reset(&l->backoff);
	drop_websocket(l);
	lws_sul_schedule(l->context, 0, &l->keeper_timer, open_keeper, KEEPER_RETRY_MS * LWS_US_PER_MS);
}

/* ---- libwebsockets ---------------------------------------------------------------------------------------------- */

static int on_websocket(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link   *l = link_of(wsi);
	struct refusal why;
	(void)user;
	switch (reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_CLIENT_VERIFY_CERTS:
		the_link->tls = in != NULL ? in : user;
		return 0;
	case LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH:
		if (tls_link_peer(lws_get_ssl(wsi), buf_span(&l->state.root), l->state.domain, &why) < 0) {
			log_refusal(LOG_LEVEL_ERROR, NULL, &why);
			set_reason(l, why.code, why.cause);
			return -1;
		}
		return 0;
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		on_established(l);
		return 0;
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return on_receive(l, wsi, in, n);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return on_writable(l, wsi);
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		if (l->last_code == 0 || l->last_code == E_GW_EXPIRED)
			set_reason(l, E_LINK_DOWN, in != NULL ? (const char *)in : "no connection");
		on_lost(l);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		on_lost(l);
		return 0;
	default:
		return 0;
	}
}

static int on_keeper(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link *l = link_of(wsi);
	(void)user;
	(void)in;
	(void)n;
	switch (reason) {
	case LWS_CALLBACK_RAW_RX_FILE: {
		int r = read_keeper(l);
		if (r < 0)
			log_line(LOG_LEVEL_WARNING, NULL, "keeper: %s", err_what(r));
		return r < 0 ? -1 : 0;
	}
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		flush_keeper(l);
		return 0;
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		on_keeper_closed(l);
		return 0;
	default:
		return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{.name = "vcc-agent.v1", .callback = on_websocket, .rx_buffer_size = 4096, .tx_packet_size = 32768},
	{.name = "vcc-keeper", .callback = on_keeper},
	{0},
};

/* One connection: the library's own liveness is affordable here. A peer that is silent for a minute is gone. */
static const lws_retry_bo_t liveness = {.secs_since_valid_ping = 40, .secs_since_valid_hangup = 60};

static int context_make(struct link *l, struct refusal *why)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.protocols = protocols,
		.user = l,
		.fd_limit_per_thread = 64,
		.timeout_secs = HANDSHAKE_SECONDS,
		.connect_timeout_secs = HANDSHAKE_SECONDS,
		.retry_and_idle_policy = &liveness,
		.uid = -1,
		.gid = -1,
	};
	lws_set_log_level(LLL_ERR, NULL);
	l->context = lws_create_context(&info);
	if (l->context != NULL)
		l->vhost = lws_create_vhost(l->context, &info);
	if (l->vhost == NULL || lws_init_vhost_client_ssl(&info, l->vhost) != 0 || l->tls == NULL)
		return refuse(why, E_GW_TLS, "libwebsockets", "the client cannot be set up");
	return tls_link_setup(l->tls, buf_span(&l->state.root), buf_span(&l->state.identity), why);
}

static void feed_watchdog(lws_sorted_usec_list_t *timer)
{
	struct link *l = lws_container_of(timer, struct link, watchdog_timer);
	int64_t      ms = notify_watchdog_ms();
	notify_send("WATCHDOG=1");
	if (ms > 0)
		lws_sul_schedule(l->context, 0, &l->watchdog_timer, feed_watchdog, ms * LWS_US_PER_MS);
}

static void on_signal(int signal_number)
{
	(void)signal_number;
	the_link->stopping = true;
	lws_cancel_service(the_link->context);
}

static int lock_in(struct link *l, struct refusal *why)
{
	struct jail_path paths[] = {
		{.path = l->conf->link_dir, .write = true},
		{.path = l->conf->keeper_socket, .write = true},
		{.path = "/etc"}, /* name service: resolv.conf, hosts, nsswitch.conf */
		{.path = "/run"},
	};
	char     host[ADDRESS_SIZE];
	uint16_t port;
	/* what name service loads at its first use must be loaded now */
	(void)!resolver_find(&l->resolver, l->conf->controller[0] != '\0' ? l->conf->controller : l->state.address, 0, host, &port, NULL);
	return jail_enter(JAIL_LINK, paths, N_ELEMENTS(paths), why);
}

static int start(struct link *l, struct refusal *why)
{
	int r = link_state_open(l->conf->link_dir, &l->state, why);
	if (r == 0)
		r = link_state_load(&l->state, why);
	if (r == 0)
		r = context_make(l, why);
	if (r == 0) {
		notify_send("STATUS=locks itself in");
		r = lock_in(l, why);
	}
	return r;
}

int link_run(const struct agent_conf *conf, struct refusal *why)
{
	struct link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return refuse(why, E_NOMEM, "vcc-agent", "out of memory");
	the_link = l;
	l->conf = conf;
	l->backoff.spread_ms = conf->reconnect_spread_ms;
	l->in = (struct buf)BUF_MAX(FRAME_MAX);
	l->out = (struct buf)BUF_MAX(OUT_MAX);
	keeper_pipe_init(&l->pipe);
	int r = start(l, why);
	if (r == 0) {
		signal(SIGTERM, on_signal);
		signal(SIGINT, on_signal);
		log_line(LOG_LEVEL_INFO, NULL, "link of %s, gateway %s", l->state.agent, conf->controller[0] != '\0' ? conf->controller : l->state.address);
		open_keeper(&l->keeper_timer);
		renew_identity(&l->renew_timer);
		feed_watchdog(&l->watchdog_timer);
		notify_send("READY=1\nSTATUS=running");
		while (!l->stopping && lws_service(l->context, 0) >= 0)
			continue;
	}
	l->stopping = true;
	if (l->context != NULL)
		lws_context_destroy(l->context);
	l->pipe.fd = -1;
	keeper_pipe_close(&l->pipe);
	link_state_close(&l->state);
	buf_free(&l->in);
	buf_free(&l->out);
	free(l);
	return r;
}
