/* sign_serve.h - room controller/signer: request frames in, answer frames out, in batches: check all, log all, sign all.
 * No socket here, so that tests can speak to it directly. Never: signing what is not in the log. */
#ifndef VCC_SIGN_SERVE_H
#define VCC_SIGN_SERVE_H

#include "controller/signer/bundle_file.h"
#include "controller/signer/ca_store.h"
#include "controller/signer/sign_log.h"
#include "controller/signer/signer_limits.h"

enum {
	SERVE_IN_MAX = 2 << 20,   /* unread requests */
	SERVE_OUT_MAX = 16 << 20, /* answers of one batch */
	SERVE_LISTS_MAX = 16,     /* revocation lists in one batch: each may be large */
	SERVE_TOKEN_MAX = 16,     /* requests in one batch with a token: a slow one signs one a second, and the watchdog is told between batches */
};

struct signer {
	const struct signer_conf *conf;
	struct ca_store           cas;
	struct hsm               *hsm; /* NULL = CA keys are files */
	struct bundle_file        bundles[BUNDLE_EPOCHS_MAX]; /* what hosts are to trust, as it was made by a person (new_root.h) */
	size_t                    n_bundles;
	struct sign_log          *log;
	struct rate_cap           rate;
	uint64_t                  signed_new, signed_again, refused; /* since start, for the status line */
};

struct serve; /* working memory of the batches; one is enough for all connections */
_must_check_ int serve_new(struct signer *s, struct serve **ret);
void             serve_free(struct serve *v); /* NULL allowed */

/* What a new connection hears first: hello, one frame per CA, one per trust bundle behind the first. Appends length-prefixed frames to `out`. */
_must_check_ int serve_hello(struct serve *v, struct buf *out);

/* One batch: takes whole frames from the front of `in`, drops them, appends the answers to `out`. *ret_done = requests
 * answered, 0 = no whole frame is waiting. Times are read by the caller: `now` UTC, `mono` for the rate cap.
 * E_WIRE_*: the peer is to be disconnected. E_SYS_IO: the log cannot be trusted, end the process. Both leave `out` as it is. */
_must_check_ int serve_batch(struct serve *v, struct buf *in, int64_t now, int64_t mono, struct buf *out, size_t *ret_done);

#endif
