/* receipts.h - room agent/keeper: signed receipts: in the journal before they are sent, sent until they are acknowledged.
 * Never: dropping one that the controller has not committed. */
#ifndef VCC_RECEIPTS_H
#define VCC_RECEIPTS_H

#include "agent/keeper/records.h"
#include "shared/pki/key.h"

enum { RECEIPTS_MAX = 512 };

struct receipt_kept {
	struct receipt_kept *next;
	uint64_t             seq;
	char                 cert_id[CERT_ID_SIZE];
	struct id            renewal_id;
	uint32_t             attempt;
	uint32_t             outcome;
	struct buf           body, signature;
};

/* The outbox, ascending by seq. */
struct receipts {
	struct receipt_kept *first;
	size_t               n;
	uint64_t             last_seq; /* highest ever used */
	uint64_t             acked; /* all up to this one */
};

/* Encodes, numbers and signs `body` (its seq is set here: the next one, and `ahead` more) into a new entry that is not yet in
 * the outbox. E_FULL: the controller must first acknowledge some. */
_must_check_ int receipt_make(const struct receipts *r, size_t ahead, const struct key *host_key, struct body_receipt *body,
                              struct receipt_kept **ret);
struct record_receipt receipt_record(const struct receipt_kept *r);
/* After its record is durable. Takes `one`. */
void receipts_add(struct receipts *r, struct receipt_kept *one);
void receipt_free(struct receipt_kept *one); /* NULL allowed */

/* Everything up to `seq` was acknowledged. True when something changed. */
bool receipts_ack(struct receipts *r, uint64_t seq);
/* This one is committed (or refused for good). */
bool receipts_ack_one(struct receipts *r, uint64_t seq);
/* The controller's highest durable number is `taken`: ours go on above it without a gap, whatever was lost or restored on either
 * side. What is at or below it stays until it is acknowledged one by one, because a copy of this host may have used the number
 * for something else. `ret_changed`: something is numbered anew. E_NOMEM, E_PKI_*, E_WIRE_*: nothing more was changed. */
_must_check_ int receipts_follow(struct receipts *r, uint64_t taken, const struct key *host_key, bool *ret_changed);
/* The number `seq` belongs to another receipt of this host key: ours gets the next free one. E_NOT_FOUND. */
_must_check_ int receipts_renumber(struct receipts *r, uint64_t seq, const struct key *host_key);
struct record_acked receipts_acked(const struct receipts *r);

_must_check_ int receipts_load(struct receipts *r, const struct record_receipt *record);
void receipts_loaded_acked(struct receipts *r, const struct record_acked *record);
void receipts_free(struct receipts *r);

#endif
