/* program_table.h - room shared/conf: what each program can be asked on its command line, in one table.
 * Help, man pages and completion are made from it. vccctl's verbs have a table of their own (controller/cli/verb.h).
 * Never: parsing. */
#ifndef VCC_PROGRAM_TABLE_H
#define VCC_PROGRAM_TABLE_H

#include <stddef.h>
#include <stdio.h>

enum { PROGRAM_OPTIONS_MAX = 20 };

struct program_option {
	const char *name;  /* "config"; one letter alone is "-o" */
	const char *value; /* "FILE", NULL for a switch; "a|b" is a closed list */
	const char *about;
};

struct program_command {
	const char *name;  /* NULL: the program without a command, as its unit starts it */
	const char *words; /* "HOST:PORT", "[NAME]", "" */
	const char *about;
	struct program_option options[PROGRAM_OPTIONS_MAX]; /* ends with a NULL name */
};

struct program {
	const char                   *name;
	const char                   *about; /* one line */
	const char                   *conf;  /* default path of its settings; NULL = it has none of this kind */
	const struct program_command *commands;
	size_t                        n_commands;
};

const struct program *programs(size_t *ret_n);
/* NULL = no such program or command. */
const struct program         *program_find(const char *name);
const struct program_command *program_command_find(const struct program *p, const char *name);
/* Options that every program takes beside those of its own: --config, --check, --version, --help. */
const struct program_option *program_globals(size_t *ret_n);

/* `usage: PROGRAM COMMAND ...` with the command's options; of command NULL the whole program. Names must be in the table. */
void program_help(const char *program, const char *command, FILE *to);

#endif
