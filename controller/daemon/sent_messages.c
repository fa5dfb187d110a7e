/* sent_messages.c - room controller/daemon: the newest outbox message of each order, by its id and by its order.
 * Never: storing; the outbox is the store's. */
#include "controller/daemon/sent_messages.h"

#include <stdlib.h>

#include <uthash.h>

#include "controller/daemon/fleet.h"
#include "controller/daemon/state.h"
#include "shared/base/text.h"

enum { OUTBOX_PAGE = 4 };

struct message {
	struct sent_message m;
	UT_hash_handle      hh;    /* by m.id: what an ack is about */
	UT_hash_handle      order; /* by m.renewal_id: a newer one replaces it */
};

struct sent_messages {
	struct message   *by_id, *by_order;
	struct outbox_row page[OUTBOX_PAGE]; /* large: one, resends come one by one */
};

int sent_messages_open(struct sent_messages **ret)
{
	struct sent_messages *all = calloc(1, sizeof(*all));
	if (all == NULL)
		return E_NOMEM;
	*ret = all;
	return 0;
}

static void drop(struct sent_messages *all, struct message *m)
{
	HASH_DELETE(order, all->by_order, m);
	HASH_DEL(all->by_id, m);
	free(m);
}

void sent_messages_free(struct sent_messages *all)
{
	if (all == NULL)
		return;
	struct message *m, *tmp;
	HASH_ITER (hh, all->by_id, m, tmp)
		drop(all, m);
	free(all);
}

static struct message *of_order(const struct sent_messages *all, struct id renewal_id)
{
	struct message *m = NULL;
	HASH_FIND(order, all->by_order, &renewal_id, sizeof(renewal_id), m);
	return m;
}

void sent_message_set(struct sent_messages *all, const struct sent_message *sent)
{
	struct message *m = of_order(all, sent->renewal_id);
	if (m != NULL)
		drop(all, m);
	if (sent->id == 0)
		return;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		abort();
	m->m = *sent;
	HASH_ADD(hh, all->by_id, m.id, sizeof(m->m.id), m);
	HASH_ADD(order, all->by_order, m.renewal_id, sizeof(m->m.renewal_id), m);
}

void sent_messages_renamed(struct sent_messages *all, const char *from, const char *to)
{
	struct message *m, *tmp;
	HASH_ITER (hh, all->by_id, m, tmp)
		if (text_equal(m->m.agent, from))
			text_cut(m->m.agent, sizeof(m->m.agent), to);
}

bool sent_message_find(const struct sent_messages *all, uint64_t id, struct sent_message *ret)
{
	const struct message *m = NULL;
	HASH_FIND(hh, all->by_id, &id, sizeof(id), m);
	if (m != NULL)
		*ret = m->m;
	return m != NULL;
}

static void send_row(struct controller *ctl, struct sent_messages *all, const char *agent, const struct outbox_row *row)
{
	struct sent_message   sent = {.id = row->message_id, .type = row->type, .renewal_id = row->renewal_id};
	const struct message *newest = of_order(all, row->renewal_id);
	if (newest != NULL && newest->m.id > row->message_id)
		return; /* a newer one is on its way to the store */
	text_cut(sent.agent, sizeof(sent.agent), agent);
	sent_message_set(all, &sent);
	(void)fleet_send_frame(ctl, agent, row->message_id, (struct span){row->frame, row->n},
			       orders_urgent(ctl, row->renewal_id));
}

void sent_messages_resend(struct controller *ctl, const char *agent)
{
	struct sent_messages *all = orders_sent(ctl);
	uint64_t              after = 0;
	size_t                n = OUTBOX_PAGE;
	while (n == OUTBOX_PAGE && view_outbox(ctl->view, agent, after, all->page, OUTBOX_PAGE, &n) == 0)
		for (size_t i = 0; i < n; i++) {
			after = all->page[i].message_id;
			send_row(ctl, all, agent, &all->page[i]);
		}
}
