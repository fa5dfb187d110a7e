/* uplink.c - room agent/keeper: the local socket: one link to the controller at a time, and people who ask for the status.
 * Never: sending anything to the controller before its welcome. */
#include "agent/keeper/uplink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/inbox.h"
#include "agent/keeper/keeper_inventory.h"
#include "agent/keeper/keeper_return.h"
#include "agent/keeper/keeper_status.h"
#include "agent/keeper/peer_look.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"
#include "shared/sys/users.h"

enum { CLIENTS_MAX = 8, CLIENT_OUT_MAX = 1 << 20 };

struct client {
	struct uplink *uplink;
	struct ipc    *ipc; /* NULL = free */
	uid_t          uid;
};

struct uplink {
	struct keeper *keeper;
	uv_poll_t      listener;
	int            fd;
	uid_t          link_uid; /* of the user vcc-agent, or -1 */
	struct client  clients[CLIENTS_MAX];
	struct client *link;
	struct wire_frame in; /* large: one for all */
};

/* ---- out --------------------------------------------------------------------------------------------------------- */

static int client_send(struct client *c, uint16_t type, const void *payload)
{
	struct buf out = BUF_MAX(CLIENT_OUT_MAX);
	int        r = wire_encode(&wire_link, type, 0, payload, &out);
	if (r == 0)
		r = ipc_send(c->ipc, buf_span(&out));
	buf_free(&out);
	return r;
}

uint64_t uplink_send(struct uplink *u, uint16_t type, const void *payload)
{
	if (u == NULL || u->link == NULL || !u->keeper->welcomed)
		return 0;
	uint64_t   id = ++u->keeper->next_id;
	struct buf frame = BUF_MAX(FRAME_MAX);
	int        r = wire_encode(&wire_agent, type, id, payload, &frame);
	if (r == 0) {
		struct lk_frame lk = {.frame = buf_span(&frame)};
		r = client_send(u->link, LK_FRAME, &lk);
	}
	buf_free(&frame);
	if (r != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "message of type %u cannot be sent: %s", (unsigned)type, err_what(r));
	return r == 0 ? id : 0;
}

int uplink_send_signed(struct uplink *u, uint16_t type, const char *label, const struct wire_message *table, const void *body)
{
	struct buf bytes = BUF_MAX(FRAME_MAX);
	struct buf signature = BUF_MAX(MSG_SIGNATURE_MAX);
	int        r = wire_body_encode(table, body, &bytes);
	if (r == 0)
		r = key_sign(u->keeper->state.host_key, label, buf_span(&bytes), &signature);
	if (r == 0) {
		struct msg_signed message = {.body = buf_span(&bytes), .signature = buf_span(&signature)};
		(void)uplink_send(u, type, &message);
	}
	buf_free(&bytes);
	buf_free(&signature);
	return r;
}

void uplink_send_receipt(struct uplink *u, const struct receipt_kept *receipt)
{
	struct msg_signed message = {.body = buf_span(&receipt->body), .signature = buf_span(&receipt->signature)};
	(void)uplink_send(u, MSG_RECEIPT, &message);
}

void uplink_ack(struct uplink *u, uint64_t id, int code, const char *text)
{
	struct msg_ack ack = {.id = id, .code = code};
	text_cut(ack.text, sizeof(ack.text), text);
	text_plain(ack.text);
	(void)uplink_send(u, MSG_AGENT_ACK, &ack);
}

void uplink_identity(struct uplink *u, const struct lk_identity *identity)
{
	if (u->link != NULL && client_send(u->link, LK_IDENTITY, identity) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the new identity cannot be handed to the link; it will ask again");
}

void uplink_roots(struct uplink *u)
{
	struct lk_roots m = {.roots = buf_span(&u->keeper->state.trust.roots)};
	if (u->link != NULL && client_send(u->link, LK_ROOTS, &m) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the link cannot be told of the roots; it hears of them when it is here again");
}

int uplink_fetch(struct uplink *u, const struct lk_fetch *want)
{
	return u == NULL || u->link == NULL ? E_SYS_CLOSED : client_send(u->link, LK_FETCH, want);
}

int uplink_peer_look(struct uplink *u, const struct lk_peer_look *want)
{
	return u == NULL || u->link == NULL ? E_SYS_CLOSED : client_send(u->link, LK_PEER_LOOK, want);
}

/* ---- in ---------------------------------------------------------------------------------------------------------- */

static void link_lost(struct uplink *u)
{
	if (u->keeper->welcomed)
		log_line(LOG_LEVEL_NOTICE, NULL, "the controller is away; deployments under way go on");
	u->keeper->welcomed = false;
	crl_fetch_lost(u->keeper);
	peer_look_lost(u->keeper);
}

static void link_reason(struct uplink *u, int code, const char *text)
{
	u->keeper->link_code = code;
	text_cut(u->keeper->link_text, sizeof(u->keeper->link_text), text);
}

static void client_end(struct client *c)
{
	if (c->uplink->link == c) {
		link_lost(c->uplink);
		link_reason(c->uplink, E_SYS_CLOSED, "vcc-agent is not running");
		c->uplink->link = NULL;
	}
	ipc_free(c->ipc);
	c->ipc = NULL;
}

/* Who speaks for the link says its state first. A second link is a restarted one: the first is gone or will be. */
static void take_state(struct client *c, const struct lk_state *state)
{
	struct uplink *u = c->uplink;
	bool new = u->link != c;
	if (new && u->link != NULL)
		client_end(u->link);
	u->link = c;
	if (new && u->keeper->state.trust.epoch > 1) /* the first is the one that it joined with */
		uplink_roots(u);
	link_lost(u); /* each connection begins with its own welcome */
	link_reason(u, state->code, state->text);
	if (!state->connected && state->code != 0)
		log_line(LOG_LEVEL_INFO, NULL, "link: %s", state->text);
}

static void take_status(struct client *c)
{
	char *json = keeper_status(c->uplink->keeper);
	if (json == NULL)
		return;
	struct lk_status status = {.json = span_text(json)};
	if (client_send(c, LK_STATUS, &status) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the status cannot be sent");
	free(json);
	memory_give_back();
}

/* The link may not speak for the host: what it says would get the host key's signature. */
static bool inventory_allowed(const struct client *c)
{
	return c->uplink->link != c && (c->uid == 0 || c->uid == geteuid());
}

static void take_inventory(struct client *c, struct span body)
{
	struct lk_inventory_done done = {.code = E_SYS_PEER_UID};
	if (inventory_allowed(c))
		done.code = keeper_inventory_take(c->uplink->keeper, body, &done.sent);
	text_cut(done.text, sizeof(done.text), done.code != 0 ? err_what(done.code) : "");
	if (client_send(c, LK_INVENTORY_DONE, &done) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the answer to an inventory cannot be sent");
}

/* What may be said by somebody who is not the link. */
static bool early(uint16_t type)
{
	return type == LK_STATE || type == LK_STATUS_REQUEST || type == LK_INVENTORY;
}

/* ---- the way back of a link whose identity has ended ---- */

static void return_done(struct client *c, const struct lk_return_done *done)
{
	if (client_send(c, LK_RETURN_DONE, done) != 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the link does not take the answer to its return");
}

static void return_refused(struct client *c, int code, const struct refusal *why)
{
	struct lk_return_done done = {.code = code};
	text_cut(done.text, sizeof(done.text), why->cause);
	text_plain(done.text);
	return_done(c, &done);
}

static void take_return(struct client *c, const struct lk_return *ask)
{
	struct refusal why = {.code = 0};
	struct buf     body = BUF_MAX(FRAME_BEFORE_WELCOME);
	struct buf     signature = BUF_MAX(MSG_SIGNATURE_MAX);
	int            r = keeper_return_sign(c->uplink->keeper, ask, &body, &signature, &why);
	if (r == 0) {
		struct lk_return_sign sign = {.body = buf_span(&body), .host_signature = buf_span(&signature)};
		r = client_send(c, LK_RETURN_SIGN, &sign);
	}
	if (r != 0)
		return_refused(c, r, &why);
	buf_free(&body);
	buf_free(&signature);
}

static void take_return_answer(struct client *c, struct span reply)
{
	struct refusal        why = {.code = 0};
	struct lk_return_done done;
	int                   r = keeper_return_take(c->uplink->keeper, reply, &done, &why);
	if (r == 0)
		return_done(c, &done);
	else
		return_refused(c, r, &why);
}

static void on_frame(void *ctx, struct span bytes)
{
	struct client     *c = ctx;
	struct uplink     *u = c->uplink;
	struct wire_frame *f = &u->in;
	int                r = wire_decode(&wire_link, bytes, 0, f);
	if (r == 0 && u->link != c && !early(f->type))
		r = E_WIRE_MESSAGE;
	if (r != 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "a frame of a local client is refused: %s", err_what(r));
		client_end(c);
		return;
	}
	switch (f->type) {
	case LK_STATE:
		take_state(c, &f->u.lk_state);
		return;
	case LK_STATUS_REQUEST:
		take_status(c);
		return;
	case LK_CSR:
		inbox_link_csr(u->keeper, f->u.lk_csr.csr);
		return;
	case LK_INVENTORY:
		take_inventory(c, f->u.lk_inventory.body);
		return;
	case LK_RETURN:
		take_return(c, &f->u.lk_return);
		return;
	case LK_RETURN_ANSWER:
		take_return_answer(c, f->u.lk_return_answer.reply);
		return;
	case LK_PIECE:
		crl_fetch_piece(u->keeper, &f->u.lk_piece);
		return;
	case LK_PEER_SAW:
		peer_look_saw(u->keeper, &f->u.lk_peer_saw);
		return;
	case LK_FRAME:
		r = inbox_frame(u->keeper, f->u.lk_frame.frame);
		if (r != 0) {
			client_end(c);
			link_reason(u, r, err_what(r));
		}
		return;
	default:
		log_line(LOG_LEVEL_WARNING, NULL, "a local client sent a message of type %u", (unsigned)f->type);
		client_end(c);
	}
}

static void on_closed(void *ctx, int code)
{
	(void)code;
	client_end(ctx);
}

static void client_accept(struct uplink *u, int fd)
{
	static const struct ipc_events events = {.frame = on_frame, .closed = on_closed};
	uid_t                          uid;
	if (ipc_peer_check(fd, u->link_uid, &uid) != 0) {
		log_line(LOG_LEVEL_WARNING, NULL, "a local client with a foreign user id was refused");
		fd_close(fd);
		return;
	}
	for (size_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &u->clients[i];
		if (c->ipc != NULL)
			continue;
		c->uplink = u;
		c->uid = uid;
		if (ipc_open(&u->keeper->loop, fd, CLIENT_OUT_MAX, &events, c, &c->ipc) != 0)
			c->ipc = NULL;
		return;
	}
	fd_close(fd);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct uplink *u = poll->data;
	(void)status;
	(void)events;
	int fd = accept4(u->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		client_accept(u, fd);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int uplink_open(struct keeper *k, struct refusal *why)
{
	struct uplink *u = calloc(1, sizeof(*u));
	if (u == NULL)
		return refuse(why, E_NOMEM, "socket", "no memory");
	uid_t link_uid = (uid_t)-1;
	bool  has_user = user_id_local("vcc-agent", &link_uid) == 0;
	u->keeper = k;
	link_reason(u, E_SYS_CLOSED, "vcc-agent is not running");
	u->link_uid = link_uid;
	int r = ipc_listen(k->conf->keeper_socket, 0600, &u->fd, why);
	if (r == 0 && has_user && geteuid() == 0 && chown(k->conf->keeper_socket, link_uid, (gid_t)-1) != 0)
		r = sys_refuse(why, k->conf->keeper_socket, "hand the socket to the user vcc-agent");
	if (r == 0 && (fcntl(u->fd, F_SETFL, O_NONBLOCK) != 0 || uv_poll_init(&k->loop, &u->listener, u->fd) != 0 ||
	               uv_poll_start(&u->listener, UV_READABLE, on_connection) != 0))
		r = refuse(why, E_SYS_IO, k->conf->keeper_socket, "the loop refused the socket");
	if (r != 0) {
		free(u);
		return r;
	}
	u->listener.data = u;
	k->uplink = u;
	return 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct uplink *u = handle->data;
	fd_close(u->fd);
	free(u);
}

void uplink_close(struct uplink *u)
{
	if (u == NULL)
		return;
	for (size_t i = 0; i < CLIENTS_MAX; i++)
		if (u->clients[i].ipc != NULL)
			client_end(&u->clients[i]);
	u->keeper->uplink = NULL;
	uv_close((uv_handle_t *)&u->listener, on_listener_closed);
}
