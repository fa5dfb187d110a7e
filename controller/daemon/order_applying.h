/* order_applying.h - room controller/daemon: one step of an order while it is put into a change: shared by the files whose
 * functions are its actions. Never: included by anybody else. */
#ifndef VCC_ORDER_APPLYING_H
#define VCC_ORDER_APPLYING_H

#include "controller/daemon/order_actions.h"

/* One step being applied: rows are read once, changed by several actions and put once at the end. */
struct applying {
	struct controller         *ctl;
	struct commit             *commit;
	const struct order        *was;
	const struct order_step   *step;
	const struct order_input  *in;
	struct sent_message       *message;
	int64_t                    now;
	struct certificate        *cert;
	struct certificate         cert_value;
	bool                       cert_read, cert_changed, cert_foreign;
	bool                       near;      /* one more unattended renewal, and a person has to agree */
	struct issuance            mine, old; /* of this attempt, of the order's predecessor */
	bool                       mine_read, mine_changed, mine_new, old_read, old_changed;
	const struct order_action *action;
};

/* Read once, on the first demand. */
_must_check_ int       applying_cert(struct applying *a);
_must_check_ int       applying_mine(struct applying *a);
_must_check_ int       applying_old(struct applying *a);      /* 0 also when there is none: old_read tells */
const struct template *applying_template(struct applying *a); /* NULL: there is none any more */

/* order_send.c: into the outbox with this change, to the host when it is stored. */
_must_check_ int order_send_order(struct applying *a);
_must_check_ int order_send_certificate(struct applying *a);
_must_check_ int order_send_cancel(struct applying *a);
_must_check_ int order_send_rollback(struct applying *a);
_must_check_ int order_send_nothing(struct applying *a); /* the outbox holds no message of it any more */

#endif
