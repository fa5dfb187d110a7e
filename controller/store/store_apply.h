/* store_apply.h - room controller/store: a change as a list of verbs, and how it is applied to a backend's rows.
 * Never: SQL, threads. */
#ifndef VCC_STORE_APPLY_H
#define VCC_STORE_APPLY_H

#include "controller/store/store_rows.h"

/* What applying needs beside the rows; lives as long as the writer. */
struct apply {
	struct rows           *rows;
	merkle_hash_fn        *hash;
	struct merkle_frontier tree;
	struct buf             text; /* canonical bytes, reused */
};

struct store_verb;
typedef int verb_fn(struct apply *a, const struct store_verb *v, struct store_result *result);

struct store_verb {
	struct store_verb *next;
	verb_fn           *fn;
	const struct noun *noun;
	uint64_t           number; /* expect_version, n of serials */
	uint64_t           floor;
	struct hash        who; /* redeem */
	void              *row; /* of the noun, owned */
};

struct store_change {
	struct store_change *next;
	struct store_verb   *first, *last;
	store_done_fn       *done;
	void                *ctx;
	int                  code;
	struct store_result  result;
};

/* Loads the tree's right edge: O(log n) rows. */
_must_check_ int apply_start(struct apply *a, struct rows *rows, merkle_hash_fn *hash);
void             apply_end(struct apply *a);

/* Applies every verb in order. On failure the rows may hold a part of the change: the caller undoes them and puts the
 * tree back as it was before the call. Does not set change->code. */
_must_check_ int apply_change(struct apply *a, struct store_change *c);

/* The failure belongs to the database, not to the change. */
bool apply_code_is_fatal(int code);

/* The verbs. */
verb_fn apply_put, apply_add, apply_replace, apply_remove, apply_certificate, apply_template, apply_redeem, apply_message,
	apply_audit, apply_serials, apply_crl, apply_receipt, apply_listeners_gone, apply_too_large;

/* Audit: gives seq, stores row and nodes. */
_must_check_ int audit_append(struct apply *a, struct audit *row);

#endif
