/* ca_plan.h - room controller/signer: what an authority of each role is made as: name, key, life. One table for init and for
 * successors. Never: an authority that is wider than its role's row. */
#ifndef VCC_CA_PLAN_H
#define VCC_CA_PLAN_H

#include "shared/conf/signer_conf.h"
#include "shared/pki/issue.h"

struct ca_plan {
	const char   *common_name; /* the number follows */
	enum key_type key;
	int           days;
};
const struct ca_plan *ca_plan_of(enum issuer_role role);

/* Everything of authority number `number` but its serial: from the table, signer.conf and `now`; back-dated by an hour, and
 * ended with its parent (`until`, 0 = no parent). */
_must_check_ int ca_plan_facts(const struct signer_conf *conf, enum issuer_role role, unsigned number, const char *organisation,
			       const char *parent_id, int64_t until, int64_t now, struct ca_facts *ret);

/* "service-12" -> role and 12; "service-012" is nobody. E_SYNTAX. */
_must_check_ int ca_id_read(const char *issuer_id, enum issuer_role *ret_role, unsigned *ret_number);

#endif
