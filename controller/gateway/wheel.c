/* wheel.c - room controller/gateway: a hashed timer wheel of one-second slots.
 * Never: clocks, heap. */
#include "controller/gateway/wheel.h"

#include "shared/base/times.h"

static void list_init(struct wheel_entry *head)
{
	head->next = head;
	head->previous = head;
}

static void list_add(struct wheel_entry *head, struct wheel_entry *e)
{
	e->previous = head->previous;
	e->next = head;
	head->previous->next = e;
	head->previous = e;
}

void wheel_init(struct wheel *w, int64_t now_ms)
{
	for (int i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slots[i]);
	w->second = now_ms / MS_SECOND;
}

void wheel_clear(struct wheel_entry *e)
{
	if (e->next == NULL)
		return;
	e->previous->next = e->next;
	e->next->previous = e->previous;
	e->next = NULL;
	e->previous = NULL;
}

void wheel_set(struct wheel *w, struct wheel_entry *e, int64_t due_ms)
{
	/* rounded up: never early */
	int64_t second = due_ms / MS_SECOND + (due_ms % MS_SECOND != 0);
	if (second <= w->second)
		second = w->second + 1;
	wheel_clear(e);
	e->due_ms = due_ms;
	list_add(&w->slots[second % WHEEL_SLOTS], e);
}

void wheel_turn(struct wheel *w, int64_t now_ms, void (*fire)(void *ctx, struct wheel_entry *e), void *ctx)
{
	int64_t now = now_ms / MS_SECOND;
	if (now - w->second > WHEEL_SLOTS)
		w->second = now - WHEEL_SLOTS; /* after a long stop each slot is visited once */
	while (w->second < now) {
		struct wheel_entry  due;
		struct wheel_entry *slot = &w->slots[++w->second % WHEEL_SLOTS];
		/* taken off first, so that what is set again meanwhile does not fire twice in this turn */
		list_init(&due);
		while (slot->next != slot) {
			struct wheel_entry *e = slot->next;
			wheel_clear(e);
			list_add(&due, e);
		}
		while (due.next != &due) {
			struct wheel_entry *e = due.next;
			wheel_clear(e);
			if (e->due_ms > now_ms)
				wheel_set(w, e, e->due_ms); /* of a later round */
			else
				fire(ctx, e);
		}
	}
}
