/* postgresql_conf.h - room agent/survey: reads postgresql.conf as far as its certificate goes.
 * Never: a connection to the database. */
#ifndef VCC_POSTGRESQL_CONF_H
#define VCC_POSTGRESQL_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* `path` is the main file, `data_dir` the cluster's folder, where relative paths begin and postgresql.auto.conf may overrule
 * it. One row, when TLS is on. E_SURVEY_*. */
_must_check_ int postgresql_conf_read(struct sources *src, const char *path, const char *data_dir, struct sites *ret,
				      struct refusal *why);

#endif
