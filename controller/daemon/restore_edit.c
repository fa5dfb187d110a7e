/* restore_edit.c - room controller/daemon: the walks over a backup that is to become the store; the list in restore_edit() is the
 * reading path. Never: touching the store in force; one commit for everything. */
#include "controller/daemon/restore_edit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/core/policy.h"
#include "controller/daemon/restore_lists.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

enum { PAGE = 100, MESSAGES = 8, VERBS_MAX = 400 };

/* Nobody makes so many lists between a backup and its loss; a number has room for 2^31 such jumps. */
static const uint64_t NUMBER_JUMP = UINT64_C(1) << 32;

/* ---- commits --------------------------------------------------------------------------------------------------- */

struct outcome {
	bool done;
	int  code;
};

static void on_done(void *ctx, int code, const struct store_result *result)
{
	struct outcome *o = ctx;
	(void)result;
	o->done = true;
	o->code = code;
}

int restore_flush(struct restore_edit *e)
{
	struct outcome o = {0};
	if (e->change == NULL)
		return 0;
	int r = store_submit(e->store, e->change, on_done, &o);
	e->change = NULL;
	e->verbs = 0;
	while (r == 0 && !o.done) {
		struct pollfd p = {.fd = e->woken, .events = POLLIN};
		(void)!poll(&p, 1, 1000);
		store_poll(e->store);
	}
	return r < 0 ? r : o.code;
}

struct store_change *restore_change(struct restore_edit *e)
{
	if (e->change == NULL) {
		struct hash salt;
		random_bytes(&salt, sizeof(salt));
		e->change = store_change_new();
		store_change_salt(e->change, salt);
	}
	e->verbs++;
	return e->change;
}

int restore_pace(struct restore_edit *e)
{
	return e->verbs < VERBS_MAX ? 0 : restore_flush(e);
}

/* ---- what was under way ---------------------------------------------------------------------------------------- */

/* As if the current issuance had just come: an order that was open had taken the due time away. */
static int64_t due_at(struct restore_edit *e, const struct certificate *c)
{
	const struct policy_limits limits = {.jitter_share = e->jitter_share};
	struct template            t;
	if (c->retired_at != 0 || c->revoked_at != 0 || c->suspended_at != 0)
		return TIME_NEVER;
	if (serial_is_none(c->serial))
		return e->now;
	if (view_template(e->view, c->template_id, 0, &t) < 0)
		return TIME_NEVER;
	return policy_renew_at(&t, c->cert_id, c->serial, c->not_before_at, c->not_after_at, &limits);
}

/* Its host may have finished it long ago, and a newer one since: sent again it would bring an old certificate back. */
static int end_order(struct restore_edit *e, const struct order *open)
{
	struct order       o = *open;
	struct certificate c;
	o.phase = o.phase == ORDER_ROLLING_BACK ? ORDER_COMPLETED : ORDER_CANCELLED; /* what it brought is the last that is known */
	o.code = E_RESTORED;
	o.completed_at = e->now;
	o.next_at = TIME_NEVER;
	text_cut(o.cause, sizeof(o.cause), err_what(E_RESTORED));
	store_put_order(restore_change(e), &o);
	e->counts.orders++;
	int r = view_certificate(e->view, o.cert_id, &c);
	if (r < 0 || !id_equal(c.open_order, o.renewal_id))
		return r == E_NOT_FOUND ? 0 : r;
	c.open_order = (struct id){{0}};
	c.renew_at = due_at(e, &c);
	store_put_certificate(restore_change(e), &c, c.version);
	return 0;
}

static int end_orders(struct restore_edit *e, void *page)
{
	struct order *rows = page;
	struct id     after = {{0}};
	size_t        n = PAGE;
	int           r = 0;
	while (r == 0 && n == PAGE && (r = view_orders_open(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].renewal_id;
			r = end_order(e, &rows[i]);
			if (r == 0)
				r = restore_pace(e);
		}
	return r;
}

/* An order of it was ended above; the rest was never sent. */
static int end_member(struct restore_edit *e, struct campaign *c, struct campaign_member *m)
{
	uint32_t *from = m->state == MEMBER_WAITING     ? &c->waiting
			 : m->state == MEMBER_HELD      ? &c->held
			 : m->state == MEMBER_FOLLOWING ? &c->following
			 : m->state == MEMBER_ORDERED   ? &c->ordered
			 : m->state == MEMBER_GOING_BACK ? &c->going_back
							: NULL;
	bool      sent = m->state == MEMBER_FOLLOWING || m->state == MEMBER_ORDERED;
	bool      kept = m->state == MEMBER_GOING_BACK; /* as its order says */
	if (from == NULL)
		return 0;
	*from -= *from > 0;
	*(kept ? &c->kept : sent ? &c->failed : &c->dropped) += 1;
	m->state = kept ? MEMBER_KEPT : sent ? MEMBER_FAILED : MEMBER_DROPPED;
	m->code = E_RESTORED;
	m->changed_at = e->now;
	text_cut(m->cause, sizeof(m->cause), err_what(E_RESTORED));
	store_put_member(restore_change(e), m);
	return restore_pace(e);
}

/* What asked for it ends with every other request, and nobody could give it any more. */
static void end_confirmation(struct campaign *c)
{
	if (c->confirmation != CONFIRMATION_ASKED)
		return;
	c->confirmation = CONFIRMATION_REFUSED;
	c->remind_at = TIME_NEVER;
}

static int end_campaign(struct restore_edit *e, struct campaign *c)
{
	struct campaign_member *rows = calloc(PAGE, sizeof(*rows));
	uint64_t                after = 0;
	size_t                  n = PAGE;
	int                     r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_members(e->view, c->campaign_id, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].position;
			r = end_member(e, c, &rows[i]);
		}
	free(rows);
	c->state = CAMPAIGN_CANCELLED;
	c->collecting = false;
	c->completed_at = e->now;
	c->next_at = TIME_NEVER;
	end_confirmation(c);
	text_cut(c->cause, sizeof(c->cause), err_what(E_RESTORED));
	store_put_campaign(restore_change(e), c);
	e->counts.campaigns++;
	return r;
}

static int end_campaigns(struct restore_edit *e, void *page)
{
	struct campaign *rows = page;
	struct id        after = {{0}};
	size_t           n = PAGE;
	int              r = 0;
	while (r == 0 && n == PAGE && (r = view_campaigns_open(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].campaign_id;
			r = end_campaign(e, &rows[i]);
		}
	return r;
}

/* Its campaign ended with the others: the walk begins anew, with another one. */
static int restart_policy(struct restore_edit *e, void *page)
{
	struct policy_walk *rows = page;
	char                after[sizeof(rows->object)] = "";
	size_t              n = PAGE;
	int                 r = 0;
	while (r == 0 && n == PAGE && (r = view_policy_walks(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			text_cut(after, sizeof(after), rows[i].object);
			rows[i].campaign_id = (struct id){{0}};
			rows[i].after[0] = '\0';
			store_put_policy_walk(restore_change(e), &rows[i]);
			r = restore_pace(e);
		}
	return r;
}

/* Through, and never confirmed. */
static int end_confirmations(struct restore_edit *e, void *page)
{
	struct campaign *rows = page;
	struct id        after = {{0}};
	size_t           n = PAGE;
	int              r = 0;
	while (r == 0 && n == PAGE && (r = view_campaigns_unconfirmed(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].campaign_id;
			end_confirmation(&rows[i]);
			store_put_campaign(restore_change(e), &rows[i]);
			r = restore_pace(e);
		}
	return r;
}

static int drop_messages(struct restore_edit *e, const char *agent)
{
	struct outbox_row *rows = calloc(MESSAGES, sizeof(*rows));
	uint64_t           after = 0;
	size_t             n = MESSAGES;
	int                r = rows != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == MESSAGES && (r = view_outbox(e->view, agent, after, rows, MESSAGES, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].message_id;
			store_remove_outbox(restore_change(e), agent, rows[i].renewal_id);
			e->counts.messages++;
			r = restore_pace(e);
		}
	free(rows);
	return r;
}

/* A host that was sent away stays away, also where another one has taken its name since: that one is invited anew. */
static enum agent_state newest_state(const struct restore_edit *e, const struct agent *a)
{
	struct agent newer;
	bool         banned = false;
	if (e->old == NULL || view_agent(e->old, a->name, &newer) < 0)
		return a->state;
	if (hash_equal(a->host_hash, newer.host_hash))
		return newer.state;
	if (view_host_banned(e->old, a->host_hash, &banned) == 0 && banned)
		return AGENT_BANNED;
	return a->state == AGENT_ACTIVE ? AGENT_EVICTED : a->state;
}

/* Runs of keepers since the backup are not known, and none of them is a copy for that. */
static int edit_agent(struct restore_edit *e, const struct agent *row)
{
	struct agent a = *row;
	a.state = newest_state(e, row);
	e->counts.agents += a.state != row->state;
	if (a.run.copy != COPY_PROVED)
		a.run = (struct agent_run){0};
	store_put_agent(restore_change(e), &a);
	int r = restore_pace(e);
	return r < 0 ? r : drop_messages(e, a.name);
}

static int edit_agents(struct restore_edit *e, void *page)
{
	struct agent *rows = page;
	char          after[AGENT_NAME_SIZE] = "";
	size_t        n = PAGE;
	int           r = 0;
	while (r == 0 && n == PAGE && (r = view_agents(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			text_cut(after, sizeof(after), rows[i].name);
			r = edit_agent(e, &rows[i]);
		}
	return r;
}

/* ---- what gives rights ----------------------------------------------------------------------------------------- */

/* It may have been redeemed since. */
static int void_invites(struct restore_edit *e, void *page)
{
	struct invite *rows = page;
	struct id      after = {{0}};
	size_t         n = PAGE;
	int            r = 0;
	while (r == 0 && n == PAGE && (r = view_invites(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].invite_id;
			if (rows[i].expires_at <= e->now && rows[i].used_at == 0)
				continue;
			rows[i].expires_at = rows[i].created_at; /* also a used one: the same host might repeat within its life */
			store_put_invite(restore_change(e), &rows[i]);
			e->counts.invites += rows[i].used_at == 0;
			r = restore_pace(e);
		}
	return r;
}

/* It may have been decided since. */
static int end_approvals(struct restore_edit *e, void *page)
{
	struct approval *rows = page;
	struct id        before = {{0}};
	size_t           n = PAGE;
	int              r = 0;
	while (r == 0 && n == PAGE && (r = view_approvals(e->view, true, before, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			before = rows[i].approval_id;
			rows[i].state = APPROVAL_CANCELLED;
			rows[i].decided_at = e->now;
			text_cut(rows[i].comment, sizeof(rows[i].comment), err_what(E_RESTORED));
			store_decide_approval(restore_change(e), &rows[i]);
			e->counts.approvals++;
			r = restore_pace(e);
		}
	return r;
}

/* Was this token revoked after the backup? Where nobody can tell it counts as revoked. */
static bool token_is_over(const struct restore_edit *e, const struct token *t)
{
	struct token newer;
	if (t->revoked_at != 0)
		return false; /* already in the backup: nothing to change */
	if (e->old == NULL)
		return !e->keep_tokens;
	int r = view_token(e->old, t->token_id, &newer);
	return r < 0 ? !e->keep_tokens : newer.revoked_at != 0;
}

static int end_tokens(struct restore_edit *e, void *page)
{
	struct token *rows = page;
	struct id     after = {{0}};
	size_t        n = PAGE;
	int           r = 0;
	while (r == 0 && n == PAGE && (r = view_tokens(e->view, NULL, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			after = rows[i].token_id;
			if (!token_is_over(e, &rows[i]))
				continue;
			rows[i].revoked_at = e->now;
			store_put_token(restore_change(e), &rows[i]);
			e->counts.tokens++;
			r = restore_pace(e);
		}
	return r;
}

/* The newest word on what a principal may do. */
static int edit_principals(struct restore_edit *e, void *page)
{
	struct principal *rows = page, newer;
	char              after[ACTOR_SIZE] = "";
	size_t            n = PAGE;
	int               r = 0;
	while (e->old != NULL && r == 0 && n == PAGE && (r = view_principals(e->view, after, rows, PAGE, &n)) == 0)
		for (size_t i = 0; i < n && r == 0; i++) {
			text_cut(after, sizeof(after), rows[i].name);
			if (view_principal(e->old, rows[i].name, &newer) < 0 ||
			    (newer.roles == rows[i].roles && newer.disabled == rows[i].disabled &&
			     text_equal(newer.services, rows[i].services) && text_equal(newer.person, rows[i].person)))
				continue;
			store_put_principal(restore_change(e), &newer);
			e->counts.principals++;
			r = restore_pace(e);
		}
	return r;
}

/* ---- revocation lists ------------------------------------------------------------------------------------------ */

/* Old lists are not published again, and the next ones are newer than any that hosts may have seen. */
static int edit_issuer(struct restore_edit *e, const struct issuer *row, struct refusal *why)
{
	struct issuer i = *row, newer;
	uint64_t      seen = i.crl_number;
	int           r = restore_lists_merge(e, &i, &seen, why);
	if (r < 0 || i.role == ISSUER_ROOT)
		return r;
	if (e->old != NULL && view_issuer(e->old, i.issuer_id, &newer) == 0 && newer.crl_number > seen)
		seen = newer.crl_number;
	i.crl_number = seen + NUMBER_JUMP;
	store_put_issuer(restore_change(e), &i);
	r = restore_lists_drop(e, i.issuer_id);
	return r < 0 ? r : restore_flush(e);
}

static int edit_issuers(struct restore_edit *e, void *page, struct refusal *why)
{
	struct issuer *rows = page;
	size_t         n = 0;
	int            r = view_issuers(e->view, "", rows, PAGE, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = edit_issuer(e, &rows[i], why);
	return r;
}

/* ---- the mark -------------------------------------------------------------------------------------------------- */

static void put_audit(struct restore_edit *e)
{
	const struct restore_counts *n = &e->counts;
	struct audit                 a = {.at = e->now, .event = AUDIT_STORE_RESTORED, .object = "store"};
	char                         made[TIME_TEXT_SIZE];
	json_t *o = json_pack("{s:I,s:s,s:I,s:b,s:I,s:I,s:I,s:I,s:I}", "epoch", (json_int_t)e->mark.epoch, "backup_of",
			      time_text(e->mark.made_at, made), "audit_size", (json_int_t)e->mark.audit_size, "old_store_read",
			      e->old != NULL, "orders", (json_int_t)n->orders, "invites", (json_int_t)n->invites, "tokens",
			      (json_int_t)n->tokens, "approvals", (json_int_t)n->approvals, "revocations", (json_int_t)n->revocations);
	char   *text = json_dumps(o, JSON_COMPACT);
	uint8_t random[ID_RANDOM];
	random_bytes(random, sizeof(random));
	a.request_id = id_make(e->now, random);
	text_cut(a.actor, sizeof(a.actor), e->actor);
	text_cut(a.reason, sizeof(a.reason), "vccctl restore");
	text_cut(a.detail, sizeof(a.detail), text != NULL ? text : "");
	store_add_audit(restore_change(e), &a);
	free(text);
	json_decref(o);
}

static int put_mark(struct restore_edit *e)
{
	struct restore_mark earlier = {0}, newer = {0};
	uint64_t            lost = 0; /* records that hosts may keep heads of */
	int                 r = restore_mark_read(e->view, &earlier);
	if (r == 0 && e->old != NULL)
		(void)!restore_mark_read(e->old, &newer); /* what cannot be read of it is asked for again when it shows */
	if (r == 0 && e->old != NULL)
		(void)!view_audit_size(e->old, &lost);
	if (r < 0)
		return r;
	e->mark.epoch = 1 + (newer.epoch > earlier.epoch ? newer.epoch : earlier.epoch);
	e->mark.restored_at = e->now;
	e->mark.heads_to = newer.heads_to > earlier.heads_to ? newer.heads_to : earlier.heads_to;
	if (lost > e->mark.heads_to)
		e->mark.heads_to = lost;
	put_audit(e);
	restore_mark_put(restore_change(e), &e->mark);
	return restore_flush(e);
}

static size_t largest_page(void)
{
	static const size_t sizes[] = {sizeof(struct order),    sizeof(struct agent), sizeof(struct invite),
				       sizeof(struct approval), sizeof(struct token), sizeof(struct principal),
				       sizeof(struct issuer),   sizeof(struct campaign), sizeof(struct policy_walk)};
	size_t              most = 0;
	for (size_t i = 0; i < N_ELEMENTS(sizes); i++)
		most = sizes[i] > most ? sizes[i] : most;
	return most;
}

int restore_edit(struct restore_edit *e, struct refusal *why)
{
	static int (*const walks[])(struct restore_edit *, void *) = {end_orders,   end_campaigns, restart_policy, end_confirmations, edit_agents,
								      void_invites, end_approvals, end_tokens,        edit_principals};
	void *page = calloc(PAGE, largest_page());
	int   r = page != NULL ? 0 : E_NOMEM;
	why->code = 0;
	for (size_t i = 0; i < N_ELEMENTS(walks) && r == 0; i++) {
		r = walks[i](e, page);
		if (r == 0)
			r = restore_flush(e);
	}
	if (r == 0)
		r = edit_issuers(e, page, why);
	if (r == 0)
		r = put_mark(e);
	free(page);
	if (e->change != NULL)
		store_change_free(e->change);
	e->change = NULL;
	return r < 0 && why->code == 0 ? refuse(why, r, "backup", "%s", err_what(r)) : r;
}
