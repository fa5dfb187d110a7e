/* rollover_root.c - room controller/daemon: the authorities of two roots, and which of them sign.
 * Never: the rollover's own row; asking the signer. */
#include "controller/daemon/rollover_root.h"

#include <string.h>

#include "controller/daemon/bundles.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/rollover_act.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/signer_told.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

static struct span row_der(const struct issuer *i)
{
	return (struct span){i->der, i->der_len};
}

struct catalog_issuer *rollover_root_below(struct controller *ctl, const char *root_id, size_t i)
{
	struct catalog_issuer *one;
	for (size_t k = 0; (one = catalog_issuer_at(ctl->catalog, k)) != NULL; k++)
		if (text_equal(one->row.parent_id, root_id) && i-- == 0)
			return one;
	return NULL;
}

/* ---- the next one ----------------------------------------------------------------------------------------------- */

static const struct told_issuer *told_of(struct controller *ctl, struct span der)
{
	const struct told_issuer *one;
	for (size_t i = 0; (one = signer_told_at(signer_authorities(ctl), i)) != NULL; i++)
		if (span_equal(buf_span(&one->der), der))
			return one;
	return NULL;
}

static bool has_role(const char *issuer_id, enum issuer_role role)
{
	const char *name = issuer_role_name(role);
	size_t      n = strlen(name);
	return strncmp(issuer_id, name, n) == 0 && issuer_id[n] == '-';
}

/* Of this role, below this root. */
static const struct told_issuer *told_below(struct controller *ctl, enum issuer_role role, struct span root_der)
{
	const struct told_issuer *one;
	for (size_t i = 0; (one = signer_told_at(signer_authorities(ctl), i)) != NULL; i++)
		if (has_role(one->issuer_id, role) &&
		    cert_verify(buf_span(&one->der), (struct span){NULL, 0}, root_der, 0, 0, NULL) == 0)
			return one;
	return NULL;
}

static int told_complete(struct controller *ctl, const struct issuer *old, const struct told_issuer *root, struct refusal *why)
{
	struct span der = buf_span(&root->der);
	if (!has_role(root->issuer_id, ISSUER_ROOT) || root->list.n == 0 ||
	    cert_verify(buf_span(&root->cross), (struct span){NULL, 0}, row_der(old), 0, 0, NULL) < 0)
		return refuse(why, E_ROLLOVER_ROOT, old->issuer_id,
			      "the signer tells of %s without its revocation list, or without a certificate of it by %s",
			      root->issuer_id, old->issuer_id);
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++)
		if (role != ISSUER_ROOT && told_below(ctl, (enum issuer_role)role, der) == NULL)
			return refuse(why, E_ROLLOVER_ROOT, old->issuer_id, "below %s there is no CA of the role %s",
				      root->issuer_id, issuer_role_name((enum issuer_role)role));
	return 0;
}

static struct catalog_issuer *ours_of(struct controller *ctl, struct span der)
{
	struct catalog_issuer *one;
	for (size_t i = 0; (one = catalog_issuer_at(ctl->catalog, i)) != NULL; i++)
		if (span_equal(row_der(&one->row), der))
			return one;
	return NULL;
}

int rollover_root_next(struct controller *ctl, const struct issuer *old, char ret[ISSUER_ID_SIZE], struct refusal *why)
{
	struct span                  der = bundles_other(ctl, row_der(old));
	const struct catalog_issuer *ours = der.n > 0 ? ours_of(ctl, der) : NULL;
	const struct told_issuer    *told = der.n > 0 ? told_of(ctl, der) : NULL;
	if (der.n == 0)
		return refuse(why, E_ROLLOVER_ROOT, old->issuer_id,
			      "hosts are told of no other root yet: make one with `vcc-signer new-root` on the signer's host");
	if (!bundles_keep(ctl, der))
		return refuse(why, E_ROLLOVER_ROOT, old->issuer_id,
			      "a trust bundle that is kept back takes the next root away again (`vccctl ca trust`)");
	if (ours == NULL && told == NULL)
		return refuse(why, E_ROLLOVER_ROOT, old->issuer_id,
			      "the signer has not told of the next root yet: is it running, and was it started again after `vcc-signer new-root`?");
	int r = ours == NULL ? told_complete(ctl, old, told, why) : 0;
	if (r == 0)
		text_cut(ret, ISSUER_ID_SIZE, ours != NULL ? ours->row.issuer_id : told->issuer_id);
	return r;
}

struct hash rollover_root_print(struct controller *ctl, const char *root_id)
{
	const struct catalog_issuer *ours = catalog_issuer(ctl->catalog, root_id);
	const struct told_issuer    *one;
	struct hash                  print = {{0}};
	if (ours != NULL)
		digest_sha256(row_der(&ours->row), &print);
	for (size_t i = 0; ours == NULL && (one = signer_told_at(signer_authorities(ctl), i)) != NULL; i++)
		if (text_equal(one->issuer_id, root_id))
			digest_sha256(buf_span(&one->der), &print);
	return print;
}

/* ---- becomes ours ----------------------------------------------------------------------------------------------- */

struct adopted {
	struct issuer row;
	uint64_t      crl_number;
	size_t        n;
	uint8_t       cross[CERT_DER_MAX];
};

static void adopted(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct adopted a;
	memcpy(&a, value, sizeof(a));
	int r = catalog_add_issuer(ctl->catalog, &a.row, (struct span){a.cross, a.n}, ctl->conf->public_url);
	if (r == 0 && a.row.role == ISSUER_ROOT) {
		catalog_issuer(ctl->catalog, a.row.issuer_id)->row.crl_number = a.crl_number;
		r = crls_adopt(ctl, a.row.issuer_id);
	}
	if (r < 0)
		log_line(LOG_LEVEL_ERROR, NULL, "CA %s is stored and cannot be used before the next start: %s", a.row.issuer_id,
			 err_what(r));
	ocsp_keys_add(ctl, &a.row);
	controller_issuers_changed(ctl);
	ctl->issuers_moved = true;
}

static int row_of(const struct told_issuer *told, enum issuer_role role, const char *parent_id, struct issuer *ret)
{
	struct issuer     row = {.role = role, .standing = ISSUER_STANDS_BY};
	struct cert_info  info;
	struct cert_parts parts;
	struct span       der = buf_span(&told->der);
	if (der.n > sizeof(row.der))
		return E_PKI_CERT;
	int r = cert_read(der, &info);
	if (r == 0 && !info.is_ca)
		r = E_PKI_CERT;
	if (r == 0)
		r = cert_parts_read(der, &parts);
	if (r == 0)
		r = key_spki_type(parts.t.spki, &row.key_type);
	if (r < 0)
		return r;
	row.not_before_at = info.not_before_at;
	row.not_after_at = info.not_after_at;
	text_cut(row.issuer_id, sizeof(row.issuer_id), told->issuer_id);
	text_cut(row.parent_id, sizeof(row.parent_id), parent_id);
	memcpy(row.der, der.p, der.n);
	row.der_len = (uint16_t)der.n;
	*ret = row;
	return 0;
}

static int add_root(struct commit *c, const struct told_issuer *told)
{
	struct adopted  a = {.n = told->cross.n};
	struct crl_info info;
	char            name[CROSS_NAME_SIZE];
	int             r = row_of(told, ISSUER_ROOT, "", &a.row);
	if (r == 0)
		r = crl_read(buf_span(&told->list), buf_span(&told->der), &info);
	if (r != 0)
		return r;
	struct crl_row list = {.number = info.number,
			       .this_update_at = info.this_update_at,
			       .next_update_at = info.next_update_at,
			       .der = buf_span(&told->list)};
	text_cut(list.issuer_id, sizeof(list.issuer_id), told->issuer_id);
	memcpy(a.cross, told->cross.p, told->cross.n);
	a.crl_number = info.number;
	store_put_issuer(commit_change(c), &a.row);
	store_put_setting(commit_change(c), catalog_cross_name(told->issuer_id, name), buf_span(&told->cross));
	store_put_crl(commit_change(c), &list);
	commit_then(c, adopted, &a, sizeof(a));
	return 0;
}

static int add_below(struct commit *c, const struct told_issuer *told, enum issuer_role role, const char *root_id)
{
	struct adopted a = {.n = 0};
	int            r = row_of(told, role, root_id, &a.row);
	if (r < 0)
		return r;
	store_put_issuer(commit_change(c), &a.row);
	commit_then(c, adopted, &a, sizeof(a));
	crls_dirty_later(c, a.row.issuer_id, 0);
	return 0;
}

/* Two persons agreed to this root by its name: what the signer tells must still be it. */
int rollover_root_adopt(struct controller *ctl, struct commit *c, const struct rollover *next)
{
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, next->issuer_id);
	char                         root_id[ISSUER_ID_SIZE];
	struct refusal               why = {0};
	int                          r = old != NULL ? rollover_root_next(ctl, &old->row, root_id, &why) : E_INTERNAL;
	if (r < 0 || !text_equal(root_id, next->successor_id))
		return r < 0 ? r : E_ROLLOVER_ROOT;
	if (catalog_issuer(ctl->catalog, root_id) != NULL)
		return 0; /* of an earlier try: it stands by since */
	struct span               der = bundles_other(ctl, row_der(&old->row));
	const struct told_issuer *root = told_of(ctl, der);
	r = add_root(c, root);
	for (int role = 0; role < ISSUER_ROLE_COUNT && r == 0; role++)
		if (role != ISSUER_ROOT)
			r = add_below(c, told_below(ctl, (enum issuer_role)role, der), (enum issuer_role)role, root_id);
	return r;
}

/* ---- who signs -------------------------------------------------------------------------------------------------- */

static bool is_gone(const struct issuer *i)
{
	return i->revoked_at != 0 || i->retired;
}

/* The newest of this role below this root that is not gone; NULL = there is none. */
static struct catalog_issuer *newest_below(struct controller *ctl, const char *root_id, enum issuer_role role)
{
	struct catalog_issuer *best = NULL, *one;
	for (size_t i = 0; (one = rollover_root_below(ctl, root_id, i)) != NULL; i++)
		if (one->row.role == role && !is_gone(&one->row) &&
		    (best == NULL || one->row.not_before_at > best->row.not_before_at))
			best = one;
	return best;
}

bool rollover_root_leads_nowhere(struct controller *ctl, const struct rollover *next)
{
	const char *to = next->phase == ROLLOVER_ISSUING       ? next->successor_id
			 : next->phase == ROLLOVER_ROLLED_BACK ? next->issuer_id
							       : NULL;
	bool        nowhere = false;
	for (int role = 0; to != NULL && role < ISSUER_ROLE_COUNT; role++)
		nowhere |= role != ISSUER_ROOT && newest_below(ctl, to, (enum issuer_role)role) == NULL;
	return nowhere;
}

void rollover_root_switch(struct controller *ctl, struct commit *c, const struct rollover *next)
{
	struct catalog_issuer *one;
	for (int role = 0; role < ISSUER_ROLE_COUNT; role++) {
		const struct catalog_issuer *to =
			role != ISSUER_ROOT ? newest_below(ctl, next->successor_id, (enum issuer_role)role) : NULL;
		for (size_t i = 0; to != NULL && (one = rollover_root_below(ctl, next->issuer_id, i)) != NULL; i++)
			if ((int)one->row.role == role && one->row.standing == ISSUER_ISSUES && !is_gone(&one->row))
				rollover_act_standing(c, one->row.issuer_id, ISSUER_DRAINS, to->row.issuer_id, false);
		if (to != NULL)
			rollover_act_standing(c, to->row.issuer_id, ISSUER_ISSUES, "", false);
	}
	rollover_act_standing(c, next->issuer_id, ISSUER_DRAINS, next->successor_id, false);
	rollover_act_standing(c, next->successor_id, ISSUER_ISSUES, "", false);
}

/* Those that drained before drain on: their place was taken by one below the same root. */
void rollover_root_switch_back(struct controller *ctl, struct commit *c, const struct rollover *next)
{
	struct catalog_issuer *one;
	for (size_t i = 0; (one = rollover_root_below(ctl, next->issuer_id, i)) != NULL; i++) {
		const struct catalog_issuer *to = catalog_issuer(ctl->catalog, one->row.successor_id);
		if (one->row.standing == ISSUER_DRAINS && !is_gone(&one->row) && to != NULL &&
		    text_equal(to->row.parent_id, next->successor_id))
			rollover_act_standing(c, one->row.issuer_id, ISSUER_ISSUES, "", false);
	}
	for (size_t i = 0; (one = rollover_root_below(ctl, next->successor_id, i)) != NULL; i++)
		if (!is_gone(&one->row))
			rollover_act_standing(c, one->row.issuer_id, ISSUER_STANDS_BY, "", false);
	rollover_act_standing(c, next->issuer_id, ISSUER_ISSUES, "", false);
	if (catalog_issuer(ctl->catalog, next->successor_id) != NULL)
		rollover_act_standing(c, next->successor_id, ISSUER_STANDS_BY, "", false);
}

void rollover_root_retire(struct controller *ctl, struct commit *c, const struct rollover *next)
{
	struct catalog_issuer *one;
	for (size_t i = 0; (one = rollover_root_below(ctl, next->issuer_id, i)) != NULL; i++)
		if (!one->row.retired)
			rollover_act_standing(c, one->row.issuer_id, ISSUER_DRAINS, one->row.successor_id, true);
	rollover_act_standing(c, next->issuer_id, ISSUER_DRAINS, next->successor_id, true);
}
