/* api_issue.c - room controller/daemon: routes of certificates without an agent: asked for with a request, fetched as PEM.
 * The request is read and its proof of possession checked on a worker. Never: anything of it but its key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/create_request.h"
#include "controller/daemon/issue_request.h"
#include "controller/daemon/state.h"
#include "controller/daemon/workers.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/cert.h"
#include "shared/pki/pem_read.h"

enum { CSR_DER_MAX = 4096, CSR_PEM_MAX = 8192, NAME_TEXT_MAX = DNS_NAME_SIZE + 4 };
#define EXPECTED_MS (10 * MS_SECOND)

/* ---- the body -------------------------------------------------------------------------------------------------- */

struct job {
	struct api_call     *call;
	struct issue_request request; /* its spki points into csr */
	struct buf           csr;     /* DER */
	struct span          spki;
	enum key_type        key_type;
	int                  code;
};

static void job_free(struct job *j)
{
	buf_free(&j->csr);
	free(j);
}

/* No list in a list: a comma belongs to no name. */
static int take_names(struct api_call *call, struct names *ret)
{
	const json_t *list = json_object_get(call->body, "names");
	char          text[NAMES_TEXT_SIZE] = "", bad[DNS_NAME_SIZE] = "";
	size_t        used = 0, i;
	json_t       *item;
	if (list == NULL || json_is_null(list))
		return 0;
	if (!json_is_array(list) || json_array_size(list) > NAMES_MAX)
		return refuse(&call->why, E_API_BODY, "names", "must be a list of at most %d names", NAMES_MAX);
	json_array_foreach(list, i, item)
	{
		char name[NAME_TEXT_MAX];
		if (!json_is_string(item) ||
		    text_copy_n(name, sizeof(name), json_string_value(item), json_string_length(item)) < 0 ||
		    strchr(name, ',') != NULL || used + strlen(name) + 2 > sizeof(text))
			return refuse(&call->why, E_API_BODY, "names", "each must be one name, %d characters in all",
				      NAMES_TEXT_SIZE - 1);
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s,", name);
	}
	if (names_parse(text, true, ret, bad) < 0)
		return refuse(&call->why, E_API_BODY, "names", "`%s` is not a name that can be certified", bad);
	return 0;
}

static int take_csr(struct api_call *call, struct buf *ret)
{
	const json_t *v = json_object_get(call->body, "csr");
	struct span   rest = {(const uint8_t *)json_string_value(v), v != NULL ? json_string_length(v) : 0};
	if (!json_is_string(v))
		return refuse(&call->why, E_API_BODY, "csr", "a certificate request (PKCS#10) as PEM is required");
	if (rest.n > CSR_PEM_MAX)
		return refuse(&call->why, E_PKI_CSR, "csr", "it is longer than %d bytes", CSR_PEM_MAX);
	if (pem_read(&rest, PEM_CSR, ret) != 1 || rest.n != 0)
		return refuse(&call->why, E_PKI_CSR, "csr", "it must be one PEM block CERTIFICATE REQUEST and nothing else");
	return 0;
}

/* The next one of a certificate has its service, names and template already. */
static int take_next(struct api_call *call, struct issue_request *q)
{
	static const char *const settled[] = {"cert_id", "template_id", "service", "names"};
	struct certificate       c;
	for (size_t i = 0; i < N_ELEMENTS(settled); i++)
		if (json_object_get(call->body, settled[i]) != NULL)
			return refuse(&call->why, E_API_BODY, settled[i],
				      "does not go with renew: the certificate keeps its own");
	q->renew = true;
	int r = view_certificate(controller_view(call->ctl), q->cert_id, &c);
	if (r == E_NOT_FOUND || (r == 0 && !rights_service(&call->principal, c.service)))
		return refuse(&call->why, E_NOT_FOUND, q->cert_id, "there is no such certificate");
	return r < 0 ? refuse(&call->why, r, q->cert_id, "%s", err_what(r)) : 0;
}

/* Of a service that is not the caller's nothing is told. */
static int take_first(struct api_call *call, struct issue_request *q)
{
	struct template t;
	struct certificate c;
	int                r = api_field_text(call, "service", "", q->service, sizeof(q->service));
	if (r == 0 && q->service[0] != '\0' && !rights_service(&call->principal, q->service))
		return refuse(&call->why, E_API_FORBIDDEN, q->service, "%s may not act for this service", call->principal.name);
	if (r == 0)
		r = api_field_text(call, "template_id", NULL, q->template_id, sizeof(q->template_id));
	if (r == 0)
		r = api_field_text(call, "cert_id", "", q->cert_id, sizeof(q->cert_id));
	if (r == 0 && q->cert_id[0] != '\0' && !name_cert_id_ok(q->cert_id))
		r = refuse(&call->why, E_NAME, "cert_id", "it must be lower-case letters, digits, '-' and '_', at most 63");
	if (r == 0)
		r = take_names(call, &q->names);
	if (r == 0 && view_template(controller_view(call->ctl), q->template_id, 0, &t) < 0)
		r = refuse(&call->why, E_POLICY_TEMPLATE, q->template_id, "there is no such template");
	if (r == 0 && q->service[0] == '\0')
		text_cut(q->service, sizeof(q->service), t.service);
	if (r == 0 && !rights_service(&call->principal, q->service))
		return refuse(&call->why, q->service[0] != '\0' ? E_API_FORBIDDEN : E_RIGHTS_LIMIT, q->template_id,
			      "%s may not act for the service", call->principal.name);
	if (r == 0 && view_certificate(controller_view(call->ctl), q->cert_id, &c) == 0 &&
	    !rights_service(&call->principal, c.service))
		r = refuse(&call->why, E_EXISTS, q->cert_id, "it belongs to another service");
	return r;
}

static int take_request(struct api_call *call, struct job *j)
{
	char renew[CERT_ID_SIZE] = "";
	int  r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "renew", "", renew, sizeof(renew));
	if (r == 0 && renew[0] != '\0') {
		text_cut(j->request.cert_id, sizeof(j->request.cert_id), renew);
		r = take_next(call, &j->request);
	} else if (r == 0) {
		r = take_first(call, &j->request);
	}
	return r == 0 ? take_csr(call, &j->csr) : r;
}

/* ---- asking ---------------------------------------------------------------------------------------------------- */

static void issue_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	char                location[API_PARAM_SIZE], id[ID_TEXT_SIZE];
	const struct order *order = &result->order;
	bool                waits = order->phase == ORDER_AWAITING_APPROVAL;
	json_t             *o = json_object();
	json_object_set_new(o, "renewal_id", json_id(order->renewal_id));
	json_object_set_new(o, "cert_id", json_string(order->cert_id));
	json_object_set_new(o, "status", json_string(waits ? "awaiting_approval" : "processing"));
	json_object_set_new(o, "approval_id", waits ? json_id(order->renewal_id) : json_null());
	json_object_set_new(o, "estimated_completion", waits ? json_null() : json_time(call->now_at + EXPECTED_MS));
	snprintf(location, sizeof(location), "/api/v1/renewals/%s", id_text(order->renewal_id, id));
	http_call_header(call->http, "location", location);
	api_finish(call, 202, o);
}

static void check(void *job, struct store_view *view)
{
	(void)view;
	struct job *j = job;
	j->code = csr_check(buf_span(&j->csr), &j->spki, &j->key_type);
}

static void checked(void *job)
{
	struct job      *j = job;
	struct api_call *call = j->call;
	if (j->code < 0) {
		api_refuse(call, j->code, "csr", err_what(j->code));
	} else {
		j->request.spki = j->spki;
		j->request.key_type = j->key_type;
		controller_issue(call->ctl, &j->request, &call->caller, issue_done, call);
	}
	job_free(j);
}

/* ---- for a host ------------------------------------------------------------------------------------------------ */

static int take_create(struct api_call *call, struct create_request *q)
{
	static const char *const of_requests[] = {"csr", "renew"};
	struct certificate       c;
	struct agent             agent;
	int                      r = api_body(call);
	for (size_t i = 0; r == 0 && i < N_ELEMENTS(of_requests); i++)
		if (json_object_get(call->body, of_requests[i]) != NULL)
			r = refuse(&call->why, E_API_BODY, of_requests[i], "does not go with agent: the host makes the key");
	if (r == 0)
		r = api_field_text(call, "agent", NULL, q->agent, sizeof(q->agent));
	if (r == 0)
		r = api_field_text(call, "cert_id", NULL, q->cert_id, sizeof(q->cert_id));
	if (r == 0)
		r = api_field_text(call, "template_id", NULL, q->template_id, sizeof(q->template_id));
	if (r == 0)
		r = api_field_text(call, "service", "", q->service, sizeof(q->service));
	if (r == 0 && !name_cert_id_ok(q->cert_id))
		r = refuse(&call->why, E_NAME, "cert_id", "it must be lower-case letters, digits, '-' and '_', at most 63");
	if (r == 0)
		r = take_names(call, &q->names);
	if (r == 0 && q->service[0] != '\0' && !rights_service(&call->principal, q->service))
		return refuse(&call->why, E_API_FORBIDDEN, q->service, "%s may not act for this service", call->principal.name);
	if (r == 0 && (view_agent(controller_view(call->ctl), q->agent, &agent) < 0 || !rights_service(&call->principal, agent.service)))
		return refuse(&call->why, E_NOT_FOUND, q->agent, "there is no such agent");
	if (r == 0 && view_certificate(controller_view(call->ctl), q->cert_id, &c) == 0 && !rights_service(&call->principal, c.service))
		r = refuse(&call->why, E_EXISTS, q->cert_id, "it belongs to another service");
	return r;
}

static void create_done(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	char             location[API_PARAM_SIZE + CERT_ID_SIZE];
	if (result->code < 0) {
		api_refuse_why(call, &result->why);
		return;
	}
	const struct certificate *c = &result->certificate;
	snprintf(location, sizeof(location), "/api/v1/certificates/%s", c->cert_id);
	http_call_header(call->http, "location", location);
	api_finish(call, 201, json_certificate(c, catalog_policy(call->ctl->catalog, c->template_id, c->service), NULL, 0, call->now_at));
}

static void create(struct api_call *call)
{
	struct create_request q = {.agent = ""};
	if (take_create(call, &q) < 0)
		api_refuse_why(call, &call->why);
	else
		controller_create(call->ctl, &q, &call->caller, create_done, call);
}

/* With an agent the key is made on its host; else it comes with the request. */
void api_cert_issue(struct api_call *call)
{
	if (json_object_get(call->body, "agent") != NULL) {
		create(call);
		return;
	}
	struct job *j = calloc(1, sizeof(*j));
	if (j == NULL) {
		api_refuse(call, E_NOMEM, "csr", "out of memory");
		return;
	}
	j->call = call;
	j->csr = (struct buf)BUF_MAX(CSR_DER_MAX);
	j->code = E_INTERNAL;
	if (take_request(call, j) < 0) {
		api_refuse_why(call, &call->why);
		job_free(j);
		return;
	}
	workers_run(controller_workers(call->ctl), check, checked, j);
}

/* ---- fetching -------------------------------------------------------------------------------------------------- */

static json_t *pem_json(struct span ders)
{
	struct buf pem = BUF_MAX(4 * CHAIN_DER_MAX);
	json_t    *text = cert_pem_add(ders, &pem) == 0 ? json_stringn((const char *)pem.p, pem.n) : NULL;
	buf_free(&pem);
	return text;
}

void api_cert_pem(struct api_call *call)
{
	struct certificate c;
	struct issuance    i;
	const char        *cert_id = call->params[0];
	int                r = view_certificate(controller_view(call->ctl), cert_id, &c);
	if (r == 0 && !rights_service(&call->principal, c.service))
		r = E_NOT_FOUND;
	if (r == 0 && serial_is_none(c.serial))
		r = E_ISSUE_NONE;
	if (r == 0)
		r = view_issuance(controller_view(call->ctl), c.serial, &i);
	if (r < 0) {
		api_refuse(call, r, cert_id, r == E_NOT_FOUND ? "there is no such certificate" : err_what(r));
		return;
	}
	const struct catalog_issuer *issuer = catalog_issuer(call->ctl->catalog, i.issuer_id);
	json_t                      *leaf = pem_json((struct span){i.der, i.der_len});
	json_t                      *chain = issuer != NULL ? pem_json(issuer->chain) : NULL;
	if (leaf == NULL || chain == NULL) {
		json_decref(leaf);
		json_decref(chain);
		api_refuse(call, E_INTERNAL, cert_id, "the stored certificate cannot be written");
		return;
	}
	api_finish(call, 200,
		   json_pack("{s:s, s:o, s:o, s:o}", "cert_id", cert_id, "serial", json_serial(i.serial), "certificate", leaf,
			     "chain", chain));
}
