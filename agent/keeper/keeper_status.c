/* keeper_status.c - room agent/keeper: the state of this host for people, as one JSON document.
 * Never: secrets. */
#include "agent/keeper/keeper_status.h"

#include <jansson.h>
#include <stdio.h>

#include "agent/keeper/keeper_clock.h"
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

static json_t *target_json(const struct managed *m)
{
	char        code[ERR_CODE_SIZE];
	char        generation[24] = "";
	const bool  idle = m->deploy.phase == DEPLOY_NONE || m->deploy.phase == DEPLOY_DONE;
	const char *wanted = m->retired ? "retired" : m->present ? "managed" : "unreadable";
	if (m->on_disk.generation != 0)
		snprintf(generation, sizeof(generation), "g%06llu", (unsigned long long)m->on_disk.generation);
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:s*, s:s*}", "stem", m->stem, "cert_id", m->cert_id, "wanted",
	                 wanted, "phase", deploy_phase_name(m->deploy.phase), "issued", serial_json(m->on_disk.serial), "on_disk",
	                 generation, "fingerprint", hash_json(m->on_disk.fingerprint), "served", hash_json(served_of(m)), "not_after",
	                 time_json(m->on_disk.not_after_at), "next", idle ? json_null() : time_json(clock_of_steady(m->deploy.next_at)), "last_code",
	                 m->deploy.code != 0 ? err_code(m->deploy.code, code) : NULL, "last_error",
	                 m->deploy.code != 0 ? m->deploy.cause : NULL);
}

char *keeper_status(const struct keeper *k)
{
	json_t *targets = json_array();
	for (size_t i = 0; targets != NULL && i < k->n_managed; i++)
		json_array_append_new(targets, target_json(k->managed[i]));
	const bool why = !k->welcomed && k->link_code != 0;
	char       code[ERR_CODE_SIZE];
	json_t    *root = json_pack("{s:s, s:s, s:s, s:b, s:s*, s:s*, s:I, s:s, s:I, s:i, s:o}", "agent", k->state.identity.agent, "service",
	                         k->state.identity.service, "domain", k->state.identity.domain, "connected", (int)k->welcomed,
	                         "link_code", why ? err_code(k->link_code, code) : NULL, "link_error", why ? k->link_text : NULL,
	                         "skew_ms", (json_int_t)keeper_clock_skew(k), "clock", clock_state_name(keeper_clock_state(k)), "bundle_epoch", (json_int_t)k->state.trust.epoch,
	                         "receipts_waiting", (int)k->receipts.n, "targets", targets);
	char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	return text;
}
