/* restore_edit.h - room controller/daemon: what has to change in a backup before it may be the store: what was under way ends,
 * one-time tokens are void, what is known of later revocations stays, list numbers jump. Never: touching the store in force. */
#ifndef VCC_RESTORE_EDIT_H
#define VCC_RESTORE_EDIT_H

#include "controller/daemon/restore_mark.h"

struct restore_counts {
	uint64_t orders, campaigns, messages, invites, approvals, tokens, principals, agents, revocations;
};

struct restore_edit {
	struct store      *store; /* the backup */
	struct store_view *view;
	struct store_view *old;        /* of the store that it replaces; NULL = it cannot be read */
	const char        *crl_folder; /* published lists: ISSUER/SHARD.crl; may be missing */
	int64_t            now;
	int64_t            jitter_share; /* per mille, for due times */
	bool               keep_tokens;  /* although nobody knows which were revoked since */
	char               actor[ACTOR_SIZE]; /* who restores, for the trail */
	int                woken;        /* eventfd: the store has completions */
	/* filled here */
	struct restore_mark   mark;
	struct restore_counts counts;
	struct store_change  *change;
	size_t                verbs;
};

/* All of it, in commits of bounded size; after a failure the backup is of no use. E_STORE_*, E_PKI_*, E_SYS_*. */
_must_check_ int restore_edit(struct restore_edit *e, struct refusal *why);

#endif
