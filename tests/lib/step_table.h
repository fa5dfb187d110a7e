/* step_table.h - room tests/lib: reads tables of steps: state, events, what must come out.
 * One line: VERB field... [-> PHASE action... [| check...]]; a field is `word` or `key=value`, '#' starts a comment.
 * Never: knowing what the words mean. A malformed line ends the test program. */
#ifndef VCC_STEP_TABLE_H
#define VCC_STEP_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/base/id.h"

enum { STEP_WORD_SIZE = 48, STEP_WORDS_MAX = 24 };

struct step_words {
	size_t n;
	char   key[STEP_WORDS_MAX][STEP_WORD_SIZE];
	char   value[STEP_WORDS_MAX][STEP_WORD_SIZE]; /* "" for a bare word */
};

struct step_line {
	int               number;
	char              verb[STEP_WORD_SIZE];
	struct step_words fields;
	bool              expects; /* has a "->" part */
	char              phase[STEP_WORD_SIZE];
	struct step_words actions; /* whole words in `key` */
	struct step_words checks;
};

/* Opens FILE below tests/step, from the root of the tree or from the folder above build. */
FILE *step_open(const char *file);
/* Next line that says something; false at the end. */
bool step_next(FILE *f, int *line_number, struct step_line *ret);

/* "600", "5m", "1h": milliseconds; "-" in front for the past. */
int64_t step_ms(const char *text);
int64_t step_number(const char *text);
/* "k1" -> a hash that only "k1" gives; "" and "none" -> none. */
struct hash   step_hash(const char *name);
struct serial step_serial(const char *hex); /* "0A" */
struct id     step_id(const char *number);  /* ids that grow with the number; "0" = none */

#endif
