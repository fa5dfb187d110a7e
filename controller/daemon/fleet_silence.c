/* fleet_silence.c - room controller/daemon: many hosts that go silent at once are one matter: told once, and ended by itself.
 * Counted is who was connected in this run: who could not be while the controller was away is no news of the hosts. What an earlier
 * run has told ends when as many are here again as it knew, of those that are still to come. Never: what a single host does. */
#include "controller/daemon/fleet_silence.h"

#include <stdlib.h>

#include <jansson.h>

#include "controller/daemon/fleet.h"
#include "controller/daemon/notices.h"
#include "controller/daemon/state.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

enum { LOOK_MS = 5000, SILENT_MIN = 3 };

struct fleet_silence {
	int64_t  next_at; /* monotonic */
	bool     loaded, open, busy, wanted;
	uint32_t known; /* by the notice that is open, when an earlier run told it; else 0 */
};

struct silence {
	uint32_t here, away, silent;
};

int fleet_silence_open(struct fleet_silence **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret != NULL ? 0 : E_NOMEM;
}

void fleet_silence_free(struct fleet_silence *s)
{
	free(s);
}

/* ---- counting ---------------------------------------------------------------------------------------------------- */

static bool is_silent(const struct member *m, int64_t silent_ms, int64_t now)
{
	return !fleet_is_here(m) && m->left_at != 0 && now - m->left_at > silent_ms;
}

/* Who was evicted, removed or renamed is not missed, until it comes again. */
static bool is_gone(struct controller *ctl, const struct member *m)
{
	struct agent a;
	int          r = rows_agent(ctl->rows, m->name, &a);
	return r == E_NOT_FOUND || (r == 0 && a.state != AGENT_ACTIVE);
}

static bool is_much(const struct silence *s, int64_t share)
{
	return s->silent >= SILENT_MIN && (int64_t)s->silent * 1000 > share * ((int64_t)s->here + s->away + s->silent);
}

/* As many rows are read as it takes to be sure. */
static void drop_unmissed(struct controller *ctl, struct silence *s, int64_t now)
{
	const struct controller_conf *conf = ctl->conf;
	const struct member          *m = NULL;
	uint32_t                      missed = 0;
	while ((m = fleet_next(ctl, m)) != NULL) {
		if (m->gone || !is_silent(m, conf->fleet_silent_ms, now))
			continue;
		bool gone = is_gone(ctl, m);
		if (gone) /* nobody's row is read for that twice */
			fleet_gone(ctl, m->name);
		missed += !gone;
		s->silent -= gone;
		if (missed >= SILENT_MIN && (int64_t)missed * 1000 > conf->fleet_share * ((int64_t)s->here + s->away + s->silent))
			return;
	}
}

/* Rows are read only where it looks like much. */
static struct silence count(struct controller *ctl, int64_t now)
{
	const struct controller_conf *conf = ctl->conf;
	struct silence                s = {.here = 0};
	const struct member          *m = NULL;
	while ((m = fleet_next(ctl, m)) != NULL) {
		if (m->gone)
			continue;
		bool silent = is_silent(m, conf->fleet_silent_ms, now), here = fleet_is_here(m);
		s.here += here;
		s.silent += silent;
		s.away += !here && !silent && m->left_at != 0;
	}
	if (is_much(&s, conf->fleet_share))
		drop_unmissed(ctl, &s, now);
	return s;
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

/* What an earlier run has told. */
static void load(struct controller *ctl, struct fleet_silence *f)
{
	struct notice n;
	int           r = view_notice_by_key(ctl->view, NOTICE_FLEET_KEY, &n);
	f->loaded = r == 0 || r == E_NOT_FOUND;
	if (r < 0)
		return;
	json_t *detail = json_loads(n.detail, JSON_REJECT_DUPLICATES, NULL);
	f->open = true;
	f->known = (uint32_t)json_integer_value(json_object_get(detail, "known"));
	json_decref(detail);
}

static void on_told(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	struct fleet_silence *f = ctx;
	(void)ctl;
	(void)result;
	f->busy = false;
	if (code < 0)
		return;
	f->open = f->wanted;
	f->known = 0;
}

static void tell(struct controller *ctl, const struct silence *s, bool much, int64_t now)
{
	struct fleet_silence *f = ctl->fleet_silence;
	struct commit        *c = commit_new(ctl);
	f->busy = true;
	f->wanted = much;
	if (much)
		notices_fleet(c, s->silent, s->here + s->away + s->silent, now);
	else
		notices_fleet_back(c, s->here, now);
	commit_now(c, on_told, f);
}

/* Who was not here in this run may be missing still; who is no active host any more is not waited for. */
static void add_unseen(struct controller *ctl, const struct fleet_silence *f, struct silence *s)
{
	uint32_t seen = s->here + s->away + s->silent;
	uint64_t active = 0, known = f->known;
	if (known <= seen)
		return;
	if (view_agents_active(ctl->view, &active) == 0 && known > active)
		known = active;
	s->silent += known > seen ? (uint32_t)known - seen : 0;
}

void fleet_silence_tick(struct controller *ctl, int64_t now)
{
	struct fleet_silence *f = ctl->fleet_silence;
	if (f->busy || ctl->stopping || clock_monotonic() < f->next_at)
		return;
	f->next_at = clock_monotonic() + LOOK_MS;
	if (!f->loaded)
		load(ctl, f);
	struct silence s = count(ctl, now);
	bool           much = is_much(&s, ctl->conf->fleet_share);
	if (f->open && !much) {
		add_unseen(ctl, f, &s);
		much = is_much(&s, ctl->conf->fleet_share);
	}
	if (f->loaded && much != f->open)
		tell(ctl, &s, much, now);
}
