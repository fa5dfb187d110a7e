/* liveness.h - room controller/gateway: when a connection is pinged, and when it has to end.
 * Ping every 20 s, first one at a random place of that interval; an answer is due within 8 s, so that with one-second slots a dead
 * peer is seen within 30 s. Never: clocks, sockets. */
#ifndef VCC_LIVENESS_H
#define VCC_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LIVENESS_PING_MS = 20000,
	LIVENESS_ANSWER_MS = 8000,
	LIVENESS_HANDSHAKE_MS = 5000, /* TLS and upgrade together */
	LIVENESS_MESSAGE_MS = 30000,  /* from the first byte of a message to its last */
	LIVENESS_CLOSE_MS = 1000,     /* to take our last words */
};

enum liveness_verdict {
	LIVENESS_OK,
	LIVENESS_PING,    /* send one now */
	LIVENESS_DEAD,    /* no answer */
	LIVENESS_LATE,    /* handshake, message or closing took too long */
	LIVENESS_EXPIRED, /* the identity certificate has ended */
};

/* Monotonic ms; 0 = not set. */
struct liveness {
	int64_t asked_ms;    /* when the unanswered ping was sent */
	int64_t ping_ms;     /* when the next one goes out */
	int64_t deadline_ms; /* handshake, message, closing */
	int64_t ends_at;     /* UTC: notAfter of the identity */
};

/* A new connection: only the handshake's deadline runs. */
void liveness_begin(struct liveness *l, int64_t now_ms);
/* The connection stands. `spread` is random: it places the first ping. */
void liveness_stand(struct liveness *l, int64_t now_ms, uint32_t spread, int64_t ends_at);
/* Any bytes from the peer are an answer. */
void liveness_seen(struct liveness *l);
/* `held`: we ourselves did not read for a while, so silence proves nothing. */
enum liveness_verdict liveness_judge(struct liveness *l, int64_t now_ms, int64_t now_at, bool held);
/* When to judge again. */
int64_t liveness_due(const struct liveness *l, int64_t now_ms, int64_t now_at);

#endif
