/* policy_preview.c - room controller/daemon: what a changed template or service would do to the live set.
 * Never: changing anything. */
#include "controller/daemon/policy_preview.h"

#include <stdlib.h>
#include <string.h>

#include "controller/core/policy_change.h"
#include "controller/daemon/service_policy.h"
#include "shared/base/text.h"

enum { PAGE = 200 };

/* Rows beside the certificates; those of one page mostly share them. */
struct beside {
	struct store_view *view;
	struct service     service;
	struct template    current, issued; /* template in force; the one that the certificate was made from */
};

bool policy_preview_live(const struct certificate *c)
{
	return c->revoked_at == 0 && c->retired_at == 0;
}

static void service_of(struct beside *b, const char *name)
{
	if (text_equal(b->service.name, name))
		return;
	if (view_service(b->view, name, &b->service) < 0)
		b->service = (struct service){.version = 0};
	text_cut(b->service.name, sizeof(b->service.name), name);
}

static int templates_of(struct beside *b, const struct certificate *c)
{
	int r = 0;
	if (!text_equal(b->current.template_id, c->template_id))
		r = view_template(b->view, c->template_id, 0, &b->current);
	if (r == 0 && c->template_version != 0 &&
	    (b->issued.version != c->template_version || !text_equal(b->issued.template_id, c->template_id)))
		r = view_template(b->view, c->template_id, c->template_version, &b->issued);
	return r;
}

static void note(struct policy_preview *p, const char *cert_id, const char *field, const char *reason)
{
	if (json_array_size(p->violations) < PREVIEW_LISTED)
		json_array_append_new(p->violations, json_pack("{s:s,s:s,s:s}", "cert_id", cert_id, "field", field, "reason", reason));
	p->blocked++;
}

static void count_renewal(struct policy_preview *p, const struct certificate *c, const struct template *issued)
{
	if (serial_is_none(c->serial) || !policy_change_renews(issued, &p->template, c))
		return;
	p->renewals++;
	if (json_array_size(p->renewed) < PREVIEW_LISTED)
		json_array_append_new(p->renewed, json_string(c->cert_id));
}

static int look(struct policy_preview *p, struct beside *b, const struct certificate *c)
{
	struct template was, next;
	struct refusal  why;
	int             r = templates_of(b, c);
	if (r == E_NOT_FOUND)
		return 0; /* a new template: none of these is made from it */
	if (r < 0)
		return r;
	service_of(b, c->service);
	p->certificates++;
	bool fitted = service_policy_apply(&b->service, &b->current, &was, NULL) == 0;
	int  fits = service_policy_apply(p->of_service ? &p->service : &b->service, p->of_service ? &b->current : &p->template, &next, &why);
	if (fits < 0 && p->of_service)
		return refuse(&p->why, fits, p->service.name, "%s", why.cause); /* its author can correct it: no force helps */
	const char *field = policy_change_blocks(&was, &next, c, p->of_service ? INT64_MAX : p->issuer_not_after_at, p->now, &why);
	if (field != NULL)
		note(p, c->cert_id, field, why.cause);
	else if (fits < 0 && fitted)
		note(p, c->cert_id, "policy", why.cause);
	if (!p->of_service && c->template_version != 0)
		count_renewal(p, c, &b->issued);
	return 0;
}

void policy_preview_run(struct policy_preview *p, struct store_view *view)
{
	struct certificate *page = calloc(PAGE, sizeof(*page));
	struct beside      *b = calloc(1, sizeof(*b));
	struct cert_filter  filter = {.now = p->now, .template_id = p->template.template_id};
	char                after[CERT_ID_SIZE] = "";
	size_t              n = PAGE;
	if (p->of_service)
		filter = (struct cert_filter){.now = p->now, .service = p->service.name};
	p->renewed = json_array();
	p->violations = json_array();
	p->code = page == NULL || b == NULL ? E_NOMEM : view == NULL ? E_STORE_IO : 0;
	if (p->code == 0)
		b->view = view;
	while (p->code == 0 && n == PAGE) {
		p->code = view_certificates(view, &filter, after, page, PAGE, &n);
		for (size_t i = 0; p->code == 0 && i < n; i++) {
			text_cut(after, sizeof(after), page[i].cert_id);
			if (policy_preview_live(&page[i]))
				p->code = look(p, b, &page[i]);
		}
	}
	free(page);
	free(b);
}

void policy_preview_done(struct policy_preview *p)
{
	json_decref(p->renewed);
	json_decref(p->violations);
	p->renewed = p->violations = NULL;
}
