/* policy_file.h - room controller/cli: a template or service from its file to the controller, and what that does.
 * Never: judging the file. */
#ifndef VCC_POLICY_FILE_H
#define VCC_POLICY_FILE_H

#include "controller/cli/verb.h"

#define POLICY_APPLY_OPTIONS                                                                                                   \
	{"dry-run", NULL, "show changes, certificates affected and violations; change nothing"},                               \
	{"force", NULL, "although certificates could no longer be renewed by themselves"},                                 \
	{"if-version", "N", "only when version N is the one in force (0 = none)"}

/* The file of words[0] to BASE/ID, ID being its field `key`. Exit code. */
int policy_file_apply(const struct invocation *in, const char *base, const char *key, bool in_path);

/* "  max_renewals = 2" lines below a table. */
void policy_print_overrides(const json_t *overrides);

#endif
