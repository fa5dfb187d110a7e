/* test_sim.c - room tests/sim: does everything end well, whatever is lost, doubled, cut or killed?
 * Each check of a few hosts runs VCC_SIM_SEEDS seeds (50), each of the whole fleet half as many (VCC_LONG=1: four times as many), each seed
 * twice: one seed always gives one trace, another gives another. `test_sim SEED [CHECK]` replays a seed and prints what happens,
 * `test_sim - CHECK` runs one check. Never: the simulation itself; that is tests/lib/sim_*.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/sim.h"

enum { SHARES = 2, FLEET_SEEDS = 20 };

static const struct sim_config checks[] = {
	{.name = "quiet"},
	{.name = "network", .lose = 60, .twice = 60, .late = 60, .cut = 20},
	{.name = "controller", .kill = {[SIM_CONTROLLER] = 25}},
	{.name = "gateway", .kill = {[SIM_GATEWAY] = 25}},
	{.name = "signer", .kill = {[SIM_SIGNER] = 150}},
	{.name = "agent", .kill = {[SIM_AGENT] = 30}, .power = 500},
	{.name = "target", .target = 400},
	{.name = "cancel", .cancel = 30, .lose = 20},
	{.name = "everything",
	 .lose = 30,
	 .twice = 30,
	 .late = 30,
	 .cut = 10,
	 .kill = {8, 8, 30, 8},
	 .power = 300,
	 .target = 150,
	 .cancel = 5},
};

/* The whole fleet, renewed by campaigns. Fewer seeds: each is two hundred hosts. */
static const struct sim_config fleets[] = {
	{.name = "fleet-quiet", .agents = 200, .certs = 1, .campaigns = true, .staged = true},
	{.name = "fleet-kills", .agents = 200, .certs = 1, .campaigns = true, .staged = true, .kill = {2, 1, 15, 1}, .power = 300},
	{.name = "fleet-network", .agents = 200, .certs = 1, .campaigns = true, .lose = 20, .twice = 20, .late = 20, .cut = 2, .jump = 5},
	{.name = "fleet-everything",
	 .agents = 200,
	 .certs = 1,
	 .campaigns = true,
	 .staged = true,
	 .lose = 10,
	 .twice = 10,
	 .late = 10,
	 .cut = 2,
	 .kill = {2, 1, 10, 1},
	 .power = 300,
	 .target = 60,
	 .cancel = 1,
	 .jump = 3},
};

struct outcome {
	unsigned errors, kills, completed, failures, cancelled, unverified, halts, resumes, overtaken, staged, jumps;
	uint64_t trace;
};

static struct outcome run(const struct sim_config *config, uint64_t seed, bool verbose)
{
	struct sim *s = sim_new(config, seed, verbose);
	sim_run(s);
	if (s->errors == 0)
		verdict(s);
	struct outcome o = {s->errors, s->kills,   s->completed, s->failures,   s->cancelled, s->unverified,
			    s->halts,  s->resumes, s->overtaken, s->with_stage, s->jumps,     s->trace};
	sim_free(s);
	return o;
}

/* A check that never meets what it is about proves nothing. */
static bool met(const struct sim_config *c, const struct outcome *sum)
{
	bool kills = false;
	for (int role = 0; role < SIM_ROLES; role++)
		kills = kills || c->kill[role] > 0;
	bool fleet = !c->campaigns || (sum->halts > 0 && sum->resumes > 0 && sum->overtaken > 0);
	return fleet && (!c->staged || sum->staged > 0) && (c->jump == 0 || sum->jumps > 0) && sum->completed > 0 && (!kills || sum->kills > 0) && (c->target == 0 || sum->failures > 0) &&
	       (c->cancel == 0 || sum->cancelled > 0);
}

static void add(struct outcome *sum, const struct outcome *a)
{
	sum->errors += a->errors;
	sum->kills += a->kills;
	sum->completed += a->completed;
	sum->failures += a->failures;
	sum->cancelled += a->cancelled;
	sum->unverified += a->unverified;
	sum->halts += a->halts;
	sum->resumes += a->resumes;
	sum->overtaken += a->overtaken;
	sum->staged += a->staged;
	sum->jumps += a->jumps;
}

/* Every `step`th seed, each twice. */
static struct outcome share(const struct sim_config *c, uint64_t first, uint64_t last, uint64_t step)
{
	struct outcome sum = {0};
	uint64_t       before = 0;
	for (uint64_t seed = first; seed <= last; seed += step) {
		struct outcome a = run(c, seed, false);
		if (a.errors == 0 && run(c, seed, false).trace != a.trace) {
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
static unsigned check(const struct sim_config *c, uint64_t seeds, unsigned number)
{
	struct outcome sum = all_seeds(c, seeds);
	bool enough = !c->campaigns || seeds >= FLEET_SEEDS; /* a person seldom halts one */
	if (sum.errors == 0 && enough && !met(c, &sum)) {
		fprintf(stderr, "%s: nothing of what it is about ever happened\n", c->name);
		sum.errors++;
	}
	printf("%s %u - %s, %" PRIu64 " seeds: %u orders completed (%u unproved), %u cancelled, %u failed attempts, %u deaths",
	       sum.errors == 0 ? "ok" : "not ok", number, c->name, seeds, sum.completed, sum.unverified, sum.cancelled,
	       sum.failures, sum.kills);
	if (c->campaigns)
		printf(", %u halts, %u resumed, %u orders overtaken, %u with a staged key, %u jumps", sum.halts, sum.resumes, sum.overtaken,
		       sum.staged, sum.jumps);
	printf("\n");
	fflush(stdout);
	return sum.errors;
}

int main(int argc, char **argv)
{
	const char *text = getenv("VCC_SIM_SEEDS");
	uint64_t    seeds = text != NULL ? strtoull(text, NULL, 10) : 50;
	bool        all = getenv("VCC_LONG") != NULL && strcmp(getenv("VCC_LONG"), "1") == 0;
	uint64_t    fleet_seeds = all ? 4 * seeds : (seeds + 1) / 2;
	unsigned    errors = 0, runs = 0;
	for (size_t i = 0; i < N_ELEMENTS(checks) + N_ELEMENTS(fleets); i++) {
		bool                     small = i < N_ELEMENTS(checks);
		const struct sim_config *c = small ? &checks[i] : &fleets[i - N_ELEMENTS(checks)];
		if (argc > 2 && strcmp(argv[2], c->name) != 0)
			continue;
		runs++;
		errors += argc > 1 && strcmp(argv[1], "-") != 0 ? run(c, strtoull(argv[1], NULL, 10), true).errors : check(c, small ? seeds : fleet_seeds, runs);
	}
	return errors == 0 && runs > 0 && seeds > 0 ? 0 : 1;
}
