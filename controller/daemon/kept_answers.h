/* kept_answers.h - room controller/daemon: requests with an Idempotency-Key: what was asked for is done once, and its answer is given again.
 * The key is stored in the very change that does it, the answer as soon as it is known. Never: keeping a secret of an answer. */
#ifndef VCC_KEPT_ANSWERS_H
#define VCC_KEPT_ANSWERS_H

#include <jansson.h>

#include "controller/daemon/controller.h"
#include "controller/daemon/http_server.h"

enum { KEPT_PER_PRINCIPAL = 1000 }; /* keys in a day */

struct kept_answers;
struct kept_request; /* one request in work that came with a key */

_must_check_ int kept_answers_open(struct kept_answers **ret);
void             kept_answers_free(struct kept_answers *k);
void             kept_answers_tick(struct controller *ctl, int64_t now);

/* The answer that was given before. */
struct kept_found {
	int        status; /* 0 = the request is new */
	char       location[KEPT_LOCATION_SIZE];
	struct buf text; /* owned by the caller */
};
/* Was this asked before? E_IDEM_KEY, E_IDEM_OTHER, E_IDEM_BUSY, E_IDEM_DONE, E_IDEM_FULL, or the store's: `why` is filled. */
_must_check_ int kept_answer_find(struct controller *ctl, const struct http_request *q, const struct caller *who, int64_t now,
                                  struct kept_found *ret, struct refusal *why);
/* From now on the first change with a record of this request takes the key along. */
struct kept_request *kept_request_begin(struct controller *ctl, const struct http_request *q, const struct caller *who, int64_t now);
/* The request is answered; frees it. `answer` NULL: nobody will ever know the answer. Where nothing was changed nothing is kept. `done` is
 * called when the answer is durable, or cannot be, or needs not be: now or later. Then it may be sent, and a repetition finds it. */
typedef void kept_done_fn(void *ctx);
void kept_request_end(struct controller *ctl, struct kept_request *r, int status, const char *location, const json_t *answer, kept_done_fn *done,
                      void *ctx);

/* For commit.c: takes along the key of the request behind this id, if it has one that was not taken along yet. */
void kept_answers_join(struct controller *ctl, struct id request_id, struct store_change *change);

#endif
