/* nginx_conf.h - room agent/survey: reads nginx's configuration language as far as certificates go.
 * Blocks, includes, quotes, comments; server blocks of http, stream and mail; certificates that servers inherit.
 * Never: running nginx; following a variable. */
#ifndef VCC_NGINX_CONF_H
#define VCC_NGINX_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* `path` is the main file; includes are relative to `prefix`. One row for each server block that has a certificate. E_SURVEY_*.
 */
_must_check_ int nginx_conf_read(struct sources *src, const char *path, const char *prefix, struct sites *ret,
				 struct refusal *why);

#endif
