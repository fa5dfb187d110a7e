/* http_cache.c - room controller/daemon: ETag, Last-Modified, Expires and Cache-Control (RFC 9110, 8.8; RFC 9111, 5).
 * Never: a date in another language than HTTP's. */
#include "controller/daemon/http_cache.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

enum { DATE_SIZE = 32, ETAG_SIZE = 40, ETAG_OCTETS = 16 };

/* IMF-fixdate. */
static const char *http_date(int64_t at, char ret[DATE_SIZE])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	time_t            seconds = (time_t)(at / MS_SECOND);
	struct tm         t;
	ret[0] = '\0';
	if (gmtime_r(&seconds, &t) != NULL && t.tm_year >= 0 && t.tm_year < 8100)
		(void)snprintf(ret, DATE_SIZE, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
			       months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
	return ret;
}

static void etag_of(struct span body, char ret[ETAG_SIZE])
{
	struct hash hash;
	digest_sha256(body, &hash);
	char *p = ret;
	*p++ = '"';
	for (int i = 0; i < ETAG_OCTETS; i++)
		p += sprintf(p, "%02x", hash.b[i]);
	*p++ = '"';
	*p = '\0';
}

/* One of the caller's tags is ours; a weak one means the same here (RFC 9110, 13.1.2). */
static bool has_tag(const char *if_none_match, const char *etag)
{
	return text_equal(if_none_match, "*") || strstr(if_none_match, etag) != NULL;
}

void http_cache_answer(struct http_call *call, const char *content_type, struct span body, int64_t modified_at,
		       int64_t expires_at)
{
	const struct http_request *q = http_call_request(call);
	char                       date[DATE_SIZE], etag[ETAG_SIZE];
	etag_of(body, etag);
	http_call_header(call, "etag", etag);
	http_call_header(call, "cache-control", "public, max-age=60, must-revalidate, no-transform");
	if (modified_at != 0)
		http_call_header(call, "last-modified", http_date(modified_at, date));
	bool fresh = q->if_none_match[0] != '\0'
			     ? has_tag(q->if_none_match, etag)
			     : modified_at != 0 && q->if_modified_since[0] != '\0' && text_equal(q->if_modified_since, date);
	if (expires_at != 0)
		http_call_header(call, "expires", http_date(expires_at, date));
	if (fresh)
		http_call_answer(call, 304, content_type, (struct span){NULL, 0});
	else
		http_call_answer(call, 200, content_type, body);
}
