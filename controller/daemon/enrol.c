/* enrol.c - room controller/daemon: checks a join request, redeems the invite, has the link certified, answers.
 * Invite, agent row, intent and audit records are one change; the reply leaves when the certificate is stored. A lost reply is
 * asked for again by the same host key. Never: answering a foreign key with more than a code. */
#include "controller/daemon/enrol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/commit.h"
#include "controller/daemon/enrol_reply.h"
#include "controller/daemon/enrol_return.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum { JOINS_MAX = 1024 };

struct join_job {
	struct controller *ctl;
	uint64_t           gateway, request;
	char               address[ADDRESS_SIZE];
	struct invite      invite;
	struct msg_join    join; /* spans into `bytes` */
	struct body_join   body;
	struct hash        host_hash;
	struct agent       agent; /* the row as it will be */
	int                code;
	size_t             n;
	uint8_t            bytes[];
};

static size_t joins; /* under way, on the loop */

static void job_free(struct join_job *j)
{
	joins--;
	free(j);
}

static void refused(struct join_job *j, int code)
{
	char fields[64], text[ERR_CODE_SIZE];
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", j->invite.name[0] != '\0' ? j->invite.name : "-");
	log_line(LOG_LEVEL_WARNING, fields, "join from %s refused: %s %s", j->address, err_code(code, text), err_what(code));
	enrol_reply_refused(j->ctl, j->gateway, j->request, code);
	gateways_done(j->ctl, j->gateway);
	job_free(j);
}

static void on_identity(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	struct join_job *j = ctx;
	if (code == 0)
		code = enrol_reply_identity(ctl, j->gateway, j->request, j->invite.name, issued);
	if (code < 0) {
		refused(j, code);
		return;
	}
	gateways_done(ctl, j->gateway);
	job_free(j);
}

/* ---- decision -------------------------------------------------------------------------------------------------- */

static int check_invite(const struct join_job *j, int64_t now)
{
	const struct invite *i = &j->invite;
	if (!text_equal(i->name, j->body.name))
		return E_JOIN_SIGNATURE;
	if (!hash_equal(j->body.pin, j->ctl->pin))
		return E_LINK_PIN;
	if (i->expires_at <= now || (i->used_at != 0 && !hash_equal(i->used_by, j->host_hash)))
		return E_JOIN_TOKEN;
	return 0;
}

/* The row as it will be; reuses that of an evicted agent. */
static int agent_of(const struct join_job *j, int64_t now, struct agent *ret)
{
	struct agent a = {0};
	bool         banned = false;
	int          r = view_host_banned(j->ctl->view, j->host_hash, &banned);
	if (r < 0)
		return r;
	if (banned)
		return E_JOIN_BANNED;
	r = rows_agent(j->ctl->rows, j->invite.name, &a);
	if (r < 0 && r != E_NOT_FOUND)
		return r;
	bool same_host = r == 0 && hash_equal(a.host_hash, j->host_hash);
	if (r == 0 && a.state == AGENT_BANNED)
		return E_AGENT_BANNED;
	if (r == 0 && a.state == AGENT_ACTIVE && !same_host)
		return E_JOIN_NAME;
	if (!same_host) {
		a = (struct agent){.joined_at = now, .host_hash = j->host_hash, .host_spki_len = (uint16_t)j->body.host_spki.n};
		memcpy(a.host_spki, j->body.host_spki.p, j->body.host_spki.n);
	}
	a.state = AGENT_ACTIVE;
	a.run = (struct agent_run){.generation = 0}; /* whoever invited has decided which host it is */
	a.copy_at = 0;
	a.copy_address[0] = '\0';
	a.patterns = j->invite.patterns;
	a.seen_at = now;
	text_cut(a.name, sizeof(a.name), j->invite.name);
	text_cut(a.service, sizeof(a.service), j->invite.service);
	text_cut(a.version, sizeof(a.version), j->body.version);
	text_cut(a.address, sizeof(a.address), j->address);
	*ret = a;
	return 0;
}

static void put_join(struct commit *c, void *ctx)
{
	const struct join_job *j = ctx;
	char                   actor[ACTOR_SIZE], host[HASH_TEXT_SIZE];
	(void)snprintf(actor, sizeof(actor), "agent:%s", j->agent.name);
	store_redeem_invite(commit_change(c), j->invite.invite_id, j->host_hash, j->agent.seen_at);
	commit_agent(c, &j->agent);
	commit_audit(c, &(struct audit_of){.event = AUDIT_AGENT_JOINED, .actor = actor, .object = j->agent.name}, "{s:s,s:s}",
		     "host", hash_text(j->host_hash, host), "address", j->address);
	commit_fault_points(c, "controller.join", "controller.join_stored");
}

static int redeem(struct join_job *j)
{
	int64_t now = clock_now();
	int     r = check_invite(j, now);
	if (r == 0)
		r = agent_of(j, now, &j->agent);
	if (r < 0)
		return r;
	char                    actor[ACTOR_SIZE];
	struct identity_request q = {
		.profile = LEAF_AGENT,
		.host_hash = j->host_hash,
		.spki = j->body.link_spki,
		.key_type = KEY_EC_P256,
		.actor = actor,
		.also = put_join,
		.done = on_identity,
		.ctx = j,
	};
	(void)snprintf(actor, sizeof(actor), "agent:%s", j->agent.name);
	text_cut(q.name, sizeof(q.name), j->agent.name);
	return identities_issue(j->ctl, &q);
}

static void decide(struct controller *ctl, void *ctx)
{
	struct join_job *j = ctx;
	int              r = ctl->stopping ? E_SYS_CLOSED : j->code;
	if (r == 0)
		r = redeem(j);
	if (r == E_SYS_AGAIN && serials_wait(ctl, decide, j) == 0)
		return;
	if (r < 0)
		refused(j, r);
}

/* ---- checking, on a worker ------------------------------------------------------------------------------------- */

static int check_key(struct span spki, struct span body, struct span signature)
{
	struct key   *k = NULL;
	enum key_type type;
	int           r = key_spki_type(spki, &type);
	if (r == 0 && type != KEY_EC_P256)
		r = E_PKI_KEY;
	if (r == 0)
		r = key_from_spki(spki, &k);
	if (r == 0)
		r = key_verify(k, LABEL_JOIN, body, signature);
	key_free(k);
	return r;
}

static int check_token(const struct join_job *j)
{
	struct key *k = NULL;
	int         r = key_from_ed25519(j->join.token_key.p, &k);
	if (r == 0)
		r = key_verify(k, LABEL_JOIN, j->join.body, j->join.token_signature);
	key_free(k);
	return r;
}

static void check(void *job, struct store_view *view)
{
	(void)view;
	struct join_job *j = job;
	int              r = check_token(j);
	if (r == 0)
		r = wire_body_decode(&wire_body_join, j->join.body, &j->body);
	if (r == 0)
		r = check_key(j->body.host_spki, j->join.body, j->join.host_signature);
	if (r == 0)
		r = check_key(j->body.link_spki, j->join.body, j->join.link_signature);
	if (r == 0 && j->body.host_spki.n > sizeof(((struct agent *)0)->host_spki))
		r = E_PKI_KEY;
	if (r == 0)
		digest_sha256(j->body.host_spki, &j->host_hash);
	j->code = r == 0 || err_kind(r) == ERR_KIND_LOCAL ? r : E_JOIN_SIGNATURE;
}

static void on_checked(void *job)
{
	struct join_job *j = job;
	decide(j->ctl, j);
}

static void join_request(struct controller *ctl, uint64_t gateway, const struct gw_join *join)
{
	struct join_job *j = calloc(1, sizeof(*j) + join->body.n);
	if (j == NULL)
		abort();
	joins++;
	j->ctl = ctl;
	j->gateway = gateway;
	j->request = join->request;
	text_cut(j->address, sizeof(j->address), join->address);
	j->n = join->body.n;
	memcpy(j->bytes, join->body.p, join->body.n);

	int r = joins > JOINS_MAX ? E_JOIN_RATE : wire_decode(&wire_join, (struct span){j->bytes, j->n}, 0, &ctl->agent_frame);
	if (r == 0) {
		j->join = ctl->agent_frame.u.join;
		r = j->join.token_key.n == 32 ? view_invite_by_key(ctl->view, j->join.token_key.p, &j->invite) : E_WIRE_LIMIT;
		if (r == E_NOT_FOUND)
			r = E_JOIN_TOKEN;
	}
	if (r < 0)
		refused(j, r);
	else
		workers_run(ctl->workers, check, on_checked, j);
}

void enrol_request(struct controller *ctl, uint64_t gateway, const struct gw_join *join)
{
	uint16_t type = 0;
	uint64_t id;
	int      r = wire_check(&wire_join, join->body, 0, &type, &id);
	if (r == 0 && type == JOIN_REQUEST)
		join_request(ctl, gateway, join);
	else if (r == 0 && type == JOIN_RETURN_ASK)
		enrol_return_ask(ctl, gateway, join);
	else if (r == 0 && type == JOIN_RETURN)
		enrol_return(ctl, gateway, join);
	else {
		enrol_reply_refused(ctl, gateway, join->request, r < 0 ? r : E_WIRE_MESSAGE);
		gateways_done(ctl, gateway);
	}
}
