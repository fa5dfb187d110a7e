/* successor.c - room controller/signer: makes the next authority of a role, and closes one for good.
 * Order of the files: key, then certificate; a key without certificate is nobody and is written over.
 * Never: opening again what was closed. */
#include "controller/signer/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/signer/ca_plan.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"

enum { TBS_MAX = CERT_DER_MAX / 3 };

void successor_free(struct successor *s)
{
	bool made = s->ca.key != NULL;
	key_free(s->ca.key);
	if (made && s->hsm != NULL && !s->kept)
		hsm_key_drop(s->hsm, buf_span(&s->file));
	secret_wipe(&s->ca.lock, sizeof(s->ca.lock));
	buf_wipe(&s->file);
	buf_free(&s->tbs);
	*s = (struct successor){.root = NULL};
}

/* ---- may it be made? ---- */

static struct span ca_der(const struct ca *ca)
{
	return (struct span){ca->issuer.der, ca->issuer.der_len};
}

static int judge_name(const struct ca_store *cas, const struct ca *old, const char *id, unsigned *ret_number,
		      struct refusal *why)
{
	enum issuer_role role;
	unsigned         number, taken;
	if (ca_id_read(id, &role, &number) < 0 || role != old->issuer.role)
		return refuse(why, E_SIGNER_LIMIT, id, "it is no name for a successor of %s", old->issuer.issuer_id);
	for (size_t i = 0; i < cas->n; i++)
		if (ca_id_read(cas->ca[i].issuer.issuer_id, &role, &taken) == 0 && role == old->issuer.role && taken >= number)
			return refuse(why, E_SIGNER_LIMIT, id, "%s is there: a new one has a higher number",
				      cas->ca[i].issuer.issuer_id);
	*ret_number = number;
	return 0;
}

static int judge_count(const struct ca_store *cas, const struct ca *old, int64_t now, struct refusal *why)
{
	int              today = 0, successors = 0;
	enum issuer_role role;
	unsigned         number;
	for (size_t i = 0; i < cas->n; i++) {
		bool recent = cas->ca[i].issuer.not_before_at > now - MS_DAY - MS_HOUR;
		today += recent && cas->ca[i].issuer.role == old->issuer.role;
		successors += recent && ca_id_read(cas->ca[i].issuer.issuer_id, &role, &number) == 0 && number > 1;
	}
	if (cas->n == CA_MAX)
		return refuse(why, E_SIGNER_LIMIT, old->issuer.issuer_id, "there are %d authorities, and there may be no more",
			      CA_MAX);
	if (today > SUCCESSORS_A_DAY) /* the first one may be of today, too */
		return refuse(why, E_SIGNER_LIMIT, old->issuer.issuer_id, "%d authorities of this role were made within a day",
			      today);
	if (successors >= SUCCESSORS_A_DAY_OF_ALL)
		return refuse(why, E_SIGNER_LIMIT, old->issuer.issuer_id, "%d successors were made within a day", successors);
	return 0;
}

static int judge(struct ca_store *cas, const char *issuer_id, const char *successor_id, int64_t now, const struct ca **ret_old,
		 const struct ca **ret_root, unsigned *ret_number, struct refusal *why)
{
	const struct ca *old = ca_store_find(cas, issuer_id);
	if (old == NULL)
		return refuse(why, E_SIGNER_ISSUER, issuer_id, "%s", err_what(E_SIGNER_ISSUER));
	if (old->issuer.role == ISSUER_ROOT)
		return refuse(why, E_SIGNER_LIMIT, issuer_id, "a root is not made by order of the controller");
	const struct ca *root = ca_store_find(cas, old->issuer.parent_id);
	if (root == NULL || root->key == NULL)
		return refuse(why, E_SIGNER_ISSUER, old->issuer.parent_id, "the key of this authority is kept offline");
	int r = judge_name(cas, old, successor_id, ret_number, why);
	if (r == 0)
		r = judge_count(cas, old, now, why);
	if (r < 0)
		return r;
	*ret_old = old;
	*ret_root = root;
	return 0;
}

/* ---- made in memory ---- */

static int facts_of(const struct signer_conf *conf, const struct authority *a, struct ca_facts *ret)
{
	const struct issuer *root = a->root != NULL ? &a->root->issuer : NULL;
	int                  r = ca_plan_facts(conf, a->role, a->number, a->organisation, root != NULL ? root->issuer_id : "",
					       root != NULL ? root->not_after_at : 0, a->now, ret);
	if (r < 0)
		return r;
	ret->serial = a->serial;
	if (root != NULL && ret->not_before_at < root->not_before_at)
		ret->not_before_at = root->not_before_at;
	return 0;
}

/* Where there is a token, new keys are made in it, also those that follow a key in a file. */
static int key_new(const struct authority *a, struct successor *s, struct refusal *why)
{
	enum key_type type = s->ca.issuer.key_type;
	int           r;

	s->hsm = a->hsm;
	if (s->hsm != NULL) {
		r = hsm_key_name(a->hsm, a->issuer_id, &s->file);
		return r == 0 ? hsm_key_make(a->hsm, buf_span(&s->file), type, &s->ca.key, why) : r;
	}
	s->ca.lock = *a->lock;
	r = key_make(type, &s->ca.key);
	return r == 0 ? keyfile_seal_under(s->ca.key, &s->ca.lock, &s->file) : r;
}

static int make(const struct signer_conf *conf, const struct authority *a, struct successor *s, struct refusal *why)
{
	struct ca_facts facts;
	struct buf      spki = BUF_MAX(SPKI_MAX);
	struct issuer  *issuer = &s->ca.issuer;

	*issuer = (struct issuer){.role = a->role, .key_type = ca_plan_of(a->role)->key};
	int r = text_copy(issuer->issuer_id, sizeof(issuer->issuer_id), a->issuer_id);
	if (r == 0 && a->root != NULL)
		r = text_copy(issuer->parent_id, sizeof(issuer->parent_id), a->root->issuer.issuer_id);
	if (r == 0)
		r = facts_of(conf, a, &facts);
	if (r == 0)
		r = key_new(a, s, why);
	if (r == 0)
		r = key_spki(s->ca.key, &spki);
	if (r == 0)
		r = issue_ca_tbs(&facts, s->ca.key, a->root != NULL ? a->root->key : NULL, a->root != NULL ? ca_der(a->root) : (struct span){0},
				 &s->tbs);
	if (r == 0) {
		memcpy(s->ca.spki, spki.p, spki.n);
		s->ca.spki_len = spki.n;
		issuer->not_before_at = facts.not_before_at;
		issuer->not_after_at = facts.not_after_at;
		digest_sha256(buf_span(&s->tbs), &s->tbs_hash);
	}
	buf_free(&spki);
	return r;
}

int successor_make(const struct signer_conf *conf, const struct authority *a, struct successor *ret, struct refusal *why)
{
	struct successor s = {.root = a->root, .file = BUF_MAX(CA_KEYFILE_MAX), .tbs = BUF_MAX(TBS_MAX)};
	int              r = make(conf, a, &s, why);
	if (r < 0) {
		successor_free(&s);
		if (why->code == r)
			return r;
		return refuse(why, r, a->issuer_id, "the authority cannot be made: %s", err_what(r));
	}
	*ret = s;
	return 0;
}

static int make_next(const struct signer_conf *conf, struct hsm *hsm, const struct ca *old, struct authority *a, struct successor *ret, struct refusal *why)
{
	struct cert_info info;
	int              r = cert_read(ca_der(old), &info);
	if (r < 0)
		return refuse(why, r, old->issuer.issuer_id, "%s", err_what(r));
	a->role = old->issuer.role;
	a->organisation = info.organisation;
	a->lock = &old->lock;
	a->hsm = hsm;
	return successor_make(conf, a, ret, why);
}

int successor_begin(struct ca_store *cas, const struct signer_conf *conf, const char *issuer_id, const char *successor_id,
		    struct serial serial, int64_t now, struct successor *ret, struct ca **ret_there, struct refusal *why)
{
	const struct ca *old = ca_store_find(cas, issuer_id), *root = NULL;
	struct ca       *there = ca_store_find(cas, successor_id);
	unsigned         number = 0;

	/* below the same root: one that waits below the next root is nobody's successor here, hosts may not know that root yet */
	if (old != NULL && there != NULL && there != old && there->issuer.role == old->issuer.role &&
	    there->issuer.role != ISSUER_ROOT && text_equal(there->issuer.parent_id, old->issuer.parent_id)) {
		*ret_there = there;
		return 0;
	}
	int r = judge(cas, issuer_id, successor_id, now, &old, &root, &number, why);
	if (r < 0)
		return r;
	struct authority a = {.issuer_id = successor_id, .number = number, .root = root, .serial = serial, .now = now};
	r = make_next(conf, cas->hsm, old, &a, ret, why);
	if (r == 0)
		*ret_there = NULL;
	return r;
}

/* ---- made durable ---- */

static int folder_open(const struct signer_conf *conf, int *ret, struct refusal *why)
{
	char path[CONF_PATH_SIZE + 8];
	(void)snprintf(path, sizeof(path), "%s/ca", conf->state_dir);
	*ret = open(path, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *ret >= 0 ? 0 : sys_refuse(why, path, "open the folder");
}

static int write_file(int fd, const char *id, const char *end, const struct buf *bytes, mode_t mode, const char *point,
		      struct refusal *why)
{
	char name[ISSUER_ID_SIZE + 8];
	(void)snprintf(name, sizeof(name), "%s%s", id, end);
	if (fault_point(point) != 0)
		return sys_refuse(why, name, "write");
	return file_replace(fd, name, buf_span(bytes), (uid_t)-1, (gid_t)-1, mode, why);
}

int successor_key_write(int ca_fd, const struct successor *s, struct refusal *why)
{
	const char *id = s->ca.issuer.issuer_id;
	char        other[ISSUER_ID_SIZE + 8];
	(void)snprintf(other, sizeof(other), "%s%s", id, s->hsm != NULL ? CA_KEY : CA_TOKEN);
	if (unlinkat(ca_fd, other, 0) == 0 ? dir_sync(ca_fd) < 0 : errno != ENOENT)
		return sys_refuse_at(why, ca_fd, other, "remove");
	return write_file(ca_fd, id, s->hsm != NULL ? CA_TOKEN : CA_KEY, &s->file, 0600, "signer.successor_key", why);
}

static int write_both(int fd, struct successor *s, struct refusal *why)
{
	struct issuer *issuer = &s->ca.issuer;
	struct buf     der = BUF_MAX(sizeof(issuer->der));

	int r = successor_key_write(fd, s, why);
	if (r == 0 && (r = issue_ca_tbs_sign(s->root != NULL ? s->root->key : s->ca.key, buf_span(&s->tbs), &der)) < 0)
		refuse(why, r, issuer->issuer_id, "%s", err_what(r));
	if (r == 0) {
		s->kept = true;
		r = write_file(fd, issuer->issuer_id, ".cer", &der, 0644, "signer.successor_certificate", why);
	}
	if (r == 0) {
		memcpy(issuer->der, der.p, der.n);
		issuer->der_len = (uint16_t)der.n;
	}
	buf_free(&der);
	return r;
}

int successor_finish(struct ca_store *cas, const struct signer_conf *conf, struct successor *s, struct ca **ret,
		     struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	struct ca       *to = &cas->ca[cas->n];

	int r = folder_open(conf, &fd, why);
	if (r == 0)
		r = write_both(fd, s, why);
	if (r == 0 && (r = issue_ca_make(&s->ca.issuer, s->ca.key, conf->public_url, &s->ca.prepared)) < 0)
		refuse(why, r, s->ca.issuer.issuer_id, "the authority cannot be prepared for issuing");
	if (r < 0)
		return r;
	*to = s->ca;
	s->ca.key = NULL;
	cas->n++;
	*ret = to;
	return 0;
}

int successor_close_old(struct ca_store *cas, const struct signer_conf *conf, const char *issuer_id, struct refusal *why)
{
	_cleanup_fd_ int fd = -1;
	const struct buf nothing = {.max = 1};
	struct ca       *ca = ca_store_find(cas, issuer_id);

	if (ca == NULL || ca->issuer.role == ISSUER_ROOT)
		return refuse(why, E_SIGNER_ISSUER, issuer_id, "%s",
			      ca == NULL ? err_what(E_SIGNER_ISSUER) : "a root signs no leaves");
	if (ca->closed)
		return 0;
	int r = folder_open(conf, &fd, why);
	if (r == 0)
		r = write_file(fd, issuer_id, CA_CLOSED, &nothing, 0600, "signer.close", why);
	if (r == 0)
		ca->closed = true;
	return r;
}
