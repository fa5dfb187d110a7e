/* policy_edit.c - room controller/daemon: somebody changes a template or a service.
 * Read from the end: check, look at the live set on a worker, then refuse, show, ask a second person, or store. What waits for
 * a second person is kept whole beside its request, and what was shown names its hash. Never: deciding what a change means. */
#include "controller/daemon/policy_edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/core/depends.h"
#include "controller/core/policy_change.h"
#include "controller/daemon/api_json.h"
#include "controller/daemon/approvals.h"
#include "controller/daemon/campaign_make.h"
#include "controller/daemon/catalog.h"
#include "controller/daemon/policy_preview.h"
#include "controller/daemon/policy_walk.h"
#include "controller/daemon/service_json.h"
#include "controller/daemon/state.h"
#include "controller/daemon/template_json.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"

enum { SHOWN_CHANGES = 2200, PROPOSAL_MAX = 32768, PROPOSAL_NAME = 64 };

struct edit_job {
	struct controller        *ctl;
	struct policy_edit        edit;
	struct caller             who;
	policy_edit_done_fn      *done;
	void                     *ctx;
	struct policy_preview     preview;
	struct policy_edit_result result;
};

static const char *name_of(const struct policy_edit *e)
{
	return e->of_service ? e->service.name : e->template.template_id;
}

static uint32_t version_now(struct controller *ctl, const struct policy_edit *e)
{
	const struct template *t = e->of_service ? NULL : catalog_template(ctl->catalog, e->template.template_id);
	const struct service  *s = e->of_service ? catalog_service(ctl->catalog, e->service.name) : NULL;
	return t != NULL ? t->version : s != NULL ? s->version : 0;
}

static void answer(struct edit_job *j)
{
	j->done(j->ctx, &j->result);
	policy_preview_done(&j->preview);
	json_decref(j->result.report);
	free(j);
}

static void refused(struct edit_job *j, int code, const char *cause)
{
	j->result.code = refuse(&j->result.why, code, name_of(&j->edit), "%s", cause);
	answer(j);
}

/* ---- the report ------------------------------------------------------------------------------------------------ */

/* What is in force, as a file says it; an empty object where there is nothing. */
static json_t *now_json(struct controller *ctl, const struct policy_edit *e)
{
	const struct template *t = e->of_service ? NULL : catalog_template(ctl->catalog, e->template.template_id);
	const struct service  *s = e->of_service ? catalog_service(ctl->catalog, e->service.name) : NULL;
	json_t *o = t != NULL ? template_json_write(t, TEMPLATE_FILE) : s != NULL ? service_json_write(s) : json_object();
	return o != NULL ? o : json_object();
}

static json_t *next_json(const struct policy_edit *e)
{
	json_t *o = e->of_service ? service_json_write(&e->service) : template_json_write(&e->template, TEMPLATE_FILE);
	return o != NULL ? o : json_object();
}

static void add_change(json_t *list, const char *field, json_t *from, json_t *to)
{
	if (from != NULL && to != NULL && json_equal(from, to))
		return;
	json_array_append_new(list, json_pack("{s:s,s:O,s:O}", "field", field, "from", from != NULL ? from : json_null(), "to",
					      to != NULL ? to : json_null()));
}

/* [{field, from, to}]; null = was not said, or is not said any more. */
static json_t *changes_of(json_t *from, json_t *to)
{
	const char *field;
	json_t     *value, *list = json_array();
	json_object_foreach(to, field, value) add_change(list, field, json_object_get(from, field), value);
	json_object_foreach(from, field, value) if (json_object_get(to, field) == NULL) add_change(list, field, value, NULL);
	return list;
}

static json_t *compliance_of(const struct policy_edit *e)
{
	const char *profile, *field, *text;
	json_t     *list = json_array();
	for (size_t i = 0; !e->of_service && policy_violation(&e->template, i, &profile, &field, &text); i++)
		json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "profile", profile, "field", field, "reason", text));
	return list;
}

static bool needs_person(const struct controller *ctl)
{
	return ctl->conf->approval_share < 1000;
}

static json_t *report_of(struct edit_job *j)
{
	struct policy_preview *p = &j->preview;
	json_t                *from = now_json(j->ctl, &j->edit), *to = next_json(&j->edit);
	json_t                *o = json_object();
	json_object_set_new(o, j->edit.of_service ? "service" : "template_id", json_string(name_of(&j->edit)));
	json_object_set_new(o, "current_version", json_integer(j->edit.base));
	json_object_set_new(o, "version", json_integer(j->edit.base + 1));
	json_object_set_new(o, "changes", changes_of(from, to));
	json_object_set_new(o, "certificates_affected", json_integer((json_int_t)p->certificates));
	json_object_set_new(o, "renewals", json_integer((json_int_t)p->renewals));
	json_object_set_new(o, "certificate_list", json_incref(p->renewed));
	json_object_set_new(o, "blocked", json_integer((json_int_t)p->blocked));
	json_object_set_new(o, "violations", json_incref(p->violations));
	json_object_set_new(o, "compliance", compliance_of(&j->edit));
	json_object_set_new(o, "approval_required", json_boolean(needs_person(j->ctl)));
	json_decref(from);
	json_decref(to);
	return o;
}

/* ---- storing --------------------------------------------------------------------------------------------------- */

static void put_template(struct controller *ctl, const void *value, size_t n)
{
	struct template t;
	memcpy(&t, value, n);
	catalog_put_template(ctl->catalog, &t);
}

static void put_service(struct controller *ctl, const void *value, size_t n)
{
	struct service s;
	memcpy(&s, value, n);
	catalog_put_service(ctl->catalog, &s);
}

/* The trail knows a version of a template by its text. */
static void audit_edit(struct commit *c, const struct audit_of *of, const struct policy_edit *e, const struct template *t)
{
	struct hash hash;
	char        hex[HASH_TEXT_SIZE];
	char       *text = e->of_service ? NULL : template_json_text(t, &hash);
	if (text != NULL)
		commit_audit(c, of, "{s:I,s:b,s:s}", "version", (json_int_t)t->version, "forced", e->force ? 1 : 0, "sha256", hash_text(hash, hex));
	else
		commit_audit(c, of, "{s:I,s:b}", "version", (json_int_t)t->version, "forced", e->force ? 1 : 0);
	free(text);
}

/* Adds the new version with its record, its campaign, and the beginning of its way to the certificates. E_API_UNAVAILABLE: nothing was
 * added. */
static int store_edit(struct controller *ctl, struct commit *c, const struct policy_edit *e, const struct caller *who,
		      struct id *ret_campaign)
{
	char object[sizeof(((struct policy_walk *)0)->object)];
	struct template t = e->template;
	struct service  s = e->service;
	struct audit_of of = {.event = e->of_service ? AUDIT_SERVICE_CHANGED : AUDIT_TEMPLATE_APPLIED,
			      .actor = who->actor,
			      .object = name_of(e),
			      .request_id = who->request_id,
			      .reason = who->reason};
	t.created_at = s.created_at = clock_now();
	t.version = s.version = e->base + 1;
	(void)snprintf(object, sizeof(object), "%s:%s", e->of_service ? "service" : "template", name_of(e));
	int r = campaign_make_policy(ctl, c, object, t.version, who, ret_campaign);
	if (r < 0)
		return r;
	audit_edit(c, &of, e, &t);
	if (e->of_service) {
		store_change_service(commit_change(c), &s, e->base);
		commit_then(c, put_service, &s, sizeof(s));
	} else {
		store_add_template(commit_change(c), &t, e->base);
		commit_then(c, put_template, &t, sizeof(t));
	}
	policy_walk_begin(ctl, c, object, t.version, *ret_campaign, who); /* after the catalog has it */
	commit_fault_points(c, "controller.policy_edit", "controller.policy_edit_stored");
	return 0;
}

static void on_stored(struct controller *ctl, void *ctx, int code, const struct store_result *result)
{
	(void)ctl;
	(void)result;
	struct edit_job *j = ctx;
	if (code == E_STORE_CONFLICT || code == E_EXISTS)
		refused(j, E_POLICY_STALE, err_what(E_POLICY_STALE));
	else if (code < 0)
		refused(j, code, err_what(code));
	else
		answer(j);
}

/* ---- may it be -------------------------------------------------------------------------------------------------- */

/* The CA that signs it must be one for its purpose. */
static int check_template(struct controller *ctl, const struct template *t, int64_t *ret_issuer_end, struct refusal *why)
{
	struct policy_limits         limits = {ctl->conf->allow_short_validity, ctl->conf->jitter};
	const struct catalog_issuer *issuer = catalog_issuer_for(ctl->catalog, t);
	enum issuer_role             role = t->purpose == PURPOSE_CODE_SIGNING ? ISSUER_CODE_SIGNING : ISSUER_SERVICE;
	int                          r = policy_template_check(t, &limits, why);
	if (r < 0)
		return r;
	if (issuer == NULL)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "issuer: there is no issuer `%s`", t->issuer);
	if (issuer->row.role != role || issuer->row.revoked_at != 0 || issuer->row.retired)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "issuer: `%s` issues nothing for %s",
			      issuer->row.issuer_id, cert_purpose_name(t->purpose));
	*ret_issuer_end = issuer->row.not_after_at;
	return 0;
}

/* What `depends_on` names, that is known and not in the list yet. */
static int add_named(struct controller *ctl, const char *depends_on, const struct service **list, size_t *n)
{
	char name[SERVICE_SIZE];
	while (text_item(&depends_on, name, sizeof(name))) {
		const struct service *s = catalog_service(ctl->catalog, name);
		size_t                i = 0;
		while (i < *n && list[i] != s)
			i++;
		if (s == NULL || i < *n)
			continue;
		if (*n == DEPENDS_MAX)
			return E_SERVICE_FILE;
		list[(*n)++] = s;
	}
	return 0;
}

/* Judged against all that it leads to, however many services there are. */
static int check_service(struct controller *ctl, const struct service *s, struct refusal *why)
{
	const struct service *list[DEPENDS_MAX];
	size_t                n = 0;
	int                   r = add_named(ctl, s->depends_on, list, &n);
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_named(ctl, list[i]->depends_on, list, &n);
	if (r < 0)
		return refuse(why, r, s->name, "field `depends_on` leads to more than %d services", DEPENDS_MAX);
	return depends_check(list, n, s, why);
}

/* ---- what waits for a second person ---------------------------------------------------------------------------- */

static void proposal_name(struct id id, char ret[PROPOSAL_NAME])
{
	char text[ID_TEXT_SIZE];
	(void)snprintf(ret, PROPOSAL_NAME, "proposal/%s", id_text(id, text));
}

static json_t *proposal_read(struct controller *ctl, struct id id)
{
	char       name[PROPOSAL_NAME];
	struct buf text = BUF_MAX(PROPOSAL_MAX);
	json_t    *o = NULL;
	proposal_name(id, name);
	if (view_setting(ctl->view, name, &text) == 0)
		o = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	buf_free(&text);
	return o;
}

static int proposal_parse(const json_t *o, struct policy_edit *ret)
{
	const json_t  *service = json_object_get(o, "service"), *template = json_object_get(o, "template");
	struct refusal why;
	*ret = (struct policy_edit){.of_service = service != NULL,
				    .base = (uint32_t)json_integer_value(json_object_get(o, "base")),
				    .force = json_is_true(json_object_get(o, "force"))};
	int r = service != NULL ? service_json_read(service, &ret->service, &why)
				: template_json_read(template, 0, &ret->template, &why);
	return r < 0 ? E_APPROVAL_GONE : 0;
}

/* Whole, or where it is longer than `limit` what stands for it: nobody takes a part for the whole. The caller frees it. */
static char *shown_value(const json_t *v, size_t limit)
{
	char        hash[HASH_TEXT_SIZE], digest[HASH_TEXT_SIZE + 48];
	struct hash of;
	char       *text = v != NULL && !json_is_null(v) ? json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS) : strdup("-");
	if (text == NULL)
		abort();
	if (strlen(text) <= limit)
		return text;
	digest_sha256(span_text(text), &of);
	(void)snprintf(digest, sizeof(digest), "(%zu characters, sha256 %s)", strlen(text), hash_text(of, hash));
	free(text);
	text = strdup(digest);
	if (text == NULL)
		abort();
	return text;
}

/* So many characters does it take in the request, with what JSON makes of quotes. */
static size_t shown_size(const json_t *o)
{
	return json_dumpb(o, NULL, 0, JSON_COMPACT);
}

static json_t *shown_with(const json_t *changes, size_t limit)
{
	json_t *o = json_object();
	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *c = json_array_get(changes, i);
		char         *from = shown_value(json_object_get(c, "from"), limit), *to = shown_value(json_object_get(c, "to"), limit);
		json_object_set_new(o, json_string_value(json_object_get(c, "field")), json_sprintf("%s -> %s", from, to));
		free(from);
		free(to);
	}
	return o;
}

/* {field: "from -> to"}: every value whole, or as many of the shorter ones as there is room for and a digest of the others; where even
 * that does not fit, the fields by name. The hash beside it stands for all of it. */
static json_t *shown_changes(const json_t *changes)
{
	static const size_t limits[] = {SHOWN_CHANGES, 512, 256, 128, 64};
	json_t             *o = NULL;
	for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
		json_decref(o);
		o = shown_with(changes, limits[i]);
		if (shown_size(o) <= SHOWN_CHANGES)
			return o;
	}
	void *at = json_object_iter(o);
	for (; at != NULL; at = json_object_iter_next(o, at))
		json_object_iter_set_new(o, at, json_string("changed"));
	return o;
}

static void ask(struct edit_job *j)
{
	struct approval *a = &j->result.approval;
	char             name[PROPOSAL_NAME], text[HASH_TEXT_SIZE];
	struct hash      hash;
	json_t          *next = next_json(&j->edit);
	json_t          *o = json_pack("{s:o,s:I,s:b}", j->edit.of_service ? "service" : "template", next, "base",
				       (json_int_t)j->edit.base, "force", j->edit.force ? 1 : 0);
	char            *content = json_dumps(next, JSON_COMPACT | JSON_SORT_KEYS);
	if (o == NULL || content == NULL)
		abort();
	digest_sha256(span_text(content), &hash);
	json_t *what = json_pack("{s:s,s:I,s:b,s:s,s:o}", j->edit.of_service ? "service" : "template_id", name_of(&j->edit),
				 "base_version", (json_int_t)j->edit.base, "force", j->edit.force ? 1 : 0, "content_sha256",
				 hash_text(hash, text), "changes", shown_changes(json_object_get(j->result.report, "changes")));
	for (size_t i = 0; i < 3; i++) {
		static const char *const counts[] = {"certificates_affected", "renewals", "blocked"};
		json_object_set(what, counts[i], json_object_get(j->result.report, counts[i]));
	}
	json_object_set(o, "what", what);
	free(content);
	content = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	if (content == NULL)
		abort();

	struct commit *c = commit_new(j->ctl);
	a->approval_id = controller_id(clock_now());
	a->kind = j->edit.of_service ? APPROVAL_SERVICE : APPROVAL_TEMPLATE;
	text_cut(a->object, sizeof(a->object), name_of(&j->edit));
	text_cut(a->service, sizeof(a->service), j->edit.of_service ? j->edit.service.name : "");
	proposal_name(a->approval_id, name);
	store_put_setting(commit_change(c), name, span_text(content));
	approvals_request(j->ctl, c, a, what, &j->who);
	free(content);
	j->result.waits = true;
	commit_now(c, on_stored, j);
}

int policy_edit_describe(struct controller *ctl, const struct approval *a, json_t **ret)
{
	struct policy_edit e;
	json_t            *o = proposal_read(ctl, a->approval_id);
	int                r = o != NULL ? proposal_parse(o, &e) : E_APPROVAL_GONE;
	if (r == 0 && version_now(ctl, &e) != e.base)
		r = E_APPROVAL_STALE;
	if (r == 0)
		*ret = json_incref(json_object_get(o, "what"));
	json_decref(o);
	return r;
}

int policy_edit_carry_out(struct controller *ctl, struct commit *c, const struct approval *a, const struct caller *who,
			  struct api_result *ret)
{
	struct policy_edit e;
	struct refusal     why;
	int64_t            issuer_end;
	json_t            *o = proposal_read(ctl, a->approval_id);
	int                r = o != NULL ? proposal_parse(o, &e) : E_APPROVAL_GONE;
	json_decref(o);
	if (r == 0) /* as of now: another change may close a circle with it, and a CA may be revoked */
		r = e.of_service ? check_service(ctl, &e.service, &why) : check_template(ctl, &e.template, &issuer_end, &why);
	if (r == 0)
		r = store_edit(ctl, c, &e, who, &ret->campaign.campaign_id);
	if (r < 0)
		return r;
	ret->template_version = e.base + 1;
	return 0;
}

/* ---- the way of a change --------------------------------------------------------------------------------------- */

static void looked(void *job)
{
	struct edit_job *j = job;
	char             cause[CAUSE_SIZE];
	if (j->preview.code < 0) {
		if (j->preview.why.code == j->preview.code)
			refused(j, j->preview.code, j->preview.why.cause);
		else
			refused(j, j->preview.code, err_what(j->preview.code));
		return;
	}
	if (version_now(j->ctl, &j->edit) != j->edit.base) {
		refused(j, E_POLICY_STALE, err_what(E_POLICY_STALE));
		return;
	}
	j->result.report = report_of(j);
	j->result.version = j->edit.base;
	bool changes = json_array_size(json_object_get(j->result.report, "changes")) > 0;
	if (j->edit.dry_run || !changes) {
		answer(j);
		return;
	}
	if (j->preview.blocked > 0 && !j->edit.force) {
		const json_t *first = json_array_get(j->preview.violations, 0);
		(void)snprintf(cause, sizeof(cause),
			       "%llu of %llu certificates could not be renewed by themselves any more: %s: %s",
			       (unsigned long long)j->preview.blocked, (unsigned long long)j->preview.certificates,
			       json_string_value(json_object_get(first, "cert_id")),
			       json_string_value(json_object_get(first, "reason")));
		refused(j, E_POLICY_BLOCKS, cause);
		return;
	}
	if (needs_person(j->ctl)) {
		ask(j);
		return;
	}
	struct commit *c = commit_new(j->ctl);
	int            r = store_edit(j->ctl, c, &j->edit, &j->who, &j->result.campaign_id);
	if (r < 0) {
		commit_drop(c);
		refused(j, r, err_what(r));
		return;
	}
	j->result.changed = true;
	j->result.version = j->edit.base + 1;
	commit_now(c, on_stored, j);
}

static void look(void *job, struct store_view *view)
{
	struct edit_job *j = job;
	policy_preview_run(&j->preview, view);
}

void policy_edit_start(struct controller *ctl, const struct policy_edit *edit, const struct caller *who,
		       policy_edit_done_fn *done, void *ctx)
{
	struct edit_job *j = calloc(1, sizeof(*j));
	if (j == NULL)
		abort();
	j->ctl = ctl;
	j->edit = *edit;
	j->who = *who;
	j->done = done;
	j->ctx = ctx;
	j->preview = (struct policy_preview){
		.of_service = edit->of_service, .template = edit->template, .service = edit->service, .now = clock_now()};
	uint32_t now = version_now(ctl, edit);
	if (edit->expects && edit->base != now) {
		refused(j, E_POLICY_STALE, now == 0 ? "there is none" : err_what(E_POLICY_STALE));
		return;
	}
	j->edit.base = now;
	int r = edit->of_service ? check_service(ctl, &edit->service, &j->result.why)
				 : check_template(ctl, &edit->template, &j->preview.issuer_not_after_at, &j->result.why);
	if (r < 0) {
		j->result.code = r;
		answer(j);
		return;
	}
	j->preview.code = E_STORE_IO; /* stands when no view could be opened */
	workers_read(ctl->workers, look, looked, j);
}
