/* cli_doctor.c - room controller/cli: vccctl doctor: would an emergency go well today? One table of checks, and what to do about each finding.
 * Never: changing anything; what hosts find out about themselves is `vcc-agent doctor`. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/cli/verb.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum verdict { VERDICT_OK, VERDICT_SKIPPED, VERDICT_WARNING, VERDICT_ERROR, VERDICT_COUNT };

static const char *const verdict_names[VERDICT_COUNT] = {
	[VERDICT_OK] = "ok",
	[VERDICT_SKIPPED] = "skipped",
	[VERDICT_WARNING] = "warning",
	[VERDICT_ERROR] = "error",
};

enum {
	CLOCKS_APART_MS = 60 * 1000,
	CA_EARLY_D = 180, /* a CA gives way in weeks, not in a day */
	CA_LATE_D = 30,
	ROOT_LIST_D = 90, /* its key may lie in a safe */
	TOKEN_EARLY_D = 14,
	BACKUP_D = 7,
	RESTORE_DRILL_D = 90,
	HEAD_MS = 10 * 60 * 1000,
	APPROVAL_D = 1,
	SILENT_PERCENT = 20,
};

struct doctor {
	const struct invocation *in;
	const char              *check;
	json_t                  *found;
	json_t                  *state; /* of the controller */
	enum verdict             worst, here;
	int64_t                  now;
};

/* ---- what the checks share ---------------------------------------------------------------------------------------- */

/* Days until a time of an object; far away when it has none. */
static double days_until(const struct doctor *d, const json_t *o, const char *name)
{
	int64_t at;
	return time_parse(output_text(o, name), &at) == 0 ? (double)(at - d->now) / (double)MS_DAY : 1e9;
}

static _printf_(5, 6) void say(struct doctor *d, enum verdict verdict, const char *object, const char *next, const char *fmt, ...)
{
	char    what[320];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	text_hide_controls(what);
	d->here = verdict > d->here ? verdict : d->here;
	json_array_append_new(d->found, json_pack("{s:s, s:s, s:s, s:s, s:s}", "verdict", verdict_names[verdict], "check", d->check, "object", object,
	                                          "what", what, "next", next));
}

static void say_unanswered(struct doctor *d, int r, const struct refusal *why)
{
	if (r == EXIT_DENIED)
		say(d, VERDICT_SKIPPED, "", "ask as somebody who may read it", "this principal may not read it");
	else
		say(d, VERDICT_ERROR, "", err_next(why->code), "%s", why->cause);
}

/* An answer of the controller; NULL: it was said why there is none. */
static json_t *ask(struct doctor *d, const char *path)
{
	struct refusal why = {.code = 0};
	json_t        *answer = NULL;
	int            r = client_call(&d->in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		say_unanswered(d, r, &why);
	return answer;
}

/* All items of a list; NULL as above. */
static json_t *ask_list(struct doctor *d, const char *path)
{
	struct refusal why = {.code = 0};
	json_t        *items = NULL;
	int            r = client_list(&d->in->client, path, "items", &items, &why);
	if (r != EXIT_DONE)
		say_unanswered(d, r, &why);
	return items;
}

/* ---- the checks ----------------------------------------------------------------------------------------------------- */

static void check_controller(struct doctor *d)
{
	const char *name;
	json_t     *value;
	size_t      i;
	json_object_foreach(json_object_get(d->state, "checks"), name, value) {
		if (!text_equal(json_string_value(value), "ok"))
			say(d, VERDICT_ERROR, name, "look at the journal of vcc-controller, vcc-signer and vcc-gateway", "it fails: no certificate can be renewed");
	}
	json_array_foreach(json_object_get(d->state, "warnings"), i, value)
		say(d, VERDICT_WARNING, "", "see `vccctl explain CODE`", "%s", json_string_value(value));
}

static void check_clock(struct doctor *d)
{
	int64_t theirs, apart;
	if (time_parse(output_text(d->state, "now"), &theirs) != 0)
		return;
	apart = theirs > d->now ? theirs - d->now : d->now - theirs;
	if (apart > CLOCKS_APART_MS)
		say(d, VERDICT_WARNING, "", "set both clocks by NTP", "the controller's clock and the one here are %lld s apart", (long long)(apart / MS_SECOND));
}

static void check_contacts(struct doctor *d)
{
	static const char *const names[] = {"admin", "security"};
	const json_t            *contacts = json_object_get(d->state, "contacts");
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (json_is_false(json_object_get(contacts, names[i])))
			say(d, VERDICT_ERROR, names[i], "set it below [contacts] in controller.conf", "nobody is named who is told");
}

static void check_channels(struct doctor *d)
{
	json_t *all = ask_list(d, "/api/v1/notifications/channels"), *row, *dead;
	size_t  i;
	if (all != NULL && json_array_size(all) == 0)
		say(d, VERDICT_WARNING, "", "docs/operations.md, \"By which ways\"", "there is no channel: people are told only who look at `vccctl notify list`");
	json_array_foreach(all, i, row) {
		if (json_is_string(json_object_get(row, "code")))
			say(d, VERDICT_ERROR, output_text(row, "channel"), "mend it, then `vccctl notify test`", "it does not deliver: %s", output_text(row, "error"));
	}
	dead = all != NULL ? ask(d, "/api/v1/notifications/deliveries?state=dead&limit=1") : NULL;
	if (json_array_size(json_object_get(dead, "items")) > 0)
		say(d, VERDICT_WARNING, "", "`vccctl notify list --state dead`", "messages were given up, the last one on channel %s",
		    output_text(json_array_get(json_object_get(dead, "items"), 0), "channel"));
	json_decref(dead);
	json_decref(all);
}

static void check_people(struct doctor *d)
{
	json_t *people = ask_list(d, "/api/v1/principals"), *row, *role;
	size_t  i, k, n = 0;
	char    first[64] = "";
	json_array_foreach(people, i, row) {
		const char *person = json_is_string(json_object_get(row, "person")) ? output_text(row, "person") : output_text(row, "name");
		bool        may = false;
		json_array_foreach(json_object_get(row, "roles"), k, role)
			may |= text_equal(json_string_value(role), "admin") || text_equal(json_string_value(role), "approver");
		if (!may || json_is_true(json_object_get(row, "disabled")) || json_is_array(json_object_get(row, "services")) || text_equal(person, first))
			continue;
		if (n++ == 0)
			text_cut(first, sizeof(first), person);
	}
	if (people != NULL && n < 2)
		say(d, VERDICT_ERROR, "", "`vccctl principal create NAME --role approver`", "%zu %s may agree to requests: nobody could agree to what the other one asks",
		    n, n == 1 ? "person" : "people");
	json_decref(people);
}

static void check_tokens(struct doctor *d)
{
	json_t *tokens = ask_list(d, "/api/v1/tokens"), *row;
	size_t  i;
	json_array_foreach(tokens, i, row) {
		double days = days_until(d, row, "expires_at");
		if (!json_is_string(json_object_get(row, "revoked_at")) && days > 0 && days < TOKEN_EARLY_D)
			say(d, VERDICT_WARNING, output_text(row, "principal"), "`vccctl token create`, then revoke the old one", "a token ends in %.0f days", days);
	}
	json_decref(tokens);
}

static void check_authorities(struct doctor *d)
{
	json_t *all = ask_list(d, "/api/v1/ca"), *row;
	size_t  i;
	json_array_foreach(all, i, row) {
		double days = days_until(d, row, "expires_at");
		if (!text_equal(output_text(row, "state"), "active") || days > CA_EARLY_D)
			continue;
		say(d, days < CA_LATE_D ? VERDICT_ERROR : VERDICT_WARNING, output_text(row, "issuer_id"), "`vccctl ca rollover`", "it ends in %.0f days", days);
	}
	json_decref(all);
}

static void check_lists(struct doctor *d)
{
	json_t *all = ask_list(d, "/api/v1/crls"), *row;
	size_t  i;
	json_array_foreach(all, i, row) {
		double days = days_until(d, row, "next_update");
		bool   root = text_starts(output_text(row, "issuer"), "root-");
		if (json_is_true(json_object_get(row, "expired")))
			say(d, VERDICT_ERROR, output_text(row, "issuer"), "look at the journal of vcc-signer", "list %lld has ended: who checks it refuses every certificate",
			    (long long)json_integer_value(json_object_get(row, "shard")));
		else if (root && days < ROOT_LIST_D)
			say(d, VERDICT_WARNING, output_text(row, "issuer"), "start vcc-signer with the root's key", "its list ends in %.0f days", days);
	}
	json_decref(all);
}

static void check_public(struct doctor *d)
{
	struct refusal why;
	char           url[CLIENT_URL_SIZE];
	json_t        *me = ask(d, "/api/v1/whoami");
	if (me == NULL)
		return;
	(void)snprintf(url, sizeof(url), "%s/crl/all.pem", output_text(me, "public_url"));
	if (client_reach(url, &why) != EXIT_DONE)
		say(d, VERDICT_ERROR, url, "name it in DNS, and let hosts through", "%s: hosts fetch revocation lists there", why.cause);
	json_decref(me);
}

static void check_agents(struct doctor *d)
{
	json_t     *all = ask_list(d, "/api/v1/agents"), *row;
	size_t      i, n = 0, silent = 0, copies = 0, ill = 0, old = 0;
	const char *version = output_text(d->state, "version");
	json_array_foreach(all, i, row) {
		if (!text_equal(output_text(row, "state"), "active"))
			continue;
		n++;
		silent += !json_is_true(json_object_get(row, "connected"));
		copies += json_is_string(json_object_get(row, "copy"));
		ill += json_is_true(json_object_get(row, "connected")) && json_is_false(json_object_get(row, "healthy"));
		old += json_is_string(json_object_get(row, "version")) && output_text(row, "version")[0] != '\0' && !text_equal(output_text(row, "version"), version);
	}
	if (silent > 0)
		say(d, silent * 100 > n * SILENT_PERCENT ? VERDICT_ERROR : VERDICT_WARNING, "", "`vccctl agent list`",
		    "%zu of %zu agents are not connected: an order reaches them when they are back", silent, n);
	if (copies > 0)
		say(d, VERDICT_ERROR, "", "`vccctl agent list`, then `agent replace` or `ban`", "%zu identities are used by a second host", copies);
	if (ill > 0)
		say(d, VERDICT_WARNING, "", "`vccctl check` names them, `vcc-agent doctor` on the host tells more", "%zu agents are degraded", ill);
	if (old > 0)
		say(d, VERDICT_WARNING, "", "upgrade the hosts", "%zu agents are of another version than the controller", old);
	json_decref(all);
}

static void check_certificates(struct doctor *d)
{
	json_t *all = ask_list(d, "/api/v1/certificates"), *row;
	size_t  i, n = 0, ended = 0, unserved = 0, orphans = 0;
	json_array_foreach(all, i, row) {
		if (json_is_string(json_object_get(row, "retired_at")))
			continue;
		n++;
		ended += text_equal(output_text(row, "status"), "expired");
		unserved += json_is_false(json_object_get(row, "served"));
		orphans += json_is_true(json_object_get(row, "orphaned"));
	}
	if (ended > 0)
		say(d, VERDICT_ERROR, "", "`vccctl check` names them", "%zu of %zu certificates have ended", ended, n);
	if (unserved > 0)
		say(d, VERDICT_ERROR, "", "`vccctl check` names them", "of %zu what was issued is not served", unserved);
	if (orphans > 0)
		say(d, VERDICT_WARNING, "", "`vccctl check` names them", "%zu belong to hosts that were removed: nobody renews them", orphans);
	json_decref(all);
}

static void check_requests(struct doctor *d)
{
	json_t *all = ask_list(d, "/api/v1/approvals"), *row;
	size_t  i, n = 0;
	json_array_foreach(all, i, row)
		n += days_until(d, row, "created_at") < -APPROVAL_D;
	if (n > 0)
		say(d, VERDICT_WARNING, "", "`vccctl approval list`", "%zu requests wait for a second person for more than a day", n);
	json_decref(all);
}

static void check_backup(struct doctor *d)
{
	json_t *page = ask(d, "/api/v1/audit?event=backup_made&limit=1");
	json_t *last = json_array_get(json_object_get(page, "items"), 0);
	if (page != NULL && last == NULL)
		say(d, VERDICT_WARNING, "", "`vccctl backup FILE`, each day", "no backup was ever made");
	else if (last != NULL && days_until(d, last, "at") < -BACKUP_D)
		say(d, VERDICT_WARNING, "", "`vccctl backup FILE`, each day", "the last backup is %.0f days old", -days_until(d, last, "at"));
	json_decref(page);
}

static void check_restore(struct doctor *d)
{
	json_t *last = ask(d, "/api/v1/restore");
	if (last != NULL && !json_is_string(json_object_get(last, "drilled_at")))
		say(d, VERDICT_WARNING, "", "`vccctl restore FILE --drill`, with the backup and the copy of the signer's folder", "no backup was ever restored for practice");
	else if (last != NULL && days_until(d, last, "drilled_at") < -RESTORE_DRILL_D)
		say(d, VERDICT_WARNING, "", "`vccctl restore FILE --drill`, with the backup and the copy of the signer's folder",
		    "a backup was last restored for practice %.0f days ago", -days_until(d, last, "drilled_at"));
	json_decref(last);
}

static void check_trail(struct doctor *d)
{
	json_t *page = ask(d, "/api/v1/audit/heads?limit=1");
	json_t *head = json_array_get(json_object_get(page, "items"), 0);
	json_t *rows = head != NULL ? ask(d, "/api/v1/audit?limit=1") : NULL;
	json_t *last = json_array_get(json_object_get(rows, "items"), 0);
	if (page != NULL && head == NULL)
		say(d, VERDICT_WARNING, "", "look at the journal of vcc-signer", "no head of the trail is signed yet");
	else if (last != NULL && json_integer_value(json_object_get(last, "seq")) >= json_integer_value(json_object_get(head, "size")) &&
	         days_until(d, last, "at") * (double)MS_DAY < -HEAD_MS)
		say(d, VERDICT_WARNING, "", "look at the journal of vcc-signer", "the newest record is not below a signed head");
	json_decref(rows);
	json_decref(page);
}

/* The order is that of reading: what stands further up may be the cause of what stands below. */
static const struct {
	const char *id, *question;
	void (*run)(struct doctor *d);
} checks[] = {
	{"controller", "do its parts work?", check_controller},
	{"clock", "is it right?", check_clock},
	{"contacts", "is somebody told?", check_contacts},
	{"channels", "do messages reach people?", check_channels},
	{"people", "could a second person agree?", check_people},
	{"tokens", "does one end soon?", check_tokens},
	{"authorities", "does one end soon?", check_authorities},
	{"lists", "are the revocation lists good?", check_lists},
	{"public", "can hosts fetch them?", check_public},
	{"agents", "would an order reach all hosts?", check_agents},
	{"certificates", "is what was issued served?", check_certificates},
	{"requests", "does somebody wait for an answer?", check_requests},
	{"backup", "is there one?", check_backup},
	{"restore", "would a backup bring it back?", check_restore},
	{"trail", "is it signed?", check_trail},
};

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

static void say_found(const struct doctor *d, size_t from, const char *question)
{
	char head[160];
	(void)snprintf(head, sizeof(head), "%-8s %s: %s\n", verdict_names[d->here], d->check, question);
	fputs(head, stdout);
	for (size_t i = from; i < json_array_size(d->found); i++) {
		const json_t *f = json_array_get(d->found, i);
		char          line[512];
		(void)snprintf(line, sizeof(line), "%s%s%s", output_text(f, "object"), output_text(f, "object")[0] != '\0' ? ": " : "", output_text(f, "what"));
		verb_say(stdout, 11, "         - ", line);
		verb_say(stdout, 17, "           next: ", output_text(f, "next"));
	}
}

static int doctor(const struct invocation *in)
{
	struct refusal why;
	struct doctor  d = {.in = in, .found = json_array(), .now = (int64_t)time(NULL) * MS_SECOND};
	int            r = client_call(&in->client, "GET", "/api/v1/status", NULL, NULL, &d.state, &why);
	if (r != EXIT_DONE) {
		json_decref(d.found);
		return verb_fail(r, &why);
	}
	for (size_t i = 0; i < N_ELEMENTS(checks); i++) {
		size_t from = json_array_size(d.found);
		d.check = checks[i].id;
		d.here = VERDICT_OK;
		checks[i].run(&d);
		d.worst = d.here > d.worst ? d.here : d.worst;
		if (in->form == OUTPUT_TABLE)
			say_found(&d, from, checks[i].question);
	}
	if (in->form != OUTPUT_TABLE) {
		static const struct output_column columns[] = {
			{"VERDICT", "verdict", COLUMN_TEXT}, {"CHECK", "check", COLUMN_TEXT}, {"OBJECT", "object", COLUMN_TEXT},
			{"WHAT", "what", COLUMN_TEXT},       {"NEXT", "next", COLUMN_TEXT},
		};
		output_list(in->form, columns, N_ELEMENTS(columns), d.found);
	}
	json_decref(d.state);
	json_decref(d.found);
	return d.worst == VERDICT_ERROR ? EXIT_DUE : EXIT_DONE;
}

const struct verb cli_doctor_verbs[] = {
	{"doctor", NULL, "", 0, 0, "would an emergency go well today? exit code 7 if not", {{0}}, doctor},
};
const size_t cli_doctor_verbs_n = N_ELEMENTS(cli_doctor_verbs);
