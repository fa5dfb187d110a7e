/* rows.h - room controller/daemon: rows whose newest value is on its way to the store, so that the next decision sees it.
 * A row is here while a commit of it is in flight or somebody holds it; otherwise it is read from the store by key. Never:
 * writing. */
#ifndef VCC_ROWS_H
#define VCC_ROWS_H

#include "controller/store/store.h"

struct rows;
struct row;

_must_check_ int rows_open(struct store_view *view, struct rows **ret);
void             rows_free(struct rows *r);

/* Newest value: in flight, else stored. E_NOT_FOUND, E_STORE_*. */
_must_check_ int rows_certificate(struct rows *r, const char *cert_id, struct certificate *ret);
_must_check_ int rows_issuance(struct rows *r, struct serial serial, struct issuance *ret);
_must_check_ int rows_agent(struct rows *r, const char *name, struct agent *ret);
_must_check_ int rows_target(struct rows *r, const char *target_id, struct target *ret);
/* The stored places of a certificate, each with its newest value. */
_must_check_ int rows_targets_of(struct rows *r, const char *cert_id, struct target *ret, size_t max, size_t *ret_n);

/* Keeps an agent's row in memory (its address and newest value stay) until rows_release_agent(). */
_must_check_ int rows_hold_agent(struct rows *r, const char *name, const struct agent **ret);
void             rows_release_agent(struct rows *r, const char *name);

/* For commit.c: a new value goes to the store; afterwards rows_settle() once for each. */
struct row *rows_set_certificate(struct rows *r, const struct certificate *c);
struct row *rows_set_issuance(struct rows *r, const struct issuance *i);
struct row *rows_set_agent(struct rows *r, const struct agent *a);
struct row *rows_set_target(struct rows *r, const struct target *t);
struct row *rows_remove_target(struct rows *r, const char *target_id);
void        rows_settle(struct rows *r, struct row *row, bool stored);

#endif
