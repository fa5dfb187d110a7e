/* openapi.c - room controller/daemon: the description of the admin API as OpenAPI 3.1, written from the tables of routes and contract.
 * Never: a word about a single route; that stands in its rows. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/contract.h"
#include "shared/base/text.h"

#define JSON_MEDIA "application/json"

enum { NAME_SIZE = 160 };

/* ---- schemas ---- */

static const struct {
	const char *type, *format, *pattern;
} types[API_TYPE_COUNT] = {
	[API_ANY] = {NULL, NULL, NULL},
	[API_TEXT] = {"string", NULL, NULL},
	[API_BOOL] = {"boolean", NULL, NULL},
	[API_INTEGER] = {"integer", "int64", NULL},
	[API_NUMBER] = {"number", NULL, NULL},
	[API_TIME] = {"string", "date-time", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z$"},
	[API_ID] = {"string", "uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
	[API_HASH] = {"string", NULL, "^[0-9a-fA-F]{64}$"},
	[API_SERIAL] = {"string", NULL, "^[0-9A-F]{2,40}$"},
	[API_CODE] = {"string", NULL, "^VCC-[0-9]{4}$"},
	[API_TEXTS] = {"array", NULL, NULL},
	[API_OBJECT] = {"object", NULL, NULL},
	[API_OBJECTS] = {"array", NULL, NULL},
};

static void set_text(json_t *o, const char *name, const char *text)
{
	if (text != NULL)
		json_object_set_new(o, name, json_string(text));
}

static json_t *ref_to(const char *kind, const char *name)
{
	return json_pack("{s:o}", "$ref", json_sprintf("#/components/%s/%s", kind, name));
}

static json_t *object_ref(const struct api_object *o)
{
	return o != NULL ? ref_to("schemas", o->name) : json_pack("{s:s}", "type", "object");
}

static json_t *values_json(const char *values, bool or_null)
{
	json_t *list = json_comma_list(values);
	if (or_null)
		json_array_append_new(list, json_null());
	return list;
}

static json_t *items_schema(const struct api_field *f)
{
	if (f->type == API_OBJECTS)
		return object_ref(f->of);
	json_t *item = json_pack("{s:s}", "type", "string");
	if (f->values != NULL)
		json_object_set_new(item, "enum", values_json(f->values, false));
	return item;
}

static json_t *field_schema(const struct api_field *f)
{
	bool    or_null = (f->flags & API_NULL) != 0;
	json_t *s;
	if (f->type == API_OBJECT && f->of != NULL) {
		s = or_null ? json_pack("{s:[o,{s:s}]}", "anyOf", object_ref(f->of), "type", "null") : object_ref(f->of);
	} else {
		s = json_object();
		const char *type = types[f->type].type;
		if (type != NULL)
			json_object_set_new(s, "type", or_null ? json_pack("[s,s]", type, "null") : json_string(type));
		set_text(s, "format", types[f->type].format);
		set_text(s, "pattern", types[f->type].pattern);
		if (f->type == API_TEXTS || f->type == API_OBJECTS)
			json_object_set_new(s, "items", items_schema(f));
		else if (f->values != NULL)
			json_object_set_new(s, "enum", values_json(f->values, or_null));
	}
	set_text(s, "description", f->about);
	return s;
}

static void add_fields(const struct api_field *fields, json_t *properties, json_t *required, bool of_answer)
{
	for (; fields != NULL && fields->name != NULL; fields++) {
		json_object_set_new(properties, fields->name, field_schema(fields));
		if (of_answer ? (fields->flags & API_MAYBE) == 0 : (fields->flags & API_NEEDED) != 0)
			json_array_append_new(required, json_string(fields->name));
	}
}

static void add_object_fields(const struct api_object *o, json_t *properties, json_t *required)
{
	if (o->base != NULL)
		add_object_fields(o->base, properties, required);
	add_fields(o->fields, properties, required, true);
}

static json_t *object_schema(json_t *properties, json_t *required)
{
	json_t *s = json_pack("{s:s, s:o}", "type", "object", "properties", properties);
	if (json_array_size(required) > 0)
		json_object_set(s, "required", required);
	json_decref(required);
	return s;
}

/* The object and all that it is made of, each once. */
static void add_schema(json_t *schemas, const struct api_object *o)
{
	if (o == NULL || json_object_get(schemas, o->name) != NULL)
		return;
	if (o->either[0] != NULL) {
		json_object_set_new(schemas, o->name, json_pack("{s:[o,o]}", "oneOf", object_ref(o->either[0]), object_ref(o->either[1])));
		add_schema(schemas, o->either[0]);
		add_schema(schemas, o->either[1]);
		return;
	}
	json_t *properties = json_object();
	json_t *required = json_array();
	add_object_fields(o, properties, required);
	json_object_set_new(schemas, o->name, object_schema(properties, required));
	for (const struct api_object *part = o; part != NULL; part = part->base)
		for (const struct api_field *f = part->fields; f->name != NULL; f++)
			add_schema(schemas, f->of);
}

/* ---- one operation ---- */

static json_t *answer_schema(const struct api_contract *c)
{
	static const struct api_field next_cursor = {"next_cursor", API_TEXT, API_NULL, NULL, NULL, "null: the last page"};
	if (c->shape != SHAPE_PAGE)
		return object_ref(c->answer);
	json_t *properties = json_object();
	json_t *required = json_pack("[s,s]", "items", "next_cursor");
	json_object_set_new(properties, "items", json_pack("{s:s, s:o}", "type", "array", "items", object_ref(c->answer)));
	json_object_set_new(properties, "next_cursor", field_schema(&next_cursor));
	add_fields(c->more, properties, required, true);
	return object_schema(properties, required);
}

static json_t *answer_json(const char *about, const char *media, json_t *schema, bool location, bool etag)
{
	json_t *o = json_pack("{s:s, s:{s:{s:o}}}", "description", about, "content", media, "schema", schema);
	json_t *headers = json_pack("{s:o}", "X-Request-Id", ref_to("headers", "RequestId"));
	if (location)
		json_object_set_new(headers, "Location", ref_to("headers", "Location"));
	if (etag)
		json_object_set_new(headers, "ETag", ref_to("headers", "ETag"));
	json_object_set_new(o, "headers", headers);
	return o;
}

static void add_answers(const struct api_contract *c, json_t *responses)
{
	static const struct {
		unsigned    bit;
		const char *status, *about;
	} successes[] = {
		{API_200, "200", "Done."}, {API_201, "201", "Made."}, {API_202, "202", "Taken on; Location tells how far it is."}, {API_503, "503", "Not all of it holds."},
	};
	static const char *const media_of[] = {
		[SHAPE_ONE] = JSON_MEDIA,
		[SHAPE_PAGE] = JSON_MEDIA,
		[SHAPE_LINES] = "application/x-ndjson",
		[SHAPE_EVENTS] = "text/event-stream",
		[SHAPE_TEXT] = "text/plain",
	};
	for (size_t i = 0; i < N_ELEMENTS(successes); i++) {
		if ((c->statuses & successes[i].bit) == 0)
			continue;
		const char *media = media_of[c->shape];
		bool        is_text = !text_equal(media, JSON_MEDIA);
		json_t     *schema = successes[i].bit == API_202 ? object_ref(c->later) : is_text ? json_pack("{s:s}", "type", "string") : answer_schema(c);
		json_object_set_new(responses, successes[i].status, answer_json(successes[i].about, media, schema, successes[i].bit == API_202, (c->statuses & API_MATCH) != 0));
	}
}

/* What may be refused follows from the kind of route. */
static void add_refusals(const struct api_route *r, json_t *responses)
{
	bool changes = !text_equal(r->method, "GET");
	bool known = r->permission != PERM_NONE;
	bool body = changes && contract_find(r->method, r->path) != NULL;
	const struct {
		const char *status;
		bool        may;
	} refusals[] = {
		{"400", true},  {"401", known},   {"403", known},   {"404", changes || strchr(r->path, '{') != NULL},
		{"409", changes}, {"412", changes}, {"413", true}, {"415", body}, {"422", true},
		{"429", true},    {"500", true},    {"503", true},
	};
	for (size_t i = 0; i < N_ELEMENTS(refusals); i++)
		if (refusals[i].may && json_object_get(responses, refusals[i].status) == NULL)
			json_object_set_new(responses, refusals[i].status, ref_to("responses", "Refused"));
}

static void add_parameter(json_t *list, const char *where, const struct api_field *f)
{
	json_t *p = json_pack("{s:s, s:s, s:o}", "name", f->name, "in", where, "schema", field_schema(f));
	if (text_equal(where, "path"))
		json_object_set_new(p, "required", json_true());
	json_array_append_new(list, p);
}

static json_t *parameters_json(const struct api_route *r, const struct api_contract *c)
{
	json_t *list = json_array();
	for (const char *at = strchr(r->path, '{'); at != NULL; at = strchr(at + 1, '{')) {
		char             name[API_PARAM_SIZE];
		struct api_field f = {name, API_TEXT, 0, NULL, NULL, NULL};
		text_cut(name, sizeof(name), at + 1);
		name[strcspn(name, "}")] = '\0';
		add_parameter(list, "path", &f);
	}
	for (const struct api_field *f = c != NULL ? c->args : NULL; f != NULL && f->name != NULL; f++)
		add_parameter(list, "query", f);
	if (r->permission != PERM_NONE && !text_equal(r->method, "GET"))
		json_array_append_new(list, ref_to("parameters", "IdempotencyKey"));
	if (c != NULL && (c->statuses & API_MATCH) != 0 && !text_equal(r->method, "GET"))
		json_array_append_new(list, ref_to("parameters", "IfMatch"));
	if (c != NULL && c->shape == SHAPE_EVENTS)
		json_array_append_new(list, ref_to("parameters", "LastEventId"));
	if (c != NULL && c->shape == SHAPE_PAGE) {
		json_array_append_new(list, ref_to("parameters", "limit"));
		json_array_append_new(list, ref_to("parameters", "cursor"));
	}
	return list;
}

static json_t *body_json(const struct api_contract *c)
{
	json_t *properties = json_object();
	json_t *required = json_array();
	add_fields(c->body, properties, required, false);
	json_object_set_new(properties, "comment", json_pack("{s:s, s:s}", "type", "string", "description", "why, for the audit trail"));
	bool    needed = json_array_size(required) > 0;
	json_t *schema = object_schema(properties, required);
	json_object_set_new(schema, "additionalProperties", json_false());
	return json_pack("{s:b, s:{s:{s:o}}}", "required", needed, "content", "application/json", "schema", schema);
}

static json_t *roles_json(enum permission p)
{
	json_t *list = json_array();
	for (unsigned role = 0; role < ROLE_COUNT; role++)
		if (rights_granted((enum role)role, p))
			json_array_append_new(list, json_string(role_name((enum role)role)));
	return list;
}

/* "get_agents_name" */
static void operation_id(const struct api_route *r, char ret[NAME_SIZE])
{
	const char *path = text_starts(r->path, "/api/v1/") ? r->path + strlen("/api/v1") : r->path;
	size_t      n = 0;
	for (const char *p = r->method; *p != '\0' && n < NAME_SIZE - 1; p++)
		ret[n++] = (char)tolower((unsigned char)*p);
	for (const char *p = path; *p != '\0' && n < NAME_SIZE - 1; p++)
		if (isalnum((unsigned char)*p))
			ret[n++] = *p;
		else if (ret[n - 1] != '_' && *p != '}')
			ret[n++] = '_';
	ret[n] = '\0';
}

static json_t *operation_json(const struct api_route *r, json_t *schemas)
{
	const struct api_contract *c = contract_find(r->method, r->path);
	char                       id[NAME_SIZE];
	operation_id(r, id);
	json_t *responses = json_object();
	json_t *o = json_pack("{s:s, s:s, s:o, s:o}", "operationId", id, "summary", r->about, "parameters", parameters_json(r, c), "responses", responses);
	if (c != NULL) {
		add_schema(schemas, c->answer);
		add_schema(schemas, c->later);
		for (const struct api_field *f = c->body; f != NULL && f->name != NULL; f++)
			add_schema(schemas, f->of);
		for (const struct api_field *f = c->more; f != NULL && f->name != NULL; f++)
			add_schema(schemas, f->of);
		add_answers(c, responses);
		if (c->body != NULL)
			json_object_set_new(o, "requestBody", body_json(c));
	}
	add_refusals(r, responses);
	json_object_set_new(o, "x-permission", json_string(permission_name(r->permission)));
	json_object_set_new(o, "x-scope", json_string(rights_scope_name(r->scope)));
	if (r->permission == PERM_NONE)
		json_object_set_new(o, "security", json_array());
	else
		json_object_set_new(o, "x-roles", roles_json(r->permission));
	return o;
}

/* ---- the whole ---- */

static json_t *components_json(json_t *schemas)
{
	add_schema(schemas, &object_problem);
	json_t *refused = answer_json("Refused: object, cause, next step and a stable code (RFC 9457).", "application/problem+json",
	                              object_ref(&object_problem), false, false);
	json_t *parameters = json_pack("{s:{s:s, s:s, s:{s:s, s:i, s:i, s:i}}, s:{s:s, s:s, s:s, s:{s:s}}}", "limit", "name", "limit", "in",
	                               "query", "schema", "type", "integer", "minimum", 1, "maximum", API_PAGE_MAX, "default", API_PAGE,
	                               "cursor", "name", "cursor", "in", "query", "description", "next_cursor of the page before", "schema",
	                               "type", "string");
	json_object_set_new(parameters, "IfMatch",
	                    json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", "If-Match", "in", "header", "description",
	                              "the ETag of the version that the change was made on; 412 when there is a newer one", "schema", "type", "string"));
	json_object_set_new(parameters, "LastEventId",
	                    json_pack("{s:s, s:s, s:s, s:{s:s}}", "name", "Last-Event-ID", "in", "header", "description",
	                              "the id of the last event that was seen", "schema", "type", "string"));
	json_object_set_new(parameters, "IdempotencyKey",
	                    json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:i}}", "name", "Idempotency-Key", "in", "header", "description",
	                              "the same request with the same key is done once and answered alike, for 24 hours", "schema", "type",
	                              "string", "pattern", "^[!-~]+$", "maxLength", KEPT_KEY_SIZE - 1));
	json_t *headers = json_pack("{s:{s:s, s:{s:s, s:s}}, s:{s:s, s:{s:s}}}", "RequestId", "description",
	                            "stands in the log and in the audit trail, too", "schema", "type", "string", "format", "uuid", "Location",
	                            "description", "where the work can be watched", "schema", "type", "string");
	json_object_set_new(headers, "ETag", json_pack("{s:s, s:{s:s}}", "description", "the version", "schema", "type", "string"));
	json_t *security = json_pack("{s:{s:s, s:s, s:s}, s:{s:s, s:s}, s:{s:s, s:s, s:s, s:s}}", "token", "type", "http", "scheme", "bearer", "bearerFormat", "vcc_pat_",
	                             "certificate", "type", "mutualTLS", "description", "a client certificate whose template has the purpose admin",
	                             "session", "type", "apiKey", "in", "cookie", "name", HTTP_COOKIE, "description",
	                             "of a browser; changes need the header X-Vcc-Session and come from our own pages");
	return json_pack("{s:o, s:{s:o}, s:o, s:o, s:o}", "schemas", schemas, "responses", "Refused", refused, "parameters", parameters,
	                 "headers", headers, "securitySchemes", security);
}

json_t *openapi_json(void)
{
	size_t                  n;
	const struct api_route *routes = api_routes(&n);
	json_t                 *schemas = json_object();
	json_t                 *paths = json_object();
	for (size_t i = 0; i < n; i++) {
		char    method[8];
		json_t *path = json_object_get(paths, routes[i].path);
		if (path == NULL) {
			path = json_object();
			json_object_set_new(paths, routes[i].path, path);
		}
		text_cut(method, sizeof(method), routes[i].method);
		for (char *p = method; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		json_object_set_new(path, method, operation_json(&routes[i], schemas));
	}
	json_t *o = json_pack("{s:s, s:{s:s, s:s, s:s}, s:[{s:[]}, {s:[]}, {s:[]}]}", "openapi", "3.1.0", "info", "title", "VCC PKI admin API", "version",
	                      VCC_VERSION, "description",
	                      "Certificates, their renewal, hosts, people and the audit trail. Answers may gain fields; those here stay.",
	                      "security", "token", "certificate", "session");
	json_object_set_new(o, "servers", json_pack("[{s:s}]", "url", "/"));
	json_object_set_new(o, "paths", paths);
	json_object_set_new(o, "components", components_json(schemas));
	return o;
}
