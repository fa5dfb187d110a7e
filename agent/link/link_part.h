/* link_part.h - room agent/link: what the parts of the daemon share: link.c (set-up), link_gateway.c (websocket),
 * link_keeper.c (local socket), link_identity.c (renewal), link_return.c (the way back after the identity has ended),
 * link_fetch.c (public listener). Never: included by anybody else. */
#ifndef VCC_LINK_PART_H
#define VCC_LINK_PART_H

#include <libwebsockets.h>

#include "agent/link/backoff.h"
#include "agent/link/comeback.h"
#include "agent/link/keeper_pipe.h"
#include "agent/link/link_state.h"
#include "agent/link/resolver.h"
#include "agent/link/tls_link.h"
#include "shared/conf/agent_conf.h"
#include "shared/model/messages.h"

/* Where a return stands. */
enum return_step { RETURN_NONE, RETURN_ASK, RETURN_SIGN, RETURN_POST, RETURN_JUDGE };

struct returning {
	enum return_step       step;
	struct lws            *ws; /* POST under way */
	bool                   opening; /* inside the library's call that makes `ws` */
	bool                   answered;
	struct buf             out, in; /* bodies */
	struct key            *key;     /* of the next identity */
	char                   trying[ADDRESS_SIZE];
	struct resolver        resolver;
	lws_sorted_usec_list_t deadline;
};

/* One HTTP GET from the public listener. */
struct link_fetch {
	struct lws            *wsi;       /* NULL = none is under way */
	struct lk_fetch        want;      /* of it */
	struct lk_fetch        next;      /* begins when the present one is gone; request 0 = none */
	uint64_t               got, total;
	bool                   waits; /* for the keeper to read what is queued */
	bool                   silent; /* nobody wants to hear how it ends */
	int                    code;   /* why it ends */
	char                   text[MSG_TEXT_SIZE];
	struct resolver        resolver;
	char                   numeric[ADDRESS_SIZE];
	lws_sorted_usec_list_t timer;
};

struct link {
	const struct agent_conf *conf;
	struct link_state        state;
	struct lws_context      *context;
	struct lws_vhost        *vhost;
	void                    *tls; /* SSL_CTX of the client */
	bool                     stopping;

	/* link_gateway.c */
	struct lws            *ws; /* connecting or connected */
	bool                   established;
	bool                   welcomed;
	bool                   ping_wanted;
	bool                   moving;    /* this connection ends only for the next one, under the new identity */
	bool                   final;     /* banned: nothing to ask for any more */
	bool                   return_next; /* the next try is a return */
	bool                   returned;    /* this identity comes from one, and no welcome followed yet */
	struct tls_seen        seen;        /* of the newest handshake */
	int                    last_code; /* why there is no connection */
	char                   last_text[MSG_TEXT_SIZE];
	char                   trying[ADDRESS_SIZE];
	struct buf             in;  /* a frame that arrives in pieces */
	struct buf             out; /* 4-byte length and frame, one after the other */
	struct backoff         backoff;
	struct resolver        resolver;
	lws_sorted_usec_list_t connect_timer, life_timer;
	struct wire_frame      frame; /* large: one for all */

	/* link_return.c */
	struct returning       ret;

	/* link_keeper.c */
	struct keeper_pipe     pipe;
	struct lws            *pipe_wsi;
	lws_sorted_usec_list_t keeper_timer;

	/* link_identity.c */
	int64_t                welcome_at;    /* the controller's time at the last welcome, 0 = none yet */
	int64_t                welcome_since; /* the monotonic clock then */
	uint32_t               asked;         /* requests for the next identity without an answer */
	lws_sorted_usec_list_t identity_timer;

	struct link_fetch fetch; /* link_fetch.c */
};

uint32_t link_random(void);

/* ---- link_gateway.c ---- */
void link_gateway_connect_later(struct link *l, int64_t ms);
void link_gateway_send(struct link *l, struct span frame); /* dropped while there is no connection: what counts is sent again after the next welcome */
void link_gateway_drop(struct link *l, int code, const char *text);
/* The reason is set; decides what follows, says it, plans it. `what`: "no connection to ...". */
void link_gateway_plan(struct link *l, struct loss *loss, const char *what);
void link_gateway_reason(struct link *l, int code, const char *text);
int  link_gateway_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n);

/* ---- link_keeper.c ---- */
void             link_keeper_open(struct link *l); /* and again whenever it goes away */
_must_check_ int link_keeper_send(struct link *l, uint16_t type, const void *payload);
void             link_keeper_tell(struct link *l); /* state of the connection */
int              link_keeper_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n);

/* ---- link_return.c ---- */
void link_return_begin(struct link *l);
void link_return_signed(struct link *l, const struct lk_return_sign *sign);
void link_return_done(struct link *l, const struct lk_return_done *done);
void link_return_stop(struct link *l); /* nothing of it is under way afterwards */
int  link_return_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n);

/* ---- link_identity.c ---- */
void link_identity_welcomed(struct link *l, int64_t now_at);
void link_identity_look(struct link *l); /* asks for the next identity when half of this one's life is over */
void link_identity_take(struct link *l, const struct lk_identity *identity);
bool link_identity_ended(const struct link *l);       /* by the controller's time, as far as it is known */
bool link_identity_seems_ended(const struct link *l); /* by this host's clock */
/* After a return: the controller's time, and what was saved is used from now on. */
_must_check_ int link_identity_returned(struct link *l, int64_t now_at, struct refusal *why);

/* ---- link_fetch.c ---- */
void link_fetch_begin(struct link *l, const struct lk_fetch *want); /* instead of the one under way */
void link_fetch_drop(struct link *l);                               /* nobody waits for it any more */
void link_fetch_drained(struct link *l);                            /* the keeper has read what was queued */
void link_fetch_gone(struct link *l, const struct lws *wsi);        /* a connection of any kind is no more */
int  link_fetch_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n);

#endif
