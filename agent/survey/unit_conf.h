/* unit_conf.h - room agent/survey: reads the unit of a Python web server (uvicorn, gunicorn, hypercorn) as far as its certificate goes.
 * Never: asking systemd; settings that stand in Python or in an environment file. */
#ifndef VCC_UNIT_CONF_H
#define VCC_UNIT_CONF_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

/* Whether SIGHUP makes the server take new files without dropping a connection. */
enum unit_server { UNIT_SERVER_NONE, UNIT_SERVER_GRACEFUL, UNIT_SERVER_RESTART };

/* `files`: the unit's file, then its drop-ins. The last ExecStart= counts. One row when certificate and key stand on it. E_SURVEY_*. */
_must_check_ int unit_conf_read(struct sources *src, const char *const *files, size_t n_files, struct sites *ret,
                                enum unit_server *ret_server, struct refusal *why);

#endif
