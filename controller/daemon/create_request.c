/* create_request.c - room controller/daemon: a certificate that a person makes for a host, before its target file is there (LIFECYCLE 7).
 * It is judged as the file's own proposal would be (assign.c). Never: an order; the first one follows from the target file. */
#include "controller/daemon/create_request.h"

#include "controller/core/policy.h"
#include "controller/daemon/answer.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/issue_request.h"
#include "controller/daemon/operate.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

struct creating {
	struct controller           *ctl;
	const struct create_request *request;
	const struct template       *t;
	struct agent                 agent;
	struct certificate           cert;
	struct refusal               why;
};

bool create_waits(struct controller *ctl, const struct certificate *cert)
{
	struct target place;
	size_t        n = 0;
	bool          untouched = cert->agent[0] != '\0' && serial_is_none(cert->serial) && id_is_none(cert->open_order) &&
			 cert->retired_at == 0 && cert->revoked_at == 0;
	return untouched && view_targets_of(ctl->view, cert->cert_id, &place, 1, &n) == 0 && n == 0;
}

static int find_agent(struct creating *g)
{
	const struct create_request *q = g->request;
	int                          r = rows_agent(g->ctl->rows, q->agent, &g->agent);
	if (r == 0)
		r = operate_agent_usable(g->ctl, q->agent);
	return r < 0 ? refuse(&g->why, r, q->agent, "%s", r == E_NOT_FOUND ? "there is no such agent" : err_what(r)) : 0;
}

/* A cert_id is never reused; what nobody serves yet may still be corrected. */
static int find_certificate(struct creating *g)
{
	const struct create_request *q = g->request;
	int                          r = rows_certificate(g->ctl->rows, q->cert_id, &g->cert);
	if (r == E_NOT_FOUND) {
		g->cert = (struct certificate){.renew_at = TIME_NEVER, .alert_at = TIME_NEVER, .created_at = clock_now()};
		text_cut(g->cert.cert_id, sizeof(g->cert.cert_id), q->cert_id);
		text_cut(g->cert.agent, sizeof(g->cert.agent), q->agent);
		return 0;
	}
	if (r < 0)
		return refuse(&g->why, r, q->cert_id, "%s", err_what(r));
	if (!text_equal(g->cert.agent, q->agent))
		return refuse(&g->why, E_EXISTS, q->cert_id, "the cert_id is taken by another host");
	return create_waits(g->ctl, &g->cert) ? 0 : refuse(&g->why, E_EXISTS, q->cert_id, "its target file is there: edit that");
}

/* E_POLICY_NAMES and E_POLICY_APPROVAL: a second person decides. */
static int judge(struct creating *g)
{
	const struct create_request *q = g->request;
	const char                  *service = q->service[0] != '\0' ? q->service : g->agent.service;
	g->t = catalog_policy(g->ctl->catalog, q->template_id, service);
	if (g->t == NULL)
		return refuse(&g->why, E_POLICY_TEMPLATE, q->template_id, "there is no such template");
	text_cut(g->cert.template_id, sizeof(g->cert.template_id), q->template_id);
	text_cut(g->cert.service, sizeof(g->cert.service), service);
	g->cert.names = q->names;
	int r = policy_assign(&g->agent, g->t, service, &q->names, &g->why);
	if (r == 0 && g->t->purpose == PURPOSE_CODE_SIGNING && (r = intent_possible(g->ctl, g->t)) < 0)
		return refuse(&g->why, r, q->cert_id, "%s", err_what(r));
	return r == 0 && g->t->purpose == PURPOSE_ADMIN ? E_POLICY_APPROVAL : r;
}

void controller_create(struct controller *ctl, const struct create_request *request, const struct caller *who, api_done_fn *done, void *ctx)
{
	struct answer  *a = answer_new(done, ctx);
	struct creating g = {.ctl = ctl, .request = request};
	int             r = find_agent(&g);
	if (r == 0)
		r = find_certificate(&g);
	if (r == 0)
		r = judge(&g);
	bool waits = r == E_POLICY_NAMES || r == E_POLICY_APPROVAL;
	if (r < 0 && !waits) {
		a->result.why = g.why;
		a->result.code = r;
		answer_now(a);
		return;
	}
	g.cert.approved = !waits;
	struct commit *c = commit_new(ctl);
	issue_put_service(ctl, c, g.cert.service, who);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_CERTIFICATE_CREATED, .actor = who->actor, .object = g.cert.cert_id, .request_id = who->request_id, .reason = who->reason},
		     "{s:s,s:s,s:s,s:b}", "agent", g.cert.agent, "template", g.cert.template_id, "names", g.cert.names.text, "approved", (int)g.cert.approved);
	approvals_follow_target(ctl, c, &g.cert, who);
	commit_certificate(c, &g.cert);
	a->result.certificate = g.cert;
	commit_now(c, answer_stored, a);
}
