/* restore_news.h - room controller/daemon: what hosts and signer turn out to hold that a restored store does not know: certificates, hosts,
 * receipts, heads. For whoever has to accept the restore. In memory: after a restart hosts say it again. Never: deciding what follows. */
#ifndef VCC_RESTORE_NEWS_H
#define VCC_RESTORE_NEWS_H

#include <jansson.h>

#include "shared/model/agent.h"
#include "shared/model/order.h"

enum restore_news_kind {
	NEWS_CERTIFICATE, /* served, and issued after the backup */
	NEWS_HOST,        /* joined after the backup */
	NEWS_RECEIPT,     /* of an order that the store does not know, or that ended with the restore */
	NEWS_HEAD,        /* of a longer trail */
	NEWS_KIND_COUNT,
};
const char *restore_news_kind_name(enum restore_news_kind k);

/* Of each kind so many are listed; of heads fewer, since one says as much as all of them. */
enum { NEWS_KIND_LISTED = 60, NEWS_HEADS_LISTED = 20, NEWS_LISTED = (NEWS_KIND_COUNT - 1) * NEWS_KIND_LISTED + NEWS_HEADS_LISTED, NEWS_WHAT_SIZE = 96 };

struct restore_new {
	enum restore_news_kind kind;
	char                   object[CERT_ID_SIZE];
	char                   host[AGENT_NAME_SIZE];
	char                   what[NEWS_WHAT_SIZE];
};

/* All zero: nothing is known. */
struct restore_news {
	struct restore_new row[NEWS_LISTED];
	size_t             n;
	uint64_t           n_more; /* reports beyond those; one that is repeated counts again */
};

/* The same of the same host again takes the place of what it said. `fmt`: at most NEWS_WHAT_SIZE. */
void restore_news_add(struct restore_news *n, enum restore_news_kind kind, const char *object, const char *host, const char *fmt, ...)
	_printf_(5, 6);
/* [{"kind", "object", "host", "what", "next"}] */
json_t *restore_news_json(const struct restore_news *n);

#endif
