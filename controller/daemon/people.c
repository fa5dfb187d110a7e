/* people.c - room controller/daemon: makes and changes principals and tokens, and notes that a token was used.
 * Never: deciding what a role may. */
#include "controller/daemon/people.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/rights.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/people_json.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { USES = 256, TOKENS_PAGE = 100 };

/* Tokens whose use was handed to the store in this hour; a slot that two tokens share costs a write more, never one less. */
struct use {
	struct id token_id;
	int64_t   at;
};
struct people {
	struct use uses[USES];
};

int people_open(struct people **ret)
{
	struct people *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	*ret = p;
	return 0;
}

void people_free(struct people *p)
{
	free(p);
}

void people_token_used(struct controller *ctl, const struct token *t, int64_t now)
{
	struct use *use = &ctl->people->uses[t->token_id.b[sizeof(t->token_id.b) - 1] % USES];
	if (now - t->used_at < MS_HOUR || (id_equal(use->token_id, t->token_id) && now - use->at < MS_HOUR))
		return;
	struct commit *c = commit_new(ctl);
	*use = (struct use){t->token_id, now};
	store_note_token_use(commit_change(c), t->token_id, now);
	commit_now(c, NULL, NULL);
}

/* ---- principals ------------------------------------------------------------------------------------------------ */

static void commit_principal(struct commit *c, const struct principal *old, const struct principal *next, const struct caller *who)
{
	enum audit_event event = old == NULL                         ? AUDIT_PRINCIPAL_CREATED
				 : next->disabled && !old->disabled ? AUDIT_PRINCIPAL_DISABLED
								    : AUDIT_PRINCIPAL_CHANGED;
	struct audit_of  of = {.event = event, .actor = who->actor, .object = next->name, .request_id = who->request_id, .reason = who->reason};
	if (old == NULL)
		store_add_principal(commit_change(c), next);
	else
		store_put_principal(commit_change(c), next);
	json_t *json = json_principal(next);
	commit_audit(c, &of, "{s:O,s:O,s:b,s:b,s:O}", "roles", json_object_get(json, "roles"), "services", json_object_get(json, "services"),
		     "person", next->person[0] != '\0', "mail", next->mail[0] != '\0', "disabled", json_object_get(json, "disabled")); /* whether, never who */
	json_decref(json);
	commit_fault_points(c, "controller.principal", "controller.principal_stored");
}

/* What a request shows: the principal as it is, and as it is to be. */
static json_t *principal_shown(const struct principal *p)
{
	json_t *o = json_principal(p);
	json_object_del(o, "changed_by"); /* the decision does not hang on it */
	json_object_del(o, "created_at");
	if (p->mail[0] == '\0') /* as it was before there were addresses: what waits since then keeps its hash */
		json_object_del(o, "mail");
	return o;
}

static json_t *principal_what(const struct principal *old, const struct principal *next)
{
	return json_pack("{s:o,s:o}", "before", old != NULL ? principal_shown(old) : json_null(), "after", principal_shown(next));
}

static bool is_own(const struct caller *who, const struct principal *p)
{
	return text_equal(who->actor, p->name) || text_equal(who->person, rights_person(p));
}

/* Stores it, or asks a second person; answers in any case. */
static void put_or_ask(struct controller *ctl, struct answer *a, const struct principal *old, const struct caller *who)
{
	struct commit *c = commit_new(ctl);
	if (rights_needs_approval(old, &a->result.principal)) {
		struct approval *request = &a->result.approval;
		*request = (struct approval){.kind = APPROVAL_PRINCIPAL};
		text_cut(request->object, sizeof(request->object), a->result.principal.name);
		a->result.waits = true;
		approvals_request(ctl, c, request, principal_what(old, &a->result.principal), who);
	} else {
		commit_principal(c, old, &a->result.principal, who);
	}
	commit_now(c, answer_stored, a);
}

void people_principal_put(struct controller *ctl, const struct principal *next, bool create, const struct caller *who,
			  api_done_fn *done, void *ctx)
{
	struct answer   *a = answer_new(done, ctx);
	struct principal old;
	int              r = name_principal_ok(next->name) ? view_principal(ctl->view, next->name, &old) : E_PRINCIPAL_NAME;
	bool             known = r == 0;
	if (r == E_NOT_FOUND && create)
		r = 0;
	else if (known && create)
		r = E_EXISTS;
	if (r == 0 && known && (is_own(who, &old) || is_own(who, next)))
		r = E_RIGHTS_SELF;
	if (r < 0) {
		answer_refuse(a, r, next->name, NULL);
		return;
	}
	a->result.principal = *next;
	a->result.principal.created_at = known ? old.created_at : clock_now();
	text_cut(a->result.principal.maker, sizeof(a->result.principal.maker), who->person);
	put_or_ask(ctl, a, known ? &old : NULL, who);
}

/* ---- tokens ---------------------------------------------------------------------------------------------------- */

static int count_valid(struct controller *ctl, const char *principal, int64_t now, size_t *ret)
{
	struct token *page = calloc(TOKENS_PAGE, sizeof(*page));
	struct id     after = {{0}};
	size_t        n = TOKENS_PAGE, valid = 0;
	int           r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == TOKENS_PAGE && valid < TOKENS_MAX) {
		r = view_tokens(ctl->view, principal, after, page, TOKENS_PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			valid += page[i].revoked_at == 0 && page[i].expires_at > now;
		if (r == 0 && n > 0)
			after = page[n - 1].token_id;
	}
	free(page);
	*ret = valid;
	return r;
}

/* The text is made at the last moment: what is shown once was kept nowhere before. */
static int add_token(struct controller *ctl, struct commit *c, struct token *t, const struct caller *who, char ret_text[TOKEN_PAT_SIZE])
{
	uint8_t random[TOKEN_SECRET];
	char    id[ID_TEXT_SIZE];
	random_bytes(random, sizeof(random));
	int r = token_pat_make(random, ret_text, &t->hash);
	secret_wipe(random, sizeof(random));
	if (r < 0)
		return r;
	(void)ctl;
	t->token_id = controller_id(t->created_at);
	text_cut(t->maker, sizeof(t->maker), who->person);
	store_add_token(commit_change(c), t);
	json_t *json = json_token(t);
	commit_audit(c,
		     &(struct audit_of){
			     .event = AUDIT_TOKEN_CREATED, .actor = who->actor, .object = t->principal, .request_id = who->request_id, .reason = who->reason},
		     "{s:s,s:s,s:O,s:O,s:O}", "token_id", id_text(t->token_id, id), "label", t->label, "roles",
		     json_object_get(json, "roles"), "services", json_object_get(json, "services"), "expires_at",
		     json_object_get(json, "expires_at"));
	json_decref(json);
	commit_fault_points(c, "controller.token", "controller.token_stored");
	return 0;
}

static json_t *token_what(const struct token *t, const struct principal *p)
{
	json_t     *json = json_token(t);
	json_t     *owner = principal_shown(p);
	const char *gone[] = {"token_id", "created_at", "used_at", "revoked_at", "made_by"};
	for (size_t i = 0; i < N_ELEMENTS(gone); i++)
		json_object_del(json, gone[i]);
	return json_pack("{s:o,s:o}", "token", json, "principal", owner);
}

/* A narrow token makes narrow ones; a whole one makes tokens that follow what their principal has. */
static void default_scope(struct token *t, const struct principal *as, const struct principal *owner)
{
	if (t->roles == 0 && as->roles != owner->roles)
		t->roles = as->roles;
	if (t->services[0] == '\0' && !text_equal(as->services, owner->services))
		text_cut(t->services, sizeof(t->services), as->services);
}

/* What speaks against it; `ret_owner` is the token's principal. */
static int token_check(struct controller *ctl, struct token *t, const struct principal *as, int64_t until, const struct caller *who,
		       struct principal *ret_owner, struct refusal *why)
{
	struct principal left;
	size_t           valid = 0;
	bool             own = text_equal(t->principal, who->actor);
	int              r = view_principal(ctl->view, t->principal, ret_owner);
	if (r < 0)
		return refuse(why, r, t->principal, "there is no such principal");
	if (ret_owner->disabled)
		return refuse(why, E_PRINCIPAL_DISABLED, t->principal, "%s", err_what(E_PRINCIPAL_DISABLED));
	if (own)
		default_scope(t, as, ret_owner);
	if (!rights_within(own ? as : ret_owner, t->roles, t->services) || !rights_narrow(ret_owner, t->roles, t->services, &left))
		return refuse(why, E_RIGHTS_MORE, t->principal, "roles or services go beyond what %s has", own ? "this login" : t->principal);
	if (own && t->expires_at > until)
		return refuse(why, E_RIGHTS_MORE, "ttl", "a token made with a token ends with it at the latest");
	r = count_valid(ctl, t->principal, t->created_at, &valid);
	if (r == 0 && valid >= TOKENS_MAX)
		return refuse(why, E_TOKEN_LIMIT, t->principal, "it has %zu", valid);
	return r < 0 ? refuse(why, r, t->principal, "the store cannot be read") : 0;
}

/* Whoever holds another's token decides as he does. */
static bool gives_approval(const struct token *t, const struct principal *owner, const struct caller *who)
{
	struct principal left;
	return !text_equal(t->principal, who->actor) && rights_narrow(owner, t->roles, t->services, &left) &&
	       rights_allow(&left, PERM_APPROVAL_DECIDE);
}

void people_token_make(struct controller *ctl, const struct token *wanted, const struct principal *as, int64_t until,
		       const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer   *a = answer_new(done, ctx);
	struct token    *t = &a->result.pat;
	struct principal owner;
	*t = *wanted;
	int r = token_check(ctl, t, as, until, who, &owner, &a->result.why);
	if (r < 0) {
		a->result.code = r;
		answer_now(a);
		return;
	}
	struct commit *c = commit_new(ctl);
	if (gives_approval(t, &owner, who)) {
		struct approval *request = &a->result.approval;
		*request = (struct approval){.kind = APPROVAL_TOKEN};
		text_cut(request->object, sizeof(request->object), t->principal);
		a->result.waits = true;
		approvals_request(ctl, c, request, token_what(t, &owner), who);
	} else if ((r = add_token(ctl, c, t, who, a->result.pat_text)) < 0) {
		commit_drop(c);
		answer_refuse(a, r, t->principal, NULL);
		return;
	}
	commit_now(c, answer_stored, a);
}

void people_token_revoke(struct controller *ctl, struct id token_id, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer *a = answer_new(done, ctx);
	char           id[ID_TEXT_SIZE];
	int            r = view_token(ctl->view, token_id, &a->result.pat);
	if (r < 0) {
		answer_refuse(a, r, id_text(token_id, id), NULL);
		return;
	}
	if (a->result.pat.revoked_at != 0) {
		answer_now(a);
		return;
	}
	struct commit *c = commit_new(ctl);
	a->result.pat.revoked_at = clock_now();
	store_put_token(commit_change(c), &a->result.pat);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_TOKEN_REVOKED,
					.actor = who->actor,
					.object = a->result.pat.principal,
					.request_id = who->request_id,
					.reason = who->reason},
		     "{s:s,s:s}", "token_id", id_text(token_id, id), "label", a->result.pat.label);
	commit_fault_points(c, "controller.token_revoke", "controller.token_revoke_stored");
	commit_now(c, answer_stored, a);
}

/* ---- approved by a second person ------------------------------------------------------------------------------- */

static int principal_of(const json_t *what, const char *name, struct principal *ret)
{
	struct refusal why;
	*ret = (struct principal){.name = ""};
	text_cut(ret->name, sizeof(ret->name), name);
	return principal_read(json_object_get(what, "after"), ret, &why);
}

static int token_of(const json_t *what, struct token *ret)
{
	struct refusal why;
	const json_t  *json = json_object_get(what, "token");
	int64_t        now = clock_now();
	*ret = (struct token){.expires_at = 0};
	int r = token_read(json, now, ret, &why);
	if (r == 0)
		r = time_parse(json_string_value(json_object_get(json, "expires_at")), &ret->expires_at);
	return r == 0 && ret->expires_at <= now ? E_APPROVAL_GONE : r;
}

int people_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	json_t          *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	struct principal old, next;
	struct token     t;
	int              r = view_principal(ctl->view, a->object, &old);
	bool             known = r == 0;
	if (a->kind == APPROVAL_TOKEN) {
		if (r == 0 && old.disabled)
			r = E_APPROVAL_GONE;
		if (r == 0)
			r = token_of(what, &t);
		if (r == 0)
			*ret = token_what(&t, &old);
	} else if (known || r == E_NOT_FOUND) {
		r = principal_of(what, a->object, &next);
		if (r == 0)
			*ret = principal_what(known ? &old : NULL, &next);
	}
	json_decref(what);
	return r == E_NOT_FOUND ? E_APPROVAL_GONE : r;
}

int people_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who, struct api_result *ret)
{
	json_t          *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	struct principal old;
	int              r = view_principal(ctl->view, a->object, &old);
	bool             known = r == 0;
	if (a->kind == APPROVAL_TOKEN) {
		if (r == 0)
			r = token_of(what, &ret->pat);
		if (r == 0)
			r = add_token(ctl, c, &ret->pat, who, ret->pat_text);
	} else if (known || r == E_NOT_FOUND) {
		r = principal_of(what, a->object, &ret->principal);
		ret->principal.created_at = known ? old.created_at : clock_now();
		text_cut(ret->principal.maker, sizeof(ret->principal.maker), a->person);
		if (r == 0)
			commit_principal(c, known ? &old : NULL, &ret->principal, who);
	}
	json_decref(what);
	return r;
}
