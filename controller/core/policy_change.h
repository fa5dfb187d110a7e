/* policy_change.h - room controller/core: what a changed template means for one certificate made from it.
 * Pure: values in, values out. Never: clocks, heap, deciding for the whole estate; the caller counts. */
#ifndef VCC_POLICY_CHANGE_H
#define VCC_POLICY_CHANGE_H

#include "controller/core/policy.h"

/* Would its next issuance differ by more than its times? Only then is it renewed by the change: what merely says how it is renewed holds at
 * once, without a new certificate. */
bool policy_change_renews(const struct template *was, const struct template *next, const struct certificate *c);

/* Could it be renewed unattended before, and could no longer? Then the field at fault, with `why` filled (E_POLICY_BLOCKS); else NULL.
 * `issuer_not_after_at`: end of the CA that `next` is issued from. */
const char *policy_change_blocks(const struct template *was, const struct template *next, const struct certificate *c,
				 int64_t issuer_not_after_at, int64_t now, struct refusal *why);

/* Are names and service inside the template? A person may have accepted what is not. */
bool policy_change_fits(const struct template *t, const struct certificate *c);

/* What the template's own compliance profiles say against it, one sentence each; `i` counts from 0, false = no more. */
bool policy_violation(const struct template *t, size_t i, const char **ret_profile, const char **ret_field, const char **ret_text);

#endif
