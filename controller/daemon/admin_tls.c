/* admin_tls.c - room controller/daemon: STATE_DIR/admin.key and admin.pem.
 * Never: a certificate that does not fit the key. */
#include "controller/daemon/admin_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/tcp.h"

enum { PEM_MAX = 65536, RETRY_MS = 5000 };

struct admin_tls {
	int         dir_fd;
	struct key *key;
	struct buf  key_pem, spki, chain_pem;
	int64_t     not_before_at, not_after_at; /* 0 = none */
	struct hash issuer;                      /* of its issuer's certificate; none = not known */
	int64_t     retry_at;
	bool        asked;
};

void admin_tls_free(struct admin_tls *a)
{
	if (a == NULL)
		return;
	fd_close(a->dir_fd);
	key_free(a->key);
	buf_wipe(&a->key_pem);
	buf_free(&a->spki);
	buf_free(&a->chain_pem);
	free(a);
}

static int make_key(struct admin_tls *a, struct refusal *why)
{
	int r = key_make(KEY_EC_P256, &a->key);
	if (r == 0)
		r = key_to_pem(a->key, &a->key_pem);
	if (r < 0)
		return refuse(why, r, "admin.key", "the key cannot be made");
	return file_replace(a->dir_fd, "admin.key", buf_span(&a->key_pem), (uid_t)-1, (gid_t)-1, 0600, why);
}

static int load_key(struct admin_tls *a, struct refusal *why)
{
	int r = file_read(a->dir_fd, "admin.key", true, &a->key_pem, why);
	if (r == E_NOT_FOUND)
		return make_key(a, why);
	if (r == 0 && (r = key_from_pem(buf_span(&a->key_pem), &a->key)) < 0)
		return refuse(why, r, "admin.key", "the file holds no usable key; remove it and a new one is made");
	return r;
}

/* What is there already is used when it fits the key and the installation; else a new one is ordered. */
static void load_chain(struct admin_tls *a)
{
	struct buf       pem = BUF_MAX(PEM_MAX), ders = BUF_MAX(CHAIN_DER_MAX);
	struct cert_info info;
	struct span      rest, leaf, issuer;
	if (file_read(a->dir_fd, "admin.pem", false, &pem, NULL) == 0 && cert_from_pem(buf_span(&pem), &ders) == 0) {
		rest = buf_span(&ders);
		if (der_next(&rest, &leaf) && cert_read(leaf, &info) == 0 && cert_fits_key(leaf, a->key) == 0) {
			a->not_before_at = info.not_before_at;
			a->not_after_at = info.not_after_at;
			if (der_next(&rest, &issuer))
				digest_sha256(issuer, &a->issuer);
			buf_take(&a->chain_pem, &pem);
		}
	}
	buf_free(&pem);
	buf_free(&ders);
}

int admin_tls_open(struct controller *ctl, struct admin_tls **ret, struct refusal *why)
{
	struct admin_tls *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return refuse(why, E_NOMEM, "admin.key", "no memory");
	a->key_pem = (struct buf)BUF_MAX(PEM_MAX);
	a->chain_pem = (struct buf)BUF_MAX(PEM_MAX);
	a->spki = (struct buf)BUF_MAX(SPKI_MAX);
	a->dir_fd = -1;
	int r = dir_open_safe(ctl->conf->state_dir, geteuid(), &a->dir_fd, why);
	if (r == 0)
		r = load_key(a, why);
	if (r == 0)
		r = key_spki(a->key, &a->spki);
	if (r < 0) {
		admin_tls_free(a);
		return r;
	}
	load_chain(a);
	*ret = a;
	return 0;
}

bool admin_tls_get(const struct admin_tls *a, struct span *ret_chain_pem, struct span *ret_key_pem)
{
	if (a->chain_pem.n == 0)
		return false;
	*ret_chain_pem = buf_span(&a->chain_pem);
	*ret_key_pem = buf_span(&a->key_pem);
	return true;
}

bool admin_tls_valid(const struct admin_tls *a, int64_t now)
{
	return a->chain_pem.n > 0 && a->not_after_at > now;
}

/* Would the issuer's constraints let it pass? */
static bool may_be_certified(const struct catalog_issuer *issuer, const struct cert_facts *facts)
{
	struct buf tbs = BUF_MAX(CERT_DER_MAX);
	bool       ok = issue_tbs(issuer->ca, facts, &tbs) == 0 && issue_lint(issuer->ca, facts, buf_span(&tbs), NULL) == 0;
	buf_free(&tbs);
	return ok;
}

int admin_tls_names(struct controller *ctl, const struct catalog_issuer *issuer, struct cert_facts *facts)
{
	const char *wanted[] = {ctl->conf->public_name, "127.0.0.1", "::1"};
	size_t      n = N_ELEMENTS(wanted);
	char        host[TCP_HOST_SIZE], list[NAMES_TEXT_SIZE] = "";
	uint16_t    port;
	uint8_t     random[SERIAL_RANDOM];
	if (tcp_split(ctl->conf->admin_listen, host, &port) == 0 && host[0] != '\0' && strcmp(host, "::") != 0 &&
	    strcmp(host, "0.0.0.0") != 0) {
		wanted[1] = host; /* not on all addresses: on this one */
		n = 2;
	}
	struct cert_facts trial = *facts;
	random_bytes(random, sizeof(random));
	trial.serial = serial_make(1, random);
	text_cut(trial.issuer_id, sizeof(trial.issuer_id), issuer->row.issuer_id);
	for (size_t i = 0; i < n; i++) {
		if (names_parse(wanted[i], false, &trial.names, NULL) < 0 || !may_be_certified(issuer, &trial))
			continue;
		size_t at = strlen(list);
		(void)snprintf(list + at, sizeof(list) - at, "%s%s", at > 0 ? "," : "", wanted[i]);
		if (i == 0 && strlen(wanted[0]) < sizeof(facts->common_name))
			text_cut(facts->common_name, sizeof(facts->common_name), wanted[0]);
	}
	return list[0] != '\0' ? names_parse(list, false, &facts->names, NULL) : E_PKI_NAMES;
}

static void on_issued(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	struct admin_tls *a = ctx;
	struct refusal    why = {0};
	a->asked = false;
	a->retry_at = clock_now() + RETRY_MS;
	if (code < 0)
		return;
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, issued->issuer_id);
	struct buf                   pem = BUF_MAX(PEM_MAX);
	int                          r = cert_pem_add((struct span){issued->der, issued->der_len}, &pem);
	if (r == 0 && issuer != NULL)
		r = cert_pem_add(issuer->chain, &pem);
	if (r == 0)
		r = file_replace(a->dir_fd, "admin.pem", buf_span(&pem), (uid_t)-1, (gid_t)-1, 0644, &why);
	if (r < 0) {
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
	} else {
		buf_take(&a->chain_pem, &pem);
		a->not_before_at = issued->not_before_at;
		a->not_after_at = issued->not_after_at;
		if (issuer != NULL)
			digest_sha256((struct span){issuer->row.der, issuer->row.der_len}, &a->issuer);
		if (ctl->admin_tls_changed != NULL)
			ctl->admin_tls_changed(ctl->admin_tls_ctx);
	}
	buf_free(&pem);
}

/* The CA that signed it gave way: who checks lists may refuse it before half of its life is over. */
static bool is_of_another_issuer(struct controller *ctl, const struct admin_tls *a)
{
	const struct catalog_issuer *issuer = catalog_issuer_of_role(ctl->catalog, ISSUER_SERVICE);
	struct hash                  hash;
	if (issuer == NULL || hash_is_none(a->issuer))
		return false;
	digest_sha256((struct span){issuer->row.der, issuer->row.der_len}, &hash);
	return !hash_equal(hash, a->issuer);
}

void admin_tls_tick(struct controller *ctl, struct admin_tls *a, int64_t now)
{
	bool due = a->chain_pem.n == 0 || is_of_another_issuer(ctl, a) || now > a->not_before_at + (a->not_after_at - a->not_before_at) / 2;
	if (!due || a->asked || a->retry_at > now || !signer_ready(ctl))
		return;
	struct identity_request q = {.profile = LEAF_ADMIN_TLS,
				     .spki = buf_span(&a->spki),
				     .key_type = KEY_EC_P256,
				     .actor = "controller",
				     .done = on_issued,
				     .ctx = a};
	text_cut(q.name, sizeof(q.name), "admin");
	int r = identities_issue(ctl, &q);
	a->asked = r == 0;
	if (r == 0 || r == E_SYS_AGAIN)
		return;
	char code[ERR_CODE_SIZE];
	log_line(LOG_LEVEL_ERROR, NULL, "the admin listener gets no certificate: %s %s", err_code(r, code), err_what(r));
	a->retry_at = now + RETRY_MS;
}
