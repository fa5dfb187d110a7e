/* file_proof.h - room agent/keeper: verify.kind = file: what is on disk is the new certificate, read back.
 * Never: taken for a proof that it is served; the controller treats it as unproved. */
#ifndef VCC_FILE_PROOF_H
#define VCC_FILE_PROOF_H

#include "agent/keeper/keeper.h"

/* `current` names `generation`, its files are one set with this fingerprint, every copy equals its source. E_SWAP_FILES. */
_must_check_ int file_proof(const struct place *p, uint64_t generation, struct hash fingerprint, struct refusal *why);

#endif
