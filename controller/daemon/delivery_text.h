/* delivery_text.h - room controller/daemon: one or more notices as a message for people and for machines. Runs on a worker.
 * Never: sending; which notices go together. */
#ifndef VCC_DELIVERY_TEXT_H
#define VCC_DELIVERY_TEXT_H

#include <jansson.h>

#include "controller/daemon/catalog.h"
#include "controller/daemon/channels.h"
#include "controller/daemon/outbound.h"
#include "controller/store/store.h"

enum { MESSAGE_TITLE_SIZE = 200, MESSAGE_TEXT_MAX = 131072, MESSAGE_SHOWN = 50, MESSAGE_LINK_SIZE = 512 };

/* What the installation is and who is behind the roles. */
struct message_terms {
	const char *installation; /* its main domain */
	const char *contact_admin, *contact_security;
	const char *contact_approver; /* comma list of addresses; "" = the admin contact */
	/* links by which a matter is taken over */
	const char    *link_url; /* NULL or "" = none */
	const uint8_t *link_key; /* HMAC_KEY_SIZE */
	int64_t        link_ms;  /* they are good for so long */
};

struct message {
	struct id          id;
	enum notice_level  level; /* the highest of them */
	enum delivery_kind kind;
	size_t             n;
	struct notice      first;
	char               title[MESSAGE_TITLE_SIZE];
	struct buf         text;
	json_t            *notices;
	char               to[OUTBOUND_TO_SIZE]; /* mail addresses, without those of the channel */
	bool               cut;                  /* not all of them found room */
	char               ack_url[MESSAGE_LINK_SIZE]; /* of the one matter that can be taken over; "" = none, or several */
};

/* `rows` are of one message. Those whose notice is gone are left out; E_NOT_FOUND: all are. */
_must_check_ int message_make(struct store_view *view, const struct delivery *rows, size_t n, const struct message_terms *terms,
			      int64_t now, struct message *ret);
/* One that only shows that the channel works. */
void message_test(const struct message_terms *terms, struct id id, int64_t now, struct message *ret);
void message_free(struct message *m);

/* Adds the links by which whoever gets it by this channel takes its matters over; made anew with each attempt. (delivery_links.c) */
void message_add_links(struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now);

/* Is whoever a link names still told of anything here: a channel that gets links, or an address of contacts, of a channel, of a current template or of a principal
 * that is not disabled? (delivery_links.c) */
_must_check_ int message_recipient_known(struct store_view *view, const struct catalog *catalog, const struct channels *channels, const char *recipient,
					 bool *ret);

/* The message as the channel sends it. E_NOTIFY_NOBODY. */
_must_check_ int message_pack(const struct message *m, const struct channel *ch, const struct message_terms *terms, int64_t now,
			      struct outbound *ret, struct refusal *why);

#endif
