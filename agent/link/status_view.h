/* status_view.h - room agent/link: the keeper's status document in words for people: at most 80 columns.
 * Never: asking, printing, clocks. */
#ifndef VCC_STATUS_VIEW_H
#define VCC_STATUS_VIEW_H

#include <jansson.h>

#include "shared/base/buf.h"

/* Appends the whole view. `now`: for ages and what is left of a time. True: nothing that it shows needs a person. */
bool status_view(const json_t *root, int64_t now, struct buf *to);

#endif
