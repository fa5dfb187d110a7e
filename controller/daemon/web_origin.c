/* web_origin.c - room controller/daemon: Host, Origin and Sec-Fetch-Site of a browser's request.
 * Never: sessions, rights. */
#include "controller/daemon/web_origin.h"

#include <string.h>
#include <strings.h>

#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"
#include "shared/sys/tcp.h"

#define SCHEME "https://"

bool web_is_browser(const struct http_request *q)
{
	return q->origin[0] != '\0' || q->fetch_site[0] != '\0';
}

/* "name", "name:port" or "[v6]:port" without its port. */
static void host_name(const char *host, char ret[HTTP_HOST_SIZE])
{
	text_cut(ret, HTTP_HOST_SIZE, host[0] == '[' ? host + 1 : host);
	ret[strcspn(ret, host[0] == '[' ? "]" : ":")] = '\0';
}

int web_host_check(const struct http_request *q, const struct controller_conf *conf, struct refusal *why)
{
	char     name[HTTP_HOST_SIZE], linked[HTTP_HOST_SIZE], bound[TCP_HOST_SIZE] = "";
	uint16_t port;
	host_name(q->host, name);
	if (tcp_split(conf->admin_listen, bound, &port) < 0)
		bound[0] = '\0';
	host_name(text_starts(conf->notify_link_url, SCHEME) ? conf->notify_link_url + sizeof(SCHEME) - 1 : "", linked);
	const char *const known[] = {conf->public_name, linked, bound, "localhost", "127.0.0.1", "::1"};
	for (size_t i = 0; i < N_ELEMENTS(known); i++)
		if (known[i][0] != '\0' && strcasecmp(known[i], name) == 0)
			return 0;
	return refuse(why, E_SESSION_HOST, name[0] != '\0' ? name : "Host", "this server is %s", conf->public_name);
}

/* "https://" and what the request calls this server. */
static bool is_own(const char *origin, const char *host)
{
	return text_starts(origin, SCHEME) && strcasecmp(origin + sizeof(SCHEME) - 1, host) == 0;
}

int web_origin_check(const struct http_request *q, const struct controller_conf *conf, struct refusal *why)
{
	bool reads = text_equal(q->method, "GET") || text_equal(q->method, "HEAD");
	int  r = web_host_check(q, conf, why);
	if (r < 0)
		return r;
	if (q->origin[0] != '\0' && !is_own(q->origin, q->host))
		return refuse(why, E_SESSION_ORIGIN, "Origin", "%s is another origin", q->origin);
	if (text_equal(q->fetch_site, "same-origin") || (reads && (q->fetch_site[0] == '\0' || text_equal(q->fetch_site, "none"))))
		return 0;
	if (q->fetch_site[0] != '\0')
		return refuse(why, E_SESSION_ORIGIN, "Sec-Fetch-Site", "it is %s", q->fetch_site);
	return q->origin[0] != '\0' ? 0 : refuse(why, E_SESSION_ORIGIN, "Origin", "neither Origin nor Sec-Fetch-Site says where it comes from");
}
