/* completion.c - room controller/cli: scripts that complete a command line, made from the verb table.
 * All three walk the words in the same way: options are passed over, the first word is the noun, the second the verb.
 * Never: asking the controller. */
#include "controller/cli/completion.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"
#include "shared/conf/program_table.h"

struct all {
	const struct verb_table *tables;
	size_t                   n_tables;
};

typedef void each_fn(const struct verb *v, const void *ctx);

static void each_verb(const struct all *all, each_fn *fn, const void *ctx)
{
	for (size_t t = 0; t < all->n_tables; t++)
		for (size_t i = 0; i < all->tables[t].n; i++)
			fn(&all->tables[t].verbs[i], ctx);
}

/* The first verb of a noun stands for the noun. */
static bool is_first(const struct all *all, const struct verb *v)
{
	for (size_t t = 0; t < all->n_tables; t++)
		for (size_t i = 0; i < all->tables[t].n; i++)
			if (text_equal(all->tables[t].verbs[i].noun, v->noun))
				return &all->tables[t].verbs[i] == v;
	return false;
}

static void print_noun(const struct verb *v, const void *ctx)
{
	if (is_first(ctx, v))
		printf("%s ", v->noun);
}

static void print_nouns(const struct all *all)
{
	const struct program *own = program_find("vccctl");
	for (size_t i = 0; i < own->n_commands; i++)
		printf("%s ", own->commands[i].name);
	each_verb(all, print_noun, all);
}

struct of_noun {
	const struct all *all;
	const char       *noun;
};

static void print_name(const struct verb *v, const void *ctx)
{
	const struct of_noun *of = ctx;
	if (text_equal(v->noun, of->noun) && v->name != NULL)
		printf("%s ", v->name);
}

static bool is_of(const struct verb *v, const char *option)
{
	for (size_t i = 0; i < VERB_OPTIONS_MAX && v->options[i].name != NULL; i++)
		if (text_equal(v->options[i].name, option))
			return true;
	return false;
}

static bool is_global(const char *option)
{
	size_t                    n;
	const struct verb_option *globals = verb_globals(&n);
	for (size_t i = 0; i < n; i++)
		if (text_equal(globals[i].name, option))
			return true;
	return false;
}

/* Those that stand beside the global ones: a verb may have one of the same name. */
static void print_options(const struct verb *v)
{
	for (size_t i = 0; i < VERB_OPTIONS_MAX && v->options[i].name != NULL; i++)
		if (!is_global(v->options[i].name))
			printf("--%s ", v->options[i].name);
}

static void print_globals(bool with_value_only, const char *between)
{
	size_t                    n;
	const struct verb_option *globals = verb_globals(&n);
	for (size_t i = 0; i < n; i++)
		if (!with_value_only || globals[i].value != NULL)
			printf("--%s%s", globals[i].name, between);
}

/* Does a value of this kind name a file? */
static bool is_file(const struct verb_option *o)
{
	return text_equal(o->value, "FILE") || text_equal(o->value, "PATH");
}

static void print_file_option(const struct verb *v, const void *ctx)
{
	(void)ctx;
	for (size_t i = 0; i < VERB_OPTIONS_MAX && v->options[i].name != NULL; i++)
		if (is_file(&v->options[i]))
			printf("|--%s", v->options[i].name);
}

/* A pattern of a shell's case: every option whose value is a file. */
static void print_file_options(const struct all *all)
{
	size_t                    n;
	const struct verb_option *globals = verb_globals(&n);
	printf("--state-dir");
	for (size_t i = 0; i < n; i++)
		if (is_file(&globals[i]))
			printf("|--%s", globals[i].name);
	each_verb(all, print_file_option, NULL);
}

/* ---- bash, zsh ---- */

/* A case of a shell: noun -> its verbs. */
static void case_verbs(const struct verb *v, const void *ctx)
{
	const struct all    *all = ctx;
	const struct of_noun of = {all, v->noun};
	if (!is_first(all, v) || v->name == NULL)
		return;
	printf("\t%s) verbs='", v->noun);
	each_verb(all, print_name, &of);
	printf("' ;;\n");
}

static void case_options(const struct verb *v, const void *ctx)
{
	(void)ctx;
	if (v->options[0].name == NULL)
		return;
	printf("\t'%s %s') options='", v->noun, v->name != NULL ? v->name : "");
	print_options(v);
	printf("' ;;\n");
}

/* What needs no controller. */
static void case_own(void)
{
	const struct program *own = program_find("vccctl");
	for (size_t i = 0; i < own->n_commands; i++) {
		printf("\t'%s ') options='", own->commands[i].name);
		for (size_t k = 0; k < PROGRAM_OPTIONS_MAX && own->commands[i].options[k].name != NULL; k++)
			printf("--%s ", own->commands[i].options[k].name);
		printf("' ;;\n");
	}
}

static void print_choice(const struct all *all)
{
	printf("\tcase $noun in\n");
	each_verb(all, case_verbs, all);
	printf("\tcompletion) verbs='bash zsh fish' ;;\n\tesac\n\tcase \"$noun $verb\" in\n");
	each_verb(all, case_options, all);
	case_own();
	printf("\tesac\n");
}

static void print_bash(const struct all *all)
{
	printf("# bash completion of vccctl; made by `vccctl completion bash`\n"
	       "_vccctl() {\n"
	       "\tlocal cur=${COMP_WORDS[COMP_CWORD]} noun='' verb='' verbs='' options='' skip='' i word\n"
	       "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	       "\t\tword=${COMP_WORDS[i]}\n"
	       "\t\tif [[ -n $skip ]]; then skip=''; continue; fi\n"
	       "\t\tcase $word in\n\t\t");
	print_globals(true, "|");
	printf("-o) skip=1 ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) if [[ -z $noun ]]; then noun=$word; elif [[ -z $verb ]]; then verb=$word; fi ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase ${COMP_WORDS[COMP_CWORD-1]} in\n"
	       "\t-o|--output) COMPREPLY=($(compgen -W 'table json csv' -- \"$cur\")); return ;;\n"
	       "\t");
	print_file_options(all);
	printf(") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
	       "\tesac\n");
	print_choice(all);
	printf("\tif [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"$options ");
	print_globals(false, " ");
	printf("\" -- \"$cur\"))\n\telif [[ -z $noun ]]; then COMPREPLY=($(compgen -W '");
	print_nouns(all);
	printf("' -- \"$cur\"))\n"
	       "\telif [[ -n $verbs && -z $verb ]]; then COMPREPLY=($(compgen -W \"$verbs\" -- \"$cur\"))\n"
	       "\telse COMPREPLY=($(compgen -f -- \"$cur\")); fi\n"
	       "}\n"
	       "complete -o filenames -F _vccctl vccctl\n");
}

static void print_zsh(const struct all *all)
{
	printf("#compdef vccctl\n# zsh completion of vccctl; made by `vccctl completion zsh`\n"
	       "_vccctl() {\n"
	       "\tlocal noun='' verb='' verbs='' options='' skip='' word\n"
	       "\tlocal -i i\n"
	       "\tfor ((i = 2; i < CURRENT; i++)); do\n"
	       "\t\tword=${words[i]}\n"
	       "\t\tif [[ -n $skip ]]; then skip=''; continue; fi\n"
	       "\t\tcase $word in\n\t\t");
	print_globals(true, "|");
	printf("-o) skip=1 ;;\n"
	       "\t\t-*) ;;\n"
	       "\t\t*) if [[ -z $noun ]]; then noun=$word; elif [[ -z $verb ]]; then verb=$word; fi ;;\n"
	       "\t\tesac\n"
	       "\tdone\n"
	       "\tcase ${words[CURRENT-1]} in\n"
	       "\t-o|--output) compadd -- table json csv; return ;;\n"
	       "\t");
	print_file_options(all);
	printf(") _files; return ;;\n"
	       "\tesac\n");
	print_choice(all);
	printf("\tif [[ ${words[CURRENT]} == -* ]]; then compadd -- ${=options} ");
	print_globals(false, " ");
	printf("\n\telif [[ -z $noun ]]; then compadd -- ");
	print_nouns(all);
	printf("\n\telif [[ -n $verbs && -z $verb ]]; then compadd -- ${=verbs}\n"
	       "\telse _files; fi\n"
	       "}\n"
	       "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _vccctl \"$@\"; else compdef _vccctl vccctl; fi\n");
}

/* ---- fish ---- */

/* A text inside '...'. */
static void print_quoted(const char *text)
{
	putchar('\'');
	for (; *text != '\0'; text++)
		printf(*text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	putchar('\'');
}

static void fish_option(const char *condition, const struct verb_option *o)
{
	printf("complete -c vccctl %s -l %s %s -d ", condition, o->name, o->value != NULL ? "-r" : "-f");
	print_quoted(o->about);
	printf("\n");
}

/* Where a verb has an option of the same name, that one and its text are shown. */
static void fish_global(const struct all *all, const struct verb_option *o)
{
	bool shared = false;
	printf("complete -c vccctl");
	for (size_t t = 0; t < all->n_tables; t++)
		for (size_t i = 0; i < all->tables[t].n; i++) {
			const struct verb *v = &all->tables[t].verbs[i];
			if (!is_of(v, o->name))
				continue;
			printf("%snot __vccctl_in %s%s%s", shared ? "; and " : " -n '", v->noun, v->name != NULL ? " " : "", v->name != NULL ? v->name : "");
			shared = true;
		}
	printf("%s -l %s %s -d ", shared ? "'" : "", o->name, o->value != NULL ? "-r" : "-f");
	print_quoted(o->about);
	printf("\n");
}

static void fish_verb(const struct verb *v, const void *ctx)
{
	const struct all *all = ctx;
	char              condition[128];
	if (is_first(all, v))
		printf("complete -c vccctl -f -n '__vccctl_at' -a %s\n", v->noun);
	if (v->name != NULL) {
		printf("complete -c vccctl -f -n '__vccctl_at %s' -a %s -d ", v->noun, v->name);
		print_quoted(v->about);
		printf("\n");
	}
	snprintf(condition, sizeof(condition), "-n '__vccctl_in %s%s%s'", v->noun, v->name != NULL ? " " : "", v->name != NULL ? v->name : "");
	for (size_t i = 0; i < VERB_OPTIONS_MAX && v->options[i].name != NULL; i++)
		fish_option(condition, &v->options[i]);
}

static void fish_own(void)
{
	const struct program *own = program_find("vccctl");
	for (size_t i = 0; i < own->n_commands; i++)
		for (size_t k = 0; k < PROGRAM_OPTIONS_MAX && own->commands[i].options[k].name != NULL; k++) {
			const struct program_option *o = &own->commands[i].options[k];
			char                         condition[64];
			snprintf(condition, sizeof(condition), "-n '__vccctl_in %s'", own->commands[i].name);
			fish_option(condition, &(struct verb_option){o->name, o->value, o->about});
		}
}

static void print_fish(const struct all *all)
{
	size_t                    n;
	const struct verb_option *globals = verb_globals(&n);
	printf("# fish completion of vccctl; made by `vccctl completion fish`\n"
	       "function __vccctl_words\n"
	       "\tset -l skip ''\n"
	       "\tfor word in (commandline -opc)[2..-1]\n"
	       "\t\tif test -n \"$skip\"; set skip ''; continue; end\n"
	       "\t\tswitch $word\n\t\tcase ");
	print_globals(true, " ");
	printf("-o\n\t\t\tset skip 1\n"
	       "\t\tcase '-*'\n"
	       "\t\tcase '*'\n\t\t\techo $word\n"
	       "\t\tend\n"
	       "\tend\n"
	       "end\n"
	       "function __vccctl_at # the words so far are exactly these\n"
	       "\tset -l words (__vccctl_words)\n"
	       "\ttest \"$words\" = \"$argv\"\n"
	       "end\n"
	       "function __vccctl_in # the words so far begin with these\n"
	       "\tset -l words (__vccctl_words)\n"
	       "\tset -l n (count $argv)\n"
	       "\ttest (count $words) -ge $n; and test \"$words[1..$n]\" = \"$argv\"\n"
	       "end\n"
	       "complete -c vccctl -f -n '__vccctl_at' -a 'init completion'\n"
	       "complete -c vccctl -f -n '__vccctl_at completion' -a 'bash zsh fish'\n"
	       "complete -c vccctl -s o -x -a 'table json csv' -d output\n");
	for (size_t i = 0; i < n; i++)
		fish_global(all, &globals[i]);
	each_verb(all, fish_verb, all);
	fish_own();
}

int completion_main(const struct verb_table *tables, size_t n_tables, int argc, char **argv)
{
	static const struct {
		const char *shell;
		void (*print)(const struct all *all);
	} shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
	const struct all all = {tables, n_tables};
	for (size_t i = 0; argc == 2 && i < N_ELEMENTS(shells); i++)
		if (text_equal(argv[1], shells[i].shell)) {
			shells[i].print(&all);
			return fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
		}
	bool help = argc > 1 && (text_equal(argv[1], "--help") || text_equal(argv[1], "-h"));
	fprintf(help ? stdout : stderr, "usage: vccctl completion bash|zsh|fish\n"
	                                "  bash: vccctl completion bash > /etc/bash_completion.d/vccctl\n"
	                                "  zsh:  vccctl completion zsh > /usr/share/zsh/vendor-completions/_vccctl\n"
	                                "  fish: vccctl completion fish > /etc/fish/completions/vccctl.fish\n");
	return help ? EXIT_DONE : EXIT_USAGE;
}
