/* conf_line.h - room agent/survey: lines of words: the languages of Apache, HAProxy, PostgreSQL and systemd, which differ in
 * quotes, comments and continued lines. Each word keeps the place of its bytes. Never: meaning. */
#ifndef VCC_CONF_LINE_H
#define VCC_CONF_LINE_H

#include "agent/survey/site.h"
#include "agent/survey/source.h"

enum conf_style {
	CONF_APACHE,     /* "..." '...' around a whole word; # at the line's beginning; \ continues a line */
	CONF_HAPROXY,    /* "..." '...' anywhere, \ escapes; # anywhere */
	CONF_POSTGRESQL, /* key [=] value; '...' with '' and \'; # anywhere */
	CONF_UNIT, /* systemd: "..." '...' around a whole word, \ escapes; # or ; at the line's beginning; \ continues a line */
	CONF_STYLE_COUNT,
};

enum { CONF_WORDS_MAX = 64 };

struct conf_word {
	size_t start, end; /* quotes included */
	char   text[SITE_VALUE_SIZE];
	bool   cut;    /* longer than that */
	bool   joined; /* a continued line runs through it: its bytes are not its text */
};

/* Large: one for each parser, on the heap. */
struct conf_line {
	size_t           at; /* where the line begins */
	size_t           n;
	bool             more; /* words beyond CONF_WORDS_MAX are left out */
	struct conf_word word[CONF_WORDS_MAX];
};

/* The next line that holds a word; *at moves behind it. 1 = a line, 0 = the end, E_SURVEY_SYNTAX = a quote is not closed. */
_must_check_ int conf_line_next(struct span text, size_t *at, enum conf_style style, struct conf_line *ret);

/* A word as a value: `base` is put before relative paths unless it is NULL. */
void conf_value(size_t file, const struct conf_word *w, const char *base, struct site_value *ret);

/* Refuses with "FILE:LINE". */
int conf_syntax(const struct sources *src, size_t file, size_t at, const char *what, struct refusal *why);

#endif
