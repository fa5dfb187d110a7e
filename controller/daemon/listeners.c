/* listeners.c - room controller/daemon: opens the admin, local and public listeners of a running controller.
 * Never: what is served on them. */
#include "controller/daemon/listeners.h"

#include <stdlib.h>

#include "controller/daemon/api.h"
#include "controller/daemon/notice_page.h"
#include "controller/daemon/public_http.h"
#include "controller/daemon/web_files.h"
#include "shared/conf/controller_conf.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/sys/tcp.h"

enum { BACKLOG = 512, SOCKET_MODE = 0666 }; /* who may use the local socket is decided by the peer's uid */

struct listeners {
	struct controller  *ctl;
	struct http_server *http;
	struct api         *api;
	int                 admin_fd; /* bound, not yet served; -1 afterwards */
};

static int64_t body_max(void *ctx, const struct http_request *q)
{
	struct listeners *l = ctx;
	return notice_page_owns(q) ? NOTICE_PAGE_BODY_MAX : api_body_max(l->api, q);
}

static void handle(void *ctx, struct http_call *call)
{
	struct listeners *l = ctx;
	const struct http_request *q = http_call_request(call);
	if (q->listener == HTTP_PUBLIC)
		public_http_handle(l->ctl, call);
	else if (q->listener == HTTP_ADMIN && web_files_own(q->path))
		web_files_handle(controller_conf_of(l->ctl), call);
	else if (notice_page_owns(q))
		notice_page_handle(l->ctl, l->api, call);
	else
		api_handle(l->api, call);
}

/* A certificate is there, or a new one: it is put in force, and the first one opens the listener. */
static void on_admin_tls(void *ctx)
{
	struct listeners *l = ctx;
	struct refusal    why;
	struct span       chain;
	struct span       key;
	if (!controller_admin_tls(l->ctl, &chain, &key))
		return;
	int r = http_server_tls(l->http, chain, key, &why);
	if (r == 0 && l->admin_fd >= 0) {
		r = http_server_listen(l->http, HTTP_ADMIN, l->admin_fd, &why);
		l->admin_fd = -1;
	}
	if (r < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
}

static int open_local_and_public(struct listeners *l, const struct controller_conf *conf, struct refusal *why)
{
	char bound[TCP_ADDRESS_SIZE];
	int  fd;
	int  r = ipc_listen(conf->admin_socket, SOCKET_MODE, &fd, why);
	if (r == 0)
		r = http_server_listen(l->http, HTTP_LOCAL, fd, why);
	if (r == 0)
		r = tcp_listen(conf->public_listen, BACKLOG, &fd, bound, why);
	if (r == 0)
		r = http_server_listen(l->http, HTTP_PUBLIC, fd, why);
	return r;
}

int listeners_open(struct controller *ctl, struct listeners **ret, struct refusal *why)
{
	const struct controller_conf *conf = controller_conf_of(ctl);
	char                          bound[TCP_ADDRESS_SIZE];
	struct listeners             *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return refuse(why, E_NOMEM, "listeners", "out of memory");
	l->ctl = ctl;
	l->admin_fd = -1;
	int r = api_make(ctl, &l->api);
	if (r < 0)
		r = refuse(why, r, "admin API", "out of memory");
	if (r == 0)
		r = http_server_make(controller_loop(ctl), handle, l, &l->http, why);
	if (r == 0)
		http_server_body_max(l->http, body_max);
	if (r == 0)
		r = tcp_listen(conf->admin_listen, BACKLOG, &l->admin_fd, bound, why);
	if (r == 0)
		r = open_local_and_public(l, conf, why);
	if (r < 0) {
		listeners_close(l);
		listeners_free(l);
		return r;
	}
	controller_on_admin_tls(ctl, on_admin_tls, l);
	on_admin_tls(l);
	*ret = l;
	return 0;
}

void listeners_close(struct listeners *l)
{
	if (l == NULL)
		return;
	fd_close(l->admin_fd);
	l->admin_fd = -1;
	http_server_close(l->http);
}

void listeners_free(struct listeners *l)
{
	if (l == NULL)
		return;
	http_server_free(l->http);
	api_free(l->api);
	free(l);
}
