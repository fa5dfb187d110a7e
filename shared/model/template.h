/* template.h - room shared/model: the profile a certificate is made from, with its policy (LIFECYCLE 1).
 * Plain values; JSON names are the brief's. Never: parsing JSON. */
#ifndef VCC_TEMPLATE_H
#define VCC_TEMPLATE_H

#include "shared/model/certificate.h"

enum cert_purpose { PURPOSE_SERVICE_AUTH, PURPOSE_CODE_SIGNING, PURPOSE_ADMIN, PURPOSE_COUNT };
const char *cert_purpose_name(enum cert_purpose p); /* "service_auth" */

enum audit_level { AUDIT_MINIMAL, AUDIT_STANDARD, AUDIT_ENHANCED, AUDIT_LEVEL_COUNT };
const char *audit_level_name(enum audit_level l);

enum { PROFILE_GDPR = 1 << 0, PROFILE_AI_ACT = 1 << 1, PROFILE_BSI_TR = 1 << 2 };

struct template {
	char              template_id[TEMPLATE_ID_SIZE];
	uint32_t          version; /* 1, 2, ...; given by the store */
	char              name[96];
	char              description[256];
	int64_t           validity_ms;
	enum key_type     key_type;
	enum hash_alg     hash_alg;
	uint16_t          key_usage; /* as written; keyEncipherment is dropped at issue for EC and Ed25519 (RFC 8813) */
	uint16_t          ext_key_usage;
	struct names      patterns; /* permitted names, '*' = one label */
	char              service[SERVICE_SIZE]; /* vcc_service_type; "" = any */
	enum cert_purpose purpose;
	bool              auto_renewal;
	int64_t           renewal_threshold_ms;
	int64_t           emergency_threshold_ms;
	uint32_t          max_renewals; /* 0 = unlimited */
	uint32_t          max_attempts;
	int64_t           retry_ms;
	bool              pre_validation;
	bool              post_validation;
	uint32_t          profiles; /* PROFILE_* */
	enum audit_level  audit_level;
	char              notify[256];     /* comma list */
	char              escalation[256]; /* comma list */
	char              issuer[ISSUER_ID_SIZE]; /* "default" or an issuer id */
	int64_t           created_at;
};

#endif
