/* test_notice_rule.c - is each step of an order and each record of a campaign told to whom it concerns, and is routine told to nobody?
 * Never: the order's own rules; those are in tests/step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "controller/core/notice_rule.h"
#include "shared/base/text.h"

static const struct {
	const char       *about;
	enum order_phase  was;
	uint32_t          flags; /* afterwards */
	enum order_audit  audit[2];
	int               code;
	enum notice_word  word;
	enum notice_event event;
	bool              ends;
} rows[] = {
	{"an intent", ORDER_ORDERED, 0, {ORDER_AUDIT_INTENT}, 0, NOTICE_WORD_NONE, 0, false},
	{"issued", ORDER_SIGNING, 0, {ORDER_AUDIT_ISSUED}, 0, NOTICE_WORD_NONE, 0, false},
	{"proved on its way", ORDER_DELIVERED, 0, {ORDER_AUDIT_PROVED}, 0, NOTICE_WORD_NONE, 0, false},
	{"completed", ORDER_VERIFIED, 0, {ORDER_AUDIT_PROVED, ORDER_AUDIT_COMPLETED}, 0, NOTICE_WORD_WELL, NOTICE_TROUBLE_RESOLVED, true},
	{"completed, not seen", ORDER_DELIVERED, ORDER_UNVERIFIED, {ORDER_AUDIT_COMPLETED}, E_SWAP_PROBE, NOTICE_WORD_TROUBLE,
         NOTICE_RENEWAL_UNVERIFIED, true},
	{"seen afterwards", ORDER_COMPLETED, 0, {ORDER_AUDIT_PROVED}, 0, NOTICE_WORD_WELL, NOTICE_TROUBLE_RESOLVED, false},
	{"an attempt failed", ORDER_DELIVERED, 0, {ORDER_AUDIT_STEP}, E_SWAP_PROBE, NOTICE_WORD_TROUBLE, NOTICE_RENEWAL_FAILED, false},
	{"a staged key was lost", ORDER_ISSUED, 0, {ORDER_AUDIT_STEP}, E_STAGE_GONE, NOTICE_WORD_NONE, 0, false},
	{"a step of the trail", ORDER_DELIVERED, 0, {ORDER_AUDIT_STEP}, 0, NOTICE_WORD_NONE, 0, false},
	{"paused", ORDER_DELIVERED, 0, {ORDER_AUDIT_PAUSED}, E_SWAP_PROBE, NOTICE_WORD_TROUBLE, NOTICE_RENEWAL_PAUSED, false},
	{"failed for good", ORDER_SIGNING, 0, {ORDER_AUDIT_VOIDED, ORDER_AUDIT_FAILED}, E_SIGNER_LIMIT, NOTICE_WORD_TROUBLE,
         NOTICE_RENEWAL_FAILED, true},
	{"cancelled by a person", ORDER_ORDERED, 0, {ORDER_AUDIT_CANCELLED}, E_SWAP_CANCELLED, NOTICE_WORD_NONE, 0, false},
	{"the way back failed", ORDER_ROLLING_BACK, 0, {ORDER_AUDIT_ROLLBACK_FAILED}, E_SWAP_PROBE, NOTICE_WORD_ONCE, NOTICE_ROLLBACK_FAILED,
         false},
};

static void test_orders(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_ELEMENTS(rows); i++) {
		struct order         was = {.phase = rows[i].was};
		struct order_step    step = {.next = {.flags = rows[i].flags, .code = rows[i].code}};
		struct notice_saying s;
		for (size_t k = 0; k < 2 && rows[i].audit[k] != ORDER_AUDIT_NONE; k++)
			step.act[step.n_act++] = (struct order_action){.kind = ACT_AUDIT, .audit = rows[i].audit[k], .code = rows[i].code};
		step.act[step.n_act++] = (struct order_action){.kind = ACT_CLOSE};
		notice_of_order(&was, &step, &s);
		if (s.word != rows[i].word || s.ends != rows[i].ends || (s.word != NOTICE_WORD_NONE && s.event != rows[i].event))
			fail_msg("%s: word %d, event %s, ends %d", rows[i].about, (int)s.word, notice_event_name(s.event), s.ends);
		if (s.word == NOTICE_WORD_TROUBLE)
			assert_int_equal(s.code, rows[i].code);
	}
}

static void test_campaigns(void **state)
{
	(void)state;
	static const struct {
		enum campaign_kind kind;
		uint32_t           failed;
		enum audit_event   event;
		bool               told;
		enum notice_event  as;
		enum trigger       trigger;
	} campaigns[] = {
		{CAMPAIGN_EMERGENCY, 0, AUDIT_EMERGENCY_STARTED, true, NOTICE_EMERGENCY_STARTED, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 0, AUDIT_EMERGENCY_COMPLETED, true, NOTICE_EMERGENCY_ENDED, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 2, AUDIT_EMERGENCY_COMPLETED, false, 0, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 2, AUDIT_EMERGENCY_FAILED, true, NOTICE_EMERGENCY_FAILED, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 0, AUDIT_CAMPAIGN_CANCELLED, true, NOTICE_EMERGENCY_FAILED, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 0, AUDIT_CAMPAIGN_HALTED, true, NOTICE_EMERGENCY_HALTED, TRIGGER_EMERGENCY},
		{CAMPAIGN_EMERGENCY, 0, AUDIT_CAMPAIGN_UNCONFIRMED, true, NOTICE_EMERGENCY_UNCONFIRMED, TRIGGER_EMERGENCY},
		{CAMPAIGN_BULK, 0, AUDIT_CAMPAIGN_STARTED, false, 0, TRIGGER_MANUAL},
		{CAMPAIGN_BULK, 0, AUDIT_CAMPAIGN_WAVE, false, 0, TRIGGER_MANUAL},
		{CAMPAIGN_BULK, 0, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_CAMPAIGN_ENDED, TRIGGER_MANUAL},
		{CAMPAIGN_BULK, 1, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_CAMPAIGN_FAILED, TRIGGER_MANUAL},
		{CAMPAIGN_BULK, 1, AUDIT_CAMPAIGN_HALTED, true, NOTICE_CAMPAIGN_HALTED, TRIGGER_MANUAL},
		{CAMPAIGN_BULK, 0, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_CAMPAIGN_ENDED, TRIGGER_EMERGENCY},
		{CAMPAIGN_CA, 0, AUDIT_CAMPAIGN_STARTED, false, 0, TRIGGER_MANUAL},
		{CAMPAIGN_CA, 0, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_CAMPAIGN_ENDED, TRIGGER_MANUAL},
		{CAMPAIGN_CA, 0, AUDIT_CAMPAIGN_STARTED, true, NOTICE_EMERGENCY_STARTED, TRIGGER_EMERGENCY},
		{CAMPAIGN_CA, 0, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_EMERGENCY_ENDED, TRIGGER_EMERGENCY},
		{CAMPAIGN_CA, 1, AUDIT_CAMPAIGN_COMPLETED, true, NOTICE_EMERGENCY_FAILED, TRIGGER_EMERGENCY},
		{CAMPAIGN_CA, 1, AUDIT_CAMPAIGN_HALTED, true, NOTICE_EMERGENCY_HALTED, TRIGGER_EMERGENCY},
	};
	for (size_t i = 0; i < N_ELEMENTS(campaigns); i++) {
		struct campaign   c = {
			  .kind = campaigns[i].kind, .trigger = campaigns[i].trigger, .failed = campaigns[i].failed, .total = 3};
		enum notice_event as = NOTICE_EVENT_COUNT;
		bool              told = notice_of_campaign(&c, campaigns[i].event, &as);
		if (told != campaigns[i].told || (told && as != campaigns[i].as))
			fail_msg("row %zu: told %d as %d", i, told, (int)as);
	}
	struct campaign   empty = {.kind = CAMPAIGN_POLICY};
	enum notice_event as;
	assert_false(notice_of_campaign(&empty, AUDIT_CAMPAIGN_COMPLETED, &as));
}

static void test_recipients(void **state)
{
	(void)state;
	char            to[NOTICE_RECIPIENTS_SIZE];
	struct template t = {.notify = "a@x, b@x", .escalation = "b@x,boss@x"};
	for (int e = 0; e < NOTICE_EVENT_COUNT; e++) { /* nothing is told to nobody, but for what takes its recipients from the trouble */
		notice_recipients_of((enum notice_event)e, NULL, to);
		assert_int_equal(to[0] == '\0', e == NOTICE_TROUBLE_RESOLVED);
		assert_string_not_equal(notice_event_name((enum notice_event)e), "unknown");
	}
	notice_recipients_of(NOTICE_RENEWAL_FAILED, &t, to);
	assert_string_equal(to, "role:admin, a@x, b@x");
	notice_recipients_of(NOTICE_RENEWAL_PAUSED, &t, to);
	assert_string_equal(to, "role:admin, a@x, b@x, boss@x");
	notice_recipients_of(NOTICE_EMERGENCY_STARTED, &t, to);
	assert_string_equal(to, "role:security");
	notice_recipients_of(NOTICE_EMERGENCY_UNCONFIRMED, &t, to);
	assert_string_equal(to, "role:approver");
}

static void test_a_list_never_overflows(void **state)
{
	(void)state;
	struct {
		char to[NOTICE_RECIPIENTS_SIZE], after[8];
	} box = {.after = "intact"};
	char item[32];
	for (int i = 0; i < 200; i++) {
		memcpy(item, "someone-000@vcc.internal", 25);
		item[8] = (char)('0' + i / 100);
		item[9] = (char)('0' + i / 10 % 10);
		item[10] = (char)('0' + i % 10);
		notice_recipients_add(box.to, item);
	}
	assert_string_equal(box.after, "intact");
	size_t n = strlen(box.to);
	assert_true(n > NOTICE_RECIPIENTS_SIZE - 30 && n < NOTICE_RECIPIENTS_SIZE);
	assert_true(text_ends(box.to, "@vcc.internal")); /* each whole or not at all */
	notice_recipients_add(box.to, "someone-000@vcc.internal");
	assert_int_equal(strlen(box.to), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_campaigns),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_a_list_never_overflows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
