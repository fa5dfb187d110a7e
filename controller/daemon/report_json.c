/* report_json.c - room controller/daemon: a compliance report as JSON, in the keys of LIFECYCLE 9.
 * Never: counting; a figure without a place where its rows are listed. */
#include "controller/daemon/report_json.h"

#include <string.h>

#include "controller/daemon/api_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

#define ROWS "/api/v1/reports/rows"

static const char *const statement[LANG_COUNT] = {
	"Technical evidence, not legal conformity.",
	"Technischer Nachweis, keine rechtliche Konformität.",
};

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* NULL where there is nothing to divide by: no figure is better than one that nobody measured. */
static json_t *ratio(double factor, double part, uint64_t whole)
{
	return whole > 0 ? json_real(factor * part / (double)whole) : json_null();
}

static const char *said(const struct compliance_text *why, unsigned lang)
{
	return why != NULL ? why->in[lang] : "";
}

/* ---- the brief's keys -------------------------------------------------------------------------------------------- */

static json_t *summary(const struct report_sum *s)
{
	static const enum figure shown[] = {FIGURE_TOTAL, FIGURE_ACTIVE, FIGURE_COMPLETED, FIGURE_EMERGENCIES, FIGURE_VIOLATIONS};
	json_t                  *o = json_object();
	for (size_t i = 0; i < N_ELEMENTS(shown); i++)
		json_object_set_new(o, figure_info(shown[i])->name, number(s->n[shown[i]]));
	return o;
}

static json_t *breakdown(const struct report_sum *s)
{
	static const struct {
		const char *key;
		enum figure figure;
	} shown[] = {{"total", FIGURE_TOTAL},     {"active", FIGURE_ACTIVE},
		     {"expiring", FIGURE_EXPIRING}, {"expired", FIGURE_EXPIRED},
		     {"renewals_completed", FIGURE_COMPLETED}, {"renewals_failed", FIGURE_FAILED}};
	json_t                   *o = json_object();
	const struct service_sum *row;
	for (row = s->services; row != NULL; row = row->hh.next) { /* the five that are always there, then as they were met */
		json_t *service = json_object();
		for (size_t i = 0; i < N_ELEMENTS(shown); i++)
			json_object_set_new(service, shown[i].key, number(row->n[shown[i].figure]));
		json_object_set_new(o, row->name, service);
	}
	return o;
}

static json_t *performance(const struct report_sum *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "success_rate", ratio(1, (double)s->n[FIGURE_COMPLETED], s->n[FIGURE_ENDED]));
	json_object_set_new(o, "average_duration_minutes", ratio(1.0 / MS_MINUTE, (double)s->duration_ms, s->n[FIGURE_COMPLETED]));
	json_object_set_new(o, "automated_renewals_percentage", ratio(100, (double)s->n[FIGURE_AUTOMATED], s->n[FIGURE_COMPLETED]));
	return o;
}

/* Beside the brief's keys: a certificate that gave way to its successor is no incident. */
static json_t *revocations(const struct report_sum *s)
{
	return json_pack("{s:I,s:I,s:I}", "total", (json_int_t)s->n[FIGURE_REVOKED], "superseded", (json_int_t)s->n[FIGURE_SUPERSEDED], "other",
			 (json_int_t)s->n[FIGURE_REVOKED_OTHER]);
}

static json_t *risk_reasons(unsigned risks)
{
	json_t *list = json_array();
	for (unsigned bit = 1; bit <= RISK_RULE; bit <<= 1)
		if ((risks & bit) != 0)
			json_array_append_new(list, json_string(risk_name(bit)));
	return list;
}

static json_t *high_risk(const struct report_sum *s)
{
	const struct rule_book *book = s->ask->book;
	json_t                 *list = json_array();
	for (size_t i = 0; i < s->n_risks; i++) {
		const struct risk_row *row = &s->risk[i];
		json_t                *rules = json_array();
		for (size_t r = 0; r < book->n_rules; r++)
			if ((row->rules[r / 64] >> r % 64 & 1) != 0)
				json_array_append_new(rules, json_string(book->rule[r].id));
		json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:o,s:o}", "cert_id", row->cert_id, "service_name", row->service,
						      "expires_at", json_time(row->not_after_at), "reasons", risk_reasons(row->risks),
						      "rules", rules));
	}
	return list;
}

static json_t *samples(const struct rule_sum *sum)
{
	json_t *list = json_array();
	for (size_t i = 0; i < SAMPLES && i < sum->n[COMPLIANCE_FAIL]; i++)
		if (sum->sample[i][0] != '\0')
			json_array_append_new(list, json_string(sum->sample[i]));
	return list;
}

static json_t *rule_rows(const struct compliance_rule *r)
{
	return r->check->of_cert != NULL ? json_sprintf("%s?figure=compliance_violations&rule=%s", ROWS, r->id) : json_null();
}

static json_t *gaps(const struct report_sum *s)
{
	const struct rule_book *book = s->ask->book;
	json_t                 *list = json_array();
	for (size_t i = 0; i < book->n_rules; i++) {
		const struct compliance_rule *r = &book->rule[i];
		const struct rule_sum        *sum = &s->rule[i];
		if (sum->n[COMPLIANCE_FAIL] == 0)
			continue;
		json_array_append_new(
			list, json_pack("{s:s,s:s,s:s,s:o,s:s,s:s,s:o,s:o}", "rule", r->id, "profile", book->profile[r->profile].name,
					"severity", compliance_severity_name(rule_severity(r, s->ask->now)), "count",
					number(sum->n[COMPLIANCE_FAIL]), "text", r->text[s->ask->lang], "reason",
					said(sum->why[COMPLIANCE_FAIL], s->ask->lang), "certificates", samples(sum), "rows", rule_rows(r)));
	}
	return list;
}

static json_t *risks(const struct report_sum *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "expiring_soon", number(s->n[FIGURE_SOON]));
	json_object_set_new(o, "high_risk_certificates", high_risk(s));
	json_object_set_new(o, "high_risk_count", number(s->n[FIGURE_HIGH_RISK]));
	json_object_set_new(o, "compliance_gaps", gaps(s));
	return o;
}

/* ---- rules ------------------------------------------------------------------------------------------------------- */

/* What stands for the rule as a whole: the worst that was found. */
static const char *overall(const struct rule_sum *sum)
{
	static const enum compliance_result worst_first[] = {COMPLIANCE_FAIL, COMPLIANCE_NOT_ASSESSABLE, COMPLIANCE_EXCEPTION, COMPLIANCE_PASS};
	for (size_t i = 0; i < N_ELEMENTS(worst_first); i++)
		if (sum->n[worst_first[i]] > 0)
			return compliance_result_name(worst_first[i]);
	return compliance_result_name(COMPLIANCE_NOT_ASSESSABLE);
}

static json_t *exceptions(const struct report_sum *s, const struct compliance_rule *r)
{
	const struct rule_book *book = s->ask->book;
	json_t                 *list = json_array();
	for (size_t i = 0; i < s->ask->own.n + book->n_exceptions; i++) {
		const struct compliance_exception *e = i < s->ask->own.n ? &s->ask->own.row[i] : &book->exception[i - s->ask->own.n];
		if (text_equal(e->rule, r->id))
			json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:o,s:b}", "template_id", e->template_id, "owner", e->owner,
							      "reason", e->reason, "until", json_time(e->until_at), "in_force",
							      s->ask->now < e->until_at));
	}
	return list;
}

/* Why not everything passes. */
static json_t *rule_reason(const struct report_sum *s, size_t i)
{
	static const struct compliance_text nobody = {{"no certificate that is in use has this profile", "kein Zertifikat im Einsatz hat dieses Profil"}};
	const struct compliance_rule       *r = &s->ask->book->rule[i];
	const struct rule_sum              *sum = &s->rule[i];
	if (r->check->of_cert == NULL && r->check->of_system == NULL)
		return json_string(r->reason[s->ask->lang]);
	if (sum->n[COMPLIANCE_FAIL] > 0)
		return json_string(said(sum->why[COMPLIANCE_FAIL], s->ask->lang));
	if (sum->n[COMPLIANCE_NOT_ASSESSABLE] > 0)
		return json_string(said(sum->why[COMPLIANCE_NOT_ASSESSABLE], s->ask->lang));
	if (sum->n[COMPLIANCE_EXCEPTION] > 0)
		return json_string(said(sum->why[COMPLIANCE_EXCEPTION], s->ask->lang));
	return sum->n[COMPLIANCE_PASS] > 0 ? json_null() : json_string(nobody.in[s->ask->lang]);
}

static json_t *rule_json(const struct report_sum *s, size_t i)
{
	const struct compliance_rule *r = &s->ask->book->rule[i];
	const struct rule_sum        *sum = &s->rule[i];
	json_t                       *o = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o}", "id", r->id, "text", r->text[s->ask->lang], "source", r->source,
						    "severity", compliance_severity_name(rule_severity(r, s->ask->now)), "check", r->check->name, "about",
						    r->check->of_cert != NULL ? "certificates" : "installation", "version", (json_int_t)r->version,
						    "valid_from", json_time(r->valid_from_at));
	json_object_set_new(o, "result", json_string(overall(sum)));
	json_object_set_new(o, "reason", rule_reason(s, i));
	for (unsigned result = 0; result < COMPLIANCE_RESULT_COUNT; result++)
		json_object_set_new(o, compliance_result_name((enum compliance_result)result), number(sum->n[result]));
	json_object_set_new(o, "certificates", samples(sum));
	json_object_set_new(o, "exceptions", exceptions(s, r));
	json_object_set_new(o, "rows", rule_rows(r));
	return o;
}

static json_t *profiles(const struct report_sum *s)
{
	const struct rule_book *book = s->ask->book;
	json_t                 *list = json_array();
	for (size_t p = 0; p < book->n_profiles; p++) {
		json_t *rules = json_array();
		for (size_t i = 0; i < book->n_rules; i++)
			if (book->rule[i].profile == p)
				json_array_append_new(rules, rule_json(s, i));
		json_array_append_new(list, json_pack("{s:s,s:s,s:I,s:o,s:o}", "profile", book->profile[p].name, "law", book->profile[p].law,
						      "version", (json_int_t)book->profile[p].version, "certificates",
						      number(s->in_profile[p]), "rules", rules));
	}
	return list;
}

/* ---- where it comes from ----------------------------------------------------------------------------------------- */

static json_t *sources(const struct report_ask *ask)
{
	char    from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
	json_t *o = json_object();
	time_text(ask->from, from);
	time_text(ask->to, to);
	for (unsigned f = 0; f < FIGURE_COUNT; f++) {
		const struct figure_info *info = figure_info((enum figure)f);
		json_t                   *rows = info->noun == FIGURE_OF_CERTIFICATE ? json_sprintf("%s?figure=%s", ROWS, info->name)
										     : json_sprintf("%s?figure=%s&from=%s&to=%s", ROWS, info->name, from, to);
		json_object_set_new(o, info->name, json_pack("{s:s,s:o}", "means", info->means, "rows", rows));
	}
	return o;
}

/* What the figures cannot show. */
static json_t *notes(const struct report_sum *s)
{
	static const struct compliance_text archived = {{"the period begins before limits.keep_orders: what was archived since is not in it",
							 "Der Zeitraum beginnt vor limits.keep_orders: was seither archiviert wurde, ist nicht darin"}};
	static const struct compliance_text listed = {{"high_risk_certificates lists the first", "high_risk_certificates nennt die ersten"}};
	static const struct compliance_text all = {{"all of them", "alle"}};
	static const struct compliance_text services = {{"services beyond this number are in the totals alone",
							 "Dienste über diese Zahl hinaus stehen nur in den Summen"}};
	static const struct compliance_text begins = {{"the audit trail begins at", "Das Protokoll beginnt am"}};
	static const struct compliance_text partly = {{"the period begins before that, and nothing is known of this part of it",
						       "Der Zeitraum beginnt davor, und über diesen Teil ist nichts bekannt"}};
	static const struct compliance_text wholly = {{"the period lies before that, and nothing is known of it",
						       "Der Zeitraum liegt davor, und über ihn ist nichts bekannt"}};
	unsigned lang = s->ask->lang;
	char     since[TIME_TEXT_SIZE];
	json_t  *list = json_array();
	if (s->ask->from < s->trail_at)
		json_array_append_new(list, json_sprintf("%s %s: %s", begins.in[lang], time_text(s->trail_at, since),
							 s->ask->to <= s->trail_at ? wholly.in[lang] : partly.in[lang]));
	if (s->ask->from < s->ask->now - s->ask->kept_orders_ms)
		json_array_append_new(list, json_string(archived.in[lang]));
	if (s->n[FIGURE_HIGH_RISK] > s->n_risks)
		json_array_append_new(list, json_sprintf("%s %zu; %s: %s?figure=high_risk_certificates", listed.in[lang], s->n_risks, all.in[lang], ROWS));
	if (s->uncounted_services > 0)
		json_array_append_new(list, json_sprintf("%s: %d", services.in[lang], (int)SERVICES_COUNTED_MAX));
	return list;
}

json_t *json_report(const struct report_sum *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "report_period", json_string(s->ask->period));
	json_object_set_new(o, "generated_at", json_time(s->ask->now));
	json_object_set_new(o, "summary", summary(s));
	json_object_set_new(o, "vcc_service_breakdown", breakdown(s));
	json_object_set_new(o, "renewal_performance", performance(s));
	json_object_set_new(o, "risk_assessment", risks(s));
	json_object_set_new(o, "revocations", revocations(s));
	json_object_set_new(o, "from", json_time(s->ask->from));
	json_object_set_new(o, "to", json_time(s->ask->to));
	json_object_set_new(o, "statement", json_string(statement[s->ask->lang]));
	json_object_set_new(o, "compliance", profiles(s));
	json_object_set_new(o, "sources", sources(s->ask));
	json_object_set_new(o, "notes", notes(s));
	return o;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static json_t *row(const char *kind, const char *id, const char *service, const char *status, json_t *at)
{
	json_t *o = json_object();
	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "service_name", service[0] != '\0' ? json_string(service) : json_null());
	json_object_set_new(o, "status", json_string(status));
	json_object_set_new(o, "at", at);
	json_object_set_new(o, "reasons", json_array());
	json_object_set_new(o, "rules", json_array());
	return o;
}

static void add_rule(json_t *o, const struct report_ask *ask, size_t i, const struct compliance_text *why)
{
	const struct compliance_rule *r = &ask->book->rule[i];
	json_array_append_new(json_object_get(o, "rules"),
			      json_pack("{s:s,s:s,s:s}", "rule", r->id, "severity", compliance_severity_name(rule_severity(r, ask->now)), "reason",
					said(why, ask->lang)));
}

json_t *json_report_certificate(const struct report_ask *ask, const struct verdict *v)
{
	json_t *o = row("certificate", v->cert->cert_id, v->cert->service, cert_status_name(v->status), json_time(v->cert->not_after_at));
	json_object_set_new(o, "reasons", risk_reasons(v->risks));
	for (size_t i = 0; i < ask->book->n_rules; i++)
		if (v->result[i] == COMPLIANCE_FAIL)
			add_rule(o, ask, i, v->why[i]);
	return o;
}

json_t *json_report_order(const struct order *o)
{
	char id[ID_TEXT_SIZE];
	return row("renewal", id_text(o->renewal_id, id), o->service, order_status_name(o->phase), json_time(o->completed_at));
}

json_t *json_report_campaign(const struct campaign *c)
{
	char id[ID_TEXT_SIZE];
	return row("campaign", id_text(c->campaign_id, id), "", campaign_state_name(c->state), json_time(c->started_at));
}

json_t *json_report_revocation(const struct revoked_row *r)
{
	char        serial[SERIAL_TEXT_SIZE];
	const char *reason = revoke_reason_name(r->reason);
	return row("revocation", serial_text(r->serial, serial), "", reason != NULL ? reason : "unspecified", json_time(r->revoked_at));
}

json_t *json_report_installation(const struct report_ask *ask, const struct compliance_system *s)
{
	json_t *o = row("installation", "installation", "", "", json_time(ask->now));
	for (size_t i = 0; i < ask->book->n_rules; i++) {
		const struct compliance_text *why = NULL;
		if (ask->book->rule[i].check->of_system != NULL && rule_severity(&ask->book->rule[i], ask->now) == SEVERITY_ERROR &&
		    report_system_judge(ask, i, s, &why) == COMPLIANCE_FAIL)
			add_rule(o, ask, i, why);
	}
	if (json_array_size(json_object_get(o, "rules")) > 0)
		return o;
	json_decref(o);
	return NULL;
}
