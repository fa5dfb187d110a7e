/* authorities.c - room controller/daemon: CAs as the API shows them; revoked, one stops signing at once, and the root's list says so.
 * Never: a revocation by one person. */
#include "controller/daemon/authorities.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/pki/cert_parts.h"
#include "shared/pki/constraint.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { PAGE = 200, PERMITTED_MAX = 4096 };

/* ---- shown ------------------------------------------------------------------------------------------------------ */

static const char *state_of(const struct issuer *i, int64_t now)
{
	return i->revoked_at != 0                     ? "revoked"
	       : i->not_after_at <= now               ? "expired"
	       : i->retired                           ? "retired"
	       : i->standing == ISSUER_DRAINS         ? "draining"
	       : i->standing == ISSUER_STANDS_BY      ? "standing_by"
						      : "active";
}

/* ["DNS:vcc.internal", "IP:10.0.0.0/8"]: what the CA's own certificate permits; null = it says nothing. */
static json_t *permitted(struct span der)
{
	struct cert_parts parts;
	struct span       constraints;
	struct buf        text = BUF_MAX(PERMITTED_MAX);
	json_t           *list = NULL;
	if (cert_parts_read(der, &parts) == 0 && tbs_parts_ext(&parts.t, EXT_NAME_CONSTRAINTS, &constraints) &&
	    constraint_permitted(constraints, &text) == 0) {
		list = json_array();
		char *rest = NULL;
		buf_add_u8(&text, '\0');
		/* host "invalid": the one way to permit no URI at all */
		for (char *line = buf_error(&text) == 0 ? strtok_r((char *)text.p, "\n", &rest) : NULL; line != NULL; line = strtok_r(NULL, "\n", &rest))
			if (!text_equal(line, "URI:invalid"))
				json_array_append_new(list, json_string(line));
	}
	buf_free(&text);
	return list != NULL ? list : json_null();
}

json_t *authority_json(const struct issuer *i, int64_t now)
{
	struct cert_info info = {.not_after_at = 0};
	struct span      der = {i->der, i->der_len};
	struct buf       pem = BUF_MAX(2 * CERT_DER_MAX);
	json_t          *o = json_pack("{s:s,s:s,s:s,s:s}", "issuer_id", i->issuer_id, "role", issuer_role_name(i->role), "state", state_of(i, now),
				       "key_type", key_type_name(i->key_type));
	json_object_set_new(o, "parent_id", i->parent_id[0] != '\0' ? json_string(i->parent_id) : json_null());
	if (cert_read(der, &info) == 0) {
		json_object_set_new(o, "subject", json_string(info.subject));
		json_object_set_new(o, "serial", json_serial(info.serial));
		json_object_set_new(o, "fingerprint", json_hash(info.fingerprint));
	}
	json_object_set_new(o, "successor_id", i->successor_id[0] != '\0' ? json_string(i->successor_id) : json_null());
	json_object_set_new(o, "not_before", json_time(i->not_before_at));
	json_object_set_new(o, "expires_at", json_time(i->not_after_at));
	json_object_set_new(o, "revoked_at", json_time(i->revoked_at));
	json_object_set_new(o, "revocation_reason", i->revoked_at != 0 ? json_string(revoke_reason_name(i->revoke_reason)) : json_null());
	json_object_set_new(o, "crl_number", json_integer((json_int_t)i->crl_number));
	json_object_set_new(o, "permitted", permitted(der));
	json_object_set_new(o, "pem", cert_pem_add(der, &pem) == 0 ? json_stringn((const char *)pem.p, pem.n) : json_null());
	buf_free(&pem);
	return o;
}

/* ---- what breaks -------------------------------------------------------------------------------------------------- */

static void count_service(json_t *by_service, struct store_view *view, const char *cert_id)
{
	struct certificate c;
	if (view_certificate(view, cert_id, &c) < 0)
		return;
	json_int_t n = json_integer_value(json_object_get(by_service, c.service));
	json_object_set_new(by_service, c.service, json_integer(n + 1));
}

static json_t *services_list(json_t *by_service)
{
	const char *name;
	json_t     *n, *list = json_array();
	json_object_foreach (by_service, name, n)
		json_array_append_new(list, json_pack("{s:s,s:O}", "service", name, "certificates", n));
	return list;
}

int authority_breaks(struct store_view *view, const char *issuer_id, int64_t now, json_t **ret)
{
	struct issuance *page = calloc(PAGE, sizeof(*page));
	json_t          *by_service = json_object();
	struct serial    after = {{0}};
	json_int_t       certificates = 0, identities = 0;
	size_t           n = PAGE;
	int              r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && certificates + identities < AUTHORITY_COUNTED) {
		r = view_live_issuances(view, issuer_id, now, after, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			after = page[i].serial;
			if (page[i].drill || (page[i].owner == OWNER_CONTROLLER && text_starts(page[i].owner_id, "ocsp-")))
				continue; /* what is never used; and its own responder, which would answer for nothing any more */
			if (page[i].owner == OWNER_CERTIFICATE)
				count_service(by_service, view, page[i].owner_id), certificates++;
			else
				identities++;
		}
	}
	if (r == 0)
		*ret = json_pack("{s:I,s:I,s:b,s:o}", "certificates", certificates, "identities", identities, "complete", n < PAGE, "services",
				 services_list(by_service));
	json_decref(by_service);
	free(page);
	return r;
}

/* ---- revoked ------------------------------------------------------------------------------------------------------ */

static json_t *revocation_what(const struct issuer *i, const char *reason)
{
	json_t *o = authority_json(i, clock_now());
	json_t *what = json_pack("{s:s,s:s,s:s}", "issuer_id", i->issuer_id, "role", issuer_role_name(i->role), "reason", reason);
	json_object_set(what, "subject", json_object_get(o, "subject"));
	json_object_set(what, "fingerprint", json_object_get(o, "fingerprint"));
	json_decref(o);
	return what;
}

static int revocable(struct controller *ctl, const char *issuer_id, struct catalog_issuer **ret)
{
	*ret = catalog_issuer(ctl->catalog, issuer_id);
	if (*ret == NULL)
		return E_NOT_FOUND;
	if ((*ret)->row.role == ISSUER_ROOT)
		return E_CA_ROOT;
	return (*ret)->row.revoked_at != 0 ? E_CA_REVOKED : 0;
}

void authority_revoke_ask(struct controller *ctl, const char *issuer_id, enum revoke_reason reason, const struct caller *who, api_done_fn *done,
			  void *ctx)
{
	struct answer         *a = answer_new(done, ctx);
	struct catalog_issuer *issuer;
	int                    r = revocable(ctl, issuer_id, &issuer);
	if (r < 0) {
		answer_refuse(a, r, issuer_id, r == E_NOT_FOUND ? "there is no such CA" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	a->result.approval.kind = APPROVAL_CA_REVOCATION;
	text_cut(a->result.approval.object, sizeof(a->result.approval.object), issuer_id);
	approvals_request(ctl, c, &a->result.approval, revocation_what(&issuer->row, revoke_reason_name((int)reason)), who);
	a->result.waits = true;
	commit_now(c, answer_stored, a);
}

static int asked_reason(const struct approval *a, int *ret)
{
	json_t *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	int     r = revoke_reason_parse(json_string_value(json_object_get(what, "reason")), ret);
	json_decref(what);
	return r;
}

int authority_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct catalog_issuer *issuer;
	int                    reason, r = revocable(ctl, a->object, &issuer);
	if (r == 0)
		r = asked_reason(a, &reason);
	if (r < 0)
		return E_APPROVAL_GONE;
	*ret = revocation_what(&issuer->row, revoke_reason_name(reason));
	return 0;
}

struct revoked_ca {
	char    issuer_id[ISSUER_ID_SIZE];
	int64_t at;
	int     reason;
};

/* From here on nothing is signed below it. */
static void revoked_now(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct revoked_ca *r = value;
	struct catalog_issuer   *issuer = catalog_issuer(ctl->catalog, r->issuer_id);
	if (issuer == NULL)
		return;
	issuer->row.revoked_at = r->at;
	issuer->row.revoke_reason = r->reason;
	log_line(LOG_LEVEL_ERROR, NULL, "CA %s is revoked (%s): nothing is signed below it any more, and everything it signed ends with it", r->issuer_id,
		 revoke_reason_name(r->reason));
}

int authority_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who, struct api_result *ret)
{
	struct catalog_issuer *issuer;
	int                    reason, r = revocable(ctl, a->object, &issuer);
	(void)ret;
	if (r == 0)
		r = asked_reason(a, &reason);
	if (r < 0)
		return r;
	struct revoked_ca now = {.at = clock_now(), .reason = reason};
	struct audit_of   of = {
		  .event = AUDIT_CA_REVOKED, .actor = who->actor, .object = a->object, .request_id = who->request_id, .reason = a->comment};
	text_cut(now.issuer_id, sizeof(now.issuer_id), a->object);
	store_revoke_issuer(commit_change(c), a->object, now.at, reason);
	commit_audit(c, &of, "{s:s}", "reason", revoke_reason_name(reason));
	commit_then(c, revoked_now, &now, sizeof(now));
	crls_dirty_later(c, issuer->row.parent_id, 0);
	return 0;
}
