/* restore_drill.h - room controller/daemon: `vcc-controller restore --drill FILE`: the restore itself, into STATE/drill, which is removed
 * afterwards. What runs goes on. Never: the store in force; filling the disk that it needs. */
#ifndef VCC_RESTORE_DRILL_H
#define VCC_RESTORE_DRILL_H

#include "controller/daemon/restore_check.h"

/* An empty folder with room for the backup `fd`; `ret_path` is the database that it is restored to, and has to stay: from now on what would
 * end this process (SIGINT, SIGTERM, SIGHUP) removes the folder first. Before any other thread is made. E_BACKUP_SPACE, E_SYS_*. */
_must_check_ int restore_drill_begin(const char *state_dir, int fd, char *ret_path, size_t size, struct refusal *why);
/* What a drill that was killed left goes, unless one is under way. For the start of the controller. */
void restore_drill_clear(const char *state_dir);
/* Opens what was restored, as the controller would, and prints as JSON what it is: `found`, how much it holds, its authorities. E_RESTORE_BACKUP,
 * E_STORE_*. */
_must_check_ int restore_drill_look(const char *path, const struct restore_found *found, struct refusal *why);
/* The folder and all that is in it goes, whatever happened. */
void restore_drill_end(const char *path);

#endif
