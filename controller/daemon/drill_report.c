/* drill_report.c - room controller/daemon: what a drill showed, as one JSON text that needs nothing beside it.
 * Of persons it has the pseudonyms of the audit trail. Never: storing it. */
#include "controller/daemon/drill_report.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/forecast.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/campaign_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/fault.h"
#include "shared/wire/wire.h"

enum { PAGE = 500, RECEIPTS_MAX = 4, STEPS_SHOWN = STEP_COUNT };

/* How long one thing took, over all certificates. */
struct times {
	int64_t *ms;
	size_t   n, cap;
};

struct report {
	struct store_view     *view;
	struct drill          *drill;
	struct campaign        campaign;
	uint32_t               detailed; /* of so many certificates every step is told */
	struct buf             rows;     /* the certificates, as JSON lines */
	struct times           total, request, step[STEP_COUNT];
	uint32_t               unchanged, not_shown, not_probed; /* what was served */
	json_t                *findings;                         /* code -> how many */
	json_t                *not_reached;                      /* hosts, each once */
	struct body_receipt    body;                             /* of the certificate at hand */
	struct campaign_member page[PAGE];
};

/* ---- times ------------------------------------------------------------------------------------------------------ */

static int times_add(struct times *t, int64_t ms)
{
	if (t->n == t->cap) {
		size_t   cap = t->cap == 0 ? 256 : 2 * t->cap;
		int64_t *grown = reallocarray(t->ms, cap, sizeof(*grown));
		if (grown == NULL)
			return E_NOMEM;
		t->ms = grown;
		t->cap = cap;
	}
	t->ms[t->n++] = ms > 0 ? ms : 0;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static json_t *times_json(struct times *t)
{
	if (t->n == 0)
		return json_null();
	qsort(t->ms, t->n, sizeof(t->ms[0]), by_time);
	return json_pack("{s:I,s:I,s:I,s:I}", "count", (json_int_t)t->n, "p50", (json_int_t)forecast_quantile(t->ms, t->n, 500),
			 "p99", (json_int_t)forecast_quantile(t->ms, t->n, 990), "max", (json_int_t)t->ms[t->n - 1]);
}

/* ---- one certificate -------------------------------------------------------------------------------------------- */

/* The host's own account: of a drill there is one receipt. */
static bool read_receipt(struct report *r, struct id renewal_id, struct receipt_row *row)
{
	struct buf body = BUF_MAX(RECEIPT_BODY_MAX);
	size_t     n = 0;
	bool       found = view_receipts(r->view, renewal_id, row, 1, &n) == 0 && n == 1 &&
		     view_receipt_body(r->view, row->host_hash, row->seq, &body) == 0 &&
		     wire_body_decode(&wire_body_receipt, buf_span(&body), &r->body) == 0;
	buf_free(&body);
	return found;
}

/* Before: what is in use by the host's files, and was asked for; after: what each listener answered last. */
static const char *served_of(struct report *r)
{
	bool same = !hash_is_none(r->body.old_fingerprint);
	for (uint32_t i = 0; i < r->body.n_listeners; i++)
		same &= hash_equal(r->body.listeners[i].fingerprint, r->body.old_fingerprint);
	if (r->body.n_listeners == 0) {
		r->not_probed++;
		return "not_probed";
	}
	*(same ? &r->unchanged : &r->not_shown) += 1;
	return same ? "unchanged" : "not_shown";
}

static json_t *listeners_of(const struct body_receipt *b)
{
	json_t *list = json_array();
	for (uint32_t i = 0; i < b->n_listeners; i++)
		json_array_append_new(list, json_pack("{s:s,s:o}", "address", b->listeners[i].address, "fingerprint",
						      json_hash(b->listeners[i].fingerprint)));
	return list;
}

static int steps_of(struct report *r, json_t *o)
{
	json_t *list = json_array();
	int     code = 0;
	for (uint32_t i = 0; i < r->body.n_steps && code == 0; i++) {
		const struct receipt_step *s = &r->body.steps[i];
		if (s->step >= STEP_COUNT)
			continue;
		code = times_add(&r->step[s->step], s->took_ms);
		json_array_append_new(list,
				      json_pack("{s:s,s:I,s:o,s:s}", "step", workflow_step_name((enum workflow_step)s->step),
						"ms", (json_int_t)s->took_ms, "code", json_code(s->code), "detail", s->detail));
	}
	json_object_set_new(o, "steps", list);
	return code;
}

static int host_told(struct report *r, struct id renewal_id, json_t *o)
{
	struct receipt_row row;
	if (!read_receipt(r, renewal_id, &row)) {
		json_object_set_new(o, "served", json_null());
		return 0;
	}
	json_object_set_new(o, "served", json_string(served_of(r)));
	json_object_set_new(o, "served_before", json_hash(r->body.old_fingerprint));
	json_object_set_new(o, "served_after", listeners_of(&r->body));
	json_object_set_new(o, "handshakes", json_integer((json_int_t)r->body.probes));
	json_object_set_new(o, "handshakes_failed", json_integer((json_int_t)r->body.probes_failed));
	return steps_of(r, o);
}

static int order_told(struct report *r, const struct campaign_member *m, json_t *o)
{
	struct order    order;
	struct issuance i;
	int             code = view_order(r->view, m->renewal_id, &order);
	if (code == E_NOT_FOUND)
		return 0; /* archived */
	if (code < 0)
		return code;
	json_object_set_new(o, "renewal_id", json_id(m->renewal_id));
	json_object_set_new(o, "serial", json_serial(order.serial));
	json_object_set_new(o, "fingerprint", json_hash(order.fingerprint));
	json_object_set_new(o, "began_at", json_time(order.created_at));
	if (!serial_is_none(order.serial) && view_issuance(r->view, order.serial, &i) == 0) {
		json_object_set_new(o, "request_ms", json_integer((json_int_t)(i.created_at - order.created_at)));
		code = times_add(&r->request, i.created_at - order.created_at);
	}
	if (order.completed_at != 0)
		json_object_set_new(o, "ms", json_integer((json_int_t)(order.completed_at - order.created_at)));
	if (code == 0 && m->state == MEMBER_DONE)
		code = times_add(&r->total, order.completed_at - order.created_at);
	return code == 0 ? host_told(r, m->renewal_id, o) : code;
}

static void add_one(json_t *counts, const char *key)
{
	json_object_set_new(counts, key, json_integer(json_integer_value(json_object_get(counts, key)) + 1));
}

static void count(struct report *r, const struct campaign_member *m)
{
	struct drill *d = r->drill;
	char          code[ERR_CODE_SIZE];
	d->tested += m->state == MEMBER_DONE;
	d->failed += m->state == MEMBER_FAILED;
	d->skipped += m->state == MEMBER_SKIPPED || m->state == MEMBER_DROPPED;
	if (m->code != 0)
		add_one(r->findings, err_code(m->code, code));
	if (m->state != MEMBER_FAILED || (m->code != E_DRILL_AWAY && m->code != E_DRILL_LATE))
		return;
	d->not_reached++;
	add_one(r->not_reached, m->agent);
}

static const char *word_of(const struct campaign_member *m)
{
	return m->state == MEMBER_DONE ? "tested" : member_state_name(m->state);
}

static int add_row(struct report *r, const struct campaign_member *m)
{
	json_t *o = json_object();
	int     code = o != NULL ? 0 : E_NOMEM;
	json_object_set_new(o, "cert_id", json_string(m->cert_id));
	json_object_set_new(o, "service", json_string(m->service));
	json_object_set_new(o, "agent", json_string(m->agent));
	json_object_set_new(o, "state", json_string(word_of(m)));
	json_object_set_new(o, "code", json_code(m->code));
	json_object_set_new(o, "cause", json_string(m->cause[0] != '\0' || m->code == 0 ? m->cause : err_what(m->code)));
	count(r, m);
	if (code == 0 && !id_is_none(m->renewal_id) && m->position <= r->detailed)
		code = order_told(r, m, o);
	char *text = code == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
	if (code == 0 && text == NULL)
		code = E_NOMEM;
	if (code == 0)
		buf_add_fmt(&r->rows, "%s\n  ", r->rows.n > 0 ? "," : "");
	if (code == 0)
		buf_add_text(&r->rows, text);
	free(text);
	json_decref(o);
	return code == 0 ? buf_error(&r->rows) : code;
}

static int add_rows(struct report *r)
{
	uint64_t after = 0;
	size_t   n = PAGE;
	int      code = 0;
	while (code == 0 && n == PAGE && (code = view_members(r->view, r->campaign.campaign_id, after, r->page, PAGE, &n)) == 0)
		for (size_t i = 0; code == 0 && i < n; i++) {
			after = r->page[i].position;
			code = add_row(r, &r->page[i]);
		}
	return code;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static json_t *requester(struct report *r)
{
	struct audit_person p;
	return json_string(view_audit_person(r->view, r->campaign.actor, &p) == 0 ? p.alias : r->campaign.actor);
}

static json_t *phases(struct report *r)
{
	json_t *o = json_object();
	json_object_set_new(o, "total", times_json(&r->total));
	json_object_set_new(o, "request", times_json(&r->request));
	for (size_t s = 0; s < STEPS_SHOWN; s++)
		if (r->step[s].n > 0)
			json_object_set_new(o, workflow_step_name((enum workflow_step)s), times_json(&r->step[s]));
	return o;
}

static json_t *hosts(struct report *r)
{
	json_t     *list = json_array(), *n;
	const char *agent;
	json_object_foreach(r->not_reached, agent, n) json_array_append_new(list, json_string(agent));
	return list;
}

static json_t *head(struct report *r, const char *domain, int64_t now)
{
	const struct campaign *c = &r->campaign;
	const struct drill    *d = r->drill;
	json_t                *o = json_object();
	json_object_set_new(o, "report", json_string("drill"));
	json_object_set_new(o, "version", json_integer(1));
	json_object_set_new(o, "domain", json_string(domain));
	json_object_set_new(o, "drill_id", json_id(c->campaign_id));
	json_object_set_new(o, "status", json_string(campaign_state_name(c->state)));
	json_object_set_new(o, "cause", json_string(c->cause));
	json_object_set_new(o, "selector", json_string(c->selector));
	json_object_set_new(o, "services", json_comma_list(c->services));
	json_object_set_new(o, "requester", requester(r));
	json_object_set_new(o, "reason", json_string(c->reason));
	json_object_set_new(o, "plan_hash", json_hash(c->plan_hash));
	json_object_set_new(o, "created_at", json_time(c->created_at));
	json_object_set_new(o, "ended_at", json_time(c->completed_at));
	json_object_set_new(o, "made_at", json_time(now));
	json_object_set_new(o, "duration_seconds", json_real(campaign_minutes(c, now) * 60));
	json_object_set_new(o, "total_certificates", json_integer(d->total));
	json_object_set_new(o, "tested_count", json_integer(d->tested));
	json_object_set_new(o, "failed_count", json_integer(d->failed));
	json_object_set_new(o, "skipped_count", json_integer(d->skipped));
	json_object_set_new(o, "not_reached_count", json_integer(d->not_reached));
	json_object_set_new(o, "not_reached_hosts", hosts(r));
	json_object_set_new(o, "served",
			    json_pack("{s:I,s:I,s:I}", "unchanged", (json_int_t)r->unchanged, "not_shown",
				      (json_int_t)r->not_shown, "not_probed", (json_int_t)r->not_probed));
	json_object_set(o, "findings", r->findings);
	json_object_set_new(o, "milliseconds", phases(r));
	json_object_set_new(o, "detailed_certificates",
			    json_integer(d->total < r->detailed ? d->total : r->detailed));
	return o;
}

/* The head, and before its last brace the certificates, a line each. */
static int put_together(struct report *r, const char *domain, int64_t now, struct buf *to)
{
	json_t *o = head(r, domain, now);
	char   *text = json_dumps(o, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	size_t  n = text != NULL ? strlen(text) : 0;
	json_decref(o);
	if (n < 2)
		return E_NOMEM;
	buf_add(to, text, n - 2); /* without "\n}" */
	free(text);
	buf_add_text(to, ",\n \"certificates\": [");
	buf_add(to, r->rows.p, r->rows.n);
	buf_add_text(to, "\n ]\n}\n");
	return buf_error(to);
}

static int read_campaign(struct report *r)
{
	struct campaign *c = &r->campaign;
	struct drill    *d = r->drill;
	int              code = view_campaign(r->view, d->campaign_id, c);
	if (code == 0 && c->completed_at == 0)
		code = E_CAMPAIGN_STATE;
	if (code < 0)
		return code;
	d->state = c->state;
	d->ended_at = c->completed_at;
	d->total = c->total;
	d->tested = d->failed = d->skipped = d->not_reached = 0;
	text_cut(d->cause, sizeof(d->cause), c->cause);
	return 0;
}

static void report_free(struct report *r)
{
	buf_free(&r->rows);
	free(r->total.ms);
	free(r->request.ms);
	for (size_t s = 0; s < STEP_COUNT; s++)
		free(r->step[s].ms);
	json_decref(r->findings);
	json_decref(r->not_reached);
	free(r);
}

static int make(struct store_view *view, const char *domain, int64_t now, uint32_t detailed, struct drill *d, struct buf *to)
{
	struct report *r = calloc(1, sizeof(*r)); /* large */
	if (r == NULL)
		return E_NOMEM;
	r->view = view;
	r->drill = d;
	r->detailed = detailed;
	r->rows = (struct buf)BUF_MAX(DRILL_REPORT_MAX - (1 << 20));
	r->findings = json_object();
	r->not_reached = json_object();
	int code = read_campaign(r);
	if (code == 0)
		code = add_rows(r);
	if (code == 0)
		code = put_together(r, domain, now, to);
	report_free(r);
	return code;
}

/* A report without the steps of its certificates is better than none. */
int drill_report_make(struct store_view *view, const char *domain, int64_t now, struct drill *d, struct buf *to)
{
	if (fault_point_of("controller.drill_make", id_text(d->campaign_id, (char[ID_TEXT_SIZE]){0})) != 0)
		return E_STORE_IO;
	int code = make(view, domain, now, DRILL_DETAIL_MAX, d, to);
	if (code != E_FULL)
		return code;
	buf_reset(to);
	return make(view, domain, now, 0, d, to);
}
