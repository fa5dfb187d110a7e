/* fleet_count.h - what a fleet has seen: counts, and times as histograms, in memory that its processes share.
 * Never: judging a figure. */
#ifndef VCC_FLEET_COUNT_H
#define VCC_FLEET_COUNT_H

#include <sys/types.h>

#include "shared/base/err.h"
#include "shared/model/messages.h"
#include "tests/fleet/fleet_real.h"

enum fleet_tally {
	TALLY_JOINED,        /* joins that ended well, in this run */
	TALLY_JOIN_REFUSED,  /* for good */
	TALLY_JOIN_AGAIN,    /* tried once more */
	TALLY_CONNECTS,      /* welcomes that followed a connection */
	TALLY_LOST,          /* connections that ended without our doing */
	TALLY_CONNECT_FAILED,
	TALLY_ORDERS,        /* new ones; repeats are not counted */
	TALLY_REQUESTS,      /* csr messages, repeats too */
	TALLY_CERTIFICATES,
	TALLY_STAGED,        /* offers that the controller took */
	TALLY_STAGED_USED,   /* certificates that came for a staged key */
	TALLY_VERIFIED_ACKED,
	TALLY_SETTLED_ACKED,
	TALLY_OTHER_ACKED,   /* receipts of failed, refused, kept */
	TALLY_MADE_VERIFIED, /* receipts made, by outcome: in the order of enum receipt_outcome */
	TALLY_MADE_SETTLED,
	TALLY_MADE_FAILED,
	TALLY_MADE_REFUSED,
	TALLY_MADE_KEPT,
	TALLY_MADE_TESTED,
	TALLY_RENUMBERED,
	TALLY_TARGET_REFUSED,
	TALLY_FRAMES_IN,
	TALLY_FRAMES_OUT,
	TALLY_BAD_FRAMES,
	TALLY_PINGS,
	TALLY_COUNT,
};

enum fleet_gauge { GAUGE_CONNECTED, GAUGE_READY, GAUGE_MEMBERS, GAUGE_OFFLINE, GAUGE_STAGED, GAUGE_COUNT };

enum fleet_time {
	TIME_JOIN,
	TIME_CONNECT,      /* from the first SYN of a connection to the welcome */
	TIME_ORDER_CSR,    /* from the order's arrival to its request sent */
	TIME_CSR_CERT,     /* from the request to the certificate */
	TIME_CERT_RECEIPT, /* from the certificate to the receipt "verified" sent */
	TIME_ORDER_PROOF,  /* from the arrival of the order, or of the certificate that came without one, to the acknowledgement of "verified": it is durable */
	TIME_COUNT,
};

enum { FLEET_BUCKETS = 640 }; /* 16 to each doubling of microseconds */

struct fleet_histogram {
	uint64_t n, max_us;
	uint32_t bucket[FLEET_BUCKETS];
};

/* Of one process; written by it alone. The parent may clear tallies and times between two measurements: a sample that falls into
 * that moment is lost, and no more. */
struct fleet_count {
	uint64_t               tally[TALLY_COUNT];
	int64_t                gauge[GAUGE_COUNT];
	struct fleet_histogram time[TIME_COUNT];
	int64_t                first_order_at, last_verified_at, last_settled_at, last_welcome_at; /* by the clock of this machine */
	int64_t                last_code; /* newest refusal of a join or target */
};

void fleet_time_add(struct fleet_count *c, enum fleet_time t, int64_t us);

/* What the parent says of the whole fleet. */
struct fleet_report {
	const char               *phase; /* joining, running, ended */
	uint32_t                  agents, processes;
	const pid_t              *pids;
	const struct fleet_count *counts; /* `processes` of them */
	const struct fleet_real  *real;   /* counts and times above are of the simulated hosts alone */
	int64_t                   begun_at, marked_at, now_at;
	const struct hash        *served; /* by member: written by its process, read at any moment */
};
int64_t fleet_report_gauge(const struct fleet_report *r, enum fleet_gauge g);

/* Replaces PATH as one rename. */
_must_check_ int fleet_report_write(const struct fleet_report *r, const char *path, struct refusal *why);

/* Replaces PATH by a line for each member: "NAME FINGERPRINT", or "NAME -" when it serves nothing. */
typedef const char *fleet_name_fn(const void *ctx, uint32_t index);
_must_check_ int fleet_served_write(const struct fleet_report *r, fleet_name_fn *name, const void *ctx, const char *path, struct refusal *why);

#endif
