/* figures_read.c - room controller/daemon: campaigns, heads of the trail, files, and once the orders of the day before this
 * run. Never: more than a bounded part of what has no end. */
#include "controller/daemon/figures_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/base/times.h"
#include "shared/conf/controller_conf.h"

enum { HEADS = 64, CAMPAIGNS_MAX = 10 * STORE_LIST_MAX, ORDERS_MAX = 400 * STORE_LIST_MAX };

static void add_members(struct figures *f, const struct campaign *c)
{
	const uint32_t members[MEMBER_STATE_COUNT] = {
		[MEMBER_WAITING] = c->waiting,         [MEMBER_HELD] = c->held,       [MEMBER_FOLLOWING] = c->following,
		[MEMBER_ORDERED] = c->ordered,         [MEMBER_DONE] = c->done,       [MEMBER_FAILED] = c->failed,
		[MEMBER_SKIPPED] = c->skipped,         [MEMBER_DROPPED] = c->dropped, [MEMBER_GOING_BACK] = c->going_back,
		[MEMBER_ROLLED_BACK] = c->rolled_back, [MEMBER_KEPT] = c->kept,
	};
	for (size_t i = 0; i < MEMBER_STATE_COUNT; i++)
		f->members[i] += members[i];
}

static int read_campaigns(struct figures *f, struct store_view *view)
{
	struct campaign *page = calloc(STORE_LIST_MAX, sizeof(*page));
	struct id        after = {{0}};
	size_t           n = STORE_LIST_MAX;
	int              r = page != NULL ? 0 : E_NOMEM;
	memset(f->members, 0, sizeof(f->members));
	for (size_t seen = 0; r == 0 && n == STORE_LIST_MAX && seen < CAMPAIGNS_MAX; seen += n) {
		r = view_campaigns_open(view, after, page, STORE_LIST_MAX, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			add_members(f, &page[i]);
			after = page[i].campaign_id;
		}
	}
	free(page);
	for (unsigned s = 0; r == 0 && s < CAMPAIGN_STATE_COUNT; s++)
		r = view_campaigns_count(view, (enum campaign_state)s, &f->campaigns[s]);
	return r;
}

/* The newest head that a host keeps; and since when there is one after it. */
static int read_heads(struct figures *f, struct store_view *view, int64_t now)
{
	struct audit_head *head = calloc(HEADS, sizeof(*head));
	size_t             n = 0;
	int64_t            waits_since = 0;
	int                r = head != NULL ? view_audit_heads_down(view, UINT64_MAX, head, HEADS, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (head[i].witnessed_at != 0) {
			f->witnessed_at = head[i].witnessed_at > f->witnessed_at ? head[i].witnessed_at : f->witnessed_at;
			break;
		}
		waits_since = head[i].at;
	}
	free(head);
	f->unwitnessed_ms =
		r == 0 && waits_since != 0 && f->agents_in[AGENT_ACTIVE] > 0 && now > waits_since ? now - waits_since : 0;
	return r;
}

static int64_t file_size(const char *folder, const char *name, int64_t *ret_changed_at)
{
	char        path[CONF_PATH_SIZE + 32];
	struct stat st;
	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (stat(path, &st) != 0)
		return 0;
	if (ret_changed_at != NULL)
		*ret_changed_at = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
	return (int64_t)st.st_size;
}

/* Once: what ended before this run is not counted by it. */
static int read_day(struct figures *f, struct store_view *view, const struct figures_ask *ask)
{
	struct order *page = calloc(STORE_LIST_MAX, sizeof(*page));
	struct id     after = {{0}};
	int64_t       at = ask->now - MS_DAY;
	size_t        n = STORE_LIST_MAX;
	int           r = page != NULL ? 0 : E_NOMEM;
	memset(&f->day, 0, sizeof(f->day));
	for (size_t seen = 0; r == 0 && n == STORE_LIST_MAX && seen < ORDERS_MAX; seen += n) {
		r = atomic_load(ask->stop) ? E_SYS_AGAIN
					   : view_orders_ended(view, ask->started_at - 1, at, after, page, STORE_LIST_MAX, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			at = page[i].completed_at;
			after = page[i].renewal_id;
			if ((page[i].flags & ORDER_DRILL) == 0 && page[i].phase != ORDER_CANCELLED)
				metric_day_add(&f->day, at, page[i].phase == ORDER_COMPLETED);
		}
	}
	free(page);
	f->day_known = r == 0;
	return r;
}

int figures_read_rest(struct figures *f, struct store_view *view, const struct figures_ask *ask)
{
	int r = read_campaigns(f, view);
	if (r == 0)
		r = view_orders_paused_count(view, &f->orders_paused);
	if (r == 0)
		r = view_audit_size(view, &f->audit_records);
	if (r == 0)
		r = read_heads(f, view, ask->now);
	if (r == 0 && !f->day_known)
		r = read_day(f, view, ask);
	f->backup_at = 0;
	(void)file_size(ask->state_dir, "backup/vcc.db", &f->backup_at);
	f->store_bytes = (uint64_t)(file_size(ask->state_dir, "vcc.db", NULL) + file_size(ask->state_dir, "vcc.db-wal", NULL));
	return r;
}
