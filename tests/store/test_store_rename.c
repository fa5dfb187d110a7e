/* test_store_rename.c - does a host with another name take every row along that means it, and no other, in both backends?
 * Never: looking behind store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/lib/store_kit.h"

enum { CERTS = 120, ORDERS = 60, OTHER = 900 }; /* more than a page of each */

static int setup_mem(void **state)
{
	static struct kit k;
	kit_open(&k, KIT_MEM);
	*state = &k;
	return 0;
}

static int setup_sqlite(void **state)
{
	static struct kit k;
	kit_open(&k, KIT_SQLITE);
	*state = &k;
	return 0;
}

static int teardown(void **state)
{
	kit_close(*state);
	return 0;
}

static void commit_ok(struct kit *k, struct store_change *c)
{
	assert_int_equal(kit_commit(k, c, NULL), 0);
}

static int rename_to(struct kit *k, const char *from, const char *to)
{
	struct former_name   f = {.since_at = 77};
	struct store_change *c = store_change_new();
	snprintf(f.name, sizeof(f.name), "%s", from);
	snprintf(f.agent, sizeof(f.agent), "%s", to);
	store_rename_agent(c, &f);
	return kit_commit(k, c, NULL);
}

static void add_host(struct kit *k, uint32_t n, const char *name)
{
	struct agent         a;
	struct store_change *c = store_change_new();
	kit_agent(n, &a);
	snprintf(a.name, sizeof(a.name), "%s", name);
	store_put_agent(c, &a);
	commit_ok(k, c);
}

/* Certificate, target, orders and a message of certificate `n` on `host`. */
static void add_certificate(struct kit *k, uint32_t n, const char *host, uint32_t orders)
{
	struct store_change *c = store_change_new();
	struct certificate   cert;
	struct target        t;
	struct order         o;
	kit_certificate(n, &cert);
	kit_target(n, &t);
	cert.version = 0;
	cert.revoked_at = cert.retired_at = 0;
	snprintf(cert.agent, sizeof(cert.agent), "%s", host);
	snprintf(t.agent, sizeof(t.agent), "%s", host);
	snprintf(t.cert_id, sizeof(t.cert_id), "%s", cert.cert_id);
	target_id_of(host, t.cert_id, t.stem, t.target_id);
	store_put_certificate(c, &cert, 0);
	store_put_target(c, &t);
	for (uint32_t i = 0; i < orders; i++) {
		kit_order(n * 1000 + i, &o);
		snprintf(o.cert_id, sizeof(o.cert_id), "%s", cert.cert_id);
		snprintf(o.agent, sizeof(o.agent), "%s", host);
		store_put_order(c, &o);
	}
	store_put_outbox(c, host, kit_id(n * 1000), n, 3, span_text("frame"));
	commit_ok(k, c);
}

static size_t certificates_of(struct kit *k, const char *host)
{
	static struct certificate page[CERTS + 1];
	struct cert_filter        filter = {.agent = host};
	size_t                    n;
	assert_int_equal(view_certificates(k->view, &filter, "", page, N_ELEMENTS(page), &n), 0);
	return n;
}

static size_t messages_of(struct kit *k, const char *host)
{
	static struct outbox_row page[CERTS + 1];
	size_t                   n;
	assert_int_equal(view_outbox(k->view, host, 0, page, N_ELEMENTS(page), &n), 0);
	return n;
}

static void test_every_row_follows(void **state)
{
	struct kit  *k = *state;
	struct agent a;
	struct order o;
	add_host(k, 1, "old");
	add_host(k, 2, "other");
	for (uint32_t n = 1; n <= CERTS; n++)
		add_certificate(k, n, "old", n == 1 ? ORDERS : 1);
	add_certificate(k, OTHER, "other", 1);
	assert_int_equal(rename_to(k, "old", "new"), 0);
	assert_int_equal(view_agent(k->view, "old", &a), E_NOT_FOUND);
	assert_int_equal(view_agent(k->view, "new", &a), 0);
	assert_true(hash_equal(a.host_hash, (kit_agent(1, &a), a.host_hash)));
	assert_int_equal(certificates_of(k, "old") + messages_of(k, "old"), 0);
	assert_int_equal(certificates_of(k, "new"), CERTS);
	assert_int_equal(messages_of(k, "new"), CERTS);
	for (uint32_t i = 0; i < ORDERS; i++) {
		assert_int_equal(view_order(k->view, kit_id(1000 + i), &o), 0);
		assert_string_equal(o.agent, "new");
	}
	assert_int_equal(view_order(k->view, kit_id(OTHER * 1000), &o), 0);
	assert_string_equal(o.agent, "other");
	assert_int_equal(certificates_of(k, "other"), 1);
}

/* A value that was made before must not bring the old name back. */
static void test_the_old_name_does_not_come_back(void **state)
{
	struct kit          *k = *state;
	struct certificate   cert;
	struct store_change *c = store_change_new();
	add_host(k, 1, "old");
	add_certificate(k, 1, "old", 1);
	kit_certificate(1, &cert);
	assert_int_equal(view_certificate(k->view, cert.cert_id, &cert), 0);
	assert_int_equal(rename_to(k, "old", "new"), 0);
	store_put_certificate(c, &cert, cert.version);
	assert_int_equal(kit_commit(k, c, NULL), E_STORE_CONFLICT);
	struct agent a;
	kit_agent(1, &a);
	snprintf(a.name, sizeof(a.name), "old");
	c = store_change_new();
	store_put_agent(c, &a);
	assert_int_equal(kit_commit(k, c, NULL), E_STORE_CONFLICT);
	assert_int_equal(view_agent(k->view, "old", &a), E_NOT_FOUND);
}

/* A plan that was made before, or a member that was read before, is stored after: it means the host that there is. */
static void test_a_member_from_before_means_the_host_of_today(void **state)
{
	struct kit            *k = *state;
	struct campaign_member m = {.campaign_id = kit_id(5), .position = 1, .state = MEMBER_WAITING}, got;
	struct store_change   *c = store_change_new();
	add_host(k, 1, "old");
	snprintf(m.cert_id, sizeof(m.cert_id), "%s", "web");
	snprintf(m.agent, sizeof(m.agent), "%s", "old");
	assert_int_equal(rename_to(k, "old", "new"), 0);
	store_add_member(c, &m);
	commit_ok(k, c);
	assert_int_equal(view_member_of(k->view, m.campaign_id, "web", &got), 0);
	assert_string_equal(got.agent, "new");
	m.state = MEMBER_ORDERED;
	c = store_change_new();
	store_put_member(c, &m);
	commit_ok(k, c);
	assert_int_equal(view_member_of(k->view, m.campaign_id, "web", &got), 0);
	assert_string_equal(got.agent, "new");
	assert_int_equal(got.state, MEMBER_ORDERED);
}

static void test_former_names_lead_to_the_host(void **state)
{
	struct kit        *k = *state;
	struct former_name f, all[4];
	size_t             n;
	add_host(k, 1, "a");
	add_host(k, 2, "z");
	assert_int_equal(rename_to(k, "a", "b"), 0);
	assert_int_equal(rename_to(k, "b", "c"), 0);
	assert_int_equal(view_former_name(k->view, "a", &f), 0);
	assert_string_equal(f.agent, "c");
	assert_int_equal(view_former_names(k->view, "c", all, 4, &n), 0);
	assert_true(n == 2 && strcmp(all[0].name, "a") == 0 && strcmp(all[1].name, "b") == 0 && all[0].since_at == 77);
	assert_int_equal(rename_to(k, "z", "a"), E_EXISTS);
	assert_int_equal(rename_to(k, "z", "c"), E_EXISTS);
	assert_int_equal(rename_to(k, "nobody", "n"), E_NOT_FOUND);
	assert_int_equal(rename_to(k, "c", "a"), 0); /* its own */
	assert_int_equal(view_former_name(k->view, "a", &f), E_NOT_FOUND);
	assert_int_equal(view_former_names(k->view, "a", all, 4, &n), 0);
	assert_int_equal(n, 2);
}

#define ON_BOTH(f)                                                                                                             \
	{#f " (mem)", f, setup_mem, teardown, NULL},                                                                           \
	{                                                                                                                      \
#f " (sqlite)", f, setup_sqlite, teardown, NULL                                                                \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_every_row_follows),
		ON_BOTH(test_the_old_name_does_not_come_back),
		ON_BOTH(test_a_member_from_before_means_the_host_of_today),
		ON_BOTH(test_former_names_lead_to_the_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
