/* controller.h - room controller/daemon: the controller as its HTTP side and main() see it.
 * Everything here is called on the loop's thread. Changing calls answer by callback when the change is durable or refused
 * (the callback may run before the call returns); nothing is answered before it is stored. Never: HTTP, JSON, SQL. */
#ifndef VCC_CONTROLLER_H
#define VCC_CONTROLLER_H

#include <uv.h>

#include "controller/store/store.h"
#include "shared/pki/token.h"

struct controller;
struct controller_conf;

/* Before the jail: binds the gateways' socket, looks up users. `conf` must outlive the controller. E_SYS_*. */
_must_check_ int controller_make(const struct controller_conf *conf, uv_loop_t *loop, struct controller **ret,
				 struct refusal *why);
/* Inside it: opens the store, loads what is open, looks for the signer. E_STORE_*, E_NOT_FOUND. */
_must_check_ int controller_start(struct controller *ctl, struct refusal *why);
/* Closes what keeps the loop alive; it ends by itself afterwards. Then controller_free(): commits what is queued and delivers
 * the last answers. */
void controller_stop(struct controller *ctl);
void controller_free(struct controller *ctl);

/* ---- changing ------------------------------------------------------------------------------------------------- */

/* Who asks, for audit records. */
struct caller {
	char      actor[ACTOR_SIZE]; /* principal, "uid:0", "scheduler", "agent:NAME" */
	struct id request_id;
};

struct api_result {
	int                 code; /* 0, or why not (then `why` is filled) */
	struct refusal      why;
	struct order        order;                  /* controller_order, controller_order_decide */
	struct agent        agent;                  /* controller_agent_state */
	struct invite       invite;                 /* controller_invite, with: */
	char                token[TOKEN_JOIN_SIZE]; /* shown once; the callback's owner wipes its copy */
	char                join_address[ADDRESS_SIZE];
	char                pin[8 + HASH_TEXT_SIZE]; /* "sha256:HEX" of the root */
	uint32_t            template_version;        /* controller_template_apply */
};
/* `result` lives until the callback returns. */
typedef void api_done_fn(void *ctx, const struct api_result *result);

/* One renewal (or the first issue). Codes: E_NOT_FOUND, E_ORDER_* (policy_eligible). The order is sent when its agent is there.
 */
void controller_order(struct controller *ctl, const char *cert_id, enum trigger trigger, bool force, const struct caller *who,
		      api_done_fn *done, void *ctx);
/* Approves or rejects an order that waits for approval. */
void controller_order_decide(struct controller *ctl, struct id renewal_id, bool approve, const struct caller *who,
			     api_done_fn *done, void *ctx);
/* Accepts the names of a `requested` certificate as they stand; its first order follows. */
void controller_certificate_approve(struct controller *ctl, const char *cert_id, const struct caller *who, api_done_fn *done,
				    void *ctx);
/* Ends the certificate for good: every unexpired issuance is revoked, an open order before the flip is cancelled. */
void controller_revoke(struct controller *ctl, const char *cert_id, enum revoke_reason reason, const struct caller *who,
		       api_done_fn *done, void *ctx);

struct invite_request {
	char         name[AGENT_NAME_SIZE];
	char         service[SERVICE_SIZE];
	struct names patterns; /* empty = NAME.SERVICE.DOMAIN, SERVICE.DOMAIN */
	int64_t      ttl_ms;   /* 0 = 15 min; at most 24 h */
};
void controller_invite(struct controller *ctl, const struct invite_request *request, const struct caller *who,
		       api_done_fn *done, void *ctx);
/* `to` is AGENT_EVICTED, AGENT_BANNED or AGENT_REMOVED (only after evict). The connection is cut when it is stored. */
void controller_agent_state(struct controller *ctl, const char *name, enum agent_state to, const struct caller *who,
			    api_done_fn *done, void *ctx);
/* Takes back that there seem to be two hosts with this identity. E_EXISTS: nobody said so. */
void controller_agent_release(struct controller *ctl, const char *name, const struct caller *who, api_done_fn *done, void *ctx);
/* A new version; `expect_version` UINT32_MAX = do not check. Checked by policy_template_check. */
void controller_template_apply(struct controller *ctl, const struct template *t, uint32_t expect_version,
			       const struct caller *who, api_done_fn *done, void *ctx);

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* Keyed reads on the loop only; lists and scans go through workers_read() (workers.h). */
struct store_view            *controller_view(struct controller *ctl);
const struct controller_conf *controller_conf_of(const struct controller *ctl);
uv_loop_t                    *controller_loop(struct controller *ctl);

/* Settings of the installation, loaded at start. */
const char *controller_domain(const struct controller *ctl);
const char *controller_organisation(const struct controller *ctl);
const char *controller_public_url(const struct controller *ctl);

/* Is the agent welcomed at this moment? */
bool controller_connected(const struct controller *ctl, const char *agent);
/* What it said last; NULL while it is away. */
const struct msg_health *controller_health(const struct controller *ctl, const char *agent);
/* Now, or when its last connection in this run ended; 0 = it had none. */
int64_t controller_seen_at(const struct controller *ctl, const char *agent);

struct controller_state {
	bool     signer;    /* connected and its issuers are known */
	bool     signer_log_behind; /* it has forgotten certificates that are stored as issued */
	bool     store;     /* the last commit succeeded */
	bool     crl_fresh; /* no CRL of ours is past its nextUpdate */
	bool     admin_tls; /* the admin certificate is valid */
	uint32_t gateways;
	uint32_t connected; /* welcomed agents */
	uint32_t open_orders;
	int64_t  started_at;
	int64_t  now_at;
};
void controller_state(struct controller *ctl, struct controller_state *ret);

/* Published bytes for the public listener; valid until the next turn of the loop. False = no such file. */
bool        controller_crl(struct controller *ctl, const char *issuer_id, uint32_t shard, struct span *ret_der);
struct span controller_crl_all(struct controller *ctl); /* PEM: every shard and the root's */
/* The lists of this content, as hosts were told of them; false when that is too long ago. */
bool        controller_crl_edition(struct controller *ctl, struct hash hash, struct span *ret_pem);
bool        controller_crl_is_current(const struct controller *ctl, struct hash hash); /* what hosts were told last */
struct span controller_ca_all(struct controller *ctl);                                   /* PEM: every issuing CA, without the roots */
bool        controller_ca(struct controller *ctl, const char *issuer_id, struct span *ret_der);

/* The admin listener's own certificate: PEM of the chain (leaf first) and of the key; false until it was issued. `changed` is
 * called on the loop whenever a new one is there. The spans live until then. */
typedef void tls_changed_fn(void *ctx);
void         controller_on_admin_tls(struct controller *ctl, tls_changed_fn *changed, void *ctx);
bool         controller_admin_tls(struct controller *ctl, struct span *ret_chain_pem, struct span *ret_key_pem);

#endif
