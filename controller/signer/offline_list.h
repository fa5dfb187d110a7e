/* offline_list.h - room controller/signer: the three steps of offline_root.h for the revocation list of a root whose key is on another machine.
 * Never: a list that is not what was asked for. */
#ifndef VCC_OFFLINE_LIST_H
#define VCC_OFFLINE_LIST_H

#include "controller/signer/root_work.h"

/* Shows what waits: the controller's wish for a list, kept by the signer (root_list.h). E_SIGNER_ISSUER: nothing does. */
_must_check_ int offline_list_request(struct root_work *w, struct refusal *why);

bool             offline_list_asks(struct span file);
_must_check_ int offline_list_sign(struct root_work *w, struct span file, const char *hash, struct refusal *why);

bool             offline_list_answers(struct span file);
_must_check_ int offline_list_import(struct root_work *w, struct span file, struct refusal *why);

#endif
