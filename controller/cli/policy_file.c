/* policy_file.c - room controller/cli: a template or service from its file to the controller, and what that does.
 * Never: judging the file; the controller does. */
#include "controller/cli/policy_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "controller/cli/ask.h"
#include "controller/cli/named_file.h"
#include "controller/cli/output.h"
#include "shared/base/text.h"
#include "shared/model/names.h"

enum { FILE_MAX = 65536 };

static int read_file(const char *path, json_t **ret, struct refusal *why)
{
	struct buf   text = BUF_MAX(FILE_MAX);
	json_error_t error;
	int          r = named_file_read(path, false, &text, why);
	if (r == 0) {
		*ret = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &error);
		if (!json_is_object(*ret))
			r = refuse(why, E_CLI_USAGE, path, "line %d: %s", *ret == NULL ? error.line : 1,
				   *ret == NULL ? error.text : "not an object");
	}
	buf_free(&text);
	return r;
}

static void print_value(const json_t *v)
{
	char *text = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	printf("%s", json_is_null(v) ? "-" : json_is_string(v) ? json_string_value(v) : text != NULL ? text : "?");
	free(text);
}

void policy_print_overrides(const json_t *overrides)
{
	const char   *field;
	const json_t *value;
	/* jansson's iterator wants a mutable object, but changes nothing */
	json_t *walk = (json_t *)(uintptr_t)overrides;
	if (json_object_size(overrides) == 0)
		return;
	printf("instead of the template:\n");
	json_object_foreach(walk, field, value)
	{
		printf("  %s = ", field);
		print_value(value);
		printf("\n");
	}
}

static void print_report(const json_t *o)
{
	size_t        i;
	const json_t *row;
	json_array_foreach(json_object_get(o, "changes"), i, row)
	{
		printf("  %s: ", output_text(row, "field"));
		print_value(json_object_get(row, "from"));
		printf(" -> ");
		print_value(json_object_get(row, "to"));
		printf("\n");
	}
	printf("certificates affected: %lld, renewed: %lld, blocked: %lld\n",
	       (long long)json_integer_value(json_object_get(o, "certificates_affected")),
	       (long long)json_integer_value(json_object_get(o, "renewals")),
	       (long long)json_integer_value(json_object_get(o, "blocked")));
	json_array_foreach(json_object_get(o, "violations"), i, row)
		printf("  blocked: %s: %s\n", output_text(row, "cert_id"), output_text(row, "reason"));
	json_array_foreach(json_object_get(o, "compliance"), i, row)
		printf("  %s: %s: %s\n", output_text(row, "profile"), output_text(row, "field"), output_text(row, "reason"));
	if (json_is_true(json_object_get(o, "approval_required")))
		printf("a second person has to agree before it is in force\n");
}

static int print_answer(const struct invocation *in, const json_t *o)
{
	bool blocked =
		verb_given(in, "dry-run") && !verb_given(in, "force") && json_integer_value(json_object_get(o, "blocked")) > 0;
	if (in->form != OUTPUT_TABLE) {
		output_json(o);
	} else if (text_equal(output_text(o, "status"), "awaiting_approval")) {
		printf("waits for a second person: vccctl approval show %s\n", output_text(o, "approval_id"));
	} else {
		printf("%s\n", output_text(o, "message"));
		print_report(o);
		if (output_text(o, "campaign_id")[0] != '\0')
			printf("campaign: vccctl campaign watch %s\n", output_text(o, "campaign_id"));
	}
	return blocked ? EXIT_FAILED : ask_exit(o);
}

static int if_version(const struct invocation *in, struct client *client, struct refusal *why)
{
	const char *text = verb_value(in, "if-version");
	int64_t     version;
	if (text == NULL)
		return 0;
	if (text_i64(text, 0, UINT32_MAX, &version) < 0)
		return refuse(why, E_CLI_USAGE, "--if-version", "`%s` is no version", text);
	(void)snprintf(client->if_match, sizeof(client->if_match), "\"%lld\"", (long long)version);
	return 0;
}

int policy_file_apply(const struct invocation *in, const char *base, const char *key, bool in_path)
{
	char           path[CLIENT_PATH_SIZE];
	struct refusal why;
	struct client  client = in->client;
	json_t        *body = NULL, *answer = NULL;
	int            r = read_file(in->words[0], &body, &why);
	if (r == 0)
		r = if_version(in, &client, &why);
	const char *id = json_string_value(json_object_get(body, key));
	if (r == 0 && (id == NULL || !name_template_ok(id)))
		r = refuse(&why, E_CLI_USAGE, in->words[0], "the field `%s` is missing, or no name", key);
	if (r < 0) {
		json_decref(body);
		return verb_fail(EXIT_USAGE, &why);
	}
	snprintf(path, sizeof(path), "%s%s%s", base, in_path ? "/" : "", in_path ? id : "");
	if (verb_given(in, "dry-run"))
		json_object_set_new(body, "dry_run", json_true());
	if (verb_given(in, "force"))
		json_object_set_new(body, "force", json_true());
	r = client_call(&client, "POST", path, body, NULL, &answer, &why);
	json_decref(body);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	r = print_answer(in, answer);
	json_decref(answer);
	return r;
}
