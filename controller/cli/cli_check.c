/* cli_check.c - room controller/cli: vccctl check: is anything due, stale, away or about to end? For people, cron and Nagios.
 * Never: changing anything. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/cli/verb.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum severity { WARNING = 1, CRITICAL = 2 }; /* as Nagios counts; 3 = unknown */

static const struct output_column columns[] = {
	{"SEVERITY", "severity", COLUMN_TEXT},
	{"KIND", "kind", COLUMN_TEXT},
	{"OBJECT", "object", COLUMN_TEXT},
	{"WHAT", "what", COLUMN_TEXT},
};

struct check {
	json_t       *found;
	enum severity worst; /* 0 = nothing */
	size_t        certificates, agents;
	int64_t       now;
};

static void add(struct check *c, enum severity severity, const char *kind, const char *object, const char *what)
{
	if (severity > c->worst)
		c->worst = severity;
	json_array_append_new(c->found, json_pack("{s:s, s:s, s:s, s:s}", "severity", severity == CRITICAL ? "critical" : "warning", "kind", kind,
	                                          "object", object, "what", what));
}

static void look_at_state(struct check *c, const json_t *state)
{
	const char *name;
	json_t     *value;
	size_t      i;
	json_object_foreach(json_object_get(state, "checks"), name, value) {
		if (!text_equal(json_string_value(value), "ok"))
			add(c, CRITICAL, "controller", name, "this check fails: no certificate can be renewed");
	}
	json_array_foreach(json_object_get(state, "warnings"), i, value)
		add(c, WARNING, "controller", "", json_string_value(value) != NULL ? json_string_value(value) : "");
}

static bool is_past(const struct check *c, const json_t *o, const char *name)
{
	int64_t at;
	return time_parse(output_text(o, name), &at) == 0 && at <= c->now;
}

static bool has_alert(const json_t *o, const char *name)
{
	const json_t *alert;
	size_t        i;
	json_array_foreach(json_object_get(o, "alerts"), i, alert) {
		if (text_equal(json_string_value(alert), name))
			return true;
	}
	return false;
}

static void look_at_certificate(struct check *c, const json_t *o)
{
	const char *id = output_text(o, "cert_id"), *status = output_text(o, "status");
	c->certificates++;
	if (has_alert(o, "issuance_revoked")) {
		add(c, CRITICAL, "certificate", id, "it was revoked, and its host has no other yet");
		return;
	}
	if (text_equal(status, "revoked") || text_equal(status, "suspended") || json_is_string(json_object_get(o, "retired_at")))
		return; /* somebody wanted it so */
	if (text_equal(status, "expired"))
		add(c, CRITICAL, "certificate", id, "it has ended");
	else if (json_is_false(json_object_get(o, "served")))
		add(c, CRITICAL, "certificate", id, "what was issued is not served: `vccctl target list` tells why");
	else if (json_is_true(json_object_get(o, "orphaned")))
		add(c, WARNING, "certificate", id, "its host was removed: nobody renews it");
	else if (is_past(c, o, "renew_at") && json_is_null(json_object_get(o, "open_order")))
		add(c, WARNING, "certificate", id, "it is due, and no renewal is under way");
}

static void look_at_agent(struct check *c, const json_t *o)
{
	const char *name = output_text(o, "name");
	c->agents++;
	if (!text_equal(output_text(o, "state"), "active"))
		return;
	if (json_is_string(json_object_get(o, "copy")))
		add(c, CRITICAL, "agent", name, "a second host has this identity");
	else if (!json_is_true(json_object_get(o, "connected")))
		add(c, WARNING, "agent", name, "it is not connected");
	else if (json_is_false(json_object_get(o, "healthy")))
		add(c, WARNING, "agent", name, "it is degraded; see vccctl agent show");
}

static void look_at_ends(struct check *c, const json_t *expiring)
{
	json_t *row;
	size_t  i;
	json_array_foreach(json_object_get(json_object_get(expiring, "certificates"), "critical"), i, row) {
		char what[96];
		if (json_number_value(json_object_get(row, "days_remaining")) <= 0)
			continue; /* told by its state */
		snprintf(what, sizeof(what), "it ends at %.40s", output_text(row, "expires_at"));
		add(c, CRITICAL, "certificate", output_text(row, "cert_id"), what);
	}
}

static int look(const struct invocation *in, struct check *c, struct refusal *why)
{
	json_t *state = NULL, *expiring = NULL, *certificates = NULL, *agents = NULL, *row;
	size_t  i;
	int     r = client_call(&in->client, "GET", "/api/v1/status", NULL, NULL, &state, why);
	if (r == EXIT_DONE)
		r = client_call(&in->client, "GET", "/api/v1/certificates/lifecycle/expiring?days_ahead=30", NULL, NULL, &expiring, why);
	if (r == EXIT_DONE)
		r = client_list(&in->client, "/api/v1/certificates", "items", &certificates, why);
	if (r == EXIT_DONE)
		r = client_list(&in->client, "/api/v1/agents", "items", &agents, why);
	if (r == EXIT_DONE) {
		look_at_state(c, state);
		json_array_foreach(certificates, i, row)
			look_at_certificate(c, row);
		look_at_ends(c, expiring);
		json_array_foreach(agents, i, row)
			look_at_agent(c, row);
	}
	json_decref(state);
	json_decref(expiring);
	json_decref(certificates);
	json_decref(agents);
	return r;
}

/* One line, and figures behind the bar. */
static int nagios(const struct check *c)
{
	static const char *const words[] = {"OK", "WARNING", "CRITICAL"};
	size_t                   i, counts[3] = {0};
	json_t                  *row;
	char                     first[200] = "everything is well";
	json_array_foreach(c->found, i, row) {
		bool critical = text_equal(output_text(row, "severity"), "critical");
		counts[critical ? CRITICAL : WARNING]++;
		if ((critical ? CRITICAL : WARNING) == c->worst && counts[c->worst] == 1)
			snprintf(first, sizeof(first), "%.60s %.100s", output_text(row, "object"), output_text(row, "what"));
	}
	text_hide_controls(first);
	for (char *p = first; (p = strchr(p, '|')) != NULL;)
		*p = ' ';
	printf("VCC %s - %s%s | critical=%zu warning=%zu certificates=%zu agents=%zu\n", words[c->worst], first,
	       json_array_size(c->found) > 1 ? ", and more" : "", counts[CRITICAL], counts[WARNING], c->certificates, c->agents);
	return (int)c->worst;
}

static int check(const struct invocation *in)
{
	struct refusal why;
	struct check   c = {.found = json_array(), .now = (int64_t)time(NULL) * MS_SECOND};
	bool           for_nagios = verb_given(in, "nagios");
	int            r = look(in, &c, &why);
	if (r != EXIT_DONE && for_nagios) {
		printf("VCC UNKNOWN - %s: %s\n", why.object, why.cause);
		r = 3;
	} else if (r != EXIT_DONE) {
		r = verb_fail(r, &why);
	} else if (for_nagios) {
		r = nagios(&c);
	} else {
		if (in->form != OUTPUT_TABLE || c.worst != 0)
			output_list(in->form, columns, N_ELEMENTS(columns), c.found);
		else
			printf("everything is well: %zu certificates, %zu agents\n", c.certificates, c.agents);
		r = c.worst != 0 ? EXIT_DUE : EXIT_DONE;
	}
	json_decref(c.found);
	return r;
}

const struct verb cli_check_verbs[] = {
	{"check",
	 NULL,
	 "",
	 0,
	 0,
	 "is anything due, stale or away? exit code 7 if so",
	 {{"nagios", NULL, "one line with figures; 0 well, 1 warning, 2 critical, 3 unknown"}},
	 check},
};
const size_t cli_check_verbs_n = N_ELEMENTS(cli_check_verbs);
