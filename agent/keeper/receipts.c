/* receipts.c - room agent/keeper: signed receipts: in the journal before they are sent, sent until they are acknowledged.
 * Never: dropping one that the controller has not committed. */
#include "agent/keeper/receipts.h"

#include <stdlib.h>
#include <string.h>

#include "shared/wire/wire.h"

static struct receipt_kept *receipt_new(void)
{
	struct receipt_kept *one = calloc(1, sizeof(*one));
	if (one != NULL) {
		one->body = (struct buf)BUF_MAX(FRAME_MAX / 2);
		one->signature = (struct buf)BUF_MAX(MSG_SIGNATURE_MAX);
	}
	return one;
}

void receipt_free(struct receipt_kept *one)
{
	if (one == NULL)
		return;
	buf_free(&one->body);
	buf_free(&one->signature);
	free(one);
}

int receipt_make(const struct receipts *r, size_t ahead, const struct key *host_key, struct body_receipt *body,
                 struct receipt_kept **ret)
{
	if (r->n + ahead >= RECEIPTS_MAX)
		return E_FULL;
	struct receipt_kept *one = receipt_new();
	if (one == NULL)
		return E_NOMEM;
	body->seq = r->last_seq + 1 + ahead;
	one->seq = body->seq;
	one->renewal_id = body->renewal_id;
	one->attempt = body->attempt;
	one->outcome = body->outcome;
	memcpy(one->cert_id, body->cert_id, sizeof(one->cert_id));
	int code = wire_body_encode(&wire_body_receipt, body, &one->body);
	if (code == 0)
		code = key_sign(host_key, LABEL_RECEIPT, buf_span(&one->body), &one->signature);
	if (code != 0) {
		receipt_free(one);
		return code;
	}
	*ret = one;
	return 0;
}

struct record_receipt receipt_record(const struct receipt_kept *r)
{
	struct record_receipt record = {
		.seq = r->seq,
		.renewal_id = r->renewal_id,
		.attempt = r->attempt,
		.outcome = r->outcome,
		.body = buf_span(&r->body),
		.signature = buf_span(&r->signature),
	};
	memcpy(record.cert_id, r->cert_id, sizeof(record.cert_id));
	return record;
}

void receipts_add(struct receipts *r, struct receipt_kept *one)
{
	struct receipt_kept **at = &r->first;
	while (*at != NULL)
		at = &(*at)->next;
	*at = one;
	r->n++;
	r->last_seq = one->seq > r->last_seq ? one->seq : r->last_seq;
}

bool receipts_ack(struct receipts *r, uint64_t seq)
{
	if (seq <= r->acked && seq <= r->last_seq)
		return false;
	while (r->first != NULL && r->first->seq <= seq) {
		struct receipt_kept *one = r->first;
		r->first = one->next;
		r->n--;
		receipt_free(one);
	}
	r->acked = seq > r->acked ? seq : r->acked;
	r->last_seq = seq > r->last_seq ? seq : r->last_seq;
	return true;
}

bool receipts_ack_one(struct receipts *r, uint64_t seq)
{
	for (struct receipt_kept **at = &r->first; *at != NULL; at = &(*at)->next) {
		struct receipt_kept *one = *at;
		if (one->seq != seq)
			continue;
		*at = one->next;
		r->n--;
		receipt_free(one);
		r->acked = r->first != NULL ? r->first->seq - 1 : r->last_seq;
		return true;
	}
	return false;
}

/* The same account under another number, signed once more. */
static int receipt_number(struct receipt_kept *one, uint64_t seq, const struct key *host_key)
{
	struct body_receipt *body = calloc(1, sizeof(*body));
	struct receipt_kept *again = receipt_new();
	int                  code = body != NULL && again != NULL ? 0 : E_NOMEM;
	if (code == 0)
		code = wire_body_decode(&wire_body_receipt, buf_span(&one->body), body);
	if (code == 0) {
		body->seq = seq;
		code = wire_body_encode(&wire_body_receipt, body, &again->body);
	}
	if (code == 0)
		code = key_sign(host_key, LABEL_RECEIPT, buf_span(&again->body), &again->signature);
	if (code == 0) {
		one->seq = seq;
		buf_take(&one->body, &again->body);
		buf_take(&one->signature, &again->signature);
	}
	receipt_free(again);
	free(body);
	return code;
}

int receipts_follow(struct receipts *r, uint64_t taken, const struct key *host_key, bool *ret_changed)
{
	uint64_t next = taken + 1;
	if (taken > UINT64_MAX - RECEIPTS_MAX)
		return E_RANGE;
	*ret_changed = false;
	for (struct receipt_kept *one = r->first; one != NULL; one = one->next) {
		if (one->seq <= taken)
			continue;
		if (one->seq != next) {
			int code = receipt_number(one, next, host_key);
			if (code != 0)
				return code;
			*ret_changed = true;
		}
		next++;
	}
	r->last_seq = next - 1;
	if (r->acked > taken) /* what is numbered down must not look acknowledged after a restart */
		r->acked = taken;
	return 0;
}

int receipts_renumber(struct receipts *r, uint64_t seq, const struct key *host_key)
{
	struct receipt_kept **at = &r->first;
	while (*at != NULL && (*at)->seq != seq)
		at = &(*at)->next;
	struct receipt_kept *one = *at;
	if (one == NULL)
		return E_NOT_FOUND;
	int code = receipt_number(one, r->last_seq + 1, host_key);
	if (code != 0)
		return code;
	*at = one->next;
	one->next = NULL;
	r->n--;
	receipts_add(r, one);
	return 0;
}

struct record_acked receipts_acked(const struct receipts *r)
{
	return (struct record_acked){.seq = r->acked, .last_seq = r->last_seq};
}

int receipts_load(struct receipts *r, const struct record_receipt *record)
{
	struct receipt_kept *one = receipt_new();
	if (one == NULL)
		return E_NOMEM;
	one->seq = record->seq;
	one->renewal_id = record->renewal_id;
	one->attempt = record->attempt;
	one->outcome = record->outcome;
	memcpy(one->cert_id, record->cert_id, sizeof(one->cert_id));
	buf_add(&one->body, record->body.p, record->body.n);
	buf_add(&one->signature, record->signature.p, record->signature.n);
	int code = buf_error(&one->body) != 0 ? buf_error(&one->body) : buf_error(&one->signature);
	if (code != 0 || one->seq <= r->acked) {
		receipt_free(one);
		return code;
	}
	receipts_add(r, one);
	return 0;
}

void receipts_loaded_acked(struct receipts *r, const struct record_acked *record)
{
	(void)receipts_ack(r, record->seq);
	r->last_seq = record->last_seq > r->last_seq ? record->last_seq : r->last_seq;
}

void receipts_free(struct receipts *r)
{
	while (r->first != NULL) {
		struct receipt_kept *one = r->first;
		r->first = one->next;
		receipt_free(one);
	}
	*r = (struct receipts){.first = NULL};
}
