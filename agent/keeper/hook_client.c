/* hook_client.c - room agent/keeper: asks vcc-hook for a test or a reload; one connection per request.
 * Never: sending anything but a verb, a target's stem, a generation's number and the time of a reload. */
#include "agent/keeper/hook_client.h"

#include <stdlib.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/wire/wire.h"

enum { HOOK_OUT_MAX = 4096 };

struct hook_call {
	struct ipc   *ipc;
	uv_timer_t    timer;
	bool          over;
	hook_done_fn *done;
	void         *ctx;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void call_end(struct hook_call *c)
{
	if (c->over)
		return;
	c->over = true;
	ipc_free(c->ipc);
	uv_close((uv_handle_t *)&c->timer, on_closed);
}

void hook_cancel(struct hook_call *c)
{
	if (c != NULL)
		call_end(c);
}

static void call_fail(struct hook_call *c, int code, const char *words)
{
	struct hk_reply reply = {.code = code};
	text_cut(reply.output, sizeof(reply.output), words);
	call_end(c);
	c->done(c->ctx, &reply);
}

static void on_frame(void *ctx, struct span bytes)
{
	struct hook_call  *c = ctx;
	struct wire_frame *frame = malloc(sizeof(*frame));
	int                r = frame != NULL ? wire_decode(&wire_hook, bytes, 0, frame) : E_NOMEM;
	if (r == 0 && frame->type != HK_REPLY)
		r = E_WIRE_MESSAGE;
	if (r != 0) {
		call_fail(c, r, "the answer of vcc-hook cannot be read");
	} else {
		struct hk_reply reply = frame->u.hk_reply;
		call_end(c);
		c->done(c->ctx, &reply);
	}
	free(frame);
}

static void on_ipc_closed(void *ctx, int code)
{
	(void)code;
	call_fail(ctx, E_SYS_CLOSED, "vcc-hook ended without an answer");
}

static void on_timer(uv_timer_t *timer)
{
	call_fail(timer->data, E_SYS_TIMEOUT, "vcc-hook did not answer in time");
}

static int call_send(struct hook_call *c, const struct hk_request *request)
{
	struct buf out = BUF_MAX(HOOK_OUT_MAX);
	int        r = wire_encode(&wire_hook, HK_REQUEST, 1, request, &out);
	if (r == 0)
		r = ipc_send(c->ipc, buf_span(&out));
	buf_free(&out);
	return r;
}

int hook_ask(uv_loop_t *loop, const char *socket_path, const struct hk_request *request, int64_t timeout_ms, hook_done_fn *done,
             void *ctx, struct hook_call **ret)
{
	static const struct ipc_events events = {.frame = on_frame, .closed = on_ipc_closed};
	struct refusal                 why = {.code = 0};
	int                            fd;
	int                            r = ipc_connect(socket_path, &fd, &why);
	if (r != 0)
		return r;
	struct hook_call *c = calloc(1, sizeof(*c));
	if (c == NULL) {
		fd_close(fd);
		return E_NOMEM;
	}
	c->done = done;
	c->ctx = ctx;
	r = ipc_open(loop, fd, HOOK_OUT_MAX, &events, c, &c->ipc);
	if (r != 0) {
		free(c);
		return r;
	}
	c->timer.data = c;
	uv_timer_init(loop, &c->timer);
	uv_timer_start(&c->timer, on_timer, (uint64_t)timeout_ms, 0);
	r = call_send(c, request);
	if (r != 0) {
		call_end(c);
		return r;
	}
	*ret = c;
	return 0;
}
