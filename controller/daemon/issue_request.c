/* issue_request.c - room controller/daemon: certificates without an agent: from a person's request to an order that begins with
 * its key. Certificate, order, intent and record are one change. Never: anything of the request but its key; a second key for
 * one order. */
#include "controller/daemon/issue_request.h"

#include <string.h>

#include <jansson.h>

#include "controller/core/policy.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/spki.h"
#include "shared/sys/clock.h"

enum { APPROVED_NAMES_MAX = 1024 }; /* what waits is shown whole, with key and names */

/* One request being judged. */
struct issuing {
	struct controller          *ctl;
	const struct issue_request *request;
	const struct caller        *who;
	const struct template      *t;
	struct certificate          cert;
	bool                        known;
	struct refusal              why;
};

/* ---- what is asked for ----------------------------------------------------------------------------------------- */

/* "*.a.b" -> "a-b": as the file of a target would be called. */
static int id_from_names(struct issuing *g, char ret[CERT_ID_SIZE])
{
	struct san san;
	size_t     cursor = 0, n = 0;
	if (!names_next(&g->request->names, &cursor, &san))
		return refuse(&g->why, E_NAME, "cert_id", "without names the certificate needs a cert_id");
	for (const char *p = san.text; *p != '\0' && n + 1 < CERT_ID_SIZE; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_';
		if (n > 0 || (plain && *p != '-' && *p != '_'))
			ret[n++] = plain ? *p : '-';
	}
	ret[n] = '\0';
	if (n + 1 == CERT_ID_SIZE || !name_cert_id_ok(ret))
		return refuse(&g->why, E_NAME, "cert_id", "none can be made from `%s`: give one", san.text);
	return 0;
}

static int find_certificate(struct issuing *g)
{
	const struct issue_request *q = g->request;
	char                        cert_id[CERT_ID_SIZE];
	text_cut(cert_id, sizeof(cert_id), q->cert_id);
	int r = cert_id[0] != '\0' ? 0 : id_from_names(g, cert_id);
	if (r < 0)
		return r;
	r = rows_certificate(g->ctl->rows, cert_id, &g->cert);
	g->known = r == 0;
	if (r == E_NOT_FOUND && !q->renew) {
		g->cert = (struct certificate){.renew_at = TIME_NEVER, .alert_at = TIME_NEVER, .created_at = clock_now()};
		text_cut(g->cert.cert_id, sizeof(g->cert.cert_id), cert_id);
		return 0;
	}
	if (r == 0)
		r = policy_may_follow(&g->cert);
	if (r == 0 && !q->renew && !serial_is_none(g->cert.serial))
		return refuse(&g->why, E_EXISTS, cert_id, "it was issued before; the next one is asked for with --renew");
	return r < 0 ? refuse(&g->why, r, cert_id, "%s", err_what(r)) : 0;
}

/* One that was asked for and never issued may be asked for differently, by those whose service it is. */
static int set_content(struct issuing *g)
{
	const struct issue_request *q = g->request;
	const char                 *service;
	g->t = catalog_template(g->ctl->catalog, q->renew ? g->cert.template_id : q->template_id);
	if (g->t == NULL)
		return refuse(&g->why, E_POLICY_TEMPLATE, q->template_id, "there is no such template");
	if (q->renew)
		return 0;
	service = q->service[0] != '\0' ? q->service : g->t->service;
	if (g->known && !text_equal(g->cert.service, service))
		return refuse(&g->why, E_EXISTS, g->cert.cert_id, "it was asked for before, for another service");
	text_cut(g->cert.template_id, sizeof(g->cert.template_id), q->template_id);
	text_cut(g->cert.service, sizeof(g->cert.service), service);
	g->cert.names = q->names;
	g->cert.approved = true;
	return 0;
}

static bool needs_person(const struct template *t)
{
	return t->purpose != PURPOSE_SERVICE_AUTH;
}

/* What a second person is asked must be something that can be done, and fit into the request. */
static int check_before_asking(struct issuing *g)
{
	struct principal p;
	int              r = intent_possible(g->ctl, g->t);
	if (r < 0)
		return refuse(&g->why, r, g->t->template_id, "%s", err_what(r));
	if (g->t->purpose == PURPOSE_ADMIN && (r = view_principal(g->ctl->view, g->cert.cert_id, &p)) < 0)
		return refuse(&g->why, r == E_NOT_FOUND ? E_ISSUE_PRINCIPAL : r, g->cert.cert_id, "there is no such principal");
	if (strlen(g->cert.names.text) > APPROVED_NAMES_MAX)
		return refuse(&g->why, E_POLICY_NAMES, g->cert.cert_id, "more names than one approval can show");
	return 0;
}

static int check_key(struct issuing *g)
{
	struct hash hash;
	digest_sha256(g->request->spki, &hash);
	int r = intent_key_fits(g->ctl, g->cert.cert_id, hash, (struct id){{0}}, false);
	return r < 0 ? refuse(&g->why, r, g->cert.cert_id, "%s", err_what(r)) : 0;
}

static int judge(struct issuing *g)
{
	int r = find_certificate(g);
	if (r == 0)
		r = set_content(g);
	if (r == 0 && g->request->key_type != g->t->key_type)
		r = refuse(&g->why, E_POLICY_CSR, g->cert.cert_id, "the key is %s, the template takes %s",
			   key_type_name(g->request->key_type), key_type_name(g->t->key_type));
	if (r == 0)
		r = policy_request(g->t, g->cert.service, &g->cert.names, &g->why);
	if (r == 0 && needs_person(g->t))
		r = check_before_asking(g);
	return r == 0 ? check_key(g) : r;
}

/* ---- storing --------------------------------------------------------------------------------------------------- */

static void service_stored(struct controller *ctl, const void *value, size_t n)
{
	struct service s;
	memcpy(&s, value, n);
	catalog_put_service(ctl->catalog, &s);
}

void issue_put_service(struct controller *ctl, struct commit *c, const char *name, const struct caller *who)
{
	struct service s;
	if (name[0] == '\0' || view_service(ctl->view, name, &s) == 0)
		return;
	s = (struct service){.version = 1, .created_at = clock_now()};
	text_cut(s.name, sizeof(s.name), name);
	store_put_service(commit_change(c), &s);
	commit_then(c, service_stored, &s, sizeof(s));
	commit_audit(c, &(struct audit_of){.event = AUDIT_SERVICE_CREATED, .actor = who->actor, .object = s.name}, NULL);
}

static void audit_request(struct issuing *g, struct commit *c, const struct order_key *key)
{
	struct hash     hash;
	char            text[HASH_TEXT_SIZE];
	struct audit_of of = {.event = AUDIT_CERTIFICATE_REQUESTED,
			      .actor = g->who->actor,
			      .object = g->cert.cert_id,
			      .renewal_id = key->renewal_id,
			      .request_id = g->who->request_id,
			      .reason = g->who->reason};
	digest_sha256(key->spki, &hash);
	commit_audit(c, &of, "{s:s,s:s}", "template", g->cert.template_id, "key_sha256", hash_text(hash, text));
}

void controller_issue(struct controller *ctl, const struct issue_request *request, const struct caller *who, api_done_fn *done,
		      void *ctx)
{
	struct answer   *a = answer_new(done, ctx);
	struct issuing   g = {.ctl = ctl, .request = request, .who = who};
	struct issuance  intent;
	struct order_key key = {.renewal_id = controller_id(clock_now()), .spki = request->spki};
	int              r = restored_allows(ctl);
	r = r < 0 ? refuse(&g.why, r, "certificate", "%s", err_what(r)) : judge(&g);
	if (r < 0) {
		a->result.why = g.why;
		a->result.code = r;
		answer_now(a);
		return;
	}
	if (!needs_person(g.t)) {
		r = intent_for(ctl, &g.cert, g.t, request->spki, key.renewal_id, &intent);
		key.intent = &intent;
		key.template_version = g.t->version;
	}
	if (r < 0) {
		answer_refuse(a, r == E_SYS_AGAIN ? E_API_UNAVAILABLE : r, g.cert.cert_id,
			      r == E_SYS_AGAIN ? "the signer is not there yet" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	issue_put_service(ctl, c, g.cert.service, who);
	audit_request(&g, c, &key);
	orders_create_for_key(ctl, c, &g.cert, &key, who, &a->result.order);
	commit_certificate(c, &g.cert);
	commit_fault_points(c, "controller.issue", "controller.issue_stored");
	commit_now(c, answer_stored, a);
}

/* ---- after an approval ----------------------------------------------------------------------------------------- */

int issue_key_of(const struct approval *a, struct issue_key *ret)
{
	json_t     *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	const char *text = json_string_value(json_object_get(what, ISSUE_KEY));
	int         r = text != NULL ? text_copy(ret->text, sizeof(ret->text), text) : E_APPROVAL_GONE;
	if (r == 0)
		r = b64_parse(text, ret->spki, sizeof(ret->spki), &ret->spki_len);
	json_decref(what);
	if (r == 0)
		digest_sha256((struct span){ret->spki, ret->spki_len}, &ret->hash);
	return r < 0 ? E_APPROVAL_GONE : 0;
}

/* Everything is judged again as of now: between the two persons the template may have got another version. */
static int approved_intent(struct controller *ctl, const struct approval *a, const struct order *o, const struct issue_key *key,
			   struct issuance *ret)
{
	struct certificate cert;
	struct refusal     why;
	struct spki_parts  parts;
	struct span        spki = {key->spki, key->spki_len};
	int                r = rows_certificate(ctl->rows, a->object, &cert);
	if (r < 0)
		return r;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	r = t != NULL ? policy_request(t, cert.service, &cert.names, &why) : E_POLICY_TEMPLATE;
	if (r == 0)
		r = spki_read(spki, &parts);
	if (r == 0 && parts.type != t->key_type)
		r = E_POLICY_CSR;
	if (r == 0)
		r = intent_key_fits(ctl, cert.cert_id, key->hash, o->renewal_id, false);
	if (r == 0)
		r = intent_for(ctl, &cert, t, spki, o->renewal_id, ret);
	if (r == 0)
		orders_note_template(ctl, o->renewal_id, t->version);
	return r == E_SYS_AGAIN ? E_API_UNAVAILABLE : r;
}

int issue_approved(struct controller *ctl, const struct approval *a, struct order_event *ev, struct issuance *intent,
		   struct order_input *in)
{
	struct order     o;
	struct issue_key key;
	int              r = orders_find(ctl, a->approval_id, &o);
	if (r < 0 || o.agent[0] != '\0')
		return r;
	r = issue_key_of(a, &key);
	if (r == 0)
		r = approved_intent(ctl, a, &o, &key, intent);
	if (r < 0)
		return r;
	ev->spki_hash = key.hash;
	ev->serial = intent->serial;
	ev->tbs_hash = intent->tbs_hash;
	in->intent = intent;
	return 0;
}
