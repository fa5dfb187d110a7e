/* api_json.c - room controller/daemon: model values as JSON, the shapes that the API promises.
 * Never: reading the store. */
#include "controller/daemon/api_json.h"

#include <stdio.h>
#include <string.h>

#include "controller/core/policy.h"
#include "shared/base/text.h"
#include "shared/base/times.h"

json_t *json_time(int64_t at)
{
	char text[TIME_TEXT_SIZE];
	return time_text(at, text)[0] != '\0' ? json_string(text) : json_null();
}

json_t *json_names(const struct names *names)
{
	json_t    *list = json_array();
	size_t     cursor = 0;
	struct san san;
	while (names_next(names, &cursor, &san))
		json_array_append_new(list, json_sprintf("%s:%s", san.kind == SAN_IP ? "IP" : "DNS", san.text));
	return list;
}

json_t *json_comma_list(const char *list)
{
	json_t     *items = json_array();
	const char *cursor = list;
	char        item[256];
	while (text_item(&cursor, item, sizeof(item)))
		json_array_append_new(items, json_string(item));
	return items;
}

json_t *json_serial(struct serial s)
{
	char text[SERIAL_TEXT_SIZE];
	return serial_is_none(s) ? json_null() : json_string(serial_text(s, text));
}

json_t *json_hash(struct hash h)
{
	char text[HASH_TEXT_SIZE];
	return hash_is_none(h) ? json_null() : json_string(hash_text(h, text));
}

json_t *json_id(struct id id)
{
	char text[ID_TEXT_SIZE];
	return id_is_none(id) ? json_null() : json_string(id_text(id, text));
}

json_t *json_code(int code)
{
	char text[ERR_CODE_SIZE];
	return code == 0 ? json_null() : json_string(err_code(code, text));
}

double json_days(int64_t ms)
{
	return (double)(ms / (MS_DAY / 100)) / 100.0;
}

static json_t *text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? json_string(text) : json_null();
}

void json_subject(const struct certificate *c, char ret[JSON_SUBJECT_SIZE])
{
	size_t     cursor = 0;
	struct san san;
	bool       found = false;
	while (!found && names_next(&c->names, &cursor, &san))
		found = san.kind == SAN_DNS && strlen(san.text) < SUBJECT_SIZE;
	snprintf(ret, JSON_SUBJECT_SIZE, "CN=%s", found ? san.text : c->cert_id);
}

/* What the certificate's places say about the truth: is the issued one served, everywhere that it can be seen? Where nobody answers it is not. What
 * lies on disk is all that is known of a place without handshakes: enough for a no, not for a yes. */
static json_t *served(const struct certificate *c, const struct target *targets, size_t n)
{
	bool all = true, seen = false, wrong = false, issued = !serial_is_none(c->serial), known = n > 0 && issued;
	for (size_t i = 0; i < n; i++) {
		const struct target *t = &targets[i];
		known &= !serial_is_none(t->served);
		seen |= !text_equal(t->verify_kind, "none") && !text_equal(t->verify_kind, "file");
		wrong |= t->stale_since_at != 0 || t->state_code == E_SWAP_PROBE;
		all &= serial_equal(c->serial, t->served);
	}
	if (issued && wrong)
		return json_false();
	return known && (seen || !all) ? json_boolean(all) : json_null();
}

static json_t *alerts(const struct certificate *c, const struct template *t, int64_t now)
{
	json_t *list = json_array();
	for (int a = 0; t != NULL && a < POLICY_ALERT_COUNT; a++)
		if (policy_alerts((enum policy_alert)a, c, t, now))
			json_array_append_new(list, json_string(policy_alert_name((enum policy_alert)a)));
	return list;
}

json_t *json_certificate(const struct certificate *c, const struct template *t, const struct target *targets, size_t n, int64_t now)
{
	char subject[JSON_SUBJECT_SIZE];
	json_subject(c, subject);
	bool    issued = !serial_is_none(c->serial);
	json_t *o = json_object();
	json_object_set_new(o, "cert_id", json_string(c->cert_id));
	json_object_set_new(o, "service", json_string(c->service));
	json_object_set_new(o, "agent", text_or_null(c->agent));
	json_object_set_new(o, "template_id", json_string(c->template_id));
	json_object_set_new(o, "template_version", json_integer(c->template_version));
	json_object_set_new(o, "status", json_string(cert_status_name(policy_status(c, t, now))));
	json_object_set_new(o, "subject", json_string(subject));
	json_object_set_new(o, "names", json_names(&c->names));
	json_object_set_new(o, "approved", json_boolean(c->approved));
	json_object_set_new(o, "serial", json_serial(c->serial));
	json_object_set_new(o, "fingerprint", json_hash(c->fingerprint));
	json_object_set_new(o, "not_before", json_time(c->not_before_at));
	json_object_set_new(o, "expires_at", json_time(c->not_after_at));
	json_object_set_new(o, "days_until_expiry", issued ? json_real(json_days(c->not_after_at - now)) : json_null());
	json_object_set_new(o, "served", served(c, targets, n));
	json_object_set_new(o, "renew_at", json_time(c->renew_at));
	json_object_set_new(o, "open_order", json_id(c->open_order));
	json_object_set_new(o, "unattended_renewals", json_integer(c->unattended));
	json_object_set_new(o, "alerts", alerts(c, t, now));
	json_object_set_new(o, "revoked_at", json_time(policy_revoked_at(c)));
	json_object_set_new(o, "suspended_at", json_time(c->suspended_at));
	json_object_set_new(o, "retired_at", json_time(c->retired_at));
	json_object_set_new(o, "created_at", json_time(c->created_at));
	json_object_set_new(o, "version", json_integer((json_int_t)c->version));
	return o;
}

json_t *json_issuance(const struct issuance *i, const struct template *t, int64_t now)
{
	const char *reason = i->revoked_at != 0 ? revoke_reason_name(i->revoke_reason) : NULL;
	json_t     *o = json_object();
	json_object_set_new(o, "serial", json_serial(i->serial));
	json_object_set_new(o, "issuer", json_string(i->issuer_id));
	json_object_set_new(o, "state", json_string(issuance_state_name(i->state)));
	json_object_set_new(o, "status", json_string(cert_status_name(policy_issuance_status(i, t, now))));
	json_object_set_new(o, "subject", json_string(i->subject));
	json_object_set_new(o, "fingerprint", json_hash(i->fingerprint));
	json_object_set_new(o, "not_before", json_time(i->not_before_at));
	json_object_set_new(o, "expires_at", json_time(i->not_after_at));
	json_object_set_new(o, "expired", json_boolean(i->not_after_at <= now));
	json_object_set_new(o, "crl_shard", json_integer(i->crl_shard));
	json_object_set_new(o, "renewal_id", json_id(i->renewal_id));
	json_object_set_new(o, "drill", json_boolean(i->drill));
	json_object_set_new(o, "created_at", json_time(i->created_at));
	json_object_set_new(o, "proved_at", json_time(i->proved_at));
	json_object_set_new(o, "supersede_at", json_time(i->supersede_at));
	json_object_set_new(o, "revoked_at", json_time(i->revoked_at));
	json_object_set_new(o, "revoke_reason", text_or_null(reason));
	json_object_set_new(o, "invalidity_date", i->revoked_at != 0 ? json_time(i->invalidity_at) : json_null());
	json_object_set_new(o, "held_at", json_time(i->held_at));
	json_object_set_new(o, "revoke_asked_at", json_time(i->revoke_asked_at));
	return o;
}

json_t *json_agent(const struct agent *a, bool connected)
{
	json_t *o = json_object();
	json_object_set_new(o, "name", json_string(a->name));
	json_object_set_new(o, "service", json_string(a->service));
	json_object_set_new(o, "state", json_string(agent_state_name(a->state)));
	json_object_set_new(o, "connected", json_boolean(connected));
	json_object_set_new(o, "names", json_names(&a->patterns));
	json_object_set_new(o, "host_key", json_hash(a->host_hash));
	json_object_set_new(o, "identity_serial", json_serial(a->identity));
	json_object_set_new(o, "identity_expires_at", json_time(a->identity_not_after_at));
	json_object_set_new(o, "version", text_or_null(a->version));
	json_object_set_new(o, "address", text_or_null(a->address));
	json_object_set_new(o, "joined_at", json_time(a->joined_at));
	json_object_set_new(o, "seen_at", json_time(a->seen_at));
	json_object_set_new(o, "clock_skew_ms", json_integer(a->skew_ms));
	json_object_set_new(o, "receipts", json_integer((json_int_t)a->receipt_seq));
	json_object_set_new(o, "copy", a->run.copy == COPY_NONE ? json_null() : json_string(agent_copy_name(a->run.copy)));
	json_object_set_new(o, "copy_since", json_time(a->copy_at));
	json_object_set_new(o, "copy_address", text_or_null(a->copy_address));
	return o;
}

json_t *json_invite(const struct invite *i, int64_t now)
{
	const char *state = i->used_at != 0 ? "used" : i->expires_at <= now ? "expired" : "open";
	json_t     *o = json_object();
	json_object_set_new(o, "invite_id", json_id(i->invite_id));
	json_object_set_new(o, "name", json_string(i->name));
	json_object_set_new(o, "service", json_string(i->service));
	json_object_set_new(o, "names", json_names(&i->patterns));
	json_object_set_new(o, "state", json_string(state));
	json_object_set_new(o, "created_at", json_time(i->created_at));
	json_object_set_new(o, "expires_at", json_time(i->expires_at));
	json_object_set_new(o, "used_at", json_time(i->used_at));
	json_object_set_new(o, "created_by", json_string(i->actor));
	json_object_set_new(o, "replaces", json_boolean(i->replaces));
	return o;
}

json_t *json_target(const struct target *t)
{
	json_t *o = json_object();
	json_object_set_new(o, "target_id", json_string(t->target_id));
	json_object_set_new(o, "cert_id", json_string(t->cert_id));
	json_object_set_new(o, "agent", json_string(t->agent));
	json_object_set_new(o, "file", json_string(t->stem));
	json_object_set_new(o, "reload", json_string(t->reload_kind));
	json_object_set_new(o, "verify", json_string(t->verify_kind));
	json_object_set_new(o, "listeners", json_comma_list(t->listeners));
	json_object_set_new(o, "served_serial", json_serial(t->served));
	json_object_set_new(o, "proved_at", json_time(t->proved_at));
	json_object_set_new(o, "reported_at", json_time(t->reported_at));
	json_object_set_new(o, "error", json_code(t->state_code != 0 ? t->state_code : t->last_code));
	json_object_set_new(o, "stale_since", json_time(t->stale_since_at));
	json_object_set_new(o, "rehearsed_at", json_time(t->rehearsed_at));
	json_object_set_new(o, "changed_at", json_time(t->drifted_at));
	json_object_set_new(o, "changes", json_integer((json_int_t)t->drifts));
	json_object_set_new(o, "trust_epoch", json_integer((json_int_t)t->trust_epoch));
	json_object_set_new(o, "trust_proof", json_string(trust_proof_name((enum trust_proof)t->trust_proof)));
	json_object_set_new(o, "crl_hash", json_hash(t->crl_hash));
	json_object_set_new(o, "crl_current", json_null()); /* api_target_enrich() */
	json_object_set_new(o, "cared_at", json_time(t->cared_at));
	return o;
}

json_t *json_listener(const struct inventory_listener *l)
{
	json_t *o = json_object();
	json_object_set_new(o, "address", json_string(l->address));
	json_object_set_new(o, "program", json_string(l->program));
	json_object_set_new(o, "user", json_string(l->user));
	json_object_set_new(o, "unit", l->unit[0] != '\0' ? json_string(l->unit) : json_null());
	json_object_set_new(o, "starttls", json_boolean(l->starttls));
	json_object_set_new(o, "fingerprint", json_hash(l->fingerprint));
	json_object_set_new(o, "subject", json_string(l->subject));
	json_object_set_new(o, "issuer", json_string(l->issuer));
	json_object_set_new(o, "names", json_comma_list(l->names));
	json_object_set_new(o, "names_count", json_integer(l->n_names));
	json_object_set_new(o, "not_before", json_time(l->not_before_at));
	json_object_set_new(o, "expires_at", json_time(l->not_after_at));
	json_object_set_new(o, "self_signed", json_boolean(l->self_signed));
	json_object_set_new(o, "chain_length", json_integer(l->chain));
	return o;
}

static json_t *json_error(int code, const char *cause)
{
	if (code == 0)
		return json_null();
	json_t *o = json_object();
	json_object_set_new(o, "code", json_code(code));
	json_object_set_new(o, "message", json_string(cause[0] != '\0' ? cause : err_what(code)));
	json_object_set_new(o, "next", json_string(err_next(code)));
	return o;
}

static json_t *order_flags(uint32_t flags)
{
	static const struct {
		uint32_t    bit;
		const char *name;
	} names[] = {
		{ORDER_UNVERIFIED, "unverified"},
		{ORDER_DRAINING, "draining"},
		{ORDER_SERVICE_WAS_DOWN, "service_was_down"},
		{ORDER_STAGED, "staged"},
		{ORDER_FRESH, "fresh_key"},
		{ORDER_HOOK_FAILED, "hook_failed"},
		{ORDER_FORCED, "forced"},
		{ORDER_NOW, "now"},
		{ORDER_DRILL, "drill"},
		{ORDER_PEERS, "peer_proof"},
		{ORDER_PEER_UNPROVED, "peer_unproved"},
		{ORDER_PEER_REFUSED, "peer_refused"},
	};
	json_t *list = json_array();
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if ((flags & names[i].bit) != 0)
			json_array_append_new(list, json_string(names[i].name));
	return list;
}

json_t *json_order(const struct order *o)
{
	json_t *j = json_object();
	json_object_set_new(j, "renewal_id", json_id(o->renewal_id));
	json_object_set_new(j, "cert_id", json_string(o->cert_id));
	json_object_set_new(j, "agent", text_or_null(o->agent));
	json_object_set_new(j, "service_name", json_string(o->service));
	json_object_set_new(j, "campaign_id", json_id(o->campaign_id));
	json_object_set_new(j, "renewal_trigger", json_string(trigger_name(o->trigger)));
	json_object_set_new(j, "status", json_string(order_status_name(o->phase)));
	json_object_set_new(j, "phase", json_string(order_phase_name(o->phase)));
	json_object_set_new(j, "attempt", json_integer(o->attempt));
	json_object_set_new(j, "retry_count", json_integer(o->failures));
	json_object_set_new(j, "flags", order_flags(o->flags));
	json_object_set_new(j, "error", json_error(o->code, o->cause));
	json_object_set_new(j, "requested_by", json_string(o->actor));
	json_object_set_new(j, "created_at", json_time(o->created_at));
	json_object_set_new(j, "verified_at", json_time(o->verified_at));
	json_object_set_new(j, "completed_at", json_time(o->completed_at));
	json_object_set_new(j, "next_at", order_phase_final(o->phase) ? json_null() : json_time(o->next_at));
	return j;
}

json_t *json_step(const struct order_step_row *s)
{
	json_t *o = json_object();
	json_object_set_new(o, "step", json_string(workflow_step_name(s->step)));
	json_object_set_new(o, "attempt", json_integer(s->attempt));
	json_object_set_new(o, "status", json_string(s->code == 0 ? "done" : "failed"));
	json_object_set_new(o, "code", json_code(s->code));
	json_object_set_new(o, "at", json_time(s->at));
	json_object_set_new(o, "seconds", s->took_ms >= 0 ? json_real((double)s->took_ms / 1000.0) : json_null());
	json_object_set_new(o, "detail", json_string(s->detail));
	return o;
}

json_t *json_receipt(const struct receipt_row *r)
{
	json_t *o = json_object();
	json_object_set_new(o, "agent", json_string(r->agent));
	json_object_set_new(o, "seq", json_integer((json_int_t)r->seq));
	json_object_set_new(o, "attempt", json_integer(r->attempt));
	json_object_set_new(o, "outcome", json_string(receipt_outcome_name((enum receipt_outcome)r->outcome)));
	json_object_set_new(o, "code", json_code(r->code));
	json_object_set_new(o, "fingerprint", json_hash(r->fingerprint));
	json_object_set_new(o, "listeners", json_integer(r->listeners));
	json_object_set_new(o, "handshakes", json_integer((json_int_t)r->probes));
	json_object_set_new(o, "handshakes_failed", json_integer((json_int_t)r->probes_failed));
	json_object_set_new(o, "old_workers", json_integer(0));
	json_object_set_new(o, "oldest_worker_seconds", json_null());
	json_object_set_new(o, "flipped_at", json_time(r->flipped_at));
	json_object_set_new(o, "first_new_at", json_time(r->first_new_at));
	json_object_set_new(o, "last_old_at", json_time(r->last_old_at));
	json_object_set_new(o, "made_at", json_time(r->made_at));
	return o;
}
