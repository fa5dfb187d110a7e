/* store_noun.c - room controller/store: the nouns as tables of columns; read this beside schema/001_initial.sql.
 * Never: SQL, storage. */
#include "controller/store/store_noun.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/times.h"

#define FIELD(s, f)     .name = #f, .at = offsetof(struct s, f), .size = sizeof(((struct s *)NULL)->f)
#define TEXT(s, f)      {FIELD(s, f), .kind = COLUMN_TEXT}
#define BOOL(s, f)      {FIELD(s, f), .kind = COLUMN_BOOL}
#define UINT(s, f)      {FIELD(s, f), .kind = COLUMN_UINT}
#define INT(s, f)       {FIELD(s, f), .kind = COLUMN_INT}
#define WHEN(s, f)      {FIELD(s, f), .kind = COLUMN_WHEN}
#define DUE(s, f)       {FIELD(s, f), .kind = COLUMN_DUE}
#define FIXED(s, f)     {FIELD(s, f), .kind = COLUMN_FIXED}
#define NAME(s, f, e)   {FIELD(s, f), .kind = COLUMN_NAME, .value_name = e##_text, .n_values = e##_n}
#define BYTES(s, f, l)  {FIELD(s, f), .kind = COLUMN_BYTES, .length_at = offsetof(struct s, l)}
/* A member of an embedded struct under a name of its own. */
#define INNER(s, f, n, k) {.name = (n), .at = offsetof(struct s, f), .size = sizeof(((struct s *)NULL)->f), .kind = (k)}
#define SPAN(s, f, m)   {FIELD(s, f), .kind = COLUMN_SPAN, .max = (m)}

/* An enum's names as a function of its number. */
#define NAMES_OF(e, function, count)                                                                                           \
	enum { e##_n = (count) };                                                                                              \
	static const char *e##_text(unsigned v)                                                                                \
	{                                                                                                                      \
		return function((enum e)v);                                                                                    \
	}

NAMES_OF(trigger, trigger_name, TRIGGER_COUNT)
NAMES_OF(order_phase, order_phase_name, ORDER_PHASE_COUNT)
NAMES_OF(workflow_step, workflow_step_name, STEP_COUNT)
NAMES_OF(issuance_state, issuance_state_name, ISSUANCE_STATE_COUNT)
NAMES_OF(agent_state, agent_state_name, AGENT_STATE_COUNT)
NAMES_OF(key_type, key_type_name, KEY_TYPE_COUNT)
NAMES_OF(hash_alg, hash_alg_name, HASH_ALG_COUNT)
NAMES_OF(cert_purpose, cert_purpose_name, PURPOSE_COUNT)
NAMES_OF(audit_level, audit_level_name, AUDIT_LEVEL_COUNT)
NAMES_OF(issuer_role, issuer_role_name, ISSUER_ROLE_COUNT)
NAMES_OF(audit_event, audit_event_name, AUDIT_EVENT_COUNT)
NAMES_OF(agent_copy, agent_copy_name, COPY_COUNT)

enum { issuance_owner_n = OWNER_CONTROLLER + 1 };
static const char *issuance_owner_text(unsigned v)
{
	static const char *const names[] = {
		[OWNER_CERTIFICATE] = "certificate",
		[OWNER_AGENT] = "agent",
		[OWNER_GATEWAY] = "gateway",
		[OWNER_CONTROLLER] = "controller",
	};
	return v < N_ELEMENTS(names) ? names[v] : "unknown";
}

static const struct column order_columns[] = {
	FIXED(order, renewal_id),
	TEXT(order, cert_id),
	TEXT(order, agent),
	TEXT(order, service),
	NAME(order, trigger, trigger),
	NAME(order, phase, order_phase),
	UINT(order, attempt),
	UINT(order, failures),
	UINT(order, flags),
	FIXED(order, old_serial),
	FIXED(order, serial),
	FIXED(order, tbs_hash),
	FIXED(order, fingerprint),
	FIXED(order, spki_hash),
	UINT(order, template_version),
	INT(order, code),
	TEXT(order, cause),
	TEXT(order, actor),
	FIXED(order, campaign_id),
	INT(order, created_at),
	INT(order, deadline_at),
	DUE(order, next_at),
	WHEN(order, verified_at),
	WHEN(order, completed_at),
};

/* history_row: the step lies inside the row */
#define STEP_FIELD(f) .name = #f, .at = offsetof(struct history_row, step.f), .size = sizeof(((struct order_step_row *)NULL)->f)
static const struct column step_columns[] = {
	{FIELD(history_row, seq), .kind = COLUMN_AUTO},
	{STEP_FIELD(renewal_id), .kind = COLUMN_FIXED},
	{STEP_FIELD(attempt), .kind = COLUMN_UINT},
	{STEP_FIELD(step), .kind = COLUMN_NAME, .value_name = workflow_step_text, .n_values = workflow_step_n},
	{STEP_FIELD(code), .kind = COLUMN_INT},
	{STEP_FIELD(at), .kind = COLUMN_INT},
	{STEP_FIELD(took_ms), .kind = COLUMN_INT},
	{STEP_FIELD(detail), .kind = COLUMN_TEXT},
};

static const struct column certificate_columns[] = {
	TEXT(certificate, cert_id),
	TEXT(certificate, template_id),
	UINT(certificate, template_version),
	TEXT(certificate, service),
	TEXT(certificate, agent),
	TEXT(certificate, names),
	BOOL(certificate, approved),
	FIXED(certificate, serial),
	FIXED(certificate, fingerprint),
	INT(certificate, not_before_at),
	INT(certificate, not_after_at),
	BOOL(certificate, proved),
	DUE(certificate, renew_at),
	FIXED(certificate, open_order),
	UINT(certificate, unattended),
	WHEN(certificate, suspended_at),
	WHEN(certificate, revoked_at),
	WHEN(certificate, retired_at),
	INT(certificate, created_at),
	UINT(certificate, version),
};

static const struct column issuance_columns[] = {
	FIXED(issuance, serial),
	TEXT(issuance, issuer_id),
	NAME(issuance, owner, issuance_owner),
	TEXT(issuance, owner_id),
	FIXED(issuance, renewal_id),
	NAME(issuance, state, issuance_state),
	FIXED(issuance, tbs_hash),
	FIXED(issuance, fingerprint),
	FIXED(issuance, spki_hash),
	INT(issuance, not_before_at),
	INT(issuance, not_after_at),
	UINT(issuance, crl_shard),
	INT(issuance, created_at),
	WHEN(issuance, proved_at),
	DUE(issuance, supersede_at),
	WHEN(issuance, revoked_at),
	INT(issuance, revoke_reason),
	TEXT(issuance, subject),
	BYTES(issuance, der, der_len),
};

static const struct column target_columns[] = {
	TEXT(target, target_id),
	TEXT(target, cert_id),
	TEXT(target, agent),
	TEXT(target, stem),
	TEXT(target, reload_kind),
	TEXT(target, verify_kind),
	TEXT(target, listeners),
	FIXED(target, digest),
	FIXED(target, served),
	WHEN(target, proved_at),
	INT(target, reported_at),
	INT(target, last_code),
	INT(target, state_code),
	WHEN(target, stale_since_at),
	WHEN(target, rehearsed_at),
	WHEN(target, drifted_at),
	UINT(target, drifts),
	UINT(target, trust_epoch),
	UINT(target, trust_proof),
	FIXED(target, crl_hash),
	WHEN(target, cared_at),
};

static const struct column agent_columns[] = {
	TEXT(agent, name),
	TEXT(agent, service),
	TEXT(agent, patterns),
	NAME(agent, state, agent_state),
	FIXED(agent, host_hash),
	BYTES(agent, host_spki, host_spki_len),
	FIXED(agent, identity),
	INT(agent, identity_not_after_at),
	UINT(agent, receipt_seq),
	TEXT(agent, version),
	TEXT(agent, address),
	INT(agent, joined_at),
	INT(agent, seen_at),
	INT(agent, skew_ms),
	INNER(agent, run.run_id, "run_id", COLUMN_FIXED),
	INNER(agent, run.generation, "run_generation", COLUMN_UINT),
	INNER(agent, run.before_id, "run_before_id", COLUMN_FIXED),
	{.name = "copy", .at = offsetof(struct agent, run.copy), .size = sizeof(((struct agent *)NULL)->run.copy),
         .kind = COLUMN_NAME, .value_name = agent_copy_text, .n_values = agent_copy_n},
	WHEN(agent, copy_at),
	TEXT(agent, copy_address),
};

static const struct column invite_columns[] = {
	FIXED(invite, invite_id),
	FIXED(invite, token_key),
	TEXT(invite, name),
	TEXT(invite, service),
	TEXT(invite, patterns),
	INT(invite, created_at),
	INT(invite, expires_at),
	WHEN(invite, used_at),
	FIXED(invite, used_by),
	TEXT(invite, actor),
};

static const struct column template_columns[] = {
	TEXT(template, template_id),
	UINT(template, version),
	TEXT(template, name),
	TEXT(template, description),
	INT(template, validity_ms),
	NAME(template, key_type, key_type),
	NAME(template, hash_alg, hash_alg),
	UINT(template, key_usage),
	UINT(template, ext_key_usage),
	TEXT(template, patterns),
	TEXT(template, service),
	NAME(template, purpose, cert_purpose),
	BOOL(template, auto_renewal),
	INT(template, renewal_threshold_ms),
	INT(template, emergency_threshold_ms),
	UINT(template, max_renewals),
	UINT(template, max_attempts),
	INT(template, retry_ms),
	BOOL(template, pre_validation),
	BOOL(template, post_validation),
	UINT(template, profiles),
	NAME(template, audit_level, audit_level),
	TEXT(template, notify),
	TEXT(template, escalation),
	TEXT(template, issuer),
	INT(template, created_at),
};

static const struct column issuer_columns[] = {
	TEXT(issuer, issuer_id),
	TEXT(issuer, parent_id),
	NAME(issuer, role, issuer_role),
	NAME(issuer, key_type, key_type),
	INT(issuer, not_before_at),
	INT(issuer, not_after_at),
	BYTES(issuer, der, der_len),
	UINT(issuer, crl_number),
	BOOL(issuer, retired),
};

static const struct column principal_columns[] = {
	TEXT(principal, name),
	UINT(principal, roles),
	TEXT(principal, services),
	BOOL(principal, person),
	BOOL(principal, disabled),
	INT(principal, created_at),
};

static const struct column token_columns[] = {
	FIXED(token, token_id),
	FIXED(token, hash),
	TEXT(token, principal),
	TEXT(token, label),
	INT(token, created_at),
	DUE(token, expires_at),
	WHEN(token, used_at),
	WHEN(token, revoked_at),
};

static const struct column service_columns[] = {
	TEXT(service, name),
	TEXT(service, depends_on),
	INT(service, created_at),
};

static const struct column message_columns[] = {
	TEXT(message_row, agent),
	FIXED(message_row, renewal_id),
	UINT(message_row, message_id),
	UINT(message_row, type),
	SPAN(message_row, frame, OUTBOX_FRAME_MAX),
};

static const struct column audit_columns[] = {
	UINT(audit, seq),
	INT(audit, at),
	NAME(audit, event, audit_event),
	TEXT(audit, actor),
	TEXT(audit, object),
	FIXED(audit, renewal_id),
	FIXED(audit, request_id),
	TEXT(audit, detail),
};

static const struct column node_columns[] = {
	UINT(node_row, position),
	FIXED(node_row, hash),
};

static const struct column crl_columns[] = {
	TEXT(crl_row, issuer_id),
	UINT(crl_row, shard),
	UINT(crl_row, number),
	INT(crl_row, this_update_at),
	INT(crl_row, next_update_at),
	SPAN(crl_row, der, CRL_DER_MAX),
};

static const struct column receipt_columns[] = {
	FIXED(receipt_row, host_hash),
	UINT(receipt_row, seq),
	TEXT(receipt_row, agent),
	FIXED(receipt_row, renewal_id),
	UINT(receipt_row, attempt),
	TEXT(receipt_row, cert_id),
	INT(receipt_row, outcome),
	INT(receipt_row, code),
	FIXED(receipt_row, fingerprint),
	UINT(receipt_row, probes),
	UINT(receipt_row, probes_failed),
	UINT(receipt_row, listeners),
	WHEN(receipt_row, flipped_at),
	WHEN(receipt_row, first_new_at),
	WHEN(receipt_row, last_old_at),
	INT(receipt_row, made_at),
	INT(receipt_row, stored_at),
	BYTES(receipt_row, signature, signature_len),
	SPAN(receipt_row, body, RECEIPT_BODY_MAX),
};

static const struct column inventory_columns[] = {
	TEXT(inventory, agent),
	FIXED(inventory, host_hash),
	FIXED(inventory, digest),
	INT(inventory, observed_at),
	INT(inventory, reported_at),
	UINT(inventory, found),
};

static const struct column listener_columns[] = {
	TEXT(inventory_listener, agent),
	TEXT(inventory_listener, address),
	TEXT(inventory_listener, program),
	TEXT(inventory_listener, user),
	TEXT(inventory_listener, unit),
	BOOL(inventory_listener, starttls),
	FIXED(inventory_listener, fingerprint),
	TEXT(inventory_listener, subject),
	TEXT(inventory_listener, issuer),
	TEXT(inventory_listener, names),
	UINT(inventory_listener, n_names),
	INT(inventory_listener, not_before_at),
	INT(inventory_listener, not_after_at),
	BOOL(inventory_listener, self_signed),
	UINT(inventory_listener, chain),
};

static const struct column setting_columns[] = {
	TEXT(setting_row, name),
	SPAN(setting_row, value, SETTING_MAX),
};

static const struct column counter_columns[] = {
	TEXT(counter_row, name),
	UINT(counter_row, value),
};

#define NOUN(symbol, t, s, keys, ...)                                                                                          \
	const struct noun noun_##symbol = {.table = (t),                                                                       \
	                                   .size = sizeof(struct s),                                                           \
	                                   .column = symbol##_columns,                                                         \
	                                   .n_columns = N_ELEMENTS(symbol##_columns),                                          \
	                                   .n_keys = (keys),                                                                   \
	                                   __VA_ARGS__};                                                                       \
	_Static_assert(N_ELEMENTS(symbol##_columns) <= NOUN_COLUMNS_MAX, "too many columns")

NOUN(order, "orders", order, 1, .unique = NULL);
NOUN(step, "order_steps", history_row, 1, .unique = NULL);
NOUN(certificate, "certificates", certificate, 1, .unique = NULL);
NOUN(issuance, "issuances", issuance, 1, .unique = NULL);
NOUN(target, "targets", target, 1, .unique = NULL);
NOUN(agent, "agents", agent, 1, .unique = NULL);
NOUN(invite, "invites", invite, 1, .unique = "token_key");
NOUN(template, "templates", template, 2, .unique = NULL);
NOUN(issuer, "issuers", issuer, 1, .unique = NULL);
NOUN(principal, "principals", principal, 1, .unique = NULL);
NOUN(token, "tokens", token, 1, .unique = "hash");
NOUN(service, "services", service, 1, .unique = NULL);
NOUN(message, "outbox", message_row, 2, .unique = NULL);
NOUN(audit, "audit", audit, 1, .unique = NULL);
NOUN(node, "audit_nodes", node_row, 1, .unique = NULL);
NOUN(crl, "crls", crl_row, 2, .unique = NULL);
NOUN(receipt, "receipts", receipt_row, 2, .unique = NULL);
NOUN(inventory, "inventories", inventory, 1, .unique = NULL);
NOUN(listener, "listeners", inventory_listener, 2, .unique = NULL);
NOUN(setting, "settings", setting_row, 1, .unique = NULL);
NOUN(counter, "counters", counter_row, 1, .unique = NULL);

const struct noun *const nouns[NOUN_COUNT] = {
	&noun_order,  &noun_step,      &noun_certificate, &noun_issuance, &noun_target,  &noun_agent,
	&noun_invite, &noun_template,  &noun_issuer,      &noun_principal, &noun_token,  &noun_service,
	&noun_message, &noun_audit,    &noun_node,        &noun_crl,      &noun_setting, &noun_counter,
	&noun_receipt, &noun_inventory, &noun_listener,
};

union any_row {
	struct issuance    issuance;
	struct certificate certificate;
	struct template    template;
	struct agent       agent;
	struct invite      invite;
	struct issuer      issuer;
	struct order       order;
	struct target      target;
	struct audit       audit;
	struct history_row step;
	struct principal   principal;
	struct token       token;
	struct service     service;
	struct crl_row     crl;
	struct message_row message;
	struct inventory   inventory;
	struct inventory_listener listener;
};
const size_t noun_row_max = sizeof(union any_row);

const struct column *noun_column(const struct noun *noun, size_t at)
{
	for (size_t i = 0; i < noun->n_columns; i++)
		if (noun->column[i].at == at)
			return &noun->column[i];
	abort();
}

int64_t column_number(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint64_t       u64;
	uint32_t       u32;
	uint16_t       u16;
	int            i;
	bool           b;
	if (c->kind == COLUMN_BOOL) {
		memcpy(&b, p, sizeof(b));
		return b;
	}
	if (c->kind == COLUMN_INT && c->size == sizeof(i)) {
		memcpy(&i, p, sizeof(i));
		return i;
	}
	switch (c->size) {
	case sizeof(u64):
		memcpy(&u64, p, sizeof(u64));
		return (int64_t)u64;
	case sizeof(u32):
		memcpy(&u32, p, sizeof(u32));
		return u32;
	case sizeof(u16):
		memcpy(&u16, p, sizeof(u16));
		return u16;
	default:
		abort();
	}
}

int column_set_number(const struct column *c, void *row, int64_t value)
{
	uint8_t *p = (uint8_t *)row + c->at;
	if (c->kind == COLUMN_BOOL) {
		bool b = value != 0;
		memcpy(p, &b, sizeof(b));
		return value == 0 || value == 1 ? 0 : E_STORE_DAMAGED;
	}
	if (c->kind == COLUMN_INT && c->size == sizeof(int)) {
		int i = (int)value;
		memcpy(p, &i, sizeof(i));
		return i == value ? 0 : E_STORE_DAMAGED;
	}
	bool     is_signed = c->kind == COLUMN_INT || c->kind == COLUMN_WHEN || c->kind == COLUMN_DUE;
	uint64_t u64 = (uint64_t)value;
	uint32_t u32 = (uint32_t)u64;
	uint16_t u16 = (uint16_t)u64;
	if (!is_signed && value < 0)
		return E_STORE_DAMAGED;
	switch (c->size) {
	case sizeof(u64):
		memcpy(p, &u64, sizeof(u64));
		return 0;
	case sizeof(u32):
		memcpy(p, &u32, sizeof(u32));
		return u32 == u64 ? 0 : E_STORE_DAMAGED;
	case sizeof(u16):
		memcpy(p, &u16, sizeof(u16));
		return u16 == u64 ? 0 : E_STORE_DAMAGED;
	default:
		abort();
	}
}

int column_set_name(const struct column *c, void *row, const char *text, size_t n)
{
	for (unsigned v = 0; v < c->n_values; v++) {
		const char *name = c->value_name(v);
		if (strlen(name) == n && memcmp(name, text, n) == 0)
			return column_set_number(c, row, v);
	}
	return E_STORE_DAMAGED;
}

struct span column_bytes(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint16_t       n;
	struct span    span;
	switch (c->kind) {
	case COLUMN_TEXT:
		return (struct span){p, strnlen((const char *)p, c->size - 1)};
	case COLUMN_FIXED:
		return (struct span){p, c->size};
	case COLUMN_NAME:
		return span_text(c->value_name((unsigned)column_number(c, row)));
	case COLUMN_BYTES:
		memcpy(&n, (const uint8_t *)row + c->length_at, sizeof(n));
		return (struct span){p, n <= c->size ? n : c->size};
	case COLUMN_SPAN:
		memcpy(&span, p, sizeof(span));
		return span;
	default:
		abort();
	}
}

bool column_is_none(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	switch (c->kind) {
	case COLUMN_WHEN:
		return column_number(c, row) == 0;
	case COLUMN_DUE:
		return column_number(c, row) == TIME_NEVER;
	case COLUMN_FIXED:
		for (size_t i = 0; i < c->size; i++)
			if (p[i] != 0)
				return false;
		return true;
	default:
		return false;
	}
}

static bool column_ok(const struct column *c, const void *row)
{
	const uint8_t *p = (const uint8_t *)row + c->at;
	uint16_t       n;
	switch (c->kind) {
	case COLUMN_TEXT:
		return memchr(p, '\0', c->size) != NULL;
	case COLUMN_NAME:
		return (uint64_t)column_number(c, row) < c->n_values;
	case COLUMN_UINT:
		return column_number(c, row) >= 0;
	case COLUMN_BYTES:
		memcpy(&n, (const uint8_t *)row + c->length_at, sizeof(n));
		return n <= c->size;
	case COLUMN_SPAN:
		return column_bytes(c, row).n <= c->max;
	default:
		return true;
	}
}

bool noun_row_ok(const struct noun *noun, const void *row)
{
	for (size_t i = 0; i < noun->n_columns; i++)
		if (!column_ok(&noun->column[i], row))
			return false;
	return true;
}
