/* store_view.c - room controller/store: reading one object by its key.
 * Never: writing, SQL. */
#include <string.h>

#include "controller/store/store_front.h"
#include "shared/base/text.h"

/* The row of one text key; a text that cannot be a key is simply not there. */
static int by_text(struct store_view *v, const struct noun *noun, const char *key, void *row)
{
	const struct column *c = &noun->column[0];
	size_t               n = strlen(key);
	if (n >= c->size)
		return E_NOT_FOUND;
	memcpy((uint8_t *)row + c->at, key, n + 1);
	return rows_get(v->rows, noun, row);
}

/* Reading works in a row of its own, so that the caller's is untouched on failure. */
#define VIEW_BY_TEXT(function, noun, type)                                                                                     \
	int function(struct store_view *v, const char *key, type *ret)                                                         \
	{                                                                                                                      \
		type row;                                                                                                      \
		int  r = by_text(v, &noun, key, &row);                                                                         \
		if (r < 0)                                                                                                     \
			return r;                                                                                              \
		*ret = row;                                                                                                    \
		return 0;                                                                                                      \
	}

VIEW_BY_TEXT(view_certificate, noun_certificate, struct certificate)
VIEW_BY_TEXT(view_target, noun_target, struct target)
VIEW_BY_TEXT(view_stage, noun_stage, struct staged_key)
VIEW_BY_TEXT(view_agent, noun_agent, struct agent)
VIEW_BY_TEXT(view_issuer, noun_issuer, struct issuer)
VIEW_BY_TEXT(view_rollover, noun_rollover, struct rollover)
VIEW_BY_TEXT(view_principal, noun_principal, struct principal)
VIEW_BY_TEXT(view_service, noun_service, struct service)
VIEW_BY_TEXT(view_inventory, noun_inventory, struct inventory)

int view_order(struct store_view *v, struct id renewal_id, struct order *ret)
{
	struct order row = {.renewal_id = renewal_id};
	int          r = rows_get(v->rows, &noun_order, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_issuance(struct store_view *v, struct serial serial, struct issuance *ret)
{
	struct issuance row;
	row.serial = serial;
	int r = rows_get(v->rows, &noun_issuance, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

struct host_search {
	struct agent *best;
	bool          found;
};

/* A host may have joined more than once under other names; the active row speaks for it, else the latest. */
static int better_agent(void *ctx, const void *row)
{
	struct host_search *s = ctx;
	const struct agent *a = row;
	bool                a_active = a->state == AGENT_ACTIVE, best_active = s->found && s->best->state == AGENT_ACTIVE;
	if (!s->found || (a_active && !best_active) || (a_active == best_active && a->joined_at > s->best->joined_at))
		*s->best = *a;
	s->found = true;
	return 0;
}

int view_agent_by_host(struct store_view *v, struct hash host_hash, struct agent *ret)
{
	struct agent       best;
	struct host_search search = {.best = &best};
	struct query       q = {.noun = &noun_agent, .max = STORE_LIST_MAX};
	query_where(&q, offsetof(struct agent, host_hash), IS, &host_hash);
	int r = rows_find(v->rows, &q, better_agent, &search);
	if (r < 0)
		return r;
	if (!search.found)
		return E_NOT_FOUND;
	*ret = best;
	return 0;
}

int view_host_banned(struct store_view *v, struct hash host_hash, bool *ret)
{
	static const enum agent_state banned = AGENT_BANNED;
	uint64_t                      n;
	struct query                  q = {.noun = &noun_agent};
	query_where(&q, offsetof(struct agent, host_hash), IS, &host_hash);
	query_where(&q, offsetof(struct agent, state), IS, &banned);
	int r = v->rows->ops->count(v->rows, &q, &n);
	if (r < 0)
		return r;
	*ret = n > 0;
	struct ban kept = {.host_hash = host_hash}; /* its name belongs to another host by now */
	if (n == 0 && (r = rows_get(v->rows, &noun_ban, &kept)) == 0)
		*ret = true;
	return r == E_NOT_FOUND ? 0 : r;
}

int view_stages_of(struct store_view *v, struct hash host_hash, const char *after, struct staged_key *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_stage, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX};
	query_where(&q, offsetof(struct staged_key, host_hash), IS, &host_hash);
	query_where(&q, offsetof(struct staged_key, cert_id), ABOVE, after);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_former_name(struct store_view *v, const char *name, struct former_name *ret)
{
	struct former_name row = {.since_at = 0};
	if (text_copy(row.name, sizeof(row.name), name) < 0)
		return E_NOT_FOUND;
	int r = rows_get(v->rows, &noun_former, &row);
	if (r == 0)
		*ret = row;
	return r;
}

int view_former_names(struct store_view *v, const char *agent, struct former_name *ret, size_t max, size_t *ret_n)
{
	struct query q = {.noun = &noun_former, .max = max < STORE_LIST_MAX ? max : STORE_LIST_MAX};
	query_where(&q, offsetof(struct former_name, agent), IS, agent);
	return rows_list(v->rows, &q, ret, ret_n);
}

int view_invite_by_key(struct store_view *v, const uint8_t token_key[32], struct invite *ret)
{
	struct query q = {.noun = &noun_invite};
	query_where(&q, offsetof(struct invite, token_key), IS, token_key);
	return rows_first(v->rows, &q, ret);
}

/* There are few principals: none of their columns but the name has an index. */
int view_mail_used(struct store_view *v, const char *mail, bool *ret)
{
	static const bool disabled = false;
	uint64_t          n;
	struct query      q = {.noun = &noun_principal};
	query_where(&q, offsetof(struct principal, mail), IS, mail);
	query_where(&q, offsetof(struct principal, disabled), IS, &disabled);
	int r = v->rows->ops->count(v->rows, &q, &n);
	if (r == 0)
		*ret = n > 0;
	return r;
}

int view_token_by_hash(struct store_view *v, struct hash hash, struct token *ret)
{
	struct query q = {.noun = &noun_token};
	query_where(&q, offsetof(struct token, hash), IS, &hash);
	return rows_first(v->rows, &q, ret);
}

int view_token(struct store_view *v, struct id token_id, struct token *ret)
{
	struct token row = {.token_id = token_id};
	int          r = rows_get(v->rows, &noun_token, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_approval(struct store_view *v, struct id approval_id, struct approval *ret)
{
	struct approval row = {.approval_id = approval_id};
	int             r = rows_get(v->rows, &noun_approval, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}

int view_template(struct store_view *v, const char *template_id, uint32_t version, struct template *ret)
{
	struct query q = {.noun = &noun_template, .down = true};
	query_where(&q, offsetof(struct template, template_id), IS, template_id);
	if (version != 0)
		query_where(&q, offsetof(struct template, version), IS, &version);
	return rows_first(v->rows, &q, ret);
}

struct bytes_found {
	const struct noun *noun;
	struct crl_row    *crl; /* or NULL */
	struct buf        *to;
	bool               found;
};

static int copy_bytes(void *ctx, const void *row)
{
	struct bytes_found *f = ctx;
	struct span         bytes = column_bytes(&f->noun->column[f->noun->n_columns - 1], row);
	buf_add(f->to, bytes.p, bytes.n);
	if (buf_error(f->to) != 0)
		return buf_error(f->to);
	if (f->crl != NULL) {
		*f->crl = *(const struct crl_row *)row;
		f->crl->der = buf_span(f->to);
	}
	f->found = true;
	return 0;
}

static int find_bytes(struct store_view *v, const struct query *q, struct bytes_found *f)
{
	int r = rows_find(v->rows, q, copy_bytes, f);
	if (r < 0)
		return r;
	return f->found ? 0 : E_NOT_FOUND;
}

int view_setting(struct store_view *v, const char *name, struct buf *to)
{
	struct query       q = {.noun = &noun_setting, .max = 1};
	struct bytes_found found = {.noun = &noun_setting, .to = to};
	query_where(&q, offsetof(struct setting_row, name), IS, name);
	return find_bytes(v, &q, &found);
}

int view_receipt_body(struct store_view *v, struct hash host_hash, uint64_t seq, struct buf *body)
{
	struct query       q = {.noun = &noun_receipt, .max = 1};
	struct bytes_found found = {.noun = &noun_receipt, .to = body};
	query_where(&q, offsetof(struct receipt_row, host_hash), IS, &host_hash);
	query_where(&q, offsetof(struct receipt_row, seq), IS, &seq);
	return find_bytes(v, &q, &found);
}

int view_receipt(struct store_view *v, struct hash host_hash, uint64_t seq, struct receipt_row *ret)
{
	struct query q = {.noun = &noun_receipt};
	query_where(&q, offsetof(struct receipt_row, host_hash), IS, &host_hash);
	query_where(&q, offsetof(struct receipt_row, seq), IS, &seq);
	return rows_first(v->rows, &q, ret);
}

int view_crl(struct store_view *v, const char *issuer_id, uint32_t shard, struct crl_row *ret, struct buf *der)
{
	struct query       q = {.noun = &noun_crl, .max = 1};
	struct bytes_found found = {.noun = &noun_crl, .crl = ret, .to = der};
	query_where(&q, offsetof(struct crl_row, issuer_id), IS, issuer_id);
	query_where(&q, offsetof(struct crl_row, shard), IS, &shard);
	return find_bytes(v, &q, &found);
}

int view_drill_report(struct store_view *v, struct id campaign_id, struct buf *to)
{
	struct query       q = {.noun = &noun_drill_report, .max = 1};
	struct bytes_found found = {.noun = &noun_drill_report, .to = to};
	query_where(&q, offsetof(struct report_row, campaign_id), IS, &campaign_id);
	return find_bytes(v, &q, &found);
}

int view_audit_head(struct store_view *v, uint64_t *ret_size, struct hash *ret_root)
{
	struct merkle_frontier tree;
	uint64_t               size;
	int                    r = rows_audit_size(v->rows, &size);
	if (r < 0)
		return r;
	r = merkle_frontier_load(audit_node, &(struct audit_tree){v->rows, v->hash}, size, &tree); /* nodes never change, so no snapshot is needed */
	if (r < 0)
		return r == E_NOT_FOUND ? E_STORE_DAMAGED : r;
	merkle_root(v->hash, &tree, ret_root);
	*ret_size = size;
	return 0;
}

int view_audit_node(struct store_view *v, uint32_t level, uint64_t index, struct hash *ret)
{
	return audit_node(&(struct audit_tree){v->rows, v->hash}, level, index, ret);
}

int view_outbox_top(struct store_view *v, uint64_t *ret_message_id)
{
	struct counter_row top = {.name = "message"};
	int                r = rows_get(v->rows, &noun_counter, &top);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	*ret_message_id = r == 0 ? top.value : 0;
	return 0;
}

int view_archived(struct store_view *v, const char *cert_id, struct archived *ret)
{
	struct archived row = {.cert_id = ""};
	if (text_copy(row.cert_id, sizeof(row.cert_id), cert_id) < 0)
		return E_NOT_FOUND;
	int r = rows_get(v->rows, &noun_archived, &row);
	if (r < 0)
		return r;
	*ret = row;
	return 0;
}
