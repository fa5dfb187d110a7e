/* http_read.h - room controller/daemon: the head of one HTTP request, as libwebsockets parsed it, into values.
 * Never: reading from the connection, or taking a header that does not fit. */
#ifndef VCC_HTTP_READ_H
#define VCC_HTTP_READ_H

#include <libwebsockets.h>

#include "controller/daemon/http_server.h"

/* Fills `q` for a request on `which`. E_API_TOO_LARGE, E_API_METHOD (one we do not know), E_API_ROUTE (not UTF-8). */
_must_check_ int http_read_request(struct lws *wsi, enum http_listener which, struct http_request *q);

/* Length of the body that follows, at most `max`: 0 when none, E_API_BODY for transfer codings and odd numbers, E_API_TOO_LARGE. */
_must_check_ int64_t http_read_length(struct lws *wsi, int64_t max);

/* Whether bytes of a body follow the head, whatever their coding. */
bool http_read_has_body(struct lws *wsi);

#endif
