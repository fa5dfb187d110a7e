/* link_return.c - room agent/link: the way back after the identity has ended (DESIGN 1): a challenge from the join port, the host
 * key's signature from the keeper, one POST, and the new identity. No step blocks; each failure ends the whole and is tried again.
 * Never: the host key; deciding what an answer is worth; that is the keeper's. */
#include <stdio.h>
#include <string.h>

#include "agent/link/link_part.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"

enum { RETURN_SECONDS = 40, BODY_PIECE = 2048 };

static const char *join_address(const struct link *l)
{
	return l->conf->join[0] != '\0' ? l->conf->join : l->state.join;
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

void link_return_stop(struct link *l)
{
	struct returning *r = &l->ret;
	r->step = RETURN_NONE;
	lws_sul_cancel(&r->deadline);
	key_free(r->key);
	r->key = NULL;
	buf_free(&r->out);
	buf_free(&r->in);
	if (r->ws != NULL)
		lws_set_timeout(r->ws, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	r->ws = NULL; /* what is still heard of it is not ours any more */
}

static void failed(struct link *l, int code, const char *text)
{
	struct loss loss = {.of_return = true};
	char        what[ADDRESS_SIZE + 40];
	link_return_stop(l);
	link_gateway_reason(l, code, text);
	(void)snprintf(what, sizeof(what), "no return at %s", join_address(l)[0] != '\0' ? join_address(l) : "the join port");
	link_gateway_plan(l, &loss, what);
}

static void on_deadline(lws_sorted_usec_list_t *timer)
{
	struct returning *r = lws_container_of(timer, struct returning, deadline);
	struct link      *l = lws_container_of(r, struct link, ret);
	failed(l, E_SYS_TIMEOUT, r->step == RETURN_SIGN || r->step == RETURN_JUDGE ? "the keeper did not answer in time"
	                                                                          : "the join port did not answer in time");
}

/* ---- posting ----------------------------------------------------------------------------------------------------- */

static void post(struct link *l, uint16_t type, const void *payload, enum return_step step)
{
	struct returning              *r = &l->ret;
	struct lws_client_connect_info info = {
		.context = l->context,
		.vhost = l->vhost,
		.address = r->trying,
		.path = "/join",
		.host = r->trying,
		.origin = r->trying,
		.method = "POST",
		.local_protocol_name = "vcc-join",
		.ssl_connection = LCCSCF_USE_SSL | LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK | LCCSCF_ALLOW_EXPIRED,
		.alpn = "http/1.1",
		.pwsi = &r->ws,
	};
	struct refusal why;
	uint16_t       port;
	buf_reset(&r->out);
	buf_reset(&r->in);
	r->step = step;
	r->answered = false;
	int code = wire_encode(&wire_join, type, 0, payload, &r->out);
	if (code < 0) {
		failed(l, code, "the request cannot be made");
	} else if ((code = resolver_find(&r->resolver, join_address(l), link_random(), r->trying, &port, &why)) < 0) {
		failed(l, code, why.cause);
	} else {
		info.port = port;
		l->seen = (struct tls_seen){.alert = 0};
		link_gateway_reason(l, 0, "");
		/* failure comes as an event, also at once; without memory nothing comes, and the deadline ends it */
		r->opening = true;
		(void)lws_client_connect_via_info(&info);
		r->opening = false;
	}
}

void link_return_begin(struct link *l)
{
	struct returning     *r = &l->ret;
	struct refusal        why = {.code = 0};
	struct msg_return_ask ask = {.agent = ""};
	link_return_stop(l);
	if (join_address(l)[0] == '\0') {
		failed(l, E_LINK_NO_JOIN, err_next(E_LINK_NO_JOIN));
		return;
	}
	int code = fault_point("link.return.begin") != 0 ? E_SYS_IO : link_state_next_key(&l->state, &r->key, &why);
	if (code < 0) {
		failed(l, code, why.code != 0 ? why.cause : err_what(code));
		return;
	}
	log_line(LOG_LEVEL_NOTICE, NULL, "this host's identity has ended: its host key asks for a new one at %s", join_address(l));
	lws_sul_schedule(l->context, 0, &r->deadline, on_deadline, (lws_usec_t)RETURN_SECONDS * LWS_US_PER_SEC);
	text_cut(ask.agent, sizeof(ask.agent), l->state.agent);
	post(l, JOIN_RETURN_ASK, &ask, RETURN_ASK);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static void on_challenge(struct link *l)
{
	struct returning *r = &l->ret;
	struct buf        spki = BUF_MAX(SPKI_MAX);
	struct lk_return  ask = {.challenge = l->frame.u.challenge.challenge};
	int               code = fault_point("link.return.challenge") != 0 ? E_SYS_IO : key_spki(r->key, &spki);
	digest_sha256(buf_span(&l->state.root), &ask.pin);
	ask.link_spki = buf_span(&spki);
	r->step = RETURN_SIGN;
	if (code == 0)
		code = link_keeper_send(l, LK_RETURN, &ask);
	buf_free(&spki);
	if (code < 0)
		failed(l, code, "the keeper cannot be asked");
}

/* A refusal, by gateway or controller, is a reply with a code: the keeper is not needed to understand it. */
static void on_answer(struct link *l)
{
	struct returning      *r = &l->ret;
	struct lk_return_answer answer = {.reply = buf_span(&r->in)};
	resolver_worked(&r->resolver, r->trying);
	int code = wire_decode(&wire_join, buf_span(&r->in), 0, &l->frame);
	if (code < 0 || (l->frame.type != JOIN_REPLY && l->frame.type != JOIN_CHALLENGE)) {
		failed(l, code < 0 ? E_LINK_DOWN : E_WIRE_MESSAGE, "the join port gave no whole answer");
	} else if (l->frame.type == JOIN_REPLY && l->frame.u.join_reply.code != 0) {
		char text[MSG_TEXT_SIZE];
		text_cut(text, sizeof(text), l->frame.u.join_reply.text);
		failed(l, l->frame.u.join_reply.code, text);
	} else if (l->frame.type == JOIN_CHALLENGE && r->step == RETURN_ASK) {
		on_challenge(l);
	} else if (l->frame.type == JOIN_REPLY && r->step == RETURN_POST && fault_point("link.return.reply") == 0) {
		r->step = RETURN_JUDGE;
		code = link_keeper_send(l, LK_RETURN_ANSWER, &answer);
		if (code < 0)
			failed(l, code, "the keeper cannot be asked");
	} else {
		failed(l, E_WIRE_MESSAGE, "the join port gave an answer to something else");
	}
}

/* ---- from the keeper --------------------------------------------------------------------------------------------- */

void link_return_signed(struct link *l, const struct lk_return_sign *sign)
{
	struct returning *r = &l->ret;
	struct buf        signature = BUF_MAX(MSG_SIGNATURE_MAX);
	struct msg_return m = {.body = sign->body, .host_signature = sign->host_signature};
	if (r->step != RETURN_SIGN)
		return; /* of a try that has ended */
	int code = fault_point("link.return.signed") != 0 ? E_SYS_IO : key_sign(r->key, LABEL_RETURN, sign->body, &signature);
	m.link_signature = buf_span(&signature);
	text_cut(m.agent, sizeof(m.agent), l->state.agent);
	if (code < 0)
		failed(l, code, "the request cannot be signed");
	else
		post(l, JOIN_RETURN, &m, RETURN_POST);
	buf_free(&signature);
}

/* Identity first: where to connect is of no use without it. */
static int take(struct link *l, const struct lk_return_done *done, struct refusal *why)
{
	int code = link_state_save_identity(&l->state, done->certificate, done->chain, why);
	if (code == 0 && fault_point("link.return.saved") != 0)
		code = refuse(why, E_SYS_IO, "return", "stopped after the identity was written");
	if (code == 0 && done->address[0] != '\0' && !text_equal(done->address, l->state.address))
		code = link_state_save_address(&l->state, done->address, why);
	return code == 0 ? link_identity_returned(l, done->now_at, why) : code;
}

void link_return_done(struct link *l, const struct lk_return_done *done)
{
	struct refusal why = {.code = 0};
	if (l->ret.step != RETURN_JUDGE && l->ret.step != RETURN_SIGN)
		return;
	int code = done->code != 0 ? refuse(&why, done->code, "return", "%s", done->text) : take(l, done, &why);
	if (code < 0) {
		failed(l, code, why.cause);
		return;
	}
	link_return_stop(l);
	l->returned = true;
	l->return_next = false;
	log_line(LOG_LEVEL_NOTICE, NULL, "a new identity by the host key; connecting");
	link_identity_look(l);
	link_gateway_connect_later(l, 0);
}

/* ---- libwebsockets ----------------------------------------------------------------------------------------------- */

static int add_header(struct lws *wsi, const char *name, const char *value, unsigned char **p, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value, (int)strlen(value), p, end);
}

/* The server is judged before it gets a byte. */
static int on_request(struct link *l, struct lws *wsi, unsigned char **p, size_t room)
{
	struct refusal why;
	char           length[16];
	if (tls_link_peer(lws_get_ssl(wsi), buf_span(&l->state.root), l->state.domain, &why) < 0) {
		link_gateway_reason(l, why.code, why.cause);
		return -1;
	}
	(void)snprintf(length, sizeof(length), "%zu", l->ret.out.n);
	if (add_header(wsi, "content-type:", "application/octet-stream", p, *p + room) != 0 ||
	    add_header(wsi, "content-length:", length, p, *p + room) != 0)
		return -1;
	lws_client_http_body_pending(wsi, 1);
	lws_callback_on_writable(wsi);
	return 0;
}

static int on_writable(struct link *l, struct lws *wsi)
{
	uint8_t    bytes[LWS_PRE + FRAME_BEFORE_WELCOME];
	struct buf *out = &l->ret.out;
	if (out->n == 0 || out->n > FRAME_BEFORE_WELCOME)
		return 0;
	memcpy(bytes + LWS_PRE, out->p, out->n);
	int n = lws_write(wsi, bytes + LWS_PRE, out->n, LWS_WRITE_HTTP_FINAL);
	lws_client_http_body_pending(wsi, 0);
	bool whole = n >= (int)out->n;
	buf_reset(out);
	return whole ? 0 : -1;
}

static int on_readable(struct lws *wsi)
{
	char  bytes[LWS_PRE + BODY_PIECE];
	char *at = bytes + LWS_PRE;
	int   n = BODY_PIECE;
	return lws_http_client_read(wsi, &at, &n) < 0 ? -1 : 0;
}

static int on_piece(struct link *l, const void *bytes, size_t n)
{
	buf_add(&l->ret.in, bytes, n);
	return buf_error(&l->ret.in) != 0 ? -1 : 0;
}

static void on_end(struct link *l, const char *text)
{
	l->ret.ws = NULL;
	if (l->ret.answered) {
		on_answer(l);
		return;
	}
	if (!l->seen.shaken)
		resolver_failed(&l->ret.resolver);
	if (l->last_code != 0) {
		char why[MSG_TEXT_SIZE];
		text_cut(why, sizeof(why), l->last_text);
		failed(l, l->last_code, why);
	} else {
		failed(l, E_LINK_DOWN, text != NULL && strstr(text, "lib(0)") == NULL ? text : "the connection ended before there was an answer");
	}
}

int link_return_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	(void)user;
	/* one of a try that has ended gets no more than its end */
	bool ours = l->ret.ws == wsi || (l->ret.opening && l->ret.ws == NULL);
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return ours ? on_request(l, wsi, in, n) : -1;
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
		return ours ? on_writable(l, wsi) : -1;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		return ours ? on_readable(wsi) : -1;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		return ours ? on_piece(l, in, n) : -1;
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		l->ret.answered |= ours;
		return -1;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		if (ours)
			on_end(l, in);
		return 0;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		if (ours)
			on_end(l, NULL);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		if (ours && l->ret.ws == wsi)
			on_end(l, NULL);
		return 0;
	default:
		return 0;
	}
}
