/* test_kept_heads.c - which heads of the audit trail does a host believe, and does it ever forget one for another that
 * contradicts it? Never: files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "agent/keeper/kept_heads.h"
#include "shared/pki/key.h"
#include "tests/lib/hierarchy.h"

#define NOW INT64_C(1790000000000)

static struct hierarchy h[2]; /* ours, and somebody else's */

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		hierarchy_make(&h[i], NOW, KEY_EC_P256, "");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++)
		hierarchy_free(&h[i]);
	return 0;
}

static struct msg_head head(uint64_t size, uint8_t root, const struct hierarchy *by, enum issuer_role role,
			    struct buf *signature)
{
	struct msg_head m = {.size = size, .root = {{root}}, .at = NOW};
	uint8_t         body[AUDIT_HEAD_BODY];
	signature->max = MSG_SIGNATURE_MAX;
	buf_reset(signature);
	audit_head_body(m.size, m.root, m.at, body);
	assert_int_equal(key_sign(by->key[role], LABEL_HEAD, SPAN_OF(body), signature), 0);
	m.certificate = hierarchy_der(by, role);
	m.signature = buf_span(signature);
	return m;
}

static void only_our_authorities_are_believed(void **state)
{
	(void)state;
	struct buf      signature = BUF_MAX(MSG_SIGNATURE_MAX);
	struct refusal  why;
	struct span     roots = hierarchy_der(&h[0], ISSUER_ROOT);
	struct msg_head m = head(3, 1, &h[0], ISSUER_AGENT, &signature);
	assert_int_equal(kept_heads_check(&m, roots, &why), 0);
	m.size = 4;
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_SIGNATURE);
	m.size = 3, m.root.b[31] = 1;
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_SIGNATURE);
	m.root.b[31] = 0, m.at++;
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_SIGNATURE);
	m.at--, m.certificate = hierarchy_der(&h[0], ISSUER_SERVICE);
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_SIGNATURE);
	m.certificate = (struct span){(const uint8_t *)"xx", 2};
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_CHAIN);
	m = head(3, 1, &h[1], ISSUER_AGENT, &signature);
	assert_int_equal(kept_heads_check(&m, roots, &why), E_PKI_CHAIN);
	buf_free(&signature);
}

static void nothing_is_forgotten_for_a_contradiction(void **state)
{
	(void)state;
	static const struct {
		uint64_t size;
		uint8_t  root;
		int      code;
		bool     is_new;
	} steps[] = {
		{0, 1, E_RANGE, false},
		{10, 1, 0, true},
		{10, 1, 0, false},
		{10, 2, E_AUDIT_HEAD_KEPT, false},
		{9, 1, E_AUDIT_HEAD_KEPT, false},
		{12, 3, 0, true},
		{10, 1, 0, false},
		{10, 3, E_AUDIT_HEAD_KEPT, false},
		{11, 9, E_AUDIT_HEAD_KEPT, false},
		{13, 4, 0, true},
		{14, 5, 0, true},
		{15, 6, 0, true}, /* 10 is too old to be kept now */
		{10, 1, E_AUDIT_HEAD_KEPT, false},
		{12, 3, 0, false},
		{15, 7, E_AUDIT_HEAD_KEPT, false},
	};
	struct buf        signature = BUF_MAX(MSG_SIGNATURE_MAX);
	struct kept_heads kept = {.n = 0};
	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		struct msg_head   m = head(steps[i].size, steps[i].root, &h[0], ISSUER_AGENT, &signature);
		struct kept_heads before = kept;
		struct refusal    why;
		bool              is_new = false;
		assert_int_equal(kept_heads_take(&kept, &m, &is_new, &why), steps[i].code);
		assert_int_equal(is_new, steps[i].is_new);
		if (!is_new)
			assert_memory_equal(&kept, &before, sizeof(kept));
		else
			assert_int_equal(kept.row[0].size, steps[i].size);
	}
	assert_int_equal(kept.n, KEPT_HEADS_MAX);
	struct msg_head m = head(99, 1, &h[0], ISSUER_AGENT, &signature);
	struct refusal  why;
	bool            is_new;
	m.certificate.n = KEPT_CERTIFICATE_MAX + 1;
	assert_int_equal(kept_heads_take(&kept, &m, &is_new, &why), E_RANGE);
	buf_free(&signature);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_our_authorities_are_believed),
		cmocka_unit_test(nothing_is_forgotten_for_a_contradiction),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
