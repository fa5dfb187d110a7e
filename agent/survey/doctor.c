/* doctor.c - room agent/survey: `vcc-agent doctor`: one table of checks, and what they found in words.
 * Never: a check's own work; those are doctor_host.c, doctor_target.c and doctor_service.c. */
#include "agent/survey/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/doctor_part.h"
#include "agent/survey/keeper_ask.h"
#include "shared/base/text.h"
#include "shared/base/wrap.h"
#include "shared/sys/clock.h"

enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_WRONG = 7, LOOK_MS = 4000, VIEW_MAX = 1 << 20 };

/* The order is that of reading: what stands further up may be the cause of what stands below. */
static const struct check {
	const char *id;
	const char *question;
	bool        asks_keeper; /* has nothing to say without its answer */
	doctor_fn  *run;
} checks[] = {
	{"keeper", "does the keeper answer?", false, doctor_keeper},
	{"link", "is the controller connected?", true, doctor_link},
	{"identity", "how long is the identity good for?", false, doctor_identity},
	{"journal", "can decisions be stored?", true, doctor_journal},
	{"clock", "is it right, and kept so?", false, doctor_clock},
	{"watches", "are changes of files seen at once?", true, doctor_watch},
	{"space", "is there room for a renewal?", false, doctor_space},
	{"rights", "is our state closed to others?", false, doctor_modes},
	{"hook", "can services be reloaded at all?", false, doctor_hook},
	{"files", "can the target files be used?", false, doctor_files},
	{"listeners", "do they answer with the issued certificate?", false, doctor_listeners},
	{"disk", "is the issued certificate on disk, and good?", true, doctor_disk},
	{"rehearsal", "would a renewal work today?", true, doctor_rehearsal},
	{"orders", "did the last renewal go well?", true, doctor_orders},
	{"lists", "are the revocation lists good?", true, doctor_lists},
	{"reload", "can each service be reloaded?", false, doctor_reload},
	{"python", "do Python servers take a reload?", false, doctor_python},
	{"drain", "do old workers end?", false, doctor_drain},
	{"renewers", "does another program renew the same?", false, doctor_renewer},
	{"writers", "does another program write the files?", true, doctor_writer},
	{"manage", "did `manage` come to its end?", false, doctor_half},
	{"keys", "what does a key cost here?", false, doctor_keys},
};

/* ---- what the checks share ---------------------------------------------------------------------------------------- */

void doctor_note(struct patient *p, const char *fmt, ...)
{
	va_list args;
	va_start(args, fmt);
	vsnprintf(p->note, sizeof(p->note), fmt, args);
	va_end(args);
	text_hide_controls(p->note);
}

const char *doctor_text(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));
	return text != NULL ? text : "";
}

int64_t doctor_time(const json_t *o, const char *name)
{
	int64_t at;
	return time_parse(doctor_text(o, name), &at) == 0 ? at : 0;
}

int doctor_code(const json_t *o, const char *name)
{
	const char *text = doctor_text(o, name);
	int64_t     number;
	return text_starts(text, "VCC-") && text_i64(text + 4, 1, 9999, &number) == 0 ? -(int)number : 0;
}

const json_t *doctor_target(const struct patient *p, const char *stem)
{
	size_t  i;
	json_t *t;
	json_array_foreach(json_object_get(p->status, "targets"), i, t) if (text_equal(doctor_text(t, "stem"), stem)) return t;
	return NULL;
}

bool doctor_folder(const struct patient *p, const struct target_conf *t, char ret[TARGET_PATH_SIZE])
{
	return agent_target_dir(p->conf, t, ret) == 0;
}

/* As the keeper asks: by the setting, else by the first name that can be asked for. */
static void sni_of(const struct target_conf *t, char ret[DNS_NAME_SIZE])
{
	struct san san;
	size_t     at = 0;
	text_cut(ret, DNS_NAME_SIZE, t->sni);
	while (ret[0] == '\0' && names_next(&t->names, &at, &san))
		if (san.kind == SAN_DNS && san.text[0] != '*')
			text_cut(ret, DNS_NAME_SIZE, san.text);
}

size_t doctor_look(const struct target_conf *t, struct look **ret)
{
	const char *cursor = t->connect;
	size_t      n = 0;
	*ret = NULL;
	if (!target_probed(t) || (*ret = calloc(TARGET_LISTENERS_MAX, sizeof(**ret))) == NULL)
		return 0;
	while (n < TARGET_LISTENERS_MAX && text_item(&cursor, (*ret)[n].address, ADDRESS_SIZE)) {
		sni_of(t, (*ret)[n].sni);
		(*ret)[n++].starttls = t->verify == VERIFY_STARTTLS_POSTGRESQL;
	}
	return look_all(*ret, n, LOOK_MS) == 0 ? n : 0;
}

/* ---- the patient -------------------------------------------------------------------------------------------------- */

static void ask_keeper(struct patient *p)
{
	struct lk_status_request request = {.detail = 0};
	struct wire_frame       *frame = calloc(1, sizeof(*frame));
	struct buf               bytes = BUF_MAX(wire_link.frame_max);
	if (frame != NULL &&
	    keeper_ask(p->conf->keeper_socket, LK_STATUS_REQUEST, &request, LK_STATUS, &bytes, frame, &p->no_keeper) == 0) {
		const struct span json = frame->u.lk_status.json;
		p->status = json_loadb((const char *)json.p, json.n, 0, NULL);
		if (p->status == NULL)
			(void)!refuse(&p->no_keeper, E_DOCTOR_KEEPER, "keeper",
				      "its answer cannot be read: vcc-agent and vcc-keeper are of different versions");
	}
	buf_free(&bytes);
	free(frame);
}

static void read_targets(struct patient *p)
{
	static char stems[DOCTOR_TARGETS_MAX][CERT_ID_SIZE];
	size_t      n = 0;
	p->target = calloc(DOCTOR_TARGETS_MAX, sizeof(*p->target));
	if (p->target == NULL || target_conf_list(p->conf->targets_dir, stems, DOCTOR_TARGETS_MAX, &n, NULL) != 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (target_conf_load(p->conf->targets_dir, stems[i], &p->target[p->n_targets], NULL) == 0)
			p->n_targets++; /* those that are refused are a finding of their own */
}

static void patient_close(struct patient *p)
{
	json_decref(p->status);
	free(p->target);
	doctor_behind_free(p);
}

/* ---- in words ----------------------------------------------------------------------------------------------------- */

enum { COLUMN_WORDS = 19 };

/* "ERROR   listeners  VCC-2005 web: ..." */
static void say(struct buf *to, const char *level, const char *id, const char *text)
{
	buf_add_fmt(to, "%-7s %-10s ", level, id);
	wrap_add(to, text, COLUMN_WORDS, COLUMN_WORDS);
}

static void say_finding(struct buf *to, const struct finding *f)
{
	static const char *const levels[FINDING_LEVEL_COUNT] = {
		[FINDING_WARNING] = "warning", [FINDING_ERROR] = "ERROR", [FINDING_MENDED] = "mended"};
	char code[ERR_CODE_SIZE];
	char text[2 * FINDING_WORDS_SIZE];
	snprintf(text, sizeof(text), "%s %s: %s", err_code(f->why.code, code), f->why.object, f->why.cause);
	say(to, levels[f->level], f->check, text);
	if (f->done[0] != '\0') {
		snprintf(text, sizeof(text), "%s: %s", f->level == FINDING_MENDED ? "Done" : "Not mended", f->done);
		say(to, "", "", text);
	}
	if (f->level == FINDING_MENDED)
		return;
	snprintf(text, sizeof(text), "Next: %s", finding_next(f));
	say(to, "", "", text);
}

static void say_check(struct buf *to, const struct patient *p, const struct check *c, size_t from)
{
	if (p->findings.n == from && p->note[0] != '\0')
		say(to, "ok", c->id, p->note);
	for (size_t i = from; i < p->findings.n; i++)
		say_finding(to, &p->findings.row[i]);
	if (p->findings.n > from && text_equal(c->id, "keys") && p->note[0] != '\0')
		say(to, "", "", p->note);
}

static void say_end(struct buf *to, const struct patient *p)
{
	size_t errors = findings_count(&p->findings, FINDING_ERROR) + p->findings.more;
	size_t warnings = findings_count(&p->findings, FINDING_WARNING);
	size_t mended = findings_count(&p->findings, FINDING_MENDED);
	buf_add_fmt(to, "errors: %zu, warnings: %zu", errors, warnings);
	if (mended > 0)
		buf_add_fmt(to, ", mended: %zu", mended);
	buf_add_text(to, errors + warnings > 0 ? "; `vccctl explain CODE` says more\n" : "\n");
}

static json_t *finding_json(const struct finding *f)
{
	char code[ERR_CODE_SIZE];
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*}", "level", finding_level_name(f->level), "code",
			 err_code(f->why.code, code), "object", f->why.object, "cause", f->why.cause, "next", finding_next(f),
			 "done", f->done[0] != '\0' ? f->done : NULL);
}

static json_t *check_json(const struct patient *p, const struct check *c, size_t from, bool skipped)
{
	json_t *rows = json_array();
	for (size_t i = from; i < p->findings.n; i++)
		json_array_append_new(rows, finding_json(&p->findings.row[i]));
	return json_pack("{s:s, s:s, s:b, s:s*, s:o}", "check", c->id, "question", c->question, "skipped", (int)skipped, "note",
			 p->note[0] != '\0' ? p->note : NULL, "findings", rows);
}

/* ---- all of it ---------------------------------------------------------------------------------------------------- */

/* For people line by line: a silent listener or an RSA key takes seconds. */
static void print_text(struct buf *text)
{
	printf("%.*s", (int)text->n, (const char *)text->p);
	fflush(stdout);
	buf_reset(text);
}

static void examine(struct patient *p, bool json, json_t *list)
{
	struct buf text = BUF_MAX(VIEW_MAX);
	for (size_t i = 0; i < N_ELEMENTS(checks); i++) {
		const struct check *c = &checks[i];
		size_t              from = p->findings.n;
		bool                skipped = c->asks_keeper && p->status == NULL;
		p->check = c->id;
		p->note[0] = '\0';
		if (skipped)
			say(&text, "skipped", c->id, c->question);
		else
			c->run(p);
		say_check(&text, p, c, from);
		json_array_append_new(list, check_json(p, c, from, skipped));
		if (!json)
			print_text(&text);
	}
	buf_reset(&text);
	say_end(&text, p);
	if (!json)
		print_text(&text);
	buf_free(&text);
}

static void print_json(const struct patient *p, json_t *list)
{
	json_t *root = json_pack("{s:s, s:O, s:I, s:I, s:I}", "agent", doctor_text(p->status, "agent"), "checks", list,
				 "errors", (json_int_t)findings_count(&p->findings, FINDING_ERROR) + (json_int_t)p->findings.more,
				 "warnings", (json_int_t)findings_count(&p->findings, FINDING_WARNING), "mended",
				 (json_int_t)findings_count(&p->findings, FINDING_MENDED));
	if (root != NULL && json_dumpf(root, stdout, JSON_INDENT(2)) == 0)
		printf("\n");
	json_decref(root);
}

static int patient_open(struct patient *p, struct refusal *why)
{
	ask_keeper(p);
	read_targets(p);
	return doctor_behind(p, why);
}

int doctor(const struct agent_conf *conf, bool fix, bool json)
{
	struct patient *p = calloc(1, sizeof(*p));
	struct refusal  why = {.code = 0};
	char            words[640];
	json_t         *list = json_array();
	int             status = STATUS_DONE;
	if (p == NULL)
		return STATUS_FAILED;
	*p = (struct patient){.conf = conf, .root = "", .fix = fix, .now = clock_now()};
	if (patient_open(p, &why) != 0) {
		fprintf(stderr, "vcc-agent: %s\n", refusal_text(&why, words, sizeof(words)));
		status = STATUS_FAILED;
	} else {
		examine(p, json, list);
		if (json)
			print_json(p, list);
		if (findings_count(&p->findings, FINDING_ERROR) + p->findings.more > 0)
			status = STATUS_WRONG;
	}
	patient_close(p);
	json_decref(list);
	free(p);
	return status;
}
