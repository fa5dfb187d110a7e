/* step_table.c - room tests/lib: the words of a step table.
 * Never: knowing what they mean. */
#include "tests/lib/step_table.h"

#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

static void malformed(int line, const char *what)
{
	fprintf(stderr, "step table, line %d: %s\n", line, what);
	abort();
}

FILE *step_open(const char *file)
{
	char path[256];
	snprintf(path, sizeof(path), "tests/step/%s", file);
	FILE *f = fopen(path, "re");
	if (f == NULL) {
		fprintf(stderr, "%s: cannot be opened; run the tests from the root of the tree\n", path);
		abort();
	}
	return f;
}

static void add_word(struct step_words *to, const char *word, bool split, int line)
{
	if (to->n == STEP_WORDS_MAX || strlen(word) >= STEP_WORD_SIZE)
		malformed(line, "too many or too long words");
	const char *equals = split ? strchr(word, '=') : NULL;
	size_t      n = equals != NULL ? (size_t)(equals - word) : strlen(word);
	memcpy(to->key[to->n], word, n);
	to->key[to->n][n] = '\0';
	snprintf(to->value[to->n], STEP_WORD_SIZE, "%s", equals != NULL ? equals + 1 : "");
	to->n++;
}

bool step_next(FILE *f, int *line_number, struct step_line *ret)
{
	char text[1024];
	while (fgets(text, sizeof(text), f) != NULL) {
		++*line_number;
		char *hash = strchr(text, '#');
		if (hash != NULL)
			*hash = '\0';
		*ret = (struct step_line){.number = *line_number};
		enum { FIELDS, PHASE, ACTIONS, CHECKS } part = FIELDS;
		char *rest = NULL;
		for (char *word = strtok_r(text, " \t\n", &rest); word != NULL; word = strtok_r(NULL, " \t\n", &rest)) {
			if (ret->verb[0] == '\0') {
				snprintf(ret->verb, sizeof(ret->verb), "%s", word);
			} else if (strcmp(word, "->") == 0) {
				ret->expects = true;
				part = PHASE;
			} else if (part == PHASE) {
				snprintf(ret->phase, sizeof(ret->phase), "%s", word);
				part = ACTIONS;
			} else if (strcmp(word, "|") == 0) {
				part = CHECKS;
			} else {
				add_word(part == FIELDS    ? &ret->fields
					 : part == ACTIONS ? &ret->actions
							   : &ret->checks,
					 word, part != ACTIONS, *line_number);
			}
		}
		if (ret->verb[0] != '\0')
			return true;
	}
	return false;
}

int64_t step_number(const char *text)
{
	int64_t n = 0;
	if (text_i64(text, INT64_MIN, INT64_MAX, &n) != 0) {
		fprintf(stderr, "step table: %s is no number\n", text);
		abort();
	}
	return n;
}

int64_t step_ms(const char *text)
{
	bool        past = text[0] == '-';
	const char *p = past ? text + 1 : text;
	int64_t     ms = 0;
	if (strcmp(p, "0") != 0 && duration_parse(p, &ms) != 0) {
		fprintf(stderr, "step table: %s is no duration\n", text);
		abort();
	}
	return past ? -ms : ms;
}

struct hash step_hash(const char *name)
{
	struct hash h = {0};
	if (strcmp(name, "none") != 0)
		memcpy(h.b, name, strlen(name) < sizeof(h.b) ? strlen(name) : sizeof(h.b));
	return h;
}

struct serial step_serial(const char *hex)
{
	struct serial s = {0};
	s.b[15] = (uint8_t)strtoul(hex, NULL, 16);
	return s;
}

struct id step_id(const char *number)
{
	struct id id = {0};
	id.b[5] = (uint8_t)step_number(number);
	return id;
}
