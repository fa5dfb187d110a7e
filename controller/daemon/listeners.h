/* listeners.h - room controller/daemon: opens the admin, local and public listeners of a running controller.
 * Never: what is served on them. */
#ifndef VCC_LISTENERS_H
#define VCC_LISTENERS_H

#include "controller/daemon/controller.h"

struct listeners;

/* Binds all three at once (before the jail takes away the right to); the admin one is served as soon as the controller
 * has its certificate. E_SYS_ADDRESS, E_GW_PLUGIN. */
_must_check_ int listeners_open(struct controller *ctl, struct listeners **ret, struct refusal *why);
void             listeners_close(struct listeners *l); /* run the loop once more before listeners_free() */
void             listeners_free(struct listeners *l);

#endif
