/* test_model.c - does every value of every enum have its own name, and does each name lead back? */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/base/err.h"
#include "shared/model/messages.h"
#include "shared/model/template.h"

#define NAMER(fn, type)                                                                                               \
	static const char *fn##_of(int v)                                                                             \
	{                                                                                                             \
		return fn((type)v);                                                                                   \
	}
NAMER(key_type_name, enum key_type)
NAMER(hash_alg_name, enum hash_alg)
NAMER(issuer_role_name, enum issuer_role)
NAMER(leaf_profile_name, enum leaf_profile)
NAMER(issuance_state_name, enum issuance_state)
NAMER(cert_status_name, enum cert_status)
NAMER(cert_purpose_name, enum cert_purpose)
NAMER(audit_level_name, enum audit_level)
NAMER(trigger_name, enum trigger)
NAMER(order_phase_name, enum order_phase)
NAMER(workflow_step_name, enum workflow_step)
NAMER(receipt_outcome_name, enum receipt_outcome)
NAMER(agent_state_name, enum agent_state)
NAMER(role_name, enum role)
NAMER(audit_event_name, enum audit_event)

static const struct {
	const char *(*name)(int v);
	int count;
} enums[] = {
	{key_type_name_of, KEY_TYPE_COUNT},
	{hash_alg_name_of, HASH_ALG_COUNT},
	{issuer_role_name_of, ISSUER_ROLE_COUNT},
	{leaf_profile_name_of, LEAF_PROFILE_COUNT},
	{issuance_state_name_of, ISSUANCE_STATE_COUNT},
	{cert_status_name_of, CERT_STATUS_COUNT},
	{cert_purpose_name_of, PURPOSE_COUNT},
	{audit_level_name_of, AUDIT_LEVEL_COUNT},
	{trigger_name_of, TRIGGER_COUNT},
	{order_phase_name_of, ORDER_PHASE_COUNT},
	{workflow_step_name_of, STEP_COUNT},
	{receipt_outcome_name_of, RECEIPT_OUTCOME_COUNT},
	{agent_state_name_of, AGENT_STATE_COUNT},
	{role_name_of, ROLE_COUNT},
	{audit_event_name_of, AUDIT_EVENT_COUNT},
};

static void every_value_has_its_own_name(void **state)
{
	(void)state;
	for (size_t e = 0; e < N_ELEMENTS(enums); e++) {
		for (int i = 0; i < enums[e].count; i++) {
			assert_non_null(enums[e].name(i));
			assert_string_not_equal(enums[e].name(i), "unknown");
			for (int k = 0; k < i; k++)
				assert_string_not_equal(enums[e].name(i), enums[e].name(k));
		}
		assert_string_equal(enums[e].name(enums[e].count), "unknown");
		assert_string_equal(enums[e].name(-1), "unknown");
	}
}

static void names_lead_back(void **state)
{
	(void)state;
	enum trigger t = TRIGGER_COUNT;
	int          reason = -1;
	assert_int_equal(trigger_parse("Manual", &t), E_SYNTAX);
	assert_int_equal(revoke_reason_parse("removeFromCRL", &reason), E_SYNTAX);
	assert_int_equal(reason, -1);
	for (int i = 0; i < TRIGGER_COUNT; i++) {
		assert_int_equal(trigger_parse(trigger_name((enum trigger)i), &t), 0);
		assert_int_equal(t, i);
	}
	for (int i = -2; i < 12; i++) {
		const char *name = revoke_reason_name(i);
		bool        known = (i >= 0 && i <= 6) || i == 9;
		assert_int_equal(name != NULL, known);
		if (!known)
			continue;
		assert_int_equal(revoke_reason_parse(name, &reason), 0);
		assert_int_equal(reason, i);
	}
}

static void keys_from_the_fields_of_a_template(void **state)
{
	(void)state;
	enum key_type t = KEY_TYPE_COUNT;
	assert_int_equal(key_type_from("RSA", 1024, &t), E_RANGE);
	assert_int_equal(key_type_from("RSA", 256, &t), E_RANGE);
	assert_int_equal(key_type_from("ECDSA", 521, &t), E_RANGE);
	assert_int_equal(key_type_from("ECDSA", 0, &t), E_RANGE);
	assert_int_equal(key_type_from("DSA", 2048, &t), E_RANGE);
	assert_int_equal(t, KEY_TYPE_COUNT);
	for (int i = 0; i < KEY_TYPE_COUNT; i++) {
		enum key_type k = (enum key_type)i;
		assert_int_equal(key_type_from(key_type_brief(k), key_type_size(k), &t), 0);
		assert_int_equal(t, k);
	}
	assert_int_equal(key_type_from("Ed25519", 0, &t), 0);
	assert_int_equal(t, KEY_ED25519);
	assert_int_equal(key_type_size(KEY_TYPE_COUNT), 0);
}

static void usages_have_names_one_bit_at_a_time(void **state)
{
	(void)state;
	assert_null(ku_name(0));
	assert_null(ku_name(KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT));
	assert_null(ku_name(1U << 7));
	assert_null(eku_name(1U << 4));
	for (unsigned bit = 0; bit < 7; bit++)
		assert_non_null(ku_name(1U << bit));
	assert_string_equal(ku_name(KU_KEY_ENCIPHERMENT), "keyEncipherment");
	assert_string_equal(eku_name(EKU_SERVER_AUTH), "serverAuth");
}

/* LIFECYCLE 3: which phases count as open, as ended, and what the API calls them. */
static void phases_have_a_status(void **state)
{
	(void)state;
	for (int i = 0; i < ORDER_PHASE_COUNT; i++) {
		enum order_phase p = (enum order_phase)i;
		const char      *status = order_status_name(p);
		bool             open = strcmp(status, "pending") == 0 || strcmp(status, "in_progress") == 0 ||
		            strcmp(status, "awaiting_approval") == 0;
		bool final = strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
		             strcmp(status, "cancelled") == 0 || strcmp(status, "rolled_back") == 0;
		assert_int_equal(order_phase_open(p), open);
		assert_int_equal(order_phase_final(p), final);
		assert_true(open || final || p == ORDER_PAUSED);
	}
	assert_string_equal(order_status_name(ORDER_PLANNED), "pending");
	assert_string_equal(order_status_name(ORDER_RETRY_WAIT), "in_progress");
	assert_string_equal(order_status_name(ORDER_PAUSED), "paused");
	assert_false(order_phase_open(ORDER_PHASE_COUNT));
	assert_false(order_phase_final(ORDER_PHASE_COUNT));
}

/* An event type that nobody described would be a mystery in the trail. */
static void audit_events_are_described(void **state)
{
	(void)state;
	for (unsigned e = 0; e < AUDIT_EVENT_COUNT; e++) {
		const struct audit_event_info *i = audit_event_info((enum audit_event)e);
		if (i->about[0] == '\0' || i->why[0] == '\0' || strchr(i->about, '|') != NULL)
			fail_msg("%s has no row in shared/model/audit.c", audit_event_name((enum audit_event)e));
	}
	assert_string_equal(audit_event_info(AUDIT_EVENT_COUNT)->about, "");
}

static void fake_hash(const void *a, size_t n_a, const void *b, size_t n_b, struct hash *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < n_a; i++)
		ret->b[i % 32] = (uint8_t)(ret->b[i % 32] * 31 + ((const uint8_t *)a)[i]);
	for (size_t i = 0; i < n_b; i++)
		ret->b[i % 32] = (uint8_t)(ret->b[i % 32] * 31 + ((const uint8_t *)b)[i]);
}

static void persons_and_pseudonyms(void **state)
{
	(void)state;
	static const char *const own[] = {"", "controller", "scheduler", "init", "agent:clara01", "local:uid-0", "person:x"};
	char                     one[ACTOR_SIZE], two[ACTOR_SIZE];
	for (size_t i = 0; i < N_ELEMENTS(own); i++)
		assert_false(audit_is_person(own[i]));
	assert_true(audit_is_person("alice"));
	assert_true(audit_is_person("controller2"));
	audit_alias(fake_hash, "alice", (struct hash){{1}}, one);
	audit_alias(fake_hash, "alice", (struct hash){{2}}, two);
	assert_true(audit_is_alias(one) && strlen(one) == ACTOR_SIZE - 1);
	assert_string_not_equal(one, two);
	audit_alias(fake_hash, "alicf", (struct hash){{1}}, two);
	assert_string_not_equal(one, two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_value_has_its_own_name),
		cmocka_unit_test(names_lead_back),
		cmocka_unit_test(keys_from_the_fields_of_a_template),
		cmocka_unit_test(usages_have_names_one_bit_at_a_time),
		cmocka_unit_test(phases_have_a_status),
		cmocka_unit_test(audit_events_are_described),
		cmocka_unit_test(persons_and_pseudonyms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
