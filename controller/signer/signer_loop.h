/* signer_loop.h - room controller/signer: the one loop: accepts controllers, feeds batches, sends answers.
 * Never: opening anything; it runs locked in. */
#ifndef VCC_SIGNER_LOOP_H
#define VCC_SIGNER_LOOP_H

#include <sys/types.h>

#include "controller/signer/sign_serve.h"

/* Runs until SIGTERM or SIGINT (returns 0) or until the log fails (E_SYS_IO). `also`: the controller's uid, -1 = none.
 * Call signer_signals() first: the two signals are blocked except while waiting. */
_must_check_ int signer_loop(struct signer *s, int listen_fd, uid_t also);
void             signer_signals(void);

#endif
