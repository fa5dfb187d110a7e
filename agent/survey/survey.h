/* survey.h - room agent/survey: the verbs that a person runs as root before and around managing a service.
 * They run outside the daemons, once, and end. Never: being part of a long-running process. */
#ifndef VCC_SURVEY_H
#define VCC_SURVEY_H

#include <stdbool.h>

#include "shared/base/attr.h"

/* `argv` begins with the verb: "observe", "discover", "manage", "unmanage", "doctor". False: none of them. Otherwise *ret_status is the
 * exit status: 0 done, 1 failed, 2 usage, 3 not found, 4 refused by a rule, 6 partly done,
 * 7 the doctor found something wrong. */
_must_check_ bool survey_verb(int argc, char **argv, int *ret_status);

#endif
