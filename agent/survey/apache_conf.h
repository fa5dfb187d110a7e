/* apache_conf.h - room agent/survey: reads Apache's configuration language as far as certificates go.
 * Sections, includes, definitions; every <IfModule> and <IfDefine> counts as taken. Never: running Apache; macros. */
#ifndef VCC_APACHE_CONF_H
#define VCC_APACHE_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* `path` is the main file; includes are relative to `root` (ServerRoot). One row for each virtual host with a certificate.
 * E_SURVEY_*. */
_must_check_ int apache_conf_read(struct sources *src, const char *path, const char *root, struct sites *ret,
				  struct refusal *why);

#endif
