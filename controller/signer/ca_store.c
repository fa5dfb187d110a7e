/* ca_store.c - room controller/signer: opens the CA keys and proves that each fits its certificate and its root.
 * Never: giving a key away. */
#include "controller/signer/ca_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/signer/ca_plan.h"
#include "controller/signer/passphrase.h"
#include "controller/signer/share_wait.h"
#include "shared/base/text.h"
#include "shared/model/messages.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"

struct ca *ca_store_find(struct ca_store *s, const char *issuer_id)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->ca[i].issuer.issuer_id, issuer_id) == 0)
			return &s->ca[i];
	return NULL;
}

void ca_store_free(struct ca_store *s)
{
	for (size_t i = 0; i < s->n; i++) {
		issue_ca_free(s->ca[i].prepared);
		key_free(s->ca[i].key);
		secret_wipe(&s->ca[i].lock, sizeof(s->ca[i].lock));
		buf_free(&s->ca[i].cross);
		buf_free(&s->ca[i].list);
	}
	s->n = 0;
}

static struct span ca_der(const struct ca *ca)
{
	return (struct span){ca->issuer.der, ca->issuer.der_len};
}

int ca_file_read(int dir_fd, const char *name, bool secret, struct buf *to, struct refusal *why)
{
	struct refusal own = {.code = 0};
	int            r = file_read(dir_fd, name, secret, to, &own);
	if (r < 0 && r != E_NOT_FOUND && why != NULL)
		*why = own;
	return r;
}

/* ---- one CA ---- */

static int read_certificate(int dir_fd, const char *name, struct ca *ca, struct refusal *why)
{
	struct cert_info info;
	struct buf       der = BUF_MAX(sizeof(ca->issuer.der));

	int r = file_read(dir_fd, name, false, &der, why);
	if (r == 0)
		r = cert_read(buf_span(&der), &info);
	if (r == 0 && !info.is_ca)
		r = E_PKI_CERT;
	if (r == E_PKI_CERT)
		refuse(why, r, name, "this is not the certificate of an authority");
	if (r == 0) {
		memcpy(ca->issuer.der, der.p, der.n);
		ca->issuer.der_len = (uint16_t)der.n;
		ca->issuer.not_before_at = info.not_before_at;
		ca->issuer.not_after_at = info.not_after_at;
	}
	buf_free(&der);
	return r;
}

static int read_public_key(const char *name, struct ca *ca, struct refusal *why)
{
	struct cert_parts parts;

	int r = cert_parts_read(ca_der(ca), &parts);
	if (r == 0)
		r = key_spki_type(parts.t.spki, &ca->issuer.key_type);
	if (r == 0 && parts.t.spki.n > sizeof(ca->spki))
		r = E_FULL;
	if (r < 0)
		return refuse(why, r, name, "the certificate's key cannot be used");
	memcpy(ca->spki, parts.t.spki.p, parts.t.spki.n);
	ca->spki_len = parts.t.spki.n;
	return 0;
}

/* A successor's file is locked as its predecessor's: opened once, both are, and the start is not longer for it. */
static void lock_known(const struct ca_store *s, struct span file, struct keyfile_lock *ret)
{
	for (size_t i = 0; i < s->n; i++)
		if (keyfile_lock_fits(&s->ca[i].lock, file))
			*ret = s->ca[i].lock;
}

static int read_token_key(const struct ca_store *s, int dir_fd, const char *id, struct ca *ca, struct refusal *why)
{
	char       name[ISSUER_ID_SIZE + 8];
	struct buf file = BUF_MAX(HSM_NAME_MAX);

	snprintf(name, sizeof(name), "%s" CA_TOKEN, id);
	int r = ca_file_read(dir_fd, name, false, &file, why);
	if (r == 0 && s->hsm == NULL)
		r = refuse(why, E_SIGNER_MODULE, name, "the key is in a token, and signer.conf names no pkcs11.module");
	bool told = r == 0;
	if (r == 0)
		r = hsm_key_find(s->hsm, buf_span(&file), &ca->key, why);
	buf_free(&file);
	return told && r == E_NOT_FOUND ? refuse(why, E_SIGNER_TOKEN_KEY, name, "the token does not have this key") : r;
}

/* In a file or in the token. One that is in both is in the wrong hands: nothing falls back from the one to the other. */
static int read_key(const struct ca_store *s, int dir_fd, const char *id, struct span passphrase, struct ca *ca, struct refusal *why)
{
	char       name[ISSUER_ID_SIZE + 8];
	struct buf file = BUF_MAX(CA_KEYFILE_MAX);

	snprintf(name, sizeof(name), "%s" CA_KEY, id);
	int r = read_token_key(s, dir_fd, id, ca, why);
	if (r == 0 && faccessat(dir_fd, name, F_OK, 0) == 0)
		return refuse(why, E_SIGNER_KEY, name, "the key is in the token, and here is a file beside it");
	bool in_token = r == 0;
	if (r == E_NOT_FOUND)
		r = ca_file_read(dir_fd, name, true, &file, why);
	if (r == E_NOT_FOUND && ca->issuer.role == ISSUER_ROOT)
		return 0; /* offline: others still chain to it */
	if (r == E_NOT_FOUND)
		return refuse(why, E_SIGNER_KEY, name, "the key is missing");
	if (r == 0 && !in_token) {
		lock_known(s, buf_span(&file), &ca->lock);
		r = keyfile_open_keep(buf_span(&file), passphrase, &ca->lock, &ca->key);
		if (r < 0)
			refuse(why, r, name, "%s", err_what(r));
	}
	buf_free(&file);
	if (r == 0 && cert_fits_key(ca_der(ca), ca->key) < 0)
		r = refuse(why, E_SIGNER_KEY, name, "the key does not belong to the certificate beside it");
	return r;
}

/* Of the first root there is neither; of one that is just being made perhaps not yet. */
static int read_beside(int dir_fd, const char *id, const char *end, size_t max, struct buf *ret, struct refusal *why)
{
	char name[ISSUER_ID_SIZE + 8];
	*ret = (struct buf)BUF_MAX(max);
	snprintf(name, sizeof(name), "%s%s", id, end);
	int r = ca_file_read(dir_fd, name, false, ret, why);
	return r == E_NOT_FOUND ? 0 : r;
}

static int load_one(const struct ca_store *s, int dir_fd, const char *id, struct span passphrase, const char *public_url, struct ca *ca,
                    struct refusal *why)
{
	char     name[ISSUER_ID_SIZE + 8];
	unsigned number;

	*ca = (struct ca){0};
	if (ca_id_read(id, &ca->issuer.role, &number) < 0 || text_copy(ca->issuer.issuer_id, sizeof(ca->issuer.issuer_id), id) < 0)
		return refuse(why, E_SIGNER_KEY, id, "the file name is not ROLE-NUMBER.cer");
	snprintf(name, sizeof(name), "%s.cer", id);
	int r = read_certificate(dir_fd, name, ca, why);
	if (r == 0)
		r = read_public_key(name, ca, why);
	if (r == 0)
		r = read_key(s, dir_fd, id, passphrase, ca, why);
	if (r == 0 && ca->issuer.role == ISSUER_ROOT)
		r = read_beside(dir_fd, id, CA_CROSS, CERT_DER_MAX, &ca->cross, why);
	if (r == 0 && ca->issuer.role == ISSUER_ROOT)
		r = read_beside(dir_fd, id, CA_LIST, SG_ROOT_LIST_MAX, &ca->list, why);
	snprintf(name, sizeof(name), "%s" CA_CLOSED, id);
	ca->closed = faccessat(dir_fd, name, F_OK, 0) == 0;
	if (r == 0) {
		r = issue_ca_make(&ca->issuer, ca->key, public_url, &ca->prepared);
		if (r < 0)
			refuse(why, r, id, "the authority cannot be prepared for issuing");
	}
	if (r < 0) {
		key_free(ca->key);
		secret_wipe(&ca->lock, sizeof(ca->lock));
		buf_free(&ca->cross);
		buf_free(&ca->list);
	}
	return r;
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int list_ids(int dir_fd, char ret[CA_MAX][ISSUER_ID_SIZE], size_t *ret_n, struct refusal *why)
{
	int  fd = openat(dir_fd, ".", O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	int  r = 0;

	if (dir == NULL) {
		fd_close(fd);
		return sys_refuse(why, "ca", "list the folder");
	}
	*ret_n = 0;
	for (const struct dirent *e = readdir(dir); e != NULL && r == 0; e = readdir(dir)) {
		size_t n = strlen(e->d_name);
		if (e->d_name[0] == '.' || !text_ends(e->d_name, ".cer"))
			continue;
		if (*ret_n == CA_MAX || n - 4 >= ISSUER_ID_SIZE)
			r = refuse(why, E_SIGNER_KEY, e->d_name, "more than %d authorities, or a name that is too long", CA_MAX);
		else
			r = text_copy_n(ret[(*ret_n)++], ISSUER_ID_SIZE, e->d_name, n - 4);
	}
	closedir(dir);
	qsort(ret, *ret_n, ISSUER_ID_SIZE, by_name);
	return r;
}

/* Every issuing CA must lead to a root that lies beside it; that root is its parent. */
static int find_parent(struct ca_store *s, struct ca *ca, struct refusal *why)
{
	for (size_t i = 0; i < s->n && ca->issuer.role != ISSUER_ROOT; i++) {
		const struct ca *root = &s->ca[i];
		if (root->issuer.role == ISSUER_ROOT &&
		    cert_verify(ca_der(ca), (struct span){0}, ca_der(root), 0, 0, NULL) == 0)
			return text_copy(ca->issuer.parent_id, sizeof(ca->issuer.parent_id), root->issuer.issuer_id);
	}
	if (ca->issuer.role == ISSUER_ROOT)
		return 0;
	return refuse(why, E_SIGNER_KEY, ca->issuer.issuer_id, "the certificate is not signed by a root of this folder");
}

int ca_store_load(const char *state_dir, struct span passphrase, const char *public_url, struct ca_store *ret, struct refusal *why)
{
	char             path[512];
	char             ids[CA_MAX][ISSUER_ID_SIZE];
	size_t           n = 0;
	struct ca_store *s = ret;

	s->n = 0;
	snprintf(path, sizeof(path), "%s/ca", state_dir);
	_cleanup_fd_ int fd = open(path, O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return sys_refuse(why, path, "open the folder");
	int r = list_ids(fd, ids, &n, why);
	if (r == 0 && n == 0)
		r = refuse(why, E_SIGNER_KEY, path, "there is no authority; run `vccctl init`");
	for (size_t i = 0; i < n && r == 0; i++) {
		r = load_one(s, fd, ids[i], passphrase, public_url, &s->ca[i], why);
		if (r == 0)
			s->n++;
	}
	for (size_t i = 0; i < s->n && r == 0; i++)
		r = find_parent(s, &s->ca[i], why);
	if (r < 0)
		ca_store_free(s);
	return r;
}

int ca_store_open(const struct signer_conf *conf, const char *folder, struct ca_store *ret, struct refusal *why)
{
	struct buf passphrase = BUF_MAX(PASSPHRASE_MAX + 2);
	int        r = hsm_open(conf, &ret->hsm, why);
	if (r == 0)
		r = shares_passphrase(conf, folder, &passphrase, why);
	if (r == 0)
		r = ca_store_load(folder, buf_span(&passphrase), conf->public_url, ret, why);
	buf_wipe(&passphrase);
	return r;
}

/* Before the doors close: the crypto library loads what it needs, and a key that cannot sign shows now. The label keeps this signature from ever
 * meaning anything else. */
int ca_store_try(const struct ca_store *s, struct refusal *why)
{
	struct buf signature = BUF_MAX(1024);
	int        r = 0;

	for (size_t i = 0; i < s->n && r == 0; i++) {
		const struct ca *ca = &s->ca[i];
		if (ca->key == NULL)
			continue;
		buf_reset(&signature);
		r = key_sign(ca->key, "vcc signer start v1", span_text(ca->issuer.issuer_id), &signature);
		if (r == 0)
			r = key_verify(ca->key, "vcc signer start v1", span_text(ca->issuer.issuer_id), buf_span(&signature));
		if (r < 0 && !hsm_is_lost(s->hsm, why))
			refuse(why, E_SIGNER_KEY, ca->issuer.issuer_id, "the key cannot sign");
	}
	buf_free(&signature);
	return r;
}
