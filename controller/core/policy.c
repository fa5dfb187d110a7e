/* policy.c - room controller/core: what may be made, by whom, when, and with which facts.
 * Never: clocks, heap, reading anything; the caller brings every value. */
#include "controller/core/policy.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define VALIDITY_MIN_MS       (60 * MS_SECOND)
#define VALIDITY_MIN_SHORT_MS (5 * MS_SECOND)
#define VALIDITY_MAX_MS       (100 * 366 * MS_DAY)
#define BACKDATE_MS           (5 * MS_MINUTE)
#define BACKDATE_SHORT_MS     MS_SECOND

enum { ATTEMPTS_MAX = 100 };

/* The renewal threshold must stay below 80 % of the validity: else a new certificate is soon due again. */
static int64_t threshold_max(int64_t validity_ms)
{
	return validity_ms / 5 * 4;
}

/* A leaf that was cut to its issuer's end must not be due at birth. */
static int64_t threshold_of(const struct template *t, int64_t not_before_at, int64_t not_after_at)
{
	int64_t limit = threshold_max(not_after_at - not_before_at);
	return t->renewal_threshold_ms < limit ? t->renewal_threshold_ms : limit;
}

/* ---- templates ---------------------------------------------------------------------------------------------- */

static int check_validity(const struct template *t, const struct policy_limits *limits, struct refusal *why)
{
	char    text[TIME_TEXT_SIZE];
	int64_t least = limits->allow_short_validity ? VALIDITY_MIN_SHORT_MS : VALIDITY_MIN_MS;
	if (t->validity_ms < least)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "validity_period is below the least value of %s",
			      duration_text(least, text));
	if (t->validity_ms > VALIDITY_MAX_MS)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "validity_period is above 100 years");

	if (t->renewal_threshold_ms < 0 || (t->auto_renewal && t->renewal_threshold_ms == 0))
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "renewal_threshold must be more than nothing");
	int64_t limit = threshold_max(t->validity_ms);
	if (t->renewal_threshold_ms >= limit) {
		int64_t largest = (limit - 1) / MS_SECOND * MS_SECOND;
		return refuse(why, E_POLICY_TEMPLATE, t->template_id,
			      "renewal_threshold must be less than 80 %% of validity_period; the largest allowed value is %s",
			      duration_text(largest, text));
	}
	if (t->emergency_threshold_ms < 0)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "emergency_threshold must not be negative");
	return 0;
}

/* What no signer of ours signs, whatever its settings: an order for it could only fail. */
static const struct {
	int64_t     validity_ms;
	unsigned    usage, extended;
	const char *usage_text, *extended_text;
} signable[PURPOSE_COUNT] = {
	[PURPOSE_SERVICE_AUTH] = {LEAF_DAYS_SERVICE * MS_DAY, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT | KU_KEY_AGREEMENT,
				  EKU_SERVER_AUTH | EKU_CLIENT_AUTH, "digitalSignature, keyEncipherment, dataEncipherment, keyAgreement",
				  "serverAuth, clientAuth"},
	[PURPOSE_CODE_SIGNING] = {LEAF_DAYS_CODE_SIGNING * MS_DAY, KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION, EKU_CODE_SIGNING, "digitalSignature, nonRepudiation",
				  "codeSigning"},
	[PURPOSE_ADMIN] = {LEAF_DAYS_OPERATOR * MS_DAY, KU_DIGITAL_SIGNATURE, EKU_CLIENT_AUTH, "digitalSignature", "clientAuth"},
};

static int check_signable(const struct template *t, struct refusal *why)
{
	char        text[TIME_TEXT_SIZE];
	const char *purpose = cert_purpose_name(t->purpose);
	if (t->validity_ms > signable[t->purpose].validity_ms)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "validity_period is above %s, the most that is signed for %s",
			      duration_text(signable[t->purpose].validity_ms, text), purpose);
	if ((t->key_usage & ~signable[t->purpose].usage) != 0)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "key_usage for %s holds more than %s", purpose, signable[t->purpose].usage_text);
	if ((t->ext_key_usage & ~signable[t->purpose].extended) != 0)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "extended_key_usage for %s holds more than %s", purpose,
			      signable[t->purpose].extended_text);
	if (t->purpose == PURPOSE_CODE_SIGNING && t->key_type == KEY_RSA_2048)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "key_size for code_signing must be 3072 or more with RSA");
	return 0;
}

static int check_usage(const struct template *t, struct refusal *why)
{
	unsigned eku = t->ext_key_usage;
	if ((t->key_usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id,
			      "key_usage must not hold keyCertSign or cRLSign: a leaf signs no certificates");
	if ((eku & EKU_OCSP_SIGNING) != 0)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "extended_key_usage must not hold OCSPSigning");

	bool code_signing = t->purpose == PURPOSE_CODE_SIGNING;
	if (code_signing != ((eku & EKU_CODE_SIGNING) != 0) || (code_signing && eku != EKU_CODE_SIGNING))
		return refuse(
			why, E_POLICY_TEMPLATE, t->template_id,
			"extended_key_usage codeSigning stands alone and exactly where certificate_purpose is code_signing");
	if (code_signing && t->patterns.text[0] != '\0')
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "subject_alt_names must be empty for code_signing");
	if (t->purpose == PURPOSE_ADMIN && eku != EKU_CLIENT_AUTH)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id,
			      "extended_key_usage must be clientAuth alone where certificate_purpose is admin");
	return check_signable(t, why);
}

int policy_template_check(const struct template *t, const struct policy_limits *limits, struct refusal *why)
{
	if (!name_template_ok(t->template_id))
		return refuse(why, E_POLICY_TEMPLATE, t->template_id,
			      "template_id must be [a-z0-9][a-z0-9_-]*, at most 63 characters");
	if ((unsigned)t->key_type >= KEY_TYPE_COUNT)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "key_type and key_size name no key that can be made");
	if ((unsigned)t->hash_alg >= HASH_ALG_COUNT)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "hash_algorithm must be SHA256, SHA384 or SHA512");
	if ((unsigned)t->purpose >= PURPOSE_COUNT)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id,
			      "certificate_purpose must be service_auth, code_signing or admin");
	if (t->service[0] != '\0' && !name_service_ok(t->service))
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "vcc_service_type is not a service name");
	if (t->max_attempts < 1 || t->max_attempts > ATTEMPTS_MAX)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "max_renewal_attempts must be 1 to %d", ATTEMPTS_MAX);
	if (t->retry_ms < MS_SECOND || t->retry_ms > 30 * MS_DAY)
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "retry_interval must be 1s to 30d");
	if (t->issuer[0] == '\0')
		return refuse(why, E_POLICY_TEMPLATE, t->template_id, "issuer must be `default` or the id of an issuer");
	int r = check_validity(t, limits, why);
	return r != 0 ? r : check_usage(t, why);
}

/* ---- assignment --------------------------------------------------------------------------------------------- */

bool policy_service_fits(const char *type, const char *service)
{
	static const char *const own[] = {"clara", "covina", "argus", "veritas", "vpb"};
	if (type[0] == '\0' || text_equal(type, service))
		return true;
	if (!text_equal(type, "external"))
		return false;
	for (size_t i = 0; i < N_ELEMENTS(own); i++) {
		if (text_equal(own[i], service))
			return false;
	}
	return true;
}

static int refuse_names(struct refusal *why, const struct san *bad, const char *whose, const char *object)
{
	return refuse(why, E_POLICY_NAMES, object, "%s%s is not within the %s", bad->kind == SAN_IP ? "IP:" : "DNS:", bad->text,
		      whose);
}

static int template_takes(const struct template *t, const char *service, const struct names *names, struct refusal *why)
{
	if (!policy_service_fits(t->service, service))
		return refuse(why, E_POLICY_SERVICE, t->template_id, "the template is for service %s, not for %s", t->service,
			      service);
	if (t->patterns.text[0] == '\0') {
		if (names->text[0] != '\0')
			return refuse(why, E_POLICY_NAMES, t->template_id, "the template takes no names");
		return 0;
	}
	if (names->text[0] == '\0' && (t->ext_key_usage & EKU_SERVER_AUTH) != 0)
		return refuse(why, E_POLICY_NAMES, t->template_id, "a server certificate needs at least one name");
	struct san bad;
	if (!names_within(names, &t->patterns, &bad))
		return refuse_names(why, &bad, "template's patterns", t->template_id);
	return 0;
}

int policy_assign(const struct agent *agent, const struct template *t, const char *service, const struct names *names,
		  struct refusal *why)
{
	if (!name_service_ok(service))
		return refuse(why, E_POLICY_SERVICE, agent->name, "the target names no valid service");
	if (agent->service[0] != '\0' && !text_equal(agent->service, service))
		return refuse(why, E_POLICY_SERVICE, agent->name, "the agent was invited for service %s, not for %s",
			      agent->service, service);
	int r = template_takes(t, service, names, why);
	if (r < 0)
		return r;
	struct san bad;
	if (t->patterns.text[0] != '\0' && !names_within(names, &agent->patterns, &bad))
		return refuse_names(why, &bad, "invite's patterns", agent->name);
	return 0;
}

int policy_request(const struct template *t, const char *service, const struct names *names, struct refusal *why)
{
	bool admin = t->purpose == PURPOSE_ADMIN;
	if (admin && service[0] != '\0')
		return refuse(why, E_POLICY_SERVICE, t->template_id, "a person's client certificate belongs to no service");
	if (!admin && !name_service_ok(service))
		return refuse(why, E_POLICY_SERVICE, t->template_id, "the request names no valid service");
	return template_takes(t, admin ? t->service : service, names, why);
}

int policy_may_follow(const struct certificate *c)
{
	if (c->agent[0] != '\0')
		return E_ISSUE_AGENT;
	if (c->revoked_at != 0)
		return E_ORDER_REVOKED;
	if (c->retired_at != 0)
		return E_ORDER_RETIRED;
	if (c->suspended_at != 0)
		return E_ORDER_SUSPENDED;
	return !id_is_none(c->open_order) ? E_ORDER_OPEN : 0;
}

/* ---- priority ----------------------------------------------------------------------------------------------- */

static const unsigned ranks[TRIGGER_COUNT] = {
	[TRIGGER_EMERGENCY] = 0,      [TRIGGER_MANUAL] = 1,    [TRIGGER_POLICY_UPDATE] = 2,
	[TRIGGER_SERVICE_UPDATE] = 3, [TRIGGER_SCHEDULED] = 5,
};

/* A bulk campaign sends `manual`. */
unsigned order_rank(enum trigger trigger, bool in_campaign)
{
	return trigger == TRIGGER_MANUAL && in_campaign ? 4 : ranks[trigger];
}

/* ---- eligibility -------------------------------------------------------------------------------------------- */

/* An order that waits for its next attempt has nothing under way: that wait is the back-off which `force` passes. */
static bool in_the_way(const struct certificate *c, const struct order *open, enum trigger trigger, bool force)
{
	if (id_is_none(c->open_order))
		return false;
	if (open == NULL || trigger == TRIGGER_SCHEDULED)
		return true;
	return open->phase != ORDER_PAUSED && !(force && open->phase == ORDER_RETRY_WAIT);
}

/* What signs code is never renewed unattended: at its threshold a person is asked. */
static bool comes_due(const struct template *t)
{
	return t->auto_renewal || t->purpose == PURPOSE_CODE_SIGNING;
}

/* A person asks for the threshold, the scheduler for the stored due time, which is the same with jitter. */
static bool is_due(const struct certificate *c, const struct template *t, enum trigger trigger, int64_t now)
{
	if (trigger == TRIGGER_SCHEDULED)
		return comes_due(t) && c->renew_at <= now;
	return serial_is_none(c->serial) || c->not_after_at - threshold_of(t, c->not_before_at, c->not_after_at) <= now;
}

static int standing(const struct certificate *c)
{
	if (c->revoked_at != 0)
		return E_ORDER_REVOKED;
	if (c->retired_at != 0)
		return E_ORDER_RETIRED;
	if (c->suspended_at != 0)
		return E_ORDER_SUSPENDED;
	if (c->agent[0] == '\0')
		return E_ORDER_NO_AGENT;
	if (!c->approved)
		return E_POLICY_APPROVAL;
	return 0;
}

static bool asks_approval(const struct certificate *c, const struct template *t, enum trigger trigger, bool force)
{
	bool attended = force || trigger == TRIGGER_MANUAL || trigger == TRIGGER_EMERGENCY;
	bool used_up = t->max_renewals > 0 && c->unattended >= t->max_renewals;
	return t->purpose == PURPOSE_CODE_SIGNING || (used_up && !attended);
}

int policy_eligible(const struct certificate *c, const struct template *t, const struct order *open, enum trigger trigger,
		    bool force, int64_t now, bool *ret_approval)
{
	int r = standing(c);
	if (r < 0)
		return r;
	if (in_the_way(c, open, trigger, force))
		return E_ORDER_OPEN;
	bool asks_threshold = trigger == TRIGGER_SCHEDULED || trigger == TRIGGER_MANUAL;
	if (asks_threshold && !force && !is_due(c, t, trigger, now))
		return E_ORDER_NOT_DUE;
	*ret_approval = asks_approval(c, t, trigger, force);
	return 0;
}

int policy_eligible_in_campaign(const struct certificate *c, const struct template *t, const struct order *open, enum trigger trigger,
				bool *ret_approval)
{
	int r = standing(c);
	if (r < 0)
		return r;
	if (in_the_way(c, open, trigger, false))
		return E_ORDER_OPEN;
	*ret_approval = asks_approval(c, t, trigger, false);
	return 0;
}

/* ---- times -------------------------------------------------------------------------------------------------- */

static int64_t whole_second(int64_t at)
{
	return at / MS_SECOND * MS_SECOND;
}

int policy_validity(const struct template *t, int64_t issuer_not_after_at, int64_t now, int64_t *ret_not_before_at,
		    int64_t *ret_not_after_at, bool *ret_cut)
{
	int64_t backdate = t->validity_ms > MS_HOUR ? BACKDATE_MS : BACKDATE_SHORT_MS;
	int64_t not_after = whole_second(now + t->validity_ms);
	bool    cut = not_after > issuer_not_after_at;
	if (cut) {
		if (t->purpose == PURPOSE_CODE_SIGNING)
			return E_ISSUE_OUTLIVES;
		not_after = whole_second(issuer_not_after_at);
	}
	if (not_after <= now)
		return E_SIGNER_LIMIT;
	*ret_not_before_at = whole_second(now - backdate);
	*ret_not_after_at = not_after;
	*ret_cut = cut;
	return 0;
}

/* FNV-1a with a final mix: stable over runs and machines, which is all that jitter needs. */
static uint64_t jitter_hash(const char *cert_id, struct serial serial)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (const char *p = cert_id; *p != '\0'; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < sizeof(serial.b); i++)
		h = (h ^ serial.b[i]) * UINT64_C(0x100000001b3);
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return h ^ (h >> 33);
}

int64_t policy_renew_at(const struct template *t, const char *cert_id, struct serial serial, int64_t not_before_at,
			int64_t not_after_at, const struct policy_limits *limits)
{
	if (!comes_due(t))
		return TIME_NEVER;
	int64_t threshold = threshold_of(t, not_before_at, not_after_at);
	int64_t range = threshold / 1000 * limits->jitter_share;
	int64_t jitter = range > 0 ? (int64_t)(jitter_hash(cert_id, serial) % (uint64_t)(range + 1)) : 0;
	return not_after_at - threshold + jitter;
}

/* ---- facts and status --------------------------------------------------------------------------------------- */

static enum leaf_profile profile_of(enum cert_purpose purpose)
{
	static const enum leaf_profile profiles[PURPOSE_COUNT] = {
		[PURPOSE_SERVICE_AUTH] = LEAF_SERVICE,
		[PURPOSE_CODE_SIGNING] = LEAF_CODE_SIGNING,
		[PURPOSE_ADMIN] = LEAF_OPERATOR,
	};
	return profiles[purpose];
}

/* First DNS name that fits (X.520: 64 characters), else the cert_id, which holds no dot and so is never taken for a name. */
static void common_name(const struct certificate *c, const struct names *names, char ret[SUBJECT_SIZE])
{
	struct san san;
	size_t     cursor = 0;
	while (names_next(names, &cursor, &san)) {
		if (san.kind != SAN_DNS)
			continue;
		if (text_copy(ret, SUBJECT_SIZE, san.text) == 0)
			return;
		break;
	}
	text_cut(ret, SUBJECT_SIZE, c->cert_id);
}

int policy_facts(const struct certificate *c, const struct template *t, const char *organisation, int64_t not_before_at,
		 int64_t not_after_at, struct cert_facts *ret)
{
	char o[SUBJECT_SIZE];
	if ((unsigned)t->purpose >= PURPOSE_COUNT)
		return E_POLICY_TEMPLATE;
	int r = text_copy(o, sizeof(o), organisation);
	if (r != 0)
		return r;
	struct names        none = {.text = ""};
	const struct names *names = t->patterns.text[0] != '\0' ? &c->names : &none;

	memcpy(ret->organisation, o, sizeof(o));
	common_name(c, names, ret->common_name);
	ret->names = *names;
	ret->profile = profile_of(t->purpose);
	ret->not_before_at = not_before_at;
	ret->not_after_at = not_after_at;
	ret->host_hash[0] = '\0';
	ret->uri[0] = '\0';
	ret->key_type = t->key_type;
	ret->key_usage = t->key_usage;
	ret->ext_key_usage = t->ext_key_usage;
	ret->hash_alg = t->hash_alg;
	return 0;
}

/* ---- what somebody has to know --------------------------------------------------------------------------------- */

const char *policy_alert_name(enum policy_alert a)
{
	static const char *const names[POLICY_ALERT_COUNT] = {
		[POLICY_ALERT_EMERGENCY] = "emergency_threshold",
		[POLICY_ALERT_RENEWALS_NEAR] = "max_renewals_near",
		[POLICY_ALERT_RENEWALS_USED] = "max_renewals_reached",
		[POLICY_ALERT_REVOKED] = "issuance_revoked",
	};
	return (size_t)a < N_ELEMENTS(names) ? names[a] : "unknown";
}

bool policy_alerts(enum policy_alert a, const struct certificate *c, const struct template *t, int64_t now)
{
	if (c->revoked_at != 0 || c->retired_at != 0)
		return false;
	switch (a) {
	case POLICY_ALERT_EMERGENCY:
		return !serial_is_none(c->serial) && c->not_after_at - t->emergency_threshold_ms <= now;
	case POLICY_ALERT_RENEWALS_NEAR:
		return t->max_renewals > 0 && c->unattended + 1 == t->max_renewals;
	case POLICY_ALERT_RENEWALS_USED:
		return t->max_renewals > 0 && c->unattended >= t->max_renewals;
	case POLICY_ALERT_REVOKED:
		return c->serial_revoked_at != 0;
	case POLICY_ALERT_COUNT:
		break;
	}
	return false;
}

int64_t policy_alert_at(const struct certificate *c, const struct template *t, int64_t now)
{
	const int64_t at[] = {c->not_after_at - t->emergency_threshold_ms, c->not_after_at};
	if (serial_is_none(c->serial) || c->revoked_at != 0 || c->retired_at != 0)
		return TIME_NEVER;
	for (size_t i = 0; i < N_ELEMENTS(at); i++)
		if (at[i] > now)
			return at[i];
	return TIME_NEVER;
}

int64_t policy_crossing_at(const struct certificate *c, const struct template *t, int64_t now)
{
	if (serial_is_none(c->serial))
		return TIME_NEVER;
	const int64_t at[] = {c->not_after_at - threshold_of(t, c->not_before_at, c->not_after_at), c->not_after_at - t->emergency_threshold_ms,
			      c->not_after_at};
	int64_t       next = TIME_NEVER;
	for (size_t i = 0; i < N_ELEMENTS(at); i++)
		if (at[i] > now && at[i] < next)
			next = at[i];
	return next;
}

int64_t policy_revoked_at(const struct certificate *c)
{
	return c->revoked_at != 0 ? c->revoked_at : c->serial_revoked_at;
}

enum cert_status policy_status(const struct certificate *c, const struct template *t, int64_t now)
{
	if (policy_revoked_at(c) != 0)
		return CERT_REVOKED;
	if (c->suspended_at != 0)
		return CERT_SUSPENDED;
	if (serial_is_none(c->serial))
		return CERT_REQUESTED;
	if (c->not_after_at <= now)
		return CERT_EXPIRED;
	if (c->retired_at != 0)
		return CERT_ISSUED;
	if (t != NULL && c->not_after_at - threshold_of(t, c->not_before_at, c->not_after_at) <= now)
		return CERT_EXPIRING;
	return c->proved ? CERT_ACTIVE : CERT_ISSUED;
}

enum cert_status policy_issuance_status(const struct issuance *i, const struct template *t, int64_t now)
{
	if (i->state == ISSUANCE_REVOKED)
		return CERT_REVOKED;
	if (i->held_at != 0)
		return CERT_SUSPENDED;
	if (i->state == ISSUANCE_INTENT || i->state == ISSUANCE_VOID)
		return CERT_REQUESTED;
	if (i->not_after_at <= now)
		return CERT_EXPIRED;
	if (i->state == ISSUANCE_RENEWED)
		return CERT_RENEWED;
	if (t != NULL && i->not_after_at - threshold_of(t, i->not_before_at, i->not_after_at) <= now)
		return CERT_EXPIRING;
	return i->state == ISSUANCE_ACTIVE ? CERT_ACTIVE : CERT_ISSUED;
}
