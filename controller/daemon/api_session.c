/* api_session.c - room controller/daemon: a browser logs in, proves itself again, and logs out.
 * The trail says so before the browser gets its cookie. Never: judging tokens or certificates; that is api_identity.c. */
#include <stdio.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/web_origin.h"
#include "shared/base/text.h"
#include "shared/conf/controller_conf.h"
#include "shared/sys/clock.h"

#define COOKIE_KEPT "; Path=/; Secure; HttpOnly; SameSite=Strict"

static const char *by_name(const struct web_session *s)
{
	return s->by_certificate ? "client certificate" : "token";
}

/* `s` NULL: the caller has none. The header token stands only in what a page of ours reads. */
static json_t *session_json(const struct api_call *call, const struct web_session *s, const char *header_token)
{
	int64_t now = clock_monotonic();
	if (s == NULL)
		return json_pack("{s:n, s:n, s:n, s:n, s:n, s:n, s:n}", "principal", "by", "opened_at", "ends_at", "idle_seconds", "confirmed_until",
				 "header_token");
	json_t *o = json_object();
	json_object_set_new(o, "principal", json_string(s->principal));
	json_object_set_new(o, "by", json_string(by_name(s)));
	json_object_set_new(o, "opened_at", json_time(call->now_at - (now - s->opened_at)));
	json_object_set_new(o, "ends_at", json_time(call->now_at + web_session_left(s, now)));
	json_object_set_new(o, "idle_seconds", json_integer(WEB_IDLE_MS / MS_SECOND));
	json_object_set_new(o, "confirmed_until",
			    web_session_confirmed(s, now) ? json_time(call->now_at + s->confirmed_at + WEB_CONFIRMED_MS - now) : json_null());
	json_object_set_new(o, "header_token", header_token != NULL ? json_string(header_token) : json_null());
	return o;
}

void api_session_show(struct api_call *call)
{
	char header[WEB_TEXT_SIZE];
	api_finish(call, 200, session_json(call, call->session, web_session_header(http_call_request(call->http)->session, header)));
}

static void note(struct api_call *call, enum audit_event event, commit_done_fn *done)
{
	struct commit  *c = commit_new(call->ctl);
	struct audit_of of = {.event = event,
			      .actor = call->caller.actor,
			      .object = call->principal.name,
			      .request_id = call->caller.request_id,
			      .reason = call->caller.reason};
	commit_audit(c, &of, "{s:s,s:s}", "by", call->by == API_BY_CERTIFICATE ? "client certificate" : "token", "address",
		     http_call_request(call->http)->address);
	commit_now(c, done, call);
}

/* ---- log in ---- */

static void opened(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct api_call   *call = ctx;
	struct web_session what = {.by_certificate = call->by == API_BY_CERTIFICATE, .token = call->token.hash};
	uint8_t            secret[WEB_SECRET];
	char               text[WEB_TEXT_SIZE], cookie[160];
	if (code < 0) {
		api_refuse(call, code, call->principal.name, "the login could not be recorded");
		return;
	}
	const struct http_request *q = http_call_request(call->http);
	text_cut(what.principal, sizeof(what.principal), call->principal.name);
	if (what.by_certificate) {
		what.serial = q->cert_serial;
		what.fingerprint = q->cert_fingerprint;
	}
	entropy(secret, sizeof(secret));
	const struct web_session *s = web_session_open(api_sessions(call->api), &what, secret, clock_monotonic());
	int r = b64url_text(secret, sizeof(secret), text, sizeof(text));
	secret_wipe(secret, sizeof(secret));
	if (r < 0) {
		api_refuse(call, E_INTERNAL, "session", "the cookie does not fit");
		return;
	}
	(void)snprintf(cookie, sizeof(cookie), "%s=%s; Max-Age=%d" COOKIE_KEPT, HTTP_COOKIE, text, (int)(WEB_LIFE_MS / MS_SECOND));
	http_call_header(call->http, "set-cookie", cookie);
	secret_wipe(cookie, sizeof(cookie));
	secret_wipe(text, sizeof(text));
	api_finish(call, 201, session_json(call, s, NULL));
}

void api_session_open(struct api_call *call)
{
	const struct http_request *q = http_call_request(call->http);
	int                        r = api_body(call);
	if (r == 0 && web_is_browser(q))
		r = web_origin_check(q, controller_conf_of(call->ctl), &call->why);
	if (r == 0 && (call->session != NULL || (call->by != API_BY_TOKEN && call->by != API_BY_CERTIFICATE)))
		r = refuse(&call->why, E_SESSION_NONE, "session", "a token or a client certificate opens one");
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		note(call, AUDIT_SESSION_OPENED, opened);
}

/* ---- prove it again, log out ---- */

/* The one that is spoken of: by the cookie, whatever else shows who asks. NULL: there is none, `why` is filled. */
static struct web_session *session_of(struct api_call *call)
{
	const struct http_request *q = http_call_request(call->http);
	struct web_session        *s = q->session[0] != '\0' ? web_session_find(api_sessions(call->api), q->session, clock_monotonic()) : NULL;
	if (s == NULL)
		(void)refuse(&call->why, E_SESSION_NONE, "session", "the request brought no cookie of one");
	return s;
}

/* A certificate is shown by the browser with each connection: that it is still there is all that it can prove. */
static int proof_check(struct api_call *call, const struct web_session *s, const struct http_request *q)
{
	if (!web_session_header_fits(q->session, q->header_token))
		return refuse(&call->why, E_SESSION_HEADER, "X-Vcc-Session", "it is missing or that of another session");
	if (call->session != NULL && !s->by_certificate)
		return refuse(&call->why, E_SESSION_OTHER, s->principal, "the token is to be shown again, in the header Authorization");
	if (call->session != NULL && (!q->has_cert || !hash_equal(q->cert_fingerprint, s->fingerprint)))
		return refuse(&call->why, E_SESSION_OTHER, s->principal, "the certificate is no longer shown");
	if (!text_equal(call->principal.name, s->principal))
		return refuse(&call->why, E_SESSION_OTHER, call->principal.name, "the session is that of %s", s->principal);
	return 0;
}

static void confirmed(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct api_call    *call = ctx;
	struct web_session *s = code < 0 ? NULL : session_of(call);
	if (code < 0) {
		api_refuse(call, code, call->principal.name, "the proof could not be recorded");
	} else if (s == NULL) {
		api_refuse_why(call, &call->why);
	} else {
		s->confirmed_at = s->used_at = clock_monotonic();
		api_finish(call, 200, session_json(call, s, NULL));
	}
}

void api_session_confirm(struct api_call *call)
{
	const struct http_request *q = http_call_request(call->http);
	int                        r = api_body(call);
	struct web_session        *s = r == 0 ? session_of(call) : NULL;
	if (r == 0)
		r = s == NULL ? E_SESSION_NONE : proof_check(call, s, q);
	if (r == 0 && web_is_browser(q))
		r = web_origin_check(q, controller_conf_of(call->ctl), &call->why);
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		note(call, AUDIT_SESSION_CONFIRMED, confirmed);
}

static void ended(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct api_call *call = ctx;
	if (code < 0) {
		api_refuse(call, code, call->principal.name, "the session has ended, but that could not be recorded");
		return;
	}
	http_call_header(call->http, "set-cookie", HTTP_COOKIE "=; Max-Age=0" COOKIE_KEPT);
	http_call_header(call->http, "clear-site-data", "\"cache\", \"storage\"");
	api_finish(call, 200, session_json(call, NULL, NULL));
}

void api_session_logout(struct api_call *call)
{
	int                 r = api_body(call);
	struct web_session *s = r == 0 ? session_of(call) : NULL;
	if (r == 0 && s == NULL)
		r = E_SESSION_NONE;
	if (r == 0 && !web_session_header_fits(http_call_request(call->http)->session, http_call_request(call->http)->header_token))
		r = refuse(&call->why, E_SESSION_HEADER, "X-Vcc-Session", "it is missing or that of another session");
	if (r < 0) {
		api_refuse_why(call, &call->why);
		return;
	}
	web_session_end(s); /* whatever becomes of the record */
	call->session = NULL;
	note(call, AUDIT_SESSION_ENDED, ended);
}
