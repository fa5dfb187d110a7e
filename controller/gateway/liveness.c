/* liveness.c - room controller/gateway: when a connection is pinged, and when it has to end.
 * Never: clocks, sockets. */
#include "controller/gateway/liveness.h"

void liveness_begin(struct liveness *l, int64_t now_ms)
{
	*l = (struct liveness){.deadline_ms = now_ms + LIVENESS_HANDSHAKE_MS};
}

void liveness_stand(struct liveness *l, int64_t now_ms, uint32_t spread, int64_t ends_at)
{
	*l = (struct liveness){.ping_ms = now_ms + 1 + spread % LIVENESS_PING_MS, .ends_at = ends_at};
}

void liveness_seen(struct liveness *l)
{
	l->asked_ms = 0;
}

enum liveness_verdict liveness_judge(struct liveness *l, int64_t now_ms, int64_t now_at, bool held)
{
	if (l->ends_at != 0 && now_at >= l->ends_at)
		return LIVENESS_EXPIRED;
	if (l->deadline_ms != 0 && now_ms >= l->deadline_ms)
		return LIVENESS_LATE;
	if (held)
		l->asked_ms = l->asked_ms != 0 ? now_ms : 0;
	if (l->asked_ms != 0 && now_ms - l->asked_ms >= LIVENESS_ANSWER_MS)
		return LIVENESS_DEAD;
	if (l->ping_ms != 0 && now_ms >= l->ping_ms) {
		l->ping_ms = now_ms + LIVENESS_PING_MS;
		if (l->asked_ms == 0)
			l->asked_ms = now_ms;
		return LIVENESS_PING;
	}
	return LIVENESS_OK;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a == 0 || (b != 0 && b < a) ? b : a;
}

int64_t liveness_due(const struct liveness *l, int64_t now_ms, int64_t now_at)
{
	int64_t due = earlier(l->deadline_ms, l->ping_ms);
	if (l->asked_ms != 0)
		due = earlier(due, l->asked_ms + LIVENESS_ANSWER_MS);
	if (l->ends_at != 0) {
		/* at most one ping interval ahead: the wall clock may be set meanwhile */
		int64_t left = l->ends_at - now_at;
		due = earlier(due, now_ms + (left < 0 ? 0 : left > LIVENESS_PING_MS ? LIVENESS_PING_MS : left));
	}
	return due != 0 ? due : now_ms + LIVENESS_PING_MS;
}
