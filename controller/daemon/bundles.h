/* bundles.h - room controller/daemon: the trust bundles that a person made on the signer's host: stored as they come, handed on
 * to hosts one after the other. One that only adds a root is handed on at once, a few hosts a second; one that takes a root
 * away is kept back: hosts may still need that root. Never: making or changing one; handing one on that is not stored. */
#ifndef VCC_BUNDLES_H
#define VCC_BUNDLES_H

#include "controller/daemon/controller.h"
#include "shared/model/messages.h"

struct member;
struct store_view;

enum { BUNDLES_MAX = 64 };
/* Settings of the store: "bundle" is the one that hosts get now; "bundle-EPOCH" are all that are known, once there is more than
 * one. */

struct bundles;
_must_check_ int bundles_open(struct controller *ctl, struct bundles **ret);
_must_check_ int bundles_load(struct controller *ctl, struct refusal *why);
void             bundles_close(struct bundles *b);
void             bundles_free(struct bundles *b);

void bundles_told(struct controller *ctl, struct span frame); /* by the signer, after its hello */
void bundles_tick(struct controller *ctl);                    /* what could not be stored is tried again */

void bundles_hello(struct controller *ctl, struct member *m, uint64_t epoch); /* a host says what it has */
bool bundles_acked(struct controller *ctl, struct member *m,
		   const struct msg_ack *ack); /* false: the ack is about something else */

struct span bundles_frame(const struct controller *ctl); /* what hosts get now, encoded */
uint64_t    bundles_epoch(const struct controller *ctl);

/* ---- the roots in them ---- */

bool        bundles_trust(const struct controller *ctl, struct span root_der);    /* hosts are told to trust it */
bool        bundles_keep(const struct controller *ctl, struct span root_der);     /* and no bundle that is kept back takes it away */
uint64_t    bundles_since(const struct controller *ctl, struct span root_der);    /* epoch of the first that has it; 0 = none */
struct span bundles_other(const struct controller *ctl, struct span root_der);    /* the root beside this one, where two are trusted */
/* Two persons agreed that nobody needs this root: the next bundle, which was kept back because it takes that one away and no other,
 * goes to hosts. Adds nothing to a commit: it is said again until it is so. E_NOT_FOUND: it is not there, a person has to make it
 * (`vcc-signer drop-root`); E_API_BUSY. */
_must_check_ int bundles_release(struct controller *ctl, struct span root_der);

/* ---- read from the store, on any thread ---- */

struct bundle_told {
	uint64_t           epoch;
	uint32_t           threshold;
	int64_t            made_at;
	struct hash        hash, previous; /* of the signed bodies */
	struct buf         frame;
	struct msg_bundle  message; /* points into `frame` */
	struct bundle_root roots[MSG_ROOTS_MAX];
	uint32_t           n_roots;
};
/* Takes a copy. E_WIRE_*, E_NOMEM. */
_must_check_ int bundle_told_read(struct span frame, struct bundle_told *ret);
/* epoch 0 = the one that hosts get now. E_NOT_FOUND, E_STORE_*. */
_must_check_ int bundle_told_view(struct store_view *view, uint64_t epoch, struct bundle_told *ret);
void             bundle_told_free(struct bundle_told *b);
bool             bundle_told_has(const struct bundle_told *b, struct span root_der);

#endif
