/* api_certificates.c - room controller/daemon: routes of certificates, issuances and renewals.
 * Never: deciding eligibility; that is core/policy.h. */
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/archive_file.h"
#include "controller/daemon/cert_search.h"
#include "controller/daemon/order_window.h"
#include "controller/daemon/service_policy.h"
#include "controller/daemon/template_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/wire/wire.h"

enum { STEPS_MAX = 200, ORDERS_SHOWN = 10, RECEIPTS_MAX = 20, TARGETS_MAX = 16, POLICIES = 8, LOOKED_AT = 20000 };

struct policy {
	struct template template; /* with what its service says; template_id "" = none */
	char            service[SERVICE_SIZE];
};

/* What is read beside certificates. Those of one page mostly share template, service and agent: the last ones are kept. */
struct beside {
	struct store_view *view;
	int64_t            now;
	struct policy      policies[POLICIES];
	size_t             next_policy;
	struct agent       agent; /* name "" = none yet */
	struct target      targets[TARGETS_MAX];
};

static const struct template *template_of(struct beside *b, const struct certificate *c)
{
	for (size_t i = 0; i < POLICIES; i++)
		if (text_equal(b->policies[i].template.template_id, c->template_id) && text_equal(b->policies[i].service, c->service))
			return &b->policies[i].template;
	struct policy *p = &b->policies[b->next_policy++ % POLICIES];
	text_cut(p->service, sizeof(p->service), c->service);
	if (service_policy_view(b->view, c->template_id, c->service, &p->template) == 0)
		return &p->template;
	p->template.template_id[0] = '\0';
	return NULL;
}

/* Its host was removed, and it lives on: nobody here can renew it or see it served. */
static bool is_orphaned(struct beside *b, const struct certificate *c)
{
	if (policy_revoked_at(c) != 0 || c->retired_at != 0 || c->not_after_at <= b->now)
		return false;
	if (!text_equal(b->agent.name, c->agent) && view_agent(b->view, c->agent, &b->agent) < 0)
		b->agent.name[0] = '\0';
	return b->agent.name[0] != '\0' && b->agent.state == AGENT_REMOVED;
}

static json_t *certificate_json(struct beside *b, const struct certificate *c)
{
	size_t n = 0;
	if (view_targets_of(b->view, c->cert_id, b->targets, TARGETS_MAX, &n) < 0)
		n = 0;
	json_t *json = json_certificate(c, template_of(b, c), b->targets, n, b->now);
	json_object_set_new(json, "orphaned", json_boolean(is_orphaned(b, c)));
	return json;
}

static struct beside *beside_new(struct store_view *view, int64_t now)
{
	struct beside *b = calloc(1, sizeof(*b));
	if (b == NULL)
		abort();
	b->view = view;
	b->now = now;
	return b;
}

/* One certificate as JSON, with its template and targets read beside it. */
json_t *api_certificate_json(struct store_view *view, const struct certificate *c, int64_t now)
{
	struct beside *b = beside_new(view, now);
	json_t        *json = certificate_json(b, c);
	free(b);
	return json;
}

/* What a list is narrowed to beyond what the store does. */
struct narrowing {
	const char *text;   /* "" = any */
	int         status; /* enum cert_status, or -1 */
	bool        unserved;
};

static int narrowing_read(struct api_call *call, struct narrowing *ret)
{
	const char *text = api_arg(call, "q"), *status = api_arg(call, "status");
	*ret = (struct narrowing){.text = text != NULL ? text : "", .status = -1, .unserved = api_arg(call, "served") != NULL};
	if (strlen(ret->text) >= SEARCH_SIZE)
		return refuse(&call->why, E_API_BODY, "q", "must have at most %d characters", SEARCH_SIZE - 1);
	for (int i = 0; status != NULL && i < CERT_STATUS_COUNT; i++)
		if (text_equal(status, cert_status_name((enum cert_status)i)))
			ret->status = i;
	return 0;
}

static void add_if_meant(struct beside *b, const struct narrowing *what, const struct certificate *c, json_t *items)
{
	if (!cert_search_fits(c, what->text) || (what->status >= 0 && (int)policy_status(c, template_of(b, c), b->now) != what->status))
		return;
	json_t *json = certificate_json(b, c);
	if (what->unserved && !json_is_false(json_object_get(json, "served")))
		json_decref(json);
	else
		json_array_append_new(items, json);
}

/* Pages of the store until the answer's is full; one call looks at a bounded part of the list, so it may give fewer rows than there are. */
static int collect(struct api_call *call, struct store_view *view, const struct cert_filter *filter, const struct narrowing *what, char after[API_PARAM_SIZE],
		   size_t limit, json_t *items, bool *ret_more)
{
	bool                narrow = what->text[0] != '\0' || what->status >= 0 || what->unserved;
	struct certificate *rows = calloc(limit, sizeof(*rows));
	struct beside      *b = beside_new(view, call->now_at);
	size_t              n = limit;
	int                 r = rows != NULL ? 0 : E_NOMEM;
	for (size_t seen = 0; r == 0 && n == limit && json_array_size(items) < limit && seen < LOOKED_AT; seen += n) {
		size_t room = limit - json_array_size(items);
		r = view_certificates(view, filter, after, rows, limit, &n);
		for (size_t i = 0; r == 0 && i < n && room > 0; i++) {
			size_t before = json_array_size(items);
			if (rights_service(&call->principal, rows[i].service))
				add_if_meant(b, what, &rows[i], items);
			text_cut(after, API_PARAM_SIZE, rows[i].cert_id);
			room -= json_array_size(items) - before;
			if (room == 0 && i + 1 < n)
				n = limit; /* the rest of these is for the next page */
		}
		if (!narrow)
			break;
	}
	*ret_more = n == limit;
	free(b);
	free(rows);
	return r;
}

int api_cert_list(struct api_call *call, struct store_view *view)
{
	char               after[API_PARAM_SIZE];
	size_t             limit;
	bool               more = false;
	struct narrowing   what = {.text = ""};
	struct cert_filter filter = {
		.service = api_arg(call, "service"),
		.agent = api_arg(call, "agent"),
		.template_id = api_arg(call, "template_id"),
		.now = call->now_at,
	};
	int r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r == 0)
		r = narrowing_read(call, &what);
	if (r < 0)
		return r;
	json_t *items = json_array();
	r = collect(call, view, &filter, &what, after, limit, items, &more);
	if (r == 0)
		call->answer = api_page(call, items, more ? after : NULL);
	else
		json_decref(items);
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

/* How much of its history is in the archive only, and in which files. */
/* Since when its next key is ready on its host; null = it is not. */
static json_t *next_key_json(struct store_view *view, const char *cert_id)
{
	struct staged_key s;
	return view_stage(view, cert_id, &s) == 0 ? json_time(s.ready_at) : json_null();
}

static json_t *archived_json(struct store_view *view, const char *cert_id)
{
	struct archived a;
	char            first[ARCHIVE_NAME_SIZE], last[ARCHIVE_NAME_SIZE];
	if (view_archived(view, cert_id, &a) < 0)
		return json_null();
	archive_name(a.first_file, first);
	archive_name(a.last_file, last);
	return json_pack("{s:I,s:I,s:s,s:s,s:o}", "issuances", (json_int_t)a.issuances, "orders", (json_int_t)a.orders, "first_file", first,
			 "last_file", last, "last_at", json_time(a.last_at));
}

/* What the certificate's service says instead of the template; null = nothing. */
static json_t *overrides_of(struct store_view *view, const char *service)
{
	struct service s;
	json_t        *overrides = view_service(view, service, &s) == 0 ? service_policy_json(&s) : NULL;
	return overrides != NULL ? overrides : json_null();
}

/* Since when a key of it is not to be trusted: what was said last. */
static json_t *invalidity_of(struct store_view *view, const char *cert_id)
{
	enum { SOME = 32 };
	struct issuance *rows = calloc(SOME, sizeof(*rows));
	struct serial    after = {{0}};
	int64_t          at = 0;
	size_t           n = SOME;
	if (rows == NULL)
		return json_null();
	while (n == SOME && view_issuances(view, OWNER_CERTIFICATE, cert_id, after, rows, SOME, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			after = rows[i].serial;
			if (rows[i].revoked_at != 0 && rows[i].invalidity_at != 0)
				at = rows[i].invalidity_at;
		}
	free(rows);
	return json_time(at);
}

int api_cert_show(struct api_call *call, struct store_view *view)
{
	struct certificate c;
	struct template    t;
	int                r = certificate_of(call, view, &c);
	if (r < 0)
		return r;
	call->answer = api_certificate_json(view, &c, call->now_at);
	json_t *targets = targets_json(view, c.cert_id);
	if (json_array_size(targets) == 1)
		json_object_set(call->answer, "target", json_array_get(targets, 0));
	json_object_set_new(call->answer, "targets", targets);
	if (service_policy_view(view, c.template_id, c.service, &t) == 0)
		json_object_set_new(call->answer, "policy", template_json_write(&t, TEMPLATE_ANSWER));
	json_object_set_new(call->answer, "policy_overrides", overrides_of(view, c.service));
	json_object_set_new(call->answer, "renewals", orders_of(view, c.cert_id));
	json_object_set_new(call->answer, "archived", archived_json(view, c.cert_id));
	json_object_set_new(call->answer, "invalidity_date", invalidity_of(view, c.cert_id));
	json_object_set_new(call->answer, "relying_parties", api_peers_json(view, &c, NULL));
	json_object_set_new(call->answer, "next_key_since", next_key_json(view, c.cert_id));
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
		struct template t;
		bool    known = service_policy_view(view, c.template_id, c.service, &t) == 0;
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, json_issuance(&rows[i], known ? &t : NULL, call->now_at));
		call->answer = api_page(call, items, n == limit ? serial_text(rows[n - 1].serial, last) : NULL);
		json_object_set_new(call->answer, "archived", archived_json(view, c.cert_id));
	}
	free(rows);
	return r;
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
	const char *status = api_arg(call, "status");
	if (status != NULL && !text_equal(status, "paused"))
		return refuse(&call->why, E_API_BODY, "status", "only `paused` is a list of its own");
	struct order *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = status != NULL ? view_orders_paused(view, before, rows, limit, &n) /* oldest first: the cursor goes the other way */
			   : view_orders(view, api_arg(call, "cert_id"), before, rows, limit, &n);
	if (r == 0) {
		char    last[ID_TEXT_SIZE];
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			if (rights_service(&call->principal, rows[i].service))
				json_array_append_new(items, json_order(&rows[i]));
		call->answer = api_page(call, items, n == limit ? id_text(rows[n - 1].renewal_id, last) : NULL);
	}
	free(rows);
	return r;
}

static json_t *issuance_json(struct store_view *view, struct serial serial, const struct template *t, int64_t now)
{
	struct issuance i;
	if (serial_is_none(serial) || view_issuance(view, serial, &i) < 0)
		return json_null();
	return json_issuance(&i, t, now);
}

/* ---- the workflow of an order -------------------------------------------------------------------------------------- */

/* Steps of the host are stored as it told them. Those of the controller follow from the order and its issuances, but for `notify`, which is
 * stored; they stand among the others by their time. */
struct workflow {
	const struct order *o;
	struct issuance     old, new; /* serial none = there is none */
	size_t              n, n_told;
	struct order_step_row rows[STEPS_MAX + 3], told[STEPS_MAX];
};

static void insert_step(struct workflow *w, const struct order_step_row *row)
{
	size_t i = w->n++;
	for (; i > 0 && w->rows[i - 1].at > row->at; i--)
		w->rows[i] = w->rows[i - 1];
	w->rows[i] = *row;
}

static void add_step(struct workflow *w, enum workflow_step step, int code, int64_t at, const char *detail)
{
	struct order_step_row row = {.renewal_id = w->o->renewal_id, .attempt = w->o->attempt, .step = step, .code = code, .at = at, .took_ms = -1};
	text_cut(row.detail, sizeof(row.detail), detail);
	insert_step(w, &row);
}

static void set_told_apart(struct workflow *w)
{
	size_t n = 0;
	for (size_t i = 0; i < w->n; i++)
		if (w->rows[i].step == STEP_NOTIFY)
			w->told[w->n_told++] = w->rows[i];
		else
			w->rows[n++] = w->rows[i];
	w->n = n;
}

static void add_steps_of_controller(struct workflow *w)
{
	const struct order *o = w->o;
	char                serial[SERIAL_TEXT_SIZE];
	bool                missing = o->code == E_ORDER_PREREQUISITE;
	if (o->attempt > 0 || missing)
		add_step(w, STEP_PRE_VALIDATION, missing ? o->code : 0, o->created_at, missing || o->code == 0 ? o->cause : "");
	if (!serial_is_none(w->new.serial) && w->new.state != ISSUANCE_INTENT && w->new.state != ISSUANCE_VOID)
		add_step(w, STEP_ISSUE, 0, w->new.created_at, serial_text(w->new.serial, serial));
	if (!serial_is_none(w->old.serial) && w->old.revoked_at != 0 && o->completed_at != 0 && w->old.revoked_at >= o->completed_at)
		add_step(w, STEP_REVOKE_OLD, 0, w->old.revoked_at, revoke_reason_name(w->old.revoke_reason));
}

static json_t *steps_of(struct store_view *view, const struct order *o)
{
	json_t          *items = json_array();
	struct workflow *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	w->o = o;
	if (serial_is_none(o->serial) || view_issuance(view, o->serial, &w->new) < 0)
		w->new.serial = (struct serial){{0}};
	if (serial_is_none(o->old_serial) || view_issuance(view, o->old_serial, &w->old) < 0)
		w->old.serial = (struct serial){{0}};
	if (view_steps(view, o->renewal_id, w->rows, STEPS_MAX, &w->n) < 0)
		w->n = 0;
	set_told_apart(w);
	add_steps_of_controller(w);
	for (size_t i = 0; i < w->n_told; i++)
		insert_step(w, &w->told[i]);
	for (size_t i = 0; i < w->n; i++)
		json_array_append_new(items, json_step(&w->rows[i]));
	if (!serial_is_none(w->old.serial) && w->old.revoked_at == 0 && w->old.supersede_at != 0 && w->old.supersede_at != TIME_NEVER)
		json_array_append_new(items, json_pack("{s:s,s:i,s:s,s:n,s:o,s:n,s:s}", "step", workflow_step_name(STEP_REVOKE_OLD), "attempt", (int)o->attempt,
						       "status", "pending", "code", "at", json_time(w->old.supersede_at), "seconds", "detail", "after its grace"));
	free(w);
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
	struct certificate c = {.cert_id = ""};
	if (id_parse(call->params[0], &renewal_id) < 0)
		return refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such renewal");
	int r = view_order(view, renewal_id, &o);
	if (r == 0 && !rights_service(&call->principal, o.service))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such renewal");
	call->answer = json_order(&o);
	bool                   policy = view_certificate(view, o.cert_id, &c) == 0 && view_template(view, c.template_id, o.template_version, &t) == 0;
	const struct template *known = policy ? &t : NULL;
	json_object_set_new(call->answer, "original_certificate", issuance_json(view, o.old_serial, known, call->now_at));
	json_object_set_new(call->answer, "new_certificate", issuance_json(view, o.serial, known, call->now_at));
	json_object_set_new(call->answer, "policy", policy ? template_json_write(&t, TEMPLATE_ANSWER) : json_null());
	json_object_set_new(call->answer, "steps", steps_of(view, &o));
	json_object_set_new(call->answer, "receipts", receipts_of(view, renewal_id));
	json_object_set_new(call->answer, "relying_parties", api_peers_json(view, &c, &renewal_id));
	json_object_set_new(call->answer, "estimated_completion",
	                    order_phase_open(o.phase) ? json_time(o.deadline_at) : json_null());
	return 0;
}

/* Windows are told on the loop: zone files belong to one thread. */
void api_renewal_enrich(struct api_call *call)
{
	order_window_show(call->ctl, call->answer, call->now_at);
	order_window_show_all(call->ctl, json_object_get(call->answer, "items"), call->now_at);
}

void api_cert_enrich(struct api_call *call)
{
	api_target_enrich(call);
	order_window_show_all(call->ctl, json_object_get(call->answer, "renewals"), call->now_at);
}
