/* fleet_options.c - the command line of vcc-fleet.
 * Never: a default that reaches beyond this machine. */
#include "tests/fleet/fleet_options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

static const char usage[] =
	"usage: vcc-fleet [ADDRESS --pin sha256:HEX --tokens FILE | --sandbox DIR]\n"
	"                 --state-dir D --agents N [OPTIONS]\n\n"
	"Plays N agents with real keys, TLS, frames and decisions towards a gateway. A\n"
	"second run with the same folder reconnects who has joined before.\n\n"
	"  ADDRESS            join port of the controller\n"
	"  --pin HEX          SHA-256 of its root certificate\n"
	"  --tokens FILE      join tokens, one a line, for agents that have not joined\n"
	"  --sandbox DIR      the installation that scripts/sandbox runs in DIR; invites\n"
	"                     are asked for there\n"
	"  --state-dir D      keys and certificates of the fleet; absolute path\n"
	"  --agents N         1 to 60000\n"
	"  --processes P      default: one for each 19000 agents\n"
	"  --services A,B     for --sandbox: services of the agents, in turn (default\n"
	"                     clara)\n"
	"  --joins K          joins in flight (default 64)\n"
	"  --spread T         the first connection comes within T (default 10s; 0 = at\n"
	"                     once)\n"
	"  --deploy-time T    reload takes T, or A-B: uniform between both (default 0)\n"
	"  --settle-time T    from verified to settled (default 500ms)\n"
	"  --stage-after T    hosts at rest make their next key within T (default: they\n"
	"                     make none)\n"
	"  --probe-time T     until a certificate that is not served is given up (default\n"
	"                     2s)\n"
	"  --fail-share X%    so many hosts cannot reload once they serve something\n"
	"  --offline-share X% so many leave when they are served first\n"
	"  --return-at T      and come back after T\n"
	"  --slow-link X%     so many read at most 1 KiB each 200 ms\n"
	"  --real X%          so many are real: vcc-hook, vcc-keeper and vcc-agent from\n"
	"                     beside this program, and a TLS service that they reload,\n"
	"                     each below D/real/NAME. What these serve is what a\n"
	"                     handshake shows; the report tells of them under `real`, of\n"
	"                     the others elsewhere. Options for simulated hosts do not\n"
	"                     touch them. At most 200\n"
	"  --reconnect-storm T  all connections are cut after T, and come back\n"
	"  --clock-skew T     clocks differ by up to T, before or after\n"
	"  --for T            end after T (default 1h, at most 1d)\n"
	"  --memory MIB       limit of each process (default 2048)\n"
	"  --json FILE        report, rewritten each half second\n"
	"  --served FILE      NAME and fingerprint of what each agent serves, a line\n"
	"                     each, rewritten before the report\n"
	"  --version, --help\n";

enum fleet_option {
	O_PIN = 256, O_TOKENS, O_SANDBOX, O_STATE, O_AGENTS, O_PROCESSES, O_SERVICES, O_JOINS, O_SPREAD, O_DEPLOY, O_SETTLE, O_STAGE,
	O_PROBE, O_FAIL, O_OFFLINE, O_RETURN, O_SLOW, O_STORM, O_SKEW, O_FOR, O_MEMORY, O_JSON, O_SERVED, O_REAL, O_VERSION, O_HELP,
};

static const struct option options[] = {
	{"pin", 1, NULL, O_PIN},          {"tokens", 1, NULL, O_TOKENS},     {"sandbox", 1, NULL, O_SANDBOX},
	{"state-dir", 1, NULL, O_STATE},  {"agents", 1, NULL, O_AGENTS},     {"processes", 1, NULL, O_PROCESSES},
	{"services", 1, NULL, O_SERVICES}, {"joins", 1, NULL, O_JOINS},      {"spread", 1, NULL, O_SPREAD},
	{"deploy-time", 1, NULL, O_DEPLOY}, {"settle-time", 1, NULL, O_SETTLE}, {"probe-time", 1, NULL, O_PROBE},
	{"fail-share", 1, NULL, O_FAIL},  {"offline-share", 1, NULL, O_OFFLINE}, {"return-at", 1, NULL, O_RETURN},
	{"slow-link", 1, NULL, O_SLOW},   {"reconnect-storm", 1, NULL, O_STORM}, {"clock-skew", 1, NULL, O_SKEW},
	{"for", 1, NULL, O_FOR},          {"memory", 1, NULL, O_MEMORY},     {"json", 1, NULL, O_JSON},
	{"stage-after", 1, NULL, O_STAGE}, {"served", 1, NULL, O_SERVED},    {"real", 1, NULL, O_REAL},
	{"version", 0, NULL, O_VERSION},  {"help", 0, NULL, O_HELP},        {0},
};

static _Noreturn void wrong(const char *option, const char *value, const char *what)
{
	char code[ERR_CODE_SIZE];
	fprintf(stderr, "vcc-fleet: %s %s%s%s: %s. Next: %s\n", err_code(E_CLI_USAGE, code), option, value != NULL ? " " : "",
	        value != NULL ? value : "", what, "see `vcc-fleet --help`");
	exit(2);
}

static uint32_t number(const char *option, const char *value, int64_t max)
{
	int64_t n;
	char    text[64];
	snprintf(text, sizeof(text), "must be a number from 1 to %lld", (long long)max);
	if (text_i64(value, 1, max, &n) < 0)
		wrong(option, value, text);
	return (uint32_t)n;
}

static int64_t duration(const char *option, const char *value, int64_t max)
{
	int64_t ms;
	char    limit[TIME_TEXT_SIZE];
	char    text[64];
	if (text_equal(value, "0"))
		return 0;
	snprintf(text, sizeof(text), "must be a duration of at most %s, like 200ms", duration_text(max, limit));
	if (duration_parse(value, &ms) < 0 || ms > max)
		wrong(option, value, text);
	return ms;
}

/* "T" or "A-B". */
static void distribution(const char *option, const char *value, int64_t *ret_min, int64_t *ret_max)
{
	char        first[32];
	const char *dash = strchr(value, '-');
	if (dash == NULL) {
		*ret_min = *ret_max = duration(option, value, MS_HOUR);
		return;
	}
	if (text_copy_n(first, sizeof(first), value, (size_t)(dash - value)) < 0)
		wrong(option, value, "must be A-B");
	*ret_min = duration(option, first, MS_HOUR);
	*ret_max = duration(option, dash + 1, MS_HOUR);
	if (*ret_max < *ret_min)
		wrong(option, value, "the first must not be the larger one");
}

static double share(const char *option, const char *value)
{
	char  *end;
	double x = strtod(value, &end);
	if (end == value || !text_equal(end, "%") || !(x >= 0 && x <= 100))
		wrong(option, value, "must be a share like 5%");
	return x / 100;
}

static void services(struct fleet_options *o, const char *value)
{
	static char names[FLEET_SERVICES_MAX][32];
	const char *cursor = value;
	o->n_services = 0;
	while (o->n_services < FLEET_SERVICES_MAX && text_item(&cursor, names[o->n_services], sizeof(names[0]))) {
		o->services[o->n_services] = names[o->n_services];
		o->n_services++;
	}
	if (o->n_services == 0 || cursor == NULL || *cursor != '\0')
		wrong("--services", value, "must be one to eight names");
}

static void place(struct fleet_options *o, int option, const char *value)
{
	switch (option) {
	case O_TOKENS:
		o->tokens = value;
		break;
	case O_SANDBOX:
		o->sandbox = value;
		break;
	case O_STATE:
		o->state_dir = value;
		break;
	case O_JSON:
		o->json = value;
		break;
	case O_SERVED:
		o->served = value;
		break;
	case O_SERVICES:
		services(o, value);
		break;
	case O_PIN:
		if (!text_starts(value, "sha256:") || hash_parse(value + strlen("sha256:"), &o->pin) < 0)
			wrong("--pin", value, "must be sha256: and 64 hexadecimal digits");
		o->has_pin = true;
		break;
	case O_VERSION:
		printf("vcc-fleet %s\n", VCC_VERSION);
		exit(0);
	case O_HELP:
		printf("%s", usage);
		exit(0);
	default:
		exit(2); /* getopt has said which */
	}
}

static void amount(struct fleet_options *o, int option, const char *value)
{
	switch (option) {
	case O_AGENTS:
		o->agents = number("--agents", value, FLEET_AGENTS_MAX);
		break;
	case O_PROCESSES:
		o->processes = number("--processes", value, FLEET_PROCESSES_MAX);
		break;
	case O_JOINS:
		o->joins = number("--joins", value, 512);
		break;
	case O_MEMORY:
		o->memory_mib = number("--memory", value, 16384);
		break;
	case O_FAIL:
		o->fail_share = share("--fail-share", value);
		break;
	case O_OFFLINE:
		o->offline_share = share("--offline-share", value);
		break;
	case O_REAL:
		o->real_share = share("--real", value);
		break;
	case O_SLOW:
		o->slow_share = share("--slow-link", value);
		break;
	case O_SPREAD:
		o->spread_ms = duration("--spread", value, MS_HOUR);
		break;
	case O_DEPLOY:
		distribution("--deploy-time", value, &o->deploy_min_ms, &o->deploy_max_ms);
		break;
	case O_SETTLE:
		o->settle_ms = duration("--settle-time", value, MS_HOUR);
		break;
	case O_STAGE:
		o->stage_ms = duration("--stage-after", value, MS_HOUR);
		break;
	case O_PROBE:
		o->probe_ms = duration("--probe-time", value, MS_HOUR);
		break;
	case O_RETURN:
		o->return_ms = duration("--return-at", value, MS_DAY);
		break;
	case O_STORM:
		o->storm_ms = duration("--reconnect-storm", value, MS_DAY);
		break;
	case O_SKEW:
		o->skew_ms = duration("--clock-skew", value, MS_DAY);
		break;
	case O_FOR:
		o->for_ms = duration("--for", value, MS_DAY);
		break;
	default:
		place(o, option, value);
	}
}

static void check(const struct fleet_options *o)
{
	if (o->agents == 0)
		wrong("--agents", NULL, "is needed");
	if (o->state_dir == NULL || o->state_dir[0] != '/')
		wrong("--state-dir", o->state_dir, "an absolute path is needed");
	if (o->sandbox != NULL && (o->address != NULL || o->has_pin || o->tokens != NULL))
		wrong("--sandbox", o->sandbox, "stands without ADDRESS, --pin and --tokens");
	if ((o->tokens != NULL) != (o->address != NULL) || (o->tokens != NULL) != o->has_pin)
		wrong("--tokens", o->tokens, "ADDRESS, --pin and --tokens go together");
	if (o->for_ms == 0)
		wrong("--for", "0", "a run has an end");
	if (o->agents > o->processes * FLEET_PER_PROCESS)
		wrong("--processes", NULL, "one process holds 19000 agents");
}

void fleet_options_parse(int argc, char **argv, struct fleet_options *ret)
{
	struct fleet_options o = {
		.joins = 64, .spread_ms = 10 * MS_SECOND, .settle_ms = 500, .stage_ms = -1, .probe_ms = 2 * MS_SECOND, .for_ms = MS_HOUR, .memory_mib = 2048,
		.services = {"clara"}, .n_services = 1,
	};
	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
		amount(&o, c, optarg);
	if (optind < argc)
		o.address = argv[optind++];
	if (optind < argc)
		wrong("vcc-fleet", argv[optind], "one address is enough");
	if (o.processes == 0)
		o.processes = (o.agents + FLEET_PER_PROCESS - 1) / FLEET_PER_PROCESS;
	check(&o);
	*ret = o;
}

bool fleet_share_has(double share, uint32_t agents, uint32_t index, uint32_t salt)
{
	uint64_t wanted = (uint64_t)llround(share * agents);
	uint64_t i = ((uint64_t)index + (uint64_t)salt * agents / 7) % agents;
	return (i + 1) * wanted / agents != i * wanted / agents;
}
