/* answer.c - room controller/daemon: the answer to one changing call, kept until what it tells is durable.
 * Never: HTTP. */
#include "controller/daemon/answer.h"

#include <stdlib.h>

#include "shared/pki/key.h"

struct answer *answer_new(api_done_fn *done, void *ctx)
{
	struct answer *a = calloc(1, sizeof(*a));
	if (a == NULL)
		abort();
	a->done = done;
	a->ctx = ctx;
	return a;
}

void answer_now(struct answer *a)
{
	if (a->done != NULL)
		a->done(a->ctx, &a->result);
	secret_wipe(a, sizeof(*a));
	free(a);
}

void answer_refuse(struct answer *a, int code, const char *object, const char *cause)
{
	a->result.code = refuse(&a->result.why, code, object, "%s", cause != NULL ? cause : err_what(code));
	answer_now(a);
}

void answer_stored(struct controller *ctl, void *answer, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct answer *a = answer;
	if (code < 0)
		a->result.code = refuse(&a->result.why, code, "store", "%s", err_what(code));
	answer_now(a);
}
