/* ocsp_cache.h - room controller/daemon: signed OCSP answers by the CertID that they answer, bounded, oldest out first.
 * Never: judging whether one is still true; it gives back what was noted with it. */
#ifndef VCC_OCSP_CACHE_H
#define VCC_OCSP_CACHE_H

#include "shared/base/buf.h"
#include "shared/base/err.h"

enum { OCSP_CACHE_MAX = 20000 }; /* about 1.3 kB each */

struct ocsp_cached {
	struct span der;
	int64_t     this_update_at, next_update_at;
	uint64_t    changes; /* of its list when its status was read */
};

struct ocsp_cache;
_must_check_ int ocsp_cache_open(struct ocsp_cache **ret);
void             ocsp_cache_free(struct ocsp_cache *c);

bool   ocsp_cache_find(const struct ocsp_cache *c, struct span cert_id,
		       struct ocsp_cached *ret); /* valid until the next put or drop */
void   ocsp_cache_put(struct ocsp_cache *c, struct span cert_id, const struct ocsp_cached *value); /* copies; replaces */
void   ocsp_cache_drop(struct ocsp_cache *c, struct span cert_id);
size_t ocsp_cache_size(const struct ocsp_cache *c);

#endif
