/* haproxy_conf.h - room agent/survey: reads HAProxy's configuration language as far as certificates go.
 * Never: running HAProxy; crt-list files. */
#ifndef VCC_HAPROXY_CONF_H
#define VCC_HAPROXY_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* Adds the rows of one file (HAProxy may be given several): one for each bind line with certificates. E_SURVEY_*. */
_must_check_ int haproxy_conf_read(struct sources *src, const char *path, struct sites *ret, struct refusal *why);

#endif
