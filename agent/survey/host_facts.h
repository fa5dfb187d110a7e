/* host_facts.h - room agent/survey: who this host is to the controller, and which targets it has, as the keeper tells it.
 * Never: guessing; without a keeper there is nothing to propose. */
#ifndef VCC_HOST_FACTS_H
#define VCC_HOST_FACTS_H

#include <jansson.h>

#include "shared/conf/agent_conf.h"
#include "shared/model/names.h"

struct host_facts {
	char         agent[AGENT_NAME_SIZE];
	char         service[SERVICE_SIZE];
	char         domain[DNS_NAME_SIZE];
	struct names patterns; /* of the invite: what this host may ask for */
	bool         connected;
	char         targets[TARGET_PATH_SIZE]; /* folder of the target folders */
};

/* Asks the keeper. E_SURVEY_IDENTITY when none answers. */
_must_check_ int host_facts_read(const struct agent_conf *conf, struct host_facts *ret, struct refusal *why);
/* From its document; `conf` tells the folders. */
_must_check_ int host_facts_parse(const struct agent_conf *conf, struct span json, struct host_facts *ret, struct refusal *why);

/* What the keeper says of one target; false: it does not know it. */
struct target_facts {
	char phase[24];
	char wanted[24];
	bool issued, served; /* a certificate is in current/; every listener serves it */
	char code[ERR_CODE_SIZE];
	char error[320];
};
_must_check_ bool host_target(const struct agent_conf *conf, const char *stem, struct target_facts *ret);

#endif
