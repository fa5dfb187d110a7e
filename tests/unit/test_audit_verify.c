/* test_audit_verify.c - is every change of an exported trail found, at or before a head that a host keeps, also by somebody who
 * owns the signer's key? And is what is not covered told with its length and age? 1,000 random changes; 10,000 with VCC_LONG=1.
 * Each by a fixed seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "controller/cli/audit_verify.h"
#include "shared/model/messages.h"
#include "shared/pki/key.h"
#include "tests/lib/hierarchy.h"
#include "tests/lib/long_run.h"

#define NOW INT64_C(1790000000000)
enum { ROWS = 120, HEAD_EVERY = 25, KNOWN = 100, LINES_MAX = 400, PEOPLE = 4, RECEIPTS = ROWS / 10, MISSING = 7 };

static struct hierarchy  h;
static struct audit_head heads[ROWS + 1]; /* by size; size 0 = none was signed */
static struct known_head known = {.from = "clara01"};

struct line {
	uint8_t *p;
	size_t   n;
};
struct text {
	struct line line[LINES_MAX];
	size_t      n;
};
static struct text whole;
static size_t      line_of_known; /* the last line that is covered by `known` */

static uint64_t rng_state;
static uint32_t rng(uint32_t below)
{
	rng_state = rng_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)((rng_state >> 33) % below);
}

/* ---- an export -------------------------------------------------------------------------------------------------- */

static struct audit_person people[PEOPLE];

/* Rows 0, 10, 20... name a receipt each, rows 1, 11, 21... the same again. One was pruned. */
static struct receipt {
	char                 body[32];
	struct buf           signature;
	struct audit_receipt r;
} receipts[RECEIPTS];
static struct key *host_key;
static struct buf  host_spki = BUF_MAX(SPKI_MAX);

static const struct receipt *receipt_of(uint64_t seq)
{
	return seq % 10 <= 1 ? &receipts[seq / 10] : NULL;
}

static void receipts_make(void)
{
	assert_int_equal(key_make(KEY_EC_P256, &host_key), 0);
	assert_int_equal(key_spki(host_key, &host_spki), 0);
	for (size_t i = 0; i < RECEIPTS; i++) {
		struct receipt *x = &receipts[i];
		snprintf(x->body, sizeof(x->body), "receipt %zu", i);
		x->signature = (struct buf)BUF_MAX(AUDIT_SIGNATURE_MAX);
		struct span body = {(const uint8_t *)x->body, strlen(x->body)};
		assert_int_equal(key_sign(host_key, LABEL_RECEIPT, body, &x->signature), 0);
		x->r = (struct audit_receipt){buf_span(&host_spki), i + 1, body, buf_span(&x->signature)};
	}
}

static void detail_make(uint64_t seq, char ret[400])
{
	const struct receipt *x = receipt_of(seq);
	struct hash           host, hash;
	char                  text[2][HASH_TEXT_SIZE];
	if (x == NULL)
		return;
	digest_sha256(x->r.host_spki, &host);
	digest_sha256(x->r.body, &hash);
	snprintf(ret, 400, "{\"" AUDIT_DETAIL_HOST "\":\"%s\",\"" AUDIT_DETAIL_RECEIPT_SEQ "\":%llu,\"" AUDIT_DETAIL_RECEIPT "\":\"%s\"}",
		 hash_text(host, text[0]), (unsigned long long)x->r.seq, hash_text(hash, text[1]));
}

static void row_make(uint64_t seq, const char *reason, char texts[2][400], struct audit_leaf *ret)
{
	snprintf(texts[0], 200, "clara%02u-web", (unsigned)(seq % 7));
	snprintf(texts[1], 200, "{\"serial\":\"%08X\",\"cause\":\"a \\\"quoted\\\" one, \xc3\xa4\xc3\xb6\"}",
		 (unsigned)(seq * 2654435761u));
	detail_make(seq, texts[1]);
	*ret = (struct audit_leaf){.seq = seq,
				   .at = NOW + (int64_t)seq * 1000,
				   .behind_ms = seq % 31 == 30 ? 5 : 0,
				   .event = audit_event_name((enum audit_event)(seq % AUDIT_EVENT_COUNT)),
				   .actor = seq % 3 == 0 ? people[seq % PEOPLE].alias : "agent:clara01",
				   .object = texts[0],
				   .renewal_id = {{1, 2, (uint8_t)(seq / 5)}},
				   .request_id = {{7, (uint8_t)seq}},
				   .reason = reason,
				   .detail = texts[1]};
	if (seq % 4 == 0)
		ret->renewal_id = (struct id){{0}};
}

static void head_sign(uint64_t size, const struct merkle_frontier *tree, struct audit_head *ret)
{
	struct buf signature = BUF_MAX(AUDIT_SIGNATURE_MAX);
	uint8_t    body[AUDIT_HEAD_BODY];
	*ret = (struct audit_head){.size = size, .at = NOW + (int64_t)size * 1000 + 1};
	merkle_root(digest_sha256_two, tree, &ret->root);
	strcpy(ret->issuer_id, h.issuer[ISSUER_AGENT].issuer_id);
	audit_head_body(size, ret->root, ret->at, body);
	assert_int_equal(key_sign(h.key[ISSUER_AGENT], LABEL_HEAD, SPAN_OF(body), &signature), 0);
	memcpy(ret->signature, signature.p, signature.n);
	ret->signature_len = (uint16_t)signature.n;
	buf_free(&signature);
}

static void line_take(struct text *t, struct buf *b)
{
	assert_int_equal(buf_error(b), 0);
	assert_true(t->n < LINES_MAX);
	t->line[t->n].p = malloc(b->n);
	memcpy(t->line[t->n].p, b->p, b->n);
	t->line[t->n++].n = b->n;
	buf_reset(b);
}

/* `odd`: this row has another reason, and everything after it is signed anew; SIZE_MAX = none. `sign`: with heads at all. */
static void trail_make(size_t odd, bool sign, bool with_people, struct text *to)
{
	struct merkle_frontier tree = {.size = 0};
	struct merkle_made     made[MERKLE_LEVELS];
	struct buf             b = BUF_MAX(AUDIT_LINE_MAX), leaf_text = BUF_MAX(AUDIT_LEAF_MAX);
	uint64_t               n_heads = 0;
	audit_line_begin(&tree, &b), line_take(to, &b);
	audit_line_issuer(h.issuer[ISSUER_AGENT].issuer_id, hierarchy_der(&h, ISSUER_AGENT), &b), line_take(to, &b);
	for (size_t i = 0; with_people && i < PEOPLE - 1; i++) /* the last one is forgotten */
		audit_line_person(&people[i], &b), line_take(to, &b);
	for (uint64_t seq = 0; seq < ROWS; seq++) {
		char              texts[2][400];
		struct audit_leaf row;
		struct audit_head head;
		struct hash       leaf;
		row_make(seq, seq == odd ? "another reason" : "the one reason", texts, &row);
		buf_reset(&leaf_text);
		audit_leaf_text(&row, &leaf_text);
		merkle_leaf(digest_sha256_two, leaf_text.p, leaf_text.n, &leaf);
		merkle_append(digest_sha256_two, &tree, &leaf, made);
		audit_line_row(&row, &b), line_take(to, &b);
		if (seq % 10 == 0 && seq / 10 != MISSING)
			audit_line_receipt(&receipts[seq / 10].r, &b), line_take(to, &b);
		if ((seq + 1) % HEAD_EVERY != 0 || !sign)
			continue;
		head_sign(seq + 1, &tree, &head);
		if (odd == SIZE_MAX)
			heads[seq + 1] = head;
		audit_line_head(&head, &b), line_take(to, &b);
		n_heads++;
		if (seq + 1 == KNOWN)
			line_of_known = to->n - 1;
	}
	audit_line_end(&(struct audit_line_counts){ROWS, n_heads, with_people ? PEOPLE - 1 : 0, RECEIPTS - 1}, &b), line_take(to, &b);
	buf_free(&b);
	buf_free(&leaf_text);
}

static void text_free(struct text *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->line[i].p);
	t->n = 0;
}

static void text_copy_of(const struct text *from, struct text *to)
{
	*to = *from;
	for (size_t i = 0; i < to->n; i++) {
		to->line[i].p = malloc(from->line[i].n + 2);
		memcpy(to->line[i].p, from->line[i].p, from->line[i].n);
	}
}

static int judge(const struct text *t, const struct known_head *k, size_t n_known, struct verify_report *ret,
		 struct refusal *why)
{
	struct verifier *v;
	memset(why, 0, sizeof(*why));
	assert_int_equal(verifier_new(hierarchy_der(&h, ISSUER_ROOT), k, n_known, &v), 0);
	int r = 0;
	for (size_t i = 0; i < t->n && r == 0; i++)
		r = verifier_line(v, (struct span){t->line[i].p, t->line[i].n}, why);
	if (r == 0)
		r = verifier_end(v, ret, why);
	verifier_free(v);
	if (r != 0) {
		assert_int_equal(why->code, r);
		assert_true(why->object[0] != '\0');
	}
	return r;
}

static int setup(void **state)
{
	static const char *const names[PEOPLE] = {"alice", "bob", "carol", "dave"};
	(void)state;
	hierarchy_make(&h, NOW, KEY_EC_P256, "");
	for (size_t i = 0; i < PEOPLE; i++) {
		strcpy(people[i].name, names[i]);
		people[i].salt = (struct hash){{(uint8_t)(i + 1), 9}};
		audit_alias(digest_sha256_two, names[i], people[i].salt, people[i].alias);
	}
	receipts_make();
	trail_make(SIZE_MAX, true, true, &whole);
	known.head = heads[KNOWN];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	text_free(&whole);
	hierarchy_free(&h);
	for (size_t i = 0; i < RECEIPTS; i++)
		buf_free(&receipts[i].signature);
	buf_free(&host_spki);
	key_free(host_key);
	return 0;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void an_untouched_trail_is_verified(void **state)
{
	(void)state;
	struct verify_report r;
	struct refusal       why;
	assert_int_equal(judge(&whole, &known, 1, &r, &why), 0);
	assert_int_equal(r.n.rows, ROWS);
	assert_int_equal(r.n.heads, ROWS / HEAD_EVERY);
	assert_int_equal(r.n.persons, PEOPLE - 1);
	assert_int_equal(r.n.receipts, RECEIPTS - 1);
	assert_int_equal(r.receipts_missing, 2); /* two rows rest on the one that was pruned */
	assert_int_equal(r.signed_size, KNOWN); /* the last multiple of HEAD_EVERY */
	assert_int_equal(r.known_size, KNOWN);
	assert_int_equal(r.unknown_at, NOW + KNOWN * 1000); /* the tail, by its first row */
	assert_int_equal(r.last_at, NOW + (ROWS - 1) * 1000);
	assert_int_equal(r.clock_steps, 3);
	assert_true(r.redacted > 0);
	uint64_t redacted = 0;
	for (uint64_t seq = 0; seq < ROWS; seq++)
		redacted += seq % 3 == 0 && seq % PEOPLE == PEOPLE - 1;
	assert_int_equal(r.redacted, redacted);
	assert_int_equal(judge(&whole, NULL, 0, &r, &why), 0); /* nobody keeps any: all of it is the tail */
	assert_int_equal(r.known_size, 0);
	assert_int_equal(r.unknown_at, NOW);
}

/* Names can be left out, and people forgotten: the same tree, the same heads. */
static void without_names_it_is_the_same_trail(void **state)
{
	(void)state;
	struct text          t = {.n = 0};
	struct verify_report r;
	struct refusal       why;
	size_t               line = line_of_known;
	trail_make(SIZE_MAX, true, false, &t);
	line_of_known = line;
	assert_int_equal(judge(&t, &known, 1, &r, &why), 0);
	assert_int_equal(r.redacted, ROWS / 3);
	text_free(&t);
}

/* The whole history made anew and signed by the signer's own key: only what a host keeps tells. */
static void history_signed_anew_is_found_by_a_host(void **state)
{
	(void)state;
	for (size_t odd = 0; odd < KNOWN; odd += 9) {
		struct text          t = {.n = 0};
		struct verify_report r;
		struct refusal       why;
		size_t               line = line_of_known;
		trail_make(odd, true, true, &t);
		line_of_known = line;
		assert_int_equal(judge(&t, NULL, 0, &r, &why), 0);
		assert_int_equal(judge(&t, &known, 1, &r, &why), E_AUDIT_ROWS);
		assert_non_null(strstr(why.object, "row "));
		text_free(&t);
	}
}

static void a_head_beyond_the_end_is_told(void **state)
{
	(void)state;
	struct known_head    later = known;
	struct verify_report r;
	struct refusal       why;
	later.head.size = ROWS + 1;
	assert_int_equal(judge(&whole, &later, 1, &r, &why), E_AUDIT_SHORT);
	assert_string_equal(why.object, "clara01");
	later.head.size = ROWS;
	assert_int_equal(judge(&whole, &later, 1, &r, &why), E_AUDIT_ROWS);
}

static void a_foreign_root_or_signature_is_refused(void **state)
{
	(void)state;
	struct hierarchy  other;
	struct audit_head head = heads[KNOWN];
	struct refusal    why;
	hierarchy_make(&other, NOW, KEY_EC_P256, "");
	struct span roots = hierarchy_der(&h, ISSUER_ROOT), foreign = hierarchy_der(&other, ISSUER_ROOT),
		    ca = hierarchy_der(&h, ISSUER_AGENT);
	assert_int_equal(verify_head_signature(&head, ca, roots, &why), 0);
	assert_int_equal(verify_head_signature(&head, ca, foreign, &why), E_AUDIT_SIGNER);
	assert_int_equal(verify_head_signature(&head, hierarchy_der(&h, ISSUER_SERVICE), roots, &why), E_AUDIT_SIGNER);
	head.size++;
	assert_int_equal(verify_head_signature(&head, ca, roots, &why), E_AUDIT_SIGNER);
	hierarchy_free(&other);
}

static size_t line_with(const struct text *t, const char *word, size_t nth)
{
	for (size_t i = 0; i < t->n; i++)
		if (memmem(t->line[i].p, t->line[i].n, word, strlen(word)) != NULL && nth-- == 0)
			return i;
	fail_msg("no line with %s", word);
	return 0;
}

/* Written as it must be, but by another key, of another host, or about something else: nobody can put words into a host's mouth. */
static void a_receipt_that_its_host_did_not_sign_is_refused(void **state)
{
	(void)state;
	struct key *other_key = NULL;
	struct buf  other_spki = BUF_MAX(SPKI_MAX), signature = BUF_MAX(AUDIT_SIGNATURE_MAX), b = BUF_MAX(AUDIT_LINE_MAX);
	assert_int_equal(key_make(KEY_EC_P256, &other_key), 0);
	assert_int_equal(key_spki(other_key, &other_spki), 0);
	assert_int_equal(key_sign(other_key, LABEL_RECEIPT, receipts[3].r.body, &signature), 0);
	struct audit_receipt wrong[] = {receipts[3].r, receipts[3].r, receipts[3].r, receipts[3].r};
	wrong[0].signature = buf_span(&signature);
	wrong[1].host_spki = buf_span(&other_spki), wrong[1].signature = buf_span(&signature);
	wrong[2].body = receipts[4].r.body, wrong[2].signature = receipts[4].r.signature;
	wrong[3].signature = receipts[4].r.signature;
	for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
		struct text          t;
		struct verify_report r;
		struct refusal       why;
		text_copy_of(&whole, &t);
		size_t at = line_with(&t, "receipt_of", 3);
		for (size_t x = at; x < t.n; x++)
			free(t.line[x].p);
		t.n = at;
		audit_line_receipt(&wrong[i], &b), line_take(&t, &b);
		for (size_t x = at + 1; x < whole.n; x++) {
			b.n = 0;
			buf_add(&b, whole.line[x].p, whole.line[x].n), line_take(&t, &b);
		}
		assert_int_equal(judge(&t, &known, 1, &r, &why), E_AUDIT_RECEIPT);
		text_free(&t);
	}
	buf_free(&other_spki);
	buf_free(&signature);
	buf_free(&b);
	key_free(other_key);
}

/* Each two neighbours, all that differ: every line has one place. */
static void neighbours_that_changed_places_are_found(void **state)
{
	(void)state;
	struct text t;
	text_copy_of(&whole, &t);
	for (size_t i = 0; i + 1 < t.n; i++) {
		struct verify_report r;
		struct refusal       why;
		struct line          first = t.line[i], second = t.line[i + 1];
		assert_false(first.n == second.n && memcmp(first.p, second.p, first.n) == 0);
		t.line[i] = second;
		t.line[i + 1] = first;
		if (judge(&t, NULL, 0, &r, &why) == 0)
			fail_msg("lines %zu and %zu: %.*s", i + 1, i + 2, (int)(first.n < 80 ? first.n : 80), (const char *)first.p);
		t.line[i] = first;
		t.line[i + 1] = second;
	}
	text_free(&t);
}

/* ---- 10,000 changes --------------------------------------------------------------------------------------------- */

enum change { FLIP, DROP, SWAP, INSERT, TRUNCATE, RECHAIN, CHANGE_COUNT };

static void lines_move(struct text *t, size_t from, size_t to)
{
	memmove(&t->line[to], &t->line[from], (t->n - from) * sizeof(t->line[0]));
}

/* Changes something at or before the known head; false: nothing was changed. */
static bool change(struct text *t, enum change kind)
{
	size_t       i = rng((uint32_t)line_of_known + 1), k = rng((uint32_t)line_of_known + 1);
	struct line *l = &t->line[i];
	switch (kind) {
	case FLIP:
		l->p[rng((uint32_t)l->n)] ^= (uint8_t)(1 << rng(8));
		return true;
	case DROP:
		free(l->p);
		lines_move(t, i + 1, i);
		t->n--;
		return true;
	case SWAP: {
		struct line other = t->line[k];
		if (i == k)
			return false;
		t->line[k] = *l;
		*l = other;
		return true;
	}
	case INSERT: { /* a copy of another line, or of this one */
		struct line copy = {malloc(t->line[k].n), t->line[k].n};
		memcpy(copy.p, t->line[k].p, copy.n);
		lines_move(t, i, i + 1);
		t->n++;
		t->line[i] = copy;
		return true;
	}
	case TRUNCATE: /* inside a line, or between two */
		for (size_t x = i + 1; x < t->n; x++)
			free(t->line[x].p);
		t->n = i + 1;
		l->n = rng(2) == 0 ? l->n : rng((uint32_t)l->n);
		if (l->n == 0) {
			free(l->p);
			t->n--;
		}
		return true;
	default:
		return false;
	}
}

static bool same(const struct text *a, const struct text *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!span_equal((struct span){a->line[i].p, a->line[i].n}, (struct span){b->line[i].p, b->line[i].n}))
			return false;
	return true;
}

static void every_change_before_a_known_head_is_found(void **state)
{
	(void)state;
	const int total = 10000 / (int)sample_step(10);
	int       by_kind[CHANGE_COUNT] = {0};
	for (int seed = 0; seed < total; seed++) {
		struct text          t = {.n = 0};
		struct verify_report r;
		struct refusal       why;
		enum change          kind = (enum change)(seed % CHANGE_COUNT);
		size_t               line = line_of_known;
		rng_state = (uint64_t)seed * 7919 + 1;
		rng(2);
		do { /* until it is another text: two lines may be equal */
			text_free(&t);
			if (kind == RECHAIN)
				trail_make(rng(KNOWN), rng(4) != 0, true, &t);
			else
				text_copy_of(&whole, &t);
			line_of_known = line;
		} while (kind != RECHAIN && (!change(&t, kind) || same(&t, &whole)));
		by_kind[kind]++;
		if (judge(&t, &known, 1, &r, &why) == 0)
			fail_msg("seed %d, kind %d was not found", seed, (int)kind);
		text_free(&t);
	}
	int sum = 0;
	for (int k = 0; k < CHANGE_COUNT; k++) {
		assert_true(by_kind[k] >= total / CHANGE_COUNT);
		sum += by_kind[k];
	}
	print_message("%d changes: %d flips, %d drops, %d swaps, %d insertions, %d cuts, %d new chains; all found\n", sum,
		      by_kind[FLIP], by_kind[DROP], by_kind[SWAP], by_kind[INSERT], by_kind[TRUNCATE], by_kind[RECHAIN]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_untouched_trail_is_verified),
		cmocka_unit_test(without_names_it_is_the_same_trail),
		cmocka_unit_test(history_signed_anew_is_found_by_a_host),
		cmocka_unit_test(a_head_beyond_the_end_is_told),
		cmocka_unit_test(a_foreign_root_or_signature_is_refused),
		cmocka_unit_test(a_receipt_that_its_host_did_not_sign_is_refused),
		cmocka_unit_test(neighbours_that_changed_places_are_found),
		cmocka_unit_test(every_change_before_a_known_head_is_found),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
