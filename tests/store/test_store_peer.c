/* test_store_peer.c - room tests/store: relying parties and their verdicts, on both backends.
 * Never: who counts; that is the controller's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/store_kit.h"

static int setup(void **state, enum kit_backend backend)
{
	static struct kit k;
	kit_open(&k, backend);
	*state = &k;
	return 0;
}

static int setup_mem(void **state)
{
	return setup(state, KIT_MEM);
}

static int setup_sqlite(void **state)
{
	return setup(state, KIT_SQLITE);
}

static int teardown(void **state)
{
	kit_close(*state);
	return 0;
}

static struct peer sample(const char *cert_id, const char *agent)
{
	struct peer p = {.address = "192.0.2.1:443", .name = "clara.vcc.internal", .host_hash = kit_hash(4), .declared_at = 5};
	snprintf(p.cert_id, sizeof(p.cert_id), "%s", cert_id);
	snprintf(p.agent, sizeof(p.agent), "%s", agent);
	return p;
}

static void put(struct kit *k, const struct peer *p)
{
	struct store_change *c = store_change_new();
	store_put_peer(c, p);
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static void test_every_field_is_kept(void **state)
{
	struct kit *k = *state;
	struct peer p = sample("web", "covina01"), got[2];
	size_t      n = 0;
	put(k, &p);
	assert_int_equal(view_peers_of(k->view, "web", "", got, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_memory_equal(&got[0], &p, sizeof(p));
	p.judged_at = 6;
	p.renewal_id = kit_id(7);
	p.attempt = 2;
	p.fingerprint = kit_hash(8);
	p.seen = kit_hash(9);
	p.code = E_PEER_STALE;
	p.handshakes = 20;
	p.others = 3;
	p.trust_epoch = 4;
	snprintf(p.cause, sizeof(p.cause), "3 of 20 handshakes");
	put(k, &p);
	assert_int_equal(view_peers_of(k->view, "web", "", got, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_memory_equal(&got[0], &p, sizeof(p));
}

static void test_both_ways(void **state)
{
	struct kit *k = *state;
	struct peer got[4];
	size_t      n = 0;
	for (int i = 0; i < 3; i++) {
		char agent[24];
		snprintf(agent, sizeof(agent), "host-%d", i);
		struct peer web = sample("web", agent), db = sample("db", agent);
		put(k, &web);
		if (i < 2)
			put(k, &db);
	}
	assert_int_equal(view_peers_of(k->view, "web", "", got, 4, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(got[0].agent, "host-0");
	assert_int_equal(view_peers_by(k->view, "host-1", got, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_string_equal(got[0].cert_id, "db");
	assert_int_equal(view_peers_by(k->view, "host-2", got, 4, &n), 0);
	assert_int_equal(n, 1);
	struct store_change *c = store_change_new();
	store_remove_peer(c, "web", "host-1");
	store_remove_peer(c, "web", "host-9"); /* was never there */
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_peers_of(k->view, "web", "", got, 4, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(view_peers_by(k->view, "host-1", got, 4, &n), 0);
	assert_int_equal(n, 1);
}

static void test_page_by_page(void **state)
{
	struct kit *k = *state;
	struct peer got[4];
	char        after[AGENT_NAME_SIZE] = "";
	size_t      n = 4, all = 0;
	for (int i = 0; i < 10; i++) {
		char agent[24];
		snprintf(agent, sizeof(agent), "host-%d", i);
		struct peer web = sample("web", agent), wes = sample("wes", agent);
		put(k, &web);
		put(k, &wes);
	}
	while (n == 4) {
		assert_int_equal(view_peers_of(k->view, "web", after, got, 4, &n), 0);
		for (size_t i = 0; i < n; i++, all++) {
			assert_string_equal(got[i].cert_id, "web");
			assert_int_equal(got[i].agent[5], '0' + (int)all);
			snprintf(after, sizeof(after), "%s", got[i].agent);
		}
	}
	assert_int_equal(all, 10);
}

/* A host that gets another name still relies on what it relied on. */
static void test_another_name(void **state)
{
	struct kit        *k = *state;
	struct peer        p = sample("web", "covina01"), got[2];
	struct agent       a = {.name = "covina01", .host_hash = kit_hash(4)};
	struct former_name to = {.name = "covina01", .agent = "covina02", .since_at = 9};
	size_t             n = 0;
	put(k, &p);
	struct store_change *c = store_change_new();
	store_put_agent(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	c = store_change_new();
	store_rename_agent(c, &to);
	assert_int_equal(kit_commit(k, c, NULL), 0);
	assert_int_equal(view_peers_by(k->view, "covina01", got, 2, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(view_peers_of(k->view, "web", "", got, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(got[0].agent, "covina02");
}

#define ON_BOTH(f)                                                                                                             \
	cmocka_unit_test_setup_teardown(f, setup_mem, teardown), cmocka_unit_test_setup_teardown(f, setup_sqlite, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_every_field_is_kept),
		ON_BOTH(test_both_ways),
		ON_BOTH(test_page_by_page),
		ON_BOTH(test_another_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
