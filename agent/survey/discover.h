/* discover.h - room agent/survey: `vcc-agent discover`: services, who renews them, and the target file that each would get.
 * Never: changing anything. */
#ifndef VCC_DISCOVER_H
#define VCC_DISCOVER_H

#include "shared/conf/agent_conf.h"

/* `name` NULL = all. Exit status. */
_must_check_ int discover(const struct agent_conf *conf, const char *name, const char *template_id, bool json);

#endif
