/* fuzz_siem.c - an export gives the same lines however it is cut into pieces, and each of them is one line of JSON, or one of syslog that
 * ends in it: no record can begin a second one. The first byte chooses the format, the second the length of the pieces. */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "controller/cli/siem_lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The code that ended it; 0 = an export with its end. */
static int take(enum siem_format format, struct span export, size_t piece, struct buf *to)
{
	struct siem *s = NULL;
	int          r = siem_new(format, "pki", &s);
	buf_reset(to);
	for (size_t at = 0; r == 0 && at < export.n; at += piece)
		r = siem_take(s, (struct span){export.p + at, export.n - at < piece ? export.n - at : piece}, to);
	if (r == 0)
		r = siem_end(s);
	siem_free(s);
	return r;
}

static void check_line(const char *line, size_t n)
{
	const char *json = memchr(line, '{', n);
	size_t      left = json != NULL ? n - (size_t)(json - line) : 0;
	json_t     *object = json != NULL ? json_loadb(json, left, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (!json_is_object(object))
		abort();
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)line[i] < ' ')
			abort();
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf whole = BUF_MAX(1 << 22), pieces = BUF_MAX(1 << 22);
	if (size < 2)
		return 0;
	enum siem_format format = (enum siem_format)(data[0] % SIEM_FORMAT_COUNT);
	struct span      export = {data + 2, size - 2};
	int              a = take(format, export, export.n > 0 ? export.n : 1, &whole);
	int              b = take(format, export, (size_t)data[1] + 1, &pieces);
	if (a != b || (a == 0 && !span_equal(buf_span(&whole), buf_span(&pieces))))
		abort();
	const char *line = (const char *)whole.p;
	for (size_t left = whole.n; left > 0;) {
		const char *end = memchr(line, '\n', left);
		if (end == NULL)
			abort();
		check_line(line, (size_t)(end - line));
		left -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	return 0;
}
