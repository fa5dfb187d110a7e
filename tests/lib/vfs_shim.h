/* vfs_shim.h - tests: a SQLite VFS over the usual one that counts who writes, and fails or kills at the n-th call.
 * Never: storage of its own. */
#ifndef VCC_VFS_SHIM_H
#define VCC_VFS_SHIM_H

#include <stdbool.h>
#include <stddef.h>

/* Becomes the default VFS of this process. */
void vfs_shim_install(void);

struct vfs_counts {
	size_t writers;         /* connections that wrote to the database file or took the checkpoint lock exclusively */
	size_t log_writers;     /* open files of the write-ahead log that were written to */
	size_t database_writes; /* pages that checkpoints brought into the database file */
	size_t log_writes;
	size_t connections;     /* database files opened */
};
void vfs_shim_reset(void); /* counts from here */
void vfs_shim_counts(struct vfs_counts *ret);

enum vfs_fault { VFS_WRITE, VFS_SYNC, VFS_ANY };
/* The n-th call of that kind from here (1 = next) and the `more` after it return `rc`; rc -1 = SIGKILL at once. */
void vfs_shim_arm(enum vfs_fault kind, long n, long more, int rc);
/* Returns how many calls came in since arming. */
long vfs_shim_disarm(void);

#endif
