/* report_system.c - room controller/daemon: the facts about the whole installation: drills, persons, heads, roles, authorities, lists.
 * Never: judging; names of persons leave no trace here. */
#include "controller/daemon/report_system.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/rights.h"
#include "controller/daemon/restore_mark.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

enum { PAGE = STORE_LIST_MAX, DRILL_PAGE = 100, HEADS = 100, SHARDS_MAX = 4096, PERSONS_KNOWN = 64 };

static bool is_over(const struct drill *d)
{
	return d->reported_at != 0 && (d->state == CAMPAIGN_COMPLETED || d->state == CAMPAIGN_COMPLETED_WITH_FAILURES);
}

static int read_drills(struct store_view *view, struct compliance_system *s)
{
	struct drill *page = calloc(DRILL_PAGE, sizeof(*page));
	struct id     before = {{0}};
	size_t        n = DRILL_PAGE;
	int           r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && s->drilled_at == 0 && n == DRILL_PAGE) {
		r = view_drills(view, before, page, DRILL_PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			before = page[i].campaign_id;
			if (s->drilled_at == 0 && is_over(&page[i]))
				s->drilled_at = page[i].ended_at;
		}
	}
	free(page);
	return r;
}

static int read_restore_drill(struct store_view *view, struct compliance_system *s)
{
	struct drill_mark m = {.at = 0};
	int               r = drill_mark_read(view, &m);
	s->restore_drilled_at = m.at;
	return r;
}

static int read_persons(struct store_view *view, struct compliance_system *s)
{
	struct audit_person *page = calloc(PAGE, sizeof(*page));
	char                 last[ACTOR_SIZE] = "", alias[ACTOR_SIZE];
	size_t               n = PAGE;
	int                  r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE) {
		r = view_audit_persons(view, last, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			audit_alias(digest_sha256_two, page[i].name, page[i].salt, alias);
			s->persons++;
			s->persons_wrong += !text_equal(alias, page[i].alias);
			if (s->oldest_name_at == 0 || page[i].since_at < s->oldest_name_at)
				s->oldest_name_at = page[i].since_at;
			text_cut(last, sizeof(last), page[i].name);
		}
	}
	free(page);
	return r;
}

static int read_heads(struct store_view *view, struct compliance_system *s)
{
	struct audit_head *page = calloc(HEADS, sizeof(*page));
	struct hash        root;
	size_t             n = 0;
	int                r = page != NULL ? view_audit_heads_down(view, INT64_MAX, page, HEADS, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		if (page[i].witnessed_at > s->witnessed_at)
			s->witnessed_at = page[i].witnessed_at;
	if (r == 0 && n > 0) {
		int at = view_audit_root_at(view, page[0].size, &root);
		s->head_fits = at == 0 && hash_equal(root, page[0].root);
		r = at == E_RANGE || at == E_STORE_DAMAGED ? 0 : at; /* a trail that is shorter, or has holes, does not lead there */
	}
	free(page);
	return r;
}

/* Two principals of one human are one person. */
static void count_person(const char *person, char known[PERSONS_KNOWN][ACTOR_SIZE], struct compliance_system *s)
{
	for (uint32_t i = 0; i < s->approvers; i++)
		if (text_equal(known[i], person))
			return;
	if (s->approvers < PERSONS_KNOWN)
		text_cut(known[s->approvers++], ACTOR_SIZE, person);
}

static int read_principals(struct store_view *view, struct compliance_system *s)
{
	struct principal *page = calloc(PAGE, sizeof(*page));
	char              known[PERSONS_KNOWN][ACTOR_SIZE], last[ACTOR_SIZE] = "";
	size_t            n = PAGE;
	int               r = page != NULL ? 0 : E_NOMEM;
	while (r == 0 && n == PAGE) {
		r = view_principals(view, last, page, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			const struct principal *p = &page[i];
			bool                    decides = rights_allow(p, PERM_APPROVAL_DECIDE);
			if (decides)
				count_person(rights_person(p), known, s);
			s->all_in_one += decides && rights_allow(p, PERM_CERT_RENEW) && rights_allow(p, PERM_AUDIT_READ);
			text_cut(last, sizeof(last), p->name);
		}
	}
	free(page);
	return r;
}

static int read_list(struct store_view *view, const char *issuer_id, uint32_t shard, struct buf *der, struct compliance_system *s)
{
	struct crl_row row;
	buf_reset(der);
	int r = view_crl(view, issuer_id, shard, &row, der);
	if (r == E_NOT_FOUND)
		return 0; /* nothing was published yet */
	if (r == 0) {
		s->lists++;
		s->lists_late += row.next_update_at <= s->now;
	}
	return r;
}

static int read_lists(struct store_view *view, const struct issuer *i, uint32_t *shards, struct compliance_system *s)
{
	struct buf der = BUF_MAX(4 << 20);
	size_t     n = 0;
	int        r = view_shards(view, i->issuer_id, s->now, shards, SHARDS_MAX, &n);
	if (r == 0 && n == 0) { /* of a root: what it signed are authorities */
		shards[0] = 0;
		n = 1;
	}
	for (size_t k = 0; r == 0 && k < n; k++)
		r = read_list(view, i->issuer_id, shards[k], &der, s);
	buf_free(&der);
	return r;
}

static void count_issuer(const struct issuer *i, struct compliance_system *s)
{
	int64_t  life = i->not_after_at - i->not_before_at;
	int64_t *longest = i->parent_id[0] == '\0' ? &s->root_life_ms : &s->sub_life_ms;
	s->issuers++;
	s->issuers_rsa += i->key_type == KEY_RSA_2048 || i->key_type == KEY_RSA_3072 || i->key_type == KEY_RSA_4096;
	*longest = life > *longest ? life : *longest;
	s->issuers_end_at = i->not_after_at > s->issuers_end_at ? i->not_after_at : s->issuers_end_at;
}

static int read_issuers(struct store_view *view, struct compliance_system *s)
{
	struct issuer *page = calloc(PAGE, sizeof(*page));
	uint32_t      *shards = calloc(SHARDS_MAX, sizeof(*shards));
	size_t         n = 0;
	int            r = page != NULL && shards != NULL ? view_issuers(view, "", page, PAGE, &n) : E_NOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (page[i].retired || page[i].revoked_at != 0)
			continue;
		count_issuer(&page[i], s);
		r = read_lists(view, &page[i], shards, s);
	}
	free(shards);
	free(page);
	return r;
}

int report_system_read(struct store_view *view, int64_t now, int64_t kept_ms, struct compliance_system *ret)
{
	static int (*const parts[])(struct store_view *, struct compliance_system *) = {read_drills, read_restore_drill, read_persons, read_heads, read_principals,
										       read_issuers};
	struct compliance_system s = {.now = now, .kept_ms = kept_ms};
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		int r = parts[i](view, &s);
		if (r < 0)
			return r;
	}
	*ret = s;
	return 0;
}
