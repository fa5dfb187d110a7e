/* notice_json.c - room controller/daemon: notices and their deliveries as JSON.
 * Never: reading the store. */
#include "controller/daemon/notice_json.h"

#include "controller/daemon/api_json.h"

json_t *json_notice(const struct notice *n)
{
	json_t *o = json_object(), *detail = n->detail[0] != '\0' ? json_loads(n->detail, JSON_REJECT_DUPLICATES, NULL) : NULL;
	json_object_set_new(o, "notification_id", json_id(n->notice_id));
	json_object_set_new(o, "at", json_time(n->at));
	json_object_set_new(o, "level", json_string(notice_level_name(n->level)));
	json_object_set_new(o, "event", json_string(notice_event_name(n->event)));
	json_object_set_new(o, "state", json_string(notice_state_name(n->state)));
	json_object_set_new(o, "key", n->key[0] != '\0' ? json_string(n->key) : json_null());
	json_object_set_new(o, "service", n->service[0] != '\0' ? json_string(n->service) : json_null());
	json_object_set_new(o, "object", json_string(n->object));
	json_object_set_new(o, "renewal_id", json_id(n->renewal_id));
	json_object_set_new(o, "code", json_code(n->code));
	json_object_set_new(o, "error", n->code != 0 ? json_string(err_what(n->code)) : json_null());
	json_object_set_new(o, "recipients", json_comma_list(n->recipients));
	json_object_set_new(o, "detail", detail != NULL ? detail : json_null());
	json_object_set_new(o, "count", json_integer(n->count));
	json_object_set_new(o, "last_at", json_time(n->last_at));
	json_object_set_new(o, "closed_at", json_time(n->closed_at));
	json_object_set_new(o, "channels", json_comma_list(n->channels));
	json_object_set_new(o, "acknowledged_at", json_time(n->acked_at));
	json_object_set_new(o, "snoozed_until", json_time(n->snoozed_until_at));
	json_object_set_new(o, "next_reminder_at", json_time(n->remind_at));
	json_object_set_new(o, "reminders", json_integer(n->reminders));
	json_object_set_new(o, "escalations", json_integer(n->escalations));
	return o;
}

json_t *json_delivery(const struct delivery *d)
{
	json_t *o = json_object();
	json_object_set_new(o, "delivery_id", json_integer((json_int_t)d->seq));
	json_object_set_new(o, "channel", json_string(d->channel));
	json_object_set_new(o, "notification_id", json_id(d->notice_id));
	json_object_set_new(o, "kind", json_string(delivery_kind_name(d->kind)));
	json_object_set_new(o, "level", json_string(notice_level_name(d->level)));
	json_object_set_new(o, "group", json_string(d->group));
	json_object_set_new(o, "state", json_string(delivery_state_name(d->state)));
	json_object_set_new(o, "held", json_boolean(d->held));
	json_object_set_new(o, "message_id", json_id(d->message_id));
	json_object_set_new(o, "attempts", json_integer(d->attempts));
	json_object_set_new(o, "at", json_time(d->at));
	json_object_set_new(o, "next_at", json_time(d->due_at));
	json_object_set_new(o, "ended_at", json_time(d->ended_at));
	json_object_set_new(o, "code", json_code(d->code));
	json_object_set_new(o, "error",
			    d->code != 0 ? json_string(d->cause[0] != '\0' ? d->cause : err_what(d->code)) : json_null());
	return o;
}
