/* figures_read.h - room controller/daemon: what figures need beside certificates, targets and hosts: campaigns, trail, files.
 * Never: included by anybody but figures.c. */
#ifndef VCC_FIGURES_READ_H
#define VCC_FIGURES_READ_H

#include "controller/daemon/figures.h"

_must_check_ int figures_read_rest(struct figures *f, struct store_view *view, const struct figures_ask *ask);

#endif
