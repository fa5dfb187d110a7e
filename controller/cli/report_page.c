/* report_page.c - room controller/cli: a compliance report for paper (HTML) and for sheets (CSV).
 * Every text of the report is escaped: names come from hosts. Never: asking the controller, judging. */
#include "controller/cli/report_page.h"

#include <stdlib.h>
#include <string.h>

#include "controller/cli/csv_cell.h"
#include "controller/cli/output.h"
#include "controller/cli/report_words.h"
#include "shared/base/text.h"

/* ---- words ------------------------------------------------------------------------------------------------------- */

/* A key of the report, and what it is called on the page. */
static const struct {
	const char *key, *en, *de;
} words[] = {
	{"title", "Certificate compliance report", "Compliance-Bericht Zertifikate"},
	{"report_period", "Period", "Zeitraum"},
	{"generated_at", "Made at", "Erstellt"},
	{"as_of", "as of", "Stand"},
	{"of_period", "in the period", "im Zeitraum"},
	{"services_of", "renewals of the period", "Erneuerungen im Zeitraum"},
	{"daily", "one day", "ein Tag"},
	{"weekly", "7 days", "7 Tage"},
	{"monthly", "30 days", "30 Tage"},
	{"quarterly", "91 days", "91 Tage"},
	{"yearly", "365 days", "365 Tage"},
	{"summary", "Summary", "Zusammenfassung"},
	{"total_certificates", "Certificates", "Zertifikate"},
	{"active_certificates", "Active", "Aktiv"},
	{"renewals_completed", "Renewals completed", "Erneuerungen abgeschlossen"},
	{"renewals_failed", "Renewals failed", "Erneuerungen fehlgeschlagen"},
	{"emergency_recertifications", "Emergencies", "Notfälle"},
	{"compliance_violations", "Violations of rules of severity error", "Verstöße gegen Regeln der Stufe Fehler"},
	{"vcc_service_breakdown", "Services", "Dienste"},
	{"service_name", "Service", "Dienst"},
	{"total", "Total", "Gesamt"},
	{"active", "Active", "Aktiv"},
	{"expiring", "Expiring", "Läuft aus"},
	{"expired", "Expired", "Abgelaufen"},
	{"renewal_performance", "Renewals", "Erneuerungen"},
	{"success_rate", "Completed, as a share of those that ended", "Abgeschlossen, als Anteil der beendeten"},
	{"average_duration_minutes", "Average duration", "Mittlere Dauer"},
	{"automated_renewals_percentage", "Without a person", "Ohne eine Person"},
	{"risk_assessment", "Risks", "Risiken"},
	{"expiring_soon", "End within 30 days", "Enden binnen 30 Tagen"},
	{"high_risk_count", "At high risk", "Mit hohem Risiko"},
	{"high_risk_certificates", "Certificates at high risk", "Zertifikate mit hohem Risiko"},
	{"cert_id", "Certificate", "Zertifikat"},
	{"expires_at", "Ends", "Endet"},
	{"reasons", "Why", "Warum"},
	{"rules", "Rules", "Regeln"},
	{"compliance_gaps", "Gaps", "Lücken"},
	{"rule", "Rule", "Regel"},
	{"id", "Rule", "Regel"},
	{"severity", "Level", "Stufe"},
	{"count", "Number", "Anzahl"},
	{"text", "Demand", "Forderung"},
	{"reason", "Cause", "Grund"},
	{"certificates", "For example", "Zum Beispiel"},
	{"source", "Source", "Quelle"},
	{"result", "Result", "Ergebnis"},
	{"pass", "Pass", "Erfüllt"},
	{"fail", "Fail", "Verletzt"},
	{"not_assessable", "Not assessable", "Nicht beurteilbar"},
	{"exception", "Exception", "Ausnahme"},
	{"exceptions", "Exceptions", "Ausnahmen"},
	{"template_id", "Template", "Vorlage"},
	{"owner", "Owner", "Verantwortlich"},
	{"until", "Until", "Bis"},
	{"sources", "Where the figures come from", "Woher die Zahlen kommen"},
	{"figure", "Figure", "Zahl"},
	{"means", "Means", "Bedeutung"},
	{"rows", "Its rows", "Ihre Zeilen"},
	{"notes", "Notes", "Hinweise"},
	{"error", "error", "Fehler"},
	{"warn", "warning", "Warnung"},
	{"info", "note", "Hinweis"},
	{"inside_emergency_threshold", "inside the emergency threshold", "innerhalb der Notfallschwelle"},
	{"served_is_not_issued", "something else is served", "ausgeliefert wird etwas anderes"},
	{"renewal_paused", "its renewal is paused", "Erneuerung ausgesetzt"},
	{"rule_failed", "a rule failed", "eine Regel ist verletzt"},
};

struct page {
	FILE       *to;
	bool        german;
	const char *made_at;
};

static const char *word(const struct page *p, const char *key)
{
	for (size_t i = 0; i < N_ELEMENTS(words); i++)
		if (text_equal(words[i].key, key))
			return p->german ? words[i].de : words[i].en;
	return key;
}

/* ---- pieces ------------------------------------------------------------------------------------------------------ */

static void put(const struct page *p, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '&':
			(void)fputs("&amp;", p->to);
			break;
		case '<':
			(void)fputs("&lt;", p->to);
			break;
		case '>':
			(void)fputs("&gt;", p->to);
			break;
		case '"':
			(void)fputs("&quot;", p->to);
			break;
		default:
			(void)fputc(*text, p->to);
		}
	}
}

/* `known`: the texts are words of ours, and not names. */
static void value(const struct page *p, const json_t *v, bool known)
{
	size_t        i;
	const json_t *item;
	if (json_is_integer(v))
		(void)fprintf(p->to, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		(void)fprintf(p->to, "%.4g", json_real_value(v));
	else if (json_is_string(v))
		put(p, known ? word(p, json_string_value(v)) : json_string_value(v));
	else if (!json_is_array(v))
		put(p, "-");
	json_array_foreach(v, i, item)
	{
		put(p, i > 0 ? ", " : "");
		value(p, item, known);
	}
}

/* What a figure is of: the moment of the report, whatever period is asked for, or the period. */
enum moment { OF_NOTHING, OF_NOW, OF_PERIOD };

static void heading_end(const struct page *p, enum moment of)
{
	if (of == OF_NOW) {
		put(p, ", ");
		put(p, word(p, "as_of"));
		put(p, " ");
		put(p, p->made_at);
	} else if (of == OF_PERIOD) {
		put(p, ", ");
		put(p, word(p, "of_period"));
	}
	(void)fputs("</h2>\n", p->to);
}

static void heading(const struct page *p, const char *key, enum moment of)
{
	(void)fputs("<h2>", p->to);
	put(p, word(p, key));
	heading_end(p, of);
}

static void cell(const struct page *p, const char *tag, const char *text)
{
	(void)fprintf(p->to, "<%s>", tag);
	put(p, text);
	(void)fprintf(p->to, "</%s>", tag);
}

/* True where it is a figure that has words of its own. */
static bool figure(const struct page *p, const char *key, const json_t *v)
{
	char        text[REPORT_WORD_SIZE];
	const char *said = text_equal(key, "success_rate")                    ? report_share(v, 1, p->german, text)
			   : text_equal(key, "automated_renewals_percentage") ? report_share(v, 100, p->german, text)
			   : text_equal(key, "average_duration_minutes")      ? report_duration(v, p->german, text)
									      : NULL;
	put(p, said != NULL ? said : "");
	return said != NULL;
}

/* "key,key=" for a table: with '=' the values are words of ours. */
static void head_row(const struct page *p, const char *first, const char *columns)
{
	char        key[48];
	const char *cursor = columns;
	(void)fputs("<table><thead><tr>", p->to);
	if (first != NULL)
		cell(p, "th", word(p, first));
	while (text_item(&cursor, key, sizeof(key))) {
		key[strcspn(key, "=")] = '\0';
		cell(p, "th", word(p, key));
	}
	(void)fputs("</tr></thead><tbody>\n", p->to);
}

static void row(const struct page *p, const char *first, const json_t *o, const char *columns)
{
	char        key[48];
	const char *cursor = columns;
	(void)fputs("<tr>", p->to);
	if (first != NULL)
		cell(p, "th", first);
	while (text_item(&cursor, key, sizeof(key))) {
		bool known = text_ends(key, "=");
		key[strcspn(key, "=")] = '\0';
		const json_t *v = json_object_get(o, key);
		(void)fputs(json_is_number(v) ? "<td class=\"n\">" : "<td>", p->to);
		if (!figure(p, key, v))
			value(p, v, known);
		(void)fputs("</td>", p->to);
	}
	(void)fputs("</tr>\n", p->to);
}

static void table_end(const struct page *p)
{
	(void)fputs("</tbody></table>\n", p->to);
}

static void list(const struct page *p, const char *key, const json_t *rows, const char *columns)
{
	size_t        i;
	const json_t *o;
	if (json_array_size(rows) == 0)
		return;
	heading(p, key, OF_NOW);
	head_row(p, NULL, columns);
	json_array_foreach(rows, i, o) row(p, NULL, o, columns);
	table_end(p);
}

/* Name and value, a line each. */
static void figures(const struct page *p, const char *key, enum moment of, const json_t *o, const char *columns)
{
	char        name[48];
	const char *cursor = columns;
	heading(p, key, of);
	(void)fputs("<table><tbody>\n", p->to);
	while (text_item(&cursor, name, sizeof(name)))
		row(p, word(p, name), o, name);
	table_end(p);
}

/* ---- the page ---------------------------------------------------------------------------------------------------- */

static const char style[] =
	"body{font:11pt/1.4 sans-serif;color:#111;background:#fff;max-width:60em;margin:2em auto;padding:0 1em}"
	"h1{font-size:1.5em}h2{font-size:1.15em;margin:1.6em 0 .4em}"
	"table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.25em .5em;text-align:left;vertical-align:top;"
	"overflow-wrap:break-word}thead th{background:#eee}tbody th{font-weight:normal}.n{text-align:right}"
	".statement{border:2px solid #111;padding:.5em 1em;font-weight:bold}"
	"thead{display:table-header-group}tr{break-inside:avoid}h2{break-after:avoid}"
	"@page{size:A4;margin:15mm}@media print{body{max-width:none;margin:0;padding:0;font-size:9pt}}";

static void begin(const struct page *p, const json_t *report)
{
	(void)fprintf(p->to, "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
			     "content=\"width=device-width\"><title>",
		      p->german ? "de" : "en");
	put(p, word(p, "title"));
	(void)fprintf(p->to, "</title><style>%s</style></head><body>\n<h1>", style);
	put(p, word(p, "title"));
	(void)fputs("</h1>\n<p class=\"statement\">", p->to);
	put(p, output_text(report, "statement"));
	(void)fputs("</p>\n<p>", p->to);
	put(p, word(p, "report_period"));
	(void)fputs(": ", p->to);
	put(p, word(p, output_text(report, "report_period")));
	(void)fprintf(p->to, " (%s \xe2\x80\x93 %s). ", output_text(report, "from"), output_text(report, "to"));
	put(p, word(p, "generated_at"));
	(void)fprintf(p->to, ": %s</p>\n", output_text(report, "generated_at"));
}

static void services(const struct page *p, const json_t *report)
{
	static const char columns[] = "total,active,expiring,expired,renewals_completed,renewals_failed";
	const json_t     *all = json_object_get(report, "vcc_service_breakdown");
	json_t           *walk = (json_t *)(uintptr_t)all; /* jansson's iterator wants a mutable object, but changes nothing */
	const char       *name;
	const json_t     *o;
	(void)fputs("<h2>", p->to);
	put(p, word(p, "vcc_service_breakdown"));
	(void)fprintf(p->to, ", %s ", word(p, "as_of"));
	put(p, p->made_at);
	(void)fprintf(p->to, "; %s</h2>\n", word(p, "services_of"));
	head_row(p, "service_name", columns);
	json_object_foreach(walk, name, o) row(p, name, o, columns);
	table_end(p);
}

static void profiles(const struct page *p, const json_t *report)
{
	size_t        i, k;
	const json_t *profile, *rule;
	json_array_foreach(json_object_get(report, "compliance"), i, profile)
	{
		(void)fputs("<h2>", p->to);
		put(p, output_text(profile, "profile"));
		put(p, ": ");
		put(p, output_text(profile, "law"));
		heading_end(p, OF_NOW);
		head_row(p, NULL, "id,text,source,severity,result,reason,pass,fail,not_assessable,exception");
		json_array_foreach(json_object_get(profile, "rules"), k, rule)
			row(p, NULL, rule, "id,text,source,severity=,result=,reason,pass,fail,not_assessable,exception");
		table_end(p);
		json_array_foreach(json_object_get(profile, "rules"), k, rule)
		{
			const json_t *exceptions = json_object_get(rule, "exceptions"), *e;
			size_t        n;
			json_array_foreach(exceptions, n, e)
			{
				(void)fputs("<p>", p->to);
				put(p, word(p, "exception"));
				(void)fprintf(p->to, " %s: ", output_text(rule, "id"));
				put(p, output_text(e, "template_id"));
				(void)fprintf(p->to, " (%s: ", word(p, "owner"));
				put(p, output_text(e, "owner"));
				(void)fprintf(p->to, ", %s %s): ", word(p, "until"), output_text(e, "until"));
				put(p, output_text(e, "reason"));
				(void)fputs("</p>\n", p->to);
			}
		}
	}
}

static void sources(const struct page *p, const json_t *report)
{
	json_t       *walk = json_object_get(report, "sources");
	const char   *name;
	const json_t *o;
	heading(p, "sources", OF_NOTHING);
	head_row(p, "figure", "means,rows");
	json_object_foreach(walk, name, o) row(p, word(p, name), o, "means,rows");
	table_end(p);
}

static void notes(const struct page *p, const json_t *report)
{
	size_t        i;
	const json_t *note;
	if (json_array_size(json_object_get(report, "notes")) == 0)
		return;
	heading(p, "notes", OF_NOTHING);
	(void)fputs("<ul>\n", p->to);
	json_array_foreach(json_object_get(report, "notes"), i, note) cell(p, "li", json_string_value(note));
	(void)fputs("</ul>\n", p->to);
}

void report_page_html(FILE *to, const json_t *report, bool german)
{
	const struct page p = {to, german, output_text(report, "generated_at")};
	const json_t     *risks = json_object_get(report, "risk_assessment"), *summary = json_object_get(report, "summary");
	begin(&p, report);
	figures(&p, "summary", OF_NOW, summary, "total_certificates,active_certificates,compliance_violations");
	figures(&p, "summary", OF_PERIOD, summary, "renewals_completed,emergency_recertifications");
	services(&p, report);
	figures(&p, "renewal_performance", OF_PERIOD, json_object_get(report, "renewal_performance"),
		"success_rate,average_duration_minutes,automated_renewals_percentage");
	figures(&p, "risk_assessment", OF_NOW, risks, "expiring_soon,high_risk_count");
	list(&p, "high_risk_certificates", json_object_get(risks, "high_risk_certificates"), "cert_id,service_name,expires_at,reasons=,rules");
	list(&p, "compliance_gaps", json_object_get(risks, "compliance_gaps"), "rule,severity=,count,text,reason,certificates");
	profiles(&p, report);
	sources(&p, report);
	notes(&p, report);
	(void)fputs("</body></html>\n", to);
}

/* ---- CSV --------------------------------------------------------------------------------------------------------- */

enum { PLACE_MAX = 256 };

static void csv_value(FILE *to, const char *place, const json_t *v)
{
	char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_ENCODE_ANY);
	csv_cell(to, place);
	(void)fputc(',', to);
	if (text != NULL)
		(void)fputs(json_is_null(v) ? "" : text, to);
	else
		csv_cell(to, json_string_value(v) != NULL ? json_string_value(v) : "");
	(void)fputs("\r\n", to);
	free(text);
}

static void csv_walk(FILE *to, const char *place, const json_t *v)
{
	char          below[PLACE_MAX];
	json_t       *walk = (json_t *)(uintptr_t)v; /* as above */
	const char   *name;
	const json_t *part;
	size_t        i;
	if (!json_is_object(v) && !json_is_array(v)) {
		csv_value(to, place, v);
		return;
	}
	json_object_foreach(walk, name, part)
	{
		(void)snprintf(below, sizeof(below), "%.150s%s%.100s", place, place[0] != '\0' ? "." : "", name);
		csv_walk(to, below, part);
	}
	json_array_foreach(v, i, part)
	{
		(void)snprintf(below, sizeof(below), "%.200s.%zu", place, i);
		csv_walk(to, below, part);
	}
}

void report_page_csv(FILE *to, const json_t *report)
{
	(void)fputs("key,value\r\n", to);
	csv_walk(to, "", report);
}
