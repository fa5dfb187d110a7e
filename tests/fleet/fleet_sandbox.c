/* fleet_sandbox.c - reads sandbox.json and asks its vccctl for invites.
 * Never: keeping a token readable for others. */
#include "tests/fleet/fleet_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "shared/base/text.h"
#include "shared/sys/file.h"

enum { WORDS_MAX = 16 };

static json_t *facts; /* for the life of the process: options point into it */
static char    tokens_path[4096];

static int pin_read(const char *text, struct hash *ret)
{
	return text != NULL && text_starts(text, "sha256:") ? hash_parse(text + strlen("sha256:"), ret) : E_SYNTAX;
}

int fleet_sandbox_read(struct fleet_options *o, struct refusal *why)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/sandbox.json", o->sandbox);
	facts = json_load_file(path, 0, NULL);
	const char *pin = json_string_value(json_object_get(facts, "agent_pin"));
	o->address = json_string_value(json_object_get(facts, "agent_address"));
	if (o->address == NULL || pin_read(pin, &o->pin) < 0)
		return refuse(why, E_CONF_VALUE, path, "this is not the file of a running sandbox");
	o->has_pin = true;
	return 0;
}

static int wishes_write(const struct fleet_options *o, uint32_t from, const char *file, struct refusal *why)
{
	FILE *out = fopen(file, "w");
	if (out == NULL)
		return sys_refuse(why, file, "write it");
	for (uint32_t i = from; i < o->agents; i++)
		fprintf(out, "fleet-%05u %s\n", i, o->services[i % o->n_services]);
	return fclose(out) == 0 ? 0 : sys_refuse(why, file, "write it");
}

/* vccctl of the sandbox: agent invite --file FILE --ttl 24h -o json. */
static int ask(const char *file, const char *answer, struct refusal *why)
{
	char   *argv[WORDS_MAX + 8];
	size_t  n = 0, i;
	json_t *word;
	json_array_foreach(json_object_get(facts, "vccctl"), i, word)
		if (n < WORDS_MAX && json_is_string(word))
			argv[n++] = (char *)(uintptr_t)json_string_value(word);
	char *more[] = {"agent", "invite", "--file", (char *)(uintptr_t)file, "--ttl", "24h", "-o", "json", NULL};
	if (n == 0)
		return refuse(why, E_CONF_VALUE, "sandbox.json", "it does not tell how to run vccctl");
	memcpy(argv + n, more, sizeof(more));
	posix_spawn_file_actions_t actions;
	pid_t                      pid;
	int                        status = 1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, answer, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	int error = posix_spawn(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error != 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return refuse(why, E_JOIN_TOKEN, argv[0], "it gave no invites (status %d)", error != 0 ? error : status);
	return 0;
}

/* Each invite names the root of today; sandbox.json that of the day when the sandbox was made. */
static int tokens_add(FILE *out, const char *answer, struct hash *ret_pin, struct refusal *why)
{
	json_t *o = json_load_file(answer, 0, NULL);
	json_t *row;
	size_t  i, n = 0;
	json_array_foreach(json_object_get(o, "items"), i, row) {
		const char *token = json_string_value(json_object_get(row, "token"));
		bool        whole = token != NULL && pin_read(json_string_value(json_object_get(row, "pin")), ret_pin) == 0;
		n += whole && fprintf(out, "%s\n", token) > 0;
	}
	json_decref(o);
	return n > 0 ? 0 : refuse(why, E_JOIN_TOKEN, answer, "there is no token in the answer");
}

int fleet_sandbox_invite(struct fleet_options *o, uint32_t from, struct refusal *why)
{
	char file[4096], answer[4096];
	snprintf(tokens_path, sizeof(tokens_path), "%s/tokens", o->state_dir);
	snprintf(file, sizeof(file), "%s/invites", o->state_dir);
	snprintf(answer, sizeof(answer), "%s/invites.answer", o->state_dir);
	int   fd = open(tokens_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	FILE *out = fd >= 0 ? fdopen(fd, "w") : NULL;
	int   r = out != NULL ? 0 : sys_refuse(why, tokens_path, "write it");
	if (r == 0)
		r = wishes_write(o, from, file, why);
	if (r == 0)
		r = ask(file, answer, why);
	if (r == 0)
		r = tokens_add(out, answer, &o->pin, why);
	if (out != NULL && fclose(out) != 0 && r == 0)
		r = sys_refuse(why, tokens_path, "write it");
	(void)unlink(answer);
	(void)unlink(file);
	o->tokens = tokens_path;
	return r;
}
