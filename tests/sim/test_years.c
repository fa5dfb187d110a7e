/* test_years.c - room tests/sim: does the count of renewals done before their emergency threshold count? Without faults all of
 * them are; with those of the table hardly one is not; and with twenty times as many and three days' time some are missed, each
 * with its cause. VCC_SIM_SEEDS seeds (20); one seed, one trace. `test_years SEED [CHECK]` replays a seed and prints what
 * happens, `test_years - CHECK` runs one check. Never: the simulation itself; that is tests/lib/sim_*.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/long_run.h"
#include "tests/lib/sim.h"

enum { AGENTS = 8, DAYS = 280, NONE = 0, STATED = 500, TOO_MUCH = 2000, LEAST = 10 };

static const struct {
	const char *name;
	unsigned    rate;             /* percent of what is stated */
	int         lead_days;
	bool        all, some_missed; /* of the renewals: done in time */
} checks[] = {
	{"years-quiet", NONE, 0, true, false},
	{"years-faults", STATED, 0, false, false},
	{"years-too-much", TOO_MUCH, 3, false, true},
};

struct outcome {
	struct sim_years y;
	unsigned         errors, kills;
	uint64_t         trace;
};

static struct sim_config config_of(size_t check)
{
	struct sim_config c = sim_years_config;
	c.name = checks[check].name;
	c.agents = AGENTS;
	c.days = DAYS;
	c.rate = checks[check].rate;
	c.lead_days = checks[check].lead_days;
	if (c.rate == NONE) {
		c.lose = c.twice = c.late = c.cut = c.power = 0;
		memset(c.kill, 0, sizeof(c.kill));
		c.target = 0;
	}
	return c;
}

static struct outcome run(const struct sim_config *c, uint64_t seed, bool verbose)
{
	struct sim *s = sim_new(c, seed, verbose);
	sim_run(s);
	if (s->errors == 0)
		verdict(s);
	struct outcome o = {s->years, s->errors, s->kills, s->trace};
	sim_free(s);
	return o;
}

static unsigned wrong(const char *name, uint64_t seed, const char *what)
{
	fprintf(stderr, "%s seed %" PRIu64 ": %s\n", name, seed, what);
	return 1;
}

static unsigned judge(size_t check, uint64_t seed, const struct outcome *o)
{
	const char *name = checks[check].name;
	uint32_t    missed = o->y.judged - o->y.in_time, causes = 0, faults = 0;
	unsigned    errors = o->errors;
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		causes += o->y.cause[i];
	for (size_t i = 0; i < FAULT_COUNT; i++)
		faults += o->y.begun[i];
	if (o->y.judged < LEAST)
		errors += wrong(name, seed, "hardly anything came due");
	if (causes != missed || o->y.n_misses != (missed < SIM_MISSES ? missed : SIM_MISSES) || o->y.ended > missed)
		errors += wrong(name, seed, "what was missed and its causes do not add up");
	if (checks[check].all && missed > 0)
		errors += wrong(name, seed, "nothing went wrong, and a renewal was late");
	if (checks[check].all != (faults == 0))
		errors += wrong(name, seed, checks[check].all ? "nothing was to go wrong" : "nothing went wrong");
	if (!checks[check].all && !checks[check].some_missed && missed * 50 > o->y.judged)
		errors += wrong(name, seed, "more than one of fifty was late");
	return errors;
}

static unsigned check(size_t i, uint64_t seeds)
{
	struct sim_config c = config_of(i);
	unsigned          errors = 0;
	uint32_t          judged = 0, in_time = 0, away = 0;
	uint64_t          before = 0;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct outcome o = run(&c, seed, false);
		errors += judge(i, seed, &o);
		if (seed == 1 && run(&c, seed, false).trace != o.trace)
			errors += wrong(c.name, seed, "two runs, two traces");
		if (o.trace == before)
			errors += wrong(c.name, seed, "two seeds, one trace");
		before = o.trace;
		judged += o.y.judged;
		in_time += o.y.in_time;
		away += o.y.cause[FAULT_HOST_GONE];
	}
	if (checks[i].some_missed && (away == 0 || in_time == 0))
		errors += wrong(c.name, 0, "hosts were away for weeks, and that was not counted");
	printf("%s %zu - %s, %" PRIu64 " seeds: %" PRIu32 " of %" PRIu32 " renewals before their emergency threshold\n",
	       errors == 0 ? "ok" : "not ok", i + 1, c.name, seeds, in_time, judged);
	fflush(stdout);
	return errors;
}

int main(int argc, char **argv)
{
	const char *text = getenv("VCC_SIM_SEEDS");
	uint64_t    seeds = long_run() ? 100 : text != NULL ? strtoull(text, NULL, 10) : 20;
	unsigned    errors = 0, runs = 0;
	for (size_t i = 0; i < N_ELEMENTS(checks); i++) {
		if (argc > 2 && strcmp(argv[2], checks[i].name) != 0)
			continue;
		struct sim_config c = config_of(i);
		runs++;
		errors += argc > 1 && strcmp(argv[1], "-") != 0 ? run(&c, strtoull(argv[1], NULL, 10), true).errors
								: check(i, seeds);
	}
	return errors == 0 && runs > 0 && seeds > 0 ? 0 : 1;
}
