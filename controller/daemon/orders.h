/* orders.h - room controller/daemon: open orders in memory; events go to the core, its step to the store, its actions out.
 * An order is its next state at once for the next event; what is sent waits for the commit. When a commit fails the order is
 * read again from the store and its agent is asked to re-send. Never: deciding a step (controller/core/order_flow.h). */
#ifndef VCC_ORDERS_H
#define VCC_ORDERS_H

#include "controller/core/order_flow.h"
#include "controller/daemon/commit.h"
#include "controller/daemon/signer_client.h"
#include "shared/model/messages.h"

struct orders;
_must_check_ int orders_open(struct controller *ctl, struct orders **ret);
void             orders_free(struct orders *o);
/* Start: loads every open order and steps it by EV_RESTART; voids intents that belong to no order. */
_must_check_ int orders_load(struct controller *ctl);
void orders_rest(struct controller *ctl); /* those that ended us too often do from now on; when their campaigns are there */

/* Adds a new order of `cert` to the commit: order row, audit record, first message; sets cert->open_order (the caller puts the
 * certificate). `approval`: it waits for one. `ret` may be NULL. */
void orders_create(struct controller *ctl, struct commit *commit, struct certificate *cert, enum trigger trigger, bool force,
		   bool approval, const struct caller *who, struct order *ret);
/* The same for a campaign. `approved`: a second person agreed to all of it. */
struct order_cause {
	enum trigger  trigger;
	bool          force, approval, approved;
	bool          fresh_key; /* one that was made before is not good enough */
	bool          drill;     /* it is none of the certificate's orders: open_order stays as it is */
	bool          peer_proof; /* completed only when the relying parties have seen it */
	struct id     campaign_id; /* none = of no campaign */
};
void orders_create_for(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order_cause *cause,
		       const struct caller *who, struct order *ret);
/* The drill of a certificate that is under way, NULL when there is none; and its end, for the sake of what is no drill (nothing happens
 * where there is none). An order that is made ends it by itself. */
const struct order *orders_drill_of(const struct controller *ctl, const char *cert_id);
_must_check_ int    orders_end_drill(struct controller *ctl, struct commit *commit, const char *cert_id, const struct caller *who);
/* The same for a certificate without agent: the person who orders brings the key. `intent` NULL: the order waits for an approval that
 * shows the key; else it is of `renewal_id`, and the order begins with it. */
struct order_key {
	struct id              renewal_id;
	struct span            spki;
	const struct issuance *intent;
	uint32_t               template_version; /* that the intent was made from */
};
void orders_create_for_key(struct controller *ctl, struct commit *commit, struct certificate *cert, const struct order_key *key,
			   const struct caller *who, struct order *ret);
/* The open order of a certificate (also paused), NULL when there is none. Valid until the next event. */
const struct order *orders_of(struct controller *ctl, const struct certificate *cert);
/* Newest state of any order: in memory, else stored. E_NOT_FOUND, E_STORE_*. */
_must_check_ int orders_find(struct controller *ctl, struct id renewal_id, struct order *ret);

/* What an event brings along. */
struct order_input {
	struct commit         *commit; /* to add to; NULL = one of its own, handed over inside */
	const struct issuance *intent; /* EV_CSR */
	const struct issuance *issued; /* EV_ISSUED */
	const struct caller   *who;    /* EV_APPROVED, EV_CANCEL: audit */
	const struct approval *decision; /* EV_APPROVED, EV_REJECTED: stored with the step */
	uint64_t               ack_id; /* message to be acked when it is stored (with its own commit); 0 = none */
	commit_done_fn        *done;   /* with its own commit: called when stored or failed; NULL = nobody asks */
	void                  *ctx;
};
/* Events of an order that is not in memory reach its stored state (late receipts). *ret_stored: false when nothing had to be
 * stored: then neither ack nor `done` follows from here. E_NOT_FOUND: no such order. */
_must_check_ int orders_event(struct controller *ctl, const struct order_event *event, const struct order_input *in,
			      bool *ret_stored);

/* ---- from agents ---- */
void orders_acked(struct controller *ctl, const char *agent, uint64_t message_id, int code, const char *text);
void orders_live_step(struct controller *ctl, const char *agent, const struct msg_step *step);

/* The host has another name: open orders and what was sent of them follow. */
void orders_renamed(struct controller *ctl, const char *from, const char *to);
/* Its paused orders are tried: another version of the agent may do what the last one could not. */
void orders_try_paused(struct controller *ctl, const char *agent);

/* ---- for the files beside this one ---- */
struct sent_messages *orders_sent(struct controller *ctl);
bool                  orders_urgent(const struct controller *ctl, struct id renewal_id);
/* The template that the order's next intent is made from. */
void orders_note_template(struct controller *ctl, struct id renewal_id, uint32_t version);

/* ---- from the signer, the clock ---- */
void     orders_signed(struct controller *ctl, const struct ticket *t, const struct signed_answer *a);
void     orders_tick(struct controller *ctl, int64_t now);
uint32_t orders_count(const struct controller *ctl); /* open, also paused ones */

#endif
