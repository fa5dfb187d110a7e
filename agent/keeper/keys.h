/* keys.h - room agent/keeper: service keys before they are part of a generation: one file per attempt, 0600, keeper's folder.
 * Never: leaving the host; the loop waiting for a key to be made. */
#ifndef VCC_KEYS_H
#define VCC_KEYS_H

#include <uv.h>

#include "shared/base/err.h"
#include "shared/model/certificate.h"
#include "shared/pki/key.h"

/* The outcome of keys_make(), as an event on the loop. */
struct keys_made {
	struct id   renewal_id;
	uint32_t    attempt;
	int         code;
	struct hash spki_hash;
	char        cause[160];
};
typedef void keys_made_fn(void *ctx, const struct keys_made *made);

/* Makes the key of (renewal_id, attempt) on a worker thread, writes and syncs its file, then calls `done` on the loop. A key of this
 * attempt that an earlier run has written is used again. */
_must_check_ int keys_make(uv_loop_t *loop, int keys_fd, struct id renewal_id, uint32_t attempt, enum key_type type,
                           keys_made_fn *done, void *ctx);
_must_check_ int keys_load(int keys_fd, struct id renewal_id, uint32_t attempt, struct key **ret, struct refusal *why);
bool keys_present(int keys_fd, struct id renewal_id, uint32_t attempt);
/* Removes every key of which `needed` says no. Files with other names than ours stay. */
typedef bool keys_needed_fn(void *ctx, struct id renewal_id, uint32_t attempt);
_must_check_ int keys_sweep(int keys_fd, keys_needed_fn *needed, void *ctx, struct refusal *why);
/* Missing is fine. */
_must_check_ int keys_drop(int keys_fd, struct id renewal_id, uint32_t attempt, struct refusal *why);

#endif
