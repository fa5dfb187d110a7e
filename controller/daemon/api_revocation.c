/* api_revocation.c - room controller/daemon: routes that end, hold and resume certificates, and the published lists.
 * Never: deciding; that is revocations.h. */
#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/ocsp_serve.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/revocations.h"
#include "controller/daemon/rollbacks.h"
#include "controller/daemon/state.h"
#include "controller/daemon/workers.h"
#include "shared/base/text.h"

static int certificate_of(struct api_call *call, struct store_view *view, struct certificate *ret)
{
	int r = view_certificate(view, call->params[0], ret);
	if (r == 0 && !rights_service(&call->principal, ret->service))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such certificate") : 0;
}

/* The certificate as it is now, with the order that follows from the call, if one does. */
static void standing_done(void *ctx, const struct api_result *result)
{
	struct api_call   *call = ctx;
	struct certificate c;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	if (view_certificate(controller_view(call->ctl), call->params[0], &c) < 0) {
		api_refuse(call, E_STORE_IO, call->params[0], "it is done, but the store cannot be read now");
		return;
	}
	bool    ordered = !id_is_none(result->order.renewal_id);
	json_t *o = api_certificate_json(controller_view(call->ctl), &c, call->now_at);
	if (ordered) {
		char location[API_PARAM_SIZE], id[ID_TEXT_SIZE];
		json_object_set_new(o, "renewal_id", json_id(result->order.renewal_id));
		snprintf(location, sizeof(location), "/api/v1/renewals/%s", id_text(result->order.renewal_id, id));
		http_call_header(call->http, "location", location);
	}
	api_finish(call, ordered ? 202 : 200, o);
}

/* ---- revoke ------------------------------------------------------------------------------------------------------ */

struct revoke_job {
	struct api_call   *call;
	struct certificate cert;
	enum revoke_reason reason;
	int                code;
	bool               last;
};

static void look(void *job, struct store_view *view)
{
	struct revoke_job *j = job;
	j->code = view != NULL ? revocation_is_last(view, &j->cert, j->call->now_at, &j->last) : E_STORE_IO;
}

static void looked(void *job)
{
	struct revoke_job *j = job;
	struct api_call   *call = j->call;
	if (j->code < 0)
		api_refuse(call, j->code, "store", "it cannot be read now");
	else if (j->last)
		api_refuse(call, E_REVOKE_LAST, j->cert.cert_id,
			   "no other listener of the service would have a certificate in force");
	else
		controller_revoke(call->ctl, j->cert.cert_id, j->reason, &call->caller, standing_done, call);
	free(j);
}

/* Without confirm or replace the service must not be left with nothing: that is looked up first. */
static void revoke_carefully(struct api_call *call, const struct certificate *c, enum revoke_reason reason)
{
	struct revoke_job *j = calloc(1, sizeof(*j));
	if (j == NULL) {
		api_refuse(call, E_NOMEM, c->cert_id, "out of memory");
		return;
	}
	j->call = call;
	j->cert = *c;
	j->reason = reason;
	j->code = E_STORE_IO; /* stands when no view could be opened */
	workers_read(controller_workers(call->ctl), look, looked, j);
}

int api_field_reason(struct api_call *call, enum revoke_reason *ret)
{
	char name[32];
	int  reason = 0;
	int  r = api_field_text(call, "reason", NULL, name, sizeof(name));
	if (r == 0 && (revoke_reason_parse(name, &reason) < 0 || reason == REASON_HOLD))
		r = refuse(&call->why, E_API_BODY, "reason",
			   "`%s` is none of keyCompromise, superseded, cessationOfOperation, affiliationChanged, "
			   "privilegeWithdrawn, unspecified",
			   name);
	*ret = (enum revoke_reason)reason;
	return r;
}

void api_cert_revoke(struct api_call *call)
{
	struct certificate       c;
	enum revoke_reason       reason = REASON_UNSPECIFIED;
	bool                     replace = false, confirm = false;
	int                      r = certificate_of(call, controller_view(call->ctl), &c);
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_reason(call, &reason);
	if (r == 0)
		r = api_field_bool(call, "replace", false, &replace);
	if (r == 0)
		r = api_field_bool(call, "confirm", false, &confirm);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else if (replace)
		controller_replace(call->ctl, c.cert_id, reason, &call->caller, standing_done, call);
	else if (confirm)
		controller_revoke(call->ctl, c.cert_id, reason, &call->caller, standing_done, call);
	else
		revoke_carefully(call, &c, reason);
}

/* ---- suspend, resume --------------------------------------------------------------------------------------------- */

typedef void standing_fn(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done, void *ctx);

static void change_standing(struct api_call *call, standing_fn *change)
{
	struct certificate       c;
	int                      r = certificate_of(call, controller_view(call->ctl), &c);
	if (r == 0)
		r = api_body(call);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		change(call->ctl, c.cert_id, &call->caller, standing_done, call);
}

void api_cert_suspend(struct api_call *call)
{
	change_standing(call, controller_suspend);
}

void api_cert_resume(struct api_call *call)
{
	change_standing(call, controller_resume);
}

void api_cert_rollback(struct api_call *call)
{
	change_standing(call, controller_rollback);
}

/* ---- what is published ------------------------------------------------------------------------------------------- */

static json_t *list_json(const struct controller *ctl, const struct crl_state *s, int64_t now)
{
	bool    published = s->number != 0;
	json_t *o = json_object();
	json_object_set_new(o, "issuer", json_string(s->issuer_id));
	json_object_set_new(o, "shard", json_integer(s->shard));
	json_object_set_new(o, "number", json_integer((json_int_t)s->number));
	json_object_set_new(o, "entries", json_integer((json_int_t)s->entries));
	json_object_set_new(o, "bytes", json_integer((json_int_t)s->bytes));
	json_object_set_new(o, "this_update", json_time(s->this_update_at));
	json_object_set_new(o, "next_update", json_time(s->next_update_at));
	json_object_set_new(o, "age_seconds", published ? json_integer((now - s->this_update_at) / 1000) : json_null());
	json_object_set_new(o, "expired", json_boolean(published && s->next_update_at <= now));
	json_object_set_new(o, "due", json_boolean(s->due));
	json_object_set_new(o, "url", json_sprintf("%s/crl/%s/%u.crl", controller_public_url(ctl), s->issuer_id, s->shard));
	return o;
}

static json_t *ocsp_json(const struct controller *ctl)
{
	struct ocsp_figures f;
	int64_t             not_after_at;
	const char         *issuer;
	json_t             *responders = json_array();
	for (size_t i = 0; (issuer = ocsp_keys_at(ctl->ocsp_keys, i, &not_after_at)) != NULL; i++)
		json_array_append_new(responders,
				      json_pack("{s:s, s:o}", "issuer", issuer, "expires_at", json_time(not_after_at)));
	ocsp_serve_figures(ctl, &f);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "asked", (json_int_t)f.asked, "from_cache",
			 (json_int_t)f.from_cache, "signed", (json_int_t)f.signed_now, "malformed", (json_int_t)f.malformed,
			 "unauthorized", (json_int_t)f.unauthorized, "put_off", (json_int_t)f.put_off, "cached",
			 (json_int_t)f.cached, "responders", responders);
}

/* Lists never end to be there and keep their order: the cursor names the last one that was given. */
void api_crl_list(struct api_call *call)
{
	struct crl_state s;
	char             after[API_PARAM_SIZE], key[API_PARAM_SIZE] = "";
	size_t           limit, i = 0;
	int              r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r != 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	json_t *items = json_array();
	while (after[0] != '\0' && !text_equal(after, key) && crls_at(call->ctl, i, &s)) {
		snprintf(key, sizeof(key), "%s/%u", s.issuer_id, (unsigned)s.shard);
		i++;
	}
	for (; json_array_size(items) < limit && crls_at(call->ctl, i, &s); i++) {
		snprintf(key, sizeof(key), "%s/%u", s.issuer_id, (unsigned)s.shard);
		json_array_append_new(items, list_json(call->ctl, &s, call->now_at));
	}
	json_t *o = api_page(call, items, crls_at(call->ctl, i, &s) ? key : NULL);
	json_object_set_new(o, "ocsp", ocsp_json(call->ctl));
	api_finish(call, 200, o);
}
