/* ocsp_cache.c - room controller/daemon: a hash table in the order of insertion: the first is the oldest.
 * Never: growing beyond OCSP_CACHE_MAX. */
#include "controller/daemon/ocsp_cache.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

struct entry {
	struct ocsp_cached value;
	UT_hash_handle     hh;
	size_t             n_key;
	uint8_t            bytes[]; /* key, then answer */
};

struct ocsp_cache {
	struct entry *entries;
};

int ocsp_cache_open(struct ocsp_cache **ret)
{
	struct ocsp_cache *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return E_NOMEM;
	*ret = c;
	return 0;
}

static void remove_entry(struct ocsp_cache *c, struct entry *e)
{
	HASH_DEL(c->entries, e);
	free(e);
}

void ocsp_cache_free(struct ocsp_cache *c)
{
	if (c == NULL)
		return;
	while (c->entries != NULL)
		remove_entry(c, c->entries);
	free(c);
}

static struct entry *find(const struct ocsp_cache *c, struct span key)
{
	struct entry *e = NULL;
	HASH_FIND(hh, c->entries, key.p, key.n, e);
	return e;
}

bool ocsp_cache_find(const struct ocsp_cache *c, struct span cert_id, struct ocsp_cached *ret)
{
	const struct entry *e = find(c, cert_id);
	if (e != NULL)
		*ret = e->value;
	return e != NULL;
}

void ocsp_cache_drop(struct ocsp_cache *c, struct span cert_id)
{
	struct entry *e = find(c, cert_id);
	if (e != NULL)
		remove_entry(c, e);
}

void ocsp_cache_put(struct ocsp_cache *c, struct span cert_id, const struct ocsp_cached *value)
{
	ocsp_cache_drop(c, cert_id);
	if (HASH_COUNT(c->entries) >= OCSP_CACHE_MAX)
		remove_entry(c, c->entries);
	struct entry *e = calloc(1, sizeof(*e) + cert_id.n + value->der.n);
	if (e == NULL)
		abort();
	memcpy(e->bytes, cert_id.p, cert_id.n);
	memcpy(e->bytes + cert_id.n, value->der.p, value->der.n);
	e->n_key = cert_id.n;
	e->value = *value;
	e->value.der.p = e->bytes + cert_id.n;
	HASH_ADD_KEYPTR(hh, c->entries, e->bytes, e->n_key, e);
}

size_t ocsp_cache_size(const struct ocsp_cache *c)
{
	return HASH_COUNT(c->entries);
}
