/* place.h - room agent/keeper: the places of a certificate, one per target file.
 * Never: what is done there; see swap.h. */
#ifndef VCC_PLACE_H
#define VCC_PLACE_H

#include "agent/keeper/keeper.h"

/* The place of this target file among `m`'s, or NULL. */
struct place *place_find(struct managed *m, const char *stem);
/* E_FULL, E_NOMEM. */
_must_check_ int place_add(struct managed *m, const char *stem, struct place **ret);
void place_forget(struct place *p);

/* Is the certificate served anywhere on this host? A place counts until its target file is gone, even when that has a mistake. */
bool places_live(const struct managed *m);
/* Have all live places been read well? */
bool places_present(const struct managed *m);

/* A generation was written. It is remembered beside the one in use. */
void place_made(struct place *p, const struct made *new);
/* What the generation that `current` names was made as; NULL: it is not one of ours, or nothing is known of it. */
const struct made *place_in_use(const struct place *p);

/* The folder of a place, made when missing; E_SWAP_TARGET without a good target file. */
_must_check_ int place_open(const struct place *p, int *ret_fd, struct refusal *why);
/* Only generations that somebody may still need are left: generation_prune() with what the settings say. */
_must_check_ int place_prune(const struct place *p, struct refusal *why);
/* Reads again what `current` holds. */
void place_look(struct place *p);
/* An earlier run may have died between the rename of `current` and its sync: what is seen now stays so when the power goes. */
void place_sync(const struct place *p);
/* Remembers what each listener served last; `verify_row`: answers in a row that prove it. */
void place_saw(struct place *p, const struct probe *probe, uint32_t verify_row);

/* A record with the bytes that its spans point at. */
struct place_record {
	struct record_target record;
	uint8_t              made[PLACE_MADE * (64 + GENERATION_FILES_MAX * (GENERATION_FILE_SIZE + 40))];
};
void             place_record(const struct place *p, struct place_record *ret);
_must_check_ int place_made_load(struct place *p, struct span packed);
/* Writes what is known of the place to the journal. `gone`: its end was acknowledged. */
_must_check_ int place_remember(const struct place *p, bool gone, bool sync);

#endif
