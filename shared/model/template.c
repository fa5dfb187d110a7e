/* template.c - room shared/model: the names of a template's enums.
 * Never: parsing JSON, judging a template. */
#include "shared/model/template.h"

const char *cert_purpose_name(enum cert_purpose p)
{
	static const char *const names[PURPOSE_COUNT] = {
		[PURPOSE_SERVICE_AUTH] = "service_auth", [PURPOSE_CODE_SIGNING] = "code_signing", [PURPOSE_ADMIN] = "admin"};
	return (size_t)p < N_ELEMENTS(names) ? names[p] : "unknown";
}

const char *audit_level_name(enum audit_level l)
{
	static const char *const names[AUDIT_LEVEL_COUNT] = {
		[AUDIT_MINIMAL] = "minimal", [AUDIT_STANDARD] = "standard", [AUDIT_ENHANCED] = "enhanced"};
	return (size_t)l < N_ELEMENTS(names) ? names[l] : "unknown";
}
