/* store_check.c - tests: whole changes as an issue makes them, and whether a store's state, audit trail, outbox and tree
 * tell the same story. Never: writing. */
#include "tests/lib/store_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "shared/pki/key.h"
#include "tests/lib/store_kit.h"

struct store_change *check_change(uint32_t n)
{
	struct store_change *c = store_change_new();
	struct certificate   cert;
	struct issuance      issuance;
	struct order         order;
	struct audit         audit;
	kit_certificate(n, &cert);
	kit_issuance(n, &issuance);
	kit_order(n, &order);
	store_put_order(c, &order);
	kit_audit(n, AUDIT_CERTIFICATE_INTENT, &audit);
	store_add_audit(c, &audit);
	store_add_issuance(c, &issuance);
	store_put_certificate(c, &cert, 0);
	store_put_outbox(c, cert.agent, order.renewal_id, n + 1, 7, span_text(cert.cert_id));
	kit_audit(n, AUDIT_CERTIFICATE_ISSUED, &audit);
	store_add_audit(c, &audit);
	return c;
}

void check_ended(void *ctx, int code, const struct store_result *result)
{
	struct check_count *count = ctx;
	(void)result;
	if (count->n < CHECK_CODES)
		count->code[count->n] = code;
	count->n++;
	count->good += code == 0;
}

struct walk {
	struct merkle_frontier tree;
	struct audit          *rows;
	struct buf             text;
	uint64_t               end; /* only records that were there at the start */
};

static void walk_page(struct store_view *v, struct walk *w, bool orders)
{
	size_t n;
	assert_int_equal(view_audit(v, w->tree.size, w->rows, STORE_LIST_MAX, &n), 0);
	assert_true(n > 0);
	for (size_t i = 0; i < n && w->tree.size < w->end; i++) {
		struct merkle_made made[MERKLE_LEVELS];
		struct hash        leaf;
		struct order       order;
		assert_int_equal(w->rows[i].seq, w->tree.size);
		buf_reset(&w->text);
		audit_canonical(&w->rows[i], &w->text);
		merkle_leaf(digest_sha256_two, w->text.p, w->text.n, &leaf);
		merkle_append(digest_sha256_two, &w->tree, &leaf, made);
		if (orders)
			assert_int_equal(view_order(v, w->rows[i].renewal_id, &order), 0);
	}
}

static void walk_audit(struct store_view *v, bool orders, uint64_t *ret_size, struct hash *ret_root)
{
	struct walk w = {.tree = {.size = 0}, .rows = calloc(STORE_LIST_MAX, sizeof(struct audit)), .text = BUF_MAX(2000)};
	struct hash root;
	assert_non_null(w.rows);
	assert_int_equal(view_audit_head(v, &w.end, &root), 0);
	while (w.tree.size < w.end)
		walk_page(v, &w, orders);
	merkle_root(digest_sha256_two, &w.tree, ret_root);
	assert_true(hash_equal(root, *ret_root));
	*ret_size = w.tree.size;
	buf_free(&w.text);
	free(w.rows);
}

void check_head(struct store_view *v, uint64_t *ret_size, struct hash *ret_root)
{
	walk_audit(v, false, ret_size, ret_root);
}

static void check_order(struct store_view *v, const struct order *o)
{
	static struct outbox_row message[2];
	struct issuance          issuance;
	struct certificate       cert;
	size_t                   n;
	assert_int_equal(view_issuance(v, o->serial, &issuance), 0);
	assert_true(id_equal(issuance.renewal_id, o->renewal_id));
	assert_int_equal(view_certificate(v, o->cert_id, &cert), 0);
	assert_true(id_equal(cert.open_order, o->renewal_id));
	assert_int_equal(cert.version, 1);
	assert_int_equal(view_outbox(v, o->agent, 0, message, 2, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(message[0].n, strlen(o->cert_id));
	assert_memory_equal(message[0].frame, o->cert_id, message[0].n);
}

size_t check_consistent(struct store_view *v)
{
	struct order *orders = calloc(STORE_LIST_MAX, sizeof(*orders));
	struct id     before = {{0}};
	size_t        n, total = 0;
	uint64_t      size, certs, agents, open;
	struct hash   root;
	assert_non_null(orders);
	do {
		assert_int_equal(view_orders(v, NULL, before, orders, STORE_LIST_MAX, &n), 0);
		for (size_t i = 0; i < n; i++)
			check_order(v, &orders[i]);
		if (n > 0)
			before = orders[n - 1].renewal_id;
		total += n;
	} while (n > 0);
	free(orders);
	walk_audit(v, true, &size, &root);
	assert_int_equal(size, 2 * total);
	assert_int_equal(view_counts(v, INT64_MIN, &certs, &agents, &open), 0);
	return total;
}

void check_every_list(struct store_view *v)
{
	static struct outbox_row     messages[2];
	static struct certificate    certs[2];
	static struct order          orders[2];
	static struct issuance       issuances[2];
	static struct agent          agents[2];
	static struct invite         invites[2];
	static struct target         targets[2];
	static struct template       templates[2];
	static struct inventory_listener listeners[2];
	struct inventory             inventory;
	static struct issuer         issuers[2];
	static struct service        services[2];
	static struct order_step_row steps[2];
	static struct audit          audits[2];
	static const uint8_t         key[32] = {1};
	struct revoked_row           revoked[2];
	struct crl_row               crl;
	struct token                 token;
	struct buf                   bytes = BUF_MAX(100);
	uint32_t                     shards[2];
	uint64_t                     counter;
	bool                         banned;
	struct id                    none = {{0}};
	struct serial                zero = {{0}};
	size_t                       n;
	static const struct cert_filter filters[] = {
		{.with_removed = true},
		{.now = 5},
		{.now = 5, .service = "clara"},
		{.now = 5, .agent = "clara01"},
		{.now = 5, .service = "clara", .agent = "clara01", .template_id = "t", .expires_before_at = 9},
	};
	for (size_t i = 0; i < N_ELEMENTS(filters); i++)
		assert_int_equal(view_certificates(v, &filters[i], "a", certs, 2, &n), 0);
	assert_int_equal(view_due(v, 5, certs, 2, &n), 0);
	assert_int_equal(view_agents(v, "a", agents, 2, &n), 0);
	assert_int_equal(view_invites(v, none, invites, 2, &n), 0);
	assert_int_equal(view_targets(v, NULL, "a", targets, 2, &n), 0);
	assert_int_equal(view_targets(v, "clara01", "a", targets, 2, &n), 0);
	assert_int_equal(view_listeners(v, "clara01", "a", listeners, 2, &n), 0);
	assert_int_equal(view_inventory(v, "clara01", &inventory), E_NOT_FOUND);
	assert_int_equal(view_templates(v, "a", templates, 2, &n), 0);
	assert_int_equal(view_template(v, "t", 0, templates), E_NOT_FOUND);
	assert_int_equal(view_template(v, "t", 1, templates), E_NOT_FOUND);
	assert_int_equal(view_issuers(v, "a", issuers, 2, &n), 0);
	assert_int_equal(view_services(v, "a", services, 2, &n), 0);
	assert_int_equal(view_orders_open(v, none, orders, 2, &n), 0);
	assert_int_equal(view_orders(v, NULL, none, orders, 2, &n), 0);
	assert_int_equal(view_orders(v, "c", none, orders, 2, &n), 0);
	assert_int_equal(view_orders(v, "c", kit_id(9), orders, 2, &n), 0);
	assert_int_equal(view_steps(v, none, steps, 2, &n), 0);
	assert_int_equal(view_issuances(v, OWNER_AGENT, "clara01", zero, issuances, 2, &n), 0);
	assert_int_equal(view_intents(v, zero, issuances, 2, &n), 0);
	assert_int_equal(view_signed_above(v, 7, &counter), 0);
	assert_int_equal(view_supersede_due(v, 5, issuances, 2, &n), 0);
	assert_int_equal(view_audit(v, 0, audits, 2, &n), 0);
	assert_int_equal(view_audit(v, 1, audits, 2, &n), 0);
	assert_int_equal(view_outbox(v, "clara01", 0, messages, 2, &n), 0);
	assert_int_equal(view_revoked(v, "service-1", 1, 5, zero, revoked, 2, &n), 0);
	assert_int_equal(view_shards(v, "service-1", 5, shards, 2, &n), 0);
	assert_int_equal(view_agent_by_host(v, kit_hash(1), agents), E_NOT_FOUND);
	assert_int_equal(view_host_banned(v, kit_hash(1), &banned), 0);
	assert_int_equal(view_invite_by_key(v, key, invites), E_NOT_FOUND);
	assert_int_equal(view_token_by_hash(v, kit_hash(1), &token), E_NOT_FOUND);
	assert_int_equal(view_setting(v, "domain", &bytes), E_NOT_FOUND);
	assert_int_equal(view_crl(v, "service-1", 1, &crl, &bytes), E_NOT_FOUND);
	buf_free(&bytes);
}
