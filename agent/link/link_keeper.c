/* link_keeper.c - room agent/link: the local socket to the keeper on the library's loop.
 * Never: keeping a websocket open without a keeper behind it. */
#include "agent/link/link_part.h"
#include "shared/base/text.h"
#include "shared/sys/log.h"

enum { KEEPER_RETRY_MS = 500 };

int link_keeper_send(struct link *l, uint16_t type, const void *payload)
{
	if (l->pipe_wsi == NULL)
		return E_SYS_CLOSED;
	int r = keeper_pipe_send(&l->pipe, type, payload);
	if (r == 0)
		lws_callback_on_writable(l->pipe_wsi);
	return r;
}

void link_keeper_tell(struct link *l)
{
	struct lk_state state = {.connected = l->established, .code = l->last_code};
	text_cut(state.text, sizeof(state.text), l->last_text);
	if (l->pipe_wsi != NULL && link_keeper_send(l, LK_STATE, &state) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the keeper does not read");
}

static int flush(struct link *l)
{
	int r = keeper_pipe_flush(&l->pipe);
	if (r > 0)
		lws_callback_on_writable(l->pipe_wsi);
	if (r >= 0)
		link_fetch_drained(l);
	return r < 0 ? -1 : 0;
}

static int take(struct link *l)
{
	size_t at = 0;
	int    r = keeper_pipe_fill(&l->pipe);
	if (r == E_SYS_AGAIN)
		return 0;
	if (r < 0)
		return r;
	while ((r = keeper_pipe_next(&l->pipe, &at, &l->frame)) == 1) {
		if (l->frame.type == LK_FRAME)
			link_gateway_send(l, l->frame.u.lk_frame.frame);
		else if (l->frame.type == LK_IDENTITY)
			link_identity_take(l, &l->frame.u.lk_identity);
		else if (l->frame.type == LK_RETURN_SIGN)
			link_return_signed(l, &l->frame.u.lk_return_sign);
		else if (l->frame.type == LK_RETURN_DONE)
			link_return_done(l, &l->frame.u.lk_return_done);
		else if (l->frame.type == LK_FETCH)
			link_fetch_begin(l, &l->frame.u.lk_fetch);
		else
			return E_WIRE_MESSAGE;
	}
	keeper_pipe_done(&l->pipe, at);
	return r;
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
	link_keeper_open(lws_container_of(timer, struct link, keeper_timer));
}

void link_keeper_open(struct link *l)
{
	struct refusal why;
	if (keeper_pipe_open(&l->pipe, l->conf->keeper_socket, &why) == 0) {
		lws_sock_file_fd_type fd = {.filefd = l->pipe.fd};
		l->pipe_wsi = lws_adopt_descriptor_vhost(l->vhost, LWS_ADOPT_RAW_FILE_DESC, fd, "vcc-keeper", NULL);
		if (l->pipe_wsi != NULL) {
			log_line(LOG_LEVEL_INFO, NULL, "the keeper is there");
			link_keeper_tell(l);
			link_gateway_connect_later(l, backoff_next(&l->backoff, BACKOFF_AWAY_MS, link_random()));
			return;
		}
		l->pipe.fd = -1; /* closed by the library */
	}
	lws_sul_schedule(l->context, 0, &l->keeper_timer, on_timer, KEEPER_RETRY_MS * LWS_US_PER_MS);
}

/* Without a keeper there is nobody to speak for: the websocket ends, and a welcome follows when both are back. */
static void on_closed(struct link *l)
{
	l->pipe_wsi = NULL;
	l->pipe.fd = -1; /* closed by the library */
	keeper_pipe_close(&l->pipe);
	if (l->stopping)
		return;
	link_fetch_drop(l);
	log_line(LOG_LEVEL_WARNING, NULL, "the keeper is gone");
	link_return_stop(l);
	backoff_reset(&l->backoff);
	if (l->ws != NULL) /* otherwise the reason stays why there is none */
		link_gateway_drop(l, E_SYS_CLOSED, "the keeper is away");
	lws_sul_schedule(l->context, 0, &l->keeper_timer, on_timer, KEEPER_RETRY_MS * LWS_US_PER_MS);
}

int link_keeper_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	(void)user;
	(void)in;
	(void)n;
	switch (reason) {
	case LWS_CALLBACK_RAW_RX_FILE: {
		int r = take(l);
		if (r < 0)
			log_line(LOG_LEVEL_WARNING, NULL, "keeper: %s", err_what(r));
		return r < 0 ? -1 : 0;
	}
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		return flush(l);
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		on_closed(l);
		return 0;
	default:
		return 0;
	}
}
