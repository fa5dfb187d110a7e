/* answer.h - room controller/daemon: the answer to one changing call, kept until what it tells is durable.
 * Never: HTTP. */
#ifndef VCC_ANSWER_H
#define VCC_ANSWER_H

#include "controller/daemon/commit.h"

struct answer {
	api_done_fn      *done;
	void             *ctx;
	struct api_result result;
};

struct answer *answer_new(api_done_fn *done, void *ctx);
/* Each of these answers, and frees it wiped: it may hold a token. */
void answer_now(struct answer *a); /* refused when result.code is set */
void answer_refuse(struct answer *a, int code, const char *object, const char *cause); /* cause NULL = what the code says */
/* A commit_done_fn whose context is the answer. */
void answer_stored(struct controller *ctl, void *answer, int code, const struct store_result *result);

#endif
