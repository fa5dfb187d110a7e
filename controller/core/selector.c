/* selector.c - room controller/core: which certificates a campaign means.
 * Never: fnmatch; names compare by label. */
#include "controller/core/selector.h"

#include <string.h>

#include "shared/base/text.h"

static const char *const names[SELECT_KIND_COUNT] = {
	[SELECT_ALL] = "all",     [SELECT_SERVICE] = "service", [SELECT_TEMPLATE] = "template",
	[SELECT_AGENT] = "agent", [SELECT_PATTERN] = "pattern", [SELECT_IDS] = "ids",
};

const char *selector_kind_name(enum selector_kind k)
{
	return (size_t)k < N_ELEMENTS(names) ? names[k] : "unknown";
}

int selector_kind_parse(const char *name, enum selector_kind *ret)
{
	for (size_t i = 0; i < N_ELEMENTS(names); i++)
		if (text_equal(names[i], name)) {
			*ret = (enum selector_kind)i;
			return 0;
		}
	return E_SYNTAX;
}

static int pattern_check(struct selector *s, struct refusal *why)
{
	char        canonical[DNS_NAME_SIZE];
	const char *plain = text_starts(s->value, "*.") ? s->value + 2 : s->value;
	if (name_dns(plain, false, canonical) < 0)
		return refuse(why, E_CAMPAIGN_SELECTOR, "pattern", "`%s` is neither a DNS name nor \"*.\" before one",
			      s->value);
	memmove(s->value + (plain - s->value), canonical, strlen(canonical) + 1);
	return 0;
}

int selector_check(struct selector *s, struct refusal *why)
{
	if (s->type[0] != '\0' && !name_template_ok(s->type))
		return refuse(why, E_CAMPAIGN_SELECTOR, "cert_type_filter", "`%s` is no template_id", s->type);
	switch (s->kind) {
	case SELECT_SERVICE:
		return name_service_ok(s->value)
			       ? 0
			       : refuse(why, E_CAMPAIGN_SELECTOR, "service", "`%s` is no name of a service", s->value);
	case SELECT_TEMPLATE:
		return name_template_ok(s->value)
			       ? 0
			       : refuse(why, E_CAMPAIGN_SELECTOR, "template", "`%s` is no template_id", s->value);
	case SELECT_AGENT:
		return name_agent_ok(s->value)
			       ? 0
			       : refuse(why, E_CAMPAIGN_SELECTOR, "agent", "`%s` is no name of an agent", s->value);
	case SELECT_PATTERN:
		return pattern_check(s, why);
	default:
		return 0;
	}
}

/* "*.d": any depth below d, not d itself; a wildcard name counts by its text. Else the name itself. */
static bool name_meant(const char *pattern, const char *name)
{
	if (text_starts(pattern, "*."))
		return name_below(pattern + 2, name);
	return text_equal(pattern, name);
}

/* Certificates without names are found by where they belong. A cert_id may hold what no DNS label may, so the text is compared
 * as it is. */
static bool virtual_meant(const char *pattern, const struct certificate *c, const char *domain)
{
	char        name[CERT_ID_SIZE + SERVICE_SIZE + DNS_NAME_SIZE] = "";
	const char *parts[] = {c->cert_id, ".", c->service, ".", domain};
	size_t      n = 0;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		size_t len = strlen(parts[i]);
		if (len >= sizeof(name) - n)
			return false;
		memcpy(name + n, parts[i], len + 1);
		n += len;
	}
	return name_meant(pattern, name);
}

static bool pattern_meant(const char *pattern, const struct certificate *c, const char *domain)
{
	struct san san;
	size_t     cursor = 0;
	while (names_next(&c->names, &cursor, &san))
		if (san.kind == SAN_DNS && name_meant(pattern, san.text))
			return true;
	return virtual_meant(pattern, c, domain);
}

bool selector_matches(const struct selector *s, const struct certificate *c, bool signs_code, const char *domain)
{
	bool named = s->type[0] != '\0' || s->kind == SELECT_TEMPLATE || s->kind == SELECT_IDS;
	if ((signs_code && !named) || (s->type[0] != '\0' && !text_equal(s->type, c->template_id)))
		return false;
	switch (s->kind) {
	case SELECT_ALL:
	case SELECT_IDS:
		return true;
	case SELECT_SERVICE:
		return text_equal(s->value, c->service);
	case SELECT_TEMPLATE:
		return text_equal(s->value, c->template_id);
	case SELECT_AGENT:
		return text_equal(s->value, c->agent);
	case SELECT_PATTERN:
		return pattern_meant(s->value, c, domain);
	default:
		return false;
	}
}
