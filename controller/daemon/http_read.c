/* http_read.c - room controller/daemon: the head of one HTTP request, as libwebsockets parsed it, into values.
 * Never: reading from the connection, or taking a header that does not fit. */
#include "controller/daemon/http_read.h"

#include <string.h>
#include <sys/socket.h>

#include "controller/daemon/tls_http.h"
#include "shared/base/text.h"

enum { COOKIES_MAX = 4096 };

static const struct {
	enum lws_token_indexes token;
	const char            *method;
} methods[] = {
	{WSI_TOKEN_GET_URI, "GET"}, {WSI_TOKEN_POST_URI, "POST"},     {WSI_TOKEN_PUT_URI, "PUT"},
	{WSI_TOKEN_PATCH_URI, "PATCH"}, {WSI_TOKEN_DELETE_URI, "DELETE"}, {WSI_TOKEN_HEAD_URI, "HEAD"},
};

/* Copies a header that fits; an over-long one is reported. */
static int header_copy(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size)
{
	int n = lws_hdr_total_length(wsi, token);
	if (n <= 0)
		return 0;
	if ((size_t)n >= size || lws_hdr_copy(wsi, to, (int)size, token) < 0)
		return E_API_TOO_LARGE;
	return 0;
}

static int custom_copy(struct lws *wsi, const char *name, char *to, size_t size)
{
	int n = lws_hdr_custom_length(wsi, name, (int)strlen(name));
	if (n <= 0)
		return 0;
	if ((size_t)n >= size || lws_hdr_custom_copy(wsi, to, (int)size, name, (int)strlen(name)) < 0)
		return E_API_TOO_LARGE;
	return 0;
}

/* The library ends the walk at an argument that does not fit as it does after the last one: only the lengths tell that all were seen. */
static int args_copy(struct lws *wsi, struct http_request *q)
{
	int seen = 0;
	for (int i = 0;; i++) {
		if (q->n_args == HTTP_ARGS_MAX)
			return E_API_TOO_LARGE;
		int n = lws_hdr_copy_fragment(wsi, q->args[q->n_args], HTTP_ARG_SIZE, WSI_TOKEN_HTTP_URI_ARGS, i);
		if (n < 0)
			break;
		seen += n + (i > 0); /* '&' */
		q->n_args++;
	}
	int whole = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS);
	return whole > 0 && whole != seen ? E_API_TOO_LARGE : 0;
}

static uid_t peer_uid(struct lws *wsi)
{
	struct ucred cred;
	socklen_t    n = sizeof(cred);
	if (getsockopt(lws_get_socket_fd(wsi), SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return (uid_t)-1;
	return cred.uid;
}

/* One cookie of the header; other servers of this host put theirs beside it, whatever their port. */
static void cookie_copy(struct lws *wsi, const char *name, char *to, size_t size)
{
	char   all[COOKIES_MAX];
	size_t n = strlen(name);
	if (lws_hdr_copy(wsi, all, sizeof(all), WSI_TOKEN_HTTP_COOKIE) <= 0)
		return;
	for (char *at = all, *rest; at != NULL; at = rest) {
		at += strspn(at, " ");
		rest = strchr(at, ';');
		if (rest != NULL)
			*rest++ = '\0';
		if (strncmp(at, name, n) == 0 && at[n] == '=' && text_copy(to, size, at + n + 1) == 0)
			return;
	}
}

/* What a browser says beside the request. */
static int browser_copy(struct lws *wsi, struct http_request *q)
{
	int r = header_copy(wsi, WSI_TOKEN_HOST, q->host, sizeof(q->host));
	if (r == 0)
		r = header_copy(wsi, WSI_TOKEN_ORIGIN, q->origin, sizeof(q->origin));
	if (r == 0)
		r = custom_copy(wsi, "sec-fetch-site:", q->fetch_site, sizeof(q->fetch_site));
	if (r == 0)
		r = custom_copy(wsi, "x-vcc-session:", q->header_token, sizeof(q->header_token));
	if (header_copy(wsi, WSI_TOKEN_HTTP_ACCEPT_LANGUAGE, q->accept_language, sizeof(q->accept_language)) < 0)
		q->accept_language[0] = '\0';
	cookie_copy(wsi, HTTP_COOKIE, q->session, sizeof(q->session));
	return r;
}

int http_read_request(struct lws *wsi, enum http_listener which, struct http_request *q)
{
	q->listener = which;
	if (which == HTTP_LOCAL)
		q->peer_uid = peer_uid(wsi);
	if (which == HTTP_ADMIN) {
		(void)lws_get_peer_simple(wsi, q->address, sizeof(q->address));
		q->has_cert = tls_http_peer(lws_get_ssl(wsi), &q->cert_serial, &q->cert_fingerprint);
	}
	for (size_t i = 0; i < N_ELEMENTS(methods); i++) {
		if (lws_hdr_total_length(wsi, methods[i].token) <= 0)
			continue;
		text_cut(q->method, sizeof(q->method), methods[i].method);
		if (header_copy(wsi, methods[i].token, q->path, sizeof(q->path)) < 0)
			return E_API_TOO_LARGE;
		break;
	}
	if (q->method[0] == '\0')
		return E_API_METHOD;
	/* An encoded line end, once decoded, ends the request line for the library, and the first word behind it is a header: then there is no version. Where
	 * that word is a version itself the address is shorter than it was written, and nothing else; the library does not tell the two apart. */
	if (!text_line_ok(q->path, strlen(q->path)) || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP) <= 0)
		return E_API_ROUTE;
	int r = header_copy(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, q->authorization, sizeof(q->authorization));
	if (r == 0)
		r = header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, q->content_type, sizeof(q->content_type));
	if (r == 0 && header_copy(wsi, WSI_TOKEN_HTTP_ACCEPT, q->accept, sizeof(q->accept)) < 0)
		q->accept[0] = '\0';
	if (r == 0)
		r = header_copy(wsi, WSI_TOKEN_HTTP_IF_MATCH, q->if_match, sizeof(q->if_match));
	if (r == 0 && header_copy(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, q->if_none_match, sizeof(q->if_none_match)) < 0)
		q->if_none_match[0] = '\0'; /* a list of tags that is too long: the whole answer is never wrong */
	if (r == 0 && header_copy(wsi, WSI_TOKEN_HTTP_IF_MODIFIED_SINCE, q->if_modified_since, sizeof(q->if_modified_since)) < 0)
		q->if_modified_since[0] = '\0';
	if (r == 0)
		r = custom_copy(wsi, "idempotency-key:", q->idempotency_key, sizeof(q->idempotency_key));
	if (r == 0)
		r = custom_copy(wsi, "prefer:", q->prefer, sizeof(q->prefer));
	if (r == 0)
		r = custom_copy(wsi, "last-event-id:", q->last_event_id, sizeof(q->last_event_id));
	if (r == 0 && which == HTTP_ADMIN)
		r = browser_copy(wsi, q);
	return r == 0 ? args_copy(wsi, q) : r;
}

int64_t http_read_length(struct lws *wsi, int64_t max)
{
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0)
		return E_API_BODY;
	char text[24] = "";
	if (header_copy(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)) < 0)
		return E_API_BODY;
	if (text[0] == '\0')
		return 0;
	int64_t n;
	if (text_i64(text, 0, INT64_MAX, &n) < 0)
		return E_API_BODY;
	return n > max ? E_API_TOO_LARGE : n;
}

bool http_read_has_body(struct lws *wsi)
{
	return lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
}
