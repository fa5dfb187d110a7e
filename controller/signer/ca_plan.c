/* ca_plan.c - room controller/signer: the table of roles, and the facts of an authority made by it.
 * Never: keys. */
#include "controller/signer/ca_plan.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

enum { NUMBER_MAX = 1000000 };

/* Read me first: what is made. */
static const struct ca_plan plans[ISSUER_ROLE_COUNT] = {
	[ISSUER_ROOT] = {"VCC Root CA", KEY_EC_P384, 3653},
	[ISSUER_SERVICE] = {"VCC Service CA", KEY_EC_P256, 1096},
	[ISSUER_AGENT] = {"VCC Agent CA", KEY_EC_P256, 1096},
	[ISSUER_CODE_SIGNING] = {"VCC Code Signing CA", KEY_EC_P256, 2192},
};

const struct ca_plan *ca_plan_of(enum issuer_role role)
{
	return &plans[role];
}

int ca_plan_facts(const struct signer_conf *conf, enum issuer_role role, unsigned number, const char *organisation,
		  const char *parent_id, int64_t until, int64_t now, struct ca_facts *ret)
{
	struct ca_facts f = {.role = role};

	/* back-dated: leaves made in the first minutes are, too, and the clock of a host may be late */
	f.not_before_at = (now - MS_HOUR) / MS_SECOND * MS_SECOND;
	f.not_after_at = f.not_before_at + plans[role].days * MS_DAY;
	if (until != 0 && f.not_after_at > until)
		f.not_after_at = until;
	(void)snprintf(f.common_name, sizeof(f.common_name), "%s %u", plans[role].common_name, number);
	int r = text_copy(f.organisation, sizeof(f.organisation), organisation);
	if (r == 0)
		r = text_copy(f.domains, sizeof(f.domains), conf->domains);
	if (r == 0)
		r = text_copy(f.ip_ranges, sizeof(f.ip_ranges), conf->ip_ranges);
	if (r == 0)
		r = text_copy(f.public_url, sizeof(f.public_url), conf->public_url);
	if (r == 0)
		r = text_copy(f.parent_id, sizeof(f.parent_id), parent_id);
	if (r == 0)
		*ret = f;
	return r;
}

int ca_id_read(const char *issuer_id, enum issuer_role *ret_role, unsigned *ret_number)
{
	for (int i = 0; i < ISSUER_ROLE_COUNT; i++) {
		const char *name = issuer_role_name((enum issuer_role)i);
		size_t      n = strlen(name);
		int64_t     number;
		if (strncmp(issuer_id, name, n) == 0 && issuer_id[n] == '-' && issuer_id[n + 1] != '0' &&
		    text_i64(issuer_id + n + 1, 1, NUMBER_MAX, &number) == 0) {
			*ret_role = (enum issuer_role)i;
			*ret_number = (unsigned)number;
			return 0;
		}
	}
	return E_SYNTAX;
}
