/* export_trail.h - room controller/daemon: GET /api/v1/audit/export.
 * Never: more than one piece of the trail in memory. */
#ifndef VCC_EXPORT_TRAIL_H
#define VCC_EXPORT_TRAIL_H

#include "controller/daemon/api.h"

void api_audit_export(struct api_call *call);

#endif
