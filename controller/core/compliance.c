/* compliance.c - room controller/core: each check is a few lines; the table at the end names them.
 * A sentence stands beside every result but pass. Never: a rule's own numbers; those are parameters. */
#include "controller/core/compliance.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

const char *compliance_result_name(enum compliance_result r)
{
	static const char *const names[COMPLIANCE_RESULT_COUNT] = {
		[COMPLIANCE_PASS] = "pass",
		[COMPLIANCE_FAIL] = "fail",
		[COMPLIANCE_NOT_ASSESSABLE] = "not_assessable",
		[COMPLIANCE_EXCEPTION] = "exception",
	};
	return (size_t)r < N_ELEMENTS(names) ? names[r] : "unknown";
}

static const char *const severities[SEVERITY_COUNT] = {[SEVERITY_ERROR] = "error", [SEVERITY_WARN] = "warn", [SEVERITY_INFO] = "info"};

const char *compliance_severity_name(enum compliance_severity s)
{
	return (size_t)s < N_ELEMENTS(severities) ? severities[s] : "unknown";
}

int compliance_severity_parse(const char *name, enum compliance_severity *ret)
{
	for (unsigned s = 0; s < SEVERITY_COUNT; s++)
		if (text_equal(name, severities[s])) {
			*ret = (enum compliance_severity)s;
			return 0;
		}
	return E_SYNTAX;
}

/* ---- results with their sentences ---- */

#define SAY(result, en, de)                                                                                                    \
	do {                                                                                                                   \
		static const struct compliance_text why = {{en, de}};                                                          \
		*ret_why = &why;                                                                                               \
		return (result);                                                                                               \
	} while (0)
#define FAIL(en, de)    SAY(COMPLIANCE_FAIL, en, de)
#define UNKNOWN(en, de) SAY(COMPLIANCE_NOT_ASSESSABLE, en, de)
#define CERT_CHECK(name)                                                                                                       \
	static enum compliance_result name(const struct compliance_cert *c, const struct compliance_params *p, const struct compliance_text **ret_why)
#define SYSTEM_CHECK(name)                                                                                                     \
	static enum compliance_result name(const struct compliance_system *s, const struct compliance_params *p, const struct compliance_text **ret_why)
#define NOT_ISSUED() UNKNOWN("it was not issued yet", "es wurde noch nicht ausgestellt")
#define NO_TEMPLATE() UNKNOWN("the version of the template that it was made from is not known", "die Version der Vorlage, aus der es entstand, ist nicht bekannt")

static bool issued(const struct compliance_cert *c)
{
	return !serial_is_none(c->cert->serial);
}

/* Where one was issued its own facts count, else what it would be made from. */
static const struct template *shape(const struct compliance_cert *c)
{
	return c->made_from != NULL ? c->made_from : issued(c) ? NULL : c->policy;
}

static bool is_rsa(enum key_type k)
{
	return k == KEY_RSA_2048 || k == KEY_RSA_3072 || k == KEY_RSA_4096;
}

/* ---- of a certificate ---- */

CERT_CHECK(names_without_persons)
{
	size_t     cursor = 0;
	struct san san;
	(void)p;
	if (strchr(c->cert->names.text, '@') != NULL || strchr(c->cert->cert_id, '@') != NULL)
		FAIL("a name is a mail address", "ein Name ist eine Mailadresse");
	while (names_next(&c->cert->names, &cursor, &san))
		if (san.kind != SAN_DNS && san.kind != SAN_IP)
			FAIL("a name is neither DNS nor IP", "ein Name ist weder DNS noch IP");
	return COMPLIANCE_PASS;
}

/* "pki@example.org", "mailto:pki@..." -> "pki" */
static bool is_role(const char *contact, const char *words)
{
	char        word[64];
	const char *name = text_starts(contact, "mailto:") ? contact + 7 : contact;
	size_t      n = 0;
	while (name[n] != '\0' && name[n] != '@' && name[n] != '+')
		n++;
	while (text_item(&words, word, sizeof(word)))
		if (strlen(word) == n && memcmp(word, name, n) == 0)
			return true;
	return false;
}

CERT_CHECK(owner_is_role)
{
	char        contact[256];
	const char *cursor = c->policy != NULL && c->policy->notify[0] != '\0' ? c->policy->notify : c->contacts;
	bool        any = false;
	for (; text_item(&cursor, contact, sizeof(contact)); any = true)
		if (!is_role(contact, p->words))
			FAIL("a contact is not on the list of role mailboxes", "ein Kontakt steht nicht auf der Liste der Funktionspostfächer");
	if (!any)
		FAIL("nobody is named as contact", "kein Kontakt ist genannt");
	return COMPLIANCE_PASS;
}

CERT_CHECK(key_on_host)
{
	(void)p;
	if (c->cert->agent[0] == '\0')
		UNKNOWN("its key was brought by a person: where it is kept is not known here",
			"den Schlüssel brachte eine Person mit: wo er liegt, ist hier nicht bekannt");
	return COMPLIANCE_PASS; /* hosts make keys themselves, and no message can carry one */
}

CERT_CHECK(crypto_floor)
{
	const struct template *t = shape(c);
	if (t == NULL)
		NO_TEMPLATE();
	if (is_rsa(t->key_type) && key_type_size(t->key_type) < p->number)
		FAIL("its RSA key is smaller than the rule demands", "der RSA-Schlüssel ist kleiner als verlangt");
	return COMPLIANCE_PASS; /* elliptic curves begin at 256 bit, hashes at SHA-256 */
}

CERT_CHECK(no_lapse)
{
	(void)p;
	if (issued(c) && c->cert->not_after_at <= c->now)
		FAIL("it has expired", "es ist abgelaufen");
	if (c->policy == NULL)
		UNKNOWN("its template is not known", "die Vorlage ist nicht bekannt");
	if (!c->policy->auto_renewal)
		FAIL("it is not renewed by itself", "es wird nicht selbsttätig erneuert");
	return COMPLIANCE_PASS;
}

CERT_CHECK(life_at_most)
{
	if (!issued(c))
		NOT_ISSUED();
	/* a second and the back-dating of five minutes do not count */
	if (c->cert->not_after_at - c->cert->not_before_at > p->days * MS_DAY + 10 * MS_MINUTE)
		FAIL("it is valid for longer than the rule allows", "es gilt länger, als die Regel erlaubt");
	return COMPLIANCE_PASS;
}

CERT_CHECK(served_proved)
{
	if (!issued(c))
		NOT_ISSUED();
	if (c->stale > 0)
		FAIL("something else than what was issued is served", "ausgeliefert wird etwas anderes als das ausgestellte");
	if (c->targets == 0)
		UNKNOWN("no host reports where it is served", "kein Host meldet, wo es ausgeliefert wird");
	if (c->unprobed > 0)
		UNKNOWN("handshakes cannot prove what is served there", "Handshakes können dort nicht belegen, was ausgeliefert wird");
	if (c->shown_at < c->now - p->days * MS_DAY)
		FAIL("what is served was not proved lately", "was ausgeliefert wird, wurde zuletzt nicht belegt");
	return COMPLIANCE_PASS;
}

CERT_CHECK(lifecycle_recorded)
{
	(void)p;
	if (c->policy == NULL)
		UNKNOWN("its template is not known", "die Vorlage ist nicht bekannt");
	if (c->policy->audit_level == AUDIT_MINIMAL)
		FAIL("its template records changes of state only", "die Vorlage zeichnet nur Zustandswechsel auf");
	return COMPLIANCE_PASS;
}

CERT_CHECK(renewed_early)
{
	if (c->policy == NULL)
		UNKNOWN("its template is not known", "die Vorlage ist nicht bekannt");
	if (issued(c) && c->cert->not_after_at <= c->now)
		FAIL("it has expired", "es ist abgelaufen");
	if (!c->policy->auto_renewal)
		FAIL("it is not renewed by itself", "es wird nicht selbsttätig erneuert");
	if (c->policy->renewal_threshold_ms * p->number < c->policy->validity_ms)
		FAIL("its renewal begins later than the rule demands", "die Erneuerung beginnt später als verlangt");
	if (!c->policy->post_validation)
		FAIL("a failed test does not put the old one back", "ein Fehlschlag führt nicht zum alten zurück");
	return COMPLIANCE_PASS;
}

CERT_CHECK(curve_known)
{
	const struct template *t = shape(c);
	(void)p;
	if (t == NULL)
		NO_TEMPLATE();
	if (t->key_type == KEY_ED25519)
		UNKNOWN("Ed25519 is not judged by this rule", "Ed25519 wird von dieser Regel nicht beurteilt");
	return COMPLIANCE_PASS; /* P-256 and P-384 are the only curves of keys here */
}

CERT_CHECK(hash_known)
{
	const struct template *t = shape(c);
	(void)p;
	if (t == NULL)
		NO_TEMPLATE();
	if ((unsigned)t->hash_alg >= HASH_ALG_COUNT)
		FAIL("the hash of its signature is none of SHA-256, SHA-384, SHA-512", "der Hash der Signatur ist keiner von SHA-256, SHA-384, SHA-512");
	return COMPLIANCE_PASS;
}

CERT_CHECK(ends_before)
{
	if (!issued(c))
		NOT_ISSUED();
	if (c->cert->not_after_at > p->date_at)
		FAIL("its classical signature is valid beyond the date of the rule", "die klassische Signatur gilt über das Datum der Regel hinaus");
	return COMPLIANCE_PASS;
}

CERT_CHECK(algorithm_judged)
{
	const struct template *t = shape(c);
	(void)p;
	if (t == NULL)
		NO_TEMPLATE();
	if (t->key_type == KEY_ED25519)
		UNKNOWN("Ed25519 was not checked against the current edition", "Ed25519 wurde nicht mit der aktuellen Ausgabe abgeglichen");
	return COMPLIANCE_PASS;
}

CERT_CHECK(fresh_key)
{
	(void)p;
	if (!issued(c))
		NOT_ISSUED();
	if (c->cert->agent[0] == '\0')
		UNKNOWN("its key was brought by a person, who may bring it again", "den Schlüssel brachte eine Person mit, die ihn wieder bringen kann");
	return COMPLIANCE_PASS; /* a host's key that was certified before is refused */
}

/* ---- of the installation ---- */

SYSTEM_CHECK(drill_within)
{
	if (s->drilled_at == 0)
		FAIL("no drill with a report is known", "keine Übung mit Bericht ist bekannt");
	if (s->drilled_at < s->now - p->days * MS_DAY)
		FAIL("the last drill with a report is too long ago", "die letzte Übung mit Bericht ist zu lange her");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(restore_drill_within)
{
	if (s->restore_drilled_at == 0)
		FAIL("no backup was ever restored for practice", "noch nie wurde eine Sicherung zur Übung wiederhergestellt");
	if (s->restore_drilled_at < s->now - p->days * MS_DAY)
		FAIL("a backup was last restored for practice too long ago", "zuletzt wurde vor zu langer Zeit eine Sicherung zur Übung wiederhergestellt");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(names_kept_at_most)
{
	if (s->oldest_name_at != 0 && s->oldest_name_at < s->now - p->days * MS_DAY)
		FAIL("names of persons stand beside the trail for longer than the rule allows",
		     "Namen von Personen stehen länger neben dem Protokoll, als die Regel erlaubt");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(pseudonyms_fit)
{
	(void)p;
	if (s->persons_wrong > 0)
		FAIL("a pseudonym of the trail is not made from the name beside it", "ein Pseudonym des Protokolls passt nicht zum Namen daneben");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(kept_at_least)
{
	if (s->kept_ms < p->days * MS_DAY)
		FAIL("limits.keep_issuances or limits.keep_orders is shorter than the rule demands",
		     "limits.keep_issuances oder limits.keep_orders ist kürzer als verlangt");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(head_witnessed)
{
	if (!s->head_fits)
		FAIL("no signed head, or the stored trail does not lead to it", "kein signierter Kopf, oder das Protokoll führt nicht zu ihm");
	if (s->witnessed_at < s->now - p->days * MS_DAY)
		FAIL("no host said lately that it keeps a head", "zuletzt hat kein Host bestätigt, einen Kopf zu bewahren");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(approvers_at_least)
{
	if (s->approvers < p->number)
		FAIL("too few persons may stop and decide", "zu wenige Personen dürfen anhalten und entscheiden");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(issuers_without_pkcs1)
{
	(void)p;
	if (s->issuers == 0)
		UNKNOWN("no CA is known", "keine CA ist bekannt");
	if (s->issuers_rsa > 0)
		FAIL("a CA in use signs by RSA with PKCS#1 v1.5", "eine CA im Einsatz signiert mit RSA und PKCS#1 v1.5");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(issuers_end_before)
{
	if (s->issuers == 0)
		UNKNOWN("no CA is known", "keine CA ist bekannt");
	if (s->issuers_end_at > p->date_at)
		FAIL("the classical signature of a CA is valid beyond the date of the rule",
		     "die klassische Signatur einer CA gilt über das Datum der Regel hinaus");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(roots_live_at_most)
{
	if (s->issuers == 0)
		UNKNOWN("no CA is known", "keine CA ist bekannt");
	if (s->root_life_ms > p->days * MS_DAY)
		FAIL("a root is valid for longer than the rule allows", "eine Wurzel gilt länger, als die Regel erlaubt");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(issuers_live_at_most)
{
	if (s->issuers == 0)
		UNKNOWN("no CA is known", "keine CA ist bekannt");
	if (s->sub_life_ms > p->days * MS_DAY)
		FAIL("a CA below a root is valid for longer than the rule allows", "eine CA unter einer Wurzel gilt länger, als die Regel erlaubt");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(lists_current)
{
	(void)p;
	if (s->lists == 0)
		UNKNOWN("no revocation list was published yet", "noch keine Sperrliste wurde veröffentlicht");
	if (s->lists_late > 0)
		FAIL("a revocation list is past its next update", "eine Sperrliste ist überfällig");
	return COMPLIANCE_PASS;
}

SYSTEM_CHECK(roles_separate)
{
	(void)p;
	if (s->all_in_one > 0)
		FAIL("a principal may issue, approve and read the trail", "ein Konto darf ausstellen, freigeben und das Protokoll lesen");
	return COMPLIANCE_PASS;
}

/* ---- the table ---- */

static const struct compliance_check checks[] = {
	/* name, parameters, of a certificate, of the installation */
	{"none", 0, NULL, NULL},
	{"names_without_persons", 0, names_without_persons, NULL},
	{"owner_is_role", PARAM_WORDS, owner_is_role, NULL},
	{"key_on_host", 0, key_on_host, NULL},
	{"crypto_floor", PARAM_NUMBER, crypto_floor, NULL},
	{"no_lapse", 0, no_lapse, NULL},
	{"life_at_most", PARAM_DAYS, life_at_most, NULL},
	{"served_proved", PARAM_DAYS, served_proved, NULL},
	{"lifecycle_recorded", 0, lifecycle_recorded, NULL},
	{"renewed_early", PARAM_NUMBER, renewed_early, NULL},
	{"curve_known", 0, curve_known, NULL},
	{"hash_known", 0, hash_known, NULL},
	{"ends_before", PARAM_DATE, ends_before, NULL},
	{"algorithm_judged", 0, algorithm_judged, NULL},
	{"fresh_key", 0, fresh_key, NULL},
	{"drill_within", PARAM_DAYS, NULL, drill_within},
	{"restore_drill_within", PARAM_DAYS, NULL, restore_drill_within},
	{"names_kept_at_most", PARAM_DAYS, NULL, names_kept_at_most},
	{"pseudonyms_fit", 0, NULL, pseudonyms_fit},
	{"kept_at_least", PARAM_DAYS, NULL, kept_at_least},
	{"head_witnessed", PARAM_DAYS, NULL, head_witnessed},
	{"approvers_at_least", PARAM_NUMBER, NULL, approvers_at_least},
	{"issuers_without_pkcs1", 0, NULL, issuers_without_pkcs1},
	{"issuers_end_before", PARAM_DATE, NULL, issuers_end_before},
	{"roots_live_at_most", PARAM_DAYS, NULL, roots_live_at_most},
	{"issuers_live_at_most", PARAM_DAYS, NULL, issuers_live_at_most},
	{"lists_current", 0, NULL, lists_current},
	{"roles_separate", 0, NULL, roles_separate},
};

const struct compliance_check *compliance_check_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(checks); i++)
		if (text_equal(checks[i].name, name))
			return &checks[i];
	return NULL;
}

const struct compliance_check *compliance_checks(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(checks);
	return checks;
}
