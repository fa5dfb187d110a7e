/* survey.c - room agent/survey: the verbs' command lines.
 * Never: doing the work itself. */
#include "agent/survey/survey.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/survey/discover.h"
#include "agent/survey/doctor.h"
#include "agent/survey/manage.h"
#include "agent/survey/observe_report.h"
#include "agent/survey/observe_show.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/program_table.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

/* What the command line said; each verb takes its own part of it. */
struct request {
	const char       *verb;
	const char       *config;
	const char       *name; /* of the target */
	bool              json;
	bool              all;
	bool              no_report;
	const char       *template_id;
	enum renewer_kind from;
	bool              dry_run;
	bool              fix;
	struct agent_conf conf;
};

typedef int run_fn(struct request *q);

struct verb {
	const char *name;
	const char *options; /* letters of the options below that it takes */
	int         least_names, most_names;
	run_fn     *run;
};

static int fail(const struct refusal *why)
{
	char text[640];
	fprintf(stderr, "vcc-agent: %s\n", refusal_text(why, text, sizeof(text)));
	return STATUS_FAILED;
}

static int print_json(json_t *o)
{
	if (o == NULL || json_dumpf(o, stdout, JSON_INDENT(2)) != 0) {
		json_decref(o);
		return STATUS_FAILED;
	}
	printf("\n");
	json_decref(o);
	return STATUS_DONE;
}

static void show_report(enum report_result r)
{
	static const char *const words[] = {
		[REPORT_SENT] = "the controller is told",
		[REPORT_KEPT] = "the controller is away; the keeper tells it as soon as it is back",
		[REPORT_NOBODY] = "not reported: no keeper runs here (this host has not joined, or it is not started)",
	};
	if ((size_t)r < N_ELEMENTS(words))
		printf("%s\n", words[r]);
}

static int run_observe(struct request *q)
{
	struct observation o = {.n = 0};
	struct refusal     why = {.code = 0};
	enum report_result reported = REPORT_NOT_ASKED;
	int                status = STATUS_DONE;
	int                r = observe(&o, &why);
	if (r == 0 && !q->no_report)
		reported = observe_report(&o, q->conf.keeper_socket, &why);
	if (r == 0 && q->json) {
		json_t *json = observe_show_json(&o);
		json_object_set_new(json, "report", json_string(report_result_name(reported)));
		status = print_json(json);
	} else if (r == 0) {
		observe_show_table(&o, q->all);
		show_report(reported);
	}
	observation_free(&o);
	return why.code != 0 ? fail(&why) : status;
}

static int run_discover(struct request *q)
{
	return discover(&q->conf, q->name, q->template_id, q->json);
}

static int run_manage(struct request *q)
{
	const struct manage_request m = {
		.conf = &q->conf, .name = q->name, .template_id = q->template_id, .from = q->from, .dry_run = q->dry_run};
	return manage(&m);
}

static int run_unmanage(struct request *q)
{
	return unmanage(&q->conf, q->name);
}

static int run_doctor(struct request *q)
{
	return doctor(&q->conf, q->fix, q->json);
}

static const struct verb verbs[] = {
	{"observe", "coar", 0, 0, run_observe}, {"discover", "cot", 0, 1, run_discover}, {"manage", "ctfd", 1, 1, run_manage},
	{"unmanage", "c", 1, 1, run_unmanage},  {"doctor", "cox", 0, 0, run_doctor},
};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"output", required_argument, NULL, 'o'},
	{"all", no_argument, NULL, 'a'},
	{"no-report", no_argument, NULL, 'r'},
	{"template", required_argument, NULL, 't'},
	{"from", required_argument, NULL, 'f'},
	{"dry-run", no_argument, NULL, 'd'},
	{"fix", no_argument, NULL, 'x'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int usage(const struct verb *v, FILE *to)
{
	program_help("vcc-agent", v->name, to);
	return to == stdout ? STATUS_DONE : STATUS_USAGE;
}

/* -1: go on; else the exit status. */
static int option_take(const struct verb *v, struct request *q, int c)
{
	if (c == 'h')
		return usage(v, stdout);
	if (c == '?' || c == ':' || strchr(v->options, c) == NULL)
		return usage(v, stderr);
	switch (c) {
	case 'c':
		q->config = optarg;
		break;
	case 'o':
		if (!text_equal(optarg, "json") && !text_equal(optarg, "table"))
			return usage(v, stderr);
		q->json = text_equal(optarg, "json");
		break;
	case 'a':
		q->all = true;
		break;
	case 'd':
		q->dry_run = true;
		break;
	case 'f':
		q->from = renewer_kind_parse(optarg);
		if (q->from == RENEWER_KIND_COUNT)
			return usage(v, stderr);
		break;
	case 'x':
		q->fix = true;
		break;
	case 't':
		q->template_id = optarg;
		break;
	case 'r':
		q->no_report = true;
		break;
	default:
		return usage(v, stderr);
	}
	return -1;
}

/* An installed package has the file; a program that was only copied here works with the defaults. */
static int conf_read(struct request *q, struct refusal *why)
{
	static const struct span nothing = {(const uint8_t *)"", 0};
	if (text_equal(q->config, AGENT_CONF_PATH) && access(AGENT_CONF_PATH, F_OK) != 0)
		return conf_parse(&agent_schema, "defaults", nothing, &q->conf, why);
	return conf_load(&agent_schema, q->config, &q->conf, NULL, why);
}

static int verb_run(const struct verb *v, int argc, char **argv)
{
	static struct request q;
	struct refusal        why = {.code = 0};
	q = (struct request){.verb = v->name, .config = AGENT_CONF_PATH};
	for (int c; (c = getopt_long(argc, argv, "o:h", options, NULL)) != -1;) {
		int status = option_take(v, &q, c);
		if (status >= 0)
			return status;
	}
	if (argc - optind < v->least_names || argc - optind > v->most_names)
		return usage(v, stderr);
	q.name = optind < argc ? argv[optind] : NULL;
	if (conf_read(&q, &why) < 0)
		return fail(&why);
	return v->run(&q);
}

bool survey_verb(int argc, char **argv, int *ret_status)
{
	for (size_t i = 0; i < N_ELEMENTS(verbs); i++)
		if (argc > 0 && text_equal(argv[0], verbs[i].name)) {
			*ret_status = verb_run(&verbs[i], argc, argv);
			return true;
		}
	return false;
}
