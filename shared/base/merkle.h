/* merkle.h - room shared/base: the append-only hash tree of RFC 6962, section 2, over 32-byte nodes.
 * The hash function comes from the caller; nodes are stored by the caller. Never: heap, files, crypto library. */
#ifndef VCC_MERKLE_H
#define VCC_MERKLE_H

#include <stdint.h>

#include "shared/base/attr.h"
#include "shared/base/id.h"

/* SHA-256 over the concatenation of two byte strings (b may be empty). */
typedef void merkle_hash_fn(const void *a, size_t n_a, const void *b, size_t n_b, struct hash *ret);

enum { MERKLE_LEVELS = 63 };

/* The right edge of a tree: frontier.node[k] is the full subtree of 2^k leaves that is not yet part of a larger one
 * (present when bit k of `size` is set). This is all that appending needs: O(log n). */
struct merkle_frontier {
	uint64_t    size; /* leaves */
	struct hash node[MERKLE_LEVELS];
};

/* Leaf hash of an entry: SHA-256(0x00 || entry). */
void merkle_leaf(merkle_hash_fn *fn, const void *entry, size_t n, struct hash *ret);
/* Interior node: SHA-256(0x01 || left || right). */
void merkle_node(merkle_hash_fn *fn, const struct hash *left, const struct hash *right, struct hash *ret);

/* One complete node made by an append: level 0 is the leaf; `index` counts nodes of that level from the left. */
struct merkle_made {
	uint32_t    level;
	uint64_t    index;
	struct hash hash;
};

/* Appends one leaf. Writes the complete nodes that came into being (leaf first) to `ret_made` and returns how many
 * (1 .. MERKLE_LEVELS). */
size_t merkle_append(merkle_hash_fn *fn, struct merkle_frontier *f, const struct hash *leaf,
                     struct merkle_made ret_made[MERKLE_LEVELS]);

/* Where node (level, index) stands in the order in which appends make nodes, from 0: a key under which a store only ever
 * writes at the end. `index` must lie in a tree that can exist (< 2^(62 - level)). */
uint64_t merkle_position(uint32_t level, uint64_t index);

/* The tree head (root). Empty tree: SHA-256 of the empty string. */
void merkle_root(merkle_hash_fn *fn, const struct merkle_frontier *f, struct hash *ret);

/* Gives complete node (level, index); 0 or a negative code. */
typedef int merkle_get_fn(void *ctx, uint32_t level, uint64_t index, struct hash *ret);

/* Reads the right edge of the tree of `size` leaves from its stored nodes: O(log n). Codes of `get`. */
_must_check_ int merkle_frontier_load(merkle_get_fn *get, void *ctx, uint64_t size, struct merkle_frontier *ret);

/* Audit path of leaf `index` in the tree of `size` leaves (RFC 6962, 2.1.1). E_RANGE unless index < size; codes of `get`. */
_must_check_ int merkle_inclusion(merkle_hash_fn *fn, merkle_get_fn *get, void *ctx, uint64_t index, uint64_t size,
                                  struct hash ret_path[MERKLE_LEVELS], size_t *ret_n);
/* Consistency proof from `old` to `size` leaves (RFC 6962, 2.1.2). At most 2 * MERKLE_LEVELS nodes; none
 * for old = 0 or old = size. E_RANGE unless old <= size. */
_must_check_ int merkle_consistency(merkle_hash_fn *fn, merkle_get_fn *get, void *ctx, uint64_t old, uint64_t size,
                                    struct hash ret_path[2 * MERKLE_LEVELS], size_t *ret_n);

/* 0, or E_PKI_SIGNATURE when the path does not lead from the leaf (or the old head) to `root`. */
_must_check_ int merkle_inclusion_check(merkle_hash_fn *fn, const struct hash *leaf, uint64_t index, uint64_t size,
                                        const struct hash *path, size_t n, const struct hash *root);
_must_check_ int merkle_consistency_check(merkle_hash_fn *fn, uint64_t old, uint64_t size, const struct hash *old_root,
                                          const struct hash *root, const struct hash *path, size_t n);

#endif
