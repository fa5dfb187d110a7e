/* store_change.c - room controller/store: builds a change: a list of verbs, each with a copy of its value.
 * Never: conditions, storage; those come when the change is applied. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/store/store_apply.h"
#include "controller/store/store_steps.h"
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

void store_change_salt(struct store_change *c, struct hash random)
{
	c->salt = random;
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

void store_add_steps(struct store_change *c, const struct order_step_row *rows, size_t n)
{
	struct buf text = BUF_MAX(STEPS_TEXT_MAX);
	if (n == 0)
		return;
	steps_text(rows, n, &text);
	verb_new(c, n > STORE_STEPS_MAX ? apply_too_large : apply_add, &noun_steps, &(struct steps_row){.renewal_id = rows->renewal_id, .steps = buf_span(&text)});
	buf_free(&text);
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
	verb_new(c, apply_agent, &noun_agent, a);
}

void store_put_stage(struct store_change *c, const struct staged_key *s)
{
	verb_new(c, apply_put, &noun_stage, s);
}

void store_remove_stage(struct store_change *c, const char *cert_id)
{
	struct staged_key       key = {.cert_id = ""};
	struct store_verb *v = verb_new(c, apply_remove, &noun_stage, &key);
	text_into(((struct staged_key *)v->row)->cert_id, sizeof(key.cert_id), cert_id, v);
}

void store_rename_agent(struct store_change *c, const struct former_name *to)
{
	verb_new(c, apply_rename, &noun_former, to);
}

void store_put_ban(struct store_change *c, const struct ban *b)
{
	verb_new(c, apply_put, &noun_ban, b);
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

void store_revoke_issuer(struct store_change *c, const char *issuer_id, int64_t at, int reason)
{
	struct issuer key = {.revoked_at = at, .revoke_reason = reason};
	text_cut(key.issuer_id, sizeof(key.issuer_id), issuer_id);
	verb_new(c, apply_revoke_issuer, &noun_issuer, &key);
}

void store_set_standing(struct store_change *c, const char *issuer_id, enum issuer_standing standing, const char *successor_id, bool retired)
{
	struct issuer      key = {.standing = standing, .retired = retired};
	struct store_verb *v = verb_new(c, apply_standing, &noun_issuer, &key);
	struct issuer     *row = v->row;
	text_into(row->issuer_id, sizeof(row->issuer_id), issuer_id, v);
	text_into(row->successor_id, sizeof(row->successor_id), successor_id, v);
}

void store_put_rollover(struct store_change *c, const struct rollover *r)
{
	verb_new(c, apply_put, &noun_rollover, r);
}

void store_put_peer(struct store_change *c, const struct peer *p)
{
	verb_new(c, apply_put, &noun_peer, p);
}

void store_remove_peer(struct store_change *c, const char *cert_id, const char *agent)
{
	struct peer        key = {.cert_id = ""};
	struct store_verb *v = verb_new(c, apply_remove, &noun_peer, &key);
	struct peer       *row = v->row;
	text_into(row->cert_id, sizeof(row->cert_id), cert_id, v);
	text_into(row->agent, sizeof(row->agent), agent, v);
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

void store_add_principal(struct store_change *c, const struct principal *p)
{
	verb_new(c, apply_add, &noun_principal, p);
}

void store_note_token_use(struct store_change *c, struct id token_id, int64_t at)
{
	struct token use = {.token_id = token_id, .used_at = at};
	verb_new(c, apply_token_use, &noun_token, &use);
}

void store_add_approval(struct store_change *c, const struct approval *a)
{
	verb_new(c, apply_add, &noun_approval, a);
}

void store_decide_approval(struct store_change *c, const struct approval *a)
{
	verb_new(c, apply_decision, &noun_approval, a);
}

void store_put_service(struct store_change *c, const struct service *s)
{
	verb_new(c, apply_service, &noun_service, s)->number = UINT32_MAX;
}

void store_change_service(struct store_change *c, const struct service *s, uint32_t expect_version)
{
	verb_new(c, apply_service, &noun_service, s)->number = expect_version;
}

void store_put_policy_walk(struct store_change *c, const struct policy_walk *w)
{
	verb_new(c, apply_put, &noun_walk, w);
}

void store_remove_policy_walk(struct store_change *c, const char *object)
{
	struct policy_walk key = {.object = ""};
	struct store_verb *v = verb_new(c, apply_remove, &noun_walk, &key);
	text_into(((struct policy_walk *)v->row)->object, sizeof(key.object), object, v);
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

/* One line per field is what makes the leaf's bytes unambiguous; and what is cut inside a character is no text for anybody. */
static void harmless(char *text)
{
	text_hide_controls(text);
	if (text_utf8_ok(text, strlen(text)))
		return;
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			*text = '?';
}

void store_add_audit(struct store_change *c, const struct audit *a)
{
	struct audit *row = verb_new(c, apply_audit, &noun_audit, a)->row;
	harmless(row->actor);
	harmless(row->object);
	harmless(row->reason);
	harmless(row->detail);
}

void store_put_audit_head(struct store_change *c, const struct audit_head *h)
{
	verb_new(c, apply_put, &noun_head, h);
}

void store_forget_person(struct store_change *c, const char *name)
{
	struct audit_person key = {.name = ""};
	struct store_verb  *v = verb_new(c, apply_forget, &noun_person, &key);
	text_into(((struct audit_person *)v->row)->name, sizeof(key.name), name, v);
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

void store_put_campaign(struct store_change *c, const struct campaign *campaign)
{
	verb_new(c, apply_put, &noun_campaign, campaign);
}

void store_put_drill(struct store_change *c, const struct drill *d)
{
	verb_new(c, apply_put, &noun_drill, d);
}

void store_put_drill_report(struct store_change *c, struct id campaign_id, struct span report)
{
	verb_new(c, apply_put, &noun_drill_report, &(struct report_row){campaign_id, report});
}

void store_add_member(struct store_change *c, const struct campaign_member *m)
{
	verb_new(c, apply_add_member, &noun_member, m);
}

void store_put_member(struct store_change *c, const struct campaign_member *m)
{
	verb_new(c, apply_replace_member, &noun_member, m);
}

void store_put_setting(struct store_change *c, const char *name, struct span value)
{
	struct setting_row row = {.value = value};
	struct store_verb *v = verb_new(c, apply_put, &noun_setting, &row);
	text_into(((struct setting_row *)v->row)->name, sizeof(row.name), name, v);
}

void store_put_invite(struct store_change *c, const struct invite *i)
{
	verb_new(c, apply_put, &noun_invite, i);
}

void store_remove_crl(struct store_change *c, const char *issuer_id, uint32_t shard)
{
	struct crl_row     row = {.shard = shard};
	struct store_verb *v = verb_new(c, apply_remove, &noun_crl, &row);
	text_into(((struct crl_row *)v->row)->issuer_id, sizeof(row.issuer_id), issuer_id, v);
}

void store_remove_issuance(struct store_change *c, struct serial serial)
{
	struct issuance key = {.serial = serial};
	verb_new(c, apply_remove, &noun_issuance, &key);
}

void store_remove_order(struct store_change *c, struct id renewal_id)
{
	struct order key = {.renewal_id = renewal_id};
	verb_new(c, apply_order_gone, &noun_order, &key);
}

void store_remove_receipt(struct store_change *c, struct hash host_hash, uint64_t seq)
{
	struct receipt_row key = {.host_hash = host_hash, .seq = seq};
	verb_new(c, apply_remove, &noun_receipt, &key);
}

void store_remove_invite(struct store_change *c, struct id invite_id)
{
	struct invite key = {.invite_id = invite_id};
	verb_new(c, apply_remove, &noun_invite, &key);
}

void store_remove_token(struct store_change *c, struct id token_id)
{
	struct token key = {.token_id = token_id};
	verb_new(c, apply_remove, &noun_token, &key);
}

void store_remove_approval(struct store_change *c, struct id approval_id)
{
	struct approval key = {.approval_id = approval_id};
	verb_new(c, apply_remove, &noun_approval, &key);
}

void store_add_archived(struct store_change *c, const struct archived *more)
{
	verb_new(c, apply_archived, &noun_archived, more);
}

void store_remove_campaign(struct store_change *c, struct id campaign_id)
{
	struct campaign key = {.campaign_id = campaign_id};
	verb_new(c, apply_remove, &noun_campaign, &key);
}

void store_remove_member(struct store_change *c, struct id campaign_id, uint64_t position)
{
	struct campaign_member key = {.campaign_id = campaign_id, .position = position};
	verb_new(c, apply_remove, &noun_member, &key);
}

void store_keep_answer(struct store_change *c, const struct kept_answer *k)
{
	verb_new(c, apply_keep_answer, &noun_kept, k);
}

void store_put_kept_answer(struct store_change *c, const struct kept_answer *k)
{
	verb_new(c, apply_kept_known, &noun_kept, k);
}

void store_end_kept_answers(struct store_change *c, int64_t until)
{
	struct kept_answer k = {.at = until};
	verb_new(c, apply_end_kept, &noun_kept, &k);
}

void store_tell(struct store_change *c, const struct notice *n, enum notice_step step)
{
	verb_new(c, apply_tell, &noun_notice, n)->floor = (uint64_t)step;
}

void store_add_trouble(struct store_change *c, const struct notice *n, enum notice_topic topic, enum notice_step step)
{
	struct store_verb *v = verb_new(c, apply_trouble, &noun_notice, n);
	v->number = (uint64_t)topic;
	v->floor = (uint64_t)step;
}

void store_end_troubles(struct store_change *c, const struct notice *n, unsigned topics, enum notice_step step)
{
	struct store_verb *v = verb_new(c, apply_trouble_over, &noun_notice, n);
	v->number = topics;
	v->floor = (uint64_t)step;
}

void store_end_notice(struct store_change *c, const char *key, int64_t at)
{
	struct notice      over = {.at = at};
	struct store_verb *v = verb_new(c, apply_notice_over, &noun_notice, &over);
	text_into(((struct notice *)v->row)->key, sizeof(over.key), key, v);
}

void store_remove_drill(struct store_change *c, struct id campaign_id)
{
	struct drill key = {.campaign_id = campaign_id};
	verb_new(c, apply_remove, &noun_drill_report, &(struct report_row){.campaign_id = campaign_id});
	verb_new(c, apply_remove, &noun_drill, &key);
}

void store_remove_notice(struct store_change *c, struct id notice_id)
{
	struct notice key = {.notice_id = notice_id};
	verb_new(c, apply_notice_gone, &noun_notice, &key);
}

void store_put_delivery(struct store_change *c, const struct delivery *d)
{
	verb_new(c, apply_delivery, &noun_delivery, d);
}

/* The notice carries what the verb needs of it. */
void store_remind(struct store_change *c, struct id notice_id, enum delivery_kind kind, const char *channels, int64_t at, int64_t next)
{
	struct notice      n = {.notice_id = notice_id, .at = at, .remind_at = next};
	struct store_verb *v = verb_new(c, apply_remind, &noun_notice, &n);
	v->number = (uint64_t)kind;
	text_into(((struct notice *)v->row)->channels, sizeof(n.channels), channels, v);
}

void store_ack_notice(struct store_change *c, struct id notice_id, int64_t at)
{
	struct notice n = {.notice_id = notice_id, .acked_at = at};
	verb_new(c, apply_ack, &noun_notice, &n);
}

void store_snooze_notice(struct store_change *c, struct id notice_id, int64_t until)
{
	struct notice n = {.notice_id = notice_id, .snoozed_until_at = until};
	verb_new(c, apply_snooze, &noun_notice, &n);
}
