/* bench_schedule.c - what does one tick of the scheduler cost among many certificates that are not due?
 * usage: bench_schedule [FOLDER [CERTIFICATES]]: where the file lies (/var/tmp), how many (1000000). Prints one JSON object a
 * line. Never: failing because of a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"
#include "tests/lib/store_kit.h"

enum { PER_CHANGE = 500, DUE = 100, CALLS = 200 };
#define NOW INT64_C(1800000000000)

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_schedule: %s\n", what);
		abort();
	}
}

/* Waits until what was submitted before it is durable. */
static void settle(struct kit *k)
{
	int code = E_STORE_BUSY;
	while ((code = kit_commit(k, store_change_new(), NULL)) == E_STORE_BUSY)
		kit_poll(k);
	must(code == 0, "commit");
}

static void fill(struct kit *k, uint32_t n)
{
	const struct policy_limits limits = {.jitter_share = 100};
	struct template t;
	kit_template(1, &t);
	for (uint32_t from = 0; from < n; from += PER_CHANGE) {
		struct store_change *c = store_change_new();
		store_change_salt(c, kit_hash(99));
		for (uint32_t i = from; i < from + PER_CHANGE && i < n; i++) {
			struct certificate cert;
			kit_certificate(i, &cert);
			cert.suspended_at = cert.revoked_at = cert.retired_at = 0;
			cert.open_order = (struct id){{0}};
			cert.approved = true;
			cert.unattended = 0;
			cert.not_before_at = NOW - MS_DAY - i;
			cert.not_after_at = cert.not_before_at + 730 * MS_DAY;
			cert.renew_at =
				policy_renew_at(&t, cert.cert_id, cert.serial, cert.not_before_at, cert.not_after_at, &limits);
			store_put_certificate(c, &cert, 0);
		}
		must(store_submit(k->store, c, NULL, NULL) == 0, "busy");
		if (from / PER_CHANGE % 20 == 19)
			settle(k);
	}
	settle(k);
}

static void make_due(struct kit *k)
{
	struct store_change *c = store_change_new();
	store_change_salt(c, kit_hash(99));
	for (uint32_t i = 0; i < DUE; i++) {
		struct certificate seed, cert;
		kit_certificate(i * 7, &seed);
		must(view_certificate(k->view, seed.cert_id, &cert) == 0, "certificate");
		cert.renew_at = NOW - i;
		store_put_certificate(c, &cert, cert.version);
	}
	must(kit_commit(k, c, NULL) == 0, "due");
}

/* The query of a tick, and the decision about each row that it gives. */
static size_t tick(struct kit *k, const struct template *t, struct certificate *page)
{
	size_t n = 0, orders = 0;
	must(view_due(k->view, NOW, page, DUE, &n) == 0, "due");
	for (size_t i = 0; i < n; i++) {
		bool approval;
		orders += policy_eligible(&page[i], t, NULL, TRIGGER_SCHEDULED, false, NOW, &approval) == 0;
	}
	must(orders == n, "eligible");
	return n;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static void measure(struct kit *k, const char *name, uint32_t n)
{
	static int64_t      us[CALLS];
	struct certificate *page = calloc(DUE, sizeof(*page));
	struct template t;
	size_t due = 0;
	kit_template(1, &t);
	must(page != NULL, "memory");
	for (int i = 0; i < CALLS; i++) {
		int64_t start = clock_monotonic_us();
		due = tick(k, &t, page);
		us[i] = clock_monotonic_us() - start;
	}
	qsort(us, CALLS, sizeof(us[0]), compare);
	printf("{\"id\":\"%s\",\"value\":%lld,\"unit\":\"us\",\"p99\":%lld,\"due\":%zu,\"certificates\":%u}\n", name,
	       (long long)us[CALLS / 2], (long long)us[CALLS * 99 / 100], due, n);
	fflush(stdout);
	free(page);
}

/* One row by its key: what an index look-up costs in this file. */
static void floor_of(struct kit *k, uint32_t n)
{
	static int64_t     us[CALLS];
	struct certificate cert, got;
	for (uint32_t i = 0; i < CALLS; i++) {
		kit_certificate(i * 4099u % n, &cert);
		int64_t start = clock_monotonic_us();
		must(view_certificate(k->view, cert.cert_id, &got) == 0, "certificate");
		us[i] = clock_monotonic_us() - start;
	}
	qsort(us, CALLS, sizeof(us[0]), compare);
	printf("{\"id\":\"look-up\",\"value\":%lld,\"unit\":\"us\"}\n", (long long)us[CALLS / 2]);
}

int main(int argc, char **argv)
{
	static struct kit k;
	uint32_t          n = argc > 2 ? (uint32_t)atoi(argv[2]) : 1000000;
	if (argc > 1)
		setenv("TMPDIR", argv[1], 1);
	must(n >= DUE * 7, "at least 700 certificates");
	kit_open(&k, KIT_SQLITE);
	int64_t start = clock_monotonic_us();
	fill(&k, n);
	printf("{\"id\":\"fill\",\"value\":%.1f,\"unit\":\"s\"}\n", (double)(clock_monotonic_us() - start) / 1e6);
	fflush(stdout);
	floor_of(&k, n);
	measure(&k, "tick-none", n);
	make_due(&k);
	measure(&k, "tick-100", n);
	kit_close(&k);
	return 0;
}
