/* test_evidence_pack.c - does a pack hold the certificates whose issuance a record of it proves, and no others: also where the
 * newest head lies between the intent and the issuance, and where a record names the serial of another order? Never: a
 * controller, verifying; test_report.py does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>

#include "controller/daemon/evidence_pack.h"
#include "tests/lib/store_kit.h"

enum { CERT = 1 };

static void record_add(struct store_change *c, enum audit_event event)
{
	struct audit a;
	char         serial[SERIAL_TEXT_SIZE];
	kit_audit(CERT, event, &a);
	snprintf(a.detail, sizeof(a.detail), "{\"serial\":\"%s\"}", serial_text(kit_serial(CERT), serial));
	store_add_audit(c, &a);
}

static void issuance_put(struct kit *k)
{
	struct store_change *c = store_change_new();
	struct issuance      i;
	struct issuer        by;
	kit_issuance(CERT, &i);
	kit_issuer(CERT, &by);
	snprintf(i.issuer_id, sizeof(i.issuer_id), "%s", by.issuer_id);
	by.parent_id[0] = '\0';
	store_put_issuer(c, &by);
	store_add_issuance(c, &i);
	record_add(c, AUDIT_CERTIFICATE_INTENT);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void then(struct kit *k, enum audit_event event)
{
	struct store_change *c = store_change_new();
	record_add(c, event);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* Of all records until now. */
static void head_put(struct kit *k)
{
	struct store_change *c = store_change_new();
	struct issuer        by;
	struct audit_head    h = {.at = 1, .signature_len = 1};
	kit_issuer(CERT, &by);
	snprintf(h.issuer_id, sizeof(h.issuer_id), "%s", by.issuer_id);
	assert_int_equal(view_audit_head(k->view, &h.size, &h.root), 0);
	store_put_audit_head(c, &h);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void holds(struct kit *k, size_t records, size_t certificates)
{
	struct audit   a;
	struct refusal why = {0};
	json_t        *pack = NULL;
	kit_audit(CERT, AUDIT_CERTIFICATE_INTENT, &a);
	assert_int_equal(evidence_of_certificate(k->view, a.object, &pack, &why), 0);
	assert_int_equal(json_array_size(json_object_get(pack, "records")), records);
	assert_int_equal(json_array_size(json_object_get(pack, "certificates")), certificates);
	json_decref(pack);
}

static void test_head_between(void **state)
{
	struct kit *k = *state;
	issuance_put(k);
	head_put(k);
	holds(k, 1, 0);
	then(k, AUDIT_CERTIFICATE_ISSUED);
	holds(k, 1, 0); /* issued, as everybody here knows, and nobody elsewhere can */
	head_put(k);
	holds(k, 2, 1);
}

static void test_serial_of_another(void **state)
{
	struct kit *k = *state;
	issuance_put(k);
	then(k, AUDIT_CERTIFICATE_REVOKED);
	then(k, AUDIT_RENEWAL_COMPLETED);
	head_put(k);
	holds(k, 3, 0);
	then(k, AUDIT_CERTIFICATE_ISSUED);
	head_put(k);
	holds(k, 4, 1);
}

/* ---- a campaign that is too large for one pack ---- */

enum { CAMPAIGN = 7, MEMBERS = EVIDENCE_MEMBERS_MAX + 1, RECORD_EACH = 100, CHUNK = 250 };

static void audit_put(struct store_change *c, const char *object, struct id renewal_id)
{
	struct audit a;
	kit_audit(CERT, AUDIT_RENEWAL_COMPLETED, &a);
	snprintf(a.object, sizeof(a.object), "%s", object);
	a.renewal_id = renewal_id;
	a.detail[0] = '\0';
	store_add_audit(c, &a);
}

/* Positions with holes; a record for one in a hundred. */
static void campaign_put(struct kit *k)
{
	struct store_change *c = store_change_new();
	char                 id[ID_TEXT_SIZE];
	audit_put(c, id_text(kit_id(CAMPAIGN), id), (struct id){{0}});
	for (uint32_t i = 0; i < MEMBERS; i++) {
		struct campaign_member m = {.campaign_id = kit_id(CAMPAIGN), .position = 3 * i + 1};
		snprintf(m.cert_id, sizeof(m.cert_id), "c%u", (unsigned)i);
		snprintf(m.service, sizeof(m.service), "clara");
		if (i % RECORD_EACH == 0) {
			m.renewal_id = kit_id(1000 + i);
			audit_put(c, m.cert_id, m.renewal_id);
		}
		store_add_member(c, &m);
		if (i % CHUNK == CHUNK - 1) {
			assert_int_equal(kit_commit(k, c, NULL), 0);
			c = store_change_new();
		}
	}
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

/* Every certificate's records are in exactly one part, the campaign's own in each; nothing is cut without a word. */
static void test_parts(void **state)
{
	struct kit    *k = *state;
	struct refusal why = {0};
	json_t        *pack = NULL, *seen = json_object(), *row;
	size_t         i;
	uint32_t       part = 0;
	issuance_put(k);
	campaign_put(k);
	head_put(k);
	assert_int_equal(evidence_of_campaign(k->view, kit_id(CAMPAIGN), 0, &pack, &why), E_EVIDENCE_LARGE);
	assert_non_null(strstr(why.cause, "part=1"));
	for (int r = 0; r == 0;) {
		r = evidence_of_campaign(k->view, kit_id(CAMPAIGN), ++part, &pack, &why);
		if (r != 0) {
			assert_int_equal(r, E_EVIDENCE_NONE);
			break;
		}
		const json_t *about = json_object_get(pack, "about");
		bool          last = part == (MEMBERS + EVIDENCE_PART_MEMBERS - 1) / EVIDENCE_PART_MEMBERS;
		assert_int_equal(json_integer_value(json_object_get(about, "part")), part);
		assert_true(json_is_boolean(json_object_get(about, "more")) && json_is_true(json_object_get(about, "more")) == !last);
		size_t own = 0;
		json_array_foreach(json_object_get(pack, "records"), i, row) {
			const char *object = json_string_value(json_object_get(row, "object"));
			if (object[0] != 'c') {
				own++;
				continue;
			}
			assert_null(json_object_get(seen, object));
			json_object_set_new(seen, object, json_true());
		}
		assert_int_equal(own, 1);
		json_decref(pack);
	}
	assert_int_equal(part, (MEMBERS + EVIDENCE_PART_MEMBERS - 1) / EVIDENCE_PART_MEMBERS + 1);
	assert_int_equal(json_object_size(seen), (MEMBERS + RECORD_EACH - 1) / RECORD_EACH);
	json_decref(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {KIT_ON_BOTH(test_head_between), KIT_ON_BOTH(test_serial_of_another), KIT_ON_BOTH(test_parts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
