/* fleet_count.c - counts and percentiles of a fleet, and their report as JSON.
 * Never: judging a figure. */
#include "tests/fleet/fleet_count.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "shared/sys/file.h"

static const char *const tally_names[TALLY_COUNT] = {
	[TALLY_JOINED] = "joined",
	[TALLY_JOIN_REFUSED] = "joins_refused",
	[TALLY_JOIN_AGAIN] = "joins_repeated",
	[TALLY_CONNECTS] = "connects",
	[TALLY_LOST] = "connections_lost",
	[TALLY_CONNECT_FAILED] = "connects_failed",
	[TALLY_ORDERS] = "orders",
	[TALLY_REQUESTS] = "requests",
	[TALLY_CERTIFICATES] = "certificates",
	[TALLY_STAGED] = "staged",
	[TALLY_STAGED_USED] = "staged_used",
	[TALLY_VERIFIED_ACKED] = "verified_acked",
	[TALLY_SETTLED_ACKED] = "settled_acked",
	[TALLY_OTHER_ACKED] = "others_acked",
	[TALLY_MADE_VERIFIED] = "verified",
	[TALLY_MADE_SETTLED] = "settled",
	[TALLY_MADE_FAILED] = "failed",
	[TALLY_MADE_REFUSED] = "refused",
	[TALLY_MADE_KEPT] = "kept",
	[TALLY_MADE_TESTED] = "tested",
	[TALLY_RENUMBERED] = "receipts_renumbered",
	[TALLY_TARGET_REFUSED] = "targets_refused",
	[TALLY_FRAMES_IN] = "frames_in",
	[TALLY_FRAMES_OUT] = "frames_out",
	[TALLY_BAD_FRAMES] = "bad_frames",
	[TALLY_PINGS] = "pings",
};
static const char *const gauge_names[GAUGE_COUNT] = {
	[GAUGE_CONNECTED] = "connected", [GAUGE_READY] = "ready", [GAUGE_MEMBERS] = "members", [GAUGE_OFFLINE] = "offline",
	[GAUGE_STAGED] = "keys_staged",
};
static const char *const time_names[TIME_COUNT] = {
	[TIME_JOIN] = "join",
	[TIME_CONNECT] = "connect",
	[TIME_ORDER_CSR] = "order_csr",
	[TIME_CSR_CERT] = "csr_certificate",
	[TIME_CERT_RECEIPT] = "certificate_receipt",
	[TIME_ORDER_PROOF] = "order_proof",
};

/* 16 buckets to a doubling: 6 % wide at most. */
static unsigned bucket_of(uint64_t us)
{
	if (us < 16)
		return (unsigned)us;
	unsigned top = 63 - (unsigned)__builtin_clzll(us);
	unsigned b = (top - 3) * 16 + (unsigned)(us >> (top - 4) & 15);
	return b < FLEET_BUCKETS ? b : FLEET_BUCKETS - 1;
}

static double bucket_us(unsigned b)
{
	if (b < 16)
		return b;
	unsigned shift = b / 16 - 1;
	return ((double)(16 + b % 16) + 0.5) * (double)(UINT64_C(1) << shift);
}

void fleet_time_add(struct fleet_count *c, enum fleet_time t, int64_t us)
{
	struct fleet_histogram *h = &c->time[t];
	uint64_t                u = us > 0 ? (uint64_t)us : 0;
	h->bucket[bucket_of(u)]++;
	h->n++;
	h->max_us = u > h->max_us ? u : h->max_us;
}

int64_t fleet_report_gauge(const struct fleet_report *r, enum fleet_gauge g)
{
	int64_t sum = 0;
	for (uint32_t p = 0; p < r->processes; p++)
		sum += r->counts[p].gauge[g];
	return sum;
}

static double percentile_ms(const struct fleet_histogram *h, double q)
{
	uint64_t rank = (uint64_t)(q * (double)h->n);
	for (unsigned b = 0; b < FLEET_BUCKETS; b++) {
		if (rank < h->bucket[b])
			return (bucket_us(b) < (double)h->max_us ? bucket_us(b) : (double)h->max_us) / 1000;
		rank -= h->bucket[b];
	}
	return (double)h->max_us / 1000;
}

static json_t *times_json(const struct fleet_report *r, enum fleet_time t)
{
	struct fleet_histogram sum = {0};
	for (uint32_t p = 0; p < r->processes; p++) {
		const struct fleet_histogram *h = &r->counts[p].time[t];
		sum.n += h->n;
		sum.max_us = h->max_us > sum.max_us ? h->max_us : sum.max_us;
		for (unsigned b = 0; b < FLEET_BUCKETS; b++)
			sum.bucket[b] += h->bucket[b];
	}
	if (sum.n == 0)
		return json_pack("{s:i}", "n", 0);
	return json_pack("{s:I,s:f,s:f,s:f,s:f}", "n", (json_int_t)sum.n, "p50_ms", percentile_ms(&sum, 0.5), "p90_ms", percentile_ms(&sum, 0.9),
	                 "p99_ms", percentile_ms(&sum, 0.99), "max_ms", (double)sum.max_us / 1000);
}

static void moments_set(const struct fleet_report *r, json_t *to)
{
	int64_t first = 0, verified = 0, settled = 0, welcome = 0;
	for (uint32_t p = 0; p < r->processes; p++) {
		const struct fleet_count *c = &r->counts[p];
		if (c->first_order_at != 0 && (first == 0 || c->first_order_at < first))
			first = c->first_order_at;
		verified = c->last_verified_at > verified ? c->last_verified_at : verified;
		settled = c->last_settled_at > settled ? c->last_settled_at : settled;
		welcome = c->last_welcome_at > welcome ? c->last_welcome_at : welcome;
	}
	json_object_set_new(to, "first_order_at_ms", json_integer(first));
	json_object_set_new(to, "last_verified_at_ms", json_integer(verified));
	json_object_set_new(to, "last_settled_at_ms", json_integer(settled));
	json_object_set_new(to, "last_welcome_at_ms", json_integer(welcome));
}

/* Proved = a handshake has shown another certificate since the mark. */
static json_t *real_json(const struct fleet_real *real)
{
	json_int_t ready = 0, proved = 0, certificates = 0;
	int64_t    last = 0;
	json_t    *pids = json_array();
	for (uint32_t i = 0; i < real->n; i++) {
		const struct real_seen *h = &real->host[i];
		uint64_t                since = h->certificates - real->marked[i];
		ready += h->certificates > 0;
		proved += since > 0;
		certificates += (json_int_t)since;
		last = since > 0 && h->at > last ? h->at : last;
		for (int part = 0; part < REAL_PROCESSES; part++)
			if (h->pids[part] > 0)
				json_array_append_new(pids, json_integer(h->pids[part]));
	}
	return json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:o}", "count", (int)real->n, "joined", (json_int_t)real->joined, "ready", ready, "proved", proved,
	                 "certificates", certificates, "restarts", (json_int_t)real->restarts, "last_proved_at_ms", (json_int_t)last, "pids", pids);
}

static json_t *report_json(const struct fleet_report *r)
{
	json_t *o = json_pack("{s:s,s:s,s:i,s:I,s:I,s:I}", "version", VCC_VERSION, "phase", r->phase, "agents", (int)r->agents, "begun_at_ms",
	                      (json_int_t)r->begun_at, "marked_at_ms", (json_int_t)r->marked_at, "now_at_ms", (json_int_t)r->now_at);
	json_t *pids = json_array();
	json_t *counts = json_object();
	json_t *times = json_object();
	json_t *codes = json_array();
	for (uint32_t p = 0; p < r->processes; p++) {
		json_array_append_new(pids, json_integer(r->pids[p]));
		if (r->counts[p].last_code != 0) {
			char text[ERR_CODE_SIZE];
			json_array_append_new(codes, json_sprintf("%s %s", err_code((int)r->counts[p].last_code, text), err_what((int)r->counts[p].last_code)));
		}
	}
	for (int t = 0; t < TALLY_COUNT; t++) {
		uint64_t sum = 0;
		for (uint32_t p = 0; p < r->processes; p++)
			sum += r->counts[p].tally[t];
		json_object_set_new(counts, tally_names[t], json_integer((json_int_t)sum));
	}
	for (int g = 0; g < GAUGE_COUNT; g++)
		json_object_set_new(o, gauge_names[g], json_integer(fleet_report_gauge(r, (enum fleet_gauge)g)));
	for (int t = 0; t < TIME_COUNT; t++)
		json_object_set_new(times, time_names[t], times_json(r, (enum fleet_time)t));
	moments_set(r, o);
	json_object_set_new(o, "pids", pids);
	json_object_set_new(o, "refusals", codes);
	json_object_set_new(o, "counts", counts);
	json_object_set_new(o, "times", times);
	json_object_set_new(o, "real", real_json(r->real));
	return o;
}

int fleet_report_write(const struct fleet_report *r, const char *path, struct refusal *why)
{
	char    temporary[4096];
	json_t *o = report_json(r);
	int     n = snprintf(temporary, sizeof(temporary), "%s.new", path);
	int     failed = o == NULL || n < 0 || (size_t)n >= sizeof(temporary) || json_dump_file(o, temporary, JSON_INDENT(1)) != 0 ||
	             rename(temporary, path) != 0;
	json_decref(o);
	return failed != 0 ? sys_refuse(why, path, "write the report") : 0;
}

int fleet_served_write(const struct fleet_report *r, fleet_name_fn *name, const void *ctx, const char *path, struct refusal *why)
{
	char  temporary[4096];
	char  text[HASH_TEXT_SIZE];
	int   n = snprintf(temporary, sizeof(temporary), "%s.new", path);
	FILE *file = n > 0 && (size_t)n < sizeof(temporary) ? fopen(temporary, "w") : NULL;
	if (file == NULL)
		return sys_refuse(why, path, "write what is served");
	for (uint32_t i = 0; i < r->agents; i++) {
		struct hash h = r->served[i]; /* 32 bytes that change under us: whoever reads this looks again */
		fprintf(file, "%s %s\n", name(ctx, i), hash_is_none(h) ? "-" : hash_text(h, text));
	}
	bool failed = ferror(file) != 0;
	failed = fclose(file) != 0 || failed || rename(temporary, path) != 0;
	return failed ? sys_refuse(why, path, "write what is served") : 0;
}
