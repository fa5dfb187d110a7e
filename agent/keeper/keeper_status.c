/* keeper_status.c - room agent/keeper: the state of this host for people, as one JSON document.
 * Never: secrets. */
#include "agent/keeper/keeper_status.h"

#include <jansson.h>
#include <stdio.h>

#include "agent/keeper/care.h"
#include "agent/keeper/crl_fetch.h"
#include "agent/keeper/keeper_clock.h"
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

/* What is the matter with the place, worst first; 0 = nothing. */
static int trouble_of(const struct place *p, const char **ret_text)
{
	const struct deploy *d = &p->managed->deploy;
	if (p->look_code != 0) {
		*ret_text = err_what(p->look_code);
		return p->look_code;
	}
	*ret_text = p->care.code != 0 ? p->care.cause : d->cause;
	return p->care.code != 0 ? p->care.code : d->code;
}

static json_t *care_json(const struct place *p)
{
	char text[CAUSE_SIZE];
	return json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:b, s:s*, s:s, s:o}", "phase", refresh_phase_name(p->care.phase), "reason",
	                 refresh_reason_name(p->care.reason), "drifts", (json_int_t)p->drifts, "drifted_at", time_json(p->drifted_at),
	                 "rehearsed_at", time_json(p->rehearsed_at), "next_rehearsal", time_json(p->rehearse_due), "second_writer",
	                 (int)p->rival.alarm, "drift", p->drift.kind != DRIFT_NONE ? drift_words(&p->drift, text) : NULL, "trust",
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

static json_t *place_json(const struct place *p)
{
	const struct deploy *d = &p->managed->deploy;
	char                 text[ERR_CODE_SIZE];
	char                 generation[24] = "";
	const char          *cause;
	const int            code = trouble_of(p, &cause);
	const bool           idle = d->phase == DEPLOY_NONE || d->phase == DEPLOY_DONE;
	const char          *wanted = p->retired ? "retired" : p->present ? "managed" : "unreadable";
	if (p->on_disk.generation != 0)
		snprintf(generation, sizeof(generation), "g%06llu", (unsigned long long)p->on_disk.generation);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s*, s:s*, s:o}", "stem", p->stem, "cert_id",
	                 p->managed->cert_id, "wanted", wanted, "phase", deploy_phase_name(d->phase), "issued",
	                 serial_json(p->on_disk.serial), "on_disk", generation, "fingerprint", hash_json(p->managed->live.fingerprint), "served",
	                 hash_json(served_of(p)), "not_after", time_json(p->on_disk.not_after_at), "next",
	                 idle ? json_null() : time_json(clock_of_steady(d->next_at)), "draining", draining_json(p), "last_code",
	                 code != 0 ? err_code(code, text) : NULL, "last_error", code != 0 ? cause : NULL, "care", care_json(p));
}

static bool is_unread(const struct keeper *k, const char *stem)
{
	for (size_t i = 0; i < k->n_unread; i++)
		if (text_equal(k->unread[i].stem, stem))
			return true;
	return false;
}

/* Target files that the keeper cannot read, and what the controller said against the others. `code` is absent for a remark. */
static json_t *problems_json(const struct keeper *k)
{
	char    code[ERR_CODE_SIZE];
	json_t *list = json_array();
	for (size_t i = 0; i < k->n_unread; i++) {
		const struct target_unread *u = &k->unread[i];
		char                        text[sizeof(u->why.object) + sizeof(u->why.cause) + 2];
		snprintf(text, sizeof(text), "%s: %s", u->why.object, u->why.cause);
		keeper_words(text);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "file", u->stem, "code", err_code(u->why.code, code), "text", text));
	}
	for (size_t i = 0; i < k->n_managed; i++) {
		const struct managed *m = k->managed[i];
		for (size_t j = 0; j < m->n_places; j++) {
			const struct place *p = m->places[j];
			if (p->told_text[0] == '\0' || is_unread(k, p->stem)) /* said of what the file was before */
				continue;
			json_array_append_new(list, json_pack("{s:s, s:s*, s:s}", "file", p->stem, "code",
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
	return json_pack("{s:o, s:o, s:s*, s:s*, s:o}", "hash", hash_json(k->state.crl_hash), "ends", time_json(k->state.crl_ends_at), "code", code != 0 ? err_code(code, name) : NULL, "error",
	                 code != 0 ? text : NULL, "next", time_json(crl_fetch_next_at(k)));
}

/* All that `vccctl audit verify --head` needs. */
static json_t *heads_json(const struct keeper *k)
{
	char    certificate[KEPT_CERTIFICATE_MAX * 4 / 3 + 4], signature[MSG_SIGNATURE_MAX * 4 / 3 + 4];
	json_t *list = json_array();
	for (uint32_t i = 0; i < k->state.heads.n; i++) {
		const struct kept_head *h = &k->state.heads.row[i];
		if (b64url_text(h->certificate, h->certificate_len, certificate, sizeof(certificate)) == 0 &&
		    b64url_text(h->signature, h->signature_len, signature, sizeof(signature)) == 0)
			json_array_append_new(list, json_pack("{s:I, s:o, s:o, s:I, s:s, s:s}", "size", (json_int_t)h->size, "root", hash_json(h->root),
			                                      "at", time_json(h->at), "at_ms", (json_int_t)h->at, "certificate", certificate,
			                                      "signature", signature));
	}
	return list;
}

char *keeper_status(const struct keeper *k)
{
	json_t *targets = json_array();
	for (size_t i = 0; targets != NULL && i < k->n_managed; i++)
		for (size_t j = 0; j < k->managed[i]->n_places; j++)
			json_array_append_new(targets, place_json(k->managed[i]->places[j]));
	const bool why = !k->welcomed && k->link_code != 0;
	char       code[ERR_CODE_SIZE];
	char       full[ERR_CODE_SIZE];
	json_t    *root = json_pack("{s:s, s:s, s:s, s:s, s:b, s:s*, s:s*, s:s*, s:s*, s:I, s:s, s:I, s:i, s:o, s:o, s:o*}", "agent",
	                         k->state.identity.agent, "service", k->state.identity.service, "domain", k->state.identity.domain,
	                         "patterns", k->state.identity.patterns, "connected", (int)k->welcomed,
	                         "link_code", why ? err_code(k->link_code, code) : NULL, "link_error", why ? k->link_text : NULL,
	                         "journal_code", k->journal_code != 0 ? err_code(k->journal_code, full) : NULL, "journal_error",
	                         k->journal_code != 0 ? err_what(k->journal_code) : NULL,
	                         "skew_ms", (json_int_t)keeper_clock_skew(k), "clock", clock_state_name(keeper_clock_state(k)),
	                         "bundle_epoch", (json_int_t)k->state.trust.epoch,
	                         "receipts_waiting", (int)k->receipts.n, "targets", targets, "problems", problems_json(k), "lists", lists_json(k));
	if (root != NULL)
		json_object_set_new(root, "audit_heads", heads_json(k));
	if (root != NULL && k->head_refused.code != 0)
		json_object_set_new(root, "audit_alarm",
		                    json_pack("{s:s, s:s}", "code", err_code(k->head_refused.code, code), "text", k->head_refused.cause));
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}
