/* agent_conf.c - room shared/conf: agent.conf, read alike by link, keeper and hook.
 * Never: secrets. */
#include "shared/conf/agent_conf.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define AT(member) offsetof(struct agent_conf, member)
#define SIZE(member) sizeof(((struct agent_conf *)0)->member)

static const struct conf_key keys[] = {
	{.section = "agent", .key = "controller", .kind = CONF_TEXT, .offset = AT(controller), .size = SIZE(controller), .fallback = "",
         .about = "host:port of the agents' port; empty = the address that joining gave"},
	{.section = "agent", .key = "join", .kind = CONF_TEXT, .offset = AT(join), .size = SIZE(join), .fallback = "",
         .about = "host:port of the join port, where a host whose identity has ended comes back; empty = the one it joined at"},
	{.section = "agent", .key = "state_dir", .kind = CONF_PATH, .offset = AT(link_dir), .size = SIZE(link_dir),
         .fallback = "/var/lib/vcc-agent/link", .about = "the link's own folder: its TLS key, identity, pinned root"},
	{.section = "agent", .key = "keeper_socket", .kind = CONF_PATH, .offset = AT(keeper_socket), .size = SIZE(keeper_socket),
         .fallback = "/run/vcc-agent/keeper.sock", .about = "where the keeper listens for the link and for `vcc-agent status`"},
	{.section = "agent", .key = "reconnect_spread", .kind = CONF_DURATION, .offset = AT(reconnect_spread_ms), .min = 0,
         .max = 10 * MS_MINUTE, .fallback = "10s", .about = "the first reconnect waits a random part of this"},
	{.section = "keeper", .key = "state_dir", .kind = CONF_PATH, .offset = AT(keeper_dir), .size = SIZE(keeper_dir),
         .fallback = "/var/lib/vcc-agent/keeper", .about = "the keeper's folder: host key, journal; default target folders lie beside it, in targets/"},
	{.section = "keeper", .key = "targets_dir", .kind = CONF_PATH, .offset = AT(targets_dir), .size = SIZE(targets_dir),
         .fallback = "/etc/vcc-agent/targets.d", .about = "folder of target files NAME.conf"},
	{.section = "keeper", .key = "hook_socket", .kind = CONF_PATH, .offset = AT(hook_socket), .size = SIZE(hook_socket),
         .fallback = "/run/vcc-agent/hook.sock", .about = "where vcc-hook is reached"},
	{.section = "keeper", .key = "probes_per_second", .kind = CONF_INT, .offset = AT(probes_per_second), .min = 1, .max = 20,
         .fallback = "20", .about = "handshakes per second and target while a swap is proved"},
	{.section = "keeper", .key = "retain", .kind = CONF_INT, .offset = AT(retain), .min = 1, .max = 20, .fallback = "2",
         .about = "how many issuances' generations are kept"},
};

const struct conf_schema agent_schema = {
	.program = "vcc-agent",
	.file = "agent.conf",
	.struct_size = sizeof(struct agent_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
};

int agent_target_dir(const struct agent_conf *conf, const struct target_conf *target, char ret[TARGET_PATH_SIZE])
{
	char        dir[TARGET_PATH_SIZE];
	const char *slash = strrchr(conf->keeper_dir, '/');
	if (target->dir[0] != '\0')
		return text_copy(ret, TARGET_PATH_SIZE, target->dir);
	int n = snprintf(dir, sizeof(dir), "%.*s/targets/%s", slash != NULL ? (int)(slash - conf->keeper_dir) : 0, conf->keeper_dir,
	                 target->stem);
	if (n < 0 || (size_t)n >= sizeof(dir))
		return E_FULL;
	return text_copy(ret, TARGET_PATH_SIZE, dir);
}

int agent_conf_text(const char *state_dir, struct buf *to)
{
	if (state_dir[0] != '/' || strpbrk(state_dir, "#;\n") != NULL)
		return E_CONF_VALUE;
	buf_add_fmt(to,
	            "# Written by `vcc-agent join --state-dir %s`.\n"
	            "[agent]\n"
	            "state_dir = %s/link\n"
	            "keeper_socket = %s/run/keeper.sock\n"
	            "\n"
	            "[keeper]\n"
	            "state_dir = %s/keeper\n"
	            "targets_dir = %s/targets.d\n"
	            "hook_socket = %s/run/hook.sock\n",
	            state_dir, state_dir, state_dir, state_dir, state_dir, state_dir);
	return buf_error(to);
}
