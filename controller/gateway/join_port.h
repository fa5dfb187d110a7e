/* join_port.h - room controller/gateway: POST /join: one bounded body passed to the controller, its answer passed back, close.
 * Never: looking into the body beyond its form, keeping a token. */
#ifndef VCC_JOIN_PORT_H
#define VCC_JOIN_PORT_H

#include <stdbool.h>

#include <libwebsockets.h>

#include "controller/gateway/rate.h"
#include "controller/gateway/wheel.h"
#include "shared/base/buf.h"

enum { JOIN_BODY_MAX = 4096, JOIN_REPLY_MAX = 16384, JOIN_REQUESTS_MAX = 512, JOIN_DEADLINE_MS = 10000 };

struct gateway;
struct joiner;

struct join_port {
	struct rate    rate;
	struct wheel   wheel;
	struct joiner *waiting; /* uthash by request number: the controller is asked */
	uint64_t       last_request;
};

extern const struct lws_protocols join_port_protocols[];

bool join_port_accepted(struct gateway *g, int fd, const char *address);
/* The controller's answer; unknown requests are ignored. */
void join_port_answer(struct gateway *g, uint64_t request, struct span body);
/* The controller is away: whoever waits is told to come again. */
void join_port_lost(struct gateway *g);
/* Once a second: deadlines. */
void join_port_turn(struct gateway *g, int64_t now_ms);

#endif
