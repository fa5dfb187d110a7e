/* crl_news.c - room controller/daemon: published lists -> a moment of quiet -> one file with its hash -> everybody is told, in
 * turns. Never: telling of a file that cannot be had. */
#include "controller/daemon/crl_news.h"

#include <stdlib.h>

#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/state.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	QUIET_MS = 1000,   /* a revocation changes several lists */
	BETWEEN_MS = 5000, /* however often they change */
	TURN_MS = 20,
	AGENTS_PER_TURN = 100,
	AGENTS_PER_MS = 2, /* that many may fetch each millisecond */
	SPREAD_MAX_MS = 5000,
};

struct edition {
	struct hash hash; /* none = there is none */
	size_t      size;
	int64_t     made_at;
	struct buf  pem; /* empty: too large for hosts */
};

struct crl_news {
	struct controller   *ctl;
	uv_timer_t           quiet; /* until the next edition */
	uv_timer_t           turn;
	struct edition       newest, before;
	int64_t              told_at; /* monotonic; of the newest, 0 = never */
	const struct member *last;    /* the one that was told last */
	size_t               left;    /* to be told, one after the other from there on */
};

int crl_news_open(struct controller *ctl, struct crl_news **ret)
{
	struct crl_news *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return E_NOMEM;
	n->ctl = ctl;
	n->newest.pem = n->before.pem = (struct buf)BUF_MAX(MSG_LISTS_MAX);
	uv_timer_init(ctl->loop, &n->quiet);
	uv_timer_init(ctl->loop, &n->turn);
	n->quiet.data = n->turn.data = n;
	*ret = n;
	return 0;
}

void crl_news_close(struct crl_news *n)
{
	uv_close((uv_handle_t *)&n->quiet, NULL);
	uv_close((uv_handle_t *)&n->turn, NULL);
}

void crl_news_free(struct crl_news *n)
{
	if (n == NULL)
		return;
	buf_free(&n->newest.pem);
	buf_free(&n->before.pem);
	free(n);
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

void crl_news_tell(struct controller *ctl, const char *agent)
{
	const struct edition *e = &ctl->crl_news->newest;
	uint32_t              spread = fleet_count(ctl) / AGENTS_PER_MS;
	struct msg_crl        m = {.hash = e->hash,
				   .size = e->size,
				   .made_at = e->made_at,
				   .spread_ms = spread < SPREAD_MAX_MS ? spread : SPREAD_MAX_MS};
	if (!hash_is_none(e->hash))
		(void)fleet_send(ctl, agent, MSG_CRL, 0, &m, false);
}

/* Round and round: with news while others are being told nobody is told last for ever. */
static void on_turn(uv_timer_t *timer)
{
	struct crl_news *n = timer->data;
	for (int i = 0; i < AGENTS_PER_TURN && n->left > 0; i++) {
		const struct member *m = fleet_next(n->ctl, n->last);
		n->last = m != NULL ? m : fleet_next(n->ctl, NULL);
		crl_news_tell(n->ctl, n->last->name);
		n->left--;
	}
	if (n->left == 0)
		(void)uv_timer_stop(timer);
}

static void tell_everybody(struct crl_news *n)
{
	n->left = fleet_size(n->ctl);
	(void)uv_timer_start(&n->turn, on_turn, 0, TURN_MS);
}

/* ---- editions ---------------------------------------------------------------------------------------------------- */

static void edition_make(struct crl_news *n, struct span pem)
{
	struct edition e = {.size = pem.n, .made_at = clock_now(), .pem = n->before.pem};
	digest_sha256(pem, &e.hash);
	if (hash_equal(e.hash, n->newest.hash))
		return;
	buf_reset(&e.pem);
	if (pem.n <= MSG_LISTS_MAX)
		buf_add(&e.pem, pem.p, pem.n);
	else
		log_line(LOG_LEVEL_ERROR, NULL,
			 "the revocation lists have %zu bytes: hosts take %d at most and keep their old ones", pem.n,
			 MSG_LISTS_MAX);
	if (buf_error(&e.pem) != 0)
		abort();
	n->before = n->newest;
	n->newest = e;
	n->told_at = clock_monotonic();
	tell_everybody(n);
}

static void on_quiet(uv_timer_t *timer)
{
	struct crl_news *n = timer->data;
	struct span      pem = crls_all(n->ctl);
	if (pem.n > 0)
		edition_make(n, pem);
}

void crl_news_changed(struct controller *ctl)
{
	struct crl_news *n = ctl->crl_news;
	int64_t          now = clock_monotonic();
	int64_t          at = now + QUIET_MS;
	if (ctl->stopping || uv_is_active((uv_handle_t *)&n->quiet))
		return;
	if (n->told_at != 0 && at < n->told_at + BETWEEN_MS)
		at = n->told_at + BETWEEN_MS;
	(void)uv_timer_start(&n->quiet, on_quiet, (uint64_t)(at - now), 0);
}

static bool holds(const struct edition *e, struct hash hash)
{
	return hash_equal(e->hash, hash) && e->pem.n > 0;
}

bool crl_news_find(const struct controller *ctl, struct hash hash, struct span *ret_pem)
{
	const struct crl_news *n = ctl->crl_news;
	const struct edition  *e = holds(&n->newest, hash) ? &n->newest : &n->before;
	if (hash_is_none(hash) || !holds(e, hash))
		return false;
	*ret_pem = buf_span(&e->pem);
	return true;
}

bool crl_news_is_current(const struct controller *ctl, struct hash hash)
{
	return !hash_is_none(hash) && hash_equal(ctl->crl_news->newest.hash, hash);
}
