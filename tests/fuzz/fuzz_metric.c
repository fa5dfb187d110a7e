/* fuzz_metric.c - whatever a label is called, a scraper that takes the text apart reads the same values: the escapes of the text format are
 * undone here by the format's own rules. Input: which metric, which format, the values, each up to a zero byte. */
#include <stdlib.h>
#include <string.h>

#include "controller/daemon/metric_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(const char **cursor, const char *text)
{
	size_t n = strlen(text);
	if (strncmp(*cursor, text, n) != 0)
		abort();
	*cursor += n;
}

/* The value in quotes, and no other. */
static void expect_value(const char **cursor, const char *value)
{
	expect(cursor, "\"");
	for (; **cursor != '"'; value++) {
		char c = *(*cursor)++;
		if (c == '\\') {
			char escaped = *(*cursor)++;
			if (escaped != 'n' && escaped != '\\' && escaped != '"')
				abort();
			c = escaped == 'n' ? '\n' : escaped;
		} else if (c == '\n') {
			abort();
		}
		if (c != *value || c == '\0')
			abort();
	}
	if (*value != '\0')
		abort();
	expect(cursor, "\"");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct buf to = BUF_MAX(1 << 20);
	char              text[METRIC_LABELS_MAX][200] = {""};
	const char       *values[METRIC_LABELS_MAX];
	if (size < 2)
		return 0;
	enum metric m = (enum metric)(data[0] % METRIC_COUNT);
	if (metric_row(m)->type == METRIC_HISTOGRAM)
		return 0; /* its labels are closed lists */
	for (size_t i = 0, at = 2; i < METRIC_LABELS_MAX; i++, at++) {
		for (size_t n = 0; at < size && data[at] != 0; at++)
			if (n < sizeof(text[i]) - 1)
				text[i][n++] = (char)data[at];
		values[i] = text[i];
	}
	struct metric_text t = {.to = &to, .format = (enum metric_format)(data[1] % METRIC_FORMAT_COUNT)};
	buf_reset(&to);
	metric_begin(&t, m);
	size_t begin = to.n;
	metric_sample(&t, values, 7);
	buf_add_u8(&to, 0);
	if (buf_error(&to) != 0)
		abort();

	const char *cursor = (const char *)to.p + begin;
	expect(&cursor, metric_row(m)->name);
	for (size_t i = 0; i < t.n_labels; i++) {
		expect(&cursor, i == 0 ? "{" : ",");
		expect(&cursor, t.label[i]);
		expect(&cursor, "=");
		expect_value(&cursor, values[i]);
	}
	expect(&cursor, t.n_labels > 0 ? "} 7\n" : " 7\n");
	if (*cursor != '\0')
		abort();
	return 0;
}
