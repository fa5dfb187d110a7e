/* people_json.c - room controller/daemon: principals, tokens and approvals as JSON, and back.
 * Never: rights. */
#include "controller/daemon/people_json.h"

#include <string.h>

#include "controller/daemon/api_json.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/channel_conf.h"

#define TOKEN_LIFE_MS     (90 * MS_DAY)
#define TOKEN_LIFE_MAX_MS (366 * MS_DAY)

/* ---- writing ---- */

static json_t *roles_json(uint32_t roles)
{
	json_t *list = json_array();
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		if ((roles & 1U << r) != 0)
			json_array_append_new(list, json_string(role_name((enum role)r)));
	return list;
}

/* No limit is null: an empty list would read as "none". */
static json_t *services_json(const char *services)
{
	return services[0] != '\0' ? json_comma_list(services) : json_null();
}

static json_t *text_or_null(const char *text)
{
	return text[0] != '\0' ? json_string(text) : json_null();
}

json_t *json_principal(const struct principal *p)
{
	json_t *o = json_object();
	json_object_set_new(o, "name", json_string(p->name));
	json_object_set_new(o, "person", text_or_null(p->person));
	json_object_set_new(o, "roles", roles_json(p->roles));
	json_object_set_new(o, "services", services_json(p->services));
	json_object_set_new(o, "mail", text_or_null(p->mail));
	json_object_set_new(o, "disabled", json_boolean(p->disabled));
	json_object_set_new(o, "created_at", json_time(p->created_at));
	json_object_set_new(o, "changed_by", json_string(p->maker));
	return o;
}

json_t *json_token(const struct token *t)
{
	json_t *o = json_object();
	json_object_set_new(o, "token_id", json_id(t->token_id));
	json_object_set_new(o, "principal", json_string(t->principal));
	json_object_set_new(o, "label", json_string(t->label));
	json_object_set_new(o, "roles", t->roles != 0 ? roles_json(t->roles) : json_null());
	json_object_set_new(o, "services", services_json(t->services));
	json_object_set_new(o, "created_at", json_time(t->created_at));
	json_object_set_new(o, "expires_at", json_time(t->expires_at));
	json_object_set_new(o, "used_at", json_time(t->used_at));
	json_object_set_new(o, "revoked_at", json_time(t->revoked_at));
	json_object_set_new(o, "made_by", json_string(t->maker));
	return o;
}

json_t *json_approval(const struct approval *a)
{
	json_t *o = json_object();
	json_t *what = json_loads(a->what, JSON_REJECT_DUPLICATES, NULL);
	json_object_set_new(o, "approval_id", json_id(a->approval_id));
	json_object_set_new(o, "kind", json_string(approval_kind_name(a->kind)));
	json_object_set_new(o, "object", json_string(a->object));
	json_object_set_new(o, "service", text_or_null(a->service));
	json_object_set_new(o, "what", what != NULL ? what : json_null());
	json_object_set_new(o, "hash", json_hash(a->hash));
	json_object_set_new(o, "requester", json_string(a->requester));
	json_object_set_new(o, "person", text_or_null(a->person));
	json_object_set_new(o, "status", json_string(approval_state_name(a->state)));
	json_object_set_new(o, "created_at", json_time(a->created_at));
	json_object_set_new(o, "expires_at", json_time(a->expires_at));
	json_object_set_new(o, "decided_at", json_time(a->decided_at));
	json_object_set_new(o, "decider", text_or_null(a->decider));
	json_object_set_new(o, "comment", json_string(a->comment));
	return o;
}

/* ---- reading ---- */

static int roles_read(const json_t *list, uint32_t *ret, struct refusal *why)
{
	uint32_t  roles = 0;
	enum role role;
	size_t    i;
	json_t   *item;
	if (!json_is_array(list) || json_array_size(list) == 0)
		return refuse(why, E_API_BODY, "roles", "must be a list with at least one of viewer, operator, approver, auditor, admin");
	json_array_foreach(list, i, item) {
		if (!json_is_string(item) || role_parse(json_string_value(item), &role) < 0)
			return refuse(why, E_API_BODY, "roles", "`%s` is none of viewer, operator, approver, auditor, admin",
			              json_is_string(item) ? json_string_value(item) : "(no text)");
		roles |= 1U << role;
	}
	*ret = roles;
	return 0;
}

static int services_read(const json_t *list, char ret[SERVICES_SIZE], struct refusal *why)
{
	char    text[SERVICES_SIZE] = "";
	size_t  n = 0;
	size_t  i;
	json_t *item;
	if (json_is_null(list)) {
		ret[0] = '\0';
		return 0;
	}
	if (!json_is_array(list) || json_array_size(list) == 0)
		return refuse(why, E_API_BODY, "services", "must be a list of services, or null for all of them");
	json_array_foreach(list, i, item) {
		const char *name = json_string_value(item);
		if (name == NULL || !name_service_ok(name))
			return refuse(why, E_API_BODY, "services", "`%s` is no name of a service", name != NULL ? name : "(no text)");
		if (n + strlen(name) + 2 > sizeof(text))
			return refuse(why, E_API_BODY, "services", "the names are longer than %d characters in all", SERVICES_SIZE - 1);
		if (n > 0)
			text[n++] = ',';
		memcpy(text + n, name, strlen(name) + 1);
		n += strlen(name);
	}
	memcpy(ret, text, sizeof(text));
	return 0;
}

static int person_read(const json_t *value, char ret[ACTOR_SIZE], struct refusal *why)
{
	const char *name = json_is_null(value) ? "" : json_string_value(value);
	if (name == NULL || (name[0] != '\0' && !name_principal_ok(name)) || (name[0] == '\0' && !json_is_null(value)))
		return refuse(why, E_PRINCIPAL_NAME, "person", "lower-case letters, digits, '-' and '_', at most %d; null for a machine", ACTOR_SIZE - 1);
	text_cut(ret, ACTOR_SIZE, name);
	return 0;
}

static int mail_read(const json_t *value, char ret[MAIL_SIZE], struct refusal *why)
{
	const char *address = json_is_null(value) ? "" : json_string_value(value);
	bool        fits = address != NULL && strlen(address) < MAIL_SIZE && strlen(address) == json_string_length(value);
	if (!json_is_null(value) && (!fits || !channel_mail_ok(address)))
		return refuse(why, E_API_BODY, "mail", "must be one mail address of at most %d characters, or null for none", MAIL_SIZE - 1);
	text_cut(ret, MAIL_SIZE, address);
	return 0;
}

int principal_read(const json_t *fields, struct principal *p, struct refusal *why)
{
	struct principal next = *p;
	const json_t    *v;
	int              r = 0;
	if ((v = json_object_get(fields, "roles")) != NULL)
		r = roles_read(v, &next.roles, why);
	if (r == 0 && (v = json_object_get(fields, "services")) != NULL)
		r = services_read(v, next.services, why);
	if (r == 0 && (v = json_object_get(fields, "person")) != NULL)
		r = person_read(v, next.person, why);
	if (r == 0 && (v = json_object_get(fields, "mail")) != NULL)
		r = mail_read(v, next.mail, why);
	if (r == 0 && (v = json_object_get(fields, "disabled")) != NULL) {
		if (!json_is_boolean(v))
			return refuse(why, E_API_BODY, "disabled", "must be true or false");
		next.disabled = json_is_true(v);
	}
	if (r == 0)
		*p = next;
	return r;
}

static int text_read(const json_t *fields, const char *name, char *ret, size_t size, struct refusal *why)
{
	const json_t *v = json_object_get(fields, name);
	if (v == NULL || json_is_null(v))
		return 0;
	size_t n = json_string_length(v);
	if (!json_is_string(v) || text_copy_n(ret, size, json_string_value(v), n) < 0 || !text_line_ok(ret, n))
		return refuse(why, E_API_BODY, name, "must be a text of at most %zu characters without control characters", size - 1);
	return 0;
}

int token_read(const json_t *fields, int64_t now, struct token *t, struct refusal *why)
{
	struct token  next = *t;
	char          ttl[TIME_TEXT_SIZE] = "";
	int64_t       life = TOKEN_LIFE_MS;
	const json_t *v;
	int           r = text_read(fields, "principal", next.principal, sizeof(next.principal), why);
	if (r == 0)
		r = text_read(fields, "label", next.label, sizeof(next.label), why);
	if (r == 0)
		r = text_read(fields, "ttl", ttl, sizeof(ttl), why);
	if (r == 0 && json_is_string(json_object_get(fields, "ttl")) && (duration_parse(ttl, &life) < 0 || life > TOKEN_LIFE_MAX_MS))
		r = refuse(why, E_API_BODY, "ttl", "must be a duration of at most 366d, like 90d");
	if (r == 0 && (v = json_object_get(fields, "roles")) != NULL && !json_is_null(v))
		r = roles_read(v, &next.roles, why);
	if (r == 0 && (v = json_object_get(fields, "services")) != NULL)
		r = services_read(v, next.services, why);
	if (r < 0)
		return r;
	next.created_at = now;
	next.expires_at = now + life;
	*t = next;
	return 0;
}
