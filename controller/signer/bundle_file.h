/* bundle_file.h - room controller/signer: the trust bundles in STATE_DIR/ca, one file `bundle-EPOCH` each, as hosts get them.
 * All are kept: a host that was away for two of them must be given both, one after the other. Never: changing one that exists.
 */
#ifndef VCC_BUNDLE_FILE_H
#define VCC_BUNDLE_FILE_H

#include <sys/types.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/model/messages.h"
#include "shared/pki/key.h"

enum { BUNDLE_EPOCHS_MAX = 64 };

struct bundle_file {
	uint64_t    epoch;
	uint32_t    threshold;
	struct hash hash;  /* SHA-256 of the signed body: what the next one names as previous */
	struct buf  roots; /* DER one after the other, in the bundle's order */
	struct buf  frame; /* encoded MSG_BUNDLE */
};
void bundle_file_free(struct bundle_file *b); /* also of zeroes */

/* E_NOT_FOUND; E_PKI_CERT: it is no trust bundle of this epoch. */
_must_check_ int bundle_file_read(int ca_fd, uint64_t epoch, struct bundle_file *ret, struct refusal *why);
/* The one of the highest epoch. E_NOT_FOUND, and E_PKI_CERT beyond BUNDLE_EPOCHS_MAX. */
_must_check_ int bundle_file_newest(int ca_fd, struct bundle_file *ret, struct refusal *why);
_must_check_ int bundle_file_write(int ca_fd, uint64_t epoch, struct span frame, uid_t uid, gid_t gid, struct refusal *why);

/* All of STATE_DIR/ca, lowest epoch first; none is fine. E_SYS_IO, E_PKI_CERT. */
_must_check_ int bundle_file_all(const char *state_dir, struct bundle_file ret[BUNDLE_EPOCHS_MAX], size_t *ret_n,
				 struct refusal *why);

bool     bundle_file_has(const struct bundle_file *b, struct span root_der);
uint32_t bundle_file_roots(const struct bundle_file *b); /* how many */

/* Encodes and signs with each key, in this order; appends the frame to `to`. n_keys <= MSG_ROOTS_MAX. */
_must_check_ int bundle_file_make(const struct body_bundle *body, const struct key *const *keys, size_t n_keys, struct buf *to);

#endif
