/* fleet_silence.h - room controller/daemon: many hosts that go silent at once are one matter: told once, and ended by itself.
 * Never: what a single host does. */
#ifndef VCC_FLEET_SILENCE_H
#define VCC_FLEET_SILENCE_H

#include "controller/daemon/controller.h"

struct fleet_silence;

_must_check_ int fleet_silence_open(struct fleet_silence **ret);
void             fleet_silence_tick(struct controller *ctl, int64_t now);
void             fleet_silence_free(struct fleet_silence *s);

#endif
