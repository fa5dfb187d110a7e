/* api.c - room controller/daemon: how an admin request runs: route, identity, rights, body, handler, answer.
 * Never: what a single route does; that is in the api_*.c files of its subject. */
#include "controller/daemon/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "controller/daemon/api_routes.h"
#include "controller/daemon/api_wait.h"
#include "controller/daemon/contract.h"
#include "controller/daemon/kept_answers.h"
#include "controller/daemon/login_limit.h"
#include "controller/daemon/metrics.h"
#include "controller/daemon/workers.h"
#include "shared/base/buckets.h"
#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct api {
	struct controller  *ctl;
	struct login_limit  limit;
	struct web_sessions sessions;
	struct buckets      requests; /* by principal, or by address where nobody is named */
};

struct login_limit *api_login_limit(struct api *api)
{
	return &api->limit;
}

struct web_sessions *api_sessions(struct api *api)
{
	return &api->sessions;
}

int api_make(struct controller *ctl, struct api **ret)
{
	struct api *api = calloc(1, sizeof(*api));
	if (api == NULL)
		return E_NOMEM;
	uint64_t secret;
	entropy(&secret, sizeof(secret));
	buckets_init(&api->requests, secret);
	api->ctl = ctl;
	*ret = api;
	return 0;
}

void api_free(struct api *api)
{
	free(api);
}

/* ---- answers ---- */

static const struct {
	int code;
	int status;
} statuses[] = {
	{E_NOT_FOUND, 404},       {E_API_ROUTE, 404},      {E_API_METHOD, 405},    {E_API_UNAUTHENTICATED, 401},
	{E_API_FORBIDDEN, 403},   {E_API_BODY, 422},       {E_API_TOO_LARGE, 413}, {E_API_BUSY, 429},
	{E_API_UNAVAILABLE, 503}, {E_EXISTS, 409},         {E_STORE_CONFLICT, 412}, {E_ORDER_OPEN, 409},
	{E_ORDER_NOT_DUE, 409},   {E_ORDER_REVOKED, 409},  {E_ORDER_SUSPENDED, 409},
	{E_ORDER_NO_AGENT, 409},  {E_ORDER_RETIRED, 409},  {E_JOIN_NAME, 409},     {E_AGENT_EVICTED, 409},
	{E_AGENT_BANNED, 409},    {E_POLICY_APPROVAL, 403}, {E_AUDIT_PERSON_ACTIVE, 409}, {E_AUDIT_PERSON_WAITS, 409}, {E_INTERNAL, 500},
	{E_REVOKE_LAST, 409},     {E_ORDER_NOT_SUSPENDED, 409}, {E_REVOKE_NOT_ISSUED, 409},
	{E_RIGHTS_LIMIT, 403},    {E_RIGHTS_SELF, 403},    {E_RIGHTS_MORE, 403},   {E_PRINCIPAL_DISABLED, 409},
	{E_IDEM_OTHER, 422},      {E_IDEM_BUSY, 409},      {E_IDEM_DONE, 409},     {E_IDEM_FULL, 429}, {E_API_RATE, 429},
	{E_TOKEN_LIMIT, 409},     {E_APPROVAL_OWN, 403},   {E_APPROVAL_STALE, 409}, {E_APPROVAL_DECIDED, 409},
	{E_POLICY_STALE, 412},    {E_POLICY_BLOCKS, 409},  {E_SERVICE_CYCLE, 422}, {E_SERVICE_FILE, 422}, {E_SERVICE_POLICY, 422},
	{E_APPROVAL_GONE, 409},   {E_CA_ROOT, 409},        {E_CA_REVOKED, 409},      {E_CA_IN_USE, 409},
	{E_ISSUE_AGENT, 409},     {E_ISSUE_NONE, 404},     {E_LOGIN_RATE, 429},
	{E_CAMPAIGN_PLAN_STALE, 409}, {E_CAMPAIGN_APPLIED, 409}, {E_CAMPAIGN_STATE, 409},
	{E_PEER_NONE, 409},
	{E_ROLLBACK_LATER, 409},  {E_ROLLBACK_FIRST, 409}, {E_ROLLBACK_GRACE, 409}, {E_ROLLBACK_STATE, 409}, {E_ROLLBACK_KEY, 409},
	{E_DRILL_REPORT_LATER, 409}, {E_REPORT_PERIOD, 422}, {E_REPORT_ROWS, 422}, {E_REPORT_EXCEPTION, 422}, {E_EVIDENCE_NONE, 404}, {E_EVIDENCE_LARGE, 422}, {E_API_MEDIA, 415},
	{E_BACKUP_RUNNING, 409},  {E_BACKUP_SPACE, 507},
	{E_ORDER_NO_TARGET, 409}, {E_ORDER_TOO_LATE, 409},  {E_ORDER_OVER, 409},
	{E_ROLLOVER_OPEN, 409},   {E_ROLLOVER_STATE, 409},  {E_ROLLOVER_GATE, 409},   {E_ROLLOVER_ROOT, 409},
	{E_SESSION_OVER, 401},    {E_SESSION_ORIGIN, 403}, {E_SESSION_HEADER, 403}, {E_SESSION_CONFIRM, 403}, {E_SESSION_NONE, 409},
	{E_SESSION_HOST, 403},    {E_SESSION_OTHER, 403},
	{E_NOTIFY_CHANNEL, 404},  {E_NOTIFY_BUSY, 409},     {E_NOTICE_OVER, 409},     {E_NOTIFY_NOT_DEAD, 409}, {E_LINK_BAD, 403}, {E_LINK_NOBODY, 403}, {E_LINK_OVER, 410},
	{E_RESTORE_WAITS, 409},   {E_RESTORE_SIGNER, 409}, {E_RESTORE_NOTHING, 409},
};

int api_status(int code)
{
	for (size_t i = 0; i < N_ELEMENTS(statuses); i++)
		if (statuses[i].code == code)
			return statuses[i].status;
	switch (err_kind(code)) {
	case ERR_KIND_RETRY:
		return 503;
	case ERR_KIND_DENIED:
	case ERR_KIND_PEER:
		return 422;
	default:
		return 500;
	}
}

static void call_free(struct api_call *call)
{
	json_decref(call->body);
	json_decref(call->answer);
	free(call->text);
	free(call);
}

static void count_request(const struct api_call *call, int status)
{
	size_t n;
	size_t route = call->route != NULL ? (size_t)(call->route - api_routes(&n)) : SIZE_MAX;
	metrics_request(call->ctl, route, status, clock_monotonic_us() - call->begun_us);
}

void api_let_go(struct api_call *call)
{
	if (call->kept != NULL)
		kept_request_end(call->ctl, call->kept, 0, NULL, NULL, NULL, NULL);
	count_request(call, 200);
	call_free(call);
}

static void send_text(struct api_call *call, int status, const char *type, struct span text)
{
	char request_id[ID_TEXT_SIZE];
	http_call_header(call->http, "x-request-id", id_text(call->caller.request_id, request_id));
	http_call_header(call->http, "cache-control", "no-store");
	http_call_answer(call->http, status, type, text);
	count_request(call, status);
	call_free(call);
}

void api_finish_text(struct api_call *call, const char *type, struct span text)
{
	send_text(call, 200, type, text);
}

static void send_json(struct api_call *call, int status, const char *type, const json_t *answer)
{
	if (call->text == NULL && answer != NULL)
		call->text = json_dumps(answer, JSON_COMPACT);
	send_text(call, status, type, call->text != NULL ? span_text(call->text) : (struct span){NULL, 0});
}

static void send_answer(void *ctx)
{
	struct api_call *call = ctx;
	send_json(call, call->status, call->status < 400 || call->why.code == 0 ? "application/json" : "application/problem+json", call->answer);
}

/* One that is to be given again is sent when it is kept. */
static void finish(struct api_call *call, int status)
{
	struct kept_request *kept = call->kept;
	call->status = status;
	call->kept = NULL;
	if (kept != NULL)
		kept_request_end(call->ctl, kept, status, http_call_given(call->http, "location"), call->answer, send_answer, call);
	else
		send_answer(call);
}

void api_finish(struct api_call *call, int status, json_t *answer)
{
	if (call->answer != answer)
		json_decref(call->answer);
	call->answer = answer;
	finish(call, status);
}

static json_t *problem(const struct api_call *call, int status)
{
	char    code[ERR_CODE_SIZE];
	char    request_id[ID_TEXT_SIZE];
	json_t *o = json_object();
	json_object_set_new(o, "type", json_sprintf("urn:vcc:error:%s", err_code(call->why.code, code)));
	json_object_set_new(o, "title", json_string(err_what(call->why.code)));
	json_object_set_new(o, "status", json_integer(status));
	json_object_set_new(o, "code", json_string(code));
	json_object_set_new(o, "object", json_string(call->why.object));
	json_object_set_new(o, "detail", json_string(call->why.cause[0] != '\0' ? call->why.cause : err_what(call->why.code)));
	json_object_set_new(o, "next", json_string(err_next(call->why.code)));
	json_object_set_new(o, "request_id", json_string(id_text(call->caller.request_id, request_id)));
	json_object_set_new(o, "retryable", json_boolean(err_kind(call->why.code) == ERR_KIND_RETRY));
	return o;
}

void api_refuse_why(struct api_call *call, const struct refusal *why)
{
	if (why != &call->why)
		call->why = *why;
	int status = api_status(call->why.code);
	if (status == 401)
		http_call_header(call->http, "www-authenticate", "Bearer");
	if (status == 503 || status == 429) {
		char seconds[12];
		snprintf(seconds, sizeof(seconds), "%u", call->retry_after > 0 ? call->retry_after : call->why.code == E_LOGIN_RATE ? 60 : 1);
		http_call_header(call->http, "retry-after", seconds);
	}
	json_decref(call->answer);
	call->answer = problem(call, status);
	finish(call, status);
}

void api_refuse(struct api_call *call, int code, const char *object, const char *cause)
{
	struct refusal why;
	refuse(&why, code, object, "%s", cause);
	api_refuse_why(call, &why);
}

/* ---- routes ---- */

/* Matches "/a/{x}/b" and takes the parts in braces. */
static bool path_match(const char *pattern, const char *path, char params[API_PARAMS_MAX][API_PARAM_SIZE])
{
	size_t n = 0;
	while (*pattern != '\0' && *path != '\0') {
		if (*pattern != '{') {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		const char *end = strchr(path, '/');
		size_t      len = end != NULL ? (size_t)(end - path) : strlen(path);
		if (len == 0 || n == API_PARAMS_MAX || text_copy_n(params[n++], API_PARAM_SIZE, path, len) < 0)
			return false;
		path += len;
		pattern = strchr(pattern, '}') + 1;
	}
	return *pattern == '\0' && *path == '\0';
}

static int route_find(struct api_call *call, const struct http_request *q)
{
	bool                    known = false;
	size_t                  n;
	const struct api_route *rows = api_routes(&n);
	for (size_t i = 0; i < n; i++) {
		char params[API_PARAMS_MAX][API_PARAM_SIZE] = {{0}};
		if (!path_match(rows[i].path, q->path, params))
			continue;
		known = true;
		if (!text_equal(rows[i].method, q->method))
			continue;
		memcpy(call->params, params, sizeof(params));
		call->route = &rows[i];
		call->contract = contract_find(rows[i].method, rows[i].path);
		return 0;
	}
	return known ? refuse(&call->why, E_API_METHOD, q->path, "%s is not allowed here", q->method)
	             : refuse(&call->why, E_API_ROUTE, q->path, "there is no such path");
}

/* ---- body ---- */

/* Depth and number of values, counted before the parser allocates. */
static int body_limits(struct span body, size_t max, struct refusal *why)
{
	size_t depth = 0;
	size_t values = 1;
	bool   in_text = false;
	for (size_t i = 0; i < body.n; i++) {
		uint8_t c = body.p[i];
		if (in_text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_text = false;
			continue;
		}
		if (c == '"')
			in_text = true;
		else if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && depth > 0)
			depth--;
		else if (c == ',')
			values++;
		if (depth > API_DEPTH_MAX)
			return refuse(why, E_API_BODY, "body", "nested deeper than %d levels", API_DEPTH_MAX);
		if (values > max)
			return refuse(why, E_API_BODY, "body", "more than %zu values", max);
	}
	return 0;
}

/* A body of which nothing is said is taken for what every body here is. Type and subtype know no case, and a parameter may follow them
 * (RFC 9110, 8.3.1). */
static bool media_is_json(const char *content_type)
{
	static const char json[] = "application/json";
	const size_t      n = sizeof(json) - 1;
	return content_type[0] == '\0' || (strncasecmp(content_type, json, n) == 0 && strchr(" \t;", content_type[n]) != NULL);
}

static int body_parse(struct api_call *call, const struct http_request *q)
{
	if (q->body.n == 0)
		return 0;
	if (!media_is_json(q->content_type))
		return refuse(&call->why, E_API_MEDIA, "Content-Type", "%s", q->content_type);
	bool ids = call->contract != NULL && (call->contract->statuses & API_IDS) != 0;
	int  r = body_limits(q->body, ids ? API_IDS_VALUES_MAX : API_VALUES_MAX, &call->why);
	if (r < 0)
		return r;
	json_error_t error;
	call->body = json_loadb((const char *)q->body.p, q->body.n, JSON_REJECT_DUPLICATES, &error);
	if (call->body == NULL)
		return refuse(&call->why, E_API_BODY, "body", "line %d: %s", error.line, error.text);
	if (!json_is_object(call->body))
		return refuse(&call->why, E_API_BODY, "body", "must be a JSON object");
	return 0;
}

int api_field_text(struct api_call *call, const char *name, const char *fallback, char *ret, size_t size)
{
	const json_t *v = json_object_get(call->body, name);
	if (v == NULL || json_is_null(v)) {
		if (fallback == NULL)
			return refuse(&call->why, E_API_BODY, name, "the field is required");
		return text_copy(ret, size, fallback);
	}
	if (!json_is_string(v))
		return refuse(&call->why, E_API_BODY, name, "must be a text");
	size_t n = json_string_length(v);
	if (text_copy_n(ret, size, json_string_value(v), n) < 0)
		return refuse(&call->why, E_API_BODY, name, "must have at most %zu characters and no NUL", size - 1);
	if (!text_line_ok(ret, n))
		return refuse(&call->why, E_API_BODY, name, "must not hold control characters");
	return 0;
}

int api_field_bool(struct api_call *call, const char *name, bool fallback, bool *ret)
{
	const json_t *v = json_object_get(call->body, name);
	if (v != NULL && !json_is_null(v) && !json_is_boolean(v))
		return refuse(&call->why, E_API_BODY, name, "must be true or false");
	*ret = v == NULL || json_is_null(v) ? fallback : json_is_true(v);
	return 0;
}

/* Why something is changed may be said with every change. It goes into the trail and from there onto terminals, so it is one line of
 * text, before any handler sees it. */
static int take_reason(struct api_call *call)
{
	static const char *const fields[] = {"comment", "reason"}; /* `reason` may be a code of its own, so a comment goes before it */
	for (size_t i = 0; i < N_ELEMENTS(fields); i++) {
		const char *text = json_string_value(json_object_get(call->body, fields[i]));
		if (text == NULL)
			continue;
		if (!text_line_ok(text, strlen(text)))
			return refuse(&call->why, E_API_BODY, fields[i], "must not hold control characters");
		if (call->caller.reason[0] == '\0')
			text_cut(call->caller.reason, sizeof(call->caller.reason), text);
	}
	return 0;
}

int api_body(struct api_call *call)
{
	return call->contract != NULL ? contract_check_body(call->contract, call->body, &call->why) : 0;
}

/* ---- a request ---- */

int64_t api_body_max(void *ctx, const struct http_request *q)
{
	struct api_call look = {.api = ctx};
	bool            ids = route_find(&look, q) == 0 && look.contract != NULL && (look.contract->statuses & API_IDS) != 0;
	return ids ? API_IDS_BODY_MAX : HTTP_BODY_MAX;
}

static void read_run(void *job, struct store_view *view)
{
	struct api_call *call = job;
	if (view == NULL)
		call->code = refuse(&call->why, E_STORE_IO, "store", "it cannot be read now");
	else
		call->code = call->route->read(call, view);
	if (call->code == 0 && call->route->enrich == NULL) { /* a page of rows: the loop has better things to do than to write it */
		call->text = json_dumps(call->answer, JSON_COMPACT);
		json_decref(call->answer);
		call->answer = NULL;
	}
}

static void read_done(void *job)
{
	struct api_call *call = job;
	if (call->code < 0) {
		if (call->why.code != call->code)
			refuse(&call->why, call->code, call->params[0], "%s", err_what(call->code));
		api_refuse_why(call, &call->why);
		return;
	}
	if (call->route->enrich != NULL)
		call->route->enrich(call);
	api_finish(call, 200, call->answer);
}

/* Walks all certificates, all records of one, or all members of a campaign. */
static bool reads_long(const struct api_route *route)
{
	static int (*const reads[])(struct api_call *call, struct store_view *view) = {api_overview, api_report_compliance, api_report_evidence, api_campaign_progress};
	for (size_t i = 0; i < N_ELEMENTS(reads); i++)
		if (route->read == reads[i])
			return true;
	return false;
}

static void read_begin(struct api_call *call)
{
	struct workers *workers = controller_workers(call->ctl);
	call->code = E_STORE_IO; /* stands when no view could be opened */
	if (!reads_long(call->route))
		workers_read(workers, read_run, read_done, call);
	else if (!workers_read_long(workers, read_run, read_done, call))
		api_refuse(call, E_API_BUSY, call->route->path, "too many reports and overviews wait for their turn");
}

static void read_waited(struct api_call *call)
{
	if (http_call_gone(call->http)) /* nobody reads it, and the workers may be at their end, too */
		api_refuse(call, E_API_UNAVAILABLE, call->params[0], "the connection was closed meanwhile");
	else
		read_begin(call);
}

/* The answer as it was given before. True: the call is over. */
static bool answer_again(struct api_call *call, const struct http_request *q)
{
	struct kept_found before = {.status = 0, .text = BUF_MAX(KEPT_ANSWER_MAX)};
	int               r = kept_answer_find(call->ctl, q, &call->caller, call->now_at, &before, &call->why);
	bool              over = r < 0 || before.status != 0;
	if (r < 0) {
		api_refuse_why(call, &call->why);
	} else if (before.status != 0) {
		json_t *answer = json_loadb((const char *)before.text.p, before.text.n, 0, NULL);
		http_call_header(call->http, "idempotency-replayed", "true");
		if (before.location[0] != '\0')
			http_call_header(call->http, "location", before.location);
		send_json(call, before.status, before.status < 400 ? "application/json" : "application/problem+json", answer);
		json_decref(answer);
	}
	buf_free(&before.text);
	return over;
}

static void act_run(struct api_call *call, const struct http_request *q)
{
	bool changes = call->route->permission != PERM_NONE && !text_equal(q->method, "GET");
	bool keyed = changes && q->idempotency_key[0] != '\0';
	if (keyed && answer_again(call, q))
		return;
	if (changes && call->by == API_BY_SOCKET) {
		log_line(LOG_LEVEL_WARNING, NULL, "break-glass: %s %s by %s on the local socket", q->method, q->path, call->caller.actor);
		controller_break_glass(call->ctl, q->method, q->path, &call->caller);
	}
	if (keyed)
		call->kept = kept_request_begin(call->ctl, q, &call->caller, call->now_at);
	call->route->act(call);
}

/* Who asks too often is told when to come back: a principal, whatever the number of its tokens, or an address where nobody is named. */
int api_quota(struct api *api, const char *who, int64_t now, unsigned *ret_wait, struct refusal *why)
{
	const int64_t            most = controller_conf_of(api->ctl)->requests_per_second;
	const struct bucket_pace pace = {most, 2 * most};
	struct bucket           *b = buckets_find(&api->requests, buckets_key(&api->requests, who, strlen(who)), &pace, now);
	*ret_wait = bucket_wait(b, &pace);
	if (*ret_wait == 0)
		bucket_take(b);
	return *ret_wait > 0 ? refuse(why, E_API_RATE, who, "more than %lld a second", (long long)most) : 0;
}

static int quota_check(struct api_call *call, const struct http_request *q, int identified)
{
	const char *who = call->principal.name[0] != '\0' ? call->principal.name : q->address;
	if (q->listener == HTTP_LOCAL)
		return identified;
	int r = api_quota(call->api, who, call->now_at, &call->retry_after, &call->why);
	return r < 0 ? r : identified;
}

void api_handle(void *ctx, struct http_call *http)
{
	struct api                *api = ctx;
	const struct http_request *q = http_call_request(http);
	struct api_call           *call = calloc(1, sizeof(*call));
	if (call == NULL) {
		http_call_answer(http, 503, "text/plain", span_text("out of memory\n"));
		return;
	}
	uint8_t random[ID_RANDOM];
	entropy(random, sizeof(random));
	call->api = api;
	call->ctl = api->ctl;
	call->http = http;
	call->now_at = clock_now();
	call->begun_us = clock_monotonic_us();
	call->caller.request_id = id_make(call->now_at, random);

	int r = route_find(call, q);
	if (r == 0)
		r = quota_check(call, q, api_identify(call, q));
	if (r == 0 && call->contract != NULL)
		r = contract_check_args(call->contract, q, &call->why);
	if (r == 0)
		r = body_parse(call, q);
	if (r == 0)
		r = take_reason(call);
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	if (call->route->act != NULL) {
		act_run(call, q);
		return;
	}
	if (!api_wait_before(call, read_waited))
		read_begin(call);
}
