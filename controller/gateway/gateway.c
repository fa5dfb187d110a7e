/* gateway.c - room controller/gateway: wires the parts together: start, the loop's second, the way down from the controller.
 * Never: state of orders, acknowledging. */
#include "controller/gateway/gateway.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "controller/gateway/agents_ws.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/jail.h"
#include "shared/sys/log.h"
#include "shared/sys/notify.h"

#define NAME_FILE "name"

enum {
	SPARE_FILES = 256, /* descriptors beside those of agents: join port, sockets, files */
	JOIN_HANDSHAKES = 64,
	SERV_BUF = 20480, /* more than a TLS record: else leftovers make the library scan all connections */
	HEADER_POOL = 256,
	HANDSHAKE_SECONDS = 5,
	LAG_US = 20000,
	STALL_MS = 3000,
	NOTES_PER_SECOND = 5,
	IDENTITY_RETRY_FIRST_MS = 1000,
	IDENTITY_RETRY_LAST_MS = 60000,
	ROSTER_ROW = 512,
};

/* ---- identity and serving ---------------------------------------------------------------------------------------------- */

static int vhost_make(struct lws_context *lws, const char *name, const struct lws_protocols *protocols, uint64_t options,
                      struct lws_vhost **ret)
{
	/* all zero: the library keeps no timer per connection; ours is the wheel */
	static const lws_retry_bo_t             no_validity;
	const struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.vhost_name = name,
		.protocols = protocols,
		.options = options | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
			   LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS, /* nothing is trusted but what tls_gateway sets */
		.alpn = "http/1.1",
		.retry_and_idle_policy = &no_validity,
	};
	*ret = lws_create_vhost(lws, &info);
	return *ret != NULL ? 0 : E_GW_TLS;
}

static bool agent_accepted(void *ctx, int fd, const char *address)
{
	return agents_ws_accepted(ctx, fd, address);
}

static bool joiner_accepted(void *ctx, int fd, const char *address)
{
	return join_port_accepted(ctx, fd, address);
}

static void serve(struct gateway *g)
{
	int r = vhost_make(g->agents_lws, "agents", agents_ws_protocols, LWS_SERVER_OPTION_REQUIRE_VALID_OPENSSL_CLIENT_CERT,
	                   &g->agents_vhost);
	if (r == 0)
		r = vhost_make(g->join_lws, "join", join_port_protocols, 0, &g->join_vhost);
	if (r == 0)
		r = acceptor_start(&g->agents, &g->loop, agent_accepted, g);
	if (r == 0)
		r = acceptor_start(&g->joins, &g->loop, joiner_accepted, g);
	if (r != 0) {
		g->code = r;
		uv_stop(&g->loop);
		return;
	}
	g->serving = true;
	log_line(LOG_LEVEL_NOTICE, NULL, "agents on %s, join on %s", g->agents.bound, g->joins.bound);
	notify_send("READY=1\nSTATUS=serving agents");
}

static void ask_identity(struct gateway *g, int64_t now_ms)
{
	struct buf csr = BUF_MAX(MSG_CSR_MAX);
	if (!upstream_connected(g->up) || now_ms < g->identity_retry_ms ||
	    (tls_gateway_ready(g->tls) && clock_now() < tls_gateway_renew_at(g->tls)))
		return;
	int64_t wait = (int64_t)IDENTITY_RETRY_FIRST_MS << (g->identity_failures < 6 ? g->identity_failures : 6);
	g->identity_retry_ms = now_ms + (wait < IDENTITY_RETRY_LAST_MS ? wait : IDENTITY_RETRY_LAST_MS);
	g->identity_failures++;
	int r = tls_gateway_request(g->tls, &csr);
	if (r == 0) {
		struct gw_identity ask = {.csr = buf_span(&csr)};
		r = upstream_send(g->up, GW_IDENTITY, &ask);
	}
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "cannot ask for the gateway's certificate: %s", err_what(r));
	buf_free(&csr);
}

static void on_identity_reply(struct gateway *g, const struct wire_frame *f)
{
	const struct gw_identity_reply *reply = &f->u.gw_identity_reply;
	struct refusal                  why = {0};
	int r = reply->code != 0 ? refuse(&why, reply->code, "gateway certificate", "%s", err_what(reply->code))
	                         : tls_gateway_accept(g->tls, reply->certificate, reply->chain, &why);
	if (r != 0) {
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
		return;
	}
	g->identity_failures = 0;
	g->identity_retry_ms = 0;
	log_line(LOG_LEVEL_NOTICE, NULL, "the gateway has a new certificate");
	if (!g->serving)
		serve(g);
}

/* ---- the controller's side ----------------------------------------------------------------------------------------------- */

static void on_send(struct gateway *g, const struct wire_frame *f)
{
	agents_ws_send(g, f->u.gw_send.session, f->u.gw_send.urgent, f->u.gw_send.frame);
}

static void on_kick(struct gateway *g, const struct wire_frame *f)
{
	agents_ws_kick(g, f->u.gw_kick.session, f->u.gw_kick.code, f->u.gw_kick.text);
}

static void on_join_reply(struct gateway *g, const struct wire_frame *f)
{
	join_port_answer(g, f->u.gw_join_reply.request, f->u.gw_join_reply.body);
}

static void on_trust(struct gateway *g, const struct wire_frame *f)
{
	struct refusal why = {0};
	if (tls_gateway_trust(g->tls, f->u.gw_trust.agents, f->u.gw_trust.chain, &why) < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
}

static const struct {
	uint16_t type;
	void (*handle)(struct gateway *g, const struct wire_frame *f);
} from_controller[] = {
	{GW_SEND, on_send},
	{GW_KICK, on_kick},
	{GW_JOIN_REPLY, on_join_reply},
	{GW_IDENTITY_REPLY, on_identity_reply},
	{GW_TRUST, on_trust},
};

static void on_frame(void *ctx, const struct wire_frame *f)
{
	struct gateway *g = ctx;
	for (size_t i = 0; i < N_ELEMENTS(from_controller); i++)
		if (from_controller[i].type == f->type) {
			from_controller[i].handle(g, f);
			return;
		}
	log_line(LOG_LEVEL_ERROR, NULL, "the controller sent a message of type %u, which is not its own", f->type);
}

static void on_connected(void *ctx)
{
	struct gateway *g = ctx;
	struct gw_hello hello = {.boot_id = g->boot_id, .version = VCC_VERSION};
	text_cut(hello.name, sizeof(hello.name), g->name);
	text_cut(hello.listen, sizeof(hello.listen), g->agents.bound);
	text_cut(hello.join_listen, sizeof(hello.join_listen), g->joins.bound);
	log_line(LOG_LEVEL_INFO, NULL, "connected to the controller, %u sessions", HASH_COUNT(g->sessions));
	if (upstream_send(g->up, GW_HELLO, &hello) != 0)
		return;
	agents_ws_roster(g);
	g->identity_retry_ms = 0;
	ask_identity(g, (int64_t)uv_now(&g->loop));
}

static void on_lost(void *ctx, int code)
{
	struct gateway *g = ctx;
	log_line(LOG_LEVEL_WARNING, NULL, "the controller is away (%s); %u sessions stay", err_what(code), HASH_COUNT(g->sessions));
	agents_ws_drop_held(g);
	join_port_lost(g);
}

static void on_ready(void *ctx)
{
	agents_ws_release(ctx);
}

static const struct upstream_events upstream_events = {on_connected, on_lost, on_frame, on_ready};

/* ---- time ---------------------------------------------------------------------------------------------------------------- */

static void on_session_due(void *ctx, struct wheel_entry *e)
{
	struct gateway *g = ctx;
	struct session *s = (struct session *)(void *)((char *)e - offsetof(struct session, timer));
	agents_ws_timer(g, s, (int64_t)uv_now(&g->loop), clock_now());
}

static void on_tick(uv_timer_t *timer)
{
	struct gateway *g = timer->data;
	int64_t         now = (int64_t)uv_now(&g->loop);
	if (g->ticked_ms != 0 && now - g->ticked_ms > STALL_MS) {
		log_line(LOG_LEVEL_WARNING, NULL, "this process stood still for %lld ms", (long long)(now - g->ticked_ms));
		g->judge_from_ms = now + LIVENESS_ANSWER_MS;
	}
	g->ticked_ms = now;
	if (g->notes > NOTES_PER_SECOND)
		log_line(LOG_LEVEL_NOTICE, NULL, "%d more refusals in this second", g->notes - NOTES_PER_SECOND);
	g->notes = 0;
	wheel_turn(&g->wheel, now, on_session_due, g);
	join_port_turn(g, now);
	ask_identity(g, now);
	if (g->watchdog_ms != 0)
		notify_send("WATCHDOG=1");
}

/* How long was this turn, waiting apart? A late loop takes no new handshakes, so that the agents it holds are served first. */
static void on_prepare(uv_prepare_t *prepare)
{
	struct gateway *g = prepare->data;
	int64_t         now = (int64_t)(uv_hrtime() / 1000);
	int64_t         idle = (int64_t)(uv_metrics_idle_time(&g->loop) / 1000);
	bool            lagging = g->turn_us != 0 && (now - g->turn_us) - (idle - g->idle_us) > LAG_US;
	g->turn_us = now;
	g->idle_us = idle;
	acceptor_lag(&g->agents, lagging);
	acceptor_lag(&g->joins, lagging);
}

static void on_stop(uv_signal_t *signal, int number)
{
	struct gateway *g = signal->data;
	log_line(LOG_LEVEL_NOTICE, NULL, "ends on signal %d", number);
	uv_stop(&g->loop);
}

void gateway_note(struct gateway *g, int code, const char *who)
{
	char name[ERR_CODE_SIZE];
	if (g->notes++ < NOTES_PER_SECOND)
		log_line(LOG_LEVEL_NOTICE, NULL, "%s: %s %s", who, err_code(code, name), err_what(code));
}

size_t gateway_agents(const struct gateway *g)
{
	return HASH_COUNT(g->sessions) + (size_t)g->agents.in_progress;
}

/* ---- start and end --------------------------------------------------------------------------------------------------------- */

static void library_says(int level, const char *line)
{
	static int64_t second;
	static int     lines;
	int64_t        now = clock_monotonic() / MS_SECOND;
	if (now != second) {
		second = now;
		lines = 0;
	}
	if (lines++ < NOTES_PER_SECOND)
		log_line(level == LLL_ERR ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, NULL, "libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

/* The library sizes its tables by the soft limit, and searches them one by one when told another number: so set exactly it. */
static void limit_files(struct gateway *g)
{
	struct rlimit limit;
	rlim_t        wanted = (rlim_t)g->conf.max_agents + SPARE_FILES;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	if (limit.rlim_max != RLIM_INFINITY && wanted > limit.rlim_max) {
		wanted = limit.rlim_max;
		g->conf.max_agents = (int64_t)wanted > 2 * SPARE_FILES ? (int64_t)wanted - SPARE_FILES : (int64_t)wanted / 2;
		log_line(LOG_LEVEL_WARNING, NULL, "the limit of %llu open files allows %lld agents", (unsigned long long)wanted,
		         (long long)g->conf.max_agents);
	}
	limit.rlim_cur = wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the limit of open files cannot be set");
}

static int name_load(struct gateway *g, struct refusal *why)
{
	struct buf text = BUF_MAX(AGENT_NAME_SIZE);
	uint8_t    random[4];
	char       hex[2 * sizeof(random) + 1];
	int        r = file_read(g->state_fd, NAME_FILE, false, &text, why);
	if (r == 0) {
		r = text_copy_n(g->name, sizeof(g->name), (const char *)text.p, text.n);
		if (r != 0 || !name_agent_ok(g->name))
			r = refuse(why, E_CONF_VALUE, NAME_FILE, "holds no valid name");
	} else if (r == E_NOT_FOUND) {
		entropy(random, sizeof(random));
		hex_text(random, sizeof(random), hex);
		snprintf(g->name, sizeof(g->name), "gw-%s", hex);
		r = file_replace(g->state_fd, NAME_FILE, span_text(g->name), (uid_t)-1, (gid_t)-1, 0644, why);
	}
	buf_free(&text);
	return r;
}

static int state_open(struct gateway *g, struct refusal *why)
{
	uint8_t random[ID_RANDOM];
	int     r = dir_make(g->conf.state_dir, 0700, why);
	if (r == 0)
		r = dir_open_safe(g->conf.state_dir, geteuid(), &g->state_fd, why);
	if (r == 0)
		r = dir_lock(g->state_fd, "lock", &g->lock_fd, why);
	if (r == 0)
		r = name_load(g, why);
	if (r == 0)
		r = tls_gateway_open(g->state_fd, &g->tls, why);
	entropy(random, sizeof(random));
	g->boot_id = id_make(clock_now(), random);
	return r;
}

static int library_start(struct gateway *g, struct lws_context **ret, struct refusal *why)
{
	void                                  *loops[] = {&g->loop};
	struct rlimit                          limit = {0};
	const struct lws_context_creation_info info = {
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS | LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.user = g,
		.pt_serv_buf_size = SERV_BUF,
		.max_http_header_pool = HEADER_POOL,
		.timeout_secs = HANDSHAKE_SECONDS,
		.fd_limit_per_thread = getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (unsigned)limit.rlim_cur : 1024,
	};
	lws_set_log_level(LLL_ERR | LLL_WARN, library_says);
	*ret = lws_create_context(&info);
	if (*ret == NULL)
		return refuse(why, E_GW_PLUGIN, "libwebsockets", "cannot start on the libuv loop");
	return 0;
}

static int loop_start(struct gateway *g)
{
	int r = uv_loop_init(&g->loop);
	if (r == 0)
		r = uv_loop_configure(&g->loop, UV_METRICS_IDLE_TIME);
	if (r != 0)
		return E_SYS_IO;
	uv_timer_init(&g->loop, &g->tick);
	uv_prepare_init(&g->loop, &g->prepare);
	uv_signal_init(&g->loop, &g->stop_term);
	uv_signal_init(&g->loop, &g->stop_int);
	g->tick.data = g;
	g->prepare.data = g;
	g->stop_term.data = g;
	g->stop_int.data = g;
	uv_timer_start(&g->tick, on_tick, MS_SECOND, MS_SECOND);
	uv_prepare_start(&g->prepare, on_prepare);
	uv_signal_start(&g->stop_term, on_stop, SIGTERM);
	uv_signal_start(&g->stop_int, on_stop, SIGINT);
	return 0;
}

/* Everything that needs rights or files of the system happens here, before the lock-in. */
static int start(struct gateway *g, struct refusal *why)
{
	uint64_t secret;
	signal(SIGPIPE, SIG_IGN);
	limit_files(g);
	g->watchdog_ms = notify_watchdog_ms();
	notify_send("STATUS=waiting for the controller");
	int r = state_open(g, why);
	if (r == 0)
		r = acceptor_bind(&g->agents, g->conf.listen, g->conf.handshakes, why);
	if (r == 0)
		r = acceptor_bind(&g->joins, g->conf.join_listen, JOIN_HANDSHAKES, why);
	if (r == 0 && loop_start(g) != 0)
		r = refuse(why, E_SYS_IO, "libuv", "the loop cannot be started");
	if (r == 0)
		r = library_start(g, &g->agents_lws, why);
	if (r == 0)
		r = library_start(g, &g->join_lws, why);
	if (r != 0)
		return r;
	wheel_init(&g->wheel, (int64_t)uv_now(&g->loop));
	wheel_init(&g->join.wheel, (int64_t)uv_now(&g->loop));
	entropy(&secret, sizeof(secret));
	rate_init(&g->join.rate, secret, (int64_t)uv_now(&g->loop));
	size_t roster = (size_t)4 * IPC_FRAME_MAX + (size_t)g->conf.max_agents * ROSTER_ROW;
	r = upstream_start(&g->loop, g->conf.controller_socket, roster, &upstream_events, g, &g->up);
	if (r != 0)
		return refuse(why, r, g->conf.controller_socket, "cannot be used");

	/* one signature and one key now: whatever the crypto library loads late is loaded */
	struct buf csr = BUF_MAX(MSG_CSR_MAX);
	r = tls_gateway_request(g->tls, &csr);
	buf_free(&csr);
	if (r != 0)
		return refuse(why, r, "gateway key", "cannot be made");
	const struct jail_path paths[] = {{g->conf.state_dir, true}};
	return jail_enter(JAIL_GATEWAY, paths, N_ELEMENTS(paths), why);
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
	(void)ctx;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* Lets what is being closed end; never waits for it. */
static void run_out(struct gateway *g)
{
	enum { TURNS = 64 };
	for (int i = 0; i < TURNS && uv_run(&g->loop, UV_RUN_NOWAIT) != 0; i++) {
	}
}

/* The library frees a context on a foreign loop in two calls: the first closes its handles, the second frees the rest. */
static void library_end(struct gateway *g, struct lws_context *lws)
{
	if (lws == NULL)
		return;
	lws_context_destroy(lws);
	run_out(g);
	lws_context_destroy(lws);
}

static void finish(struct gateway *g)
{
	acceptor_stop(&g->agents);
	acceptor_stop(&g->joins);
	library_end(g, g->agents_lws);
	library_end(g, g->join_lws);
	upstream_stop(g->up);
	run_out(g);
	uv_walk(&g->loop, close_handle, NULL);
	run_out(g);
	(void)uv_loop_close(&g->loop);
	tls_gateway_free(g->tls);
	fd_close(g->lock_fd);
	fd_close(g->state_fd);
}

int gateway_run(const struct gateway_conf *conf, struct refusal *why)
{
	struct gateway *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return refuse(why, E_NOMEM, "gateway", "no memory");
	g->conf = *conf;
	g->state_fd = -1;
	g->lock_fd = -1;
	int r = start(g, why);
	if (r == 0) {
		if (tls_gateway_ready(g->tls))
			serve(g);
		if (g->code == 0)
			uv_run(&g->loop, UV_RUN_DEFAULT);
		finish(g);
		if (g->code != 0)
			r = refuse(why, g->code, "gateway", "its servers cannot be started");
	}
	free(g);
	return r;
}
