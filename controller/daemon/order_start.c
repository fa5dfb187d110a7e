/* order_start.c - room controller/daemon: at start every open order goes on by its restart map, and what was asked of the signer for an order that
 * does not want it is void. Never: events of a running controller. */
#include "controller/daemon/orders.h"

#include <stdlib.h>

#include "controller/daemon/orders_part.h"
#include "controller/daemon/poison.h"
#include "controller/daemon/state.h"

enum { PAGE = 64 };

static int load_open(struct controller *ctl)
{
	struct order *page = calloc(PAGE, sizeof(*page));
	struct id     after = {0};
	size_t        n = PAGE;
	int           r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_orders_open(ctl->view, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			(void)orders_entry_add(ctl, &page[i]);
			after = page[i].renewal_id;
		}
	free(page);
	return r;
}

static bool intent_is_wanted(const struct controller *ctl, const struct issuance *i)
{
	const struct order_entry *e = i->owner == OWNER_CERTIFICATE ? orders_entry(ctl, i->renewal_id) : NULL;
	return e != NULL && e->o.phase == ORDER_SIGNING && serial_equal(e->o.serial, i->serial);
}

static void void_intent(struct controller *ctl, const struct issuance *i)
{
	struct issuance gone = *i;
	char            serial[SERIAL_TEXT_SIZE];
	struct commit  *c = commit_new(ctl);
	gone.state = ISSUANCE_VOID;
	commit_issuance(c, &gone);
	commit_audit(c,
		     &(struct audit_of){.event = AUDIT_INTENT_VOIDED,
					.actor = "controller",
					.object = i->owner_id,
					.renewal_id = i->renewal_id},
		     "{s:s,s:s}", "serial", serial_text(i->serial, serial), "reason", "restart");
	commit_now(c, NULL, NULL);
}

static int void_orphans(struct controller *ctl)
{
	struct issuance *page = calloc(PAGE, sizeof(*page));
	struct serial    after = {0};
	size_t           n = PAGE;
	int              r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE && (r = view_intents(ctl->view, after, page, PAGE, &n)) == 0)
		for (size_t i = 0; i < n; i++) {
			after = page[i].serial;
			if (!intent_is_wanted(ctl, &page[i]))
				void_intent(ctl, &page[i]);
		}
	free(page);
	return r;
}

int orders_load(struct controller *ctl)
{
	int r = load_open(ctl);
	if (r == 0)
		r = void_orphans(ctl);
	struct order_entry *e, *tmp;
	if (r == 0)
		HASH_ITER (hh, ctl->orders->open, e, tmp)
			orders_drive(ctl, &(struct order_event){.kind = EV_RESTART, .renewal_id = e->o.renewal_id},
			      &(struct order_input){0});
	return r;
}

/* What then kills us by resting is left as it is. */
void orders_rest(struct controller *ctl)
{
	struct order_entry *e, *tmp;
	HASH_ITER (hh, ctl->orders->open, e, tmp)
		if (e->o.phase != ORDER_PAUSED && poison_rests(ctl->poison, e->o.cert_id) && !poison_untouchable(ctl->poison, e->o.cert_id))
			orders_park(ctl, e, err_what(E_ORDER_POISON));
}
