/* http_call.h - room controller/daemon: one request on its way, as http_server.c (until it is whole) and http_answer.c (from
 * then on) share it. Never: included by anybody else; a handler has http_server.h. */
#ifndef VCC_HTTP_CALL_H
#define VCC_HTTP_CALL_H

#include <libwebsockets.h>

#include "controller/daemon/http_server.h"

enum { HEADERS_MAX = 12, HEADER_SIZE = 320 };

struct listener {
	struct http_server *server;
	enum http_listener  which;
	struct lws_vhost   *vhost;
	uv_poll_t          *poll; /* on the heap: closing is asynchronous */
	int                 fd;
	size_t              connections;
	size_t              calls;
	int64_t             bodies; /* declared lengths of what is being received */
};

struct http_call {
	struct listener    *listener;
	struct lws         *wsi; /* NULL when the connection is gone */
	struct http_request request;
	int64_t             awaited;  /* declared length of the body, while it is received */
	bool                unframed; /* a method with a body came without a length: the connection ends with the answer */
	struct buf          in;
	char                headers[HEADERS_MAX][2][HEADER_SIZE];
	size_t              n_headers;
	bool                handed; /* the handler has it */
	bool                answered;
	bool                head_sent;
	int                 status;
	char                content_type[64];
	struct buf          out;
	size_t              sent;
	/* an answer in pieces */
	http_more_fn *more; /* NULL = it comes whole */
	void         *more_ctx;
	bool          waiting; /* for a piece */
	bool          complete, broken;
};

/* per connection, owned by libwebsockets */
struct connection {
	struct http_call *call;
	bool              whole;   /* the end of the request's body was told */
	bool              refused; /* answered before its body came: what comes is dropped, and then the connection ends */
};

void http_call_drop(struct http_call *c);
void http_call_end(struct http_call *c); /* the same, and who gives its pieces is told */
void http_call_read_later(struct http_call *c);
void http_call_write_next(struct http_call *c);
/* The library's answer to its callback: 0, or -1 to end the connection. */
_must_check_ int http_call_writable(struct lws *wsi, struct connection *conn);

#endif
