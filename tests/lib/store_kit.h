/* store_kit.h - tests: a store of either backend in a folder of its own, changes that wait for their end, sample values.
 * Never: checks; those are the tests'. */
#ifndef VCC_STORE_KIT_H
#define VCC_STORE_KIT_H

#include <semaphore.h>

#include "controller/store/store.h"

enum kit_backend { KIT_MEM, KIT_SQLITE, KIT_BACKEND_COUNT };

struct kit {
	enum kit_backend   backend;
	struct store      *store;
	struct store_view *view;
	sem_t              woken;
	char               folder[200];
	char               path[240];
};

/* A fresh store; ends the process when it cannot be made. */
void kit_open(struct kit *k, enum kit_backend backend);
/* Between the two nothing is open: the file may be looked at or changed. */
void kit_stop(struct kit *k);
void kit_start(struct kit *k);
void kit_close(struct kit *k); /* removes the folder */

/* Opens an existing (or, with `create`, new) file without view and folder. */
int  kit_try_open(struct kit *k, const char *path, bool create, struct refusal *why);
void kit_shut(struct kit *k); /* the opposite */

/* Submits and waits until `done` was called; its code. */
int kit_commit(struct kit *k, struct store_change *c, struct store_result *ret);
/* Waits for the next wake (60 s at most, then ends the process) and polls. */
void kit_poll(struct kit *k);

struct id     kit_id(uint32_t n);     /* grows with n */
struct hash   kit_hash(uint32_t n);
struct serial kit_serial(uint32_t n); /* grows with n */

/* Sample values; every field is set, and differs with n. */
void kit_certificate(uint32_t n, struct certificate *ret);
void kit_issuance(uint32_t n, struct issuance *ret);
void kit_order(uint32_t n, struct order *ret);
void kit_target(uint32_t n, struct target *ret);
void kit_inventory(uint32_t n, struct inventory *ret);
void kit_listener(uint32_t n, struct inventory_listener *ret);
void kit_agent(uint32_t n, struct agent *ret);
void kit_invite(uint32_t n, struct invite *ret);
void kit_template(uint32_t n, struct template *ret);
void kit_issuer(uint32_t n, struct issuer *ret);
void kit_audit(uint32_t n, enum audit_event event, struct audit *ret);
void kit_step(uint32_t n, uint32_t order, struct order_step_row *ret);

#endif
