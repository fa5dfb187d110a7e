/* store_apply.c - room controller/store: what each verb means, in terms of rows; the same for every backend.
 * Never: SQL, threads, clocks. */
#include "controller/store/store_apply.h"

#include <stdlib.h>
#include <string.h>

#define SERIAL_COUNTER_END (UINT64_C(1) << 55)

enum { AUDIT_TEXT_MAX = 4096 };

int apply_start(struct apply *a, struct rows *rows, merkle_hash_fn *hash)
{
	struct apply next = {.rows = rows, .hash = hash, .text = BUF_MAX(AUDIT_TEXT_MAX)};
	uint64_t     size;
	int          r = rows_audit_size(rows, &size);
	if (r < 0)
		return r;
	r = merkle_frontier_load(rows_node, rows, size, &next.tree);
	if (r < 0)
		return r == E_NOT_FOUND ? E_STORE_DAMAGED : r; /* a record without its nodes */
	*a = next;
	return 0;
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

	struct certificate old;
	memcpy(old.cert_id, next.cert_id, sizeof(old.cert_id));
	int r = rows_get(a->rows, &noun_certificate, &old);
	if (r == E_NOT_FOUND || (r == 0 && old.version != v->number))
		return E_STORE_CONFLICT;
	return r < 0 ? r : a->rows->ops->replace(a->rows, &noun_certificate, &next);
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

static int counter_get(struct apply *a, const char *name, struct counter_row *ret)
{
	struct counter_row c = {.value = 0};
	memcpy(c.name, name, strlen(name) + 1);
	int r = rows_get(a->rows, &noun_counter, &c);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	*ret = c;
	return 0;
}

int apply_message(struct apply *a, const struct store_verb *v, struct store_result *result)
{
	(void)result;
	const struct message_row *m = v->row;
	struct counter_row        top;
	int                       r = counter_get(a, "message", &top);
	if (r < 0)
		return r;
	if (m->message_id > top.value) {
		top.value = m->message_id;
		r = a->rows->ops->put(a->rows, &noun_counter, &top);
		if (r < 0)
			return r;
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
	int                r = counter_get(a, "serial", &next);
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
