/* store_check.h - tests: whole changes as an issue makes them, and whether a store's state, audit trail, outbox and tree
 * tell the same story. Fails the running cmocka test. Never: writing. */
#ifndef VCC_STORE_CHECK_H
#define VCC_STORE_CHECK_H

#include "controller/store/store.h"

/* One issue: order, issuance, certificate `n` (new), outbox message n + 1, two audit records. */
struct store_change *check_change(uint32_t n);

enum { CHECK_CODES = 8 };
struct check_count {
	size_t n, good;
	int    code[CHECK_CODES]; /* of the first ones */
};
store_done_fn check_ended; /* ctx: struct check_count */

/* Tree head as it follows from the audit rows alone. */
void check_head(struct store_view *v, uint64_t *ret_size, struct hash *ret_root);

/* The store holds whole check_change()s only; returns how many. */
size_t check_consistent(struct store_view *v);

/* Calls every list and search once. */
void check_every_list(struct store_view *v);

#endif
