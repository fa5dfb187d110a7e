/* tool_docs.c - tests: prints documentation that is made from tables. `tool_docs NAME` prints docs/NAME.md, `tool_docs catalog` that of the journal.
 * Never: text of its own. */
#include <stdio.h>

#include "controller/daemon/metric_table.h"
#include "controller/daemon/rights_document.h"
#include "shared/base/err_catalog.h"
#include "shared/base/text.h"
#include "shared/model/audit.h"
#include "shared/wire/wire.h"

static const struct {
	const char *name;
	void (*print)(struct buf *to);
} pages[] = {{"wire", wire_document}, {"audit", audit_document}, {"rights", rights_document}, {"metrics", metrics_document}, {"catalog", err_catalog}};

int main(int argc, char **argv)
{
	_cleanup_(buf_free) struct buf text = BUF_MAX(1 << 20);
	for (size_t i = 0; argc == 2 && i < N_ELEMENTS(pages); i++)
		if (text_equal(argv[1], pages[i].name))
			pages[i].print(&text);
	if (text.n == 0) {
		fprintf(stderr, "usage: %s wire|audit|rights|metrics|catalog\n", argv[0]);
		return 2;
	}
	if (buf_error(&text) < 0 || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0)
		return 1;
	return 0;
}
