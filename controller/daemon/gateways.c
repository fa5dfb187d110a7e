/* gateways.c - room controller/daemon: accepts gateways, decodes their frames, gives credit.
 * Credit follows the store: a controller that cannot commit stops reading agents instead of piling up their messages.
 * Never: trusting a gateway with more than moving bytes. */
#include "controller/daemon/gateways.h"

#include <stdlib.h>
#include <unistd.h>

#include <sys/socket.h>

#include <uthash.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/enrol.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/gateway_certs.h"
#include "controller/daemon/gateway_trust.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"

enum {
	GATEWAYS_MAX = 64,
	GATEWAY_OUT_MAX = 32 << 20,
	CREDIT = 4096,       /* frames a gateway may have under way */
	CREDIT_STEP = 1024,  /* given back in steps of */
	COMMITS_HIGH = 4000, /* changes waiting for the store above which no credit is given back */
};

struct gateway {
	uint64_t         number;
	struct gateways *all;
	struct ipc      *ipc;
	char             name[AGENT_NAME_SIZE];
	bool             helloed, roster;
	uint32_t         owed;   /* credit to be given back */
	uint32_t         credit; /* frames it may still send; more are a broken gateway */
	UT_hash_handle   hh;
};

struct gateways {
	struct controller *ctl;
	struct gateway    *by_number;
	uv_poll_t          poll;
	int                fd;
	uid_t              also;
	uint64_t           last_number;
	struct buf         out;
	struct wire_frame  in; /* large: one, frames are dealt with one by one */
};

static struct gateway *find(const struct controller *ctl, uint64_t number)
{
	struct gateway *g = NULL;
	HASH_FIND(hh, ctl->gateways->by_number, &number, sizeof(number), g);
	return g;
}

uint32_t gateways_count(const struct controller *ctl)
{
	return HASH_COUNT(ctl->gateways->by_number);
}

void gateways_each(struct controller *ctl, gateway_fn *fn)
{
	struct gateway *g, *tmp;
	HASH_ITER (hh, ctl->gateways->by_number, g, tmp)
		if (g->helloed)
			fn(ctl, g->number);
}

bool gateways_in_roster(const struct controller *ctl, uint64_t gateway)
{
	const struct gateway *g = find(ctl, gateway);
	return g != NULL && g->roster;
}

bool gateways_send(struct controller *ctl, uint64_t gateway, uint16_t type, uint64_t id, const void *payload)
{
	struct gateways *all = ctl->gateways;
	struct gateway  *g = find(ctl, gateway);
	if (g == NULL)
		return false;
	buf_reset(&all->out);
	int r = wire_encode(&wire_gw, type, id, payload, &all->out);
	if (r == 0)
		r = ipc_send(g->ipc, buf_span(&all->out));
	if (r < 0) {
		char code[ERR_CODE_SIZE];
		log_line(LOG_LEVEL_WARNING, NULL, "gateway %s takes no message of type %u: %s", g->name, type,
			 err_code(r, code));
	}
	return r == 0;
}

static void give_credit(struct controller *ctl, struct gateway *g)
{
	if (g->owed < CREDIT_STEP || commit_waiting(ctl) > COMMITS_HIGH)
		return;
	if (!gateways_send(ctl, g->number, GW_CREDIT, 0, &(struct gw_credit){.frames = g->owed}))
		return;
	g->credit += g->owed;
	g->owed = 0;
}

void gateways_done(struct controller *ctl, uint64_t gateway)
{
	struct gateway *g = find(ctl, gateway);
	if (g == NULL)
		return;
	g->owed++;
	give_credit(ctl, g);
}

void gateways_tick(struct controller *ctl)
{
	struct gateway *g, *tmp;
	HASH_ITER (hh, ctl->gateways->by_number, g, tmp)
		give_credit(ctl, g);
}

static void drop(struct gateway *g)
{
	struct controller *ctl = g->all->ctl;
	HASH_DEL(g->all->by_number, g);
	if (!ctl->stopping)
		fleet_gateway_lost(ctl, g->number);
	ipc_free(g->ipc);
	free(g);
}

static void on_hello(struct gateway *g, const struct gw_hello *hello)
{
	struct controller *ctl = g->all->ctl;
	g->helloed = true;
	g->credit = CREDIT;
	text_cut(g->name, sizeof(g->name), hello->name);
	log_line(LOG_LEVEL_NOTICE, NULL, "gateway %s %s is connected: agents %s, join %s", hello->name, hello->version,
		 hello->listen, hello->join_listen);
	(void)gateways_send(ctl, g->number, GW_CREDIT, 0, &(struct gw_credit){.frames = CREDIT});
	gateway_trust_tell(ctl, g->number);
}

static void take(struct gateway *g, const struct wire_frame *in)
{
	struct controller *ctl = g->all->ctl;
	switch (in->type) {
	case GW_UP:
		fleet_up(ctl, g->number, &in->u.gw_up);
		break;
	case GW_DOWN:
		fleet_down(ctl, g->number, in->u.gw_down.session);
		break;
	case GW_ROSTER_BEGIN:
		g->roster = true;
		break;
	case GW_ROSTER_END:
		g->roster = false;
		break;
	case GW_FRAME:
		fleet_frame(ctl, g->number, in->u.gw_frame.session, in->u.gw_frame.frame);
		break;
	case GW_JOIN:
		enrol_request(ctl, g->number, &in->u.gw_join);
		break;
	case GW_IDENTITY:
		gateway_certs_ask(ctl, g->number, g->name, in->id, in->u.gw_identity.csr);
		break;
	default:
		break;
	}
}

/* What costs more than a look at a table is counted; GW_IDENTITY is counted in gateway_certs.c. */
static bool may_send(struct gateway *g, uint16_t type)
{
	if (type != GW_FRAME && type != GW_JOIN)
		return type != GW_HELLO;
	if (g->credit == 0)
		return false;
	g->credit--;
	return true;
}

static void on_frame(void *ctx, struct span bytes)
{
	struct gateway    *g = ctx;
	struct wire_frame *in = &g->all->in;
	int                r = wire_decode(&wire_gw, bytes, 0, in);
	if (r == 0 && in->type == GW_HELLO && !g->helloed && name_agent_ok(in->u.gw_hello.name))
		on_hello(g, &in->u.gw_hello);
	else if (r == 0 && g->helloed && may_send(g, in->type))
		take(g, in);
	else {
		char code[ERR_CODE_SIZE];
		log_line(LOG_LEVEL_ERROR, NULL, "gateway %s sent a broken frame (%s) and is dropped", g->name,
			 err_code(r < 0 ? r : E_WIRE_MESSAGE, code));
		drop(g);
	}
}

static void on_closed(void *ctx, int code)
{
	struct gateway *g = ctx;
	char            text[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_WARNING, NULL, "gateway %s is gone: %s", g->name, err_code(code, text));
	drop(g);
}

static void adopt(struct gateways *all, int fd)
{
	static const struct ipc_events events = {on_frame, on_closed, NULL};
	uid_t                          uid = 0;
	struct gateway                *g = calloc(1, sizeof(*g));
	int                            r = g == NULL ? E_NOMEM : HASH_COUNT(all->by_number) >= GATEWAYS_MAX ? E_API_BUSY : 0;
	if (r == 0)
		r = ipc_peer_check(fd, all->also, &uid);
	if (r < 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "a connection on the gateways' socket was refused: %s", err_what(r));
		fd_close(fd);
		free(g);
		return;
	}
	g->number = ++all->last_number;
	g->all = all;
	if (ipc_open(all->ctl->loop, fd, GATEWAY_OUT_MAX, &events, g, &g->ipc) < 0) {
		free(g);
		return;
	}
	HASH_ADD(hh, all->by_number, number, sizeof(g->number), g);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	(void)events;
	struct gateways *all = poll->data;
	if (status < 0)
		return;
	int fd = accept4(all->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		adopt(all, fd);
}

int gateways_open(struct controller *ctl, uid_t also, struct gateways **ret, struct refusal *why)
{
	struct gateways *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return refuse(why, E_NOMEM, "gateway.socket", "no memory");
	all->ctl = ctl;
	all->also = also;
	all->out = (struct buf)BUF_MAX(FRAME_MAX + 4096);
	int r = ipc_listen(ctl->conf->gateway_socket, 0666, &all->fd, why); /* who may speak is decided by the peer's uid */
	if (r < 0) {
		free(all);
		return r;
	}
	if (uv_poll_init(ctl->loop, &all->poll, all->fd) < 0) {
		fd_close(all->fd);
		free(all);
		return refuse(why, E_SYS_IO, ctl->conf->gateway_socket, "it cannot be watched");
	}
	all->poll.data = all;
	(void)uv_poll_start(&all->poll, UV_READABLE, on_connection);
	*ret = all;
	return 0;
}

void gateways_close(struct gateways *all)
{
	struct gateway *g, *tmp;
	HASH_ITER (hh, all->by_number, g, tmp)
		drop(g);
	uv_close((uv_handle_t *)&all->poll, NULL);
}

void gateways_free(struct gateways *all)
{
	if (all == NULL)
		return;
	fd_close(all->fd);
	buf_free(&all->out);
	free(all);
}
