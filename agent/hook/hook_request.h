/* hook_request.h - room agent/hook: serves one connection: reads a verb and a target's name, does it, answers, ends.
 * Never: a path, argument or text from the request; everything else comes from the target file. */
#ifndef VCC_HOOK_REQUEST_H
#define VCC_HOOK_REQUEST_H

#include "shared/conf/agent_conf.h"

enum { HOOK_REQUEST_MS = 5000 };

/* `fd` stays open. The peer must be root, our own user or vcc-keeper. 0 when an answer (also a refusing one) was sent. */
_must_check_ int hook_request_serve(int fd, const struct agent_conf *conf, struct refusal *why);

#endif
