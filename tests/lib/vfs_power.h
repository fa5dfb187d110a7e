/* vfs_power.h - tests: a SQLite VFS over the usual one that remembers each write, truncation, sync and removal of the database and
 * its log, in order, and makes from any beginning of them what a disk may hold when the power goes there.
 * Never: changing what the process itself sees. */
#ifndef VCC_VFS_POWER_H
#define VCC_VFS_POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Becomes the default VFS of this process; nothing is remembered yet. */
void   vfs_power_install(void);
void   vfs_power_begin(void); /* forgets, and remembers from here: no file is there */
void   vfs_power_end(void);
size_t vfs_power_count(void); /* of what was remembered */

/* Writes the database to PATH and its log beside it as they may be after the first `k`. What was synced is there; of the rest each
 * sector is by itself, drawn from `seed`. `syncs`: false = no sync was ever obeyed. */
void vfs_power_cut(size_t k, uint64_t seed, bool syncs, const char *path);

#endif
