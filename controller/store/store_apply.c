/* store_apply.c - room controller/store: what each verb means, in terms of rows; the same for every backend.
 * Never: SQL, threads, clocks. */
#include "controller/store/store_apply.h"

#include <stdlib.h>
#include <string.h>

#define SERIAL_COUNTER_END (UINT64_C(1) << 55)

#define COUNTER_MESSAGE "message"
#define COUNTER_SERIAL  "serial"

static int counter_get(struct rows *rows, const char *name, struct counter_row *ret)
{
	struct counter_row c = {.value = 0};
	memcpy(c.name, name, strlen(name) + 1);
	int r = rows_get(rows, &noun_counter, &c);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	*ret = c;
	return 0;
}

int apply_start(struct apply *a, struct rows *rows, merkle_hash_fn *hash)
{
	struct apply next = {.rows = rows, .hash = hash, .text = BUF_MAX(AUDIT_LEAF_MAX)};
	struct counter_row top;
	uint64_t     size;
	int          r = rows_audit_size(rows, &size);
	if (r != 0)
		return r;
	r = merkle_frontier_load(audit_node, &(struct audit_tree){rows, hash}, size, &next.tree);
	if (r != 0)
		return r == E_NOT_FOUND ? E_STORE_DAMAGED : r; /* a record or a node is missing */
	r = rows_audit_at(rows, &next.audit_at);
	if (r == 0)
		r = counter_get(rows, COUNTER_MESSAGE, &top);
	if (r != 0)
		return r;
	next.message_top = top.value;
	next.message_top_stored = true;
	*a = next;
	return 0;
}

int apply_finish(struct apply *a)
{
	struct counter_row top = {.name = COUNTER_MESSAGE, .value = a->message_top};
	if (a->message_top_stored)
		return 0;
	int r = a->rows->ops->put(a->rows, &noun_counter, &top);
	a->message_top_stored = r == 0;
	return r;
}

void apply_undone(struct apply *a)
{
	memset(a->alias, 0, sizeof(a->alias)); /* perhaps of a person that is not there any more */
}

void apply_end(struct apply *a)
{
	buf_free(&a->text);
}

bool apply_code_is_fatal(int code)
{
	return code == E_STORE_IO || code == E_STORE_FULL || code == E_STORE_DAMAGED || code == E_STORE_BUSY || code == E_NOMEM;
}

int apply_change(struct apply *a, struct store_change *c)
{
	struct store_result result = {.audit_seq = a->tree.size};
	a->salt = &c->salt;
	a->n_salts = 0;
	for (const struct store_verb *v = c->first; v != NULL; v = v->next) {
		int r = v->fn(a, v, &result);
		if (r < 0)
			return r;
	}
	c->result = result;
	return 0;
}

int apply_put(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	return a->rows->ops->put(a->rows, v->noun, v->row);
}

int apply_add(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	return a->rows->ops->add(a->rows, v->noun, v->row);
}

int apply_receipt(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	int r = apply_add(a, v, result);
	return r == E_EXISTS ? 0 : r;
}

/* All rows of one agent; they are few, and found first because a walk does not stand a removal. */
int apply_listeners_gone(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct inventory_listener *of = v->row;
	struct query                     q = {.noun = &noun_listener, .max = INVENTORY_MAX};
	struct inventory_listener       *rows = calloc(q.max, sizeof(*rows));
	size_t                           n = 0;
	int                              r = rows != NULL ? 0 : E_NOMEM;
	query_where(&q, offsetof(struct inventory_listener, agent), IS, of->agent);
	do {
		if (r == 0)
			r = rows_list(a->rows, &q, rows, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = a->rows->ops->remove(a->rows, &noun_listener, &rows[i]);
	} while (r == 0 && n == q.max);
	free(rows);
	return r;
}

/* Every row of `q`, by pages: the query begins anew, because what it found is gone. */
int apply_remove_found(struct apply *a, struct query *q)
{
	uint8_t *rows = calloc(q->max, q->noun->size);
	size_t   n = 0;
	int      r = rows != NULL ? 0 : E_NOMEM;
	do {
		if (r == 0)
			r = rows_list(a->rows, q, rows, &n);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = a->rows->ops->remove(a->rows, q->noun, rows + i * q->noun->size);
	} while (r == 0 && n == q->max);
	free(rows);
	return r;
}

int apply_order_gone(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	enum { PAGE = 64 };
	(void)result;
	const struct order *o = v->row;
	struct query        former = {.noun = &noun_step, .max = PAGE}, steps = {.noun = &noun_steps, .max = PAGE}, receipts = {.noun = &noun_receipt, .max = PAGE};
	query_where(&former, offsetof(struct history_row, step.renewal_id), IS, &o->renewal_id);
	query_where(&steps, offsetof(struct steps_row, renewal_id), IS, &o->renewal_id);
	query_where(&receipts, offsetof(struct receipt_row, renewal_id), IS, &o->renewal_id);
	receipts.by = noun_column(receipts.noun, offsetof(struct receipt_row, stored_at));
	int r = apply_remove_found(a, &former);
	if (r == 0)
		r = apply_remove_found(a, &steps);
	if (r == 0)
		r = apply_remove_found(a, &receipts);
	return r < 0 ? r : a->rows->ops->remove(a->rows, &noun_order, o);
}

int apply_archived(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct archived *more = v->row;
	struct archived        sum = *more, old = {.cert_id = ""};
	memcpy(old.cert_id, more->cert_id, sizeof(old.cert_id));
	int r = a->rows->ops->get(a->rows, &noun_archived, &old);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	if (r == 0) {
		sum.issuances += old.issuances;
		sum.orders += old.orders;
		sum.first_file = old.first_file;
	}
	return a->rows->ops->put(a->rows, &noun_archived, &sum);
}

int apply_replace(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	return a->rows->ops->replace(a->rows, v->noun, v->row);
}

int apply_remove(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	return a->rows->ops->remove(a->rows, v->noun, v->row);
}

int apply_too_large(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)a;
	(void)v;
	(void)result;
	return E_FULL;
}

int apply_certificate(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	struct certificate next = *(const struct certificate *)v->row;
	next.version = v->number + 1;
	if (v->number == 0)
		return a->rows->ops->add(a->rows, &noun_certificate, &next);
	int r = a->rows->ops->advance(a->rows, &noun_certificate, &next, noun_column(&noun_certificate, offsetof(struct certificate, version)));
	return r == E_NOT_FOUND ? E_STORE_CONFLICT : r;
}

int apply_template(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct template next = *(const struct template *)v->row;
	struct template last = {.version = 0};
	struct query    q = {.noun = &noun_template, .down = true};
	query_where(&q, offsetof(struct template, template_id), IS, next.template_id);
	int r = rows_first(a->rows, &q, &last);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	if (v->number != UINT32_MAX && v->number != last.version)
		return v->number == 0 ? E_EXISTS : E_STORE_CONFLICT;
	next.version = last.version + 1;
	result->template_version = next.version;
	return a->rows->ops->add(a->rows, &noun_template, &next);
}

int apply_service(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	struct service next = *(const struct service *)v->row;
	struct service old = {.version = 0};
	memcpy(old.name, next.name, sizeof(old.name));
	int r = rows_get(a->rows, &noun_service, &old);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	bool known = r == 0;
	if (known && v->number == UINT32_MAX)
		return 0;
	if (v->number != UINT32_MAX && v->number != (known ? old.version : 0))
		return v->number == 0 ? E_EXISTS : E_STORE_CONFLICT;
	next.version = old.version + 1;
	if (known)
		next.created_at = old.created_at;
	return a->rows->ops->put(a->rows, &noun_service, &next);
}

int apply_redeem(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct invite *ask = v->row; /* invite_id, used_at */
	struct invite        invite = {.invite_id = ask->invite_id};
	int                  r = rows_get(a->rows, &noun_invite, &invite);
	if (r < 0)
		return r == E_NOT_FOUND ? E_JOIN_TOKEN : r;
	if (ask->used_at >= invite.expires_at || hash_is_none(v->who))
		return E_JOIN_TOKEN;
	if (invite.used_at != 0) /* the winner may ask again when the answer was lost */
		return hash_equal(invite.used_by, v->who) ? 0 : E_JOIN_TOKEN;
	invite.used_at = ask->used_at;
	invite.used_by = v->who;
	return a->rows->ops->replace(a->rows, &noun_invite, &invite);
}

int apply_message(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct message_row *m = v->row;
	if (m->message_id > a->message_top) {
		a->message_top = m->message_id;
		a->message_top_stored = false;
	}
	return a->rows->ops->put(a->rows, &noun_message, m);
}

int apply_audit(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	struct audit row = *(const struct audit *)v->row;
	return audit_append(a, &row);
}

int apply_serials(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	struct counter_row next;
	struct issuance    last;
	struct query       q = {.noun = &noun_issuance, .down = true};
	int                r = counter_get(a->rows, COUNTER_SERIAL, &next);
	if (r < 0)
		return r;
	uint64_t first = next.value > v->floor ? next.value : v->floor;
	r = rows_first(a->rows, &q, &last);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	if (r == 0 && serial_counter(last.serial) >= first)
		first = serial_counter(last.serial) + 1;
	if (first == 0)
		first = 1;
	if (first >= SERIAL_COUNTER_END || v->number > SERIAL_COUNTER_END - first)
		return E_RANGE;
	next.value = first + v->number;
	result->serial_first = first;
	return a->rows->ops->put(a->rows, &noun_counter, &next);
}

int apply_token_use(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct token *use = v->row; /* token_id, used_at */
	struct token        token = {.token_id = use->token_id};
	int                 r = rows_get(a->rows, &noun_token, &token);
	if (r < 0 || use->used_at <= token.used_at)
		return r;
	token.used_at = use->used_at;
	return a->rows->ops->replace(a->rows, &noun_token, &token);
}

int apply_decision(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct approval *decision = v->row;
	struct approval        row = {.approval_id = decision->approval_id};
	int                    r = rows_get(a->rows, &noun_approval, &row);
	if (r < 0)
		return r;
	if (row.state != APPROVAL_WAITING)
		return E_APPROVAL_DECIDED;
	row.state = decision->state;
	row.decided_at = decision->decided_at;
	memcpy(row.decider, decision->decider, sizeof(row.decider));
	memcpy(row.comment, decision->comment, sizeof(row.comment));
	return a->rows->ops->replace(a->rows, &noun_approval, &row);
}

int apply_revoke_issuer(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct issuer *to = v->row;
	struct issuer        row;
	(void)result;
	memcpy(row.issuer_id, to->issuer_id, sizeof(row.issuer_id));
	int r = rows_get(a->rows, &noun_issuer, &row);
	if (r < 0 || row.revoked_at != 0)
		return r;
	row.revoked_at = to->revoked_at;
	row.revoke_reason = to->revoke_reason;
	return a->rows->ops->replace(a->rows, &noun_issuer, &row);
}

int apply_standing(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	const struct issuer *to = v->row;
	struct issuer        row;
	(void)result;
	memcpy(row.issuer_id, to->issuer_id, sizeof(row.issuer_id));
	int r = rows_get(a->rows, &noun_issuer, &row);
	if (r < 0)
		return r;
	row.standing = to->standing;
	row.retired |= to->retired;
	memcpy(row.successor_id, to->successor_id, sizeof(row.successor_id));
	return a->rows->ops->replace(a->rows, &noun_issuer, &row);
}

int apply_crl(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct crl_row *crl = v->row;
	struct issuer         issuer;
	memcpy(issuer.issuer_id, crl->issuer_id, sizeof(issuer.issuer_id));
	int r = rows_get(a->rows, &noun_issuer, &issuer);
	if (r < 0)
		return r;
	if (crl->number <= issuer.crl_number)
		return E_STORE_CONFLICT;
	issuer.crl_number = crl->number;
	r = a->rows->ops->replace(a->rows, &noun_issuer, &issuer);
	return r < 0 ? r : a->rows->ops->put(a->rows, &noun_crl, crl);
}
