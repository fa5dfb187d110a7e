/* catalog.c - room controller/daemon: loads templates and issuers, prepares the issuers for building certificates.
 * Never: private keys. */
#include "controller/daemon/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct template_entry {
	struct template t;
	UT_hash_handle hh;
};

struct service_entry {
	struct service s;
	UT_hash_handle hh;
};

/* A template with what one service says instead; made at the first need, dropped with either of the two. */
struct policy_key {
	char template_id[TEMPLATE_ID_SIZE];
	char service[SERVICE_SIZE];
};

struct policy_entry {
	struct policy_key key;
	struct template   t;
	UT_hash_handle    hh;
};

struct catalog {
	struct template_entry *templates;
	struct service_entry  *services;
	struct policy_entry   *policies;
	struct catalog_issuer  issuers[CATALOG_ISSUERS_MAX];
	size_t                 n_issuers;
};

enum { PAGE = 16 };

static int load_templates(struct catalog *c, struct store_view *view)
{
	struct template *page = calloc(PAGE, sizeof(*page));
	if (page == NULL)
		return E_NOMEM;
	char   after[TEMPLATE_ID_SIZE] = "";
	size_t n = PAGE;
	int    r = 0;
	while (n == PAGE && (r = view_templates(view, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			catalog_put_template(c, &page[i]);
			text_cut(after, sizeof(after), page[i].template_id);
		}
	free(page);
	return r;
}

static int load_services(struct catalog *c, struct store_view *view)
{
	struct service *page = calloc(PAGE, sizeof(*page));
	if (page == NULL)
		return E_NOMEM;
	char   after[SERVICE_SIZE] = "";
	size_t n = PAGE;
	int    r = 0;
	while (n == PAGE && (r = view_services(view, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			catalog_put_service(c, &page[i]);
			text_cut(after, sizeof(after), page[i].name);
		}
	free(page);
	return r;
}

static int load_issuers(struct catalog *c, struct store_view *view)
{
	struct issuer *page = calloc(CATALOG_ISSUERS_MAX, sizeof(*page));
	if (page == NULL)
		return E_NOMEM;
	int r = view_issuers(view, "", page, CATALOG_ISSUERS_MAX, &c->n_issuers);
	for (size_t i = 0; r == 0 && i < c->n_issuers; i++)
		c->issuers[i].row = page[i];
	free(page);
	return r;
}

/* ---- chains ----------------------------------------------------------------------------------------------------- */

const char *catalog_cross_name(const char *root_id, char ret[CROSS_NAME_SIZE])
{
	(void)snprintf(ret, CROSS_NAME_SIZE, "cross-%s", root_id);
	return ret;
}

static struct span der_of(const struct catalog_issuer *i)
{
	return (struct span){i->row.der, i->row.der_len};
}

static int load_cross(struct catalog_issuer *root, struct store_view *view)
{
	char name[CROSS_NAME_SIZE];
	root->cross = (struct buf)BUF_MAX(CERT_DER_MAX);
	int r = view_setting(view, catalog_cross_name(root->row.issuer_id, name), &root->cross);
	return r == E_NOT_FOUND ? 0 : r;
}

/* The root that this one follows; NULL = it is the first. */
static const struct catalog_issuer *root_before(const struct catalog *c, const struct catalog_issuer *root)
{
	for (size_t i = 0; root->cross.n > 0 && i < c->n_issuers; i++)
		if (c->issuers[i].row.role == ISSUER_ROOT && &c->issuers[i] != root &&
		    cert_verify(buf_span(&root->cross), (struct span){NULL, 0}, der_of(&c->issuers[i]), 0, 0, NULL) == 0)
			return &c->issuers[i];
	return NULL;
}

static void chain_end(const struct catalog *c, const struct catalog_issuer *root, struct catalog_issuer *one)
{
	const struct catalog_issuer *before = root_before(c, root);
	if (before != NULL && before->row.not_after_at > clock_now()) { /* it ends with the one before */
		buf_add(&one->chain_bytes, root->cross.p, root->cross.n);
		buf_add(&one->chain_root_bytes, root->cross.p, root->cross.n);
	}
	buf_add(&one->chain_root_bytes, root->row.der, root->row.der_len);
	if (before != NULL && !before->row.retired)
		buf_add(&one->chain_root_bytes, before->row.der, before->row.der_len);
}

/* The certificate and its parents up to the root. */
static int chain_of(struct catalog *c, struct catalog_issuer *one)
{
	struct cert_info info;
	int              r = cert_read(der_of(one), &info);
	if (r < 0)
		return r;
	buf_free(&one->chain_bytes);
	buf_free(&one->chain_root_bytes);
	one->spki_hash = info.spki_hash;
	one->chain_bytes = (struct buf)BUF_MAX(CHAIN_DER_MAX);
	one->chain_root_bytes = (struct buf)BUF_MAX(CHAIN_DER_MAX);
	const struct catalog_issuer *at = one;
	for (size_t depth = 0; at != NULL && depth < CHAIN_MAX; depth++) {
		if (at->row.role == ISSUER_ROOT) {
			chain_end(c, at, one);
			break;
		}
		buf_add(&one->chain_bytes, at->row.der, at->row.der_len);
		buf_add(&one->chain_root_bytes, at->row.der, at->row.der_len);
		at = catalog_issuer(c, at->row.parent_id);
	}
	one->chain = buf_span(&one->chain_bytes);
	one->chain_root = buf_span(&one->chain_root_bytes);
	return buf_error(&one->chain_root_bytes);
}

struct catalog_issuer *catalog_root_of(struct catalog *c, const struct catalog_issuer *i)
{
	return catalog_issuer(c, i->row.role == ISSUER_ROOT ? i->row.issuer_id : i->row.parent_id);
}

struct hash catalog_pin(struct catalog *c)
{
	const struct catalog_issuer *root = catalog_issuer_of_role(c, ISSUER_ROOT);
	struct hash                  pin = {{0}};
	if (root != NULL)
		digest_sha256(der_of(root), &pin);
	return pin;
}

bool catalog_has_pin(struct catalog *c, struct hash pin)
{
	for (size_t i = 0; i < c->n_issuers; i++) {
		struct hash hash;
		if (c->issuers[i].row.role != ISSUER_ROOT)
			continue;
		digest_sha256(der_of(&c->issuers[i]), &hash);
		if (hash_equal(hash, pin))
			return true;
	}
	return false;
}

int catalog_open(struct store_view *view, const char *public_url, struct catalog **ret, struct refusal *why)
{
	struct catalog *c = calloc(1, sizeof(*c));
	if (c == NULL)
		return refuse(why, E_NOMEM, "templates", "no memory");
	int r = load_templates(c, view);
	if (r == 0)
		r = load_services(c, view);
	if (r == 0)
		r = load_issuers(c, view);
	for (size_t i = 0; r == 0 && i < c->n_issuers; i++) {
		r = issue_ca_make(&c->issuers[i].row, NULL, public_url, &c->issuers[i].ca);
		if (r == 0 && c->issuers[i].row.role == ISSUER_ROOT)
			r = load_cross(&c->issuers[i], view);
	}
	for (size_t i = 0; r == 0 && i < c->n_issuers; i++)
		r = chain_of(c, &c->issuers[i]);
	if (r == 0 && catalog_issuer_of_role(c, ISSUER_ROOT) == NULL)
		r = E_NOT_FOUND;
	if (r < 0) {
		catalog_free(c);
		return refuse(why, r, "issuers",
			      r == E_NOT_FOUND ? "the store holds no root; run `vccctl init` first"
					       : "templates or authorities cannot be read from the store");
	}
	*ret = c;
	return 0;
}

static void drop_policies(struct catalog *c)
{
	struct policy_entry *e, *tmp;
	HASH_ITER (hh, c->policies, e, tmp) {
		HASH_DEL(c->policies, e);
		free(e);
	}
}

void catalog_free(struct catalog *c)
{
	if (c == NULL)
		return;
	struct template_entry *e, *tmp;
	HASH_ITER (hh, c->templates, e, tmp) {
		HASH_DEL(c->templates, e);
		free(e);
	}
	struct service_entry *s, *next;
	HASH_ITER (hh, c->services, s, next) {
		HASH_DEL(c->services, s);
		free(s);
	}
	drop_policies(c);
	for (size_t i = 0; i < c->n_issuers; i++) {
		issue_ca_free(c->issuers[i].ca);
		buf_free(&c->issuers[i].chain_bytes);
		buf_free(&c->issuers[i].chain_root_bytes);
		buf_free(&c->issuers[i].cross);
	}
	free(c);
}

const struct template *catalog_template(const struct catalog *c, const char *template_id)
{
	struct template_entry *e = NULL;
	HASH_FIND_STR(c->templates, template_id, e);
	return e != NULL ? &e->t : NULL;
}

const struct template *catalog_template_after(const struct catalog *c, const struct template *t)
{
	struct template_entry *e = c->templates;
	if (t != NULL) {
		HASH_FIND_STR(c->templates, t->template_id, e);
		e = e != NULL ? e->hh.next : NULL;
	}
	return e != NULL ? &e->t : NULL;
}

void catalog_put_template(struct catalog *c, const struct template *t)
{
	struct template_entry *e = NULL;
	drop_policies(c);
	HASH_FIND_STR(c->templates, t->template_id, e);
	if (e != NULL) {
		if (t->version >= e->t.version)
			e->t = *t;
		return;
	}
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->t = *t;
	HASH_ADD_STR(c->templates, t.template_id, e);
}

const struct service *catalog_service(const struct catalog *c, const char *name)
{
	struct service_entry *e = NULL;
	HASH_FIND_STR(c->services, name, e);
	return e != NULL ? &e->s : NULL;
}

void catalog_put_service(struct catalog *c, const struct service *s)
{
	struct service_entry *e = NULL;
	drop_policies(c);
	HASH_FIND_STR(c->services, s->name, e);
	if (e != NULL) {
		if (s->version >= e->s.version)
			e->s = *s;
		return;
	}
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->s = *s;
	HASH_ADD_STR(c->services, s.name, e);
}

const struct template *catalog_policy(struct catalog *c, const char *template_id, const char *service)
{
	const struct template *t = catalog_template(c, template_id);
	const struct service  *s = catalog_service(c, service);
	if (t == NULL || s == NULL || s->policy[0] == '\0')
		return t;
	struct policy_key    key = {.template_id = ""};
	struct policy_entry *e = NULL;
	text_cut(key.template_id, sizeof(key.template_id), template_id);
	text_cut(key.service, sizeof(key.service), service);
	HASH_FIND(hh, c->policies, &key, sizeof(key), e);
	if (e != NULL)
		return &e->t;
	struct refusal why;
	e = calloc(1, sizeof(*e));
	if (e == NULL)
		abort();
	e->key = key;
	if (service_policy_apply(s, t, &e->t, &why) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "service %s: its policy does not stand: %s", s->name, why.cause);
	HASH_ADD(hh, c->policies, key, sizeof(e->key), e);
	return &e->t;
}

struct catalog_issuer *catalog_issuer(struct catalog *c, const char *issuer_id)
{
	for (size_t i = 0; i < c->n_issuers; i++)
		if (text_equal(c->issuers[i].row.issuer_id, issuer_id))
			return &c->issuers[i];
	return NULL;
}

static bool issues(const struct catalog_issuer *i)
{
	return !i->row.retired && i->row.revoked_at == 0 && i->row.standing == ISSUER_ISSUES;
}

struct catalog_issuer *catalog_issuer_of_role(struct catalog *c, enum issuer_role role)
{
	struct catalog_issuer *best = NULL;
	for (size_t i = 0; i < c->n_issuers; i++) {
		struct catalog_issuer *one = &c->issuers[i];
		if (one->row.role == role && issues(one) && (best == NULL || one->row.not_before_at > best->row.not_before_at))
			best = one;
	}
	return best;
}

static enum issuer_role role_for(const struct template *t)
{
	return t->purpose == PURPOSE_CODE_SIGNING ? ISSUER_CODE_SIGNING : ISSUER_SERVICE;
}

/* Successors of successors; the row of one that is being made is not there yet. */
static struct catalog_issuer *in_its_place(struct catalog *c, struct catalog_issuer *i)
{
	for (size_t steps = 0; i != NULL && i->row.standing == ISSUER_DRAINS && steps < CATALOG_ISSUERS_MAX; steps++)
		i = catalog_issuer(c, i->row.successor_id);
	return i;
}

struct catalog_issuer *catalog_issuer_for(struct catalog *c, const struct template *t)
{
	if (!text_equal(t->issuer, "default") && t->issuer[0] != '\0')
		return in_its_place(c, catalog_issuer(c, t->issuer));
	return catalog_issuer_of_role(c, role_for(t));
}

int catalog_signs(const struct catalog *c, const struct catalog_issuer *i, enum issuer_role role)
{
	if (i != NULL && i->row.revoked_at != 0)
		return E_CA_REVOKED;
	if (i != NULL)
		return i->row.standing == ISSUER_ISSUES && !i->row.retired ? 0 : E_CA_GIVES_WAY;
	for (size_t k = 0; k < c->n_issuers; k++)
		if (c->issuers[k].row.role == role && c->issuers[k].row.standing == ISSUER_DRAINS && !c->issuers[k].row.retired)
			return E_CA_GIVES_WAY;
	return E_CA_REVOKED;
}

int catalog_add_issuer(struct catalog *c, const struct issuer *row, struct span cross, const char *public_url)
{
	struct catalog_issuer *one = &c->issuers[c->n_issuers];
	if (catalog_issuer(c, row->issuer_id) != NULL)
		return 0;
	if (c->n_issuers == CATALOG_ISSUERS_MAX)
		return E_FULL;
	*one = (struct catalog_issuer){.row = *row, .cross = BUF_MAX(CERT_DER_MAX)};
	buf_add(&one->cross, cross.p, cross.n);
	int r = issue_ca_make(&one->row, NULL, public_url, &one->ca);
	if (r == 0) {
		c->n_issuers++;
		r = chain_of(c, one);
	}
	return r;
}

void catalog_set_standing(struct catalog *c, const char *issuer_id, enum issuer_standing standing, const char *successor_id, bool retired)
{
	struct catalog_issuer *i = catalog_issuer(c, issuer_id);
	if (i == NULL)
		return;
	bool chains = retired && !i->row.retired && i->row.role == ISSUER_ROOT;
	i->row.standing = standing;
	i->row.retired |= retired;
	text_cut(i->row.successor_id, sizeof(i->row.successor_id), successor_id);
	for (size_t k = 0; chains && k < c->n_issuers; k++)
		if (chain_of(c, &c->issuers[k]) < 0)
			log_line(LOG_LEVEL_ERROR, NULL, "the chain of CA %s cannot be made", c->issuers[k].row.issuer_id);
}

struct catalog_issuer *catalog_issuer_at(struct catalog *c, size_t i)
{
	return i < c->n_issuers ? &c->issuers[i] : NULL;
}

bool catalog_has_key(const struct catalog *c, struct hash spki_hash)
{
	for (size_t i = 0; i < c->n_issuers; i++)
		if (hash_equal(c->issuers[i].spki_hash, spki_hash))
			return true;
	return false;
}
