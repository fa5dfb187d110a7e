/* api_ca.c - room controller/daemon: routes of CAs.
 * Never: deciding; that is authorities.h. */
#include <stdio.h>
#include <stdlib.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/authorities.h"
#include "controller/daemon/workers.h"
#include "shared/base/text.h"

int api_ca_list(struct api_call *call, struct store_view *view)
{
	char   after[API_PARAM_SIZE];
	size_t limit, n = 0;
	int    r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, after, sizeof(after));
	if (r < 0)
		return r;
	struct issuer *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_issuers(view, after, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, authority_json(&rows[i], call->now_at));
		call->answer = api_page(call, items, n == limit ? rows[n - 1].issuer_id : NULL);
	}
	free(rows);
	return r;
}

int api_ca_show(struct api_call *call, struct store_view *view)
{
	struct issuer row;
	json_t       *breaks = NULL;
	int           r = view_issuer(view, call->params[0], &row);
	if (r < 0)
		return refuse(&call->why, r, call->params[0], "there is no such CA");
	r = authority_breaks(view, row.issuer_id, call->now_at, &breaks);
	if (r < 0)
		return r;
	call->answer = authority_json(&row, call->now_at);
	json_object_set_new(call->answer, "live", breaks);
	return 0;
}

/* ---- revoke ------------------------------------------------------------------------------------------------------ */

struct revoke_job {
	struct api_call   *call;
	enum revoke_reason reason;
	int64_t            now;
	int                code;
	json_t            *breaks;
};

static void look(void *job, struct store_view *view)
{
	struct revoke_job *j = job;
	j->code = view != NULL ? authority_breaks(view, j->call->params[0], j->now, &j->breaks) : E_STORE_IO;
}

static void asked(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_waits(call, &result->approval);
}

/* Without force nothing is asked for while anything lives below the CA; the refusal tells what. */
static void looked(void *job)
{
	struct revoke_job *j = job;
	struct api_call   *call = j->call;
	json_int_t         n = json_integer_value(json_object_get(j->breaks, "certificates")) + json_integer_value(json_object_get(j->breaks, "identities"));
	if (j->code < 0) {
		api_refuse(call, j->code, "store", "it cannot be read now");
	} else if (n > 0) {
		char cause[CAUSE_SIZE];
		snprintf(cause, sizeof(cause), "%s%lld certificates and %lld identities in force would end with it",
			 json_is_true(json_object_get(j->breaks, "complete")) ? "" : "at least ",
			 (long long)json_integer_value(json_object_get(j->breaks, "certificates")),
			 (long long)json_integer_value(json_object_get(j->breaks, "identities")));
		api_refuse(call, E_CA_IN_USE, call->params[0], cause);
	} else {
		authority_revoke_ask(call->ctl, call->params[0], j->reason, &call->caller, asked, call);
	}
	json_decref(j->breaks);
	free(j);
}

void api_ca_revoke(struct api_call *call)
{
	struct issuer            row;
	enum revoke_reason       reason = REASON_UNSPECIFIED;
	bool                     force = false;
	int                      r = view_issuer(controller_view(call->ctl), call->params[0], &row);
	if (r < 0)
		r = refuse(&call->why, r, call->params[0], "there is no such CA");
	if (r == 0)
		r = api_body(call);
	if (r == 0)
		r = api_field_reason(call, &reason);
	if (r == 0)
		r = api_field_bool(call, "force", false, &force);
	struct revoke_job *j = r == 0 && !force ? calloc(1, sizeof(*j)) : NULL;
	if (r < 0) {
		api_refuse_why(call, &call->why);
	} else if (force) {
		authority_revoke_ask(call->ctl, row.issuer_id, reason, &call->caller, asked, call);
	} else if (j == NULL) {
		api_refuse(call, E_NOMEM, row.issuer_id, "out of memory");
	} else {
		*j = (struct revoke_job){.call = call, .reason = reason, .now = call->now_at, .code = E_STORE_IO};
		workers_read(controller_workers(call->ctl), look, looked, j);
	}
}
