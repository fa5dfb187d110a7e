/* report_words.h - room controller/cli: figures of a report as people read them, the same on a terminal and on paper.
 * Never: adding up. */
#ifndef VCC_REPORT_WORDS_H
#define VCC_REPORT_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

enum { REPORT_WORD_SIZE = 40 };

/* `whole`: the number that is all of it, 1 or 100. In percent, rounded down to a tenth: 100 means that none is missing. "-" where nobody measured it. */
const char *report_share(const json_t *v, double whole, bool german, char ret[REPORT_WORD_SIZE]);
/* Of minutes; below two of them in seconds. */
const char *report_duration(const json_t *v, bool german, char ret[REPORT_WORD_SIZE]);

#endif
