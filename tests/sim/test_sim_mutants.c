/* test_sim_mutants.c - room tests/sim: would the simulation see a mistake? Each row does one thing wrong on purpose, and the invariant
 * that it is against must be found broken within a few seeds; without it the same seeds must be clean.
 * Never: the simulation itself; that is tests/lib/sim_*.c. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/lib/sim.h"

enum { SEEDS = 40 };

static const struct {
	const char        *name;
	enum sim_invariant broken;
	struct sim_config  c;
} mutants[] = {
	{"files are not synced before the flip", SIM_WHOLE_PAIR, {.kill = {[SIM_AGENT] = 30}, .power = 1000, .mutant = MUTANT_NO_SYNC}},
	{"files are written in place", SIM_WHOLE_PAIR, {.mutant = MUTANT_IN_PLACE}},
	{"a start relies on what is not synced", SIM_SERVED, {.kill = {[SIM_AGENT] = 60}, .power = 300, .mutant = MUTANT_NO_SYNC_START}},
	{"the probe looks at files, and no reload works", SIM_SERVED, {.mutant = MUTANT_PROBE_LIES}},
	{"receipts are acknowledged before they are stored", SIM_ACKNOWLEDGED, {.kill = {[SIM_CONTROLLER] = 50}, .mutant = MUTANT_ACK_EARLY}},
	{"the signer is asked before the intent is stored", SIM_INTENT, {.mutant = MUTANT_SIGN_EARLY}},
	{"a record of the audit trail is changed", SIM_AUDIT, {.mutant = MUTANT_AUDIT_EDIT}},
	{"a request carries the private key", SIM_KEY_STAYS, {.mutant = MUTANT_KEY_SENT}},
	{"nobody looks again at orders that wait", SIM_ONE_END, {.target = 400, .mutant = MUTANT_NO_TIMER}},
	{"failures are told without a cause", SIM_CLEAR_ERROR, {.target = 400, .mutant = MUTANT_NO_CAUSE}},
};

/* What was found broken with this seed; bits of invariants, and whether anything was. */
static unsigned run(const struct sim_config *config, uint64_t seed, unsigned *ret_errors)
{
	struct sim *s = sim_new(config, seed, false);
	s->mute = true;
	sim_run(s);
	if (s->errors == 0)
		verdict(s);
	unsigned broken = s->broken;
	*ret_errors = s->errors;
	sim_free(s);
	return broken;
}

static bool check(size_t i)
{
	struct sim_config c = mutants[i].c;
	unsigned          errors, clean_errors = 0;
	uint64_t          found = 0;
	c.name = mutants[i].name;
	for (uint64_t seed = 1; seed <= SEEDS && found == 0; seed++)
		if ((run(&c, seed, &errors) & 1u << mutants[i].broken) != 0)
			found = seed;
	c.mutant = MUTANT_NONE;
	for (uint64_t seed = 1; seed <= found; seed++) {
		(void)run(&c, seed, &errors);
		clean_errors += errors;
	}
	bool ok = found != 0 && clean_errors == 0;
	printf("%s %zu - %s: I%d is broken with seed %" PRIu64 ", %u errors without it\n", ok ? "ok" : "not ok", i + 1, c.name,
	       (int)mutants[i].broken, found, clean_errors);
	return ok;
}

int main(void)
{
	bool ok = true;
	for (size_t i = 0; i < N_ELEMENTS(mutants); i++)
		ok = check(i) && ok;
	return ok ? 0 : 1;
}
