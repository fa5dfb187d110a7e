/* verb.h - room controller/cli: one table of nouns and verbs: parsing, help and completion come from it.
 * Never: what a verb does. */
#ifndef VCC_VERB_H
#define VCC_VERB_H

#include <stdio.h>

#include "controller/cli/client.h"
#include "controller/cli/output.h"

enum { VERB_WORDS_MAX = 8, VERB_OPTIONS_MAX = 24, VERB_AGAIN_MAX = 64 };

struct verb_option {
	const char *name;  /* "force" */
	const char *value; /* "DURATION", or NULL for a switch */
	const char *about;
};

struct invocation;

struct verb {
	const char *noun;
	const char *name; /* NULL: the noun stands alone */
	const char *words; /* "NAME", "[CERT_ID]", "" */
	size_t      min_words, max_words;
	const char *about;
	struct verb_option options[VERB_OPTIONS_MAX]; /* ends with a NULL name */
	int (*run)(const struct invocation *in);      /* returns the exit code */
};

/* The verbs of one file. */
struct verb_table {
	const struct verb *verbs;
	size_t             n;
};

/* A parsed command line. */
struct invocation {
	const struct verb *verb;
	struct client      client;
	enum output_form   form;
	const char        *archive; /* -o FILE.zip of `report evidence` alone; NULL = not given */
	const char        *words[VERB_WORDS_MAX];
	size_t             n_words;
	const char        *values[VERB_OPTIONS_MAX]; /* by position in verb->options; "" for a switch that was given; NULL absent */
	struct {
		size_t      option;
		const char *value;
	} again[VERB_AGAIN_MAX]; /* earlier values of options that were given more than once */
	size_t n_again;
};

/* Value of an option of the verb, NULL = not given. */
const char *verb_value(const struct invocation *in, const char *option);
/* The i-th of all values of an option that may be repeated; NULL beyond the last. */
const char *verb_nth_value(const struct invocation *in, const char *option, size_t i);
bool        verb_given(const struct invocation *in, const char *option);

/* Parses and runs; prints usage errors and help itself. Exit code. */
int verb_main(const struct verb_table *tables, size_t n_tables, int argc, char **argv);

/* Where the noun stands: global options may come before it. argv[argc] when there is none. */
int verb_noun(char **argv);

/* Options that every verb takes. */
const struct verb_option *verb_globals(size_t *ret_n);

/* `head` and `text` as one paragraph: on a terminal in lines of at most 80 columns, the later ones `indent` deep. */
void verb_say(FILE *to, int indent, const char *head, const char *text);
/* Prints a refusal to stderr: what, why, next command. Returns `code`. */
int verb_fail(int code, const struct refusal *why);

/* The files with verbs, in the order of the help page: cli_agent.c has cli_agent_verbs. A new file is a line here. */
#define VERB_FILES(FILE) \
	FILE(system) \
	FILE(agent) \
	FILE(cert) \
	FILE(revocation) \
	FILE(peer) \
	FILE(target) \
	FILE(template) \
	FILE(audit) \
	FILE(principal) \
	FILE(token) \
	FILE(approval) \
	FILE(bulk) \
	FILE(campaign) \
	FILE(ca) \
	FILE(rollover) \
	FILE(backup) \
	FILE(restore) \
	FILE(service) \
	FILE(issue) \
	FILE(event) \
	FILE(check) \
	FILE(doctor) \
	FILE(config) \
	FILE(notify) \
	FILE(drill) \
	FILE(report)
#define VERB_FILE_DECLARE(stem) \
	extern const struct verb cli_##stem##_verbs[]; \
	extern const size_t      cli_##stem##_verbs_n;
VERB_FILES(VERB_FILE_DECLARE)

#endif
