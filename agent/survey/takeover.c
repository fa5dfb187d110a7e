/* takeover.c - room agent/survey: ends another tool's renewal of a certificate, in the tool's own way.
 * Never: other certificates of the tool; its timers. */
#include "agent/survey/takeover.h"

#include <stdio.h>
#include <string.h>

#include "agent/survey/command.h"
#include "agent/survey/unit_facts.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

#define GETCERT    "/usr/bin/getcert"
#define CERTMONGER "certmonger.service"
#define AUTORENEW_OFF "autorenew = False\n"
enum { GETCERT_MS = 60000 };

/* ---- the plan ----------------------------------------------------------------------------------------------------- */

/* The place behind the line "[renewalparams]"; 0 = there is none. */
static size_t section_end(struct span text)
{
	static const char section[] = "\n[renewalparams]";
	const size_t      n = sizeof(section) - 1;
	const uint8_t    *found = text.n > 0 ? memmem(text.p, text.n, section, n) : NULL;
	if (found == NULL && text.n >= n && memcmp(text.p, section + 1, n - 1) == 0)
		found = text.p; /* in the first line */
	const uint8_t *end = found != NULL ? memchr(found + 1, '\n', text.n - (size_t)(found + 1 - text.p)) : NULL;
	return end != NULL ? (size_t)(end - text.p) + 1 : 0;
}

static int plan_certbot(struct plan *p, const struct renewer *r, struct refusal *why)
{
	size_t index = 0;
	int    code = plan_file(p, r->conf, 0, &index, why);
	if (code != 0)
		return code;
	struct undo_file *f = &p->undo.file[index];
	const struct span old = buf_span(&f->before.bytes);
	const struct edit edit = {.start = section_end(old), .end = section_end(old), .text = AUTORENEW_OFF};
	if (edit.start == 0)
		return refuse(why, E_SURVEY_RENEWER, r->conf, "it has no section [renewalparams]");
	if (memmem(old.p, old.n, "autorenew", strlen("autorenew")) != NULL) /* certbot reads no file with one name twice */
		return refuse(why, E_SURVEY_RENEWER, r->conf, "it has an `autorenew` already: set that to False by hand");
	code = edits_apply(old, &edit, 1, 0, &p->after[index]);
	digest_sha256(buf_span(&p->after[index]), &f->after);
	/* certbot may write the file anew meanwhile: our line alone is taken back then, wherever it stands */
	text_cut(f->swap[0].from, SITE_VALUE_SIZE, "\n");
	text_cut(f->swap[0].into, SITE_VALUE_SIZE, "\n" AUTORENEW_OFF);
	f->n_swaps = 1;
	return code;
}

static int plan_removal(struct plan *p, const struct renewer *r, const char *suffix, struct refusal *why)
{
	size_t index = 0;
	int    code = plan_file(p, r->conf, 0, &index, why);
	if (code != 0)
		return code;
	struct undo_file *f = &p->undo.file[index];
	f->removed = true;
	if (suffix[0] == '\0')
		return 0;
	int n = snprintf(f->moved, sizeof(f->moved), "%s%s", f->path, suffix);
	return n > 0 && (size_t)n < sizeof(f->moved) ? 0 : refuse(why, E_SURVEY_LIMIT, f->path, "the path is too long");
}

int takeover_plan(struct plan *p, enum renewer_kind from, struct refusal *why)
{
	const struct renewer *r = &p->service->renewer;
	if (from == RENEWER_NONE)
		return 0;
	if (r->kind != from)
		return refuse(why, E_SURVEY_RENEWER, renewer_kind_name(from), "this certificate is renewed by %s",
			      r->kind == RENEWER_NONE ? "nobody that is known here" : renewer_kind_name(r->kind));
	p->undo.renewer = *r;
	switch (from) {
	case RENEWER_CERTBOT:
		return plan_certbot(p, r, why);
	case RENEWER_CERTMONGER:
		return plan_removal(p, r, "", why);
	default:
		return plan_removal(p, r, ".removed", why);
	}
}

void takeover_show(const struct plan *p, FILE *to)
{
	const struct renewer *now = &p->service->renewer;
	if (p->undo.renewer.kind == RENEWER_CERTMONGER)
		fprintf(to, "run    %s stop-tracking -i %s\n", GETCERT, p->undo.renewer.name);
	else if (p->undo.renewer.kind == RENEWER_NONE && now->kind != RENEWER_NONE)
		fprintf(to, "note   %s goes on renewing %s (%s); --from %s ends that\n", renewer_kind_name(now->kind),
			p->service->cert, now->name, renewer_kind_name(now->kind));
}

/* ---- certmonger --------------------------------------------------------------------------------------------------- */

/* Not running, it would read its records at its next start only: then the file alone is taken away. */
static bool certmonger_runs(void)
{
	return unit_systemd_runs() && unit_is_active(CERTMONGER);
}

int takeover_tell(const struct undo *u, struct refusal *why)
{
	const char *const argv[] = {GETCERT, "stop-tracking", "-i", u->renewer.name, NULL};
	struct buf        out = BUF_MAX(COMMAND_OUTPUT_MAX);
	char              line[200];
	int               status = 0;
	if (u->renewer.kind != RENEWER_CERTMONGER || !certmonger_runs())
		return 0;
	if (u->renewer.name[0] == '-')
		return refuse(why, E_SURVEY_RENEWER, u->renewer.name, "this is no request of certmonger");
	int r = command_run(argv, GETCERT_MS, &out, &status, why);
	if (r == 0 && status != 0) {
		command_why(&out, line, sizeof(line));
		r = refuse(why, E_SURVEY_RENEWER, u->renewer.name, "getcert stop-tracking ended with %d: %s", status, line);
	}
	buf_free(&out);
	return r;
}

bool takeover_pauses(const struct undo *u)
{
	return u->renewer.kind == RENEWER_CERTMONGER && (u->paused || certmonger_runs());
}

int takeover_pause(const struct undo *u, struct refusal *why)
{
	return u->paused ? unit_ask("stop", CERTMONGER, why) : 0;
}

int takeover_resume(const struct undo *u, struct refusal *why)
{
	return u->paused ? unit_ask("start", CERTMONGER, why) : 0;
}
