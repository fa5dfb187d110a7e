/* ask.c - room controller/cli: what most verbs are: one question to the controller, and its answer printed.
 * Never: policy; the controller decides. */
#include "controller/cli/ask.h"

#include <string.h>

#include "shared/base/text.h"
#include "shared/model/names.h"

enum { LIST_NAME_SIZE = 40 };

/* What a list is of, as the API names it: the end of the path. */
static void name_of_list(const char *path, char ret[LIST_NAME_SIZE])
{
	static const struct {
		const char *end, *name;
	} other[] = {{"ca", "CAs"}, {"crls", "CRLs"}, {"heads", "signed heads"}, {"members", "certificates"}};
	size_t      n = strcspn(path, "?");
	const char *end = path + n;
	while (end > path && end[-1] != '/')
		end--;
	if (text_copy_n(ret, LIST_NAME_SIZE, end, (size_t)(path + n - end)) < 0)
		text_cut(ret, LIST_NAME_SIZE, "entries");
	for (size_t i = 0; i < N_ELEMENTS(other); i++)
		if (text_equal(ret, other[i].end))
			text_cut(ret, LIST_NAME_SIZE, other[i].name);
}

static void print_list(const struct invocation *in, const char *path, const struct output_column *columns, size_t n, const json_t *items)
{
	char name[LIST_NAME_SIZE];
	name_of_list(path, name);
	output_list(in->form, columns, n, items);
	output_none(in->form, items, name);
}

int ask_list(const struct invocation *in, const char *path, const char *member, const struct output_column *columns, size_t n)
{
	struct refusal why;
	json_t        *items = NULL;
	int            r = client_list(&in->client, path, member, &items, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	print_list(in, path, columns, n, items);
	json_decref(items);
	return EXIT_DONE;
}

int ask_whole_list(const struct invocation *in, const char *path, const char *member, const struct output_column *columns, size_t n)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = client_call(&in->client, "GET", path, NULL, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	print_list(in, path, columns, n, json_object_get(answer, member));
	json_decref(answer);
	return EXIT_DONE;
}

int ask_object(const struct invocation *in, const char *method, const char *path, const json_t *body, const struct output_column *columns,
               size_t n)
{
	struct refusal why;
	json_t        *answer = NULL;
	int            r = client_call(&in->client, method, path, body, NULL, &answer, &why);
	if (r != EXIT_DONE)
		return verb_fail(r, &why);
	output_object(in->form, columns, n, answer);
	r = text_equal(method, "GET") ? EXIT_DONE : ask_exit(answer);
	json_decref(answer);
	return r;
}

int ask_exit(const json_t *answer)
{
	const char *status = json_string_value(json_object_get(answer, "status"));
	return status != NULL && text_equal(status, "awaiting_approval") ? EXIT_DENIED : EXIT_DONE;
}

json_t *ask_text_list(const char *comma_list)
{
	json_t     *list = json_array();
	const char *cursor = comma_list;
	char        item[DNS_NAME_SIZE];
	while (text_item(&cursor, item, sizeof(item)))
		json_array_append_new(list, json_string(item));
	return list;
}
