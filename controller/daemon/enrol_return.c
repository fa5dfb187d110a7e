/* enrol_return.c - room controller/daemon: an agent whose identity has ended comes back by its host key: challenge, two signatures,
 * a new link certificate. Only for an active agent with exactly that host key; a lost reply is asked for again with the same link
 * key and gives the same certificate. Never: parsing the body before the host key's signature has been checked; judging the
 * host's clock. */
#include "controller/daemon/enrol_return.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "controller/daemon/challenge.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/enrol_reply.h"
#include "controller/daemon/gateways.h"
#include "controller/daemon/identities.h"
#include "controller/daemon/serials.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"
#include "shared/sys/clock.h"
#include "shared/sys/log.h"

enum {
	RETURNS_MAX = 1024,
	AGAIN_MS = 5000, /* a host gets no second certificate for another link key sooner */
};

struct return_job {
	struct controller *ctl;
	struct return_job *prev, *next;
	uint64_t           gateway, request;
	char               address[ADDRESS_SIZE];
	char               agent[AGENT_NAME_SIZE];
	struct agent       row; /* as it was when the signature was checked, later as it will be */
	struct msg_return  message; /* spans into `bytes` */
	struct body_return body;
	bool               signing;
	int                code;
	size_t             n;
	uint8_t            bytes[];
};

static struct return_job *jobs; /* under way, on the loop */
static size_t             n_jobs;

static void job_free(struct return_job *j)
{
	DL_DELETE(jobs, j);
	n_jobs--;
	gateways_done(j->ctl, j->gateway);
	free(j);
}

static void refused(struct return_job *j, int code)
{
	char fields[64], text[ERR_CODE_SIZE];
	(void)snprintf(fields, sizeof(fields), "VCC_AGENT=%s", j->agent);
	log_line(LOG_LEVEL_WARNING, fields, "return from %s refused: %s %s", j->address, err_code(code, text), err_what(code));
	enrol_reply_refused(j->ctl, j->gateway, j->request, code);
	job_free(j);
}

/* ---- the challenge --------------------------------------------------------------------------------------------- */

/* Given to any name: who asks learns nothing of which agents there are. */
void enrol_return_ask(struct controller *ctl, uint64_t gateway, const struct gw_join *join)
{
	struct challenge     c;
	struct msg_challenge m = {.now_at = clock_now(), .challenge = {c.bytes, sizeof(c.bytes)}};
	int                  r = wire_decode(&wire_join, join->body, 0, &ctl->agent_frame);
	const char          *agent = ctl->agent_frame.u.return_ask.agent;
	if (r == 0 && !name_agent_ok(agent))
		r = E_NAME;
	if (r == 0) {
		challenge_make(ctl->challenge_secret, agent, clock_monotonic(), &c);
		enrol_reply_challenge(ctl, gateway, join->request, &m);
	} else {
		enrol_reply_refused(ctl, gateway, join->request, r);
	}
	gateways_done(ctl, gateway);
}

/* ---- decision -------------------------------------------------------------------------------------------------- */

static void on_identity(struct controller *ctl, void *ctx, int code, const struct issuance *issued)
{
	struct return_job *j = ctx;
	if (code == 0)
		code = enrol_reply_identity(ctl, j->gateway, j->request, j->agent, issued);
	if (code < 0)
		refused(j, code);
	else
		job_free(j);
}

static int check_state(const struct agent *a)
{
	static const int codes[AGENT_STATE_COUNT] = {
		[AGENT_ACTIVE] = 0,
		[AGENT_EVICTED] = E_AGENT_EVICTED,
		[AGENT_BANNED] = E_AGENT_BANNED,
		[AGENT_REMOVED] = E_AGENT_EVICTED,
	};
	return (unsigned)a->state < AGENT_STATE_COUNT ? codes[a->state] : E_RETURN_UNKNOWN;
}

/* The row may have changed since the signature was checked with its key. */
static int check_facts(struct return_job *j)
{
	struct agent a;
	int          r = rows_agent(j->ctl->rows, j->agent, &a);
	if (r < 0)
		return r == E_NOT_FOUND ? E_RETURN_UNKNOWN : r;
	if (!hash_equal(a.host_hash, j->row.host_hash) || !hash_equal(a.host_hash, j->body.host_hash) ||
	    !text_equal(a.name, j->body.name))
		return E_RETURN_UNKNOWN;
	j->row = a;
	r = check_state(&a);
	if (r == 0 && !challenge_fresh(j->ctl->challenge_secret, a.name, clock_monotonic(), j->body.challenge))
		r = E_RETURN_STALE;
	if (r == 0 && !hash_equal(j->body.pin, j->ctl->pin))
		r = E_LINK_PIN;
	return r;
}

/* One at a time for each host, and not one after the other without a pause. */
static int check_pace(const struct return_job *j, int64_t now)
{
	const struct return_job *other;
	struct issuance          newest;
	DL_FOREACH (jobs, other)
		if (other != j && other->signing && text_equal(other->agent, j->agent))
			return E_JOIN_RATE;
	if (serial_is_none(j->row.identity) || rows_issuance(j->ctl->rows, j->row.identity, &newest) < 0)
		return 0;
	return newest.created_at <= now && now - newest.created_at < AGAIN_MS ? E_JOIN_RATE : 0;
}

static void put_return(struct commit *c, void *ctx)
{
	struct return_job *j = ctx;
	char               actor[ACTOR_SIZE], host[HASH_TEXT_SIZE];
	int64_t            now = clock_now();
	(void)snprintf(actor, sizeof(actor), "agent:%s", j->agent);
	j->row.seen_at = now;
	j->row.skew_ms = time_between(j->body.made_at, now);
	text_cut(j->row.version, sizeof(j->row.version), j->body.version);
	text_cut(j->row.address, sizeof(j->row.address), j->address);
	commit_agent(c, &j->row);
	commit_audit(c, &(struct audit_of){.event = AUDIT_AGENT_RETURNED, .actor = actor, .object = j->agent}, "{s:s,s:s,s:I}",
		     "host", hash_text(j->row.host_hash, host), "address", j->address, "clock_skew_ms", (long long)j->row.skew_ms);
	commit_fault_points(c, "controller.return", "controller.return_stored");
}

static int certify(struct return_job *j)
{
	char                    actor[ACTOR_SIZE];
	struct identity_request q = {
		.profile = LEAF_AGENT,
		.host_hash = j->row.host_hash,
		.spki = j->body.link_spki,
		.key_type = KEY_EC_P256,
		.actor = actor,
		.also = put_return,
		.done = on_identity,
		.ctx = j,
	};
	(void)snprintf(actor, sizeof(actor), "agent:%s", j->agent);
	text_cut(q.name, sizeof(q.name), j->agent);
	return identities_issue(j->ctl, &q);
}

static void decide(struct controller *ctl, void *ctx)
{
	struct return_job *j = ctx;
	struct issuance    known;
	struct hash        spki_hash;
	int                r = ctl->stopping ? E_SYS_CLOSED : j->code;
	if (r == 0)
		r = check_facts(j);
	if (r == 0)
		digest_sha256(j->body.link_spki, &spki_hash);
	if (r == 0 && identities_agent_repeated(ctl, &j->row, spki_hash, &known)) {
		on_identity(ctl, j, 0, &known);
		return;
	}
	if (r == 0)
		r = check_pace(j, clock_now());
	if (r == 0) {
		j->signing = true;
		r = certify(j);
	}
	if (r == E_SYS_AGAIN) {
		j->signing = false;
		if (serials_wait(ctl, decide, j) == 0)
			return;
	}
	if (r < 0)
		refused(j, r);
}

/* ---- checking, on a worker ------------------------------------------------------------------------------------- */

static int check_host(const struct return_job *j)
{
	struct key *k = NULL;
	int         r = key_from_spki((struct span){j->row.host_spki, j->row.host_spki_len}, &k);
	if (r == 0)
		r = key_verify(k, LABEL_RETURN, j->message.body, j->message.host_signature);
	key_free(k);
	return r;
}

static int check_link(const struct return_job *j)
{
	struct key   *k = NULL;
	enum key_type type;
	int           r = key_spki_type(j->body.link_spki, &type);
	if (r == 0 && type != KEY_EC_P256)
		r = E_PKI_KEY;
	if (r == 0)
		r = key_from_spki(j->body.link_spki, &k);
	if (r == 0)
		r = key_verify(k, LABEL_RETURN, j->message.body, j->message.link_signature);
	key_free(k);
	return r;
}

static void check(void *job, struct store_view *view)
{
	(void)view;
	struct return_job *j = job;
	int                r = check_host(j);
	if (r != 0) { /* another host's key: the name may have gone to a new one */
		j->code = err_kind(r) == ERR_KIND_LOCAL ? r : E_RETURN_UNKNOWN;
		return;
	}
	r = wire_body_decode(&wire_body_return, j->message.body, &j->body);
	if (r == 0)
		r = check_link(j);
	j->code = r == 0 || err_kind(r) == ERR_KIND_LOCAL ? r : E_RETURN_SIGNATURE;
}

static void on_checked(void *job)
{
	struct return_job *j = job;
	decide(j->ctl, j);
}

void enrol_return(struct controller *ctl, uint64_t gateway, const struct gw_join *join)
{
	struct return_job *j = calloc(1, sizeof(*j) + join->body.n);
	if (j == NULL)
		abort();
	DL_APPEND(jobs, j);
	n_jobs++;
	j->ctl = ctl;
	j->gateway = gateway;
	j->request = join->request;
	text_cut(j->address, sizeof(j->address), join->address);
	j->n = join->body.n;
	memcpy(j->bytes, join->body.p, join->body.n);

	int r = n_jobs > RETURNS_MAX ? E_JOIN_RATE : wire_decode(&wire_join, (struct span){j->bytes, j->n}, 0, &ctl->agent_frame);
	if (r == 0) {
		j->message = ctl->agent_frame.u.comeback;
		text_cut(j->agent, sizeof(j->agent), name_agent_ok(j->message.agent) ? j->message.agent : "-");
		r = name_agent_ok(j->message.agent) ? rows_agent(ctl->rows, j->agent, &j->row) : E_NOT_FOUND;
	}
	if (r == E_NOT_FOUND)
		r = E_RETURN_UNKNOWN;
	if (r < 0)
		refused(j, r);
	else
		workers_run(ctl->workers, check, on_checked, j);
}
