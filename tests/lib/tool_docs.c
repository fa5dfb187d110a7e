/* tool_docs.c - tests: prints documentation that is made from tables. `tool_docs NAME` prints docs/NAME.md.
 * Never: text of its own. */
#include <stdio.h>

#include "controller/daemon/rights_document.h"
#include "shared/base/text.h"
#include "shared/wire/wire.h"

static const struct {
	const char *name;
	void (*write)(struct buf *to);
} documents[] = {
	{"wire", wire_document},
	{"rights", rights_document},
};

int main(int argc, char **argv)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(1 << 20);
	for (size_t i = 0; i < N_ELEMENTS(documents) && argc == 2; i++) {
		if (!text_equal(argv[1], documents[i].name))
			continue;
		documents[i].write(&text);
		return buf_error(&text) < 0 || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0;
	}
	fprintf(stderr, "usage: %s wire|rights\n", argv[0]);
	return 2;
}
