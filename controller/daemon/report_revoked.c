/* report_revoked.c - room controller/daemon: issuer by issuer, shard by shard, by serial number: the index that revocation lists are made by.
 * Never: deciding what a figure counts. */
#include "controller/daemon/report_revoked.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

enum { PAGE = STORE_LIST_MAX, SHARDS_MAX = 4096 };

/* One walk, with its memory. */
struct revoked_walk {
	struct store_view           *view;
	const struct report_ask     *ask;
	struct report_revoked_place *place;
	size_t                       pages_left;
	report_revoked_fn           *fn;
	void                        *ctx;
	struct revoked_row           row[PAGE];
	uint32_t                     shard[SHARDS_MAX];
};

/* 0: the shard is over; 1: it was ended, or enough pages were read. */
static int walk_shard(struct revoked_walk *w)
{
	struct report_revoked_place *place = w->place;
	size_t                       n = PAGE;
	while (n == PAGE) {
		if (w->pages_left-- == 0)
			return 1;
		int r = view_revoked(w->view, place->issuer_id, place->shard, w->ask->from, place->after, w->row, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			unsigned figures = figure_of_revocation(w->row[i].reason, w->row[i].revoked_at, w->ask->from, w->ask->to);
			place->after = w->row[i].serial;
			r = figures != 0 ? w->fn(w->ctx, &w->row[i], figures) : 0;
		}
		if (r != 0)
			return r;
	}
	return 0;
}

static int walk_issuer(struct revoked_walk *w)
{
	struct report_revoked_place *place = w->place;
	size_t                       n = 0;
	int                          r = view_shards(w->view, place->issuer_id, w->ask->from, w->shard, SHARDS_MAX, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (place->within && w->shard[i] < place->shard)
			continue;
		if (!place->within || w->shard[i] != place->shard)
			place->after = (struct serial){{0}};
		place->within = true;
		place->shard = w->shard[i];
		r = walk_shard(w);
	}
	return r;
}

static bool is_of_services(const struct issuer *i)
{
	return i->role == ISSUER_SERVICE || i->role == ISSUER_CODE_SIGNING;
}

static int walk_all(struct revoked_walk *w, bool *ret_more)
{
	struct issuer *issuers = calloc(STORE_LIST_MAX, sizeof(*issuers));
	size_t         n = 0;
	int            r = issuers != NULL ? view_issuers(w->view, "", issuers, STORE_LIST_MAX, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		int order = strcmp(issuers[i].issuer_id, w->place->issuer_id);
		if (!is_of_services(&issuers[i]) || order < 0)
			continue;
		if (order > 0) {
			*w->place = (struct report_revoked_place){.within = false};
			text_cut(w->place->issuer_id, sizeof(w->place->issuer_id), issuers[i].issuer_id);
		}
		r = walk_issuer(w);
	}
	free(issuers);
	*ret_more = r > 0;
	return r < 0 ? r : 0;
}

int report_revoked(struct store_view *view, const struct report_ask *ask, struct report_revoked_place *place, size_t max_pages, report_revoked_fn *fn,
		   void *ctx, bool *ret_more)
{
	struct revoked_walk *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return E_NOMEM;
	w->view = view;
	w->ask = ask;
	w->place = place;
	w->pages_left = max_pages;
	w->fn = fn;
	w->ctx = ctx;
	int r = walk_all(w, ret_more);
	free(w);
	return r;
}
