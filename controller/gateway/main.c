/* main.c - vcc-gateway: the agents' websockets and the join port, in front of the controller.
 * Never: a store, a signer, knowledge of orders. */
#include <stdio.h>

#include "controller/gateway/gateway.h"
#include "shared/sys/log.h"

int main(int argc, char **argv)
{
	struct conf_options options;
	struct gateway_conf conf;
	struct refusal      why = {0};
	conf_options(argc, argv, &gateway_schema, &options);
	if (options.rest < argc) {
		fprintf(stderr, "vcc-gateway: `%s` is not an option; see --help\n", argv[options.rest]);
		return 2;
	}
	if (options.check)
		return conf_check(&gateway_schema, options.config);

	log_open("vcc-gateway", LOG_LEVEL_INFO);
	int r = conf_load(&gateway_schema, options.config, &conf, NULL, &why);
	if (r == 0)
		r = gateway_run(&conf, &why);
	if (r != 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	return r == 0 ? 0 : 1;
}
