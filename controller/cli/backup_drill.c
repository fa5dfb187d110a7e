/* backup_drill.c - room controller/cli: `vcc-controller restore --drill` restores beside what runs, `vcc-signer drill` lets the CAs' keys sign;
 * do the two go together? -> the controller records it. Never: touching what runs. */
#include "controller/cli/backup_drill.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/cli/output.h"
#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { ANSWER_MAX = 65536, LINE_IDS = 64, ARGS_MAX = 8 };

static const struct output_column columns[] = {
	{"backup of", "backup_of", COLUMN_TEXT},       {"audit rows in it", "audit_size", COLUMN_TEXT}, {"signed heads", "heads", COLUMN_TEXT},
	{"certificates", "certificates", COLUMN_TEXT}, {"hosts", "agents", COLUMN_TEXT},                {"keys that signed", "keys", COLUMN_TEXT},
	{"keys that are away", "offline", COLUMN_LIST}, {"recorded", "recorded", COLUMN_YES},
};

/* ---- the other programs ------------------------------------------------------------------------------------------ */

static int program_path(const char *name, char ret[PATH_MAX + 32], struct refusal *why)
{
	ssize_t n = readlink("/proc/self/exe", ret, PATH_MAX);
	if (n <= 0)
		return sys_refuse(why, "/proc/self/exe", "read");
	ret[n] = '\0';
	snprintf(strrchr(ret, '/'), 32, "/%s", name);
	return 0;
}

static void become(const char *const *argv, int out)
{
	if (dup2(out, STDOUT_FILENO) >= 0)
		execv(argv[0], (char *const *)(uintptr_t)argv);
	fprintf(stderr, "vccctl: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* What it prints, all of it. When it did not end well it has said why itself: EXIT_FAILED. */
static int ask_program(const char *const *argv, struct buf *ret, struct refusal *why)
{
	int           out[2], status = 0;
	unsigned char piece[4096];
	if (pipe2(out, O_CLOEXEC) != 0)
		return sys_refuse(why, argv[0], "make a pipe for");
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(out[0]);
		become(argv, out[1]);
	}
	(void)close(out[1]);
	for (ssize_t n; pid > 0 && ((n = read(out[0], piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR));)
		buf_add(ret, piece, n > 0 ? (size_t)n : 0);
	(void)close(out[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (pid < 0)
		return sys_refuse(why, argv[0], "start");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || buf_error(ret) != 0)
		return refuse(why, E_SYS_IO, argv[0], "it ended with %s %d", WIFEXITED(status) ? "status" : "signal",
			      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 0;
}

static int restore_beside(const struct invocation *in, json_t **ret, struct refusal *why)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(ANSWER_MAX);
	char                           path[PATH_MAX + 32];
	const char                    *argv[ARGS_MAX] = {path, "restore", "--drill"};
	size_t                         i = 3;
	int                            r = program_path("vcc-controller", path, why);
	if (verb_value(in, "config") != NULL) {
		argv[i++] = "--config";
		argv[i++] = verb_value(in, "config");
	}
	argv[i++] = "--";
	argv[i] = in->words[0];
	if (r == 0)
		r = ask_program(argv, &text, why);
	if (r == 0)
		*ret = json_loadb((const char *)text.p, text.n, 0, NULL);
	return r == 0 && *ret == NULL ? refuse(why, E_SYS_IO, path, "its answer cannot be read") : r;
}

static int keys_sign(const struct invocation *in, struct buf *ret, struct refusal *why)
{
	char        path[PATH_MAX + 32];
	const char *argv[ARGS_MAX] = {path, "drill"};
	size_t      i = 2;
	int         r = program_path("vcc-signer", path, why);
	if (verb_value(in, "signer-config") != NULL) {
		argv[i++] = "--config";
		argv[i++] = verb_value(in, "signer-config");
	}
	if (verb_value(in, "signer") != NULL)
		argv[i] = verb_value(in, "signer");
	return r == 0 ? ask_program(argv, ret, why) : r;
}

/* ---- do they go together? ---------------------------------------------------------------------------------------- */

/* The signer's word on this CA of the backup: its state, or NULL where it has none, or another one by that name. */
static const char *key_of(const json_t *keys, const json_t *authority)
{
	const json_t *k = json_object_get(keys, output_text(authority, "issuer_id"));
	return k != NULL && text_equal(output_text(k, "sha256"), output_text(authority, "sha256")) ? output_text(k, "state") : NULL;
}

/* "ID SHA256 STATE" a line. */
static json_t *keys_read(const struct buf *text)
{
	json_t *keys = json_object();
	char   *copy = strndup((const char *)text->p, text->n), *save = NULL;
	for (char *line = copy != NULL ? strtok_r(copy, "\n", &save) : NULL; line != NULL; line = strtok_r(NULL, "\n", &save)) {
		char id[LINE_IDS], hash[LINE_IDS + 1], state[16];
		if (sscanf(line, "%63s %64s %15s", id, hash, state) == 3)
			json_object_set_new(keys, id, json_pack("{s:s,s:s}", "sha256", hash, "state", state));
	}
	free(copy);
	return keys;
}

/* Every CA that is in use has to be there with its key; a root's may lie in a safe. */
static int match(json_t *found, const json_t *keys, struct refusal *why)
{
	json_t *offline = json_array(), *row;
	size_t  i, n = 0;
	int     r = 0;
	json_array_foreach(json_object_get(found, "authorities"), i, row) {
		const char *id = output_text(row, "issuer_id"), *state = key_of(keys, row);
		if (r < 0 || !json_is_true(json_object_get(row, "in_use")))
			continue;
		if (state == NULL)
			r = refuse(why, E_RESTORE_KEYS, id, "the backup has this CA, the folder has none with its certificate");
		else if (text_equal(state, "signed"))
			n++;
		else
			json_array_append_new(offline, json_string(id));
	}
	json_object_set_new(found, "keys", json_integer((json_int_t)n));
	json_object_set_new(found, "offline", offline);
	return r == 0 && n == 0 ? refuse(why, E_RESTORE_KEYS, "signer", "no key of the backup's CAs is in the folder") : r;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

/* Exit code. */
static int record(const struct invocation *in, json_t *found, struct refusal *why)
{
	json_t *answer = NULL;
	json_t *body = json_pack("{s:O,s:O,s:O,s:O}", "backup_of", json_object_get(found, "backup_of"), "audit_size",
				 json_object_get(found, "audit_size"), "audit_root", json_object_get(found, "audit_root"), "keys",
				 json_object_get(found, "keys"));
	int     r = client_call(&in->client, "POST", "/api/v1/restore/drill", body, NULL, &answer, why);
	json_decref(answer);
	json_decref(body);
	json_object_set_new(found, "recorded", json_boolean(r == EXIT_DONE));
	json_object_del(found, "authorities");
	json_object_del(found, "audit_root");
	return r;
}

int backup_drill(const struct invocation *in)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(ANSWER_MAX);
	struct refusal                 why = {0};
	json_t                        *found = NULL, *keys = NULL;
	int                            r = restore_beside(in, &found, &why);
	if (r == 0)
		r = keys_sign(in, &text, &why);
	if (r == 0) {
		keys = keys_read(&text);
		r = match(found, keys, &why);
	}
	int code = r < 0 ? verb_fail(EXIT_FAILED, &why) : record(in, found, &why);
	if (r == 0) {
		output_object(in->form, columns, N_ELEMENTS(columns), found);
		if (code == EXIT_UNREACHABLE)
			(void)verb_fail(EXIT_FAILED, &why);
		else if (code != EXIT_DONE)
			code = verb_fail(code, &why);
	}
	json_decref(keys);
	json_decref(found);
	return r == 0 && code == EXIT_UNREACHABLE ? EXIT_PARTLY : code;
}
