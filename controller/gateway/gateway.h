/* gateway.h - room controller/gateway: what the parts of the gateway share: one loop, two ports, one connection upwards.
 * Never: state of orders. */
#ifndef VCC_GATEWAY_H
#define VCC_GATEWAY_H

#include <uv.h>

#include "controller/gateway/acceptor.h"
#include "shared/conf/gateway_conf.h"
#include "controller/gateway/join_port.h"
#include "controller/gateway/rate.h"
#include "controller/gateway/gateway_session.h"
#include "controller/gateway/tls_gateway.h"
#include "controller/gateway/upstream.h"
#include "controller/gateway/wheel.h"

struct lws_context;
struct lws_vhost;

struct gateway {
	struct gateway_conf conf;
	char                name[AGENT_NAME_SIZE];
	struct id           boot_id;
	int                 state_fd, lock_fd;
	uv_loop_t           loop;
	uv_timer_t          tick;    /* once a second */
	uv_prepare_t        prepare; /* before the loop waits: was this turn long? */
	uv_signal_t         stop_term, stop_int;
	int64_t             turn_us, idle_us; /* clock and idle time at the last prepare */
	int64_t             ticked_ms;
	int64_t             judge_from_ms; /* after a stop of this process, silence of others proves nothing until then */
	int64_t             watchdog_ms;
	int                 code; /* why it ended by itself; 0 = it did not */

	/* One context per port: within one, a Host header or SNI would choose among the servers, and with it who must show a
	 * certificate. */
	struct lws_context *agents_lws, *join_lws;
	struct lws_vhost   *agents_vhost, *join_vhost;
	struct tls_gateway *tls;
	bool                serving;
	int64_t             identity_retry_ms; /* monotonic: not asked again before */
	int                 identity_failures;
	struct upstream    *up;
	struct acceptor     agents, joins;

	struct wheel    wheel; /* of sessions */
	struct session *sessions; /* uthash by number: those that stand */
	uint64_t        last_session;
	struct session *held; /* utlist ring: with frames that wait for credit */
	size_t          held_bytes;
	uint8_t         tx[OUTBOX_HEADROOM + FRAME_MAX]; /* one frame on its way out */

	struct join_port join;
	int              notes; /* lines of this second */
};

/* Runs until SIGTERM. `conf` is copied. */
_must_check_ int gateway_run(const struct gateway_conf *conf, struct refusal *why);

/* Logs a refused peer; a flood of them makes a few lines a second. `who`: agent or address. */
void gateway_note(struct gateway *g, int code, const char *who);

/* Connections that stand or are being made. */
size_t gateway_agents(const struct gateway *g);

#endif
