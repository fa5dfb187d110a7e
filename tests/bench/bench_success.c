/* bench_success.c - how many renewals are done before their emergency threshold, without an operator, while everything that can
 * go wrong does? usage: bench_success [RENEWALS [PERCENT [SEED]]]: so many at least (100000), at this part of the stated rates
 * of faults (100), from this seed on (1). Two processes share the seeds. Prints one JSON object. Never: another result for the
 * same words. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/sim.h"

enum { SHARES = 2 };

struct sum {
	struct sim_years y; /* misses of the first runs that had any */
	uint64_t         seed[SIM_MISSES];
	uint32_t         runs, errors, kills, failures;
};

static void add(struct sum *to, const struct sum *a)
{
	const uint32_t *from[] = {&a->y.judged,    &a->y.in_time,  &a->y.ended,   &a->y.first,
				  &a->y.completed, &a->y.attempts, &a->y.retried, &a->y.paused};
	uint32_t       *into[] = {&to->y.judged,    &to->y.in_time,  &to->y.ended,   &to->y.first,
				  &to->y.completed, &to->y.attempts, &to->y.retried, &to->y.paused};
	for (size_t i = 0; i < N_ELEMENTS(from); i++)
		*into[i] += *from[i];
	for (size_t i = 0; i < FAULT_COUNT; i++)
		to->y.begun[i] += a->y.begun[i];
	for (size_t i = 0; i < CAUSE_COUNT; i++)
		to->y.cause[i] += a->y.cause[i];
	for (size_t i = 0; i < a->y.n_misses && to->y.n_misses < SIM_MISSES; i++) {
		to->seed[to->y.n_misses] = a->seed[i];
		to->y.miss[to->y.n_misses++] = a->y.miss[i];
	}
	to->runs += a->runs;
	to->errors += a->errors;
	to->kills += a->kills;
	to->failures += a->failures;
}

static void run(const struct sim_config *config, uint64_t seed, struct sum *to)
{
	struct sim *s = sim_new(config, seed, false);
	sim_run(s);
	if (s->errors == 0)
		verdict(s);
	struct sum one = {.y = s->years, .runs = 1, .errors = s->errors, .kills = s->kills, .failures = s->failures};
	for (size_t i = 0; i < SIM_MISSES; i++)
		one.seed[i] = seed;
	add(to, &one);
	sim_free(s);
}

/* On two cores. A share that ends without a word counts as an error. */
static struct sum all(const struct sim_config *config, uint32_t renewals, uint64_t first)
{
	struct sum sum = {.runs = 0};
	int        ends[SHARES];
	pid_t      pids[SHARES];
	for (unsigned i = 0; i < SHARES; i++) {
		int pipes[2];
		if (pipe(pipes) != 0 || (pids[i] = fork()) < 0)
			abort();
		if (pids[i] == 0) {
			struct sum mine = {.runs = 0};
			for (uint64_t seed = first + i; mine.y.judged < (renewals + SHARES - 1) / SHARES && mine.errors == 0;
			     seed += SHARES)
				run(config, seed, &mine);
			_exit(write(pipes[1], &mine, sizeof(mine)) == (ssize_t)sizeof(mine) ? 0 : 1);
		}
		close(pipes[1]);
		ends[i] = pipes[0];
	}
	for (unsigned i = 0; i < SHARES; i++) {
		struct sum part;
		size_t     got = 0;
		for (ssize_t n; got < sizeof(part) && (n = read(ends[i], (uint8_t *)&part + got, sizeof(part) - got)) > 0;)
			got += (size_t)n;
		if (got == sizeof(part))
			add(&sum, &part);
		else
			sum.errors++;
		close(ends[i]);
		(void)waitpid(pids[i], NULL, 0);
	}
	return sum;
}

static void print_causes(const struct sum *sum)
{
	const char *comma = "";
	char        name[64];
	printf(",\"causes\":{");
	for (unsigned i = 0; i < CAUSE_COUNT; i++) {
		if (sum->y.cause[i] == 0)
			continue;
		printf("%s\"%s\":%" PRIu32, comma, sim_cause_name(i, name), sum->y.cause[i]);
		comma = ",";
	}
	printf("}");
}

static void print_faults(const struct sim_config *config, const struct sum *sum)
{
	static const char *const scopes[] = {
		[FAULT_OF_HOST] = "host", [FAULT_OF_SITE] = "a tenth of the hosts", [FAULT_OF_ALL] = "installation"};
	char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	printf(",\"faults\":{");
	for (unsigned i = 0; i < FAULT_COUNT; i++) {
		const struct sim_fault_kind *k = &sim_fault_kinds[i];
		printf("%s\"%s\":{\"rows\":\"%s\",\"of\":\"%s\",\"a_year\":%g,\"from\":\"%s\",\"to\":\"%s\",\"happened\":"
		       "%" PRIu32 "}",
		       i > 0 ? "," : "", k->name, k->rows, scopes[k->scope], k->a_century * config->rate / 1e4,
		       duration_text(k->least_ms, from), duration_text(k->most_ms, to), sum->y.begun[i]);
	}
	printf("}");
}

static void print_misses(const struct sum *sum)
{
	char code[ERR_CODE_SIZE], name[64];
	printf(",\"misses\":[");
	for (size_t i = 0; i < sum->y.n_misses; i++) {
		const struct sim_miss *m = &sum->y.miss[i];
		printf("%s{\"seed\":%" PRIu64
		       ",\"cert_id\":\"%s\",\"day\":%lld,\"cause\":\"%s\",\"phase\":\"%s\",\"code\":\"%s\",\"expired\":%s}",
		       i > 0 ? "," : "", sum->seed[i], m->cert_id, (long long)(m->at / MS_DAY), sim_cause_name(m->cause, name),
		       m->phase == ORDER_PHASE_COUNT ? "" : order_phase_name(m->phase),
		       m->code != 0 ? err_code(m->code, code) : "", m->ended ? "true" : "false");
	}
	printf("]");
}

static void print(const struct sim_config *c, const struct sum *sum)
{
	printf("{\"id\":\"success-rate\",\"renewals\":%" PRIu32 ",\"in_time\":%" PRIu32 ",\"percent\":%.4f,\"expired\":%" PRIu32
	       ",\"runs\":%" PRIu32 ",\"errors\":%" PRIu32,
	       sum->y.judged, sum->y.in_time, sum->y.judged > 0 ? 100.0 * sum->y.in_time / sum->y.judged : 0, sum->y.ended,
	       sum->runs, sum->errors);
	printf(",\"hosts\":%d,\"days\":%d,\"host_years\":%.0f,\"first_issues\":%" PRIu32 ",\"orders\":%" PRIu32
	       ",\"attempts\":%" PRIu32 ",\"more_than_one_attempt\":%" PRIu32 ",\"rests_of_a_day\":%" PRIu32
	       ",\"deaths\":%" PRIu32,
	       c->agents, c->days, sum->runs * (double)c->agents * c->days / 365.25, sum->y.first, sum->y.completed,
	       sum->y.attempts, sum->y.retried, sum->y.paused, sum->kills);
	printf(",\"per_mille\":{\"message_lost\":%u,\"message_twice\":%u,\"message_late\":%u,\"link_cut_at_a_message\":%u,"
	       "\"controller_dies_at_a_point\":%u,"
	       "\"gateway_dies_at_a_point\":%u,\"signer_dies_at_a_point\":%u,\"agent_dies_at_a_point\":%u,\"of_those_power_"
	       "cuts\":%u,\"swap_goes_wrong\":%u}",
	       c->lose, c->twice, c->late, c->cut, c->kill[SIM_CONTROLLER], c->kill[SIM_GATEWAY], c->kill[SIM_SIGNER],
	       c->kill[SIM_AGENT], c->power, c->target);
	print_causes(sum);
	print_faults(c, sum);
	print_misses(sum);
	printf("}\n");
}

static int64_t word(int argc, char **argv, int i, int64_t otherwise)
{
	int64_t n = otherwise;
	if (i < argc && text_i64(argv[i], 0, 10000000, &n) < 0) {
		fprintf(stderr, "usage: bench_success [RENEWALS [PERCENT [SEED]]]\n");
		exit(2);
	}
	return n;
}

int main(int argc, char **argv)
{
	struct sim_config config = sim_years_config;
	int64_t           renewals = word(argc, argv, 1, 100000);
	config.rate = (unsigned)word(argc, argv, 2, config.rate);
	struct sum sum = all(&config, (uint32_t)renewals, (uint64_t)word(argc, argv, 3, 1));
	print(&config, &sum);
	return sum.errors == 0 ? 0 : 1;
}
