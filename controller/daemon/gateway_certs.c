/* gateway_certs.c - room controller/daemon: a gateway's request for its own TLS certificate: checked, issued, answered.
 * Never: handing out before it is stored. */
#include "controller/daemon/gateway_certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

/* Of all gateways together: they run as one user, so none can be told from another that it pretends to be. Twice as many as there
 * may be can ask at once; then one every ten seconds is more than they need. */
enum { BURST = 128, EVERY_S = 10 };
static const int64_t every_ms = EVERY_S * MS_SECOND;

struct gateway_certs {
	struct gateway_wait *waiting;
	int64_t              paid_until; /* monotonic; each request moves it by every_ms */
	int64_t              told_at;    /* of the last refusal that was worth a word; 0 = none */
};

struct gateway_wait {
	struct controller   *ctl;
	uint64_t             gateway, id;
	char                 name[AGENT_NAME_SIZE];
	int                  code;
	struct span          spki;
	enum key_type        key_type;
	struct gateway_wait *prev, *next;
	size_t               n;
	uint8_t              csr[];
};

int gateway_certs_open(struct gateway_certs **ret)
{
	struct gateway_certs *g = calloc(1, sizeof(*g));
	if (g == NULL)
		return E_NOMEM;
	*ret = g;
	return 0;
}

void gateway_certs_free(struct gateway_certs *g)
{
	free(g);
}

static void gateway_wait_free(struct controller *ctl, struct gateway_wait *w)
{
	DL_DELETE(ctl->gateway_certs->waiting, w);
	free(w);
}

static bool is_waiting(const struct gateway_certs *g, uint64_t gateway)
{
	const struct gateway_wait *w;
	DL_FOREACH (g->waiting, w)
		if (w->gateway == gateway)
			return true;
	return false;
}

static bool may_ask(struct gateway_certs *g, int64_t now)
{
	int64_t from = g->paid_until > now ? g->paid_until : now;
	if (from - now > (BURST - 1) * every_ms)
		return false;
	g->paid_until = from + every_ms;
	return true;
}

/* Told once in a while: an answer to each would be work without end, too. */
static void refuse_gateway(struct controller *ctl, uint64_t gateway, const char *name, uint64_t id, int64_t now)
{
	struct gateway_certs    *g = ctl->gateway_certs;
	struct refusal           why = {0};
	struct gw_identity_reply m = {.code = E_API_BUSY};
	if (g->told_at != 0 && now - g->told_at < every_ms)
		return;
	g->told_at = now;
	(void)refuse(&why, E_API_BUSY, name, "the gateways ask for certificates more than %d times, and then once in %d s", BURST, EVERY_S);
	log_refusal(LOG_LEVEL_WARNING, NULL, &why);
	(void)gateways_send(ctl, gateway, GW_IDENTITY_REPLY, id, &m);
}

static void answer_gateway(struct controller *ctl, const struct gateway_wait *w, int code, const struct issuance *issued)
{
	struct gw_identity_reply m = {.code = code};
	if (issued != NULL) {
		const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, issued->issuer_id);
		m.certificate = (struct span){issued->der, issued->der_len};
		m.chain = issuer != NULL ? issuer->chain_root : (struct span){0};
	}
	(void)gateways_send(ctl, w->gateway, GW_IDENTITY_REPLY, w->id, &m);
}

static void on_gateway_identity(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	answer_gateway(ctl, ctx, code, issued);
	gateway_wait_free(ctl, ctx);
}

static void issue_gateway(struct controller *ctl, void *ctx)
{
	struct gateway_wait *w = ctx;
	char                 actor[ACTOR_SIZE];
	(void)snprintf(actor, sizeof(actor), "gateway:%s", w->name);
	struct identity_request q = {.profile = LEAF_GATEWAY,
				     .spki = w->spki,
				     .key_type = w->key_type,
				     .actor = actor,
				     .done = on_gateway_identity,
				     .ctx = w};
	text_cut(q.name, sizeof(q.name), w->name);
	int r = ctl->stopping ? E_SYS_CLOSED : w->code;
	if (r == 0)
		r = identities_issue(ctl, &q);
	if (r == E_SYS_AGAIN && serials_wait(ctl, issue_gateway, w) == 0)
		return;
	if (r < 0) {
		answer_gateway(ctl, w, r, NULL);
		gateway_wait_free(ctl, w);
	}
}

static void check_gateway(void *job, struct store_view *view)
{
	(void)view;
	struct gateway_wait *w = job;
	w->code = csr_check((struct span){w->csr, w->n}, &w->spki, &w->key_type);
}

static void on_gateway_checked(void *job)
{
	struct gateway_wait *w = job;
	issue_gateway(w->ctl, w);
}

void gateway_certs_ask(struct controller *ctl, uint64_t gateway, const char *name, uint64_t id, struct span csr)
{
	int64_t now = clock_monotonic();
	if (is_waiting(ctl->gateway_certs, gateway))
		return; /* it repeats what was not answered in time, with the same key: one answer is enough */
	if (!may_ask(ctl->gateway_certs, now)) {
		refuse_gateway(ctl, gateway, name, id, now);
		return;
	}
	struct gateway_wait *w = calloc(1, sizeof(*w) + csr.n);
	if (w == NULL)
		abort();
	w->ctl = ctl;
	w->gateway = gateway;
	w->id = id;
	w->n = csr.n;
	memcpy(w->csr, csr.p, csr.n);
	text_cut(w->name, sizeof(w->name), name);
	DL_APPEND(ctl->gateway_certs->waiting, w);
	workers_run(ctl->workers, check_gateway, on_gateway_checked, w);
}
