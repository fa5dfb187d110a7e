/* verb.c - room controller/cli: parses a command line by the verb table and prints help from it.
 * Never: what a verb does. */
#include "controller/cli/verb.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/text.h"
#include "shared/conf/help_lines.h"
#include "shared/conf/program_table.h"

static const struct verb_option globals[] = {
	{"url", "URL", "admin API, https://NAME:8444 (default: local socket)"},
	{"ca", "FILE", "root certificate of the installation"},
	{"token-file", "FILE", "file with the bearer token"},
	{"cert", "FILE", "client certificate instead of a token"},
	{"key", "FILE", "its key"},
	{"socket", "PATH", "local socket of the controller"},
	{"output", "FORM", "table, json or csv (also -o FORM)"},
	{"reason", "TEXT", "why, for the audit trail"},
	{"help", NULL, "this text"},
	{"version", NULL, "the version"},
};
enum { G_URL, G_CA, G_TOKEN_FILE, G_CERT, G_KEY, G_SOCKET, G_OUTPUT, G_REASON, G_HELP, G_VERSION, G_COUNT };

struct parse {
	const struct verb_table *tables;
	size_t                   n_tables;
	const char              *global[G_COUNT];
	const char              *noun; /* that was typed and is one */
	struct invocation        in;
};

const struct verb_option *verb_globals(size_t *ret_n)
{
	*ret_n = G_COUNT;
	return globals;
}

void verb_say(FILE *to, int indent, const char *head, const char *text)
{
	int at = fprintf(to, "%s", head);
	if (isatty(fileno(to)) == 1)
		help_wrapped(to, at, indent, text);
	else
		fprintf(to, "%s\n", text);
}

static int fail(int code, const struct refusal *why, const char *next)
{
	char name[ERR_CODE_SIZE], text[sizeof(why->object) + sizeof(why->cause) + ERR_CODE_SIZE + 8];
	snprintf(text, sizeof(text), "%s %s%s%s", err_code(why->code, name), why->object, why->object[0] != '\0' ? ": " : "",
		 why->cause[0] != '\0' ? why->cause : err_what(why->code));
	verb_say(stderr, 2, "vccctl: ", text);
	verb_say(stderr, 8, "  next: ", next);
	return code;
}

int verb_fail(int code, const struct refusal *why)
{
	return fail(code, why, err_next(why->code));
}

const char *verb_value(const struct invocation *in, const char *option)
{
	for (size_t i = 0; i < VERB_OPTIONS_MAX && in->verb->options[i].name != NULL; i++)
		if (text_equal(in->verb->options[i].name, option))
			return in->values[i];
	return NULL;
}

const char *verb_nth_value(const struct invocation *in, const char *option, size_t i)
{
	for (size_t k = 0; k < in->n_again; k++)
		if (text_equal(in->verb->options[in->again[k].option].name, option) && i-- == 0)
			return in->again[k].value;
	return i == 0 ? verb_value(in, option) : NULL;
}

bool verb_given(const struct invocation *in, const char *option)
{
	return verb_value(in, option) != NULL;
}

/* ---- what is not understood --------------------------------------------------------------------------------------- */

/* Of the words that there are, the one that is nearest to what was typed: up to a third of it is mistyped, and no more than two signs. */
struct near {
	const char *typed, *word;
	size_t      distance;
};

static struct near near_begin(const char *typed)
{
	size_t n = strlen(typed) / 3;
	return (struct near){.typed = typed, .distance = n < 2 ? n + 1 : 3};
}

static void near_look(struct near *n, const char *word)
{
	size_t d = text_distance(n->typed, word);
	if (d < n->distance) {
		n->distance = d;
		n->word = word;
	}
}

static void near_look_at_options(struct near *n, const struct verb_option *table, size_t size)
{
	for (size_t i = 0; i < size && table[i].name != NULL; i++)
		near_look(n, table[i].name);
}

/* `noun` NULL: nouns are looked at; else the verbs of it. */
static struct near near_word(const struct parse *p, const char *noun, const char *typed)
{
	struct near           n = near_begin(typed);
	const struct program *own = program_find("vccctl");
	for (size_t i = 0; noun == NULL && i < own->n_commands; i++)
		near_look(&n, own->commands[i].name);
	for (size_t t = 0; t < p->n_tables; t++)
		for (size_t i = 0; i < p->tables[t].n; i++) {
			const struct verb *v = &p->tables[t].verbs[i];
			if (noun == NULL)
				near_look(&n, v->noun);
			else if (v->name != NULL && text_equal(v->noun, noun))
				near_look(&n, v->name);
		}
	return n;
}

static struct near near_option(const struct verb *v, const char *typed)
{
	char name[64];
	text_cut(name, sizeof(name), typed + strspn(typed, "-"));
	name[strcspn(name, "=")] = '\0';
	struct near n = near_begin(name);
	if (v != NULL)
		near_look_at_options(&n, v->options, VERB_OPTIONS_MAX);
	near_look_at_options(&n, globals, G_COUNT);
	n.typed = typed;
	return n;
}

/* `object` is what was typed; the next step is the help page of as much as was understood. */
static int usage_error(const struct parse *p, const char *object, const char *cause, const struct near *near, const char *dashes)
{
	struct refusal     why;
	char               next[96];
	const struct verb *v = p->in.verb;
	const char        *noun = v != NULL ? v->noun : p->noun != NULL ? p->noun : "";
	if (near != NULL && near->word != NULL)
		(void)refuse(&why, E_CLI_USAGE, object, "%s; did you mean `%s%s`?", cause, dashes, near->word);
	else
		(void)refuse(&why, E_CLI_USAGE, object, "%s", cause);
	snprintf(next, sizeof(next), "See `vccctl %s%s%s%s--help`.", noun, noun[0] != '\0' ? " " : "", v != NULL && v->name != NULL ? v->name : "",
		 v != NULL && v->name != NULL ? " " : "");
	return fail(EXIT_USAGE, &why, next);
}

static int unknown_option(const struct parse *p, const char *typed)
{
	struct near near = near_option(p->in.verb, typed);
	return usage_error(p, typed, "unknown option", &near, "--");
}

/* ---- help -------------------------------------------------------------------------------------------------------- */

static void print_line(const struct verb *v)
{
	char left[64];
	snprintf(left, sizeof(left), "%s%s%s%s%s", v->noun, v->name != NULL ? " " : "", v->name != NULL ? v->name : "",
	         v->words[0] != '\0' ? " " : "", v->words);
	help_row(stdout, left, 26, v->about);
}

/* What vccctl does without asking a controller. */
static void print_own(void)
{
	const struct program *own = program_find("vccctl");
	for (size_t i = 0; i < own->n_commands; i++)
		print_line(&(struct verb){.noun = own->commands[i].name, .words = own->commands[i].words, .about = own->commands[i].about});
}

static void print_verbs(const struct parse *p, const char *noun)
{
	for (size_t t = 0; t < p->n_tables; t++)
		for (size_t i = 0; i < p->tables[t].n; i++)
			if (noun == NULL || text_equal(noun, p->tables[t].verbs[i].noun))
				print_line(&p->tables[t].verbs[i]);
}

static int print_noun_help(const struct parse *p)
{
	printf("usage: vccctl %s VERB [WORDS] [OPTIONS]\n\n", p->noun);
	print_verbs(p, p->noun);
	char more[128];
	snprintf(more, sizeof(more), "`vccctl %s VERB --help` shows the options of one, `vccctl --help` those of all.", p->noun);
	printf("\n");
	help_wrapped(stdout, 0, 0, more);
	return EXIT_DONE;
}

static int print_help(const struct parse *p)
{
	printf("usage: vccctl NOUN VERB [WORDS] [OPTIONS]\n\n");
	print_own();
	print_verbs(p, NULL);
	printf("\noptions everywhere\n");
	for (size_t i = 0; i < G_COUNT; i++)
		help_option(stdout, globals[i].name, globals[i].value, globals[i].about);
	printf("\nexit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 unreachable,\n"
	       "            6 partly done or halted, 7 check found something,\n"
	       "            8 the plan is out of date\n");
	return EXIT_DONE;
}

static int print_version(void)
{
	printf("vccctl %s\n", VCC_VERSION);
	return EXIT_DONE;
}

static int print_verb_help(const struct verb *v)
{
	printf("usage: vccctl %s%s%s%s%s [OPTIONS]\n", v->noun, v->name != NULL ? " " : "", v->name != NULL ? v->name : "",
	       v->words[0] != '\0' ? " " : "", v->words);
	help_wrapped(stdout, 0, 0, v->about);
	if (v->options[0].name != NULL)
		printf("\n");
	for (size_t i = 0; i < VERB_OPTIONS_MAX && v->options[i].name != NULL; i++)
		help_option(stdout, v->options[i].name, v->options[i].value, v->options[i].about);
	return EXIT_DONE;
}

static const struct verb *find_verb(const struct parse *p, const char *noun, const char *name, bool *ret_noun_known)
{
	for (size_t t = 0; t < p->n_tables; t++)
		for (size_t i = 0; i < p->tables[t].n; i++) {
			const struct verb *v = &p->tables[t].verbs[i];
			if (!text_equal(v->noun, noun))
				continue;
			*ret_noun_known = true;
			if (v->name == NULL || text_equal(v->name, name))
				return v;
		}
	return NULL;
}

/* "--name", "--name=value", "--name value" of one option table. 1 = taken, 0 = not of this table, -1 = value missing. */
static int take_option(const struct verb_option *table, size_t n, const char **values, char **argv, int *at)
{
	const char *word = argv[*at] + 2;
	size_t      len = strcspn(word, "=");
	for (size_t i = 0; i < n && table[i].name != NULL; i++) {
		if (strlen(table[i].name) != len || strncmp(table[i].name, word, len) != 0)
			continue;
		if (table[i].value == NULL) {
			values[i] = "";
			return word[len] == '\0' ? 1 : -1;
		}
		if (word[len] == '=') {
			values[i] = word + len + 1;
			return 1;
		}
		if (argv[*at + 1] == NULL)
			return -1;
		values[i] = argv[++*at];
		return 1;
	}
	return 0;
}

/* Moves over a global option and its value; true when argv[*at] is an option at all. */
static bool skip_option(char **argv, int *at)
{
	const char *ignored[G_COUNT];
	if (argv[*at][0] != '-')
		return false;
	if (text_equal(argv[*at], "-o") && argv[*at + 1] != NULL)
		(*at)++;
	else if (text_starts(argv[*at], "--"))
		(void)take_option(globals, G_COUNT, ignored, argv, at);
	return true;
}

int verb_noun(char **argv)
{
	int at = argv[0] != NULL;
	while (argv[at] != NULL && skip_option(argv, &at))
		at++;
	return at;
}

/* Global options may stand anywhere, so noun and verb are found first. */
static int find_words(struct parse *p, char **argv)
{
	const char *noun = NULL;
	const char *name = NULL;
	bool        known = false;
	for (int i = 1; argv[i] != NULL && name == NULL; i++) {
		if (skip_option(argv, &i))
			continue;
		if (noun == NULL)
			noun = argv[i];
		else
			name = argv[i];
	}
	if (noun != NULL)
		p->in.verb = find_verb(p, noun, name, &known);
	if (p->in.verb != NULL)
		return EXIT_DONE;
	p->noun = known ? noun : NULL;
	for (int i = 1; argv[i] != NULL; i++)
		if (text_equal(argv[i], "--help") || text_equal(argv[i], "-h"))
			return known ? print_noun_help(p) : print_help(p);
		else if (text_equal(argv[i], "--version"))
			return print_version();
	for (int i = 1; !known && argv[i] != NULL && argv[i] != noun; i++) { /* what stands behind an unknown one may be its value */
		const char *ignored[G_COUNT];
		if (text_starts(argv[i], "--") && take_option(globals, G_COUNT, ignored, argv, &i) == 0)
			return unknown_option(p, argv[i]);
	}
	if (noun == NULL)
		return usage_error(p, "vccctl", "a noun is missing", NULL, "");
	if (known && name == NULL)
		return usage_error(p, noun, "a verb is missing after it", NULL, "");
	struct near near = near_word(p, known ? noun : NULL, known ? name : noun);
	return usage_error(p, near.typed, known ? "unknown verb" : "unknown noun", &near, "");
}

static int take_word(struct parse *p, const char *word, size_t *skip)
{
	if (*skip > 0) {
		(*skip)--;
		return EXIT_DONE;
	}
	if (p->in.n_words == p->in.verb->max_words || p->in.n_words == VERB_WORDS_MAX)
		return usage_error(p, word, "unexpected word", NULL, "");
	p->in.words[p->in.n_words++] = word;
	return EXIT_DONE;
}

/* An option of the verb; what it had before is kept beside it. */
static int take_own(struct parse *p, char **argv, int *at)
{
	const char *before[VERB_OPTIONS_MAX];
	memcpy(before, p->in.values, sizeof(before));
	memset(p->in.values, 0, sizeof(p->in.values));
	int taken = take_option(p->in.verb->options, VERB_OPTIONS_MAX, p->in.values, argv, at);
	for (size_t i = 0; i < VERB_OPTIONS_MAX; i++) {
		if (p->in.values[i] != NULL && before[i] != NULL) {
			if (p->in.n_again == VERB_AGAIN_MAX)
				return -1;
			p->in.again[p->in.n_again].option = i;
			p->in.again[p->in.n_again++].value = before[i];
		}
		if (p->in.values[i] == NULL)
			p->in.values[i] = before[i];
	}
	return taken;
}

static int parse_all(struct parse *p, char **argv)
{
	size_t skip = p->in.verb->name != NULL ? 2 : 1;
	bool   only_words = false;
	for (int i = 1; argv[i] != NULL; i++) {
		int r = EXIT_DONE;
		if (only_words || argv[i][0] != '-' || argv[i][1] == '\0') {
			r = take_word(p, argv[i], &skip);
		} else if (text_equal(argv[i], "--")) {
			only_words = true;
		} else if (text_equal(argv[i], "-o")) {
			if (argv[i + 1] == NULL)
				return usage_error(p, argv[i], "a value is missing after it", NULL, "");
			p->global[G_OUTPUT] = argv[++i];
		} else if (text_equal(argv[i], "-h")) {
			p->global[G_HELP] = "";
		} else {
			int at = i;
			int taken = text_starts(argv[i], "--") ? take_own(p, argv, &i) : 0;
			if (taken == 0 && text_starts(argv[i], "--"))
				taken = take_option(globals, G_COUNT, p->global, argv, &i);
			if (taken < 0)
				return usage_error(p, argv[at], "a value is missing after it, or not allowed for it", NULL, "");
			if (taken == 0)
				return unknown_option(p, argv[at]);
		}
		if (r != EXIT_DONE)
			return r;
	}
	return EXIT_DONE;
}

/* A report may be printed on paper. */
static bool is_page(const struct verb *v)
{
	return text_equal(v->noun, "report") && text_equal(v->name, "compliance");
}

/* Evidence of a period is no table. */
static bool is_archive(const struct verb *v, const char *form)
{
	return text_equal(v->noun, "report") && text_equal(v->name, "evidence") && text_ends(form, ".zip");
}

static int take_globals(struct parse *p, struct refusal *why)
{
	struct {
		const char *from;
		char       *to;
		size_t      size;
	} texts[] = {
		{p->global[G_URL], p->in.client.url, sizeof(p->in.client.url)},
		{p->global[G_CA], p->in.client.ca, sizeof(p->in.client.ca)},
		{p->global[G_TOKEN_FILE], p->in.client.token_file, sizeof(p->in.client.token_file)},
		{p->global[G_CERT], p->in.client.cert, sizeof(p->in.client.cert)},
		{p->global[G_KEY], p->in.client.key, sizeof(p->in.client.key)},
		{p->global[G_SOCKET], p->in.client.socket, sizeof(p->in.client.socket)},
		{p->global[G_REASON], p->in.client.reason, sizeof(p->in.client.reason)},
	};
	static const char *const forms[] = {"table", "json", "csv", "html"};
	const size_t             n_forms = N_ELEMENTS(forms) - !is_page(p->in.verb);
	for (size_t i = 0; i < N_ELEMENTS(texts); i++)
		if (texts[i].from != NULL && text_copy(texts[i].to, texts[i].size, texts[i].from) < 0)
			return usage_error(p, texts[i].from, "the value is too long", NULL, "");
	const char *form = p->global[G_OUTPUT] != NULL ? p->global[G_OUTPUT] : "table";
	if (is_archive(p->in.verb, form)) {
		p->in.archive = form;
		form = "table";
	}
	for (size_t i = 0; i < n_forms; i++)
		if (text_equal(form, forms[i])) {
			p->in.form = (enum output_form)i;
			return client_configure(&p->in.client, why);
		}
	return usage_error(p, form, is_page(p->in.verb) ? "-o takes table, json, csv or html" : "-o takes table, json or csv", NULL, "");
}

int verb_main(const struct verb_table *tables, size_t n_tables, int argc, char **argv)
{
	struct parse   p = {.tables = tables, .n_tables = n_tables};
	struct refusal why = {0};
	if (argc < 2)
		return print_help(&p), EXIT_USAGE;
	static char asked[] = "--help"; /* `help NOUN VERB` asks what `--help NOUN VERB` asks */
	if (text_equal(argv[1], "help"))
		argv[1] = asked;
	int r = find_words(&p, argv);
	if (p.in.verb == NULL)
		return r;
	r = parse_all(&p, argv);
	if (r != EXIT_DONE)
		return r;
	if (p.global[G_HELP] != NULL)
		return print_verb_help(p.in.verb);
	if (p.global[G_VERSION] != NULL)
		return print_version();
	if (p.in.n_words < p.in.verb->min_words)
		return usage_error(&p, p.in.verb->words, "a word is missing", NULL, "");
	r = take_globals(&p, &why);
	if (r != EXIT_DONE)
		return why.code != 0 ? verb_fail(r, &why) : r;
	return p.in.verb->run(&p.in);
}
