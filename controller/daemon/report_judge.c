/* report_judge.c - room controller/daemon: walks certificates and the places where they are served side by side, and judges each.
 * Each page shows one moment of the store; the whole is not one moment. Never: keeping what was judged. */
#include "controller/daemon/report_judge.h"

#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { PAGE = STORE_LIST_MAX, KEPT_MAX = 1000 };

/* A policy in force (version 0, with its service), or one version of a template. */
struct kept_key {
	char     template_id[TEMPLATE_ID_SIZE];
	char     service[SERVICE_SIZE];
	uint32_t version;
};
struct kept {
	struct kept_key key;
	bool            found;
	struct template t;
	UT_hash_handle  hh;
};

struct places {
	uint32_t targets, unprobed, stale;
	int64_t  shown_at;
};

struct judge {
	struct store_view       *view;
	const struct report_ask *ask;
	struct kept             *kept;
	size_t                   at; /* in the page, of the walk along targets */
	size_t                   n;
	struct certificate       page[PAGE];
	struct places            places[PAGE];
	struct verdict           verdict;
};

const char *risk_name(unsigned bit)
{
	switch (bit) {
	case RISK_EXPIRED:
		return "expired";
	case RISK_EMERGENCY:
		return "inside_emergency_threshold";
	case RISK_SERVED:
		return "served_is_not_issued";
	case RISK_PAUSED:
		return "renewal_paused";
	default:
		return "rule_failed";
	}
}

int judge_open(struct store_view *view, const struct report_ask *ask, struct judge **ret)
{
	struct judge *j = calloc(1, sizeof(*j)); /* large */
	if (j == NULL)
		return E_NOMEM;
	j->view = view;
	j->ask = ask;
	*ret = j;
	return 0;
}

static void forget_kept(struct judge *j)
{
	struct kept *k, *tmp;
	HASH_ITER (hh, j->kept, k, tmp) {
		HASH_DEL(j->kept, k);
		free(k);
	}
}

void judge_close(struct judge *j)
{
	if (j == NULL)
		return;
	forget_kept(j);
	free(j);
}

/* ---- templates ---- */

/* NULL = there is none, or not any more. Good until the next certificate. */
static int template_of(struct judge *j, const struct certificate *c, bool in_force, const struct template **ret)
{
	struct kept_key key = {.version = in_force ? 0 : c->template_version};
	struct kept    *k = NULL;
	text_cut(key.template_id, sizeof(key.template_id), c->template_id);
	if (in_force)
		text_cut(key.service, sizeof(key.service), c->service);
	HASH_FIND(hh, j->kept, &key, sizeof(key), k);
	if (k == NULL) {
		if ((k = calloc(1, sizeof(*k))) == NULL)
			return E_NOMEM;
		k->key = key;
		int r = in_force ? service_policy_view(j->view, c->template_id, c->service, &k->t)
				 : view_template(j->view, c->template_id, c->template_version, &k->t);
		if (r < 0 && r != E_NOT_FOUND) {
			free(k);
			return r;
		}
		k->found = r == 0;
		HASH_ADD(hh, j->kept, key, sizeof(k->key), k);
	}
	*ret = k->found ? &k->t : NULL;
	return 0;
}

/* ---- where they are served ---- */

static bool is_probed(const struct target *t)
{
	return !text_equal(t->verify_kind, "file") && !text_equal(t->verify_kind, "none");
}

static int add_target(void *ctx, const struct target *t)
{
	struct judge *j = ctx;
	while (j->at < j->n && strcmp(j->page[j->at].cert_id, t->cert_id) < 0)
		j->at++;
	if (j->at == j->n || !text_equal(j->page[j->at].cert_id, t->cert_id))
		return 0; /* of a removed one */
	const struct certificate *c = &j->page[j->at];
	struct places            *p = &j->places[j->at];
	int64_t shown_at = t->state_code == 0 && t->rehearsed_at > t->proved_at ? t->rehearsed_at : t->proved_at;
	bool    other = !serial_is_none(t->served) && !serial_equal(t->served, c->serial) && id_is_none(c->open_order);
	p->stale += t->stale_since_at != 0 || other;
	p->unprobed += !is_probed(t);
	p->shown_at = p->targets == 0 || shown_at < p->shown_at ? shown_at : p->shown_at;
	p->targets++;
	return 0;
}

/* ---- one certificate ---- */

static int is_paused(struct judge *j, const struct certificate *c, bool *ret)
{
	struct order o;
	*ret = false;
	if (id_is_none(c->open_order))
		return 0;
	int r = view_order(j->view, c->open_order, &o);
	if (r == 0)
		*ret = o.phase == ORDER_PAUSED;
	return r == E_NOT_FOUND ? 0 : r;
}

const struct compliance_exception *report_exception(const struct report_ask *ask, const struct compliance_rule *r, const char *template_id)
{
	for (size_t i = 0; i < ask->own.n; i++) {
		const struct compliance_exception *e = &ask->own.row[i];
		if (ask->now < e->until_at && text_equal(e->rule, r->id) && text_equal(e->template_id, template_id))
			return e;
	}
	return rule_book_exception(ask->book, r, template_id, ask->now);
}

static void judge_rule(const struct report_ask *ask, size_t i, const struct compliance_cert *facts, struct verdict *v)
{
	static const struct compliance_text later = {{"the rule is not in force yet", "die Regel ist noch nicht in Kraft"}};
	const struct compliance_rule       *r = &ask->book->rule[i];
	enum compliance_result              result = COMPLIANCE_NOT_ASSESSABLE;
	v->why[i] = &later;
	if (facts->now >= r->valid_from_at)
		result = r->check->of_cert(facts, &r->params, &v->why[i]);
	if (result == COMPLIANCE_FAIL)
		v->exception[i] = report_exception(ask, r, facts->cert->template_id);
	if (v->exception[i] != NULL)
		result = COMPLIANCE_EXCEPTION;
	if (result == COMPLIANCE_FAIL && rule_severity(r, facts->now) == SEVERITY_ERROR) {
		v->risks |= RISK_RULE;
		v->figures |= FIGURE_BIT(VIOLATIONS);
	}
	v->result[i] = (uint8_t)result;
}

static void judge_rules(const struct report_ask *ask, const struct compliance_cert *facts, struct verdict *v)
{
	const struct rule_book *book = ask->book;
	for (size_t i = 0; i < book->n_profiles; i++)
		if (facts->policy != NULL && (facts->policy->profiles & book->profile[i].bit) != 0)
			v->profiles |= UINT64_C(1) << i;
	for (size_t i = 0; i < book->n_rules; i++) {
		v->result[i] = COMPLIANCE_RESULT_COUNT;
		v->exception[i] = NULL;
		if (book->rule[i].check->of_cert != NULL && (v->profiles >> book->rule[i].profile & 1) != 0)
			judge_rule(ask, i, facts, v);
	}
}

/* What ended for good, or is on its way out, is judged by no rule. */
static bool in_use(const struct verdict *v)
{
	return v->status != CERT_REVOKED && v->cert->retired_at == 0;
}

static int judge_one(struct judge *j, size_t at)
{
	struct verdict        *v = &j->verdict;
	const struct places   *p = &j->places[at];
	struct compliance_cert facts = {.cert = &j->page[at], .contacts = j->ask->contacts, .targets = p->targets, .unprobed = p->unprobed,
					.stale = p->stale, .shown_at = p->shown_at, .now = j->ask->now};
	bool                   paused = false;
	if (HASH_COUNT(j->kept) > KEPT_MAX)
		forget_kept(j);
	v->cert = facts.cert;
	v->risks = 0;
	v->profiles = 0;
	int r = template_of(j, facts.cert, true, &facts.policy);
	if (r == 0 && !serial_is_none(facts.cert->serial))
		r = template_of(j, facts.cert, false, &facts.made_from);
	v->status = policy_status(facts.cert, facts.policy, facts.now);
	v->figures = figure_of_certificate(facts.cert, v->status, facts.now);
	if (r == 0 && in_use(v))
		r = is_paused(j, facts.cert, &paused);
	if (r < 0)
		return r;
	memset(v->result, COMPLIANCE_RESULT_COUNT, sizeof(v->result));
	if (!in_use(v))
		return 0;
	judge_rules(j->ask, &facts, v);
	if (v->status == CERT_EXPIRED)
		v->risks |= RISK_EXPIRED;
	else if (facts.policy != NULL && policy_alerts(POLICY_ALERT_EMERGENCY, facts.cert, facts.policy, facts.now))
		v->risks |= RISK_EMERGENCY;
	v->risks |= p->stale > 0 ? RISK_SERVED : 0;
	v->risks |= paused ? RISK_PAUSED : 0;
	v->figures |= v->risks != 0 ? FIGURE_BIT(HIGH_RISK) : 0;
	return 0;
}

/* ---- the walk ---- */

static int read_page(struct judge *j, const char *after)
{
	const struct cert_filter f = {.now = j->ask->now};
	int                      r = view_certificates(j->view, &f, after, j->page, PAGE, &j->n);
	memset(j->places, 0, sizeof(j->places));
	j->at = 0;
	return r == 0 && j->n > 0 ? view_targets_between(j->view, after, j->page[j->n - 1].cert_id, add_target, j) : r;
}

int judge_certificates(struct judge *j, const char *after, size_t max_pages, judge_fn *fn, void *ctx, bool *ret_more)
{
	char last[CERT_ID_SIZE];
	int  r = 0;
	text_cut(last, sizeof(last), after);
	*ret_more = true;
	for (size_t pages = 0; r == 0 && pages < max_pages; pages++) {
		r = read_page(j, last);
		for (size_t i = 0; r == 0 && i < j->n; i++)
			if ((r = judge_one(j, i)) == 0)
				r = fn(ctx, &j->verdict);
		if (r == 0 && j->n < PAGE) {
			*ret_more = false;
			return 0;
		}
		if (j->n > 0)
			text_cut(last, sizeof(last), j->page[j->n - 1].cert_id);
	}
	return r < 0 ? r : 0;
}

