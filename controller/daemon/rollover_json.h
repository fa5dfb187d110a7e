/* rollover_json.h - room controller/daemon: a rollover as the API shows it.
 * Never: deciding. */
#ifndef VCC_ROLLOVER_JSON_H
#define VCC_ROLLOVER_JSON_H

#include "controller/daemon/rollover_left.h"

json_t *rollover_json(struct controller *ctl, const struct rollover *r, const struct rollover_figures *f,
		      const struct rollover_left *left, int64_t now);

#endif
