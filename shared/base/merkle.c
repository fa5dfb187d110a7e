/* merkle.c - room shared/base: the append-only hash tree of RFC 6962, section 2, over 32-byte nodes.
 * Never: heap, files, crypto library; the hash function and the stored nodes are the caller's. */
#include "shared/base/merkle.h"

#include <stdbool.h>
#include <string.h>

#include "shared/base/err.h"

void merkle_leaf(merkle_hash_fn *fn, const void *entry, size_t n, struct hash *ret)
{
	fn("\0", 1, entry, n, ret);
}

void merkle_node(merkle_hash_fn *fn, const struct hash *left, const struct hash *right, struct hash *ret)
{
	uint8_t head[1 + sizeof(left->b)] = {0x01};
	memcpy(head + 1, left->b, sizeof(left->b));
	fn(head, sizeof(head), right->b, sizeof(right->b), ret);
}

size_t merkle_append(merkle_hash_fn *fn, struct merkle_frontier *f, const struct hash *leaf,
                     struct merkle_made ret_made[MERKLE_LEVELS])
{
	struct hash node = *leaf;
	uint64_t    index = f->size;
	size_t      n = 0;
	ret_made[n++] = (struct merkle_made){0, index, node};
	uint32_t level = 0;
	for (; (index & 1) != 0 && level + 1 < MERKLE_LEVELS; level++) { /* carries like binary counting */
		merkle_node(fn, &f->node[level], &node, &node);
		index >>= 1;
		ret_made[n++] = (struct merkle_made){level + 1, index, node};
	}
	f->node[level] = node;
	f->size++;
	return n;
}

/* Nodes that exist after `n` leaves: n leaves and one interior node for each carry. */
static uint64_t nodes_after(uint64_t n)
{
	return 2 * n - (uint64_t)__builtin_popcountll(n);
}

uint64_t merkle_position(uint32_t level, uint64_t index)
{
	uint64_t last_leaf = ((index + 1) << level) - 1;
	return nodes_after(last_leaf) + level;
}

void merkle_root(merkle_hash_fn *fn, const struct merkle_frontier *f, struct hash *ret)
{
	struct hash root;
	bool        have = false;
	for (uint32_t level = 0; level < MERKLE_LEVELS; level++) {
		if ((f->size >> level & 1) == 0)
			continue;
		if (have)
			merkle_node(fn, &f->node[level], &root, &root);
		else
			root = f->node[level];
		have = true;
	}
	if (!have)
		fn(NULL, 0, NULL, 0, &root);
	*ret = root;
}

int merkle_frontier_load(merkle_get_fn *get, void *ctx, uint64_t size, struct merkle_frontier *ret)
{
	struct merkle_frontier f = {.size = size};
	if (size >> (MERKLE_LEVELS - 1) != 0)
		return E_RANGE;
	for (uint32_t level = 0; level < MERKLE_LEVELS; level++) {
		if ((size >> level & 1) == 0)
			continue;
		int r = get(ctx, level, (size >> level) - 1, &f.node[level]);
		if (r < 0)
			return r;
	}
	*ret = f;
	return 0;
}

/* Hash of the leaves [start, start + n), n >= 1, where `start` is a multiple of the power of two that holds n: the
 * complete subtrees named by the bits of n, joined from the smallest. */
static int range_hash(merkle_hash_fn *fn, merkle_get_fn *get, void *ctx, uint64_t start, uint64_t n, struct hash *ret)
{
	struct hash acc;
	bool        have = false;
	for (uint32_t level = 0; level < MERKLE_LEVELS && n >> level != 0; level++) {
		if ((n >> level & 1) == 0)
			continue;
		struct hash piece;
		uint64_t    before = n >> level >> 1 << 1 << level;
		int         r = get(ctx, level, (start + before) >> level, &piece);
		if (r < 0)
			return r;
		if (have)
			merkle_node(fn, &piece, &acc, &acc);
		else
			acc = piece;
		have = true;
	}
	*ret = acc;
	return 0;
}

/* Largest power of two smaller than n, n >= 2. */
static uint64_t split_of(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static void reverse(struct hash *path, size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		struct hash t = path[i];
		path[i] = path[n - 1 - i];
		path[n - 1 - i] = t;
	}
}

int merkle_inclusion(merkle_hash_fn *fn, merkle_get_fn *get, void *ctx, uint64_t index, uint64_t size,
                     struct hash ret_path[MERKLE_LEVELS], size_t *ret_n)
{
	if (index >= size || size >> (MERKLE_LEVELS - 1) != 0)
		return E_RANGE;

	struct hash path[MERKLE_LEVELS];
	size_t      n_path = 0;
	uint64_t    start = 0, n = size;
	while (n > 1) {
		uint64_t k = split_of(n);
		bool     left = index - start < k;
		int      r = left ? range_hash(fn, get, ctx, start + k, n - k, &path[n_path])
		                  : range_hash(fn, get, ctx, start, k, &path[n_path]);
		if (r < 0)
			return r;
		n_path++;
		start += left ? 0 : k;
		n = left ? k : n - k;
	}
	reverse(path, n_path);
	memcpy(ret_path, path, n_path * sizeof(path[0]));
	*ret_n = n_path;
	return 0;
}

int merkle_consistency(merkle_hash_fn *fn, merkle_get_fn *get, void *ctx, uint64_t old, uint64_t size,
                       struct hash ret_path[2 * MERKLE_LEVELS], size_t *ret_n)
{
	if (old > size || size >> (MERKLE_LEVELS - 1) != 0)
		return E_RANGE;

	struct hash path[2 * MERKLE_LEVELS];
	size_t      n_path = 0;
	uint64_t    start = 0, n = size;
	bool        whole = true; /* the range begins at 0, so its old head is known to the verifier */
	while (old != 0 && old - start != n) {
		uint64_t k = split_of(n);
		bool     left = old - start <= k;
		int      r = left ? range_hash(fn, get, ctx, start + k, n - k, &path[n_path])
		                  : range_hash(fn, get, ctx, start, k, &path[n_path]);
		if (r < 0)
			return r;
		n_path++;
		whole = whole && left;
		start += left ? 0 : k;
		n = left ? k : n - k;
	}
	if (old != 0 && !whole) {
		int r = range_hash(fn, get, ctx, start, n, &path[n_path]);
		if (r < 0)
			return r;
		n_path++;
	}
	reverse(path, n_path);
	memcpy(ret_path, path, n_path * sizeof(path[0]));
	*ret_n = n_path;
	return 0;
}

/* RFC 9162, 2.1.3.2: the checks of RFC 6962's proofs, spelled out. */
int merkle_inclusion_check(merkle_hash_fn *fn, const struct hash *leaf, uint64_t index, uint64_t size,
                           const struct hash *path, size_t n, const struct hash *root)
{
	if (index >= size)
		return E_PKI_SIGNATURE;

	uint64_t    at = index, last = size - 1;
	struct hash acc = *leaf;
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return E_PKI_SIGNATURE;
		if ((at & 1) != 0 || at == last) {
			merkle_node(fn, &path[i], &acc, &acc);
			while ((at & 1) == 0 && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			merkle_node(fn, &acc, &path[i], &acc);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_equal(acc, *root) ? 0 : E_PKI_SIGNATURE;
}

/* RFC 9162, 2.1.4.2, for 0 < old < size. `first` is the node that both heads start from. */
static int consistency_walk(merkle_hash_fn *fn, uint64_t old, uint64_t size, struct hash first, const struct hash *path,
                            size_t n, const struct hash *old_root, const struct hash *root)
{
	uint64_t    at = old - 1, last = size - 1;
	struct hash acc_old = first, acc = first;
	while ((at & 1) != 0) {
		at >>= 1;
		last >>= 1;
	}
	for (size_t i = 0; i < n; i++) {
		if (last == 0)
			return E_PKI_SIGNATURE;
		if ((at & 1) != 0 || at == last) {
			merkle_node(fn, &path[i], &acc_old, &acc_old);
			merkle_node(fn, &path[i], &acc, &acc);
			while ((at & 1) == 0 && at != 0) {
				at >>= 1;
				last >>= 1;
			}
		} else {
			merkle_node(fn, &acc, &path[i], &acc);
		}
		at >>= 1;
		last >>= 1;
	}
	return last == 0 && hash_equal(acc_old, *old_root) && hash_equal(acc, *root) ? 0 : E_PKI_SIGNATURE;
}

int merkle_consistency_check(merkle_hash_fn *fn, uint64_t old, uint64_t size, const struct hash *old_root,
                             const struct hash *root, const struct hash *path, size_t n)
{
	if (old > size)
		return E_PKI_SIGNATURE;
	if (old == size)
		return n == 0 && hash_equal(*old_root, *root) ? 0 : E_PKI_SIGNATURE;
	if (old == 0) { /* everything grows out of the empty tree; only its head is fixed */
		struct hash empty;
		fn(NULL, 0, NULL, 0, &empty);
		return n == 0 && hash_equal(*old_root, empty) ? 0 : E_PKI_SIGNATURE;
	}
	if ((old & (old - 1)) == 0) /* the old tree is one complete subtree: its head is the first node */
		return consistency_walk(fn, old, size, *old_root, path, n, old_root, root);
	if (n == 0)
		return E_PKI_SIGNATURE;
	return consistency_walk(fn, old, size, path[0], path + 1, n - 1, old_root, root);
}
