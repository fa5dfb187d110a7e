/* bench_store.c - how many issues a second become durable, and what do the scheduler's and lists' reads cost beside them?
 * usage: bench_store [FOLDER [ISSUES [ROWS]]]: where the file lies (/var/tmp), issues per figure (20000), certificates in the
 * store beforehand (0). Prints one JSON object a line; "issue-stored" is the figure with 500 in flight. Never: failing because of a time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shared/base/times.h"
#include "shared/sys/clock.h"
#include "tests/lib/store_kit.h"

static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench_store: %s\n", what);
		abort();
	}
}

struct bench {
	struct kit kit;
	uint32_t   next;   /* number of the next issue */
	size_t     flying; /* changes not yet durable */
	size_t     ended;
	bool       two_steps;
};

/* The certificate exists already, as in a renewal: it is read and written with its version. */
static void add_certificates(struct bench *b, uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++) {
		struct store_change *c = store_change_new();
		store_change_salt(c, kit_hash(99));
		struct certificate   cert;
		kit_certificate(i, &cert);
		cert.suspended_at = cert.revoked_at = cert.retired_at = 0;
		cert.open_order = (struct id){{0}}; /* until its issue: the due index holds it */
		store_put_certificate(c, &cert, 0);
		while (store_submit(b->kit.store, c, NULL, NULL) == E_STORE_BUSY) {
			kit_poll(&b->kit);
			c = store_change_new();
			store_change_salt(c, kit_hash(99));
			store_put_certificate(c, &cert, 0);
		}
	}
	int code = E_STORE_BUSY;
	while (code == E_STORE_BUSY) { /* the last in the queue: all before it are durable */
		code = kit_commit(&b->kit, store_change_new(), NULL);
		if (code == E_STORE_BUSY)
			kit_poll(&b->kit);
	}
	must(code == 0, "certificates");
}

static void add_intent(struct store_change *c, uint32_t n)
{
	struct order    order;
	struct issuance issuance;
	struct audit    audit;
	kit_order(n, &order);
	order.phase = ORDER_SIGNING;
	kit_issuance(n, &issuance);
	issuance.state = ISSUANCE_INTENT;
	issuance.supersede_at = TIME_NEVER;
	issuance.revoked_at = 0;
	issuance.der_len = 500; /* the signing request */
	kit_audit(n, AUDIT_CERTIFICATE_INTENT, &audit);
	strcpy(audit.actor, "alice"); /* one person, many records */
	store_put_order(c, &order);
	store_add_issuance(c, &issuance);
	store_add_audit(c, &audit);
}

static void add_issued(struct store_change *c, uint32_t n, bool issuance_is_there)
{
	static uint8_t     frame[1500]; /* leaf and chain */
	struct order       order;
	struct issuance    issuance;
	struct certificate cert;
	struct audit       audit;
	kit_order(n, &order);
	order.phase = ORDER_ISSUED;
	kit_issuance(n, &issuance);
	issuance.state = ISSUANCE_ISSUED;
	issuance.supersede_at = TIME_NEVER;
	issuance.revoked_at = 0;
	kit_certificate(n, &cert);
	cert.suspended_at = cert.revoked_at = cert.retired_at = 0;
	kit_audit(n, AUDIT_CERTIFICATE_ISSUED, &audit);
	strcpy(audit.actor, "alice"); /* one person, many records */
	store_put_order(c, &order);
	if (issuance_is_there)
		store_put_issuance(c, &issuance);
	else
		store_add_issuance(c, &issuance);
	store_put_certificate(c, &cert, 1);
	store_add_audit(c, &audit);
	store_put_outbox(c, cert.agent, order.renewal_id, n + 1, 7, SPAN_OF(frame));
}

struct issue {
	struct bench *bench;
	uint32_t      n;
	bool          intent;
};

static void issue_submit(struct issue *i);

static void issue_ended(void *ctx, int code, const struct store_result *result)
{
	struct issue *i = ctx;
	(void)result;
	must(code == 0, "an issue failed");
	i->bench->flying--;
	if (i->intent) { /* signed: the second durable step */
		i->intent = false;
		issue_submit(i);
		return;
	}
	i->bench->ended++;
	free(i);
}

static void issue_submit(struct issue *i)
{
	struct store_change *c = store_change_new();
	struct audit         audit;
	store_change_salt(c, kit_hash(99));
	if (i->intent) {
		add_intent(c, i->n);
	} else {
		if (!i->bench->two_steps) {
			kit_audit(i->n, AUDIT_CERTIFICATE_INTENT, &audit);
			strcpy(audit.actor, "alice"); /* one person, many records */
			store_add_audit(c, &audit);
		}
		add_issued(c, i->n, i->bench->two_steps);
	}
	must(store_submit(i->bench->kit.store, c, issue_ended, i) == 0, "busy");
	i->bench->flying++;
}

static int64_t cpu_us(void)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000) + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

static void run(struct bench *b, const char *name, bool two_steps, size_t window, uint32_t issues)
{
	add_certificates(b, b->next, issues);
	uint32_t end = b->next + issues;
	int64_t  start = clock_monotonic_us(), cpu = cpu_us();
	b->two_steps = two_steps;
	b->ended = 0;
	while (b->ended < issues) {
		while (b->next < end && b->flying < window) {
			struct issue *i = malloc(sizeof(*i));
			must(i != NULL, "memory");
			*i = (struct issue){b, b->next++, two_steps};
			issue_submit(i);
		}
		kit_poll(&b->kit);
	}
	double seconds = (double)(clock_monotonic_us() - start) / 1e6;
	printf("{\"id\":\"%s\",\"value\":%.0f,\"unit\":\"per s\",\"in_flight\":%zu,\"issues\":%u,\"cpu_us_per_issue\":%.1f}\n", name,
	       issues / seconds, window, issues, (double)(cpu_us() - cpu) / issues);
	fflush(stdout);
}

static void report_read(const char *name, int64_t start, int calls, size_t rows)
{
	printf("{\"id\":\"%s\",\"value\":%.1f,\"unit\":\"us\",\"rows\":%zu}\n", name, (double)(clock_monotonic_us() - start) / calls, rows);
}

static void reads(struct bench *b)
{
	enum { CALLS = 200 };
	struct certificate *page = calloc(STORE_LIST_MAX, sizeof(*page));
	struct cert_filter  f = {.with_removed = false, .now = 1};
	struct id           none = {{0}};
	struct order       *orders = calloc(100, sizeof(*orders));
	struct certificate  cert;
	uint64_t            certs, agents, open;
	size_t              n = 0;
	must(page != NULL && orders != NULL, "memory");
	int64_t start = clock_monotonic_us();
	for (int i = 0; i < CALLS; i++)
		must(view_due(b->kit.view, 1, page, 100, &n) == 0, "due");
	report_read("due-none", start, CALLS, n);
	start = clock_monotonic_us();
	for (int i = 0; i < CALLS; i++)
		must(view_due(b->kit.view, INT64_C(1) << 50, page, 100, &n) == 0, "due");
	report_read("due-100", start, CALLS, n);
	start = clock_monotonic_us();
	for (int i = 0; i < CALLS; i++)
		must(view_certificates(b->kit.view, &f, "clara000500", page, 100, &n) == 0, "page");
	report_read("list-page", start, CALLS, n);
	start = clock_monotonic_us();
	for (int i = 0; i < CALLS; i++)
		must(view_orders_open(b->kit.view, none, orders, 100, &n) == 0, "orders");
	report_read("orders-open", start, CALLS, n);
	start = clock_monotonic_us();
	for (int i = 0; i < CALLS; i++)
		must(view_certificate(b->kit.view, "clara000500-web", &cert) == 0, "certificate");
	report_read("certificate-by-key", start, CALLS, 1);
	start = clock_monotonic_us();
	must(view_counts(b->kit.view, 1, &certs, &agents, &open) == 0, "counts");
	report_read("counts", start, 1, certs);
	free(page);
	free(orders);
}

int main(int argc, char **argv)
{
	static struct bench b;
	static const struct {
		const char *id;
		size_t      window;
	} runs[] = {{"issue-stored-1", 1}, {"issue-stored-10", 10}, {"issue-stored-100", 100}, {"issue-stored", 500}};
	uint32_t issues = argc > 2 ? (uint32_t)atoi(argv[2]) : 20000;
	uint32_t rows = argc > 3 ? (uint32_t)atoi(argv[3]) : 0;
	if (argc > 1)
		setenv("TMPDIR", argv[1], 1);
	kit_open(&b.kit, KIT_SQLITE);
	if (rows > 0) {
		int64_t start = clock_monotonic_us();
		add_certificates(&b, 0, rows);
		b.next = rows;
		report_read("preload", start, (int)rows, rows);
	}
	add_certificates(&b, UINT32_MAX - 200, 100); /* never issued: they stay due */
	for (size_t i = 0; i < N_ELEMENTS(runs); i++)
		run(&b, runs[i].id, false, runs[i].window, runs[i].window == 1 ? issues / 10 + 1 : issues);
	run(&b, "issue-stored-two-steps", true, 1000, issues);
	reads(&b);
	struct stat st;
	if (stat(b.kit.path, &st) == 0)
		printf("{\"id\":\"file\",\"value\":%lld,\"unit\":\"bytes\",\"certificates\":%u}\n", (long long)st.st_size, b.next);
	kit_close(&b.kit);
	return 0;
}
