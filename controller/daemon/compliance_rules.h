/* compliance_rules.h - room controller/daemon: the rules of compliance profiles and their exceptions, from packaging/compliance/.
 * Never: judging by them; the checks are in controller/core/compliance.h. */
#ifndef VCC_COMPLIANCE_RULES_H
#define VCC_COMPLIANCE_RULES_H

#include "controller/core/compliance.h"
#include "shared/model/template.h"

enum { RULES_MAX = 128, RULE_ID_SIZE = 24, EXCEPTIONS_MAX = 256, RULE_TEXT_SIZE = 224, PROFILES_N = 3, RULES_FILE_MAX = 262144 };

struct compliance_rule {
	char     id[RULE_ID_SIZE];
	size_t   profile; /* place in rule_book.profile */
	enum compliance_severity severity;
	int64_t  error_from_at; /* from then on it is an error; TIME_NEVER = it stays what it is */
	int64_t  valid_from_at;
	uint32_t version;
	char     source[RULE_TEXT_SIZE];
	char     text[LANG_COUNT][RULE_TEXT_SIZE];
	char     reason[LANG_COUNT][RULE_TEXT_SIZE]; /* why nothing that is stored answers it; "" = something does */
	const struct compliance_check *check;
	struct compliance_params       params;
};

/* Somebody answers for it that certificates of a template fail a rule. */
struct compliance_exception {
	char    rule[RULE_ID_SIZE];
	char    template_id[TEMPLATE_ID_SIZE];
	char    owner[ACTOR_SIZE]; /* a role */
	char    reason[REASON_SIZE];
	int64_t until_at;
};

struct compliance_profile {
	char     name[16];
	uint32_t bit; /* PROFILE_* */
	char     law[RULE_TEXT_SIZE];
	uint32_t version;
};

struct rule_book {
	struct compliance_profile   profile[PROFILES_N];
	size_t                      n_profiles;
	struct compliance_rule      rule[RULES_MAX];
	size_t                      n_rules;
	struct compliance_exception exception[EXCEPTIONS_MAX];
	size_t                      n_exceptions;
};

/* Adds one file. E_REPORT_RULES: `why` names file and rule. */
_must_check_ int rule_book_add(struct rule_book *book, const char *file, struct span text, struct refusal *why);
/* Whether all that is in the folder would be read ("" = there is none). E_REPORT_RULES: it is not there, or has a file that no name here reads. */
_must_check_ int rule_book_folder_check(const char *folder, struct refusal *why);
/* The files that are part of this program; one of the same name in the folder stands in its place ("" = no folder). Before the jail; the
 * caller frees it. */
_must_check_ int rule_book_load(const char *folder, struct rule_book **ret, struct refusal *why);

const struct compliance_rule *rule_book_find(const struct rule_book *book, const char *id); /* NULL = unknown */
/* The exception that covers a certificate of this template now; NULL = none. */
const struct compliance_exception *rule_book_exception(const struct rule_book *book, const struct compliance_rule *r, const char *template_id,
						       int64_t now);
/* Its severity now. */
enum compliance_severity rule_severity(const struct compliance_rule *r, int64_t now);

#endif
