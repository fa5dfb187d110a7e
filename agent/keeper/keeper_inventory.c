/* keeper_inventory.c - room agent/keeper: what `vcc-agent observe` found, signed and kept until the controller has it.
 * Never: looking itself. */
#include "agent/keeper/keeper_inventory.h"

#include <stdlib.h>

#include "agent/keeper/uplink.h"

/* Whoever asks is root; that the bytes are an inventory is still ours to know, because they are signed here. */
static int body_check(struct span body)
{
	struct body_inventory *b = malloc(sizeof(*b));
	int                    r = b != NULL ? wire_body_decode(&wire_body_inventory, body, b) : E_NOMEM;
	free(b);
	return r;
}

int keeper_inventory_take(struct keeper *k, struct span body, bool *ret_sent)
{
	struct buf bytes = BUF_MAX(INVENTORY_BODY_MAX);
	struct buf signature = BUF_MAX(MSG_SIGNATURE_MAX);
	int        r = body_check(body);
	if (r == 0)
		r = key_sign(k->state.host_key, LABEL_INVENTORY, body, &signature);
	buf_add(&bytes, body.p, body.n);
	if (r == 0)
		r = buf_error(&bytes);
	if (r != 0) {
		buf_free(&bytes);
		buf_free(&signature);
		return r;
	}
	buf_take(&k->inventory, &bytes);
	buf_take(&k->inventory_signature, &signature);
	k->inventory_id = 0;
	keeper_inventory_send(k);
	*ret_sent = k->inventory_id != 0;
	return 0;
}

void keeper_inventory_send(struct keeper *k)
{
	struct msg_signed message = {.body = buf_span(&k->inventory), .signature = buf_span(&k->inventory_signature)};
	if (k->inventory.n > 0)
		k->inventory_id = uplink_send(k->uplink, MSG_INVENTORY, &message);
}

void keeper_inventory_acked(struct keeper *k, uint64_t id)
{
	if (id == 0 || id != k->inventory_id)
		return;
	buf_free(&k->inventory);
	buf_free(&k->inventory_signature);
	k->inventory_id = 0;
}
