/* conf_line.c - room agent/survey: lines of words: the languages of Apache, HAProxy, PostgreSQL and systemd.
 * Never: meaning. */
#include "agent/survey/conf_line.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

struct style {
	const char *comment_start; /* characters that make a line a comment when they come first */
	bool        comment_any;   /* # ends the line anywhere outside of quotes */
	bool        continued;     /* a backslash at the end continues the line */
	bool        quotes_inside; /* quotes count in the middle of a word, too */
	bool        doubled;       /* '' is a quote inside '...' */
	bool        escapes;       /* a backslash outside of quotes takes the next character as it is */
	const char *quotes;
};

static const struct style styles[CONF_STYLE_COUNT] = {
	[CONF_APACHE] = {.comment_start = "#", .continued = true, .quotes = "\"'"},
	[CONF_HAPROXY] = {.comment_start = "#", .comment_any = true, .quotes_inside = true, .escapes = true, .quotes = "\"'"},
	[CONF_POSTGRESQL] = {.comment_start = "#", .comment_any = true, .doubled = true, .quotes = "'"},
	[CONF_UNIT] = {.comment_start = "#;", .continued = true, .escapes = true, .quotes = "\"'"},
};

struct scan {
	struct span         text;
	size_t              at;
	const struct style *style;
};

static uint8_t here(const struct scan *s)
{
	return s->at < s->text.n ? s->text.p[s->at] : '\n';
}

static bool at_end(const struct scan *s)
{
	return s->at >= s->text.n || here(s) == '\n';
}

/* "\" and the end of the line: the line goes on. */
static bool continues(const struct scan *s)
{
	if (!s->style->continued || here(s) != '\\')
		return false;
	size_t next = s->at + 1;
	next += next < s->text.n && s->text.p[next] == '\r';
	return next < s->text.n && s->text.p[next] == '\n';
}

static void continue_skip(struct scan *s)
{
	s->at = (size_t)((const uint8_t *)memchr(s->text.p + s->at, '\n', s->text.n - s->at) - s->text.p) + 1;
}

static bool blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static void word_add(struct conf_word *w, size_t *n, uint8_t c)
{
	if (*n + 1 < sizeof(w->text))
		w->text[(*n)++] = (char)c;
	else
		w->cut = true;
	w->text[*n] = '\0';
}

/* From the opening quote to behind the closing one; false: there is none on this line. */
static bool quoted(struct scan *s, struct conf_word *w, size_t *n)
{
	uint8_t quote = here(s);
	s->at++;
	while (!at_end(s)) {
		uint8_t c = here(s);
		if (c == quote) {
			s->at++;
			if (!s->style->doubled || here(s) != quote)
				return true;
		} else if (continues(s)) {
			continue_skip(s);
			w->joined = true;
			continue;
		} else if (c == '\\' && (quote == '"' || !s->style->quotes_inside) && s->at + 1 < s->text.n &&
			   s->text.p[s->at + 1] != '\n') {
			s->at++; /* HAProxy takes '...' as it stands */
		}
		word_add(w, n, here(s));
		s->at++;
	}
	return false;
}

static bool is_quote(const struct scan *s, uint8_t c)
{
	return c != '\0' && strchr(s->style->quotes, c) != NULL;
}

/* PostgreSQL's `=` and its quotes need no blanks around them. */
static bool word_ends(const struct scan *s, bool begun)
{
	uint8_t c = here(s);
	if (at_end(s) || blank(c) || (s->style->comment_any && c == '#'))
		return true;
	return begun && s->style->doubled && (c == '=' || is_quote(s, c));
}

static bool word_read(struct scan *s, struct conf_word *w)
{
	size_t n = 0;
	memset(w, 0, offsetof(struct conf_word, text));
	w->text[0] = '\0';
	w->cut = w->joined = false;
	w->start = s->at;
	for (bool begun = false; !word_ends(s, begun); begun = true) {
		if (continues(s)) {
			continue_skip(s);
			w->joined = true;
			break;
		}
		if (is_quote(s, here(s)) && (!begun || s->style->quotes_inside)) {
			if (!quoted(s, w, &n))
				return false;
			if (!s->style->quotes_inside) {
				w->end = s->at;
				return true;
			}
			continue;
		}
		if (s->style->escapes && here(s) == '\\' && s->at + 1 < s->text.n && s->text.p[s->at + 1] != '\n')
			s->at++;
		word_add(w, &n, here(s));
		s->at++;
		if (s->style->doubled && w->text[0] == '=' && n == 1)
			break;
	}
	w->end = s->at;
	return true;
}

static void blanks_skip(struct scan *s)
{
	for (;;) {
		if (!at_end(s) && blank(here(s)))
			s->at++;
		else if (continues(s))
			continue_skip(s);
		else
			return;
	}
}

static void line_skip(struct scan *s)
{
	while (!at_end(s))
		s->at++;
	s->at += s->at < s->text.n;
}

/* Words of one line; false: a quote is not closed. */
static bool words_read(struct scan *s, struct conf_line *ret)
{
	static struct conf_word spare;
	blanks_skip(s);
	ret->at = s->at;
	ret->n = 0;
	ret->more = false;
	if (!at_end(s) && strchr(s->style->comment_start, here(s)) != NULL) {
		line_skip(s);
		return true;
	}
	while (!at_end(s) && !(s->style->comment_any && here(s) == '#')) {
		struct conf_word *w = ret->n < CONF_WORDS_MAX ? &ret->word[ret->n] : &spare;
		if (!word_read(s, w))
			return false;
		/* a word that is only a continued line's end is none */
		if (w->end > w->start && !(w->joined && w->text[0] == '\0')) {
			ret->more |= ret->n == CONF_WORDS_MAX;
			ret->n += ret->n < CONF_WORDS_MAX;
		}
		blanks_skip(s);
	}
	line_skip(s);
	return true;
}

int conf_line_next(struct span text, size_t *at, enum conf_style style, struct conf_line *ret)
{
	struct scan s = {text, *at, &styles[style]};
	bool        good = true;
	ret->n = 0;
	while (good && ret->n == 0 && s.at < text.n)
		good = words_read(&s, ret);
	*at = s.at;
	if (!good)
		return E_SURVEY_SYNTAX;
	return ret->n > 0 ? 1 : 0;
}

void conf_value(size_t file, const struct conf_word *w, const char *base, struct site_value *ret)
{
	*ret = (struct site_value){.file = file, .start = w->start, .end = w->end, .variable = w->cut || w->joined};
	int n = snprintf(ret->text, sizeof(ret->text), "%s%s%s", base != NULL && w->text[0] != '/' ? base : "",
			 base != NULL && w->text[0] != '/' ? "/" : "", w->text);
	ret->variable |= n < 0 || (size_t)n >= sizeof(ret->text) || strchr(w->text, '$') != NULL;
}

int conf_syntax(const struct sources *src, size_t file, size_t at, const char *what, struct refusal *why)
{
	char                 where[SOURCE_PATH_SIZE + 16];
	const struct source *f = src->file[file];
	snprintf(where, sizeof(where), "%s:%u", f->path, source_line(f, at));
	return refuse(why, E_SURVEY_SYNTAX, where, "%s", what);
}
