/* rollover_json.c - room controller/daemon: state, what comes next and what is left, as JSON.
 * Never: deciding. */
#include "controller/daemon/rollover_json.h"

#include "controller/daemon/api_json.h"

static const char *next_of(const struct rollover *r, const struct rollover_figures *f)
{
	static const char *const texts[ROLLOVER_PHASE_COUNT] = {
		[ROLLOVER_PREPARING] = "the signer makes the successor",
		[ROLLOVER_TRUST] =
			"a person advances it: certificates come from the successor then, and what is in use is issued again",
		[ROLLOVER_ISSUING] = "what the old CA signed is issued again by the campaign; it goes on by itself when "
				     "nothing more is under way",
		[ROLLOVER_RETIRING] = "the signer closes the old CA",
		[ROLLOVER_RETIRED] = "nothing: the old CA signs its lists until the last of its certificates has ended",
		[ROLLOVER_ROLLED_BACK] = "nothing: the old CA signs as before, the successor stands by",
	};
	static const char *const of_root[ROLLOVER_PHASE_COUNT] = {
		[ROLLOVER_PREPARING] = "the next root and what stands below it become ours",
		[ROLLOVER_TRUST] =
			"hosts load the trust bundle with both roots; when none is missing a person advances it: certificates "
			"come from below the next root then, and what is in use is issued again",
		[ROLLOVER_RETIRING] =
			"the signer closes what stands below the old root; then hosts are given the trust bundle without it, "
			"and it ends when all have it",
		[ROLLOVER_RETIRED] = "nothing: hosts have forgotten the old root",
		[ROLLOVER_ROLLED_BACK] = "nothing: what stands below the old root signs as before, the next root stands by",
	};
	if (rollover_is_root(r) && of_root[r->phase] != NULL)
		return of_root[r->phase];
	if (r->phase == ROLLOVER_DRAINING)
		return f->agents == 0
			       ? "a person asks to retire the old CA, with the list of what trusts it outside of the agents"
			       : "hosts that are listed get theirs when they are back; then a person asks to retire the old CA";
	return texts[r->phase];
}

json_t *rollover_json(struct controller *ctl, const struct rollover *r, const struct rollover_figures *f,
		      const struct rollover_left *left, int64_t now)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:b,s:b,s:b}", "issuer_id", r->issuer_id, "successor_id", r->successor_id, "phase",
			      rollover_phase_name(r->phase), "emergency", (int)r->emergency, "closed", (int)r->closed,
			      "overridden", (int)r->overridden);
	json_object_set_new(o, "next", json_string(next_of(r, f)));
	json_object_set_new(o, "code", json_code(r->code));
	json_object_set_new(o, "cause", json_string(r->cause));
	json_object_set_new(o, "actor", json_string(r->actor));
	json_object_set_new(o, "reason", json_string(r->reason));
	json_object_set_new(o, "created_at", json_time(r->created_at));
	json_object_set_new(o, "prepared_at", json_time(r->prepared_at));
	json_object_set_new(o, "issuing_at", json_time(r->issuing_at));
	json_object_set_new(o, "draining_at", json_time(r->draining_at));
	json_object_set_new(o, "ended_at", json_time(r->ended_at));
	json_object_set_new(o, "campaign_id", id_is_none(r->campaign_id) ? json_null() : json_id(r->campaign_id));
	json_object_set_new(o, "campaigns", json_integer(r->campaigns));
	json_object_set_new(o, "campaign_open", json_boolean(f->campaign_open));
	json_object_set_new(o, "consumers", json_integer(r->consumers));
	json_object_set_new(o, "consumers_hash", hash_is_none(r->consumers_hash) ? json_null() : json_hash(r->consumers_hash));
	json_object_set_new(o, "trust", rollover_trust_json(ctl, r, &left->trust, now));
	json_object_set_new(o, "left", left->counted_at != 0 ? rollover_left_json(ctl, left, now) : json_null());
	json_t *items = rollover_left_rows(ctl, left);
	rollover_trust_rows(ctl, &left->trust, now, items);
	json_object_set_new(o, "items", items);
	return o;
}
