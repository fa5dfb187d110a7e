/* test_merkle.c - does shared/base/merkle.c build, prove and check the tree of RFC 6962, and refuse every altered proof?
 * The expected heads are computed here by the RFC's own recursion, from all leaves. Never: the tree code itself as oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <openssl/evp.h>

#include "shared/base/err.h"
#include "shared/base/merkle.h"

enum { LEAVES = 70 };

struct tree {
	struct merkle_frontier f;
	struct hash            leaf[LEAVES];
	struct hash            node[8][LEAVES];
	bool                   have[8][LEAVES];
	size_t                 n_made;
	int                    fail;
};

static void sha256(const void *a, size_t n_a, const void *b, size_t n_b, struct hash *ret)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	assert_non_null(ctx);
	assert_int_equal(EVP_DigestInit_ex(ctx, EVP_sha256(), NULL), 1);
	if (n_a > 0)
		assert_int_equal(EVP_DigestUpdate(ctx, a, n_a), 1);
	if (n_b > 0)
		assert_int_equal(EVP_DigestUpdate(ctx, b, n_b), 1);
	assert_int_equal(EVP_DigestFinal_ex(ctx, ret->b, NULL), 1);
	EVP_MD_CTX_free(ctx);
}

/* MTH of RFC 6962, 2.1, word for word. */
static struct hash mth(const struct hash *leaf, size_t n)
{
	if (n == 1)
		return leaf[0];
	size_t k = 1;
	while (k * 2 < n)
		k *= 2;
	struct hash left = mth(leaf, k), right = mth(leaf + k, n - k), ret;
	uint8_t     text[65] = {1};
	memcpy(text + 1, left.b, 32);
	memcpy(text + 33, right.b, 32);
	sha256(text, sizeof(text), NULL, 0, &ret);
	return ret;
}

static int get_node(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	struct tree *t = ctx;
	if (t->fail != 0)
		return t->fail;
	if (level >= 8 || index >= LEAVES || !t->have[level][index])
		return E_NOT_FOUND;
	*ret = t->node[level][index];
	return 0;
}

static void tree_add(struct tree *t)
{
	uint8_t            entry[2] = {(uint8_t)t->f.size, 7};
	struct merkle_made made[MERKLE_LEVELS];
	struct hash        leaf;
	size_t             at = (size_t)t->f.size;
	merkle_leaf(sha256, entry, sizeof(entry), &leaf);
	t->leaf[at] = leaf;
	size_t n = merkle_append(sha256, &t->f, &leaf, made);
	for (size_t i = 0; i < n; i++) {
		assert_false(t->have[made[i].level][made[i].index]);
		t->have[made[i].level][made[i].index] = true;
		t->node[made[i].level][made[i].index] = made[i].hash;
		assert_int_equal(merkle_position(made[i].level, made[i].index), t->n_made);
		t->n_made++;
	}
}

static struct tree *tree_of(size_t n)
{
	static struct tree t;
	memset(&t, 0, sizeof(t));
	while (t.f.size < n)
		tree_add(&t);
	return &t;
}

static void test_known_values(void **state)
{
	(void)state;
	/* RFC 6962 test vectors as published with Certificate Transparency: empty tree, and the leaf of the empty entry */
	struct merkle_frontier f = {0};
	struct hash            got, want;
	merkle_root(sha256, &f, &got);
	assert_int_equal(hash_parse("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", &want), 0);
	assert_true(hash_equal(got, want));
	merkle_leaf(sha256, "", 0, &got);
	assert_int_equal(hash_parse("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", &want), 0);
	assert_true(hash_equal(got, want));
}

static void test_root_is_the_rfc_recursion(void **state)
{
	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		struct tree *t = tree_of(n);
		struct hash  want = mth(t->leaf, n), got;
		merkle_root(sha256, &t->f, &got);
		assert_true(hash_equal(got, want));

		struct merkle_frontier again;
		assert_int_equal(merkle_frontier_load(get_node, t, n, &again), 0);
		merkle_root(sha256, &again, &got);
		assert_true(hash_equal(got, want));
	}
}

static void test_inclusion(void **state)
{
	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		struct tree *t = tree_of(n);
		struct hash  root = mth(t->leaf, n);
		for (size_t i = 0; i < n; i++) {
			struct hash path[MERKLE_LEVELS];
			size_t      len = 99;
			assert_int_equal(merkle_inclusion(sha256, get_node, t, i, n, path, &len), 0);
			assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[i], i, n, path, len, &root), 0);
			/* every altered piece is refused */
			for (size_t k = 0; k < len; k++) {
				path[k].b[k % 32] ^= 1;
				assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[i], i, n, path, len, &root), E_PKI_SIGNATURE);
				path[k].b[k % 32] ^= 1;
			}
			if (len > 0)
				assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[i], i, n, path, len - 1, &root), E_PKI_SIGNATURE);
			path[len] = root;
			assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[i], i, n, path, len + 1, &root), E_PKI_SIGNATURE);
			if (n > 1)
				assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[(i + 1) % n], i, n, path, len, &root),
				                 E_PKI_SIGNATURE);
			assert_int_equal(merkle_inclusion_check(sha256, &t->leaf[i], n, n, path, len, &root), E_PKI_SIGNATURE);
		}
	}
}

static void test_consistency(void **state)
{
	(void)state;
	for (size_t n = 1; n <= LEAVES; n++) {
		struct tree *t = tree_of(n);
		struct hash  root = mth(t->leaf, n);
		for (size_t old = 1; old <= n; old++) {
			struct hash path[2 * MERKLE_LEVELS], old_root = mth(t->leaf, old);
			size_t      len = 99;
			assert_int_equal(merkle_consistency(sha256, get_node, t, old, n, path, &len), 0);
			assert_int_equal(merkle_consistency_check(sha256, old, n, &old_root, &root, path, len), 0);
			for (size_t k = 0; k < len; k++) {
				path[k].b[31 - k % 32] ^= 0x80;
				assert_int_equal(merkle_consistency_check(sha256, old, n, &old_root, &root, path, len), E_PKI_SIGNATURE);
				path[k].b[31 - k % 32] ^= 0x80;
			}
			if (len > 0)
				assert_int_equal(merkle_consistency_check(sha256, old, n, &old_root, &root, path, len - 1),
				                 E_PKI_SIGNATURE);
			path[len] = root;
			assert_int_equal(merkle_consistency_check(sha256, old, n, &old_root, &root, path, len + 1), E_PKI_SIGNATURE);
			struct hash other = old_root;
			other.b[0] ^= 1;
			assert_int_equal(merkle_consistency_check(sha256, old, n, &other, &root, path, len), E_PKI_SIGNATURE);
			other = root;
			other.b[9] ^= 1;
			assert_int_equal(merkle_consistency_check(sha256, old, n, &old_root, &other, path, len), E_PKI_SIGNATURE);
		}
	}
}

static void test_empty_old_tree(void **state)
{
	(void)state;
	struct tree           *t = tree_of(5);
	struct merkle_frontier none = {0};
	struct hash            empty, root = mth(t->leaf, 5), path[2 * MERKLE_LEVELS];
	size_t                 len = 99;
	merkle_root(sha256, &none, &empty);
	assert_int_equal(merkle_consistency(sha256, get_node, t, 0, 5, path, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(merkle_consistency_check(sha256, 0, 5, &empty, &root, path, 0), 0);
	assert_int_equal(merkle_consistency_check(sha256, 0, 5, &root, &root, path, 0), E_PKI_SIGNATURE);
}

static void test_refusals(void **state)
{
	(void)state;
	struct tree *t = tree_of(9);
	struct hash  path[2 * MERKLE_LEVELS], root = mth(t->leaf, 9);
	size_t       len = 99;
	assert_int_equal(merkle_inclusion(sha256, get_node, t, 9, 9, path, &len), E_RANGE);
	assert_int_equal(merkle_inclusion(sha256, get_node, t, 0, 0, path, &len), E_RANGE);
	assert_int_equal(merkle_inclusion(sha256, get_node, t, 0, UINT64_MAX, path, &len), E_RANGE);
	assert_int_equal(merkle_consistency(sha256, get_node, t, 10, 9, path, &len), E_RANGE);
	assert_int_equal(merkle_consistency_check(sha256, 10, 9, &root, &root, path, 0), E_PKI_SIGNATURE);
	assert_int_equal(merkle_consistency_check(sha256, 5, 9, &root, &root, path, 0), E_PKI_SIGNATURE);
	t->fail = E_STORE_IO; /* a node that cannot be read ends the proof; outputs stay untouched */
	struct merkle_frontier f = {.size = 77};
	assert_int_equal(merkle_inclusion(sha256, get_node, t, 1, 9, path, &len), E_STORE_IO);
	assert_int_equal(merkle_consistency(sha256, get_node, t, 5, 9, path, &len), E_STORE_IO);
	assert_int_equal(merkle_frontier_load(get_node, t, 9, &f), E_STORE_IO);
	assert_int_equal(f.size, 77);
	assert_int_equal(len, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values),    cmocka_unit_test(test_root_is_the_rfc_recursion),
		cmocka_unit_test(test_inclusion),       cmocka_unit_test(test_consistency),
		cmocka_unit_test(test_empty_old_tree),  cmocka_unit_test(test_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
