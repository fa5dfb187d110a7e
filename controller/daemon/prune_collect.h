/* prune_collect.h - room controller/daemon: one piece of a walk: which rows go, and their lines for the archive. On a worker.
 * Never: changing anything. */
#ifndef VCC_PRUNE_COLLECT_H
#define VCC_PRUNE_COLLECT_H

#include "controller/store/store.h"

/* In this order; the table is in prune_collect.c. */
enum prune_kind {
	PRUNE_ISSUANCES,
	PRUNE_ORDERS,   /* with steps and receipts */
	PRUNE_RECEIPTS, /* of no order */
	PRUNE_INVITES,
	PRUNE_TOKENS,
	PRUNE_APPROVALS,
	PRUNE_CAMPAIGNS, /* with members */
	PRUNE_NOTICES,
	PRUNE_DRILLS, /* with their reports */
	PRUNE_KIND_COUNT,
};
const char *prune_kind_name(enum prune_kind k);

enum { PRUNE_ROWS = 100, PRUNE_LINES_MAX = 160 * 1024 * 1024 /* the largest report of a drill in base64, and a piece beside it */ };

/* A row that goes. */
struct prune_row {
	struct serial serial;
	struct id     id;
	struct hash   host_hash;
	uint64_t      seq; /* of a receipt; of a campaign's member, 0 = the campaign itself */
	char          cert_id[CERT_ID_SIZE]; /* whose history it belongs to; "" = nobody's */
};

/* Where a walk is. */
struct prune_cursor {
	int64_t       at;
	struct serial serial;
	struct id     id;
};

struct prune_piece {
	int64_t             end; /* what ended at or before goes */
	uint64_t            keep; /* notices: so many are left at most, however young */
	struct prune_cursor cursor;
	bool                more; /* the walk is not at its end */
	size_t              n;
	struct prune_row    row[PRUNE_ROWS];
	struct buf          lines; /* JSON, one a line; empty = nothing to archive */
};

/* E_STORE_*, E_FULL, E_NOMEM: nothing of the piece counts. */
_must_check_ int prune_collect(enum prune_kind kind, struct store_view *view, struct prune_piece *p);
/* The rows of the piece leave the store with this change. */
void prune_remove(enum prune_kind kind, const struct prune_piece *p, struct store_change *c);

#endif
