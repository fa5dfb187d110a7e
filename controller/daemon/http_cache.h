/* http_cache.h - room controller/daemon: answers that relying parties and proxies may keep: validators, ages, 304.
 * Never: what is in them. */
#ifndef VCC_HTTP_CACHE_H
#define VCC_HTTP_CACHE_H

#include "controller/daemon/http_server.h"

/* Answers with the body, or 304 where the caller has it: ETag (of the content), Last-Modified and Expires from the two times (0
 * = not said), and one minute of max-age: who goes through a proxy learns of a revocation that late, who asks us at once. */
void http_cache_answer(struct http_call *call, const char *content_type, struct span body, int64_t modified_at,
		       int64_t expires_at);

#endif
