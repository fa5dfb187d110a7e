/* outbox.c - room controller/gateway: the bounded queue of frames to one agent.
 * Never: writing to a socket. */
#include "controller/gateway/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/err.h"

int outbox_add(struct outbox *o, bool urgent, struct span frame)
{
	size_t cost = sizeof(struct outbox_frame) + frame.n; /* many small frames cost memory, too */
	if (cost > OUTBOX_MAX || o->bytes > OUTBOX_MAX - cost)
		return E_FULL;
	struct outbox_frame *f = malloc(cost);
	if (f == NULL)
		return E_NOMEM;
	f->next = NULL;
	f->n = frame.n;
	if (frame.n > 0)
		memcpy(f->bytes, frame.p, frame.n);

	int queue = urgent ? 0 : 1;
	if (o->last[queue] != NULL)
		o->last[queue]->next = f;
	else
		o->first[queue] = f;
	o->last[queue] = f;
	o->bytes += cost;
	return 0;
}

struct outbox_frame *outbox_take(struct outbox *o)
{
	for (int queue = 0; queue < 2; queue++) {
		struct outbox_frame *f = o->first[queue];
		if (f == NULL)
			continue;
		o->first[queue] = f->next;
		if (f->next == NULL)
			o->last[queue] = NULL;
		o->bytes -= sizeof(*f) + f->n;
		return f;
	}
	return NULL;
}

bool outbox_empty(const struct outbox *o)
{
	return o->first[0] == NULL && o->first[1] == NULL;
}

void outbox_clear(struct outbox *o)
{
	struct outbox_frame *f;
	while ((f = outbox_take(o)) != NULL)
		free(f);
}
