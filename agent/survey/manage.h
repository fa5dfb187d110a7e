/* manage.h - room agent/survey: `vcc-agent manage` and `unmanage`: a service's certificate becomes ours, and everything goes
 * back. The record of the undo is durable before the first change, and the target file comes last: with it the keeper takes
 * over. Never: half of it; after a kill either verb converges. */
#ifndef VCC_MANAGE_H
#define VCC_MANAGE_H

#include "agent/survey/renewer.h"
#include "shared/conf/agent_conf.h"

struct manage_request {
	const struct agent_conf *conf;
	const char              *name;
	const char              *template_id; /* NULL = the service's own */
	enum renewer_kind        from;        /* NONE = nobody's renewal is ended */
	bool                     dry_run;
};

/* Exit status: 0, 1 failed and put back, 3 no such service, 4 refused, 6 failed and not everything could be put back. */
_must_check_ int manage(const struct manage_request *q);
_must_check_ int unmanage(const struct agent_conf *conf, const char *name);

#endif
