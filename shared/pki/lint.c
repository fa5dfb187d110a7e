/* lint.c - room shared/pki: rules for a leaf, judged on the built bytes before the CA's key is touched.
 * The bytes are read back by the cursor, so a mistake of the builder shows here. Never: the template's or signer's limits. */
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include "shared/base/text.h"
#include "shared/pki/constraint.h"
#include "shared/pki/issue_ca.h"
#include "shared/pki/rsa_weak.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"
#include "shared/pki/tbs_part.h"

enum { SERIAL_MAX = 20 };
#define YEAR_2050_AT (INT64_C(2524608000) * 1000)

struct san_item {
	uint8_t     tag;
	struct span value;
};

/* The certificate as read back, and what it should be. */
struct leaf {
	const struct issue_ca   *ca;
	const struct cert_facts *facts;
	struct tbs_parts         t;
	struct spki_parts        key;
	struct ext               ext[EXT_COUNT]; /* value.p == NULL: absent */
	bool                     ext_odd;        /* unknown or doubled */
	struct san_item          san[NAMES_MAX + 1];
	size_t                   n_san;
	bool                     san_bad;
	struct span              organisation, common_name, serial_number; /* of the subject; empty: absent */
	bool                     subject_odd;                              /* other attributes, doubled ones, other form */
};

static bool version_3(const struct leaf *l)
{
	return l->t.version == 3 && !l->t.unique_ids;
}

static bool serial_form(const struct leaf *l)
{
	struct serial s;
	return l->t.serial.n <= SERIAL_MAX && cert_parts_serial(l->t.serial, &s) && serial_equal(s, l->facts->serial) &&
	       !serial_is_none(s);
}

/* The random part of a generator that failed is mostly all zero or all one. */
static bool serial_entropy(const struct leaf *l)
{
	const uint8_t *random = l->facts->serial.b + sizeof(l->facts->serial.b) - SERIAL_RANDOM;
	for (size_t i = 1; i < SERIAL_RANDOM; i++)
		if (random[i] != random[0])
			return true;
	return false;
}

static bool signature_algorithm(const struct leaf *l)
{
	return span_equal(l->t.alg, sig_alg_der(l->ca->key_type, l->facts->hash_alg));
}

static bool issuer_name(const struct leaf *l)
{
	return span_equal(l->t.issuer, l->ca->cert.t.subject) && l->t.issuer.n > 2;
}

static bool validity_order(const struct leaf *l)
{
	return l->t.not_before_at == l->facts->not_before_at && l->t.not_after_at == l->facts->not_after_at &&
	       l->t.not_before_at <= l->t.not_after_at;
}

static bool validity_inside_ca(const struct leaf *l)
{
	return l->t.not_before_at >= l->ca->cert.t.not_before_at && l->t.not_after_at <= l->ca->cert.t.not_after_at;
}

static bool time_encoding(const struct leaf *l)
{
	return l->t.not_before_tag == (l->t.not_before_at < YEAR_2050_AT ? DER_UTC_TIME : DER_GENERAL_TIME) &&
	       l->t.not_after_tag == (l->t.not_after_at < YEAR_2050_AT ? DER_UTC_TIME : DER_GENERAL_TIME);
}

static bool key_allowed(const struct leaf *l)
{
	return l->key.bits.n > 0 && l->key.type == l->facts->key_type &&
	       span_equal(l->t.spki, (struct span){l->facts->spki, l->facts->spki_len});
}

static bool key_not_of_ca(const struct leaf *l)
{
	return !span_equal(l->t.spki, l->ca->cert.t.spki);
}

static bool key_rsa_primes(const struct leaf *l)
{
	return l->key.modulus.n == 0 || !rsa_weak_close_primes(l->key.modulus);
}

static bool extensions_known(const struct leaf *l)
{
	return !l->ext_odd;
}

static bool present(const struct leaf *l, enum ext_id id)
{
	return l->ext[id].value.p != NULL;
}

static bool subject_of_facts(const struct leaf *l)
{
	return !l->subject_odd && span_equal(l->organisation, span_text(l->facts->organisation)) &&
	       span_equal(l->common_name, span_text(l->facts->common_name)) &&
	       span_equal(l->serial_number, span_text(l->facts->host_hash));
}

static bool subject_or_names(const struct leaf *l)
{
	bool empty = l->t.subject.n == 2;
	return present(l, EXT_ALT_NAME) ? l->ext[EXT_ALT_NAME].critical == empty : !empty;
}

static bool basic_constraints(const struct leaf *l)
{
	static const uint8_t not_a_ca[] = {DER_SEQUENCE, 0};
	return l->ext[EXT_BASIC_CONSTRAINTS].critical && span_equal(l->ext[EXT_BASIC_CONSTRAINTS].value, SPAN_OF(not_a_ca)) &&
	       !present(l, EXT_NAME_CONSTRAINTS);
}

static bool key_usage(const struct leaf *l)
{
	/* RFC 8813, 3: keys that cannot encipher do not say that they may */
	unsigned expected = l->facts->key_usage & (sig_alg_is_rsa(l->key.type) ? ~0u : ~(unsigned)KU_KEY_ENCIPHERMENT);
	if (!present(l, EXT_KEY_USAGE))
		return expected == 0;
	struct der d = der_of(l->ext[EXT_KEY_USAGE].value);
	unsigned   bits = der_named_bits(&d);
	return der_done(&d) && bits != 0 && bits == expected && l->ext[EXT_KEY_USAGE].critical &&
	       (bits & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) == 0;
}

static bool extended_usage(const struct leaf *l)
{
	bool bad = false;
	if (!present(l, EXT_EXTENDED_USAGE))
		return l->ca->ext_key_usage == 0;
	unsigned bits = ext_get_extended_usage(l->ext[EXT_EXTENDED_USAGE].value, &bad);
	if (bad || l->ext[EXT_EXTENDED_USAGE].critical || (bits & EKU_OTHER) != 0 || bits != l->facts->ext_key_usage)
		return false;
	return l->ca->ext_key_usage == 0 || (bits & ~l->ca->ext_key_usage) == 0;
}

static bool key_identifiers(const struct leaf *l)
{
	uint8_t     expected[KEY_ID_SIZE];
	struct der  aki = der_of(l->ext[EXT_AUTHORITY_KEY_ID].value);
	struct der  seq = der_in(&aki, DER_SEQUENCE);
	struct span issuer = der_get(&seq, DER_CONTEXT | 0);
	struct der  ski = der_of(l->ext[EXT_SUBJECT_KEY_ID].value);
	struct span subject = der_get(&ski, DER_OCTET_STRING);
	tbs_key_id(l->key.bits, expected);
	return der_done(&aki) && der_done(&seq) && der_done(&ski) && span_equal(issuer, l->ca->key_id) &&
	       span_equal(subject, SPAN_OF(expected));
}

static bool crl_point(const struct leaf *l)
{
	char        url[CA_URL_SIZE + 16];
	struct der  d = der_of(l->ext[EXT_CRL_POINTS].value);
	struct der  list = der_in(&d, DER_SEQUENCE);
	struct der  one = der_in(&list, DER_SEQUENCE);
	struct der  point = der_in(&one, DER_CONTEXT_CONS | 0);
	struct der  full = der_in(&point, DER_CONTEXT_CONS | 0);
	struct span uri = der_get(&full, GN_URI);
	snprintf(url, sizeof(url), "%s%u.crl", l->ca->crl_prefix, l->facts->crl_shard);
	return der_done(&d) && der_done(&list) && der_done(&one) && der_done(&point) && der_done(&full) &&
	       span_equal(uri, span_text(url));
}

/* One AccessDescription: id-ad (1.3.6.1.5.5.7.48), the last arc, this URL. */
static bool access_is(struct der *list, uint8_t arc, const char *url)
{
	uint8_t     expected[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, arc};
	struct der  one = der_in(list, DER_SEQUENCE);
	struct span method = der_get(&one, DER_OID);
	struct span uri = der_get(&one, GN_URI);
	return der_done(&one) && span_equal(method, SPAN_OF(expected)) && span_equal(uri, span_text(url));
}

static bool authority_info(const struct leaf *l)
{
	struct der d = der_of(l->ext[EXT_AUTHORITY_INFO].value);
	struct der list = der_in(&d, DER_SEQUENCE);
	return access_is(&list, 1, l->ca->ocsp_url) && access_is(&list, 2, l->ca->ca_url) && der_done(&list) && der_done(&d);
}

/* A responder, and nobody else, is asked about by nobody; and it does nothing else. */
static bool ocsp_responder(const struct leaf *l)
{
	static const uint8_t null[] = {DER_NULL, 0};
	bool                 responder = l->facts->profile == LEAF_OCSP;
	if (present(l, EXT_OCSP_NONCE) || responder != ((l->facts->ext_key_usage & EKU_OCSP_SIGNING) != 0))
		return false;
	if (!responder)
		return !present(l, EXT_OCSP_NO_CHECK);
	return l->facts->ext_key_usage == EKU_OCSP_SIGNING && !l->ext[EXT_OCSP_NO_CHECK].critical &&
	       span_equal(l->ext[EXT_OCSP_NO_CHECK].value, SPAN_OF(null));
}

static bool san_item_ok(const struct san_item *item)
{
	char text[DNS_NAME_SIZE];
	char canonical[DNS_NAME_SIZE];
	switch (item->tag) {
	case GN_DNS:
		return text_copy_n(text, sizeof(text), (const char *)item->value.p, item->value.n) == 0 &&
		       name_dns(text, true, canonical) == 0 && strcmp(text, canonical) == 0;
	case GN_IP:
		return item->value.n == 4 || item->value.n == 16;
	case GN_URI:
		return memmem(item->value.p, item->value.n, "://", 3) != NULL;
	default:
		return false;
	}
}

static bool san_syntax(const struct leaf *l)
{
	if (l->san_bad || (present(l, EXT_ALT_NAME) && l->n_san == 0))
		return false;
	for (size_t i = 0; i < l->n_san; i++)
		if (!san_item_ok(&l->san[i]))
			return false;
	return true;
}

static bool san_item_is(const struct san_item *item, const struct san *san)
{
	uint8_t address[16];
	if (san->kind == SAN_DNS)
		return item->tag == GN_DNS && span_equal(item->value, span_text(san->text));
	return item->tag == GN_IP && inet_pton(item->value.n == 4 ? AF_INET : AF_INET6, san->text, address) == 1 &&
	       memcmp(address, item->value.p, item->value.n) == 0;
}

/* The names of the facts in their order, then the URI, and nothing else. */
static bool san_of_facts(const struct leaf *l)
{
	struct san san;
	size_t     cursor = 0;
	size_t     i = 0;
	for (; names_next(&l->facts->names, &cursor, &san); i++)
		if (i >= l->n_san || !san_item_is(&l->san[i], &san))
			return false;
	if (l->facts->uri[0] != '\0') {
		if (i >= l->n_san || l->san[i].tag != GN_URI || !span_equal(l->san[i].value, span_text(l->facts->uri)))
			return false;
		i++;
	}
	return i == l->n_san;
}

static bool san_unique(const struct leaf *l)
{
	for (size_t i = 0; i < l->n_san; i++)
		for (size_t k = i + 1; k < l->n_san; k++)
			if (l->san[i].tag == l->san[k].tag && span_equal(l->san[i].value, l->san[k].value))
				return false;
	return true;
}

/* A CN that reads as a host name is taken as one by old clients and by the constraint checks of libraries. */
static bool common_name_in_san(const struct leaf *l)
{
	char text[SUBJECT_SIZE];
	char canonical[DNS_NAME_SIZE];
	if (l->common_name.n == 0 || memchr(l->common_name.p, '.', l->common_name.n) == NULL)
		return true;
	if (text_copy_n(text, sizeof(text), (const char *)l->common_name.p, l->common_name.n) < 0)
		return false;
	if (name_dns(text, true, canonical) < 0)
		return true;
	for (size_t i = 0; i < l->n_san; i++)
		if (l->san[i].tag == GN_DNS && span_equal(l->san[i].value, l->common_name))
			return true;
	return false;
}

static bool constraints_kept(const struct leaf *l)
{
	for (size_t i = 0; i < l->n_san; i++)
		if (!constraint_allows(l->ca->constraints, l->san[i].tag, l->san[i].value))
			return false;
	return true;
}

/* One rule, one row; in the order of the certificate. */
static const struct lint {
	const char *name;
	bool (*holds)(const struct leaf *l);
	const char *cause;
} lints[] = {
	{"version", version_3, "the certificate is not version 3"},
	{"serial", serial_form, "the serial is not positive, too long or another one"},
	{"serial-entropy", serial_entropy, "the random part of the serial is constant"},
	{"algorithm", signature_algorithm, "the signature algorithm is not that of the CA's key and the facts"},
	{"issuer", issuer_name, "the issuer name is not the CA's subject"},
	{"validity", validity_order, "the validity is not that of the facts, or ends before it begins"},
	{"validity-ca", validity_inside_ca, "the validity is not inside the CA's"},
	{"time", time_encoding, "a time has the wrong encoding (UTCTime until 2049, GeneralizedTime after)"},
	{"key", key_allowed, "the key is of a type or size that is not allowed"},
	{"key-ca", key_not_of_ca, "the key is the CA's own"},
	{"key-primes", key_rsa_primes, "the primes of the RSA key are too close"},
	{"extensions", extensions_known, "an extension is unknown or doubled"},
	{"subject-facts", subject_of_facts, "the subject is not that of the facts"},
	{"subject", subject_or_names, "subject and names are both empty, or the criticality of the names is wrong"},
	{"basic-constraints", basic_constraints, "a leaf must say critically that it is no CA"},
	{"key-usage", key_usage, "the key usage is not critical, that of a CA, or not that of the facts and the key"},
	{"extended-usage", extended_usage, "the extended key usage is not that of the facts or not allowed by the CA"},
	{"key-identifiers", key_identifiers, "a key identifier is missing or wrong"},
	{"crl-point", crl_point, "the CRL distribution point is missing or wrong"},
	{"authority-info", authority_info, "the address of OCSP or of the CA certificate is missing or wrong"},
	{"ocsp", ocsp_responder, "OCSP signing and its no-check belong to responders, and to them alone"},
	{"san-syntax", san_syntax, "a name is malformed"},
	{"san", san_of_facts, "the names are not those of the facts"},
	{"san-unique", san_unique, "a name occurs twice"},
	{"common-name", common_name_in_san, "the common name reads as a host name but is not among the names"},
	{"name-constraints", constraints_kept, "a name is outside the CA's name constraints"},
};

static void extensions_read(struct leaf *l)
{
	struct der d = der_of(l->t.exts);
	struct ext ext;
	while (ext_next(&d, &ext)) {
		if (ext.id == EXT_COUNT || l->ext[ext.id].value.p != NULL) {
			l->ext_odd = true;
			continue;
		}
		l->ext[ext.id] = ext;
	}
}

static void san_read(struct leaf *l)
{
	if (!present(l, EXT_ALT_NAME))
		return;
	struct der outer = der_of(l->ext[EXT_ALT_NAME].value);
	struct der d = der_in(&outer, DER_SEQUENCE);
	while (der_more(&d) && l->n_san < N_ELEMENTS(l->san)) {
		struct san_item *item = &l->san[l->n_san++];
		item->tag = der_tag(&d);
		item->value = der_get(&d, item->tag);
	}
	l->san_bad = !der_done(&d) || !der_done(&outer);
}

static void subject_read(struct leaf *l)
{
	const struct {
		uint8_t      oid[3], tag;
		struct span *to;
	} attributes[] = {{{0x55, 0x04, 10}, DER_UTF8, &l->organisation},
			  {{0x55, 0x04, 3}, DER_UTF8, &l->common_name},
			  {{0x55, 0x04, 5}, DER_PRINTABLE, &l->serial_number}};
	struct der outer = der_of(l->t.subject);
	struct der d = der_in(&outer, DER_SEQUENCE);
	for (size_t i = 0; i < N_ELEMENTS(attributes) && der_more(&d); i++) {
		struct der  set = d; /* looked at before it is taken: each attribute may be absent */
		struct der  in = der_in(&set, DER_SET);
		struct der  pair = der_in(&in, DER_SEQUENCE);
		struct span oid = der_get(&pair, DER_OID);
		if (!span_equal(oid, SPAN_OF(attributes[i].oid)))
			continue;
		*attributes[i].to = der_get(&pair, attributes[i].tag);
		set.bad = set.bad || !der_done(&pair) || !der_done(&in);
		d = set;
	}
	l->subject_odd = !der_done(&d) || !der_done(&outer);
}

int issue_lint(const struct issue_ca *ca, const struct cert_facts *facts, struct span tbs, struct refusal *why)
{
	struct leaf l;
	char        object[SERIAL_TEXT_SIZE];
	serial_text(facts->serial, object);
	memset(&l, 0, offsetof(struct leaf, san));
	l.ca = ca;
	l.facts = facts;
	l.n_san = 0;
	l.san_bad = false;
	l.organisation = l.common_name = l.serial_number = (struct span){NULL, 0};
	if (tbs_parts_read(tbs, &l.t) < 0)
		return refuse(why, E_PKI_LINT, object, "lint form: the bytes are not a TBSCertificate");
	if (spki_read(l.t.spki, &l.key) < 0)
		l.key = (struct spki_parts){.bits = {NULL, 0}};
	extensions_read(&l);
	san_read(&l);
	subject_read(&l);
	for (size_t i = 0; i < N_ELEMENTS(lints); i++)
		if (!lints[i].holds(&l))
			return refuse(why, E_PKI_LINT, object, "lint %s: %s", lints[i].name, lints[i].cause);
	return 0;
}
