/* main.c - room agent/link: vcc-agent, the host's network process, and the commands of a host's administrator.
 * Never: running as a daemon with a key of a service. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/link/link.h"
#include "agent/link/link_join.h"
#include "agent/link/link_status.h"
#include "agent/survey/survey.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/program_table.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

static int status(int argc, char **argv)
{
	static struct agent_conf conf;
	struct refusal           why = {0};
	const char              *path = AGENT_CONF_PATH;
	bool                     json = false;
	char                     text[640];
	for (int i = 1; i < argc; i++) {
		if (text_equal(argv[i], "--config") && i + 1 < argc) {
			path = argv[++i];
		} else if (text_equal(argv[i], "-o") && i + 1 < argc && (text_equal(argv[i + 1], "json") || text_equal(argv[i + 1], "table"))) {
			json = text_equal(argv[++i], "json");
		} else {
			bool help = text_equal(argv[i], "--help") || text_equal(argv[i], "-h");
			program_help("vcc-agent", "status", help ? stdout : stderr);
			return help ? 0 : 2;
		}
	}
	if (conf_load(&agent_schema, path, &conf, NULL, &why) < 0) {
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(&why, text, sizeof(text)));
		return 1;
	}
	return link_status(&conf, json);
}

int main(int argc, char **argv)
{
	static struct agent_conf conf;
	struct conf_options      options;
	struct refusal           why = {0};
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	memory_be_thrifty();
	if (argc > 1 && text_equal(argv[1], "join"))
		return link_join(argc - 1, argv + 1);
	if (argc > 1 && text_equal(argv[1], "status"))
		return status(argc - 1, argv + 1);
	int done;
	if (argc > 1 && survey_verb(argc - 1, argv + 1, &done))
		return done;

	conf_options(argc, argv, &agent_schema, &options);
	if (options.check)
		return conf_check(&agent_schema, options.config);
	if (options.rest < argc) {
		program_help("vcc-agent", NULL, stderr);
		return 2;
	}
	log_open("vcc-agent", LOG_LEVEL_INFO);
	int r = conf_load(&agent_schema, options.config, &conf, NULL, &why);
	if (r == 0)
		r = link_run(&conf, &why);
	if (r < 0)
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	return r < 0 ? 1 : 0;
}
