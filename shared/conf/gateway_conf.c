/* gateway_conf.c - room shared/conf: the keys of gateway.conf and what they must fulfil.
 * Never: secrets. */
#include "shared/conf/gateway_conf.h"

#include <stddef.h>

#include "shared/base/text.h"

#define PLACE(member) .offset = offsetof(struct gateway_conf, member), .size = sizeof(((struct gateway_conf *)0)->member)

static const struct conf_key keys[] = {
	{.section = "gateway", .key = "listen", .kind = CONF_TEXT, PLACE(listen), .fallback = ":8441", .about = "agents' port, host:port"},
	{.section = "gateway", .key = "join_listen", .kind = CONF_TEXT, PLACE(join_listen), .fallback = ":8442",
         .about = "join port, host:port"},
	{.section = "gateway", .key = "controller_socket", .kind = CONF_PATH, PLACE(controller_socket),
         .fallback = "/run/vcc-controller/gateway.sock", .about = "where the controller listens for gateways"},
	{.section = "gateway", .key = "state_dir", .kind = CONF_PATH, PLACE(state_dir), .fallback = "/var/lib/vcc-gateway",
         .about = "the gateway's name, TLS key and certificate"},
	{.section = "gateway", .key = "max_agents", .kind = CONF_INT, PLACE(max_agents), .min = 1, .max = 200000, .fallback = "15000",
         .about = "connections of agents that this process holds"},
	{.section = "gateway", .key = "handshakes", .kind = CONF_INT, PLACE(handshakes), .min = 1, .max = 4096, .fallback = "64",
         .about = "TLS handshakes in progress at a time"},
};

static int check(const void *conf, struct refusal *why)
{
	const struct gateway_conf *c = conf;
	char                       host[ADDRESS_SIZE];
	uint16_t                   port;
	if (text_host_port(c->listen, host, sizeof(host), &port) != 0)
		return refuse(why, E_CONF_VALUE, "gateway.listen", "`%s` is not host:port", c->listen);
	if (text_host_port(c->join_listen, host, sizeof(host), &port) != 0)
		return refuse(why, E_CONF_VALUE, "gateway.join_listen", "`%s` is not host:port", c->join_listen);
	return 0;
}

const struct conf_schema gateway_schema = {
	.program = "vcc-gateway",
	.file = "gateway.conf",
	.struct_size = sizeof(struct gateway_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
	.check = check,
};
