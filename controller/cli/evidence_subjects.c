/* evidence_subjects.c - room controller/cli: which certificates and campaigns are part of a period, by the audit trail.
 * Never: fetching their evidence. */
#include "controller/cli/evidence_subjects.h"

#include <stdio.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

/* What makes a certificate or a campaign part of a period; EVIDENCE_ZIP_README and docs/operations.md say it in words. A record of a revocation names its certificate's owner, which may be a host. */
static const struct {
	const char *event;
	enum { OF_CERTIFICATE, OF_OWNER, OF_CAMPAIGN } what;
} events[] = {
	{"certificate_issued", OF_CERTIFICATE},
	{"certificate_renewal_completed", OF_CERTIFICATE},
	{"certificate_renewal_failed", OF_CERTIFICATE},
	{"certificate_renewal_paused", OF_CERTIFICATE},
	{"certificate_renewal_rolled_back", OF_CERTIFICATE},
	{"certificate_suspended", OF_CERTIFICATE},
	{"certificate_resumed", OF_CERTIFICATE},
	{"certificate_requested", OF_CERTIFICATE},
	{"certificate_revoked", OF_OWNER},
	{"campaign_started", OF_CAMPAIGN},
	{"emergency_recertification_started", OF_CAMPAIGN},
	{"drill_started", OF_CAMPAIGN},
};

static void take(struct evidence_subjects *s, const json_t *record, int what, int64_t until)
{
	const char *object = json_string_value(json_object_get(record, "object"));
	json_t     *to = what == OF_CAMPAIGN ? s->campaigns : s->certificates;
	int64_t     at = json_integer_value(json_object_get(record, "at_ms"));
	if (object == NULL || object[0] == '\0' || at >= until)
		return;
	if (what != OF_OWNER || json_object_get(to, object) == NULL)
		json_object_set_new(to, object, json_boolean(what != OF_OWNER));
}

/* A page at a time: of a trail that is long the names are kept, and nothing else. */
static int walk(const struct client *c, size_t i, const char *since, int64_t until, size_t max, struct evidence_subjects *s, struct refusal *why)
{
	char path[CLIENT_PATH_SIZE], cursor[256] = "";
	int  r;
	do {
		json_t *answer = NULL, *record;
		size_t  k;
		(void)snprintf(path, sizeof(path), "/api/v1/audit?event=%s&since=%s&limit=500%s%s", events[i].event, since,
			       cursor[0] != '\0' ? "&cursor=" : "", cursor);
		r = client_call(c, "GET", path, NULL, NULL, &answer, why);
		if (r != EXIT_DONE)
			return r;
		json_array_foreach(json_object_get(answer, "items"), k, record) take(s, record, (int)events[i].what, until);
		const char *next = json_string_value(json_object_get(answer, "next_cursor"));
		text_cut(cursor, sizeof(cursor), next != NULL ? next : "");
		json_decref(answer);
		if (json_object_size(s->certificates) + json_object_size(s->campaigns) > max)
			return refuse(why, E_EVIDENCE_LARGE, "--since", "more than %zu certificates and campaigns: take a shorter period", max), EXIT_FAILED;
	} while (cursor[0] != '\0');
	return EXIT_DONE;
}

int evidence_subjects_find(const struct client *c, int64_t since, int64_t until, size_t max, struct evidence_subjects *ret, struct refusal *why)
{
	char text[TIME_TEXT_SIZE];
	int  r = EXIT_DONE;
	*ret = (struct evidence_subjects){json_object(), json_object()};
	(void)time_text(since, text);
	for (size_t i = 0; i < N_ELEMENTS(events) && r == EXIT_DONE; i++)
		r = walk(c, i, text, until, max, ret, why);
	return r;
}

void evidence_subjects_free(struct evidence_subjects *s)
{
	json_decref(s->certificates);
	json_decref(s->campaigns);
	*s = (struct evidence_subjects){NULL, NULL};
}
