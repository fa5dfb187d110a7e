/* crl_set.c - room shared/pki: checks a set of revocation lists: authorities, then each list, then the numbers of the old ones.
 * Never: using a byte of a list before its signature has been checked, except to find who may have signed it. */
#include "shared/pki/crl_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/pem_read.h"

enum { LIST_DER_MAX = 1 << 22 };

/* What a list replaces is told by issuer and distribution point. */
struct row {
	struct hash key;
	uint64_t    number;
};

struct authority {
	struct span der, name;
};

struct judge {
	const struct crl_set *set;
	struct buf            authority_ders;
	struct authority      authorities[CRL_SET_ISSUERS_MAX];
	size_t                n_authorities;
	struct row           *old, *new;
	size_t                n_old, n_new;
	struct crl_set_facts  facts;
};

/* ---- authorities ------------------------------------------------------------------------------------------------- */

/* May it sign lists, and does a root say so? Its own times do not matter: a list has times of its own, and one of an authority
 * that has ended is about nothing but its own certificates. */
static bool may_sign_lists(struct span der, struct span roots)
{
	struct cert_info info;
	if (cert_read(der, &info) != 0 || !info.is_ca || (info.key_usage & KU_CRL_SIGN) == 0)
		return false;
	return cert_verify(der, (struct span){NULL, 0}, roots, 0, 0, NULL) == 0;
}

/* Spans into `j->authority_ders`, which does not move any more once all are in. */
static int authorities_index(struct judge *j)
{
	struct span rest = buf_span(&j->authority_ders);
	for (struct span one; der_next(&rest, &one);) {
		struct cert_parts parts;
		if (!may_sign_lists(one, j->set->roots))
			continue; /* of another root, or none at all: no list of it will pass */
		if (j->n_authorities == CRL_SET_ISSUERS_MAX)
			return E_FULL;
		int r = cert_parts_read(one, &parts);
		if (r != 0)
			return r;
		j->authorities[j->n_authorities++] = (struct authority){one, parts.t.subject};
	}
	return rest.n == 0 ? 0 : E_PKI_CERT;
}

static int authorities_take(struct judge *j, struct refusal *why)
{
	struct span rest = j->set->issuers;
	int         r = 1;
	buf_add(&j->authority_ders, j->set->roots.p, j->set->roots.n);
	for (size_t n = 0; r == 1; n++)
		r = n < CRL_SET_ISSUERS_MAX ? pem_read(&rest, PEM_CERTIFICATE, &j->authority_ders) : E_FULL;
	if (r == 0)
		r = authorities_index(j);
	return r == 0 ? 0
		      : refuse(why, E_CRL_ISSUER, "issuing authorities", "their certificates cannot be read: %s", err_what(r));
}

/* ---- one list ---------------------------------------------------------------------------------------------------- */

static struct hash key_of(const struct crl_info *info)
{
	struct hash key;
	digest_sha256_two(info->issuer.p, info->issuer.n, info->point.p, info->point.n, &key); /* a Name tells its own length */
	return key;
}

/* For people: the distribution point, else the issuer's name. */
static const char *object_of(const struct crl_info *info, const struct authority *a, char ret[2 * SUBJECT_SIZE])
{
	struct cert_info cert;
	if (info->point.n > 0)
		(void)snprintf(ret, 2 * SUBJECT_SIZE, "%.*s", (int)(info->point.n < URL_SIZE ? info->point.n : URL_SIZE),
			       info->point.p);
	else if (a != NULL && cert_read(a->der, &cert) == 0)
		(void)snprintf(ret, 2 * SUBJECT_SIZE, "%s", cert.subject);
	else
		(void)snprintf(ret, 2 * SUBJECT_SIZE, "revocation list");
	return ret;
}

/* The authority that has signed it; several may have the same name. */
static int signer_find(const struct judge *j, struct span der, struct crl_info *ret, const struct authority **ret_signer)
{
	struct crl_info seen;
	int             r = crl_peek(der, &seen);
	if (r != 0)
		return r;
	for (size_t i = 0; i < j->n_authorities; i++) {
		const struct authority *a = &j->authorities[i];
		if (span_equal(a->name, seen.issuer) && crl_read(der, a->der, ret) == 0) {
			*ret_signer = a;
			return 0;
		}
	}
	*ret = seen;
	*ret_signer = NULL;
	return E_CRL_ISSUER;
}

static int times_check(const struct judge *j, const struct crl_info *info, const char *object, struct refusal *why)
{
	char text[TIME_TEXT_SIZE];
	if (info->this_update_at > j->set->now_at + j->set->tolerance_ms)
		return refuse(why, E_CRL_TIME, object, "it begins in the future, %s", time_text(info->this_update_at, text));
	if (info->next_update_at <= j->set->now_at)
		return refuse(why, E_CRL_TIME, object, "it has ended, %s", time_text(info->next_update_at, text));
	return 0;
}

static int row_compare(const void *a, const void *b)
{
	return memcmp(((const struct row *)a)->key.b, ((const struct row *)b)->key.b, sizeof(((const struct row *)a)->key.b));
}

static int number_check(const struct judge *j, const struct row *row, const char *object, struct refusal *why)
{
	const struct row *old = j->n_old > 0 ? bsearch(row, j->old, j->n_old, sizeof(*row), row_compare) : NULL;
	if (old == NULL || row->number >= old->number)
		return 0;
	return refuse(why, E_CRL_NUMBER, object, "its number is %llu, the one in use has %llu", (unsigned long long)row->number,
		      (unsigned long long)old->number);
}

static int list_check(struct judge *j, struct span der, struct refusal *why)
{
	char                    name[2 * SUBJECT_SIZE];
	struct crl_info         info;
	const struct authority *signer = NULL;
	int                     r = signer_find(j, der, &info, &signer);
	if (r == E_CRL_ISSUER)
		return refuse(why, r, object_of(&info, NULL, name),
			      "no authority that leads to this host's roots has signed it");
	if (r != 0)
		return refuse(why, r, "revocation list", "%s", err_what(r));
	struct row  row = {key_of(&info), info.number};
	const char *object = object_of(&info, signer, name);
	r = times_check(j, &info, object, why);
	if (r == 0)
		r = number_check(j, &row, object, why);
	if (r != 0)
		return r;
	if (j->n_new == CRL_SET_LISTS_MAX)
		return refuse(why, E_PKI_CRL, object, "there are more than %d lists", CRL_SET_LISTS_MAX);
	j->new[j->n_new++] = row;
	j->facts.entries += info.entries;
	if (j->facts.lists++ == 0 || info.next_update_at < j->facts.next_update_at)
		j->facts.next_update_at = info.next_update_at;
	return 0;
}

/* ---- the set ----------------------------------------------------------------------------------------------------- */

/* They were checked when they came into use. */
static void old_take(struct judge *j)
{
	struct buf  der = BUF_MAX(LIST_DER_MAX);
	struct span rest = j->set->old_pem;
	while (j->n_old < CRL_SET_LISTS_MAX && pem_read(&rest, PEM_CRL, &der) == 1) {
		struct crl_info info;
		if (crl_peek(buf_span(&der), &info) == 0)
			j->old[j->n_old++] = (struct row){key_of(&info), info.number};
		buf_reset(&der);
	}
	buf_free(&der);
	if (j->n_old > 0)
		qsort(j->old, j->n_old, sizeof(*j->old), row_compare);
}

static int new_take(struct judge *j, struct refusal *why)
{
	struct buf  der = BUF_MAX(LIST_DER_MAX);
	struct span rest = j->set->pem;
	int         r;
	while ((r = pem_read(&rest, PEM_CRL, &der)) == 1) {
		r = list_check(j, buf_span(&der), why);
		if (r != 0)
			break;
		buf_reset(&der);
	}
	if (r == E_SYNTAX || r == E_FULL)
		r = refuse(why, E_PKI_CRL, "revocation lists", "there is something else at byte %zu, after %zu lists",
			   (size_t)(rest.p - j->set->pem.p), j->facts.lists);
	buf_free(&der);
	return r;
}

static int whole_check(struct judge *j, struct refusal *why)
{
	if (j->n_new == 0)
		return refuse(why, E_PKI_CRL, "revocation lists", "there is none");
	qsort(j->new, j->n_new, sizeof(*j->new), row_compare);
	for (size_t i = 1; i < j->n_new; i++)
		if (row_compare(&j->new[i - 1], &j->new[i]) == 0)
			return refuse(why, E_PKI_CRL, "revocation lists", "one list is there twice");
	return 0;
}

int crl_set_check(const struct crl_set *set, struct crl_set_facts *ret, struct refusal *why)
{
	struct judge *j = calloc(1, sizeof(*j));
	int           r = E_NOMEM;
	if (j != NULL) {
		j->set = set;
		j->authority_ders = (struct buf)BUF_MAX(CRL_SET_ISSUERS_MAX * CERT_DER_MAX);
		j->old = calloc(CRL_SET_LISTS_MAX, sizeof(*j->old));
		j->new = calloc(CRL_SET_LISTS_MAX, sizeof(*j->new));
	}
	if (j == NULL || j->old == NULL || j->new == NULL)
		refuse(why, r, "revocation lists", "no memory to check them");
	else
		r = authorities_take(j, why);
	if (r == 0) {
		old_take(j);
		r = new_take(j, why);
	}
	if (r == 0)
		r = whole_check(j, why);
	if (r == 0)
		*ret = j->facts;
	if (j != NULL) {
		buf_free(&j->authority_ders);
		free(j->old);
		free(j->new);
	}
	free(j);
	return r;
}

int64_t crl_set_ends_at(struct span pem)
{
	struct buf      der = BUF_MAX(LIST_DER_MAX);
	struct crl_info info;
	int64_t         ends_at = 0;
	int             r;
	while ((r = pem_read(&pem, PEM_CRL, &der)) == 1 && (r = crl_peek(buf_span(&der), &info)) == 0) {
		ends_at = ends_at == 0 || info.next_update_at < ends_at ? info.next_update_at : ends_at;
		buf_reset(&der);
	}
	buf_free(&der);
	return r == 0 ? ends_at : 0;
}

static bool list_names(struct span der, struct serial serial)
{
	struct crl_info info;
	size_t          n = 0;
	if (crl_peek(der, &info) != 0 || info.entries == 0)
		return false;
	struct crl_entry *entries = calloc(info.entries, sizeof(*entries));
	if (entries == NULL || crl_entries(der, entries, info.entries, &n) != 0)
		n = 0;
	bool found = false;
	for (size_t i = 0; i < n && !found; i++)
		found = serial_equal(entries[i].serial, serial);
	free(entries);
	return found;
}

bool crl_set_names(struct span pem, struct serial serial)
{
	struct buf der = BUF_MAX(LIST_DER_MAX);
	bool       found = false;
	while (!found && pem_read(&pem, PEM_CRL, &der) == 1) {
		found = list_names(buf_span(&der), serial);
		buf_reset(&der);
	}
	buf_free(&der);
	return found;
}
