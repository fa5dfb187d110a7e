/* fleet_options.h - what a run of vcc-fleet is asked to do, from its command line.
 * Never: reading files; every number is limited here. */
#ifndef VCC_FLEET_OPTIONS_H
#define VCC_FLEET_OPTIONS_H

#include "shared/base/err.h"
#include "shared/base/id.h"

enum {
	FLEET_AGENTS_MAX = 60000,
	FLEET_PER_PROCESS = 19000, /* below the usual limit of 20,000 descriptors */
	FLEET_PROCESSES_MAX = 16,
	FLEET_SERVICES_MAX = 8,
};

struct fleet_options {
	const char *address; /* of the join port; NULL = only who has joined before, at the address kept with it */
	bool        has_pin;
	struct hash pin;
	const char *tokens;    /* file of join tokens, one a line */
	const char *state_dir; /* absolute */
	const char *sandbox;   /* folder of scripts/sandbox: address, pin, and invites by its vccctl */
	const char *json;      /* report, rewritten while the fleet runs */
	const char *served;    /* what each member serves, rewritten with the report */
	const char *services[FLEET_SERVICES_MAX];
	size_t      n_services;
	uint32_t    agents, processes;
	uint32_t    joins;    /* in flight, over all processes */
	int64_t     spread_ms; /* first reconnect: uniform in this */
	int64_t     deploy_min_ms, deploy_max_ms;
	int64_t     settle_ms, probe_ms, skew_ms;
	int64_t     stage_ms; /* the next key is made within it; -1 = none is */
	double      fail_share, offline_share, slow_share; /* 0..1 */
	double      real_share; /* of the hosts that have not joined: a real one each */
	int64_t     return_ms; /* after which those who are offline come back; 0 = they do not */
	int64_t     storm_ms;  /* after which all connections are cut at once; 0 = never */
	int64_t     for_ms;    /* end of the run */
	int64_t     memory_mib; /* of each process */
};

/* Ends the process after --help and --version (0) and for what cannot be (2). */
void fleet_options_parse(int argc, char **argv, struct fleet_options *ret);

/* Exactly round(share of all) of the first `agents` members are chosen, spread evenly; `salt` tells shares apart. */
bool fleet_share_has(double share, uint32_t agents, uint32_t index, uint32_t salt);

#endif
