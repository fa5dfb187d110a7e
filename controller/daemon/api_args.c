/* api_args.c - room controller/daemon: what a request asks for behind `?`, and the pages of lists with their cursors.
 * Never: what a single argument means; that is in the api_*.c files of its subject. */
#include <string.h>

#include "controller/daemon/api.h"
#include "controller/daemon/api_routes.h"
#include "controller/daemon/contract.h"
#include "shared/base/text.h"
#include "shared/pki/key.h"

const char *api_arg(const struct api_call *call, const char *name)
{
	return http_call_arg(call->http, name);
}

int api_arg_i64(struct api_call *call, const char *name, int64_t fallback, int64_t min, int64_t max, int64_t *ret)
{
	const char *text = api_arg(call, name);
	if (text == NULL) {
		*ret = fallback;
		return 0;
	}
	if (text_i64(text, min, max, ret) < 0)
		return refuse(&call->why, E_API_BODY, name, "must be a number from %lld to %lld", (long long)min, (long long)max);
	return 0;
}

int api_arg_word(struct api_call *call, const char *name, api_word_fn *word, int count, int *ret)
{
	const char *text = api_arg(call, name);
	*ret = -1;
	for (int i = 0; text != NULL && i < count; i++)
		if (text_equal(text, word((unsigned)i)))
			*ret = i;
	return text == NULL || *ret >= 0 ? 0 : refuse(&call->why, E_API_BODY, name, "`%s` is none of its values", text);
}

int api_arg_limit(struct api_call *call, size_t *ret)
{
	int64_t n;
	int     r = api_arg_i64(call, "limit", API_PAGE, 1, API_PAGE_MAX, &n);
	if (r == 0)
		*ret = (size_t)n;
	return r;
}

/* What a page is of: the list, its path and what was asked of it, but not how many at once. A key means nothing in another list. */
enum { CURSOR_MARK = 8, CURSOR_KEY_MAX = 192, CURSOR_TEXT_MAX = 8192 };

static void cursor_mark(const struct api_call *call, uint8_t ret[CURSOR_MARK])
{
	struct buf  text = BUF_MAX(CURSOR_TEXT_MAX);
	struct hash hash;
	buf_add_text(&text, call->route->path);
	for (size_t i = 0; i < API_PARAMS_MAX; i++)
		buf_add(&text, call->params[i], strlen(call->params[i]) + 1);
	for (const struct api_field *f = call->contract->args; f != NULL && f->name != NULL; f++) {
		const char *value = api_arg(call, f->name);
		if (value == NULL)
			continue;
		buf_add(&text, f->name, strlen(f->name) + 1);
		buf_add(&text, value, strlen(value) + 1);
	}
	digest_sha256(buf_span(&text), &hash);
	buf_free(&text);
	memcpy(ret, hash.b, CURSOR_MARK);
}

int api_arg_cursor(struct api_call *call, char *ret, size_t size)
{
	const char *text = api_arg(call, "cursor");
	uint8_t     bytes[CURSOR_MARK + CURSOR_KEY_MAX], mark[CURSOR_MARK];
	size_t      n = 0;
	ret[0] = '\0';
	if (text == NULL || text[0] == '\0')
		return 0;
	cursor_mark(call, mark);
	if (b64url_parse(text, bytes, sizeof(bytes), &n) < 0 || n <= CURSOR_MARK || n - CURSOR_MARK >= size ||
	    memchr(bytes + CURSOR_MARK, '\0', n - CURSOR_MARK) != NULL)
		return refuse(&call->why, E_API_BODY, "cursor", "this is not a cursor of ours");
	if (memcmp(bytes, mark, CURSOR_MARK) != 0)
		return refuse(&call->why, E_API_BODY, "cursor", "this cursor is of another list, or of another selection of this one");
	memcpy(ret, bytes + CURSOR_MARK, n - CURSOR_MARK);
	ret[n - CURSOR_MARK] = '\0';
	return 0;
}

json_t *api_page(const struct api_call *call, json_t *items, const char *last_key)
{
	char    cursor[2 * (CURSOR_MARK + CURSOR_KEY_MAX)];
	uint8_t bytes[CURSOR_MARK + CURSOR_KEY_MAX];
	size_t  n = last_key != NULL ? strlen(last_key) : 0;
	json_t *o = json_object();
	json_object_set_new(o, "items", items);
	bool more = last_key != NULL && n <= CURSOR_KEY_MAX;
	if (more) {
		cursor_mark(call, bytes);
		memcpy(bytes + CURSOR_MARK, last_key, n);
		more = b64url_text(bytes, CURSOR_MARK + n, cursor, sizeof(cursor)) == 0;
	}
	json_object_set_new(o, "next_cursor", more ? json_string(cursor) : json_null());
	return o;
}
