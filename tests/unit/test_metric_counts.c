/* test_metric_counts.c - does each step of an order count as what it is, once; do buckets and the last day hold what falls into
 * them; are the table's names what a scraper takes? Never: a controller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controller/daemon/api.h"
#include "controller/daemon/metric_text.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/self_stat.h"

#define NOW INT64_C(1800000000000)

static struct order order_in(enum order_phase phase)
{
	struct order o = {.service = "clara",
			  .trigger = TRIGGER_SCHEDULED,
			  .phase = phase,
			  .old_serial = {{1}},
			  .created_at = NOW - 4000};
	return o;
}

struct wanted {
	const char      *what;
	enum order_phase was, next;
	uint32_t         flags;
	bool             first; /* nothing was there before */
	bool             counts;
	unsigned         ended, result;
	bool             back, paused;
	int              day;
};

/* "Nothing" first. */
static const struct wanted moves[] = {
	{"a drill", ORDER_VERIFIED, ORDER_COMPLETED, ORDER_DRILL, false, false, 0, 0, false, false, 0},
	{"under way", ORDER_ORDERED, ORDER_SIGNING, 0, false, false, 0, 0, false, false, 0},
	{"the same again", ORDER_COMPLETED, ORDER_COMPLETED, 0, false, false, 0, 0, false, false, 0},
	{"it could not go back", ORDER_ROLLING_BACK, ORDER_COMPLETED, 0, false, false, 0, 0, false, false, 0},
	{"paused before", ORDER_PAUSED, ORDER_PAUSED, 0, false, false, 0, 0, false, false, 0},
	{"completed", ORDER_SETTLED, ORDER_COMPLETED, 0, false, true, 1 + METRIC_COMPLETED, 1 + METRIC_VERIFIED, false, false,
	 1},
	{"unverified", ORDER_DELIVERED, ORDER_COMPLETED, ORDER_UNVERIFIED, false, true, 1 + METRIC_COMPLETED,
	 1 + METRIC_UNVERIFIED, false, false, 1},
	{"a first issue is no renewal", ORDER_SETTLED, ORDER_COMPLETED, 0, true, true, 0, 1 + METRIC_VERIFIED, false, false, 1},
	{"failed", ORDER_SIGNING, ORDER_FAILED, 0, false, true, 1 + METRIC_FAILED, 0, false, false, -1},
	{"cancelled", ORDER_ORDERED, ORDER_CANCELLED, 0, false, true, 1 + METRIC_CANCELLED, 0, false, false, 0},
	{"rolled back", ORDER_ROLLING_BACK, ORDER_ROLLED_BACK, 0, false, true, 1 + METRIC_ROLLED_BACK, 0, true, false, -1},
	{"gave up for now", ORDER_RETRY_WAIT, ORDER_PAUSED, 0, false, true, 0, 0, false, true, -1},
};

static void test_moves(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(moves); i++) {
		const struct wanted *w = &moves[i];
		struct order         was = order_in(w->was), next = order_in(w->next);
		struct metric_move   m;
		next.flags = was.flags = w->flags;
		next.completed_at = order_phase_final(w->next) ? NOW : 0;
		if (w->first)
			memset(&next.old_serial, 0, sizeof(next.old_serial));
		bool counts = metric_move_of(&was, &next, NOW, &m);
		if (counts != w->counts)
			fail_msg("%s: counts %d", w->what, counts);
		if (counts && (m.ended != w->ended || m.result != w->result || m.back != w->back || m.paused != w->paused ||
			       m.day != w->day))
			fail_msg("%s: ended %u result %u back %d paused %d day %d", w->what, m.ended, m.result, m.back,
				 m.paused, m.day);
	}
}

static void test_times_and_failures(void **state)
{
	(void)state;
	struct order                was = order_in(ORDER_DELIVERED), next = order_in(ORDER_VERIFIED);
	struct metric_move          m;
	static struct metric_counts c;
	next.verified_at = NOW - 3000;
	assert_true(metric_move_of(&was, &next, NOW, &m));
	assert_int_equal(m.verified_ms, 1000);
	metric_counts_move(&c, &m);
	assert_int_equal(c.to_verified.sum_us, 1000000);
	was = next;
	next.phase = ORDER_RETRY_WAIT;
	next.failures = 2;
	assert_true(metric_move_of(&was, &next, NOW, &m));
	assert_int_equal(m.failures, 2);
	assert_int_equal(m.verified_ms, -1);
	metric_counts_move(&c, &m);
	assert_int_equal(c.deployments[METRIC_NOT_DEPLOYED], 2);
	was = order_in(ORDER_SETTLED);
	next = order_in(ORDER_COMPLETED);
	next.completed_at = NOW;
	assert_true(metric_move_of(&was, &next, NOW, &m));
	metric_counts_move(&c, &m);
	assert_int_equal(c.renewal.sum_us, 4000000);
	assert_int_equal(metric_counts_service(&c, "clara")->renewals[TRIGGER_SCHEDULED][METRIC_COMPLETED], 1);
	assert_int_equal(c.n_services, 1);
}

/* However many services there are: none is lost, and none of the first ones is mixed up. */
static void test_services(void **state)
{
	(void)state;
	static struct metric_counts c;
	struct metric_move          m = {.ended = 1 + METRIC_FAILED, .took_ms = -1, .verified_ms = -1};
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 2 * METRIC_SERVICES_MAX; i++) {
			(void)snprintf(m.service, sizeof(m.service), "s%d", i);
			metric_counts_move(&c, &m);
		}
	assert_int_equal(c.n_services, METRIC_SERVICES_MAX);
	assert_int_equal(c.service[METRIC_SERVICES_MAX - 1].renewals[0][METRIC_FAILED], 2);
	assert_int_equal(c.service[METRIC_SERVICES_MAX].renewals[0][METRIC_FAILED], 2 * METRIC_SERVICES_MAX);
}

static void test_buckets(void **state)
{
	(void)state;
	struct metric_histogram h = {.sum_us = 0};
	metric_observe(&h, METRIC_RENEWAL_DURATION, -5);
	metric_observe(&h, METRIC_RENEWAL_DURATION, 100000); /* a bound is part of its bucket */
	metric_observe(&h, METRIC_RENEWAL_DURATION, 100001);
	metric_observe(&h, METRIC_RENEWAL_DURATION, INT64_C(1800001) * 1000);
	assert_int_equal(h.bucket[0], 2);
	assert_int_equal(h.bucket[1], 1);
	assert_int_equal(h.bucket[metric_bounds(METRIC_RENEWAL_DURATION)], 1);
	assert_int_equal(h.sum_us, 200001 + INT64_C(1800001) * 1000);
}

static void test_day(void **state)
{
	(void)state;
	static struct metric_day d;
	uint64_t                 good = 0, bad = 0;
	metric_day_add(&d, NOW - MS_DAY - MS_HOUR, true);
	metric_day_add(&d, NOW - 23 * MS_HOUR, true);
	metric_day_add(&d, NOW, false);
	metric_day_add(&d, NOW, true);
	metric_day_sum(&d, NOW, &good, &bad);
	assert_int_equal(good, 2);
	assert_int_equal(bad, 1);
	good = bad = 0;
	metric_day_sum(&d, NOW + 2 * MS_DAY, &good, &bad);
	assert_int_equal(good + bad, 0);
	metric_day_add(&d, NOW + METRIC_SLOTS * (int64_t)METRIC_SLOT_MS, true); /* the same place a day later */
	metric_day_add(&d, NOW, true);                                          /* comes too late to be told */
	metric_day_sum(&d, NOW + METRIC_SLOTS * (int64_t)METRIC_SLOT_MS, &good, &bad);
	assert_int_equal(good, 1);
	assert_int_equal(bad, 0);
}

static void test_accept(void **state)
{
	(void)state;
	static const struct {
		const char        *accept;
		enum metric_format want;
	} rows[] = {
		{"", METRIC_PLAIN},
		{"*/*", METRIC_PLAIN},
		{"text/plain", METRIC_PLAIN},
		{"application/openmetrics-text-2", METRIC_PLAIN},
		{"application/openmetrics-text;q=0", METRIC_PLAIN},
		{"application/openmetrics-text; version=0.0.1", METRIC_PLAIN},
		{"application/openmetrics-text;q=nonsense", METRIC_PLAIN},
		{"application/openmetrics-text;q=0.2,text/plain;q=0.3", METRIC_PLAIN},
		{"application/openmetrics-text", METRIC_OPEN},
		{"APPLICATION/OpenMetrics-Text; Version=1.0.0", METRIC_OPEN},
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/"
		 "plain;version=0.0.4;q=0.5,*/*;q=0.1",
		 METRIC_OPEN},
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++)
		if (metric_format_of(rows[i].accept) != rows[i].want)
			fail_msg("%s", rows[i].accept);
}

static void test_lines(void **state)
{
	(void)state;
	struct buf              to = BUF_MAX(1 << 16);
	struct metric_text      t = {.to = &to, .format = METRIC_OPEN};
	struct metric_histogram h = {.bucket = {1, 2}, .sum_us = 1500000};
	metric_begin(&t, METRIC_EMERGENCIES);
	metric_sample(&t, (const char *const[]){"a\"b\\c\nd"}, 7);
	metric_begin(&t, METRIC_AGENT_SKEW);
	metric_sample_ms(&t, (const char *const[]){"clara01"}, -1250);
	metric_begin(&t, METRIC_RENEWAL_DURATION);
	metric_samples_of(&t, NULL, &h);
	metric_begin(&t, METRIC_SUCCESS_RATE);
	metric_sample_share(&t, NULL, 0, 0);
	metric_sample_share(&t, NULL, 1, 3);
	metric_end(&t);
	buf_add_u8(&to, '\0');
	assert_int_equal(buf_error(&to), 0);
	const char              *text = (const char *)to.p;
	static const char *const wanted[] = {
		"# TYPE emergency_recertifications "
		"counter\nemergency_recertifications_total{incident_type=\"a\\\"b\\\\c\\nd\"} 7\n",
		"vcc_pki_agent_clock_skew_seconds{agent=\"clara01\"} -1.250\n",
		"certificate_renewal_duration_seconds_bucket{le=\"0.1\"} 1\n",
		"certificate_renewal_duration_seconds_bucket{le=\"0.25\"} 3\n",
		"certificate_renewal_duration_seconds_bucket{le=\"1.0\"} 3\n",
		"certificate_renewal_duration_seconds_bucket{le=\"+Inf\"} 3\ncertificate_renewal_duration_seconds_sum "
		"1.500000\ncertificate_renewal_duration_seconds_count 3\n",
		"certificate_deployment_success_rate 1\ncertificate_deployment_success_rate 0.333333\n# EOF\n",
	};
	for (size_t i = 0; i < N_ELEMENTS(wanted); i++)
		if (strstr(text, wanted[i]) == NULL)
			fail_msg("missing: %s\nin:\n%s", wanted[i], text);
	buf_free(&to);
}

/* OpenMetrics names a counter without its ending: a gauge of that name would be the same metric. */
static bool same_family(const char *a, const char *b)
{
	size_t n = strlen(a) - (text_ends(a, "_total") ? strlen("_total") : 0),
	       k = strlen(b) - (text_ends(b, "_total") ? strlen("_total") : 0);
	return n == k && memcmp(a, b, n) == 0;
}

static void test_table(void **state)
{
	(void)state;
	size_t n;
	(void)api_routes(&n);
	assert_true(n < METRIC_ROUTES_MAX);
	for (unsigned m = 0; m < METRIC_COUNT; m++) {
		const struct metric_row *r = metric_row((enum metric)m);
		assert_non_null(r->name);
		assert_int_equal(strspn(r->name, "abcdefghijklmnopqrstuvwxyz_"), strlen(r->name));
		assert_int_equal(text_ends(r->name, "_total"), r->type == METRIC_COUNTER);
		assert_int_equal(r->bounds != NULL, r->type == METRIC_HISTOGRAM);
		assert_true(metric_bounds((enum metric)m) <= METRIC_BOUNDS_MAX);
		assert_null(strpbrk(r->help, "\"\\\n"));
		for (unsigned k = 0; k < m; k++)
			assert_false(same_family(r->name, metric_row((enum metric)k)->name));
	}
}

static void test_self(void **state)
{
	(void)state;
	struct self_stat   *s;
	struct self_figures f;
	assert_int_equal(self_stat_open(&s), 0);
	self_stat_read(s, &f);
	int64_t fds = f.fds;
	assert_true(f.resident_bytes > 0 && fds > 3 && f.max_fds >= fds);
	struct self_stat *more;
	assert_int_equal(self_stat_open(&more), 0);
	self_stat_read(s, &f);
	assert_int_equal(f.fds, fds + 2);
	self_stat_close(more);
	self_stat_close(s);
	self_stat_read(NULL, &f);
	assert_true(f.resident_bytes == 0 && f.fds == 0 && f.max_fds > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),    cmocka_unit_test(test_times_and_failures),
		cmocka_unit_test(test_services), cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_day),      cmocka_unit_test(test_accept),
		cmocka_unit_test(test_lines),    cmocka_unit_test(test_table),
		cmocka_unit_test(test_self),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
