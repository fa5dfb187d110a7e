/* test_hsm_key.c - does a token keep nothing that nobody knows, and is one that makes no key told from one that is gone?
 * Never: a real token (tests/system/test_hsm.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/signer/hsm_part.h"

/* ---- a token ---- */

enum { OBJECTS_MAX = 16 };

static struct object {
	bool            there;
	CK_OBJECT_CLASS class;
	uint8_t         id[HSM_ID_SIZE];
} objects[OBJECTS_MAX]; /* the handle is the place, from 1 */

static CK_OBJECT_HANDLE found[OBJECTS_MAX];
static size_t           n_found;
static CK_RV            says; /* to C_GenerateKeyPair */
static unsigned         asked;
static CK_BBOOL         can_be_taken_out;
static uint8_t          point[2 + 65] = {0x04, 65}; /* an OCTET STRING */
static struct hsm       h;
static struct buf       name = BUF_MAX(HSM_NAME_MAX);

static const CK_ATTRIBUTE *attribute(const CK_ATTRIBUTE *a, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (a[i].type == type)
			return &a[i];
	fail_msg("attribute 0x%lx is missing", type);
	return NULL;
}

static CK_RV find_init(CK_SESSION_HANDLE session, CK_ATTRIBUTE *a, CK_ULONG n)
{
	(void)session;
	CK_OBJECT_CLASS     class;
	const CK_ATTRIBUTE *id = attribute(a, n, CKA_ID);
	memcpy(&class, attribute(a, n, CKA_CLASS)->pValue, sizeof(class));
	assert_int_equal(id->ulValueLen, HSM_ID_SIZE);
	n_found = 0;
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		if (objects[i].there && objects[i].class == class && memcmp(objects[i].id, id->pValue, HSM_ID_SIZE) == 0)
			found[n_found++] = i + 1;
	return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret, CK_ULONG max, CK_ULONG *ret_n)
{
	(void)session;
	*ret_n = n_found < max ? n_found : max;
	memcpy(ret, found, *ret_n * sizeof(*ret));
	return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE session)
{
	(void)session;
	return CKR_OK;
}

static CK_RV values(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *a, CK_ULONG n)
{
	static const uint8_t  p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
	static const CK_BBOOL yes = CK_TRUE;
	(void)session;
	assert_true(objects[object - 1].there);
	for (CK_ULONG i = 0; i < n; i++) {
		const void *p = &yes;
		size_t      size = sizeof(yes);
		if (a[i].type == CKA_EXTRACTABLE)
			p = &can_be_taken_out;
		else if (a[i].type == CKA_EC_PARAMS)
			p = p256, size = sizeof(p256);
		else if (a[i].type == CKA_EC_POINT)
			p = point, size = sizeof(point);
		assert_true(a[i].ulValueLen >= size);
		memcpy(a[i].pValue, p, size);
		a[i].ulValueLen = size;
	}
	return CKR_OK;
}

static CK_OBJECT_HANDLE object_put(CK_OBJECT_CLASS class, const void *id)
{
	size_t i = 0;
	while (objects[i].there)
		i++;
	assert_true(i < OBJECTS_MAX);
	objects[i] = (struct object){.there = true, .class = class};
	memcpy(objects[i].id, id, HSM_ID_SIZE);
	return i + 1;
}

static CK_RV generate(CK_SESSION_HANDLE session, CK_MECHANISM *how, CK_ATTRIBUTE *public, CK_ULONG n_public, CK_ATTRIBUTE *private,
		      CK_ULONG n_private, CK_OBJECT_HANDLE *ret_public, CK_OBJECT_HANDLE *ret_private)
{
	(void)session;
	assert_int_equal(how->mechanism, CKM_EC_KEY_PAIR_GEN);
	asked++;
	if (says != CKR_OK)
		return says;
	*ret_public = object_put(CKO_PUBLIC_KEY, attribute(public, n_public, CKA_ID)->pValue);
	*ret_private = object_put(CKO_PRIVATE_KEY, attribute(private, n_private, CKA_ID)->pValue);
	return CKR_OK;
}

static CK_RV destroy(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object)
{
	(void)session;
	assert_true(objects[object - 1].there);
	objects[object - 1].there = false;
	return CKR_OK;
}

static CK_FUNCTION_LIST module = {
	.C_FindObjectsInit = find_init,
	.C_FindObjects = find,
	.C_FindObjectsFinal = find_final,
	.C_GetAttributeValue = values,
	.C_GenerateKeyPair = generate,
	.C_DestroyObject = destroy,
};

static size_t count(CK_OBJECT_CLASS class)
{
	size_t n = 0;
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		n += objects[i].there && objects[i].class == class;
	return n;
}

static int setup(void **state)
{
	(void)state;
	struct key *key;
	struct buf  spki = BUF_MAX(SPKI_MAX);
	memset(objects, 0, sizeof(objects));
	asked = 0;
	says = CKR_OK;
	can_be_taken_out = CK_FALSE;
	assert_int_equal(key_make(KEY_EC_P256, &key), 0);
	assert_int_equal(key_spki(key, &spki), 0);
	memcpy(point + 2, spki.p + spki.n - 65, 65);
	key_free(key);
	buf_free(&spki);
	h = (struct hsm){.module = &module, .sessions = {1}, .n_sessions = 1};
	memset(h.token.label, ' ', sizeof(h.token.label));
	memcpy(h.token.label, "vcc-ca", 6);
	pthread_mutex_init(&h.lock, NULL);
	pthread_cond_init(&h.given, NULL);
	buf_reset(&name);
	return hsm_key_name(&h, "service-2", &name);
}

static int teardown(void **state)
{
	(void)state;
	pthread_cond_destroy(&h.given);
	pthread_mutex_destroy(&h.lock);
	buf_free(&name);
	return 0;
}

static int make(struct key **ret)
{
	struct refusal why = {0};
	int            r = hsm_key_make(&h, buf_span(&name), KEY_EC_P256, ret, &why);
	assert_int_equal(why.code, r);
	return r;
}

/* ---- questions ---- */

static void one_that_makes_no_key_is_not_gone(void **state)
{
	(void)state;
	static const CK_RV no[] = {CKR_DEVICE_MEMORY, CKR_MECHANISM_INVALID, CKR_FUNCTION_FAILED, CKR_TEMPLATE_INCONSISTENT};
	struct key        *key;
	for (size_t i = 0; i < N_ELEMENTS(no); i++) {
		says = no[i];
		assert_int_equal(make(&key), E_SIGNER_TOKEN_KEY);
		assert_false(hsm_is_lost(&h, NULL));
	}
	says = CKR_OK;
	assert_int_equal(make(&key), 0);
	key_free(key);
}

static void one_that_is_gone_is_lost(void **state)
{
	(void)state;
	static const CK_RV gone[] = {CKR_DEVICE_REMOVED, CKR_DEVICE_ERROR, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN};
	struct key        *key;
	for (size_t i = 0; i < N_ELEMENTS(gone); i++) {
		h.failed = CKR_OK;
		says = gone[i];
		assert_int_equal(make(&key), E_SIGNER_TOKEN);
		assert_true(hsm_is_lost(&h, NULL));
	}
}

static void what_a_cut_left_goes_first(void **state)
{
	(void)state;
	struct key *key;
	assert_int_equal(make(&key), 0);
	key_free(key);
	assert_int_equal(make(&key), E_SIGNER_TOKEN_KEY); /* a whole pair is never touched */
	assert_int_equal(count(CKO_PUBLIC_KEY) + count(CKO_PRIVATE_KEY), 2);
	for (size_t i = 0; i < OBJECTS_MAX; i++)
		objects[i].there &= objects[i].class == CKO_PUBLIC_KEY;
	uint8_t other[HSM_ID_SIZE] = {7};
	(void)object_put(CKO_PUBLIC_KEY, other);
	assert_int_equal(make(&key), 0);
	key_free(key);
	assert_int_equal(count(CKO_PUBLIC_KEY), 2); /* its own, and the one that has another id */
	assert_int_equal(count(CKO_PRIVATE_KEY), 1);
	struct refusal why = {0};
	assert_int_equal(hsm_key_find(&h, buf_span(&name), &key, &why), 0);
	key_free(key);
}

static void what_is_dropped_leaves_room(void **state)
{
	(void)state;
	struct key *key;
	for (int i = 0; i < 3 * HSM_KEYS_MAX; i++) {
		assert_int_equal(make(&key), 0);
		key_free(key);
		hsm_key_drop(&h, buf_span(&name));
		assert_int_equal(count(CKO_PUBLIC_KEY) + count(CKO_PRIVATE_KEY), 0);
		assert_int_equal(h.n_keys, 0);
	}
	hsm_key_drop(&h, buf_span(&name)); /* nothing is there */
	hsm_key_drop(&h, span_text("rubbish"));
}

static void without_room_none_is_made(void **state)
{
	(void)state;
	struct key *key;
	h.n_keys = HSM_KEYS_MAX;
	assert_int_equal(make(&key), E_FULL);
	assert_int_equal(asked, 0);
}

static void one_that_cannot_be_used_does_not_stay(void **state)
{
	(void)state;
	struct key *key;
	can_be_taken_out = CK_TRUE;
	assert_int_equal(make(&key), E_SIGNER_TOKEN_KEY);
	assert_int_equal(asked, 1);
	assert_int_equal(count(CKO_PUBLIC_KEY) + count(CKO_PRIVATE_KEY), 0);
}

static void a_lost_token_is_not_asked(void **state)
{
	(void)state;
	uint8_t        digest[32] = {0}, signature[64];
	struct hsm_key k = {.hsm = &h, .handle = 1}; /* C_SignInit is NULL here */
	(void)hsm_lose(&h, CKR_DEVICE_REMOVED);
	assert_int_equal(hsm_sign(&k, SPAN_OF(digest), signature, sizeof(signature)), E_SIGNER_TOKEN);
	hsm_key_drop(&h, buf_span(&name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(one_that_makes_no_key_is_not_gone), T(one_that_is_gone_is_lost),  T(what_a_cut_left_goes_first),
		T(what_is_dropped_leaves_room),       T(without_room_none_is_made), T(one_that_cannot_be_used_does_not_stay),
		T(a_lost_token_is_not_asked),
#undef T
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
