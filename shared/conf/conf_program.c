/* conf_program.c - room shared/conf: the standard options of every program, --check, and the keys as a manual page has them.
 * Never: knowing a program's keys. */
#include "shared/conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/conf/program_table.h"

static void usage_wrong(const struct conf_schema *schema, const char *argument, const char *what)
{
	char code[ERR_CODE_SIZE];
	fprintf(stderr, "%s: %s %s: %s. Next: %s\n", schema->program, err_code(E_CLI_USAGE, code), argument, what,
	        err_next(E_CLI_USAGE));
	exit(2);
}

void conf_options(int argc, char **argv, const struct conf_schema *schema, struct conf_options *ret)
{
	struct conf_options o = {.config = program_find(schema->program)->conf};
	int                 i = 1;
	for (; i < argc; i++) {
		if (text_equal(argv[i], "--version")) {
			printf("%s %s\n", schema->program, VCC_VERSION);
			exit(0);
		} else if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h")) {
			program_help(schema->program, NULL, stdout);
			exit(0);
		} else if (text_equal(argv[i], "--check")) {
			o.check = true;
		} else if (text_equal(argv[i], "--config")) {
			if (i + 1 >= argc)
				usage_wrong(schema, argv[i], "a file name is missing");
			o.config = argv[++i];
		} else if (text_starts(argv[i], "--config=")) {
			o.config = argv[i] + strlen("--config=");
		} else {
			break;
		}
	}
	o.rest = i;
	*ret = o;
}

int conf_check(const struct conf_schema *schema, const char *path)
{
	struct refusal why = {0};
	char           text[600];
	void          *conf = malloc(schema->struct_size);
	int            r = conf != NULL ? conf_load(schema, path, conf, NULL, &why)
					: refuse(&why, E_NOMEM, path, "no memory for the settings");
	free(conf);
	if (r == 0)
		printf("%s: ok\n", path);
	else
		fprintf(stderr, "%s: %s\n", schema->program, refusal_text(&why, text, sizeof(text)));
	return r == 0 ? 0 : 1;
}

void conf_value_text(const struct conf_key *k, const void *conf, struct buf *to)
{
	const uint8_t *at = (const uint8_t *)conf + k->offset;
	char           text[TIME_TEXT_SIZE];
	int64_t        n = 0;
	int            word = 0;
	bool           yes = false;
	switch (k->kind) {
	case CONF_TEXT:
	case CONF_PATH:
	case CONF_LIST:
		buf_add_text(to, (const char *)at);
		return;
	case CONF_BOOL:
		memcpy(&yes, at, sizeof(yes));
		buf_add_text(to, yes ? "yes" : "no");
		return;
	case CONF_ENUM:
		memcpy(&word, at, sizeof(word));
		buf_add_text(to, k->words[word]);
		return;
	case CONF_INT:
	case CONF_DURATION:
	case CONF_MODE:
	case CONF_SHARE:
		break;
	}
	memcpy(&n, at, sizeof(n));
	if (k->kind == CONF_DURATION)
		buf_add_text(to, duration_text(n, text));
	else if (k->kind == CONF_MODE)
		buf_add_fmt(to, "0%llo", (unsigned long long)n);
	else if (k->kind == CONF_SHARE && n % 10 != 0)
		buf_add_fmt(to, "%lld.%03lld", (long long)(n / 1000), (long long)(n % 1000));
	else
		buf_add_fmt(to, k->kind == CONF_SHARE ? "%lld%%" : "%lld", (long long)(k->kind == CONF_SHARE ? n / 10 : n));
}

/* ---- the manual page --------------------------------------------------------------------------------------------- */

void manual_text(const char *text, struct buf *to)
{
	if (*text == '-') /* at the begin of a line it would begin a list */
		buf_add_u8(to, '\\');
	for (; *text != '\0'; text++) {
		if (*text == '`') {
			buf_add_u8(to, '*');
			continue;
		}
		if (strchr("\\*_#~[]|<>", *text) != NULL)
			buf_add_u8(to, '\\');
		buf_add_u8(to, (uint8_t)*text);
	}
}

/* What may stand behind the `=`. */
static void manual_value(const struct conf_key *k, struct buf *to)
{
	static const char *const names[] = {
		[CONF_TEXT] = "TEXT", [CONF_PATH] = "PATH", [CONF_INT] = "NUMBER", [CONF_DURATION] = "DURATION", [CONF_BOOL] = "yes | no",
		[CONF_ENUM] = "",     [CONF_LIST] = "LIST", [CONF_MODE] = "MODE",  [CONF_SHARE] = "SHARE",
	};
	manual_text(names[k->kind], to);
	for (int w = 0; k->kind == CONF_ENUM && k->words[w] != NULL; w++) {
		manual_text(w == 0 ? "" : " | ", to);
		manual_text(k->words[w], to);
	}
}

/* "from 1s to 1h"; without limits of its own a key has the whole range of its kind. */
static void manual_range(const struct conf_key *k, struct buf *to)
{
	struct conf_key at = *k;
	const int64_t   limit[] = {k->min, k->max};
	at.offset = 0;
	if (k->min == k->max || (k->kind != CONF_INT && k->kind != CONF_DURATION && k->kind != CONF_SHARE))
		return;
	buf_add_text(to, " From ");
	conf_value_text(&at, &limit[0], to);
	buf_add_text(to, " to ");
	conf_value_text(&at, &limit[1], to);
	buf_add_text(to, ".");
}

static void manual_key(const struct conf_key *k, struct buf *to)
{
	buf_add_text(to, "*");
	manual_text(k->key, to);
	buf_add_text(to, "* = ");
	manual_value(k, to);
	buf_add_text(to, "\n\t");
	manual_text(k->about, to);
	buf_add_text(to, text_ends(k->about, ".") ? "" : ".");
	manual_range(k, to);
	if (k->fallback == NULL) {
		buf_add_text(to, " Required.\n\n");
		return;
	}
	buf_add_text(to, k->fallback[0] == '\0' ? " Default: empty" : " Default: *");
	manual_text(k->fallback, to);
	buf_add_text(to, k->fallback[0] == '\0' ? ".\n\n" : "*.\n\n");
}

/* Is it the first key of its section? */
static bool is_first(const struct conf_schema *schema, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (text_equal(schema->keys[k].section, schema->keys[i].section))
			return false;
	return true;
}

void conf_manual(const struct conf_schema *schema, struct buf *to)
{
	for (size_t i = 0; i < schema->n_keys; i++) {
		if (!is_first(schema, i))
			continue;
		buf_add_fmt(to, "## [%s]\n\n", schema->keys[i].section);
		for (size_t k = i; k < schema->n_keys; k++)
			if (text_equal(schema->keys[k].section, schema->keys[i].section))
				manual_key(&schema->keys[k], to);
	}
}
