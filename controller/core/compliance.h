/* compliance.h - room controller/core: the named checks of compliance rules, over facts that the store holds.
 * Which rule uses which check with which parameters stands in packaging/compliance/. Pure: values in, a result out.
 * Never: clocks, heap, reading anything; a pass where the facts do not say so. */
#ifndef VCC_COMPLIANCE_H
#define VCC_COMPLIANCE_H

#include "controller/core/policy.h"

enum compliance_result {
	COMPLIANCE_PASS,
	COMPLIANCE_FAIL,
	COMPLIANCE_NOT_ASSESSABLE,
	COMPLIANCE_EXCEPTION, /* it fails, and somebody answers for that until a date */
	COMPLIANCE_RESULT_COUNT,
};
const char *compliance_result_name(enum compliance_result r); /* "not_assessable" */

enum compliance_severity { SEVERITY_ERROR, SEVERITY_WARN, SEVERITY_INFO, SEVERITY_COUNT };
const char *compliance_severity_name(enum compliance_severity s);
_must_check_ int compliance_severity_parse(const char *name, enum compliance_severity *ret);

enum { LANG_EN, LANG_DE, LANG_COUNT };
struct compliance_text {
	const char *in[LANG_COUNT];
};

/* What a rule's file says beside the name of its check; a check looks at its own (compliance_check.params). */
enum { PARAM_DAYS = 1, PARAM_DATE = 2, PARAM_NUMBER = 4, PARAM_WORDS = 8 };
enum { COMPLIANCE_WORDS_SIZE = 256 };
struct compliance_params {
	int64_t days, date_at, number;
	char    words[COMPLIANCE_WORDS_SIZE]; /* comma list */
};

/* One certificate, as the store has it now. */
struct compliance_cert {
	const struct certificate *cert;
	const struct template    *made_from; /* the version that its issuance was made from; NULL = not known */
	const struct template    *policy;    /* in force, with what its service says instead; NULL = not known */
	const char *contacts;   /* comma list of the installation's: who is told where the policy names nobody */
	uint32_t targets;       /* where it is served */
	uint32_t unprobed;      /* of these: handshakes prove nothing there */
	uint32_t stale;         /* of these: something else than what was issued is served */
	int64_t  shown_at;      /* the oldest of the newest proofs of each probed target; 0 = one has none */
	int64_t  now;
};

/* The installation. */
struct compliance_system {
	int64_t  now;
	int64_t  drilled_at;     /* the newest drill with a report; 0 = none is known */
	int64_t  restore_drilled_at; /* when a backup was last restored for practice; 0 = never */
	int64_t  oldest_name_at; /* since when the longest kept name stands beside the trail; 0 = none does */
	uint64_t persons, persons_wrong; /* names beside the trail; those whose pseudonym is not made from them */
	int64_t  kept_ms;        /* the shorter of how long issuances and orders stay in the database */
	bool     head_fits;      /* the newest signed head is what the stored tree leads to */
	int64_t  witnessed_at;   /* when a host last said that it keeps a head; 0 = never */
	uint32_t approvers;      /* different persons who may decide now */
	uint32_t all_in_one;     /* principals that may issue, approve and read the trail */
	uint32_t issuers, issuers_rsa; /* in use; of these with an RSA key */
	int64_t  issuers_end_at;       /* the latest end of one */
	int64_t  root_life_ms, sub_life_ms; /* the longest lives of roots and of those below */
	uint32_t lists, lists_late;         /* revocation lists; past their next update */
};

struct compliance_check {
	const char *name;
	unsigned    params; /* PARAM_* that its rule must give */
	/* One of these, or neither: nothing that is stored answers it. */
	enum compliance_result (*of_cert)(const struct compliance_cert *c, const struct compliance_params *p, const struct compliance_text **ret_why);
	enum compliance_result (*of_system)(const struct compliance_system *s, const struct compliance_params *p, const struct compliance_text **ret_why);
};
/* NULL = there is no such check. */
const struct compliance_check *compliance_check_find(const char *name);
const struct compliance_check *compliance_checks(size_t *ret_n);

#endif
