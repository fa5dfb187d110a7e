/* api_inventory.c - room controller/daemon: the route of what an agent's host serves by TLS.
 * Never: taking a host's word for what we issued; a listener is ours only by its fingerprint. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "shared/base/text.h"

enum { CERTS_MAX = 200 };

/* Which of the agent's certificates a listener serves; they are few. */
struct ours {
	struct certificate *certs;
	size_t              n;
};

static const char *ours_find(const struct ours *o, struct hash fingerprint)
{
	for (size_t i = 0; i < o->n; i++)
		if (!hash_is_none(fingerprint) && hash_equal(o->certs[i].fingerprint, fingerprint))
			return o->certs[i].cert_id;
	return NULL;
}

/* False: nothing is known of the host that has this name now. */
static bool inventory_of(struct store_view *view, const struct agent *a, struct inventory *ret)
{
	return view_inventory(view, a->name, ret) == 0 && hash_equal(ret->host_hash, a->host_hash);
}

static int page_answer(struct api_call *call, struct store_view *view, const struct agent *a, const char *after, size_t limit)
{
	struct inventory           head = {.found = 0};
	struct cert_filter         filter = {.agent = a->name, .with_removed = true};
	struct ours                ours = {.certs = calloc(CERTS_MAX, sizeof(*ours.certs))};
	struct inventory_listener *rows = calloc(limit, sizeof(*rows));
	size_t                     n = 0;
	int                        r = ours.certs != NULL && rows != NULL ? 0 : E_NOMEM;
	const bool                 known = inventory_of(view, a, &head);
	if (r == 0 && known)
		r = view_listeners(view, a->name, after, rows, limit, &n);
	if (r == 0 && known)
		r = view_certificates(view, &filter, "", ours.certs, CERTS_MAX, &ours.n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++) {
			const char *cert_id = ours_find(&ours, rows[i].fingerprint);
			json_t     *row = json_listener(&rows[i]);
			json_object_set_new(row, "cert_id", cert_id != NULL ? json_string(cert_id) : json_null());
			json_array_append_new(items, row);
		}
		call->answer = api_page(items, n == limit ? rows[n - 1].address : NULL);
		json_object_set_new(call->answer, "agent", json_string(a->name));
		json_object_set_new(call->answer, "observed_at", json_time(head.observed_at));
		json_object_set_new(call->answer, "reported_at", json_time(head.reported_at));
		json_object_set_new(call->answer, "listeners_found", json_integer(head.found));
	}
	free(rows);
	free(ours.certs);
	return r;
}

int api_agent_inventory(struct api_call *call, struct store_view *view)
{
	struct agent a;
	char         after[API_PARAM_SIZE];
	size_t       limit;
	int          r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	r = view_agent(view, call->params[0], &a);
	if (r == 0 && !rights_service(&call->principal, a.service))
		r = E_NOT_FOUND;
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such agent");
	return page_answer(call, view, &a, after, limit);
}
