/* people.h - room controller/daemon: makes and changes principals and tokens, and notes that a token was used.
 * Whoever may approve is made by two persons: these changes become approvals (approvals.h). Never: deciding what a role may. */
#ifndef VCC_PEOPLE_H
#define VCC_PEOPLE_H

#include <jansson.h>

#include "controller/daemon/commit.h"

enum { TOKENS_MAX = 50 }; /* valid ones of one principal */

struct people;
_must_check_ int people_open(struct people **ret);
void             people_free(struct people *p);

/* `next` is a whole principal, checked for form. `create`: it must not exist; else it must. E_RIGHTS_SELF, E_EXISTS, E_NOT_FOUND.
 * Where a second person is needed nothing is stored but the request: result.waits. */
void people_principal_put(struct controller *ctl, const struct principal *next, bool create, const struct caller *who,
			  api_done_fn *done, void *ctx);
/* `as`: the caller with what its own token leaves of it; `until`: when that token ends. A token of the caller's own gives at most these.
 * One for another principal needs principal:manage, which the caller checked. E_RIGHTS_MORE, E_TOKEN_LIMIT, E_PRINCIPAL_DISABLED. */
void people_token_make(struct controller *ctl, const struct token *wanted, const struct principal *as, int64_t until,
		       const struct caller *who, api_done_fn *done, void *ctx);
/* The caller has seen that the token may be revoked by `who`. Revoked already: no change. */
void people_token_revoke(struct controller *ctl, struct id token_id, const struct caller *who, api_done_fn *done, void *ctx);

/* Stored at most once an hour and token, whatever the number of requests. */
void people_token_used(struct controller *ctl, const struct token *t, int64_t now);

/* ---- for approvals.c: requests of the kinds PRINCIPAL and TOKEN ---- */
/* What the request stands for now, as its `what`; differs from it when the principal was changed meanwhile. */
_must_check_ int people_describe(struct controller *ctl, const struct approval *a, json_t **ret);
/* Adds what was approved to the commit that stores the decision; fills `ret` (with the token's text). */
_must_check_ int people_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who,
				  struct api_result *ret);

#endif
