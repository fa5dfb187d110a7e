/* web_origin.h - room controller/daemon: does a browser's request come from a page of this server, and is the server called by its name?
 * Values in, values out. Never: sessions, rights. */
#ifndef VCC_WEB_ORIGIN_H
#define VCC_WEB_ORIGIN_H

#include "controller/daemon/http_server.h"

struct controller_conf;

/* It says itself what it is: other programs send neither Origin nor Sec-Fetch-Site. */
bool web_is_browser(const struct http_request *q);
/* The names that stand in the listener's certificate, the one that people are given (notify.link_url), and
 * localhost: with another one somebody else's name was led here. E_SESSION_HOST. */
_must_check_ int web_host_check(const struct http_request *q, const struct controller_conf *conf, struct refusal *why);
/* Reading: from our own pages, or typed by a person. Changing: from our own pages alone. E_SESSION_ORIGIN, E_SESSION_HOST. */
_must_check_ int web_origin_check(const struct http_request *q, const struct controller_conf *conf, struct refusal *why);

#endif
