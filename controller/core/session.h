/* session.h - room controller/core: who is connected, and what is sent when (resync of DESIGN 4).
 * Pure: one small state per agent. Never: sockets, heap. */
#ifndef VCC_SESSION_H
#define VCC_SESSION_H

#include "shared/model/agent.h"

struct session {
	uint64_t gateway; /* which gateway connection; 0 = not connected */
	uint64_t session; /* the gateway's number */
	bool     welcomed;
	bool     helloed;
	int64_t  up_at;        /* or when the last welcome went out */
	int64_t  not_after_at; /* of the connection's identity */
	/* A second connection while two hosts are known to have this identity: it may say hello, and is judged by that. */
	uint64_t asking_gateway; /* 0 = none */
	uint64_t asking_session;
	int64_t  asking_not_after_at;
};

enum session_event_kind {
	SES_UP,
	SES_DOWN,
	SES_HELLO,
	SES_GATEWAY_LOST,
	SES_STATE_CHANGED,
	SES_TIMER, /* now and then: a welcome without hello for SESSION_HELLO_MS is repeated */
	SES_EVENT_COUNT,
};
#define SESSION_HELLO_MS INT64_C(30000)
struct session_event {
	enum session_event_kind kind;
	uint64_t                gateway, session;
	struct hash             host_hash; /* of the certificate (up) or the message (hello) */
	struct serial           identity;  /* of the certificate (up) */
	int64_t                 not_after_at;
	struct id               boot_id;
	uint64_t                generation;
};

enum session_action_kind {
	SES_WELCOME,     /* send welcome on (gateway, session) */
	SES_KICK,        /* close (gateway, session) with code */
	SES_RESEND,      /* send the agent's outbox again, in order */
	SES_COPY_FOUND,  /* `run` says now that there seem to be two hosts: to be told */
	SES_COPY_AGAIN,  /* the other of the two was refused once more */
	SES_ACTION_COUNT,
};
struct session_action {
	enum session_action_kind kind;
	uint64_t                 gateway, session;
	int                      code;
};
enum { SESSION_ACTIONS_MAX = 4 };
struct session_step {
	struct session        next;
	struct session_action act[SESSION_ACTIONS_MAX];
	size_t                n_act;
	bool                  keep; /* `run` is news for the agent's row */
	struct agent_run      run;
};

/* `agent` is the row that the certificate's name leads to (NULL = unknown). Rules: unknown, removed, evicted, banned or a
 * foreign host key = kick with code and no welcome; a newer up of the same agent wins, the older is kicked and counted; hello
 * must name the same host key; welcome after up, resend after hello; nothing but hello is taken before it. A message on any
 * other (gateway, session) than the current one must be dropped by the caller, but for a hello of the asking one.
 *
 * A restarted keeper has another run with a higher generation. One without is suspected to come from a copy of the host, and
 * is taken: it may be the only one there is, restored from a snapshot. The run that another had followed cannot come back, so
 * when it does there are two hosts: the one that was seen first stays, and until a person decides every other run is refused,
 * without disturbing the one that stays. */
void session_step(const struct session *s, const struct session_event *event, const struct agent *agent, int64_t now,
		  struct session_step *ret);

/* Receipts are taken strictly in sequence, because the welcome names only the highest durable one. `taken` is the highest
 * number taken so far (durable or on its way to the store). */
enum session_receipt {
	SESSION_RECEIPT_NEXT,  /* take it; ack when it is durable */
	SESSION_RECEIPT_KNOWN, /* ack again once it is durable, do nothing else */
	SESSION_RECEIPT_GAP,   /* drop it: the agent re-sends from its lowest unacked one */
};
enum session_receipt session_receipt(uint64_t taken, uint64_t seq);

#endif
