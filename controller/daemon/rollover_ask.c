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
#include "controller/daemon/fleet.h"
#include "controller/daemon/rollover_left.h"
#include "controller/daemon/rollover_root.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { REQUESTS = 20, CONSUMER_SIZE = 200, LOOK_MS = 60 * 1000 };

/* What a request says, for who makes it again. */
struct said {
	json_t     *what; /* owned */
	bool        emergency, override;
	const char *reason;
	json_t     *consumers, *breaks, *warnings; /* of `what` */
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
	ret->warnings = json_object_get(ret->what, "warnings");
	if (ret->reason == NULL)
		ret->reason = "";
	return 0;
}

/* ---- was it asked for already? ---------------------------------------------------------------------------------- */

enum { STREAM_ROLLOVER = 1 << 0, STREAM_EMERGENCY = 1 << 1, STREAM_RETIREMENT = 1 << 2 };

static unsigned stream_of(enum approval_kind kind, bool emergency)
{
	return kind == APPROVAL_CA_RETIREMENT ? STREAM_RETIREMENT : emergency ? STREAM_EMERGENCY : STREAM_ROLLOVER;
}

/* Of a request that waits, or was rejected after `answered`. */
static unsigned stream_of_row(const struct approval *a, int64_t answered)
{
	struct said said;
	bool        rejected = a->state == APPROVAL_REJECTED && a->decided_at > answered;
	if ((a->kind != APPROVAL_CA_ROLLOVER && a->kind != APPROVAL_CA_RETIREMENT) || (a->state != APPROVAL_WAITING && !rejected))
		return 0;
	if (said_read(a, &said) < 0)
		return stream_of(a->kind, false);
	json_decref(said.what);
	return stream_of(a->kind, said.emergency);
}

/* 0: no request of these streams waits, on its way to the store or in it, nor was one rejected after `answered` (TIME_NEVER:
 * whatever was rejected). E_ROLLOVER_OPEN; E_API_UNAVAILABLE: nobody can tell. */
static int not_asked(struct controller *ctl, const struct catalog_issuer *issuer, unsigned streams, int64_t answered)
{
	struct approval *rows = calloc(REQUESTS, sizeof(*rows));
	size_t           n = 0;
	int              r = (issuer->asked & streams) != 0 ? E_ROLLOVER_OPEN : rows == NULL ? E_NOMEM : 0;
	if (r == 0 && view_approvals_of(ctl->view, issuer->row.issuer_id, (struct id){{0}}, rows, REQUESTS, &n) < 0)
		r = E_API_UNAVAILABLE;
	for (size_t i = 0; r == 0 && i < n; i++)
		if ((stream_of_row(&rows[i], answered) & streams) != 0)
			r = E_ROLLOVER_OPEN;
	free(rows);
	return r;
}

struct asking {
	char     issuer_id[ISSUER_ID_SIZE];
	unsigned stream;
};

/* It is in the store, or it is not: what stands there counts from now on. */
static void asked(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct asking   *a = value;
	struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, a->issuer_id);
	if (issuer != NULL)
		issuer->asked &= ~a->stream;
}

/* ---- beginning -------------------------------------------------------------------------------------------------- */

static unsigned number_of(const char *issuer_id)
{
	const char *dash = strrchr(issuer_id, '-');
	return dash != NULL ? (unsigned)strtoul(dash + 1, NULL, 10) : 0;
}

/* Of a root the one that a person made and hosts know; none there is none. */
static void root_after(struct controller *ctl, const struct issuer *old, char ret[ISSUER_ID_SIZE])
{
	const struct rollover *own = rollovers_find(ctl, old->issuer_id);
	ret[0] = '\0';
	if (rollover_root_next(ctl, old, ret, NULL) < 0 && own != NULL)
		text_cut(ret, ISSUER_ID_SIZE, own->successor_id);
}

/* The one of what is under way, or of an earlier try that stands by, else the next number of the role. */
static void successor_of(struct controller *ctl, const struct issuer *old, char ret[ISSUER_ID_SIZE])
{
	unsigned               highest = signer_highest(ctl, old->role), mine = number_of(old->issuer_id);
	const struct rollover *under_way = rollovers_turnable(ctl, old->issuer_id);
	if (old->role == ISSUER_ROOT) {
		root_after(ctl, old, ret);
		return;
	}
	if (under_way != NULL) {
		text_cut(ret, ISSUER_ID_SIZE, under_way->successor_id);
		return;
	}
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

/* The switch would lead to one that was revoked meanwhile. The old one signs yet: a person goes back and asks again. */
static bool leads_to_nobody(struct controller *ctl, const struct rollover *r)
{
	const struct catalog_issuer *successor = catalog_issuer(ctl->catalog, r->successor_id);
	return r->phase == ROLLOVER_TRUST && (successor == NULL || successor->row.revoked_at != 0 || successor->row.retired);
}

/* With everything below it, so nothing else may be under way. */
static int root_may_begin(struct controller *ctl, const struct catalog_issuer *root, struct refusal *why)
{
	char next[ISSUER_ID_SIZE];
	if (root->row.standing != ISSUER_ISSUES || root->row.retired)
		return E_ROLLOVER_STATE;
	return rollovers_any(ctl) ? E_ROLLOVER_OPEN : rollover_root_next(ctl, &root->row, next, why);
}

/* An emergency is possible although the CA gives way already: what is under way becomes one. Also where it is itself the
 * successor of one that gives way, as soon as it issues. */
static int may_begin(struct controller *ctl, const char *issuer_id, bool emergency, struct catalog_issuer **ret)
{
	*ret = catalog_issuer(ctl->catalog, issuer_id);
	if (*ret == NULL)
		return E_NOT_FOUND;
	if ((*ret)->row.role == ISSUER_ROOT)
		return emergency ? E_ROLLOVER_ROOT : root_may_begin(ctl, *ret, NULL);
	const struct rollover *turnable = emergency ? rollovers_turnable(ctl, issuer_id) : NULL;
	if (turnable != NULL)
		return leads_to_nobody(ctl, turnable) ? E_ROLLOVER_STATE : 0;
	const struct rollover *own = rollovers_find(ctl, issuer_id);
	bool                   under_way = own != NULL && !rollover_flow_is_over(own);
	bool                   issues = (*ret)->row.standing == ISSUER_ISSUES && !(*ret)->row.retired;
	if (under_way || (rollovers_touches(ctl, issuer_id) && !(emergency && issues)))
		return E_ROLLOVER_OPEN;
	return issues ? 0 : E_ROLLOVER_STATE;
}

static const char *cause_of(int r)
{
	return r == E_NOT_FOUND       ? "there is no such CA"
	       : r == E_ROLLOVER_STATE ? "it signs nothing any more; or, where it waits at `trust`, its successor is revoked: roll back and ask "
					 "again, then another is made"
	       : r == E_ROLLOVER_ROOT ? "a root has no emergency: who has its key makes whatever it signed worthless, and a new "
					"installation with a root of its own has to take its place"
				      : NULL;
}

/* What is missing for a root to give way is told in words. */
static int begin_refused(struct controller *ctl, int r, const char *issuer_id, bool emergency, struct refusal *why)
{
	const struct catalog_issuer *root = catalog_issuer(ctl->catalog, issuer_id);
	if (r == E_ROLLOVER_ROOT && !emergency && root != NULL && root_may_begin(ctl, root, why) == E_ROLLOVER_ROOT)
		return r;
	const char *cause = cause_of(r);
	return refuse(why, r, issuer_id, "%s", cause != NULL ? cause : err_what(r));
}

int rollover_ask_possible(struct controller *ctl, const char *issuer_id, bool emergency, struct refusal *why)
{
	struct catalog_issuer *issuer;
	int                    r = may_begin(ctl, issuer_id, emergency, &issuer);
	return r == 0 ? 0 : begin_refused(ctl, r, issuer_id, emergency, why);
}

/* What a person has to know before saying yes to an emergency, as it is now. */
json_t *rollover_ask_warnings(struct controller *ctl, const char *issuer_id)
{
	const struct catalog_issuer *old = catalog_issuer(ctl->catalog, issuer_id);
	const struct catalog_issuer *root = old != NULL ? catalog_issuer(ctl->catalog, old->row.parent_id) : NULL;
	json_t                      *list = json_array();
	if (root != NULL && root->offline)
		json_array_append_new(list, json_sprintf("the key of %s is not with the signer: the CA is closed all the same, and nothing is signed in "
							 "its place before that key is there",
							 root->row.issuer_id));
	if (old != NULL && old->row.role == ISSUER_AGENT)
		json_array_append_new(list, json_sprintf("the identities of hosts are not issued again by a campaign: each changes at half of its life. %u "
							 "hosts are connected; retiring the CA before they changed cuts them off until they return by "
							 "their host key",
							 fleet_count(ctl)));
	return list;
}

/* `warnings`: of a request that is made again: it stays what it was, whether a key came or went. NULL = as they are now. */
static json_t *begin_what(struct controller *ctl, const struct issuer *old, bool emergency, const char *reason, json_t *warnings)
{
	char    successor_id[ISSUER_ID_SIZE];
	json_t *shown = authority_json(old, clock_now());
	successor_of(ctl, old, successor_id);
	json_t *what = json_pack(
		"{s:s,s:s,s:s,s:b,s:s,s:s}", "issuer_id", old->issuer_id, "successor_id", successor_id, "role",
		issuer_role_name(old->role), "emergency", (int)emergency, "reason", reason, "does",
		old->role == ISSUER_ROOT
			? "the next root and the authorities below it become ours; when every host trusts it and a person advances it, all "
			  "that was signed below the old one is issued again; at the end hosts forget the old one"
		: emergency
			? "the CA signs nothing more at once and for good; a new one is made; all that the old one signed for "
			  "hosts is issued again"
			: "a new CA is made; when a person advances it, all that the old one signed for hosts is issued again");
	json_object_set(what, "subject", json_object_get(shown, "subject"));
	json_object_set(what, "fingerprint", json_object_get(shown, "fingerprint"));
	json_object_set(what, "expires_at", json_object_get(shown, "expires_at"));
	json_decref(shown);
	if (old->role == ISSUER_ROOT) /* as `vcc-signer new-root` printed it */
		json_object_set_new(what, "successor_fingerprint", json_hash(rollover_root_print(ctl, successor_id)));
	if (emergency)
		json_object_set_new(what, "warnings",
				    warnings != NULL ? json_deep_copy(warnings) : rollover_ask_warnings(ctl, old->issuer_id));
	return what;
}

/* Takes over `what`. */
static void request(struct controller *ctl, struct commit *c, struct approval *a, enum approval_kind kind,
		    struct catalog_issuer *issuer, json_t *what, const struct caller *who)
{
	bool          urgent = kind == APPROVAL_CA_ROLLOVER && json_is_true(json_object_get(what, "emergency"));
	struct asking now = {.stream = stream_of(kind, urgent)};
	a->kind = kind;
	text_cut(a->object, sizeof(a->object), issuer->row.issuer_id);
	text_cut(now.issuer_id, sizeof(now.issuer_id), issuer->row.issuer_id);
	issuer->asked |= now.stream;
	commit_then(c, asked, &now, sizeof(now));
	commit_else(c, asked, &now, sizeof(now));
	if (urgent)
		approvals_request_urgent(ctl, c, a, what, who);
	else
		approvals_request(ctl, c, a, what, who);
}

bool rollover_ask_waits(struct controller *ctl, const char *issuer_id, struct id *ret)
{
	struct approval *rows = calloc(REQUESTS, sizeof(*rows));
	size_t           n = 0;
	bool             waits = false;
	if (rows == NULL || view_approvals_of(ctl->view, issuer_id, (struct id){{0}}, rows, REQUESTS, &n) < 0)
		n = 0;
	for (size_t i = 0; i < n && !waits; i++) {
		waits = rows[i].state == APPROVAL_WAITING &&
			(rows[i].kind == APPROVAL_CA_ROLLOVER || rows[i].kind == APPROVAL_CA_RETIREMENT);
		if (waits)
			*ret = rows[i].approval_id;
	}
	free(rows);
	return waits;
}

void rollover_ask_begin(struct controller *ctl, const char *issuer_id, bool emergency, const struct caller *who,
			api_done_fn *done, void *ctx)
{
	struct answer         *a = answer_new(done, ctx);
	struct catalog_issuer *issuer;
	int                    r = may_begin(ctl, issuer_id, emergency, &issuer);
	if (r == 0) /* an ordinary request that waits holds up no emergency */
		r = not_asked(ctl, issuer, STREAM_EMERGENCY | (emergency ? 0 : STREAM_ROLLOVER), TIME_NEVER);
	if (r < 0) {
		struct refusal why = {.code = 0};
		(void)begin_refused(ctl, r, issuer_id, emergency, &why);
		answer_refuse(a, r, issuer_id, why.cause);
		return;
	}
	struct commit *c = commit_new(ctl);
	request(ctl, c, &a->result.approval, APPROVAL_CA_ROLLOVER, issuer,
		begin_what(ctl, &issuer->row, emergency, who->reason, NULL), who);
	a->result.waits = true;
	commit_now(c, answer_stored, a);
}

int rollover_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct catalog_issuer *issuer;
	struct said            said;
	if (said_read(a, &said) < 0)
		return E_APPROVAL_GONE;
	if (may_begin(ctl, a->object, said.emergency, &issuer) < 0) {
		json_decref(said.what);
		return E_APPROVAL_GONE;
	}
	*ret = begin_what(ctl, &issuer->row, said.emergency, said.reason, said.warnings);
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
	int r = said_read(a, &said);
	if (r < 0)
		return r;
	text_cut(by.reason, sizeof(by.reason), said.reason);
	r = may_begin(ctl, a->object, said.emergency, &issuer);
	if (r < 0 || rollovers_turnable(ctl, a->object) != NULL) {
		json_decref(said.what);
		return r < 0 ? r : rollovers_turn(ctl, c, a->object, a->requester, &by);
	}
	successor_of(ctl, &issuer->row, successor_id);
	rollover_flow_begin(a->object, successor_id, said.emergency, clock_now(), &first);
	text_cut(first.actor, sizeof(first.actor), a->requester);
	text_cut(first.reason, sizeof(first.reason), said.reason);
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
			  rollover_is_root(r)
				  ? "what stands below the root is closed for good, and hosts are given the trust bundle without it: "
				    "whoever shows them something of it is refused from then on; there is no way back"
			  : r->emergency ? "the CA is closed and revoked by its root: all that is left below it ends"
				       : "the signer closes the CA for good: it signs its lists and OCSP responders only");
	json_object_set_new(what, "consumers", json_deep_copy(consumers));
	json_object_set_new(what, "breaks", json_deep_copy(breaks));
	json_t    *warnings = json_array();
	json_int_t identities = json_integer_value(json_object_get(breaks, left_kind_name(LEFT_AGENT)));
	if (identities > 0)
		json_array_append_new(warnings, json_sprintf("%" JSON_INTEGER_FORMAT " hosts show an identity that this CA signed: they are cut off "
							     "until they return by their host key",
							     identities));
	json_int_t signing = rollover_is_root(r) ? json_integer_value(json_object_get(breaks, left_kind_name(LEFT_SIGNING))) : 0;
	if (signing > 0)
		json_array_append_new(warnings, json_sprintf("%" JSON_INTEGER_FORMAT " certificates that sign code stand below this root: whoever checks what "
							     "they signed has to keep it for that",
							     signing));
	json_int_t external = rollover_is_root(r) ? json_integer_value(json_object_get(breaks, left_kind_name(LEFT_EXTERNAL))) : 0;
	if (external > 0)
		json_array_append_new(warnings, json_sprintf("%" JSON_INTEGER_FORMAT " certificates by request stand below this root: hosts refuse them from then on",
							     external));
	json_object_set_new(what, "warnings", warnings);
	return what;
}

/* What ends with it, as it was counted last; where nothing is revoked nothing breaks. */
static json_t *breaks_of(struct controller *ctl, const struct rollover *r)
{
	json_t *shown = r->emergency || rollover_is_root(r) ? rollovers_json(ctl, r->issuer_id, clock_now()) : NULL;
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
	struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, issuer_id);
	if (r == 0)
		r = issuer == NULL ? E_NOT_FOUND : not_asked(ctl, issuer, STREAM_RETIREMENT, TIME_NEVER);
	if (r < 0) {
		answer_refuse(a, r, issuer_id, r == E_NOT_FOUND ? "this CA was never asked to give way" : NULL);
		return;
	}
	struct commit *c = commit_new(ctl);
	json_t        *breaks = breaks_of(ctl, rollover);
	request(ctl, c, &a->result.approval, APPROVAL_CA_RETIREMENT, issuer,
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

/* A person's way back counts as a no, and a no as long as a request. */
static bool was_declined(struct controller *ctl, const char *issuer_id, int64_t answered)
{
	const struct rollover *last = rollovers_find(ctl, issuer_id);
	return last != NULL && last->phase == ROLLOVER_ROLLED_BACK && last->ended_at > answered;
}

static void ask_for_old_one(struct controller *ctl, struct catalog_issuer *issuer, int64_t now)
{
	struct caller   who = {.actor = "scheduler"};
	struct approval a = {.kind = APPROVAL_CA_ROLLOVER};
	int64_t         longest = longest_of(ctl, issuer), answered = now - ctl->conf->approval_life_ms;
	if (!rollover_flow_is_due(issuer->row.not_after_at, longest, now) || rollovers_touches(ctl, issuer->row.issuer_id) ||
	    was_declined(ctl, issuer->row.issuer_id, answered) ||
	    not_asked(ctl, issuer, STREAM_ROLLOVER | STREAM_EMERGENCY, answered) < 0)
		return;
	(void)snprintf(who.reason, sizeof(who.reason), "it ends in %lld d, and signs for up to %lld d",
		       (long long)((issuer->row.not_after_at - now) / MS_DAY), (long long)(longest / MS_DAY));
	log_line(LOG_LEVEL_WARNING, NULL, "CA %s is to give way: %s; a person has to agree", issuer->row.issuer_id, who.reason);
	struct commit *c = commit_new(ctl);
	request(ctl, c, &a, APPROVAL_CA_ROLLOVER, issuer, begin_what(ctl, &issuer->row, false, who.reason, NULL), &who);
	commit_now(c, NULL, NULL);
}

void rollover_ask_tick(struct controller *ctl, int64_t now)
{
	if (now < ctl->rollover_look_at)
		return;
	ctl->rollover_look_at = now + LOOK_MS;
	for (size_t i = 0; catalog_issuer_at(ctl->catalog, i) != NULL; i++) {
		struct catalog_issuer *issuer = catalog_issuer_at(ctl->catalog, i);
		if (issuer->row.role != ISSUER_ROOT && catalog_signs(ctl->catalog, issuer, issuer->row.role) == 0)
			ask_for_old_one(ctl, issuer, now);
	}
}
