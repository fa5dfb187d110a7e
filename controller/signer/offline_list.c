/* offline_list.c - room controller/signer: shows the list that an offline root is asked for, signs it as that root, takes the answer.
 * Each machine writes number and content into its own log first. Order of the files: list, then the request goes.
 * Never: a list that is not what was asked for. */
#include "controller/signer/offline_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/signer/offline_root.h"
#include "controller/signer/root_list.h"
#include "controller/signer/signer_limits.h"
#include "shared/base/times.h"
#include "shared/model/certificate.h"
#include "shared/pki/cert.h"
#include "shared/pki/key.h"
#include "shared/pki/pem_read.h"
#include "shared/sys/file.h"

#define CRL_BEGIN "-----BEGIN X509 CRL-----\n"

enum { NAME_SIZE = ISSUER_ID_SIZE + sizeof(CA_LIST_REQUEST) };

/* What waits for this root; false: nothing that can be read. */
static bool waits_for(const struct root_work *w, const struct ca *root, struct root_list *ret, struct buf *text, char name[NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "%s%s", root->issuer.issuer_id, CA_LIST_REQUEST);
	buf_reset(text);
	return root->issuer.role == ISSUER_ROOT && file_read(w->ca_fd, name, false, text, NULL) == 0 && root_list_read(buf_span(text), ret, NULL) == 0;
}

/* Into the log of this machine: a number is used for one content, and none falls. */
static int log_it(struct root_work *w, const struct root_list *l, struct refusal *why)
{
	struct hash content;
	bool        again;
	list_hash(&l->crl, &content);
	int r = sign_log_add_list(w->change.log, l->crl.issuer_id, 0, l->crl.number, content, &again, why);
	if (r == 0 && (r = sign_log_commit(w->change.log, w->change.now)) < 0)
		(void)refuse(why, r, "signing log", "%s", err_what(r));
	return r;
}

static int may_go(const struct ca *root, const struct root_list *l, int64_t now, struct refusal *why)
{
	if (root->key != NULL)
		return refuse(why, E_ROOT_REQUEST, root->issuer.issuer_id, "its key is here: start the signer, and the list is signed within the hour");
	return root_list_age(l, now, why);
}

/* What one root may not be asked any more keeps no other from being asked. */
int offline_list_request(struct root_work *w, struct refusal *why)
{
	struct root_list l;
	struct buf       text = BUF_MAX(ROOT_LIST_TEXT_MAX);
	char             name[NAME_SIZE];
	const char      *id = NULL;
	int              r = refuse(why, E_SIGNER_ISSUER, "list", "the controller wants none of a root whose key is elsewhere; it asks every hour");

	for (size_t i = 0; i < w->cas.n && r < 0; i++) {
		const struct ca *root = &w->cas.ca[i];
		if (!waits_for(w, root, &l, &text, name))
			continue;
		r = may_go(root, &l, w->change.now, why);
		id = root->issuer.issuer_id;
	}
	if (r == 0)
		r = offline_put_out(buf_span(&text), why);
	if (r == 0)
		offline_tell("the list", id, buf_span(&text));
	buf_free(&text);
	return r;
}

bool offline_list_asks(struct span file)
{
	return root_list_is(file);
}

/* People see what they sign: each authority by its name where its certificate lies here. */
static void show(const struct root_work *w, const struct root_list *l, const struct crl_entry *entries, size_t n)
{
	char at[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE], serial[SERIAL_TEXT_SIZE];
	fprintf(stderr, "list %" PRIu64 " of %s, from %s to %s\n", l->crl.number, l->crl.issuer_id, time_text(l->crl.this_update_at, at),
		time_text(l->crl.next_update_at, to));
	for (size_t i = 0; i < n; i++) {
		const char      *name = "an authority whose certificate is not here";
		struct cert_info info;
		for (size_t k = 0; k < w->cas.n; k++) {
			const struct issuer *one = &w->cas.ca[k].issuer;
			if (cert_read((struct span){one->der, one->der_len}, &info) == 0 && serial_equal(info.serial, entries[i].serial))
				name = one->issuer_id;
		}
		const char *reason = revoke_reason_name(entries[i].reason); /* what has no name is not signed */
		fprintf(stderr, "  revoked %s  %s  %s  %s\n", serial_text(entries[i].serial, serial), time_text(entries[i].revoked_at, at),
			reason != NULL ? reason : "unknown reason", name);
	}
	if (n == 0)
		fprintf(stderr, "  nothing is revoked\n");
}

static int judge(const struct root_list *l, struct span file, const char *hash, const struct ca *root, int64_t now, struct refusal *why)
{
	struct hash of_root;
	int         r = root_request_hash(l->crl.issuer_id, file, hash, why);
	digest_sha256((struct span){root->issuer.der, root->issuer.der_len}, &of_root);
	if (r == 0 && !hash_equal(of_root, l->root_hash))
		r = refuse(why, E_ROOT_REQUEST, l->crl.issuer_id, "it is for another certificate of this root's name");
	if (r == 0)
		r = root_list_age(l, now, why);
	if (r == 0) /* it was asked for a while ago: how long it will be good is what counts */
		r = limits_crl(root, &l->crl, l->crl.this_update_at, why);
	return r;
}

int offline_list_sign(struct root_work *w, struct span file, const char *hash, struct refusal *why)
{
	struct root_list l;
	struct crl_entry entries[ROOT_LIST_ENTRIES];
	struct buf       der = BUF_MAX(SG_ROOT_LIST_MAX), pem = BUF_MAX(2 * SG_ROOT_LIST_MAX);
	const struct ca *root = NULL;

	int r = root_list_read(file, &l, why);
	if (r == 0)
		root = ca_store_find(&w->cas, l.crl.issuer_id);
	if (r == 0 && (root == NULL || root->issuer.role != ISSUER_ROOT || root->key == NULL))
		r = refuse(why, E_SIGNER_ISSUER, l.crl.issuer_id, "the key of this root is not here");
	if (r == 0)
		r = judge(&l, file, hash, root, w->change.now, why);
	if (r == 0) {
		size_t n = list_entries(&l.crl, entries);
		show(w, &l, entries, n);
		if (issue_crl(root->prepared, l.crl.number, l.crl.this_update_at, l.crl.next_update_at, NULL, entries, n, &der) < 0)
			r = refuse(why, E_ROOT_REQUEST, l.crl.issuer_id, "it is not what a root may say: a reason, a date, the number or the order of entries");
		if (r == 0) /* nothing leaves this machine before */
			r = log_it(w, &l, why);
		if (r == 0)
			r = crl_pem_add(buf_span(&der), &pem);
		if (r == 0)
			r = offline_put_out(buf_span(&pem), why);
	}
	if (r == 0)
		fprintf(stderr, "it is signed by %s\nnext: carry it back, and there\n  vcc-signer root-import FILE\n", l.crl.issuer_id);
	buf_free(&der);
	buf_free(&pem);
	return r;
}

bool offline_list_answers(struct span file)
{
	return file.n > sizeof(CRL_BEGIN) - 1 && memcmp(file.p, CRL_BEGIN, sizeof(CRL_BEGIN) - 1) == 0;
}

/* For which of the roots it is: by what waits. The cause of the last one stays where it is for none. */
static int find(struct root_work *w, struct span der, const struct ca **ret, struct root_list *l, char name[NAME_SIZE], struct refusal *why)
{
	struct buf text = BUF_MAX(ROOT_LIST_TEXT_MAX);
	int        r = refuse(why, E_ROOT_ANSWER, "answer", "no request for a list waits here");
	for (size_t i = 0; i < w->cas.n && r < 0; i++) {
		if (!waits_for(w, &w->cas.ca[i], l, &text, name))
			continue;
		r = root_list_fits(l, der, &w->cas.ca[i], why);
		*ret = &w->cas.ca[i];
	}
	buf_free(&text);
	return r;
}

int offline_list_import(struct root_work *w, struct span file, struct refusal *why)
{
	static struct root_list l;
	struct buf              der = BUF_MAX(SG_ROOT_LIST_MAX);
	struct span             rest = file;
	const struct ca        *root = NULL;
	char                    name[NAME_SIZE] = "", list[NAME_SIZE];

	int r = pem_read(&rest, PEM_CRL, &der) == 1 && rest.n == 0 ? 0 : refuse(why, E_ROOT_ANSWER, "answer", "this is no list in PEM");
	if (r == 0)
		r = find(w, buf_span(&der), &root, &l, name, why);
	if (r == 0)
		r = root_list_age(&l, w->change.now, why);
	if (r == 0)
		r = log_it(w, &l, why);
	if (r == 0) {
		(void)snprintf(list, sizeof(list), "%s%s", root->issuer.issuer_id, CA_LIST);
		r = file_replace(w->ca_fd, list, buf_span(&der), (uid_t)-1, (gid_t)-1, 0644, why);
	}
	if (r == 0 && (unlinkat(w->ca_fd, name, 0) < 0 || dir_sync(w->ca_fd) < 0))
		r = sys_refuse_at(why, w->ca_fd, name, "remove");
	if (r == 0)
		fprintf(stderr, "list %" PRIu64 " of %s is here\nnext: `systemctl start vcc-signer`; the controller publishes it\n", l.crl.number,
			root->issuer.issuer_id);
	buf_free(&der);
	return r;
}
