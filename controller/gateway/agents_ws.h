/* agents_ws.h - room controller/gateway: the agents' websocket port: frames checked and passed on unchanged, liveness, ends.
 * Never: understanding frames beyond their form, acknowledging, keeping anything of a closed connection. */
#ifndef VCC_AGENTS_WS_H
#define VCC_AGENTS_WS_H

#include <libwebsockets.h>

#include "controller/gateway/gateway_session.h"

struct gateway;

extern const struct lws_protocols agents_ws_protocols[];

/* A TCP connection was accepted: begins TLS. False = closed. */
bool agents_ws_accepted(struct gateway *g, int fd, const char *address);

/* From the controller. Unknown sessions are ignored: it will have heard of their end meanwhile. */
void agents_ws_send(struct gateway *g, uint64_t session, bool urgent, struct span frame);
void agents_ws_kick(struct gateway *g, uint64_t session, int code, const char *text);
/* Credit came: frames that were held go first. */
void agents_ws_release(struct gateway *g);
/* The controller is away: what was held is dropped; connections stay. */
void agents_ws_drop_held(struct gateway *g);
/* A session's timer fired. */
void agents_ws_timer(struct gateway *g, struct session *s, int64_t now_ms, int64_t now_at);
/* hello was said: tells the controller every session that stands. */
void agents_ws_roster(struct gateway *g);

#endif
