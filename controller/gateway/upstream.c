/* upstream.c - room controller/gateway: the one local connection to the controller.
 * Never: remembering frames across connections. */
#include "controller/gateway/upstream.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"

#define CONTROLLER_USER "vcc-controller"

enum { RETRY_FIRST_MS = 100, RETRY_LAST_MS = 2000, FRAME_ROOM = FRAME_MAX + 2048 };

struct upstream {
	uv_loop_t             *loop;
	char                   path[108];
	size_t                 queue_max;
	struct upstream_events events;
	void                  *ctx;
	struct ipc            *ipc; /* NULL = not connected */
	uv_timer_t             retry;
	int                    retry_ms;
	uid_t                  controller; /* (uid_t)-1 = unknown: then only root and our own user */
	bool                   refused_peer;
	uint64_t               next_id;
	uint64_t               credit;
	struct buf             out;
	struct wire_frame      in; /* large: one for all frames */
};

static void connect_now(uv_timer_t *timer);

static void connect_later(struct upstream *u)
{
	uv_timer_start(&u->retry, connect_now, (uint64_t)u->retry_ms, 0);
	u->retry_ms = u->retry_ms * 2 > RETRY_LAST_MS ? RETRY_LAST_MS : u->retry_ms * 2;
}

static void give_up(struct upstream *u, int code)
{
	if (u->ipc == NULL)
		return;
	ipc_free(u->ipc);
	u->ipc = NULL;
	u->credit = 0;
	u->events.lost(u->ctx, code);
	connect_later(u);
}

static void on_closed(void *ctx, int code)
{
	give_up(ctx, code);
}

static void on_drained(void *ctx)
{
	struct upstream *u = ctx;
	if (upstream_may_send(u))
		u->events.ready(u->ctx);
}

static void on_frame(void *ctx, struct span bytes)
{
	struct upstream *u = ctx;
	int              r = wire_decode(&wire_gw, bytes, 0, &u->in);
	if (r != 0) {
		/* a broken internal message: this connection cannot be trusted to be in step */
		log_line(LOG_LEVEL_ERROR, NULL, "the controller sent a frame that cannot be read: %s", err_what(r));
		give_up(u, r);
		return;
	}
	if (u->in.type == GW_CREDIT) {
		bool waiting = !upstream_may_send(u);
		u->credit += u->in.u.gw_credit.frames;
		if (waiting && upstream_may_send(u))
			u->events.ready(u->ctx);
		return;
	}
	u->events.frame(u->ctx, &u->in);
}

static const struct ipc_events ipc_events = {on_frame, on_closed, on_drained};

static void connect_now(uv_timer_t *timer)
{
	struct upstream *u = timer->data;
	struct refusal   why = {0};
	uid_t            uid;
	int              fd = -1;
	if (ipc_connect(u->path, &fd, &why) != 0) {
		connect_later(u);
		return;
	}
	if (ipc_peer_check(fd, u->controller, &uid) != 0) {
		if (!u->refused_peer)
			log_line(LOG_LEVEL_ERROR, NULL, "%s: whoever listens there is not the controller", u->path);
		u->refused_peer = true;
		fd_close(fd);
		connect_later(u);
		return;
	}
	if (ipc_open(u->loop, fd, u->queue_max, &ipc_events, u, &u->ipc) != 0) {
		u->ipc = NULL;
		connect_later(u);
		return;
	}
	u->refused_peer = false;
	u->retry_ms = RETRY_FIRST_MS;
	u->events.connected(u->ctx);
}

int upstream_start(uv_loop_t *loop, const char *path, size_t queue_max, const struct upstream_events *events, void *ctx,
                   struct upstream **ret)
{
	struct upstream *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return E_NOMEM;
	if (text_copy(u->path, sizeof(u->path), path) < 0) {
		free(u);
		return E_FULL;
	}
	u->loop = loop;
	u->queue_max = queue_max;
	u->events = *events;
	u->ctx = ctx;
	u->retry_ms = RETRY_FIRST_MS;
	u->out.max = FRAME_ROOM;
	const struct passwd *user = getpwnam(CONTROLLER_USER);
	u->controller = user != NULL ? user->pw_uid : (uid_t)-1;
	uv_timer_init(loop, &u->retry);
	u->retry.data = u;
	uv_timer_start(&u->retry, connect_now, 0, 0);
	*ret = u;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct upstream *u = handle->data;
	buf_free(&u->out);
	free(u);
}

void upstream_stop(struct upstream *u)
{
	if (u == NULL)
		return;
	ipc_free(u->ipc);
	u->ipc = NULL;
	uv_close((uv_handle_t *)&u->retry, on_timer_closed);
}

bool upstream_connected(const struct upstream *u)
{
	return u->ipc != NULL;
}

bool upstream_may_send(const struct upstream *u)
{
	return u->ipc != NULL && u->credit > 0 && ipc_queued(u->ipc) < u->queue_max / 2;
}

int upstream_send(struct upstream *u, uint16_t type, const void *payload)
{
	bool costs = type == GW_FRAME || type == GW_JOIN;
	if (u->ipc == NULL)
		return E_SYS_CLOSED;
	if (costs && !upstream_may_send(u))
		return E_SYS_AGAIN;
	buf_reset(&u->out);
	int r = wire_encode(&wire_gw, type, ++u->next_id, payload, &u->out);
	if (r != 0)
		return r;
	r = ipc_send(u->ipc, buf_span(&u->out));
	if (r == 0 && costs)
		u->credit--;
	if (r == E_SYS_AGAIN)
		give_up(u, E_SYS_AGAIN);
	return r;
}
