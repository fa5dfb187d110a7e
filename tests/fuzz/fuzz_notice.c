/* fuzz_notice.c - the body of a message is JSON for every template that was taken and every value, and a value comes out of it as it went in:
 * none can end the string that it stands in (but three backticks, which become quotes, and control characters). Input: length of the template, the template, the value. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/daemon/body_template.h"
#include "shared/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct span text, const char *value, struct buf *to)
{
	const char *values[BODY_FIELD_COUNT];
	for (size_t i = 0; i < BODY_FIELD_COUNT; i++)
		values[i] = value;
	values[BODY_PRIORITY] = "5";
	buf_reset(to);
	body_template_fill(text, values, to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf body = BUF_MAX(1 << 22);
	struct refusal    why = {.code = 0};
	char              value[512] = "";
	if (size < 2)
		return 0;
	size_t      n = (size_t)data[0] << 8 | data[1], most = size - 2;
	struct span text = {data + 2, n < most ? n : most};
	size_t      left = most - text.n;
	memcpy(value, text.p + text.n, left < sizeof(value) - 1 ? left : sizeof(value) - 1);

	int r = body_template_check("fuzz.json", text, &why);
	if (r < 0 && why.code != r)
		abort();
	if (r == 0) {
		fill(text, value, &body);
		json_t *json = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
		if (buf_error(&body) == 0 && json == NULL)
			abort();
		json_decref(json);
	}

	static const char plain[] = "{\"a\":\"{{title}}\"}";
	fill(span_text(plain), value, &body);
	json_t     *json = json_loadb((const char *)body.p, body.n, JSON_REJECT_DUPLICATES, NULL);
	const char *back = json_string_value(json_object_get(json, "a"));
	bool        plain_text = text_utf8_ok(value, strlen(value)) && strstr(value, "```") == NULL;
	if (back == NULL || json_object_size(json) != 1 || (plain_text && strcmp(back, value) != 0))
		abort();
	json_decref(json);
	return 0;
}
