/* gateway_conf.h - room shared/conf: the keys of gateway.conf.
 * Never: secrets. */
#ifndef VCC_GATEWAY_CONF_H
#define VCC_GATEWAY_CONF_H

#include "shared/conf/conf.h"
#include "shared/model/names.h"

struct gateway_conf {
	char    listen[ADDRESS_SIZE];
	char    join_listen[ADDRESS_SIZE];
	char    controller_socket[108];
	char    state_dir[256];
	int64_t max_agents;
	int64_t handshakes;
};

extern const struct conf_schema gateway_schema;
#define GATEWAY_CONF_PATH "/etc/vcc-gateway/gateway.conf"

#endif
