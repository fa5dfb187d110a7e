/* sign_log.h - room controller/signer: the append-only log of everything that is signed, and the window of serials in memory.
 * A serial is signed for one content only: the same content may be signed again (marked in the log), anything else never.
 * Rules: add() reserves in memory, commit() makes it durable with one fdatasync; sign only after commit() returned 0.
 * Memory is constant: the last SIGN_WINDOW serials, one row per revocation list. Never: keys, certificates. */
#ifndef VCC_SIGN_LOG_H
#define VCC_SIGN_LOG_H

#include "shared/base/err.h"
#include "shared/model/audit.h"

enum {
	SIGN_WINDOW = 65536,     /* serial counters remembered below the highest one */
	SIGN_BATCH_MAX = 256,    /* reservations between two commits */
	SIGN_LISTS_MAX = 65536,  /* revocation lists (issuer, shard) remembered */
	SIGN_LOG_ROTATE = 64 << 20, /* bytes; then the file is kept as NAME.TIME and a new one begins with the window */
};
/* A counter may not jump further: one wrong request must not use up the numbers of a century. */
#define SIGN_JUMP_MAX (UINT64_C(1) << 32)

struct sign_log;

/* Reads the whole log at `path` (missing = new) and takes a lock beside it. E_SYS_LOCKED, E_SYS_JOURNAL. `rotate_at`: SIGN_LOG_ROTATE. */
_must_check_ int sign_log_open(const char *path, size_t rotate_at, struct sign_log **ret, struct refusal *why);
void             sign_log_close(struct sign_log *l); /* NULL allowed */

uint64_t sign_log_top(const struct sign_log *l); /* highest serial counter ever logged; 0 = none */

/* This serial was signed, or is reserved, for this very content. */
bool sign_log_has(const struct sign_log *l, struct serial serial, struct hash tbs_hash);

/* Could something new be signed under this serial? E_SIGNER_SERIAL: used, below the window, or a jump too far. E_FULL: commit first. */
_must_check_ int sign_log_may(const struct sign_log *l, struct serial serial, struct refusal *why);
/* Reserves the serial for this content. *ret_repeat: it was signed before. E_SIGNER_SERIAL: other content, below the window, or a
 * jump too far. E_FULL: commit first. */
_must_check_ int sign_log_add(struct sign_log *l, struct serial serial, struct hash tbs_hash, enum leaf_profile profile,
                              bool *ret_repeat, struct refusal *why);
/* The number of a list never falls; the same number is signed again for the same content only. */
_must_check_ int sign_log_add_list(struct sign_log *l, const char *issuer_id, uint32_t shard, uint64_t number, struct hash content,
                                   bool *ret_repeat, struct refusal *why);

/* Would sign_log_add_list() take it? */
bool sign_log_may_list(const struct sign_log *l, const char *issuer_id, uint32_t shard, uint64_t number, struct hash content);
uint64_t sign_log_list_top(const struct sign_log *l, const char *issuer_id, uint32_t shard); /* its last number; 0 = none */

/* The last audit head that was signed; size 0 = none. */
void sign_log_head(const struct sign_log *l, struct audit_head *ret);
/* The size of the audit tree never falls: it must have grown out of the last head, which `proof` (n 32-byte nodes) shows; the same tree is
 * signed again. E_AUDIT_HEAD. */
_must_check_ int sign_log_add_head(struct sign_log *l, uint64_t size, struct hash root, int64_t at, struct span proof, bool *ret_repeat,
                                   struct refusal *why);
/* Forgets the last head: after a restore, by a person. */
_must_check_ int sign_log_restart_head(struct sign_log *l, struct refusal *why);

/* Makes all reservations durable. After E_SYS_SPACE they are undone and the log goes on; after E_SYS_IO nothing is certain any
 * more: end the process, the next start reads what is true. */
_must_check_ int sign_log_commit(struct sign_log *l, int64_t now);

/* Rotates when the file has grown large; call when nothing is waiting. A failure leaves the old file in use, and is tried again
 * after a minute; what it broke for good, the next commit tells. */
_must_check_ int sign_log_tidy(struct sign_log *l, int64_t now);

#endif
