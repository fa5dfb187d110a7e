/* api_system.c - room controller/daemon: health, readiness, and who the caller is.
 * Never: changing anything. */
#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/contract.h"
#include "controller/daemon/loop_watch.h"
#include "controller/daemon/people_json.h"
#include "shared/base/text.h"

enum { OCSP_PATIENCE_MS = 60 * 1000 }; /* the first responders are ordered after a start */

void api_healthz(struct api_call *call)
{
	api_finish(call, 200, json_pack("{s:s, s:s}", "status", "ok", "version", VCC_VERSION));
}

static bool add_check(json_t *checks, const char *name, bool ok)
{
	json_object_set_new(checks, name, json_string(ok ? "ok" : "failed"));
	return ok;
}

/* What does not keep a certificate from being renewed, but is wrong. */
static json_t *warnings_json(const struct controller_state *s)
{
	char    code[ERR_CODE_SIZE];
	json_t *list = json_array();
	if (s->signer_log_behind)
		json_array_append_new(list, json_sprintf("%s %s", err_code(E_SIGNER_LOG, code), err_what(E_SIGNER_LOG)));
	if (s->audit_contradicted)
		json_array_append_new(list, json_sprintf("%s %s", err_code(E_AUDIT_CONTRADICTED, code), err_what(E_AUDIT_CONTRADICTED)));
	if (s->restore_waits)
		json_array_append_new(list, json_sprintf("%s %s", err_code(E_RESTORE_WAITS, code), err_what(E_RESTORE_WAITS)));
	if (s->crl_late)
		json_array_append_new(list, json_sprintf("%s %s", err_code(E_CRL_LATE, code), err_what(E_CRL_LATE)));
	if (!s->ocsp && s->now_at - s->started_at > OCSP_PATIENCE_MS)
		json_array_append_new(list, json_sprintf("%s %s", err_code(E_OCSP_RESPONDER, code), err_what(E_OCSP_RESPONDER)));
	return list;
}

/* Readiness with its named checks; *ret_ready tells whether all of them hold. */
static json_t *state_json(struct api_call *call, bool *ret_ready)
{
	struct controller_state s;
	controller_state(call->ctl, &s);
	json_t *checks = json_object();
	bool    ready = true;
	ready &= add_check(checks, "store", s.store);
	ready &= add_check(checks, "signer", s.signer);
	ready &= add_check(checks, "crl", s.crl_fresh);
	ready &= add_check(checks, "gateway", s.gateways > 0);
	json_t *o = json_object();
	json_object_set_new(o, "status", json_string(ready ? "ready" : "not ready"));
	json_object_set_new(o, "checks", checks);
	json_object_set_new(o, "warnings", warnings_json(&s));
	json_object_set_new(o, "contacts", json_pack("{s:b, s:b}", "admin", (int)s.contact_admin, "security", (int)s.contact_security));
	json_object_set_new(o, "gateways", json_integer(s.gateways));
	json_object_set_new(o, "connected_agents", json_integer(s.connected));
	json_object_set_new(o, "open_orders", json_integer(s.open_orders));
	json_object_set_new(o, "loop", loop_watch_json(s.loop));
	json_object_set_new(o, "started_at", json_time(s.started_at));
	json_object_set_new(o, "now", json_time(s.now_at));
	json_object_set_new(o, "version", json_string(VCC_VERSION));
	*ret_ready = ready;
	return o;
}

void api_readyz(struct api_call *call)
{
	bool    ready;
	json_t *o = state_json(call, &ready);
	api_finish(call, ready ? 200 : 503, o);
}

/* The same for people who are logged in: an answer also when something fails. */
void api_status_show(struct api_call *call)
{
	bool ready;
	api_finish(call, 200, state_json(call, &ready));
}

void api_whoami(struct api_call *call)
{
	json_t *roles = json_array();
	for (int i = 0; i < ROLE_COUNT; i++)
		if ((call->principal.roles & 1U << i) != 0)
			json_array_append_new(roles, json_string(role_name((enum role)i)));
	json_t *permissions = json_array();
	for (int i = PERM_NONE + 1; i < PERM_COUNT; i++)
		if (rights_allow(&call->principal, (enum permission)i))
			json_array_append_new(permissions, json_string(permission_name((enum permission)i)));
	static const char *const by[] = {"nothing", "local socket", "token", "client certificate"};
	json_t                  *o = json_object();
	json_object_set_new(o, "principal", json_string(call->principal.name));
	json_object_set_new(o, "person", call->principal.person[0] != '\0' ? json_string(call->principal.person) : json_null());
	json_object_set_new(o, "by", json_string(by[call->by]));
	json_object_set_new(o, "token", call->by == API_BY_TOKEN ? json_token(&call->token) : json_null());
	json_object_set_new(o, "limited_to_services", json_boolean(rights_limited(&call->principal)));
	json_object_set_new(o, "roles", roles);
	json_object_set_new(o, "permissions", permissions);
	json_object_set_new(o, "services", json_comma_list(call->principal.services));
	json_object_set_new(o, "domain", json_string(controller_domain(call->ctl)));
	json_object_set_new(o, "organisation", json_string(controller_organisation(call->ctl)));
	json_object_set_new(o, "public_url", json_string(controller_public_url(call->ctl)));
	json_object_set_new(o, "version", json_string(VCC_VERSION));
	api_finish(call, 200, o);
}

void api_error_show(struct api_call *call)
{
	char                  code[ERR_CODE_SIZE];
	int64_t               number = 0;
	const char           *text = call->params[0];
	const struct err_row *row = text_starts(text, "VCC-") && text_i64(text + 4, 1, 9999, &number) == 0 ? err_find((int)number) : NULL;
	if (row == NULL)
		api_refuse(call, E_NOT_FOUND, text, "there is no such code");
	else
		api_finish(call, 200, json_pack("{s:s, s:s, s:s, s:s}", "code", err_code(row->number, code), "what", row->what, "next", row->next, "kind",
						err_kind_name(row->kind)));
}

int api_openapi(struct api_call *call, struct store_view *view)
{
	(void)view;
	call->answer = openapi_json();
	return call->answer != NULL ? 0 : E_NOMEM;
}
