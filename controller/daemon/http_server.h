/* http_server.h - room controller/daemon: HTTP/1.1 for the admin, local and public listeners on one libuv loop.
 * Reads a whole bounded request, hands it over, and sends the answer whenever it comes. Never: knowing routes or rights. */
#ifndef VCC_HTTP_SERVER_H
#define VCC_HTTP_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include <uv.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/model/names.h"

enum http_listener {
	HTTP_ADMIN,  /* TLS */
	HTTP_LOCAL,  /* unix socket; the peer's uid is known */
	HTTP_PUBLIC, /* plain */
	HTTP_LISTENER_COUNT,
};

enum {
	HTTP_BODY_MAX = 1 << 20,
	HTTP_PATH_SIZE = 512,
	HTTP_ARGS_MAX = 16,
	HTTP_ARG_SIZE = 256,
	HTTP_HOST_SIZE = 264,
};

#define HTTP_COOKIE "__Host-vcc"

struct http_request {
	enum http_listener listener;
	char               method[8];                          /* "GET" */
	char               path[HTTP_PATH_SIZE];               /* decoded once, without query */
	char               args[HTTP_ARGS_MAX][HTTP_ARG_SIZE]; /* "name=value" */
	size_t             n_args;
	char               authorization[512];
	char               content_type[96];
	char               accept[512]; /* a longer one is as none */
	char               accept_language[128]; /* HTTP_ADMIN; a longer one is as none */
	char               idempotency_key[96];
	char               if_match[96];
	char               if_none_match[96];
	char               if_modified_since[40];
	char               prefer[64];
	char               last_event_id[24];
	char               host[HTTP_HOST_SIZE];
	char               origin[HTTP_HOST_SIZE + 8];
	char               fetch_site[16];   /* Sec-Fetch-Site */
	char               session[48];      /* of the cookie __Host-vcc; "" = none, or none of ours */
	char               header_token[48]; /* X-Vcc-Session */
	uid_t              peer_uid; /* HTTP_LOCAL only */
	char               address[48]; /* HTTP_ADMIN: the peer, as inet_ntop() writes it */
	bool               has_cert; /* HTTP_ADMIN: a client certificate was shown, and its key is there */
	struct serial      cert_serial;
	struct hash        cert_fingerprint;
	struct span        body;
};

struct http_server;
struct http_call; /* one request until its answer is sent or its connection is gone */

typedef void http_handle_fn(void *ctx, struct http_call *call);

/* E_GW_PLUGIN when libwebsockets cannot run on libuv. */
_must_check_ int http_server_make(uv_loop_t *loop, http_handle_fn *handle, void *ctx, struct http_server **ret,
                                  struct refusal *why);
/* How long a body may be, by the head of its request; asked on the admin and local listeners. Without it HTTP_BODY_MAX. */
typedef int64_t http_body_max_fn(void *ctx, const struct http_request *q);
void http_server_body_max(struct http_server *s, http_body_max_fn *body_max);
/* Takes a bound, listening, non-blocking socket. HTTP_ADMIN needs http_server_tls() before. */
_must_check_ int http_server_listen(struct http_server *s, enum http_listener which, int fd, struct refusal *why);
/* Certificate chain (leaf first) and key of the admin listener as PEM; called again it replaces them for new
 * connections, after a check that they belong together. */
_must_check_ int http_server_tls(struct http_server *s, struct span chain_pem, struct span key_pem, struct refusal *why);
void http_server_close(struct http_server *s); /* stops listening and drops connections; run the loop once, then free */
void http_server_free(struct http_server *s);

const struct http_request *http_call_request(const struct http_call *c);
const char                *http_call_arg(const struct http_call *c, const char *name); /* value, or NULL */
/* Extra answer headers, at most 12; over-long ones are dropped. Before http_call_answer(). */
void http_call_header(struct http_call *c, const char *name, const char *value);
/* Value of such a header, or NULL. */
const char *http_call_given(const struct http_call *c, const char *name);
/* Nobody is left to read the answer; it must be given all the same. */
bool http_call_gone(const struct http_call *c);
/* The same, or the peer sends nothing more: libwebsockets looks again only when there is something to write. */
bool http_call_left(const struct http_call *c);
/* Exactly once per call, on the loop's thread; `body` is copied. The call must not be used afterwards. */
void http_call_answer(struct http_call *c, int status, const char *content_type, struct span body);

/* An answer in pieces, instead of http_call_answer(). `more` is called on the loop whenever the next piece is wanted, never before the one
 * before is sent, and a last time with `over`: sent whole, or the connection is gone. Each call without `over` is to be followed by one
 * http_call_piece(), now or later. */
typedef void http_more_fn(void *ctx, bool over);
void http_call_stream(struct http_call *c, int status, const char *content_type, http_more_fn *more, void *ctx);
enum http_piece { HTTP_PIECE, HTTP_PIECE_LAST, HTTP_PIECE_BROKEN /* the peer is to see that the answer is not whole */ };
void http_call_piece(struct http_call *c, struct span piece, enum http_piece kind); /* copied */

#endif
