/* test_receipts.c - does a receipt stay until the controller has committed it, and is its number never used twice?
 * Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/receipts.h"
#include "shared/wire/wire.h"

static struct key *host;

static int setup(void **state)
{
	(void)state;
	return key_make(KEY_EC_P256, &host);
}

static int teardown(void **state)
{
	(void)state;
	key_free(host);
	return 0;
}

static struct receipt_kept *make(struct receipts *r, size_t ahead)
{
	static struct body_receipt body;
	struct receipt_kept       *one = NULL;
	memset(&body, 0, sizeof(body));
	strcpy(body.cert_id, "clara01-web");
	body.outcome = RECEIPT_SETTLED;
	assert_int_equal(receipt_make(r, ahead, host, &body, &one), 0);
	return one;
}

static void signed_and_numbered(void **state)
{
	(void)state;
	static struct body_receipt body;
	struct receipts            r = {.first = NULL};
	struct receipt_kept       *a = make(&r, 0);
	struct receipt_kept       *b = make(&r, 1);
	assert_int_equal(r.n, 0); /* not in the outbox before it is durable */
	receipts_add(&r, a);
	receipts_add(&r, b);
	assert_int_equal(key_verify(host, LABEL_RECEIPT, buf_span(&a->body), buf_span(&a->signature)), 0);
	assert_int_equal(key_verify(host, LABEL_RECEIPT, buf_span(&a->body), buf_span(&b->signature)), E_PKI_SIGNATURE);
	assert_int_equal(wire_body_decode(&wire_body_receipt, buf_span(&b->body), &body), 0);
	assert_int_equal(body.seq, 2);
	assert_int_equal(r.last_seq, 2);
	receipts_free(&r);
}

static void acknowledged(void **state)
{
	(void)state;
	struct receipts r = {.first = NULL};
	for (int i = 0; i < 5; i++)
		receipts_add(&r, make(&r, 0));
	assert_true(receipts_ack_one(&r, 3)); /* out of order */
	assert_int_equal(r.n, 4);
	assert_int_equal(r.acked, 0);
	assert_false(receipts_ack_one(&r, 3));
	assert_true(receipts_ack(&r, 2));
	assert_int_equal(r.n, 2);
	assert_int_equal(r.first->seq, 4);
	assert_false(receipts_ack(&r, 1));
	assert_true(receipts_ack_one(&r, 4));
	assert_true(receipts_ack_one(&r, 5));
	assert_int_equal(r.acked, 5);
	assert_int_equal(r.n, 0);
	struct receipt_kept *next = make(&r, 0);
	assert_int_equal(next->seq, 6);
	receipt_free(next);
	/* the controller counts higher than we: our state was lost, numbers go on above its */
	bool changed = true;
	assert_int_equal(receipts_follow(&r, 40, host, &changed), 0);
	assert_false(changed);
	next = make(&r, 0);
	assert_int_equal(next->seq, 41);
	receipt_free(next);
	receipts_free(&r);
}

static void after_a_restart(void **state)
{
	(void)state;
	struct receipts      r = {.first = NULL};
	struct receipts      again = {.first = NULL};
	struct record_acked  acked;
	for (int i = 0; i < 3; i++)
		receipts_add(&r, make(&r, 0));
	(void)receipts_ack(&r, 1);
	acked = receipts_acked(&r);
	receipts_loaded_acked(&again, &acked);
	for (const struct receipt_kept *one = r.first; one != NULL; one = one->next) {
		struct record_receipt record = receipt_record(one);
		assert_int_equal(receipts_load(&again, &record), 0);
	}
	assert_int_equal(again.n, 2);
	assert_int_equal(again.last_seq, 3);
	assert_int_equal(again.first->seq, 2);
	assert_true(span_equal(buf_span(&again.first->body), buf_span(&r.first->body)));
	receipts_free(&r);
	receipts_free(&again);
}

static uint64_t number_in(const struct receipt_kept *one)
{
	static struct body_receipt body;
	assert_int_equal(wire_body_decode(&wire_body_receipt, buf_span(&one->body), &body), 0);
	assert_int_equal(key_verify(host, LABEL_RECEIPT, buf_span(&one->body), buf_span(&one->signature)), 0);
	assert_string_equal(body.cert_id, "clara01-web");
	assert_int_equal(body.seq, one->seq);
	return body.seq;
}

/* Numbers that wait, what the controller has, and the numbers afterwards; 0 ends a row. */
static void follows_the_controller(void **state)
{
	(void)state;
	static const struct {
		uint64_t first, n, taken; /* first..first+n-1 wait */
		uint64_t want[4];
		uint64_t last;
		bool     changed;
	} rows[] = {
		{4, 3, 3, {4, 5, 6}, 6, false},  /* as it should be */
		{4, 3, 4, {4, 5, 6}, 6, false},  /* 4 is durable, its ack was lost: sent again */
		{4, 3, 6, {4, 5, 6}, 6, false},  /* all are, or a copy used the numbers: asked one by one */
		{4, 3, 40, {4, 5, 6}, 40, false},
		{4, 3, 1, {2, 3, 4}, 4, true},   /* the controller was restored from a backup */
		{4, 3, 0, {1, 2, 3}, 3, true},
		{4, 0, 1, {0}, 1, false},        /* nothing waits: the next one fits */
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct receipts r = {.last_seq = rows[i].first - 1, .acked = rows[i].first - 1};
		bool            changed = !rows[i].changed;
		for (uint64_t n = 0; n < rows[i].n; n++)
			receipts_add(&r, make(&r, 0));
		assert_int_equal(receipts_follow(&r, rows[i].taken, host, &changed), 0);
		assert_int_equal(changed, rows[i].changed);
		assert_int_equal(r.last_seq, rows[i].last);
		size_t at = 0;
		for (const struct receipt_kept *one = r.first; one != NULL; one = one->next)
			assert_int_equal(number_in(one), rows[i].want[at++]);
		assert_int_equal(at, rows[i].n);
		/* and a restart loses none of them */
		struct receipts     again = {.first = NULL};
		struct record_acked acked = receipts_acked(&r);
		receipts_loaded_acked(&again, &acked);
		for (const struct receipt_kept *one = r.first; one != NULL; one = one->next) {
			struct record_receipt record = receipt_record(one);
			assert_int_equal(receipts_load(&again, &record), 0);
		}
		assert_int_equal(again.n, rows[i].n);
		assert_int_equal(again.last_seq, rows[i].last);
		receipts_free(&again);
		receipts_free(&r);
	}
	struct receipts r = {.last_seq = 4};
	bool            changed = false;
	receipts_add(&r, make(&r, 0));
	assert_int_equal(receipts_follow(&r, UINT64_MAX, host, &changed), E_RANGE);
	assert_int_equal(r.last_seq, 5);
	receipts_free(&r);
}

static void a_number_of_somebody_else(void **state)
{
	(void)state;
	struct receipts r = {.last_seq = 10, .acked = 10};
	bool            changed = false;
	receipts_add(&r, make(&r, 0));
	receipts_add(&r, make(&r, 0));
	assert_int_equal(receipts_follow(&r, 12, host, &changed), 0); /* a copy of this host used 11 and 12 */
	assert_int_equal(receipts_renumber(&r, 11, host), 0);
	assert_int_equal(receipts_renumber(&r, 12, host), 0);
	assert_int_equal(receipts_renumber(&r, 12, host), E_NOT_FOUND);
	assert_int_equal(r.n, 2);
	assert_int_equal(number_in(r.first), 13);
	assert_int_equal(number_in(r.first->next), 14);
	assert_true(receipts_ack_one(&r, 13));
	assert_true(receipts_ack_one(&r, 14));
	assert_int_equal(r.acked, 14);
	receipts_free(&r);
}

static void full(void **state)
{
	(void)state;
	struct receipts            r = {.n = RECEIPTS_MAX};
	static struct body_receipt body;
	struct receipt_kept       *one = NULL;
	assert_int_equal(receipt_make(&r, 0, host, &body, &one), E_FULL);
	assert_null(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(signed_and_numbered), cmocka_unit_test(acknowledged),
	                                   cmocka_unit_test(follows_the_controller), cmocka_unit_test(a_number_of_somebody_else),
	                                   cmocka_unit_test(after_a_restart), cmocka_unit_test(full)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
