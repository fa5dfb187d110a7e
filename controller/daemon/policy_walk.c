/* policy_walk.c - room controller/daemon: a change of policy goes through the certificates that it concerns.
 * Each certificate is one change of its own, and the walk's place is stored after its page: whatever was done before a kill is
 * found done, because what is judged is the template that the certificate was made from. Never: more than one page in one tick.
 */
#include "controller/daemon/policy_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/policy_change.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/policy_preview.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { PAGE = 100, BUSY_MS = 20 * 1000, WALKS_MAX = 200, COMMITS_MAX = 2000 };

struct policy_walks {
	struct policy_walk list[WALKS_MAX];
	size_t             n;
	bool               scanning;
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

int policy_walks_load(struct controller *ctl)
{
	return view_policy_walks(ctl->view, "", ctl->policy_walks->list, WALKS_MAX, &ctl->policy_walks->n);
}

static struct policy_walk *find(struct policy_walks *all, const char *object)
{
	for (size_t i = 0; i < all->n; i++)
		if (text_equal(all->list[i].object, object))
			return &all->list[i];
	return NULL;
}

/* ---- beginning ------------------------------------------------------------------------------------------------- */

static void begun(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk   next;
	memcpy(&next, value, sizeof(next));
	struct policy_walk *old = find(all, next.object);
	if (old == NULL && all->n < WALKS_MAX)
		old = &all->list[all->n++];
	if (old != NULL)
		*old = next;
	else /* it is stored, and taken up at the next start */
		log_line(LOG_LEVEL_ERROR, NULL, "%s: %d changes of policy are under way, this one waits for the next start",
			 next.object, WALKS_MAX);
}

void policy_walk_begin(struct commit *c, const char *object, uint32_t version, const struct caller *who)
{
	struct policy_walk w = {.version = version, .request_id = who->request_id, .started_at = clock_now()};
	text_cut(w.object, sizeof(w.object), object);
	text_cut(w.actor, sizeof(w.actor), who->actor);
	text_cut(w.reason, sizeof(w.reason), who->reason);
	store_put_policy_walk(commit_change(c), &w);
	commit_then(c, begun, &w, sizeof(w));
}

/* ---- one certificate ------------------------------------------------------------------------------------------- */

void policy_walk_order(struct controller *ctl, struct commit *c, struct certificate *cert, bool approval,
		       const struct caller *who)
{
	orders_create(ctl, c, cert, TRIGGER_POLICY_UPDATE, false, approval, who, NULL);
}

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

/* True: there is nothing more to do with it for now. */
static bool open_order_goes_on(struct controller *ctl, struct policy_walk *w, const struct order *open,
			       const struct template *t, bool waits, const struct caller *who)
{
	if (has_its_certificate(open)) {
		w->busy |= open->template_version != t->version;
		return true;
	}
	if (waits)
		return !cancel_open(ctl, open, who);
	(void)!try_open(ctl, w, open, t, who); /* not stored: it is tried at its own time */
	return true;                     /* its next certificate is made by what holds now */
}

static void look(struct controller *ctl, struct policy_walk *w, const char *cert_id, const struct caller *who)
{
	struct certificate cert;
	struct template issued;
	bool approval = false;
	if (rows_certificate(ctl->rows, cert_id, &cert) < 0 || !policy_preview_live(&cert))
		return;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	if (t == NULL)
		return;
	bool                made = issued_from(ctl, &cert, t, &issued);
	bool                waits = made && unfit(&cert, &issued, t);
	const struct order *open = orders_of(ctl, &cert);
	if (open != NULL &&
	    (open_order_goes_on(ctl, w, open, t, waits, who) || rows_certificate(ctl->rows, cert_id, &cert) < 0))
		return;
	bool           renews = made && !serial_is_none(cert.serial) && policy_change_renews(&issued, t, &cert);
	int64_t        was_at = cert.renew_at;
	struct commit *c = commit_new(ctl);
	cert.renew_at = renew_at(ctl, &cert, t);
	if (waits) {
		cert.approved = false;
		approvals_follow_target(ctl, c, &cert, who);
	}
	int r = policy_eligible(&cert, t, NULL, TRIGGER_POLICY_UPDATE, false, clock_now(), &approval);
	if (r == 0)
		r = operate_agent_usable(ctl, cert.agent);
	if (renews && r == 0)
		policy_walk_order(ctl, c, &cert, approval, who);
	w->ordered += renews && r == 0;
	w->skipped += renews && r < 0;
	if (!waits && !(renews && r == 0) && cert.renew_at == was_at) {
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

static void finish(struct controller *ctl, struct commit *c, const struct policy_walk *w)
{
	store_remove_policy_walk(commit_change(c), w->object);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_POLICY_UPDATED,
					.actor = w->actor,
					.object = strchr(w->object, ':') + 1,
					.request_id = w->request_id,
					.reason = w->reason},
		     "{s:I,s:I,s:I}", "version", (json_int_t)w->version, "ordered", (json_int_t)w->ordered, "skipped",
		     (json_int_t)w->skipped);
	struct policy_walks *all = ctl->policy_walks;
	size_t               i = (size_t)(w - all->list);
	memmove(&all->list[i], &all->list[i + 1], (all->n - i - 1) * sizeof(*w));
	all->n--;
}

static void on_scanned(void *job)
{
	struct scan         *s = job;
	struct controller   *ctl = s->ctl;
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk  *w = find(all, s->object);
	struct caller        who = {.actor = ""};
	all->scanning = false;
	if (w == NULL || w->version != s->version || !text_equal(w->after, s->after) || s->code < 0 || ctl->stopping) {
		free(s); /* changed again meanwhile: from its start; or not readable: at the next tick */
		return;
	}
	text_cut(who.actor, sizeof(who.actor), w->actor);
	text_cut(who.reason, sizeof(who.reason), w->reason);
	who.request_id = w->request_id;
	for (size_t i = 0; i < s->n; i++)
		look(ctl, w, s->rows[i].cert_id, &who);
	struct commit *c = commit_new(ctl);
	bool           over = s->n < PAGE;
	if (!over)
		text_cut(w->after, sizeof(w->after), s->rows[s->n - 1].cert_id);
	if (over && w->busy) {
		w->after[0] = '\0';
		w->busy = false;
		w->skipped = 0; /* they are looked at again */
		w->next_at = s->now + BUSY_MS;
		over = false;
	}
	if (over)
		finish(ctl, c, w);
	else
		store_put_policy_walk(commit_change(c), w);
	commit_now(c, NULL, NULL);
	free(s);
}

void policy_walks_tick(struct controller *ctl, int64_t now)
{
	struct policy_walks *all = ctl->policy_walks;
	struct policy_walk  *due = NULL;
	for (size_t i = 0; i < all->n && due == NULL; i++)
		due = all->list[i].next_at <= now ? &all->list[i] : NULL;
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
