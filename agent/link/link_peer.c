/* link_peer.c - room agent/link: makes the handshakes of a look from outside, one after the other, and hands what was served to the
 * keeper, which judges it. Where to stands in agent.conf and nowhere else: the keeper names a certificate, never a place.
 * Never: an address out of a message; more than one handshake at a time. */
#include <errno.h>
#include <sys/socket.h>

#include "agent/link/link_part.h"
#include "agent/link/tls_outside.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

enum {
	HANDSHAKES_MAX = 40,
	HANDSHAKE_MS = 5000,
	GAP_MS = 50, /* twenty a second, as the probes of the host itself */
	LEAVE_MS = 1000,
};

static void on_timer(lws_sorted_usec_list_t *timer);

static void timer_set(struct link *l, int64_t ms)
{
	lws_sul_schedule(l->context, 0, &l->peer.timer, on_timer, ms * LWS_US_PER_MS + 1);
}

/* ---- what the keeper hears --------------------------------------------------------------------------------------- */

/* One handshake is over. The next one follows when the connection is gone. */
static void tell(struct link *l, int code, const char *text, struct span chain)
{
	struct link_peer  *p = &l->peer;
	struct lk_peer_saw saw = {.request = p->request, .code = code, .chain = chain};
	p->told = true;
	p->left--;
	saw.last = p->left == 0;
	text_cut(saw.text, sizeof(saw.text), text);
	text_plain(saw.text);
	if (link_keeper_send(l, LK_PEER_SAW, &saw) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the keeper does not read");
}

static void tell_failure(struct link *l, const char *text)
{
	tell(l, E_PEER_CONNECT, text, (struct span){NULL, 0});
}

static void tell_served(struct link *l)
{
	struct buf chain = BUF_MAX(PEER_CHAIN_MAX);
	int        r = tls_handshake_served(l->peer.handshake, &chain);
	if (r == 0)
		tell(l, 0, "", buf_span(&chain));
	else
		tell_failure(l, r == E_NOT_FOUND ? "no certificate was served" : "more certificates were served than are taken");
	buf_free(&chain);
}

/* ---- one handshake ----------------------------------------------------------------------------------------------- */

static void kill_later(struct link *l)
{
	lws_set_timeout(l->peer.wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
}

static int connect_now(struct link *l, char *ret_text, size_t size)
{
	struct link_peer *p = &l->peer;
	struct refusal    why = {.code = 0};
	char              host[ADDRESS_SIZE];
	uint16_t          port;
	int               fd = -1;
	int               r = resolver_find(&p->resolver, p->to.address, link_random(), host, &port, &why);
	if (r < 0) {
		text_cut(ret_text, size, why.cause);
		return r;
	}
	r = tls_handshake_begin(p->tls, host, port, p->to.name, p->prelude, &p->handshake, &fd);
	if (r < 0) {
		text_cut(ret_text, size, "cannot connect");
		return r;
	}
	lws_sock_file_fd_type adopted = {.filefd = fd};
	p->leaving = false;
	p->wsi = lws_adopt_descriptor_vhost(l->vhost, LWS_ADOPT_RAW_FILE_DESC, adopted, "vcc-peer", NULL);
	if (p->wsi != NULL) {
		lws_callback_on_writable(p->wsi);
		return 0;
	}
	tls_handshake_free(p->handshake); /* the library has closed the socket */
	p->handshake = NULL;
	text_cut(ret_text, size, "the loop refused the socket");
	return E_SYS_IO;
}

static void begin(struct link *l)
{
	char text[MSG_TEXT_SIZE] = "refused by a test";
	l->peer.told = false;
	if (fault_point("link.peer") == 0 && connect_now(l, text, sizeof(text)) == 0) {
		timer_set(l, HANDSHAKE_MS);
		return;
	}
	tell_failure(l, text);
	if (l->peer.left > 0)
		timer_set(l, GAP_MS);
}

static void on_timer(lws_sorted_usec_list_t *timer)
{
	struct link *l = lws_container_of(timer, struct link, peer.timer);
	if (l->peer.wsi == NULL) {
		if (l->peer.left > 0)
			begin(l);
		return;
	}
	if (!l->peer.told)
		tell_failure(l, "no answer in time");
	kill_later(l);
}

/* What the server still sends is read until it closes, too. */
static int leave_turn(struct link *l)
{
	char    scratch[4096];
	ssize_t n = recv(lws_get_socket_fd(l->peer.wsi), scratch, sizeof(scratch), 0);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)) ? 0 : -1;
}

static int turn(struct link *l)
{
	struct link_peer *p = &l->peer;
	bool              write = false;
	const char       *cause = "";
	if (p->leaving)
		return leave_turn(l);
	int r = tls_handshake_turn(p->handshake, &write, &cause);
	if (r == E_SYS_AGAIN) {
		if (write)
			lws_callback_on_writable(p->wsi);
		return 0;
	}
	if (r != 0) {
		tell_failure(l, cause);
		return -1;
	}
	tell_served(l);
	p->leaving = tls_handshake_leave(p->handshake);
	if (!p->leaving)
		return -1;
	timer_set(l, LEAVE_MS);
	return 0;
}

static void gone(struct link *l)
{
	struct link_peer *p = &l->peer;
	tls_handshake_free(p->handshake);
	p->handshake = NULL;
	p->wsi = NULL;
	if (l->stopping)
		return;
	if (!p->told)
		tell_failure(l, "the connection was refused or closed");
	if (p->next.request != 0)
		link_peer_begin(l, &p->next);
	else if (p->left > 0)
		timer_set(l, GAP_MS);
	else
		lws_sul_cancel(&p->timer);
}

int link_peer_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	(void)user;
	(void)in;
	(void)n;
	if (l == NULL || wsi != l->peer.wsi)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_RAW_RX_FILE:
	case LWS_CALLBACK_RAW_WRITEABLE_FILE:
		return turn(l);
	case LWS_CALLBACK_RAW_CLOSE_FILE:
		gone(l);
		return 0;
	default:
		return 0;
	}
}

/* ---- asked by the keeper ----------------------------------------------------------------------------------------- */

void link_peer_begin(struct link *l, const struct lk_peer_look *want)
{
	struct link_peer       *p = &l->peer;
	struct lk_peer_look     look = *want;
	const struct peer_told *to = p->conf.n > 0 ? peers_conf_find(&p->conf, look.cert_id) : NULL;
	p->next.request = 0;
	if (p->wsi != NULL) { /* nobody waits for the one under way any more */
		p->told = true;
		p->left = 0;
		p->next = look;
		kill_later(l);
		return;
	}
	p->request = look.request;
	p->left = look.handshakes > 0 && look.handshakes <= HANDSHAKES_MAX ? look.handshakes : 1;
	if (to == NULL || p->tls == NULL) {
		p->left = 1;
		tell(l, E_PEER_UNDECLARED, "agent.conf of this host does not name it", (struct span){NULL, 0});
		return;
	}
	p->to = *to;
	p->prelude = p->conf.postgresql[to - p->conf.row] ? TLS_PRELUDE_POSTGRESQL : TLS_PRELUDE_NONE;
	begin(l);
}

void link_peer_drop(struct link *l)
{
	struct link_peer *p = &l->peer;
	p->left = 0;
	p->next.request = 0;
	p->told = true;
	if (p->wsi != NULL)
		kill_later(l);
	else
		lws_sul_cancel(&p->timer);
}

int link_peer_open(struct link *l, struct refusal *why)
{
	struct link_peer *p = &l->peer;
	int               r = peers_conf_read(l->conf->relies, &p->conf, why);
	if (r == 0 && p->conf.n > 0)
		r = tls_outside_open(&p->tls);
	return r;
}

void link_peer_close(struct link *l)
{
	tls_outside_close(l->peer.tls);
	l->peer.tls = NULL;
}
