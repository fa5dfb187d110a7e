/* policy_walk.c - room controller/daemon: a change of policy goes through the certificates that it concerns.
 * What is to be renewed joins the campaign of the change; a page of members and the walk's place are one commit, and memory follows
 * when it is stored. What is done before with single certificates may be done again: what is judged is the template that the
 * certificate was made from. Never: more than one page in one tick; making orders. */
#include "controller/daemon/policy_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy_change.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/campaign_make.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/policy_preview.h"
#include "controller/daemon/stages.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { PAGE = 100, BUSY_MS = 20 * 1000, WALKS_MAX = 400, SERVICE_WALKS = 200, COMMITS_MAX = 2000 };

struct walk_entry {
	struct policy_walk w;
	uint32_t           changing; /* a later change is on its way to the store: what is stored here would undo it */
};

struct policy_walks {
	struct walk_entry list[WALKS_MAX];
	size_t            n;
	bool              scanning; /* a page is being read, or on its way to the store */
	bool              more;     /* the store has some that found no room here */
};

int policy_walks_open(struct policy_walks **ret)
{
	struct policy_walks *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return E_NOMEM;
	*ret = w;
	return 0;
}

void policy_walks_free(struct policy_walks *w)
{
	free(w);
}

static struct walk_entry *find(struct policy_walks *all, const char *object)
{
	for (size_t i = 0; i < all->n; i++)
		if (text_equal(all->list[i].w.object, object))
			return &all->list[i];
	return NULL;
}

/* Those of the store that come after `after`, as far as there is room for their kind. */
static int load_after(struct controller *ctl, const char *after, size_t room)
{
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk  *rows = calloc(WALKS_MAX, sizeof(*rows));
	size_t               n = 0;
	int                  r = rows != NULL ? view_policy_walks(ctl->view, after, rows, WALKS_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n && all->n < room; i++)
		if (find(all, rows[i].object) == NULL)
			all->list[all->n++] = (struct walk_entry){.w = rows[i]};
	all->more |= r < 0 || n == WALKS_MAX || all->n == room;
	free(rows);
	return r;
}

/* Templates first: what they hold up has to be known (policy_walk_holds()). */
int policy_walks_load(struct controller *ctl)
{
	ctl->policy_walks->more = false;
	int r = load_after(ctl, "template:", WALKS_MAX);
	return r == 0 ? load_after(ctl, "", SERVICE_WALKS) : r;
}

/* ---- beginning ------------------------------------------------------------------------------------------------- */

static void begun(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk   next;
	memcpy(&next, value, sizeof(next));
	struct walk_entry *old = find(all, next.object);
	if (old != NULL) {
		old->w = next;
		old->changing -= old->changing > 0 ? 1 : 0;
	} else if (all->n < (text_starts(next.object, "template:") ? WALKS_MAX : SERVICE_WALKS)) {
		all->list[all->n++] = (struct walk_entry){.w = next};
	} else { /* it is stored, and taken up when others are over */
		all->more = true;
	}
}

static void not_begun(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct policy_walk next;
	memcpy(&next, value, sizeof(next));
	struct walk_entry *old = find(ctl->policy_walks, next.object);
	if (old != NULL)
		old->changing -= old->changing > 0 ? 1 : 0;
}

void policy_walk_begin(struct controller *ctl, struct commit *c, const char *object, uint32_t version, struct id campaign_id,
		       const struct caller *who)
{
	struct policy_walk w = {
		.version = version, .request_id = who->request_id, .started_at = clock_now(), .campaign_id = campaign_id};
	struct walk_entry *old = find(ctl->policy_walks, object);
	text_cut(w.object, sizeof(w.object), object);
	text_cut(w.actor, sizeof(w.actor), who->actor);
	text_cut(w.reason, sizeof(w.reason), who->reason);
	if (old != NULL)
		old->changing++;
	store_put_policy_walk(commit_change(c), &w);
	commit_then(c, begun, &w, sizeof(w));
	commit_else(c, not_begun, &w, sizeof(w));
}

/* ---- one certificate ------------------------------------------------------------------------------------------- */

/* One page of one walk: what it finds, and where the walk is afterwards. */
struct page {
	struct controller     *ctl;
	struct policy_walk     next;
	bool                   over;
	struct caller          who;
	struct campaign_member members[PAGE];
	size_t                 n;
};

static int64_t renew_at(struct controller *ctl, const struct certificate *cert, const struct template *t)
{
	struct policy_limits limits = {ctl->conf->allow_short_validity, ctl->conf->jitter};
	if (serial_is_none(cert->serial) || cert->suspended_at != 0)
		return TIME_NEVER;
	return policy_renew_at(t, cert->cert_id, cert->serial, cert->not_before_at, cert->not_after_at, &limits);
}

/* The template that the certificate was made from; of one that was never issued the version before the one in force. */
static bool issued_from(struct controller *ctl, const struct certificate *cert, const struct template *t, struct template *ret)
{
	uint32_t version = cert->template_version != 0 ? cert->template_version : t->version - 1;
	return version != 0 && view_template(ctl->view, cert->template_id, version, ret) == 0;
}

/* What was accepted by the template alone, and is outside of it now, waits for a person; and nobody becomes an administrator
 * because the template of his web server was changed. */
static bool unfit(const struct certificate *cert, const struct template *issued, const struct template *t)
{
	return cert->approved &&
	       (issued->purpose != t->purpose || (policy_change_fits(issued, cert) && !policy_change_fits(t, cert)));
}

bool policy_walk_holds(struct controller *ctl, const struct certificate *cert, const struct template *t)
{
	char object[sizeof(((struct policy_walk *)0)->object)];
	struct template issued;
	(void)snprintf(object, sizeof(object), "template:%s", t->template_id);
	return find(ctl->policy_walks, object) != NULL && issued_from(ctl, cert, t, &issued) && unfit(cert, &issued, t);
}

/* An order that waits for its next attempt, or is paused: the change may be what it waited for, unless it has tried it. */
static int try_open(struct controller *ctl, const struct policy_walk *w, const struct order *open, const struct template *t,
		    const struct caller *who)
{
	bool stored, tried = text_starts(w->object, "template:") && open->template_version == t->version;
	if ((open->phase != ORDER_PAUSED && open->phase != ORDER_RETRY_WAIT) || tried)
		return 0;
	struct order_event ev = {.kind = EV_DISPATCH, .renewal_id = open->renewal_id};
	return orders_event(ctl, &ev, &(struct order_input){.who = who}, &stored);
}

static bool has_its_certificate(const struct order *o)
{
	return o->phase == ORDER_SIGNING || o->phase == ORDER_ISSUED || o->phase == ORDER_DELIVERED ||
	       o->phase == ORDER_VERIFIED;
}

static bool cancel_open(struct controller *ctl, const struct order *open, const struct caller *who)
{
	bool               stored = false;
	struct order_event ev = {.kind = EV_CANCEL, .renewal_id = open->renewal_id, .code = E_POLICY_APPROVAL};
	return orders_event(ctl, &ev, &(struct order_input){.who = who}, &stored) == 0 && stored;
}

/* Once for each certificate, whatever pass of the walk this is. */
static void join(struct page *p, const struct certificate *cert, int code)
{
	struct campaign_member m = {.code = code, .changed_at = clock_now()}, there;
	bool                   left = code == E_ORDER_SUSPENDED || code == E_POLICY_APPROVAL || cert->agent[0] == '\0';
	if (view_member_of(p->ctl->view, p->next.campaign_id, cert->cert_id, &there) == 0)
		return;
	m.state = code == 0 ? MEMBER_WAITING : left ? MEMBER_SKIPPED : MEMBER_FAILED;
	text_cut(m.cert_id, sizeof(m.cert_id), cert->cert_id);
	text_cut(m.service, sizeof(m.service), cert->service);
	text_cut(m.agent, sizeof(m.agent), cert->agent);
	text_cut(m.template_id, sizeof(m.template_id), cert->template_id);
	text_cut(m.cause, sizeof(m.cause), code != 0 ? err_what(code) : "");
	p->members[p->n++] = m;
}

/* True: there is nothing more to do with it for now. */
static bool open_order_goes_on(struct page *p, const struct certificate *cert, const struct order *open, const struct template *t,
			       bool waits, bool renews)
{
	if (has_its_certificate(open)) {
		p->next.busy |= open->template_version != t->version;
		return true;
	}
	if (waits)
		return !cancel_open(p->ctl, open, &p->who);
	if (renews)
		join(p, cert, 0);                            /* it follows this order */
	(void)!try_open(p->ctl, &p->next, open, t, &p->who); /* not stored: it is tried at its own time */
	return true;                                         /* its next certificate is made by what holds now */
}

/* Only a template says what is issued. A service that is changed renews nothing: not what an earlier campaign was told to leave, either. */
static bool renews_by(const struct page *p, const struct certificate *cert, const struct template *issued, const struct template *t)
{
	return text_starts(p->next.object, "template:") && !serial_is_none(cert->serial) && policy_change_renews(issued, t, cert);
}

/* Another threshold is another time to be looked at, also while an order is under way. What was told already is not told again. */
static void follow_threshold(struct controller *ctl, struct certificate *cert, const struct template *t, int64_t now)
{
	int64_t        at = policy_alert_at(cert, t, INT64_MIN);
	struct commit *c;
	if (at == cert->alert_at || (at <= now && cert->alert_at > now && policy_alert_at(cert, t, now) == cert->alert_at))
		return;
	c = commit_new(ctl);
	cert->alert_at = at;
	commit_certificate(c, cert);
	commit_now(c, NULL, NULL);
	cert->version++;
}

static void look(struct page *p, const char *cert_id)
{
	struct controller *ctl = p->ctl;
	struct certificate cert;
	struct template issued;
	bool approval = false;
	if (rows_certificate(ctl->rows, cert_id, &cert) < 0 || !policy_preview_live(&cert))
		return;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	if (t == NULL)
		return;
	follow_threshold(ctl, &cert, t, clock_now());
	stages_judge(ctl, &cert, t);
	bool                made = issued_from(ctl, &cert, t, &issued);
	bool                waits = made && unfit(&cert, &issued, t);
	bool                renews = made && renews_by(p, &cert, &issued, t);
	const struct order *open = orders_of(ctl, &cert);
	if (open != NULL &&
	    (open_order_goes_on(p, &cert, open, t, waits, renews) || rows_certificate(ctl->rows, cert_id, &cert) < 0))
		return;
	int64_t        was_at = cert.renew_at;
	struct commit *c = commit_new(ctl);
	cert.renew_at = renew_at(ctl, &cert, t);
	if (waits) {
		cert.approved = false;
		approvals_follow_target(ctl, c, &cert, &p->who);
	}
	int r = policy_eligible(&cert, t, NULL, TRIGGER_POLICY_UPDATE, false, clock_now(), &approval);
	if (r == 0)
		r = operate_agent_usable(ctl, cert.agent);
	if (renews)
		join(p, &cert, r);
	if (!waits && cert.renew_at == was_at) {
		commit_drop(c);
		return;
	}
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.policy_walk", "controller.policy_walk_stored");
	commit_now(c, NULL, NULL);
}

/* ---- page by page ---------------------------------------------------------------------------------------------- */

struct scan {
	struct controller *ctl;
	char               object[sizeof(((struct policy_walk *)0)->object)];
	uint32_t           version;
	char               after[CERT_ID_SIZE];
	int64_t            now;
	int                code;
	size_t             n;
	struct certificate rows[PAGE];
};

static void scan_store(void *job, struct store_view *view)
{
	struct scan       *s = job;
	const char        *key = strchr(s->object, ':') + 1;
	struct cert_filter filter = {.now = s->now};
	if (text_starts(s->object, "service:"))
		filter.service = key;
	else
		filter.template_id = key;
	s->code = view != NULL ? view_certificates(view, &filter, s->after, s->rows, PAGE, &s->n) : E_STORE_IO;
}

static void finish(struct page *p, struct commit *c)
{
	const struct policy_walk *w = &p->next;
	store_remove_policy_walk(commit_change(c), w->object);
	campaigns_whole(p->ctl, c, w->campaign_id);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_POLICY_UPDATED,
					.actor = w->actor,
					.object = strchr(w->object, ':') + 1,
					.request_id = w->request_id,
					.reason = w->reason},
		     "{s:I,s:I,s:I}", "version", (json_int_t)w->version, "ordered", (json_int_t)w->ordered, "skipped",
		     (json_int_t)w->skipped);
}

struct page_note {
	struct policy_walk next;
	bool               over;
};

static void end(struct policy_walks *all, struct walk_entry *e)
{
	size_t i = (size_t)(e - all->list);
	memmove(&all->list[i], &all->list[i + 1], (all->n - i - 1) * sizeof(*e));
	all->n--;
}

static void page_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct page_note     note;
	struct policy_walks *all = ctl->policy_walks;
	memcpy(&note, value, sizeof(note));
	struct walk_entry *e = find(all, note.next.object);
	all->scanning = false;
	if (e != NULL && e->w.version == note.next.version) {
		e->w = note.next;
		if (note.over && e->changing == 0) /* otherwise what comes takes the entry over */
			end(all, e);
	}
	if (all->more && all->n < SERVICE_WALKS / 2)
		(void)!policy_walks_load(ctl); /* not readable: with the next one that is over */
	policy_walks_tick(ctl, clock_now());
}

/* The same page again, with the next tick. */
static void page_lost(struct controller *ctl, const void *value, size_t n)
{
	(void)value;
	(void)n;
	ctl->policy_walks->scanning = false;
}

/* A walk that was stored before there were campaigns gets one now. */
static int add_members(struct page *p, struct commit *c)
{
	struct policy_walk *w = &p->next;
	uint32_t            waiting = 0;
	if (id_is_none(w->campaign_id)) {
		p->n = 0; /* it is not in memory before it is stored: the same page again */
		return campaign_make_policy(p->ctl, c, w->object, w->version, &p->who, &w->campaign_id);
	}
	for (size_t i = 0; i < p->n; i++)
		waiting += p->members[i].state == MEMBER_WAITING;
	int r = campaigns_join(p->ctl, c, w->campaign_id, p->members, p->n);
	if (r == 0) {
		w->ordered += waiting;
		w->skipped += p->n - waiting;
	}
	return r == E_CAMPAIGN_STATE ? 0 : r; /* cancelled: the walk goes on without it, for due times and approvals */
}

/* Members, place and end of the walk in one commit. */
static void store_page(struct page *p, const struct scan *s)
{
	struct policy_walk *w = &p->next;
	struct commit      *c = commit_new(p->ctl);
	bool                had_campaign = !id_is_none(w->campaign_id);
	if (add_members(p, c) < 0) {
		commit_drop(c);
		p->ctl->policy_walks->scanning = false;
		return;
	}
	if (had_campaign && s->n == PAGE) {
		text_cut(w->after, sizeof(w->after), s->rows[s->n - 1].cert_id);
	} else if (had_campaign && w->busy) { /* from its start once more */
		w->after[0] = '\0';
		w->busy = false;
		w->next_at = s->now + BUSY_MS;
	} else {
		p->over = had_campaign;
	}
	if (p->over)
		finish(p, c);
	else
		store_put_policy_walk(commit_change(c), w);
	struct page_note note = {p->next, p->over};
	commit_then(c, page_stored, &note, sizeof(note));
	commit_else(c, page_lost, &note, sizeof(note));
	commit_fault_points(c, "controller.policy_page", "controller.policy_page_stored");
	commit_now(c, NULL, NULL);
}

static void on_scanned(void *job)
{
	struct scan         *s = job;
	struct controller   *ctl = s->ctl;
	struct policy_walks *all = ctl->policy_walks;
	struct walk_entry   *e = find(all, s->object);
	if (e == NULL || e->w.version != s->version || e->changing > 0 || s->code < 0 || ctl->stopping) {
		all->scanning = false;
		free(s); /* changed again meanwhile: from its start; or not readable: at the next tick */
		return;
	}
	struct page *p = calloc(1, sizeof(*p));
	if (p == NULL)
		abort();
	p->ctl = ctl;
	p->next = e->w;
	text_cut(p->who.actor, sizeof(p->who.actor), e->w.actor);
	text_cut(p->who.reason, sizeof(p->who.reason), e->w.reason);
	p->who.request_id = e->w.request_id;
	for (size_t i = 0; i < s->n; i++)
		look(p, s->rows[i].cert_id);
	store_page(p, s);
	free(p);
	free(s);
}

void policy_walks_tick(struct controller *ctl, int64_t now)
{
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk  *due = NULL;
	for (size_t i = 0; i < all->n && due == NULL; i++)
		due = all->list[i].w.next_at <= now && all->list[i].changing == 0 ? &all->list[i].w : NULL;
	if (all->scanning || due == NULL || commit_waiting(ctl) > COMMITS_MAX)
		return;
	struct scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->ctl = ctl;
	s->now = now;
	s->version = due->version;
	text_cut(s->object, sizeof(s->object), due->object);
	text_cut(s->after, sizeof(s->after), due->after);
	s->code = E_STORE_IO; /* stands when no view could be opened */
	all->scanning = true;
	workers_read(ctl->workers, scan_store, on_scanned, s);
}
