/* hsm_key.c - room controller/signer: keys of a token: their names in files, finding and making them.
 * Never: a key that can be taken out of the token. */
#include <stdlib.h>
#include <string.h>

#include "controller/signer/hsm_part.h"
#include "shared/base/text.h"

#include <p11-kit/uri.h>

enum { POINT_MAX = 128 };

/* DER of the curves' object identifiers (RFC 5480, 2.1.1.1) and the size of an uncompressed point. */
static const struct curve {
	enum key_type type;
	CK_BYTE       oid[10];
	size_t        n_oid, n_point;
} curves[] = {
	{KEY_EC_P256, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 10, 65},
	{KEY_EC_P384, {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 7, 97},
};

static int key_refuse(const char *cause, struct refusal *why)
{
	return refuse(why, E_SIGNER_TOKEN_KEY, "token", "%s", cause);
}

static int lost(struct hsm *h, CK_RV rv, struct refusal *why)
{
	int r = hsm_lose(h, rv);
	(void)hsm_is_lost(h, why);
	return r;
}

/* ---- names ---- */

static void uri_freep(P11KitUri **uri)
{
	p11_kit_uri_free(*uri);
}

int hsm_key_name(const struct hsm *h, const char *issuer_id, struct buf *to)
{
	uint8_t                         id[HSM_ID_SIZE];
	char                           *text = NULL, label[ISSUER_ID_SIZE];
	_cleanup_(uri_freep) P11KitUri *uri = p11_kit_uri_new();
	random_bytes(id, sizeof(id));
	text_cut(label, sizeof(label), issuer_id);
	CK_ATTRIBUTE attributes[] = {{CKA_ID, id, sizeof(id)}, {CKA_LABEL, label, strlen(label)}};
	if (uri == NULL || p11_kit_uri_set_attributes(uri, attributes, N_ELEMENTS(attributes)) != P11_KIT_URI_OK)
		return E_NOMEM;
	memcpy(p11_kit_uri_get_token_info(uri)->label, h->token.label, sizeof(h->token.label));
	if (p11_kit_uri_format(uri, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, &text) != P11_KIT_URI_OK)
		return E_NOMEM;
	buf_add(to, text, strlen(text));
	buf_add(to, "\n", 1);
	free(text);
	return buf_error(to);
}

struct name {
	uint8_t id[64];
	char    label[ISSUER_ID_SIZE];
	size_t  n_id, n_label;
};

static int take(P11KitUri *uri, CK_ATTRIBUTE_TYPE type, void *to, size_t size, size_t *ret)
{
	const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(uri, type);
	if (a == NULL || a->ulValueLen == 0 || a->ulValueLen > size)
		return E_SYNTAX;
	memcpy(to, a->pValue, a->ulValueLen);
	*ret = a->ulValueLen;
	return 0;
}

static int name_read(const struct hsm *h, struct span file, struct name *ret, struct refusal *why)
{
	char                            text[HSM_NAME_MAX];
	_cleanup_(uri_freep) P11KitUri *uri = p11_kit_uri_new();
	while (file.n > 0 && file.p[file.n - 1] == '\n')
		file.n--;
	if (uri == NULL)
		return E_NOMEM;
	if (text_copy_n(text, sizeof(text), (const char *)file.p, file.n) < 0 ||
	    p11_kit_uri_parse(text, P11_KIT_URI_FOR_OBJECT_ON_TOKEN, uri) != P11_KIT_URI_OK ||
	    take(uri, CKA_ID, ret->id, sizeof(ret->id), &ret->n_id) < 0 ||
	    take(uri, CKA_LABEL, ret->label, sizeof(ret->label), &ret->n_label) < 0)
		return key_refuse("the .p11 file does not hold a PKCS#11 URI with object and id", why);
	return p11_kit_uri_match_token_info(uri, &h->token) == 1 ? 0 : key_refuse("the .p11 file names a key of another token", why);
}

/* ---- objects ---- */

static int object_find(struct hsm *h, CK_SESSION_HANDLE session, struct name *name, CK_OBJECT_CLASS class, CK_OBJECT_HANDLE *ret,
		       struct refusal *why)
{
	CK_ATTRIBUTE     wanted[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, name->id, name->n_id}};
	CK_OBJECT_HANDLE found[2];
	unsigned long    n = 0;
	CK_RV            rv = h->module->C_FindObjectsInit(session, wanted, N_ELEMENTS(wanted));
	if (rv == CKR_OK) {
		rv = h->module->C_FindObjects(session, found, N_ELEMENTS(found), &n);
		(void)h->module->C_FindObjectsFinal(session);
	}
	if (rv != CKR_OK)
		return lost(h, rv, why);
	if (n == 0)
		return E_NOT_FOUND;
	*ret = found[0];
	return n == 1 ? 0 : key_refuse("two keys have the id of the .p11 file", why);
}

static int private_judge(struct hsm *h, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, struct refusal *why)
{
	CK_BBOOL     sensitive = CK_FALSE, extractable = CK_TRUE;
	CK_ATTRIBUTE asked[] = {{CKA_SENSITIVE, &sensitive, sizeof(sensitive)}, {CKA_EXTRACTABLE, &extractable, sizeof(extractable)}};
	CK_RV        rv = h->module->C_GetAttributeValue(session, key, asked, N_ELEMENTS(asked));
	if (rv != CKR_OK)
		return lost(h, rv, why);
	return sensitive == CK_TRUE && extractable == CK_FALSE ? 0 : key_refuse("the key could be taken out of the token", why);
}

/* Tokens give the point as an OCTET STRING, old ones bare. */
static int point_read(const CK_ATTRIBUTE *oid, const CK_ATTRIBUTE *value, enum key_type *ret_type, struct span *ret)
{
	const uint8_t *p = value->pValue;
	for (size_t i = 0; i < N_ELEMENTS(curves); i++) {
		const struct curve *c = &curves[i];
		if (oid->ulValueLen != c->n_oid || memcmp(oid->pValue, c->oid, c->n_oid) != 0)
			continue;
		*ret_type = c->type;
		if (value->ulValueLen == c->n_point)
			*ret = (struct span){p, c->n_point};
		else if (value->ulValueLen == c->n_point + 2 && p[0] == 0x04 && p[1] == c->n_point)
			*ret = (struct span){p + 2, c->n_point};
		else
			return E_SIGNER_TOKEN_KEY;
		return 0;
	}
	return E_SIGNER_TOKEN_KEY;
}

static int room_judge(const struct hsm *h, struct refusal *why)
{
	return h->n_keys < HSM_KEYS_MAX ? 0 : refuse(why, E_FULL, "token", "more than %d keys were opened", HSM_KEYS_MAX);
}

static int key_adopt(struct hsm *h, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE private, CK_OBJECT_HANDLE public, struct key **ret,
		     struct refusal *why)
{
	CK_BYTE       oid[16], bytes[POINT_MAX];
	CK_ATTRIBUTE  asked[] = {{CKA_EC_PARAMS, oid, sizeof(oid)}, {CKA_EC_POINT, bytes, sizeof(bytes)}};
	enum key_type type;
	struct span   point;
	int           r = private_judge(h, session, private, why);
	if (r < 0)
		return r;
	r = room_judge(h, why);
	if (r < 0)
		return r;
	CK_RV rv = h->module->C_GetAttributeValue(session, public, asked, N_ELEMENTS(asked));
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL || (rv == CKR_OK && point_read(&asked[0], &asked[1], &type, &point) < 0))
		return key_refuse("the key is not one of the curves P-256 and P-384", why);
	if (rv != CKR_OK)
		return lost(h, rv, why);
	struct hsm_key *k = &h->keys[h->n_keys];
	*k = (struct hsm_key){.hsm = h, .handle = private};
	r = key_from_device(type, point, (struct key_device){hsm_sign, k}, ret);
	if (r < 0)
		return key_refuse("its public half is no point of its curve", why);
	h->n_keys++;
	return 0;
}

int hsm_key_find(struct hsm *h, struct span file, struct key **ret, struct refusal *why)
{
	struct name      name;
	CK_OBJECT_HANDLE private, public;
	int              r = name_read(h, file, &name, why);
	if (r < 0)
		return r;
	size_t            i = hsm_session_take(h);
	CK_SESSION_HANDLE session = h->sessions[i];
	r = object_find(h, session, &name, CKO_PRIVATE_KEY, &private, why);
	if (r == 0 && (r = object_find(h, session, &name, CKO_PUBLIC_KEY, &public, why)) == E_NOT_FOUND)
		r = key_refuse("the key's public half is not in the token", why);
	if (r == 0)
		r = key_adopt(h, session, private, public, ret, why);
	hsm_session_give(h, i);
	return r;
}

/* Destroys all of the class with this id; returns the last one that it found. */
static CK_OBJECT_HANDLE objects_drop(struct hsm *h, CK_SESSION_HANDLE session, struct name *name, CK_OBJECT_CLASS class)
{
	CK_ATTRIBUTE     wanted[] = {{CKA_CLASS, &class, sizeof(class)}, {CKA_ID, name->id, name->n_id}};
	CK_OBJECT_HANDLE found[8];
	unsigned long    n = 0;
	if (h->module->C_FindObjectsInit(session, wanted, N_ELEMENTS(wanted)) != CKR_OK)
		return CK_INVALID_HANDLE;
	if (h->module->C_FindObjects(session, found, N_ELEMENTS(found), &n) != CKR_OK)
		n = 0;
	(void)h->module->C_FindObjectsFinal(session);
	for (unsigned long i = 0; i < n; i++)
		(void)h->module->C_DestroyObject(session, found[i]);
	return n > 0 ? found[n - 1] : CK_INVALID_HANDLE;
}

/* A token writes two objects, and a kill between them leaves the public one. */
static int remains_drop(struct hsm *h, CK_SESSION_HANDLE session, struct name *name, struct refusal *why)
{
	CK_OBJECT_HANDLE object;
	int              r = object_find(h, session, name, CKO_PRIVATE_KEY, &object, why);
	if (r == 0)
		return key_refuse("a key of this id is there", why);
	if (r == E_NOT_FOUND)
		(void)objects_drop(h, session, name, CKO_PUBLIC_KEY);
	return r == E_NOT_FOUND ? 0 : r;
}

/* Whether the token is gone, or is there and does not want to. */
static bool is_gone(CK_RV rv)
{
	static const CK_RV gone[] = {CKR_DEVICE_REMOVED, CKR_DEVICE_ERROR, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID,
				     CKR_SESSION_READ_ONLY, CKR_SESSION_COUNT, CKR_SESSION_PARALLEL_NOT_SUPPORTED, CKR_USER_NOT_LOGGED_IN};
	for (size_t i = 0; i < N_ELEMENTS(gone); i++)
		if (gone[i] == rv)
			return true;
	return false;
}

static int pair_make(struct hsm *h, CK_SESSION_HANDLE session, struct name *name, const struct curve *curve, CK_OBJECT_HANDLE *ret_private,
		     CK_OBJECT_HANDLE *ret_public, struct refusal *why)
{
	CK_BBOOL     yes = CK_TRUE, no = CK_FALSE;
	CK_MECHANISM generate = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
	CK_BYTE      oid[sizeof(curve->oid)];
	memcpy(oid, curve->oid, sizeof(oid));
	CK_ATTRIBUTE of_public[] = {{CKA_TOKEN, &yes, 1},           {CKA_VERIFY, &yes, 1},           {CKA_EC_PARAMS, oid, curve->n_oid},
				    {CKA_ID, name->id, name->n_id}, {CKA_LABEL, name->label, name->n_label}};
	CK_ATTRIBUTE of_private[] = {{CKA_TOKEN, &yes, 1},           {CKA_PRIVATE, &yes, 1},          {CKA_SENSITIVE, &yes, 1},
				     {CKA_EXTRACTABLE, &no, 1},      {CKA_SIGN, &yes, 1},             {CKA_DECRYPT, &no, 1},
				     {CKA_UNWRAP, &no, 1},           {CKA_ID, name->id, name->n_id},  {CKA_LABEL, name->label, name->n_label}};
	CK_RV        rv = h->module->C_GenerateKeyPair(session, &generate, of_public, N_ELEMENTS(of_public), of_private, N_ELEMENTS(of_private),
						       ret_public, ret_private);
	if (rv == CKR_OK)
		return 0;
	return is_gone(rv) ? lost(h, rv, why)
			   : refuse(why, E_SIGNER_TOKEN_KEY, "token", "it makes no key: %s (PKCS#11 0x%lx)", p11_kit_strerror(rv), rv);
}

int hsm_key_make(struct hsm *h, struct span file, enum key_type type, struct key **ret, struct refusal *why)
{
	struct name         name;
	CK_OBJECT_HANDLE    private, public;
	const struct curve *curve = NULL;
	int                 r = name_read(h, file, &name, why);
	for (size_t i = 0; i < N_ELEMENTS(curves); i++)
		if (curves[i].type == type)
			curve = &curves[i];
	if (r == 0 && curve == NULL)
		r = E_PKI_KEY;
	if (r == 0)
		r = room_judge(h, why);
	if (r < 0)
		return r;
	size_t            i = hsm_session_take(h);
	CK_SESSION_HANDLE session = h->sessions[i];
	r = remains_drop(h, session, &name, why);
	if (r == 0)
		r = pair_make(h, session, &name, curve, &private, &public, why);
	if (r == 0 && (r = key_adopt(h, session, private, public, ret, why)) < 0) {
		(void)objects_drop(h, session, &name, CKO_PUBLIC_KEY);
		(void)objects_drop(h, session, &name, CKO_PRIVATE_KEY);
	}
	hsm_session_give(h, i);
	return r;
}

void hsm_key_drop(struct hsm *h, struct span file)
{
	struct name      name;
	if (hsm_is_lost(h, NULL) || name_read(h, file, &name, NULL) < 0)
		return;
	size_t i = hsm_session_take(h);
	(void)objects_drop(h, h->sessions[i], &name, CKO_PUBLIC_KEY);
	CK_OBJECT_HANDLE private = objects_drop(h, h->sessions[i], &name, CKO_PRIVATE_KEY);
	if (private != CK_INVALID_HANDLE && h->n_keys > 0 && h->keys[h->n_keys - 1].handle == private)
		h->n_keys--;
	hsm_session_give(h, i);
}
