/* records.h - room agent/keeper: what the keeper's journal holds: batches of records that count together or not at all; each is
 * a length, a kind byte and a strict body by tables.
 * Never: writing; see keeper_journal.c. Keys and secrets: none. */
#ifndef VCC_RECORDS_H
#define VCC_RECORDS_H

#include "agent/core/deploy.h"
#include "shared/base/err.h"

/* Numbers are in files: never reused. */
enum record_kind { RECORD_DEPLOY = 1, RECORD_FRAME = 2, RECORD_RECEIPT = 3, RECORD_ACKED = 4, RECORD_TARGET = 5, RECORD_LIVE = 6 };

/* The order or certificate of a deployment, as received. */
struct record_frame {
	char        cert_id[CERT_ID_SIZE];
	uint32_t    type; /* MSG_ORDER, MSG_CERTIFICATE */
	struct span frame;
};

struct record_receipt {
	uint64_t    seq;
	char        cert_id[CERT_ID_SIZE];
	struct id   renewal_id;
	uint32_t    attempt;
	uint32_t    outcome;
	struct span body;
	struct span signature;
};

struct record_acked {
	uint64_t seq;      /* highest that was acknowledged */
	uint64_t last_seq; /* highest that was ever used */
};

struct record_target {
	char     cert_id[CERT_ID_SIZE];
	char     stem[CERT_ID_SIZE];
	uint64_t generation; /* highest number that was ever used */
	uint32_t gone;       /* its end was acknowledged: forget it */
	uint64_t old_generation; /* what `current` named before the last swap; 0 = nothing of ours */
	struct span made;         /* what was written: see place.c */
	struct hash proved;       /* content that was last proved in use */
	int64_t     rehearsed_at;
};

/* The issuance in use, and which key belongs to it. */
struct record_live {
	char          cert_id[CERT_ID_SIZE];
	struct id     renewal_id;
	uint32_t      attempt;
	struct hash   fingerprint;
	struct serial serial;
	struct span   certificate; /* MSG_CERTIFICATE frame */
};

struct record {
	enum record_kind kind;
	union {
		struct deploy         deploy;
		struct record_frame   frame;
		struct record_receipt receipt;
		struct record_acked   acked;
		struct record_target  target;
		struct record_live    live;
	} u;
};

/* Appends one record to a batch; `payload` is the struct of that kind. E_WIRE_*. */
_must_check_ int record_encode(enum record_kind kind, const void *payload, struct buf *to);
/* Takes the next record from the front of `batch`. Spans point into it. E_SYS_JOURNAL for anything that this program did not write. */
_must_check_ int record_decode(struct span *batch, struct record *ret);

#endif
