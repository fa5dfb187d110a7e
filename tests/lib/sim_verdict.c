/* sim_verdict.c - room tests/lib: what must hold when everything has come to rest (the invariants I2-I5, I7, I8; the others are looked at as the run goes on).
 * Never: repairing. */
#include <stdlib.h>
#include <string.h>

#include "shared/base/err.h"
#include "shared/base/merkle.h"
#include "shared/pki/key.h"
#include "tests/lib/sim.h"

/* ---- orders: exactly one end each, and what an end means ---- */

static unsigned ends_in_audit(const struct audit *rows, size_t n, struct id renewal_id)
{
	unsigned ends = 0;
	for (size_t i = 0; i < n; i++) {
		bool end = rows[i].event == AUDIT_RENEWAL_COMPLETED || rows[i].event == AUDIT_RENEWAL_FAILED ||
			   rows[i].event == AUDIT_RENEWAL_CANCELLED;
		ends += end && id_equal(rows[i].renewal_id, renewal_id) ? 1 : 0;
	}
	return ends;
}

static bool may_fail(const struct sim *s)
{
	return s->config->target > 0 || s->config->host_jump > 0;
}

static void check_order(struct sim *s, const struct order *o, const struct audit *rows, size_t n)
{
	bool paused = o->phase == ORDER_PAUSED && may_fail(s);
	if (!order_phase_final(o->phase) && !paused)
		sim_broken(s, SIM_ONE_END, "%s: the order is %s for ever", o->cert_id, order_phase_name(o->phase));
	unsigned ends = ends_in_audit(rows, n, o->renewal_id);
	if (ends != (order_phase_final(o->phase) ? 1 : 0))
		sim_broken(s, SIM_ONE_END, "%s: the order ends %u times in the audit trail", o->cert_id, ends);
	bool calm_target = !may_fail(s) && s->config->cancel == 0;
	if (o->phase == ORDER_FAILED && (o->code >= 0 || err_next(o->code)[0] == 0))
		sim_broken(s, SIM_CLEAR_ERROR, "%s: it failed with code %d", o->cert_id, o->code);
	bool gave_way = s->config->campaigns && o->phase == ORDER_CANCELLED; /* to the emergency, or to somebody's word */
	if (calm_target && !gave_way && o->phase != ORDER_COMPLETED)
		sim_error(s, "%s: %s, and the target did nothing wrong", o->cert_id, order_phase_name(o->phase));
	s->completed += o->phase == ORDER_COMPLETED ? 1 : 0;
	s->cancelled += o->phase == ORDER_CANCELLED ? 1 : 0;
	s->unverified += (o->flags & ORDER_UNVERIFIED) != 0 ? 1 : 0;
	s->failures += o->failures;
}

static size_t check_orders(struct sim *s, const struct audit *rows, size_t n_rows)
{
	static struct order all[STORE_LIST_MAX];
	size_t              n = 0, total = 0;
	struct id           before = {0};
	do {
		if (view_orders(s->view, NULL, before, all, STORE_LIST_MAX, &n) != 0)
			sim_error(s, "the orders cannot be read");
		for (size_t i = 0; i < n; i++)
			check_order(s, &all[i], rows, n_rows);
		total += n;
		if (n > 0)
			before = all[n - 1].renewal_id;
	} while (n == STORE_LIST_MAX);
	if (!may_fail(s) && s->config->cancel == 0 && s->failures > s->given_up)
		sim_error(s, "%u failed attempts, of which keepers gave up %u, and no target did anything wrong", s->failures, s->given_up);
	return total;
}

/* ---- what is served is what was issued ---- */

static void check_served(struct sim *s, int agent, int cert)
{
	const struct sim_cert       *c = &s->agent[agent].cert[cert];
	const struct sim_generation *g = &c->generation[c->current];
	struct certificate           row;
	struct issuance              i;
	if (view_certificate(s->view, c->cert_id, &row) != 0) {
		sim_error(s, "%s: no certificate", c->cert_id);
		return;
	}
	if (c->current == 0 ? !serial_is_none(row.serial) : !hash_equal(g->fingerprint, row.fingerprint))
		sim_broken(s, SIM_SERVED, "%s: the controller's current certificate is not the host's", c->cert_id);
	if (!id_is_none(row.open_order) && !may_fail(s))
		sim_broken(s, SIM_ONE_END, "%s: an order is left open", c->cert_id);
	if (c->current == 0)
		return;
	if (view_issuance(s->view, row.serial, &i) != 0 || (i.state != ISSUANCE_ACTIVE && row.proved) ||
	    i.state == ISSUANCE_REVOKED)
		sim_broken(s, SIM_SERVED, "%s: its current issuance is %s", c->cert_id, issuance_state_name(i.state));
	if (c->probed && (!c->up || c->loaded != c->current))
		sim_broken(s, SIM_SERVED, "%s: the service serves generation %llu, current is %llu", c->cert_id,
			  (unsigned long long)c->loaded, (unsigned long long)c->current);
}

/* What is neither current nor followed by a proved successor has been revoked. */
static void check_issuances(struct sim *s, int agent, int cert)
{
	static struct issuance rows[STORE_LIST_MAX];
	const struct sim_cert *c = &s->agent[agent].cert[cert];
	struct certificate     row;
	size_t                 n = 0;
	if (view_certificate(s->view, c->cert_id, &row) != 0 ||
	    view_issuances(s->view, OWNER_CERTIFICATE, c->cert_id, (struct serial){0}, rows, STORE_LIST_MAX, &n) != 0)
		sim_error(s, "%s: its issuances cannot be read", c->cert_id);
	for (size_t i = 0; i < n; i++) {
		bool good = rows[i].state == ISSUANCE_ISSUED || rows[i].state == ISSUANCE_ACTIVE;
		if (good && !serial_equal(rows[i].serial, row.serial) && s->unverified == 0)
			sim_error(s, "%s: an issuance that is not current is %s", c->cert_id,
				  issuance_state_name(rows[i].state));
	}
}

/* An order was applied once: a certificate was flipped to in one generation only. */
static void check_applied_once(struct sim *s)
{
	for (size_t i = 0; i < s->n_flips; i++) {
		for (size_t k = i + 1; k < s->n_flips; k++) {
			if (hash_equal(s->flip[i].fingerprint, s->flip[k].fingerprint) &&
			    s->flip[i].generation != s->flip[k].generation)
				sim_broken(s, SIM_ONE_END, "one certificate was put into generations %llu and %llu",
					  (unsigned long long)s->flip[i].generation, (unsigned long long)s->flip[k].generation);
		}
	}
}

/* ---- no certificate without intent and audit ---- */

static bool audited(const struct audit *rows, size_t n, const char *serial)
{
	for (size_t i = 0; i < n; i++) {
		if (rows[i].event == AUDIT_CERTIFICATE_INTENT && strstr(rows[i].detail, serial) != NULL)
			return true;
	}
	return false;
}

static void check_signer(struct sim *s, const struct audit *rows, size_t n)
{
	for (size_t k = 0; k < s->signer.n; k++) {
		const struct sim_signature *g = &s->signer.log[k];
		struct issuance             i;
		char                        serial[SERIAL_TEXT_SIZE];
		serial_text(g->serial, serial);
		if (view_issuance(s->view, g->serial, &i) != 0 || !hash_equal(i.tbs_hash, g->tbs))
			sim_broken(s, SIM_INTENT, "serial %s was signed without an intent", serial);
		else if (i.state == ISSUANCE_INTENT || i.state == ISSUANCE_VOID)
			sim_broken(s, SIM_INTENT, "serial %s was signed and is still %s", serial, issuance_state_name(i.state));
		if (!audited(rows, n, serial))
			sim_broken(s, SIM_INTENT, "serial %s has no audit record", serial);
	}
	static struct issuance open[8];
	size_t                 left = 0;
	if (view_intents(s->view, (struct serial){0}, open, 8, &left) != 0 || left > 0)
		sim_broken(s, SIM_INTENT, "%zu intents are left open", left);
}

static void check_tree(struct sim *s, const struct audit *rows, size_t n)
{
	struct merkle_frontier f = {.size = 0};
	struct merkle_made     made[MERKLE_LEVELS];
	struct buf             text = BUF_MAX(4096);
	struct hash            root, stored;
	uint64_t               size = 0;
	for (size_t i = 0; i < n; i++) {
		struct hash leaf;
		buf_reset(&text);
		audit_canonical(&rows[i], &text);
		if (rows[i].seq != i)
			sim_broken(s, SIM_AUDIT, "the audit trail has a gap at %zu", i);
		merkle_leaf(digest_sha256_two, text.p, text.n, &leaf);
		(void)merkle_append(digest_sha256_two, &f, &leaf, made);
	}
	buf_free(&text);
	merkle_root(digest_sha256_two, &f, &root);
	if (view_audit_head(s->view, &size, &stored) != 0 || size != n || !hash_equal(root, stored))
		sim_broken(s, SIM_AUDIT, "the audit tree does not fit its rows");
}

static struct audit *audit_all(struct sim *s, size_t *ret_n)
{
	struct audit *rows = NULL;
	size_t        n = 0, got = 0;
	do {
		rows = reallocarray(rows, n + STORE_LIST_MAX, sizeof(*rows));
		if (rows == NULL || view_audit(s->view, n, rows + n, STORE_LIST_MAX, &got) != 0)
			abort();
		n += got;
	} while (got == STORE_LIST_MAX);
	*ret_n = n;
	return rows;
}

void verdict(struct sim *s)
{
	size_t        n = 0;
	struct audit *rows = audit_all(s, &n);
	if (s->config->mutant == MUTANT_AUDIT_EDIT)
		rows[n / 2].at++;
	if (check_orders(s, rows, n) < (size_t)(s->n_agents * s->n_certs))
		sim_error(s, "there were hardly any orders");
	for (int agent = 0; agent < s->n_agents; agent++) {
		for (int cert = 0; cert < s->n_certs; cert++)
			check_served(s, agent, cert), check_issuances(s, agent, cert);
		struct agent row;
		if (view_agent(s->view, s->agent[agent].name, &row) != 0 || row.receipt_seq != s->agent[agent].last_seq)
			sim_broken(s, SIM_ACKNOWLEDGED, "a%d: receipts up to %llu were made, %llu are stored", agent,
				  (unsigned long long)s->agent[agent].last_seq, (unsigned long long)row.receipt_seq);
	}
	check_applied_once(s);
	check_signer(s, rows, n);
	check_tree(s, rows, n);
	verdict_campaigns(s, rows, n);
	free(rows);
}
