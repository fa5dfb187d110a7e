/* contract.h - room controller/daemon: what each route of the admin API takes and answers, as tables.
 * Requests are checked by them and /api/v1/openapi.json is written from them. Never: running a request. */
#ifndef VCC_CONTRACT_H
#define VCC_CONTRACT_H

#include <jansson.h>

#include "controller/daemon/api.h"

enum api_type {
	API_ANY,
	API_TEXT,
	API_BOOL,
	API_INTEGER,
	API_NUMBER,
	API_TIME,   /* RFC 3339, UTC */
	API_ID,     /* UUID */
	API_HASH,   /* 64 hex digits */
	API_SERIAL, /* upper-case hex */
	API_CODE,   /* VCC-nnnn */
	API_TEXTS,  /* list of texts */
	API_OBJECT,
	API_OBJECTS, /* list of objects */
	API_TYPE_COUNT,
};

enum {
	API_NULL = 1,   /* may be null */
	API_NEEDED = 2, /* of a request: must be there */
	API_MAYBE = 4,  /* of an answer: may be missing */
};

/* Values that more than one table lists. */
#define API_ROLES          "viewer,operator,approver,auditor,admin"
#define API_NOTICE_LEVELS  "success,info,error,critical"
#define API_TRIGGERS       "scheduled,emergency,policy_update,service_update,manual"
#define API_INCIDENTS      "key_compromise,host_compromise,ca_compromise,algorithm,misissuance,exercise,other"
#define API_KEY_TYPES      "RSA,ECDSA,Ed25519"
#define API_HASH_ALGS      "SHA256,SHA384,SHA512"
#define API_KEY_USAGES     "digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyAgreement,keyCertSign,cRLSign"
#define API_EXT_KEY_USAGES "serverAuth,clientAuth,codeSigning,OCSPSigning"
#define API_PURPOSES       "service_auth,code_signing,admin"
#define API_SEVERITIES     "error,warn,info"
#define API_PROFILES       "GDPR,AI_ACT,BSI_TR"
#define API_AUDIT_LEVELS   "minimal,standard,enhanced"

struct api_object;

struct api_field {
	const char              *name; /* NULL ends the list */
	enum api_type            type;
	unsigned                 flags;
	const struct api_object *of;     /* API_OBJECT, API_OBJECTS; NULL = fields of any name */
	const char              *values; /* comma list of the only values, or NULL */
	const char              *about;  /* may be NULL */
};

/* A kind of object in answers. */
struct api_object {
	const char              *name; /* in components/schemas */
	const struct api_object *base; /* its fields come first; may be NULL */
	const struct api_field  *fields;
	const struct api_object *either[2]; /* instead of fields: one of these */
};

enum api_shape {
	SHAPE_ONE,    /* the object */
	SHAPE_PAGE,   /* a page: items of the object, next_cursor */
	SHAPE_LINES,  /* lines of JSON, without a length */
	SHAPE_EVENTS, /* text/event-stream, without an end */
	SHAPE_TEXT,   /* plain text */
};

/* Statuses of success; those of refusals follow from the route (openapi.c). */
enum { API_200 = 1, API_201 = 2, API_202 = 4, API_503 = 8 /* the same object with another status */ };
/* Beside them: If-Match names the version that is changed, ETag the one there is. */
enum { API_MATCH = 32 };
/* And: the body may hold ids by the ten thousand. */
enum { API_IDS = 16, API_IDS_VALUES_MAX = 100100, API_IDS_BODY_MAX = 8 << 20 };

/* One row for each row of api_routes.c. */
struct api_contract {
	const char              *method, *path;
	unsigned                 statuses;
	enum api_shape           shape;
	const struct api_object *answer; /* of 200 and 201, 503 */
	const struct api_object *later;  /* of 202 */
	const struct api_field  *more;   /* of a page beside its items, or NULL */
	const struct api_field  *args;   /* of the query, or NULL; a page's limit and cursor are understood */
	const struct api_field  *body;   /* NULL = none is looked at */
};

/* NULL: the route has no row. */
const struct api_contract *contract_find(const char *method, const char *path);

/* Are the query's arguments among the route's, each given once? E_API_BODY with `why`. */
_must_check_ int contract_check_args(const struct api_contract *c, const struct http_request *q, struct refusal *why);
/* The same of the body's fields, with their types and what must be there; `comment` and `reason` are understood everywhere. */
_must_check_ int contract_check_body(const struct api_contract *c, const json_t *body, struct refusal *why);

/* The whole description, OpenAPI 3.1. (openapi.c) */
json_t *openapi_json(void);

/* contract_objects.c: the kinds of objects */
extern const struct api_object object_health, object_state, object_whoami, object_principal, object_token, object_token_made,
	object_approval, object_approval_seen, object_approval_shown, object_approval_decided, object_waiting, object_agent, object_agent_seen,
	object_agent_shown, object_listener, object_invite, object_invite_made, object_invites_made, object_invite_wanted, object_target, object_certificate,
	object_certificate_shown, object_certificate_changed, object_peers_asked, object_issuance, object_crl, object_ocsp, object_ca, object_ca_shown,
	object_order, object_renewal, object_record, object_record_shown, object_head, object_consistency, object_forgotten,
	object_renewed, object_renewing, object_service_certs, object_expiring, object_template, object_template_shown, object_templates, object_policy_edit,
	object_policy_edit_or_waiting, object_service, object_service_shown, object_certificate_issued, object_pem, object_archived, object_backup, object_restore,
	object_problem, object_campaign, object_campaign_shown, object_member, object_campaign_progress, object_planned, object_bulk_begun, object_service_begun,
	object_emergency, object_emergency_or_plan, object_emergency_or_waiting, object_rollover, object_notification, object_delivery, object_channel, object_channel_tested,
	object_drill, object_drill_begun, object_drill_report, object_trust, object_session, object_overview, object_error, object_report, object_report_row,
	object_evidence, object_exception, object_exceptions;

#endif
