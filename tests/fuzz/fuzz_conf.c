/* fuzz_conf.c - no text may crash the parser of any program's settings, what is refused says why, and what is accepted ends all its strings. */
#include <stdlib.h>
#include <string.h>

#include "shared/conf/agent_conf.h"
#include "shared/conf/channel_conf.h"
#include "shared/conf/controller_conf.h"
#include "shared/conf/gateway_conf.h"
#include "shared/conf/signer_conf.h"
#include "shared/conf/target_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static union {
	struct agent_conf      agent;
	struct channel_conf    channel;
	struct controller_conf controller;
	struct gateway_conf    gateway;
	struct signer_conf     signer;
	struct target_conf     target;
} conf;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct conf_schema *const schemas[] = {&target_schema,  &agent_schema,  &channel_schema,
							    &controller_schema, &gateway_schema, &signer_schema};
	for (size_t i = 0; i < N_ELEMENTS(schemas); i++) {
		struct refusal why = {0};
		memset(&conf, 0, sizeof(conf));
		int r = conf_parse(schemas[i], "fuzz.conf", (struct span){data, n}, &conf, &why);
		if (r != 0 && why.code != r)
			abort();
		if (r == 0 && schemas[i] == &target_schema &&
		    (memchr(conf.target.names.text, 0, sizeof(conf.target.names.text)) == NULL ||
		     memchr(conf.target.command, 0, sizeof(conf.target.command)) == NULL))
			abort();
	}
	return 0;
}
