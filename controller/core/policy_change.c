/* policy_change.c - room controller/core: what a changed template means for one certificate made from it.
 * Never: clocks, heap, reading anything. */
#include "controller/core/policy_change.h"

#include "shared/base/text.h"

static bool takes_names(const struct template *t)
{
	return t->patterns.text[0] != '\0';
}

bool policy_change_renews(const struct template *was, const struct template *next, const struct certificate *c)
{
	bool names = c->names.text[0] != '\0' && takes_names(was) != takes_names(next);
	return was->validity_ms != next->validity_ms || was->key_type != next->key_type || was->hash_alg != next->hash_alg ||
	       was->key_usage != next->key_usage || was->ext_key_usage != next->ext_key_usage || was->purpose != next->purpose ||
	       !text_equal(was->issuer, next->issuer) || names;
}

static bool names_fit(const struct template *t, const struct certificate *c)
{
	struct san bad;
	if (!takes_names(t))
		return c->names.text[0] == '\0';
	if (c->names.text[0] == '\0')
		return (t->ext_key_usage & EKU_SERVER_AUTH) == 0;
	return names_within(&c->names, &t->patterns, &bad);
}

bool policy_change_fits(const struct template *t, const struct certificate *c)
{
	return names_fit(t, c) && policy_service_fits(t->service, c->service);
}

static bool used_up(const struct template *t, const struct certificate *c)
{
	return t->max_renewals > 0 && c->unattended >= t->max_renewals;
}

const char *policy_change_blocks(const struct template *was, const struct template *next, const struct certificate *c,
				 int64_t issuer_not_after_at, int64_t now, struct refusal *why)
{
	int64_t from, to;
	bool    cut;
	if (was->purpose != next->purpose) {
		(void)!refuse(why, E_POLICY_BLOCKS, c->cert_id, "certificate_purpose changes from %s to %s below it", cert_purpose_name(was->purpose),
			      cert_purpose_name(next->purpose));
		return "certificate_purpose";
	}
	if (policy_service_fits(was->service, c->service) && !policy_service_fits(next->service, c->service)) {
		(void)!refuse(why, E_POLICY_BLOCKS, c->cert_id, "vcc_service_type would be %s, and its service is %s", next->service, c->service);
		return "vcc_service_type";
	}
	if (names_fit(was, c) && !names_fit(next, c)) {
		(void)!refuse(why, E_POLICY_BLOCKS, c->cert_id, "subject_alt_names would not permit its names");
		return "subject_alt_names";
	}
	if (policy_validity(next, issuer_not_after_at, now, &from, &to, &cut) < 0) {
		(void)!refuse(why, E_POLICY_BLOCKS, c->cert_id, "validity_period reaches beyond the end of its issuer");
		return "validity_period";
	}
	if (!used_up(was, c) && used_up(next, c)) {
		(void)!refuse(why, E_POLICY_BLOCKS, c->cert_id, "max_renewals would be %u, and %u unattended renewals have been", next->max_renewals,
			      c->unattended);
		return "max_renewals";
	}
	return NULL;
}

/* ---- compliance ------------------------------------------------------------------------------------------------- */

static bool weak_rsa(const struct template *t)
{
	return t->key_type == KEY_RSA_2048;
}

static bool unverified(const struct template *t)
{
	return !t->post_validation;
}

static bool quiet(const struct template *t)
{
	return t->audit_level == AUDIT_MINIMAL;
}

/* The rules that a template alone can break; the others are those of reports. */
static const struct {
	uint32_t profile;
	const char *name;
	const char *field;
	bool (*broken)(const struct template *t);
	const char *text;
} rules[] = {
	{PROFILE_BSI_TR, "BSI_TR", "key_size", weak_rsa, "RSA keys below 3000 bit are no longer allowed (TR-02102-1)"},
	{PROFILE_GDPR, "GDPR", "key_size", weak_rsa, "RSA keys below 3000 bit are not the state of the art (Art. 32(1)(a))"},
	{PROFILE_GDPR, "GDPR", "post_deployment_validation", unverified, "a deployment that is not verified is not tested for effect (Art. 32(1)(d))"},
	{PROFILE_AI_ACT, "AI_ACT", "audit_level", quiet, "events must be recorded over the whole life (Art. 12)"},
};

bool policy_violation(const struct template *t, size_t i, const char **ret_profile, const char **ret_field, const char **ret_text)
{
	for (size_t k = 0; k < N_ELEMENTS(rules); k++) {
		if ((t->profiles & rules[k].profile) == 0 || !rules[k].broken(t) || i-- != 0)
			continue;
		*ret_profile = rules[k].name;
		*ret_field = rules[k].field;
		*ret_text = rules[k].text;
		return true;
	}
	return false;
}
