/* api_peers.c - room controller/daemon: relying parties and what they saw, as JSON; a person asks them to look.
 * Never: judging what they say. */
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/peers.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

enum { LISTED_MAX = 500 };

static json_t *peer_json(const struct peer *p, bool counts)
{
	bool    judged = p->judged_at != 0;
	json_t *o = json_object();
	json_object_set_new(o, "agent", json_string(p->agent));
	json_object_set_new(o, "address", json_string(p->address));
	json_object_set_new(o, "name", json_string(p->name));
	json_object_set_new(o, "counts", json_boolean(counts));
	json_object_set_new(o, "proved", judged ? json_boolean(p->code == 0) : json_null());
	json_object_set_new(o, "code", json_code(p->code));
	json_object_set_new(o, "error",
			    p->code != 0 ? json_string(p->cause[0] != '\0' ? p->cause : err_what(p->code)) : json_null());
	json_object_set_new(o, "wanted_fingerprint", json_hash(p->fingerprint));
	json_object_set_new(o, "seen_fingerprint", json_hash(p->seen));
	json_object_set_new(o, "handshakes", json_integer(p->handshakes));
	json_object_set_new(o, "handshakes_failed", json_integer(p->others));
	json_object_set_new(o, "trust_epoch", json_integer((json_int_t)p->trust_epoch));
	json_object_set_new(o, "renewal_id", json_id(p->renewal_id));
	json_object_set_new(o, "judged_at", json_time(p->judged_at));
	json_object_set_new(o, "declared_at", json_time(p->declared_at));
	return o;
}

struct listing {
	const struct id *renewal_id; /* NULL = any */
	json_t          *items;
};

static bool list_one(void *ctx, const struct peer *p, bool counts)
{
	struct listing *l = ctx;
	if (l->renewal_id == NULL || id_equal(p->renewal_id, *l->renewal_id))
		json_array_append_new(l->items, peer_json(p, counts));
	return json_array_size(l->items) < LISTED_MAX;
}

/* Of an order: those that looked at what it brought. */
json_t *api_peers_json(struct store_view *view, const struct certificate *cert, const struct id *renewal_id)
{
	struct listing l = {.renewal_id = renewal_id, .items = json_array()};
	(void)!peers_each(view, cert, list_one, &l); /* what could be read */
	return l.items;
}

/* ---- of a service ---- */

struct service_peers {
	uint32_t relied_on, proved, refused; /* certificates that somebody counts for; that all of these have seen; that one has not */
	json_t  *agents;
};

static void name_once(json_t *names, const char *name)
{
	enum { SHOWN = 64 };
	size_t  i;
	json_t *known;
	json_array_foreach(names, i, known)
		if (text_equal(json_string_value(known), name))
			return;
	if (json_array_size(names) < SHOWN)
		json_array_append_new(names, json_string(name));
}

/* Of one certificate. */
struct cert_peers {
	struct service_peers     *all;
	const struct certificate *cert;
	size_t                    counting, seen, wrong;
};

/* What was seen counts for the certificate that is in use now. */
static bool add_peer(void *ctx, const struct peer *p, bool counts)
{
	struct cert_peers *c = ctx;
	bool               judged = p->judged_at != 0 && hash_equal(p->fingerprint, c->cert->fingerprint);
	if (!counts)
		return true;
	c->counting++;
	c->seen += judged && p->code == 0;
	c->wrong += judged && p->code != 0;
	name_once(c->all->agents, p->agent);
	return true;
}

static void add_certificate(struct service_peers *all, struct store_view *view, const struct certificate *cert)
{
	struct cert_peers c = {.all = all, .cert = cert};
	if (peers_each(view, cert, add_peer, &c) < 0)
		return;
	all->relied_on += c.counting > 0;
	all->proved += c.counting > 0 && c.seen == c.counting;
	all->refused += c.wrong > 0;
}

json_t *api_peers_of_service(struct store_view *view, const char *service, int64_t now)
{
	enum { PAGE = 200 };
	const struct cert_filter filter = {.service = service, .now = now};
	struct service_peers     all = {.agents = json_array()};
	struct certificate      *certs = calloc(PAGE, sizeof(*certs));
	char                     after[CERT_ID_SIZE] = "";
	size_t                   n = PAGE;
	while (certs != NULL && n == PAGE && view_certificates(view, &filter, after, certs, PAGE, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			text_cut(after, sizeof(after), certs[i].cert_id);
			add_certificate(&all, view, &certs[i]);
		}
	free(certs);
	return json_pack("{s:I, s:I, s:I, s:o}", "relied_on_count", (json_int_t)all.relied_on, "proved_count", (json_int_t)all.proved, "refused_count",
			 (json_int_t)all.refused, "relying_agents", all.agents);
}

void api_cert_proof(struct api_call *call)
{
	struct certificate c;
	uint32_t           asked = 0, away = 0;
	int                r = view_certificate(controller_view(call->ctl), call->params[0], &c);
	if (r == E_NOT_FOUND || (r == 0 && !rights_service(&call->principal, c.service)))
		r = refuse(&call->why, E_NOT_FOUND, call->params[0], "there is no such certificate");
	if (r == 0)
		r = api_body(call);
	if (r == 0 && (r = peers_ask(call->ctl, c.cert_id, &asked, &away)) < 0)
		r = refuse(&call->why, r, c.cert_id, "%s", err_what(r));
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	json_t *o = json_object();
	json_object_set_new(o, "cert_id", json_string(c.cert_id));
	json_object_set_new(o, "asked", json_integer(asked));
	json_object_set_new(o, "away", json_integer(away));
	json_object_set_new(o, "relying_parties", api_peers_json(controller_view(call->ctl), &c, NULL));
	api_finish(call, 202, o);
}
