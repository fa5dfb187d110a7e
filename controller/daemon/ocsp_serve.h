/* ocsp_serve.h - room controller/daemon: the OCSP responder (RFC 6960) behind the public listener.
 * What was signed before is given out at once; the rest is looked up and signed by a worker, at most so many a second. Never:
 * an answer from before a revocation was stored; a token or a right: it answers everybody. */
#ifndef VCC_OCSP_SERVE_H
#define VCC_OCSP_SERVE_H

#include "controller/daemon/controller.h"
#include "controller/daemon/http_server.h"

enum { OCSP_BODY_MAX = 4096 };

struct ocsp;
_must_check_ int ocsp_serve_open(struct controller *ctl, struct ocsp **ret);
void             ocsp_serve_free(struct ocsp *o);

/* POST /ocsp with the request as body, GET /ocsp/BASE64. Answers the call, now or later. */
void ocsp_serve_handle(struct controller *ctl, struct http_call *call);

struct ocsp_figures {
	uint64_t asked, from_cache, signed_now, malformed, unauthorized, put_off;
	size_t   cached;
};
void ocsp_serve_figures(const struct controller *ctl, struct ocsp_figures *ret);

#endif
