/* test_liveness.c - is a dead peer seen within 30 s, a living one never cut, and does a connection end with its certificate? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "controller/gateway/liveness.h"
#include "controller/gateway/wheel.h"
#include "shared/base/times.h"

static const int64_t start = 1000000;
static const int64_t day = 1800000000000;

struct run {
	int64_t verdict_ms;
	int     verdict;
	int     pings;
	int64_t first_ping_ms;
};

/* Walks second by second as the gateway does; the peer answers until `dies_ms`. */
static struct run live(uint32_t spread, int64_t dies_ms, int64_t ends_after_ms, int64_t seconds)
{
	struct liveness l;
	struct run      r = {0};
	liveness_begin(&l, start);
	liveness_stand(&l, start, spread, day + ends_after_ms);
	int64_t due = liveness_due(&l, start, day);
	for (int64_t now = start; now < start + seconds * 1000; now += 1000) {
		if (now < due)
			continue;
		int v = (int)liveness_judge(&l, now, day + now - start, false);
		if (v == LIVENESS_PING) {
			r.pings++;
			if (r.first_ping_ms == 0)
				r.first_ping_ms = now - start;
			if (now - start < dies_ms)
				liveness_seen(&l);
		} else if (v != LIVENESS_OK) {
			r.verdict = v;
			r.verdict_ms = now - start;
			return r;
		}
		due = liveness_due(&l, now, day + now - start);
		assert_true(due > now);
	}
	return r;
}

static void dead_within_30_s(void **state)
{
	(void)state;
	for (uint32_t spread = 0; spread < 40000; spread += 777)
		for (int64_t dies = 0; dies < 60000; dies += 1000) {
			struct run r = live(spread, dies, 10 * MS_DAY, 300);
			assert_int_equal(r.verdict, LIVENESS_DEAD);
			assert_true(r.verdict_ms - dies <= 30000);
		}
}

static void a_living_peer_stays(void **state)
{
	(void)state;
	struct run r = live(12345, INT64_MAX, 10 * MS_DAY, 3600);
	assert_int_equal(r.verdict, 0);
	assert_in_range(r.pings, 165, 181); /* about every 20 s */
}

static void first_pings_are_spread(void **state)
{
	(void)state;
	assert_true(live(0, INT64_MAX, MS_DAY, 100).first_ping_ms <= 1000);
	assert_in_range(live(10000, INT64_MAX, MS_DAY, 100).first_ping_ms, 10000, 12000);
	assert_in_range(live(19999, INT64_MAX, MS_DAY, 100).first_ping_ms, 19000, 21000);
}

static void ends_with_its_certificate(void **state)
{
	(void)state;
	struct run r = live(5, INT64_MAX, 90500, 300);
	assert_int_equal(r.verdict, LIVENESS_EXPIRED);
	assert_in_range(r.verdict_ms, 90500, 92000);
	assert_int_equal(live(5, INT64_MAX, -1, 300).verdict, LIVENESS_EXPIRED);
}

static void deadlines(void **state)
{
	(void)state;
	struct liveness l;
	liveness_begin(&l, start);
	assert_int_equal(liveness_judge(&l, start + LIVENESS_HANDSHAKE_MS - 1, day, false), LIVENESS_OK);
	assert_int_equal(liveness_judge(&l, start + LIVENESS_HANDSHAKE_MS, day, false), LIVENESS_LATE);
	assert_int_equal(liveness_due(&l, start, day), start + LIVENESS_HANDSHAKE_MS);
}

/* While we do not read from a peer, or stood still ourselves, silence is our own doing. */
static void silence_of_our_own_making_does_not_count(void **state)
{
	(void)state;
	struct liveness l;
	liveness_begin(&l, start);
	liveness_stand(&l, start, 0, day + MS_DAY);
	int64_t now = start + 1000;
	assert_int_equal(liveness_judge(&l, now, day, false), LIVENESS_PING);
	now += 60000;
	int v = (int)liveness_judge(&l, now, day, true);
	assert_true(v == LIVENESS_PING || v == LIVENESS_OK);
	assert_int_equal(liveness_judge(&l, now + LIVENESS_ANSWER_MS - 1, day, false), LIVENESS_OK);
	assert_int_equal(liveness_judge(&l, now + LIVENESS_ANSWER_MS, day, false), LIVENESS_DEAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dead_within_30_s),       cmocka_unit_test(a_living_peer_stays),
		cmocka_unit_test(first_pings_are_spread), cmocka_unit_test(ends_with_its_certificate),
		cmocka_unit_test(deadlines),              cmocka_unit_test(silence_of_our_own_making_does_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
