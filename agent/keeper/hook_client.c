/* hook_client.c - room agent/keeper: asks vcc-hook for a test or a reload, over a connection of its own each time.
 * Never: sending anything but a verb, a target's stem, a generation's number and the time of a reload. */
#include "agent/keeper/hook_client.h"

#include <stdlib.h>

#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/sys/file.h"
#include "shared/wire/wire.h"

enum {
	HOOK_OUT_MAX = 4096,
	HOOK_ASKED = 2,       /* a reload that ends vcc-hook each time is not begun for ever */
	HOOK_BACK_MS = 5000,  /* a crash or an upgrade: by then its socket is there again */
	HOOK_LOOK_MS = 100,
};

struct hook_call {
	uv_loop_t        *loop;
	char              path[AGENT_SOCKET_SIZE];
	struct hk_request request;
	struct ipc       *ipc;   /* NULL = looks for vcc-hook again when the timer says */
	uv_timer_t        timer;
	uint64_t          until, end; /* looked for until then; all of it ends then */
	unsigned          asked;
	bool              over;
	hook_done_fn     *done;
	void             *ctx;
};

static void on_timer(uv_timer_t *timer);

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

static void look_again(struct hook_call *c)
{
	ipc_free(c->ipc);
	c->ipc = NULL;
	uv_timer_start(&c->timer, on_timer, HOOK_LOOK_MS, 0);
}

static void on_ipc_closed(void *ctx, int code)
{
	struct hook_call *c = ctx;
	if (c->asked == HOOK_ASKED || code != E_SYS_CLOSED) {
		call_fail(c, code, "vcc-hook ended without an answer");
		return;
	}
	c->until = uv_now(c->loop) + HOOK_BACK_MS;
	look_again(c);
}

static int call_send(struct hook_call *c)
{
	struct buf out = BUF_MAX(HOOK_OUT_MAX);
	int        r = wire_encode(&wire_hook, HK_REQUEST, 1, &c->request, &out);
	if (r == 0)
		r = ipc_send(c->ipc, buf_span(&out));
	buf_free(&out);
	return r;
}

static int call_open(struct hook_call *c)
{
	static const struct ipc_events events = {.frame = on_frame, .closed = on_ipc_closed};
	struct refusal                 why = {.code = 0};
	int                            fd;
	int                            r = ipc_connect(c->path, &fd, &why);
	if (r == 0)
		r = ipc_open(c->loop, fd, HOOK_OUT_MAX, &events, c, &c->ipc);
	return r == 0 ? call_send(c) : r;
}

static void call_try(struct hook_call *c)
{
	uint64_t now = uv_now(c->loop);
	int      r = call_open(c);
	if (r == 0) {
		c->asked++;
		uv_timer_start(&c->timer, on_timer, c->end > now ? c->end - now : 0, 0);
	} else if (r == E_SYS_CLOSED && now < c->until && now < c->end) {
		look_again(c);
	} else {
		call_fail(c, r, "vcc-hook cannot be asked");
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct hook_call *c = timer->data;
	if (c->ipc == NULL)
		call_try(c);
	else
		call_fail(c, E_SYS_TIMEOUT, "vcc-hook did not answer in time");
}

int hook_ask(uv_loop_t *loop, const char *socket_path, const struct hk_request *request, int64_t timeout_ms, hook_done_fn *done,
             void *ctx, struct hook_call **ret)
{
	struct hook_call *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	*c = (struct hook_call){.loop = loop, .request = *request, .done = done, .ctx = ctx};
	text_cut(c->path, sizeof(c->path), socket_path);
	c->timer.data = c;
	uv_timer_init(loop, &c->timer);
	c->until = uv_now(loop) + HOOK_BACK_MS;
	c->end = uv_now(loop) + (uint64_t)timeout_ms;
	uv_timer_start(&c->timer, on_timer, 0, 0);
	*ret = c;
	return 0;
}
