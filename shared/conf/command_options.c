/* command_options.c - room shared/conf: the row becomes a table of getopt, which also brings the words behind the options.
 * Never: a second list of a command's options. */
#include "shared/conf/command_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/err.h"
#include "shared/base/text.h"
#include "shared/conf/program_table.h"

enum { HELP = PROGRAM_OPTIONS_MAX + 1 }; /* the others are their place in the row, from 1 */

_Noreturn void command_refuse(const char *program, const char *command, const char *object, const char *cause)
{
	char code[ERR_CODE_SIZE];
	fprintf(stderr, "%s %s: %s %s: %s. Next: %s\n\n", program, command, err_code(E_CLI_USAGE, code), object, cause, err_next(E_CLI_USAGE));
	program_help(program, command, stderr);
	exit(2);
}

/* getopt's own text names the command as if it were the program. */
static _Noreturn void refuse_option(const char *program, const char *command, char **argv, bool no_value)
{
	const char letter[3] = {'-', (char)optopt, '\0'};
	if (no_value)
		command_refuse(program, command, argv[optind - 1], "its value is missing");
	if (optopt > HELP)
		command_refuse(program, command, letter, "there is no such option");
	command_refuse(program, command, argv[optind - 1], optopt == 0 ? "there is no such option, or it is short for several" : "it takes no value");
}

static const struct command_option *own_find(const struct command_option *own, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (text_equal(own[i].name, name))
			return &own[i];
	return NULL;
}

/* getopt's table of the row; the count of its options. */
static size_t table_fill(const struct program_command *row, const struct command_option *own, size_t n_own, struct option ret[PROGRAM_OPTIONS_MAX + 2])
{
	size_t n = 0, n_config = 0;
	for (; n < PROGRAM_OPTIONS_MAX && row->options[n].name != NULL; n++) {
		const struct program_option *o = &row->options[n];
		const struct command_option *mine = own_find(own, n_own, o->name);
		bool                         config = text_equal(o->name, "config");
		if (!config && (mine == NULL || (mine->value != NULL) != (o->value != NULL) || (mine->given != NULL) != (o->value == NULL)))
			abort();
		n_config += config;
		ret[n] = (struct option){o->name, o->value != NULL ? required_argument : no_argument, NULL, (int)n + 1};
	}
	if (n - n_config != n_own)
		abort();
	ret[n] = (struct option){"help", no_argument, NULL, HELP};
	ret[n + 1] = (struct option){0};
	return n;
}

void command_options(const char *program, int argc, char **argv, const struct command_option *own, size_t n_own, int min, int max, struct command_words *ret)
{
	const struct program         *p = program_find(program);
	const struct program_command *row = p != NULL ? program_command_find(p, argv[0]) : NULL;
	struct option                 options[PROGRAM_OPTIONS_MAX + 2];
	struct command_words          w = {.config = p != NULL ? p->conf : NULL};

	if (row == NULL)
		abort();
	size_t n = table_fill(row, own, n_own, options);
	opterr = 0;
	optind = 0; /* anew, also where it has read another line */
	for (int c; (c = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (c == HELP || c == 'h') {
			program_help(program, argv[0], stdout);
			exit(0);
		}
		if (c < 1 || (size_t)c > n)
			refuse_option(program, argv[0], argv, c == ':');
		const struct command_option *mine = own_find(own, n_own, row->options[c - 1].name);
		if (mine == NULL)
			w.config = optarg;
		else if (mine->value != NULL)
			*mine->value = optarg;
		else
			*mine->given = true;
	}
	w.word = argv + optind;
	w.n = argc - optind;
	if (w.n > max)
		command_refuse(program, argv[0], w.word[max], "this word is too many");
	if (w.n < min)
		command_refuse(program, argv[0], row->words, "a word is missing");
	*ret = w;
}
