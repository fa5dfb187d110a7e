/* crl_fetch.c - room agent/keeper: announced -> asked for -> collected -> judged -> saved -> in use.
 * Never: more than the announced number of bytes; a second request while one is under way. */
#include "agent/keeper/crl_fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/core/crl_plan.h"
#include "agent/keeper/care.h"
#include "agent/keeper/crl_judge.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/swap.h"
#include "agent/keeper/targets.h"
#include "agent/keeper/uplink.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"
#include "shared/sys/memory.h"

enum {
	SPREAD_MAX_MS = 10 * 1000,
	GAP_MS = 1000,
	/* Not more than about one reload a minute for lists alone; and a revocation that just missed one set is on the host
	 * within a minute, with the time that the way takes (docs/decisions.md). */
	PACE_MS = 45 * 1000,
	RETRY_MIN_MS = 1000,
	RETRY_MAX_MS = 60 * 1000,
	FETCH_MS = 10 * 60 * 1000, /* the link has stricter limits; this is for one that never answers */
};

struct crl_fetch {
	struct keeper    *keeper;
	struct crl_plan   plan;
	uv_timer_t        timer; /* plan.next_at */
	uint64_t          size;  /* of plan.announced */
	uint64_t          request;
	enum fetch_kind   kind; /* of what is under way */
	uint64_t          limit;
	struct buf        issuers, lists;
	struct crl_judge *judge;
	int               code; /* of the last failure; 0 = what was announced is in use */
	char              text[CAUSE_SIZE];
	int               told; /* what the targets have reported */
};

static struct crl_plan_policy policy(void)
{
	int64_t retry_max_ms = fault_ms("VCC_CRL_RETRY_MS", RETRY_MAX_MS);
	return (struct crl_plan_policy){
		.spread_max_ms = SPREAD_MAX_MS,
		.gap_ms = GAP_MS < retry_max_ms ? GAP_MS : retry_max_ms,
		.pace_ms = fault_ms("VCC_CRL_PACE_MS", PACE_MS),
		.retry_min_ms = RETRY_MIN_MS < retry_max_ms ? RETRY_MIN_MS : retry_max_ms,
		.retry_max_ms = retry_max_ms,
		.fetch_ms = fault_ms("VCC_CRL_FETCH_MS", FETCH_MS),
	};
}

/* ---- what people are told ---------------------------------------------------------------------------------------- */

int crl_fetch_trouble(const struct keeper *k, const char **ret_text)
{
	const struct crl_fetch *f = k->crl_fetch;
	int                     code = f->code;
	if (code == 0 && hash_is_none(k->state.crl_hash))
		code = E_CRL_MISSING;
	else if (code == 0 && k->state.crl_ends_at <= keeper_clock_judge(k))
		code = E_CRL_TIME;
	*ret_text = code != f->code ? err_what(code) : f->text;
	return code;
}

bool crl_fetch_wanted(const struct keeper *k)
{
	return k->crl_fetch->plan.wanted;
}

int64_t crl_fetch_next_at(const struct keeper *k)
{
	const struct crl_plan *p = &k->crl_fetch->plan;
	return p->phase == CRL_PLAN_WAIT ? clock_now() + p->next_at - clock_monotonic() : 0;
}

/* The controller shows it with each target that wants lists. */
static void tell_targets(struct crl_fetch *f)
{
	const struct keeper *k = f->keeper;
	const char          *text;
	int                  code = crl_fetch_trouble(k, &text);
	if (code == f->told)
		return;
	f->told = code;
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			if (k->managed[i]->places[j]->present && k->managed[i]->places[j]->conf.crl)
				target_report(k->managed[i]->places[j]);
}

static void good(struct crl_fetch *f)
{
	f->code = 0;
	f->text[0] = '\0';
}

/* The same trouble is logged once. */
static void bad(struct crl_fetch *f, int code, const char *text)
{
	char name[ERR_CODE_SIZE];
	bool known = f->code == code;
	f->code = code;
	text_cut(f->text, sizeof(f->text), text);
	text_plain(f->text);
	if (!known)
		log_line(LOG_LEVEL_WARNING, NULL, "%s %s: %s. %s", err_code(code, name), err_what(code), f->text,
			 err_next(code));
}

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

static void begin(struct crl_fetch *f);
static void on_timer(uv_timer_t *timer);

static void drop(struct crl_fetch *f)
{
	crl_judge_drop(f->judge);
	f->judge = NULL;
	f->request++; /* pieces of what was under way are for nobody */
	f->limit = 0;
	buf_free(&f->issuers);
	buf_free(&f->lists);
	memory_give_back();
}

static void step(struct crl_fetch *f, struct crl_plan_event *event)
{
	struct crl_plan_policy p = policy();
	int64_t                now = clock_monotonic();
	entropy(&event->random, sizeof(event->random));
	enum crl_plan_action action = crl_plan_step(&f->plan, event, now, &p);
	int64_t              wait = f->plan.next_at - now;
	if (f->plan.next_at == TIME_NEVER)
		uv_timer_stop(&f->timer);
	else
		uv_timer_start(&f->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
	if (action == CRL_PLAN_DROP)
		drop(f);
	if (f->plan.phase == CRL_PLAN_REST && hash_equal(f->plan.announced, f->plan.have))
		good(f);
	if (action == CRL_PLAN_BEGIN)
		begin(f);
	tell_targets(f);
}

static void failed(struct crl_fetch *f, int code, const char *text)
{
	struct crl_plan_event e = {.kind = CRL_PLAN_FAILED};
	bad(f, code, text);
	drop(f);
	step(f, &e);
}

static void on_timer(uv_timer_t *timer)
{
	struct crl_fetch     *f = timer->data;
	struct crl_plan_event e = {.kind = CRL_PLAN_TIMER};
	if (f->plan.phase == CRL_PLAN_FETCH && clock_monotonic() >= f->plan.next_at)
		bad(f, E_CRL_FETCH, "vcc-agent has not brought them in time");
	step(f, &e);
}

/* ---- asking and collecting --------------------------------------------------------------------------------------- */

static void ask(struct crl_fetch *f, enum fetch_kind kind, uint64_t limit)
{
	struct lk_fetch want = {.request = ++f->request, .kind = kind, .hash = f->plan.fetching, .limit = limit};
	f->kind = kind;
	f->limit = limit;
	int r = fault_point("keeper.crl.ask") != 0 ? E_SYS_IO : uplink_fetch(f->keeper->uplink, &want);
	(void)fault_point("keeper.crl.asked");
	if (r != 0)
		failed(f, E_CRL_FETCH, err_what(r));
}

static void begin(struct crl_fetch *f)
{
	char text[CAUSE_SIZE];
	f->issuers = (struct buf)BUF_MAX(CRL_SET_ISSUERS_PEM_MAX);
	f->lists = (struct buf)BUF_MAX(CRL_FILE_MAX);
	if (f->size > 0 && f->size <= CRL_FILE_MAX) {
		ask(f, FETCH_LISTS, f->size);
		return;
	}
	snprintf(text, sizeof(text), "they have %llu bytes, at most %d are taken", (unsigned long long)f->size, CRL_FILE_MAX);
	failed(f, E_CRL_SIZE, text);
}

/* It is durable before anything is made from it. */
static void on_judged(void *ctx, int code, const struct refusal *why, struct span lists, const struct crl_set_facts *facts)
{
	struct crl_fetch     *f = ctx;
	struct keeper        *k = f->keeper;
	struct refusal        trouble = {.code = 0};
	struct crl_plan_event e = {.kind = CRL_PLAN_TAKEN};
	char                  text[CAUSE_SIZE] = "";
	f->judge = NULL;
	if (code != 0)
		trouble = *why;
	if (code == 0 && fault_point("keeper.crl.save") != 0)
		code = sys_refuse(&trouble, "crl", "save the lists");
	if (code == 0)
		code = keeper_state_save_crl(&k->state, lists, &trouble);
	if (trouble.code != 0)
		snprintf(text, sizeof(text), "%.70s: %.80s", trouble.object, trouble.cause);
	(void)fault_point("keeper.crl.saved");
	if (code != 0) {
		failed(f, code, text[0] != '\0' ? text : err_what(code));
		return;
	}
	log_line(LOG_LEVEL_INFO, NULL, "%zu revocation lists with %zu entries are in use; the first of them ends %s",
		 facts->lists, facts->entries, time_text(facts->next_update_at, (char[TIME_TEXT_SIZE]){0}));
	step(f, &e);
	swap_lists_look(k);
	care_look_all(k);
	memory_give_back();
}

static void collected(struct crl_fetch *f)
{
	if (f->kind == FETCH_LISTS) {
		ask(f, FETCH_ISSUERS, CRL_SET_ISSUERS_PEM_MAX);
		return;
	}
	f->limit = 0;
	(void)fault_point("keeper.crl.judge");
	int r = crl_judge_begin(f->keeper, &f->issuers, &f->lists, f->plan.fetching, on_judged, f, &f->judge);
	if (r != 0)
		failed(f, r, err_what(r));
}

void crl_fetch_piece(struct keeper *k, const struct lk_piece *piece)
{
	struct crl_fetch *f = k->crl_fetch;
	struct buf       *to = f->kind == FETCH_LISTS ? &f->lists : &f->issuers;
	if (piece->request != f->request || f->limit == 0)
		return; /* of something that nobody waits for any more */
	if (piece->code != 0) {
		failed(f, piece->code, piece->text);
		return;
	}
	if (piece->offset != to->n || piece->total > f->limit || piece->total < to->n || piece->bytes.n > piece->total - to->n ||
	    piece->last != (piece->offset + piece->bytes.n == piece->total)) {
		failed(f, E_CRL_FETCH, "the pieces do not fit together");
		return;
	}
	buf_add(to, piece->bytes.p, piece->bytes.n);
	(void)fault_point("keeper.crl.piece");
	if (buf_error(to) != 0)
		failed(f, buf_error(to), err_what(buf_error(to)));
	else if (piece->last)
		collected(f);
}

/* ---- news -------------------------------------------------------------------------------------------------------- */

void crl_fetch_announced(struct keeper *k, const struct msg_crl *m)
{
	struct crl_fetch     *f = k->crl_fetch;
	struct crl_plan_event e = {.kind = CRL_PLAN_ANNOUNCED, .hash = m->hash, .spread_ms = m->spread_ms};
	f->size = m->size; /* the one under way has its limit already */
	step(f, &e);
}

void crl_fetch_lost(struct keeper *k)
{
	struct crl_plan_event e = {.kind = CRL_PLAN_LOST};
	if (k->crl_fetch != NULL)
		step(k->crl_fetch, &e);
}

void crl_fetch_look(struct keeper *k)
{
	struct crl_fetch     *f = k->crl_fetch;
	struct crl_plan_event e = {.kind = CRL_PLAN_WANTED};
	for (size_t i = 0; i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			e.wanted |= k->managed[i]->places[j]->present && k->managed[i]->places[j]->conf.crl;
	if (e.wanted != f->plan.wanted)
		step(f, &e);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

int crl_fetch_open(struct keeper *k)
{
	struct crl_fetch *f = calloc(1, sizeof(*f));
	if (f == NULL || uv_timer_init(&k->loop, &f->timer) != 0) {
		free(f);
		return E_NOMEM;
	}
	f->keeper = k;
	f->timer.data = f;
	f->plan.next_at = TIME_NEVER;
	f->plan.have = k->state.crl_hash;
	k->crl_fetch = f;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void crl_fetch_close(struct keeper *k)
{
	struct crl_fetch *f = k->crl_fetch;
	if (f == NULL)
		return;
	drop(f);
	k->crl_fetch = NULL;
	uv_close((uv_handle_t *)&f->timer, on_closed);
}
