/* crl_judge.c - room agent/keeper: revocation lists before they are used: the announced ones, good ones, no older ones.
 * Never: touching the keeper's state from the worker thread; it gets copies. */
#include "agent/keeper/crl_judge.h"

#include <stdlib.h>

#include "agent/keeper/answer_check.h"
#include "agent/keeper/keeper_clock.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

struct crl_judge {
	uv_work_t            work;
	crl_judge_fn        *done; /* NULL: nobody waits any more */
	void                *ctx;
	struct buf           issuers, lists, roots, old;
	struct hash          announced;
	int64_t              now_at;
	int                  code;
	struct refusal       why;
	struct crl_set_facts facts;
};

static void crl_judge_free(struct crl_judge *j)
{
	buf_free(&j->issuers);
	buf_free(&j->lists);
	buf_free(&j->roots);
	buf_free(&j->old);
	free(j);
}

/* On a worker thread. */
static void judge(uv_work_t *work)
{
	struct crl_judge *j = work->data;
	struct crl_set    set = {
		   .pem = buf_span(&j->lists),
		   .issuers = buf_span(&j->issuers),
		   .roots = buf_span(&j->roots),
		   .old_pem = buf_span(&j->old),
		   .now_at = j->now_at,
		   .tolerance_ms = ANSWER_TOLERANCE_MS,
        };
	struct hash hash;
	digest_sha256(set.pem, &hash);
	if (!hash_equal(hash, j->announced))
		j->code = refuse(&j->why, E_CRL_HASH, "revocation lists", "the %zu bytes that came are others", set.pem.n);
	else
		j->code = crl_set_check(&set, &j->facts, &j->why);
}

static void on_judged(uv_work_t *work, int status)
{
	struct crl_judge *j = work->data;
	if (status != 0)
		j->code = refuse(&j->why, E_SYS_IO, "revocation lists", "the worker thread refused them");
	if (j->done != NULL)
		j->done(j->ctx, j->code, &j->why, buf_span(&j->lists), &j->facts);
	crl_judge_free(j);
}

/* A hint, so never beyond a day. */
static int time_of(const struct keeper *k, int64_t *ret, struct refusal *why)
{
	if (keeper_clock_state(k) == CLOCK_WRONG)
		return refuse(why, E_SWAP_CLOCK, "clock", "it differs by %lld s from the controller's",
			      (long long)(keeper_clock_skew(k) / 1000));
	*ret = keeper_clock_judge(k);
	return 0;
}

/* What cannot be read of the lists in use cannot be compared. */
static void old_take(const struct keeper *k, struct buf *to)
{
	struct refusal why = {.code = 0};
	if (hash_is_none(k->state.crl_hash) || keeper_state_crl(&k->state, to, &why) == 0)
		return;
	log_refusal(LOG_LEVEL_WARNING, NULL, &why);
	buf_free(to);
}

int crl_judge_begin(struct keeper *k, struct buf *issuers, struct buf *lists, struct hash announced, crl_judge_fn *done,
		    void *ctx, struct crl_judge **ret)
{
	struct crl_judge *j = calloc(1, sizeof(*j));
	if (j == NULL)
		return E_NOMEM;
	j->done = done;
	j->ctx = ctx;
	j->announced = announced;
	j->work.data = j;
	j->roots = (struct buf)BUF_MAX(MSG_ROOTS_MAX * CERT_DER_MAX);
	buf_add(&j->roots, k->state.trust.roots.p, k->state.trust.roots.n);
	buf_take(&j->issuers, issuers);
	buf_take(&j->lists, lists);
	old_take(k, &j->old);
	j->code = time_of(k, &j->now_at, &j->why);
	int r = j->code != 0 ? j->code : buf_error(&j->roots);
	if (r == 0 && uv_queue_work(&k->loop, &j->work, judge, on_judged) != 0)
		r = E_SYS_IO;
	if (r != 0) {
		crl_judge_free(j);
		return r;
	}
	*ret = j;
	return 0;
}

void crl_judge_drop(struct crl_judge *j)
{
	if (j != NULL)
		j->done = NULL;
}
