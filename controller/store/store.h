/* store.h - room controller/store: what the controller keeps, in nouns. Two backends: SQLite and memory (tests).
 * Writing: build a change (a list of verbs), submit it, get one event on the loop when it is durable. A change commits
 * whole or not at all: state, audit records and outgoing messages together. Changes commit in the order of submission.
 * Reading: a view, one per thread; it sees what has been committed. Never: SQL in callers, clocks, ids of its own. */
#ifndef VCC_STORE_H
#define VCC_STORE_H

#include "shared/base/err.h"
#include "shared/base/merkle.h"
#include "shared/model/agent.h"
#include "shared/model/inventory.h"
#include "shared/model/template.h"

struct store;
struct store_change;
struct store_view;

enum { STORE_LIST_MAX = 500, STORE_QUEUE_MAX = 20000, OUTBOX_FRAME_MAX = 16384, RECEIPT_SIGNATURE_MAX = 144, RECEIPT_BODY_MAX = 8192 };

/* ---- life ---- */
struct store_options {
	const char     *path;       /* SQLite file */
	merkle_hash_fn *hash;       /* SHA-256 of the audit tree */
	void (*wake)(void *ctx);    /* called from the store thread when completions wait: must only wake the loop */
	void           *wake_ctx;
	bool            create;     /* make the database when there is none; else it must exist */
};
/* One writer per database (lock file); E_SYS_LOCKED, E_STORE_SCHEMA, E_STORE_DAMAGED. Runs pending migrations. */
_must_check_ int store_sqlite_open(const struct store_options *options, struct store **ret, struct refusal *why);
_must_check_ int store_mem_open(const struct store_options *options, struct store **ret);
/* Commits what is queued, then closes. Completions not yet delivered are delivered inside. */
void store_close(struct store *s);

/* ---- changes ---- */
/* What the writer found out while committing. */
struct store_result {
	uint64_t audit_seq;    /* of the first audit record in this change */
	uint64_t serial_first; /* serials_reserve: first counter of the block */
	uint32_t template_version;
};
typedef void store_done_fn(void *ctx, int code, const struct store_result *result);

struct store_change *store_change_new(void); /* ends the process without memory */
void                 store_change_free(struct store_change *c); /* only when it was not submitted */

/* Hands the change over (always, also on failure). `done` runs inside store_poll() on the caller's loop. E_STORE_BUSY when more than
 * STORE_QUEUE_MAX wait: `done` is not called then. */
_must_check_ int store_submit(struct store *s, struct store_change *c, store_done_fn *done, void *ctx);
void store_poll(struct store *s);

/* Verbs; each copies its value. A verb whose condition does not hold fails the whole change with its code. */
void store_put_order(struct store_change *c, const struct order *o);
void store_add_step(struct store_change *c, const struct order_step_row *row);
/* `expect_version` 0 = must not exist yet (E_EXISTS); else must match (E_STORE_CONFLICT). The stored version becomes expect_version + 1. */
void store_put_certificate(struct store_change *c, const struct certificate *cert, uint64_t expect_version);
/* Intent: serial must be new (E_EXISTS: draw another). */
void store_add_issuance(struct store_change *c, const struct issuance *i);
/* Replaces the row of that serial (E_NOT_FOUND). */
void store_put_issuance(struct store_change *c, const struct issuance *i);
/* A receipt as it came, signed: evidence, kept with its order. The first one of a host and a number stays: a later one changes nothing.
 * The host and not the agent's name, because a new host may have the name of an old one. */
struct receipt_row {
	struct hash host_hash;
	uint64_t    seq;
	char        agent[AGENT_NAME_SIZE];
	struct id   renewal_id;
	uint32_t    attempt;
	char        cert_id[CERT_ID_SIZE];
	int         outcome; /* enum receipt_outcome */
	int         code;
	struct hash fingerprint;
	uint64_t    probes, probes_failed;
	uint32_t    listeners;
	int64_t     flipped_at, first_new_at, last_old_at;
	int64_t     made_at, stored_at;
	uint8_t     signature[RECEIPT_SIGNATURE_MAX]; /* of the host key over the body */
	uint16_t    signature_len;
	struct span body; /* as it came; copied; lists give an empty span, see view_receipt_body */
};
void store_add_receipt(struct store_change *c, const struct receipt_row *r);
void store_put_target(struct store_change *c, const struct target *t);
void store_remove_target(struct store_change *c, const char *target_id);
void store_put_agent(struct store_change *c, const struct agent *a);
void store_add_invite(struct store_change *c, const struct invite *i);
/* Exactly one winner: sets used_at and used_by where unused and not expired at `at`; the same host_hash may repeat within the invite's life.
 * Anything else: E_JOIN_TOKEN. */
void store_redeem_invite(struct store_change *c, struct id invite_id, struct hash host_hash, int64_t at);
/* A new version (1, 2, ...) of the template; result.template_version. `expect_version` as for certificates, UINT32_MAX = do not check. */
void store_add_template(struct store_change *c, const struct template *t, uint32_t expect_version);
void store_put_issuer(struct store_change *c, const struct issuer *i);
void store_put_principal(struct store_change *c, const struct principal *p);
void store_add_token(struct store_change *c, const struct token *t);
void store_put_token(struct store_change *c, const struct token *t); /* used_at, revoked_at */
void store_put_service(struct store_change *c, const struct service *s);
/* Outbox: one message per (agent, renewal_id); a newer one replaces the older. Sent by the loop after commit, kept until removed. */
void store_put_outbox(struct store_change *c, const char *agent, struct id renewal_id, uint64_t message_id, uint16_t type, struct span frame);
void store_remove_outbox(struct store_change *c, const char *agent, struct id renewal_id);
/* Audit record; `seq` is given by the writer in the order of commit. */
void store_add_audit(struct store_change *c, const struct audit *a);
/* Reserves `n` serial counters above everything used and at least `floor`. */
void store_reserve_serials(struct store_change *c, uint64_t n, uint64_t floor);
/* A published CRL; number must be higher than the issuer's last one (E_STORE_CONFLICT); updates the issuer's crl_number. */
struct crl_row {
	char        issuer_id[ISSUER_ID_SIZE];
	uint32_t    shard;
	uint64_t    number;
	int64_t     this_update_at;
	int64_t     next_update_at;
	struct span der; /* copied */
};
void store_put_crl(struct store_change *c, const struct crl_row *row);
/* What an agent found on its host. `rows` NULL: its listeners are the same as before; else they replace all earlier ones. */
void store_put_inventory(struct store_change *c, const struct inventory *head, const struct inventory_listener *rows, size_t n);
/* Small settings of the installation: "domain", "organisation", "public_url", "bundle" ... */
void store_put_setting(struct store_change *c, const char *name, struct span value);

/* ---- reading ---- */
_must_check_ int store_view_open(struct store *s, struct store_view **ret);
void             store_view_close(struct store_view *v);

/* By key: 0, E_NOT_FOUND or E_STORE_*. */
_must_check_ int view_order(struct store_view *v, struct id renewal_id, struct order *ret);
_must_check_ int view_certificate(struct store_view *v, const char *cert_id, struct certificate *ret);
_must_check_ int view_issuance(struct store_view *v, struct serial serial, struct issuance *ret);
_must_check_ int view_target(struct store_view *v, const char *target_id, struct target *ret);
_must_check_ int view_agent(struct store_view *v, const char *name, struct agent *ret);
_must_check_ int view_agent_by_host(struct store_view *v, struct hash host_hash, struct agent *ret);
_must_check_ int view_host_banned(struct store_view *v, struct hash host_hash, bool *ret); /* any agent row with this key that was banned */
_must_check_ int view_invite_by_key(struct store_view *v, const uint8_t token_key[32], struct invite *ret);
_must_check_ int view_template(struct store_view *v, const char *template_id, uint32_t version, struct template *ret); /* version 0 = current */
_must_check_ int view_issuer(struct store_view *v, const char *issuer_id, struct issuer *ret);
_must_check_ int view_principal(struct store_view *v, const char *name, struct principal *ret);
_must_check_ int view_token_by_hash(struct store_view *v, struct hash hash, struct token *ret);
_must_check_ int view_service(struct store_view *v, const char *name, struct service *ret);
_must_check_ int view_inventory(struct store_view *v, const char *agent, struct inventory *ret);
_must_check_ int view_setting(struct store_view *v, const char *name, struct buf *to);
_must_check_ int view_crl(struct store_view *v, const char *issuer_id, uint32_t shard, struct crl_row *ret, struct buf *der);

/* Lists. Keyset paging: pass the last key of the page before ("" or zero = from the start). At most `max` (<= STORE_LIST_MAX) rows;
 * *ret_n tells how many. Order: by key ascending unless said otherwise. */
struct cert_filter {
	const char *service;   /* NULL = any */
	const char *agent;
	const char *template_id;
	int64_t     expires_before_at; /* 0 = any */
	bool        with_removed; /* also retired certificates whose issuance has ended (not after `now`, or revoked) */
	int64_t     now;          /* needed without `with_removed` */
};
_must_check_ int view_certificates(struct store_view *v, const struct cert_filter *f, const char *after, struct certificate *ret, size_t max, size_t *ret_n);
_must_check_ int view_due(struct store_view *v, int64_t now, struct certificate *ret, size_t max, size_t *ret_n); /* renew_at <= now, no open order, soonest first */
_must_check_ int view_agents(struct store_view *v, const char *after, struct agent *ret, size_t max, size_t *ret_n);
_must_check_ int view_invites(struct store_view *v, struct id after, struct invite *ret, size_t max, size_t *ret_n);
_must_check_ int view_targets(struct store_view *v, const char *agent, const char *after, struct target *ret, size_t max, size_t *ret_n); /* agent NULL = all */
_must_check_ int view_targets_of(struct store_view *v, const char *cert_id, struct target *ret, size_t max, size_t *ret_n); /* the places of one certificate */
_must_check_ int view_listeners(struct store_view *v, const char *agent, const char *after, struct inventory_listener *ret, size_t max, size_t *ret_n); /* by address */
_must_check_ int view_templates(struct store_view *v, const char *after, struct template *ret, size_t max, size_t *ret_n); /* current versions */
_must_check_ int view_issuers(struct store_view *v, const char *after, struct issuer *ret, size_t max, size_t *ret_n);
_must_check_ int view_services(struct store_view *v, const char *after, struct service *ret, size_t max, size_t *ret_n);
_must_check_ int view_orders_open(struct store_view *v, struct id after, struct order *ret, size_t max, size_t *ret_n); /* also paused ones */
_must_check_ int view_orders(struct store_view *v, const char *cert_id, struct id before, struct order *ret, size_t max, size_t *ret_n); /* newest first; cert_id NULL = all; before none = newest */
_must_check_ int view_steps(struct store_view *v, struct id renewal_id, struct order_step_row *ret, size_t max, size_t *ret_n);
_must_check_ int view_receipts(struct store_view *v, struct id renewal_id, struct receipt_row *ret, size_t max, size_t *ret_n); /* as they came */
_must_check_ int view_receipt_body(struct store_view *v, struct hash host_hash, uint64_t seq, struct buf *body);
_must_check_ int view_issuances(struct store_view *v, enum issuance_owner owner, const char *owner_id, struct serial after, struct issuance *ret, size_t max, size_t *ret_n);
_must_check_ int view_intents(struct store_view *v, struct serial after, struct issuance *ret, size_t max, size_t *ret_n); /* state INTENT */
/* Highest serial counter above `above` that a certificate was signed with; 0 = none. */
_must_check_ int view_signed_above(struct store_view *v, uint64_t above, uint64_t *ret_counter);
_must_check_ int view_supersede_due(struct store_view *v, int64_t now, struct issuance *ret, size_t max, size_t *ret_n);
_must_check_ int view_audit(struct store_view *v, uint64_t from, struct audit *ret, size_t max, size_t *ret_n);
_must_check_ int view_audit_head(struct store_view *v, uint64_t *ret_size, struct hash *ret_root);
_must_check_ int view_audit_node(struct store_view *v, uint32_t level, uint64_t index, struct hash *ret);
_must_check_ int view_counts(struct store_view *v, int64_t now, uint64_t *ret_certificates, uint64_t *ret_agents, uint64_t *ret_open_orders);

struct outbox_row {
	uint64_t  message_id;
	struct id renewal_id;
	uint16_t  type;
	size_t    n;
	uint8_t   frame[OUTBOX_FRAME_MAX];
};
/* Messages of one agent in the order of message_id, after `after`. */
_must_check_ int view_outbox(struct store_view *v, const char *agent, uint64_t after, struct outbox_row *ret, size_t max, size_t *ret_n);
_must_check_ int view_outbox_top(struct store_view *v, uint64_t *ret_message_id); /* highest message id ever used */

/* Revoked, unexpired issuances of one shard, ascending by serial: fills `ret` up to max, returns count; call again after the last serial. */
struct revoked_row {
	struct serial serial;
	int64_t       revoked_at;
	int           reason;
};
_must_check_ int view_revoked(struct store_view *v, const char *issuer_id, uint32_t shard, int64_t now, struct serial after, struct revoked_row *ret, size_t max, size_t *ret_n);
/* Shards of an issuer that hold at least one unexpired issuance. */
_must_check_ int view_shards(struct store_view *v, const char *issuer_id, int64_t now, uint32_t *ret, size_t max, size_t *ret_n);

/* Canonical bytes of an audit record, what the tree's leaf is made of: eight lines, each ended by '\n': seq, at (ms),
 * event name, actor, object, renewal_id, request_id (UUID text or ""), detail. Fields hold no control characters:
 * store_add_audit() replaces them by '?'. */
void audit_canonical(const struct audit *a, struct buf *to);

#endif
