/* report_system.h - room controller/daemon: the facts about the whole installation that rules are judged by, read from the store.
 * Never: judging. */
#ifndef VCC_REPORT_SYSTEM_H
#define VCC_REPORT_SYSTEM_H

#include "controller/core/compliance.h"
#include "controller/store/store.h"

/* On a worker: some hundred reads by key. `kept_ms`: see struct compliance_system. */
_must_check_ int report_system_read(struct store_view *view, int64_t now, int64_t kept_ms, struct compliance_system *ret);

#endif
