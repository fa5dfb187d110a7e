/* store_apply.h - room controller/store: a change as a list of verbs, and how it is applied to a backend's rows.
 * Never: SQL, threads. */
#ifndef VCC_STORE_APPLY_H
#define VCC_STORE_APPLY_H

#include "controller/store/store_rows.h"

/* A person and the pseudonym, as stored. */
struct apply_alias {
	char name[ACTOR_SIZE], alias[ACTOR_SIZE];
};
enum { APPLY_ALIASES = 8 };

/* What applying needs beside the rows; lives as long as the writer. */
struct apply {
	struct rows           *rows;
	merkle_hash_fn        *hash;
	struct merkle_frontier tree;
	const struct hash     *salt;     /* of the change being applied */
	uint32_t               n_salts;  /* made of it so far */
	int64_t                audit_at; /* of the last record: time in the trail never runs backward */
	struct buf             text; /* canonical bytes, reused */
	struct apply_alias     alias[APPLY_ALIASES]; /* those that were needed last; "" = none */
	size_t                 next_alias;
	uint64_t               message_top; /* highest message id ever given */
	bool                   message_top_stored;
};

struct store_verb;
typedef int verb_fn(struct apply *a, const struct store_verb *v, struct store_result *result);

struct store_verb {
	struct store_verb *next;
	verb_fn           *fn;
	const struct noun *noun;
	uint64_t           number; /* expect_version, n of serials */
	uint64_t           floor;
	struct hash        who; /* redeem */
	void              *row; /* of the noun, owned */
};

struct store_change {
	struct store_change *next;
	struct store_verb   *first, *last;
	struct hash          salt; /* random: pseudonyms of new persons are made of it */
	store_done_fn       *done;
	void                *ctx;
	int                  code;
	struct store_result  result;
};

/* Loads the tree's right edge: O(log n) rows. */
_must_check_ int apply_start(struct apply *a, struct rows *rows, merkle_hash_fn *hash);
void             apply_end(struct apply *a);

/* Writes what is written once for many changes; before they become durable. */
_must_check_ int apply_finish(struct apply *a);
/* After a change was undone: what was remembered of it. */
void apply_undone(struct apply *a);

/* Applies every verb in order. On failure the rows may hold a part of the change: the caller undoes them and puts the
 * tree back as it was before the call. Does not set change->code. */
_must_check_ int apply_change(struct apply *a, struct store_change *c);

/* The failure belongs to the database, not to the change. */
bool apply_code_is_fatal(int code);

/* The verbs. */
verb_fn apply_put, apply_add, apply_replace, apply_remove, apply_certificate, apply_template, apply_redeem, apply_message,
	apply_audit, apply_serials, apply_crl, apply_receipt, apply_listeners_gone, apply_forget, apply_too_large, apply_token_use, apply_decision,
	apply_revoke_issuer, apply_order_gone, apply_archived, apply_service, apply_keep_answer, apply_kept_known, apply_end_kept,
	apply_rename, apply_agent, apply_tell, apply_trouble, apply_trouble_over, apply_notice_over, apply_notice_gone, apply_add_member, apply_replace_member, apply_standing, apply_delivery, apply_remind,
	apply_ack, apply_snooze;

/* One for each channel of the notice. */
void             notice_close(struct notice *n, int64_t at); /* nobody is reminded of it any more */
_must_check_ int deliveries_queue(struct apply *a, const struct notice *n, enum delivery_kind kind, int64_t at);
_must_check_ int deliveries_gone(struct apply *a, struct id notice_id);

/* Every row of `q`, by pages. */
_must_check_ int apply_remove_found(struct apply *a, struct query *q);

/* A merkle_get_fn: complete nodes of the tree over the records. */
struct audit_tree {
	struct rows    *rows;
	merkle_hash_fn *hash;
};
int audit_node(void *tree, uint32_t level, uint64_t index, struct hash *ret);

/* Audit: gives seq, stores row and nodes. */
_must_check_ int audit_append(struct apply *a, struct audit *row);

#endif
