/* link.c - room agent/link: the daemon: one mTLS websocket to a gateway, one socket to the keeper, frames passed between them.
 * Never: deciding anything about orders; a key of a service. */
#include "agent/link/link.h"

#include <signal.h>
#include <stdlib.h>

#include "agent/link/link_part.h"
#include "agent/link/tls_link.h"
#include "shared/sys/clock.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/notify.h"

enum {
	OUT_MAX = 1 << 20,      /* frames from the keeper that wait for the websocket */
	HANDSHAKE_SECONDS = 25, /* connect, TLS, upgrade: each */
};

static struct link *the_link; /* a signal handler gets nothing to find it by */

uint32_t link_random(void)
{
	uint32_t r;
	entropy(&r, sizeof(r));
	return r;
}

static const struct lws_protocols protocols[] = {
	{.name = "vcc-agent.v1", .callback = link_gateway_event, .rx_buffer_size = 4096, .tx_packet_size = 32768},
	{.name = "vcc-keeper", .callback = link_keeper_event},
	{.name = "vcc-join", .callback = link_return_event, .rx_buffer_size = 4096, .tx_packet_size = 32768},
	{.name = "vcc-public", .callback = link_fetch_event},
	{0},
};

static const lws_retry_bo_t no_validity; /* liveness is our own: the library's pings even where the other side does */

static int context_make(struct link *l, struct refusal *why)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.protocols = protocols,
		.user = l,
		.fd_limit_per_thread = 64,
		.timeout_secs = HANDSHAKE_SECONDS,
		.connect_timeout_secs = HANDSHAKE_SECONDS,
		.retry_and_idle_policy = &no_validity,
		.uid = -1,
		.gid = -1,
	};
	lws_set_log_level(LLL_ERR, NULL);
	l->context = lws_create_context(&info);
	if (l->context != NULL)
		l->vhost = lws_create_vhost(l->context, &info);
	if (l->vhost == NULL || lws_init_vhost_client_ssl(&info, l->vhost) != 0 || l->tls == NULL)
		return refuse(why, E_GW_TLS, "libwebsockets", "the client cannot be set up");
	tls_link_watch(l->tls, &l->seen);
	return tls_link_setup(l->tls, buf_span(&l->state.root), buf_span(&l->state.identity), why);
}

struct watchdog {
	lws_sorted_usec_list_t timer;
	struct lws_context    *context;
};

static void feed_watchdog(lws_sorted_usec_list_t *timer)
{
	struct watchdog *w = lws_container_of(timer, struct watchdog, timer);
	int64_t          ms = notify_watchdog_ms();
	notify_send("WATCHDOG=1");
	if (ms > 0)
		lws_sul_schedule(w->context, 0, &w->timer, feed_watchdog, ms * LWS_US_PER_MS);
}

static void on_signal(int signal_number)
{
	(void)signal_number;
	the_link->stopping = true;
	lws_cancel_service(the_link->context);
}

static int lock_in(struct link *l, struct refusal *why)
{
	const struct jail_path paths[] = {
		{.path = l->conf->link_dir, .write = true},
		{.path = "/run"}, /* resolv.conf may be a link into the folder of whoever manages the network */
	};
	char     host[ADDRESS_SIZE];
	uint16_t port;
	/* what name service loads at its first use is loaded now */
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

static int serve(struct link *l, struct refusal *why)
{
	struct watchdog watchdog = {.context = l->context};
	int             r = 0;
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	log_line(LOG_LEVEL_INFO, NULL, "link of %s, gateway %s", l->state.agent, l->conf->controller[0] != '\0' ? l->conf->controller : l->state.address);
	link_keeper_open(l);
	link_identity_look(l);
	feed_watchdog(&watchdog.timer);
	notify_send("READY=1\nSTATUS=running");
	memory_give_back();
	while (!l->stopping && r >= 0)
		r = lws_service(l->context, 0);
	lws_sul_cancel(&watchdog.timer);
	(void)signal(SIGTERM, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	return l->stopping ? 0 : refuse(why, E_SYS_IO, "vcc-agent", "the loop ended");
}

int link_run(const struct agent_conf *conf, struct refusal *why)
{
	struct link *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return refuse(why, E_NOMEM, "vcc-agent", "out of memory");
	the_link = l;
	l->conf = conf;
	l->state = (struct link_state){.dir_fd = -1, .lock_fd = -1};
	l->backoff.spread_ms = conf->reconnect_spread_ms;
	l->in = (struct buf)BUF_MAX(FRAME_MAX);
	l->out = (struct buf)BUF_MAX(OUT_MAX);
	l->ret.out = (struct buf)BUF_MAX(FRAME_BEFORE_WELCOME);
	l->ret.in = (struct buf)BUF_MAX(wire_join.frame_max);
	keeper_pipe_init(&l->pipe);
	int r = start(l, why);
	if (r == 0)
		r = serve(l, why);
	l->stopping = true;
	link_return_stop(l);
	if (l->context != NULL)
		lws_context_destroy(l->context); /* closes the keeper's socket, too */
	l->pipe.fd = -1;
	keeper_pipe_close(&l->pipe);
	link_state_close(&l->state);
	buf_free(&l->in);
	buf_free(&l->out);
	free(l);
	return r;
}
