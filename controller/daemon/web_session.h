/* web_session.h - room controller/daemon: the sessions of browsers: by what one was opened, and until when it is good.
 * Values in, values out: the caller brings time and randomness, and asks with each request anew what the token or the certificate behind a
 * session is still worth. They live in memory: a restart ends them all. Never: clocks, rights, keeping what the browser shows. */
#ifndef VCC_WEB_SESSION_H
#define VCC_WEB_SESSION_H

#include <stdbool.h>

#include "shared/base/err.h"
#include "shared/base/id.h"
#include "shared/base/times.h"
#include "shared/model/agent.h"

enum {
	WEB_SESSIONS_MAX = 256,
	WEB_SESSIONS_OF_ONE = 8, /* of one principal; beyond, the one that was used longest ago ends */
	WEB_SECRET = 32,
	WEB_TEXT_SIZE = 48, /* base64url of 32 bytes, 43 signs, and room */
	WEB_IDLE_MS = 15 * 60 * 1000,
	WEB_LIFE_MS = 8 * 3600 * 1000,
	WEB_CONFIRMED_MS = 5 * 60 * 1000,
};

struct web_session {
	struct hash   key; /* SHA-256 of the cookie's bytes; none = free */
	char          principal[ACTOR_SIZE];
	bool          by_certificate;
	struct hash   token;       /* of the token it was opened with, or: */
	struct serial serial;      /* of the certificate */
	struct hash   fingerprint;
	/* monotonic, ms */
	int64_t opened_at;
	int64_t used_at;      /* by a person: what a page asks by itself does not count */
	int64_t confirmed_at; /* TIME_NEVER = not yet */
};

struct web_sessions {
	struct web_session rows[WEB_SESSIONS_MAX];
};

/* `what` says by what it is opened. The row lives until the next call that changes the table. */
struct web_session *web_session_open(struct web_sessions *s, const struct web_session *what, const uint8_t secret[WEB_SECRET], int64_t now);
/* By the cookie; one that is over is forgotten. NULL: there is none. */
struct web_session *web_session_find(struct web_sessions *s, const char *cookie, int64_t now);
void web_session_end(struct web_session *row);
bool web_session_confirmed(const struct web_session *row, int64_t now);
int64_t web_session_left(const struct web_session *row, int64_t now); /* ms until it ends for good */

/* The header token that goes with a cookie, which no other page can read; "" when the cookie is none. */
const char *web_session_header(const char *cookie, char ret[WEB_TEXT_SIZE]);
bool        web_session_header_fits(const char *cookie, const char *header); /* in constant time */

#endif
