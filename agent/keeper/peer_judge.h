/* peer_judge.h - room agent/keeper: what one handshake with another host's service showed, judged as its clients would.
 * Values in, values out. Never: the system's trust store, fetching what is missing in a chain. */
#ifndef VCC_PEER_JUDGE_H
#define VCC_PEER_JUDGE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/model/peer.h"

enum { PEER_ANCHORS_MAX = 8 };

/* The roots that services of this host hold, each set once. */
struct peer_anchors {
	size_t n;
	struct {
		char       who[CERT_ID_SIZE]; /* the first target that holds them; "" = the host itself */
		struct buf roots;             /* DER one after the other */
	} set[PEER_ANCHORS_MAX];
};
/* The same set again is not kept twice. Sets beyond the limit: E_FULL. */
_must_check_ int peer_anchors_add(struct peer_anchors *a, const char *who, struct span roots);
void             peer_anchors_free(struct peer_anchors *a);

struct peer_wanted {
	struct hash   fingerprint;
	struct serial old_serial; /* none = there was no certificate before it */
	const char   *name;       /* that clients ask for */
	int64_t       at;         /* validity is judged by this time */
};

/* `served`: all that was served, DER one after the other. 0, or E_PEER_STALE, E_PEER_OTHER, E_PEER_CHAIN, E_PEER_NAME with the cause in
 * `why`. `ret_seen` is the served certificate's fingerprint, none when it cannot be read. */
_must_check_ int peer_judge(const struct peer_wanted *wanted, const struct peer_anchors *anchors, struct span served, struct hash *ret_seen,
                            struct refusal *why);

#endif
