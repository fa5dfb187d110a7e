/* keeper_status.c - room agent/keeper: the state of this host for people, as one JSON document.
 * Never: secrets. */
#include "agent/keeper/keeper_status.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "agent/keeper/care.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/keeper_clock.h"
#include "agent/keeper/keeper_health.h"
#include "agent/keeper/look.h"
#include "agent/keeper/place_state.h"
#include "agent/keeper/watch.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/sys/clock.h"

static json_t *time_json(int64_t at)
{
	char text[TIME_TEXT_SIZE];
	return at == 0 || at == TIME_NEVER ? json_null() : json_string(time_text(at, text));
}

static json_t *hash_json(struct hash h)
{
	char text[HASH_TEXT_SIZE];
	return hash_is_none(h) ? json_null() : json_string(hash_text(h, text));
}

static json_t *serial_json(struct serial s)
{
	char text[SERIAL_TEXT_SIZE];
	return serial_is_none(s) ? json_null() : json_string(serial_text(s, text));
}

static struct hash same_fingerprint(const struct receipt_listener *rows, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		if (!hash_equal(rows[i].fingerprint, rows[0].fingerprint))
			return (struct hash){{0}};
	return n > 0 ? rows[0].fingerprint : (struct hash){{0}};
}

/* What the listeners served last: one fingerprint when all agree. */
static struct hash served_of(const struct place *p)
{
	struct receipt_listener rows[MSG_LISTENERS_MAX];
	if (p->probe != NULL)
		return same_fingerprint(rows, probe_listeners(p->probe, 1, rows));
	return same_fingerprint(p->seen, p->n_seen);
}

static json_t *care_json(const struct place *p)
{
	char    text[CAUSE_SIZE];
	char    code[ERR_CODE_SIZE];
	int64_t now = clock_now();
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:s*, s:b, s:b, s:s*, s:s, s:o}", "phase", refresh_phase_name(p->care.phase),
	                 "reason", refresh_reason_name(p->care.reason), "drifts", (json_int_t)p->drifts, "drifted_at",
	                 time_json(p->drifted_at), "rehearsed_at", time_json(p->rehearsed_at), "next_rehearsal", time_json(p->rehearse_due),
	                 "rehearsal_code", p->rehearsal_code != 0 ? err_code(p->rehearsal_code, code) : NULL, "rehearsal_late",
	                 (int)rehearsal_late(p, now), "second_writer", (int)p->rival.alarm, "drift",
	                 p->drift.kind != DRIFT_NONE ? drift_words(&p->drift, text) : NULL, "trust",
	                 trust_proof_name((enum trust_proof)p->trust_proof), "stale_since", time_json(p->stale_since_at));
}

static json_t *draining_json(const struct place *p)
{
	uint32_t old_workers;
	int64_t  oldest_ms;
	if (!drain_now(p, &old_workers, &oldest_ms))
		return json_null();
	return json_pack("{s:i, s:I}", "old_workers", (int)old_workers, "oldest_ms", (json_int_t)oldest_ms);
}

/* ---- one target ---------------------------------------------------------------------------------------------------- */

/* The issuance in use: what should be on disk and served. */
static void put_issued(json_t *o, const struct managed *m)
{
	const struct live *l = &m->live;
	bool               any = l->certificate.n > 0;
	json_object_set_new(o, "issued", any ? serial_json(l->serial) : json_null());
	json_object_set_new(o, "fingerprint", any ? hash_json(l->fingerprint) : json_null());
	json_object_set_new(o, "not_after", any ? time_json(l->not_after_at) : json_null());
	json_object_set_new(o, "expired", json_boolean(any && l->not_after_at != 0 && l->not_after_at <= keeper_clock_judge(m->keeper)));
	json_object_set_new(o, "key_type", m->deploy.phase != DEPLOY_NONE ? json_string(key_type_name(m->deploy.key_type)) : json_null());
}

/* What `current` names; not by this keeper: no generation, or no serial. */
static void put_on_disk(json_t *o, const struct place *p)
{
	char generation[24] = "";
	if (p->on_disk.generation != 0)
		snprintf(generation, sizeof(generation), "g%06llu", (unsigned long long)p->on_disk.generation);
	json_object_set_new(o, "on_disk", json_string(generation));
	json_object_set_new(o, "on_disk_serial", serial_json(p->on_disk.serial));
	json_object_set_new(o, "on_disk_fingerprint", hash_json(p->on_disk.fingerprint));
	json_object_set_new(o, "on_disk_not_after", time_json(p->on_disk.not_after_at));
}

static json_t *listeners_json(const struct place *p)
{
	struct receipt_listener rows[MSG_LISTENERS_MAX];
	uint32_t                n = p->n_seen;
	json_t                 *list = json_array();
	if (p->probe != NULL)
		n = probe_listeners(p->probe, 1, rows);
	else if (n > 0)
		memcpy(rows, p->seen, n * sizeof(rows[0]));
	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_pack("{s:s, s:o}", "address", rows[i].address, "fingerprint", hash_json(rows[i].fingerprint)));
	return list;
}

static void put_served(json_t *o, const struct place *p)
{
	int64_t           since_at;
	enum served_state served = place_served(p, &since_at);
	json_object_set_new(o, "served", hash_json(served_of(p)));
	json_object_set_new(o, "served_state", json_string(served_state_name(served)));
	json_object_set_new(o, "served_since", time_json(since_at));
	json_object_set_new(o, "listeners", listeners_json(p));
}

static void put_trouble(json_t *o, const struct place *p)
{
	char        text[ERR_CODE_SIZE];
	const char *cause;
	const int   code = place_trouble(p, &cause);
	if (code == 0)
		return;
	json_object_set_new(o, "last_code", json_string(err_code(code, text)));
	json_object_set_new(o, "last_error", json_string(cause[0] != '\0' ? cause : err_what(code)));
}

static json_t *place_json(const struct place *p)
{
	int64_t     next_at;
	const char *wanted = p->retired ? "retired" : p->present ? "managed" : "unreadable";
	const char *next = place_next(p, &next_at);
	json_t     *o = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s, s:o, s:o, s:o}", "stem", p->stem, "cert_id", p->managed->cert_id, "wanted",
	                          wanted, "phase", deploy_phase_name(p->managed->deploy.phase), "ok",
	                          (int)place_ok(p, keeper_clock_judge(p->managed->keeper)), "next_step", next, "next", time_json(next_at),
	                          "draining", draining_json(p), "care", care_json(p));
	if (o == NULL)
		return NULL;
	put_issued(o, p->managed);
	put_on_disk(o, p);
	put_served(o, p);
	put_trouble(o, p);
	if (p->conf.window[0] != '\0')
		json_object_set_new(o, "window", json_string(p->conf.window));
	return o;
}

/* ---- the host -------------------------------------------------------------------------------------------------------- */

static bool is_unread(const struct keeper *k, const char *stem)
{
	for (size_t i = 0; i < k->n_unread; i++)
		if (text_equal(k->unread[i].stem, stem))
			return true;
	return false;
}

/* Target files that the keeper cannot read, and what the controller said of the others. `code` is absent for a remark. */
static json_t *problems_json(const struct keeper *k)
{
	char    code[ERR_CODE_SIZE];
	json_t *list = json_array();
	for (size_t i = 0; i < k->n_unread; i++) {
		const struct target_unread *u = &k->unread[i];
		char                        text[sizeof(u->why.object) + sizeof(u->why.cause) + 2];
		snprintf(text, sizeof(text), "%s: %s", u->why.object, u->why.cause);
		text_plain(text);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "file", u->stem, "from", "file", "code",
		                                      err_code(u->why.code, code), "text", text));
	}
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct managed *m = k->managed[i];
		for (size_t j = 0; j < m->n_places; j++) {
			const struct place *p = m->places[j];
			if (p->told_text[0] == '\0' || is_unread(k, p->stem)) /* said of what the file was before */
				continue;
			json_array_append_new(list, json_pack("{s:s, s:s, s:s*, s:s}", "file", p->stem, "from", "controller", "code",
			                                      p->told_code != 0 ? err_code(p->told_code, code) : NULL, "text", p->told_text));
		}
	}
	return list;
}

/* Revocation lists; NULL where no target wants any. */
static json_t *lists_json(const struct keeper *k)
{
	char        name[ERR_CODE_SIZE];
	const char *text;
	int         code = crl_fetch_trouble(k, &text);
	if (!crl_fetch_wanted(k))
		return NULL;
	return json_pack("{s:o, s:o, s:s*, s:s*, s:o}", "hash", hash_json(k->state.crl_hash), "ends", time_json(k->state.crl_ends_at), "code",
	                 code != 0 ? err_code(code, name) : NULL, "error", code != 0 ? text : NULL, "next", time_json(crl_fetch_next_at(k)));
}

/* Everything that says that this host is not green; empty = it is. */
static json_t *degraded_json(const struct keeper *k)
{
	struct msg_health h;
	json_t           *list = json_array();
	keeper_health(k, &h);
	for (unsigned bit = 0; bit < HEALTH_BITS; bit++)
		if ((h.degraded & 1u << bit) != 0)
			json_array_append_new(list, json_string(health_name(bit)));
	return list;
}

static json_t *targets_json(const struct keeper *k)
{
	json_t *targets = json_array();
	for (size_t i = 0; targets != NULL && i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			json_array_append_new(targets, place_json(k->managed[i]->places[j]));
	return targets;
}

static void put_code(json_t *o, const char *code_name, const char *text_name, int code, const char *text)
{
	char word[ERR_CODE_SIZE];
	if (code == 0)
		return;
	json_object_set_new(o, code_name, json_string(err_code(code, word)));
	json_object_set_new(o, text_name, json_string(text));
}

char *keeper_status(const struct keeper *k)
{
	const struct identity *id = &k->state.identity;
	json_t *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:s, s:s, s:o, s:I, s:i, s:o, s:o, s:o*}", "agent", id->agent, "service", id->service,
	                         "domain", id->domain, "patterns", id->patterns, "connected", (int)k->welcomed, "skew_ms",
	                         (json_int_t)keeper_clock_skew(k), "clock", clock_state_name(keeper_clock_state(k)), "watch", watch_state(k),
	                         "degraded", degraded_json(k), "bundle_epoch", (json_int_t)k->state.trust.epoch, "receipts_waiting",
	                         (int)k->receipts.n, "targets", targets_json(k), "problems", problems_json(k), "lists",
	                         lists_json(k));
	if (root == NULL)
		return NULL;
	json_object_set_new(root, "watch_overflows", json_integer((json_int_t)watch_overflows(k)));
	put_code(root, "link_code", "link_error", k->welcomed ? 0 : k->link_code, k->link_text);
	put_code(root, "journal_code", "journal_error", k->journal_code, err_what(k->journal_code));
	char *text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}
