/* test_crl_plan.c - are revocation lists fetched when there are others and somebody wants them, with pauses that grow, and
 * never more often than the pace allows? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/core/crl_plan.h"
#include "shared/base/times.h"

#define START INT64_C(5000000)

static const struct crl_plan_policy policy = {
	.spread_max_ms = 5000,
	.gap_ms = 1000,
	.pace_ms = 45000,
	.retry_min_ms = 1000,
	.retry_max_ms = 60000,
	.fetch_ms = 90000,
};

static struct hash hash_of(int n)
{
	struct hash h = {{0}};
	h.b[0] = (uint8_t)n;
	return h;
}

/* One line of a story: what happens, and what must come of it. */
struct line {
	int64_t                  after; /* ms since the line before */
	enum crl_plan_event_kind kind;
	int                      n;      /* the hash's number, or wanted */
	int64_t                  spread; /* the random is 3 of it */
	enum crl_plan_action     action;
	enum crl_plan_phase      phase;
	int64_t                  wait; /* until next_at; -1 = never */
};

static void run(const char *name, const struct line *lines, size_t n)
{
	struct crl_plan p = {.next_at = TIME_NEVER};
	int64_t         now = START;
	for (size_t i = 0; i < n; i++) {
		const struct line    *l = &lines[i];
		struct crl_plan_event e = {
			.kind = l->kind, .wanted = l->n != 0, .hash = hash_of(l->n), .spread_ms = l->spread, .random = 3};
		now += l->after;
		enum crl_plan_action action = crl_plan_step(&p, &e, now, &policy);
		int64_t              wait = p.next_at == TIME_NEVER ? -1 : p.next_at - now;
		if (action != l->action || p.phase != l->phase || wait != l->wait)
			fail_msg("%s, line %zu: action %d, phase %s, wait %lld", name, i + 1, (int)action,
				 crl_plan_phase_name(p.phase), (long long)wait);
	}
}
#define RUN(name, ...)                                                                                                         \
	do {                                                                                                                   \
		static const struct line lines_[] = {__VA_ARGS__};                                                             \
		run(name, lines_, sizeof(lines_) / sizeof(*lines_));                                                           \
	} while (0)

#define WANTED    CRL_PLAN_WANTED
#define ANNOUNCED CRL_PLAN_ANNOUNCED
#define LOST      CRL_PLAN_LOST
#define TIMER     CRL_PLAN_TIMER
#define TAKEN     CRL_PLAN_TAKEN
#define FAILED    CRL_PLAN_FAILED
#define NOTHING   CRL_PLAN_NOTHING
#define BEGIN     CRL_PLAN_BEGIN
#define DROP      CRL_PLAN_DROP
#define REST      CRL_PLAN_REST
#define WAIT      CRL_PLAN_WAIT
#define FETCH     CRL_PLAN_FETCH

static void nothing_is_fetched(void **state)
{
	(void)state;
	RUN("nobody wants them", {0, ANNOUNCED, 1, 0, NOTHING, REST, -1}, {0, TIMER, 0, 0, NOTHING, REST, -1});
	RUN("nobody announced any", {0, WANTED, 1, 0, NOTHING, REST, -1}, {9, TIMER, 0, 0, NOTHING, REST, -1});
	RUN("no hash is no announcement", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 0, 0, NOTHING, REST, -1});
	RUN("they are there", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {5, TAKEN, 0, 0, NOTHING, REST, -1},
	    {9000, ANNOUNCED, 1, 0, NOTHING, REST, -1}, {0, LOST, 0, 0, NOTHING, REST, -1},
	    {0, ANNOUNCED, 1, 4, NOTHING, REST, -1});
	RUN("too early", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 4, NOTHING, WAIT, 3},
	    {2, TIMER, 0, 0, NOTHING, WAIT, 1});
	RUN("answers that nobody waits for", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, TAKEN, 0, 0, NOTHING, REST, -1},
	    {0, FAILED, 0, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 4, NOTHING, WAIT, 3}, {0, TAKEN, 0, 0, NOTHING, WAIT, 3},
	    {0, FAILED, 0, 0, NOTHING, WAIT, 3});
	RUN("wanted no more", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 4, NOTHING, WAIT, 3},
	    {0, WANTED, 0, 0, NOTHING, REST, -1}, {0, WANTED, 0, 0, NOTHING, REST, -1}, {0, WANTED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, WANTED, 0, 0, DROP, REST, -1}, {0, TAKEN, 0, 0, NOTHING, REST, -1});
	RUN("nobody to ask", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 4, NOTHING, WAIT, 3},
	    {0, LOST, 0, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0}, {0, TIMER, 0, 0, BEGIN, FETCH, 90000},
	    {0, LOST, 0, 0, DROP, REST, -1}, {0, FAILED, 0, 0, NOTHING, REST, -1});
}

static void at_once_and_again(void **state)
{
	(void)state;
	RUN("at once", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {100, TAKEN, 0, 0, NOTHING, REST, -1});
	RUN("spread, but not for ever", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 4, NOTHING, WAIT, 3},
	    {0, ANNOUNCED, 2, INT64_MAX, NOTHING, WAIT, 3});
	RUN("pauses grow, and end growing", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 1003},
	    {1003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 2003},
	    {2003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 4003},
	    {4003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 8003},
	    {8003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 16003},
	    {16003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 32003},
	    {32003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 60003},
	    {60003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 60003});
	RUN("no answer at all", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {89999, TIMER, 0, 0, NOTHING, FETCH, 1}, {1, TIMER, 0, 0, DROP, WAIT, 1003},
	    {0, TAKEN, 0, 0, NOTHING, WAIT, 1003});
	RUN("news makes it try again, but not without a pause", {0, WANTED, 1, 0, NOTHING, REST, -1},
	    {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0}, {0, TIMER, 0, 0, BEGIN, FETCH, 90000},
	    {10, FAILED, 0, 0, NOTHING, WAIT, 1003}, {0, ANNOUNCED, 2, 0, NOTHING, WAIT, 990},
	    {990, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 1003});
	RUN("news while it is under way", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, ANNOUNCED, 2, 4, NOTHING, FETCH, 90000},
	    {2000, FAILED, 0, 0, NOTHING, WAIT, 0}, {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, TAKEN, 0, 0, NOTHING, REST, -1});
}

static void the_pace_is_kept(void **state)
{
	(void)state;
	RUN("the second set waits", {0, WANTED, 1, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0},
	    {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {100, TAKEN, 0, 0, NOTHING, REST, -1},
	    {1000, ANNOUNCED, 2, 0, NOTHING, WAIT, 44000}, {1000, ANNOUNCED, 3, 4, NOTHING, WAIT, 43000},
	    {43000, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, FAILED, 0, 0, NOTHING, WAIT, 1003},
	    {1003, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, TAKEN, 0, 0, NOTHING, REST, -1},
	    {45000, ANNOUNCED, 4, 0, NOTHING, WAIT, 0});
	RUN("also when it was announced while the first was under way", {0, WANTED, 1, 0, NOTHING, REST, -1},
	    {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0}, {0, TIMER, 0, 0, BEGIN, FETCH, 90000},
	    {0, ANNOUNCED, 2, 0, NOTHING, FETCH, 90000}, {0, TAKEN, 0, 0, NOTHING, WAIT, 45000});
	RUN("also over a lost connection and a target that came back", {0, WANTED, 1, 0, NOTHING, REST, -1},
	    {0, ANNOUNCED, 1, 0, NOTHING, WAIT, 0}, {0, TIMER, 0, 0, BEGIN, FETCH, 90000}, {0, TAKEN, 0, 0, NOTHING, REST, -1},
	    {0, LOST, 0, 0, NOTHING, REST, -1}, {0, ANNOUNCED, 2, 0, NOTHING, WAIT, 45000},
	    {0, WANTED, 0, 0, NOTHING, REST, -1}, {0, WANTED, 1, 0, NOTHING, WAIT, 45000});
}

/* A controller that announces without end: no more than one try a second, no more than one set in 45 s, and it is tried at all.
 */
static void a_flood_of_news(void **state)
{
	(void)state;
	struct crl_plan p = {.next_at = TIME_NEVER};
	uint64_t        seed = 11;
	int64_t         now = START, last_try = 0, last_taken = 0;
	int             tries = 0, taken = 0;
	for (int i = 0; i < 200000; i++) {
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint32_t              r = (uint32_t)(seed >> 33);
		struct crl_plan_event e = {.kind = i == 0       ? CRL_PLAN_WANTED
						   : r % 3 == 0 ? CRL_PLAN_TIMER
								: CRL_PLAN_ANNOUNCED,
					   .wanted = true,
					   .hash = hash_of(1 + (int)(r % 200)),
					   .spread_ms = r % 9000,
					   .random = r};
		if (i > 0 && p.phase == CRL_PLAN_FETCH)
			e.kind = r % 4 == 0 ? CRL_PLAN_TAKEN : CRL_PLAN_FAILED;
		now += r % 20;
		struct hash had = p.have;
		if (crl_plan_step(&p, &e, now, &policy) == CRL_PLAN_BEGIN) {
			assert_true(last_try == 0 || now - last_try >= policy.gap_ms);
			last_try = now;
			tries++;
		}
		if (!hash_equal(had, p.have)) {
			assert_true(last_taken == 0 || now - last_taken >= policy.pace_ms);
			last_taken = now;
			taken++;
		}
		assert_true((p.phase == CRL_PLAN_REST) == (p.next_at == TIME_NEVER));
	}
	assert_true(tries > 20 && taken > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_fetched),
		cmocka_unit_test(at_once_and_again),
		cmocka_unit_test(the_pace_is_kept),
		cmocka_unit_test(a_flood_of_news),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
