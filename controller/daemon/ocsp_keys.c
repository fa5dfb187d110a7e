/* ocsp_keys.c - room controller/daemon: STATE_DIR/ocsp-ISSUER.key and the certificates stored for these keys.
 * Never: answering with a responder that has ended, or that would end before its answer. */
#include "controller/daemon/ocsp_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { KEY_PEM_MAX = 4096, RETRY_MS = 5000, ISSUANCES_PAGE = 16, NAME_SIZE = ISSUER_ID_SIZE + 16 };

struct held_responder {
	struct ocsp_responder *responder;
	int64_t                not_before_at, not_after_at;
	unsigned               refs; /* one of the place, one of each job */
};

struct ocsp_place {
	struct ocsp_keys      *keys;
	char                   issuer_id[ISSUER_ID_SIZE];
	struct ocsp_issuer     issuer;
	struct held_responder *now;  /* NULL = none yet */
	struct key            *next; /* being certified */
	int64_t                retry_at;
	bool                   fresh; /* added in this run: not missed before its first responder */
};

struct ocsp_keys {
	int               dir_fd;
	size_t            n;
	struct ocsp_place place[CATALOG_ISSUERS_MAX];
};

/* ---- held ones --------------------------------------------------------------------------------------------------- */

struct held_responder *ocsp_place_hold(struct ocsp_place *p, int64_t now, int64_t life_ms)
{
	if (p->now == NULL || p->now->not_after_at - now < life_ms)
		return NULL;
	p->now->refs++;
	return p->now;
}

const struct ocsp_responder *held_responder_get(const struct held_responder *h)
{
	return h->responder;
}

void held_responder_release(struct held_responder *h)
{
	if (h == NULL || --h->refs > 0)
		return;
	ocsp_responder_free(h->responder);
	free(h);
}

/* Takes over the key. */
static int place_set(struct ocsp_place *p, struct key *key, const struct issuance *cert)
{
	struct held_responder *h = calloc(1, sizeof(*h));
	if (h == NULL)
		abort();
	int r = ocsp_responder_make(key, (struct span){cert->der, cert->der_len}, &h->responder);
	if (r < 0) {
		free(h);
		return r;
	}
	h->not_before_at = cert->not_before_at;
	h->not_after_at = cert->not_after_at;
	h->refs = 1;
	held_responder_release(p->now);
	p->now = h;
	p->fresh = false;
	return 0;
}

/* ---- start ------------------------------------------------------------------------------------------------------- */

static void owner_name(const struct ocsp_place *p, char ret[CERT_ID_SIZE])
{
	(void)snprintf(ret, CERT_ID_SIZE, "ocsp-%s", p->issuer_id);
}

static void key_file_name(const struct ocsp_place *p, char ret[NAME_SIZE])
{
	(void)snprintf(ret, NAME_SIZE, "ocsp-%s.key", p->issuer_id);
}

static int key_load(const struct ocsp_place *p, struct key **ret, struct hash *ret_spki_hash)
{
	struct buf pem = BUF_MAX(KEY_PEM_MAX), spki = BUF_MAX(SPKI_MAX);
	char       name[NAME_SIZE];
	key_file_name(p, name);
	int r = file_read(p->keys->dir_fd, name, true, &pem, NULL);
	if (r == 0)
		r = key_from_pem(buf_span(&pem), ret);
	if (r == 0 && (r = key_spki(*ret, &spki)) == 0)
		digest_sha256(buf_span(&spki), ret_spki_hash);
	buf_wipe(&pem);
	buf_free(&spki);
	return r;
}

/* The newest certificate of this key that is in force. */
static bool cert_load(struct store_view *view, const struct ocsp_place *p, struct hash spki_hash, int64_t now,
		      struct issuance *ret)
{
	char             owner[CERT_ID_SIZE];
	struct issuance *page = calloc(ISSUANCES_PAGE, sizeof(*page));
	struct serial    after = {0};
	size_t           n = ISSUANCES_PAGE;
	bool             found = false;
	owner_name(p, owner);
	while (page != NULL && n == ISSUANCES_PAGE &&
	       view_issuances(view, OWNER_CONTROLLER, owner, after, page, ISSUANCES_PAGE, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			after = page[i].serial;
			if (page[i].state == ISSUANCE_ACTIVE && page[i].not_after_at > now &&
			    hash_equal(page[i].spki_hash, spki_hash)) {
				*ret = page[i];
				found = true;
			}
		}
	free(page);
	return found;
}

static void place_load(struct controller *ctl, struct ocsp_place *p)
{
	struct key     *key = NULL;
	struct hash     spki_hash;
	struct issuance cert;
	if (key_load(p, &key, &spki_hash) < 0 || !cert_load(ctl->view, p, spki_hash, clock_now(), &cert))
		key_free(key);
	else if (place_set(p, key, &cert) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "the OCSP responder of %s does not fit its key: a new one is ordered",
			 p->issuer_id);
}

/* A root signs a handful of certificates and may be away: its list says it all. */
static int place_add(struct controller *ctl, struct ocsp_keys *k, const struct issuer *row)
{
	struct ocsp_place *p = &k->place[k->n];
	if (row->role == ISSUER_ROOT)
		return 0;
	if (k->n == N_ELEMENTS(k->place))
		return E_FULL;
	*p = (struct ocsp_place){.keys = k};
	text_cut(p->issuer_id, sizeof(p->issuer_id), row->issuer_id);
	int r = ocsp_issuer_read((struct span){row->der, row->der_len}, &p->issuer);
	if (r < 0)
		return r;
	k->n++;
	place_load(ctl, p);
	return 0;
}

static int places_load(struct controller *ctl, struct ocsp_keys *k)
{
	int r = 0;
	for (size_t i = 0; r == 0 && catalog_issuer_at(ctl->catalog, i) != NULL; i++)
		r = place_add(ctl, k, &catalog_issuer_at(ctl->catalog, i)->row);
	return r;
}

void ocsp_keys_add(struct controller *ctl, const struct issuer *row)
{
	struct ocsp_keys *k = ctl->ocsp_keys;
	for (size_t i = 0; i < k->n; i++)
		if (text_equal(k->place[i].issuer_id, row->issuer_id))
			return;
	size_t before = k->n;
	if (place_add(ctl, k, row) < 0)
		log_line(LOG_LEVEL_ERROR, NULL, "no OCSP answers for %s before the next start", row->issuer_id);
	else if (k->n > before)
		k->place[before].fresh = true;
}

int ocsp_keys_open(struct controller *ctl, struct ocsp_keys **ret, struct refusal *why)
{
	struct ocsp_keys *k = calloc(1, sizeof(*k));
	if (k == NULL)
		return refuse(why, E_NOMEM, "ocsp", "no memory");
	k->dir_fd = -1;
	int r = dir_open_safe(ctl->conf->state_dir, geteuid(), &k->dir_fd, why);
	if (r == 0 && (r = places_load(ctl, k)) < 0)
		r = refuse(why, r, "ocsp", "an issuer's certificate cannot be read");
	if (r < 0) {
		ocsp_keys_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

void ocsp_keys_free(struct ocsp_keys *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->n; i++) {
		held_responder_release(k->place[i].now);
		key_free(k->place[i].next);
	}
	fd_close(k->dir_fd);
	free(k);
}

/* ---- renewal ----------------------------------------------------------------------------------------------------- */

/* The certificate is stored; its key is taken into use when it is in its file, too, so that the next start finds both. */
static int next_take(struct ocsp_place *p, const struct issuance *issued, struct refusal *why)
{
	struct buf  pem = BUF_MAX(KEY_PEM_MAX);
	struct key *key = p->next;
	char        name[NAME_SIZE];
	key_file_name(p, name);
	p->next = NULL;
	int r = key_to_pem(key, &pem);
	if (r == 0)
		r = file_replace(p->keys->dir_fd, name, buf_span(&pem), (uid_t)-1, (gid_t)-1, 0600, why);
	buf_wipe(&pem);
	if (r < 0) {
		key_free(key);
		return r;
	}
	return place_set(p, key, issued);
}

static void on_issued(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	(void)ctl;
	struct ocsp_place *p = ctx;
	struct refusal     why = {0};
	char               text[ERR_CODE_SIZE];
	int                r = code == 0 ? next_take(p, issued, &why) : code;
	if (r == 0) {
		log_line(LOG_LEVEL_INFO, NULL, "OCSP answers for %s have a new responder", p->issuer_id);
		return;
	}
	log_line(LOG_LEVEL_ERROR, NULL, "no OCSP responder for %s: %s %s", p->issuer_id, err_code(r, text), why.cause);
	key_free(p->next);
	p->next = NULL;
	p->retry_at = clock_now() + RETRY_MS;
}

static int order(struct controller *ctl, struct ocsp_place *p)
{
	struct buf spki = BUF_MAX(SPKI_MAX);
	int        r = key_make(KEY_EC_P256, &p->next);
	if (r == 0)
		r = key_spki(p->next, &spki);
	struct identity_request q = {.profile = LEAF_OCSP,
				     .issuer_id = p->issuer_id,
				     .spki = buf_span(&spki),
				     .key_type = KEY_EC_P256,
				     .actor = "controller",
				     .done = on_issued,
				     .ctx = p};
	owner_name(p, q.name);
	if (r == 0)
		r = identities_issue(ctl, &q);
	buf_free(&spki);
	if (r < 0) {
		key_free(p->next);
		p->next = NULL;
	}
	return r;
}

static bool is_due(const struct ocsp_place *p, int64_t now)
{
	return p->now == NULL || now > p->now->not_before_at + (p->now->not_after_at - p->now->not_before_at) / 2;
}

void ocsp_keys_tick(struct controller *ctl, int64_t now)
{
	struct ocsp_keys *k = ctl->ocsp_keys;
	for (size_t i = 0; i < k->n; i++) {
		struct ocsp_place           *p = &k->place[i];
		const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, p->issuer_id);
		if (!is_due(p, now) || p->next != NULL || p->retry_at > now || !signer_ready(ctl) || issuer == NULL ||
		    issuer->row.not_after_at <= now)
			continue;
		int r = order(ctl, p);
		if (r == 0 || r == E_SYS_AGAIN)
			continue;
		char text[ERR_CODE_SIZE];
		log_line(LOG_LEVEL_ERROR, NULL, "no OCSP responder for %s: %s %s", p->issuer_id, err_code(r, text),
			 err_what(r));
		p->retry_at = now + RETRY_MS;
	}
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct ocsp_place *ocsp_keys_find(struct ocsp_keys *k, const struct ocsp_one *one)
{
	for (size_t i = 0; i < k->n; i++)
		if (ocsp_is_of(one, &k->place[i].issuer))
			return &k->place[i];
	return NULL;
}

const char *ocsp_place_issuer(const struct ocsp_place *p)
{
	return p->issuer_id;
}

bool ocsp_keys_ready(const struct ocsp_keys *k, int64_t now)
{
	for (size_t i = 0; k != NULL && i < k->n; i++)
		if (!k->place[i].fresh && (k->place[i].now == NULL || k->place[i].now->not_after_at <= now))
			return false;
	return k != NULL;
}

const char *ocsp_keys_at(const struct ocsp_keys *k, size_t i, int64_t *ret_not_after_at)
{
	if (i >= k->n)
		return NULL;
	*ret_not_after_at = k->place[i].now != NULL ? k->place[i].now->not_after_at : 0;
	return k->place[i].issuer_id;
}
