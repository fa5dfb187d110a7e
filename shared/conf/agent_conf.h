/* agent_conf.h - room shared/conf: agent.conf, read alike by link, keeper and hook.
 * Never: secrets. */
#ifndef VCC_AGENT_CONF_H
#define VCC_AGENT_CONF_H

#include "shared/conf/conf.h"
#include "shared/conf/target_conf.h"

enum { AGENT_PATH_SIZE = 256 };

/* sun_path holds 107 bytes: socket paths are limited to that. */
enum { AGENT_SOCKET_SIZE = 108 };

struct agent_conf {
	/* [agent]: the link */
	char    controller[ADDRESS_SIZE]; /* agents' port of the gateway; "" = the address that joining gave */
	char    join[ADDRESS_SIZE];       /* join port of the gateway; "" = the one that was used for joining */
	char    link_dir[AGENT_PATH_SIZE];
	char    keeper_socket[AGENT_SOCKET_SIZE];
	int64_t reconnect_spread_ms; /* first reconnect is uniform in this */
	/* [keeper] */
	char    keeper_dir[AGENT_PATH_SIZE];
	char    targets_dir[AGENT_PATH_SIZE];
	char    hook_socket[AGENT_SOCKET_SIZE];
	int64_t probes_per_second; /* per target */
	int64_t retain;            /* generations of old issuances that are kept */
};

extern const struct conf_schema agent_schema;

#define AGENT_CONF_PATH "/etc/vcc-agent/agent.conf"

/* Where a target's generations are: its `dir`, or targets/STEM beside the keeper's folder (/var/lib/vcc-agent/targets/STEM).
 * E_FULL when the path is too long. */
_must_check_ int agent_target_dir(const struct agent_conf *conf, const struct target_conf *target, char ret[TARGET_PATH_SIZE]);

/* The folder layout of `--state-dir D`: D/link, D/keeper, D/targets.d, D/run; written as D/agent.conf. */
_must_check_ int agent_conf_text(const char *state_dir, struct buf *to);

#endif
