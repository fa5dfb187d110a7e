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

/* A parsed command line. */
struct invocation {
	const struct verb *verb;
	struct client      client;
	enum output_form   form;
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
int verb_main(const struct verb *const *tables, const size_t *sizes, size_t n_tables, int argc, char **argv);

/* Options that every verb takes. */
const struct verb_option *verb_globals(size_t *ret_n);

/* `head` and `text` as one paragraph: on a terminal in lines of at most 80 columns, the later ones `indent` deep. */
void verb_say(FILE *to, int indent, const char *head, const char *text);
/* Prints a refusal to stderr: what, why, next command. Returns `code`. */
int verb_fail(int code, const struct refusal *why);

/* The verbs, one file per noun. */
extern const struct verb cli_agent_verbs[], cli_cert_verbs[], cli_target_verbs[], cli_template_verbs[], cli_system_verbs[], cli_audit_verbs[], cli_revocation_verbs[];
extern const size_t cli_agent_verbs_n, cli_cert_verbs_n, cli_target_verbs_n, cli_template_verbs_n, cli_system_verbs_n, cli_audit_verbs_n, cli_revocation_verbs_n;

extern const struct verb cli_principal_verbs[], cli_token_verbs[], cli_approval_verbs[], cli_backup_verbs[], cli_restore_verbs[];
extern const size_t cli_principal_verbs_n, cli_token_verbs_n, cli_approval_verbs_n, cli_backup_verbs_n, cli_restore_verbs_n;

extern const struct verb cli_issue_verbs[];
extern const size_t cli_issue_verbs_n;

extern const struct verb cli_bulk_verbs[], cli_campaign_verbs[];
extern const size_t cli_bulk_verbs_n, cli_campaign_verbs_n;

extern const struct verb cli_event_verbs[], cli_check_verbs[], cli_doctor_verbs[], cli_notify_verbs[];
extern const size_t cli_event_verbs_n, cli_check_verbs_n, cli_doctor_verbs_n, cli_notify_verbs_n;
extern const struct verb cli_service_verbs[];
extern const size_t cli_service_verbs_n;

extern const struct verb cli_ca_verbs[];
extern const size_t cli_ca_verbs_n;
extern const struct verb cli_rollover_verbs[];
extern const size_t cli_rollover_verbs_n;

extern const struct verb cli_drill_verbs[];
extern const size_t cli_drill_verbs_n;

extern const struct verb cli_config_verbs[];
extern const size_t cli_config_verbs_n;

#endif
