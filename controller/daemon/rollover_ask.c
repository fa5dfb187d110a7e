/* rollover_ask.c - room controller/daemon: requests about authorities that give way: asked for, shown, carried out.
 * What was shown is made again from what is there, so that a decision is about the present. Never: a step of a rollover. */
#include "controller/daemon/rollover_ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/answer.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/authorities.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { REQUESTS = 20, CONSUMER_SIZE = 200, LOOK_MS = 60 * 1000 };

/* ---- beginning -------------------------------------------------------------------------------------------------- */

static unsigned number_of(const char *issuer_id)
{
	const char *dash = strrchr(issuer_id, '-');
	return dash != NULL ? (unsigned)strtoul(dash + 1, NULL, 10) : 0;
}

/* One of an earlier try that stands by, else the next number of the role. */
static void successor_of(struct controller *ctl, const struct issuer *old, char ret[ISSUER_ID_SIZE])
{
	unsigned highest = 0, mine = number_of(old->issuer_id);
	for (size_t i = 0; catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		const struct issuer *row = &catalog_issuer_at(ctl->catalog, i)->row;
		unsigned             n = row->role == old->role ? number_of(row->issuer_id) : 0;
		bool                 fit = row->standing == ISSUER_STANDS_BY && row->revoked_at == 0 && !row->retired;
		if (n > mine && fit && text_equal(row->parent_id, old->parent_id)) {
			text_cut(ret, ISSUER_ID_SIZE, row->issuer_id);
			return;
		}
		if (n > highest)
			highest = n;
	}
	(void)snprintf(ret, ISSUER_ID_SIZE, "%s-%u", issuer_role_name(old->role), highest + 1);
}

static int may_begin(struct controller *ctl, const char *issuer_id, struct catalog_issuer **ret)
{
	*ret = catalog_issuer(ctl->catalog, issuer_id);
	if (*ret == NULL)
		return E_NOT_FOUND;
	if ((*ret)->row.role == ISSUER_ROOT)
		return E_ROLLOVER_ROOT;
	if (rollovers_touches(ctl, issuer_id))
		return E_ROLLOVER_OPEN;
	return (*ret)->row.standing != ISSUER_ISSUES || (*ret)->row.retired ? E_ROLLOVER_STATE : 0;
}

static json_t *begin_what(struct controller *ctl, const struct issuer *old, bool emergency, const char *reason)
{
	char    successor_id[ISSUER_ID_SIZE];
	json_t *shown = authority_json(old, clock_now());
	successor_of(ctl, old, successor_id);
	json_t *what = json_pack(
		"{s:s,s:s,s:s,s:b,s:s,s:s}", "issuer_id", old->issuer_id, "successor_id", successor_id, "role",
		issuer_role_name(old->role), "emergency", (int)emergency, "reason", reason, "does",
		emergency
			? "the CA signs nothing more at once and for good; a new one is made; all that the old one signed for "
			  "hosts is issued again"
			: "a new CA is made; when a person advances it, all that the old one signed for hosts is issued again");
	json_object_set(what, "subject", json_object_get(shown, "subject"));
	json_object_set(what, "fingerprint", json_object_get(shown, "fingerprint"));
	json_object_set(what, "expires_at", json_object_get(shown, "expires_at"));
	json_decref(shown);
	return what;
}

/* Does a request of this kind wait for somebody, or was it rejected lately? A no counts as long as a request. */
static bool was_asked(struct controller *ctl, const char *issuer_id, enum approval_kind kind, bool or_rejected)
{
	struct approval *rows = calloc(REQUESTS, sizeof(*rows));
	int64_t          answered = clock_now() - ctl->conf->approval_life_ms;
	size_t           n = 0;
	bool             asked = false;
	if (rows == NULL || view_approvals_of(ctl->view, issuer_id, (struct id){{0}}, rows, REQUESTS, &n) < 0)
		n = 0;
	for (size_t i = 0; i < n; i++)
		asked |= rows[i].kind == kind &&
			 (rows[i].state == APPROVAL_WAITING ||
			  (or_rejected && rows[i].state == APPROVAL_REJECTED && rows[i].decided_at > answered));
	free(rows);
	return asked;
}

static void request(struct controller *ctl, struct commit *c, struct approval *a, enum approval_kind kind,
		    const char *issuer_id, json_t *what, const struct caller *who)
{
	a->kind = kind;
	text_cut(a->object, sizeof(a->object), issuer_id);
	approvals_request(ctl, c, a, what, who);
}

void rollover_ask_begin(struct controller *ctl, const char *issuer_id, bool emergency, const struct caller *who,
			api_done_fn *done, void *ctx)
{
	struct answer         *a = answer_new(done, ctx);
	struct catalog_issuer *issuer;
	int                    r = may_begin(ctl, issuer_id, &issuer);
	if (r == 0 && was_asked(ctl, issuer_id, APPROVAL_CA_ROLLOVER, false))
		r = E_ROLLOVER_OPEN;
	if (r < 0) {
		answer_refuse(a, r, issuer_id, r == E_NOT_FOUND ? "there is no such CA" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	request(ctl, c, &a->result.approval, APPROVAL_CA_ROLLOVER, issuer_id,
		begin_what(ctl, &issuer->row, emergency, who->reason), who);
	a->result.waits = true;
	commit_now(c, answer_stored, a);
}

/* What a request says, for who makes it again. */
struct said {
	json_t     *what; /* owned */
	bool        emergency, override;
	const char *reason;
	json_t     *consumers, *breaks; /* of `what` */
};

static int said_read(const struct approval *a, struct said *ret)
{
	*ret = (struct said){.what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL)};
	if (ret->what == NULL)
		return E_APPROVAL_GONE;
	ret->emergency = json_is_true(json_object_get(ret->what, "emergency"));
	ret->override = json_is_true(json_object_get(ret->what, "override"));
	ret->reason = json_string_value(json_object_get(ret->what, "reason"));
	ret->consumers = json_object_get(ret->what, "consumers");
	ret->breaks = json_object_get(ret->what, "breaks");
	if (ret->reason == NULL)
		ret->reason = "";
	return 0;
}

int rollover_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct catalog_issuer *issuer;
	struct said            said;
	if (may_begin(ctl, a->object, &issuer) < 0 || said_read(a, &said) < 0)
		return E_APPROVAL_GONE;
	*ret = begin_what(ctl, &issuer->row, said.emergency, said.reason);
	json_decref(said.what);
	return 0;
}

int rollover_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who,
		       struct api_result *ret)
{
	struct catalog_issuer *issuer;
	struct said            said;
	struct rollover        first;
	struct caller          by = *who;
	char                   successor_id[ISSUER_ID_SIZE];
	(void)ret;
	int r = may_begin(ctl, a->object, &issuer);
	if (r == 0)
		r = said_read(a, &said);
	if (r < 0)
		return r;
	successor_of(ctl, &issuer->row, successor_id);
	rollover_flow_begin(a->object, successor_id, said.emergency, clock_now(), &first);
	text_cut(first.actor, sizeof(first.actor), a->requester);
	text_cut(first.reason, sizeof(first.reason), said.reason);
	text_cut(by.reason, sizeof(by.reason), said.reason);
	json_decref(said.what);
	return rollovers_begin(ctl, c, &first, &by);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

int rollover_consumers_check(const json_t *consumers, struct refusal *why)
{
	size_t  i, total = 0;
	json_t *one;
	if (json_array_size(consumers) > ROLLOVER_CONSUMERS_MAX)
		return refuse(why, E_API_BODY, "consumers", "%zu are named, %d may be: name groups of them",
			      json_array_size(consumers), ROLLOVER_CONSUMERS_MAX);
	json_array_foreach(consumers, i, one)
	{
		size_t n = strlen(json_string_value(one));
		if (n == 0 || n >= CONSUMER_SIZE)
			return refuse(why, E_API_BODY, "consumers", "each is a text of 1 to %d octets", CONSUMER_SIZE - 1);
		total += n + 4;
	}
	return total <= ROLLOVER_CONSUMERS_TEXT ? 0
						: refuse(why, E_API_BODY, "consumers",
							 "they are longer than %d octets together", ROLLOVER_CONSUMERS_TEXT);
}

static json_t *retire_what(const struct rollover *r, bool override, const char *reason, const json_t *consumers,
			   const json_t *breaks)
{
	json_t *what =
		json_pack("{s:s,s:s,s:b,s:b,s:s,s:s}", "issuer_id", r->issuer_id, "successor_id", r->successor_id, "emergency",
			  (int)r->emergency, "override", (int) override, "reason", reason, "does",
			  r->emergency ? "the CA is closed and revoked by its root: all that is left below it ends"
				       : "the signer closes the CA for good: it signs its lists and OCSP responders only");
	json_object_set_new(what, "consumers", json_deep_copy(consumers));
	json_object_set_new(what, "breaks", json_deep_copy(breaks));
	return what;
}

/* What ends with it, as it was counted last; where nothing is revoked nothing breaks. */
static json_t *breaks_of(struct controller *ctl, const struct rollover *r)
{
	json_t *shown = r->emergency ? rollovers_json(ctl, r->issuer_id, clock_now()) : NULL;
	json_t *left = json_incref(json_object_get(shown, "left"));
	json_decref(shown);
	return left != NULL ? left : json_null();
}

void rollover_ask_retire(struct controller *ctl, const char *issuer_id, const json_t *consumers, bool override,
			 const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer         *a = answer_new(done, ctx);
	const struct rollover *rollover = rollovers_find(ctl, issuer_id);
	int                    r = rollover == NULL ? E_NOT_FOUND : rollovers_may_retire(ctl, issuer_id, override);
	if (r == 0 && was_asked(ctl, issuer_id, APPROVAL_CA_RETIREMENT, false))
		r = E_ROLLOVER_OPEN;
	if (r < 0) {
		answer_refuse(a, r, issuer_id, r == E_NOT_FOUND ? "this CA was never asked to give way" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	json_t        *breaks = breaks_of(ctl, rollover);
	request(ctl, c, &a->result.approval, APPROVAL_CA_RETIREMENT, issuer_id,
		retire_what(rollover, override, who->reason, consumers, breaks), who);
	json_decref(breaks);
	a->result.waits = true;
	commit_now(c, answer_stored, a);
}

/* A gate that is shut meanwhile does not end the request: it may open again. */
int retirement_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	const struct rollover *rollover = rollovers_find(ctl, a->object);
	struct said            said;
	if (rollover == NULL || said_read(a, &said) < 0)
		return E_APPROVAL_GONE;
	int r = rollovers_may_retire(ctl, a->object, said.override);
	if (r == 0)
		*ret = retire_what(rollover, said.override, said.reason, said.consumers, said.breaks);
	json_decref(said.what);
	return r == E_ROLLOVER_STATE ? E_APPROVAL_GONE : r;
}

int retirement_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who,
			 struct api_result *ret)
{
	struct said   said;
	struct hash   hash;
	struct caller by = *who;
	(void)ret;
	int r = said_read(a, &said);
	if (r < 0)
		return r;
	char *text = json_dumps(said.consumers, JSON_COMPACT);
	digest_sha256(span_text(text != NULL ? text : ""), &hash);
	free(text);
	text_cut(by.reason, sizeof(by.reason), said.reason);
	r = rollovers_retire(ctl, c, a->object, said.override, (uint32_t)json_array_size(said.consumers), hash, &by);
	json_decref(said.what);
	return r;
}

/* ---- by itself -------------------------------------------------------------------------------------------------- */

/* How long the longest lives that this authority signs. */
static int64_t longest_of(struct controller *ctl, const struct catalog_issuer *issuer)
{
	int64_t longest = 0;
	if (issuer->row.role == ISSUER_AGENT)
		return ctl->conf->identity_agent_ms > ctl->conf->identity_server_ms ? ctl->conf->identity_agent_ms
										    : ctl->conf->identity_server_ms;
	for (const struct template *t = catalog_template_after(ctl->catalog, NULL); t != NULL;
	     t = catalog_template_after(ctl->catalog, t))
		if (catalog_issuer_for(ctl->catalog, t) == issuer && t->validity_ms > longest)
			longest = t->validity_ms;
	return longest;
}

static void ask_for_old_one(struct controller *ctl, const struct catalog_issuer *issuer, int64_t now)
{
	struct caller   who = {.actor = "scheduler"};
	struct approval a = {.kind = APPROVAL_CA_ROLLOVER};
	int64_t         longest = longest_of(ctl, issuer);
	if (!rollover_flow_is_due(issuer->row.not_after_at, longest, now) || rollovers_touches(ctl, issuer->row.issuer_id) ||
	    was_asked(ctl, issuer->row.issuer_id, APPROVAL_CA_ROLLOVER, true))
		return;
	(void)snprintf(who.reason, sizeof(who.reason), "it ends in %lld d, and signs for up to %lld d",
		       (long long)((issuer->row.not_after_at - now) / MS_DAY), (long long)(longest / MS_DAY));
	log_line(LOG_LEVEL_WARNING, NULL, "CA %s is to give way: %s; a person has to agree", issuer->row.issuer_id, who.reason);
	struct commit *c = commit_new(ctl);
	request(ctl, c, &a, APPROVAL_CA_ROLLOVER, issuer->row.issuer_id, begin_what(ctl, &issuer->row, false, who.reason),
		&who);
	commit_now(c, NULL, NULL);
}

void rollover_ask_tick(struct controller *ctl, int64_t now)
{
	if (now < ctl->rollover_look_at)
		return;
	ctl->rollover_look_at = now + LOOK_MS;
	for (size_t i = 0; catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		const struct catalog_issuer *issuer = catalog_issuer_at(ctl->catalog, i);
		if (issuer->row.role != ISSUER_ROOT && catalog_signs(ctl->catalog, issuer, issuer->row.role) == 0)
			ask_for_old_one(ctl, issuer, now);
	}
}
