/* known_heads.c - room controller/cli: what hosts say that they keep, read and checked.
 * Never: taking a head that no authority of the installation signed. */
#include "controller/cli/known_heads.h"
#include "controller/cli/named_file.h"

#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"

enum { FILE_MAX = 4 << 20 };

static bool text_of(const json_t *o, const char *name, const char **ret)
{
	*ret = json_string_value(json_object_get(o, name));
	return *ret != NULL;
}

static int take(struct known_heads *k, const char *path, const json_t *o, struct span roots, struct refusal *why)
{
	uint8_t           der[CERT_DER_MAX];
	size_t            n_der = 0, n = 0;
	const char       *root, *certificate, *signature;
	struct known_head one = {.head = {.at = json_integer_value(json_object_get(o, "at_ms"))}};
	const json_int_t  size = json_integer_value(json_object_get(o, "size"));
	if (k->n == VERIFY_KNOWN_MAX)
		return refuse(why, E_FULL, path, "more than %d heads", VERIFY_KNOWN_MAX);
	if (size <= 0 || !text_of(o, "root", &root) || !text_of(o, "certificate", &certificate) ||
	    !text_of(o, "signature", &signature) || hash_parse(root, &one.head.root) < 0 ||
	    b64url_parse(certificate, der, sizeof(der), &n_der) < 0 ||
	    b64url_parse(signature, one.head.signature, sizeof(one.head.signature), &n) < 0)
		return refuse(why, E_CLI_USAGE, path, "a head in it lacks size, root, at_ms, certificate or signature");
	one.head.size = (uint64_t)size;
	one.head.signature_len = (uint16_t)n;
	text_cut(one.from, sizeof(one.from), path);
	struct refusal reason;
	int            r = verify_head_signature(&one.head, (struct span){der, n_der}, roots, &reason);
	if (r < 0)
		return refuse(why, r, path, "the head of %lld records in it: %s", (long long)size, reason.cause);
	k->head[k->n++] = one;
	return 0;
}

static int take_all(struct known_heads *k, const char *path, const json_t *root, struct span roots, struct refusal *why)
{
	const json_t *list = json_object_get(root, "audit_heads");
	const size_t  before = k->n;
	size_t        i;
	json_t       *o;
	int           r = 0;
	if (list == NULL)
		list = root;
	if (json_is_object(list))
		return take(k, path, list, roots, why);
	json_array_foreach((json_t *)(uintptr_t)list, i, o) if (r == 0) r = take(k, path, o, roots, why);
	if (r == 0 && k->n == before)
		r = refuse(why, E_CLI_USAGE, path, "there is no head in it");
	return r;
}

int known_heads_read(struct known_heads *k, const char *path, struct span roots, struct refusal *why)
{
	struct buf   file = BUF_MAX(FILE_MAX);
	json_error_t error;
	int          r = named_file_read(path, false, &file, why);
	if (r < 0)
		return r;
	json_t *root = json_loadb((const char *)file.p, file.n, JSON_REJECT_DUPLICATES, &error);
	buf_free(&file);
	r = root != NULL ? take_all(k, path, root, roots, why)
			 : refuse(why, E_CLI_USAGE, path, "line %d: %s", error.line, error.text);
	json_decref(root);
	return r;
}
