/* api_identity.c - room controller/daemon: who an admin request comes from, and whether it may use its route.
 * The local socket's peer is judged by its uid, everybody else by a token, a client certificate, or a session that one of them opened. Never: what a route does. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/daemon/api_routes.h"
#include "controller/daemon/login_cert.h"
#include "controller/daemon/login_limit.h"
#include "controller/daemon/people.h"
#include "controller/daemon/web_origin.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/controller_conf.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

static void caller_set(struct api_call *call, const struct principal *p)
{
	text_cut(call->caller.actor, sizeof(call->caller.actor), p->name);
	text_cut(call->caller.person, sizeof(call->caller.person), rights_person(p));
	text_cut(call->caller.maker_of_principal, sizeof(call->caller.maker_of_principal), p->maker);
}

static int by_socket(struct api_call *call, uid_t uid)
{
	if (uid != 0 && uid != geteuid())
		return refuse(&call->why, E_API_UNAUTHENTICATED, "local socket", "user id %u is not an administrator here", (unsigned)uid);
	snprintf(call->principal.name, sizeof(call->principal.name), "local:uid-%u", (unsigned)uid);
	call->principal.roles = 1U << ROLE_ADMIN;
	call->by = API_BY_SOCKET;
	caller_set(call, &call->principal);
	call->caller.credential = (struct hash){{API_BY_SOCKET}};
	return 0;
}

static int token_known(struct api_call *call, struct hash hash, struct token *ret)
{
	int r = view_token_by_hash(controller_view(call->ctl), hash, ret);
	if (r < 0 && r != E_NOT_FOUND)
		return refuse(&call->why, r, "token", "the store cannot be read");
	if (r < 0 || ret->revoked_at != 0 || ret->expires_at <= call->now_at)
		return refuse(&call->why, E_API_UNAUTHENTICATED, "Authorization", "the token is unknown, revoked or expired");
	return 0;
}

static int token_find(struct api_call *call, const char *authorization, struct token *ret)
{
	struct hash hash;
	if (!text_starts(authorization, "Bearer ") || token_pat_check(authorization + 7, &hash) < 0)
		return refuse(&call->why, E_API_UNAUTHENTICATED, "Authorization", "this is not a whole vcc_pat_ token");
	call->token_well_formed = true;
	return token_known(call, hash, ret);
}

/* A well-formed token that is none is a try. Beyond the limit nothing new is believed from there, good or not; a token that was in use within
 * a day is no try, and whoever shares the address with somebody who guesses goes on. */
static int limit_tries(struct api_call *call, const struct http_request *q, int found)
{
	struct login_limit *limit = api_login_limit(call->api);
	bool                wrong = found == E_API_UNAUTHENTICATED && call->token_well_formed;
	bool                in_use = found == 0 && call->now_at - call->token.used_at < MS_DAY;
	if (in_use || call->asked_again || (found != 0 && !wrong))
		return found;
	if (login_limit_reached(limit, q->address, call->now_at))
		return refuse(&call->why, E_LOGIN_RATE, q->address, "%d within a minute", LOGIN_WRONG_MAX);
	if (wrong && login_limit_wrong(limit, q->address, call->now_at))
		log_line(LOG_LEVEL_WARNING, NULL, "%d wrong tokens came from %s within a minute: it is not listened to until that is over", LOGIN_WRONG_MAX,
			 q->address);
	return found;
}

/* What the token in `call` stands for. */
static int as_token(struct api_call *call)
{
	struct principal whole;
	if (view_principal(controller_view(call->ctl), call->token.principal, &whole) < 0 || whole.disabled)
		return refuse(&call->why, E_API_UNAUTHENTICATED, call->token.principal, "the principal is gone or disabled");
	if (!rights_narrow(&whole, call->token.roles, call->token.services, &call->principal))
		return refuse(&call->why, E_API_FORBIDDEN, whole.name, "the token's scope and the principal's rights have nothing in common");
	call->by = API_BY_TOKEN;
	caller_set(call, &call->principal);
	text_cut(call->caller.maker_of_token, sizeof(call->caller.maker_of_token), call->token.maker);
	memcpy(call->caller.credential.b, &call->token.token_id, sizeof(call->token.token_id));
	people_token_used(call->ctl, &call->token, call->now_at);
	return 0;
}

static int by_token(struct api_call *call, const struct http_request *q)
{
	int r = limit_tries(call, q, token_find(call, q->authorization, &call->token));
	return r < 0 ? r : as_token(call);
}

static int as_certificate(struct api_call *call, struct serial serial, struct hash fingerprint)
{
	int r = login_cert_find(controller_view(call->ctl), serial, fingerprint, call->now_at, &call->principal, &call->why);
	if (r < 0)
		return r;
	call->by = API_BY_CERTIFICATE;
	caller_set(call, &call->principal);
	call->caller.credential = fingerprint;
	return 0;
}

/* What a session stands for is asked anew each time: a token or certificate that ended has ended its sessions. */
static int by_session(struct api_call *call, const struct http_request *q)
{
	int64_t             now = clock_monotonic();
	struct web_session *s = web_session_find(api_sessions(call->api), q->session, now);
	if (s == NULL)
		return refuse(&call->why, E_SESSION_OVER, "session", "it was ended, not used for 15 minutes, or is 8 hours old");
	int r = s->by_certificate ? as_certificate(call, s->serial, s->fingerprint) : token_known(call, s->token, &call->token);
	if (r == 0 && !s->by_certificate)
		r = as_token(call);
	if (r == E_API_UNAUTHENTICATED) {
		web_session_end(s);
		return refuse(&call->why, E_SESSION_OVER, "session", "the token or certificate it was opened with is good no more");
	}
	bool fits = r == 0 && web_session_header_fits(q->session, q->header_token);
	if (fits && !call->asked_again)
		s->used_at = now;
	else if (!fits && r == 0 && !text_equal(q->method, "GET"))
		return refuse(&call->why, E_SESSION_HEADER, "X-Vcc-Session", q->header_token[0] != '\0' ? "it is that of another session" : "it is missing");
	call->session = s;
	return r;
}

/* What a stolen hour of a session must not suffice for: ends of trust, other people's agreement, and ways in that outlive it. */
static const enum permission confirmed[] = {PERM_CERT_EMERGENCY, PERM_CA_MANAGE, PERM_APPROVAL_DECIDE, PERM_PRINCIPAL_MANAGE, PERM_TOKEN_OWN};

static int confirmation_check(struct api_call *call, enum permission need)
{
	if (call->session == NULL || text_equal(call->route->method, "GET") || web_session_confirmed(call->session, clock_monotonic()))
		return 0;
	for (size_t i = 0; i < N_ELEMENTS(confirmed); i++)
		if (need == confirmed[i])
			return refuse(&call->why, E_SESSION_CONFIRM, permission_name(need), "the session was not confirmed within the last five minutes");
	return 0;
}

int api_may(struct api_call *call, enum permission need, const char *object, const char *why)
{
	if (!rights_allow(&call->principal, need))
		return refuse(&call->why, E_API_FORBIDDEN, object, "%s%s%s lacks the permission %s", why, why[0] != '\0' ? ", and " : "",
			      call->principal.name, permission_name(need));
	return confirmation_check(call, need);
}

static int may_use(struct api_call *call)
{
	const struct api_route *route = call->route;
	const struct principal *p = &call->principal;
	if (route->permission == PERM_NONE)
		return 0;
	if (!rights_allow(p, route->permission))
		return refuse(&call->why, E_API_FORBIDDEN, p->name, "the permission %s is missing", permission_name(route->permission));
	if (route->scope == SCOPE_WHOLE && rights_limited(p))
		return refuse(&call->why, E_RIGHTS_LIMIT, p->name, "limited to %s; this concerns the whole installation", p->services);
	return 0;
}

/* By the configuration, for scrapers that have no token; whoever shows one is judged by it. */
static bool is_opened(const struct api_call *call)
{
	return call->route->act == api_metrics && controller_conf_of(call->ctl)->metrics_open;
}

/* A browser shows a client certificate to whoever asks, unasked: it opens a session by it, and does nothing else. */
static int by_browser(struct api_call *call, const struct http_request *q)
{
	bool opens = text_equal(call->route->path, API_SESSION) && text_equal(q->method, "POST");
	int  r = web_origin_check(q, controller_conf_of(call->ctl), &call->why);
	if (r < 0)
		return r;
	if (opens && q->has_cert)
		return as_certificate(call, q->cert_serial, q->cert_fingerprint);
	if (q->session[0] != '\0')
		return by_session(call, q);
	return refuse(&call->why, E_API_UNAUTHENTICATED, "session", "nobody is logged in");
}

/* Whether somebody is logged in may be asked by whoever is not: a page asks before it knows. */
static int if_any_session(struct api_call *call, const struct http_request *q)
{
	if (!text_equal(call->route->path, API_SESSION) || q->session[0] == '\0')
		return 0;
	int r = by_browser(call, q);
	return r == E_SESSION_OVER || r == E_API_UNAUTHENTICATED ? 0 : r;
}

int api_identify(struct api_call *call, const struct http_request *q)
{
	int r;
	if (q->listener == HTTP_LOCAL)
		r = by_socket(call, q->peer_uid);
	else if (q->authorization[0] != '\0')
		r = by_token(call, q);
	else if (call->route->permission == PERM_NONE)
		return if_any_session(call, q);
	else if (is_opened(call))
		return 0;
	else if (web_is_browser(q) || (q->session[0] != '\0' && !q->has_cert))
		r = by_browser(call, q);
	else if (q->has_cert)
		r = as_certificate(call, q->cert_serial, q->cert_fingerprint);
	else
		r = refuse(&call->why, E_API_UNAUTHENTICATED, "Authorization", "neither a bearer token nor a client certificate of ours was given");
	if (r == 0)
		r = may_use(call);
	return r < 0 ? r : confirmation_check(call, call->route->permission);
}

bool api_still_may(struct api *api, struct controller *ctl, const struct api_route *route, const struct http_request *q, int64_t now_at)
{
	struct api_call again = {.api = api, .ctl = ctl, .route = route, .now_at = now_at, .asked_again = true};
	return api_identify(&again, q) == 0;
}
