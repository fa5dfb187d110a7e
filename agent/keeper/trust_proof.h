/* trust_proof.h - room agent/keeper: how sure is it that a service uses the trust files that lie at its place? (LIFECYCLE 7)
 * Never: looking itself. */
#ifndef VCC_TRUST_PROOF_H
#define VCC_TRUST_PROOF_H

#include "shared/base/buf.h"
#include "shared/base/id.h"
#include "shared/model/messages.h"

struct place;

/* One name (DER) into a set of names: the order does not matter. */
void trust_names_add(struct hash *set, struct span name_der);
/* The names of all roots that this host accepts now. */
struct hash trust_names(struct span roots);
/* From what the listeners named (place.trust_seen), else from how the service was told. */
enum trust_proof trust_proof_of(const struct place *p);

#endif
