/* login_cert.c - room controller/daemon: which principal a client certificate on the admin port stands for, if any.
 * Never: trusting what stands in the certificate; it only names the row of the store that is asked. */
#include "controller/daemon/login_cert.h"

#include <stdlib.h>

#include <jansson.h>

#include "shared/base/text.h"

enum { REQUESTS = 50 };

/* The request that was agreed to says so itself: a template that became one for admin certificates later gives nobody a door. */
static bool says_admin(const struct approval *a, const struct certificate *cert)
{
	json_t *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	bool    ok = text_equal(json_string_value(json_object_get(what, "purpose")), cert_purpose_name(PURPOSE_ADMIN)) &&
		  text_equal(json_string_value(json_object_get(what, "template_id")), cert->template_id) &&
		  text_equal(json_string_value(json_object_get(what, "agent")), cert->agent);
	json_decref(what);
	return ok;
}

/* A key that a person brought is agreed to by itself: the request is that of the order which made this issuance. */
static int key_was_agreed(struct store_view *view, const struct certificate *cert, const struct issuance *i, bool *ret)
{
	struct approval a;
	int             r = view_approval(view, i->renewal_id, &a);
	*ret = r == 0 && a.kind == APPROVAL_ORDER && a.state == APPROVAL_APPROVED && text_equal(a.object, cert->cert_id) &&
	       says_admin(&a, cert);
	return r == E_NOT_FOUND ? 0 : r;
}

/* A target is agreed to once, for all keys that its host makes. */
static int target_was_agreed(struct store_view *view, const struct certificate *cert, bool *ret)
{
	struct approval *rows = calloc(REQUESTS, sizeof(*rows));
	size_t           n = 0;
	int              r = rows != NULL ? view_approvals_of(view, cert->cert_id, (struct id){{0}}, rows, REQUESTS, &n) : E_NOMEM;
	bool             agreed = false;
	for (size_t i = 0; r == 0 && i < n && !agreed; i++)
		agreed = rows[i].kind == APPROVAL_TARGET && rows[i].state == APPROVAL_APPROVED && says_admin(&rows[i], cert);
	free(rows);
	*ret = agreed;
	return r;
}

static bool issuance_counts(const struct issuance *i, struct hash fingerprint, int64_t now)
{
	bool alive = i->state == ISSUANCE_ISSUED || i->state == ISSUANCE_ACTIVE || i->state == ISSUANCE_RENEWED;
	return alive && i->owner == OWNER_CERTIFICATE && i->revoked_at == 0 && hash_equal(i->fingerprint, fingerprint) &&
	       i->not_before_at <= now && now < i->not_after_at;
}

int login_cert_find(struct store_view *view, struct serial serial, struct hash fingerprint, int64_t now, struct principal *ret,
		    struct refusal *why)
{
	static const char  what[] = "client certificate";
	struct issuance    i;
	struct certificate cert;
	struct template    t;
	bool               agreed = false;
	int                r = view_issuance(view, serial, &i);
	if (r == E_NOT_FOUND || (r == 0 && !issuance_counts(&i, fingerprint, now)))
		return refuse(why, E_API_UNAUTHENTICATED, what, "it is none of ours, or was revoked or has expired");
	if (r == 0)
		r = view_certificate(view, i.owner_id, &cert);
	if (r == 0)
		r = view_template(view, cert.template_id, 0, &t);
	if (r == 0)
		r = cert.agent[0] != '\0' ? target_was_agreed(view, &cert, &agreed) : key_was_agreed(view, &cert, &i, &agreed);
	if (r != 0)
		return refuse(why, r, what, "the store cannot be read");
	if (t.purpose != PURPOSE_ADMIN || !cert.approved || !agreed)
		return refuse(why, E_API_UNAUTHENTICATED, cert.cert_id, "the certificate was not approved for the admin API");
	if (cert.revoked_at != 0 || cert.suspended_at != 0 || cert.retired_at != 0)
		return refuse(why, E_API_UNAUTHENTICATED, cert.cert_id, "the certificate is %s",
			      cert.revoked_at != 0 ? "revoked" : cert.suspended_at != 0 ? "suspended" : "retired");
	r = view_principal(view, cert.cert_id, ret);
	if (r < 0 || ret->disabled)
		return refuse(why, E_API_UNAUTHENTICATED, cert.cert_id, "there is no such principal, or it is disabled");
	return 0;
}
