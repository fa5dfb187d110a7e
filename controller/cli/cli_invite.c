/* cli_invite.c - room controller/cli: vccctl agent invite: one token, or many at once: numbered names, or those of a file.
 * Never: policy; the controller decides. */
#include "controller/cli/cli_invite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/cli/ask.h"
#include "controller/cli/named_file.h"
#include "shared/base/text.h"

enum { INVITES_OF_A_CALL = 1000, INVITES_COUNT_MAX = 100000, INVITES_FILE_MAX = 16 << 20 };

static const struct output_column many_columns[] = {
	{"AGENT", "name", COLUMN_TEXT}, {"SERVICE", "service", COLUMN_TEXT}, {"EXPIRES", "expires_at", COLUMN_TIME}, {"TOKEN", "token", COLUMN_TEXT},
};

void cli_invite_print(const json_t *answer)
{
	size_t  i;
	json_t *name;
	printf("%s may serve these names of service %s:\n\n", json_string_value(json_object_get(answer, "name")),
	       json_string_value(json_object_get(answer, "service")));
	json_array_foreach(json_object_get(answer, "names"), i, name)
		printf("  %s\n", json_string_value(name));
	printf("\nOn the host, as root, before %.16s UTC:\n\n", json_string_value(json_object_get(answer, "expires_at")));
	printf("  %s\n\n", json_string_value(json_object_get(answer, "command")));
	printf("It asks for this token, which works once:\n\n");
	printf("  %s\n", json_string_value(json_object_get(answer, "token")));
}

static json_t *wanted(const struct invocation *in, const char *name, const char *service, const char *names)
{
	json_t *body = json_pack("{s:s, s:s}", "name", name, "service", service);
	if (names != NULL)
		json_object_set_new(body, "names", ask_text_list(names));
	if (verb_given(in, "ttl"))
		json_object_set_new(body, "ttl", json_string(verb_value(in, "ttl")));
	return body;
}

/* "clara" and 3 are clara-1, clara-2, clara-3; with leading zeros where there are ten or more. */
static int numbered(const struct invocation *in, json_t *list, struct refusal *why)
{
	int64_t count;
	char    name[160];
	char    digits[16];
	if (in->n_words != 1 || verb_value(in, "service") == NULL)
		return refuse(why, E_CLI_USAGE, "agent invite", "--count needs NAME, to which numbers are added, and --service");
	if (text_i64(verb_value(in, "count"), 1, INVITES_COUNT_MAX, &count) < 0)
		return refuse(why, E_CLI_USAGE, "--count", "must be a number from 1 to %d", INVITES_COUNT_MAX);
	int width = snprintf(digits, sizeof(digits), "%lld", (long long)count);
	for (int64_t i = 1; i <= count; i++) {
		snprintf(name, sizeof(name), "%.60s-%0*lld", in->words[0], width, (long long)i);
		json_array_append_new(list, wanted(in, name, verb_value(in, "service"), verb_value(in, "names")));
	}
	return 0;
}

/* NAME [SERVICE [PATTERN,...]] a line; what follows '#' says nothing. */
static int line_take(const struct invocation *in, char *line, unsigned number, json_t *list, struct refusal *why)
{
	char *rest = NULL;
	line[strcspn(line, "#")] = '\0';
	const char *name = strtok_r(line, "\t ", &rest);
	const char *service = strtok_r(NULL, "\t ", &rest);
	const char *names = strtok_r(NULL, "\t ", &rest);
	if (name == NULL)
		return 0;
	service = service != NULL ? service : verb_value(in, "service");
	if (service == NULL || strtok_r(NULL, "\t ", &rest) != NULL || json_array_size(list) >= INVITES_COUNT_MAX)
		return refuse(why, E_CLI_USAGE, verb_value(in, "file"), "line %u: must be NAME [SERVICE [PATTERN,...]]; without SERVICE there must be --service", number);
	json_array_append_new(list, wanted(in, name, service, names != NULL ? names : verb_value(in, "names")));
	return 0;
}

static int of_file(const struct invocation *in, json_t *list, struct refusal *why)
{
	struct buf text = BUF_MAX(INVITES_FILE_MAX);
	unsigned   number = 0;
	int        r = in->n_words == 0 ? 0 : refuse(why, E_CLI_USAGE, in->words[0], "names stand in the file");
	if (r == 0)
		r = named_file_read(verb_value(in, "file"), false, &text, why);
	buf_add_u8(&text, 0);
	if (r == 0 && buf_error(&text) != 0)
		r = refuse(why, E_CLI_USAGE, verb_value(in, "file"), "it is too large");
	for (char *line = (char *)text.p, *next; r == 0 && line != NULL; line = next) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		line[strcspn(line, "\r")] = '\0';
		r = line_take(in, line, ++number, list, why);
	}
	buf_free(&text);
	return r == 0 && json_array_size(list) == 0 ? refuse(why, E_CLI_USAGE, verb_value(in, "file"), "it names nobody") : r;
}

/* Calls of a thousand, each whole or not at all; what was made before one that is refused is shown. Exit code. */
static int ask_in_parts(const struct invocation *in, const json_t *list, json_t *items, struct refusal *why)
{
	int r = EXIT_DONE;
	for (size_t from = 0; from < json_array_size(list) && r == EXIT_DONE; from += INVITES_OF_A_CALL) {
		json_t *part = json_array();
		json_t *answer = NULL;
		for (size_t i = from; i < json_array_size(list) && i < from + INVITES_OF_A_CALL; i++)
			json_array_append(part, json_array_get(list, i));
		json_t *body = json_pack("{s:o}", "invites", part);
		r = client_call(&in->client, "POST", "/api/v1/invites/batch", body, NULL, &answer, why);
		json_decref(body);
		if (r == EXIT_DONE)
			json_array_extend(items, json_object_get(answer, "items"));
		json_decref(answer);
	}
	return r;
}

static int many(const struct invocation *in)
{
	struct refusal why;
	json_t        *list = json_array();
	json_t        *items = json_array();
	int            r = verb_given(in, "file") ? of_file(in, list, &why) : numbered(in, list, &why);
	int            code = r == 0 ? ask_in_parts(in, list, items, &why) : EXIT_USAGE;
	if (json_array_size(items) > 0 && in->form == OUTPUT_JSON) {
		json_t *answer = json_pack("{s:O}", "items", items);
		output_json(answer);
		json_decref(answer);
	} else if (json_array_size(items) > 0) {
		output_list(in->form, many_columns, N_ELEMENTS(many_columns), items);
		if (in->form == OUTPUT_TABLE)
			printf("\nOn each host, as root: %s\nIt asks for the token of its own row, which works once.\n",
			       json_string_value(json_object_get(json_array_get(items, 0), "command")));
	}
	if (code != EXIT_DONE && json_array_size(items) > 0)
		code = EXIT_PARTLY;
	json_decref(list);
	json_decref(items);
	return code != EXIT_DONE ? verb_fail(code, &why) : EXIT_DONE;
}

int cli_invite(const struct invocation *in)
{
	struct refusal why;
	json_t        *answer = NULL;
	const char    *service = verb_value(in, "service");
	if (verb_given(in, "count") || verb_given(in, "file"))
		return many(in);
	if (service == NULL || in->n_words != 1) {
		refuse(&why, E_CLI_USAGE, "agent invite", "NAME and --service are required, or --file");
		return verb_fail(EXIT_USAGE, &why);
	}
	json_t *body = wanted(in, in->words[0], service, verb_value(in, "names"));
	int     r = client_call(&in->client, "POST", "/api/v1/invites", body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	if (in->form == OUTPUT_TABLE)
		cli_invite_print(answer);
	else
		output_json(answer);
	json_decref(answer);
	return EXIT_DONE;
}
