/* api_certificates.c - room controller/daemon: routes of certificates, issuances and renewals.
 * Never: deciding eligibility; that is core/policy.h. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/template_json.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

enum { STEPS_MAX = 200, ORDERS_SHOWN = 10, RECEIPTS_MAX = 20, TARGETS_MAX = 16 };

/* One certificate as JSON, with its template and target read beside it. */
static json_t *certificate_json(struct store_view *view, const struct certificate *c, int64_t now)
{
	struct template t;
	size_t          n = 0;
	bool            has_template = view_template(view, c->template_id, 0, &t) == 0;
	struct target  *targets = calloc(TARGETS_MAX, sizeof(*targets));
	if (targets == NULL || view_targets_of(view, c->cert_id, targets, TARGETS_MAX, &n) < 0)
		n = 0;
	json_t *json = json_certificate(c, has_template ? &t : NULL, targets, n, now);
	free(targets);
	return json;
}

int api_cert_list(struct api_call *call, struct store_view *view)
{
	char               after[API_PARAM_SIZE];
	size_t             limit;
	size_t             n;
	struct cert_filter filter = {
		.service = api_arg(call, "service"),
		.agent = api_arg(call, "agent"),
		.template_id = api_arg(call, "template_id"),
		.now = call->now_at,
	};
	int r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct certificate *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_certificates(view, &filter, after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].service))
				json_array_append_new(items, certificate_json(view, &rows[i], call->now_at));
		call->answer = api_page(items, n == limit ? rows[n - 1].cert_id : NULL);
	}
	free(rows);
	return r;
}

static int certificate_of(struct api_call *call, struct store_view *view, struct certificate *ret)
{
	int r = view_certificate(view, call->params[0], ret);
	if (r == 0 && !rights_service(&call->principal, ret->service))
		r = E_NOT_FOUND;
	return r < 0 ? refuse(&call->why, r, call->params[0], "there is no such certificate") : 0;
}

static json_t *orders_of(struct store_view *view, const char *cert_id)
{
	size_t        n = 0;
	json_t       *items = json_array();
	struct order *rows = calloc(ORDERS_SHOWN, sizeof(*rows));
	if (rows != NULL && view_orders(view, cert_id, (struct id){{0}}, rows, ORDERS_SHOWN, &n) == 0)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_order(&rows[i]));
	free(rows);
	return items;
}

static json_t *targets_json(struct store_view *view, const char *cert_id)
{
	size_t         n = 0;
	json_t        *items = json_array();
	struct target *rows = calloc(TARGETS_MAX, sizeof(*rows));
	if (rows != NULL && view_targets_of(view, cert_id, rows, TARGETS_MAX, &n) == 0)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_target(&rows[i]));
	free(rows);
	return items;
}

int api_cert_show(struct api_call *call, struct store_view *view)
{
	struct certificate c;
	struct template    t;
	int                r = certificate_of(call, view, &c);
	if (r < 0)
		return r;
	call->answer = certificate_json(view, &c, call->now_at);
	json_t *targets = targets_json(view, c.cert_id);
	if (json_array_size(targets) == 1)
		json_object_set(call->answer, "target", json_array_get(targets, 0));
	json_object_set_new(call->answer, "targets", targets);
	if (view_template(view, c.template_id, 0, &t) == 0)
		json_object_set_new(call->answer, "policy", template_json_write(&t, TEMPLATE_ANSWER));
	json_object_set_new(call->answer, "renewals", orders_of(view, c.cert_id));
	return 0;
}

int api_cert_issuances(struct api_call *call, struct store_view *view)
{
	char          after_text[API_PARAM_SIZE];
	struct serial after = {{0}};
	size_t        limit;
	size_t        n;
	struct certificate c;
	int           r = certificate_of(call, view, &c);
	if (r == 0)
		r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after_text, sizeof(after_text));
	if (r == 0 && after_text[0] != '\0' && serial_parse(after_text, &after) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct issuance *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_issuances(view, OWNER_CERTIFICATE, c.cert_id, after, rows, limit, &n);
	if (r == 0) {
		char    last[SERIAL_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_issuance(&rows[i], call->now_at));
		call->answer = api_page(items, n == limit ? serial_text(rows[n - 1].serial, last) : NULL);
	}
	free(rows);
	return r;
}

static void revoke_done(void *ctx, const struct api_result *result)
{
	struct api_call   *call = ctx;
	struct certificate c;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	if (view_certificate(controller_view(call->ctl), call->params[0], &c) < 0) {
		api_refuse(call, E_STORE_IO, call->params[0], "revoked, but the store cannot be read now");
		return;
	}
	api_finish(call, 200, certificate_json(controller_view(call->ctl), &c, call->now_at));
}

void api_cert_revoke(struct api_call *call)
{
	static const char *const fields[] = {"reason", NULL};
	struct certificate       c;
	char                     name[32];
	int                      reason = 0;
	int                      r = certificate_of(call, controller_view(call->ctl), &c);
	if (r == 0)
		r = api_fields_known(call, fields);
	if (r == 0)
		r = api_field_text(call, "reason", NULL, name, sizeof(name));
	if (r == 0 && (revoke_reason_parse(name, &reason) < 0 || reason == REASON_HOLD))
		r = refuse(&call->why, E_API_BODY, "reason", "`%s` is none of keyCompromise, superseded, cessationOfOperation, "
		           "affiliationChanged, privilegeWithdrawn, unspecified", name);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_revoke(call->ctl, c.cert_id, (enum revoke_reason)reason, &call->caller, revoke_done, call);
}

int api_renewal_list(struct api_call *call, struct store_view *view)
{
	char      text[API_PARAM_SIZE];
	struct id before = {{0}};
	size_t    limit;
	size_t    n;
	int       r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, text, sizeof(text));
	if (r == 0 && text[0] != '\0' && id_parse(text, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct order *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_orders(view, api_arg(call, "cert_id"), before, rows, limit, &n);
	if (r == 0) {
		char    last[ID_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].service))
				json_array_append_new(items, json_order(&rows[i]));
		call->answer = api_page(items, n == limit ? id_text(rows[n - 1].renewal_id, last) : NULL);
	}
	free(rows);
	return r;
}

static json_t *issuance_json(struct store_view *view, struct serial serial, int64_t now)
{
	struct issuance i;
	if (serial_is_none(serial) || view_issuance(view, serial, &i) < 0)
		return json_null();
	return json_issuance(&i, now);
}

static json_t *steps_of(struct store_view *view, struct id renewal_id)
{
	size_t                 n = 0;
	json_t                *items = json_array();
	struct order_step_row *rows = calloc(STEPS_MAX, sizeof(*rows));
	if (rows != NULL && view_steps(view, renewal_id, rows, STEPS_MAX, &n) == 0)
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_step(&rows[i]));
	free(rows);
	return items;
}

/* Old workers stand only in the signed body. */
static void old_workers_add(struct store_view *view, const struct receipt_row *row, json_t *receipt)
{
	struct buf           bytes = BUF_MAX(FRAME_MAX);
	struct body_receipt *body = calloc(1, sizeof(*body));
	if (body != NULL && view_receipt_body(view, row->host_hash, row->seq, &bytes) == 0 &&
	    wire_body_decode(&wire_body_receipt, buf_span(&bytes), body) == 0 && body->old_workers > 0) {
		json_object_set_new(receipt, "old_workers", json_integer(body->old_workers));
		json_object_set_new(receipt, "oldest_worker_seconds", json_real((double)body->oldest_ms / 1000.0));
	}
	buf_free(&bytes);
	free(body);
}

static json_t *receipts_of(struct store_view *view, struct id renewal_id)
{
	size_t              n = 0;
	json_t             *items = json_array();
	struct receipt_row *rows = calloc(RECEIPTS_MAX, sizeof(*rows));
	if (rows != NULL && view_receipts(view, renewal_id, rows, RECEIPTS_MAX, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			json_t *receipt = json_receipt(&rows[i]);
			if (rows[i].outcome == RECEIPT_SETTLED)
				old_workers_add(view, &rows[i], receipt);
			json_array_append_new(items, receipt);
		}
	free(rows);
	return items;
}

int api_renewal_show(struct api_call *call, struct store_view *view)
{
	struct id       renewal_id;
	struct order    o;
	struct template t;
	struct certificate c;
	if (id_parse(call->params[0], &renewal_id) < 0)
		return refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such renewal");
	int r = view_order(view, renewal_id, &o);
	if (r == 0 && !rights_service(&call->principal, o.service))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such renewal");
	call->answer = json_order(&o);
	json_object_set_new(call->answer, "original_certificate", issuance_json(view, o.old_serial, call->now_at));
	json_object_set_new(call->answer, "new_certificate", issuance_json(view, o.serial, call->now_at));
	bool policy = view_certificate(view, o.cert_id, &c) == 0 && view_template(view, c.template_id, o.template_version, &t) == 0;
	json_object_set_new(call->answer, "policy", policy ? template_json_write(&t, TEMPLATE_ANSWER) : json_null());
	json_object_set_new(call->answer, "steps", steps_of(view, renewal_id));
	json_object_set_new(call->answer, "receipts", receipts_of(view, renewal_id));
	json_object_set_new(call->answer, "estimated_completion",
	                    order_phase_open(o.phase) ? json_time(o.deadline_at) : json_null());
	return 0;
}
