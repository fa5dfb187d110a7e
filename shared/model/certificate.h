/* certificate.h - room shared/model: what a certificate, an issuance and an issuer are.
 * Plain values. Never: functions with state. */
#ifndef VCC_CERTIFICATE_H
#define VCC_CERTIFICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/id.h"
#include "shared/model/names.h"

enum key_type { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048, KEY_RSA_3072, KEY_RSA_4096, KEY_ED25519, KEY_TYPE_COUNT };
const char *key_type_name(enum key_type t);  /* "ec-p256" */
const char *key_type_brief(enum key_type t); /* "ECDSA", "RSA", "Ed25519": template field key_type */
int         key_type_size(enum key_type t);  /* 256, 384, 2048 ...: template field key_size */
/* From the template's two fields; E_RANGE when there is no such key. */
_must_check_ int key_type_from(const char *brief, int size, enum key_type *ret);

enum hash_alg { HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_ALG_COUNT };
const char *hash_alg_name(enum hash_alg h); /* "SHA256" */

/* RFC 5280, 4.2.1.3: bit numbers as in KeyUsage. */
enum {
	KU_DIGITAL_SIGNATURE = 1 << 0,
	KU_NON_REPUDIATION = 1 << 1,
	KU_KEY_ENCIPHERMENT = 1 << 2,
	KU_DATA_ENCIPHERMENT = 1 << 3,
	KU_KEY_AGREEMENT = 1 << 4,
	KU_KEY_CERT_SIGN = 1 << 5,
	KU_CRL_SIGN = 1 << 6,
};
/* RFC 5280, 4.2.1.12. */
enum {
	EKU_SERVER_AUTH = 1 << 0,
	EKU_CLIENT_AUTH = 1 << 1,
	EKU_CODE_SIGNING = 1 << 2,
	EKU_OCSP_SIGNING = 1 << 3,
};
const char *ku_name(unsigned bit);  /* "digitalSignature"; NULL for anything but one known bit */
const char *eku_name(unsigned bit); /* "serverAuth" */

/* RFC 5280, 5.3.1. */
enum revoke_reason {
	REASON_UNSPECIFIED = 0,
	REASON_KEY_COMPROMISE = 1,
	REASON_CA_COMPROMISE = 2,
	REASON_AFFILIATION_CHANGED = 3,
	REASON_SUPERSEDED = 4,
	REASON_CESSATION = 5,
	REASON_HOLD = 6,
	REASON_PRIVILEGE_WITHDRAWN = 9,
};
const char *revoke_reason_name(int reason); /* "keyCompromise"; NULL when unknown */
_must_check_ int revoke_reason_parse(const char *name, int *ret);

/* The certification authorities that `init` makes; a row of the issuer table has one of these roles. */
enum issuer_role { ISSUER_ROOT, ISSUER_SERVICE, ISSUER_AGENT, ISSUER_CODE_SIGNING, ISSUER_ROLE_COUNT };
const char *issuer_role_name(enum issuer_role r); /* "root", "service", "agent", "code-signing" */

enum {
	ISSUER_ID_SIZE = 32, /* "service-1": also in URLs and file names */
	CERT_DER_MAX = 6144,
	CHAIN_MAX = 4,
	CHAIN_DER_MAX = 16384, /* all certificates of a chain, DER one after the other */
	SPKI_MAX = 640,
	URL_SIZE = 192,
	SUBJECT_SIZE = 65, /* upper bounds of X.520: 64 characters */
	URI_SIZE = 160,
	ISSUANCES_PER_SHARD = 10000,
};
/* CRL shard of an issuance: its serial's counter / ISSUANCES_PER_SHARD. No state, never more than that many each. */
uint32_t serial_shard(struct serial s);

/* What a leaf is for: selects extensions and the signer's own limits. */
enum leaf_profile {
	LEAF_SERVICE,      /* by template; service CA */
	LEAF_CODE_SIGNING, /* by template; code-signing CA */
	LEAF_AGENT,        /* link identity: URI only; agent CA */
	LEAF_GATEWAY,      /* gateway's TLS certificate: URI spiffe://DOMAIN/gateway/NAME; agent CA */
	LEAF_ADMIN_TLS,    /* the controller's own HTTPS certificate; service CA */
	LEAF_OPERATOR,     /* a person's client certificate; service CA */
	LEAF_PROFILE_COUNT,
};
const char *leaf_profile_name(enum leaf_profile p);

/* Everything a leaf certificate is built from. The to-be-signed bytes follow from these facts and the issuer's row
 * alone, so controller and signer build the same bytes. */
struct cert_facts {
	char              issuer_id[ISSUER_ID_SIZE];
	enum leaf_profile profile;
	struct serial     serial;
	int64_t           not_before_at; /* whole seconds */
	int64_t           not_after_at;  /* whole seconds */
	char              organisation[SUBJECT_SIZE];
	char              common_name[SUBJECT_SIZE]; /* "" = no CN */
	char              host_hash[HASH_TEXT_SIZE]; /* agent identity: subject serialNumber = hex SHA-256 of the host key's SPKI; else "" */
	char              uri[URI_SIZE];             /* SAN URI, or "" */
	struct names      names;                     /* SAN DNS and IP */
	uint8_t           spki[SPKI_MAX];            /* SubjectPublicKeyInfo, DER */
	uint16_t          spki_len;
	enum key_type     key_type; /* what `spki` holds */
	uint16_t          key_usage;
	uint16_t          ext_key_usage;
	enum hash_alg     hash_alg; /* of the issuer's signature */
	uint32_t          crl_shard; /* distribution point = PUBLIC_URL/crl/ISSUER/SHARD.crl */
};

/* A CA certificate as everybody may know it. */
struct issuer {
	char             issuer_id[ISSUER_ID_SIZE];
	char             parent_id[ISSUER_ID_SIZE]; /* "" for a root */
	enum issuer_role role;
	enum key_type    key_type;
	int64_t          not_before_at;
	int64_t          not_after_at;
	uint8_t          der[CERT_DER_MAX / 3]; /* the CA's certificate */
	uint16_t         der_len;
	uint64_t         crl_number;   /* highest number used over all shards of this issuer */
	bool             retired;
};

enum issuance_state {
	ISSUANCE_INTENT,  /* serial and TBS hash are durable, nothing signed yet */
	ISSUANCE_ISSUED,  /* signed and stored */
	ISSUANCE_ACTIVE,  /* proved served */
	ISSUANCE_RENEWED, /* a successor is active */
	ISSUANCE_REVOKED,
	ISSUANCE_VOID, /* intent that never became a certificate */
	ISSUANCE_STATE_COUNT,
};
const char *issuance_state_name(enum issuance_state s);

/* One signed X.509 certificate. `owner` says whose it is. */
enum issuance_owner { OWNER_CERTIFICATE, OWNER_AGENT, OWNER_GATEWAY, OWNER_CONTROLLER };

struct issuance {
	struct serial       serial;
	char                issuer_id[ISSUER_ID_SIZE];
	enum issuance_owner owner;
	char                owner_id[CERT_ID_SIZE]; /* cert_id, agent name, gateway name */
	struct id           renewal_id;             /* the order that made it; none for identities */
	enum issuance_state state;
	struct hash         tbs_hash;    /* SHA-256 of the to-be-signed bytes, known at intent */
	struct hash         fingerprint; /* SHA-256 of the certificate's DER, from ISSUED on */
	struct hash         spki_hash;
	int64_t             not_before_at;
	int64_t             not_after_at;
	uint32_t            crl_shard;
	int64_t             created_at;
	int64_t             proved_at;     /* verified receipt; 0 = not yet */
	int64_t             supersede_at;  /* due supersession; TIME_NEVER = none */
	int64_t             revoked_at;    /* 0 = not */
	int                 revoke_reason; /* enum revoke_reason, when revoked */
	char                subject[2 * SUBJECT_SIZE]; /* for lists */
	uint8_t             der[CERT_DER_MAX / 2]; /* the certificate; while INTENT the encoded signing request, so that it can be repeated */
	uint16_t            der_len;
};

/* API states (LIFECYCLE 3); derived, never stored. */
enum cert_status {
	CERT_REQUESTED,
	CERT_ISSUED,
	CERT_ACTIVE,
	CERT_EXPIRING,
	CERT_EXPIRED,
	CERT_RENEWED,
	CERT_SUSPENDED,
	CERT_REVOKED,
	CERT_STATUS_COUNT,
};
const char *cert_status_name(enum cert_status s);

/* What is managed; survives renewals. */
struct certificate {
	char          cert_id[CERT_ID_SIZE];
	char          template_id[TEMPLATE_ID_SIZE];
	uint32_t      template_version; /* of the last issuance; 0 before it */
	char          service[SERVICE_SIZE];
	char          agent[AGENT_NAME_SIZE]; /* "" = without agent */
	struct names  names;
	bool          approved;  /* names accepted; false = requested */
	struct serial serial;    /* current issuance; none before the first */
	struct hash   fingerprint;
	int64_t       not_before_at; /* of the current issuance */
	int64_t       not_after_at;
	bool          proved;       /* current issuance was proved served (or verify = none) */
	int64_t       renew_at;     /* due time with jitter; TIME_NEVER = not scheduled */
	struct id     open_order;   /* none = no open order */
	uint32_t      unattended;   /* renewals since the last manual, forced or approved one */
	int64_t       suspended_at; /* 0 = not */
	int64_t       revoked_at;   /* 0 = not; the certificate itself was ended */
	int64_t       retired_at;   /* 0 = not; its target went away */
	int64_t       created_at;
	uint64_t      version; /* grows with each change: ETag and conflict check */
};

/* Where a certificate is served, as the agent reported it. */
enum { TARGET_ID_SIZE = 2 * CERT_ID_SIZE };
struct target {
	char          target_id[TARGET_ID_SIZE];
	char          cert_id[CERT_ID_SIZE];
	char          agent[AGENT_NAME_SIZE];
	char          stem[CERT_ID_SIZE]; /* file stem of targets.d/STEM.conf */
	char          reload_kind[16];
	char          verify_kind[24];
	char          listeners[512]; /* comma list */
	struct hash   digest;         /* of the target file */
	struct serial served;         /* last proved */
	int64_t       proved_at;      /* 0 = never */
	int64_t       reported_at;
	int           last_code; /* last failure of an order, 0 = none */
	/* What the host tells of the care between orders. */
	int           state_code;     /* what is the matter now; 0 = all is well */
	int64_t       stale_since_at; /* another certificate than the issued one is served since; 0 = not */
	int64_t       rehearsed_at;   /* last rehearsal that went well; 0 = never */
	int64_t       drifted_at;     /* somebody changed the files last; 0 = never */
	uint64_t      drifts;
	/* From signed receipts. */
	uint64_t      trust_epoch;    /* of the trust bundle in its files; 0 = not known */
	uint32_t      trust_proof;    /* enum trust_proof */
	struct hash   crl_hash;       /* of the revocation lists in its files; none = none */
	int64_t       cared_at;       /* last receipt about it without an order; 0 = none */
};

/* The cert_id where the file is named as that says (AGENT-STEM), else CERT_ID:STEM: several files may serve one certificate. */
bool target_id_ok(const char *text);
void target_id_of(const char *agent, const char *cert_id, const char *stem, char ret[TARGET_ID_SIZE]);

#endif
