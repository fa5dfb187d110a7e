/* stages.c - room controller/daemon: next keys that hosts have made before anybody orders.
 * Never: believing a host about its clock; a second key in the place of one that an order has reserved. */
#include "controller/daemon/stages.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/agent_messages.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/policy_walk.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"

enum { SPREAD_MS = 10 * 60 * 1000, PAGE = 64 };

/* ---- what the host is told --------------------------------------------------------------------------------------- */

struct restage_later {
	char               agent[AGENT_NAME_SIZE];
	struct msg_restage m;
};

/* Lost where the host is away: what it tells of its targets after the next welcome shows that the key is missing. */
static void send_restage(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	const struct restage_later *r = value;
	(void)fleet_send(ctl, r->agent, MSG_RESTAGE, 0, &r->m, false);
}

static bool is_wanted(const struct certificate *cert, const struct template *t)
{
	return t != NULL && t->purpose != PURPOSE_CODE_SIGNING && cert->retired_at == 0 && cert->revoked_at == 0 && cert->agent[0] != '\0';
}

static struct restage_later restage_of(const struct certificate *cert, const struct template *t)
{
	struct restage_later r = {.m = {.wanted = is_wanted(cert, t), .spread_ms = SPREAD_MS}};
	text_cut(r.agent, sizeof(r.agent), cert->agent);
	text_cut(r.m.cert_id, sizeof(r.m.cert_id), cert->cert_id);
	r.m.key_type = t != NULL ? (uint32_t)t->key_type : 0;
	return r;
}

/* ---- does it fit? ------------------------------------------------------------------------------------------------ */

static bool host_has_it(struct controller *ctl, const struct certificate *cert, const struct staged_key *s)
{
	struct agent row;
	return rows_agent(ctl->rows, cert->agent, &row) == 0 && row.state == AGENT_ACTIVE && hash_equal(row.host_hash, s->host_hash);
}

static bool fits(struct controller *ctl, const struct certificate *cert, const struct template *t, const struct staged_key *s)
{
	const struct catalog_issuer *issuer = t != NULL ? catalog_issuer_for(ctl->catalog, t) : NULL;
	int64_t                      age = time_between(clock_now(), s->ready_at);
	return is_wanted(cert, t) && issuer != NULL && text_equal(issuer->row.issuer_id, s->issuer_id) && s->key_type == t->key_type &&
	       age < STAGE_AGE_MAX_D * MS_DAY && host_has_it(ctl, cert, s);
}

/* ---- offers ------------------------------------------------------------------------------------------------------ */

/* The key that the certificate has now is no next one. */
static bool key_is_in_use(struct controller *ctl, const struct certificate *cert, struct hash spki_hash)
{
	struct issuance i;
	return !serial_is_none(cert->serial) && rows_issuance(ctl->rows, cert->serial, &i) == 0 && hash_equal(i.spki_hash, spki_hash);
}

/* A certificate for it is being made, or was made and is not proved yet: the host did not hear that we had the key, and offers it again. */
static bool key_is_on_its_way(struct controller *ctl, const struct certificate *cert, struct hash spki_hash)
{
	const struct order *open = orders_of(ctl, cert);
	return open != NULL && hash_equal(open->spki_hash, spki_hash);
}

static int judge_offer(struct controller *ctl, const struct certificate *cert, const struct template *t, const struct staged_key *s)
{
	if (!is_wanted(cert, t))
		return E_STAGE_UNWANTED;
	if (s->key_type != t->key_type || key_is_in_use(ctl, cert, s->spki_hash)) {
		struct restage_later r = restage_of(cert, t);
		send_restage(ctl, &r, sizeof(r));
		return E_POLICY_CSR;
	}
	return 0;
}

static void store_offer(struct controller *ctl, const char *agent, uint64_t id, const struct staged_key *s)
{
	struct ack_later ack = {.id = id};
	struct commit   *c = commit_new(ctl);
	text_cut(ack.agent, sizeof(ack.agent), agent);
	commit_stage(c, s);
	commit_then(c, agent_ack_then, &ack, sizeof(ack));
	commit_fault_points(c, "controller.stage", "controller.stage_stored");
	commit_now(c, NULL, NULL); /* not stored: the host says it again */
}

int stages_take(struct controller *ctl, const char *agent, uint64_t id, const struct body_stage *body, struct span spki,
		enum key_type key_type)
{
	struct certificate cert;
	struct agent       row;
	struct staged_key  known, s = {.key_type = key_type, .made_at = body->made_at, .ready_at = clock_now()};
	int                r = rows_certificate(ctl->rows, body->cert_id, &cert);
	if (r == 0)
		r = rows_agent(ctl->rows, agent, &row);
	if (r < 0)
		return r;
	if (!text_equal(cert.agent, agent) || spki.n > sizeof(s.spki))
		return E_NOT_FOUND;
	const struct template *t = catalog_policy(ctl->catalog, cert.template_id, cert.service);
	digest_sha256(spki, &s.spki_hash);
	s.host_hash = row.host_hash;
	r = judge_offer(ctl, &cert, t, &s);
	if (r < 0)
		return r;
	r = rows_stage(ctl->rows, cert.cert_id, &known);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	bool repeated = r == 0 && hash_equal(known.spki_hash, s.spki_hash) && hash_equal(known.host_hash, s.host_hash);
	if (repeated || key_is_on_its_way(ctl, &cert, s.spki_hash)) {
		agent_ack_when_stored(ctl, agent, id, 0);
		return 0;
	}
	const struct catalog_issuer *issuer = catalog_issuer_for(ctl->catalog, t);
	if (issuer == NULL || (r == 0 && !id_is_none(known.renewal_id)))
		return 0; /* not now: nobody signs before a successor is there, or the order that has reserved the other one is about to use it */
	text_cut(s.cert_id, sizeof(s.cert_id), cert.cert_id);
	text_cut(s.issuer_id, sizeof(s.issuer_id), issuer->row.issuer_id);
	memcpy(s.spki, spki.p, spki.n);
	s.spki_len = (uint16_t)spki.n;
	store_offer(ctl, agent, id, &s);
	return 0;
}

/* ---- orders ------------------------------------------------------------------------------------------------------ */

static bool may_use(const struct order *o, const struct staged_key *s)
{
	return id_is_none(s->renewal_id) || id_equal(s->renewal_id, o->renewal_id);
}

uint32_t stages_begin(struct controller *ctl, const struct order *o, const struct certificate *cert, const struct order_policy *policy,
		      struct order_event *ev, struct issuance *ret)
{
	struct certificate value;
	struct staged_key  s;
	bool               stopped = policy->held || (policy->pre_validation && policy->prerequisite[0] != '\0');
	if ((o->flags & (ORDER_FRESH | ORDER_DRILL)) != 0 || o->agent[0] == '\0' || stopped)
		return 0;
	if (cert == NULL && rows_certificate(ctl->rows, o->cert_id, &value) < 0)
		return 0;
	cert = cert != NULL ? cert : &value;
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	if (rows_stage(ctl->rows, cert->cert_id, &s) < 0 || !may_use(o, &s) || !fits(ctl, cert, t, &s) || policy_walk_holds(ctl, cert, t))
		return 0;
	if (intent_for(ctl, cert, t, (struct span){s.spki, s.spki_len}, o->renewal_id, ret) < 0)
		return 0; /* the other way finds out why, and says it */
	ev->staged = true;
	ev->spki_hash = s.spki_hash;
	ev->serial = ret->serial;
	ev->tbs_hash = ret->tbs_hash;
	return t->version;
}

int stages_reserve(struct controller *ctl, struct commit *c, const struct order *o)
{
	struct staged_key s;
	int               r = rows_stage(ctl->rows, o->cert_id, &s);
	if (r < 0 || !may_use(o, &s))
		return r < 0 ? r : E_INTERNAL;
	s.renewal_id = o->renewal_id;
	commit_stage(c, &s);
	return 0;
}

void stages_used(struct controller *ctl, struct commit *c, const struct order *o)
{
	struct staged_key s;
	if (rows_stage(ctl->rows, o->cert_id, &s) == 0 && id_equal(s.renewal_id, o->renewal_id))
		commit_remove_stage(c, o->cert_id);
}

static void drop(struct controller *ctl, struct commit *c, const struct certificate *cert)
{
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	struct restage_later   r = restage_of(cert, t);
	commit_remove_stage(c, cert->cert_id);
	commit_then(c, send_restage, &r, sizeof(r));
}

void stages_drop(struct controller *ctl, struct commit *c, const struct order *o)
{
	struct certificate cert;
	struct staged_key  s;
	if (rows_stage(ctl->rows, o->cert_id, &s) == 0 && may_use(o, &s) && rows_certificate(ctl->rows, o->cert_id, &cert) == 0)
		drop(ctl, c, &cert);
}

/* ---- when something else changes ---------------------------------------------------------------------------------- */

void stages_judge(struct controller *ctl, const struct certificate *cert, const struct template *t)
{
	struct staged_key s;
	if (rows_stage(ctl->rows, cert->cert_id, &s) < 0 || !id_is_none(s.renewal_id) || fits(ctl, cert, t, &s))
		return;
	struct commit *c = commit_new(ctl);
	drop(ctl, c, cert);
	commit_fault_points(c, "controller.stage_drop", "controller.stage_drop_stored");
	commit_now(c, NULL, NULL);
}

void stages_ask(struct controller *ctl, const struct certificate *cert, const struct template *t)
{
	struct staged_key    s;
	struct restage_later r = restage_of(cert, t);
	if (!cert->proved || !id_is_none(cert->open_order) || !r.m.wanted)
		return;
	int found = rows_stage(ctl->rows, cert->cert_id, &s);
	if (found == 0)
		stages_judge(ctl, cert, t);
	else if (found == E_NOT_FOUND)
		send_restage(ctl, &r, sizeof(r));
}

void stages_over(struct controller *ctl, struct commit *c, const struct certificate *cert)
{
	struct staged_key s;
	if (rows_stage(ctl->rows, cert->cert_id, &s) == 0)
		drop(ctl, c, cert);
}

void stages_host_gone(struct controller *ctl, struct commit *c, struct hash host_hash)
{
	struct staged_key *page = calloc(PAGE, sizeof(*page));
	char               after[CERT_ID_SIZE] = "";
	size_t             n = PAGE;
	if (page == NULL)
		abort();
	while (n == PAGE && view_stages_of(ctl->view, host_hash, after, page, PAGE, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			text_cut(after, sizeof(after), page[i].cert_id);
			commit_remove_stage(c, page[i].cert_id);
		}
	free(page);
}
