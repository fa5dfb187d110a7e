/* api_lifecycle.c - room controller/daemon: the lifecycle endpoints: renew, services, expiring.
 * Field names are fixed; other programs rely on them. Never: deciding eligibility or policy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/api_wait.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { PAGE = 200, ROWS_MAX = 100000 };
#define CRITICAL_MS (7 * MS_DAY)
#define WARNING_MS  (30 * MS_DAY)
#define EXPECTED_MS (30 * MS_SECOND) /* what an order usually takes at most when its agent is there */

/* ---- renew ---- */

/* 200 once it has come to rest; 202 while it goes on, or waits for a person. */
static void renew_answer(struct api_call *call, const struct order *order)
{
	char        location[API_PARAM_SIZE];
	char        id[ID_TEXT_SIZE];
	bool        waits = order->phase == ORDER_AWAITING_APPROVAL;
	bool        over = !waits && api_wait_order_rests(order);
	const char *status = over || waits ? order_status_name(order->phase) : "processing";
	json_t     *o = json_object();
	json_object_set_new(o, "renewal_id", json_id(order->renewal_id));
	json_object_set_new(o, "cert_id", json_string(order->cert_id));
	json_object_set_new(o, "status", json_string(status));
	json_object_set_new(o, "estimated_completion", over || waits ? json_null() : json_time(call->now_at + EXPECTED_MS));
	json_object_set_new(o, "trigger", json_string(trigger_name(order->trigger)));
	snprintf(location, sizeof(location), "/api/v1/renewals/%s", id_text(order->renewal_id, id));
	http_call_header(call->http, "location", location);
	api_finish(call, over ? 200 : 202, o);
}

/* Also when nobody hears it: the answer is kept for whoever repeats the request. */
static void renew_waited(struct api_call *call)
{
	struct order order;
	int          r = view_order(controller_view(call->ctl), call->renewal_id, &order);
	if (r < 0)
		api_refuse(call, r, call->params[0], err_what(r));
	else
		renew_answer(call, &order);
}

static void renew_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	call->renewal_id = result->order.renewal_id;
	api_wait_renewal(call, call->renewal_id, renew_waited);
}

/* A new order that does not wait for a window. */
static void renew_made(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		controller_order_now(call->ctl, result->order.cert_id, &call->caller, renew_done, call);
}

/* A trigger that stands for a campaign's right needs that right. */
static int trigger_allowed(struct api_call *call, enum trigger trigger)
{
	enum permission need = trigger == TRIGGER_EMERGENCY      ? PERM_CERT_EMERGENCY
	                       : trigger == TRIGGER_POLICY_UPDATE || trigger == TRIGGER_SERVICE_UPDATE ? PERM_CERT_BULK
	                                                                                               : PERM_CERT_RENEW;
	return api_may(call, need, trigger_name(trigger), "");
}

void api_life_renew(struct api_call *call)
{
	struct certificate       c;
	char                     name[32];
	bool                     now = false;
	struct order_wish        wish = {.trigger = TRIGGER_MANUAL};
	int                      r = view_certificate(controller_view(call->ctl), call->params[0], &c);
	if (r == E_NOT_FOUND || (r == 0 && !rights_service(&call->principal, c.service)))
		r = refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such certificate");
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "trigger", "manual", name, sizeof(name));
	if (r == 0)
		r = api_field_bool(call, "force", false, &wish.force);
	if (r == 0)
		r = api_field_bool(call, "now", false, &now);
	if (r == 0)
		r = api_field_bool(call, "peer_proof", false, &wish.peer_proof);
	if (r == 0 && trigger_parse(name, &wish.trigger) < 0)
		r = refuse(&call->why, E_API_BODY, "trigger", "`%s` is none of scheduled, emergency, policy_update, service_update, manual", name);
	if (r == 0)
		r = trigger_allowed(call, wish.trigger);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else if (now && !id_is_none(c.open_order) && !wish.peer_proof) /* an order that was made without would not hear of it: refused */
		controller_order_now(call->ctl, c.cert_id, &call->caller, renew_done, call);
	else
		controller_order(call->ctl, c.cert_id, &wish, &call->caller, now ? renew_made : renew_done, call);
}

static void cancel_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, json_order(&result->order));
}

/* Who may not order it may not stop it. */
void api_renewal_cancel(struct api_call *call)
{
	struct id    renewal_id;
	struct order o;
	int          r = id_parse(call->params[0], &renewal_id);
	if (r == 0)
		r = view_order(controller_view(call->ctl), renewal_id, &o);
	if (r < 0 || !rights_service(&call->principal, o.service))
		r = refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such renewal");
	if (r == 0)
		r = api_body(call);
	if (r == 0 && o.trigger == TRIGGER_EMERGENCY)
		r = trigger_allowed(call, o.trigger);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_order_cancel(call->ctl, renewal_id, &call->caller, cancel_done, call);
}

/* ---- lists over all certificates ---- */

typedef void each_cert_fn(void *ctx, const struct certificate *c, const struct template *t);

/* Walks in pages, so that one worker holds a bounded number of rows. */
static int each_certificate(struct api_call *call, struct store_view *view, const struct cert_filter *filter, each_cert_fn *each, void *ctx)
{
	struct certificate *rows = calloc(PAGE, sizeof(*rows));
	struct template     t = {0};
	char                service[SERVICE_SIZE] = "";
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	int                 r = rows != NULL ? 0 : E_NOMEM;
	for (size_t total = 0; r == 0 && n == PAGE && total < ROWS_MAX; total += n) {
		r = view_certificates(view, filter, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			if (!rights_service(&call->principal, rows[i].service))
				continue;
			if (!text_equal(t.template_id, rows[i].template_id) || !text_equal(service, rows[i].service)) {
				text_cut(service, sizeof(service), rows[i].service);
				if (service_policy_view(view, rows[i].template_id, service, &t) < 0)
					t = (struct template){0};
			}
			each(ctx, &rows[i], t.template_id[0] != '\0' ? &t : NULL);
		}
		if (r == 0 && n > 0)
			text_cut(after, sizeof(after), rows[n - 1].cert_id);
	}
	free(rows);
	return r;
}

struct service_list {
	json_t *items;
	int64_t now;
};

static void add_service_row(void *ctx, const struct certificate *c, const struct template *t)
{
	struct service_list *list = ctx;
	char                 subject[JSON_SUBJECT_SIZE];
	bool                 issued = !serial_is_none(c->serial);
	json_t              *o = json_object();
	json_subject(c, subject);
	json_object_set_new(o, "cert_id", json_string(c->cert_id));
	json_object_set_new(o, "subject", json_string(subject));
	json_object_set_new(o, "expires_at", json_time(c->not_after_at));
	json_object_set_new(o, "status", json_string(cert_status_name(policy_status(c, t, list->now))));
	json_object_set_new(o, "days_until_expiry", issued ? json_real(json_days(c->not_after_at - list->now)) : json_null());
	json_array_append_new(list->items, o);
}

int api_life_service_certs(struct api_call *call, struct store_view *view)
{
	struct service service;
	const char    *name = call->params[0];
	if (!rights_service(&call->principal, name) || view_service(view, name, &service) < 0)
		return refuse(&call->why, E_NOT_FOUND, name, "there is no such service");
	struct cert_filter  filter = {.service = name, .now = call->now_at};
	struct service_list list = {.items = json_array(), .now = call->now_at};
	int                 r = each_certificate(call, view, &filter, add_service_row, &list);
	call->answer = json_object();
	json_object_set_new(call->answer, "service_name", json_string(name));
	json_object_set_new(call->answer, "certificate_count", json_integer((json_int_t)json_array_size(list.items)));
	json_object_set_new(call->answer, "certificates", list.items);
	return r;
}

struct expiring_list {
	json_t *critical;
	json_t *warning;
	size_t  total;
	int64_t now;
};

/* critical: 7 days or the template's emergency threshold if smaller, and what has expired without a successor. */
static void add_expiring(void *ctx, const struct certificate *c, const struct template *t)
{
	struct expiring_list *list = ctx;
	if (serial_is_none(c->serial) || policy_revoked_at(c) != 0 || c->retired_at != 0)
		return;
	int64_t rest = c->not_after_at - list->now;
	int64_t critical = t != NULL && t->emergency_threshold_ms < CRITICAL_MS ? t->emergency_threshold_ms : CRITICAL_MS;
	list->total++;
	if (rest > WARNING_MS)
		return;
	char    subject[JSON_SUBJECT_SIZE];
	json_t *o = json_object();
	json_subject(c, subject);
	json_object_set_new(o, "cert_id", json_string(c->cert_id));
	json_object_set_new(o, "subject", json_string(subject));
	json_object_set_new(o, "service_name", json_string(c->service));
	json_object_set_new(o, "expires_at", json_time(c->not_after_at));
	json_object_set_new(o, "days_remaining", json_real(json_days(rest)));
	json_array_append_new(rest <= critical ? list->critical : list->warning, o);
}

int api_life_expiring(struct api_call *call, struct store_view *view)
{
	int64_t days;
	int     r = api_arg_i64(call, "days_ahead", 30, 0, 36500, &days);
	if (r < 0)
		return r;
	struct cert_filter   filter = {.service = api_arg(call, "service_filter"), .expires_before_at = call->now_at + days * MS_DAY, .now = call->now_at};
	struct expiring_list list = {.critical = json_array(), .warning = json_array(), .now = call->now_at};
	r = each_certificate(call, view, &filter, add_expiring, &list);
	call->answer = json_object();
	json_object_set_new(call->answer, "total_expiring", json_integer((json_int_t)list.total));
	json_object_set_new(call->answer, "critical_count", json_integer((json_int_t)json_array_size(list.critical)));
	json_object_set_new(call->answer, "warning_count", json_integer((json_int_t)json_array_size(list.warning)));
	json_t *certificates = json_object();
	json_object_set_new(certificates, "critical", list.critical);
	json_object_set_new(certificates, "warning", list.warning);
	json_object_set_new(call->answer, "certificates", certificates);
	return r;
}
