/* test_delivery_scan.c - does a scan of what is due find what has to go first, and is nothing given up, sent or forgotten
 * because it could not be read, or not all at once? Never: receivers, the loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "controller/daemon/delivery_scan.h"
#include "controller/store/store_front.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "tests/lib/store_kit.h"

#define NOW INT64_C(1800000000000)

/* ---- a store that fails when it is told to ------------------------------------------------------------------------ */

static const struct rows_ops *sound;
static bool                   fails_get;
static size_t                 fails_terms; /* a query with so many terms fails; 0 = none */

static int get(struct rows *r, const struct noun *noun, void *row)
{
	return fails_get ? E_STORE_IO : sound->get(r, noun, row);
}

static int find(struct rows *r, const struct query *q, row_fn *fn, void *ctx)
{
	return fails_terms != 0 && q->n_terms == fails_terms ? E_STORE_IO : sound->find(r, q, fn, ctx);
}

/* ---- one channel --------------------------------------------------------------------------------------------------- */

struct world {
	struct kit           *kit;
	struct rows_ops       ops;
	struct channels      *channels;
	struct delivery_scan *scan;
	int64_t               restored_at;
	const char           *refresh; /* after this key; NULL = not */
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	assert_int_equal(kit_setup_mem((void **)&w->kit), 0);
	w->channels = calloc(1, sizeof(*w->channels));
	w->channels->n = 1;
	text_cut(w->channels->row[0].conf.name, CHANNEL_NAME_SIZE, "team");
	text_cut(w->channels->row[0].conf.url, CHANNEL_URL_SIZE, "https://receiver.example/in");
	w->channels->row[0].conf.kind = CHANNEL_WEBHOOK;
	w->scan = calloc(1, sizeof(*w->scan));
	sound = w->kit->view->rows->ops;
	w->ops = *sound;
	w->ops.get = get;
	w->ops.find = find;
	w->kit->view->rows->ops = &w->ops;
	fails_get = false;
	fails_terms = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	outbound_free(&w->scan->found[0].out);
	w->kit->view->rows->ops = sound;
	kit_teardown((void **)&w->kit);
	free(w->scan);
	free(w->channels);
	free(w);
	return 0;
}

static struct scan_found *look(struct world *w, const struct delivery_pace *pace)
{
	struct delivery_scan *s = w->scan;
	bool                  sweep = s->sweep;
	uint64_t              sweep_before = s->sweep_before;
	outbound_free(&s->found[0].out);
	memset(s, 0, sizeof(*s));
	s->sweep = sweep;
	s->sweep_before = sweep_before;
	s->restored_at = w->restored_at;
	s->now = NOW;
	s->channels = w->channels;
	s->terms = (struct message_terms){
		.installation = "vcc.internal", .contact_admin = "pki@vcc.internal", .contact_security = "csirt@vcc.internal", .contact_approver = ""};
	s->ask[0] = (struct scan_ask){.ch = &w->channels->row[0], .pace = *pace, .id = kit_id(9999)};
	s->ask[0].refresh = w->refresh != NULL;
	if (w->refresh != NULL)
		text_cut(s->ask[0].refresh_after, NOTICE_KEY_SIZE, w->refresh);
	delivery_scan_run(s, w->kit->view);
	return &s->found[0];
}

static void tell_of(struct world *w, const char *service, uint32_t n, enum notice_level level, int64_t at)
{
	struct store_change *c = store_change_new();
	struct notice        a = {.notice_id = kit_id(n), .at = at, .level = level, .event = NOTICE_RENEWAL_FAILED};
	snprintf(a.key, sizeof(a.key), "key %04u", n);
	text_cut(a.object, sizeof(a.object), "argus-web");
	text_cut(a.service, sizeof(a.service), service);
	text_cut(a.channels, sizeof(a.channels), "team");
	store_tell(c, &a, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(w->kit, c, NULL), 0);
}

static void tell(struct world *w, uint32_t n, enum notice_level level, int64_t at)
{
	tell_of(w, "argus", n, level, at);
}

/* The newest goes with this message, and is due then. */
static void begin(struct world *w, uint32_t message, int64_t due_at)
{
	struct store_change *c = store_change_new();
	struct delivery      d;
	size_t               n = 0;
	assert_int_equal(view_deliveries(w->kit->view, &(struct delivery_filter){.state = -1}, UINT64_MAX, &d, 1, &n), 0);
	assert_int_equal(n, 1);
	d.message_id = kit_id(message);
	d.attempts = 7;
	d.due_at = due_at;
	store_put_delivery(c, &d);
	assert_int_equal(kit_commit(w->kit, c, NULL), 0);
}

/* ---- tests --------------------------------------------------------------------------------------------------------- */

/* 250 have waited longer: neither what failed before them, and holds them up, nor what is critical is hidden by them. */
static void test_a_long_queue_hides_nothing(void **state)
{
	struct world              *w = *state;
	const struct delivery_pace failing = {.failing = true},
				   paced = {.interval_ms = 5 * MS_MINUTE, .recent[0] = {"argus", NOW - 1}};
	for (uint32_t i = 1; i <= 250; i++)
		tell(w, i, NOTICE_ERROR, NOW - MS_HOUR + i);
	assert_int_equal(look(w, &failing)->choice, DELIVERY_NOTHING);
	tell(w, 300, NOTICE_ERROR, NOW - MS_HOUR - 1);
	begin(w, 77, NOW - 1);
	struct scan_found *f = look(w, &failing);
	assert_true(f->choice == DELIVERY_SEND && f->n == 1 && id_equal(f->rows[0].message_id, kit_id(77)));
	begin(w, 77, NOW + 1);
	assert_int_equal(look(w, &paced)->choice, DELIVERY_NOTHING);
	tell(w, 301, NOTICE_CRITICAL, NOW);
	f = look(w, &paced);
	assert_true(f->choice == DELIVERY_SEND && f->why.code == 0 && id_equal(f->rows[0].notice_id, kit_id(301)));
}

static void test_what_cannot_be_read_is_not_given_up(void **state)
{
	struct world              *w = *state;
	const struct delivery_pace pace = {.wait_ms = 0};
	tell(w, 1, NOTICE_ERROR, NOW - 1);
	fails_get = true; /* the notice */
	struct scan_found *f = look(w, &pace);
	assert_true(w->scan->code == E_STORE_IO && f->choice == DELIVERY_NOTHING && f->n == 0 && f->why.code == 0);
	fails_get = false;
	begin(w, 77, NOW - 1);
	fails_terms = 1; /* what the message consists of */
	f = look(w, &pace);
	assert_true(w->scan->code == E_STORE_IO && f->choice == DELIVERY_NOTHING && f->n == 0 && f->out.url[0] == '\0');
	fails_terms = 0;
	f = look(w, &pace);
	assert_true(w->scan->code == 0 && f->choice == DELIVERY_SEND && f->n == 1 && f->why.code == 0 && f->out.body.n > 0);
}

static void bury(struct world *w)
{
	for (size_t i = 0; i < w->scan->n_sweep; i++) {
		struct store_change *c = store_change_new();
		struct delivery      d = w->scan->swept[i];
		d.state = DELIVERY_DEAD;
		d.due_at = TIME_NEVER;
		store_put_delivery(c, &d);
		assert_int_equal(kit_commit(w->kit, c, NULL), 0);
	}
}

/* What is from before a restore lies below what is newer, over more than one page: none of it goes out before it is found. */
static void test_after_a_restore_nothing_old_goes_out(void **state)
{
	struct world              *w = *state;
	const struct delivery_pace pace = {.wait_ms = 0};
	size_t                     swept = 0;
	for (uint32_t i = 1; i <= 150; i++)
		tell(w, i, NOTICE_ERROR, NOW - 2 * MS_DAY + i);
	for (uint32_t i = 151; i <= 400; i++)
		tell(w, i, NOTICE_ERROR, NOW - MS_MINUTE + i);
	w->restored_at = NOW - MS_DAY;
	w->scan->sweep = true;
	w->scan->sweep_before = UINT64_MAX;
	for (int runs = 0; swept < 150; runs++) {
		assert_true(runs < 4);
		struct scan_found *f = look(w, &pace);
		assert_true(w->scan->code == 0 && w->scan->n_sweep > 0 && f->choice == DELIVERY_NOTHING && f->n == 0);
		swept += w->scan->n_sweep;
		bury(w);
	}
	assert_int_equal(swept, 150);
	struct scan_found *f = look(w, &pace);
	assert_true(!w->scan->sweep && f->choice == DELIVERY_SEND && id_equal(f->rows[0].notice_id, kit_id(151)));
}

/* One page with each scan, each open notice once in a round, none that goes elsewhere. */
static void test_alertmanager_is_told_of_all_that_is_open(void **state)
{
	enum { OPEN = 2 * SCAN_ALERTS_MAX + 50 };
	struct world              *w = *state;
	const struct delivery_pace failing = {.failing = true}; /* nothing else is sent */
	char                       after[NOTICE_KEY_SIZE] = "";
	size_t                     told = 0, pages = 0;
	w->channels->row[0].conf.kind = CHANNEL_ALERTMANAGER;
	for (uint32_t i = 1; i <= OPEN; i++)
		tell(w, i, NOTICE_ERROR, NOW - MS_MINUTE + i);
	do {
		w->refresh = after;
		struct scan_found *f = look(w, &failing);
		assert_true(f->choice == DELIVERY_NOTHING && f->refreshed && f->refresh && f->why.code == 0);
		json_t *alerts = json_loadb((const char *)f->out.body.p, f->out.body.n, 0, NULL);
		told += json_array_size(alerts);
		json_decref(alerts);
		text_cut(after, sizeof(after), f->refresh_next);
		pages++;
	} while (after[0] != '\0');
	assert_true(told == OPEN && pages == 3);
	text_cut(w->channels->row[0].conf.name, CHANNEL_NAME_SIZE, "other");
	struct scan_found *f = look(w, &failing);
	assert_true(f->refreshed && !f->refresh && f->refresh_next[0] == '\0' && f->out.body.n == 0);
}

/* Some groups fill the page and have to rest: what comes behind them goes out. */
static void test_a_group_that_rests_hides_no_other(void **state)
{
	struct world        *w = *state;
	struct delivery_pace pace = {.interval_ms = MS_HOUR};
	uint32_t             n = 0;
	for (uint32_t i = 0; i < SCAN_DUE_MAX + 50; i++)
		tell(w, n + 1, NOTICE_ERROR, NOW - MS_MINUTE + n), n++;
	for (uint32_t i = 0; i < SCAN_DUE_MAX; i++)
		tell_of(w, "clara", n + 1, NOTICE_ERROR, NOW - MS_MINUTE + n), n++;
	delivery_note_sent(&pace, "argus", NOW - 1);
	delivery_note_sent(&pace, "clara", NOW - 1);
	assert_int_equal(look(w, &pace)->choice, DELIVERY_NOTHING);
	tell_of(w, "covina", n + 1, NOTICE_ERROR, NOW - MS_MINUTE + n);
	struct scan_found *f = look(w, &pace);
	assert_true(f->choice == DELIVERY_SEND && f->n == 1 && text_equal(f->rows[0].group, "covina"));
}

/* ---- who gets a message ---------------------------------------------------------------------------------------------- */

static void approver(struct world *w, const char *name, const char *services, const char *mail)
{
	struct store_change *c = store_change_new();
	struct principal     p = {.roles = UINT32_C(1) << ROLE_APPROVER, .created_at = NOW};
	text_cut(p.name, sizeof(p.name), name);
	text_cut(p.services, sizeof(p.services), services);
	text_cut(p.mail, sizeof(p.mail), mail);
	store_put_principal(c, &p);
	assert_int_equal(kit_commit(w->kit, c, NULL), 0);
}

static void ask(struct world *w, uint32_t n, enum notice_event event, const char *service, const char *recipients)
{
	struct store_change *c = store_change_new();
	struct notice        a = {.notice_id = kit_id(n), .at = NOW, .level = NOTICE_ERROR, .event = event};
	snprintf(a.key, sizeof(a.key), "key %04u", n);
	text_cut(a.object, sizeof(a.object), "argus-web");
	text_cut(a.service, sizeof(a.service), service);
	text_cut(a.recipients, sizeof(a.recipients), recipients);
	text_cut(a.channels, sizeof(a.channels), "team");
	store_tell(c, &a, NOTICE_STEP_NO);
	assert_int_equal(kit_commit(w->kit, c, NULL), 0);
}

/* Who gets the two in one message (0 = none); true: an address found no room. */
static bool told(struct world *w, uint32_t first, uint32_t second, char ret[OUTBOUND_TO_SIZE])
{
	const struct message_terms terms = {
		.installation = "vcc.internal", .contact_admin = "pki@vcc.internal", .contact_security = "csirt@vcc.internal", .contact_approver = ""};
	const struct delivery rows[] = {{.notice_id = kit_id(first), .held = true}, {.notice_id = kit_id(second), .held = true}};
	struct message        m;
	assert_int_equal(message_make(w->kit->view, rows, second != 0 ? 2 : 1, &terms, NOW, &m), 0);
	assert_int_equal(m.n, second != 0 ? 2 : 1);
	bool cut = m.cut;
	text_cut(ret, OUTBOUND_TO_SIZE, m.to);
	message_free(&m);
	return cut;
}

/* What came in a quiet time goes in one message: who decides for one service alone reads nothing of another. */
static void test_who_is_limited_to_services_reads_of_no_other(void **state)
{
	struct world *w = *state;
	char          to[OUTBOUND_TO_SIZE];
	ask(w, 1, NOTICE_RENEWALS_REACHED, "argus", "role:approver");
	ask(w, 2, NOTICE_RENEWAL_FAILED, "clara", "team@vcc.internal");
	ask(w, 3, NOTICE_RENEWAL_FAILED, "argus", "team@vcc.internal");
	ask(w, 4, NOTICE_FLEET_SILENT, "", "role:security");
	approver(w, "a-of-argus", "argus", "argus@vcc.internal");
	approver(w, "b-of-clara", "clara", "clara@vcc.internal");
	assert_false(told(w, 1, 0, to));
	assert_string_equal(to, "argus@vcc.internal");
	assert_false(told(w, 1, 3, to));
	assert_string_equal(to, "team@vcc.internal,argus@vcc.internal");
	for (int turned = 0; turned < 2; turned++) { /* nobody else may approve: the admin contact is told */
		assert_false(told(w, turned ? 2 : 1, turned ? 1 : 2, to));
		assert_string_equal(to, turned ? "team@vcc.internal,pki@vcc.internal" : "pki@vcc.internal,team@vcc.internal");
	}
	assert_false(told(w, 1, 4, to)); /* of no service: it is not his either */
	assert_string_equal(to, "pki@vcc.internal,csirt@vcc.internal");
	approver(w, "c-of-both", "argus,clara", "both@vcc.internal");
	approver(w, "d-of-all", "", "all@vcc.internal");
	assert_false(told(w, 1, 2, to));
	assert_string_equal(to, "team@vcc.internal,both@vcc.internal,all@vcc.internal");
	assert_false(told(w, 1, 4, to));
	assert_string_equal(to, "csirt@vcc.internal,all@vcc.internal");
}

/* More may approve than a mail has room for: those whom the notice names are told in any case. */
static void test_many_approvers_push_nobody_out(void **state)
{
	struct world *w = *state;
	char          to[OUTBOUND_TO_SIZE], name[32], mail[MAIL_SIZE];
	ask(w, 1, NOTICE_RENEWALS_REACHED, "argus", "role:approver,team@vcc.internal");
	for (unsigned i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "p%02u", i);
		snprintf(mail, sizeof(mail), "somebody-with-a-name-that-is-long-%02u@vcc.internal", i);
		assert_false(told(w, 1, 0, to) && i < 20);
		approver(w, name, "", mail);
	}
	assert_true(told(w, 1, 0, to));
	assert_true(text_starts(to, "team@vcc.internal,somebody-with-a-name-that-is-long-00@vcc.internal,"));
	approver(w, "p00", "", "team@vcc.internal"); /* who is there already needs no room */
	assert_true(told(w, 1, 0, to));
	assert_true(text_starts(to, "team@vcc.internal,somebody-with-a-name-that-is-long-01@vcc.internal,"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_long_queue_hides_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_read_is_not_given_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_after_a_restore_nothing_old_goes_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alertmanager_is_told_of_all_that_is_open, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_group_that_rests_hides_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_limited_to_services_reads_of_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_approvers_push_nobody_out, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
