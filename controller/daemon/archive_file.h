/* archive_file.h - room controller/daemon: files STATE_DIR/archive/NNNNNN.jsonl, appended to and synced; complete ones may be
 * carried away. Never: shortening a file, or writing into one that is not as it was left. */
#ifndef VCC_ARCHIVE_FILE_H
#define VCC_ARCHIVE_FILE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

/* How far the last file is used; what lies behind belongs to a change that was never stored. */
struct archive_place {
	uint64_t number; /* 0 = no file yet */
	uint64_t bytes;
};

enum { ARCHIVE_NAME_SIZE = 32 };
void archive_name(uint64_t number, char ret[ARCHIVE_NAME_SIZE]);

/* Adds `lines` whole and synced; *place then ends behind them, *ret_offset is where they begin. A file that is full, was taken away, or holds
 * more than `place` says stays as it is: the next number is used. E_SYS_*. */
_must_check_ int archive_append(const char *folder, struct span lines, struct archive_place *place, uint64_t *ret_offset,
				struct refusal *why);

#endif
