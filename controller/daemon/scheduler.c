/* scheduler.c - room controller/daemon: due renewals and due supersessions are found by a worker, decided and stored on the
 * loop. Never: scanning on the loop. */
#include "controller/daemon/scheduler.h"

#include <stdlib.h>

#include "controller/core/policy.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/kept_answers.h"
#include "controller/daemon/audit_heads.h"
#include "controller/daemon/bundles.h"
#include "controller/daemon/campaigns.h"
#include "controller/daemon/daily_digest.h"
#include "controller/daemon/deliveries.h"
#include "controller/daemon/drills.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/crl_files.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/fleet_silence.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/ocsp_keys.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/policy_walk.h"
#include "controller/daemon/pruner.h"
#include "controller/daemon/restored.h"
#include "controller/daemon/rollbacks.h"
#include "controller/daemon/rollover_ask.h"
#include "controller/daemon/rollovers.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/signer_client.h"
#include "controller/daemon/state.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	DUE_MAX = 100,
	SUPERSEDE_MAX = 100,
	ALERTS_MAX = 100,
	LATER_MS = 60 * 1000,
	TOLD_MS = 60 * 1000,        /* the clock jumped by more: hosts have another idea of our time */
	JUMP_MS = 10 * 60 * 1000,   /* the clock went ahead by more than this at once: it may be wrong */
	SETTLE_MS = 15 * 60 * 1000, /* so long renewals then trickle, one a tick, instead of coming all at once */
};

struct scheduler {
	uv_timer_t timer;
	bool       scanning;
	int64_t    wall_at, monotonic_at; /* of the last tick */
	int64_t    settled_at;            /* monotonic: until then renewals trickle */
};

struct scan {
	struct controller *ctl;
	int64_t            now;
	size_t             n_due, n_old, n_alerts;
	struct certificate due[DUE_MAX], alerts[ALERTS_MAX];
	struct issuance    old[SUPERSEDE_MAX];
};

int scheduler_open(struct controller *ctl, struct scheduler **ret)
{
	struct scheduler *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return E_NOMEM;
	uv_timer_init(ctl->loop, &s->timer);
	s->timer.data = ctl;
	*ret = s;
	return 0;
}

void scheduler_close(struct scheduler *s)
{
	uv_close((uv_handle_t *)&s->timer, NULL);
}

void scheduler_free(struct scheduler *s)
{
	free(s);
}

static void scan_store(void *job, struct store_view *view)
{
	struct scan *s = job;
	if (view_due(view, s->now, s->due, DUE_MAX, &s->n_due) < 0)
		s->n_due = 0;
	if (view_supersede_due(view, s->now, s->old, SUPERSEDE_MAX, &s->n_old) < 0)
		s->n_old = 0;
	if (view_alerts_due(view, s->now, s->alerts, ALERTS_MAX, &s->n_alerts) < 0)
		s->n_alerts = 0;
}

/* The newest row decides, not the one that the worker saw. */
static void renew(struct controller *ctl, const char *cert_id, int64_t now)
{
	static const struct caller scheduler = {.actor = "scheduler"};
	struct certificate         cert;
	if (rows_certificate(ctl->rows, cert_id, &cert) < 0 || cert.renew_at > now || !id_is_none(cert.open_order))
		return;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	bool                   approval = false;
	int                    usable = poison_rests(ctl->poison, cert_id) ? E_ORDER_POISON : operate_agent_usable(ctl, cert.agent);
	int                    r = usable < 0 ? usable
				   : t != NULL ? policy_eligible(&cert, t, orders_of(ctl, &cert), TRIGGER_SCHEDULED, false, now, &approval)
					       : E_POLICY_TEMPLATE;
	if (r == 0 && t->purpose == PURPOSE_CODE_SIGNING && (r = intent_possible(ctl, t)) < 0)
		log_line(LOG_LEVEL_WARNING, NULL, "certificate %s is due and cannot be renewed: %s", cert_id, err_what(r));
	struct commit *c = commit_new(ctl);
	if (r == 0)
		orders_create(ctl, c, &cert, TRIGGER_SCHEDULED, false, approval, &scheduler, NULL);
	else
		cert.renew_at = usable < 0 ? now + LATER_MS : TIME_NEVER; /* never: it is no longer looked after, or suspended until resumed */
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.schedule", "controller.schedule_stored");
	commit_now(c, NULL, NULL);
}

static void supersede(struct controller *ctl, struct serial serial, int64_t now)
{
	static const struct caller controller = {.actor = "controller"};
	struct issuance            i;
	if (rows_issuance(ctl->rows, serial, &i) < 0 || i.state == ISSUANCE_REVOKED || i.supersede_at > now)
		return;
	struct commit *c = commit_new(ctl);
	int64_t        kept_until = rollback_kept_until(ctl, &i, now);
	if (kept_until > now) {
		i.supersede_at = kept_until;
		commit_issuance(c, &i);
		commit_now(c, NULL, NULL);
		return;
	}
	enum revoke_reason reason = i.revoke_asked_at != 0 ? (enum revoke_reason)i.revoke_reason : REASON_SUPERSEDED;
	operate_revoke_issuance(ctl, c, &i, reason, now, &controller);
	commit_fault_points(c, "controller.supersede", "controller.supersede_stored");
	commit_now(c, NULL, NULL);
}

/* Once at the emergency threshold and once at the end, whatever becomes of its orders. */
static void alert(struct controller *ctl, const char *cert_id, int64_t now)
{
	struct certificate cert;
	char               expiry[TIME_TEXT_SIZE];
	if (rows_certificate(ctl->rows, cert_id, &cert) < 0 || cert.alert_at > now)
		return;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	struct commit         *c = commit_new(ctl);
	cert.alert_at = t != NULL ? policy_alert_at(&cert, t, now) : TIME_NEVER;
	if (t != NULL && policy_alerts(POLICY_ALERT_EMERGENCY, &cert, t, now)) {
		struct audit_of of = {.event = AUDIT_THRESHOLD_REACHED, .actor = "scheduler", .object = cert_id, .renewal_id = cert.open_order};
		commit_audit(c, &of, "{s:s,s:b}", "expires_at", time_text(cert.not_after_at, expiry), "expired", now >= cert.not_after_at);
		notices_threshold(c, &cert, t, now);
	}
	commit_certificate(c, &cert);
	commit_fault_points(c, "controller.alert", "controller.alert_stored");
	commit_now(c, NULL, NULL);
}

static void on_scanned(void *job)
{
	struct scan       *s = job;
	struct controller *ctl = s->ctl;
	ctl->scheduler->scanning = false;
	size_t limit = restored_holds(ctl) ? 0 : clock_monotonic() < ctl->scheduler->settled_at ? 1 : s->n_due;
	for (size_t i = 0; i < s->n_due && i < limit && !ctl->stopping; i++)
		renew(ctl, s->due[i].cert_id, s->now);
	for (size_t i = 0; i < s->n_old && !ctl->stopping; i++)
		supersede(ctl, s->old[i].serial, s->now);
	for (size_t i = 0; i < s->n_alerts && !ctl->stopping; i++)
		alert(ctl, s->alerts[i].cert_id, s->now);
	free(s);
}

/* LIFECYCLE 4: missed time is caught up, but a jump of the clock starts no mass renewal. */
static void watch_clock(struct controller *ctl, int64_t now)
{
	struct scheduler *s = ctl->scheduler;
	int64_t monotonic = clock_monotonic();
	int64_t ahead = (now - s->wall_at) - (monotonic - s->monotonic_at);
	if (s->wall_at != 0 && (ahead > TOLD_MS || ahead < -TOLD_MS))
		fleet_rewelcome_all(ctl); /* hosts judge certificates by the time that they were told */
	if (s->wall_at != 0 && ahead > JUMP_MS) {
		log_line(LOG_LEVEL_WARNING, NULL, "the clock went ahead by %lld s at once; renewals trickle for a while",
			 (long long)(ahead / MS_SECOND));
		s->settled_at = monotonic + SETTLE_MS;
		pruner_wait(ctl);
	}
	s->wall_at = now;
	s->monotonic_at = monotonic;
}

static void on_tick(uv_timer_t *timer)
{
	struct controller *ctl = timer->data;
	int64_t            now = clock_now();
	watch_clock(ctl, now);
	signer_tick(ctl);
	serials_tick(ctl);
	gateways_tick(ctl);
	identities_tick(ctl, now);
	ocsp_keys_tick(ctl, now);
	orders_tick(ctl, now);
	crls_tick(ctl, now);
	bundles_tick(ctl);
	audit_heads_tick(ctl, now);
	crls_watch(ctl, now);
	crl_files_tick(ctl, now);
	approvals_tick(ctl, now);
	kept_answers_tick(ctl, now);
	campaigns_tick(ctl, now);
	drills_tick(ctl, now);
	deliveries_tick(ctl, now);
	digests_tick(ctl, now);
	fleet_silence_tick(ctl, now);
	pruner_tick(ctl, now);
	policy_walks_tick(ctl, now);
	rollovers_tick(ctl, now);
	rollover_ask_tick(ctl, now);
	if (ctl->scheduler->scanning)
		return;
	struct scan *s = calloc(1, sizeof(*s));
	if (s == NULL)
		abort();
	s->ctl = ctl;
	s->now = now;
	ctl->scheduler->scanning = true;
	workers_read(ctl->workers, scan_store, on_scanned, s);
}

void scheduler_start(struct controller *ctl)
{
	(void)uv_timer_start(&ctl->scheduler->timer, on_tick, 0, (uint64_t)ctl->conf->tick_ms);
}
