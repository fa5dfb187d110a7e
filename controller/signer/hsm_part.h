/* hsm_part.h - room controller/signer: what hsm.c and hsm_key.c share.
 * Never: included from elsewhere. */
#ifndef VCC_HSM_PART_H
#define VCC_HSM_PART_H

#include "controller/signer/ca_store.h"
#include "controller/signer/hsm.h"

/* behind ours: the second leaves macros like `hash_alg` */
#include <p11-kit/p11-kit.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>

/* One: SoftHSM 2.6 answers signatures of two sessions at once with an internal error, and that would end us. */
enum { HSM_SESSIONS = 1, HSM_KEYS_MAX = 2 * CA_MAX, HSM_ID_SIZE = 16 };

struct hsm_key {
	struct hsm      *hsm;
	CK_OBJECT_HANDLE handle;
};

struct hsm {
	CK_FUNCTION_LIST *module;
	CK_SLOT_ID        slot;
	CK_TOKEN_INFO     token;
	CK_SESSION_HANDLE sessions[HSM_SESSIONS];
	bool              taken[HSM_SESSIONS];
	size_t            n_sessions;
	pthread_mutex_t   lock; /* of `taken` and `failed` */
	pthread_cond_t    given;
	CK_RV             failed; /* CKR_OK = never */
	struct hsm_key    keys[HSM_KEYS_MAX];
	size_t            n_keys;
};

size_t hsm_session_take(struct hsm *h); /* waits for a free one; index into `sessions` */
void   hsm_session_give(struct hsm *h, size_t session);

/* The first failure stays; returns E_SIGNER_TOKEN. */
int hsm_lose(struct hsm *h, CK_RV rv);

/* struct key_device.sign; `ctx` is a struct hsm_key. By several threads at once. */
int hsm_sign(void *ctx, struct span digest, uint8_t *ret, size_t n);

#endif
