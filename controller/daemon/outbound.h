/* outbound.h - room controller/daemon: sends one message to one receiver and says what became of it (libcurl only here).
 * Runs on a thread of its own (courier.h) and may take half a minute. Never: following a redirect, using a proxy, reaching an
 * address that the guard refuses, showing what a receiver answered beyond its status. */
#ifndef VCC_OUTBOUND_H
#define VCC_OUTBOUND_H

#include <stdatomic.h>

#include "shared/base/buf.h"
#include "shared/conf/channel_conf.h"

enum {
	OUTBOUND_URL_SIZE = CHANNEL_URL_SIZE + 64,
	OUTBOUND_TO_SIZE = 2048,
	OUTBOUND_BODY_MAX = 262144,
	OUTBOUND_HEADERS_MAX = 8192
};

struct outbound {
	bool               mail, plain;
	bool               put; /* PUT in place of POST */
	char               url[OUTBOUND_URL_SIZE];
	const char        *allow;
	struct span        ca_pem;          /* none = the system's authorities */
	const char        *user, *password; /* NULL = no login */
	char               from[CHANNEL_TEXT_SIZE];
	char               to[OUTBOUND_TO_SIZE + CHANNEL_LIST_SIZE]; /* comma list of mail addresses */
	struct buf         headers;                                  /* HTTP: lines */
	struct buf         body;                                     /* mail: with its headers */
	int64_t            timeout_ms;
	const atomic_bool *stop;
};

struct outbound_result {
	int     code; /* 0 = the receiver has it; E_SYS_AGAIN = ended by `stop` */
	char    cause[DELIVERY_CAUSE_SIZE];
	bool    final;   /* the same message will not be taken another time */
	int64_t wait_ms; /* the receiver asked for so long; 0 = it did not */
	int64_t took_ms;
};

/* Before the process locks itself in. */
_must_check_ int outbound_prepare(void);
void             outbound_send(const struct outbound *o, struct outbound_result *ret);
void             outbound_free(struct outbound *o); /* what it owns; with a header line that is a secret it is wiped */

#endif
