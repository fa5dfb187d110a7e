/* cli_restore.c - room controller/cli: vccctl restore: starts `vcc-controller restore` on this machine, shows the last restore, accepts it.
 * Never: opening the database or the backup. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controller/cli/backup_drill.h"
#include "controller/cli/verb.h"
#include "shared/sys/file.h"

#define RESTORE "/api/v1/restore"

static const struct output_column columns[] = {
	{"status", "status", COLUMN_TEXT},
	{"restored at", "restored_at", COLUMN_TIME},
	{"backup of", "backup_of", COLUMN_TIME},
	{"audit rows in it", "audit_size", COLUMN_TEXT},
	{"accepted at", "accepted_at", COLUMN_TIME},
	{"accepted by", "accepted_by", COLUMN_TEXT},
	{"signer contradicts", "signer_contradicts", COLUMN_TEXT},
	{"hosts that contradict", "hosts_contradict", COLUMN_TEXT},
	{"longest trail they know", "longest_trail_claimed", COLUMN_TEXT},
	{"last drill", "drilled_at", COLUMN_TIME},
	{"of the backup of", "drilled_backup_of", COLUMN_TIME},
};

static const struct output_column difference_columns[] = {
	{"KIND", "kind", COLUMN_TEXT}, {"OBJECT", "object", COLUMN_TEXT}, {"HOST", "host", COLUMN_TEXT}, {"IT", "what", COLUMN_TEXT}, {"WHAT TO DO", "next", COLUMN_TEXT},
};

/* What hosts hold that the database does not know. */
static void print_differences(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "differences");
	if (json_array_size(list) == 0)
		return;
	printf("\nNot in this database:\n");
	output_list(OUTPUT_TABLE, difference_columns, N_ELEMENTS(difference_columns), list);
	if (json_integer_value(json_object_get(answer, "differences_more")) > 0)
		printf("... and more\n");
}

/* Beside this program, as `init` finds it; it becomes that program. */
static int start_restore(const struct invocation *in)
{
	struct refusal why;
	char           path[PATH_MAX + 32];
	ssize_t        n = readlink("/proc/self/exe", path, PATH_MAX);
	const char    *argv[8] = {path, "restore"};
	size_t         i = 2;
	if (n <= 0)
		return sys_refuse(&why, "/proc/self/exe", "read"), verb_fail(EXIT_FAILED, &why);
	path[n] = '\0';
	snprintf(strrchr(path, '/'), 32, "/vcc-controller");
	if (verb_value(in, "config") != NULL) {
		argv[i++] = "--config";
		argv[i++] = verb_value(in, "config");
	}
	if (verb_given(in, "keep-tokens"))
		argv[i++] = "--keep-tokens";
	argv[i++] = "--";
	argv[i] = in->words[0];
	execv(path, (char *const *)(uintptr_t)argv);
	(void)sys_refuse(&why, path, "start");
	return verb_fail(EXIT_FAILED, &why);
}

static int restore(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	bool           accept = verb_given(in, "accept");
	if (verb_given(in, "drill") && (in->n_words == 0 || accept || verb_given(in, "keep-tokens"))) {
		(void)refuse(&why, E_CLI_USAGE, "--drill", "takes a backup, and neither --accept nor --keep-tokens");
		return verb_fail(EXIT_USAGE, &why);
	}
	if (in->n_words > 0 && accept) {
		(void)refuse(&why, E_CLI_USAGE, "restore", "a backup is restored first, and accepted once the controller runs");
		return verb_fail(EXIT_USAGE, &why);
	}
	if (verb_given(in, "drill"))
		return backup_drill(in);
	if (in->n_words > 0)
		return start_restore(in);
	int r = client_call(&in->client, accept ? "POST" : "GET", accept ? RESTORE "/accept" : RESTORE, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, columns, N_ELEMENTS(columns), answer);
	if (in->form == OUTPUT_TABLE)
		print_differences(answer);
	json_decref(answer);
	return EXIT_DONE;
}

const struct verb cli_restore_verbs[] = {
	{"restore",
	 NULL,
	 "[BACKUP]",
	 0,
	 1,
	 "puts a backup in the database's place (the controller must be stopped); without one: shows or accepts the last restore",
	 {{"accept", NULL, "orders may go out again"},
	  {"keep-tokens", NULL, "tokens stay valid although nobody knows which were revoked since"},
	  {"drill", NULL, "for practice: into a folder of its own, beside what runs; opens the keys of the CAs, too, and is recorded"},
	  {"signer", "FOLDER", "with --drill: the copy of the signer's folder that is kept (default: the folder itself)"},
	  {"config", "FILE", "controller.conf of this machine"},
	  {"signer-config", "FILE", "with --drill: signer.conf of this machine"},
	  {0}},
	 restore},
};
const size_t cli_restore_verbs_n = N_ELEMENTS(cli_restore_verbs);
