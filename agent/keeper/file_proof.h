/* file_proof.h - room agent/keeper: verify.kind = file: what is on disk is the new certificate, read back.
 * Never: taken for a proof that it is served; the controller treats it as unproved. */
#ifndef VCC_FILE_PROOF_H
#define VCC_FILE_PROOF_H

#include "agent/keeper/keeper.h"

/* The files that `current` leads to are one set with this fingerprint, every copy equals its source. E_SWAP_FILES. The certificate
 * counts, not the generation's number: a repair may have given it another one since. */
_must_check_ int file_proof(const struct place *p, struct hash fingerprint, struct refusal *why);

#endif
