/* identities.c - room controller/daemon: one path for all our own certificates: intent -> signer -> stored -> handed out.
 * A request that is lost by a restart is made again by whoever needs it; its intent is voided then. Never: handing out before
 * storing. */
#include "controller/daemon/identities.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

#include "controller/daemon/admin_tls.h"
#include "controller/daemon/agent_messages.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/crls.h"
#include "controller/daemon/fleet.h"
#include "controller/daemon/intents.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/cert.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { REQUESTS_MAX = 20000 };

/* From intent to answer. */
struct request {
	struct serial     serial;
	struct issuance   row;
	enum leaf_profile profile;
	identity_done_fn *done;
	void             *ctx;
	char              actor[ACTOR_SIZE];
	UT_hash_handle    hh;
};

struct identities {
	struct controller *ctl;
	struct request    *requests;
	struct admin_tls  *admin;
};

int identities_open(struct controller *ctl, struct identities **ret, struct refusal *why)
{
	struct identities *i = calloc(1, sizeof(*i));
	if (i == NULL)
		return refuse(why, E_NOMEM, "identities", "no memory");
	i->ctl = ctl;
	int r = admin_tls_open(ctl, &i->admin, why);
	if (r < 0) {
		free(i);
		return r;
	}
	*ret = i;
	return 0;
}

void identities_free(struct identities *i)
{
	if (i == NULL)
		return;
	struct request *q, *tmp;
	HASH_ITER (hh, i->requests, q, tmp) {
		HASH_DEL(i->requests, q);
		q->done(i->ctl, q->ctx, E_SYS_CLOSED, NULL);
		free(q);
	}
	admin_tls_free(i->admin);
	free(i);
}

/* ---- facts ----------------------------------------------------------------------------------------------------- */

static const struct {
	enum issuance_owner owner;
	enum issuer_role    role;
	const char         *path; /* of the SPIFFE URI */
	uint16_t            ext_key_usage;
} profiles[LEAF_PROFILE_COUNT] = {
	[LEAF_AGENT] = {OWNER_AGENT, ISSUER_AGENT, "agent", EKU_CLIENT_AUTH},
	[LEAF_GATEWAY] = {OWNER_GATEWAY, ISSUER_AGENT, "gateway", EKU_SERVER_AUTH},
	[LEAF_ADMIN_TLS] = {OWNER_CONTROLLER, ISSUER_SERVICE, NULL, EKU_SERVER_AUTH},
};

static int facts_of(struct controller *ctl, const struct identity_request *q, const struct catalog_issuer *issuer, int64_t now,
		    struct cert_facts *ret)
{
	int64_t                       issuer_end = issuer->row.not_after_at;
	const struct controller_conf *conf = ctl->conf;
	int64_t                       life = q->profile == LEAF_AGENT ? conf->identity_agent_ms : conf->identity_server_ms;
	int64_t                       back = life > MS_HOUR ? 5 * MS_MINUTE : MS_SECOND;
	int64_t                       end = now + life < issuer_end ? now + life : issuer_end;
	struct cert_facts             f = {
			    .profile = q->profile,
			    .not_before_at = (now - back) / MS_SECOND * MS_SECOND,
			    .not_after_at = end / MS_SECOND * MS_SECOND,
			    .key_type = q->key_type,
			    .key_usage = KU_DIGITAL_SIGNATURE,
			    .ext_key_usage = profiles[q->profile].ext_key_usage,
			    .hash_alg = HASH_SHA256,
			    .spki_len = (uint16_t)q->spki.n,
        };
	if (q->spki.n > sizeof(f.spki))
		return E_PKI_KEY;
	memcpy(f.spki, q->spki.p, q->spki.n);
	text_cut(f.organisation, sizeof(f.organisation), conf->organisation);
	if (profiles[q->profile].path != NULL) {
		int n = snprintf(f.uri, sizeof(f.uri), "spiffe://%s/%s/%s", ctl->domain, profiles[q->profile].path, q->name);
		if (n < 0 || (size_t)n >= sizeof(f.uri))
			return E_FULL;
	}
	if (q->profile == LEAF_AGENT)
		(void)hash_text(q->host_hash, f.host_hash);
	*ret = f;
	return q->profile == LEAF_ADMIN_TLS ? admin_tls_names(ctl, issuer, ret) : 0;
}

/* ---- intent -> signer -> stored -------------------------------------------------------------------------------- */

static void finish(struct controller *ctl, struct request *q, int code)
{
	HASH_DEL(ctl->identities->requests, q);
	q->done(ctl, q->ctx, code, code == 0 ? &q->row : NULL);
	free(q);
}

static struct request *find(const struct controller *ctl, struct serial serial)
{
	struct request *q = NULL;
	HASH_FIND(hh, ctl->identities->requests, &serial, sizeof(serial), q);
	return q;
}

static void on_intent_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct serial serial;
	memcpy(serial.b, value, sizeof(serial.b));
	struct request *q = find(ctl, serial);
	struct ticket   t = {.kind = TICKET_IDENTITY, .serial = serial};
	if (q != NULL)
		intent_ask(ctl, &q->row, &t);
}

static void on_lost(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct serial serial;
	memcpy(serial.b, value, sizeof(serial.b));
	struct request *q = find(ctl, serial);
	if (q != NULL)
		finish(ctl, q, commit_failure(ctl));
}

int identities_issue(struct controller *ctl, const struct identity_request *request)
{
	struct catalog_issuer *issuer = catalog_issuer_of_role(ctl->catalog, profiles[request->profile].role);
	struct cert_facts      facts = {0};
	struct issuance        row = {0};
	int64_t                now = clock_now();
	int r = issuer == NULL ? E_SIGNER_ISSUER : HASH_COUNT(ctl->identities->requests) >= REQUESTS_MAX ? E_API_BUSY : 0;
	if (r == 0)
		r = facts_of(ctl, request, issuer, now, &facts);
	if (r == 0)
		r = intent_make(ctl, issuer, &facts, now, &row);
	if (r < 0)
		return r;
	struct request *q = calloc(1, sizeof(*q));
	if (q == NULL)
		abort();
	row.owner = profiles[request->profile].owner;
	text_cut(row.owner_id, sizeof(row.owner_id), request->name);
	q->serial = row.serial;
	q->row = row;
	q->profile = request->profile;
	q->done = request->done;
	q->ctx = request->ctx;
	text_cut(q->actor, sizeof(q->actor), request->actor);
	HASH_ADD(hh, ctl->identities->requests, serial, sizeof(q->serial), q);

	char           serial[SERIAL_TEXT_SIZE];
	struct commit *c = commit_new(ctl);
	commit_fault_points(c, "controller.identity", "controller.identity_stored");
	if (request->also != NULL)
		request->also(c, request->ctx);
	commit_issuance_new(c, &row);
	commit_audit(c, &(struct audit_of){.event = AUDIT_CERTIFICATE_INTENT, .actor = q->actor, .object = request->name},
		     "{s:s,s:s}", "profile", leaf_profile_name(request->profile), "serial", serial_text(row.serial, serial));
	commit_then(c, on_intent_stored, row.serial.b, sizeof(row.serial.b));
	commit_else(c, on_lost, row.serial.b, sizeof(row.serial.b));
	commit_now(c, NULL, NULL);
	return 0;
}

static void on_issued_stored(struct controller *ctl, const void *value, size_t n)
{
	(void)n;
	struct serial serial;
	memcpy(serial.b, value, sizeof(serial.b));
	struct request *q = find(ctl, serial);
	if (q != NULL)
		finish(ctl, q, 0);
}

/* The agent's row names its newest identity. */
static void note_in_agent(struct controller *ctl, struct commit *c, const struct request *q)
{
	struct agent a;
	if (q->profile != LEAF_AGENT || rows_agent(ctl->rows, q->row.owner_id, &a) < 0)
		return;
	a.identity = q->row.serial;
	a.identity_not_after_at = q->row.not_after_at;
	commit_agent(c, &a);
}

/* While the signer worked the agent may have been evicted: its intent is revoked then (`ret_ended`) and stays so. */
static int still_wanted(struct controller *ctl, const struct request *q, bool *ret_ended)
{
	struct issuance newest;
	struct agent    a;
	int             r = rows_issuance(ctl->rows, q->serial, &newest);
	*ret_ended = r < 0 || newest.state != ISSUANCE_INTENT;
	if (*ret_ended)
		return r < 0 ? r : E_AGENT_EVICTED;
	if (q->profile != LEAF_AGENT)
		return 0;
	r = rows_agent(ctl->rows, q->row.owner_id, &a);
	return r == 0 && a.state != AGENT_ACTIVE ? E_AGENT_EVICTED : r;
}

void identities_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a)
{
	struct request *q = find(ctl, t->serial);
	if (q == NULL)
		return;
	struct issuance issued = {0};
	bool            ended = false;
	int             r = still_wanted(ctl, q, &ended);
	if (ended) {
		finish(ctl, q, r);
		return;
	}
	if (r == 0)
		r = a->code;
	if (r == 0)
		r = intent_signed(&q->row, a->der, &issued);
	char           serial[SERIAL_TEXT_SIZE], code[ERR_CODE_SIZE];
	struct commit *c = commit_new(ctl);
	if (r < 0) {
		q->row.state = ISSUANCE_VOID;
		commit_issuance(c, &q->row);
		commit_audit(c, &(struct audit_of){.event = AUDIT_INTENT_VOIDED, .actor = q->actor, .object = q->row.owner_id},
			     "{s:s,s:s}", "serial", serial_text(q->row.serial, serial), "code", err_code(r, code));
		commit_now(c, NULL, NULL);
		log_line(LOG_LEVEL_ERROR, NULL, "no certificate for %s: %s %s", q->row.owner_id, err_code(r, code),
			 a->code != 0 ? a->text : err_what(r));
		finish(ctl, q, r);
		return;
	}
	issued.state = ISSUANCE_ACTIVE; /* nothing has to be proved: the certificate is of use only to the holder of its key */
	q->row = issued;
	commit_issuance(c, &issued);
	note_in_agent(ctl, c, q);
	crls_new_later(ctl, c, issued.issuer_id, issued.crl_shard);
	commit_audit(c, &(struct audit_of){.event = AUDIT_IDENTITY_ISSUED, .actor = q->actor, .object = issued.owner_id},
		     "{s:s,s:s}", "profile", leaf_profile_name(q->profile), "serial", serial_text(issued.serial, serial));
	commit_then(c, on_issued_stored, issued.serial.b, sizeof(issued.serial.b));
	commit_else(c, on_lost, issued.serial.b, sizeof(issued.serial.b));
	commit_fault_points(c, "controller.identity_issued", "controller.identity_issued_stored");
	commit_now(c, NULL, NULL);
}

/* ---- agents' links --------------------------------------------------------------------------------------------- */

struct agent_wait {
	char     agent[AGENT_NAME_SIZE];
	uint64_t id;
};

static void send_identity(struct controller *ctl, const char *agent, uint64_t id, const struct issuance *issued)
{
	const struct catalog_issuer *issuer = catalog_issuer(ctl->catalog, issued->issuer_id);
	struct msg_identity          m = {.certificate = {issued->der, issued->der_len},
					  .chain = issuer != NULL ? issuer->chain : (struct span){0}};
	(void)fleet_send(ctl, agent, MSG_IDENTITY, id, &m, false);
}

static void on_agent_identity(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	struct agent_wait *w = ctx;
	if (code == 0)
		send_identity(ctl, w->agent, w->id, issued);
	else
		agent_ack(ctl, w->agent, w->id, 0, code, NULL);
	free(w);
}

bool identities_agent_repeated(struct controller *ctl, const struct agent *a, struct hash spki_hash, struct issuance *ret)
{
	int64_t now = clock_now();
	if (serial_is_none(a->identity) || rows_issuance(ctl->rows, a->identity, ret) < 0)
		return false;
	return ret->state == ISSUANCE_ACTIVE && hash_equal(ret->spki_hash, spki_hash) &&
	       ret->not_after_at - now > (ret->not_after_at - ret->not_before_at) / 2;
}

int identities_agent(struct controller *ctl, const char *agent, uint64_t id, const struct body_identity *body, struct span spki,
		     enum key_type key_type)
{
	struct agent    a;
	struct issuance old;
	struct hash     spki_hash;
	char            actor[ACTOR_SIZE];
	if (!text_equal(body->name, agent))
		return E_GW_CLIENT;
	if (key_type != KEY_EC_P256)
		return E_POLICY_CSR;
	int r = rows_agent(ctl->rows, agent, &a);
	if (r < 0)
		return r;
	digest_sha256(spki, &spki_hash);
	if (identities_agent_repeated(ctl, &a, spki_hash, &old)) {
		send_identity(ctl, agent, id, &old);
		return 0;
	}
	struct agent_wait *w = calloc(1, sizeof(*w));
	if (w == NULL)
		abort();
	text_cut(w->agent, sizeof(w->agent), agent);
	w->id = id;
	(void)snprintf(actor, sizeof(actor), "agent:%s", agent);
	struct identity_request q = {.profile = LEAF_AGENT,
				     .host_hash = a.host_hash,
				     .spki = spki,
				     .key_type = key_type,
				     .actor = actor,
				     .done = on_agent_identity,
				     .ctx = w};
	text_cut(q.name, sizeof(q.name), agent);
	r = identities_issue(ctl, &q);
	if (r < 0)
		free(w);
	return r;
}

/* ---- the admin listener ---------------------------------------------------------------------------------------- */

void identities_tick(struct controller *ctl, int64_t now)
{
	admin_tls_tick(ctl, ctl->identities->admin, now);
}

bool identities_admin(struct controller *ctl, struct span *ret_chain_pem, struct span *ret_key_pem)
{
	return admin_tls_get(ctl->identities->admin, ret_chain_pem, ret_key_pem);
}

bool identities_admin_ready(const struct controller *ctl, int64_t now)
{
	return admin_tls_valid(ctl->identities->admin, now);
}
