/* certificate.c - room shared/model: the names of key types, usages, reasons, profiles and states, as tables.
 * Never: decisions about certificates. */
#include "shared/model/certificate.h"

#include <string.h>

#include "shared/base/err.h"
#include "shared/base/text.h"

#define NAME_OF(table, value) ((size_t)(value) < N_ELEMENTS(table) ? (table)[value] : "unknown")

struct key_row {
	const char *name;
	const char *brief;
	int         size;
};

static const struct key_row key_rows[KEY_TYPE_COUNT] = {
	[KEY_EC_P256] = {"ec-p256", "ECDSA", 256},    [KEY_EC_P384] = {"ec-p384", "ECDSA", 384},
	[KEY_RSA_2048] = {"rsa-2048", "RSA", 2048},   [KEY_RSA_3072] = {"rsa-3072", "RSA", 3072},
	[KEY_RSA_4096] = {"rsa-4096", "RSA", 4096},   [KEY_ED25519] = {"ed25519", "Ed25519", 256},
};

const char *key_type_name(enum key_type t)
{
	return (size_t)t < KEY_TYPE_COUNT ? key_rows[t].name : "unknown";
}

const char *key_type_brief(enum key_type t)
{
	return (size_t)t < KEY_TYPE_COUNT ? key_rows[t].brief : "unknown";
}

int key_type_size(enum key_type t)
{
	return (size_t)t < KEY_TYPE_COUNT ? key_rows[t].size : 0;
}

int key_type_from(const char *brief, int size, enum key_type *ret)
{
	if (size == 0 && text_equal(brief, key_rows[KEY_ED25519].brief)) {
		*ret = KEY_ED25519; /* it has one size only, so templates may leave it out */
		return 0;
	}
	for (size_t i = 0; i < KEY_TYPE_COUNT; i++) {
		if (key_rows[i].size == size && text_equal(key_rows[i].brief, brief)) {
			*ret = (enum key_type)i;
			return 0;
		}
	}
	return E_RANGE;
}

const char *hash_alg_name(enum hash_alg h)
{
	static const char *const names[HASH_ALG_COUNT] = {
		[HASH_SHA256] = "SHA256", [HASH_SHA384] = "SHA384", [HASH_SHA512] = "SHA512"};
	return NAME_OF(names, h);
}

struct bit_row {
	unsigned    bit;
	const char *name;
};

static const struct bit_row ku_rows[] = {
	{KU_DIGITAL_SIGNATURE, "digitalSignature"}, {KU_NON_REPUDIATION, "nonRepudiation"},
	{KU_KEY_ENCIPHERMENT, "keyEncipherment"},   {KU_DATA_ENCIPHERMENT, "dataEncipherment"},
	{KU_KEY_AGREEMENT, "keyAgreement"},         {KU_KEY_CERT_SIGN, "keyCertSign"},
	{KU_CRL_SIGN, "cRLSign"},
};

static const struct bit_row eku_rows[] = {
	{EKU_SERVER_AUTH, "serverAuth"},
	{EKU_CLIENT_AUTH, "clientAuth"},
	{EKU_CODE_SIGNING, "codeSigning"},
	{EKU_OCSP_SIGNING, "OCSPSigning"},
};

static const char *bit_name(const struct bit_row *rows, size_t n, unsigned bit)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].bit == bit)
			return rows[i].name;
	return NULL;
}

const char *ku_name(unsigned bit)
{
	return bit_name(ku_rows, N_ELEMENTS(ku_rows), bit);
}

const char *eku_name(unsigned bit)
{
	return bit_name(eku_rows, N_ELEMENTS(eku_rows), bit);
}

/* RFC 5280, 5.3.1; the gaps are reasons that are never given here (7 unused, 8 delta CRLs, 10 attribute CAs). */
static const char *const reasons[] = {
	[REASON_UNSPECIFIED] = "unspecified",
	[REASON_KEY_COMPROMISE] = "keyCompromise",
	[REASON_CA_COMPROMISE] = "cACompromise",
	[REASON_AFFILIATION_CHANGED] = "affiliationChanged",
	[REASON_SUPERSEDED] = "superseded",
	[REASON_CESSATION] = "cessationOfOperation",
	[REASON_HOLD] = "certificateHold",
	[REASON_PRIVILEGE_WITHDRAWN] = "privilegeWithdrawn",
};

const char *revoke_reason_name(int reason)
{
	return reason >= 0 && (size_t)reason < N_ELEMENTS(reasons) ? reasons[reason] : NULL;
}

int revoke_reason_parse(const char *name, int *ret)
{
	for (size_t i = 0; i < N_ELEMENTS(reasons); i++) {
		if (reasons[i] != NULL && text_equal(reasons[i], name)) {
			*ret = (int)i;
			return 0;
		}
	}
	return E_SYNTAX;
}

const char *issuer_role_name(enum issuer_role r)
{
	static const char *const names[ISSUER_ROLE_COUNT] = {[ISSUER_ROOT] = "root",
	                                                     [ISSUER_SERVICE] = "service",
	                                                     [ISSUER_AGENT] = "agent",
	                                                     [ISSUER_CODE_SIGNING] = "code-signing"};
	return NAME_OF(names, r);
}

const char *leaf_profile_name(enum leaf_profile p)
{
	static const char *const names[LEAF_PROFILE_COUNT] = {
		[LEAF_SERVICE] = "service",     [LEAF_CODE_SIGNING] = "code_signing", [LEAF_AGENT] = "agent",
		[LEAF_GATEWAY] = "gateway",     [LEAF_ADMIN_TLS] = "admin_tls",       [LEAF_OPERATOR] = "operator",
	};
	return NAME_OF(names, p);
}

const char *issuance_state_name(enum issuance_state s)
{
	static const char *const names[ISSUANCE_STATE_COUNT] = {
		[ISSUANCE_INTENT] = "intent",   [ISSUANCE_ISSUED] = "issued",   [ISSUANCE_ACTIVE] = "active",
		[ISSUANCE_RENEWED] = "renewed", [ISSUANCE_REVOKED] = "revoked", [ISSUANCE_VOID] = "void",
	};
	return NAME_OF(names, s);
}

const char *cert_status_name(enum cert_status s)
{
	static const char *const names[CERT_STATUS_COUNT] = {
		[CERT_REQUESTED] = "requested", [CERT_ISSUED] = "issued",       [CERT_ACTIVE] = "active",
		[CERT_EXPIRING] = "expiring",   [CERT_EXPIRED] = "expired",     [CERT_RENEWED] = "renewed",
		[CERT_SUSPENDED] = "suspended", [CERT_REVOKED] = "revoked",
	};
	return NAME_OF(names, s);
}

uint32_t serial_shard(struct serial s)
{
	return (uint32_t)(serial_counter(s) / ISSUANCES_PER_SHARD);
}

static void joined(const char *a, const char *between, const char *b, char ret[TARGET_ID_SIZE])
{
	const char *parts[] = {a, between, b};
	size_t      n = 0;
	for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
		text_cut(ret + n, TARGET_ID_SIZE - n, parts[i]);
		n += strlen(ret + n);
	}
}

void target_id_of(const char *agent, const char *cert_id, const char *stem, char ret[TARGET_ID_SIZE])
{
	joined(agent, "-", stem, ret);
	if (!text_equal(ret, cert_id))
		joined(cert_id, ":", stem, ret);
}

bool target_id_ok(const char *text)
{
	char        cert_id[TARGET_ID_SIZE];
	const char *colon = strchr(text, ':');
	if (colon == NULL)
		return name_cert_id_ok(text);
	return text_copy_n(cert_id, sizeof(cert_id), text, (size_t)(colon - text)) == 0 && name_cert_id_ok(cert_id) && colon[1] != '\0' &&
	       strspn(colon + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(colon + 1);
}
