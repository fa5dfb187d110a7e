/* store_change.c - room controller/store: builds a change: a list of verbs, each with a copy of its value.
 * Never: conditions, storage; those come when the change is applied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_apply.h"
#include "shared/base/text.h"

static void *must_alloc(size_t n)
{
	void *p = calloc(1, n);
	if (p == NULL) { /* a half-built change must never be stored */
		fputs("store: out of memory\n", stderr);
		abort();
	}
	return p;
}

struct store_change *store_change_new(void)
{
	return must_alloc(sizeof(struct store_change));
}

void store_change_free(struct store_change *c)
{
	if (c == NULL)
		return;
	for (struct store_verb *v = c->first, *next; v != NULL; v = next) {
		next = v->next;
		free(v->row);
		free(v);
	}
	free(c);
}

/* Copies the row; bytes of a span are copied behind it. */
static struct store_verb *verb_new(struct store_change *c, verb_fn *fn, const struct noun *noun, const void *row)
{
	struct store_verb *v = must_alloc(sizeof(*v));
	v->fn = fn;
	v->noun = noun;
	if (row != NULL) {
		const struct column *last = &noun->column[noun->n_columns - 1];
		struct span          bytes = {NULL, 0};
		if (last->kind == COLUMN_SPAN)
			bytes = column_bytes(last, row);
		if (last->kind == COLUMN_SPAN && bytes.n > last->max) {
			bytes.n = 0;
			v->fn = apply_too_large;
		}
		uint8_t *copy = must_alloc(noun->size + bytes.n);
		memcpy(copy, row, noun->size);
		if (last->kind == COLUMN_SPAN) {
			struct span own = {copy + noun->size, bytes.n};
			if (bytes.n > 0)
				memcpy(copy + noun->size, bytes.p, bytes.n);
			memcpy(copy + last->at, &own, sizeof(own));
		}
		v->row = copy;
	}
	if (c->last != NULL)
		c->last->next = v;
	else
		c->first = v;
	c->last = v;
	return v;
}

static void text_into(char *to, size_t size, const char *from, struct store_verb *v)
{
	size_t n = strlen(from);
	if (n >= size) {
		v->fn = apply_too_large;
		return;
	}
	memcpy(to, from, n + 1);
}

void store_put_order(struct store_change *c, const struct order *o)
{
	verb_new(c, apply_put, &noun_order, o);
}

void store_add_step(struct store_change *c, const struct order_step_row *row)
{
	struct history_row history = {.step = *row};
	verb_new(c, apply_add, &noun_step, &history);
}

void store_put_certificate(struct store_change *c, const struct certificate *cert, uint64_t expect_version)
{
	verb_new(c, apply_certificate, &noun_certificate, cert)->number = expect_version;
}

void store_add_issuance(struct store_change *c, const struct issuance *i)
{
	verb_new(c, apply_add, &noun_issuance, i);
}

void store_put_issuance(struct store_change *c, const struct issuance *i)
{
	verb_new(c, apply_replace, &noun_issuance, i);
}

void store_add_receipt(struct store_change *c, const struct receipt_row *r)
{
	verb_new(c, apply_receipt, &noun_receipt, r);
}

void store_put_target(struct store_change *c, const struct target *t)
{
	verb_new(c, apply_put, &noun_target, t);
}

void store_remove_target(struct store_change *c, const char *target_id)
{
	struct target      key = {.target_id = ""};
	struct store_verb *v = verb_new(c, apply_remove, &noun_target, &key);
	text_into(((struct target *)v->row)->target_id, sizeof(key.target_id), target_id, v);
}

void store_put_agent(struct store_change *c, const struct agent *a)
{
	verb_new(c, apply_put, &noun_agent, a);
}

void store_add_invite(struct store_change *c, const struct invite *i)
{
	verb_new(c, apply_add, &noun_invite, i);
}

void store_redeem_invite(struct store_change *c, struct id invite_id, struct hash host_hash, int64_t at)
{
	struct invite ask = {.invite_id = invite_id, .used_at = at};
	verb_new(c, apply_redeem, &noun_invite, &ask)->who = host_hash;
}

void store_add_template(struct store_change *c, const struct template *t, uint32_t expect_version)
{
	verb_new(c, apply_template, &noun_template, t)->number = expect_version;
}

void store_put_issuer(struct store_change *c, const struct issuer *i)
{
	verb_new(c, apply_put, &noun_issuer, i);
}

void store_put_principal(struct store_change *c, const struct principal *p)
{
	verb_new(c, apply_put, &noun_principal, p);
}

void store_add_token(struct store_change *c, const struct token *t)
{
	verb_new(c, apply_add, &noun_token, t);
}

void store_put_token(struct store_change *c, const struct token *t)
{
	verb_new(c, apply_put, &noun_token, t);
}

void store_put_service(struct store_change *c, const struct service *s)
{
	verb_new(c, apply_put, &noun_service, s);
}

static struct store_verb *message_verb(struct store_change *c, verb_fn *fn, const char *agent, const struct message_row *m)
{
	struct store_verb *v = verb_new(c, fn, &noun_message, m);
	text_into(((struct message_row *)v->row)->agent, sizeof(m->agent), agent, v);
	return v;
}

void store_put_outbox(struct store_change *c, const char *agent, struct id renewal_id, uint64_t message_id, uint16_t type,
                      struct span frame)
{
	struct message_row m = {.renewal_id = renewal_id, .message_id = message_id, .type = type, .frame = frame};
	message_verb(c, apply_message, agent, &m);
}

void store_remove_outbox(struct store_change *c, const char *agent, struct id renewal_id)
{
	struct message_row m = {.renewal_id = renewal_id};
	message_verb(c, apply_remove, agent, &m);
}

void store_add_audit(struct store_change *c, const struct audit *a)
{
	struct audit *row = verb_new(c, apply_audit, &noun_audit, a)->row;
	text_hide_controls(row->actor); /* one line per field is what makes the leaf's bytes unambiguous */
	text_hide_controls(row->object);
	text_hide_controls(row->detail);
}

void store_reserve_serials(struct store_change *c, uint64_t n, uint64_t floor)
{
	struct store_verb *v = verb_new(c, apply_serials, &noun_counter, NULL);
	v->number = n;
	v->floor = floor;
}

void store_put_crl(struct store_change *c, const struct crl_row *row)
{
	verb_new(c, apply_crl, &noun_crl, row);
}

void store_put_inventory(struct store_change *c, const struct inventory *head, const struct inventory_listener *rows, size_t n)
{
	struct inventory_listener key = {.address = ""};
	verb_new(c, apply_put, &noun_inventory, head);
	if (rows == NULL)
		return;
	text_cut(key.agent, sizeof(key.agent), head->agent);
	verb_new(c, apply_listeners_gone, &noun_listener, &key);
	for (size_t i = 0; i < n; i++) {
		struct inventory_listener row = rows[i];
		text_cut(row.agent, sizeof(row.agent), head->agent);
		verb_new(c, apply_put, &noun_listener, &row); /* an address that was told twice has one row */
	}
}

void store_put_setting(struct store_change *c, const char *name, struct span value)
{
	struct setting_row row = {.value = value};
	struct store_verb *v = verb_new(c, apply_put, &noun_setting, &row);
	text_into(((struct setting_row *)v->row)->name, sizeof(row.name), name, v);
}
