/* invites.c - room controller/daemon: tokens for new hosts, one or many: checked, made, stored with their audit records, then told.
 * Never: keeping a token; the store has its public half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { INVITE_TTL_MS = 15 * 60 * 1000 };

static int default_patterns(struct controller *ctl, const struct invite_request *q, struct names *ret)
{
	char text[NAMES_TEXT_SIZE];
	int  n = snprintf(text, sizeof(text), "%s.%s.%s,%s.%s", q->name, q->service, ctl->domain, q->service, ctl->domain);
	return n > 0 && (size_t)n < sizeof(text) ? names_parse(text, true, ret, NULL) : E_FULL;
}

/* ---- what a host may be given at most --------------------------------------------------------------------------- */

static bool service_known(struct controller *ctl, const char *service)
{
	const struct template *t = NULL;
	bool                   known = catalog_service(ctl->catalog, service) != NULL;
	while (!known && (t = catalog_template_after(ctl->catalog, t)) != NULL)
		known = text_equal(t->service, service);
	return known;
}

static bool a_template_permits(struct controller *ctl, const char *service, const struct san *san)
{
	const struct template *t = NULL;
	struct names           one;
	struct san             bad;
	(void)snprintf(one.text, sizeof(one.text), "%s:%s", san->kind == SAN_IP ? "IP" : "DNS", san->text);
	while ((t = catalog_template_after(ctl->catalog, t)) != NULL) {
		const struct template *policy = policy_service_fits(t->service, service) ? catalog_policy(ctl->catalog, t->template_id, service) : NULL;
		if (policy != NULL && names_within(&one, &policy->patterns, &bad))
			return true;
	}
	return false;
}

/* An invite gives a right: never one beyond the service that the caller may act for. */
static int check_service(struct controller *ctl, const struct invite_request *q, struct refusal *why)
{
	struct san san;
	size_t     cursor = 0;
	if (!service_known(ctl, q->service))
		return refuse(why, E_INVITE_SERVICE, q->service, "%s", err_what(E_INVITE_SERVICE));
	while (names_next(&q->patterns, &cursor, &san))
		if (!a_template_permits(ctl, q->service, &san))
			return refuse(why, E_POLICY_NAMES, q->name, "%s:%s is not within the patterns of any template for service %s",
				      san.kind == SAN_IP ? "IP" : "DNS", san.text, q->service);
	return 0;
}

static int check_invite(struct controller *ctl, const struct invite_request *q, struct refusal *why)
{
	struct agent a;
	if (!name_agent_ok(q->name))
		return refuse(why, E_NAME, "name", "`%s` is not an agent name: lower-case letters, digits, '-', at most 32",
			      q->name);
	if (!name_service_ok(q->service))
		return refuse(why, E_NAME, "service", "`%s` is not a service name", q->service);
	int r = q->replaces ? 0 : check_service(ctl, q, why); /* one that is replaced keeps what it has */
	if (r < 0)
		return r;
	if (q->ttl_ms < 0 || q->ttl_ms > MS_DAY)
		return refuse(why, E_RANGE, "ttl", "an invite lives at most 24 h");
	struct former_name former;
	if (view_former_name(ctl->view, q->name, &former) == 0)
		return refuse(why, E_AGENT_NAME_TAKEN, q->name, "this name leads to %s, which had it before", former.agent);
	r = rows_agent(ctl->rows, q->name, &a);
	if (q->replaces)
		return r < 0 ? refuse(why, r, q->name, "there is no such agent") : 0;
	if (r == 0 && a.state == AGENT_ACTIVE)
		return refuse(why, E_JOIN_NAME, q->name, "an agent of this name is active");
	if (r == 0 && a.state == AGENT_BANNED)
		return refuse(why, E_AGENT_BANNED, q->name, "the agent of this name was banned; another host takes its place by `vccctl agent replace`");
	return r == 0 || r == E_NOT_FOUND ? 0 : refuse(why, r, q->name, "%s", err_what(r));
}

static int invite_plan(struct controller *ctl, const struct invite_request *request, const struct caller *who, struct invite *i,
		       struct refusal *why)
{
	int r = check_invite(ctl, request, why);
	if (r < 0)
		return r;
	i->created_at = clock_now();
	i->expires_at = i->created_at + (request->ttl_ms > 0 ? request->ttl_ms : INVITE_TTL_MS);
	i->invite_id = controller_id(i->created_at);
	i->patterns = request->patterns;
	i->replaces = request->replaces;
	text_cut(i->name, sizeof(i->name), request->name);
	text_cut(i->service, sizeof(i->service), request->service);
	text_cut(i->actor, sizeof(i->actor), who->actor);
	if (i->patterns.text[0] == '\0')
		r = default_patterns(ctl, request, &i->patterns);
	return r < 0 ? refuse(why, r, request->name, "%s", err_what(r)) : 0;
}

/* Touches nothing of the controller: also on a worker. */
static int invite_token(struct invite_made *made, struct refusal *why)
{
	struct key *k = NULL;
	uint8_t     seed[TOKEN_SECRET];
	random_bytes(seed, sizeof(seed));
	int r = key_from_seed(seed, &k, made->invite.token_key);
	if (r == 0)
		r = token_join_make(seed, made->invite.name, made->token);
	key_free(k);
	secret_wipe(seed, sizeof(seed));
	return r < 0 ? refuse(why, r, made->invite.name, "%s", err_what(r)) : 0;
}

static void invite_put(struct commit *c, const struct invite *i, const struct caller *who)
{
	store_add_invite(commit_change(c), i);
	commit_audit(
		c,
		&(struct audit_of){
			.event = AUDIT_INVITE_CREATED, .actor = who->actor, .object = i->name, .request_id = who->request_id, .reason = who->reason},
		"{s:s,s:b}", "service", i->service, "replaces", (int)i->replaces);
}

static void where_to_join(const struct controller *ctl, char address[ADDRESS_SIZE], char pin[PIN_TEXT_SIZE])
{
	char hash[HASH_TEXT_SIZE];
	text_cut(address, ADDRESS_SIZE, ctl->conf->join_address);
	(void)snprintf(pin, PIN_TEXT_SIZE, "sha256:%s", hash_text(catalog_pin(ctl->catalog), hash));
}

void controller_invite(struct controller *ctl, const struct invite_request *request, const struct caller *who,
		       api_done_fn *done, void *ctx)
{
	struct answer     *a = answer_new(done, ctx);
	struct invite_made made = {.token = ""};
	a->result.code = invite_plan(ctl, request, who, &made.invite, &a->result.why);
	if (a->result.code == 0)
		a->result.code = invite_token(&made, &a->result.why);
	if (a->result.code < 0) {
		answer_now(a);
		return;
	}
	a->result.invite = made.invite;
	memcpy(a->result.token, made.token, sizeof(a->result.token));
	secret_wipe(&made, sizeof(made));
	where_to_join(ctl, a->result.join_address, a->result.pin);
	struct commit *c = commit_new(ctl);
	invite_put(c, &a->result.invite, who);
	commit_now(c, answer_stored, a);
}

struct invites_answer {
	struct controller  *ctl;
	struct caller       who;
	invites_done_fn    *done;
	void               *ctx;
	struct invites_made made;
	struct invite_made  rows[];
};

static void invites_answer(struct invites_answer *a)
{
	a->done(a->ctx, &a->made);
	secret_wipe(a->rows, a->made.n * sizeof(a->rows[0])); /* tokens */
	free(a);
}

static void on_invites_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct invites_answer *a = ctx;
	(void)ctl;
	(void)result;
	if (code < 0)
		a->made.code = refuse(&a->made.why, code, "store", "%s", err_what(code));
	invites_answer(a);
}

/* On a worker: a thousand keys would hold the loop up. */
static void invites_tokens(void *job, struct store_view *view)
{
	struct invites_answer *a = job;
	(void)view;
	for (size_t i = 0; i < a->made.n && a->made.code == 0; i++)
		a->made.code = invite_token(&a->rows[i], &a->made.why);
}

static void invites_store(void *job)
{
	struct invites_answer *a = job;
	if (a->made.code == 0 && a->ctl->stopping)
		a->made.code = refuse(&a->made.why, E_SYS_CLOSED, "invites", "the controller ends");
	if (a->made.code < 0) {
		invites_answer(a);
		return;
	}
	where_to_join(a->ctl, a->made.join_address, a->made.pin);
	struct commit *c = commit_new(a->ctl);
	for (size_t i = 0; i < a->made.n; i++)
		invite_put(c, &a->rows[i].invite, &a->who);
	commit_now(c, on_invites_stored, a);
}

void controller_invites(struct controller *ctl, const struct invite_request *requests, size_t n, const struct caller *who,
			invites_done_fn *done, void *ctx)
{
	struct invites_answer *a = calloc(1, sizeof(*a) + n * sizeof(a->rows[0]));
	if (a == NULL)
		abort();
	a->ctl = ctl;
	a->who = *who;
	a->done = done;
	a->ctx = ctx;
	a->made.rows = a->rows;
	a->made.n = n;
	for (size_t i = 0; i < n && a->made.code == 0; i++)
		a->made.code = invite_plan(ctl, &requests[i], who, &a->rows[i].invite, &a->made.why);
	if (a->made.code < 0)
		invites_answer(a);
	else
		workers_run(ctl->workers, invites_tokens, invites_store, a);
}
