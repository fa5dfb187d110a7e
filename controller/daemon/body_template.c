/* body_template.c - room controller/daemon: the body of a message as a JSON text with {{field}} in it.
 * Never: loops, conditions, code in a template. */
#include "controller/daemon/body_template.h"

#include <string.h>

#include <jansson.h>

#include "shared/base/text.h"

const char *body_field_name(enum body_field f)
{
	static const char *const names[BODY_FIELD_COUNT] = {
		[BODY_TITLE] = "title",          [BODY_TEXT] = "text",       [BODY_LEVEL] = "level",
		[BODY_EVENT] = "event",          [BODY_SERVICE] = "service", [BODY_OBJECT] = "object",
		[BODY_TOPIC] = "topic",          [BODY_COLOR] = "color",     [BODY_PRIORITY] = "priority",
		[BODY_MESSAGE_ID] = "message_id", [BODY_ACK_URL] = "ack_url"};
	return (size_t)f < BODY_FIELD_COUNT ? names[f] : "unknown";
}

/* At `at` stands {{NAME}}: its field, or -1, and the bytes that it takes (0 = nothing of the kind begins here). */
static int field_at(struct span text, size_t at, size_t *ret_n)
{
	*ret_n = 0;
	if (text.n - at < 4 || memcmp(text.p + at, "{{", 2) != 0)
		return -1;
	const uint8_t *name = text.p + at + 2, *end = memmem(name, text.n - at - 2, "}}", 2);
	if (end == NULL)
		return -1;
	size_t n = (size_t)(end - name);
	for (int f = 0; f < BODY_FIELD_COUNT; f++) {
		const char *known = body_field_name((enum body_field)f);
		if (strlen(known) == n && memcmp(known, name, n) == 0) {
			*ret_n = n + 4;
			return f;
		}
	}
	return -1;
}

/* Chat services end a block of plain text at three backticks, and take what follows for markup. */
static void close_no_block(char *text)
{
	for (char *at = strstr(text, "```"); at != NULL; at = strstr(at, "```"))
		memcpy(at, "'''", 3);
}

/* As the inside of a JSON string. A value that is no UTF-8 loses the bytes that make it so. */
static void add_escaped(struct buf *to, const char *value)
{
	char   text[BODY_TEXT_MAX + 8];
	size_t n = strlen(value);
	text_cut(text, BODY_TEXT_MAX, value);
	if (n >= BODY_TEXT_MAX)
		memcpy(text + BODY_TEXT_MAX - 4, "...", 4);
	if (!text_utf8_ok(text, strlen(text)))
		for (char *c = text; *c != '\0'; c++)
			if ((unsigned char)*c >= 0x7f || ((unsigned char)*c < ' ' && *c != '\n' && *c != '\t'))
				*c = '?';
	close_no_block(text);
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			buf_add_fmt(to, "\\%c", *c);
		else if (*c == '\n')
			buf_add_text(to, "\\n");
		else if ((unsigned char)*c < ' ')
			buf_add_fmt(to, "\\u%04x", (unsigned)(unsigned char)*c);
		else
			buf_add_u8(to, (uint8_t)*c);
	}
}

void body_template_fill(struct span text, const char *const values[BODY_FIELD_COUNT], struct buf *to)
{
	for (size_t i = 0; i < text.n;) {
		size_t n;
		int    f = field_at(text, i, &n);
		if (f >= 0)
			add_escaped(to, values[f] != NULL ? values[f] : "");
		else
			buf_add_u8(to, text.p[i]);
		i += f >= 0 ? n : 1;
	}
}

static int check_fields(const char *name, struct span text, struct refusal *why)
{
	for (size_t i = 0; i + 1 < text.n; i++) {
		size_t n;
		if (memcmp(text.p + i, "{{", 2) != 0 || (text.n - i > 2 && text.p[i + 2] == '{'))
			continue;
		if (field_at(text, i, &n) < 0)
			return refuse(why, E_NOTIFY_TEMPLATE, name, "`%.*s` is no field",
				      (int)(text.n - i < 24 ? text.n - i : 24), (const char *)text.p + i);
		i += n - 1;
	}
	return 0;
}

int body_template_check(const char *name, struct span text, struct refusal *why)
{
	/* behind a backslash none of them is an escape of JSON: what is put there later need not be one either */
	const char *const values[BODY_FIELD_COUNT] = {"z\"\\\n{}", "zb", "zc", "zd", "ze", "zf", "zg", "zh", "#808080", "3", "https://i.example/j"};
	struct buf        filled = BUF_MAX(BODY_TEMPLATE_MAX + BODY_FIELD_COUNT * 1024);
	json_error_t      error = {.line = 0};
	int               r = text.n > BODY_TEMPLATE_MAX
				      ? refuse(why, E_NOTIFY_TEMPLATE, name, "it is longer than %d bytes", BODY_TEMPLATE_MAX)
				      : 0;
	if (r == 0)
		r = check_fields(name, text, why);
	if (r == 0) {
		body_template_fill(text, values, &filled);
		json_t *body = json_loadb((const char *)filled.p, filled.n, JSON_REJECT_DUPLICATES, &error);
		if (body == NULL || buf_error(&filled) != 0)
			r = refuse(why, E_NOTIFY_TEMPLATE, name, "with values in it, it is no JSON: %s (line %d)", error.text,
				   error.line);
		json_decref(body);
	}
	buf_free(&filled);
	return r;
}
