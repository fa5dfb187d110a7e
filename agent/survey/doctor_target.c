/* doctor_target.c - room agent/survey: the doctor's checks of each target: its file, what is served, what lies on disk, what
 * went wrong last. Never: changing anything. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/survey/doctor_part.h"
#include "shared/base/text.h"

/* ---- target files ------------------------------------------------------------------------------------------------ */

static bool below_local(const struct names *names, struct san *ret)
{
	size_t cursor = 0;
	while (names_next(names, &cursor, ret))
		if (text_ends(ret->text, ".local"))
			return true;
	return false;
}

/* What the controller holds against a file; what the keeper cannot read was read here, too. */
static void problems_find(struct patient *p)
{
	size_t  i;
	json_t *row;
	json_array_foreach(json_object_get(p->status, "problems"), i, row)
	{
		const char *file = doctor_text(row, "file");
		int         code = doctor_code(row, "code");
		char        object[CERT_ID_SIZE + 8];
		snprintf(object, sizeof(object), "%.*s.conf", CERT_ID_SIZE, file);
		if (text_equal(doctor_text(row, "from"), "controller") && code != 0)
			doctor_find(p, FINDING_ERROR, code, object, "the controller says: %s", doctor_text(row, "text"));
	}
}

void doctor_files(struct patient *p)
{
	static char    stems[DOCTOR_TARGETS_MAX][CERT_ID_SIZE];
	struct refusal why = {.code = 0};
	size_t         n = 0;
	size_t         before = p->findings.n;
	struct san     name;
	if (target_conf_list(p->conf->targets_dir, stems, DOCTOR_TARGETS_MAX, &n, &why) != 0) {
		doctor_find(p, FINDING_ERROR, why.code, why.object, "%s", why.cause);
		return;
	}
	struct target_conf *one = calloc(1, sizeof(*one));
	for (size_t i = 0; one != NULL && i < n; i++)
		if (target_conf_load(p->conf->targets_dir, stems[i], one, &why) != 0)
			doctor_find(p, FINDING_ERROR, why.code, why.object, "%s", why.cause);
		else if (below_local(&one->names, &name))
			doctor_find(p, FINDING_WARNING, E_DOCTOR_DOMAIN, one->stem, "names = %.200s", name.text);
	free(one);
	problems_find(p);
	if (p->findings.n == before)
		doctor_note(p,
			    n == 0 ? "none: `vcc-agent discover` shows what could be managed"
				   : "%zu read, nothing is wrong with them",
			    n);
}

/* ---- served ------------------------------------------------------------------------------------------------------ */

static void listener_judge(struct patient *p, const struct target_conf *t, const json_t *s, const struct look *l)
{
	static const char *const words[LOOK_RESULT_COUNT] = {[LOOK_UNKNOWN] = "was not asked",
							     [LOOK_NONE] = "speaks TLS, but shows no certificate for this name",
							     [LOOK_PLAIN] = "does not speak TLS",
							     [LOOK_SILENT] = "does not answer",
							     [LOOK_REFUSED] = "refuses the connection"};
	char                     seen[HASH_TEXT_SIZE];
	char                     age[TIME_TEXT_SIZE];
	const char              *issued = doctor_text(s, "fingerprint");
	int64_t                  since_at = doctor_time(s, "served_since");
	if (l->result != LOOK_SERVED) {
		doctor_find(p, FINDING_ERROR, E_SWAP_PROBE, t->stem, "%s %s", l->address, words[l->result]);
		return;
	}
	(void)hash_text(l->fingerprint, seen);
	if (issued[0] == '\0' || text_equal(seen, issued) || text_equal(doctor_text(s, "served_state"), "changing"))
		return; /* nothing to compare with, right, or in the middle of a swap */
	struct finding *f =
		doctor_find(p, FINDING_ERROR, E_SWAP_STALE, t->stem, "%s serves %.8s, issued is %.8s%s%s", l->address, seen,
			    issued, since_at != 0 ? ", for " : "", since_at != 0 ? duration_brief(p->now - since_at, age) : "");
	text_cut(f->next, sizeof(f->next),
		 "Look at the service's log; check that it reads the files below current/. The keeper tries the reload again "
		 "by itself.");
}

void doctor_listeners(struct patient *p)
{
	size_t before = p->findings.n;
	size_t asked = 0;
	for (size_t i = 0; i < p->n_targets; i++) {
		const struct target_conf *t = &p->target[i];
		const json_t             *s = doctor_target(p, t->stem);
		struct look              *looks = NULL;
		size_t                    n = doctor_look(t, &looks);
		for (size_t k = 0; k < n; k++)
			listener_judge(p, t, s, &looks[k]);
		asked += n;
		free(looks);
	}
	if (p->findings.n == before)
		doctor_note(
			p, asked == 0 ? "no target is proved by handshakes" : "asked just now: %zu, each serves what it should",
			asked);
}

/* ---- on disk ----------------------------------------------------------------------------------------------------- */

static void disk_judge(struct patient *p, const json_t *s)
{
	const char   *stem = doctor_text(s, "stem");
	const char   *issued = doctor_text(s, "fingerprint");
	const char   *lies = doctor_text(s, "on_disk_fingerprint");
	const json_t *care = json_object_get(s, "care");
	char          age[TIME_TEXT_SIZE];
	if (json_is_true(json_object_get(s, "expired")))
		doctor_find(p, FINDING_ERROR, E_DOCTOR_ENDED, stem, "it ended %s ago",
			    duration_brief(p->now - doctor_time(s, "not_after"), age));
	if (issued[0] != '\0' && !text_equal(issued, lies) && !text_equal(doctor_text(s, "served_state"), "changing"))
		doctor_find(p, FINDING_ERROR, E_SWAP_FILES, stem, "current/ holds %.8s, issued is %.8s",
			    lies[0] != '\0' ? lies : "nothing", issued);
	if (doctor_text(care, "drift")[0] != '\0')
		doctor_find(p, FINDING_ERROR, E_SWAP_FILES, stem, "%s", doctor_text(care, "drift"));
}

void doctor_disk(struct patient *p)
{
	size_t  before = p->findings.n;
	size_t  i;
	json_t *s;
	json_array_foreach(json_object_get(p->status, "targets"), i, s) disk_judge(p, s);
	if (p->findings.n == before)
		doctor_note(p, "every target's files are those of the issued certificate");
}

/* ---- rehearsal, orders, lists ------------------------------------------------------------------------------------ */

static void rehearsal_judge(struct patient *p, const json_t *s, int64_t *last)
{
	const char   *stem = doctor_text(s, "stem");
	const json_t *care = json_object_get(s, "care");
	int           code = doctor_code(care, "rehearsal_code");
	int64_t       at = doctor_time(care, "rehearsed_at");
	char          age[TIME_TEXT_SIZE];
	if (code != 0)
		doctor_find(p, FINDING_ERROR, code, stem, "at the last rehearsal: a renewal would not work now (%s)",
			    err_what(code));
	else if (json_is_true(json_object_get(care, "rehearsal_late")))
		doctor_find(p, FINDING_ERROR, E_DOCTOR_REHEARSAL, stem, "the last one that went well was %s",
			    at == 0 ? "never" : duration_brief(p->now - at, age));
	if (at != 0 && (*last == 0 || at < *last))
		*last = at;
}

void doctor_rehearsal(struct patient *p)
{
	size_t  before = p->findings.n;
	int64_t last = 0;
	char    age[TIME_TEXT_SIZE];
	size_t  i;
	json_t *s;
	json_array_foreach(json_object_get(p->status, "targets"), i, s) rehearsal_judge(p, s, &last);
	if (p->findings.n > before)
		return;
	if (last != 0)
		doctor_note(p, "a renewal would work: tried for each target, the longest ago %s",
			    duration_brief(p->now - last, age));
	else
		doctor_note(p, "none was made yet: the first runs ten minutes after the first issue");
}

void doctor_orders(struct patient *p)
{
	size_t  before = p->findings.n;
	size_t  i;
	json_t *s;
	json_array_foreach(json_object_get(p->status, "targets"), i, s)
	{
		int code = doctor_code(s, "last_code");
		if (code == 0 || code == E_SWAP_CANCELLED || findings_have(&p->findings, code, doctor_text(s, "stem")))
			continue;
		doctor_find(p, FINDING_ERROR, code, doctor_text(s, "stem"), "%s", doctor_text(s, "last_error"));
	}
	if (p->findings.n == before)
		doctor_note(p, "the last one of each target went well");
}

void doctor_lists(struct patient *p)
{
	const json_t *lists = json_object_get(p->status, "lists");
	int           code = doctor_code(lists, "code");
	char          left[TIME_TEXT_SIZE];
	if (lists == NULL)
		return; /* no target wants any */
	if (code != 0)
		doctor_find(p, FINDING_ERROR, code, "revocation lists", "%s", doctor_text(lists, "error"));
	else if (doctor_time(lists, "ends") != 0)
		doctor_note(p, "good for another %s", duration_brief(doctor_time(lists, "ends") - p->now, left));
}
