/* prune_collect.c - room controller/daemon: the table of what is pruned is the reading path.
 * Never: what a certificate or a host still has as its own. */
#include "controller/daemon/prune_collect.h"

#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/campaign_json.h"
#include "controller/daemon/drill_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

enum { LINES_SOFT = 4 * 1024 * 1024, DETAIL = STORE_LIST_MAX };

/* ---- lines ----------------------------------------------------------------------------------------------------- */

static int line_add(struct prune_piece *p, json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text == NULL)
		return E_NOMEM;
	buf_add_text(&p->lines, text);
	buf_add_text(&p->lines, "\n");
	free(text);
	return buf_error(&p->lines); /* a line that is not whole must not pass for one */
}

static json_t *json_bytes(struct span bytes)
{
	size_t  size = bytes.n / 3 * 4 + 8;
	char   *text = calloc(1, size);
	json_t *o = text != NULL && b64_text(bytes.p, bytes.n, text, size) == 0 ? json_string(text) : json_null();
	free(text);
	return o;
}

static struct prune_row *row_add(struct prune_piece *p, const char *cert_id)
{
	struct prune_row *row = &p->row[p->n++];
	*row = (struct prune_row){.seq = 0};
	text_cut(row->cert_id, sizeof(row->cert_id), cert_id);
	return row;
}

static bool has_room(const struct prune_piece *p)
{
	return p->n < PRUNE_ROWS && p->lines.n < LINES_SOFT;
}

/* ---- issuances ------------------------------------------------------------------------------------------------- */

/* The last one of a certificate or a host stays, however long ago it ended: it is what they are. So does the memory of a key that
 * somebody else may have: it is never certified again. */
static int is_kept(struct store_view *view, const struct issuance *i, bool *ret)
{
	struct certificate c;
	struct agent       a;
	int                r = 0;
	*ret = i->state == ISSUANCE_INTENT || (i->supersede_at != TIME_NEVER && i->state != ISSUANCE_REVOKED) ||
	       (i->state == ISSUANCE_REVOKED && i->revoke_reason == REASON_KEY_COMPROMISE);
	if (!*ret && i->owner == OWNER_CERTIFICATE && (r = view_certificate(view, i->owner_id, &c)) == 0)
		*ret = serial_equal(c.serial, i->serial);
	if (!*ret && i->owner == OWNER_AGENT && (r = view_agent(view, i->owner_id, &a)) == 0)
		*ret = serial_equal(a.identity, i->serial);
	return r == E_NOT_FOUND ? 0 : r;
}

static int issuance_line(struct prune_piece *p, const struct issuance *i)
{
	json_t *o = json_issuance(i, NULL, p->end);
	json_object_del(o, "expired");
	json_object_del(o, "status"); /* as of now, too */
	json_object_set_new(o, "kind", json_string("issuance"));
	json_object_set_new(o, "owner", json_string(i->owner_id));
	json_object_set_new(o, "certificate", i->state == ISSUANCE_VOID ? json_null() : json_bytes((struct span){i->der, i->der_len}));
	return line_add(p, o);
}

static int collect_issuances(struct store_view *view, struct prune_piece *p)
{
	struct issuance *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t           n = 0, i = 0;
	int              r = rows == NULL ? E_NOMEM
					  : view_issuances_ended(view, p->end, p->cursor.at, p->cursor.serial, rows, PRUNE_ROWS, &n);
	for (; i < n && r == 0 && has_room(p); i++) {
		bool kept;
		p->cursor.at = rows[i].not_after_at;
		p->cursor.serial = rows[i].serial;
		r = is_kept(view, &rows[i], &kept);
		if (r < 0 || kept)
			continue;
		row_add(p, rows[i].owner == OWNER_CERTIFICATE ? rows[i].owner_id : "")->serial = rows[i].serial;
		r = issuance_line(p, &rows[i]);
	}
	p->more = n == PRUNE_ROWS || i < n;
	free(rows);
	return r;
}

static void remove_issuance(struct store_change *c, const struct prune_row *row)
{
	store_remove_issuance(c, row->serial);
}

/* ---- orders and receipts --------------------------------------------------------------------------------------- */

/* With the bytes that the host signed: the only part of it that proves anything. */
static json_t *receipt_json(struct store_view *view, const struct receipt_row *row)
{
	struct buf body = BUF_MAX(RECEIPT_BODY_MAX);
	json_t    *o = json_receipt(row);
	if (view_receipt_body(view, row->host_hash, row->seq, &body) == 0)
		json_object_set_new(o, "body", json_bytes(buf_span(&body)));
	json_object_set_new(o, "signature", json_bytes((struct span){row->signature, row->signature_len}));
	json_object_set_new(o, "host", json_hash(row->host_hash));
	buf_free(&body);
	return o;
}

/* One whose history does not fit one read stays where all of it is. */
static int take_order(struct store_view *view, struct prune_piece *p, const struct order *o)
{
	struct order_step_row *steps = calloc(DETAIL, sizeof(*steps));
	struct receipt_row    *receipts = calloc(DETAIL, sizeof(*receipts));
	size_t                 n = 0, m = 0;
	int                    r = steps != NULL && receipts != NULL ? view_steps(view, o->renewal_id, steps, DETAIL, &n) : E_NOMEM;
	if (r == 0)
		r = view_receipts(view, o->renewal_id, receipts, DETAIL, &m);
	if (r == 0 && n < DETAIL && m < DETAIL) {
		row_add(p, o->cert_id)->id = o->renewal_id;
		json_t *line = json_order(o), *list = json_array(), *proofs = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, json_step(&steps[i]));
		for (size_t i = 0; i < m; i++)
			json_array_append_new(proofs, receipt_json(view, &receipts[i]));
		json_object_set_new(line, "kind", json_string("order"));
		json_object_set_new(line, "serial", json_serial(o->serial));
		json_object_set_new(line, "steps", list);
		json_object_set_new(line, "receipts", proofs);
		r = line_add(p, line);
	}
	free(steps);
	free(receipts);
	return r;
}

static int collect_orders(struct store_view *view, struct prune_piece *p)
{
	struct order *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t        n = 0, i = 0;
	int r = rows == NULL ? E_NOMEM : view_orders_ended(view, p->end, p->cursor.at, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (; i < n && r == 0 && has_room(p); i++) {
		p->cursor.at = rows[i].completed_at;
		p->cursor.id = rows[i].renewal_id;
		if (order_phase_final(rows[i].phase))
			r = take_order(view, p, &rows[i]);
	}
	p->more = n == PRUNE_ROWS || i < n;
	free(rows);
	return r;
}

static void remove_order(struct store_change *c, const struct prune_row *row)
{
	store_remove_order(c, row->id);
}

static int collect_receipts(struct store_view *view, struct prune_piece *p)
{
	struct receipt_row *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t              n = 0, i = 0;
	int                 r = rows == NULL ? E_NOMEM : view_receipts_of_care(view, p->end, rows, PRUNE_ROWS, &n);
	for (; i < n && r == 0 && has_room(p); i++) {
		struct prune_row *row = row_add(p, "");
		row->host_hash = rows[i].host_hash;
		row->seq = rows[i].seq;
		json_t *line = receipt_json(view, &rows[i]);
		json_object_set_new(line, "kind", json_string("receipt"));
		json_object_set_new(line, "agent", json_string(rows[i].agent));
		json_object_set_new(line, "cert_id", json_string(rows[i].cert_id));
		r = line_add(p, line);
	}
	p->more = n == PRUNE_ROWS || i < n;
	free(rows);
	return r;
}

static void remove_receipt(struct store_change *c, const struct prune_row *row)
{
	store_remove_receipt(c, row->host_hash, row->seq);
}

/* ---- rights: the audit trail knows them for ever ---------------------------------------------------------------- */

static int collect_invites(struct store_view *view, struct prune_piece *p)
{
	struct invite *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t         n = 0;
	int            r = rows == NULL ? E_NOMEM : view_invites(view, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		p->cursor.id = rows[i].invite_id;
		if (rows[i].expires_at <= p->end)
			row_add(p, "")->id = rows[i].invite_id;
	}
	p->more = n == PRUNE_ROWS;
	free(rows);
	return r;
}

static void remove_invite(struct store_change *c, const struct prune_row *row)
{
	store_remove_invite(c, row->id);
}

static int collect_tokens(struct store_view *view, struct prune_piece *p)
{
	struct token *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t        n = 0;
	int           r = rows == NULL ? E_NOMEM : view_tokens(view, NULL, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		p->cursor.id = rows[i].token_id;
		if (rows[i].expires_at <= p->end || (rows[i].revoked_at != 0 && rows[i].revoked_at <= p->end))
			row_add(p, "")->id = rows[i].token_id;
	}
	p->more = n == PRUNE_ROWS;
	free(rows);
	return r;
}

static void remove_token(struct store_change *c, const struct prune_row *row)
{
	store_remove_token(c, row->id);
}

static int collect_approvals(struct store_view *view, struct prune_piece *p)
{
	struct approval *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t           n = 0;
	int              r = rows == NULL ? E_NOMEM : view_approvals(view, false, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		p->cursor.id = rows[i].approval_id;
		if (rows[i].state != APPROVAL_WAITING && rows[i].decided_at != 0 && rows[i].decided_at <= p->end)
			row_add(p, "")->id = rows[i].approval_id;
	}
	p->more = n == PRUNE_ROWS;
	free(rows);
	return r;
}

static void remove_approval(struct store_change *c, const struct prune_row *row)
{
	store_remove_approval(c, row->id);
}

/* ---- campaigns ------------------------------------------------------------------------------------------------- */

/* Members first, over as many pieces as it takes, the campaign with the last of them: what is half gone is found again. *ret_whole: it is
 * all in this piece. */
static int take_campaign(struct store_view *view, struct prune_piece *p, const struct campaign *c, bool *ret_whole)
{
	struct campaign_member *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t                  room = PRUNE_ROWS - 1 - p->n, n = 0;
	int r = rows == NULL ? E_NOMEM : room > 0 ? view_members(view, c->campaign_id, 0, rows, room, &n) : 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		struct prune_row *row = row_add(p, "");
		json_t           *line = json_member(&rows[i]);
		row->id = c->campaign_id;
		row->seq = rows[i].position;
		json_object_set_new(line, "kind", json_string("campaign_member"));
		json_object_set_new(line, "campaign_id", json_id(c->campaign_id));
		r = line_add(p, line);
	}
	*ret_whole = r == 0 && room > 0 && n < room;
	if (*ret_whole) {
		json_t *line = json_campaign(c, p->end);
		row_add(p, "")->id = c->campaign_id;
		json_object_set(line, "campaign_kind", json_object_get(line, "kind"));
		json_object_set_new(line, "kind", json_string("campaign"));
		r = line_add(p, line);
	}
	free(rows);
	return r;
}

static int collect_campaigns(struct store_view *view, struct prune_piece *p)
{
	enum { CAMPAIGNS = 20 };
	struct campaign *rows = calloc(CAMPAIGNS, sizeof(*rows));
	size_t           n = 0, i = 0;
	bool             whole = true;
	int              r = rows == NULL ? E_NOMEM : view_campaigns(view, p->cursor.id, rows, CAMPAIGNS, &n);
	for (; i < n && r == 0 && whole && has_room(p); i++) {
		bool over = rows[i].completed_at != 0 && rows[i].completed_at <= p->end && rows[i].confirmation != CONFIRMATION_ASKED;
		if (over)
			r = take_campaign(view, p, &rows[i], &whole);
		if (whole)
			p->cursor.id = rows[i].campaign_id;
	}
	p->more = n == CAMPAIGNS || i < n || !whole;
	free(rows);
	return r;
}

static void remove_campaign(struct store_change *c, const struct prune_row *row)
{
	if (row->seq == 0)
		store_remove_campaign(c, row->id);
	else
		store_remove_member(c, row->id, row->seq);
}

/* ---- drills ---------------------------------------------------------------------------------------------------- */

/* It came to its end, so it tells how the hosts of its services would have fared. */
static bool drill_proves(const struct drill *d)
{
	return d->reported_at != 0 && (d->state == CAMPAIGN_COMPLETED || d->state == CAMPAIGN_COMPLETED_WITH_FAILURES);
}

/* Nothing younger proves the same: it stays, however old, or nobody could tell that these services were ever rehearsed. */
static int is_last_drill(struct store_view *view, const struct drill *d, bool *ret)
{
	struct drill *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	struct id     before = {{0}};
	size_t        n = PRUNE_ROWS;
	int           r = rows == NULL ? E_NOMEM : 0;
	bool          last = drill_proves(d), reached = false;
	while (r == 0 && last && !reached && n == PRUNE_ROWS) {
		r = view_drills(view, before, rows, PRUNE_ROWS, &n);
		for (size_t i = 0; i < n && r == 0 && last && !reached; i++) {
			before = rows[i].campaign_id;
			reached = id_equal(before, d->campaign_id);
			last = reached || !drill_proves(&rows[i]) || !text_equal(rows[i].services, d->services);
		}
	}
	free(rows);
	*ret = last;
	return r;
}

/* One that has no report is over when its campaign has gone: it cannot get one. */
static int drill_goes(struct store_view *view, const struct drill *d, int64_t end, bool *ret)
{
	struct campaign c;
	bool            last = true;
	int             r = 0;
	*ret = false;
	if (d->reported_at == 0) {
		*ret = d->created_at <= end && (r = view_campaign(view, d->campaign_id, &c)) == E_NOT_FOUND;
		return r == E_NOT_FOUND ? 0 : r;
	}
	if (d->reported_at <= end)
		r = is_last_drill(view, d, &last);
	*ret = r == 0 && !last;
	return r;
}

/* The report in base64, a piece after the other: it may be far larger than all other lines, and its hash is of its bytes. */
static void report_add(struct buf *to, struct span report)
{
	enum { PIECE = 3 * 4096 };
	char text[PIECE / 3 * 4 + 8];
	buf_add_text(to, ",\"report\":\"");
	for (size_t i = 0; i < report.n; i += PIECE)
		if (b64_text(report.p + i, report.n - i < PIECE ? report.n - i : PIECE, text, sizeof(text)) == 0)
			buf_add_text(to, text);
	buf_add_text(to, "\"");
}

static int drill_line(struct store_view *view, struct prune_piece *p, const struct drill *d)
{
	struct buf report = BUF_MAX(DRILL_REPORT_MAX);
	int        r = d->reported_at != 0 ? view_drill_report(view, d->campaign_id, &report) : 0;
	json_t    *o = json_drill(d, view, p->end);
	json_object_set_new(o, "kind", json_string("drill"));
	char *text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (r == 0 && text == NULL)
		r = E_NOMEM;
	if (r == 0) {
		buf_add(&p->lines, text, strlen(text) - 1); /* without "}" */
		if (d->reported_at != 0)
			report_add(&p->lines, buf_span(&report));
		buf_add_text(&p->lines, "}\n");
		r = buf_error(&p->lines);
	}
	free(text);
	buf_free(&report);
	return r;
}

static int collect_drills(struct store_view *view, struct prune_piece *p)
{
	struct drill *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	size_t        n = 0, i = 0;
	int           r = rows == NULL ? E_NOMEM : view_drills(view, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (; i < n && r == 0 && has_room(p); i++) {
		bool goes;
		p->cursor.id = rows[i].campaign_id;
		r = drill_goes(view, &rows[i], p->end, &goes);
		if (r < 0 || !goes)
			continue;
		row_add(p, "")->id = rows[i].campaign_id;
		r = drill_line(view, p, &rows[i]);
	}
	p->more = n == PRUNE_ROWS || i < n;
	free(rows);
	return r;
}

static void remove_drill(struct store_change *c, const struct prune_row *row)
{
	store_remove_drill(c, row->id);
}

/* ---- what people were told ---------------------------------------------------------------------------------------- */

/* What is over and old, and of what is too much the oldest: the trail says what happened. Nothing of it is archived. */
static int collect_notices(struct store_view *view, struct prune_piece *p)
{
	struct notice *rows = calloc(PRUNE_ROWS, sizeof(*rows));
	uint64_t       all = 0;
	size_t         n = 0;
	int            r = rows == NULL ? E_NOMEM : view_notices_count(view, &all);
	uint64_t       excess = all > p->keep ? all - p->keep : 0;
	if (r == 0)
		r = view_notices_by_last(view, excess > 0 ? INT64_MAX : p->end, p->cursor.at, p->cursor.id, rows, PRUNE_ROWS, &n);
	for (size_t i = 0; i < n && r == 0; i++) {
		bool stands = rows[i].state == NOTICE_QUEUED && rows[i].key[0] != '\0';
		p->cursor.at = rows[i].last_at;
		p->cursor.id = rows[i].notice_id;
		if (p->n < excess || (!stands && rows[i].last_at <= p->end))
			row_add(p, "")->id = rows[i].notice_id;
	}
	p->more = n == PRUNE_ROWS;
	free(rows);
	return r;
}

static void remove_notice(struct store_change *c, const struct prune_row *row)
{
	store_remove_notice(c, row->id);
}

/* ---- the table ------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int (*collect)(struct store_view *view, struct prune_piece *p);
	void (*remove)(struct store_change *c, const struct prune_row *row);
} kinds[PRUNE_KIND_COUNT] = {
	[PRUNE_ISSUANCES] = {"issuances", collect_issuances, remove_issuance},
	[PRUNE_ORDERS] = {"orders", collect_orders, remove_order},
	[PRUNE_RECEIPTS] = {"receipts", collect_receipts, remove_receipt},
	[PRUNE_INVITES] = {"invites", collect_invites, remove_invite},
	[PRUNE_TOKENS] = {"tokens", collect_tokens, remove_token},
	[PRUNE_APPROVALS] = {"approvals", collect_approvals, remove_approval},
	[PRUNE_CAMPAIGNS] = {"campaigns", collect_campaigns, remove_campaign},
	[PRUNE_NOTICES] = {"notices", collect_notices, remove_notice},
	[PRUNE_DRILLS] = {"drills", collect_drills, remove_drill},
};

const char *prune_kind_name(enum prune_kind k)
{
	return (size_t)k < N_ELEMENTS(kinds) ? kinds[k].name : "unknown";
}

int prune_collect(enum prune_kind kind, struct store_view *view, struct prune_piece *p)
{
	p->n = 0;
	return kinds[kind].collect(view, p);
}

void prune_remove(enum prune_kind kind, const struct prune_piece *p, struct store_change *c)
{
	for (size_t i = 0; i < p->n; i++)
		kinds[kind].remove(c, &p->row[i]);
}
