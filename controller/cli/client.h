/* client.h - room controller/cli: speaks the admin API over HTTPS or the local socket (libcurl only here).
 * Never: printing answers. */
#ifndef VCC_CLIENT_H
#define VCC_CLIENT_H

#include <stdio.h>

#include <jansson.h>

#include "shared/base/buf.h"
#include "shared/base/err.h"
#include "shared/conf/conf.h"
#include "shared/model/agent.h"

/* Exit codes of vccctl. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_DENIED = 4,
	EXIT_UNREACHABLE = 5,
	EXIT_PARTLY = 6,
	EXIT_DUE = 7, /* `check` found something */
	EXIT_STALE = 8, /* a plan is out of date */
};

enum { CLIENT_KEYS = 6, CLIENT_PATH_SIZE = 512, CLIENT_URL_SIZE = 256 };

/* Where the controller is: the URL with a CA file and a token or a client certificate, or the local socket. */
struct client {
	char url[CLIENT_URL_SIZE]; /* "" = local socket */
	char ca[CLIENT_PATH_SIZE];
	char token_file[CLIENT_PATH_SIZE];
	char cert[CLIENT_PATH_SIZE]; /* client certificate instead of a token, with its key */
	char key[CLIENT_PATH_SIZE];
	char socket[CLIENT_PATH_SIZE];
	char origin[CLIENT_KEYS][CONF_ORIGIN_SIZE]; /* of these six, in this order: "command line", FILE:LINE, "default" */
	char prefer[24]; /* how long an answer may be waited for (RFC 7240); "" = as the controller likes */
	char if_match[32]; /* the version that a change was made on; "" = whatever is there */
	char reason[REASON_SIZE]; /* goes with every change that has no reason of its own; "" = none */
};

/* Fills what the options left empty: $VCCCTL_CONFIG, ~/.config/vccctl.conf, else the local socket. Exit code. */
_must_check_ int client_configure(struct client *c, struct refusal *why);

/* The keys of vccctl.conf. */
extern const struct conf_schema client_schema;

/* One call. `body` may be NULL. On HTTP 2xx: EXIT_DONE with *ret_answer (owned by the caller; NULL for an empty body) and *ret_status if
 * given. Otherwise the exit code that fits, with `why` worded from the problem document. */
_must_check_ int client_call(const struct client *c, const char *method, const char *path, const json_t *body, int *ret_status,
                             json_t **ret_answer, struct refusal *why);
/* GET whose answer goes to `to` as it comes. */
_must_check_ int client_download(const struct client *c, const char *path, FILE *to, struct refusal *why);
/* Does a plain HTTP server answer at `url` with 200? Nothing of the answer is kept. EXIT_UNREACHABLE with the cause. */
_must_check_ int client_reach(const char *url, struct refusal *why);
/* Server-sent events from `path` on, after the event `last_id` ("" = none). `fn` gets the id and data of each; anything but 0 ends it.
 * EXIT_DONE: `fn` or the controller ended it. */
enum { CLIENT_EVENT_ID_SIZE = 24 };
typedef int client_event_fn(void *ctx, const char *id, const char *data);
_must_check_ int client_events(const struct client *c, const char *path, const char *last_id, client_event_fn *fn, void *ctx, struct refusal *why);
/* Follows the cursors of a list and gives all that stands in `member` of the answers (at most 100,000). */
_must_check_ int client_list(const struct client *c, const char *path, const char *member, json_t **ret_items, struct refusal *why);

#endif
