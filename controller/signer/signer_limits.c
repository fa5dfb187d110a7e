/* signer_limits.c - room controller/signer: the table of what each profile may be, and its checks.
 * Never: trusting the caller's policy. */
#include "controller/signer/signer_limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/cidr.h"
#include "shared/pki/key.h"

enum {
	BIT_EC_P256 = 1 << KEY_EC_P256,
	BIT_EC_P384 = 1 << KEY_EC_P384,
	BIT_RSA_2048 = 1 << KEY_RSA_2048,
	BIT_RSA_3072 = 1 << KEY_RSA_3072,
	BIT_RSA_4096 = 1 << KEY_RSA_4096,
	BIT_ED25519 = 1 << KEY_ED25519,
	KEYS_EC = BIT_EC_P256 | BIT_EC_P384,
	KEYS_ANY = KEYS_EC | BIT_RSA_2048 | BIT_RSA_3072 | BIT_RSA_4096 | BIT_ED25519,
	KEYS_SIGNING = KEYS_EC | BIT_RSA_3072 | BIT_RSA_4096 | BIT_ED25519,

	/* neither keyCertSign nor cRLSign: no leaf becomes an authority */
	USAGE_TLS = KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT | KU_KEY_AGREEMENT,
};

struct profile_rule {
	unsigned         roles;     /* 1 << enum issuer_role: who issues it */
	unsigned         keys;      /* 1 << enum key_type */
	unsigned         usage;     /* nothing outside of it */
	unsigned         extended;  /* nothing outside of it */
	unsigned         extended_all; /* all of it must be there */
	bool             names;     /* may carry DNS names and addresses */
	bool             one_name;  /* must carry one at least */
	bool             host_hash; /* subject serialNumber must be there; else must not */
	const char      *uri;       /* "agent": spiffe://DOMAIN/agent/NAME, and no other; NULL = no URI */
};

/* The read-me-first table: one row per profile. Longest validity: signer.conf, with its ceilings in signer_conf.c. */
static const struct profile_rule rules[LEAF_PROFILE_COUNT] = {
	[LEAF_SERVICE] = {.roles = 1 << ISSUER_SERVICE, .keys = KEYS_ANY, .usage = USAGE_TLS,
                          .extended = EKU_SERVER_AUTH | EKU_CLIENT_AUTH, .names = true},
	[LEAF_CODE_SIGNING] = {.roles = 1 << ISSUER_CODE_SIGNING, .keys = KEYS_SIGNING, .usage = KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION,
                               .extended = EKU_CODE_SIGNING, .extended_all = EKU_CODE_SIGNING},
	[LEAF_AGENT] = {.roles = 1 << ISSUER_AGENT, .keys = KEYS_EC, .usage = KU_DIGITAL_SIGNATURE, .extended = EKU_CLIENT_AUTH,
                        .extended_all = EKU_CLIENT_AUTH, .host_hash = true, .uri = "agent"},
	[LEAF_GATEWAY] = {.roles = 1 << ISSUER_AGENT, .keys = KEYS_EC, .usage = KU_DIGITAL_SIGNATURE,
                          .extended = EKU_SERVER_AUTH | EKU_CLIENT_AUTH, .extended_all = EKU_SERVER_AUTH, .uri = "gateway"},
	[LEAF_ADMIN_TLS] = {.roles = 1 << ISSUER_SERVICE, .keys = KEYS_EC, .usage = KU_DIGITAL_SIGNATURE, .extended = EKU_SERVER_AUTH,
                            .extended_all = EKU_SERVER_AUTH, .names = true, .one_name = true},
	[LEAF_OPERATOR] = {.roles = 1 << ISSUER_SERVICE, .keys = KEYS_ANY, .usage = KU_DIGITAL_SIGNATURE, .extended = EKU_CLIENT_AUTH,
                           .extended_all = EKU_CLIENT_AUTH},
	[LEAF_OCSP] = {.roles = 1 << ISSUER_SERVICE | 1 << ISSUER_AGENT | 1 << ISSUER_CODE_SIGNING, .keys = KEYS_EC, .usage = KU_DIGITAL_SIGNATURE,
                       .extended = EKU_OCSP_SIGNING, .extended_all = EKU_OCSP_SIGNING},
};

enum { CRL_LIFE_DAYS = 10, ROOT_CRL_LIFE_DAYS = 400 };

/* Clocks differ, a request may have waited, and notBefore is back-dated by five minutes: an hour is enough for all of it. More would
 * let a captured controller claim that a certificate was there before something happened. A request for the future is somebody's
 * stock of certificates. */
static const int64_t backdating_ms = MS_HOUR;
static const int64_t future_ms = MS_DAY;

static int limit(struct refusal *why, const struct cert_facts *f, const char *what)
{
	char serial[SERIAL_TEXT_SIZE];
	return refuse(why, E_SIGNER_LIMIT, leaf_profile_name(f->profile), "serial %s: %s", serial_text(f->serial, serial), what);
}

static int check_key(const struct profile_rule *rule, const struct cert_facts *f, struct refusal *why)
{
	enum key_type type;

	if ((rule->keys & 1U << f->key_type) == 0)
		return limit(why, f, "this type of key is not allowed for this profile");
	if (key_spki_type((struct span){f->spki, f->spki_len}, &type) < 0 || type != f->key_type)
		return limit(why, f, "the key is not of the type that the request says");
	return 0;
}

static int check_usage(const struct profile_rule *rule, const struct cert_facts *f, struct refusal *why)
{
	if (f->key_usage == 0 || (f->key_usage & ~rule->usage) != 0)
		return limit(why, f, "a key usage is not allowed for this profile, or there is none");
	if (f->ext_key_usage == 0 || (f->ext_key_usage & ~rule->extended) != 0)
		return limit(why, f, "an extended key usage is not allowed for this profile, or there is none");
	if ((f->ext_key_usage & rule->extended_all) != rule->extended_all)
		return limit(why, f, "an extended key usage of this profile is missing");
	return 0;
}

static int check_validity(const struct signer_conf *conf, const struct ca *ca, const struct cert_facts *f, int64_t now,
                          struct refusal *why)
{
	if (f->not_before_at < 0 || f->not_after_at <= f->not_before_at ||
	    f->not_after_at - f->not_before_at > conf->validity_ms[f->profile] + backdating_ms)
		return limit(why, f, "the validity is longer than this profile allows");
	if (f->not_before_at > now + future_ms)
		return limit(why, f, "the validity begins in the future");
	if (f->not_before_at < ca->issuer.not_before_at - backdating_ms || f->not_after_at > ca->issuer.not_after_at)
		return limit(why, f, "the certificate would live longer than its authority");
	return 0;
}

static bool dns_allowed(const char *domains, const char *name)
{
	char item[DNS_NAME_SIZE];

	if (text_starts(name, "*."))
		name += 2;
	while (text_item(&domains, item, sizeof(item)))
		if (strcmp(item, name) == 0 || name_below(item, name))
			return true;
	return false;
}

static int check_names(const struct signer_conf *conf, const struct profile_rule *rule, const struct cert_facts *f, struct refusal *why)
{
	struct san san;
	struct names canonical;
	size_t     cursor = 0, n = 0;

	if (names_parse(f->names.text, true, &canonical, NULL) < 0 || !names_equal(&canonical, &f->names))
		return limit(why, f, "the names are not in canonical form");
	for (; names_next(&f->names, &cursor, &san); n++)
		if (!rule->names || !(san.kind == SAN_DNS ? dns_allowed(conf->domains, san.text)
		                                          : cidr_list_holds(conf->ip_ranges, san.text)))
			return refuse(why, E_SIGNER_LIMIT, leaf_profile_name(f->profile), "`%.100s` is not allowed: domains %.80s, addresses %s",
			              san.text, rule->names ? conf->domains : "none",
			              rule->names && conf->ip_ranges[0] != '\0' ? conf->ip_ranges : "none");
	if (rule->one_name && n == 0)
		return limit(why, f, "this profile needs a name");
	return 0;
}

/* A CN with a dot passes for a DNS name in old verifiers, so it must be one of the names. */
static int check_subject(const struct profile_rule *rule, const struct cert_facts *f, struct refusal *why)
{
	struct san san;
	size_t     cursor = 0;

	if (rule->host_hash != (f->host_hash[0] != '\0'))
		return limit(why, f, "the host key's hash belongs into agents' certificates and no others");
	if (rule->uri == NULL && f->organisation[0] == '\0') /* identities are named by their URI alone */
		return limit(why, f, "the organisation is missing");
	if (strchr(f->common_name, '.') == NULL)
		return 0;
	while (names_next(&f->names, &cursor, &san))
		if (strcmp(san.text, f->common_name) == 0)
			return 0;
	return limit(why, f, "a common name with a dot must be one of the names");
}

static int check_uri(const struct signer_conf *conf, const struct profile_rule *rule, const struct cert_facts *f, struct refusal *why)
{
	const char *cursor = conf->domains;
	char        domain[DNS_NAME_SIZE], start[URI_SIZE + DNS_NAME_SIZE];

	if (rule->uri == NULL)
		return f->uri[0] == '\0' ? 0 : limit(why, f, "this profile carries no URI");
	if (!text_item(&cursor, domain, sizeof(domain)))
		return limit(why, f, "signer.conf names no domain");
	snprintf(start, sizeof(start), "spiffe://%s/%s/", domain, rule->uri);
	if (!text_starts(f->uri, start) || !name_agent_ok(f->uri + strlen(start)))
		return limit(why, f, "the URI is not spiffe://DOMAIN/KIND/NAME of this profile");
	return 0;
}

int limits_leaf(const struct signer_conf *conf, const struct ca *ca, const struct cert_facts *f, int64_t now, struct refusal *why)
{
	if ((size_t)f->profile >= LEAF_PROFILE_COUNT || (size_t)f->key_type >= KEY_TYPE_COUNT || (size_t)f->hash_alg >= HASH_ALG_COUNT)
		return refuse(why, E_SIGNER_LIMIT, "request", "the profile, key type or hash is not known");
	const struct profile_rule *rule = &rules[f->profile];
	if ((rule->roles & 1U << ca->issuer.role) == 0)
		return limit(why, f, "this authority does not issue this profile");
	if (f->crl_shard != serial_shard(f->serial))
		return limit(why, f, "the revocation list is not the one of this serial");

	int r = check_key(rule, f, why);
	if (r == 0)
		r = check_usage(rule, f, why);
	if (r == 0)
		r = check_validity(conf, ca, f, now, why);
	if (r == 0)
		r = check_names(conf, rule, f, why);
	if (r == 0)
		r = check_subject(rule, f, why);
	if (r == 0)
		r = check_uri(conf, rule, f, why);
	return r;
}

int limits_leaf_age(const struct cert_facts *f, int64_t now, struct refusal *why)
{
	char serial[SERIAL_TEXT_SIZE];
	if (f->not_before_at >= now - backdating_ms)
		return 0;
	return refuse(why, E_SIGNER_STALE, leaf_profile_name(f->profile), "serial %s: the validity begins %lld s ago, %lld are allowed",
	              serial_text(f->serial, serial), (long long)((now - f->not_before_at) / MS_SECOND),
	              (long long)(backdating_ms / MS_SECOND));
}

int limits_crl(const struct ca *ca, const struct sg_crl *crl, int64_t now, struct refusal *why)
{
	bool    root = ca->issuer.role == ISSUER_ROOT;
	int64_t life = (root ? ROOT_CRL_LIFE_DAYS : CRL_LIFE_DAYS) * MS_DAY;

	if (crl->root != root)
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "only a root's list has no distribution point");
	if (crl->number > INT64_MAX) /* none could follow it, and no store keeps it */
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "the list's number is beyond %" PRId64, INT64_MAX);
	if (crl->this_update_at < 0 || crl->next_update_at <= crl->this_update_at ||
	    crl->next_update_at - crl->this_update_at > life + backdating_ms)
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "the list would be valid for more than %d days",
		              root ? ROOT_CRL_LIFE_DAYS : CRL_LIFE_DAYS);
	if (crl->this_update_at > now + future_ms)
		return refuse(why, E_SIGNER_LIMIT, crl->issuer_id, "the list begins in the future");
	if (crl->this_update_at < now - backdating_ms)
		return refuse(why, E_SIGNER_STALE, crl->issuer_id, "list %u begins %lld s ago, %lld are allowed", crl->shard,
		              (long long)((now - crl->this_update_at) / MS_SECOND), (long long)(backdating_ms / MS_SECOND));
	return 0;
}

int limits_head(const struct sg_head *head, int64_t now, struct refusal *why)
{
	if (head->at > now + future_ms)
		return refuse(why, E_SIGNER_LIMIT, "audit head", "its time lies in the future");
	if (head->at < now - backdating_ms)
		return refuse(why, E_SIGNER_STALE, "audit head", "it is %lld s old", (long long)((now - head->at) / MS_SECOND));
	return 0;
}

void signer_limits_rate_init(struct rate_cap *r, int64_t rate, int64_t now_ms)
{
	*r = (struct rate_cap){.rate = rate, .milli_tokens = rate * 1000, .at_ms = now_ms};
}

bool signer_limits_rate_take(struct rate_cap *r, int64_t now_ms)
{
	int64_t passed = now_ms - r->at_ms;
	r->at_ms = now_ms;
	r->milli_tokens += passed > 1000 ? r->rate * 1000 : passed * r->rate;
	if (r->milli_tokens > r->rate * 1000)
		r->milli_tokens = r->rate * 1000;
	if (r->milli_tokens < 1000)
		return false;
	r->milli_tokens -= 1000;
	return true;
}
