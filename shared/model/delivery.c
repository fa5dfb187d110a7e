/* delivery.c - room shared/model: names of deliveries' states and kinds, and what may be the name of a channel.
 * Never: deciding what is sent. */
#include "shared/model/delivery.h"

#include <string.h>

const char *delivery_state_name(enum delivery_state s)
{
	static const char *const names[DELIVERY_STATE_COUNT] = {
		[DELIVERY_WAITING] = "waiting", [DELIVERY_SENT] = "sent", [DELIVERY_DEAD] = "dead"};
	return (size_t)s < N_ELEMENTS(names) ? names[s] : "unknown";
}

const char *delivery_kind_name(enum delivery_kind k)
{
	static const char *const names[DELIVERY_KIND_COUNT] = {
		[DELIVERY_FIRST] = "first", [DELIVERY_REMINDER] = "reminder", [DELIVERY_ESCALATION] = "escalation"};
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

bool delivery_channel_ok(const char *name)
{
	size_t n = strlen(name);
	return n > 0 && n < CHANNEL_NAME_SIZE && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_") == n && name[0] != '-';
}
