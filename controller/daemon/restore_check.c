/* restore_check.c - room controller/daemon: the records of a backup hash to its tree, the tree leads to its heads, the heads are signed.
 * Never: changing it. */
#include "controller/daemon/restore_check.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/audit_heads.h"
#include "shared/model/audit.h"
#include "shared/pki/key.h"

enum { AUDIT_PAGE = 200, HEADS_PAGE = 100, LEAF_MAX = 4096, NOTE_MAX = 4096 };

/* The records hash to the tree that is stored beside them: what heads prove elsewhere they prove here. */
static int check_trail(struct store_view *view, const char *file, struct restore_found *found, struct refusal *why)
{
	_cleanup_(buf_free) struct buf leaf = BUF_MAX(LEAF_MAX);
	struct merkle_frontier         tree = {0};
	struct merkle_made             made[MERKLE_LEVELS];
	struct hash                    stored, hash;
	struct audit                  *rows = calloc(AUDIT_PAGE, sizeof(*rows));
	size_t                         n = AUDIT_PAGE;
	int                            r = rows != NULL ? view_audit_head(view, &found->audit_size, &stored) : E_NOMEM;
	while (r == 0 && n == AUDIT_PAGE && (r = view_audit(view, tree.size, rows, AUDIT_PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			buf_reset(&leaf);
			audit_canonical(&rows[i], &leaf);
			merkle_leaf(digest_sha256_two, leaf.p, leaf.n, &hash);
			(void)merkle_append(digest_sha256_two, &tree, &hash, made);
		}
	free(rows);
	if (r < 0)
		return refuse(why, r, file, "%s", err_what(r));
	merkle_root(digest_sha256_two, &tree, &found->audit_root);
	if (tree.size != found->audit_size || !hash_equal(found->audit_root, stored))
		return refuse(why, E_RESTORE_BACKUP, file, "its audit records do not lead to its own tree");
	return 0;
}

static int check_root(struct store_view *view, struct store_view *old, const char *file, struct refusal *why)
{
	struct issuer ours, theirs;
	int           r = view_issuer(view, "root-1", &theirs);
	if (r < 0)
		return refuse(why, E_RESTORE_BACKUP, file, "it holds no installation");
	if (old == NULL || view_issuer(old, "root-1", &ours) < 0)
		return 0;
	if (ours.der_len != theirs.der_len || memcmp(ours.der, theirs.der, ours.der_len) != 0)
		return refuse(why, E_RESTORE_OTHER, file, "its root is not the one of this installation");
	return 0;
}

static int read_note(struct store_view *view, const char *file, struct restore_found *found, struct refusal *why)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(NOTE_MAX);
	int                            r = view_setting(view, "backup", &text);
	json_t                        *o = r == 0 ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;
	found->made_at = json_integer_value(json_object_get(o, "made_at"));
	json_decref(o);
	return found->made_at > 0 ? 0 : refuse(why, E_RESTORE_BACKUP, file, "its note cannot be read");
}

int restore_check(struct store_view *view, struct store_view *old, const char *file, struct restore_found *ret, struct refusal *why)
{
	struct restore_found found = {.made_at = 0};
	int                  r = read_note(view, file, &found, why);
	if (r == 0)
		r = check_root(view, old, file, why);
	if (r == 0)
		r = check_trail(view, file, &found, why);
	if (r == 0)
		*ret = found;
	return r;
}

static int check_signature(struct store_view *view, const struct audit_head *h)
{
	struct issuer signer;
	int           r = view_issuer(view, h->issuer_id, &signer);
	return r == 0 ? audit_head_verify((struct span){signer.der, signer.der_len}, h) : r;
}

int restore_check_heads(struct store_view *view, const char *file, struct restore_found *found, struct refusal *why)
{
	struct audit_head *page = calloc(HEADS_PAGE, sizeof(*page));
	struct hash        root;
	uint64_t           above = 0;
	size_t             n = HEADS_PAGE;
	int                r = page != NULL ? 0 : refuse(why, E_NOMEM, file, "no memory");
	while (r == 0 && n == HEADS_PAGE) {
		r = view_audit_heads(view, above, page, HEADS_PAGE, &n);
		if (r < 0)
			r = refuse(why, r, file, "%s", err_what(r));
		for (size_t i = 0; r == 0 && i < n; i++, found->heads++) {
			above = page[i].size;
			if (view_audit_root_at(view, above, &root) < 0 || !hash_equal(root, page[i].root) || check_signature(view, &page[i]) < 0)
				r = refuse(why, E_RESTORE_BACKUP, file, "its head of %llu audit records is not that of its own trail, or not signed by its authority",
					   (unsigned long long)above);
		}
	}
	free(page);
	return r;
}
