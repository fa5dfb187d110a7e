/* root_change.c - room controller/signer: makes the next root and what belongs to it, in an order that a kill cannot spoil:
 * root, its certificate by the root before, its list, the authorities below it; the bundle last, with which it begins to be
 * one. Never: a bundle that hosts would not take; taking a file away. */
#include "controller/signer/root_change.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/signer/bundle_file.h"
#include "controller/signer/ca_plan.h"
#include "controller/signer/root_list.h"
#include "controller/signer/successor.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

/* SERIALS_APART: numbers that the controller has reserved and not asked for yet stay free, and stay inside the log's window. */
enum { LIST_DAYS = 395, TBS_MAX = CERT_DER_MAX / 3, LIST_MAX = 65536, SERIALS_APART = 16384, NAME_SIZE = ISSUER_ID_SIZE + 8 };
_Static_assert(SERIALS_APART < SIGN_WINDOW / 2, "what is reserved would fall out of the window");

/* Of authorities there is no window of profiles: no leaf has this one. */
static const enum leaf_profile authority_profile = (enum leaf_profile)255;

static struct span ca_der(const struct ca *ca)
{
	return (struct span){ca->issuer.der, ca->issuer.der_len};
}

static struct ca *root_next(struct ca_store *cas, size_t *at)
{
	while (*at < cas->n) {
		struct ca *ca = &cas->ca[(*at)++];
		if (ca->issuer.role == ISSUER_ROOT)
			return ca;
	}
	return NULL;
}

static unsigned number_of(const struct ca *ca)
{
	enum issuer_role role;
	unsigned         number = 0;
	return ca_id_read(ca->issuer.issuer_id, &role, &number) == 0 ? number : 0;
}

/* ---- signed only after the log has it ---- */

struct serial root_change_serial(struct root_change *c)
{
	uint8_t random[SERIAL_RANDOM];
	c->counter = c->counter == 0 ? sign_log_top(c->log) + SERIALS_APART : c->counter + 1;
	random_bytes(random, sizeof(random));
	return serial_make(c->counter, random);
}

int root_change_log(struct root_change *c, struct serial serial, struct hash tbs_hash, struct refusal *why)
{
	bool repeat;
	int  r = sign_log_add(c->log, serial, tbs_hash, authority_profile, &repeat, why);
	if (r == 0 && (r = sign_log_commit(c->log, c->now)) < 0)
		(void)refuse(why, r, "signing log", "%s", err_what(r));
	return r;
}

static int write_file(const struct root_change *c, const char *id, const char *end, struct span bytes, const char *point,
		      struct refusal *why)
{
	char name[NAME_SIZE];
	(void)snprintf(name, sizeof(name), "%s%s", id, end);
	if (fault_point(point) != 0)
		return sys_refuse(why, name, "write");
	return file_replace(c->ca_fd, name, bytes, (uid_t)-1, (gid_t)-1, 0644, why);
}

static bool has_file(const struct root_change *c, const char *id, const char *end)
{
	char name[NAME_SIZE];
	(void)snprintf(name, sizeof(name), "%s%s", id, end);
	return faccessat(c->ca_fd, name, F_OK, 0) == 0;
}

/* ---- an authority ---- */

/* A name whose request waits for an offline root is taken: its key lies there. */
static void name_next(const struct root_change *c, enum issuer_role role, unsigned *ret_number, char ret[ISSUER_ID_SIZE])
{
	unsigned most = 0;
	for (size_t i = 0; i < c->cas->n; i++)
		if (c->cas->ca[i].issuer.role == role && number_of(&c->cas->ca[i]) > most)
			most = number_of(&c->cas->ca[i]);
	do
		(void)snprintf(ret, ISSUER_ID_SIZE, "%s-%u", issuer_role_name(role), ++most);
	while (has_file(c, ret, CA_REQUEST));
	*ret_number = most;
}

/* All keys are sealed under one lock, so that the signer's start is not longer for the new ones. */
static const struct keyfile_lock *lock_any(const struct ca_store *cas)
{
	for (size_t i = 0; i < cas->n; i++)
		if (cas->ca[i].lock.cost.operations != 0)
			return &cas->ca[i].lock;
	return NULL;
}

static int authority_add(struct root_change *c, enum issuer_role role, const char *organisation, const struct ca *root,
			 struct ca **ret, struct refusal *why)
{
	char             id[ISSUER_ID_SIZE];
	struct successor s = {.root = NULL};
	struct authority a = {.issuer_id = id, .role = role, .organisation = organisation, .root = root, .now = c->now};

	name_next(c, role, &a.number, id);
	a.lock = lock_any(c->cas);
	a.hsm = c->cas->hsm;
	if (a.lock == NULL && a.hsm == NULL)
		return refuse(why, E_SIGNER_ISSUER, id, "no key is here whose lock could seal it");
	a.serial = root_change_serial(c);
	int r = successor_make(c->conf, &a, &s, why);
	if (r == 0)
		r = root_change_log(c, a.serial, s.tbs_hash, why);
	if (r == 0)
		r = successor_finish(c->cas, c->conf, &s, ret, why);
	successor_free(&s);
	return r;
}

static int below_add(struct root_change *c, const struct ca *root, const char *organisation, struct refusal *why)
{
	int r = 0;
	for (int role = 0; role < ISSUER_ROLE_COUNT && r == 0; role++) {
		struct ca *made;
		bool       there = role == ISSUER_ROOT;
		for (size_t i = 0; i < c->cas->n; i++)
			there |= (int)c->cas->ca[i].issuer.role == role &&
				 text_equal(c->cas->ca[i].issuer.parent_id, root->issuer.issuer_id);
		if (!there)
			r = authority_add(c, (enum issuer_role)role, organisation, root, &made, why);
	}
	return r;
}

/* ---- what belongs to the root itself ---- */

/* Who trusts only the root before finds a path through this one. */
static int cross_facts(struct root_change *c, const struct ca *root, const struct ca *before, const char *organisation,
		       struct ca_facts *ret)
{
	int r = ca_plan_facts(c->conf, ISSUER_ROOT, number_of(root), organisation, before->issuer.issuer_id,
			      before->issuer.not_after_at, c->now, ret);
	if (r < 0)
		return r;
	ret->cross = true;
	ret->serial = root_change_serial(c);
	if (ret->not_before_at < before->issuer.not_before_at)
		ret->not_before_at = before->issuer.not_before_at;
	if (ret->not_after_at > root->issuer.not_after_at)
		ret->not_after_at = root->issuer.not_after_at;
	return 0;
}

static int cross_add(struct root_change *c, const struct ca *root, const struct ca *before, const char *organisation,
		     struct refusal *why)
{
	struct buf      tbs = BUF_MAX(TBS_MAX), der = BUF_MAX(CERT_DER_MAX);
	struct ca_facts facts;
	struct hash     hash;
	const char     *id = root->issuer.issuer_id;

	if (has_file(c, id, CA_CROSS))
		return 0;
	int r = cross_facts(c, root, before, organisation, &facts);
	if (r == 0)
		r = issue_ca_tbs(&facts, root->key, before->key, ca_der(before), &tbs);
	if (r < 0)
		(void)refuse(why, r, id, "its certificate by %s cannot be made: %s", before->issuer.issuer_id, err_what(r));
	if (r == 0) {
		digest_sha256(buf_span(&tbs), &hash);
		r = root_change_log(c, facts.serial, hash, why);
	}
	if (r == 0 && (r = issue_ca_tbs_sign(before->key, buf_span(&tbs), &der)) < 0)
		(void)refuse(why, r, before->issuer.issuer_id, "%s", err_what(r));
	if (r == 0)
		r = write_file(c, id, CA_CROSS, buf_span(&der), "signer.cross", why);
	buf_free(&tbs);
	buf_free(&der);
	return r;
}

/* Its key may be taken away at once: what verifiers ask for until somebody brings it back is made now. */
static int list_add(struct root_change *c, const struct ca *root, struct refusal *why)
{
	struct buf  list = BUF_MAX(LIST_MAX);
	int64_t     begin = c->now / MS_SECOND * MS_SECOND;
	const char *id = root->issuer.issuer_id;

	if (has_file(c, id, CA_LIST))
		return 0;
	int r = issue_crl(root->prepared, 1, begin, begin + LIST_DAYS * MS_DAY, NULL, NULL, 0, &list);
	if (r < 0)
		(void)refuse(why, r, id, "its revocation list cannot be made: %s", err_what(r));
	if (r == 0)
		r = write_file(c, id, CA_LIST, buf_span(&list), "signer.root_list", why);
	buf_free(&list);
	return r;
}

/* ---- bundles ---- */

/* In one of the bundles up to this epoch. */
static int root_was_told(const struct root_change *c, const struct ca *root, uint64_t newest, bool *ret, struct refusal *why)
{
	bool told = false;
	for (uint64_t epoch = 1; epoch <= newest && !told; epoch++) {
		struct bundle_file b;
		int                r = bundle_file_read(c->ca_fd, epoch, &b, why);
		if (r < 0)
			return r;
		told = bundle_file_has(&b, ca_der(root));
		bundle_file_free(&b);
	}
	*ret = told;
	return 0;
}

struct signers {
	const struct key *keys[MSG_ROOTS_MAX];
	size_t            n;
	uint32_t          of_now, of_next; /* how many of them are roots of the bundle before and of this one */
};

/* Roots of either bundle whose key is here: hosts count those of the bundle that they have, joining ones those of the new one.
 */
static void signers_of(struct ca_store *cas, const struct bundle_file *now, const struct body_bundle *next, struct signers *ret)
{
	struct signers s = {.n = 0};
	size_t         at = 0;
	for (struct ca *root; (root = root_next(cas, &at)) != NULL && s.n < MSG_ROOTS_MAX;) {
		bool in_now = bundle_file_has(now, ca_der(root)), in_next = false;
		for (uint32_t i = 0; i < next->n_roots; i++)
			in_next |= span_equal(next->roots[i].certificate, ca_der(root));
		if (root->key == NULL || (!in_now && !in_next))
			continue;
		s.keys[s.n++] = root->key;
		s.of_now += in_now;
		s.of_next += in_next;
	}
	*ret = s;
}

static int bundle_add(struct root_change *c, const struct bundle_file *now, struct body_bundle *next, struct refusal *why)
{
	struct buf     frame = BUF_MAX(FRAME_MAX);
	struct signers s;

	next->epoch = now->epoch + 1;
	next->previous = now->hash;
	next->threshold = now->threshold;
	next->made_at = c->now;
	signers_of(c->cas, now, next, &s);
	if (s.of_now < now->threshold || s.of_next < next->threshold)
		return refuse(why, E_SIGNER_ISSUER, "trust bundle",
			      "%u keys of the roots of today and %u of the next ones are here, and %u must sign; the others "
			      "are offline",
			      (unsigned)s.of_now, (unsigned)s.of_next, (unsigned)now->threshold);
	if (next->epoch > BUNDLE_EPOCHS_MAX)
		return refuse(why, E_SIGNER_LIMIT, "trust bundle", "there are %d, and there may be no more", BUNDLE_EPOCHS_MAX);
	int r = bundle_file_make(next, s.keys, s.n, &frame);
	if (r < 0)
		(void)refuse(why, r, "trust bundle", "it cannot be made: %s", err_what(r));
	if (r == 0)
		r = bundle_file_write(c->ca_fd, next->epoch, buf_span(&frame), (uid_t)-1, (gid_t)-1, why);
	buf_free(&frame);
	return r;
}

static int bundle_with(struct root_change *c, const struct bundle_file *now, const struct ca *root, struct refusal *why)
{
	struct body_bundle next = {.n_roots = 0};
	struct span        rest = buf_span(&now->roots);
	while (next.n_roots < MSG_ROOTS_MAX && der_next(&rest, &next.roots[next.n_roots].certificate))
		next.n_roots++;
	if (next.n_roots == MSG_ROOTS_MAX)
		return refuse(why, E_SIGNER_LIMIT, root->issuer.issuer_id, "a bundle holds %d roots at most", MSG_ROOTS_MAX);
	next.roots[next.n_roots++].certificate = ca_der(root);
	return bundle_add(c, now, &next, why);
}

/* ---- the next root ---- */

/* The oldest root of today whose key is here: every host knows it. */
static const struct ca *root_before(struct ca_store *cas, const struct bundle_file *now)
{
	const struct ca *found = NULL;
	size_t           at = 0;
	for (const struct ca *root; (root = root_next(cas, &at)) != NULL;)
		if (root->key != NULL && bundle_file_has(now, ca_der(root)) &&
		    (found == NULL || number_of(root) < number_of(found)))
			found = root;
	return found;
}

/* One that was begun and is in no bundle yet; NULL = none. */
static int root_begun(struct root_change *c, uint64_t newest, struct ca **ret, struct refusal *why)
{
	size_t at = 0;
	*ret = NULL;
	for (struct ca *root; (root = root_next(c->cas, &at)) != NULL;) {
		bool told;
		int  r = root_was_told(c, root, newest, &told, why);
		if (r < 0)
			return r;
		if (!told && (*ret == NULL || number_of(root) > number_of(*ret)))
			*ret = root;
	}
	return 0;
}

static int root_make(struct root_change *c, const struct bundle_file *now, struct root_outcome *ret, struct refusal *why)
{
	const struct ca *before = root_before(c->cas, now);
	struct ca       *root = NULL;
	struct cert_info info;

	if (before == NULL)
		return refuse(why, E_SIGNER_ISSUER, "root",
			      "the key of the root of today is offline: bring its file back for this");
	int r = cert_read(ca_der(before), &info);
	if (r < 0)
		return refuse(why, r, before->issuer.issuer_id, "%s", err_what(r));
	r = root_begun(c, now->epoch, &root, why);
	if (r == 0 && root == NULL && c->cas->n + ISSUER_ROLE_COUNT > CA_MAX)
		r = refuse(why, E_SIGNER_LIMIT, "root",
			   "there are %zu authorities, and with a root and three below it more than %d", c->cas->n, CA_MAX);
	if (r == 0 && root == NULL)
		r = authority_add(c, ISSUER_ROOT, info.organisation, NULL, &root, why);
	if (r == 0 && root->key == NULL)
		r = refuse(why, E_SIGNER_ISSUER, root->issuer.issuer_id,
			   "it was begun and its key is gone: bring its file back, or take its certificate away");
	if (r == 0)
		r = cross_add(c, root, before, info.organisation, why);
	if (r == 0)
		r = list_add(c, root, why);
	if (r == 0)
		r = below_add(c, root, info.organisation, why);
	if (r == 0)
		r = bundle_with(c, now, root, why);
	if (r == 0) {
		text_cut(ret->root_id, sizeof(ret->root_id), root->issuer.issuer_id);
		ret->epoch = now->epoch + 1;
		ret->made = true;
	}
	return r;
}

int root_change_new(struct root_change *c, struct root_outcome *ret, struct refusal *why)
{
	struct bundle_file  now;
	struct root_outcome made = {.made = false};
	int                 r = bundle_file_newest(c->ca_fd, &now, why);
	if (r < 0)
		return r;
	if (bundle_file_roots(&now) == 1) {
		r = root_make(c, &now, &made, why);
	} else { /* one change at a time */
		size_t   at = 0;
		unsigned most = 0;
		made.epoch = now.epoch;
		for (const struct ca *root; (root = root_next(c->cas, &at)) != NULL;)
			if (bundle_file_has(&now, ca_der(root)) && number_of(root) > most) {
				most = number_of(root);
				text_cut(made.root_id, sizeof(made.root_id), root->issuer.issuer_id);
			}
	}
	bundle_file_free(&now);
	if (r == 0)
		*ret = made;
	return r;
}

/* ---- without one ---- */

static int drop(struct root_change *c, const struct bundle_file *now, const struct ca *root, struct root_outcome *ret,
		struct refusal *why)
{
	struct body_bundle next = {.n_roots = 0};
	struct span        rest = buf_span(&now->roots), one;
	bool               told = false;

	int r = root_was_told(c, root, now->epoch, &told, why);
	if (r == 0 && !told)
		r = refuse(why, E_SIGNER_ISSUER, root->issuer.issuer_id, "it is in no trust bundle");
	if (r < 0)
		return r;
	ret->epoch = now->epoch;
	if (!bundle_file_has(now, ca_der(root)))
		return 0;
	while (der_next(&rest, &one))
		if (!span_equal(one, ca_der(root)) && next.n_roots < MSG_ROOTS_MAX)
			next.roots[next.n_roots++].certificate = one;
	if (next.n_roots == 0 || next.n_roots < now->threshold)
		return refuse(why, E_SIGNER_LIMIT, root->issuer.issuer_id, "without it %u roots are left; hosts want %u",
			      (unsigned)next.n_roots, (unsigned)now->threshold);
	r = bundle_add(c, now, &next, why);
	ret->epoch += r == 0;
	ret->made = r == 0;
	return r;
}

int root_change_drop(struct root_change *c, const char *root_id, struct root_outcome *ret, struct refusal *why)
{
	const struct ca    *root = ca_store_find(c->cas, root_id);
	struct root_outcome made = {.made = false};
	struct bundle_file  now;

	if (root == NULL || root->issuer.role != ISSUER_ROOT)
		return refuse(why, E_SIGNER_ISSUER, root_id, root == NULL ? "%s" : "this is no root",
			      err_what(E_SIGNER_ISSUER));
	int r = bundle_file_newest(c->ca_fd, &now, why);
	if (r < 0)
		return r;
	text_cut(made.root_id, sizeof(made.root_id), root_id);
	r = drop(c, &now, root, &made, why);
	bundle_file_free(&now);
	if (r == 0) {
		root_list_forget(c->conf, root_id); /* its key need not be fetched any more */
		*ret = made;
	}
	return r;
}
