/* order_waits.c - room controller/daemon: what an order that is under way waits for, in words.
 * Never: deciding anything by it. */
#include "controller/daemon/order_waits.h"

#include "controller/daemon/order_window.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/model/campaign.h"

/* NULL: nothing is waited for any more. What only the host can give is told with whether it is there. */
static const struct {
	const char *what;
	bool        of_host;
} waits[ORDER_PHASE_COUNT] = {
	[ORDER_PLANNED] = {"its turn", false},
	[ORDER_AWAITING_APPROVAL] = {"the approval of a second person", false},
	[ORDER_ORDERED] = {"a certificate request of the host", true},
	[ORDER_CSR_RECEIVED] = {"the signer", false},
	[ORDER_SIGNING] = {"the signer", false},
	[ORDER_ISSUED] = {"a connection to the host", true},
	[ORDER_DELIVERED] = {"the host's proof that it is served", true},
	[ORDER_VERIFIED] = {"the host's word that nothing serves the old one", true},
	[ORDER_SETTLED] = {"what relying parties see", false},
	[ORDER_RETRY_WAIT] = {"the next attempt", false},
	[ORDER_ROLLING_BACK] = {"the host's proof that the one before is served", true},
};

/* A member, as it was read a moment ago: its order may be further. */
static bool is_under_way(const json_t *o)
{
	static const enum member_state states[] = {MEMBER_ORDERED, MEMBER_FOLLOWING, MEMBER_GOING_BACK};
	const char                    *state = json_string_value(json_object_get(o, "state"));
	for (size_t i = 0; state != NULL && i < N_ELEMENTS(states); i++)
		if (text_equal(state, member_state_name(states[i])))
			return true;
	return false;
}

void order_waits_show(struct controller *ctl, json_t *o, int64_t now)
{
	const char  *text = json_string_value(json_object_get(o, "renewal_id"));
	struct id    id;
	struct order order;
	order_window_show(ctl, o, now);
	if (json_object_get(o, "waits_for") != NULL || text == NULL || id_parse(text, &id) < 0 ||
	    orders_find(ctl, id, &order) < 0)
		return;
	const char *what = waits[order.phase].what;
	if (what == NULL && is_under_way(o))
		what = "nothing: it has just ended";
	if (what == NULL)
		return;
	bool away = waits[order.phase].of_host && !controller_connected(ctl, order.agent);
	json_object_set_new(o, "waits_for", json_sprintf("%s%s", what, away ? ", which is away" : ""));
}

void order_waits_show_all(struct controller *ctl, json_t *list, int64_t now)
{
	size_t  i;
	json_t *o;
	json_array_foreach(list, i, o) order_waits_show(ctl, o, now);
}
