/* drill_json.h - room controller/daemon: a drill as JSON, for the API and for the archive.
 * Never: the report itself; it is kept and shown byte for byte. */
#ifndef VCC_DRILL_JSON_H
#define VCC_DRILL_JSON_H

#include <jansson.h>

#include "controller/store/store.h"

/* Its figures come from its campaign in `view` until the report is made. */
json_t *json_drill(const struct drill *row, struct store_view *view, int64_t now);

#endif
