/* tbs_plain.c - room shared/pki: the to-be-signed bytes of a leaf through the X.509 library: the yardstick of tbs.c.
 * Never: the way of the main path; it decodes the key, which costs 200 us. */
#include <stdio.h>
#include <string.h>
#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/pki/issue_ca.h"
#include "shared/pki/sig_alg.h"
#include "shared/pki/spki.h"

#include <openssl/x509v3.h> /* last: its KU_ macros would break the enum of our model */

#define KEY_ENCIPHERMENT_BIT 2 /* RFC 5280, 4.2.1.3 */

static bool serial_set(X509 *x, const struct cert_facts *f)
{
	if (serial_is_none(f->serial) || (f->serial.b[0] & 0x80) != 0)
		return false;
	BIGNUM       *bn = BN_bin2bn(f->serial.b, sizeof(f->serial.b), NULL);
	ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(bn, NULL);
	bool          ok = serial != NULL && X509_set_serialNumber(x, serial) > 0;
	ASN1_INTEGER_free(serial);
	BN_free(bn);
	return ok;
}

static bool algorithm_set(X509 *x, const struct issue_ca *ca, enum hash_alg hash)
{
	static const int nids[2][HASH_ALG_COUNT] = {
		{NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384, NID_ecdsa_with_SHA512},
		{NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption, NID_sha512WithRSAEncryption},
	};
	if (hash >= HASH_ALG_COUNT)
		return false;
	/* the library sets this field only while it signs; here nothing is signed */
	X509_ALGOR *alg = (X509_ALGOR *)(uintptr_t)X509_get0_tbs_sigalg(x);
	bool        rsa = sig_alg_is_rsa(ca->key_type);
	return X509_ALGOR_set0(alg, OBJ_nid2obj(nids[rsa][hash]), rsa ? V_ASN1_NULL : V_ASN1_UNDEF, NULL) > 0;
}

static bool issuer_set(X509 *x, const struct issue_ca *ca)
{
	const uint8_t *p = ca->cert.t.subject.p;
	X509_NAME     *name = d2i_X509_NAME(NULL, &p, (long)ca->cert.t.subject.n);
	bool           ok = name != NULL && X509_set_issuer_name(x, name) > 0;
	X509_NAME_free(name);
	return ok;
}

static bool validity_set(X509 *x, const struct cert_facts *f)
{
	static const int64_t first = -INT64_C(631152000) * MS_SECOND;
	static const int64_t last = INT64_C(253402300799) * MS_SECOND;
	if (f->not_before_at % MS_SECOND != 0 || f->not_after_at % MS_SECOND != 0 || f->not_before_at < first ||
	    f->not_after_at > last || f->not_before_at > f->not_after_at)
		return false;
	return ASN1_TIME_set(X509_getm_notBefore(x), f->not_before_at / MS_SECOND) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(x), f->not_after_at / MS_SECOND) != NULL;
}

static bool rdn_add(X509_NAME *name, int nid, int type, const char *text)
{
	if (text[0] == '\0')
		return true;
	if (!text_utf8_ok(text, strlen(text)) || strpbrk(text, "\n\t") != NULL)
		return false;
	return X509_NAME_add_entry_by_NID(name, nid, type, (const uint8_t *)text, (int)strlen(text), -1, 0) > 0;
}

static bool subject_set(X509 *x, const struct cert_facts *f, bool *ret_empty)
{
	struct hash hash;
	X509_NAME  *name = X509_get_subject_name(x);
	if (f->host_hash[0] != '\0' && hash_parse(f->host_hash, &hash) < 0)
		return false;
	if (!rdn_add(name, NID_organizationName, V_ASN1_UTF8STRING, f->organisation) ||
	    !rdn_add(name, NID_commonName, V_ASN1_UTF8STRING, f->common_name) ||
	    !rdn_add(name, NID_serialNumber, V_ASN1_PRINTABLESTRING, f->host_hash))
		return false;
	*ret_empty = X509_NAME_entry_count(name) == 0;
	return true;
}

static bool key_set(X509 *x, const struct cert_facts *f)
{
	struct spki_parts parts;
	if (f->spki_len > sizeof(f->spki) || spki_read((struct span){f->spki, f->spki_len}, &parts) < 0 ||
	    parts.type != f->key_type)
		return false;
	const uint8_t *p = f->spki;
	EVP_PKEY      *evp = d2i_PUBKEY(NULL, &p, f->spki_len);
	bool           ok = evp != NULL && X509_set_pubkey(x, evp) > 0;
	EVP_PKEY_free(evp);
	return ok;
}

static bool key_usage_add(X509 *x, const struct cert_facts *f)
{
	if ((f->key_usage & ~0x7fu) != 0)
		return false;
	ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();
	bool             any = false;
	for (int i = 0; i <= 6; i++) {
		if ((f->key_usage & (1u << i)) == 0 || (i == KEY_ENCIPHERMENT_BIT && !sig_alg_is_rsa(f->key_type)))
			continue;
		any = true;
		ASN1_BIT_STRING_set_bit(bits, i, 1);
	}
	bool ok = !any || X509_add1_ext_i2d(x, NID_key_usage, bits, 1, X509V3_ADD_APPEND) > 0;
	ASN1_BIT_STRING_free(bits);
	return ok;
}

static bool extended_usage_add(X509 *x, const struct cert_facts *f)
{
	static const struct {
		unsigned bit;
		int      nid;
	} purposes[] = {{EKU_SERVER_AUTH, NID_server_auth},
			{EKU_CLIENT_AUTH, NID_client_auth},
			{EKU_CODE_SIGNING, NID_code_sign},
			{EKU_OCSP_SIGNING, NID_OCSP_sign}};
	unsigned rest = f->ext_key_usage;
	if (rest == 0)
		return true;
	EXTENDED_KEY_USAGE *list = EXTENDED_KEY_USAGE_new();
	for (size_t i = 0; i < N_ELEMENTS(purposes); i++) {
		if ((f->ext_key_usage & purposes[i].bit) == 0)
			continue;
		sk_ASN1_OBJECT_push(list, OBJ_nid2obj(purposes[i].nid));
		rest &= ~purposes[i].bit;
	}
	bool ok = rest == 0 && X509_add1_ext_i2d(x, NID_ext_key_usage, list, 0, X509V3_ADD_APPEND) > 0;
	EXTENDED_KEY_USAGE_free(list);
	return ok;
}

static bool basic_constraints_add(X509 *x)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool               ok = X509_add1_ext_i2d(x, NID_basic_constraints, bc, 1, X509V3_ADD_APPEND) > 0;
	BASIC_CONSTRAINTS_free(bc);
	return ok;
}

static bool subject_key_id_add(X509 *x)
{
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x);
	struct hash            hash;
	digest_sha256((struct span){ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits)}, &hash);
	ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	bool               ok = ASN1_OCTET_STRING_set(id, hash.b, KEY_ID_SIZE) > 0 &&
		  X509_add1_ext_i2d(x, NID_subject_key_identifier, id, 0, X509V3_ADD_APPEND) > 0;
	ASN1_OCTET_STRING_free(id);
	return ok;
}

static bool authority_key_id_add(X509 *x, const struct issue_ca *ca)
{
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	aki->keyid = ASN1_OCTET_STRING_new();
	bool ok = ASN1_OCTET_STRING_set(aki->keyid, ca->key_id.p, (int)ca->key_id.n) > 0 &&
		  X509_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0, X509V3_ADD_APPEND) > 0;
	AUTHORITY_KEYID_free(aki);
	return ok;
}

static GENERAL_NAME *general_name(int type, const void *bytes, size_t n)
{
	ASN1_STRING *s = ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
	ASN1_STRING_set(s, bytes, (int)n);
	GENERAL_NAME *name = GENERAL_NAME_new();
	GENERAL_NAME_set0_value(name, type, s);
	return name;
}

static bool authority_info_add(X509 *x, const struct issue_ca *ca)
{
	AUTHORITY_INFO_ACCESS *list = AUTHORITY_INFO_ACCESS_new();
	const struct {
		int         nid;
		const char *url;
	} places[] = {{NID_ad_OCSP, ca->ocsp_url}, {NID_ad_ca_issuers, ca->ca_url}};
	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		ACCESS_DESCRIPTION *one = ACCESS_DESCRIPTION_new();
		one->method = OBJ_nid2obj(places[i].nid);
		GENERAL_NAME_free(one->location);
		one->location = general_name(GEN_URI, places[i].url, strlen(places[i].url));
		sk_ACCESS_DESCRIPTION_push(list, one);
	}
	bool ok = X509_add1_ext_i2d(x, NID_info_access, list, 0, X509V3_ADD_APPEND) > 0;
	AUTHORITY_INFO_ACCESS_free(list);
	return ok;
}

static GENERAL_NAME *san_name(const struct san *san)
{
	uint8_t address[16];
	if (san->kind == SAN_IP && inet_pton(AF_INET, san->text, address) == 1)
		return general_name(GEN_IPADD, address, 4);
	if (san->kind == SAN_IP && inet_pton(AF_INET6, san->text, address) == 1)
		return general_name(GEN_IPADD, address, 16);
	if (san->kind == SAN_IP || san->text[0] == '\0')
		return NULL;
	for (const char *p = san->text; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return NULL;
	return general_name(GEN_DNS, san->text, strlen(san->text));
}

static bool names_collect(GENERAL_NAMES *list, const struct cert_facts *f)
{
	struct san san;
	size_t     cursor = 0;
	while (names_next(&f->names, &cursor, &san)) {
		GENERAL_NAME *name = sk_GENERAL_NAME_num(list) < NAMES_MAX ? san_name(&san) : NULL;
		if (name == NULL)
			return false;
		sk_GENERAL_NAME_push(list, name);
	}
	if (f->names.text[cursor] != '\0')
		return false;
	for (const char *p = f->uri; *p != '\0'; p++)
		if (*p <= 0x20 || *p >= 0x7f)
			return false;
	if (f->uri[0] != '\0')
		sk_GENERAL_NAME_push(list, general_name(GEN_URI, f->uri, strlen(f->uri)));
	return true;
}

static bool alt_names_add(X509 *x, const struct cert_facts *f, bool critical)
{
	if (f->names.text[0] == '\0' && f->uri[0] == '\0')
		return true;
	GENERAL_NAMES *list = GENERAL_NAMES_new();
	bool ok = names_collect(list, f) && X509_add1_ext_i2d(x, NID_subject_alt_name, list, critical, X509V3_ADD_APPEND) > 0;
	GENERAL_NAMES_free(list);
	return ok;
}

static bool crl_point_add(X509 *x, const struct issue_ca *ca, uint32_t shard)
{
	char url[CA_URL_SIZE + 16];
	int  n = snprintf(url, sizeof(url), "%s%u.crl", ca->crl_prefix, shard);

	CRL_DIST_POINTS *list = CRL_DIST_POINTS_new();
	DIST_POINT      *one = DIST_POINT_new();
	one->distpoint = DIST_POINT_NAME_new();
	one->distpoint->type = 0;
	one->distpoint->name.fullname = GENERAL_NAMES_new();
	sk_GENERAL_NAME_push(one->distpoint->name.fullname, general_name(GEN_URI, url, (size_t)n));
	sk_DIST_POINT_push(list, one);
	bool ok = X509_add1_ext_i2d(x, NID_crl_distribution_points, list, 0, X509V3_ADD_APPEND) > 0;
	CRL_DIST_POINTS_free(list);
	return ok;
}

static bool no_check_add(X509 *x, const struct cert_facts *f)
{
	if (f->profile != LEAF_OCSP)
		return true;
	ASN1_NULL *nothing = ASN1_NULL_new();
	bool       ok = X509_add1_ext_i2d(x, NID_id_pkix_OCSP_noCheck, nothing, 0, X509V3_ADD_APPEND) > 0;
	ASN1_NULL_free(nothing);
	return ok;
}

int issue_tbs_plain(const struct issue_ca *ca, const struct cert_facts *facts, struct buf *to)
{
	bool  empty = false;
	X509 *x = X509_new();
	if (x == NULL)
		return E_NOMEM;
	bool ok = text_equal(ca->issuer_id, facts->issuer_id) && X509_set_version(x, X509_VERSION_3) > 0 &&
		  serial_set(x, facts) && algorithm_set(x, ca, facts->hash_alg) && issuer_set(x, ca) &&
		  validity_set(x, facts) && subject_set(x, facts, &empty) && key_set(x, facts) && key_usage_add(x, facts) &&
		  extended_usage_add(x, facts) && basic_constraints_add(x) && subject_key_id_add(x) &&
		  authority_key_id_add(x, ca) && authority_info_add(x, ca) && alt_names_add(x, facts, empty) &&
		  crl_point_add(x, ca, facts->crl_shard) && no_check_add(x, facts);
	uint8_t *tbs = NULL;
	int      n = ok ? i2d_re_X509_tbs(x, &tbs) : 0;
	if (n > 0)
		buf_add(to, tbs, (size_t)n);
	OPENSSL_free(tbs);
	X509_free(x);
	ERR_clear_error();
	return n > 0 ? buf_error(to) : E_PKI_LINT;
}
