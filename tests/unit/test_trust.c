/* test_trust.c - can anybody but the current roots change what this host trusts?
 * Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/trust.h"
#include "shared/wire/wire.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)
enum { N = 3 };

static struct hierarchy h[N]; /* three roots */
static struct hash      pin;

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < N; i++)
		hierarchy_make(&h[i], NOW, KEY_EC_P256, "");
	digest_sha256(hierarchy_der(&h[0], ISSUER_ROOT), &pin);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < N; i++)
		hierarchy_free(&h[i]);
	return 0;
}

/* A bundle frame of the roots in bit set `roots`, signed by those in `signers` (doubled when bit 8 + i is set). */
static void bundle(uint64_t epoch, struct hash previous, uint32_t threshold, unsigned roots, unsigned signers, struct buf *to)
{
	static struct body_bundle body;
	struct msg_bundle         message = {.n_signatures = 0};
	struct buf                bytes = BUF_MAX(FRAME_MAX);
	struct buf                signatures[MSG_ROOTS_MAX];
	memset(&body, 0, sizeof(body));
	body.epoch = epoch;
	body.previous = previous;
	body.threshold = threshold;
	for (unsigned i = 0; i < N; i++)
		if ((roots & 1u << i) != 0)
			body.roots[body.n_roots++].certificate = hierarchy_der(&h[i], ISSUER_ROOT);
	assert_int_equal(wire_body_encode(&wire_body_bundle, &body, &bytes), 0);
	for (unsigned i = 0; i < 2 * N; i++) {
		if ((signers & (i < N ? 1u << i : 1u << (8 + i - N))) == 0 || message.n_signatures == MSG_ROOTS_MAX)
			continue;
		struct cert_info         info;
		struct bundle_signature *s = &message.signatures[message.n_signatures];
		struct buf              *b = &signatures[message.n_signatures++];
		*b = (struct buf)BUF_MAX(MSG_SIGNATURE_MAX);
		assert_int_equal(cert_read(hierarchy_der(&h[i % N], ISSUER_ROOT), &info), 0);
		assert_int_equal(key_sign(h[i % N].key[ISSUER_ROOT], LABEL_BUNDLE, buf_span(&bytes), b), 0);
		s->key = info.spki_hash;
		s->signature = buf_span(b);
	}
	message.body = buf_span(&bytes);
	buf_reset(to);
	assert_int_equal(wire_encode(&wire_agent, MSG_BUNDLE, 1, &message, to), 0);
	for (unsigned i = 0; i < message.n_signatures; i++)
		buf_free(&signatures[i]);
	buf_free(&bytes);
}

static void first_bundle(void **state)
{
	(void)state;
	static const struct {
		uint32_t threshold;
		unsigned roots, signers;
		int      code;
	} rows[] = {
		{1, 1, 1, 0},
		{2, 3, 3, 0},
		{2, 3, 1, E_SWAP_BUNDLE},            /* too few */
		{2, 3, 1 | 1u << 8, E_SWAP_BUNDLE},  /* one root twice is one */
		{1, 2, 2, E_LINK_PIN},               /* the pinned root is not in it */
		{1, 3, 2, E_LINK_PIN},               /* it is, but did not sign */
		{1, 1, 2, E_SWAP_BUNDLE},            /* signed by a stranger */
		{0, 1, 1, E_SWAP_BUNDLE},
		{2, 1, 1, E_SWAP_BUNDLE},
		{1, 0, 1, E_SWAP_BUNDLE},
	};
	struct buf frame = BUF_MAX(FRAME_MAX);
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct trust   t = {.epoch = 0};
		struct refusal why = {.code = 0};
		bundle(1, (struct hash){{0}}, rows[i].threshold, rows[i].roots, rows[i].signers, &frame);
		int r = trust_first(buf_span(&frame), pin, &t, &why);
		if (r != rows[i].code)
			print_message("row %zu: %s\n", i, why.cause);
		assert_int_equal(r, rows[i].code);
		trust_free(&t);
	}
	buf_free(&frame);
}

static void next_bundle(void **state)
{
	(void)state;
	struct buf     frame = BUF_MAX(FRAME_MAX);
	struct trust   now = {.epoch = 0};
	struct refusal why = {.code = 0};
	bundle(5, (struct hash){{0}}, 2, 3, 3, &frame);
	assert_int_equal(trust_first(buf_span(&frame), pin, &now, &why), 0);
	const struct {
		uint64_t    epoch;
		struct hash previous;
		unsigned    roots, signers;
		int         code;
	} rows[] = {
		{6, now.hash, 7, 3, 0},
		{9, now.hash, 4, 3, 0},                       /* other roots, if both current ones say so */
		{5, now.hash, 7, 3, E_SWAP_BUNDLE},           /* not newer */
		{4, now.hash, 7, 3, E_SWAP_BUNDLE},
		{6, {{1}}, 7, 3, E_SWAP_BUNDLE},              /* another history */
		{6, now.hash, 7, 1, E_SWAP_BUNDLE},           /* one of two */
		{6, now.hash, 7, 5, E_SWAP_BUNDLE},           /* one of two, and its own new root */
		{6, now.hash, 7, 1 | 1u << 8, E_SWAP_BUNDLE}, /* one root twice */
		{6, now.hash, 4, 4, E_SWAP_BUNDLE},           /* a captured controller with a root of its own */
	};
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct trust next = {.epoch = 0};
		bundle(rows[i].epoch, rows[i].previous, 1, rows[i].roots, rows[i].signers, &frame);
		int r = trust_next(&now, buf_span(&frame), &next, &why);
		if (r != rows[i].code)
			print_message("row %zu: %s\n", i, why.cause);
		assert_int_equal(r, rows[i].code);
		trust_free(&next);
	}
	trust_free(&now);
	buf_free(&frame);
}

static void altered_after_signing(void **state)
{
	(void)state;
	struct buf     frame = BUF_MAX(FRAME_MAX);
	struct refusal why;
	size_t         accepted = 0;
	bundle(1, (struct hash){{0}}, 1, 1, 1, &frame);
	for (size_t i = 0; i < frame.n; i++) {
		struct trust t = {.epoch = 0};
		frame.p[i] ^= 1;
		accepted += trust_first(buf_span(&frame), pin, &t, &why) == 0;
		frame.p[i] ^= 1;
		trust_free(&t);
	}
	/* only the envelope's id is not signed */
	assert_true(accepted <= 1);
	buf_free(&frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(first_bundle), cmocka_unit_test(next_bundle), cmocka_unit_test(altered_after_signing)};
	return cmocka_run_group_tests(tests, setup, teardown);
}
