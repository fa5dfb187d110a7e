/* agent_messages.h - room controller/daemon: what an agent's frame asks for.
 * Signed bodies are checked on a worker and parsed only from the checked bytes. Never: acting for another agent than the
 * session's. */
#ifndef VCC_AGENT_MESSAGES_H
#define VCC_AGENT_MESSAGES_H

#include "controller/daemon/fleet.h"

/* One frame of the member's current connection, while it is not busy. */
void agent_messages_take(struct controller *ctl, struct member *m, struct span bytes);
/* One frame of the connection that is asked for a hello: nothing else counts. */
void agent_messages_asking(struct controller *ctl, struct member *m, struct span bytes);

/* Answers message `id` of this agent. `seq` for receipts, else 0; `text` may be NULL. */
void agent_ack(struct controller *ctl, const char *agent, uint64_t id, uint64_t seq, int code, const char *text);
/* The same as something to be done after a commit: value of commit_then(agent_ack_then). */
struct ack_later {
	char     agent[AGENT_NAME_SIZE];
	uint64_t id, seq;
	int      code;
	char     text[MSG_TEXT_SIZE];
};
void agent_ack_then(struct controller *ctl, const void *value, size_t n);
/* Acks when everything handed to the store so far is durable: for repeats of something that is on its way there. */
void agent_ack_when_stored(struct controller *ctl, const char *agent, uint64_t id, uint64_t seq);

/* Refuses message `id`: ack with the code, and at most one audit record a minute for each agent. */
void agent_refuse(struct controller *ctl, const char *agent, uint64_t id, int code, const char *what);

/* commit_else(): the agent is welcomed again and re-sends. Value: the agent's name. */
void agent_rewelcome_else(struct controller *ctl, const void *value, size_t n);

#endif
