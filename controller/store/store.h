/* store.h - room controller/store: what the controller keeps, in nouns. Two backends: SQLite and memory (tests).
 * Writing: build a change (a list of verbs), submit it, get one event on the loop when it is durable. A change commits
 * whole or not at all: state, audit records and outgoing messages together. Changes commit in the order of submission.
 * Reading: a view, one per thread; it sees what has been committed. Never: SQL in callers, clocks, ids of its own. */
#ifndef VCC_STORE_H
#define VCC_STORE_H

#include <stdatomic.h>

#include "shared/base/err.h"
#include "shared/base/merkle.h"
#include "shared/model/agent.h"
#include "shared/model/approval.h"
#include "shared/model/audit.h"
#include "shared/model/campaign.h"
#include "shared/model/delivery.h"
#include "shared/model/drill.h"
#include "shared/model/inventory.h"
#include "shared/model/notice.h"
#include "shared/model/template.h"
#include "shared/model/peer.h"
#include "shared/model/rollover.h"

struct store;
struct store_change;
struct store_view;

enum { STORE_LIST_MAX = 500, STORE_QUEUE_MAX = 20000, OUTBOX_FRAME_MAX = 16384, RECEIPT_SIGNATURE_MAX = 144, RECEIPT_BODY_MAX = AUDIT_RECEIPT_MAX,
       STORE_STEPS_MAX = 24 /* of one piece of an order's history */ };

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
/* ---- restoring: nobody may have the store at `path` open (E_SYS_LOCKED) ---- */
/* Copies the backup that `from` reads into PATH.restore and checks it whole; `name` is its name for people. The caller may open it as a store,
 * change it and close it. E_RESTORE_BACKUP, E_STORE_SCHEMA, E_SYS_*: it is gone then. */
_must_check_ int store_restore_take(const char *path, int from, const char *name, struct refusal *why);
void             store_restore_drop(const char *path);
/* PATH.restore becomes the store in one step: a kill leaves the old or the new one, and the next opening finishes what was begun. The old one
 * stays as PATH.before, with its log, where that is free; else as PATH.before.2 to .9: ret_before. E_RESTORE_KEPT: none of these is. */
_must_check_ int store_restore_place(const char *path, char *ret_before, size_t size, struct refusal *why);

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
/* Random bytes for the pseudonyms of persons that the trail does not know yet; needed where an audit record names a person. */
void                 store_change_salt(struct store_change *c, struct hash random);

/* Hands the change over (always, also on failure). `done` runs inside store_poll() on the caller's loop. E_STORE_BUSY when more than
 * STORE_QUEUE_MAX wait: `done` is not called then. */
_must_check_ int store_submit(struct store *s, struct store_change *c, store_done_fn *done, void *ctx);
void store_poll(struct store *s); /* completions, a few at a time: when there are more, `wake` comes again */

/* Verbs; each copies its value. A verb whose condition does not hold fails the whole change with its code. */
void store_put_order(struct store_change *c, const struct order *o);
/* What an order's history goes on with, in order; of one order, STORE_STEPS_MAX at most. */
void store_add_steps(struct store_change *c, const struct order_step_row *rows, size_t n);
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
	uint8_t     host_spki[SPKI_MAX / 4]; /* of the key that signed it; none in rows from before schema 6 */
	uint16_t    host_spki_len;
	struct span body; /* as it came; copied; lists give an empty span, see view_receipt_body */
};
void store_add_receipt(struct store_change *c, const struct receipt_row *r);
void store_put_target(struct store_change *c, const struct target *t);
void store_remove_target(struct store_change *c, const char *target_id);
void store_put_agent(struct store_change *c, const struct agent *a);
void store_put_ban(struct store_change *c, const struct ban *b);
/* The next key of its certificate: replaces the one before. */
void store_put_stage(struct store_change *c, const struct staged_key *s);
void store_remove_stage(struct store_change *c, const char *cert_id);
/* The agent `name` is `agent` from now on, in every row that means the host; cert_ids stay. E_NOT_FOUND; E_EXISTS: another host has
 * that name, or had it. */
void store_rename_agent(struct store_change *c, const struct former_name *to);
void store_add_invite(struct store_change *c, const struct invite *i);
/* Exactly one winner: sets used_at and used_by where unused and not expired at `at`; the same host_hash may repeat within the invite's life.
 * Anything else: E_JOIN_TOKEN. */
void store_redeem_invite(struct store_change *c, struct id invite_id, struct hash host_hash, int64_t at);
/* A new version (1, 2, ...) of the template; result.template_version. `expect_version` as for certificates, UINT32_MAX = do not check. */
void store_add_template(struct store_change *c, const struct template *t, uint32_t expect_version);
void store_put_issuer(struct store_change *c, const struct issuer *i);
/* E_NOT_FOUND; one that is revoked already stays as it is. */
void store_revoke_issuer(struct store_change *c, const char *issuer_id, int64_t at, int reason);
/* What it does from now on, and who does it in its place; `retired` is never taken back. E_NOT_FOUND. */
void store_set_standing(struct store_change *c, const char *issuer_id, enum issuer_standing standing, const char *successor_id, bool retired);
void store_put_rollover(struct store_change *c, const struct rollover *r);
void store_put_peer(struct store_change *c, const struct peer *p);
void store_remove_peer(struct store_change *c, const char *cert_id, const char *agent);
void store_put_principal(struct store_change *c, const struct principal *p);
void store_add_token(struct store_change *c, const struct token *t);
void store_put_token(struct store_change *c, const struct token *t); /* used_at, revoked_at */
void store_add_principal(struct store_change *c, const struct principal *p); /* E_EXISTS */
/* Only used_at, and only forwards: a revocation on its way is not undone. E_NOT_FOUND. */
void store_note_token_use(struct store_change *c, struct id token_id, int64_t at);
/* One more waiting request. */
void store_add_approval(struct store_change *c, const struct approval *a);
/* Exactly one decision: takes the row's state, time, decider and comment where the stored one still waits; else E_APPROVAL_DECIDED
 * fails the whole change. */
void store_decide_approval(struct store_change *c, const struct approval *a);
/* Makes a service known, as its version 1; one that is known already stays as it is. */
void store_put_service(struct store_change *c, const struct service *s);
/* `expect_version` 0 = must not exist yet (E_EXISTS); else must match (E_STORE_CONFLICT). The stored version becomes expect_version + 1. */
void store_change_service(struct store_change *c, const struct service *s, uint32_t expect_version);
void store_put_policy_walk(struct store_change *c, const struct policy_walk *w);
void store_remove_policy_walk(struct store_change *c, const char *object);
/* Outbox: one message per (agent, renewal_id); a newer one replaces the older. Sent by the loop after commit, kept until removed. */
void store_put_outbox(struct store_change *c, const char *agent, struct id renewal_id, uint64_t message_id, uint16_t type, struct span frame);
void store_remove_outbox(struct store_change *c, const char *agent, struct id renewal_id);
/* Audit record; `seq` is given by the writer in the order of commit, `at` lifted to that of the row before where the clock stepped back.
 * Names of persons become pseudonyms. */
void store_add_audit(struct store_change *c, const struct audit *a);
/* A signed head, by its size; replaces it (a witness was found). */
void store_put_audit_head(struct store_change *c, const struct audit_head *h);
/* Deletes name and salt behind a person's pseudonym, and puts the pseudonym in place of the name in orders and invites: one walk over all orders,
 * on the writer. Missing is fine. E_ORDER_OPEN: an order of this person is under way. */
void store_forget_person(struct store_change *c, const char *name);
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
void store_put_campaign(struct store_change *c, const struct campaign *campaign);
/* New (by campaign and position; E_EXISTS), and the next state of one that is there (E_NOT_FOUND). */
void store_add_member(struct store_change *c, const struct campaign_member *m);
void store_put_member(struct store_change *c, const struct campaign_member *m);
void store_put_drill(struct store_change *c, const struct drill *d);
/* What stays of it, byte for byte; at most DRILL_REPORT_MAX. */
void store_put_drill_report(struct store_change *c, struct id campaign_id, struct span report);
/* Small settings of the installation: "domain", "organisation", "public_url", "bundle" ... */
void store_put_setting(struct store_change *c, const char *name, struct span value);
/* Replaces the invite of that id. */
void store_put_invite(struct store_change *c, const struct invite *i);
/* No list of this shard is stored any more; the issuer's number stays. */
void store_remove_crl(struct store_change *c, const char *issuer_id, uint32_t shard);
/* Pruning: only what is kept elsewhere, or of no use to anybody. Missing is fine. */
void store_remove_issuance(struct store_change *c, struct serial serial);
void store_remove_order(struct store_change *c, struct id renewal_id); /* with its steps and receipts */
void store_remove_receipt(struct store_change *c, struct hash host_hash, uint64_t seq);
void store_remove_invite(struct store_change *c, struct id invite_id);
void store_remove_token(struct store_change *c, struct id token_id);
void store_remove_approval(struct store_change *c, struct id approval_id);
void store_remove_campaign(struct store_change *c, struct id campaign_id); /* its members before it */
void store_remove_member(struct store_change *c, struct id campaign_id, uint64_t position);
/* Adds to what is known of the certificate's archived history. */
void store_add_archived(struct store_change *c, const struct archived *more);

/* The answer to a request with an Idempotency-Key; it belongs into the change that does what was asked for. */
enum { KEPT_KEY_SIZE = 96, KEPT_ANSWER_MAX = 65536, KEPT_LOCATION_SIZE = 160 };
#define KEPT_LIFE_MS INT64_C(86400000)
struct kept_answer {
	struct hash who; /* SHA-256 of the principal's name: no person stands here */
	char        key[KEPT_KEY_SIZE];
	struct hash request; /* of method, path, query and body */
	struct id   request_id;
	int64_t     at;
	int         status; /* 0: done, but the answer is not known here */
	bool        secret; /* it was given to the caller and must not be kept */
	char        location[KEPT_LOCATION_SIZE];
	struct hash credential; /* what the principal showed: the answer is for that alone */
	struct span answer; /* copied */
};
/* E_EXISTS fails the whole change: another one with this key was stored less than a day before. */
void store_keep_answer(struct store_change *c, const struct kept_answer *k);
/* The row with what is known now; nothing where it is not there. */
void store_put_kept_answer(struct store_change *c, const struct kept_answer *k);
/* Some of those from before `until`. */
void store_end_kept_answers(struct store_change *c, int64_t until);

/* ---- what people have to be told ---- */
/* Whether the verb leaves a row "notify" in the history of the notice's order and attempt: no, only where something was told, always. */
enum notice_step { NOTICE_STEP_NO, NOTICE_STEP_IF_TOLD, NOTICE_STEP_YES };
/* A new notice; where one of the same key is open, that is raised: one more, with what is said now, the higher level, and all recipients. */
void store_tell(struct store_change *c, const struct notice *n, enum notice_step step);
/* The same; the notice stands for the certificate `object` from now on, and no other of that topic does. One that stands for nobody any
 * more is closed without a word. */
void store_add_trouble(struct store_change *c, const struct notice *n, enum notice_topic topic, enum notice_step step);
/* The certificate `object` is out of what it was in trouble about (`topics`: bits 1 << topic). A trouble that it was the last one of is closed;
 * where `n` has an id, that is told by a notice with the trouble's service, code and recipients. */
void store_end_troubles(struct store_change *c, const struct notice *n, unsigned topics, enum notice_step step);
void store_end_notice(struct store_change *c, const char *key, int64_t at); /* what is open under the key is over; none is fine */
/* How the delivery stands now; one that was removed meanwhile stays so. A notice that nothing has to end is closed with the last of its
 * deliveries. */
void store_put_delivery(struct store_change *c, const struct delivery *d);
/* Of the notice while it is open: looked at again at `next`; with `kind` other than DELIVERY_FIRST it is queued for `channels` once more. */
void store_remind(struct store_change *c, struct id notice_id, enum delivery_kind kind, const char *channels, int64_t at, int64_t next);
/* Somebody has taken it over: nobody is reminded any more. E_NOTICE_OVER, E_NOT_FOUND. */
void store_ack_notice(struct store_change *c, struct id notice_id, int64_t at);
/* Nobody is reminded before `until`. E_NOTICE_OVER, E_NOT_FOUND. */
void store_snooze_notice(struct store_change *c, struct id notice_id, int64_t until);
void store_remove_drill(struct store_change *c, struct id campaign_id);     /* pruning; with its report */
void store_remove_notice(struct store_change *c, struct id notice_id);      /* pruning; with what it stands for */

/* ---- reading ---- */
_must_check_ int store_view_open(struct store *s, struct store_view **ret);
void             store_view_close(struct store_view *v);
/* From now on all reads between two calls of view_go_on() show one moment, that of the first of them: what was read once is not read from the
 * file again. Go on before hearing what was stored, and often: until then the log cannot be shortened. */
void             view_hold(struct store_view *v);
void             view_go_on(struct store_view *v);
/* Copies the store as it is now into the new file `path` (mode 0600, synced; its folder is not), with the setting "backup" = `note`. The
 * writer goes on meanwhile; the copy holds all that was committed before the call and nothing later. Slow: on a worker. Failed = no file.
 * Ends early with E_SYS_AGAIN when another thread sets `stop` (may be NULL). E_EXISTS, E_SYS_*, E_STORE_*. */
_must_check_ int view_copy(struct store_view *v, const char *path, struct span note, const atomic_bool *stop, struct refusal *why);

/* What ended at or before `end`, by its end; goes on after (at, key) of the last row. For pruning. */
_must_check_ int view_issuances_ended(struct store_view *v, int64_t end, int64_t at, struct serial after, struct issuance *ret, size_t max, size_t *ret_n);
_must_check_ int view_orders_ended(struct store_view *v, int64_t end, int64_t at, struct id after, struct order *ret, size_t max, size_t *ret_n);
/* Receipts of no order, oldest first, stored at or before `end`. */
_must_check_ int view_receipts_of_care(struct store_view *v, int64_t end, struct receipt_row *ret, size_t max, size_t *ret_n);
_must_check_ int view_archived(struct store_view *v, const char *cert_id, struct archived *ret);

/* By key: 0, E_NOT_FOUND or E_STORE_*. */
_must_check_ int view_order(struct store_view *v, struct id renewal_id, struct order *ret);
_must_check_ int view_certificate(struct store_view *v, const char *cert_id, struct certificate *ret);
_must_check_ int view_issuance(struct store_view *v, struct serial serial, struct issuance *ret);
_must_check_ int view_target(struct store_view *v, const char *target_id, struct target *ret);
_must_check_ int view_agent(struct store_view *v, const char *name, struct agent *ret);
_must_check_ int view_agent_by_host(struct store_view *v, struct hash host_hash, struct agent *ret);
_must_check_ int view_stage(struct store_view *v, const char *cert_id, struct staged_key *ret);
_must_check_ int view_stages_of(struct store_view *v, struct hash host_hash, const char *after, struct staged_key *ret, size_t max, size_t *ret_n); /* of one host, by cert_id */
_must_check_ int view_former_name(struct store_view *v, const char *name, struct former_name *ret);
_must_check_ int view_former_names(struct store_view *v, const char *agent, struct former_name *ret, size_t max, size_t *ret_n); /* by name */
_must_check_ int view_host_banned(struct store_view *v, struct hash host_hash, bool *ret); /* any agent row with this key that was banned */
_must_check_ int view_invite_by_key(struct store_view *v, const uint8_t token_key[32], struct invite *ret);
_must_check_ int view_template(struct store_view *v, const char *template_id, uint32_t version, struct template *ret); /* version 0 = current */
_must_check_ int view_issuer(struct store_view *v, const char *issuer_id, struct issuer *ret);
_must_check_ int view_principal(struct store_view *v, const char *name, struct principal *ret);
_must_check_ int view_mail_used(struct store_view *v, const char *mail, bool *ret); /* of a principal that is not disabled */
_must_check_ int view_token_by_hash(struct store_view *v, struct hash hash, struct token *ret);
_must_check_ int view_token(struct store_view *v, struct id token_id, struct token *ret);
_must_check_ int view_approval(struct store_view *v, struct id approval_id, struct approval *ret);
_must_check_ int view_service(struct store_view *v, const char *name, struct service *ret);
_must_check_ int view_inventory(struct store_view *v, const char *agent, struct inventory *ret);
_must_check_ int view_setting(struct store_view *v, const char *name, struct buf *to);
_must_check_ int view_crl(struct store_view *v, const char *issuer_id, uint32_t shard, struct crl_row *ret, struct buf *der);

_must_check_ int view_kept_answer(struct store_view *v, struct hash who, const char *key, struct kept_answer *ret, struct buf *answer);
_must_check_ int view_kept_count(struct store_view *v, struct hash who, int64_t since, uint64_t *ret);

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
_must_check_ int view_alerts_due(struct store_view *v, int64_t now, struct certificate *ret, size_t max, size_t *ret_n); /* alert_at <= now, soonest first */
_must_check_ int view_agents(struct store_view *v, const char *after, struct agent *ret, size_t max, size_t *ret_n);
_must_check_ int view_invites(struct store_view *v, struct id after, struct invite *ret, size_t max, size_t *ret_n);
_must_check_ int view_targets(struct store_view *v, const char *agent, const char *after, struct target *ret, size_t max, size_t *ret_n); /* agent NULL = all */
_must_check_ int view_targets_of(struct store_view *v, const char *cert_id, struct target *ret, size_t max, size_t *ret_n); /* the places of one certificate */
/* Every place of the certificates after `after` up to `last`, by certificate: what is served there and since when (cert_id, verify_kind, served,
 * proved_at, state_code, stale_since_at, rehearsed_at; the rest may be empty). The row is good during the call. A negative code of `fn` ends it. */
typedef int view_target_fn(void *ctx, const struct target *t);
_must_check_ int view_targets_between(struct store_view *v, const char *after, const char *last, view_target_fn *fn, void *ctx);
_must_check_ int view_listeners(struct store_view *v, const char *agent, const char *after, struct inventory_listener *ret, size_t max, size_t *ret_n); /* by address */
_must_check_ int view_templates(struct store_view *v, const char *after, struct template *ret, size_t max, size_t *ret_n); /* current versions */
_must_check_ int view_issuers(struct store_view *v, const char *after, struct issuer *ret, size_t max, size_t *ret_n);
/* Who relies on a certificate, by agent; what a host relies on, by certificate. */
_must_check_ int view_peers_of(struct store_view *v, const char *cert_id, const char *after, struct peer *ret, size_t max, size_t *ret_n);
_must_check_ int view_peers_by(struct store_view *v, const char *agent, struct peer *ret, size_t max, size_t *ret_n);
_must_check_ int view_rollover(struct store_view *v, const char *issuer_id, struct rollover *ret);
_must_check_ int view_rollovers(struct store_view *v, const char *after, struct rollover *ret, size_t max, size_t *ret_n);
_must_check_ int view_principals(struct store_view *v, const char *after, struct principal *ret, size_t max, size_t *ret_n);
_must_check_ int view_tokens(struct store_view *v, const char *principal, struct id after, struct token *ret, size_t max, size_t *ret_n); /* principal NULL = all */
_must_check_ int view_approvals(struct store_view *v, bool waiting, struct id before, struct approval *ret, size_t max, size_t *ret_n); /* newest first; before none = newest */
_must_check_ int view_approvals_of(struct store_view *v, const char *object, struct id before, struct approval *ret, size_t max, size_t *ret_n); /* newest first */
_must_check_ int view_services(struct store_view *v, const char *after, struct service *ret, size_t max, size_t *ret_n);
_must_check_ int view_orders_open(struct store_view *v, struct id after, struct order *ret, size_t max, size_t *ret_n); /* also paused ones */
_must_check_ int view_orders(struct store_view *v, const char *cert_id, struct id before, struct order *ret, size_t max, size_t *ret_n); /* newest first; cert_id NULL = all; before none = newest */
_must_check_ int view_orders_paused(struct store_view *v, struct id after, struct order *ret, size_t max, size_t *ret_n); /* oldest first */
_must_check_ int view_policy_walks(struct store_view *v, const char *after, struct policy_walk *ret, size_t max, size_t *ret_n); /* by object */
_must_check_ int view_steps(struct store_view *v, struct id renewal_id, struct order_step_row *ret, size_t max, size_t *ret_n);
_must_check_ int view_receipts(struct store_view *v, struct id renewal_id, struct receipt_row *ret, size_t max, size_t *ret_n); /* as they came */
_must_check_ int view_receipt_body(struct store_view *v, struct hash host_hash, uint64_t seq, struct buf *body);
_must_check_ int view_receipt(struct store_view *v, struct hash host_hash, uint64_t seq, struct receipt_row *ret); /* without its body */
/* What a key was certified for, by whoever, at whatever time; an intent counts, one that came to nothing does not. */
struct key_use {
	bool compromised; /* revoked, or about to be, because the key may be in other hands */
	bool elsewhere;   /* of another owner than this certificate */
	bool before;      /* of this certificate, by another order */
};
void             key_use_add(struct key_use *use, const struct issuance *i, const char *cert_id, struct id renewal_id);
_must_check_ int view_key_use(struct store_view *v, struct hash spki_hash, const char *cert_id, struct id renewal_id, struct key_use *ret);
_must_check_ int view_issuances(struct store_view *v, enum issuance_owner owner, const char *owner_id, struct serial after, struct issuance *ret, size_t max, size_t *ret_n);
/* Signed below this issuer, neither ended nor revoked; by serial. */
_must_check_ int view_live_issuances(struct store_view *v, const char *issuer_id, int64_t now, struct serial after, struct issuance *ret, size_t max, size_t *ret_n);
_must_check_ int view_intents(struct store_view *v, struct serial after, struct issuance *ret, size_t max, size_t *ret_n); /* state INTENT */
/* Highest serial counter above `above` that a certificate was signed with; 0 = none. */
_must_check_ int view_signed_above(struct store_view *v, uint64_t above, uint64_t *ret_counter);
_must_check_ int view_supersede_due(struct store_view *v, int64_t now, struct issuance *ret, size_t max, size_t *ret_n);
_must_check_ int view_audit(struct store_view *v, uint64_t from, struct audit *ret, size_t max, size_t *ret_n);
/* What a list of the trail is narrowed to; NULL or 0 = anything. `actor` and `object` as they stand in the rows. */
struct audit_filter {
	const char *actor, *object;
	int         event;   /* enum audit_event, or -1 */
	int64_t     since_at;
	struct id   renewal_id;
};
/* Newest first, below `before` (UINT64_MAX = the newest). One call looks at a bounded part of the trail, so it may give fewer rows than there
 * are: *ret_next is where to go on, 0 = there is no more. */
_must_check_ int view_audit_list(struct store_view *v, const struct audit_filter *f, uint64_t before, struct audit *ret, size_t max, size_t *ret_n, uint64_t *ret_next);
_must_check_ int view_audit_since(struct store_view *v, int64_t at, uint64_t *ret_seq); /* first row at or after `at`; the size where there is none */
_must_check_ int view_audit_size(struct store_view *v, uint64_t *ret);
/* The tree's head when it had `size` leaves; E_RANGE when it never had. */
_must_check_ int view_audit_root_at(struct store_view *v, uint64_t size, struct hash *ret);
_must_check_ int view_audit_heads(struct store_view *v, uint64_t above, struct audit_head *ret, size_t max, size_t *ret_n); /* by size */
_must_check_ int view_audit_heads_down(struct store_view *v, uint64_t below, struct audit_head *ret, size_t max, size_t *ret_n); /* largest first */
_must_check_ int view_audit_person(struct store_view *v, const char *name, struct audit_person *ret);
_must_check_ int view_audit_person_by_alias(struct store_view *v, const char *alias, struct audit_person *ret);
_must_check_ int view_audit_persons(struct store_view *v, const char *after, struct audit_person *ret, size_t max, size_t *ret_n); /* by name */
_must_check_ int view_audit_head(struct store_view *v, uint64_t *ret_size, struct hash *ret_root);
_must_check_ int view_audit_node(struct store_view *v, uint32_t level, uint64_t index, struct hash *ret);
_must_check_ int view_agents_active(struct store_view *v, uint64_t *ret);
_must_check_ int view_counts(struct store_view *v, int64_t now, uint64_t *ret_certificates, uint64_t *ret_agents, uint64_t *ret_open_orders);

/* Walks for figures of the whole installation: rows by key, with a few fields alone, the others as if nothing was stored. `each` has a row
 * during its call, and must not read from the store in it; below 0 it ends the walk, which returns that. A walk is one read: at most `max` rows, then go on after the last key. */
typedef int      view_certificate_fn(void *ctx, const struct certificate *c);
typedef int      view_target_fn(void *ctx, const struct target *t);
typedef int      view_agent_fn(void *ctx, const struct agent *a);
_must_check_ int view_each_certificate(struct store_view *v, const char *after, size_t max, view_certificate_fn *each, void *ctx);
/* Of the certificates above `after` up to `last`, by cert_id. */
_must_check_ int view_each_target(struct store_view *v, const char *after, const char *last, view_target_fn *each, void *ctx);
_must_check_ int view_each_agent(struct store_view *v, const char *after, size_t max, view_agent_fn *each, void *ctx);
_must_check_ int view_campaigns_count(struct store_view *v, enum campaign_state state, uint64_t *ret);
_must_check_ int view_orders_paused_count(struct store_view *v, uint64_t *ret);

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

_must_check_ int view_campaign(struct store_view *v, struct id campaign_id, struct campaign *ret);
_must_check_ int view_campaigns(struct store_view *v, struct id before, struct campaign *ret, size_t max, size_t *ret_n); /* newest first; before none = newest */
_must_check_ int view_campaigns_open(struct store_view *v, struct id after, struct campaign *ret, size_t max, size_t *ret_n); /* not closed */
_must_check_ int view_campaigns_unconfirmed(struct store_view *v, struct id after, struct campaign *ret, size_t max, size_t *ret_n);
/* The newest one whose plan had this hash, or this content. E_NOT_FOUND. */
_must_check_ int view_campaign_planned(struct store_view *v, struct hash plan_hash, struct campaign *ret);
_must_check_ int view_campaign_like(struct store_view *v, struct hash content_hash, struct campaign *ret);
_must_check_ int view_drill(struct store_view *v, struct id campaign_id, struct drill *ret);
_must_check_ int view_drills(struct store_view *v, struct id before, struct drill *ret, size_t max, size_t *ret_n); /* newest first; before none = newest */
_must_check_ int view_drills_unreported(struct store_view *v, struct id after, struct drill *ret, size_t max, size_t *ret_n);
_must_check_ int view_drill_report(struct store_view *v, struct id campaign_id, struct buf *to); /* adds it */
_must_check_ int view_member(struct store_view *v, struct id campaign_id, uint64_t position, struct campaign_member *ret);
/* The member that a certificate is of a campaign. E_NOT_FOUND. */
_must_check_ int view_member_of(struct store_view *v, struct id campaign_id, const char *cert_id, struct campaign_member *ret);
_must_check_ int view_members(struct store_view *v, struct id campaign_id, uint64_t after, struct campaign_member *ret, size_t max, size_t *ret_n); /* by position */
_must_check_ int view_members_in(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t after, struct campaign_member *ret, size_t max, size_t *ret_n);
_must_check_ int view_members_count(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t *ret);
_must_check_ int view_members_newest(struct store_view *v, struct id campaign_id, enum member_state state, struct campaign_member *ret, size_t max, size_t *ret_n); /* those sent last first */
_must_check_ int view_targets_count(struct store_view *v, const char *cert_id, uint64_t *ret); /* also its retired ones */
_must_check_ int view_members_span(struct store_view *v, struct id campaign_id, enum member_state state, uint64_t first, uint64_t last, uint64_t *ret); /* how many of these positions */

struct notice_filter {
	int         level, state; /* enum notice_level, enum notice_state; -1 = any */
	const char *service;      /* NULL = any */
};
_must_check_ int view_notice(struct store_view *v, struct id notice_id, struct notice *ret);
_must_check_ int view_notices(struct store_view *v, const struct notice_filter *f, struct id before, struct notice *ret, size_t max, size_t *ret_n); /* newest first; before none = newest */
/* Raised last at or before `end`, by that time; goes on after (at, after) of the last row. For pruning. */
_must_check_ int view_notices_by_last(struct store_view *v, int64_t end, int64_t at, struct id after, struct notice *ret, size_t max, size_t *ret_n);
_must_check_ int view_notices_to_remind(struct store_view *v, int64_t now, struct notice *ret, size_t max, size_t *ret_n); /* remind_at <= now, soonest first */
_must_check_ int view_notice_by_key(struct store_view *v, const char *key, struct notice *ret); /* the one that is open; E_NOT_FOUND */
/* Matters that are open, by key, after `after`. */
_must_check_ int view_notices_open(struct store_view *v, const char *after, struct notice *ret, size_t max, size_t *ret_n);
struct delivery_filter {
	int         state;   /* enum delivery_state; -1 = any */
	const char *channel; /* NULL = any */
	const struct id *notice_id; /* NULL = any */
};
enum { DUE_PASS_MAX = 4 };
/* Groups that are not looked for among what has no urgency and is in no message: they have to rest, and others wait behind them. */
struct due_pass {
	size_t n;
	char   group[DUE_PASS_MAX][NOTICE_GROUP_SIZE];
};
/* Due at `now` on a channel: what is critical and in no message yet, then what is in one, then the rest; of each, what has waited longest first. `pass` NULL = all. */
_must_check_ int view_deliveries_due(struct store_view *v, const char *channel, int64_t now, const struct due_pass *pass, struct delivery *ret, size_t max, size_t *ret_n);
_must_check_ int view_deliveries_of(struct store_view *v, struct id message_id, struct delivery *ret, size_t max, size_t *ret_n); /* of one message */
/* Newest first, below `before` (UINT64_MAX = the newest). */
_must_check_ int view_deliveries(struct store_view *v, const struct delivery_filter *f, uint64_t before, struct delivery *ret, size_t max, size_t *ret_n);
_must_check_ int view_deliveries_count(struct store_view *v, const struct delivery_filter *f, uint64_t *ret);
_must_check_ int view_notices_count(struct store_view *v, uint64_t *ret);

/* What the list of one shard says: revoked issuances and those on hold (reason REASON_HOLD) that end after `since`, ascending by serial.
 * Fills `ret` up to max; call again after the last serial while it was full. */
struct revoked_row {
	struct serial serial;
	int64_t       revoked_at;
	int           reason;
	int64_t       invalidity_at; /* 0 = none */
};
_must_check_ int view_revoked(struct store_view *v, const char *issuer_id, uint32_t shard, int64_t since, struct serial after, struct revoked_row *ret, size_t max, size_t *ret_n);
/* Shards of an issuer that hold at least one unexpired issuance. */
_must_check_ int view_shards(struct store_view *v, const char *issuer_id, int64_t now, uint32_t *ret, size_t max, size_t *ret_n);

#endif
