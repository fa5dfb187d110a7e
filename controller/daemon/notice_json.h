/* notice_json.h - room controller/daemon: notices and their deliveries as JSON, alike in the API and in messages.
 * Never: reading the store. */
#ifndef VCC_NOTICE_JSON_H
#define VCC_NOTICE_JSON_H

#include <jansson.h>

#include "shared/model/delivery.h"

json_t *json_notice(const struct notice *n);
json_t *json_delivery(const struct delivery *d);

#endif
