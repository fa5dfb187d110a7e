/* man_page.c - tests: manual pages, from a text with places for what the tables say.
 * Never: saying what a table says. */
#include "tests/lib/man_page.h"

#include <string.h>

#include "controller/cli/verb.h"
#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/channel_conf.h"
#include "shared/conf/controller_conf.h"
#include "shared/conf/gateway_conf.h"
#include "shared/conf/program_table.h"
#include "shared/conf/signer_conf.h"
#include "shared/conf/target_conf.h"

static const struct {
	const char               *name;
	const struct conf_schema *schema;
} schemas[] = {
	{"controller", &controller_schema}, {"gateway", &gateway_schema}, {"signer", &signer_schema}, {"agent", &agent_schema},
	{"target", &target_schema},         {"channel", &channel_schema}, {"vccctl", &client_schema},
};

static void bold(const char *text, struct buf *to)
{
	buf_add_text(to, "*");
	manual_text(text, to);
	buf_add_text(to, "*");
}

/* Rows of tables end as they like; what people read ends with a stop. */
static void sentence(const char *text, struct buf *to)
{
	manual_text(text, to);
	buf_add_text(to, text_ends(text, ".") || text_ends(text, "?") ? "\n\n" : ".\n\n");
}

/* "*--NAME* VALUE" and the text below it, `deep` tabs to the right. */
static void option(const char *name, const char *value, const char *about, const char *deep, struct buf *to)
{
	buf_add_fmt(to, "%s*%s%s*", deep, name[1] == '\0' ? "-" : "--", name);
	if (value != NULL) {
		buf_add_text(to, " ");
		manual_text(value, to);
	}
	buf_add_fmt(to, "\n%s\t", deep);
	sentence(about, to);
}

static void program_options(const struct program_option *o, size_t n, const char *deep, struct buf *to)
{
	for (size_t i = 0; i < n && o[i].name != NULL; i++)
		option(o[i].name, o[i].value, o[i].about, deep, to);
}

/* PROGRAM COMMAND WORDS, as a person types it. */
static void command_line(const struct program *p, const struct program_command *c, struct buf *to)
{
	bold(p->name, to);
	if (c->name != NULL) {
		buf_add_text(to, " ");
		bold(c->name, to);
	}
	buf_add_text(to, c->words[0] != '\0' ? " " : "");
	manual_text(c->words, to);
	if (c->name == NULL || c->options[0].name != NULL)
		manual_text(" [OPTIONS]", to);
}

static void put_synopsis(const struct program *p, struct buf *to)
{
	for (size_t i = 0; i < p->n_commands; i++) {
		command_line(p, &p->commands[i], to);
		buf_add_text(to, i + 1 < p->n_commands ? "++\n" : "\n");
	}
}

static void put_commands(const struct program *p, struct buf *to)
{
	for (size_t i = 0; i < p->n_commands; i++) {
		const struct program_command *c = &p->commands[i];
		if (c->name == NULL)
			continue;
		command_line(p, c, to);
		buf_add_text(to, "\n\t");
		manual_text(c->about, to);
		buf_add_text(to, "\n\n");
		program_options(c->options, PROGRAM_OPTIONS_MAX, "\t", to);
	}
}

static void put_options(const struct program *p, struct buf *to)
{
	size_t                       n;
	const struct program_option *globals = program_globals(&n);
	program_options(program_command_find(p, NULL)->options, PROGRAM_OPTIONS_MAX, "", to);
	program_options(globals, n, "", to);
}

static void verb_options(const struct verb_option *o, size_t n, const char *deep, struct buf *to)
{
	for (size_t i = 0; i < n && o[i].name != NULL; i++)
		option(o[i].name, o[i].value, o[i].about, deep, to);
}

static void put_verb(const struct verb *v, struct buf *to)
{
	bold(v->noun, to);
	if (v->name != NULL) {
		buf_add_text(to, " ");
		bold(v->name, to);
	}
	buf_add_text(to, v->words[0] != '\0' ? " " : "");
	manual_text(v->words, to);
	buf_add_text(to, "\n\t");
	sentence(v->about, to);
	verb_options(v->options, VERB_OPTIONS_MAX, "\t", to);
}

static void put_verbs(struct buf *to)
{
#define VERB_FILE_ROW(stem) {cli_##stem##_verbs, cli_##stem##_verbs_n},
	const struct verb_table tables[] = {VERB_FILES(VERB_FILE_ROW)};
	for (size_t t = 0; t < N_ELEMENTS(tables); t++)
		for (size_t i = 0; i < tables[t].n; i++)
			put_verb(&tables[t].verbs[i], to);
}

static void put_globals(struct buf *to)
{
	size_t                    n;
	const struct verb_option *globals = verb_globals(&n);
	verb_options(globals, n, "", to);
}

static int put_settings(const char *name, struct buf *to)
{
	for (size_t i = 0; i < N_ELEMENTS(schemas); i++)
		if (text_equal(schemas[i].name, name)) {
			conf_manual(schemas[i].schema, to);
			return 0;
		}
	return -1;
}

static int put_program(const char *what, const char *name, struct buf *to)
{
	static const struct {
		const char *what;
		void (*put)(const struct program *p, struct buf *to);
	} parts[] = {{"synopsis", put_synopsis}, {"commands", put_commands}, {"options", put_options}};
	const struct program *p = program_find(name);
	for (size_t i = 0; p != NULL && i < N_ELEMENTS(parts); i++)
		if (text_equal(parts[i].what, what)) {
			parts[i].put(p, to);
			return 0;
		}
	return -1;
}

static int put_place(const char *what, const char *name, struct buf *to)
{
	if (text_equal(what, "verbs"))
		put_verbs(to);
	else if (text_equal(what, "globals"))
		put_globals(to);
	else if (text_equal(what, "settings"))
		return put_settings(name, to);
	else
		return put_program(what, name, to);
	return 0;
}

int man_page(FILE *from, struct buf *to)
{
	char line[1024], what[32], name[32];
	while (fgets(line, sizeof(line), from) != NULL) {
		if (line[0] != '@') {
			buf_add_text(to, line);
			continue;
		}
		name[0] = '\0';
		if (sscanf(line, "@%31s %31s", what, name) < 1 || put_place(what, name, to) != 0) {
			fprintf(stderr, "unknown place: %s", line);
			return -1;
		}
	}
	return 0;
}
