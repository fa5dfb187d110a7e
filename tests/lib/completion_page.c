/* completion_page.c - tests: what makes a shell complete the command line of vcc-agent, from the program's table.
 * Never: vccctl's, which it prints itself. */
#include "tests/lib/completion_page.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/conf/program_table.h"

static const char *const agent = "vcc-agent";

static void each_option(const struct program_option *o, size_t n, struct buf *to)
{
	for (size_t i = 0; i < n && o[i].name != NULL; i++)
		buf_add_fmt(to, "%s%s ", o[i].name[1] == '\0' ? "-" : "--", o[i].name);
}

static void commands(struct buf *to)
{
	const struct program *p = program_find(agent);
	for (size_t i = 0; i < p->n_commands; i++)
		if (p->commands[i].name != NULL)
			buf_add_fmt(to, "%s ", p->commands[i].name);
}

/* "a|b" as words; false: any value. */
static bool closed(const char *value, struct buf *to)
{
	if (value == NULL || strchr(value, '|') == NULL)
		return false;
	for (; *value != '\0'; value++)
		buf_add_u8(to, *value == '|' ? ' ' : (uint8_t)*value);
	return true;
}

/* Cases of bash and zsh alike: command -> its options; option with a closed list -> the list. */
static void cases(struct buf *to)
{
	const struct program        *p = program_find(agent);
	size_t                       n;
	const struct program_option *globals = program_globals(&n);
	buf_add_text(to, "\tcase $command in\n");
	for (size_t i = 0; i < p->n_commands; i++) {
		const struct program_command *c = &p->commands[i];
		buf_add_fmt(to, "\t%s) options='", c->name != NULL ? c->name : "''");
		each_option(c->options, PROGRAM_OPTIONS_MAX, to);
		if (c->name == NULL)
			each_option(globals, n, to);
		buf_add_text(to, c->name == NULL ? "' ;;\n" : "--help' ;;\n");
	}
	buf_add_text(to, "\tesac\n\tcase $command:$before in\n");
	for (size_t i = 0; i < p->n_commands; i++)
		for (const struct program_option *o = p->commands[i].options; o->name != NULL; o++) {
			if (o->value == NULL || strchr(o->value, '|') == NULL)
				continue;
			buf_add_fmt(to, "\t%s:%s%s) values='", p->commands[i].name, o->name[1] == '\0' ? "-" : "--", o->name);
			(void)closed(o->value, to);
			buf_add_text(to, "' ;;\n");
		}
	buf_add_text(to, "\tesac\n");
}

void completion_bash(struct buf *to)
{
	buf_add_text(to, "# bash completion of vcc-agent; made from its table of commands\n"
			 "_vcc_agent() {\n"
			 "\tlocal cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command='' options='' values=''\n"
			 "\tif [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} != -* ]]; then command=${COMP_WORDS[1]}; fi\n");
	cases(to);
	buf_add_text(to, "\tif [[ -n $values ]]; then COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n"
			 "\telif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n"
			 "\telif [[ $COMP_CWORD -eq 1 ]]; then COMPREPLY=($(compgen -W '");
	commands(to);
	buf_add_text(to, "' -- \"$cur\"))\n"
			 "\telse COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
			 "}\n"
			 "complete -o filenames -F _vcc_agent vcc-agent\n");
}

void completion_zsh(struct buf *to)
{
	buf_add_text(to, "#compdef vcc-agent\n# zsh completion of vcc-agent; made from its table of commands\n"
			 "_vcc_agent() {\n"
			 "\tlocal before=${words[CURRENT-1]} command='' options='' values=''\n"
			 "\tif (( CURRENT > 2 )) && [[ ${words[2]} != -* ]]; then command=${words[2]}; fi\n");
	cases(to);
	buf_add_text(to, "\tif [[ -n $values ]]; then compadd -- ${=values}\n"
			 "\telif [[ ${words[CURRENT]} == -* ]]; then compadd -- ${=options}\n"
			 "\telif (( CURRENT == 2 )); then compadd -- ");
	commands(to);
	buf_add_text(to, "\n\telse _files; fi\n"
			 "}\n"
			 "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _vcc_agent \"$@\"; else compdef _vcc_agent vcc-agent; fi\n");
}

/* A text inside '...'. */
static void quoted(const char *text, struct buf *to)
{
	buf_add_u8(to, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'' || *text == '\\')
			buf_add_u8(to, '\\');
		buf_add_u8(to, (uint8_t)*text);
	}
	buf_add_text(to, "'\n");
}

static void fish_option(const char *condition, const struct program_option *o, struct buf *to)
{
	buf_add_fmt(to, "complete -c vcc-agent -n '%s' %s %s ", condition, o->name[1] == '\0' ? "-s" : "-l", o->name);
	if (o->value != NULL && strchr(o->value, '|') != NULL) {
		buf_add_text(to, "-x -a '");
		(void)closed(o->value, to);
		buf_add_text(to, "' -d ");
	} else {
		buf_add_text(to, o->value != NULL ? "-r -d " : "-f -d ");
	}
	quoted(o->about, to);
}

void completion_fish(struct buf *to)
{
	const struct program        *p = program_find(agent);
	size_t                       n;
	const struct program_option *globals = program_globals(&n);
	char                         condition[96];
	buf_add_text(to, "# fish completion of vcc-agent; made from its table of commands\n");
	for (size_t i = 0; i < n; i++)
		fish_option("__fish_use_subcommand", &globals[i], to);
	for (size_t i = 0; i < p->n_commands; i++) {
		const struct program_command *c = &p->commands[i];
		if (c->name == NULL)
			continue;
		buf_add_fmt(to, "complete -c vcc-agent -f -n '__fish_use_subcommand' -a %s -d ", c->name);
		quoted(c->about, to);
		snprintf(condition, sizeof(condition), "__fish_seen_subcommand_from %s", c->name);
		for (size_t k = 0; k < PROGRAM_OPTIONS_MAX && c->options[k].name != NULL; k++)
			fish_option(condition, &c->options[k], to);
	}
}
