/* api.h - room controller/daemon: the admin API: routes, who may use them, and how a request runs.
 * One route table; router, rights and documentation come from it. Reading routes run on a worker with a view of the store,
 * changing routes on the loop. Never: SQL, TLS. */
#ifndef VCC_API_H
#define VCC_API_H

#include <jansson.h>

#include "controller/core/rights.h"
#include "controller/daemon/controller.h"
#include "controller/daemon/http_server.h"
#include "controller/daemon/web_session.h"

#define API_SESSION "/api/v1/session"

enum { API_PARAMS_MAX = 2, API_PARAM_SIZE = 80, API_PAGE = 100, API_PAGE_MAX = 500, API_DEPTH_MAX = 32, API_VALUES_MAX = 100000 };

struct api;
struct login_limit;
struct api_call;
struct api_contract; /* contract.h */

struct api_route {
	const char     *method;
	const char     *path; /* "/api/v1/agents/{name}" */
	enum permission permission;
	enum rights_scope scope; /* how a principal that is limited to services meets it */
	const char     *about;
	/* Exactly one of the two. `read`: on a worker; 0 with call->answer set, or a code with call->why. */
	int (*read)(struct api_call *call, struct store_view *view);
	/* `act`: on the loop; ends with exactly one api_finish() or api_refuse(), now or later. */
	void (*act)(struct api_call *call);
	/* After `read`, on the loop: adds to the answer what only the loop knows. May be NULL. */
	void (*enrich)(struct api_call *call);
};

/* How the caller showed who it is. */
enum api_by { API_BY_NOTHING, API_BY_SOCKET, API_BY_TOKEN, API_BY_CERTIFICATE };

struct api_call {
	struct api             *api;
	struct controller      *ctl;
	struct http_call       *http;
	const struct api_route *route;
	const struct api_contract *contract; /* of the route */
	char                    params[API_PARAMS_MAX][API_PARAM_SIZE]; /* in the order of the path */
	struct principal        principal; /* with what its token leaves of it */
	enum api_by             by;
	struct token            token; /* API_BY_TOKEN */
	bool                    token_well_formed;
	bool                    asked_again; /* it was let in before: no try, and nobody's act */
	struct web_session     *session; /* it came by one, which holds what `by` says; good on this turn of the loop */
	struct caller           caller;
	struct kept_request    *kept; /* it came with an Idempotency-Key */
	json_t                 *body; /* object, or NULL without a body */
	int64_t                 now_at;
	int64_t                 begun_us; /* monotonic */
	struct id               renewal_id; /* that the answer waits for */
	unsigned                retry_after; /* seconds, with a refusal; 0 = the usual one */
	/* the outcome */
	json_t        *answer;
	char          *text;   /* the answer as it is sent, when it is written already; then `answer` is NULL */
	int            status; /* of the answer */
	int            code;
	struct refusal why;
};

_must_check_ int api_make(struct controller *ctl, struct api **ret);
void             api_free(struct api *api);
/* The http_handle_fn of the admin and local listeners; `ctx` is the api. */
void api_handle(void *ctx, struct http_call *http);
/* The http_body_max_fn of these listeners. */
int64_t api_body_max(void *ctx, const struct http_request *q);

/* One request more of `who`: a principal, or an address where nobody is named. E_API_RATE: *ret_wait seconds later. */
_must_check_ int api_quota(struct api *api, const char *who, int64_t now, unsigned *ret_wait, struct refusal *why);

/* All rows, for documentation and tests. */
const struct api_route *api_routes(size_t *ret_n);

/* Of the whole installation. */
struct login_limit  *api_login_limit(struct api *api);
struct web_sessions *api_sessions(struct api *api);

/* Who is it, and may it use the route? Fills principal and caller. E_API_UNAUTHENTICATED, E_API_FORBIDDEN, E_RIGHTS_LIMIT: `why` is filled.
 * (api_identity.c) */
_must_check_ int api_identify(struct api_call *call, const struct http_request *q);
/* Would whoever asked this still be let to it? For answers that go on: it is no try and no use of a session. On the loop. (api_identity.c) */
bool api_still_may(struct api *api, struct controller *ctl, const struct api_route *route, const struct http_request *q, int64_t now_at);

/* ---- for the handlers ---- */

/* May the caller do what needs more than its route: has it the permission, and was its session confirmed where that permission asks for it? `why`: what of
 * the request needs it, or "". On the turn of the loop that began the call. E_API_FORBIDDEN, E_SESSION_CONFIRM. (api_identity.c) */
_must_check_ int api_may(struct api_call *call, enum permission need, const char *object, const char *why);

/* Answers and frees the call; takes over `answer`. */
void api_finish(struct api_call *call, int status, json_t *answer);
/* Answers 200 with a text that is no JSON, copied, and frees the call; of a route that keeps no answers (GET). */
void api_finish_text(struct api_call *call, const char *type, struct span text);
/* Answers with a problem document (RFC 9457) and frees the call. */
void api_refuse(struct api_call *call, int code, const char *object, const char *cause);
void api_refuse_why(struct api_call *call, const struct refusal *why);
/* The answer is somebody else's matter now (http_call_stream): frees the call alone. */
void api_let_go(struct api_call *call);
/* HTTP status of a code. */
int api_status(int code);

/* Body fields. Missing with `fallback` NULL, wrong type or over-long: the call's `why` is filled and E_API_BODY returned. */
_must_check_ int api_field_text(struct api_call *call, const char *name, const char *fallback, char *ret, size_t size);
_must_check_ int api_field_bool(struct api_call *call, const char *name, bool fallback, bool *ret);
/* Refuses a body that is not as the route's contract says: unknown fields, wrong types, what is missing. */
_must_check_ int api_body(struct api_call *call);

/* Query arguments. */
_must_check_ int api_arg_limit(struct api_call *call, size_t *ret);             /* limit=, 1..500 */
_must_check_ int api_arg_cursor(struct api_call *call, char *ret, size_t size); /* cursor= -> last key of the page before, "" = start */
_must_check_ int api_arg_i64(struct api_call *call, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret);
/* One of `count` words, as a number; -1 = absent. */
typedef const char *api_word_fn(unsigned value);
_must_check_ int api_arg_word(struct api_call *call, const char *name, api_word_fn *word, int count, int *ret);
const char      *api_arg(const struct api_call *call, const char *name); /* NULL = absent */
/* {"items": [...], "next_cursor": ...}; takes over `items`; `last_key` NULL = the last page. The cursor is good for this list and
 * selection alone. */
json_t *api_page(const struct api_call *call, json_t *items, const char *last_key);

#endif
