/* host_certs.c - room controller/daemon: what a host was given: its certificates, and the orders that it was carrying out.
 * Never: the host's own row. */
#include "controller/daemon/host_certs.h"

#include <stdlib.h>

#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { PAGE = 64 };

int host_certs_each(struct controller *ctl, const char *agent, host_certs_fn *each, void *ctx)
{
	struct cert_filter  filter = {.agent = agent, .now = clock_now()};
	struct certificate *page = calloc(PAGE, sizeof(*page));
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	int                 r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_certificates(ctl->view, &filter, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), page[i].cert_id);
			r = rows_certificate(ctl->rows, after, &page[i]);
			if (r == 0 && page[i].revoked_at == 0 && page[i].retired_at == 0)
				r = each(ctx, &page[i]);
		}
	free(page);
	return r;
}

struct ending {
	struct controller   *ctl;
	int                  code;
	const char          *cause;
	const struct caller *who;
};

/* One that the host has a certificate of ends by its failure there; one that nothing was sent of is cancelled. */
static int end_order(void *ctx, struct certificate *cert)
{
	static const enum order_event_kind kinds[] = {EV_TARGET_FAILED, EV_CANCEL};
	const struct ending               *e = ctx;
	int                                r = 0;
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(kinds); i++) {
		const struct order *open = orders_of(e->ctl, cert);
		bool                stored;
		if (open == NULL || order_phase_final(open->phase))
			return 0;
		struct order_event ev = {.kind = kinds[i], .renewal_id = open->renewal_id, .code = e->code};
		text_cut(ev.cause, sizeof(ev.cause), e->cause);
		r = orders_event(e->ctl, &ev, &(struct order_input){.who = e->who}, &stored);
		if (r == 0)
			r = rows_certificate(e->ctl->rows, cert->cert_id, cert);
	}
	return r;
}

int host_certs_end_orders(struct controller *ctl, const char *agent, int code, const char *cause, const struct caller *who)
{
	struct ending e = {ctl, code, cause, who};
	return host_certs_each(ctl, agent, end_order, &e);
}
