/* link_fetch.c - room agent/link: gets revocation lists and authorities from the public listener by plain HTTP and hands the
 * bytes to the keeper, which judges them. Where from stands in our own certificate, so nobody but the CA can send us elsewhere.
 * Never: redirects; more than one at a time; keeping what the keeper has not asked for or does not read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/link/link_part.h"
#include "shared/base/text.h"
#include "shared/sys/fault.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

enum {
	WAITING_MAX = 32 * 1024, /* more for the keeper is not read from the socket */
	WAITING_LOW = 4 * 1024,
	READ_MAX = 64 * 1024, /* the library reads at most 4 KiB at once */
	FETCH_MS = 30 * 1000, /* and a second more for each */
	BYTES_PER_SECOND = 64 * 1024,
	LIMIT_MAX = 1 << 28,
	REST_MS = 200,
};

/* Tests of what does not end would take minutes. */
static int64_t limit_ms(const struct lk_fetch *want)
{
#ifdef VCC_FAULTS
	const char *text = getenv("VCC_FETCH_MS");
	if (text != NULL)
		return strtoll(text, NULL, 10);
#endif
	return FETCH_MS +
	       (int64_t)(want->limit < LIMIT_MAX ? want->limit / BYTES_PER_SECOND : LIMIT_MAX / BYTES_PER_SECOND) * 1000;
}

/* The first reason stays. What the library says may be anything; the keeper takes plain text only. */
static void reason(struct link_fetch *f, int code, const char *text)
{
	if (f->code != 0)
		return;
	f->code = code;
	text_cut(f->text, sizeof(f->text), text);
	text_plain(f->text);
}

/* ---- the end ----------------------------------------------------------------------------------------------------- */

static void on_begin(lws_sorted_usec_list_t *timer);
static void on_rest(lws_sorted_usec_list_t *timer);

static bool complete(const struct link_fetch *f)
{
	return f->total > 0 && f->got == f->total;
}

static void tell_failure(struct link *l)
{
	const struct link_fetch *f = &l->fetch;
	struct lk_piece piece = {.request = f->want.request, .code = f->code != 0 ? f->code : E_CRL_FETCH, .last = true};
	text_cut(piece.text, sizeof(piece.text), f->code != 0 ? f->text : "the connection was closed before the end");
	if (link_keeper_send(l, LK_PIECE, &piece) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the keeper does not read");
}

/* Nothing of it comes any more. */
static void over(struct link *l)
{
	struct link_fetch *f = &l->fetch;
	if (f->want.request == 0)
		return;
	f->wsi = NULL;
	if (complete(f)) {
		resolver_worked(&f->resolver, f->numeric);
		resolver_spare(&f->resolver);
	} else {
		resolver_failed(&f->resolver);
		if (!f->silent && !l->stopping)
			tell_failure(l);
	}
	f->want.request = 0;
	lws_sul_cancel(&f->timer);
	if (l->stopping)
		return;
	if (f->next.request != 0)
		lws_sul_schedule(l->context, 0, &f->timer, on_begin, 1);
	else
		lws_sul_schedule(l->context, 0, &f->timer, on_rest, REST_MS * LWS_US_PER_MS);
}

/* The library has closed the connection, and the keeper has read the rest. */
static void on_rest(lws_sorted_usec_list_t *timer)
{
	(void)timer;
	memory_give_back();
}

static void give_up(struct link *l, bool silent)
{
	struct link_fetch *f = &l->fetch;
	f->silent |= silent;
	if (f->wsi != NULL)
		lws_set_timeout(f->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	else
		over(l);
}

static void on_late(lws_sorted_usec_list_t *timer)
{
	struct link *l = lws_container_of(timer, struct link, fetch.timer);
	reason(&l->fetch, E_CRL_FETCH, "the answer was not complete in time");
	give_up(l, false);
}

/* ---- the beginning ----------------------------------------------------------------------------------------------- */

struct url_parts {
	char host[URL_SIZE];        /* as in the URL: for the Host header */
	char address[URL_SIZE + 4]; /* with a port */
	char path[URL_SIZE + 32 + HASH_TEXT_SIZE];
};

/* The lists' address names their content, so that neither a cache nor a change in this moment gives us others. */
static void url_of(const struct link *l, const struct lk_fetch *want, struct url_parts *ret)
{
	static const char scheme[] = "http://";
	const char       *rest = l->state.public_url + strlen(scheme);
	size_t            n = strcspn(rest, "/");
	char              text[HASH_TEXT_SIZE];
	snprintf(ret->host, sizeof(ret->host), "%.*s", (int)n, rest);
	const char *colon = strrchr(ret->host, ':');
	const char *bracket = strrchr(ret->host, ']');
	snprintf(ret->address, sizeof(ret->address), "%s%s", ret->host,
		 colon == NULL || (bracket != NULL && colon < bracket) ? ":80" : "");
	if (want->kind == FETCH_LISTS)
		snprintf(ret->path, sizeof(ret->path), "%s/crl/all.pem?sha256=%s", rest + n, hash_text(want->hash, text));
	else
		snprintf(ret->path, sizeof(ret->path), "%s/ca/all.pem", rest + n);
}

static void connect_now(struct link *l, const struct url_parts *url, uint16_t port)
{
	struct lws_client_connect_info info = {
		.context = l->context,
		.vhost = l->vhost,
		.address = l->fetch.numeric,
		.port = port,
		.path = url->path,
		.host = url->host,
		.method = "GET",
		.local_protocol_name = "vcc-public",
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.pwsi = &l->fetch.wsi,
	};
	/* failure comes as an event, also at once; without memory nothing comes */
	(void)lws_client_connect_via_info(&info);
	if (l->fetch.wsi == NULL)
		over(l);
}

static void on_begin(lws_sorted_usec_list_t *timer)
{
	struct link       *l = lws_container_of(timer, struct link, fetch.timer);
	struct link_fetch *f = &l->fetch;
	struct url_parts   url;
	struct refusal     why = {.code = 0};
	uint16_t           port = 0;
	f->want = f->next;
	f->next.request = 0;
	f->got = f->total = 0;
	f->waits = f->silent = false;
	f->code = 0;
	if (l->state.public_url[0] == '\0') {
		reason(f, E_CRL_ADDRESS, err_what(E_CRL_ADDRESS));
	} else {
		url_of(l, &f->want, &url);
		if (resolver_find(&f->resolver, url.address, link_random(), f->numeric, &port, &why) < 0)
			reason(f, E_CRL_FETCH, why.cause);
	}
	if (fault_point("link.fetch") != 0)
		reason(f, E_CRL_FETCH, "refused by a test");
	if (f->code != 0) {
		over(l);
		return;
	}
	lws_sul_schedule(l->context, 0, &f->timer, on_late, limit_ms(&f->want) * LWS_US_PER_MS);
	connect_now(l, &url, port);
}

void link_fetch_begin(struct link *l, const struct lk_fetch *want)
{
	struct link_fetch *f = &l->fetch;
	f->next = *want;
	if (f->want.request != 0)
		give_up(l, true); /* the next one begins when it is gone */
	else
		lws_sul_schedule(l->context, 0, &f->timer, on_begin, 1);
}

void link_fetch_drop(struct link *l)
{
	struct link_fetch *f = &l->fetch;
	f->next.request = 0;
	if (f->want.request != 0)
		give_up(l, true);
	else
		lws_sul_cancel(&f->timer);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static bool has_header(struct lws *wsi, enum lws_token_indexes token)
{
	return lws_hdr_total_length(wsi, token) > 0;
}

/* A plain answer of known length, or none. The library reads chunks with a number that can overflow: none are taken. */
static int take_head(struct link *l, struct lws *wsi)
{
	struct link_fetch *f = &l->fetch;
	char               text[MSG_TEXT_SIZE];
	char               length[24];
	int64_t            total = 0;
	unsigned           status = lws_http_client_http_response(wsi);
	if (status != 200) {
		snprintf(text, sizeof(text), "the public listener answers with HTTP status %u", status);
		reason(f, E_CRL_FETCH, text);
		return -1;
	}
	if (has_header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) || has_header(wsi, WSI_TOKEN_HTTP_CONTENT_ENCODING) ||
	    lws_hdr_copy(wsi, length, sizeof(length), WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0 ||
	    text_i64(length, 1, INT64_MAX, &total) != 0) {
		reason(f, E_CRL_FETCH, "the answer does not tell its length");
		return -1;
	}
	if ((uint64_t)total > f->want.limit) {
		snprintf(text, sizeof(text), "the answer is %lld bytes long, %llu are expected at most", (long long)total,
			 (unsigned long long)f->want.limit);
		reason(f, E_CRL_SIZE, text);
		return -1;
	}
	f->total = (uint64_t)total;
	return 0;
}

static int take_bytes(struct link *l, const void *bytes, size_t n)
{
	struct link_fetch *f = &l->fetch;
	if (n > READ_MAX || n > f->total - f->got) {
		reason(f, E_CRL_FETCH, "the answer is longer than it says");
		return -1;
	}
	for (size_t at = 0; at < n;) {
		size_t          part = n - at < PIECE_MAX ? n - at : PIECE_MAX;
		struct lk_piece piece = {.request = f->want.request,
					 .offset = f->got,
					 .total = f->total,
					 .last = f->got + part == f->total,
					 .bytes = {(const uint8_t *)bytes + at, part}};
		if (fault_point("link.fetch.piece") != 0 || link_keeper_send(l, LK_PIECE, &piece) < 0) {
			f->silent = true; /* it asks again when it is there again */
			return -1;
		}
		f->got += part;
		at += part;
	}
	return 0;
}

/* What the keeper does not take stays in the kernel's buffers, and then with the sender. */
static int read_more(struct link *l, struct lws *wsi)
{
	char *bytes = NULL;
	int   n = 0;
	if (l->pipe.out.n > WAITING_MAX) {
		l->fetch.waits = true;
		return lws_rx_flow_control(wsi, 0) < 0 ? -1 : 0;
	}
	return lws_http_client_read(wsi, &bytes, &n) < 0 ? -1 : 0;
}

void link_fetch_drained(struct link *l)
{
	struct link_fetch *f = &l->fetch;
	if (!f->waits || f->wsi == NULL || l->pipe.out.n > WAITING_LOW)
		return;
	f->waits = false;
	if (lws_rx_flow_control(f->wsi, 1) < 0)
		give_up(l, false);
}

/* ---- libwebsockets ----------------------------------------------------------------------------------------------- */

void link_fetch_gone(struct link *l, const struct lws *wsi)
{
	if (wsi == l->fetch.wsi)
		over(l);
}

int link_fetch_event(struct lws *wsi, enum lws_callback_reasons why, void *user, void *in, size_t n)
{
	struct link *l = lws_context_user(lws_get_context(wsi));
	(void)user;
	if (l == NULL || wsi != l->fetch.wsi)
		return why == LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP || why == LWS_CALLBACK_RECEIVE_CLIENT_HTTP ? -1 : 0;
	switch (why) {
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		return take_head(l, wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
		return read_more(l, wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		return take_bytes(l, in, n);
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		return -1; /* one answer for each connection */
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		reason(&l->fetch, E_CRL_FETCH, in != NULL ? in : "the connection did not come to stand");
		over(l);
		return 0;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		over(l);
		return 0;
	default:
		return 0;
	}
}
