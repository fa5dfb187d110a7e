/* api_audit.c - room controller/daemon: routes of the audit trail: records, heads, proofs, and forgetting a person.
 * Names are put in place of pseudonyms here alone. Never: changing a record. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/api_json.h"
#include "controller/daemon/api_routes.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

/* ---- records --------------------------------------------------------------------------------------------------- */

/* Pseudonyms seen on this page: few people fill many rows. */
enum { NAMES_KEPT = 32 };
struct names_seen {
	size_t              n;
	struct audit_person row[NAMES_KEPT];
};

/* The name behind a pseudonym, "redacted" where it was deleted, else the text itself. */
static const char *name_of(struct store_view *view, struct names_seen *seen, const char *actor)
{
	struct audit_person p;
	if (!audit_is_alias(actor))
		return actor;
	for (size_t i = 0; i < seen->n; i++)
		if (text_equal(seen->row[i].alias, actor))
			return seen->row[i].name;
	if (view_audit_person_by_alias(view, actor, &p) < 0) {
		p = (struct audit_person){.name = "redacted"};
		text_cut(p.alias, sizeof(p.alias), actor);
	}
	size_t at = seen->n < NAMES_KEPT ? seen->n++ : 0;
	seen->row[at] = p;
	return seen->row[at].name;
}

static json_t *record_json(struct store_view *view, struct names_seen *seen, const struct audit *a)
{
	json_t *detail = a->detail[0] != '\0' ? json_loads(a->detail, 0, NULL) : NULL;
	json_t *o = json_pack("{s:I, s:o, s:I, s:I, s:s}", "seq", (json_int_t)a->seq, "at", json_time(a->at), "at_ms",
			      (json_int_t)a->at, "behind_ms", (json_int_t)a->behind_ms, "event", audit_event_name(a->event));
	json_object_set_new(o, "actor", json_string(name_of(view, seen, a->actor)));
	json_object_set_new(o, "actor_id", audit_is_alias(a->actor) ? json_string(a->actor) : json_null());
	json_object_set_new(o, "object", json_string(name_of(view, seen, a->object)));
	json_object_set_new(o, "reason", json_string(a->reason));
	json_object_set_new(o, "request_id", json_id(a->request_id));
	json_object_set_new(o, "renewal_id", json_id(a->renewal_id));
	json_object_set_new(o, "detail", detail != NULL ? detail : json_object());
	return o;
}

json_t *api_audit_record_json(struct store_view *view, const struct audit *a)
{
	struct names_seen seen = {.n = 0};
	return record_json(view, &seen, a);
}

static int event_of(const char *name, int *ret)
{
	for (unsigned e = 0; e < AUDIT_EVENT_COUNT; e++)
		if (text_equal(audit_event_name((enum audit_event)e), name)) {
			*ret = (int)e;
			return 0;
		}
	return E_NOT_FOUND;
}

/* A person's rows stand under a pseudonym. False: nobody of that name is in the trail. */
static bool actor_of(struct store_view *view, const char *name, char ret[ACTOR_SIZE])
{
	struct audit_person p;
	if (audit_is_person(name) && view_audit_person(view, name, &p) == 0)
		text_cut(ret, ACTOR_SIZE, p.alias);
	else if (audit_is_person(name))
		return false;
	else
		text_cut(ret, ACTOR_SIZE, name);
	return true;
}

struct asked {
	struct audit_filter f;
	char                actor[ACTOR_SIZE];
	uint64_t            before;
	bool                nobody;
};

static int arg_filter(struct api_call *call, struct store_view *view, struct asked *ret)
{
	const char *event = api_arg(call, "event"), *since = api_arg(call, "since"), *order = api_arg(call, "renewal_id");
	const char *actor = api_arg(call, "actor");
	char        cursor[24];
	int64_t     before;
	*ret = (struct asked){.f = {.event = -1, .object = api_arg(call, "object")}, .before = UINT64_MAX};
	if (event != NULL && event_of(event, &ret->f.event) < 0)
		return refuse(&call->why, E_API_BODY, "event", "`%s` is no type of event; see docs/audit.md", event);
	if (since != NULL && time_parse(since, &ret->f.since_at) < 0)
		return refuse(&call->why, E_API_BODY, "since", "must be a time like 2026-01-02T03:04:05Z");
	if (order != NULL && id_parse(order, &ret->f.renewal_id) < 0)
		return refuse(&call->why, E_API_BODY, "renewal_id", "must be a UUID");
	int r = api_arg_cursor(call, cursor, sizeof(cursor));
	if (r == 0 && cursor[0] != '\0' && text_i64(cursor, 1, INT64_MAX, &before) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r != 0)
		return r;
	if (cursor[0] != '\0')
		ret->before = (uint64_t)before;
	ret->nobody = actor != NULL && !actor_of(view, actor, ret->actor);
	ret->f.actor = actor != NULL ? ret->actor : NULL;
	return 0;
}

int api_audit_list(struct api_call *call, struct store_view *view)
{
	struct names_seen seen = {.n = 0};
	struct asked      asked;
	size_t            limit, n = 0;
	uint64_t          next = 0;
	char              cursor[24];
	int               r = api_arg_limit(call, &limit);
	if (r == 0)
		r = arg_filter(call, view, &asked);
	if (r != 0)
		return r;
	struct audit *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	if (!asked.nobody)
		r = view_audit_list(view, &asked.f, asked.before, rows, limit, &n, &next);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, record_json(view, &seen, &rows[i]));
		snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)next);
		call->answer = api_page(call, items, next > 0 ? cursor : NULL);
	}
	free(rows);
	return r;
}

/* ---- heads ------------------------------------------------------------------------------------------------------ */

static json_t *head_json(const struct audit_head *h)
{
	char    signature[AUDIT_SIGNATURE_MAX * 4 / 3 + 4] = "";
	json_t *o = json_pack("{s:I, s:o, s:o, s:I, s:s}", "size", (json_int_t)h->size, "root", json_hash(h->root), "at",
			      json_time(h->at), "at_ms", (json_int_t)h->at, "issuer_id", h->issuer_id);
	if (b64url_text(h->signature, h->signature_len, signature, sizeof(signature)) == 0)
		json_object_set_new(o, "signature", json_string(signature));
	json_object_set_new(o, "witness", h->witness[0] != '\0' ? json_string(h->witness) : json_null());
	json_object_set_new(o, "witnessed_at", json_time(h->witnessed_at));
	return o;
}

int api_audit_heads(struct api_call *call, struct store_view *view)
{
	char    cursor[24];
	size_t  limit, n = 0;
	int64_t below = INT64_MAX;
	int     r = api_arg_limit(call, &limit);
	if (r == 0)
		r = api_arg_cursor(call, cursor, sizeof(cursor));
	if (r == 0 && cursor[0] != '\0' && text_i64(cursor, 1, INT64_MAX, &below) < 0)
		r = refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (r < 0)
		return r;
	struct audit_head *rows = calloc(limit, sizeof(*rows));
	if (rows == NULL)
		return E_NOMEM;
	r = view_audit_heads_down(view, (uint64_t)below, rows, limit, &n);
	if (r == 0) {
		json_t *items = json_array();
		for (size_t i = 0; i < n; i++)
			json_array_append_new(items, head_json(&rows[i]));
		if (n > 0)
			snprintf(cursor, sizeof(cursor), "%llu", (unsigned long long)rows[n - 1].size);
		call->answer = api_page(call, items, n == limit ? cursor : NULL);
	}
	free(rows);
	return r;
}

/* ---- proofs ----------------------------------------------------------------------------------------------------- */

static int node_of(void *ctx, uint32_t level, uint64_t index, struct hash *ret)
{
	return view_audit_node(ctx, level, index, ret);
}

static json_t *path_json(const struct hash *path, size_t n)
{
	json_t *list = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_hash(path[i]));
	return list;
}

static int arg_size(struct api_call *call, const char *name, uint64_t fallback, uint64_t max, uint64_t *ret)
{
	int64_t n;
	int     r = api_arg_i64(call, name, (int64_t)fallback, 0, (int64_t)max, &n);
	if (r == 0)
		*ret = (uint64_t)n;
	return r;
}

/* One record with its proof in the first signed head that covers it, or in the whole tree where none does yet. */
int api_audit_show(struct api_call *call, struct store_view *view)
{
	struct names_seen seen = {.n = 0};
	struct audit      a;
	struct audit_head head = {.size = 0};
	struct hash       path[MERKLE_LEVELS], leaf, root;
	size_t            n = 0, n_path = 0;
	uint64_t          size = 0;
	int64_t           seq = 0;
	int r = text_i64(call->params[0], 0, INT64_MAX - 1, &seq) < 0 ? E_NOT_FOUND : view_audit_size(view, &size);
	if (r == 0)
		r = (uint64_t)seq < size ? view_audit(view, (uint64_t)seq, &a, 1, &n) : E_NOT_FOUND;
	if (r < 0 || n == 0)
		return refuse(&call->why, r < 0 ? r : E_NOT_FOUND, call->params[0], "there is no such record");
	r = view_audit_heads(view, (uint64_t)seq, &head, 1, &n);
	if (r == 0 && n > 0)
		size = head.size;
	if (r == 0)
		r = view_audit_root_at(view, size, &root);
	if (r == 0)
		r = view_audit_node(view, 0, (uint64_t)seq, &leaf);
	if (r == 0)
		r = merkle_inclusion(digest_sha256_two, node_of, view, (uint64_t)seq, size, path, &n_path);
	if (r < 0)
		return r;
	call->answer = record_json(view, &seen, &a);
	json_object_set_new(call->answer, "about", json_string(audit_event_info(a.event)->about));
	json_object_set_new(call->answer, "leaf", json_hash(leaf));
	json_object_set_new(call->answer, "proof",
			    json_pack("{s:I, s:o, s:o}", "size", (json_int_t)size, "root", json_hash(root), "path",
				      path_json(path, n_path)));
	json_object_set_new(call->answer, "head", n > 0 ? head_json(&head) : json_null());
	return 0;
}

int api_audit_consistency(struct api_call *call, struct store_view *view)
{
	struct hash path[2 * MERKLE_LEVELS], old_root, root;
	uint64_t    size = 0, from = 0, to = 0;
	size_t      n = 0;
	int         r = view_audit_size(view, &size);
	if (r == 0)
		r = arg_size(call, "to", size, size, &to);
	if (r == 0)
		r = arg_size(call, "from", 0, to, &from);
	if (r == 0)
		r = view_audit_root_at(view, from, &old_root);
	if (r == 0)
		r = view_audit_root_at(view, to, &root);
	if (r == 0)
		r = merkle_consistency(digest_sha256_two, node_of, view, from, to, path, &n);
	if (r != 0)
		return r;
	call->answer = json_pack("{s:I, s:o, s:I, s:o, s:o}", "from", (json_int_t)from, "from_root", json_hash(old_root), "to",
				 (json_int_t)to, "root", json_hash(root), "path", path_json(path, n));
	return 0;
}

/* ---- forgetting ------------------------------------------------------------------------------------------------- */

static void forgotten(void *ctx, const struct api_result *result)
{
	struct api_call *call = ctx;
	if (result->code < 0)
		api_refuse_why(call, &result->why);
	else
		api_finish(call, 200, json_pack("{s:s}", "pseudonym", result->pseudonym));
}

void api_audit_forget(struct api_call *call)
{
	char                     name[ACTOR_SIZE];
	int                      r = api_body(call);
	if (r == 0)
		r = api_field_text(call, "principal", NULL, name, sizeof(name));
	if (r < 0)
		api_refuse_why(call, &call->why);
	else
		controller_forget_person(call->ctl, name, &call->caller, forgotten, call);
}
