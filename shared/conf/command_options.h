/* command_options.h - room shared/conf: what stands behind a command of a program, read by the command's row of program_table.h, so that an option is
 * taken, shown in the help and refused in the same way by all of them.
 * Never: knowing a command; settings. */
#ifndef VCC_COMMAND_OPTIONS_H
#define VCC_COMMAND_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* An option of the row beside --config: where its value goes, or, of a switch, that it was there. What is not given is left alone. */
struct command_option {
	const char  *name;
	const char **value;
	bool        *given;
};

struct command_words {
	const char *config; /* the program's default path, or what was given */
	char      **word;   /* into argv */
	int         n;
};

/* argv[0] is the command. Options may stand before, between and behind the words, until `--`; of one that is repeated the last counts. --help and -h
 * print the row and exit 0. An option that the row has not, one without its value, fewer words than `min` or more than `max`: says which, prints the row
 * to stderr and exits 2. A row that is not there, or whose options are not those of `own` and --config, ends the process. */
void command_options(const char *program, int argc, char **argv, const struct command_option *own, size_t n_own, int min, int max, struct command_words *ret);

/* For what a command itself finds wrong in its words: says it, prints the row to stderr, exits 2. */
_Noreturn void command_refuse(const char *program, const char *command, const char *object, const char *cause);

#endif
