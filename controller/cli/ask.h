/* ask.h - room controller/cli: what most verbs are: one question to the controller, and its answer printed.
 * Never: policy; the controller decides. */
#ifndef VCC_ASK_H
#define VCC_ASK_H

#include "controller/cli/verb.h"

/* All pages of the list that stands in `member` of the answer. Exit code. */
int ask_list(const struct invocation *in, const char *path, const char *member, const struct output_column *columns, size_t n);
/* The same of a list that comes in one answer. */
int ask_whole_list(const struct invocation *in, const char *path, const char *member, const struct output_column *columns, size_t n);
/* One object. `body` may be NULL and stays the caller's. Exit code. */
int ask_object(const struct invocation *in, const char *method, const char *path, const json_t *body, const struct output_column *columns,
               size_t n);
/* How a verb ends that was answered: EXIT_DENIED when nothing was done yet because a second person is waited for, else EXIT_DONE. The one
 * rule for all verbs; the answer itself is printed by the caller. */
int ask_exit(const json_t *answer);
/* "a, b" -> ["a", "b"] for a body. */
json_t *ask_text_list(const char *comma_list);

#endif
