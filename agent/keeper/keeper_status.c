/* keeper_status.c - room agent/keeper: the state of this host for people, as one JSON document.
 * Never: secrets. */
#include "agent/keeper/keeper_status.h"

#include <jansson.h>
#include <stdio.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

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

/* What the listeners served last: one fingerprint when all agree. */
static struct hash served_of(const struct managed *m)
{
	struct receipt_listener rows[MSG_LISTENERS_MAX];
	uint32_t n = m->swap.probe != NULL ? probe_listeners(m->swap.probe, 1, rows) : m->swap.n_listeners;
	const struct receipt_listener *l = m->swap.probe != NULL ? rows : m->swap.listeners;
	for (uint32_t i = 1; i < n; i++)
		if (!hash_equal(l[i].fingerprint, l[0].fingerprint))
			return (struct hash){{0}};
	return n > 0 ? l[0].fingerprint : (struct hash){{0}};
}

static json_t *draining_json(const struct managed *m)
{
	uint32_t old_workers;
	int64_t  oldest_ms;
	if (!drain_now(m, &old_workers, &oldest_ms))
		return json_null();
	return json_pack("{s:i, s:I}", "old_workers", (int)old_workers, "oldest_ms", (json_int_t)oldest_ms);
}

static json_t *target_json(const struct managed *m)
{
	char        code[ERR_CODE_SIZE];
	char        generation[24] = "";
	const bool  idle = m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE;
	const char *wanted = m->retired ? "retired" : m->present ? "managed" : "unreadable";
	if (m->on_disk.generation != 0)
		snprintf(generation, sizeof(generation), "g%06llu", (unsigned long long)m->on_disk.generation);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:s*, s:s*}", "stem", m->stem, "cert_id", m->cert_id, "wanted",
	                 wanted, "phase", deploy_phase_name(m->deploy.phase), "issued", serial_json(m->on_disk.serial), "on_disk",
	                 generation, "fingerprint", hash_json(m->on_disk.fingerprint), "served", hash_json(served_of(m)), "not_after",
	                 time_json(m->on_disk.not_after_at), "next", idle ? json_null() : time_json(m->deploy.next_at), "draining", draining_json(m), "last_code",
	                 m->deploy.code != 0 ? err_code(m->deploy.code, code) : NULL, "last_error",
	                 m->deploy.code != 0 ? m->deploy.cause : NULL);
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
		if (m->told_text[0] == '\0' || is_unread(k, m->stem)) /* said of what the file was before */
			continue;
		json_array_append_new(list, json_pack("{s:s, s:s*, s:s}", "file", m->stem, "code",
		                                      m->told_code != 0 ? err_code(m->told_code, code) : NULL, "text", m->told_text));
	}
	return list;
}

char *keeper_status(const struct keeper *k)
{
	json_t *targets = json_array();
	for (size_t i = 0; targets != NULL && i < k->n_managed; i++)
		json_array_append_new(targets, target_json(k->managed[i]));
	const bool why = !k->welcomed && k->link_code != 0;
	char       code[ERR_CODE_SIZE];
	char       full[ERR_CODE_SIZE];
	json_t    *root = json_pack("{s:s, s:s, s:s, s:b, s:s*, s:s*, s:s*, s:s*, s:I, s:I, s:i, s:o, s:o}", "agent", k->state.identity.agent, "service",
	                         k->state.identity.service, "domain", k->state.identity.domain, "connected", (int)k->welcomed,
	                         "link_code", why ? err_code(k->link_code, code) : NULL, "link_error", why ? k->link_text : NULL,
	                         "journal_code", k->journal_code != 0 ? err_code(k->journal_code, full) : NULL, "journal_error",
	                         k->journal_code != 0 ? err_what(k->journal_code) : NULL,
	                         "skew_ms", (json_int_t)k->skew_ms, "bundle_epoch", (json_int_t)k->state.trust.epoch,
	                         "receipts_waiting", (int)k->receipts.n, "targets", targets, "problems", problems_json(k));
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}
