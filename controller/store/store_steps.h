/* store_steps.h - room controller/store: an order's history as text: what came at once is one row, each step a line of it.
 * Never: rows of a backend. */
#ifndef VCC_STORE_STEPS_H
#define VCC_STORE_STEPS_H

#include "controller/store/store.h"

enum { STEPS_TEXT_MAX = STORE_STEPS_MAX * (CAUSE_SIZE + 128) };

/* "attempt step code at took_ms detail", one line for each; control characters of a detail become '?'. */
void steps_text(const struct order_step_row *rows, size_t n, struct buf *to);
/* Appends the steps of `text` to those that are there already, `max` in all; E_STORE_DAMAGED. */
_must_check_ int steps_read(struct span text, struct id renewal_id, struct order_step_row *ret, size_t max, size_t *n);

#endif
