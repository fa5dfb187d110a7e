/* campaign_empty.c - room controller/daemon: a selection that means nothing: is there a mistyped name in it?
 * Whoever mistypes a name in an emergency must not read that it was completed. Never: changing anything. */
#include "controller/daemon/campaign_empty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"

enum { PAGE = 200, ROWS_MAX = 20000 };

/* A name that was given, and of those that there are the one that is nearest to it. */
struct search {
	const struct campaign_plan *p;
	const char                 *given;
	bool                        there;
	size_t                      distance;
	char                        near[DNS_NAME_SIZE];
};

static void look_at(struct search *s, const char *name)
{
	size_t d = text_distance(s->given, name);
	s->there |= d == 0;
	if (d < s->distance) {
		s->distance = d;
		text_cut(s->near, sizeof(s->near), name);
	}
}

/* Up to a third of it is mistyped, and no more than two signs. */
static void search_begin(struct search *s, const struct campaign_plan *p, const char *given)
{
	size_t n = strlen(given) / 3;
	*s = (struct search){.p = p, .given = given, .distance = n < 2 ? n + 1 : 3};
}

/* ---- what there is ---------------------------------------------------------------------------------------------- */

/* A pattern is compared with those that a service or a host usually has. */
static void look_at_pattern(struct search *s, const char *name, const char *service)
{
	char text[AGENT_NAME_SIZE + SERVICE_SIZE + DNS_NAME_SIZE + 4];
	(void)snprintf(text, sizeof(text), "%s.%s%s%s", name, service, service[0] != '\0' ? "." : "", s->p->domain);
	if (strlen(text) < DNS_NAME_SIZE)
		look_at(s, text);
}

static int services(struct search *s, struct store_view *view, bool as_pattern)
{
	struct service *rows = calloc(PAGE, sizeof(*rows));
	char            after[SERVICE_SIZE] = "";
	size_t          n = PAGE;
	int             r = rows != NULL ? 0 : E_NOMEM;
	for (size_t seen = 0; r == 0 && n == PAGE && seen < ROWS_MAX; seen += n) {
		r = view_services(view, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), rows[i].name);
			if (!rights_service(&s->p->request.by, rows[i].name))
				continue;
			if (as_pattern)
				look_at_pattern(s, "*", rows[i].name), look_at_pattern(s, rows[i].name, "");
			else
				look_at(s, rows[i].name);
		}
	}
	free(rows);
	return r;
}

static int agents(struct search *s, struct store_view *view, bool as_pattern)
{
	struct agent *rows = calloc(PAGE, sizeof(*rows));
	char          after[AGENT_NAME_SIZE] = "";
	size_t        n = PAGE;
	int           r = rows != NULL ? 0 : E_NOMEM;
	for (size_t seen = 0; r == 0 && n == PAGE && seen < ROWS_MAX; seen += n) {
		r = view_agents(view, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), rows[i].name);
			if (!rights_service(&s->p->request.by, rows[i].service))
				continue;
			if (as_pattern)
				look_at_pattern(s, rows[i].name, rows[i].service);
			else
				look_at(s, rows[i].name);
		}
	}
	free(rows);
	return r;
}

static int templates(struct search *s, struct store_view *view)
{
	struct template *rows = calloc(PAGE, sizeof(*rows));
	char   after[TEMPLATE_ID_SIZE] = "";
	size_t n = PAGE;
	int    r = rows != NULL ? 0 : E_NOMEM;
	for (size_t seen = 0; r == 0 && n == PAGE && seen < ROWS_MAX; seen += n) {
		r = view_templates(view, after, rows, PAGE, &n);
		for (size_t i = 0; r == 0 && i < n; i++) {
			text_cut(after, sizeof(after), rows[i].template_id);
			look_at(s, rows[i].template_id);
		}
	}
	free(rows);
	return r;
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static int not_there(struct campaign_plan *p, const struct search *s, const char *kind)
{
	if (s->near[0] != '\0')
		return refuse(&p->why, E_NOT_FOUND, s->given, "there is no such %s; `%s` is near", kind, s->near);
	return refuse(&p->why, E_NOT_FOUND, s->given, "there is no such %s", kind);
}

static int search_kind(struct search *s, struct store_view *view, enum selector_kind kind)
{
	switch (kind) {
	case SELECT_SERVICE:
		return services(s, view, false);
	case SELECT_AGENT:
		return agents(s, view, false);
	case SELECT_TEMPLATE:
		return templates(s, view);
	default: {
		int r = services(s, view, true);
		return r == 0 ? agents(s, view, true) : r;
	}
	}
}

/* Nothing was named: everything is meant. */
static bool names_nothing(const struct campaign_plan *p)
{
	const struct selector *s = &p->request.selector;
	bool whole_domain = s->kind == SELECT_PATTERN && text_starts(s->value, "*.") && text_equal(s->value + 2, p->domain);
	return s->type[0] == '\0' && (s->kind == SELECT_ALL || whole_domain || p->request.kind == CAMPAIGN_SERVICE);
}

int campaign_empty_why(struct campaign_plan *p, struct store_view *view)
{
	const struct selector *sel = &p->request.selector;
	struct search          s;
	int                    r = 0;
	if (names_nothing(p))
		return 0;
	if (sel->type[0] != '\0') {
		search_begin(&s, p, sel->type);
		r = templates(&s, view);
		if (r == 0 && !s.there)
			return not_there(p, &s, "template");
	}
	if (r < 0 || sel->kind == SELECT_ALL || sel->kind == SELECT_IDS)
		return r < 0 ? r : refuse(&p->why, E_CAMPAIGN_EMPTY, "selection", "no certificate of type %s is meant", sel->type);
	search_begin(&s, p, sel->value);
	r = search_kind(&s, view, sel->kind);
	if (r < 0)
		return r;
	if (!s.there && sel->kind != SELECT_PATTERN)
		return not_there(p, &s, selector_kind_name(sel->kind));
	if (!s.there && s.near[0] != '\0')
		return refuse(&p->why, E_CAMPAIGN_EMPTY, s.given, "no certificate has such a name; `%s` is near", s.near);
	if (p->request.kind == CAMPAIGN_BULK && sel->kind == SELECT_PATTERN && sel->type[0] == '\0')
		return 0; /* the plan's answer is that nothing is meant: no emergency hangs on it */
	return refuse(&p->why, E_CAMPAIGN_EMPTY, s.given, "nothing that can be renewed is of this %s", selector_kind_name(sel->kind));
}
