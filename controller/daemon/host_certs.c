/* host_certs.c - room controller/daemon: what a host was given: its certificates, and the orders that it was carrying out.
 * Never: the host's own row. */
#include "controller/daemon/host_certs.h"

#include <stdlib.h>

#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { PAGE = 64 };

/* `over`: also those that are revoked or retired. */
static int each_of(struct controller *ctl, const char *agent, bool over, host_certs_fn *each, void *ctx)
{
	struct cert_filter  filter = {.agent = agent, .with_removed = over, .now = clock_now()};
	struct certificate *page = calloc(PAGE, sizeof(*page));
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	int                 r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_certificates(ctl->view, &filter, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), page[i].cert_id);
			r = rows_certificate(ctl->rows, after, &page[i]);
			if (r == 0 && (over || (page[i].revoked_at == 0 && page[i].retired_at == 0)))
				r = each(ctx, &page[i]);
		}
	free(page);
	return r;
}

int host_certs_each(struct controller *ctl, const char *agent, host_certs_fn *each, void *ctx)
{
	return each_of(ctl, agent, false, each, ctx);
}

/* ---- orders ------------------------------------------------------------------------------------------------------- */

struct ending {
	struct controller   *ctl;
	int                  code;
	const char          *cause;
	const struct caller *who;
};

/* One event for the open order of a certificate, if there is one. */
static int end_by(const struct ending *e, enum order_event_kind kind, int code, struct certificate *cert)
{
	const struct order *open = orders_of(e->ctl, cert);
	bool                stored;
	if (open == NULL || order_phase_final(open->phase))
		return 0;
	struct order_event ev = {.kind = kind, .renewal_id = open->renewal_id, .code = code};
	text_cut(ev.cause, sizeof(ev.cause), e->cause);
	int r = orders_event(e->ctl, &ev, &(struct order_input){.who = e->who}, &stored);
	return r == 0 ? rows_certificate(e->ctl->rows, cert->cert_id, cert) : r;
}

int host_certs_left(struct controller *ctl, struct certificate *cert, const char *cause, const struct caller *who)
{
	return end_by(&(struct ending){.ctl = ctl, .cause = cause, .who = who}, EV_LEFT, E_ORDER_UNSETTLED, cert);
}

/* One that is proved is completed by that; one that the host has a certificate of ends by its failure there; one that nothing was sent of is
 * cancelled. */
static int end_order(void *ctx, struct certificate *cert)
{
	const struct ending *e = ctx;
	int                  r = end_by(e, EV_LEFT, E_ORDER_UNSETTLED, cert);
	if (r == 0)
		r = end_by(e, EV_TARGET_FAILED, e->code, cert);
	return r == 0 ? end_by(e, EV_CANCEL, e->code, cert) : r;
}

int host_certs_end_orders(struct controller *ctl, const char *agent, int code, const char *cause, const struct caller *who)
{
	struct ending e = {ctl, code, cause, who};
	return each_of(ctl, agent, true, end_order, &e);
}
