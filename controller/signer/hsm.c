/* hsm.c - room controller/signer: a PKCS#11 token: module, slot, login, sessions, signatures.
 * Never: making keys, trying a refused PIN again, going on after a failure. */
#include "controller/signer/hsm.h"

#include <stdlib.h>
#include <string.h>

#include "controller/signer/hsm_part.h"
#include "controller/signer/passphrase.h"
#include "shared/base/text.h"

enum { SLOTS_MAX = 64 };

/* ---- sessions ---- */

size_t hsm_session_take(struct hsm *h)
{
	size_t i;
	pthread_mutex_lock(&h->lock);
	for (;;) {
		for (i = 0; i < h->n_sessions && h->taken[i];)
			i++;
		if (i < h->n_sessions)
			break;
		pthread_cond_wait(&h->given, &h->lock);
	}
	h->taken[i] = true;
	pthread_mutex_unlock(&h->lock);
	return i;
}

void hsm_session_give(struct hsm *h, size_t session)
{
	pthread_mutex_lock(&h->lock);
	h->taken[session] = false;
	pthread_cond_signal(&h->given);
	pthread_mutex_unlock(&h->lock);
}

int hsm_lose(struct hsm *h, CK_RV rv)
{
	pthread_mutex_lock(&h->lock);
	if (h->failed == CKR_OK)
		h->failed = rv;
	pthread_mutex_unlock(&h->lock);
	return E_SIGNER_TOKEN;
}

bool hsm_is_lost(struct hsm *h, struct refusal *why)
{
	if (h == NULL)
		return false;
	pthread_mutex_lock(&h->lock);
	CK_RV rv = h->failed;
	pthread_mutex_unlock(&h->lock);
	if (rv != CKR_OK)
		(void)refuse(why, E_SIGNER_TOKEN, "token", "%s (PKCS#11 0x%lx); this process ends, the next one waits for the token",
			     p11_kit_strerror(rv), rv);
	return rv != CKR_OK;
}

int hsm_sign(void *ctx, struct span digest, uint8_t *ret, size_t n)
{
	const struct hsm_key *k = ctx;
	struct hsm           *h = k->hsm;
	CK_MECHANISM          ecdsa = {CKM_ECDSA, NULL, 0};
	CK_BYTE               bytes[64]; /* the interface wants what may be written */
	unsigned long         length = n;

	if (hsm_is_lost(h, NULL)) /* the rest of its batch does not wait for it, too */
		return E_SIGNER_TOKEN;
	if (digest.n > sizeof(bytes))
		return E_FULL;
	memcpy(bytes, digest.p, digest.n);
	size_t i = hsm_session_take(h);
	CK_RV  rv = h->module->C_SignInit(h->sessions[i], &ecdsa, k->handle);
	if (rv == CKR_OK)
		rv = h->module->C_Sign(h->sessions[i], bytes, digest.n, ret, &length);
	hsm_session_give(h, i);
	if (rv == CKR_OK && length != n)
		rv = CKR_DATA_LEN_RANGE;
	return rv == CKR_OK ? 0 : hsm_lose(h, rv);
}

/* ---- opening ---- */

static int token_refuse(const struct signer_conf *conf, const char *doing, CK_RV rv, struct refusal *why)
{
	return refuse(why, E_SIGNER_TOKEN, conf->token, "cannot %s: %s (PKCS#11 0x%lx)", doing, p11_kit_strerror(rv), rv);
}

/* Labels are 32 bytes, filled up with blanks. */
static bool label_is(const CK_TOKEN_INFO *token, const char *label)
{
	size_t n = strlen(label);
	if (n > sizeof(token->label) || memcmp(token->label, label, n) != 0)
		return false;
	while (n < sizeof(token->label) && token->label[n] == ' ')
		n++;
	return n == sizeof(token->label);
}

static int token_find(struct hsm *h, const struct signer_conf *conf, struct refusal *why)
{
	CK_SLOT_ID    slots[SLOTS_MAX];
	unsigned long n = SLOTS_MAX, found = 0;
	CK_RV         rv = h->module->C_GetSlotList(CK_TRUE, slots, &n);
	if (rv != CKR_OK)
		return token_refuse(conf, "list the tokens", rv, why);
	for (unsigned long i = 0; i < n; i++) {
		CK_TOKEN_INFO token;
		if (h->module->C_GetTokenInfo(slots[i], &token) != CKR_OK || !label_is(&token, conf->token))
			continue;
		h->slot = slots[i];
		h->token = token;
		found++;
	}
	if (found == 0)
		return refuse(why, E_SIGNER_TOKEN, conf->token, "there is no token of this label; %lu others are there", n);
	return found == 1 ? 0 : refuse(why, E_SIGNER_MODULE, conf->token, "%lu tokens have this label; give the right one its own", found);
}

/* A token counts wrong PINs and locks itself; we are started again and again. It tells that the last one was wrong. */
static int pin_untouched(const struct hsm *h, const struct signer_conf *conf, struct refusal *why)
{
	if ((h->token.flags & CKF_USER_PIN_LOCKED) != 0)
		return refuse(why, E_SIGNER_PIN, conf->token, "the token has locked itself; its security officer sets a new PIN");
	if ((h->token.flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY)) != 0)
		return refuse(why, E_SIGNER_PIN, conf->token, "the last PIN that it was given was wrong; it is not tried again from here");
	return 0;
}

static int login(struct hsm *h, const struct signer_conf *conf, struct refusal *why)
{
	struct buf pin = BUF_MAX(PASSPHRASE_MAX + 2);
	int        r = pin_untouched(h, conf, why);
	if (r == 0)
		r = pin_read(conf, &pin, why);
	CK_RV rv = r == 0 ? h->module->C_Login(h->sessions[0], CKU_USER, pin.p, pin.n) : CKR_OK;
	buf_wipe(&pin);
	if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_INVALID || rv == CKR_PIN_LOCKED)
		return refuse(why, E_SIGNER_PIN, conf->token, "%s", p11_kit_strerror(rv));
	return rv == CKR_OK ? r : token_refuse(conf, "log in", rv, why);
}

static int sessions_open(struct hsm *h, const struct signer_conf *conf, struct refusal *why)
{
	while (h->n_sessions < HSM_SESSIONS) {
		CK_RV rv = h->module->C_OpenSession(h->slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h->sessions[h->n_sessions]);
		if (rv != CKR_OK && h->n_sessions > 0)
			break; /* small tokens have few: threads share them */
		if (rv != CKR_OK)
			return token_refuse(conf, "open a session", rv, why);
		h->n_sessions++;
	}
	return 0;
}

static int module_load(struct hsm *h, const struct signer_conf *conf, struct refusal *why)
{
	/* unmanaged: no wrapper of p11-kit, whose closures would be code that was written */
	h->module = p11_kit_module_load(conf->module, P11_KIT_MODULE_UNMANAGED);
	if (h->module == NULL)
		return refuse(why, E_SIGNER_MODULE, conf->module, "%s", p11_kit_message() != NULL ? p11_kit_message() : "it cannot be loaded");
	CK_RV rv = p11_kit_module_initialize(h->module);
	if (rv == CKR_OK)
		return 0;
	p11_kit_module_release(h->module);
	h->module = NULL;
	return refuse(why, E_SIGNER_MODULE, conf->module, "it does not begin: %s", p11_kit_strerror(rv));
}

int hsm_open(const struct signer_conf *conf, struct hsm **ret, struct refusal *why)
{
	*ret = NULL;
	if (conf->module[0] == '\0')
		return 0;
	struct hsm *h = calloc(1, sizeof(*h));
	if (h == NULL)
		return refuse(why, E_NOMEM, "token", "no memory");
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->given, NULL);
	int r = module_load(h, conf, why);
	if (r == 0)
		r = token_find(h, conf, why);
	if (r == 0)
		r = sessions_open(h, conf, why);
	if (r == 0)
		r = login(h, conf, why);
	if (r < 0)
		hsm_close(h);
	else
		*ret = h;
	return r;
}

void hsm_close(struct hsm *h)
{
	if (h == NULL)
		return;
	if (h->module != NULL) {
		(void)h->module->C_CloseAllSessions(h->slot); /* and with them the login */
		(void)p11_kit_module_finalize(h->module);
		p11_kit_module_release(h->module);
	}
	pthread_cond_destroy(&h->given);
	pthread_mutex_destroy(&h->lock);
	free(h);
}
