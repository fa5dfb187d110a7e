/* conf_program.c - room shared/conf: the standard options of every program, --check, and the table for the documentation.
 * Never: knowing a program's keys. */
#include "shared/conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

static void usage_wrong(const struct conf_schema *schema, const char *argument, const char *what)
{
	char code[ERR_CODE_SIZE];
	fprintf(stderr, "%s: %s %s: %s. Next: %s\n", schema->program, err_code(E_CLI_USAGE, code), argument, what,
	        err_next(E_CLI_USAGE));
	exit(2);
}

static void usage_print(const struct conf_schema *schema, const char *default_path, const char *usage)
{
	printf("usage: %s %s\n\n"
	       "  --config FILE  settings, with drop-ins in FILE.d/*.conf; default\n"
	       "                 %s\n"
	       "  --check        check the settings and end\n"
	       "  --version      print the version and end\n"
	       "  --help         print this and end\n",
	       schema->program, usage, default_path);
}

void conf_options(int argc, char **argv, const struct conf_schema *schema, const char *default_path, const char *usage,
                  struct conf_options *ret)
{
	struct conf_options o = {.config = default_path};
	int                 i = 1;
	for (; i < argc; i++) {
		if (text_equal(argv[i], "--version")) {
			printf("%s %s\n", schema->program, VCC_VERSION);
			exit(0);
		} else if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h")) {
			usage_print(schema, default_path, usage);
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

void conf_document(const struct conf_schema *schema, struct buf *to)
{
	static const char *const names[] = {
		[CONF_TEXT] = "text", [CONF_PATH] = "path", [CONF_INT] = "number", [CONF_DURATION] = "duration", [CONF_BOOL] = "yes/no",
		[CONF_ENUM] = "word", [CONF_LIST] = "list", [CONF_MODE] = "mode",  [CONF_SHARE] = "share",
	};
	buf_add_fmt(to, "## %s (%s)\n\n| key | kind | default | meaning |\n|---|---|---|---|\n", schema->file, schema->program);
	for (size_t i = 0; i < schema->n_keys; i++) {
		const struct conf_key *k = &schema->keys[i];
		const char            *fallback = k->fallback == NULL ? "required" : k->fallback[0] == '\0' ? "-" : k->fallback;
		buf_add_fmt(to, "| `%s.%s` | %s", k->section, k->key, names[k->kind]);
		for (int w = 0; k->kind == CONF_ENUM && k->words[w] != NULL; w++)
			buf_add_fmt(to, "%s%s", w == 0 ? ": " : ", ", k->words[w]);
		buf_add_fmt(to, " | %s | %s |\n", fallback, k->about);
	}
	buf_add_text(to, "\n");
}
