/* self_stat.h - room shared/sys: what the kernel knows of this process: processor time, memory, descriptors.
 * Its files are opened before the lock-in and read later, from one thread at a time. Never: other processes. */
#ifndef VCC_SELF_STAT_H
#define VCC_SELF_STAT_H

#include <stdint.h>

#include "shared/base/err.h"

struct self_stat;
/* E_NOMEM, E_SYS_IO: there is no /proc. */
_must_check_ int self_stat_open(struct self_stat **ret);
void             self_stat_close(struct self_stat *s); /* NULL allowed */

struct self_figures {
	int64_t cpu_ms;
	int64_t resident_bytes;
	int64_t fds, max_fds;
};
/* What cannot be read is 0; NULL allowed. */
void self_stat_read(struct self_stat *s, struct self_figures *ret);

#endif
