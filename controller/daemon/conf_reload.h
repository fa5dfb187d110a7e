/* conf_reload.h - room controller/daemon: controller.conf and the channels, read again in a running controller: all of it holds,
 * or nothing. Never: what is bound, opened or signed at the start; that is said, and waits for a restart. */
#ifndef VCC_CONF_RELOAD_H
#define VCC_CONF_RELOAD_H

#include "controller/daemon/controller.h"
#include "shared/base/err.h"

struct conf_reload;

/* What became of the last reading; the one at the start went well. */
struct conf_reading {
	bool           well;
	int64_t        well_at; /* of the last one that did */
	struct refusal why;     /* when it did not */
};

_must_check_ int           conf_reload_open(struct controller *ctl, struct conf_reload **ret);
/* What was read holds when its records are stored, one for each setting that is new; `done` then, or when it was refused: conf_reading() says.
 * Asked for once more meanwhile: it is read once more, and told once. */
typedef void               conf_reloaded_fn(void *ctx);
void                       conf_reload(struct controller *ctl, const char *path, conf_reloaded_fn *done, void *ctx);
const struct conf_reading *conf_reading(const struct controller *ctl);
void                       conf_reload_free(struct conf_reload *all);

#endif
