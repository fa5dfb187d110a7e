/* test_sim.c - room tests/sim: does everything end well, whatever is lost, doubled, cut, parted or killed, and whatever the clocks say?
 * Each check of a few hosts runs VCC_SIM_SEEDS seeds (200), each of the whole fleet a fifth of them, three days of a hundred hosts a twentieth;
 * with VCC_LONG=1 all as many, three days of a thousand hosts, too. Every tenth runs twice: one seed always gives one trace, another gives another. `test_sim SEED CHECK` replays a
 * seed and prints what happens, `test_sim - CHECK` runs one check. Never: the simulation itself; that is tests/lib/sim_*.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/times.h"
#include "tests/lib/long_run.h"
#include "tests/lib/sim.h"

enum { SHARES = 2, FLEET_SEEDS = 20, TWICE_EACH = 10 };

/* Of how many seeds each of a kind takes one, unless all are asked for (0: none then); and the least that meet everything. */
enum kind { FEW, FLEET, DAYS, LONG, KINDS };
static const uint64_t share_of[KINDS] = {1, 5, 20, 0}, least_of[KINDS] = {5, FLEET_SEEDS, 1, 1};

#define DAYS_OF(name_)                                                                                                         \
	.name = name_, .certs = 1, .staged = true, .days = 3, .life_hours = 24, .rate = 1000, .lose = 1, .twice = 1, .late = 5, \
	.cut = 1, .kill = {[SIM_AGENT] = 2}, .fall = 20, .power = 300, .target = 20

static const struct check {
	enum kind         kind;
	struct sim_config c;
} checks[] = {
	{FEW, {.name = "quiet"}},
	{FEW, {.name = "network", .lose = 60, .twice = 60, .late = 60, .cut = 20}},
	{FEW, {.name = "parted", .part = 20}},
	{FEW, {.name = "controller", .kill = {[SIM_CONTROLLER] = 25}}},
	{FEW, {.name = "gateway", .kill = {[SIM_GATEWAY] = 25}}},
	{FEW, {.name = "signer", .kill = {[SIM_SIGNER] = 150}}},
	{FEW, {.name = "agent", .kill = {[SIM_AGENT] = 30}, .power = 500}},
	{FEW, {.name = "power", .kill = {[SIM_AGENT] = 40}, .power = 1000}},
	{FEW, {.name = "host-clocks", .host_jump = 5}},
	{FEW, {.name = "target", .target = 400}},
	{FEW, {.name = "cancel", .cancel = 30, .lose = 20}},
	{FEW,
	 {.name = "everything",
	  .lose = 30,
	  .twice = 30,
	  .late = 30,
	  .cut = 10,
	  .part = 5,
	  .kill = {8, 8, 30, 8},
	  .power = 300,
	  .target = 150,
	  .cancel = 5,
	  .host_jump = 2}},

	/* the whole fleet, renewed by campaigns */
	{FLEET, {.name = "fleet-quiet", .agents = 200, .certs = 1, .campaigns = true, .staged = true}},
	{FLEET, {.name = "fleet-kills", .agents = 200, .certs = 1, .campaigns = true, .staged = true, .kill = {2, 1, 15, 1}, .power = 300}},
	{FLEET, {.name = "fleet-network", .agents = 200, .certs = 1, .campaigns = true, .lose = 20, .twice = 20, .late = 20, .cut = 2, .part = 5, .jump = 5}},
	{FLEET,
	 {.name = "fleet-everything",
	  .agents = 200,
	  .certs = 1,
	  .campaigns = true,
	  .staged = true,
	  .lose = 10,
	  .twice = 10,
	  .late = 10,
	  .cut = 2,
	  .part = 2,
	  .kill = {2, 1, 10, 1},
	  .power = 300,
	  .target = 60,
	  .cancel = 1,
	  .jump = 3}},

	/* three days with certificates of one, and ten times the faults that are stated for years: a hundred hosts, and a thousand */
	{DAYS, {DAYS_OF("days"), .agents = 100}},
	{LONG, {DAYS_OF("days-fleet"), .agents = 1000}},
};

struct outcome {
	unsigned errors, kills, completed, failures, cancelled, unverified, halts, resumes, overtaken, staged, jumps, parted, reverted, faults;
	uint64_t trace, events;
	int64_t  ms; /* that passed in it */
};

static struct outcome run(const struct sim_config *config, uint64_t seed, bool verbose)
{
	struct sim *s = sim_new(config, seed, verbose);
	sim_run(s);
	if (s->errors == 0)
		verdict(s);
	struct outcome o = {.errors = s->errors,
			    .kills = s->kills,
			    .completed = s->completed,
			    .failures = s->failures,
			    .cancelled = s->cancelled,
			    .unverified = s->unverified,
			    .halts = s->halts,
			    .resumes = s->resumes,
			    .overtaken = s->overtaken,
			    .staged = s->with_stage,
			    .jumps = s->jumps,
			    .parted = s->parted,
			    .reverted = s->reverted,
			    .trace = s->trace,
			    .events = s->events,
			    .ms = s->now - s->begun_at};
	for (size_t i = 0; i < FAULT_COUNT; i++)
		o.faults += s->years.begun[i];
	sim_free(s);
	return o;
}

/* A check that never meets what it is about proves nothing. */
static bool met(const struct sim_config *c, const struct outcome *sum)
{
	bool kills = false;
	for (int role = 0; role < SIM_ROLES; role++)
		kills = kills || c->kill[role] > 0;
	const struct {
		bool     wanted;
		unsigned seen;
	} rows[] = {
		{true, sum->completed},           {kills, sum->kills},
		{c->campaigns, sum->halts},       {c->campaigns, sum->resumes},
		{c->campaigns, sum->overtaken},   {c->staged, sum->staged},
		{c->jump > 0, sum->jumps},        {c->host_jump > 0, sum->jumps},
		{c->part > 0, sum->parted},       {c->power == 1000, sum->reverted},
		{c->target > 0, sum->failures},   {c->cancel > 0, sum->cancelled},
		{c->days > 0, sum->faults},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (rows[i].wanted && rows[i].seen == 0)
			return false;
	return true;
}

static void add(struct outcome *sum, const struct outcome *a)
{
	unsigned *const       to[] = {&sum->errors, &sum->kills, &sum->completed, &sum->failures, &sum->cancelled, &sum->unverified, &sum->halts,
				      &sum->resumes, &sum->overtaken, &sum->staged, &sum->jumps, &sum->parted, &sum->reverted, &sum->faults};
	const unsigned *const from[] = {&a->errors, &a->kills, &a->completed, &a->failures, &a->cancelled, &a->unverified, &a->halts,
					&a->resumes, &a->overtaken, &a->staged, &a->jumps, &a->parted, &a->reverted, &a->faults};
	for (size_t i = 0; i < N_ELEMENTS(to); i++)
		*to[i] += *from[i];
	sum->trace ^= a->trace; /* in whatever order the seeds were run */
	sum->events += a->events;
	sum->ms += a->ms;
}

/* Every `step`th seed. */
static struct outcome share(const struct sim_config *c, uint64_t first, uint64_t last, uint64_t step)
{
	struct outcome sum = {0};
	uint64_t       before = 0;
	for (uint64_t seed = first; seed <= last; seed += step) {
		struct outcome a = run(c, seed, false);
		if (a.errors == 0 && (seed - 1) / step % TWICE_EACH == 0 && run(c, seed, false).trace != a.trace) {
			fprintf(stderr, "%s seed %" PRIu64 ": two runs, two traces\n", c->name, seed);
			a.errors++;
		}
		if (a.trace == before) {
			fprintf(stderr, "%s seed %" PRIu64 ": two seeds, one trace\n", c->name, seed);
			a.errors++;
		}
		before = a.trace;
		if (a.errors > 0)
			fprintf(stderr, "replay: build/tests/test_sim %" PRIu64 " %s\n", seed, c->name);
		add(&sum, &a);
	}
	return sum;
}

/* On two cores. A share whose process ends without a word counts as an error. */
static struct outcome all_seeds(const struct sim_config *c, uint64_t seeds)
{
	struct outcome sum = {0};
	int            ends[SHARES];
	pid_t          pids[SHARES];
	for (unsigned i = 0; i < SHARES; i++) {
		int pipes[2];
		if (pipe(pipes) != 0 || (pids[i] = fork()) < 0)
			abort();
		if (pids[i] == 0) {
			struct outcome mine = share(c, i + 1, seeds, SHARES);
			_exit(write(pipes[1], &mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
		}
		close(pipes[1]);
		ends[i] = pipes[0];
	}
	for (unsigned i = 0; i < SHARES; i++) {
		struct outcome part;
		if (read(ends[i], &part, sizeof(part)) == (ssize_t)sizeof(part))
			add(&sum, &part);
		else
			sum.errors++;
		close(ends[i]);
		(void)waitpid(pids[i], NULL, 0);
	}
	return sum;
}

/* One TAP line per check. */
static unsigned check(const struct check *k, uint64_t seeds, unsigned number)
{
	const struct sim_config *c = &k->c;
	struct outcome           sum = all_seeds(c, seeds);
	if (sum.errors == 0 && seeds >= least_of[k->kind] && !met(c, &sum)) {
		fprintf(stderr, "%s: something of what it is about never happened\n", c->name);
		sum.errors++;
	}
	printf("%s %u - %s, %" PRIu64 " seeds, trace %016" PRIx64 ": %" PRId64 " h, %" PRIu64 " events, %u orders completed (%u unproved), %u cancelled, "
	       "%u failed attempts, %u deaths, %u parted, %u jumps",
	       sum.errors == 0 ? "ok" : "not ok", number, c->name, seeds, sum.trace, sum.ms / MS_HOUR, sum.events, sum.completed, sum.unverified,
	       sum.cancelled, sum.failures, sum.kills, sum.parted, sum.jumps);
	if (c->campaigns)
		printf(", %u halts, %u resumed, %u orders overtaken", sum.halts, sum.resumes, sum.overtaken);
	if (c->staged)
		printf(", %u with a staged key", sum.staged);
	if (c->days > 0)
		printf(", %u faults of the catalogue", sum.faults);
	printf("\n");
	fflush(stdout);
	return sum.errors;
}

static uint64_t seeds_of(enum kind kind)
{
	const char *text = getenv("VCC_SIM_SEEDS");
	uint64_t    seeds = text != NULL ? strtoull(text, NULL, 10) : 200;
	return long_run() ? seeds : share_of[kind] == 0 ? 0 : (seeds + share_of[kind] - 1) / share_of[kind];
}

int main(int argc, char **argv)
{
	unsigned errors = 0, runs = 0;
	for (size_t i = 0; i < N_ELEMENTS(checks); i++) {
		if (argc > 2 && strcmp(argv[2], checks[i].c.name) != 0)
			continue;
		bool replay = argc > 1 && strcmp(argv[1], "-") != 0;
		if (!replay && seeds_of(checks[i].kind) == 0)
			continue;
		runs++;
		errors += replay ? run(&checks[i].c, strtoull(argv[1], NULL, 10), true).errors : check(&checks[i], seeds_of(checks[i].kind), runs);
	}
	return errors == 0 && runs > 0 && seeds_of(FEW) > 0 ? 0 : 1;
}
