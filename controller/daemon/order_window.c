/* order_window.c - room controller/daemon: does an order wait for a maintenance window of its service? For people who look at it.
 * Never: judging for the host, which also knows the windows of its target file. */
#include "controller/daemon/order_window.h"

#include "controller/daemon/api_json.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/orders.h"
#include "controller/daemon/rows.h"
#include "controller/daemon/state.h"
#include "shared/base/times.h"
#include "shared/model/window.h"
#include "shared/sys/zone_file.h"

/* As the order was sent (order_send.c): what is urgent waits for no window. */
static bool any_time(struct controller *ctl, const struct order *o, const struct certificate *cert, int64_t now)
{
	const struct template *t = catalog_policy(ctl->catalog, cert->template_id, cert->service);
	bool late = t != NULL && cert->not_after_at != 0 && now >= cert->not_after_at - t->emergency_threshold_ms;
	return o->trigger == TRIGGER_EMERGENCY || (o->flags & (ORDER_FORCED | ORDER_NOW)) != 0 || late;
}

bool order_window_waits(struct controller *ctl, const struct order *o, int64_t now, int64_t *ret_at)
{
	const struct tz   *zones[WINDOWS_MAX];
	struct certificate cert;
	struct windows     w;
	char               bad[WINDOW_TEXT_SIZE];
	if (o->phase != ORDER_DELIVERED || rows_certificate(ctl->rows, o->cert_id, &cert) < 0 || any_time(ctl, o, &cert, now))
		return false;
	const struct service *s = catalog_service(ctl->catalog, cert.service);
	if (s == NULL || s->windows[0] == '\0' || windows_parse(s->windows, &w, bad) < 0)
		return false;
	for (size_t i = 0; i < w.n; i++)
		if (zone_get(w.list[i].zone, &zones[i], NULL) != 0)
			return false;
	return !windows_open(&w, zones, now, ret_at);
}

void order_window_show(struct controller *ctl, json_t *o, int64_t now)
{
	const char  *text = json_string_value(json_object_get(o, "renewal_id"));
	int64_t      at = TIME_NEVER;
	struct id    id;
	struct order order;
	if (text == NULL || id_parse(text, &id) < 0 || orders_find(ctl, id, &order) < 0 ||
	    !order_window_waits(ctl, &order, now, &at))
		return;
	json_object_set_new(o, "waits_for", json_sprintf("the window of service %s", order.service));
	json_object_set_new(o, "next_at", at == TIME_NEVER ? json_null() : json_time(at));
}

void order_window_show_all(struct controller *ctl, json_t *list, int64_t now)
{
	size_t  i;
	json_t *o;
	json_array_foreach(list, i, o) order_window_show(ctl, o, now);
}
