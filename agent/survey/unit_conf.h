/* unit_conf.h - room agent/survey: reads the unit of a Python web server (uvicorn, gunicorn, hypercorn) as far as its
 * certificate goes. Never: asking systemd; settings that stand in Python or in an environment file. */
#ifndef VCC_UNIT_CONF_H
#define VCC_UNIT_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* `files`: the unit's file, then its drop-ins. The last ExecStart= counts. One row when it starts such a server with
 * certificate and key on its command line. E_SURVEY_*. */
_must_check_ int unit_conf_read(struct sources *src, const char *const *files, size_t n_files, struct sites *ret,
				struct refusal *why);

#endif
